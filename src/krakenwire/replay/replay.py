"""A journal as a source of streams: the same consumer, the same events, in lock-step."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import msgspec

from krakenwire.clock import NS_PER_S, Clock, SystemClock
from krakenwire.errors import NotRecorded, ReplayEnded, UsageError, anew
from krakenwire.events import Asset, Event
from krakenwire.hub import Delivery, Hub, Inbox, Interest, OnLoss, Reader, ReaderStatistics
from krakenwire.protocol.statistics import Statistics
from krakenwire.replay.conductor import Conductor
from krakenwire.replay.moments import When, to_moment
from krakenwire.replay.readers import BookHandle, ReplayBook, ReplayReader
from krakenwire.replay.spool import Spool
from krakenwire.replay.tapeclock import waking
from krakenwire.replay.wiring import BookWiring, ReaderWiring, Wired
from krakenwire.streams import StreamRequest, Streams

if TYPE_CHECKING:
    from krakenwire.replay.reel import Reel

__all__ = ["Replay", "ReplayProgress"]

_log = logging.getLogger("krakenwire.replay")

_Path = str | PathLike[str]
_WOUND_AT_ONCE = 2048
"""Inputs that are wound over without a turn for the event loop."""


class ReplayProgress(NamedTuple):
    """How far a replay is.

    Attributes:
        now_ns: UTC of the tape, nanoseconds.
        fraction: from 0.0 to 1.0: of the time from `start` to `end` if both were given, else of the journals' bytes.
        inputs: those that were played, without those that were wound over.
        is_over: the tape is at its end.
    """

    now_ns: int
    fraction: float
    inputs: int
    is_over: bool


class Replay(Streams):
    """One journal, or several merged by time, played to the consumers of a `Client`.

    It is played in lock-step: while a consumer handles an event, every book and `now_ns` are as of that event. On it
    goes when everybody who was given something has asked for more; so however slow a consumer is, it loses nothing, and
    the same program sees the same on every run. docs/replay.md tells what that means for several consumers.

    Use it as a context manager; it belongs to the event loop it was entered on. Nothing is played before somebody
    waits: for a reader, for a book, or in `sleep`.

    Args:
        path: the directory of a journal, or several of them.
        start: where to begin; what was before is known (books, instruments), and not given. By default the begin.
        end: where to end, exclusive. By default the end.
        speed: 1.0 is as fast as it was, 10.0 ten times; then consumers are not waited for, and their policies hold as
            they do live. None: as fast as they ask.
        clock: real time, for `speed`; replaced in tests.
        patience: seconds of real time that a consumer which is busy with nobody knows what is waited for, when nothing
            else in the program goes on; None for ever.
        verify: compare the digests of events that were recorded now and then, beside actions and final books, as
            `krakenwire replay` does; see `differences`. It takes about a third of the time.

    Raises:
        UsageError: for an argument that cannot work, or a directory that is no journal.
    """

    def __init__(
        self,
        path: _Path | Iterable[_Path],
        start: When | None = None,
        end: When | None = None,
        speed: float | None = None,
        *,
        clock: Clock | None = None,
        patience: float | None = 30.0,
        verify: bool = False,
    ) -> None:
        paths = [path] if isinstance(path, str | PathLike) else list(path)
        if not paths:
            raise UsageError("name at least one journal: Replay('tape')")
        if patience is not None and patience <= 0:
            raise UsageError(f"patience must be greater than 0 seconds, or None, not {patience!r}")
        for name, moment in (("start", start), ("end", end)):
            if moment is not None:
                to_moment(name, moment, 0)
        from krakenwire.replay.reel import Reel  # only who replays needs what the extra `journal` brings

        self._speed = _checked(speed)
        self._start, self._end = start, end
        names = _names(paths)
        self._reels = [Reel(each, name, verify=verify) for each, name in zip(paths, names, strict=True)]
        self._spool = Spool(self._reels, self._turned)
        self._conductor = Conductor(
            self._spool,
            self._publish,
            self._ended,
            real=clock if clock is not None else SystemClock(),
            patience=patience,
        )
        self._hub = Hub(clock=self._conductor.clock, pause=_no_pause, resume=_no_resume)
        self._wired: dict[Wired, None] = {}
        self._sleepers: set[asyncio.Future[None]] = set()
        self._assets: dict[str, Asset] = {}
        self._state: Literal["new", "open", "closed"] = "new"
        self._error: BaseException | None = None
        self._is_winding = False
        self._warned = False
        self._begin_ns = self._spool.next_ns or 0
        self._conductor.clock.begin(self._begin_ns, self._begin_ns - (self._reels[0].mono_offset_ns or 0))
        self._hub.listen(Interest("instrument"), self._see_asset)

    # --- life -------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Come to `start`.

        Raises:
            NotRecorded: the tape ends before that.
            UsageError: it was entered before, or `end` is not after `start`.

        Cancellation: closes.
        """
        if self._state != "new":
            raise UsageError("this replay was entered before; make another one")
        conductor, begin_ns = self._conductor, self._begin_ns
        start_ns = begin_ns if self._start is None else to_moment("start", self._start, begin_ns)
        end_ns = None if self._end is None else to_moment("end", self._end, begin_ns)
        if end_ns is not None and end_ns <= start_ns:
            raise UsageError(f"end must be after start, and it is {(start_ns - end_ns) / NS_PER_S:.3f} s before it")
        self._start_ns, conductor.end_ns = start_ns, end_ns
        self._state = "open"
        try:
            if self._start is not None:
                for reel in self._reels:
                    reel.begin(start_ns)
                self._spool.begin()
                await self._wind(start_ns, "start")
        except BaseException:
            self._state = "closed"
            raise
        conductor.open(self._speed)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._state = "closed"
        self._conductor.stop()
        self._end_all(ReplayEnded("the replay was closed"))
        for reel in self._reels:
            reel.close()

    def __repr__(self) -> str:
        return f"<Replay {self._state} {', '.join(str(reel.path) for reel in self._reels)}>"

    # --- time -------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """UTC of the tape, nanoseconds: when the last input was received, or when a sleeper was woken after it."""
        return self._conductor.clock.now_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait until the tape is so much further; woken in order with the events.

        Raises:
            ReplayEnded: the tape ends before that.
            UsageError: the replay is not open.

        Cancellation: safe, no effect.
        """
        self._opened()
        conductor = self._conductor
        if conductor.is_over:
            raise self._over()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clock = conductor.clock
        task = conductor.asks()
        timer = clock.call_at(clock.monotonic_ns() + round(max(0.0, seconds) * NS_PER_S), waking(done))
        self._sleepers.add(done)
        try:
            if not conductor.serve(done.done):
                conductor.waits(task, done)
            await done
        finally:
            timer.cancel()
            clock.drop_cancelled()
            self._sleepers.discard(done)
            conductor.waits_no_more(task)
        conductor.gives(task, self)

    @property
    def progress(self) -> ReplayProgress:
        """How far it is."""
        conductor = self._conductor
        now_ns, end_ns = conductor.clock.now_ns(), conductor.end_ns
        if conductor.is_over:
            fraction = 1.0
        elif self._state != "new" and self._start is not None and end_ns is not None:
            fraction = (now_ns - self._start_ns) / (end_ns - self._start_ns)
        else:
            size = sum(reel.size for reel in self._reels)
            fraction = sum(reel.size if reel.next_ns is None else reel.position for reel in self._reels) / max(1, size)
        return ReplayProgress(now_ns, min(1.0, max(0.0, fraction)), conductor.played, conductor.is_over)

    @property
    def speed(self) -> float | None:
        """How many times as fast as it was; None: as fast as it is asked for. May be set at any time."""
        return self._conductor.speed if self._state == "open" else self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._speed = _checked(speed)
        if self._state == "open":
            self._conductor.speed = self._speed

    def pause(self) -> None:
        """Have the tape stand still; who waits goes on waiting. May be done before the first consumer is there."""
        self._conductor.pause()

    def resume(self) -> None:
        """Have it go on after `pause` or `step`."""
        self._conductor.resume()

    async def step(self, events: int = 1) -> int:
        """Go on until a consumer was given something and is done with it, `events` times, and stand still there.

        What one input brings (a frame with three trades, say) is one step, whoever it is given to. A sleeper that is
        woken is one, too.

        Returns:
            How many steps it was: fewer at the end of the tape.

        Raises:
            UsageError: `events` is less than 1, or the replay is not open, or another task does the same.

        Cancellation: partial, it stands where it came to.
        """
        self._opened()
        if events < 1:
            raise UsageError(f"events must be at least 1, not {events!r}")
        if self._conductor.is_stepping:
            raise UsageError("another task steps through this replay already")
        return 0 if self._conductor.is_over else await self._conductor.step(events)

    async def seek(self, when: When) -> None:
        """Go to another place of the tape, forward or back.

        What lies between is given to nobody, and what waits unread in readers is dropped. Books are as of `when`,
        sleepers whose moment has passed are woken. A reader that has come to the end of the tape is over all the same.

        Args:
            when: the moment, as for `start`.

        Raises:
            NotRecorded: the tape ends before that; it is at its end now.
            UsageError: the replay is not open, or another task does the same.

        Cancellation: partial, it stands somewhere on the way.
        """
        self._opened()
        if self._is_winding:
            raise UsageError("another task winds this replay already")
        target_ns = to_moment("when", when, self._begin_ns)
        conductor = self._conductor
        self._is_winding = True
        conductor.stop()
        try:
            is_back = conductor.is_over or target_ns < conductor.clock.now_ns()
            for reel in self._reels:
                if is_back:
                    reel.begin(target_ns)
                elif reel.next_ns is not None and reel.next_ns < target_ns:
                    reel.jump(target_ns)
            self._spool.begin()
            if is_back:
                conductor.is_over = False
                conductor.clock.move_to(self._begin_ns)
            for inbox in self._hub.inboxes:
                inbox.clear()
            await self._wind(target_ns, "the moment that is sought")
        finally:
            self._is_winding = False
            for wired in tuple(self._wired):
                wired.rewire(None)
            if self._state == "open":
                conductor.go_on()

    # --- what was counted -------------------------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """What the recorded client had counted by now, in this run of it; of several journals all together."""
        total: Counter[str] = Counter()
        for reel in self._reels:
            if reel.core is not None:
                total.update(msgspec.structs.asdict(reel.core.statistics()))
        return Statistics(**{name: total[name] for name in Statistics.__struct_fields__})

    def readers(self) -> tuple[ReaderStatistics, ...]:
        """The accounts of all readers that are open."""
        return self._hub.statistics()

    @property
    def differences(self) -> int:
        """Where what is played was not what had been recorded; more than 0 means another version of this library."""
        return sum(reel.differences for reel in self._reels)

    # --- streams and books ------------------------------------------------------------------------------------------

    def book(self, symbol: str, depth: int = 10) -> BookHandle:
        """One book, as of the event at hand: `async with replay.book("BTC/USD", depth=100) as book`.

        Of several journals the first that has it is the one. A smaller depth is served from a larger one.
        """
        wiring = BookWiring(self._hub, self._reels, symbol, depth, self._new_book)

        def enter() -> ReplayBook:
            self._opened()
            if self._conductor.is_over:
                raise self._over()
            book = wiring.enter()
            self._wired[wiring] = None
            return book

        def leave() -> None:
            self._wired.pop(wiring, None)
            wiring.leave()

        return BookHandle(enter, leave, f"{symbol} depth={depth}")

    def _read(self, request: StreamRequest) -> Reader[Any]:
        if request.since_ns is not None:
            raise UsageError(
                "since= is for live sources: a reader of a replay begins where the tape is; "
                "begin it earlier by Replay(start=...), or go back by seek()"
            )
        inbox = self._inbox(request.delivery, request.what)
        wiring = ReaderWiring(self._hub, self._reels, inbox, request)

        def enter() -> None:
            if "instrument" in request.channels:
                for known in (*self._assets.values(), *self._catalogue()):
                    inbox.put(known)
            wiring.enter(self.now_ns())
            self._wired[wiring] = None

        def leave() -> None:
            self._wired.pop(wiring, None)
            wiring.leave()

        return self._reader(inbox, request.delivery.on_loss, enter, leave)

    def _observe(self, interest: Interest, delivery: Delivery) -> Reader[Any]:
        inbox = self._inbox(delivery, interest.channel or "events")
        return self._reader(
            inbox,
            delivery.on_loss,
            lambda: self._hub.attach(inbox, [interest]),
            lambda: self._hub.detach(inbox),
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    def _reader(
        self, inbox: Inbox, on_loss: OnLoss, enter: Callable[[], None], leave: Callable[[], None]
    ) -> Reader[Any]:
        async def subscribe() -> None:
            self._opened()
            enter()
            if self._conductor.is_over:
                inbox.end(self._error or StopAsyncIteration())

        return ReplayReader(inbox, on_loss=on_loss, subscribe=subscribe, release=leave, conductor=self._conductor)

    def _inbox(self, delivery: Delivery, what: str) -> Inbox:
        if delivery.policy == "block":  # there is nothing to pause: it is waited for anyway, and may keep what it likes
            delivery = msgspec.structs.replace(delivery, capacity=sys.maxsize, capacity_bytes=None)
        return self._hub.inbox(delivery, what)

    def _new_book(self, symbol: str, depth: int) -> ReplayBook:
        return ReplayBook(symbol, depth, self._conductor)

    def _catalogue(self) -> list[Event]:
        known: dict[str, Event] = {}
        for reel in self._reels:
            for instrument in () if reel.core is None else reel.core.catalogue:
                known.setdefault(instrument.symbol, instrument)
        return list(known.values())

    def _opened(self) -> None:
        if self._state == "new":
            raise UsageError("enter it first: `async with Replay(path) as replay:`")
        if self._state == "closed":
            raise ReplayEnded("this replay was closed; make a new one")

    def _over(self) -> BaseException:
        return anew(self._error) if self._error is not None else ReplayEnded("the replay is at the end of its tape")

    def _publish(self, events: Sequence[Event]) -> None:
        self._hub.publish(events, self._spool.origin)

    def _turned(self, reel: Reel) -> None:
        lost, reel.lost = reel.lost, []
        if self._is_winding:
            return
        now_ns = self.now_ns()
        for wired in tuple(self._wired):
            for loss in lost:
                wired.lose(reel, loss)
            wired.rewire(now_ns)

    def _see_asset(self, event: Event) -> None:
        if isinstance(event, Asset):
            self._assets[event.id] = event

    async def _wind(self, to_ns: int, what: str) -> None:
        """Play up to `to_ns`, to nobody. Cancellation: partial.

        Raises:
            NotRecorded: the tape ends before that.
        """
        spool, clock = self._spool, self._conductor.clock
        left = _WOUND_AT_ONCE
        while (at := spool.next_ns) is not None and at < to_ns:
            clock.move_to(at)
            for event in spool.play():
                if type(event) is Asset:
                    self._see_asset(event)
            left -= 1
            if not left:
                left = _WOUND_AT_ONCE
                await asyncio.sleep(0)
        if spool.next_ns is None:
            raise NotRecorded(f"the tape ends {(to_ns - clock.now_ns()) / NS_PER_S:.3f} s before {what}")
        clock.move_to(max(to_ns, self._begin_ns))

    def _ended(self, error: BaseException | None) -> None:
        self._error = error
        if error is not None:
            _log.error("the replay cannot go on: %s", error)
        elif self.differences:
            _log.warning("%d times the replay was not what had been recorded; see `differences`", self.differences)
        self._end_all(self._over())

    def _end_all(self, error: BaseException) -> None:
        """Whoever waits, waits for nothing."""
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_exception(anew(error))
        for wired in [wired for wired in self._wired if isinstance(wired, BookWiring)]:
            del self._wired[wired]
            wired.leave(error)
        self._hub.end(self._error or StopAsyncIteration())


def _checked(speed: float | None) -> float | None:
    if speed is not None and not 0 < speed < float("inf"):
        raise UsageError(f"speed must be greater than 0, or None for as fast as possible, not {speed!r}")
    return speed


def _names(paths: Sequence[_Path]) -> list[str | None]:
    """What each of several journals is called: by its directory, numbered where two are called the same."""
    if len(paths) == 1:
        return [None]
    names: list[str | None] = []
    for path in paths:
        name = base = Path(path).resolve().name
        number = 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names


def _no_pause(_connection: str, _reason: str) -> None:
    """There is no connection."""


def _no_resume(_connection: str) -> None:
    """There is no connection."""
