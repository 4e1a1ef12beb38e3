"""What is learned of a stream's gaps: never too little, not much too much, and not for ever."""

from __future__ import annotations

import math
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.protocol.liveness.gaps import SHORT_NS, GapHistogram

S = 1_000_000_000


def learned(gaps: list[int]) -> GapHistogram:
    histogram = GapHistogram()
    for gap in gaps:
        if gap <= SHORT_NS:
            histogram.short += 1
        else:
            histogram.add(gap)
    return histogram


def test_nothing_seen_is_nothing_learned() -> None:
    assert GapHistogram().p999_ns() is None
    assert GapHistogram().usual_ns() is None


@given(st.lists(st.integers(1, 10 * 3600 * S), min_size=1, max_size=3000))
def test_percentile_is_never_too_small_and_at_most_a_bucket_too_large(gaps: list[int]) -> None:
    exact = sorted(gaps)[len(gaps) - 1 - len(gaps) // 1000]
    told = learned(gaps).p999_ns()
    assert told is not None
    assert max(exact, SHORT_NS) <= told <= max(exact, SHORT_NS) * 2**0.25 + 2


@given(st.lists(st.integers(1, 100 * S), min_size=1, max_size=50))
def test_few_gaps_are_trusted_less(gaps: list[int]) -> None:
    histogram = learned(gaps)
    once, often = histogram.usual_ns(), learned(gaps * 40).usual_ns()
    assert once is not None
    assert often is not None
    assert once >= often >= max(gaps)
    assert once >= max(gaps) * (1 + 32 // len(gaps))


@pytest.mark.parametrize("mean", [2.0, 20.0, 600.0])
def test_percentile_of_a_stream_without_memory_is_found(mean: float) -> None:
    rng = random.Random(7)
    histogram = learned([round(rng.expovariate(1 / mean) * S) for _ in range(15_000)])
    exact = mean * math.log(1000)
    told = (histogram.p999_ns() or 0) / S
    assert 0.85 * exact < told < 1.5 * exact


def test_what_was_usual_once_is_forgotten() -> None:
    rng = random.Random(7)
    histogram = learned([round(rng.expovariate(1 / 60) * S) for _ in range(10_000)])
    assert (histogram.p999_ns() or 0) > 300 * S
    for _ in range(60):
        histogram.short += 10_000
        histogram.p999_ns()
    assert histogram.p999_ns() == SHORT_NS
    assert histogram.seen < 20_000


def test_gaps_longer_than_a_day_are_held_for_the_longest_bucket() -> None:
    histogram = learned([10**18])
    assert (histogram.p999_ns() or 0) > 24 * 3600 * S


def test_memory_of_a_stream_is_bounded() -> None:
    histogram = GapHistogram()
    before = sys.getsizeof(histogram._counts)
    for _ in range(50_000):
        histogram.add(7 * S)
    assert sys.getsizeof(histogram._counts) == before < 400
