"""The only reader of clocks.

Everything else is given the time: as an argument, or as one of these objects. All times are integer nanoseconds;
`now_ns` is UTC since the epoch, `monotonic_ns` never runs backwards and is what delays and deadlines are measured in.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

__all__ = ["NS_PER_S", "Clock", "ContinuedClock", "ManualClock", "SystemClock", "Timer", "timeout"]

NS_PER_S = 1_000_000_000


class Timer(Protocol):
    """What `Clock.call_at` returns."""

    def cancel(self) -> None:
        """Make sure the callback is not called; harmless afterwards."""


class Clock(Protocol):
    """A source of time and of timers on it."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary moment; never runs backwards."""

    def call_at(self, monotonic_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` on the event loop once `monotonic_ns` is reached."""

    async def sleep(self, seconds: float) -> None:
        """Wait. Cancellation: safe, no effect."""


class SystemClock:
    """The machine's clock, with timers on the running asyncio loop."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds of `time.monotonic_ns`."""
        return time.monotonic_ns()

    def call_at(self, monotonic_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` on the running loop at `monotonic_ns`."""
        delay = (monotonic_ns - time.monotonic_ns()) / NS_PER_S
        return asyncio.get_running_loop().call_later(max(delay, 0.0), callback)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`. Cancellation: safe, no effect."""
        await asyncio.sleep(seconds)


class ContinuedClock:
    """Another clock, whose monotonic time can be made to go on from that of a program that is no more.

    Args:
        clock: the other one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ns = 0

    def go_on_from(self, now_ns: int, monotonic_ns: int) -> None:
        """Where it was `monotonic_ns` at `now_ns` (UTC), it has gone on since then; before anybody measures by it.

        Where UTC runs backwards it has stood still meanwhile.
        """
        passed = max(self._clock.now_ns() - now_ns, 0)
        self._ahead_ns = monotonic_ns + passed - self._clock.monotonic_ns()

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch."""
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds, going on over programs."""
        return self._clock.monotonic_ns() + self._ahead_ns

    def call_at(self, monotonic_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` once `monotonic_ns` is reached."""
        return self._clock.call_at(monotonic_ns - self._ahead_ns, callback)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`. Cancellation: safe, no effect."""
        await self._clock.sleep(seconds)


class _ManualTimer:
    """A timer of a `ManualClock`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until `advance` moves it; for tests, and for what must not depend on the wall.

    Args:
        now_ns: the UTC time it starts at.
    """

    def __init__(self, now_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 0
        self._timers: list[tuple[int, int, _ManualTimer]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._monotonic_ns

    def call_at(self, monotonic_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` during the `advance` that reaches `monotonic_ns`."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (monotonic_ns, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by `seconds`. Cancellation: safe, no effect."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_at(self._monotonic_ns + round(seconds * NS_PER_S), wake)
        try:
            await done
        finally:
            timer.cancel()

    async def advance(self, seconds: float) -> None:
        """Move time forward, firing every timer on the way at its own moment, and let woken tasks run.

        Cancellation: partial; the clock may stand anywhere up to the goal.

        Raises:
            ValueError: time would run backwards.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards: expected seconds of at least 0, got {seconds!r}")
        goal = self._monotonic_ns + round(seconds * NS_PER_S)
        await self.settle()
        while self._timers and self._timers[0][0] <= goal:
            due, _, timer = heapq.heappop(self._timers)
            self._move_to(max(due, self._monotonic_ns))
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
                await self.settle()
        self._move_to(goal)
        await self.settle()

    async def settle(self) -> None:
        """Let every task that can run do so, without moving time. Cancellation: safe."""
        for _ in range(50):
            await asyncio.sleep(0)

    def _move_to(self, monotonic_ns: int) -> None:
        self._now_ns += monotonic_ns - self._monotonic_ns
        self._monotonic_ns = monotonic_ns


@asynccontextmanager
async def timeout(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """`asyncio.timeout`, measured on `clock`: what runs inside is cancelled after `seconds`.

    Raises:
        TimeoutError: at the end of the block, if that happened.
    """
    async with asyncio.timeout(None) as scope:
        deadline = clock.monotonic_ns() + round(seconds * NS_PER_S)
        timer = clock.call_at(deadline, lambda: scope.reschedule(0))
        try:
            yield
        finally:
            timer.cancel()
