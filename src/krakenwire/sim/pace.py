"""When a market moves: at a rate, as fast as its clients take it, or only so many frames at a time."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.errors import UsageError

__all__ = ["Mover", "Pace"]

BATCH = 128
"""Frames made between two looks at the clients when there is no rate: small against what a socket buffers."""

TICK_S = 0.005
"""How often a paced market moves."""

CATCH_UP_S = 0.1
"""How much of a delay is made up for; the rest is forgotten."""

PATIENCE_NS = 5 * NS_PER_S
"""How long an unpaced market waits for a client that is behind while others are not."""

LEAST_PATIENCE_NS = NS_PER_S // 20
"""How long it does at least, whatever it went through with others: one that reads at all needs less."""

_log = logging.getLogger("krakenwire.sim")


class Mover(Protocol):
    """What is paced."""

    @property
    def is_idle(self) -> bool:
        """True if there is nothing to move."""

    @property
    def waiting(self) -> list[int | None]:
        """For each client that listens, since when it takes no more (monotonic), None if it does."""

    def emit(self, wanted: int) -> int:
        """Move until so many frames were made; returns how many it were."""


class Pace:
    """Moves a `Mover`, in a task of its own.

    Args:
        mover: what is moved.
        clock: what the pace is measured on.
        rate: frames a second, more than 0; None is as fast as the clients take them.
        hold: nothing moves until `release`.

    Attributes:
        is_held: whether it stands still on purpose.
    """

    def __init__(self, mover: Mover, clock: Clock, rate: float | None, *, hold: bool) -> None:
        if rate is not None and not rate > 0:
            raise UsageError(f"rate must be more than 0 messages a second, or None for as fast as it goes; got {rate}")
        self.is_held = hold
        self._mover = mover
        self._clock = clock
        self._rate = rate
        self._remaining: int | None = None
        self._finished = asyncio.Event()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._driver: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            UsageError: it was started before.
        """
        if self._driver is not None:
            raise UsageError("this simulator was started before; make another one")
        self._driver = asyncio.create_task(self._drive(), name="krakenwire simulator")
        self._driver.add_done_callback(_report_failure)

    async def stop(self) -> None:
        """End the task; harmless when repeated. Cancellation: partial, the task ends nevertheless."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait([self._driver])

    def release(self, frames: int | None) -> None:
        """Go on: for so many frames, or without end."""
        self._remaining = frames
        self.is_held = frames == 0
        if self.is_held:
            self._finished.set()
        else:
            self._finished.clear()
        self.look()

    async def finished(self) -> None:
        """Wait until the last `release` is used up. Cancellation: safe, no effect."""
        await self._finished.wait()

    def count(self) -> None:
        """A frame was handed out."""
        if self._remaining is not None:
            self._remaining -= 1
            self.is_held = self._remaining <= 0

    def look(self) -> None:
        """See whether there is work, and whether there is room."""
        if self.is_held or self._mover.is_idle:
            self._work.clear()
        else:
            self._work.set()
        self._room.set()

    # --- inside -------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        """Move for as long as the exchange lives."""
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
        made = self._mover.emit(wanted)
        if self.is_held or self._mover.is_idle:
            self._work.clear()
        if self.is_held:
            self._finished.set()
        return made

    async def _wait_room(self) -> None:
        """Wait while clients are behind: as long as all of them are, but for some of them not for ever."""
        while True:
            now_ns = self._clock.monotonic_ns()
            listening = self._mover.waiting
            since = [each for each in listening if each is not None]
            timer: Timer | None = None
            if len(since) < len(listening):
                until_ns = _give_up_ns(since, now_ns)
                if until_ns is None:
                    return
                timer = self._clock.call_at(until_ns, self._room.set)
            elif not since:
                return
            self._room.clear()
            try:
                await self._room.wait()
            finally:
                if timer is not None:
                    timer.cancel()


def _give_up_ns(since: list[int], now_ns: int) -> int | None:
    """When to look again whether to wait for those that are behind, None if they have had their time.

    Each that was given up halves the patience with the next: many that read nothing, and fall behind one after the
    other, must not stop the market for as many times as there are of them.
    """
    patience_ns = PATIENCE_NS
    for each in sorted(since):
        if now_ns - each < patience_ns:
            return each + patience_ns
        patience_ns = max(patience_ns // 2, LEAST_PATIENCE_NS)
    return None


def _report_failure(driver: asyncio.Task[None]) -> None:
    if not driver.cancelled():
        _log.error("the simulator's market stopped", exc_info=driver.exception())
