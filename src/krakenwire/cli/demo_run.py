"""The demo's work: a simulated market, a real client of it over a real socket, and the comparison of the two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from krakenwire.book import Book, BookUpdate
from krakenwire.cli.difference import Difference, first_difference
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.metrics import serve_metrics
from krakenwire.cli.tally import Tally
from krakenwire.client import Client
from krakenwire.clock import NS_PER_S, SystemClock
from krakenwire.errors import BookUnsynced
from krakenwire.events import Event
from krakenwire.net.endpoints import Endpoints
from krakenwire.protocol.options import Options
from krakenwire.protocol.report import EventLog, Report, make_report
from krakenwire.sim.instruments import Listing
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer

__all__ = ["Demo", "Outcome", "Plan"]

NEVER = 1e6
# Nothing that depends on how fast this machine is may get into the events, or two runs would differ: no ping, no
# second request, no wait between two requests.
UNTIMED = Options(idle_ping=NEVER, ping_timeout=NEVER, keepalive=NEVER, ack_timeout=NEVER, message_burst=100)

QUIET_S = 2.0
"""Once the market stands still: silence after which nothing more will come."""

CHANNELS = ("book", "trade", "ticker")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do: for so many `seconds`, or so many `messages`; `rate` in messages a second, None unpaced.

    `metrics` is the port and the address that the client's metrics are served on, if there is a port; `bundles` the
    directory for the evidence of wrong books, `journal` that of a journal.
    """

    listings: tuple[Listing, ...]
    depth: int
    rate: float | None
    seed: int
    seconds: float | None
    messages: int | None
    metrics: tuple[int | None, str] = (None, "")
    bundles: str | None = None
    journal: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        report: the figures of the client.
        books: symbols of the market.
        levels: levels of the simulator's final books, both sides together.
        differences: one for each book that is not the simulator's.
    """

    report: Report
    books: int
    levels: int
    differences: tuple[Difference, ...]

    @property
    def book_messages(self) -> int:
        """Messages of books that came."""
        return self.report.by_type.get(BookUpdate.__name__, 0)

    @property
    def books_equal(self) -> int:
        """Final books that equal the simulator's own, level by level."""
        return self.books - len(self.differences)

    @property
    def is_good(self) -> bool:
        """Every book message was proven, and every final book is the simulator's."""
        return self.report.sound and self.report.verified == self.book_messages and not self.differences


class Demo:
    """One run, and what a display may show of it meanwhile.

    Attributes:
        tally: counts by symbol.
        books: the client's live books by symbol.
        server: the simulator, once it runs.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.symbols = [listing.symbol for listing in plan.listings]
        self.tally = Tally(self.symbols)
        self.books: dict[str, Book] = {}
        self.server: SimulatorServer | None = None
        self._clock = SystemClock()
        self._log = EventLog()
        self._began_ns: int | None = None
        self._arrived = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Since the market began to move."""
        return 0.0 if self._began_ns is None else (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S

    async def run(self, interrupt: Interrupt, display: Callable[[Demo], Awaitable[None]] | None = None) -> Outcome:
        """Let the market move for as long as planned or until interrupted, then compare.

        Args:
            interrupt: ends it early.
            display: shows the demo while it runs; cancelled at the end.

        Cancellation: safe, both ends are closed.
        """
        plan = self.plan
        market = Market(plan.listings, seed=plan.seed)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(SimulatorServer(market, rate=plan.rate, seed=plan.seed, hold=True))
            self.server = server
            endpoints = Endpoints(public=server.url)
            kraken = Client(
                endpoints, options=UNTIMED, bundles=plan.bundles, journal=plan.journal, on_events=self._take
            )
            await stack.enter_async_context(serve_metrics(kraken, *plan.metrics))
            await stack.enter_async_context(kraken)
            # All events are seen as they come, by `_take`; this reader only keeps them coming.
            await stack.enter_async_context(
                kraken.stream(*CHANNELS, symbols=self.symbols, depth=plan.depth, policy="conflate", on_loss="yield")
            )
            for symbol in self.symbols:
                self.books[symbol] = await stack.enter_async_context(kraken.book(symbol, plan.depth))
            self._began_ns = self._clock.monotonic_ns()
            async with self._shown(display):
                await self._move(server, interrupt)
                return self._compare(server, kraken)

    def _take(self, events: Sequence[Event]) -> None:
        self._log.add(events)
        self.tally.add(events)
        self._arrived.set()

    @asynccontextmanager
    async def _shown(self, display: Callable[[Demo], Awaitable[None]] | None) -> AsyncIterator[None]:
        """Run `display` beside the body, and end it while there is still something to show."""
        task = None if display is None else asyncio.ensure_future(display(self))
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _move(self, server: SimulatorServer, interrupt: Interrupt) -> None:
        """The market moves; then it stands still, and the client has seen all of it."""
        messages = self.plan.messages
        is_complete = False
        async with interrupt.ends(self.plan.seconds):
            server.release(messages)
            await (asyncio.Event().wait() if messages is None else server.finished())
            is_complete = True
        server.release(0)
        if is_complete:
            await self._until(lambda: self.tally.messages == messages)
        await self._until(lambda: all(self._difference(server, symbol) is None for symbol in self.symbols))

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Wait until what arrives makes `reached` true, or nothing arrives any more."""
        while not reached():
            self._arrived.clear()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._arrived.wait()
            except TimeoutError:
                if not self._arrived.is_set():
                    return  # the comparison will tell what is missing

    def _compare(self, server: SimulatorServer, kraken: Client) -> Outcome:
        kraken.end_recording()  # so that a replay ends with this very report
        report = make_report(kraken.core, self._log, self.seconds)
        differences = (self._difference(server, symbol) for symbol in self.symbols)
        return Outcome(
            report=report,
            books=len(self.symbols),
            levels=sum(len(side) for symbol in self.symbols for side in server.truth(symbol, self.plan.depth)),
            differences=tuple(difference for difference in differences if difference is not None),
        )

    def _difference(self, server: SimulatorServer, symbol: str) -> Difference | None:
        book = self.books[symbol]
        try:
            bids, asks = book.bids, book.asks
        except BookUnsynced:
            bids = asks = ()
        return first_difference(symbol, server.truth(symbol, self.plan.depth), (bids, asks))
