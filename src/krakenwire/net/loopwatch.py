"""Notices that our own event loop stood still, and waits until the sockets were read before anybody judges silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from krakenwire.clock import NS_PER_S, Clock, ManualClock, Timer

__all__ = ["LoopWatch"]

_log = logging.getLogger("krakenwire.net")

_BEAT = NS_PER_S // 4
"""A stall is seen by a timer that fires late, so one must be due soon at any time; four a second cost nothing."""
_QUIET_TURNS = 3
"""Turns of the loop without a read after which the sockets hold nothing that came during a stall. More than one, for a
socket's buffer may take many reads, and some loops (uvloop) begin a turn with the timers, others with the sockets."""
_DRAIN_LIMIT = 2 * NS_PER_S
"""Judged after so long even if it never was quiet: on a busy feed there may be a read in every turn."""


class LoopWatch:
    """Watches the event loop by a beat of its own, and by whatever timer is shown to it.

    A `ManualClock` fires every timer at its moment, so that there is nothing to see by a beat, and none is set.

    Args:
        clock: tells the time.
        limit_ns: a timer that is later than this says that the loop stood still.
        drained: called with the length of the stall (at least: monotonic nanoseconds), once the sockets were read.

    Attributes:
        reads: socket reads so far; counted by whoever receives them.
        is_draining: the loop stood still just now, and the sockets are being read: nothing is to be judged.
    """

    def __init__(self, clock: Clock, limit_ns: int, drained: Callable[[int], None]) -> None:
        self.reads = 0
        self.is_draining = False
        self._clock = clock
        self._limit_ns = limit_ns
        self._drained = drained
        self._timer: Timer | None = None
        self._due = 0
        self._late_ns = 0
        self._until = 0
        self._seen = 0
        self._quiet = 0
        self._turn: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin to beat; harmless if it does already."""
        if self._timer is None and not isinstance(self._clock, ManualClock):
            self._set_timer()

    def stop(self) -> None:
        """Beat no more, and forget a stall that was not told yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self.is_draining = False

    def look(self, due: int) -> bool:
        """A timer that was due at `due` has fired: whether it was so late that the loop must have stood still."""
        now = self._clock.monotonic_ns()
        if now - due <= self._limit_ns:
            return False
        if self.is_draining:
            self._late_ns = max(self._late_ns, now - due)
            return True
        _log.warning("the event loop stood still for %.1f s; the sockets are read first", (now - due) / NS_PER_S)
        self.is_draining = True
        self._late_ns = now - due
        self._until = now + _DRAIN_LIMIT
        self._seen, self._quiet = self.reads, 0
        self._turn = asyncio.get_running_loop().call_soon(self._next_turn)
        return True

    def _set_timer(self) -> None:
        self._due = self._clock.monotonic_ns() + _BEAT
        self._timer = self._clock.call_at(self._due, self._beat)

    def _beat(self) -> None:
        self._timer = None
        self.look(self._due)
        self._set_timer()

    def _next_turn(self) -> None:
        self._quiet = self._quiet + 1 if self.reads == self._seen else 0
        self._seen = self.reads
        if self._quiet < _QUIET_TURNS and self._clock.monotonic_ns() < self._until:
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn)
            return
        self._turn = None
        self.is_draining = False
        self._drained(self._late_ns)
