"""The histogram keeps its bounds, and stages are measured from the socket read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.clock import ManualClock
from krakenwire.errors import UsageError
from krakenwire.events import Event, Loss, Stamp, SystemStatus, Ticker, Trade
from krakenwire.latency import DEFAULT_POINTS, LatencyRecorder, StageTimings

DURATIONS = st.lists(st.integers(0, 2**42 - 1), min_size=1)


def recorder_of(*durations: int) -> LatencyRecorder:
    recorder = LatencyRecorder()
    for ns in durations:
        recorder.record(ns)
    return recorder


@given(DURATIONS, st.sampled_from([0.0, 1.0, 50.0, 99.0, 99.9, 99.999, 100.0]))
def test_percentile_is_never_less_than_the_true_one_and_at_most_a_64th_more(durations: list[int], point: float) -> None:
    rank = max(1, -(-len(durations) * round(point * 1000) // 100_000))
    true = sorted(durations)[rank - 1]
    found = recorder_of(*durations).percentile(point)
    assert found is not None
    assert true <= found <= true + true // 64


@given(DURATIONS, st.integers(6, 42))
def test_how_many_are_shorter_than_a_power_of_two_is_exact(durations: list[int], exponent: int) -> None:
    (shorter,) = recorder_of(*durations).shorter_than_powers([exponent])
    assert shorter == sum(ns < 2**exponent for ns in durations)


@pytest.mark.parametrize("exponent", range(6, 42))
def test_a_bucket_ends_at_each_power_of_two(exponent: int) -> None:
    assert recorder_of(2**exponent - 1, 2**exponent).shorter_than_powers([exponent]) == [1]


@given(DURATIONS, DURATIONS)
def test_merging_is_as_if_one_had_recorded_all(some: list[int], more: list[int]) -> None:
    merged, whole = recorder_of(*some), recorder_of(*some, *more)
    merged.merge(recorder_of(*more))
    assert merged.percentiles() == whole.percentiles()
    assert (merged.count, merged.total_ns) == (whole.count, whole.total_ns) == (len(some + more), sum(some + more))


def test_short_durations_are_exact() -> None:
    recorder = recorder_of(*range(128))
    assert recorder.percentile(50) == 63
    assert recorder.percentiles([0, 100]) == {0: 0, 100: 127}


def test_empty_recorder_knows_nothing() -> None:
    assert LatencyRecorder().percentiles() == dict.fromkeys(DEFAULT_POINTS)
    assert LatencyRecorder().mean_ns is None
    assert repr(LatencyRecorder()) == "<LatencyRecorder empty>"


def test_mean_is_exact_and_negative_durations_are_told() -> None:
    recorder = recorder_of(-5, 1000, 2000)
    assert (recorder.count, recorder.negative, recorder.total_ns, recorder.mean_ns) == (3, 1, 3000, 1000)


def test_what_takes_longer_than_the_limit_is_counted_as_that() -> None:
    recorder = recorder_of(2**60)
    assert recorder.percentile(100) == recorder.total_ns == 2**42 - 1


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match=r"within 0 to 100, not 100\.1"):
        LatencyRecorder().percentile(100.1)
    with pytest.raises(UsageError, match="exponents of 6 to 42"):
        LatencyRecorder().shorter_than_powers([5])
    with pytest.raises(UsageError, match="at least 1"):
        StageTimings(ManualClock(), every=0)


def trade(stamp: Stamp, exchange_ns: int, source: str = "live") -> Trade:
    return Trade(
        symbol="BTC/USD",
        side="buy",
        price=1,  # type: ignore[arg-type]  # no price is looked at
        qty=1,  # type: ignore[arg-type]  # nor a quantity
        ord_type="limit",
        trade_id=1,
        exchange_ns=exchange_ns,
        source=source,  # type: ignore[arg-type]  # one of the three
        stamp=stamp,
    )


async def test_stages_are_measured_from_the_socket_read() -> None:
    clock = ManualClock()
    await clock.advance(1)
    timings = StageTimings(clock, every=1)
    stamp = Stamp("public", 0, clock.now_ns(), clock.monotonic_ns())
    events: list[Event] = [trade(stamp, stamp.received_ns - 5_000), SystemStatus(system="online", stamp=stamp)]
    assert timings.is_due()
    await clock.advance(1e-6)
    timings.decoded(stamp, events, exchange_ahead_ns=2_000)
    await clock.advance(2e-6)
    timings.published(stamp)
    await clock.advance(3e-6)
    timings.taken(events[0])
    assert [r.total_ns for r in (timings.decode, timings.publish, timings.consumer)] == [1_000, 3_000, 6_000]
    assert timings.exchange.total_ns == 7_000


async def test_one_read_and_one_delivery_in_so_many_is_measured() -> None:
    clock = ManualClock()
    await clock.advance(1)
    timings = StageTimings(clock, every=3)
    assert [timings.is_due() for _ in range(6)] == [False, False, True] * 2
    stamp = Stamp("public", 0, clock.now_ns(), clock.monotonic_ns())
    for _ in range(6):
        timings.taken(SystemStatus(system="online", stamp=stamp))
    assert timings.consumer.count == 2
    for _ in range(3):
        timings.taken(Loss(reason="slow"))  # has no time of receipt
    assert timings.consumer.count == 2


def test_time_on_the_way_is_that_of_news_by_a_known_clock() -> None:
    timings = StageTimings(ManualClock())
    stamp, other = Stamp("public", 0, 10_000, 1), Stamp("public", 0, 10_000, 1)
    old = [trade(stamp, 1, "snapshot"), trade(stamp, 1, "backfill"), trade(other, 1)]
    timings.decoded(stamp, old, exchange_ahead_ns=0)
    timings.decoded(stamp, [trade(stamp, 1)], exchange_ahead_ns=None)
    assert timings.exchange.count == 0
    snapshot = Ticker(
        symbol="BTC/USD",
        type="snapshot",
        **dict.fromkeys(["bid", "bid_qty", "ask", "ask_qty", "last", "volume", "vwap", "low", "high"]),  # type: ignore[arg-type]  # no figure is looked at
        change=None,
        change_pct=None,
        exchange_ns=1,
        stamp=stamp,
    )
    timings.decoded(stamp, [trade(stamp, 9_000), snapshot], exchange_ahead_ns=0)
    assert timings.exchange.total_ns == 1_000
