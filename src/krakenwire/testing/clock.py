"""A clock moved by hand that waits, before it moves on, until everything it set off has come to rest."""

from __future__ import annotations

import asyncio

from krakenwire.clock import ManualClock
from krakenwire.errors import UsageError

__all__ = ["SettlingClock"]

QUIET_TURNS = 50
"""Turns of the event loop without traffic after which everything is at rest: a chain of awaits takes one turn a link,
and nobody's is that long."""

MOST_TURNS = 1_000_000


class SettlingClock(ManualClock):
    """A `ManualClock` whose `settle` lasts as long as there is traffic.

    Args:
        now_ns: the UTC time it starts at.
    """

    def __init__(self, now_ns: int) -> None:
        super().__init__(now_ns)
        self._stirs = 0

    def stir(self) -> None:
        """Something is under way: there is no rest yet."""
        self._stirs += 1

    async def settle(self) -> None:
        """Let every task that can run do so, and what they send be received and answered, without moving time.

        Cancellation: safe.

        Raises:
            UsageError: it does not come to rest.
        """
        seen, quiet = self._stirs, 0
        for _ in range(MOST_TURNS):
            await asyncio.sleep(0)
            if self._stirs != seen:
                seen, quiet = self._stirs, 0
            elif (quiet := quiet + 1) == QUIET_TURNS:
                return
        raise UsageError(
            "the simulator does not come to rest: something goes on and on without waiting on its clock; "
            "in a bot, wait with `kraken.sleep()`"
        )
