"""A plan of a script while it is played."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random

from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.errors import UsageError

from .model import Timing
from .script import Plan

__all__ = ["Playing"]

_log = logging.getLogger("krakenwire.sim")


class Playing:
    """Injects what a plan says, at its moments, until it is stopped.

    Args:
        plan: what to inject, and when.
        seed: of all chance.
        clock: whose time the moments are in, from now on.
        inject: does it.
    """

    def __init__(self, plan: Plan, seed: str, clock: Clock, inject: Callable[[str, Timing, str], object]) -> None:
        self._plan = plan
        self._seed = seed
        self._clock = clock
        self._inject = inject
        self._start_ns = clock.monotonic_ns()
        self._turn = 0
        self._timer: Timer | None = None
        self._told = ""
        self._wait()

    @property
    def is_over(self) -> bool:
        """True once it injects nothing more."""
        return self._timer is None

    def stop(self) -> None:
        """Inject nothing more; harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        due = self._plan.due(self._turn, Random(f"{self._seed}/{self._turn}/when"))
        if due is not None:
            self._timer = self._clock.call_at(self._start_ns + round(due * NS_PER_S), self._fire)

    def _fire(self) -> None:
        self._timer = None
        seed = f"{self._seed}/{self._turn}"
        try:
            self._inject(self._plan.kind, self._plan.parameters(Random(f"{seed}/what")), seed)
        except UsageError as error:
            if str(error) != self._told:  # once is enough for what fails the same way every time
                self._told = str(error)
                _log.warning("a fault of the script could not be injected: %s", error)
        self._turn += 1
        self._wait()
