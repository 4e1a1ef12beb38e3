"""The simulator's server: sockets, pace and backpressure around a market or a recording."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from random import Random
from types import TracebackType
from typing import Self

from picows import WSCloseCode, WSUpgradeRequest, ws_create_server

from krakenwire.clock import NS_PER_S, Clock, SystemClock, Timer
from krakenwire.errors import UsageError

from .connection import HEARTBEAT_NS, MAX_REQUEST, Connection
from .instruments import select
from .market import SIMULATED_START_NS, Market
from .playback import Playback, Recording
from .source import MarketSource, Source
from .wire import wrap_text

__all__ = ["SimulatorServer"]

BATCH = 128
"""Frames made between two looks at the sockets when there is no rate: small against HIGH_WATER."""

TICK_S = 0.005
"""How often a paced market moves."""

CATCH_UP_S = 0.1
"""How much of a delay is made up for; the rest is forgotten."""

BARREN_STEPS = 64
"""Steps for each wanted frame after which a batch ends: where little is watched, most give nothing."""

PATIENCE_NS = 5 * NS_PER_S
"""How long an unpaced market waits for a client that is behind while others are not."""

CLOSE_S = 1.0

_log = logging.getLogger("krakenwire.sim")


class SimulatorServer:
    """A server that speaks Kraken's public WebSocket v2 on this machine.

    It serves book, trade, ticker, ohlc and instrument, the automatic status and heartbeat, and ping, as
    PROTOCOL 2 and 3 say. A symbol moves only while somebody listens to it. A client that does not read is cut
    off once `max_buffer` bytes wait for it; a market without a rate waits for its clients first.

    Args:
        source: a market, or a recording to play; if None, a market of the default listing is made.
        symbols: which of the default listing that market trades; all if None.
        host: the address to bind; loopback unless told otherwise.
        port: 0 lets the system choose.
        rate: market data frames a second over all streams, each counted once however many listen; None is as
            fast as it goes.
        clock: gives the time and the pace.
        seed: of the market that is made if none is given, and of the connection ids.
        hold: nothing moves until `release`, and all times inside frames and the heartbeats are simulated:
            clients that send the same requests before the release receive the same bytes on every run.
        message_rate: messages a second that a client may send in the long run; twice as many at once.
        max_buffer: bytes that may wait for one client. A snapshot at depth 1000 is some 80 kB a symbol.
        inactivity: seconds of silence after which a client without subscriptions is closed.

    Attributes:
        slow_clients_dropped: clients that were cut off because they did not read.

    Raises:
        UnknownSymbol: the default listing does not hold one of `symbols`.
        UsageError: `rate` is not more than 0, or both `source` and `symbols` are given.
    """

    def __init__(
        self,
        source: Market | Recording | None = None,
        *,
        symbols: Iterable[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        rate: float | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        hold: bool = False,
        message_rate: float = 100.0,
        max_buffer: int = 16 * 1024 * 1024,
        inactivity: float = 60.0,
    ) -> None:
        if rate is not None and not rate > 0:
            raise UsageError(f"rate must be more than 0 messages a second, or None for as fast as it goes; got {rate}")
        self._clock: Clock = SystemClock() if clock is None else clock
        if source is None:
            listings = None if symbols is None else select(symbols)
            start_ns = SIMULATED_START_NS if hold else self._clock.now_ns()
            source = Market(listings, seed=seed, start_ns=start_ns)
        elif symbols is not None:
            raise UsageError("symbols= chooses from the default listing; give a source or symbols, not both")
        self.source: Source[Connection]
        self.source = Playback(source) if isinstance(source, Recording) else MarketSource(source)
        self.message_rate = message_rate
        self.max_buffer = max_buffer
        self.inactivity = inactivity
        self.is_simulated_time = hold
        self.slow_clients_dropped = 0
        self._host = host
        self._port = port
        self._rate = rate
        self._ids = Random(seed)
        self._connections: dict[Connection, None] = {}
        self._held = hold
        self._remaining: int | None = None
        self._finished = asyncio.Event()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._driver: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- what a user calls --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind and begin to serve.

        Raises:
            OSError: the address cannot be bound.
            UsageError: it was started before.

        Cancellation: partial; `close` puts everything right.
        """
        if self._server is not None:
            raise UsageError("this simulator was started before; make another one")
        self._server = await ws_create_server(
            self._accept, self._host, self._port, max_frame_size=MAX_REQUEST, logger_name="krakenwire"
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._driver = asyncio.create_task(self._drive(), name="krakenwire simulator")
        self._driver.add_done_callback(_report_failure)

    async def close(self) -> None:
        """Close every connection (1001) and the port; harmless when repeated.

        Cancellation: partial; call it again.
        """
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait([self._driver])
        if self._server is not None:
            self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.close(WSCloseCode.GOING_AWAY, "simulator closes")
        await self._wait_gone(connections)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws://{host}:{self._port}/v2"

    def env(self) -> dict[str, str]:
        """The environment variables that point a client at this server."""
        return {"KRAKEN_WS_PUBLIC_URL": self.url}

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be subscribed."""
        return self.source.symbols

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def release(self, messages: int | None = None) -> None:
        """Let a held market move.

        Args:
            messages: stop again after this many market data frames (book, trade, ticker, ohlc; those sent at
                subscription are not counted). Books of the last step are always sent, so that each client's
                book ends equal to `truth`: where one symbol is subscribed at several depths the count may be
                passed by that. None lets it run on.

        Raises:
            UsageError: the server was not made with `hold=True`.
        """
        if not self.is_simulated_time:
            raise UsageError("only a simulator made with hold=True can be released")
        self._remaining = messages
        self._held = messages == 0
        if self._held:
            self._finished.set()
        else:
            self._finished.clear()
        self.handle_changed()

    async def finished(self) -> None:
        """Wait until the last `release` has sent its messages. Cancellation: safe, no effect."""
        await self._finished.wait()

    def truth(self, symbol: str, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The exchange's own book: (bids, asks), each a list of (price, qty) as on the wire, best first.

        Raises:
            UnknownSymbol: it is not traded here.
            UsageError: a recording is played, of which nobody knows the truth.
        """
        return self._market_source().market.truth(symbol, depth)

    def corrupt_next(self, symbol: str) -> None:
        """Give the next book update of `symbol` a wrong checksum.

        Raises:
            UnknownSymbol: it is not traded here.
            UsageError: a recording is played.
        """
        source = self._market_source()
        source.market.instrument(symbol)
        source.feed.corrupt_next(symbol)

    async def drop_connections(self, code: int | None = None) -> None:
        """End every connection there is, and wait until they are gone; new ones are accepted all along.

        Args:
            code: the close code to send; None cuts the TCP connections without a word.

        Cancellation: partial; the connections end nevertheless.
        """
        connections = list(self._connections)
        for connection in connections:
            if code is None:
                connection.abort()
            else:
                connection.close(WSCloseCode(code), "dropped by the simulator")
        await self._wait_gone(connections)

    # --- what a connection calls --------------------------------------------------------------------------

    def exchange_now_ns(self) -> int:
        """The time to put into answers."""
        return self.source.now_ns if self.is_simulated_time else self._clock.now_ns()

    def handle_connected(self, connection: Connection) -> int:
        """A client is there; returns its connection_id, above 2^63 as Kraken's often are."""
        self._connections[connection] = None
        return self._ids.getrandbits(64) | 1 << 63

    def handle_changed(self) -> None:
        """See whether there is work, and whether there is room."""
        if self._held or self.source.is_idle:
            self._work.clear()
        else:
            self._work.set()
        self._room.set()

    def handle_disconnected(self, connection: Connection) -> None:
        """A client is gone."""
        self._connections.pop(connection, None)
        self.handle_changed()

    def handle_overflow(self, connection: Connection) -> None:
        """Count a client that was cut off."""
        self.slow_clients_dropped += 1

    # --- inside -------------------------------------------------------------------------------------------

    def _accept(self, request: WSUpgradeRequest) -> Connection | None:
        path = request.path.partition(b"?")[0].rstrip(b"/")
        return Connection(self, self._clock, self) if path == b"/v2" else None

    def _market_source(self) -> MarketSource[Connection]:
        if not isinstance(self.source, MarketSource):
            raise UsageError("a recording is played; only a market has a truth and can be corrupted")
        return self.source

    async def _wait_gone(self, connections: Collection[Connection]) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                for connection in connections:
                    await connection.gone.wait()
        except TimeoutError:
            # They do not read, so their close frame never leaves.
            for connection in connections:
                connection.abort()
            for connection in connections:
                await connection.gone.wait()

    async def _drive(self) -> None:
        """Move the market for as long as the server lives."""
        if self._rate is None:
            while True:
                await self._work.wait()
                await self._wait_room()
                self._emit(BATCH)
                await asyncio.sleep(0)
        credit = 0.0
        before_ns = self._clock.monotonic_ns()
        while True:
            if not self._work.is_set():
                await self._work.wait()
                before_ns = self._clock.monotonic_ns()
            await self._clock.sleep(max(TICK_S, (1.0 - credit) / self._rate))
            now_ns = self._clock.monotonic_ns()
            credit += (now_ns - before_ns) / NS_PER_S * self._rate
            credit = min(credit, max(1.0, self._rate * CATCH_UP_S))
            before_ns = now_ns
            if credit >= 1.0:
                credit -= self._emit(int(credit))

    def _emit(self, wanted: int) -> int:
        """Move until `wanted` frames were made, hand them out, and return how many it were."""
        source = self.source
        now_ns = None if self.is_simulated_time else self._clock.now_ns()
        made = 0
        for _ in range(wanted * BARREN_STEPS):
            if made >= wanted or self._held or source.is_idle:
                break
            for subscribers, frame in source.step(now_ns):
                made += self._deliver(subscribers, frame)
            if now_ns is None:
                self._beat(source.now_ns)
        for connection in list(self._connections):
            connection.flush()
        if self._held or source.is_idle:
            self._work.clear()
        if self._held:
            self._finished.set()
        return made

    def _deliver(self, subscribers: Collection[Connection], frame: bytes) -> int:
        """Hand out one frame, unless the release is over; returns 1 if it was handed out."""
        if self._held and not frame.startswith(b'{"channel":"book"'):
            return 0
        message = wrap_text(frame)
        for connection in subscribers:
            connection.queue(message)
        if self._remaining is not None:
            self._remaining -= 1
            self._held = self._remaining <= 0
        return 1

    def _beat(self, now_ns: int) -> None:
        """Queue the heartbeats that are due in simulated time."""
        for connection in self._connections:
            due_ns = connection.next_heartbeat_ns
            if due_ns is not None and due_ns <= now_ns:
                connection.next_heartbeat_ns = due_ns + HEARTBEAT_NS
                if connection.has_subscriptions:
                    connection.heartbeat()

    async def _wait_room(self) -> None:
        """Wait while clients are behind: as long as all of them are, but for some of them not for ever."""
        while True:
            now_ns = self._clock.monotonic_ns()
            listening = [each for each in self._connections if each.has_subscriptions]
            since = [each.behind_since_ns for each in listening if each.behind_since_ns is not None]
            timer: Timer | None = None
            if len(since) < len(listening):
                waiting = [each for each in since if now_ns - each < PATIENCE_NS]
                if not waiting:
                    return
                timer = self._clock.call_at(min(waiting) + PATIENCE_NS, self._room.set)
            elif not since:
                return
            self._room.clear()
            try:
                await self._room.wait()
            finally:
                if timer is not None:
                    timer.cancel()


def _report_failure(driver: asyncio.Task[None]) -> None:
    if not driver.cancelled():
        _log.error("the simulator's market stopped", exc_info=driver.exception())
