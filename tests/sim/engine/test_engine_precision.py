"""An instrument's precision changes under an open book (PROTOCOL 3.9)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from helpers.engines import COIN, engine_with, limit, market, quote, types
from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import Refusal

D = Decimal


@pytest.fixture
def engine() -> Engine:
    """Alice's 100.0 x 1.50 before 99.5 x 1.25, Bob's 101.0 x 1.00, between quotes on odd ticks."""
    engine = engine_with()
    quote(engine, "buy", "99.9", "1.25")
    engine.add("alice", limit("buy", "100.0", "1.50"))
    engine.add("alice", limit("buy", "99.5", "1.25"))
    engine.add("bob", limit("sell", "101.0", "1.00"))
    quote(engine, "sell", "101.1", "0.07")
    quote(engine, "sell", "101.9", "0.38")
    engine.drain()
    return engine


def levels(engine: Engine) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Both sides, best first."""
    book = engine.books[COIN]
    return book.bids.top(10), book.asks.top(10)


def test_finer_precision_changes_nothing_but_the_scale(engine: Engine) -> None:
    engine.change_instrument(COIN, price_precision=3, qty_precision=4)
    assert levels(engine) == (
        [(100000, 15000), (99900, 12500), (99500, 12500)],
        [(101000, 10000), (101100, 700), (101900, 3800)],
    )
    assert not engine.has_effects
    instrument = engine.instrument(COIN)
    assert (instrument.price_precision, instrument.price_increment, instrument.tick_size) == (3, D("0.001"), D("0.001"))
    assert (instrument.qty_precision, instrument.qty_increment) == (4, D("0.0001"))
    assert [str(order.limit_price) for order in engine.open_orders("alice")] == ["100.000", "99.500"]
    assert engine.add("alice", limit("buy", "100.999", "0.0301")).status == "new"


def test_orders_go_on_trading_after_a_change(engine: Engine) -> None:
    engine.change_instrument(COIN, price_precision=3, qty_precision=4)
    engine.add("bob", limit("sell", "99.900", "2.0000"))
    fills = engine.recent_fills("alice")
    assert [each.execution.qty for each in fills if each.execution] == [D("1.5")]
    assert fills[0].order.cum_qty == fills[0].order.order_qty
    assert engine.books[COIN].bids.top(2) == [(99900, 7500), (99500, 12500)]
    assert engine.cancel_all("alice") == 1
    assert engine.available("alice", "USD") == engine.balances("alice")["USD"]


def test_coarser_precision_moves_the_background_away_from_the_touch(engine: Engine) -> None:
    engine.change_instrument(COIN, price_precision=0)
    bids, asks = levels(engine)
    assert bids == [(100, 150), (99, 125)]
    assert asks == [(101, 100), (102, 7 + 38)]


def test_orders_that_merge_keep_their_priority(engine: Engine) -> None:
    queue = engine.books[COIN].asks.queues
    numbers = [next(iter(queue[key])) for key in (1011, 1019)]
    quote(engine, "sell", "102.0", "0.10")
    quote(engine, "sell", "101.2", "0.10")
    engine.drain()
    engine.change_instrument(COIN, price_precision=0)
    merged = [order.lots for order in engine.books[COIN].asks.queues[102].values()]
    assert merged == [7, 10, 38, 10]
    assert [number for number in engine.books[COIN].asks.queues[102] if number in numbers] == numbers


def test_account_order_that_does_not_fit_is_cancelled_with_a_report(engine: Engine) -> None:
    engine.change_instrument(COIN, price_precision=0)
    moves, reports, _ = engine.drain()
    assert moves == []
    assert types(reports) == ["canceled"]
    assert reports[0].order.limit_price == D("99.5")
    assert reports[0].order.reason == "Order does not fit the new precision of its instrument"
    assert [order.limit_price for order in engine.open_orders("alice")] == [D(100)]
    assert engine.available("alice", "USD") == D(10000) - D("150.60")


def test_coarser_quantities_cut_the_background_and_cancel_accounts_orders(engine: Engine) -> None:
    engine.change_instrument(COIN, qty_precision=1)
    assert levels(engine) == ([(1000, 15), (999, 12)], [(1010, 10), (1019, 3)])
    assert types(engine.drain().reports) == ["canceled"]
    assert engine.instrument(COIN).qty_min == D("0.1")
    with pytest.raises(Refusal, match="Invalid arguments:volume"):
        engine.add("alice", limit("buy", "100.0", "0.25"))


def test_bid_below_the_first_tick_of_a_coarser_scale_is_gone() -> None:
    engine = engine_with()
    quote(engine, "buy", "0.9", "1.00")
    engine.change_instrument(COIN, price_precision=0)
    assert levels(engine) == ([], [])


def test_next_move_after_a_change_is_fresh(engine: Engine) -> None:
    engine.change_instrument(COIN, price_precision=2)
    move = engine.books[COIN].move
    assert (move.bids, move.asks, move.trades, move.orders) == ({}, {}, [], [])
    engine.add("alice", market("buy", "0.50"))
    assert engine.drain().moves[0].asks == {10100: 50}


def test_moves_of_the_old_scale_must_be_drained_first(engine: Engine) -> None:
    engine.add("alice", limit("buy", "100.0", "1.00"))
    with pytest.raises(UsageError, match=r"moves of COIN/USD at its old precision wait; drain\(\) them first"):
        engine.change_instrument(COIN, price_precision=2)
    engine.change_instrument(COIN, status="post_only", price_precision=1, qty_precision=2)
    assert engine.instrument(COIN).status == "post_only"
    engine.drain()
    engine.change_instrument(COIN, price_precision=2)
    assert engine.instrument(COIN).status == "post_only"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "closed"}, "no instrument status 'closed'; there are: cancel_only, delisted"),
        ({"price_precision": -1}, "from 0 to 18, not -1"),
        ({"qty_precision": 19}, "from 0 to 18, not 19"),
    ],
)
def test_change_that_makes_no_sense_is_refused(engine: Engine, change: dict[str, int], message: str) -> None:
    before = engine.instrument(COIN)
    with pytest.raises(UsageError, match=message):
        engine.change_instrument(COIN, **change)  # type: ignore[arg-type]  # the point of the test
    assert engine.instrument(COIN) is before


def test_unknown_symbol_has_no_instrument(engine: Engine) -> None:
    with pytest.raises(UnknownSymbol):
        engine.instrument("XBT/USD")
    with pytest.raises(UnknownSymbol):
        engine.change_instrument("XBT/USD", status="online")


def test_unknown_engine_status_is_refused(engine: Engine) -> None:
    with pytest.raises(UsageError, match="no engine status 'open'; there are: online, cancel_only"):
        engine.set_status("open")  # type: ignore[arg-type]  # the point of the test
