"""Connections opened anew by our own wish: one after the other, and each only when the last has everything back."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta

from krakenwire.errors import UsageError
from krakenwire.events import Stamp
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState

__all__ = ["Every", "Rotation", "Schedule"]

_NS = 1_000_000_000
MIN_EVERY_S = 60.0
"""Below that a schedule would use up the connect budget that failures need (PROTOCOL 9.1)."""
SPREAD = 0.1
"""Of a period, how much later its end may come by chance, so that many clients do not return together."""
SPREAD_S = 60.0
"""The same for a time of day, and at most."""

Every = timedelta | time
"""A period, or a time of day in UTC."""


class Schedule:
    """When the connections are opened anew by the clock.

    Args:
        every: a period, or a time of day in UTC.
        rng: source of the jitter.

    Raises:
        UsageError: a period of less than a minute, or a time of another zone than UTC.
    """

    def __init__(self, every: Every, rng: random.Random) -> None:
        if isinstance(every, timedelta):
            if every.total_seconds() < MIN_EVERY_S:
                raise UsageError(
                    f"reconnect_every must be at least {MIN_EVERY_S:g} s, not {every}, "
                    "since only so many connects are allowed (120 in 600 s)"
                )
        elif not isinstance(every, time):
            raise UsageError(f"reconnect_every must be a timedelta or a time of day (UTC), not {every!r}")
        elif every.tzinfo not in (None, UTC):
            raise UsageError(f"reconnect_every must be a time of day in UTC, not in {every.tzinfo}")
        self._every = every
        self._rng = rng

    def next_after(self, now: Stamp) -> int:
        """The monotonic nanosecond of the next time, after `now`."""
        every = self._every
        if isinstance(every, timedelta):
            seconds = every.total_seconds()
            spread = min(SPREAD * seconds, SPREAD_S)
        else:
            today = datetime.fromtimestamp(now.received_ns // _NS, UTC)
            then = datetime.combine(today.date(), every, UTC)
            seconds = (then - today).total_seconds()
            if seconds <= 0:
                seconds += timedelta(days=1).total_seconds()
            spread = SPREAD_S
        return now.received_mono_ns + round((seconds + self._rng.uniform(0.0, spread)) * _NS)


class Rotation:
    """The queue of connections that are to be opened anew.

    One that does not come back holds the others up, for as long as it takes: they are what still works.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}
        self._current: str | None = None

    @property
    def is_active(self) -> bool:
        """Something is to be opened anew, or is on its way back."""
        return bool(self._waiting) or self._current is not None

    def add(self, names: Iterable[str], reason: str) -> None:
        """Open these anew, in this order; one that is waiting for that already goes on waiting."""
        for name in names:
            self._waiting.setdefault(name, reason)

    def next(self, sessions: Mapping[str, Session]) -> tuple[Session, str] | None:
        """The session whose turn it is, and why; None while there is none, or another is still on its way back.

        Those that are not open now are passed over: they are opened anew anyway.
        """
        if self._current is not None:
            current = sessions.get(self._current)
            if current is not None and not current.retired and current.restored_at is None:
                return None
            self._current = None
        while self._waiting:
            name = next(iter(self._waiting))
            reason = self._waiting.pop(name)
            session = sessions.get(name)
            if session is not None and session.state is ConnectionState.OPEN:
                self._current = name
                return session, reason
        return None

    def next_deadline(self, sessions: Mapping[str, Session]) -> int | None:
        """The monotonic nanosecond at which `next` is worth asking; None while time changes nothing."""
        if self._current is None:
            return None
        current = sessions.get(self._current)
        return None if current is None else current.restored_at
