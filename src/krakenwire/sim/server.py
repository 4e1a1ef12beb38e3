"""The simulator's server: a port for each door of an exchange, for its REST API and for its control endpoint."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Self

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from krakenwire.clock import Clock
from krakenwire.errors import UsageError

from .accounts.accounts import Accounts
from .connection import MAX_REQUEST, Connection
from .exchange import Exchange
from .market.market import Market
from .peer import DOORS, Door
from .playback import Recording

if TYPE_CHECKING:
    from .control import ControlServer
    from .web import RestServer

__all__ = ["SimulatorServer"]

_VARIABLES: dict[Door, str] = {
    "public": "KRAKEN_WS_PUBLIC_URL",
    "auth": "KRAKEN_WS_AUTH_URL",
    "l3": "KRAKEN_WS_L3_URL",
}


class SimulatorServer:
    """A simulated Kraken on this machine's network.

    Each door of PROTOCOL 1 has a port of its own: public market data; private data and trading (`auth`); level3.
    They serve what PROTOCOL 2 to 5 say, under the path `/v2`. A port 0 lets the system choose one, None leaves that
    door shut; a recording has only the public one.

    Args:
        source: a market, or a recording to play; if None, a market of the default listing is made.
        symbols: which of the default listing that market trades; all if None.
        accounts: who may come in by the private doors; those of `Accounts.default()` if None.
        host: the address to bind; loopback unless told otherwise.
        port: of the public door.
        auth_port: of the private door.
        l3_port: of the level3 door.
        rest_port: of the REST API, which needs the extra `sim`.
        control_port: of the control endpoint, which needs the extra `sim` and is always on loopback.
        tls: makes all of them but the control endpoint speak TLS.
        rate, clock, seed, hold, message_rate, max_buffer, inactivity: as `Exchange` has them.

    Attributes:
        exchange: what is served.

    Raises:
        UnknownSymbol: the default listing does not hold one of `symbols`.
        UsageError: `rate` is not more than 0, both `source` and `symbols` are given, or the extra `sim` is missing.
    """

    def __init__(
        self,
        source: Market | Recording | None = None,
        *,
        symbols: Iterable[str] | None = None,
        accounts: Accounts | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        auth_port: int | None = 0,
        l3_port: int | None = 0,
        rest_port: int | None = None,
        control_port: int | None = None,
        tls: ssl.SSLContext | None = None,
        rate: float | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        hold: bool = False,
        message_rate: float = 100.0,
        max_buffer: int = 16 * 1024 * 1024,
        inactivity: float = 60.0,
    ) -> None:
        self.exchange = Exchange(
            source,
            symbols=symbols,
            accounts=accounts,
            rate=rate,
            clock=clock,
            seed=seed,
            hold=hold,
            message_rate=message_rate,
            max_buffer=max_buffer,
            inactivity=inactivity,
        )
        self._host = host
        self._tls = tls
        wanted: dict[Door, int | None] = {"public": port, "auth": auth_port, "l3": l3_port}
        if isinstance(source, Recording):
            wanted["auth"] = wanted["l3"] = None
        self._ports: dict[Door, int] = {door: wish for door in DOORS if (wish := wanted[door]) is not None}
        self._servers: list[asyncio.Server] = []
        self._rest: RestServer | None = None
        self._control: ControlServer | None = None
        # The extra is only needed here.
        if rest_port is not None:
            from .web import RestServer

            self._rest = RestServer(self.exchange, host, rest_port, ssl_context=tls)
        if control_port is not None:
            from .control import ControlServer

            self._control = ControlServer(self.exchange, control_port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- what a user calls --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind and begin to serve; nothing stays bound if that fails.

        Raises:
            OSError: an address cannot be bound.
            UsageError: it was started before.

        Cancellation: partial; `close` puts everything right.
        """
        if self._servers:
            raise UsageError("this simulator was started before; make another one")
        try:
            for door in self._ports:
                await self._open(door)
            for http in (self._rest, self._control):
                if http is not None:
                    await http.start()
        except OSError:
            await self.close()
            raise
        await self.exchange.start()

    async def close(self) -> None:
        """Close every connection (1001) and the ports; harmless when repeated.

        Cancellation: partial; call it again.
        """
        for server in self._servers:
            server.close()
        for http in (self._control, self._rest):
            if http is not None:
                await http.close()
        await self.exchange.close()

    @property
    def url(self) -> str:
        """Where clients of public market data connect to."""
        return self._url("public")

    @property
    def auth_url(self) -> str:
        """Where clients of private data and trading connect to.

        Raises:
            UsageError: that door is shut (so do the following, each for its own).
        """
        return self._url("auth")

    @property
    def l3_url(self) -> str:
        """Where clients of level3 connect to."""
        return self._url("l3")

    @property
    def rest_url(self) -> str:
        """The base of the REST API's URLs."""
        if self._rest is None:
            raise UsageError("this simulator has no REST API; give it a rest_port")
        return self._rest.url

    @property
    def control_url(self) -> str:
        """The base of the control endpoint's URLs."""
        if self._control is None:
            raise UsageError("this simulator has no control endpoint; give it a control_port")
        return self._control.url

    def env(self) -> dict[str, str]:
        """The environment variables that point a client, ours or Kraken's own, at what is served."""
        variables = {_VARIABLES[door]: self._url(door) for door in self._ports}
        if self._rest is not None:
            variables["KRAKEN_SPOT_URL"] = self._rest.url
        return variables

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be subscribed."""
        return self.exchange.symbols

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self.exchange.peers)

    @property
    def slow_clients_dropped(self) -> int:
        """Clients that were cut off because they did not read."""
        return self.exchange.slow_clients_dropped

    def release(self, messages: int | None = None) -> None:
        """Let a held market move: see `Exchange.release`."""
        self.exchange.release(messages)

    async def finished(self) -> None:
        """Wait until the last `release` has sent its messages. Cancellation: safe, no effect."""
        await self.exchange.finished()

    def truth(self, symbol: str, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The exchange's own book: see `Exchange.truth`."""
        return self.exchange.truth(symbol, depth)

    async def drop_connections(self, code: int | None = None) -> None:
        """End every connection there is: see `Exchange.drop_connections`."""
        await self.exchange.drop_connections(code)

    # --- inside -------------------------------------------------------------------------------------------

    def _url(self, door: Door) -> str:
        if door not in self._ports:
            raise UsageError(f"the door {door!r} of this simulator is shut; there is {', '.join(self._ports)}")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'ws' if self._tls is None else 'wss'}://{host}:{self._ports[door]}/v2"

    async def _open(self, door: Door) -> None:
        def accept(request: WSUpgradeRequest) -> Connection | WSUpgradeResponseWithListener | None:
            return self._accept(door, request)

        server = await ws_create_server(
            accept,
            self._host,
            self._ports[door],
            max_frame_size=MAX_REQUEST,
            enable_auto_pong=False,  # the connection answers, and counts what is not read
            logger_name="krakenwire",
            ssl=self._tls,
        )
        self._servers.append(server)
        self._ports[door] = server.sockets[0].getsockname()[1]

    def _accept(self, door: Door, request: WSUpgradeRequest) -> Connection | WSUpgradeResponseWithListener | None:
        path = request.path.partition(b"?")[0].rstrip(b"/")
        if path != b"/v2":
            return None
        faults = self.exchange.faults
        if faults.is_active and (refusal := faults.refuse_upgrade(door)) is not None:
            status, reason = refusal
            response = WSUpgradeResponse.create_error_response(HTTPStatus(status), reason.encode())
            return WSUpgradeResponseWithListener(response, None)
        return Connection(self.exchange, door)
