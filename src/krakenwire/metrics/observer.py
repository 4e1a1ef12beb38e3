"""What metrics know of one client: counted on the feed's event loop, and read there in one go.

Whatever the feed counts anyway is only read when somebody asks. What it does not is counted here: events by class,
lifecycle events, which are few, and what readers had counted when they went.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from krakenwire.client import Client
from krakenwire.clock import Clock
from krakenwire.events import LIFECYCLE, Event, Stamp
from krakenwire.hub import Inbox, Interest, ReaderStatistics
from krakenwire.journal.writing.statistics import RecorderStatistics
from krakenwire.latency import LatencyRecorder, StageTimings
from krakenwire.metrics.tally import Labels, Tally, kind_of_reader
from krakenwire.protocol.clockoffset import Offset
from krakenwire.protocol.statistics import ConnectionStatistics, Statistics

__all__ = ["MAX_READERS", "OTHERS", "SUMMED", "Observer", "Snapshot"]

T = TypeVar("T")

MAX_READERS = 200
"""Names of readers that have series of their own; further ones share one, so that a scrape stays bounded."""
OTHERS = "others"
SUMMED = ("delivered", "dropped", "conflated", "losses")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one client at one moment.

    Attributes:
        statistics: the client's.
        connections: its connections, former ones included.
        events: events published, by channel.
        lifecycle: see `Tally`.
        resync: how long books took to be proven again.
        readers: the readers there are.
        gone: what readers that are no more had counted, by `kind_of_reader` and policy.
        timings: how long each stage takes.
        clock_offset: how far the exchange's clock is ahead, None if that is not known.
        recording: how the journal is doing, None if there is none.
    """

    statistics: Statistics
    connections: tuple[ConnectionStatistics, ...]
    events: dict[str, int]
    lifecycle: dict[str, Counter[Labels]]
    resync: LatencyRecorder
    readers: tuple[ReaderStatistics, ...]
    gone: dict[Labels, Counter[str]]
    timings: StageTimings
    clock_offset: Offset | None
    recording: RecorderStatistics | None


class Observer:
    """Watches a client's feed, from its making until `close`.

    Args:
        client: what is watched; whatever changes something happens on its feed's event loop.
        every: one socket read in how many is timed.
        per_symbol: count what happens to single symbols too.
    """

    def __init__(self, client: Client, *, every: int = 8, per_symbol: bool = False) -> None:
        self._feed = client._feed
        self._consumers = client._hub or client._feed.hub  # where events are taken: with an I/O thread, the near side
        self._clock: Clock = client._feed.settings.clock
        self._events: defaultdict[Any, int] = defaultdict(int)
        """How many there were, by class."""
        self._tally = Tally(per_symbol=per_symbol)
        self._gone: dict[Labels, Counter[str]] = {}
        self._timings = StageTimings(self._clock, every)
        self._post(self._attach)

    def read(self, timeout: float) -> tuple[Snapshot | None, float]:
        """The state now and the seconds that the loop took to give it, from any thread.

        Returns:
            None for the state, if the loop did not answer within `timeout` seconds.
        """
        began = self._clock.monotonic_ns()
        taken = self._on_loop(self._take, timeout)
        return taken, (self._clock.monotonic_ns() - began) / 1e9

    def close(self) -> None:
        """Watch no longer; harmless if done before."""
        self._post(self._detach)

    # --- on the feed's loop ------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        feed = self._feed
        feed.taps = (*feed.taps, self._count)
        feed.hub.listen(Interest(LIFECYCLE), self._tally.see)
        feed.hub.mourners = (*feed.hub.mourners, self._reader_left)
        if feed.timings is None:
            feed.timings = self._timings
        else:
            self._timings = feed.timings  # somebody measures already, and one clock read is enough
        self._consumers.timings = self._timings

    def _detach(self) -> None:
        feed = self._feed
        feed.taps = tuple(tap for tap in feed.taps if tap != self._count)
        feed.hub.forget(self._tally.see)
        feed.hub.mourners = tuple(target for target in feed.hub.mourners if target != self._reader_left)
        if feed.timings is self._timings and not feed.taps:  # else somebody else watches too
            feed.timings = self._consumers.timings = None

    def _count(self, events: Sequence[Event]) -> None:
        counts = self._events
        for event in events:  # 50 ns each; Counter.update takes 300 ns more a batch, and most batches are short
            counts[type(event)] += 1

    def _reader_left(self, inbox: Inbox) -> None:
        account = inbox.statistics()
        key: Labels = kind_of_reader(account.name), account.policy
        if key not in self._gone and len(self._gone) >= MAX_READERS:
            key = OTHERS, account.policy
        counts = self._gone.setdefault(key, Counter())
        counts.update({name: getattr(account, name) for name in SUMMED})
        counts["overruns"] += inbox.is_cut_off

    def _events_by_channel(self) -> dict[str, int]:
        channels: Counter[str] = Counter()
        for kind, count in self._events.items():
            channels[kind.channel] += count
        return channels

    def _take(self) -> Snapshot:
        feed, clock = self._feed, self._clock
        return Snapshot(
            statistics=feed.core.statistics(),
            connections=feed.core.connection_statistics(),
            events=self._events_by_channel(),
            lifecycle=self._tally.copy_counts(),
            resync=self._tally.resync,
            readers=feed.hub.statistics(),
            gone={key: counts.copy() for key, counts in self._gone.items()},
            timings=self._timings,
            clock_offset=feed.core.clock_offset(Stamp("", 0, clock.now_ns(), clock.monotonic_ns())),
            recording=None if feed.recorder is None else feed.recorder.statistics(),
        )

    def _post(self, work: Callable[[], None]) -> None:
        """Have `work` done where the feed lives, in the order of asking; at once, if that is here."""
        loop = self._feed.loop
        if loop is None or not loop.is_running() or running_loop() is loop:
            work()
            return
        with suppress(RuntimeError):  # it was closed just now
            loop.call_soon_threadsafe(work)

    def _on_loop(self, work: Callable[[], T], timeout: float) -> T | None:
        """Do `work` where the feed lives; None if that did not answer in time.

        A loop that does not run changes nothing, so that `work` can be done here.
        """
        loop = self._feed.loop
        if loop is None or not loop.is_running() or running_loop() is loop:
            return work()
        answer: Future[T] = Future()
        try:
            loop.call_soon_threadsafe(_answer, answer, work)
        except RuntimeError:  # it was closed just now
            return work()
        try:
            return answer.result(timeout)
        except FutureTimeoutError:
            answer.cancel()
            return None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread, if it runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _answer(answer: Future[T], work: Callable[[], T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return  # nobody waits any more
    try:
        answer.set_result(work())
    except BaseException as error:  # whoever waits is to have it
        answer.set_exception(error)
