"""What a user holds: a client of the exchange, and the streams and books it gives."""

from __future__ import annotations

import os
import random
import ssl
import threading
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from krakenwire.book import Book
from krakenwire.clock import Clock, ContinuedClock, ManualClock, SystemClock
from krakenwire.errors import UsageError
from krakenwire.events import Event, Stamp
from krakenwire.feed.feed import Feed, FeedSettings
from krakenwire.feed.handover import Handover, Source
from krakenwire.feed.history import HistoryReader, past_of
from krakenwire.feed.iothread import Home, IoThread, SameLoop
from krakenwire.feed.reading import BookReading, Observing, Reading
from krakenwire.feed.resuming import ResumedRun
from krakenwire.hub import Delivery, Hub, Inbox, Interest, OnLoss, Reader, ReaderStatistics
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.journal.writing.statistics import RecorderStatistics
from krakenwire.net.backoff import ConnectBudget
from krakenwire.net.endpoints import Endpoints
from krakenwire.net.rest import RestCaller, RestClient
from krakenwire.net.transport import Connector
from krakenwire.net.websocket import WebSocketConnector
from krakenwire.protocol.auditor import AuditMethod
from krakenwire.protocol.core import Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.rotation import Every
from krakenwire.protocol.statistics import Statistics
from krakenwire.streams import StreamRequest, Streams

__all__ = ["BookHandle", "Client"]

_random = random.SystemRandom()


class Client(Streams):
    """Kraken's public market data, over as many connections as it takes.

    Use it as a context manager, or with `connect()` and `close()`; it belongs to the event loop it was connected on.
    Streams (`trades`, `books`, `ticker`, `ohlc`, `instruments`, `stream`, `events`, `lifecycle`) are `Reader`s;
    `book` gives one live, proven `Book`. Two readers of one stream share one subscription.

    Args:
        endpoints: where the exchange is; by default Kraken, or what the `KRAKEN_*` environment variables say.
        mirror: every connection twice: two whole books each, of which the leader's is published; the end of one
            connection, or what is wrong on it, is no loss to any reader (`LeaderChanged` tells). Twice the traffic.
        io_thread: run sockets, books and all of the feed in a thread of their own, so that code which keeps its event
            loop busy delays nothing but itself. The face is the same: events are handed over in batches, 1024 of them
            at most; what else waits does so under the reader's policy. A book may change between two looks at it, and
            `snapshot` is one look. Each batch costs a change of threads, some tenths of a millisecond.
        ssl_context: for `wss` URLs; by default certificates and host names are verified.
        proxy: `http://`, `https://` or `socks5://` URL to go through; never taken from the environment.
        options: pacing, liveness and resync numbers; by default with a jitter that no other client has.
        connect_budget: connection attempts allowed; by default 120 in any 600 seconds (PROTOCOL 9.1).
        subscribe_timeout: seconds a subscription may remain unanswered before its caller is told.
        clock: the time; replaced in tests.
        connector: opens connections; replaced in tests.
        rest: makes public REST calls, which fill what was missed; by default at `endpoints.rest`, by the same proxy
            and with the same `ssl_context`. There is none unless it is given with a `connector` of one's own, or where
            `endpoints` names another public WebSocket than Kraken's and no REST beside it.
        reconnect_every: open the connections anew so often, or every day at this time (UTC), one after the other and
            each when the last has everything back; of a mirror no reader notices. None: only when they end.
        book_audit: compare whole books with REST's (`rest`), or the two of a mirror with each other (`mirror`), each
            about every `Options.audit_every` seconds; see `BookAudited`. None: what the checksum covers is proven.
        bundles: a directory for the evidence of books that were found wrong; `krakenwire replay` plays it. Made if it
            is not there; of more than a hundred bundles the oldest is removed.
        journal: a directory to record everything in that comes, or `JournalOptions`; see docs/guide.md. It is written
            by a thread and holds up nothing. Needs the extra `journal`.
        resume: go on where the last program ended that recorded in `journal`, however it ended: with its subscriptions,
            its books to be proven anew, its streams without a gap; see docs/recovery.md. Where nothing was
            recorded yet, begin anew. What is given here must be what was given there (`options` may be left out).
        on_events: called on the event loop with each batch of events before any reader gets them; must be quick. With
            `io_thread` it is called in that thread, and what it keeps waiting is the feed. What it raises goes to the
            event loop's exception handler, which logs it by default; the feed goes on.

    Raises:
        UsageError: for an argument that cannot work.
    """

    def __init__(
        self,
        endpoints: Endpoints | None = None,
        *,
        mirror: bool = False,
        io_thread: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        options: Options | None = None,
        connect_budget: ConnectBudget | None = None,
        subscribe_timeout: float = 30.0,
        clock: Clock | None = None,
        connector: Connector | None = None,
        rest: RestCaller | None = None,
        reconnect_every: Every | None = None,
        book_audit: AuditMethod | None = None,
        bundles: str | Path | None = None,
        journal: str | PathLike[str] | JournalOptions | None = None,
        resume: bool = False,
        on_events: Callable[[Sequence[Event]], object] | None = None,
    ) -> None:
        if not isinstance(endpoints, Endpoints | None):
            raise UsageError(f"endpoints must be Endpoints, as in Client(Endpoints(public=url)), not {endpoints!r}")
        if not isinstance(options, Options | None):
            raise UsageError(f"options must be Options, as in Options(stall_after=5.0), not {options!r}")
        if not isinstance(journal, str | PathLike | JournalOptions | None):
            raise UsageError(f"journal must be a directory or JournalOptions, not {journal!r}")
        if resume and journal is None:
            raise UsageError("resume=True goes on from a journal: give its directory, as in Client(journal='tape')")
        if subscribe_timeout <= 0:
            raise UsageError(f"subscribe_timeout must be greater than 0 seconds, not {subscribe_timeout!r}")
        if io_thread and isinstance(clock, ManualClock):
            raise UsageError("io_thread=True needs the system's clock: one moved by hand belongs to its own thread")
        clock = clock if clock is not None else SystemClock()
        if resume:
            clock = ContinuedClock(clock)
        endpoints = endpoints if endpoints is not None else Endpoints.from_environment(os.environ)
        owned_rest: RestClient | None = None
        # What is replaced for its WebSockets does not mean Kraken's REST.
        if rest is None and connector is None and endpoints.has_rest:
            owned_rest = RestClient(endpoints.rest, ssl_context=ssl_context, proxy=proxy)
        if book_audit == "rest" and rest is None and owned_rest is None:
            raise UsageError(
                'book_audit="rest" needs REST: give rest= beside connector=; beside a public URL that is not Kraken\'s '
                "name its REST, as in Endpoints(public=url, rest=rest_url) or by KRAKEN_SPOT_URL"
            )
        settings = FeedSettings(
            endpoints=endpoints,
            options=options if options is not None else Options(seed=_random.getrandbits(32)),
            clock=clock,
            connector=connector or WebSocketConnector(clock=clock, ssl_context=ssl_context, proxy=proxy),
            connect_budget=connect_budget,
            subscribe_timeout=subscribe_timeout,
            on_events=on_events,
            rest=rest,
            owned_rest=owned_rest,
            reconnect_every=reconnect_every,
            book_audit=book_audit,
            bundles=bundles,
            journal=JournalOptions(directory=journal) if isinstance(journal, str | PathLike) else journal,
            mirror=mirror,
            resume=resume,
            given_options=options,
        )
        self._feed = Feed(settings, threading.RLock() if io_thread else None)
        self._home: Home = (IoThread if io_thread else SameLoop)(self._feed.close)
        # The side of readers in another thread: it publishes nothing, and passes on what is told of their callbacks.
        self._hub = Hub(clock=clock, report=self._report) if io_thread else None
        self._handovers: WeakValueDictionary[Inbox, Handover] = WeakValueDictionary()

    # --- life -------------------------------------------------------------------------------------------------------

    async def connect(self) -> Self:
        """Open the public connection and ask for the instruments; harmless if done before.

        The first attempt decides: its failure is raised, so that a wrong URL or a dead network is seen at the start.
        Once connected, the client reconnects for as long as it is open.

        Raises:
            ConnectFailed: it could not be opened; says why, and whether a retry can help.
            ConnectionClosed: the client was closed, before or meanwhile.
            UsageError: it was connected on another event loop, no journal can be written where it should be, or nobody
                can go on from the one that is there.

        Cancellation: closes; the client cannot be used afterwards.
        """
        self._home.check()
        is_first = self._feed.state == "new"
        try:
            await self._home.run(self._feed.connect)
        except BaseException:
            if is_first:
                self._home.stop()
            raise
        return self

    async def close(self) -> None:
        """Close every connection cleanly and end every reader; harmless if done before.

        Cancellation: partial; sockets are dropped at once and the client is closed all the same.

        Raises:
            UsageError: it belongs to another event loop, which still runs.
        """
        await self._home.close()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Client {self._feed.state} {self.endpoints.public}>"

    @property
    def endpoints(self) -> Endpoints:
        """Where the exchange is."""
        return self._feed.settings.endpoints

    @property
    def core(self) -> Core:
        """The protocol state, for who looks inside; it belongs to the feed's event loop, and is not to be changed."""
        return self._feed.core

    # --- time -------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """UTC by the source's clock, nanoseconds: real time here, the tape's in a replay."""
        return self._feed.settings.clock.now_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait on the source's clock. Cancellation: safe, no effect."""
        await self._feed.settings.clock.sleep(seconds)

    def statistics(self) -> Statistics:
        """What was counted since the client was made: frames, verified, resyncs, reconnects and the like."""
        return self._home.call(self._feed.core.statistics)

    def recording(self) -> RecorderStatistics | None:
        """How the journal is doing: what is on the disk, what waits, what was lost; None if there is none."""
        recorder = self._feed.recorder
        return None if recorder is None else self._home.call(recorder.statistics)

    def end_recording(self) -> None:
        """Record no more: the journal ends as of now, and a replay of it with the books as they are.

        Else it ends when the client is closed, which unsubscribes. Harmless without a journal, or if done before.
        """
        if (recorder := self._feed.recorder) is not None:
            self._home.call(recorder.finish)

    @property
    def resumed(self) -> ResumedRun | None:
        """From where this client went on, once it is connected; None if it began anew."""
        taken_over = self._feed.taken_over
        return None if taken_over is None else taken_over.run

    def clock_offset(self) -> tuple[int, int] | None:
        """The exchange's clock less ours, and by how much that may be wrong either way; nanoseconds.

        It is estimated from the times in the exchange's answers, as NTP does it (PROTOCOL 2.2, 3.3). None, if there
        was no such answer in the last ten minutes.
        """
        clock = self._feed.settings.clock
        return self._home.call(lambda: self._feed.core.clock_offset(Stamp("", 0, clock.now_ns(), clock.monotonic_ns())))

    def readers(self) -> tuple[ReaderStatistics, ...]:
        """The accounts of all readers that are open: what waits for each, and what it was not given."""
        inboxes = self._home.call(lambda: self._feed.hub.inboxes)
        return tuple(self._handovers.get(inbox, inbox).statistics() for inbox in inboxes)

    def reconnect(self, connection: str | None = None) -> None:
        """Open a connection anew, or all of them, one after the other; `Reconnected` tells when everything is back.

        Raises:
            ConnectionClosed: the client was closed.
            UsageError: it is not connected, or there is no such connection.
        """
        self._home.call(partial(self._feed.reconnect, connection))

    # --- streams and books ------------------------------------------------------------------------------------------

    def book(self, symbol: str, depth: int = 10) -> BookHandle:
        """One live book: `async with kraken.book("BTC/USD", depth=100) as book`."""
        return BookHandle(self._home, BookReading(self._feed, symbol, depth))

    # --- inside -----------------------------------------------------------------------------------------------------

    def drop_connections(self) -> None:
        """Cut every socket without a word, as a broken network would; the client recovers. For demonstrations."""
        self._home.call(self._feed.drop_connections)

    def _report(self, event: Event) -> None:
        self._home.post(lambda: self._feed.hub.report(event))

    def _read(self, request: StreamRequest) -> Reader[Any]:
        reading, past = Reading(self._feed, request), past_of(self._feed, request)
        if past is None:
            return self._reader(reading, request.delivery.on_loss)
        return self._reader(reading, request.delivery.on_loss, partial(HistoryReader, past=past, run=self._home.run))

    def _observe(self, interest: Interest, delivery: Delivery) -> Reader[Any]:
        inbox = self._feed.hub.inbox(delivery, interest.channel or "events")
        return self._reader(Observing(self._feed, inbox, interest), delivery.on_loss)

    def _reader(self, source: Source, on_loss: OnLoss, make: Callable[..., Reader[Any]] = Reader) -> Reader[Any]:
        if self._hub is not None:
            handover = self._handovers[source.inbox] = Handover(self._home, source, self._hub)
            return make(handover, on_loss=on_loss, subscribe=handover.subscribe, release=handover.release)
        return make(
            source.inbox,
            on_loss=on_loss,
            subscribe=lambda: self._home.run(source.subscribe),
            release=source.release,
        )


class BookHandle:
    """One book for the time of an `async with`; made by `Client.book`."""

    def __init__(self, home: Home, reading: BookReading) -> None:
        self._home = home
        self._reading = reading
        self._is_entered = False

    def __repr__(self) -> str:
        return f"<BookHandle {self._reading.symbol} depth={self._reading.depth}>"

    async def __aenter__(self) -> Book:
        """Subscribe; the book is there at once, and synced a little later (`await book.synced()`).

        Raises:
            UnknownSymbol, SubscriptionRejected, SubscriptionTimeout: as for a reader.
            UsageError: it was entered before.

        Cancellation: safe, the subscription is released.
        """
        if self._is_entered:
            raise UsageError("this book was entered before; call Client.book() for each `async with`")
        self._is_entered = True
        try:
            return await self._home.run(self._reading.subscribe)
        except BaseException:
            self._home.call(self._reading.release)
            self._is_entered = False
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._home.call(self._reading.release)
