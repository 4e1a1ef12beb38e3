"""Where the exchange is: its URLs, what makes a URL acceptable, and how one is shown without its secrets."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from krakenwire.errors import UsageError

__all__ = ["PUBLIC_VARIABLE", "Endpoints", "is_loopback", "parse_url", "shown"]

WEBSOCKET_SCHEMES = ("wss", "ws")
REST_SCHEMES = ("https", "http")

_KRAKENS_REST = "https://api.kraken.com"

PUBLIC_VARIABLE = "KRAKEN_WS_PUBLIC_URL"
_VARIABLES = {
    "rest": "KRAKEN_SPOT_URL",
    "public": PUBLIC_VARIABLE,
    "auth": "KRAKEN_WS_AUTH_URL",
    "l3": "KRAKEN_WS_L3_URL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The URLs of one exchange; the defaults are Kraken Spot's (PROTOCOL 1).

    Attributes:
        public: the public WebSocket, v2.
        auth: the private and trading WebSocket, v2.
        l3: the level3 WebSocket, v2.
        rest: the base of the REST API, without a path.

    Raises:
        UsageError: for a URL that cannot be one of these.
    """

    public: str = "wss://ws.kraken.com/v2"
    auth: str = "wss://ws-auth.kraken.com/v2"
    l3: str = "wss://ws-l3.kraken.com/v2"
    rest: str = _KRAKENS_REST

    def __post_init__(self) -> None:
        parse_url(self.public, WEBSOCKET_SCHEMES, "Endpoints.public")
        parse_url(self.auth, WEBSOCKET_SCHEMES, "Endpoints.auth")
        parse_url(self.l3, WEBSOCKET_SCHEMES, "Endpoints.l3")
        parse_url(self.rest, REST_SCHEMES, "Endpoints.rest")

    @property
    def has_rest(self) -> bool:
        """Whether `rest` is of the exchange that `public` is of.

        A public URL that is not Kraken's, beside a REST URL that was left at Kraken's, is another exchange: what one
        of them missed the other does not know.
        """
        host = urlsplit(self.public).hostname or ""
        return self.rest != _KRAKENS_REST or f".{host}".endswith(".kraken.com")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Endpoints:
        """Read the `KRAKEN_*` variables of `environ`; what is unset or empty keeps its default.

        `KRAKEN_SPOT_URL` is the REST base; `KRAKEN_WS_PUBLIC_URL`, `KRAKEN_WS_AUTH_URL` and
        `KRAKEN_WS_L3_URL` are the WebSockets.

        Raises:
            UsageError: naming the variable whose URL cannot work.
        """
        found: dict[str, str] = {}
        for field, variable in _VARIABLES.items():
            url = environ.get(variable, "").strip()
            if url:
                parse_url(url, REST_SCHEMES if field == "rest" else WEBSOCKET_SCHEMES, variable)
                found[field] = url
        return cls(**found)


def parse_url(url: str, schemes: tuple[str, ...], name: str = "url") -> SplitResult:
    """Split `url`, refusing what no endpoint can be.

    Args:
        url: the URL.
        schemes: the schemes that are accepted.
        name: what to call it in the error.

    Raises:
        UsageError: for another scheme, no host, a bad port, user info, a fragment, or white space.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        # The text of the ValueError may quote the URL with its user info.
        raise UsageError(f"{name}: expected a URL such as {schemes[0]}://host/path, got a malformed one") from error
    accepted = " or ".join(f"{scheme}://" for scheme in schemes)
    if parts.scheme not in schemes:
        raise UsageError(f"{name}: expected {accepted}, got {parts.scheme or 'no scheme'!r} in {shown(url)!r}")
    if not parts.hostname or port == 0:
        raise UsageError(f"{name}: expected a host and a port other than 0, got {shown(url)!r}")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{name}: credentials do not go into a URL; remove the part before the @ of {shown(url)!r}")
    if parts.fragment or any(character <= " " for character in url):
        raise UsageError(f"{name}: a fragment or white space has no meaning in {shown(url)!r}; remove it")
    return parts


def shown(url: str) -> str:
    """The URL as errors and logs may show it: without user info, query and fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "(malformed URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine, so that plain text to it leaves no wire. Resolves nothing."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
