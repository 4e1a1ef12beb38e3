"""When a book that failed is fetched again: at once, then with backoff, then left alone for a while (quarantine)."""

from __future__ import annotations

import random
from typing import NamedTuple

from krakenwire.protocol.options import Options

__all__ = ["Recovered", "ResyncPolicy", "Retry"]

_NS = 1_000_000_000
_MAX_DOUBLINGS = 32
"""More than any limit needs; without a bound the power of a book that never recovers overflows some day."""


class Retry(NamedTuple):
    """When to ask for the next snapshot (monotonic ns), after how many attempts, and whether that is a quarantine."""

    not_before: int
    attempts: int
    quarantined: bool


class Recovered(NamedTuple):
    """How long a book was not synced, and how many snapshots it took."""

    took_ns: int
    attempts: int


class _Health:
    """What is known of one book's failures."""

    __slots__ = ("attempts", "failures", "quarantines", "synced_at", "unsynced_since")

    def __init__(self) -> None:
        self.unsynced_since: int | None = None
        self.synced_at = 0
        self.failures = 0
        self.quarantines = 0
        self.attempts = 0


class ResyncPolicy:
    """The failures of each book of one connection, one symbol at a time.

    A resubscribe storm would meet the message rate limit (PROTOCOL 3.5, 9.3): the first failure is answered at once,
    later ones with exponential backoff and full jitter, never for longer than `quarantine`, and after `resync_attempts`
    in a row the book is quarantined.

    Args:
        options: the numbers.
        rng: source of the jitter, seeded by the core.
    """

    def __init__(self, options: Options, rng: random.Random) -> None:
        self._options = options
        self._rng = rng
        self._books: dict[str, _Health] = {}

    def failed(self, symbol: str, now: int) -> Retry:
        """The book of `symbol` is found wrong at `now` (monotonic ns)."""
        health = self._health(symbol)
        options = self._options
        self._start(health, now)
        health.failures += 1
        health.attempts += 1
        if health.failures > options.resync_attempts:
            wait = min(_doubled(options.quarantine, health.quarantines), options.quarantine_limit)
            attempts, health.failures = health.failures, 0
            health.quarantines += 1
            return Retry(now + round(wait * _NS), attempts, quarantined=True)
        if health.failures == 1:
            return Retry(now, 1, quarantined=False)
        # However many attempts there are: a book that is still tried is never left alone longer than a hopeless one.
        limit = min(_doubled(options.resync_backoff, health.failures - 2), options.quarantine)
        return Retry(now + round(self._rng.uniform(0.0, limit) * _NS), health.failures, quarantined=False)

    def lost(self, symbol: str, now: int) -> None:
        """The book is unsynced through no fault of its own (the connection ended, its precision changed)."""
        health = self._health(symbol)
        self._start(health, now)
        health.attempts += 1

    def synced(self, symbol: str, now: int) -> Recovered | None:
        """A snapshot is in and proven; None if the book had not been given up before."""
        health = self._health(symbol)
        health.synced_at = now
        if health.unsynced_since is None:
            return None
        recovered = Recovered(now - health.unsynced_since, health.attempts)
        health.unsynced_since = None
        return recovered

    def forget(self, symbol: str) -> None:
        """The book is held no longer."""
        self._books.pop(symbol, None)

    def _health(self, symbol: str) -> _Health:
        health = self._books.get(symbol)
        if health is None:
            health = self._books[symbol] = _Health()
        return health

    def _start(self, health: _Health, now: int) -> None:
        if health.unsynced_since is not None:
            return
        health.unsynced_since = now
        health.attempts = 0
        if now - health.synced_at >= self._options.stable * _NS:
            health.failures = 0
            health.quarantines = 0


def _doubled(seconds: float, times: int) -> float:
    return seconds * 2.0 ** min(times, _MAX_DOUBLINGS)
