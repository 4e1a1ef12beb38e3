"""What is refused, and in which words (PROTOCOL 5.1, 5.2, 9.5 to 9.7)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from helpers.engines import COIN, START_NS, TOKEN, alice_and_bob, engine_with, limit, market, quote
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import AddOrder, AmendOrder, EngineStatus, Refusal

D = Decimal
MONTH_NS = 31 * 24 * 3600 * 10**9


@pytest.fixture
def engine() -> Engine:
    """Alice and Bob, and a book of 99.0 x 1.00 to 101.0 x 1.00."""
    engine = engine_with()
    quote(engine, "buy", "99.0", "1.00")
    quote(engine, "sell", "101.0", "1.00")
    return engine


def refusal(engine: Engine, request: AddOrder | AmendOrder, account: str = "alice") -> str:
    """Why a request is refused; nothing may have happened."""
    before = engine.balances(account), engine.open_orders(account), engine.available(account, "USD")
    with pytest.raises(Refusal) as caught:
        _ = engine.add(account, request) if isinstance(request, AddOrder) else engine.amend(account, request)
    assert str(caught.value) == caught.value.text
    assert (engine.balances(account), engine.open_orders(account), engine.available(account, "USD")) == before
    return caught.value.text


REFUSED: list[tuple[AddOrder, str]] = [
    (limit("buy", "100.0", "1.00", symbol="XBT/USD"), "EQuery:Unknown asset pair"),
    (limit("buy", "100.0", "1.00", deadline_ns=START_NS - 1), "EService:Deadline elapsed"),
    (limit("buy", "100.05", "1.00"), "EOrder:Tick size check failed"),
    (limit("buy", "0.0", "1.00"), "EOrder:Invalid price"),
    (limit("buy", "-1.0", "1.00"), "EOrder:Invalid price"),
    (limit("buy", "NaN", "1.00"), "EOrder:Invalid price"),
    (limit("buy", "1E+999999", "1.00"), "EOrder:Tick size check failed"),
    (limit("buy", "100.0", "0.00"), "EGeneral:Invalid arguments:volume"),
    (limit("buy", "100.0", "-1.00"), "EGeneral:Invalid arguments:volume"),
    (limit("buy", "100.0", "1.001"), "EGeneral:Invalid arguments:volume"),
    (limit("buy", "100.0", "Infinity"), "EGeneral:Invalid arguments:volume"),
    (limit("buy", "100.0", "1E+999999"), "EGeneral:Invalid arguments:volume"),
    (limit("buy", "100.0", "0.01"), "EOrder:Order minimum not met"),
    (limit("buy", "10.0", "0.04"), "EOrder:Cost minimum not met"),
    (limit("buy", "100.0", "1.00", limit_price=None), "EGeneral:Invalid arguments:limit_price"),
    (market("buy", "1.00", limit_price=D(100)), "EGeneral:Invalid arguments:limit_price"),
    (market("buy", "1.00", time_in_force="fok"), "EGeneral:Invalid arguments:time_in_force"),
    (market("buy", "1.00", time_in_force="gtd"), "EGeneral:Invalid arguments:time_in_force"),
    (market("buy", "1.00", post_only=True), "EGeneral:Invalid arguments:post_only"),
    (limit("buy", "100.0", "1.00", post_only=True, time_in_force="ioc"), "EGeneral:Invalid arguments:post_only"),
    (limit("buy", "100.0", "1.00", post_only=True, time_in_force="fok"), "EGeneral:Invalid arguments:post_only"),
    (limit("buy", "100.0", "1.00", time_in_force="gtd"), "EGeneral:Invalid arguments:expire_time"),
    (limit("buy", "100.0", "1.00", expire_ns=START_NS + 1), "EGeneral:Invalid arguments:expire_time"),
    (
        limit("buy", "100.0", "1.00", time_in_force="gtd", expire_ns=START_NS),
        "EGeneral:Invalid arguments:expire_time",
    ),
    (
        limit("buy", "100.0", "1.00", time_in_force="gtd", expire_ns=START_NS + MONTH_NS + 1),
        "EGeneral:Invalid arguments:expire_time",
    ),
    (limit("buy", "100.0", "1.00", cl_ord_id="a", order_userref=1), "EGeneral:Invalid arguments:cl_ord_id"),
    (limit("buy", "100.0", "1.00", order_userref=2**31), "EGeneral:Invalid arguments:order_userref"),
    (limit("buy", "101.0", "1.00", post_only=True), "EOrder:Post only order"),
    (limit("sell", "99.0", "1.00", post_only=True), "EOrder:Post only order"),
    (limit("buy", "100.0", "99.61"), "EOrder:Insufficient funds"),
    (limit("sell", "100.0", "10000.01"), "EOrder:Insufficient funds"),
]


@pytest.mark.parametrize(("request_", "text"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_order_that_kraken_would_refuse_is_refused_in_its_words(engine: Engine, request_: AddOrder, text: str) -> None:
    assert refusal(engine, request_) == text
    assert not engine.has_effects


@pytest.mark.parametrize(("request_", "text"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_validation_refuses_what_entering_would(engine: Engine, request_: AddOrder, text: str) -> None:
    fields = {name: getattr(request_, name) for name in request_.__struct_fields__}
    assert refusal(engine, AddOrder(**{**fields, "validate": True})) == text


TAKEN: list[AddOrder] = [
    limit("buy", "100.0", "1.00", deadline_ns=START_NS),
    limit("buy", "25.0", "0.02"),
    limit("buy", "100.0", "99.60"),
    limit("sell", "100.0", "10000.00"),
    limit("buy", "100.0", "1.00", time_in_force="gtd", expire_ns=START_NS + 1),
    limit("buy", "100.0", "1.00", time_in_force="gtd", expire_ns=START_NS + MONTH_NS),
    limit("buy", "100.0", "1.00", order_userref=-(2**31)),
    market("buy", "1.00", time_in_force="ioc"),
]


@pytest.mark.parametrize("request_", TAKEN)
def test_order_at_the_edge_of_the_rules_is_taken(engine: Engine, request_: AddOrder) -> None:
    assert engine.add("alice", request_).order_id


@pytest.mark.parametrize(
    "cl_ord_id",
    ["a", "bot-42:order!", "x" * 18, "0835958d-c526-4ad8-aea8-af54836de47e", "0835958dc5264ad8aea8af54836de47e"],
)
def test_cl_ord_id_is_a_uuid_or_short_ascii(engine: Engine, cl_ord_id: str) -> None:
    assert engine.add("alice", limit("buy", "100.0", "1.00", cl_ord_id=cl_ord_id)).cl_ord_id == cl_ord_id


@pytest.mark.parametrize(
    "cl_ord_id", ["", "x" * 19, "ünicode", "with\nbreak", "0835958d-c526-4ad8-aea8-af54836de4", "a\n"]
)
def test_cl_ord_id_of_another_form_is_refused(engine: Engine, cl_ord_id: str) -> None:
    request = limit("buy", "100.0", "1.00", cl_ord_id=cl_ord_id)
    assert refusal(engine, request) == "EGeneral:Invalid arguments:cl_ord_id"


def test_cl_ord_id_is_unique_among_an_accounts_open_orders(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00", cl_ord_id="one"))
    again = limit("buy", "98.0", "1.00", cl_ord_id="one")
    assert refusal(engine, again) == "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert engine.add("bob", again).status == "new"
    engine.cancel("alice", order_id=state.order_id)
    assert engine.add("alice", again).status == "new"


def test_market_orders_cost_is_checked_at_the_best_price_it_would_meet() -> None:
    engine = engine_with()
    quote(engine, "sell", "10.0", "1.00")
    assert refusal(engine, market("buy", "0.04")) == "EOrder:Cost minimum not met"
    assert engine.add("alice", market("sell", "0.04")).status == "canceled"
    quote(engine, "buy", "9.0", "1.00")
    assert refusal(engine, market("sell", "0.05")) == "EOrder:Cost minimum not met"
    assert engine.add("alice", market("buy", "0.05")).status == "filled"


def test_open_orders_are_limited_by_symbol() -> None:
    engine = engine_with(alice_and_bob(max_open_orders=2))
    quote(engine, "sell", "101.0", "1.00")
    first = engine.add("alice", limit("buy", "100.0", "0.10"))
    engine.add("alice", limit("buy", "100.0", "0.10"))
    assert refusal(engine, limit("buy", "100.0", "0.10")) == "EOrder:Orders limit exceeded"
    assert engine.add("alice", market("buy", "0.10")).status == "filled"
    assert engine.add("alice", limit("buy", "101.0", "0.10", time_in_force="ioc")).status == "filled"
    assert engine.add("alice", limit("buy", "1.00", "1.0", symbol=TOKEN)).status == "new"
    assert engine.add("bob", limit("buy", "100.0", "0.10")).status == "new"
    engine.cancel("alice", order_id=first.order_id)
    assert engine.add("alice", limit("buy", "100.0", "0.10")).status == "new"


ORDERS: dict[str, dict[str, Any]] = {
    "limit": {"order_type": "limit", "limit_price": D("100.0")},
    "post_only": {"order_type": "limit", "limit_price": D("100.0"), "post_only": True},
    "market": {"order_type": "market"},
}


@pytest.mark.parametrize(
    ("status", "taken", "text"),
    [
        ("online", {"limit", "post_only", "market"}, ""),
        ("post_only", {"post_only"}, "EService:Market in post_only mode"),
        ("limit_only", {"limit", "post_only"}, "EService:Market in limit_only mode"),
        ("cancel_only", set(), "EService:Market in cancel_only mode"),
        ("reduce_only", set(), "EService:Market in reduce_only mode"),
        ("maintenance", set(), "EService:Unavailable"),
        ("work_in_progress", set(), "EService:Unavailable"),
        ("delisted", set(), "EQuery:Unknown asset pair"),
    ],
)
@pytest.mark.parametrize("kind", ORDERS)
def test_instrument_takes_what_its_status_allows(
    engine: Engine, status: str, taken: set[str], text: str, kind: str
) -> None:
    engine.change_instrument(COIN, status=status)
    request = AddOrder(symbol=COIN, side="buy", order_qty=D("0.10"), **ORDERS[kind])
    if kind in taken:
        assert engine.add("alice", request).order_id
    else:
        assert refusal(engine, request) == text
    assert engine.add("alice", limit("buy", "1.00", "1.0", symbol=TOKEN)).status == "new"


@pytest.mark.parametrize(
    ("status", "taken", "text"),
    [
        ("online", {"limit", "post_only", "market"}, ""),
        ("post_only", {"post_only"}, "EService:Market in post_only mode"),
        ("cancel_only", set(), "EService:Market in cancel_only mode"),
        ("maintenance", set(), "EService:Unavailable"),
    ],
)
@pytest.mark.parametrize("kind", ORDERS)
def test_engine_takes_what_its_status_allows(
    engine: Engine, status: EngineStatus, taken: set[str], text: str, kind: str
) -> None:
    engine.set_status(status)
    request = AddOrder(symbol=COIN, side="buy", order_qty=D("0.10"), **ORDERS[kind])
    if kind in taken:
        assert engine.add("alice", request).order_id
    else:
        assert refusal(engine, request) == text


AMENDS: list[tuple[dict[str, Any], str]] = [
    ({}, "EOrder:No amendable parameters"),
    ({"order_qty": D("1.00")}, "EOrder:No amendable parameters"),
    ({"limit_price": D("100.0")}, "EOrder:No amendable parameters"),
    ({"order_qty": D("1.00"), "limit_price": D("100.0"), "post_only": True}, "EOrder:No amendable parameters"),
    ({"order_qty": D("1.001")}, "EGeneral:Invalid arguments:volume"),
    ({"order_qty": D("0.00")}, "EGeneral:Invalid arguments:volume"),
    ({"limit_price": D("100.01")}, "EOrder:Tick size check failed"),
    ({"limit_price": D("0.0")}, "EOrder:Invalid price"),
    ({"order_qty": D("0.01")}, "EOrder:Order minimum not met"),
    ({"limit_price": D("0.4")}, "EOrder:Cost minimum not met"),
    ({"order_qty": D("99.61")}, "EOrder:Insufficient funds"),
    ({"limit_price": D("101.0"), "post_only": True}, "EOrder:Post only order"),
    ({"order_qty": D("0.50"), "deadline_ns": START_NS - 1}, "EService:Deadline elapsed"),
    ({"order_qty": D("0.50"), "cl_ord_id": "mine"}, "EGeneral:Invalid arguments:order_id"),
    ({"order_qty": D("0.50"), "order_id": None}, "EGeneral:Invalid arguments:order_id"),
    ({"order_qty": D("0.50"), "order_id": "OXXXXX-XXXXX-XXXXXX"}, "EOrder:Unknown order"),
    ({"order_qty": D("0.50"), "order_id": None, "cl_ord_id": "yours"}, "EOrder:Unknown order"),
]


@pytest.mark.parametrize(("fields", "text"), AMENDS)
def test_amend_that_kraken_would_refuse_is_refused_in_its_words(
    engine: Engine, fields: dict[str, Any], text: str
) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00", cl_ord_id="mine"))
    engine.drain()
    assert refusal(engine, AmendOrder(**{"order_id": state.order_id, **fields})) == text
    assert not engine.has_effects


def test_post_only_order_cannot_be_amended_into_taking(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00", post_only=True))
    amend = AmendOrder(order_id=state.order_id, limit_price=D("101.0"))
    assert refusal(engine, amend) == "EOrder:Post only order"


def test_somebody_elses_order_is_unknown(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00", cl_ord_id="mine"))
    names: list[dict[str, Any]] = [{"order_id": state.order_id}, {"cl_ord_id": "mine"}]
    for name in names:
        assert refusal(engine, AmendOrder(order_qty=D("0.50"), **name), "bob") == "EOrder:Unknown order"
        with pytest.raises(Refusal, match=r"^EOrder:Unknown order$"):
            engine.cancel("bob", **name)
    assert engine.order("bob", state.order_id) is None


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("cancel_only", "EService:Market in cancel_only mode"),
        ("post_only", "EService:Market in post_only mode"),
        ("maintenance", "EService:Unavailable"),
    ],
)
def test_amend_needs_an_engine_that_takes_such_orders(engine: Engine, status: EngineStatus, text: str) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00"))
    engine.set_status(status)
    assert refusal(engine, AmendOrder(order_id=state.order_id, order_qty=D("0.50"))) == text


def test_post_only_amend_goes_through_in_post_only_mode(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00"))
    engine.set_status("post_only")
    _, amended = engine.amend("alice", AmendOrder(order_id=state.order_id, order_qty=D("0.50"), post_only=True))
    assert amended.order_qty == D("0.50")


@pytest.mark.parametrize("status", ["maintenance", "work_in_progress"])
def test_nothing_can_be_cancelled_while_an_instrument_is_in_maintenance(engine: Engine, status: str) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00", order_userref=5))
    other = engine.add("alice", limit("buy", "1.00", "1.0", symbol=TOKEN))
    engine.change_instrument(COIN, status=status)
    with pytest.raises(Refusal, match=r"^EService:Unavailable$"):
        engine.cancel("alice", order_id=state.order_id)
    assert engine.cancel_by_userref("alice", 5) == []
    assert engine.cancel_all("alice") == 1
    assert engine.order("alice", other.order_id) not in engine.open_orders("alice")


def test_nothing_can_be_cancelled_while_the_engine_is_in_maintenance(engine: Engine) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00"))
    engine.set_status("maintenance")
    for cancel in (
        lambda: engine.cancel("alice", order_id=state.order_id),
        lambda: engine.cancel_all("alice"),
        lambda: engine.cancel_by_userref("alice", 1),
    ):
        with pytest.raises(Refusal, match=r"^EService:Unavailable$"):
            cancel()


@pytest.mark.parametrize("status", ["cancel_only", "post_only", "limit_only", "reduce_only", "delisted"])
def test_orders_can_be_cancelled_in_every_other_status(engine: Engine, status: str) -> None:
    state = engine.add("alice", limit("buy", "100.0", "1.00"))
    engine.change_instrument(COIN, status=status)
    assert engine.cancel("alice", order_id=state.order_id).status == "canceled"
