"""Days of streams: none is called stalled that is not, whatever its gaps; one that is mute is found in time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.days import Day, Gaps, drawn, recorded_gaps
from krakenwire.protocol.liveness.findings import Ask, Stall

HOUR = 3600.0


def exponential(mean: float, seed: int) -> Gaps:
    rng = random.Random(seed)
    return lambda _at: rng.expovariate(1 / mean)


def pareto(least: float, tail: float, seed: int) -> Gaps:
    rng = random.Random(seed)
    return lambda _at: min(least * rng.paretovariate(tail), 4 * HOUR)


def lognormal(median: float, sigma: float, seed: int) -> Gaps:
    rng = random.Random(seed)
    return lambda _at: min(median * rng.lognormvariate(0.0, sigma), 4 * HOUR)


def nightly(mean: float, seed: int, slower: float = 50.0) -> Gaps:
    """Fifty times as quiet from midnight to six."""
    rng = random.Random(seed)
    return lambda at: rng.expovariate(1 / (mean * slower if at < 6 * HOUR else mean))


def bursty(mean: float, seed: int) -> Gaps:
    """Bursts of some fifty messages, and pauses between them."""
    rng = random.Random(seed)
    return lambda _at: rng.expovariate(1 / mean) if rng.random() < 0.02 else rng.expovariate(20 / mean)


SHAPES: dict[str, Gaps] = {
    "A/USD": exponential(0.1, 1),
    "B/USD": exponential(3.0, 2),
    "C/USD": exponential(60.0, 3),
    "D/USD": exponential(900.0, 4),
    "E/USD": pareto(0.1, 1.2, 5),
    "F/USD": pareto(1.0, 1.5, 6),
    "G/USD": pareto(5.0, 1.1, 7),
    "H/USD": lognormal(0.2, 2.0, 8),
    "I/USD": lognormal(20.0, 1.5, 9),
    "J/USD": nightly(0.2, 10),
    "K/USD": nightly(5.0, 11),
    "L/USD": bursty(30.0, 12),
}


def watch(streams: dict[str, Gaps], hours: float) -> dict[str, float]:
    """Let the time pass, in which nothing may be called stalled; probes an hour of each stream."""
    day = Day(streams)
    day.run(hours * HOUR)
    assert day.told(Stall) == []
    asked = Counter(finding.key.symbol or "" for _, finding in day.told(Ask))
    return {symbol: round(asked[symbol] / hours, 1) for symbol in streams}


Record = Callable[[str, object], None]


def recorded(captures: Path) -> dict[str, Gaps]:
    gaps = recorded_gaps(captures)
    assert len(gaps) >= 11
    return {symbol: drawn(each, seed) for seed, (symbol, each) in enumerate(gaps.items())}


def test_an_hour_of_the_recorded_gaps_raises_no_alarm(captures: Path, record_property: Record) -> None:
    record_property("probes an hour", watch(recorded(captures), 1))


@pytest.mark.long
def test_a_day_of_the_recorded_gaps_raises_no_alarm(captures: Path, record_property: Record) -> None:
    record_property("probes an hour", watch(recorded(captures), 24))


def test_an_hour_of_heavy_tails_and_bursts_raises_no_alarm(record_property: Record) -> None:
    record_property("probes an hour", watch(SHAPES, 1))


@pytest.mark.long
def test_a_day_of_heavy_tails_bursts_and_quiet_nights_raises_no_alarm(record_property: Record) -> None:
    record_property("probes an hour", watch(SHAPES, 24))


@settings(max_examples=15)
@given(mean=st.floats(0.02, 0.4), seed=st.integers(0, 2**32), mute_after=st.floats(60.0, 900.0))
def test_mute_stream_is_found_within_ten_seconds_or_its_limit(mean: float, seed: int, mute_after: float) -> None:
    day = Day({"A/USD": exponential(mean, seed)})
    day.run(mute_after)
    stream = day.mute("A/USD")
    fell_mute = day.now / 1e9
    limit = day.liveness.limit_ns(day.liveness.stream(stream.key)) / 1e9  # type: ignore[arg-type]  # it is there
    day.run(200, until=lambda: day.told(Stall))
    ((at, _),) = day.told(Stall)
    assert at - fell_mute <= max(10.0, limit)


@settings(max_examples=15)
@given(mean=st.floats(5.0, 60.0), seed=st.integers(0, 2**32), mute_after=st.floats(60.0, 7200.0))
def test_mute_stream_of_a_quiet_pair_is_found_within_two_minutes(mean: float, seed: int, mute_after: float) -> None:
    day = Day({"A/USD": exponential(mean, seed)})
    day.run(mute_after)
    stream = day.mute("A/USD")
    day.run(2000, until=lambda: day.told(Stall) or not stream.is_mute)
    day.run(10)
    if stream.untold_at is None:
        assert not day.told(Stall), "it was served again before it had missed anything"
        return
    if not day.told(Stall):
        withheld = stream.left_at - stream.untold_at
        assert withheld < 250_000_000, "it is served again; what was withheld for so short might have been late"
        return
    ((at, _),) = day.told(Stall)
    assert at - stream.untold_at / 1e9 <= 120
