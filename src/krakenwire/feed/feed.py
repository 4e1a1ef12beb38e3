"""Everything that lives on the feed's event loop: the core, its shell, the hub, and who is told what.

`Client` is the face before it. A feed knows of no user: it is told what is wanted, and gives events to inboxes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from krakenwire.book import Book
from krakenwire.book.shared import SharedBook
from krakenwire.clock import Clock, ContinuedClock, timeout
from krakenwire.errors import ConnectFailed, ConnectionClosed, RestFailed, UsageError, anew
from krakenwire.events import LIFECYCLE, Asset, Event, Instrument, Message, RunResumed, Stamp
from krakenwire.feed.resuming import TakenOver, take_over
from krakenwire.feed.subscribing import Subscriber
from krakenwire.hub import Hub, Interest
from krakenwire.journal.bundles.evidence import Evidence
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.latency import StageTimings
from krakenwire.logs import LifecycleLog
from krakenwire.net.backoff import ConnectBudget
from krakenwire.net.endpoints import Endpoints, shown
from krakenwire.net.pump import Pump
from krakenwire.net.rest import RestCaller, RestClient
from krakenwire.net.transport import Connector
from krakenwire.protocol.auditor import AuditMethod
from krakenwire.protocol.continuity.fetching import Answer, Params
from krakenwire.protocol.core import MAIN, Core
from krakenwire.protocol.guarded import GuardedCore
from krakenwire.protocol.options import Options
from krakenwire.protocol.rotation import Every
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.rest import RestTrouble
from krakenwire.protocol.wire.symbols import TRADABLE_STATUSES

if TYPE_CHECKING:
    from krakenwire.journal.format.lines import Made
    from krakenwire.journal.writing.recorder import Recorder

__all__ = ["Feed", "FeedSettings"]

_INSTRUMENTS = Key("instrument")


@dataclass(frozen=True, kw_only=True)
class FeedSettings:
    """What a feed is made of; the arguments of `Client`, each with its default filled in.

    `rest` makes the public REST calls; without it `owned_rest` does, which is closed with the feed. With `resume` the
    clock is a `ContinuedClock`; `given_options` are the user's own, if there are any.
    """

    endpoints: Endpoints
    options: Options
    clock: Clock
    connector: Connector
    connect_budget: ConnectBudget | None
    subscribe_timeout: float
    on_events: Callable[[Sequence[Event]], object] | None
    rest: RestCaller | None = None
    owned_rest: RestClient | None = None
    reconnect_every: Every | None = None
    book_audit: AuditMethod | None = None
    bundles: str | Path | None = None
    journal: JournalOptions | None = None
    mirror: bool = False
    resume: bool = False
    given_options: Options | None = None


class Follower(Protocol):
    """Something that a feed keeps up, and that is told when it ends."""

    def end(self, error: BaseException) -> None:
        """Nothing more will come, for this reason."""


class Feed:
    """One client's connections and state. All of it belongs to the event loop that it was connected on.

    Args:
        settings: what it is made of.
        lock: reentrant; given if books are read in another thread than the feed's, and held while they change.

    Attributes:
        core: the protocol state.
        hub: hands out the events.
        assets: the assets known, by name.
        books: what is told when the feed ends.
        listings: called with the symbol of each new listing, by whose they are.
        evidence: what is kept in case that a book is found wrong; None if nobody asked for it.
        recorder: writes the journal; None if nobody asked for one.
        taken_over: from where it went on, once it is connected; None if it began anew.
        taps: called with each batch of events, before any reader gets them; for metrics.
        loop: the event loop it lives on, once it is connected.
        state: `new`, `open` or `closed`.
    """

    def __init__(self, settings: FeedSettings, lock: AbstractContextManager[Any] | None = None) -> None:
        self.settings = settings
        self._lock = lock
        self.core = self._new_core(settings.options)
        self.hub = Hub(clock=settings.clock, pause=self._pause, resume=self._resume, report=self._report)
        self.assets: dict[str, Asset] = {}
        self.books: set[Follower] = set()
        self.listings: dict[int, Callable[[str], None]] = {}
        self.taps: tuple[Callable[[Sequence[Event]], None], ...] = ()
        self.evidence = None if settings.bundles is None else Evidence(settings.bundles, self.core)
        if self.evidence is not None:
            self.taps += (self.evidence.see,)
        self.recorder = None if settings.journal is None else self._new_recorder(settings.journal)
        self.taken_over: TakenOver | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.state: Literal["new", "open", "closed"] = "new"
        self._timings: StageTimings | None = None
        self._log = LifecycleLog(settings.clock)
        self.hub.listen(Interest(LIFECYCLE), self._log.tell)
        self._pump: Pump | None = None
        self._subscriber: Subscriber | None = None
        self._catalogued = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls: set[asyncio.Future[Answer]] = set()
        self._failure: BaseException | None = None
        self._ended = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open the main connection and ask for the instruments; harmless if done before.

        Raises:
            ConnectFailed, ConnectionClosed, UsageError: as `Client.connect`.

        Cancellation: closes.
        """
        if self.state != "new":
            self.opened()
            return
        settings = self.settings
        if self.recorder is not None and not settings.resume:
            self.recorder.open()
        self.state = "open"
        self.loop = asyncio.get_running_loop()
        if self.recorder is not None and settings.resume:
            await self._take_over(self.recorder)
        pump = self._pump = Pump(
            self.core,
            url=lambda _connection: settings.endpoints.public,
            connector=settings.connector,
            clock=settings.clock,
            publish=self._publish_inputs,
            failed=self._failed,
            budget=settings.connect_budget,
            rest=settings.rest if settings.rest is not None else settings.owned_rest,
        )
        pump.timings = self._timings
        self._subscriber = Subscriber(pump, self.hub, settings.subscribe_timeout)
        self.hub.listen(Interest("instrument"), self._see_instrument)
        self._begin(pump)
        pump.flush()
        try:
            await self._first_connection(pump)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection cleanly and end every reader; harmless if done before.

        Cancellation: partial; sockets are dropped at once and the feed is closed all the same.
        """
        if self.state == "closed":
            await self._ended.wait()  # another task is at it
            return
        self.state = "closed"
        self._catalogued.set()  # nobody waits for what will not come
        for task in self._tasks:
            task.cancel()
        try:
            if self._pump is not None:
                await self._pump.close()
            if self.settings.owned_rest is not None:
                await self.settings.owned_rest.close()
        finally:
            if self.recorder is not None:
                self.recorder.finish()
            error = ConnectionClosed("the client was closed")
            self._end_calls(error)
            if self._subscriber is not None:
                self._subscriber.fail(error)
            self._end_books(error)
            self.hub.end(StopAsyncIteration())
            self._log.end_window()
            self._ended.set()
            if self.evidence is not None:
                await self._finish(self.evidence.close)
            if self.recorder is not None:
                await self._finish(self.recorder.close)

    def opened(self) -> tuple[Pump, Subscriber]:
        """What serves an open feed.

        Raises:
            ConnectionClosed: it was closed, or failed for good.
            ConnectFailed: its main connection cannot be opened any more.
            UsageError: it is not connected.
        """
        if self.state == "closed":
            raise ConnectionClosed("this client was closed; make a new one")
        if self._pump is None or self._subscriber is None:
            raise UsageError("connect first: `async with Client() as kraken:` or `await kraken.connect()`")
        if self._failure is not None:
            raise anew(self._failure)
        return self._pump, self._subscriber

    @property
    def timings(self) -> StageTimings | None:
        """How long socket reads take until they are published; measured while it is set."""
        return self._timings

    @timings.setter
    def timings(self, timings: StageTimings | None) -> None:
        self._timings = timings
        if self._pump is not None:
            self._pump.timings = timings

    # --- for readers and books --------------------------------------------------------------------------------------

    async def resolve(self, symbols: tuple[str, ...] | Literal["all"]) -> tuple[str, ...]:
        """Symbols as Kraken lists them, once the instruments are known.

        Raises:
            UnknownSymbol: one is not listed; the nearest right ones are named.
            ConnectionClosed: the instruments do not come.

        Cancellation: safe, no effect.
        """
        if symbols == ():
            return ()
        await self._wait_for_catalogue()
        if symbols == "all":
            return self.core.catalogue.symbols(tradable_only=True)
        return tuple(dict.fromkeys(self.core.catalogue.resolve(symbol) for symbol in symbols))

    async def fetch(self, call: str, params: Params) -> bytes:
        """The `result` of a public REST call, as JSON: paced with all others, and tried again where that can help.

        Raises:
            RestFailed: there is none.
            ConnectionClosed: the feed was closed before.

        Cancellation: safe, the call is taken back.
        """
        pump, _ = self.opened()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def then(answer: Answer, _now: Stamp, _n: int) -> None:
            if not future.done():
                future.set_result(answer)

        self._calls.add(future)
        number = self.core.fetch(call, params, then, pump.now())
        pump.flush()
        try:
            answer = await future
        except BaseException:
            self.core.cancel_fetch(number)
            raise
        finally:
            self._calls.discard(future)
        if answer.result is None:
            retryable = answer.trouble in (RestTrouble.RATE, RestTrouble.LATER)
            raise RestFailed(call, answer.error or "no answer", retryable=retryable)
        return answer.result

    def release(self, keys: Sequence[Key]) -> None:
        """Want `keys` no longer; without effect once it is closed."""
        if self.state == "open" and self._subscriber is not None and keys:
            self._subscriber.release(keys)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` for as long as the feed is open."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def new_book(self, symbol: str, depth: int) -> Book:
        """A book to show to the user, wherever the user is."""
        return Book(symbol, depth) if self._lock is None else SharedBook(symbol, depth, self._lock)

    # --- for the user -----------------------------------------------------------------------------------------------

    def reconnect(self, connection: str | None) -> None:
        """Open `connection`, or all of them, anew. Raises as `opened` does, or `UsageError` if there is no such one."""
        pump, _ = self.opened()
        name = None if connection is None else f"{connection}"  # no text of another type: a journal has none
        self.core.reconnect(name, "asked for", pump.now())
        pump.flush()

    def drop_connections(self) -> None:
        """Cut every socket without a word. Raises as `opened` does."""
        pump, _ = self.opened()
        for session in self.core.sessions:
            pump.drop(session.name)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _new_core(self, options: Options) -> Core:
        settings = self.settings
        wishes: dict[str, Any] = {
            "mirror": settings.mirror,
            "reconnect_every": settings.reconnect_every,
            "book_audit": settings.book_audit,
        }
        return Core(options, **wishes) if self._lock is None else GuardedCore(self._lock, options, **wishes)

    async def _take_over(self, recorder: Recorder) -> None:
        """Go on where the journal ends.

        Raises:
            UsageError, ConnectionClosed: as `take_over`; the feed is closed then.

        Cancellation: closes.
        """
        settings, clock = self.settings, self.settings.clock
        assert isinstance(clock, ContinuedClock)  # noqa: S101  # see `FeedSettings`
        try:
            self.taken_over = await take_over(
                self.core,
                recorder,
                clock,
                wishes=self._made(),
                given=settings.given_options,
                is_wanted=lambda: self.state == "open",
            )
        except BaseException:
            await self.close()
            raise

    def _begin(self, pump: Pump) -> None:
        """The first inputs: the main connection is wanted, and what everybody needs to know."""
        core, taken_over = self.core, self.taken_over
        if taken_over is not None:
            run = taken_over.run
            now = pump.now()
            core.restart(run.first_n, now)
            self._report(
                RunResumed(
                    run=run.run,
                    last_n=run.last_n,
                    first_n=run.first_n,
                    downtime_ns=run.downtime_ns,
                    subscriptions=len(run.wanted),
                    stamp=now,
                    n=core.n,
                )
            )
        if core.session(MAIN) is None:
            core.start()
        if _INSTRUMENTS not in core.placements():
            core.subscribe([_INSTRUMENTS], pump.now())

    def _made(self) -> Made:
        """What the core is made of, as a journal has it."""
        from krakenwire.journal.playing.making import made_of

        settings = self.settings
        return made_of(
            settings.options,
            mirror=settings.mirror,
            book_audit=settings.book_audit,
            reconnect_every=settings.reconnect_every,
        )

    def _new_recorder(self, options: JournalOptions) -> Recorder:
        from krakenwire.journal.writing.recorder import Recorder  # needs the extra `journal`

        settings = self.settings
        return Recorder(
            options,
            self.core,
            made=self._made(),
            endpoints={"public": shown(settings.endpoints.public), "rest": shown(settings.endpoints.rest)},
            clock=settings.clock,
            report=self._report,
        )

    async def _first_connection(self, pump: Pump) -> None:
        """Wait for the first attempt to succeed; of a mirror, that of either connection.

        Raises:
            ConnectFailed, ConnectionClosed: none did.

        Cancellation: safe, no effect.
        """
        attempts = {pump.connected(name) for name in self.core.main}
        while attempts:
            done, attempts = await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                if attempt.exception() is None or not attempts:
                    attempt.result()
                    return

    async def _wait_for_catalogue(self) -> None:
        seconds = self.settings.subscribe_timeout
        try:
            async with timeout(self.settings.clock, seconds):
                await self._catalogued.wait()
        except TimeoutError:
            raise ConnectionClosed(
                f"the exchange did not send its instruments within {seconds:g} s, so no symbol can be checked"
            ) from None
        self.opened()

    async def _finish(self, close: Callable[[], None]) -> None:
        """Wait until what was handed over is on the disk. Cancellation: partial, it gets there all the same."""
        try:
            await asyncio.to_thread(close)
        except RuntimeError:  # the interpreter is ending and starts no thread: there is nobody left to keep waiting
            close()

    def _see_instrument(self, event: Message) -> None:
        if isinstance(event, Asset):
            self.assets[event.id] = event
        if not isinstance(event, Instrument):
            return
        first = not self._catalogued.is_set()
        self._catalogued.set()
        if first or event.status not in TRADABLE_STATUSES:
            return
        for follow in list(self.listings.values()):
            follow(event.symbol)

    def _publish_inputs(self, events: Sequence[Event]) -> None:
        """What came of the core's inputs. The journal is first: what is done with events may be an input again."""
        if self.recorder is not None:
            self.recorder.see(events)
        self._publish(events)

    def _publish(self, events: Sequence[Event]) -> None:
        if self.settings.on_events is not None:
            try:
                self.settings.on_events(events)
            except Exception as error:  # the caller's: neither the feed nor the readers are to suffer from it
                message = "on_events raised; the feed goes on"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
        for tap in self.taps:
            tap(events)
        self.hub.publish(events)

    def _pause(self, connection: str, reason: str) -> None:
        if self._pump is not None:
            self._pump.pause(connection, reason)

    def _resume(self, connection: str) -> None:
        if self._pump is not None:
            self._pump.resume(connection)

    def _report(self, event: Event) -> None:
        """Something about a reader or the journal, which is no input of the core's."""
        self._publish([event])

    def _failed(self, connection: str, error: BaseException) -> None:
        """`connection` will not be tried again.

        What was wanted of a further one that cannot be opened, the core tells by itself; a defect ends everything.
        """
        if isinstance(error, ConnectFailed) and not self.core.is_vital(connection):
            return
        self._failure = error
        self._catalogued.set()  # nobody waits for what will not come
        if self._subscriber is not None:
            self._subscriber.fail(error)
        self._end_calls(error)
        self._end_books(error)
        self.hub.end(error)

    def _end_calls(self, error: BaseException) -> None:
        for future in self._calls:
            if not future.done():
                future.set_exception(error)

    def _end_books(self, error: BaseException) -> None:
        for book in list(self.books):
            book.end(error)
