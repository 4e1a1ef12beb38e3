"""Pacing of what we send: a token bucket in integer nanoseconds, time given as an argument."""

from __future__ import annotations

__all__ = ["Pacer"]

_NS = 1_000_000_000

_PENANCE = 60 * _NS
"""How long the slower rate holds after the exchange last complained."""


class Pacer:
    """Allows `burst` messages at once and `rate` a second in the long run.

    Args:
        rate: messages a second.
        burst: messages that may go out together after a pause.
    """

    __slots__ = ("_burst", "_credit_from", "_interval", "_normal_interval", "_slow_until", "_slowed")

    def __init__(self, rate: float, burst: int) -> None:
        self._normal_interval = self._interval = round(_NS / rate)
        self._burst = burst
        self._credit_from: int | None = None
        """The moment from which unused intervals count as credit (the bucket's virtual schedule)."""
        self._slowed = False
        """Whether the rate was halved since the last message."""
        self._slow_until = 0

    def ready_at(self, now: int) -> int:
        """The monotonic nanosecond from which the next message may go out; at most `now` if at once."""
        if self._credit_from is None:
            return now
        return max(self._credit_from, now - self._burst * self._interval) + self._interval

    def record(self, now: int) -> None:
        """A message goes out."""
        if now >= self._slow_until:
            self._interval = self._normal_interval
        oldest = now - self._burst * self._interval
        start = oldest if self._credit_from is None else max(self._credit_from, oldest)
        self._credit_from = start + self._interval
        self._slowed = False

    def slow_down(self, now: int) -> None:
        """The exchange said that we send too much: half the rate (down to an eighth) for a minute, and no credit left.

        It may say so once for each symbol of a message: the rate is halved once for all that was sent by then.
        """
        if not self._slowed:
            self._interval = min(self._interval * 2, self._normal_interval * 8)
            self._slowed = True
        self._slow_until = now + _PENANCE
        self._credit_from = now if self._credit_from is None else max(self._credit_from, now)

    def reset(self) -> None:
        """A new connection starts with a full bucket at the normal rate."""
        self._interval = self._normal_interval
        self._credit_from = None
        self._slowed = False
