"""Amending in place, and cancelling: what happens to places, reports and books (PROTOCOL 5.2, 5.4, 5.5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from helpers.engines import COIN, START_NS, TOKEN, engine_with, limit, quote, types
from krakenwire.sim.engine.book import OrderChange
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import AmendOrder, OrderState, Refusal

D = Decimal


@pytest.fixture
def engine() -> Engine:
    """Alice and Bob, and a book of 99.0 x 1.00 to 101.0 x 1.00."""
    engine = engine_with()
    quote(engine, "buy", "99.0", "1.00")
    quote(engine, "sell", "101.0", "1.00")
    return engine


def queue(engine: Engine, price: str) -> list[str]:
    """The accounts whose bids wait at a price, first come first."""
    tick = int(D(price) * 10)
    return [str(order.account) for order in engine.books[COIN].bids.queues[-tick].values()]


@pytest.fixture
def mine(engine: Engine) -> OrderState:
    """Alice's bid of 100.0 x 1.00, with Bob's behind it."""
    state = engine.add("alice", limit("buy", "100.0", "1.00", cl_ord_id="mine"))
    engine.add("bob", limit("buy", "100.0", "0.50"))
    engine.drain()
    return state


def test_less_quantity_keeps_the_place(engine: Engine, mine: OrderState) -> None:
    engine.advance(START_NS + 5)
    amend_id, state = engine.amend("alice", AmendOrder(order_id=mine.order_id, order_qty=D("0.40")))
    assert (state.order_id, state.order_qty, state.amended) == (mine.order_id, D("0.40"), True)
    assert amend_id.startswith("T")
    assert queue(engine, "100.0") == ["alice", "bob"]
    moves, reports, entries = engine.drain()
    assert types(reports) == ["amended"]
    assert reports[0].order == state
    assert reports[0].exchange_ns == START_NS + 5
    assert [(move.bids, move.asks) for move in moves] == [({-1000: 90}, {})]
    assert entries == []


def test_more_quantity_goes_to_the_back(engine: Engine, mine: OrderState) -> None:
    engine.amend("alice", AmendOrder(cl_ord_id="mine", order_qty=D("1.01")))
    assert queue(engine, "100.0") == ["bob", "alice"]
    assert engine.books[COIN].bids.totals[-1000] == 151


def test_another_price_goes_to_the_back_of_its_level(engine: Engine, mine: OrderState) -> None:
    engine.add("bob", limit("buy", "100.5", "0.50"))
    _, state = engine.amend("alice", AmendOrder(order_id=mine.order_id, limit_price=D("100.5")))
    assert state.limit_price == D("100.5")
    assert queue(engine, "100.5") == ["bob", "alice"]
    assert queue(engine, "100.0") == ["bob"]


def test_less_quantity_at_another_price_goes_to_the_back_too(engine: Engine, mine: OrderState) -> None:
    engine.add("bob", limit("buy", "100.5", "0.50"))
    engine.amend("alice", AmendOrder(order_id=mine.order_id, limit_price=D("100.5"), order_qty=D("0.10")))
    assert queue(engine, "100.5") == ["bob", "alice"]


def test_amend_back_to_the_same_price_has_lost_the_place(engine: Engine, mine: OrderState) -> None:
    for price in ("100.5", "100.0"):
        engine.amend("alice", AmendOrder(order_id=mine.order_id, limit_price=D(price)))
    assert queue(engine, "100.0") == ["bob", "alice"]


def test_amend_that_crosses_takes(engine: Engine, mine: OrderState) -> None:
    _, state = engine.amend("alice", AmendOrder(order_id=mine.order_id, limit_price=D("101.0"), order_qty=D("1.20")))
    assert (state.status, state.cum_qty) == ("partially_filled", D("1.00"))
    moves, reports, _ = engine.drain()
    assert types(reports) == ["amended", "trade"]
    fill = reports[-1].execution
    assert fill is not None
    assert (fill.price, fill.is_maker) == (D("101.0"), False)
    assert len(moves) == 1
    assert moves[0].bids == {-1000: 50, -1010: 20}
    assert engine.open_orders("alice") == [state]


def test_amend_that_takes_all_ends_filled(engine: Engine, mine: OrderState) -> None:
    _, state = engine.amend("alice", AmendOrder(order_id=mine.order_id, limit_price=D("101.0")))
    assert state.status == "filled"
    assert types(engine.drain().reports) == ["amended", "trade", "filled"]
    assert engine.available("alice", "USD") == engine.balances("alice")["USD"]


def test_amend_counts_what_is_filled_already(engine: Engine, mine: OrderState) -> None:
    engine.add("bob", limit("sell", "100.0", "0.30"))
    _, state = engine.amend("alice", AmendOrder(order_id=mine.order_id, order_qty=D("0.50")))
    assert (state.status, state.cum_qty) == ("partially_filled", D("0.30"))
    assert engine.books[COIN].bids.totals[-1000] == 20 + 50
    assert queue(engine, "100.0") == ["alice", "bob"]


@pytest.mark.parametrize("qty", ["0.30", "0.29", "0.02", "0.01"])
def test_amend_to_what_is_filled_already_cancels_the_rest(engine: Engine, mine: OrderState, qty: str) -> None:
    engine.add("bob", limit("sell", "100.0", "0.30"))
    engine.drain()
    _, state = engine.amend("alice", AmendOrder(order_id=mine.order_id, order_qty=D(qty)))
    assert (state.status, state.cum_qty, state.reason) == ("canceled", D("0.30"), "User requested")
    moves, reports, _ = engine.drain()
    assert types(reports) == ["canceled"]
    assert moves[0].bids == {-1000: 50}


def test_amend_ids_differ(engine: Engine, mine: OrderState) -> None:
    ids = {engine.amend("alice", AmendOrder(cl_ord_id="mine", order_qty=D(qty)))[0] for qty in ("0.9", "0.8", "0.7")}
    assert len(ids) == 3


def test_level3_sees_a_reduction_as_a_change_and_a_move_as_two(engine: Engine, mine: OrderState) -> None:
    book = engine.books[COIN]
    book.records_orders = True
    number = next(iter(book.bids.queues[-1000]))
    assert engine.order_text(number) == mine.order_id
    engine.advance(START_NS + 5)
    engine.amend("alice", AmendOrder(cl_ord_id="mine", order_qty=D("0.40")))
    engine.amend("alice", AmendOrder(cl_ord_id="mine", limit_price=D("100.1")))
    first, second = engine.drain().moves
    assert first.orders == [OrderChange("modify", number, True, -1000, 40, START_NS + 5)]
    assert [(each.event, each.key, each.lots) for each in second.orders] == [("delete", -1000, 40), ("add", -1001, 40)]


def test_cancelled_order_leaves_the_book(engine: Engine, mine: OrderState) -> None:
    state = engine.cancel("alice", order_id=mine.order_id)
    assert (state.status, state.reason) == ("canceled", "User requested")
    moves, reports, _ = engine.drain()
    assert types(reports) == ["canceled"]
    assert moves[0].bids == {-1000: 50}
    assert engine.order("alice", mine.order_id) == state
    with pytest.raises(Refusal, match=r"^EOrder:Unknown order$"):
        engine.cancel("alice", order_id=mine.order_id)


def test_cancel_by_cl_ord_id_and_with_another_reason(engine: Engine, mine: OrderState) -> None:
    state = engine.cancel("alice", cl_ord_id="mine", reason="Cancel all orders after")
    assert (state.order_id, state.reason) == (mine.order_id, "Cancel all orders after")


def test_cancel_names_exactly_one_order(engine: Engine, mine: OrderState) -> None:
    for name in ({}, {"order_id": mine.order_id, "cl_ord_id": "mine"}):
        with pytest.raises(Refusal, match=r"^EGeneral:Invalid arguments:order_id$"):
            engine.cancel("alice", **name)


def test_cancel_by_userref_takes_all_that_share_it(engine: Engine) -> None:
    shared = [engine.add("alice", limit("buy", price, "0.50", order_userref=7)) for price in ("98.0", "97.0")]
    shared.append(engine.add("alice", limit("buy", "1.00", "1.0", symbol=TOKEN, order_userref=7)))
    other = engine.add("alice", limit("buy", "98.0", "0.50", order_userref=8))
    engine.add("bob", limit("buy", "98.0", "0.50", order_userref=7))
    engine.drain()
    cancelled = engine.cancel_by_userref("alice", 7)
    assert [state.order_id for state in cancelled] == [state.order_id for state in shared]
    assert {state.status for state in cancelled} == {"canceled"}
    assert engine.open_orders("alice") == [other]
    assert len(engine.open_orders("bob")) == 1
    assert engine.cancel_by_userref("alice", 7) == []


def test_cancel_all_makes_one_move_a_book(engine: Engine) -> None:
    for price in ("98.0", "97.0"):
        engine.add("alice", limit("buy", price, "0.50"))
    engine.add("alice", limit("buy", "1.00", "1.0", symbol=TOKEN))
    engine.drain()
    assert engine.cancel_all("alice") == 3
    moves, reports, _ = engine.drain()
    assert types(reports) == ["canceled"] * 3
    assert [(move.symbol, move.bids) for move in moves] == [(COIN, {-980: 0, -970: 0}), (TOKEN, {-100: 0})]
    assert engine.cancel_all("alice") == 0
    assert not engine.has_effects
