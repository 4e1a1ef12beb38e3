"""The usual gaps between the messages of one stream: a histogram with logarithmic buckets that forgets slowly."""

from __future__ import annotations

import math
from array import array

__all__ = ["SCARCE", "SHORT_NS", "GapHistogram"]

_NS = 1_000_000_000

SHORT_NS = 3 * _NS // 2
"""Up to which all gaps are alike: they are seen once a second, and no limit is anywhere near."""
SCARCE = 32
"""Gaps until the inflation for want of data has come down to twice."""
_PER_OCTAVE = 4
"""Buckets from one gap to that of twice its length: a quantile is at most 19 % too large, and never too small."""
_BUCKETS = 16 * _PER_OCTAVE
"""Up to 27 hours."""
_EDGES_NS = tuple(math.ceil(SHORT_NS * 2 ** ((i + 1) / _PER_OCTAVE)) for i in range(_BUCKETS))
"""The longest gap of each bucket."""
_PER_MILLE = 1000
_REMEMBERED = 20_000
"""Gaps after which what was seen before counts half: p99.9 needs thousands, and a market changes by the hour."""


class GapHistogram:
    """Learns the 99.9th percentile of a stream's gaps in bounded memory: 65 counters.

    A gap is counted in the first bucket that is long enough for it, so a percentile read from it errs to the long
    side, by 19 % at most. Counts are halved when there are 20,000, so that the last hours count most. With fewer than a
    thousand gaps the percentile is the longest one seen.

    Attributes:
        short: gaps of `SHORT_NS` at most, counted by whoever adds them, for they are nearly all there are.
    """

    __slots__ = ("_counts", "_long", "short")

    def __init__(self) -> None:
        self.short = 0
        self._counts = array("I", bytes(4 * _BUCKETS))
        self._long = 0

    @property
    def seen(self) -> int:
        """Gaps counted; those before the last halvings by half, by a quarter, …."""
        return self.short + self._long

    def add(self, gap_ns: int) -> None:
        """A gap ended that was longer than `SHORT_NS`."""
        bucket = min(math.ceil(math.log2(gap_ns / SHORT_NS) * _PER_OCTAVE) - 1, _BUCKETS - 1)
        self._counts[max(bucket, 0)] += 1
        self._long += 1

    def p999_ns(self) -> int | None:
        """A length that all but one gap in a thousand keep to; None if none was seen yet."""
        if self.seen >= _REMEMBERED:
            self._halve()
        seen = self.seen
        if not seen:
            return None
        beyond = seen // _PER_MILLE
        if self._long > beyond:
            for bucket in range(_BUCKETS - 1, -1, -1):
                beyond -= self._counts[bucket]
                if beyond < 0:
                    return _EDGES_NS[bucket]
        return SHORT_NS

    def usual_ns(self) -> int | None:
        """`p999_ns`, the longer the less there was to learn from: of one gap 33 times, of a thousand 1.03 times."""
        longest = self.p999_ns()
        return None if longest is None else longest + longest * SCARCE // self.seen

    def _halve(self) -> None:
        counts = self._counts
        for bucket, count in enumerate(counts):
            counts[bucket] = count // 2
        self.short //= 2
        self._long = sum(counts)
