"""When to connect again: after which failure, how much later, and how often at most. Time is an argument."""

from __future__ import annotations

import random
from collections import deque

from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError

__all__ = ["Backoff", "ConnectBudget", "reconnects"]

POLICY_VIOLATION = 1008
_FAST_SECONDS = 0.1
_MAX_DOUBLINGS = 60


def reconnects(code: int) -> bool:
    """Whether a connection that ended with this close code is to be opened again (PROTOCOL 9.2).

    Only 1008 (policy violation) is terminal; everything else, an abrupt end (1006) included, reconnects.
    """
    return code != POLICY_VIOLATION


class Backoff:
    """How long to wait before the next attempt: exponential, with full jitter.

    The first attempts after a drop are nearly immediate, as Kraken recommends (PROTOCOL 9.1). The count of
    failures is forgotten only after data has flowed for `stable_seconds`, so that a server which accepts and
    drops is not hammered.

    Args:
        rng: where the jitter comes from; seeded by the owner, so that a replay draws the same.
        initial: seconds; the bound of the first delay that is not fast.
        maximum: seconds; the bound that the doubling stops at.
        fast_attempts: how many attempts come within a tenth of a second.
        stable_seconds: how long data must have flowed before failures are forgotten.

    Raises:
        UsageError: for bounds that contradict each other.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        initial: float = 0.5,
        maximum: float = 30.0,
        fast_attempts: int = 2,
        stable_seconds: float = 30.0,
    ) -> None:
        if not 0 < initial <= maximum or fast_attempts < 0 or stable_seconds < 0:
            raise UsageError(
                "expected 0 < initial <= maximum, fast_attempts >= 0 and stable_seconds >= 0, got "
                f"{initial=}, {maximum=}, {fast_attempts=}, {stable_seconds=}"
            )
        self._rng = rng
        self._initial = initial
        self._maximum = maximum
        self._fast_attempts = fast_attempts
        self._stable_ns = round(stable_seconds * NS_PER_S)
        self._failures = 0
        self._due_ns = 0
        self._data_since_ns: int | None = None

    @property
    def failures(self) -> int:
        """Failures since the last stable stretch of data."""
        return self._failures

    def record_data(self, mono_ns: int) -> None:
        """Data arrived on the open connection. Cheap enough to be called for every socket read."""
        if not self._failures:
            return
        if self._data_since_ns is None:
            self._data_since_ns = mono_ns
        if mono_ns - self._data_since_ns >= self._stable_ns:
            self._failures = 0
            self._due_ns = mono_ns

    def record_failure(self, mono_ns: int, retry_after: float | None = None) -> None:
        """An attempt failed or an open connection ended: draw the delay of the next attempt.

        Args:
            mono_ns: when it failed.
            retry_after: seconds the exchange asks to be left alone (`ConnectFailed.retry_after`); the delay
                is added to them, so that clients banned together do not return together.
        """
        self._failures += 1
        self._data_since_ns = None
        delay = self._rng.uniform(0.0, self._bound(self._failures)) + max(retry_after or 0.0, 0.0)
        self._due_ns = mono_ns + round(delay * NS_PER_S)

    def next_delay(self, mono_ns: int) -> float:
        """Seconds from `mono_ns` until the next attempt is due; 0.0 if it is, or if nothing has failed."""
        if not self._failures:
            return 0.0
        return max(self._due_ns - mono_ns, 0) / NS_PER_S

    def _bound(self, failures: int) -> float:
        if failures <= self._fast_attempts:
            return min(_FAST_SECONDS, self._initial)
        doublings = min(failures - self._fast_attempts - 1, _MAX_DOUBLINGS)
        return min(self._initial * 2.0**doublings, self._maximum)


class ConnectBudget:
    """How many connects are allowed in any stretch of time, for all connections of a client together.

    Cloudflare bans an address for ten minutes after about 150 attempts in ten minutes (PROTOCOL 9.1).

    Args:
        limit: attempts allowed within one window.
        window: seconds.

    Raises:
        UsageError: for a limit below 1 or a window that is not positive.
    """

    def __init__(self, limit: int = 120, window: float = 600.0) -> None:
        if limit < 1 or window <= 0:
            raise UsageError(f"expected limit >= 1 and window > 0 seconds, got {limit=}, {window=}")
        self._window_ns = round(window * NS_PER_S)
        self._attempts: deque[int] = deque(maxlen=limit)

    def wait_ns(self, mono_ns: int) -> int:
        """Nanoseconds to wait before another connect is allowed; 0 if it is allowed now."""
        attempts = self._attempts
        if len(attempts) != attempts.maxlen:
            return 0
        return max(attempts[0] + self._window_ns - mono_ns, 0)

    def record(self, mono_ns: int) -> None:
        """A connect is attempted now. Times must not run backwards."""
        self._attempts.append(mono_ns)
