"""What becomes of a new order: it rests, trades, or ends; and how that is reported."""

from __future__ import annotations

from decimal import Decimal

import pytest

from helpers.engines import COIN, START_NS, alice_and_bob, engine_with, limit, market, quote, types
from krakenwire.sim.engine.book import Print
from krakenwire.sim.engine.engine import Engine

D = Decimal


@pytest.fixture
def engine() -> Engine:
    """Alice and Bob, and a book of 99.0 x 1.00 to 101.0 x 1.00, 102.0 x 2.00."""
    engine = engine_with()
    quote(engine, "buy", "99.0", "1.00")
    quote(engine, "sell", "101.0", "1.00")
    quote(engine, "sell", "102.0", "2.00")
    return engine


def test_order_that_does_not_cross_rests_and_is_told_as_pending_and_new(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "0.50", order_userref=3))
    assert (state.status, state.cum_qty, state.order_qty) == ("new", D(0), D("0.50"))
    assert engine.open_orders("alice") == [state]
    moves, reports, entries = engine.drain()
    assert [report.order.status for report in reports] == ["pending_new", "new"]
    assert types(reports) == ["pending_new", "new"]
    assert entries == []
    assert [(move.symbol, move.bids, move.asks, move.trades) for move in moves] == [(COIN, {-1000: 50}, {}, [])]
    assert engine.books[COIN].bids.top(2) == [(1000, 50), (990, 100)]


def test_taker_trades_at_the_makers_prices_and_its_rest_stays(engine: Engine) -> None:
    first_id = engine.books[COIN].next_trade_id
    state = engine.add("alice", limit("buy", "101.0", "1.50"))
    assert (state.status, state.cum_qty, state.avg_price) == ("partially_filled", D("1.00"), D("101.0"))
    moves, reports, _ = engine.drain()
    assert types(reports) == ["pending_new", "new", "trade"]
    assert moves[0].trades == [Print(first_id, True, 1010, 100, False, START_NS)]
    assert moves[0].asks == {1010: 0}
    assert moves[0].bids == {-1010: 50}
    fill = reports[-1].execution
    assert fill is not None
    assert (fill.price, fill.qty, fill.cost, fill.is_maker, fill.trade_id) == (D(101), D(1), D(101), False, first_id)
    assert engine.recent_fills("alice") == [reports[-1]]


def test_order_that_fills_is_partially_filled_until_a_report_says_filled(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "102.0", "2.00"))
    assert state.status == "filled"
    assert state.avg_price == D("101.5")
    assert str(state.cum_cost) == "203.000"
    _, reports, _ = engine.drain()
    assert types(reports) == ["pending_new", "new", "trade", "trade", "filled"]
    assert [report.order.status for report in reports[2:]] == ["partially_filled", "partially_filled", "filled"]
    assert reports[-1].order == state == engine.order("alice", state.order_id)
    assert engine.open_orders("alice") == []


def test_maker_is_told_before_its_taker_and_filled_when_nothing_remains(engine: Engine) -> None:
    engine.add("bob", limit("sell", "100.0", "0.30"))
    engine.drain()
    engine.add("alice", limit("buy", "100.0", "0.40"))
    reports = engine.drain().reports
    assert [(each.order.account, each.exec_type) for each in reports] == [
        ("alice", "pending_new"),
        ("alice", "new"),
        ("bob", "trade"),
        ("alice", "trade"),
        ("bob", "filled"),
    ]
    executions = [each.execution for each in reports if each.execution is not None]
    assert [each.is_maker for each in executions] == [True, False]
    assert executions[0].trade_id == executions[1].trade_id
    assert executions[0].exec_id != executions[1].exec_id


def test_orders_of_one_price_fill_in_the_order_they_came(engine: Engine) -> None:
    first = engine.add("bob", limit("sell", "100.0", "0.30"))
    quote(engine, "sell", "100.0", "0.30")
    second = engine.add("bob", limit("sell", "100.0", "0.30"))
    engine.add("alice", limit("buy", "100.0", "0.70"))
    filled, part = engine.order("bob", first.order_id), engine.order("bob", second.order_id)
    assert filled is not None
    assert part is not None
    assert (filled.status, part.cum_qty) == ("filled", D("0.10"))


def test_better_price_fills_first_whatever_came_first(engine: Engine) -> None:
    worse = engine.add("bob", limit("sell", "100.5", "0.30"))
    better = engine.add("bob", limit("sell", "100.0", "0.30"))
    engine.add("alice", market("buy", "0.30"))
    assert [order.order_id for order in engine.open_orders("bob")] == [worse.order_id]
    assert engine.recent_fills("bob")[0].order.order_id == better.order_id


def test_market_order_takes_what_there_is_and_the_rest_is_cancelled(engine: Engine) -> None:
    state = engine.add("alice", market("sell", "1.50"))
    assert (state.status, state.cum_qty, state.limit_price) == ("canceled", D("1.00"), None)
    assert state.reason == "Insufficient liquidity"
    moves, reports, _ = engine.drain()
    assert types(reports) == ["pending_new", "new", "trade", "canceled"]
    assert moves[0].trades[0].market
    assert not engine.books[COIN].bids


def test_market_order_at_an_empty_book_is_cancelled_whole() -> None:
    engine = engine_with()
    state = engine.add("alice", market("buy", "1.00"))
    assert (state.status, state.cum_qty, state.avg_price) == ("canceled", D(0), D(0))
    assert engine.drain().moves == []


def test_ioc_order_leaves_nothing_behind(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "101.0", "1.50", time_in_force="ioc"))
    assert (state.status, state.cum_qty) == ("canceled", D(1))
    assert state.reason == "Immediate or cancel order could not be filled completely"
    assert not engine.books[COIN].bids.totals.get(-1010)
    assert engine.available("alice", "USD") == engine.balances("alice")["USD"]


def test_ioc_order_that_fills_ends_filled(engine: Engine) -> None:
    assert engine.add("alice", limit("buy", "101.0", "1.00", time_in_force="ioc")).status == "filled"


@pytest.mark.parametrize(
    ("price", "qty", "status"),
    [
        ("102.0", "3.00", "filled"),
        ("102.0", "3.01", "canceled"),
        ("101.0", "1.01", "canceled"),
        ("100.0", "0.02", "canceled"),
    ],
)
def test_fok_order_fills_whole_or_not_at_all(engine: Engine, price: str, qty: str, status: str) -> None:
    state = engine.add("alice", limit("buy", price, qty, time_in_force="fok"))
    assert state.status == status
    assert state.cum_qty == (D(qty) if status == "filled" else 0)
    if status == "canceled":
        assert state.reason == "Fill or kill order could not be filled completely"
        assert engine.drain().moves == []


def test_fok_sell_looks_at_the_bids(engine: Engine) -> None:
    assert engine.add("alice", limit("sell", "99.0", "1.00", time_in_force="fok")).status == "filled"


def test_post_only_order_rests_beside_the_touch(engine: Engine) -> None:
    assert engine.add("alice", limit("buy", "100.9", "0.10", post_only=True)).status == "new"


def test_gtd_order_expires_at_its_moment(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "0.50", time_in_force="gtd", expire_ns=START_NS + 1000))
    engine.drain()
    engine.advance(START_NS + 999)
    assert not engine.has_effects
    engine.advance(START_NS + 5000)
    assert engine.now_ns == START_NS + 5000
    moves, reports, _ = engine.drain()
    assert [(each.exec_type, each.exchange_ns) for each in reports] == [("expired", START_NS + 1000)]
    assert moves[0].exchange_ns == START_NS + 1000
    assert moves[0].bids == {-1000: 0}
    ended = engine.order("alice", state.order_id)
    assert ended is not None
    assert (ended.status, ended.reason) == ("expired", None)


def test_gtd_order_is_gone_at_the_very_moment_it_expires(engine: Engine) -> None:
    engine.add("alice", limit("buy", "100.0", "0.50", time_in_force="gtd", expire_ns=START_NS + 1000))
    engine.advance(START_NS + 1000)
    assert engine.open_orders("alice") == []


def test_gtd_orders_expire_in_the_order_of_their_times(engine: Engine) -> None:
    late = engine.add("alice", limit("buy", "98.0", "0.50", time_in_force="gtd", expire_ns=START_NS + 2000))
    early = engine.add("alice", limit("buy", "98.0", "0.50", time_in_force="gtd", expire_ns=START_NS + 1000))
    engine.drain()
    engine.advance(START_NS + 3000)
    assert [each.order.order_id for each in engine.drain().reports] == [early.order_id, late.order_id]


def test_gtd_order_that_ended_before_does_not_expire(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "98.0", "0.50", time_in_force="gtd", expire_ns=START_NS + 1000))
    engine.cancel("alice", order_id=state.order_id)
    engine.drain()
    engine.advance(START_NS + 3000)
    assert not engine.has_effects


def test_time_never_runs_backwards(engine: Engine) -> None:
    engine.advance(START_NS + 10)
    engine.advance(START_NS + 5)
    assert engine.now_ns == START_NS + 10


def test_validated_order_changes_nothing(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "101.0", "0.50", validate=True, cl_ord_id="mine"))
    assert (state.order_id, state.cl_ord_id, state.status) == ("", "mine", "pending_new")
    assert not engine.has_effects
    assert engine.open_orders("alice") == []
    assert engine.available("alice", "USD") == 10000


def test_order_may_trade_with_its_own_accounts_order_until_self_trades_are_prevented(engine: Engine) -> None:
    engine.add("alice", limit("sell", "100.0", "1.00"))
    engine.drain()
    engine.add("alice", limit("buy", "100.0", "1.00"))
    assert types(engine.drain().reports) == ["pending_new", "new", "trade", "trade", "filled", "filled"]
    assert engine.balances("alice")["COIN"] == 10000
    assert engine.balances("alice")["USD"] == D("9999.35")


def test_background_taker_fills_an_accounts_order(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "0.50"))
    engine.drain()
    book = engine.books[COIN]
    move = book.begin(START_NS + 77)
    engine.take(book, False, -990, 80, True)
    moves, reports, entries = engine.drain()
    assert moves == []
    assert [trade.lots for trade in move.trades] == [50, 30]
    assert [(each.exec_type, each.exchange_ns) for each in reports] == [
        ("trade", START_NS + 77),
        ("filled", START_NS + 77),
    ]
    assert [(each.asset, each.amount, each.fee) for each in entries] == [
        ("COIN", D("0.50"), 0),
        ("USD", D("-50.00"), D("0.13")),
    ]
    assert engine.order("alice", state.order_id) == reports[-1].order


def test_background_trading_with_itself_has_no_effects(engine: Engine) -> None:
    book = engine.books[COIN]
    book.begin(START_NS + 77)
    engine.take(book, True, None, 150, True)
    assert not engine.has_effects
    assert engine.totals()["USD"].background == 0


def test_effects_are_given_once(engine: Engine) -> None:
    engine.add("alice", limit("buy", "100.0", "0.50"))
    waited = engine.has_effects
    first = engine.drain()
    assert waited
    assert not engine.has_effects
    assert engine.drain() == ([], [], [])
    assert len(first.reports) == 2


def test_only_the_last_of_the_ended_orders_are_kept() -> None:
    engine = engine_with()
    ids = []
    for _ in range(2010):
        state = engine.add("alice", limit("buy", "1.0", "0.50", time_in_force="gtd", expire_ns=START_NS + 10**9))
        engine.cancel("alice", order_id=state.order_id)
        ids.append(state.order_id)
    engine.drain()
    assert engine.order("alice", ids[9]) is None
    assert engine.order("alice", ids[10]) is not None


def test_only_the_last_fifty_fills_are_kept() -> None:
    engine = engine_with(alice_and_bob("1000000"))
    for number in range(60):
        quote(engine, "sell", "10.0", "1.00")
        engine.add("alice", market("buy", "0.50" if number < 10 else "1.00"))
        engine.drain()
    fills = engine.recent_fills("alice")
    assert len(fills) == 50
    assert all(each.exec_type == "trade" for each in fills)


def test_expiries_of_ended_orders_are_forgotten_and_the_others_stay_in_order() -> None:
    engine = engine_with()
    due = [START_NS + 1000 + 37 * number % 100 for number in range(70)]
    kept = [
        engine.add("alice", limit("buy", "1.0", "0.50", time_in_force="gtd", expire_ns=moment)).order_id
        for moment in due
    ]
    for number in range(1000):
        expire_ns = START_NS + 500 + 71 * number % 1000
        state = engine.add("bob", limit("buy", "1.0", "0.50", time_in_force="gtd", expire_ns=expire_ns))
        engine.cancel("bob", order_id=state.order_id)
    # There is no public face to this: it is what keeps a flood of GTD orders from growing the engine for a month.
    assert len(engine._matching._expiries) < 300
    engine.drain()
    engine.advance(START_NS + 5000)
    expired = [report.order.order_id for report in engine.drain().reports]
    assert expired == [order_id for _, order_id in sorted(zip(due, kept, strict=True), key=lambda pair: pair[0])]
