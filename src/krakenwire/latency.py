"""Latencies as histograms: integer nanoseconds in log-linear buckets, with a bounded error and a bounded size.

The buckets are HdrHistogram's: each power of two is cut into 64, so that a bucket is at most 1/64 of its values wide.
It is code of our own because the Python library of that name took three to five times as long to record a value (900
to 1,100 ns) and installs setuptools beside it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from krakenwire.clock import Clock
from krakenwire.errors import UsageError
from krakenwire.events import Event, Stamp

__all__ = ["LatencyRecorder", "StageTimings"]

_BITS = 6
_PER_POWER = 1 << _BITS
_POWERS = 42
_LIMIT_NS = (1 << _POWERS) - 1
"""Whatever takes longer (73 minutes) is counted as that."""

DEFAULT_POINTS = (50.0, 90.0, 99.0, 99.9, 100.0)


class LatencyRecorder:
    """A histogram of durations from 0 to 2^42 ns (73 minutes), in 20 KB whatever it holds.

    A percentile is never less than the true one and at most 1/64 (1.6 %) more; up to 127 ns it is exact. Recorders
    merge without further error. One thread records at a time; any thread may read.

    Attributes:
        negative: durations below zero, as two clocks that differ make them; each is counted as 0 as well.
        total_ns: the sum of all, exact; negative ones as 0.
    """

    __slots__ = ("_counts", "negative", "total_ns")

    def __init__(self) -> None:
        self._counts = [0] * (_PER_POWER * (_POWERS - _BITS + 1))
        self.negative = 0
        self.total_ns = 0

    def record(self, ns: int) -> None:
        """Count one duration of `ns` nanoseconds."""
        if ns < 0:
            self.negative += 1
            ns = 0
        elif ns > _LIMIT_NS:
            ns = _LIMIT_NS
        self.total_ns += ns
        shift = ns.bit_length() - _BITS - 1
        self._counts[ns if shift <= 0 else (shift << _BITS) + (ns >> shift)] += 1

    @property
    def count(self) -> int:
        """How many were recorded."""
        return sum(self._counts)

    @property
    def mean_ns(self) -> float | None:
        """The mean, exact; None if nothing was recorded."""
        count = self.count
        return self.total_ns / count if count else None

    def percentile(self, point: float) -> int | None:
        """The duration that `point` percent of all do not exceed, nanoseconds; None if nothing was recorded.

        Raises:
            UsageError: `point` is not within 0 to 100.
        """
        return self.percentiles([point])[point]

    def percentiles(self, points: Iterable[float] = DEFAULT_POINTS) -> dict[float, int | None]:
        """Percentiles of one moment, by their point; 100 is the longest duration, 0 the shortest.

        Raises:
            UsageError: a point is not within 0 to 100.
        """
        at_most = list(accumulate(self._counts))
        count = at_most[-1]
        found: dict[float, int | None] = {}
        for point in points:
            if not 0 <= point <= 100:
                raise UsageError(f"a percentile is within 0 to 100, not {point!r}")
            thousandths = round(point * 1000)  # 99.9 percent of 1,000 are 999, not the 998.9999999999999 of floats
            rank = max(1, -(-count * thousandths // 100_000))
            found[point] = _longest(bisect_left(at_most, rank)) if count else None
        return found

    def shorter_than_powers(self, exponents: Sequence[int]) -> list[int]:
        """How many durations were shorter than 2^e ns, for each e of `exponents`: exact, for a bucket ends there.

        Raises:
            UsageError: an exponent is not within 6 to 42.
        """
        if not all(_BITS <= exponent <= _POWERS for exponent in exponents):
            raise UsageError(f"expected exponents of {_BITS} to {_POWERS}, got {list(exponents)!r}")
        at_most = list(accumulate(self._counts))
        return [at_most[_PER_POWER * (exponent - _BITS + 1) - 1] for exponent in exponents]

    def merge(self, other: LatencyRecorder) -> None:
        """Count here too what `other` has recorded."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self.negative += other.negative
        self.total_ns += other.total_ns

    def __repr__(self) -> str:
        parts = [f"p{point:g} {ns / 1e3:.1f} µs" for point, ns in self.percentiles().items() if ns is not None]
        return f"<LatencyRecorder {', '.join(parts) or 'empty'}>"


def _longest(bucket: int) -> int:
    """The longest duration that falls into a bucket."""
    if bucket < 2 * _PER_POWER:
        return bucket
    shift = (bucket >> _BITS) - 1
    return ((bucket - (shift << _BITS) + 1) << shift) - 1


class StageTimings:
    """How long a feed takes, stage by stage, from the moment a socket was read; nothing is measured without one.

    One socket read in `every` is measured, and one wake-up of a consumer in `every`: three clock reads and four records
    for both, so that the rest costs a count each. Stages add up: `publish` contains `decode`, `consumer` contains both.

    Args:
        clock: whose monotonic time the stamps of events have.
        every: one in how many is measured; at least 1.

    Attributes:
        decode: from the socket read until its frames are decoded and applied to the books.
        publish: until its events are with the readers.
        consumer: until a consumer that waited has its turn; of one that is behind, its lag tells.
        exchange: from the exchange's time of an event to the socket read, by the estimated clock of the exchange;
            nothing is recorded while there is no estimate.

    Raises:
        UsageError: `every` is less than 1.
    """

    __slots__ = ("_clock", "_deliveries", "_every", "_reads", "consumer", "decode", "exchange", "publish")

    def __init__(self, clock: Clock, every: int = 8) -> None:
        if every < 1:
            raise UsageError(f"every must be at least 1, not {every!r}")
        self.decode = LatencyRecorder()
        self.publish = LatencyRecorder()
        self.consumer = LatencyRecorder()
        self.exchange = LatencyRecorder()
        self._clock = clock
        self._every = every
        self._reads = 0
        self._deliveries = 0

    def is_due(self) -> bool:
        """Whether the socket read that ends now is to be measured."""
        self._reads += 1
        if self._reads < self._every:
            return False
        self._reads = 0
        return True

    def decoded(self, stamp: Stamp, events: Sequence[Event], exchange_ahead_ns: int | None) -> None:
        """The socket read of `stamp` was turned into `events`.

        Args:
            stamp: of the read.
            events: what is about to be published; the newest with a time of the exchange stands for the read.
            exchange_ahead_ns: the exchange's clock less ours, None if that is not known.
        """
        self.decode.record(self._clock.monotonic_ns() - stamp.received_mono_ns)
        if exchange_ahead_ns is None:
            return
        for event in reversed(events):
            exchange_ns = _told_at(event)
            if exchange_ns is not None and event.stamp is stamp:
                self.exchange.record(stamp.received_ns + exchange_ahead_ns - exchange_ns)
                return

    def published(self, stamp: Stamp) -> None:
        """The events of the socket read of `stamp` are with the readers."""
        self.publish.record(self._clock.monotonic_ns() - stamp.received_mono_ns)

    def taken(self, event: Event) -> None:
        """A consumer that waited has its turn, and `event` is the first that it finds."""
        self._deliveries += 1
        if self._deliveries < self._every:
            return
        received = event.stamp.received_mono_ns
        if received:  # else it did not come over a connection: a loss, or what was known before
            self._deliveries = 0
            self.consumer.record(self._clock.monotonic_ns() - received)


def _told_at(event: Event) -> int | None:
    """When the exchange told it, if it told it as news: what a snapshot holds may be old."""
    if getattr(event, "type", "update") != "update" or getattr(event, "source", "live") != "live":
        return None
    return getattr(event, "exchange_ns", None)
