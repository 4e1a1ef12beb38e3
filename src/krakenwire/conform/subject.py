"""The server under test: its connections and what the rules share of them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal, Self

from krakenwire.clock import Clock
from krakenwire.conform.desk import Desk
from krakenwire.conform.line import Line
from krakenwire.conform.once import Once
from krakenwire.conform.target import Target
from krakenwire.conform.verdict import NotTested
from krakenwire.conform.watch import Watch
from krakenwire.conform.web import Reply, Web
from krakenwire.conform.wire import Frame, Item, Malformed
from krakenwire.net.endpoints import is_loopback
from krakenwire.net.websocket import WebSocketConnector

__all__ = ["Door", "Subject"]

Door = Literal["public", "auth", "l3"]

PATIENCE_S = 5.0
ENOUGH_ORDERS = 300
POLITE_MESSAGES_S = 0.2
POLITE_REST_S = 1.0
"""Pauses between two messages and two public REST calls, for hosts that are not ours (PROTOCOL 9.3, 9.4)."""


class Subject:
    """A server, with the connections that rules share.

    Args:
        target: where it is.
        clock: what times are taken from.
        ssl_context: how certificates are checked; the system's CAs by default.
        patience: seconds within which an answer counts as one.

    Attributes:
        target, symbol, clock, patience: as given.
        watch: two connections that listen to everything about the symbol.
        lines: every connection opened so far.
    """

    def __init__(
        self,
        target: Target,
        *,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        patience: float = PATIENCE_S,
    ) -> None:
        self.target = target
        self.symbol = target.symbol
        self.clock = clock
        self.patience = patience
        self.lines: list[Line] = []
        self._connector = WebSocketConnector(clock=clock, ssl_context=ssl_context)
        self._web = (
            Web(
                target.rest,
                clock,
                patience=patience,
                pace=0.0 if is_loopback(target.rest) else POLITE_REST_S,
                # As for the WebSockets: what SSL_CERT_FILE names is trusted, as the simulator's --tls prints it.
                verify=ssl.create_default_context() if ssl_context is None else ssl_context,
            )
            if target.rest is not None
            else None
        )
        self._shared: dict[Door, Line] = {}
        self._pairs = Once(self._read_instruments)
        self._token = Once(self._fetch_token)
        self._asset_pairs = Once(self._fetch_asset_pairs)
        self._orders = Once(self._watch_orders)
        self.watch = Watch(self)
        self.desk = Desk(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.desk.close()
        for once in (self._orders, self._pairs, self._token, self._asset_pairs):
            await once.cancel()
        await self.watch.close()
        for line in self.lines:
            await line.close()
        if self._web is not None:
            await self._web.close()

    # --- connections -------------------------------------------------------------------------------------------

    async def open(self, door: Door = "public") -> Line:
        """A connection of one's own; it is closed at the end at the latest.

        Raises:
            ConnectFailed: it cannot be opened.
            NotTested: the target has no such door.

        Cancellation: safe.
        """
        url = {"public": self.target.public, "auth": self.target.auth, "l3": self.target.l3}[door]
        if url is None:
            raise NotTested(f"the URL of the {door} WebSocket is not known")
        line = Line(self.clock, patience=self.patience, pace=0.0 if is_loopback(url) else POLITE_MESSAGES_S)
        await line.open(self._connector, url)
        self.lines.append(line)
        return line

    @asynccontextmanager
    async def apart(self, door: Door = "public") -> AsyncIterator[Line]:
        """A connection for the time of a `with`. Cancellation: safe."""
        line = await self.open(door)
        try:
            yield line
        finally:
            await line.close()

    @asynccontextmanager
    async def line(self, door: Door = "public") -> AsyncIterator[Line]:
        """The connection to a door that rules ask on in turn, with nothing subscribed on it.

        It is used again only if the rule held and everything could be unsubscribed. Cancellation: safe.
        """
        line = self._shared.pop(door, None)
        if line is None or line.closed is not None:
            line = await self.open(door)
        is_clean = False
        try:
            yield line
            is_clean = await line.settle()
        finally:
            if is_clean:
                self._shared[door] = line
            else:
                await line.close()

    # --- what is known of the server ---------------------------------------------------------------------------

    @property
    def web(self) -> Web:
        """REST.

        Raises:
            NotTested: the target has none.
        """
        if self._web is None:
            raise NotTested(self.target.why_not("rest"))
        return self._web

    async def instruments(self) -> Frame:
        """The snapshot of `instrument`.

        Raises:
            NotTested: there is none.

        Cancellation: safe.
        """
        return await self._pairs.get()

    async def pair(self, symbol: str | None = None) -> Item:
        """What `instrument` says of a symbol, of the one under test by default.

        Raises:
            NotTested: it says nothing.

        Cancellation: safe.
        """
        wanted = symbol or self.symbol
        for item in (await self.instruments()).data:
            for pair in item.items("pairs"):
                if pair.get("symbol") == wanted:
                    return pair
        raise NotTested(f"`instrument` does not list {wanted}; choose another by --symbol")

    async def symbols(self) -> list[str]:
        """What `instrument` lists; empty if it does not tell. Cancellation: safe."""
        try:
            found = [pair.get("symbol") for item in (await self.instruments()).data for pair in item.items("pairs")]
        except (NotTested, Malformed):
            return []
        return [symbol for symbol in found if isinstance(symbol, str)]

    async def other_symbol(self) -> str:
        """A second symbol that trades.

        Raises:
            NotTested: there is none.

        Cancellation: safe.
        """
        listed = [pair for item in (await self.instruments()).data for pair in item.items("pairs")]
        online = [pair.text("symbol") for pair in listed if pair.get("status") == "online"]
        # One that is spelt wrongly is the business of the rule about spelling.
        online = [symbol for symbol in online if symbol not in (self.symbol, symbol.lower())]
        if not online:
            raise NotTested("only one symbol trades here")
        return next((symbol for symbol in ("ETH/USD", "BTC/USD", "BTC/EUR") if symbol in online), online[0])

    async def rest_pair(self) -> tuple[str, Item]:
        """REST's key of the symbol under test, and what `AssetPairs` says of it.

        Raises:
            NotTested: `AssetPairs` does not know it.

        Cancellation: safe.
        """
        reply = await self._asset_pairs.get()
        for key, value in reply.outcome.fields.items():
            if isinstance(value, dict) and value.get("wsname") in _rest_names(self.symbol):
                return key, Item(value, reply)
        raise NotTested(f"AssetPairs has no pair whose wsname is {' or '.join(_rest_names(self.symbol))}")

    async def asset_pairs(self) -> Reply:
        """All of `AssetPairs`. Cancellation: safe."""
        return await self._asset_pairs.get()

    async def token(self) -> str:
        """A token for the private WebSockets.

        Raises:
            NotTested: there is none.

        Cancellation: safe.
        """
        return await self._token.get()

    async def level3_frames(self) -> list[Frame]:
        """What level3 at depth 10 sent: a snapshot and the updates after it.

        Raises:
            NotTested: there is no snapshot, or no update.

        Cancellation: safe.
        """
        return await self._orders.get()

    async def _watch_orders(self) -> list[Frame]:
        token = await self.token()
        async with self.apart("l3") as line:
            await line.subscribed("level3", self.symbol, depth=10, token=token)
            count = 0

            def is_enough(frame: Frame) -> bool:
                nonlocal count
                count += frame.channel == "level3"
                return count > ENOUGH_ORDERS

            await line.wait(is_enough, within=self.target.seconds)
        found = [frame for frame in line.frames if frame.channel == "level3"]
        if len(found) < 2 or found[0].kind != "snapshot":
            raise NotTested(f"needs a snapshot and updates of level3, of which {len(found)} messages came")
        return found

    async def _read_instruments(self) -> Frame:
        async with self.apart() as line:
            await line.subscribed("instrument")
            found = await line.wait(lambda frame: frame.channel == "instrument" and frame.kind == "snapshot")
        if found is None:
            raise NotTested(f"needs the snapshot of `instrument`, which did not come within {self.patience:g} s")
        return found

    async def _fetch_asset_pairs(self) -> Reply:
        return await self.web.get("AssetPairs")

    async def _fetch_token(self) -> str:
        if self.target.credentials is None:
            raise NotTested(self.target.why_not_private)
        reply = await self.web.post("GetWebSocketsToken", self.target.credentials)
        return reply.outcome.text("token")


def _rest_names(symbol: str) -> tuple[str, ...]:
    """How REST's `wsname` may spell a v2 symbol: as v1 does, or as v2 (PROTOCOL 10)."""
    base, _, quote = symbol.partition("/")
    old = {"BTC": "XBT", "DOGE": "XDG"}
    return tuple(dict.fromkeys((f"{old.get(base, base)}/{old.get(quote, quote)}", symbol)))
