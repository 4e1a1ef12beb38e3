"""The time of a tape: it stands at the last input that was played, and timers on it are due between inputs."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from krakenwire.clock import NS_PER_S, Timer

__all__ = ["TapeClock", "waking"]


class _TapeTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


def waking(done: asyncio.Future[None]) -> Callable[[], None]:
    """What wakes who waits on `done`."""

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    return wake


class TapeClock:
    """A `Clock` that whoever plays the tape moves.

    Its monotonic time is UTC less what these two differed by at the beginning of the tape, so that it goes on evenly
    over several runs and journals, each of which had a monotonic clock of its own.

    Attributes:
        next_ns: UTC nanoseconds at which the next timer is due; None if there is none.
        now: how time flows between two inputs, UTC nanoseconds; None where it does not.
    """

    def __init__(self) -> None:
        self.next_ns: int | None = None
        self.flow: Callable[[], int] | None = None
        self._now_ns = 0
        self._offset_ns: int | None = None
        self._timers: list[tuple[int, int, _TapeTimer]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch."""
        return self._now_ns if self.flow is None else max(self._now_ns, self.flow())

    def monotonic_ns(self) -> int:
        """Nanoseconds; of the first run of the first journal, what its own clock had."""
        return self.now_ns() - (self._offset_ns or 0)

    def call_at(self, monotonic_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` when the tape comes to `monotonic_ns`."""
        timer = _TapeTimer(callback)
        heapq.heappush(self._timers, (monotonic_ns + (self._offset_ns or 0), next(self._order), timer))
        self.next_ns = self._timers[0][0]
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait until the tape is so much further. Cancellation: safe, no effect."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(self.monotonic_ns() + round(seconds * NS_PER_S), waking(done))
        try:
            await done
        finally:
            timer.cancel()

    # --- for who plays ----------------------------------------------------------------------------------------------

    def begin(self, received_ns: int, mono_ns: int) -> None:
        """The first moment of the tape."""
        if self._offset_ns is None:
            self._offset_ns = received_ns - mono_ns
        self._now_ns = received_ns

    def move_to(self, now_ns: int) -> None:
        """It is `now_ns`, which may be before what it was: the tape was wound back."""
        self._now_ns = now_ns

    def fire(self) -> None:
        """Time comes to the next timer, which is called."""
        due_ns, _, timer = heapq.heappop(self._timers)
        self._now_ns = max(self._now_ns, due_ns)
        self.drop_cancelled()
        callback, timer.callback = timer.callback, None
        if callback is not None:
            callback()

    def drop_cancelled(self) -> None:
        """Timers that nobody waits for any more are none."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        self.next_ns = timers[0][0] if timers else None
