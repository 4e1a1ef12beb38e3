"""What is tested, where it is, and how far the test may go."""

from __future__ import annotations

from dataclasses import dataclass, field

from krakenwire.errors import UsageError
from krakenwire.net.endpoints import REST_SCHEMES, WEBSOCKET_SCHEMES, Endpoints, is_loopback, parse_url, shown

__all__ = ["Credentials", "Target"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and its secret, which no repr shows."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server that claims to be Kraken.

    Attributes:
        public: URL of the public WebSocket.
        auth, l3: URLs of the private and the level3 WebSocket; None leaves their rules out.
        rest: base URL of REST; None leaves its rules out.
        symbol: what is subscribed and traded.
        seconds: how long the feeds are watched at most.
        credentials: of the account that private rules use; None leaves them out.
        trading: whether private rules may run though the host is not this machine.

    Raises:
        UsageError: for a URL that cannot be one of these, for credentials that would be sent in plain text over a
            wire, or for a number of seconds that is not positive.
    """

    public: str
    auth: str | None = None
    l3: str | None = None
    rest: str | None = None
    symbol: str = "BTC/USD"
    seconds: float = 10.0
    credentials: Credentials | None = None
    trading: bool = False

    def __post_init__(self) -> None:
        parse_url(self.public, WEBSOCKET_SCHEMES, "--url")
        for url, schemes, name in (
            (self.auth, WEBSOCKET_SCHEMES, "--auth-url"),
            (self.l3, WEBSOCKET_SCHEMES, "--l3-url"),
            (self.rest, REST_SCHEMES, "--rest-url"),
        ):
            if url is None:
                continue
            scheme = parse_url(url, schemes, name).scheme
            if self.trading and scheme in ("ws", "http") and not is_loopback(url):
                raise UsageError(f"{name}: expected {schemes[0]}:// where credentials are sent, got {shown(url)!r}")
        if not self.seconds > 0:
            raise UsageError(f"--seconds: expected more than 0, got {self.seconds:g}")

    @property
    def is_loopback(self) -> bool:
        """Whether every door is on this machine."""
        return all(is_loopback(url) for url in (self.public, self.auth, self.l3, self.rest) if url is not None)

    @property
    def why_not_private(self) -> str:
        """Why private rules cannot run; empty if they can."""
        if self.auth is None or self.rest is None:
            return "needs --auth-url and --rest-url, or KRAKEN_WS_AUTH_URL and KRAKEN_SPOT_URL"
        if not (self.trading or self.is_loopback):
            return "needs an account and --trading: the host is not this machine"
        if self.credentials is None:
            return "needs an account: KRAKEN_API_KEY and KRAKEN_API_SECRET"
        return ""

    def why_not(self, lane: str) -> str:
        """Why the rules of a lane cannot run; empty if they can."""
        if lane == "rest" and self.rest is None:
            return "needs --rest-url or KRAKEN_SPOT_URL"
        if lane in ("account", "level3") and self.why_not_private:
            return self.why_not_private
        if lane == "level3" and self.l3 is None:
            return "needs --l3-url or KRAKEN_WS_L3_URL"
        return ""

    @classmethod
    def of_endpoints(
        cls,
        endpoints: Endpoints,
        *,
        symbol: str = "BTC/USD",
        seconds: float = 10.0,
        credentials: Credentials | None = None,
        trading: bool = False,
    ) -> Target:
        """The target at these endpoints.

        A server of one's own that names no other door beside its public one is not mixed with Kraken's: those
        doors are left out.

        Raises:
            UsageError: as the class.
        """
        krakens = Endpoints()
        is_elsewhere = endpoints.public != krakens.public
        doors = {
            name: None if is_elsewhere and url == default else url
            for name, url, default in (
                ("auth", endpoints.auth, krakens.auth),
                ("l3", endpoints.l3, krakens.l3),
                ("rest", endpoints.rest, krakens.rest),
            )
        }
        return cls(
            public=endpoints.public,
            auth=doors["auth"],
            l3=doors["l3"],
            rest=doors["rest"],
            symbol=symbol,
            seconds=seconds,
            credentials=credentials,
            trading=trading,
        )
