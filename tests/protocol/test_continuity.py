"""Trades: each once, and what is missing is counted."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from krakenwire.events import Gap, Stamp, Trade
from krakenwire.protocol.continuity import TradeContinuity


def trade(
    trade_id: int | None, *, epoch: int = 0, source: Literal["live", "snapshot"] = "live", symbol: str = "BTC/USD"
) -> Trade:
    return Trade(
        symbol=symbol,
        side="buy",
        price=Decimal(1),
        qty=Decimal(1),
        ord_type="limit",
        trade_id=trade_id,
        exchange_ns=None,
        source=source,
        stamp=Stamp("public", epoch, 5, 6),
        n=trade_id or 0,
        seq=3,
    )


def test_trades_in_order_pass_without_a_gap() -> None:
    continuity = TradeContinuity()
    assert [continuity.check(trade(i)) for i in (7, 8, 9)] == [(True, None)] * 3
    assert continuity.last("BTC/USD") == 9
    assert continuity.last("ETH/USD") is None


def test_jump_is_a_gap_with_its_exact_bounds_and_the_trade_passes() -> None:
    continuity = TradeContinuity()
    continuity.check(trade(10))
    passed, gap = continuity.check(trade(14))
    assert passed
    assert isinstance(gap, Gap)
    assert (gap.of, gap.symbol, gap.first, gap.last, gap.count) == ("trade", "BTC/USD", 11, 13, 3)
    assert (gap.n, gap.seq, gap.stamp) == (14, 3, Stamp("public", 0, 5, 6))


def test_repeated_trade_is_dropped_and_counted() -> None:
    continuity = TradeContinuity()
    for i in (1, 2, 3):
        continuity.check(trade(i))
    assert continuity.check(trade(2)) == (False, None)
    assert continuity.check(trade(3)) == (False, None)
    assert continuity.repeated == 2
    assert continuity.check(trade(4)) == (True, None)


def test_symbols_are_counted_apart() -> None:
    continuity = TradeContinuity()
    continuity.check(trade(100))
    assert continuity.check(trade(5, symbol="ETH/USD")) == (True, None)
    assert continuity.check(trade(101)) == (True, None)
    assert continuity.check(trade(6, symbol="ETH/USD")) == (True, None)


def test_snapshot_after_a_reconnect_fills_what_it_reaches_and_repeats_nothing() -> None:
    continuity = TradeContinuity()
    for i in (1, 2, 3):
        continuity.check(trade(i))
    results = [continuity.check(trade(i, epoch=1, source="snapshot")) for i in (2, 3, 4, 5)]
    assert results == [(False, None), (False, None), (True, None), (True, None)]
    assert continuity.check(trade(6, epoch=1)) == (True, None)


def test_snapshot_that_does_not_reach_leaves_an_exact_gap() -> None:
    continuity = TradeContinuity()
    continuity.check(trade(3))
    passed, gap = continuity.check(trade(60, epoch=1, source="snapshot"))
    assert passed
    assert gap is not None
    assert (gap.first, gap.last, gap.count) == (4, 59, 56)


def test_exchange_that_counts_anew_is_a_gap_of_unknown_size() -> None:
    continuity = TradeContinuity()
    continuity.check(trade(5000))
    passed, gap = continuity.check(trade(1, epoch=1))
    assert passed
    assert gap is not None
    assert (gap.first, gap.last, gap.count) == (None, None, None)
    assert "5000 to 1" in gap.reason
    assert continuity.check(trade(2, epoch=1)) == (True, None)


def test_last_trade_repeated_in_a_new_epoch_is_no_new_count() -> None:
    continuity = TradeContinuity()
    continuity.check(trade(7))
    assert continuity.check(trade(7, epoch=1)) == (False, None)
    assert continuity.check(trade(6, epoch=1)) == (False, None)
    assert continuity.check(trade(8, epoch=1)) == (True, None)


def test_v1_trades_without_an_id_always_pass() -> None:
    continuity = TradeContinuity()
    assert [continuity.check(trade(None)) for _ in range(3)] == [(True, None)] * 3
    assert continuity.repeated == 0


def test_forgotten_stream_continues_nothing() -> None:
    continuity = TradeContinuity()
    continuity.check(trade(1))
    continuity.forget("BTC/USD")
    continuity.forget("ETH/USD")
    assert continuity.check(trade(50)) == (True, None)


@given(st.lists(st.integers(1, 40), max_size=80))
def test_passed_trades_and_gaps_partition_the_ids_exactly(arriving: list[int]) -> None:
    continuity = TradeContinuity()
    passed: list[int] = []
    missing: list[int] = []
    for i in arriving:
        ok, gap = continuity.check(trade(i))
        if gap is not None:
            assert ok
            assert gap.first is not None
            assert gap.last is not None
            assert gap.count == gap.last - gap.first + 1
            missing += range(gap.first, gap.last + 1)
        if ok:
            passed.append(i)
    assert passed == sorted(set(passed)), "each once, in order"
    assert not set(passed) & set(missing)
    assert continuity.repeated == len(arriving) - len(passed)
    if passed:
        assert sorted(passed + missing) == list(range(passed[0], passed[-1] + 1))
