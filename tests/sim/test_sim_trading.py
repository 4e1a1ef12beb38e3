from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from helpers.desks import Desk, limit, reports
from krakenwire.sim.sessions.trading import METHODS

TIMES = '"time_in":"2023-11-14T22:13:20.000000Z","time_out":"2023-11-14T22:13:20.000000Z"'


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_add_order_echoes_the_id_that_the_client_gave(desk: Desk) -> None:
    client, token = desk.subscribed()
    for ids in ({"cl_ord_id": "mine"}, {"order_userref": -7}, {}):
        (answer,) = client.ask("add_order", **limit(token, "buy", "0.01", "60000", **ids))
        assert list(answer["result"].items())[1:] == list(ids.items())
        assert len(answer["result"]["order_id"]) == len("OXXXXX-XXXXX-XXXXXX")


async def test_order_that_is_only_validated_has_an_empty_id_and_does_not_exist(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    (answer,) = client.ask("add_order", 5, **limit(token, "buy", "0.01", "60000", validate=True))
    assert client.frames[-1].decode() == (
        f'{{"method":"add_order","req_id":5,"result":{{"order_id":""}},"success":true,{TIMES}}}'
    )
    assert answer["success"]
    assert desk.exchange.market.engine.open_orders("alice") == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"order_type": None}, "EGeneral:Invalid arguments:order_type"),
        ({"order_type": "dance"}, "EGeneral:Invalid arguments:order_type"),
        ({"order_type": 5}, "EGeneral:Invalid arguments:order_type"),
        ({"order_type": "iceberg"}, "EGeneral:Invalid arguments:order_type 'iceberg' is not simulated"),
        ({"order_type": "stop-loss"}, "EGeneral:Invalid arguments:order_type 'stop-loss' is not simulated"),
        ({"side": "hold"}, "EGeneral:Invalid arguments:side"),
        ({"side": None}, "EGeneral:Invalid arguments:side"),
        ({"symbol": 7}, "EGeneral:Invalid arguments:symbol"),
        ({"symbol": "XLM/GBP"}, "EQuery:Unknown asset pair"),
        ({"order_qty": None}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": "0.01"}, "Order_qty field must be a number_float"),
        ({"order_qty": True}, "Order_qty field must be a number_float"),
        ({"order_qty": [1]}, "Order_qty field must be a number_float"),
        ({"order_qty": 0}, "EGeneral:Invalid arguments:"),
        ({"order_qty": -1}, "EGeneral:Invalid arguments:"),
        ({"order_qty": Decimal("1e40")}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": Decimal("1e-41")}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": 10**60}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": 10**30}, "E"),
        ({"order_qty": Decimal("0.00001")}, "EOrder:Order minimum not met"),
        ({"order_qty": 20}, "EOrder:Insufficient funds"),
        ({"limit_price": None}, "EGeneral:Invalid arguments:limit_price"),
        ({"limit_price": "60000"}, "Limit_price field must be a number_float"),
        ({"limit_price": -1}, "EOrder:Invalid price"),
        ({"limit_price": Decimal("60000.01")}, "EOrder:Tick size check failed"),
        ({"limit_price_type": "static"}, None),
        ({"limit_price_type": "pct"}, "EGeneral:Invalid arguments:limit_price_type 'pct' is not simulated"),
        ({"limit_price_type": "magic"}, "EGeneral:Invalid arguments:limit_price_type"),
        ({"time_in_force": "GTC"}, "EGeneral:Invalid arguments:time_in_force"),
        ({"time_in_force": "gtd"}, "EGeneral:Invalid arguments:expire_time"),
        ({"expire_time": "2023-11-15T00:00:00Z"}, "EGeneral:Invalid arguments:expire_time"),
        ({"time_in_force": "gtd", "expire_time": "2023-11-15T00:00:00Z"}, None),
        ({"time_in_force": "gtd", "expire_time": "2023-11-15T01:00:00+01:00"}, None),
        ({"time_in_force": "gtd", "expire_time": "+60"}, "EGeneral:Invalid arguments:expire_time"),
        ({"time_in_force": "gtd", "expire_time": 1700006400}, "EGeneral:Invalid arguments:expire_time"),
        ({"time_in_force": "gtd", "expire_time": "2023-11-14T00:00:00Z"}, "EGeneral:Invalid arguments:expire_time"),
        ({"effective_time": "2023-11-14T22:00:00Z"}, None),
        ({"effective_time": "2023-11-14T23:00:00Z"}, "EGeneral:Invalid arguments:effective_time is not simulated"),
        ({"effective_time": "soon"}, "EGeneral:Invalid arguments:effective_time"),
        ({"deadline": "2023-11-14T22:13:20.500Z"}, None),
        ({"deadline": "2023-11-14T22:14:20Z"}, None),
        ({"deadline": "2023-11-14T23:14:20+01:00"}, None),
        ({"deadline": "2023-11-14T17:14:20-05:00"}, None),
        ({"deadline": "2023-11-14T22:13:20.499Z"}, "EGeneral:Invalid arguments:deadline"),
        ({"deadline": "2023-11-14T22:14:20.001Z"}, "EGeneral:Invalid arguments:deadline"),
        ({"deadline": "2023-11-14T22:13:19.999Z"}, "EService:Deadline elapsed"),
        ({"deadline": 5}, "EGeneral:Invalid arguments:deadline"),
        ({"post_only": True}, None),
        ({"post_only": "yes"}, "EGeneral:Invalid arguments:post_only"),
        ({"post_only": True, "limit_price": 90000}, "EOrder:Post only order"),
        ({"reduce_only": False, "margin": False, "no_mpp": True}, None),
        ({"reduce_only": True}, "EGeneral:Invalid arguments:reduce_only is not simulated"),
        ({"margin": True}, "EGeneral:Invalid arguments:margin is not simulated"),
        ({"cl_ord_id": "x" * 19}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": 5}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": "a", "order_userref": 1}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"order_userref": "1"}, "EGeneral:Invalid arguments:order_userref"),
        ({"order_userref": 2**31}, "EGeneral:Invalid arguments:order_userref"),
        ({"fee_preference": "quote", "stp_type": "cancel_newest"}, None),
        ({"fee_preference": "base"}, "EGeneral:Invalid arguments:fee_preference 'base' is not simulated"),
        ({"stp_type": "cancel_both"}, "EGeneral:Invalid arguments:stp_type 'cancel_both' is not simulated"),
        ({"stp_type": "cancel-newest"}, "EGeneral:Invalid arguments:stp_type"),
        ({"validate": 1}, "EGeneral:Invalid arguments:validate"),
        ({"cash_order_qty": 5}, "EGeneral:Invalid arguments:cash_order_qty is not simulated"),
        ({"triggers": {"price": 1}}, "EGeneral:Invalid arguments:triggers is not simulated"),
        ({"conditional": {}}, "EGeneral:Invalid arguments:conditional is not simulated"),
        ({"display_qty": 1}, "EGeneral:Invalid arguments:display_qty is not simulated"),
        ({"volume": 1}, "Unsupported field: 'volume' for the given msg type: add_order"),
        ({"price": 1}, "Unsupported field: 'price' for the given msg type: add_order"),
        ({"token": None}, "Token(s) not found"),
        ({"token": 5}, "Token(s) not found"),
        ({"token": "stale"}, "EAPI:Invalid token"),
    ],
)
async def test_new_order_is_read_strictly(desk: Desk, changes: dict[str, Any], error: str | None) -> None:
    client, token = desk.subscribed("executions", account="bob")
    order = limit(token, "buy", "0.01", "60000") | changes
    answer, *told = client.ask("add_order", 9, **{name: value for name, value in order.items() if value is not None})
    assert answer.get("error", "").startswith(error or "")
    assert (answer["success"], answer["req_id"]) == (error is None, 9)
    assert len(reports(told)) == (2 if error is None else 0)


async def test_numbers_are_taken_as_exactly_as_they_were_written(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    for qty, price in (("0.12345678", "50000.1"), ("1e-4", "6.00001e4"), ("1.0E0", "60000.10000"), ("3", "60000")):
        raw = json.dumps(limit(token, "buy", "1", "1") | {"order_qty": "QTY", "limit_price": "PRICE"}, default=str)
        text = f'{{"method":"add_order","params":{raw}}}'.replace('"QTY"', qty).replace('"PRICE"', price)
        client.peer.receive(text.encode())
        _, pending, _ = client.news()
        assert pending["data"][0]["order_qty"] == Decimal(qty)
        assert pending["data"][0]["limit_price"] == Decimal(price)


async def test_number_of_too_many_digits_makes_the_request_malformed(desk: Desk) -> None:
    client, token = desk.subscribed()
    for digits, error in ((100, "EGeneral:Invalid arguments:limit_price"), (101, "Malformed request")):
        (answer,) = client.ask("add_order", **limit(token, "buy", "1", "0." + "1" * (digits - 2)))
        assert answer["error"] == error


async def test_market_order_is_filled_at_once(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    order = {name: value for name, value in limit(token, "sell", "0.01", "1").items() if name != "limit_price"}
    answer, *told = client.ask("add_order", **order | {"order_type": "market"})
    assert answer["success"]
    assert [each["exec_type"] for each in reports(told)][-1] == "filled"
    assert "limit_price" not in reports(told)[0]


async def test_amend_answers_with_its_id_and_the_name_that_was_used(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    order_id = client.ask("add_order", **limit(token, "buy", "1", "50000", cl_ord_id="mine"))[0]["result"]["order_id"]
    for name in ({"order_id": order_id}, {"cl_ord_id": "mine"}):
        price = desk.price("bid") - len(name) - len(client.frames)
        answer, amended = client.ask("amend_order", token=token, limit_price=price, symbol="BTC/USD", **name)
        assert answer["result"] == {"amend_id": answer["result"]["amend_id"], **name}
        assert answer["result"]["amend_id"] != order_id
        assert amended["data"][0]["limit_price"] == price


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": "O", "cl_ord_id": "mine"}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": ["O"]}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": "O12345-12345-123456", "order_qty": 1}, "EOrder:Unknown order"),
        ({"cl_ord_id": "mine"}, "EOrder:No amendable parameters"),
        ({"cl_ord_id": "mine", "order_qty": 1}, "EOrder:No amendable parameters"),
        ({"cl_ord_id": "mine", "order_qty": "2"}, "Order_qty field must be a number_float"),
        ({"cl_ord_id": "mine", "limit_price": 99999, "post_only": True}, "EOrder:Post only order"),
        ({"cl_ord_id": "mine", "limit_price": 40000, "limit_price_type": "pct"},
         "EGeneral:Invalid arguments:limit_price_type"),
        ({"cl_ord_id": "mine", "limit_price": 40000, "deadline": "2023-11-14T22:00:00Z"}, "EService:Deadline elapsed"),
        ({"cl_ord_id": "mine", "trigger_price": 5}, "EGeneral:Invalid arguments:trigger_price is not simulated"),
        ({"cl_ord_id": "mine", "display_qty": 5}, "EGeneral:Invalid arguments:display_qty is not simulated"),
        ({"cl_ord_id": "mine", "qty": 5}, "Unsupported field: 'qty' for the given msg type: amend_order"),
    ],
)  # fmt: skip
async def test_wrong_amend_is_refused_and_changes_nothing(desk: Desk, params: dict[str, Any], error: str) -> None:
    client, token = desk.subscribed()
    client.ask("add_order", **limit(token, "buy", "1", "50000", cl_ord_id="mine"))
    before = desk.exchange.market.engine.open_orders("alice")
    (answer,) = client.ask("amend_order", token=token, **params)
    assert (answer["error"], answer["success"]) == (error, False)
    assert desk.exchange.market.engine.open_orders("alice") == before


async def test_cancel_is_answered_once_an_order_under_one_req_id(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    first, second = (
        client.ask("add_order", **limit(token, "buy", "0.01", "50000", order_userref=7))[0]["result"]["order_id"]
        for _ in range(2)
    )
    named = client.ask("add_order", **limit(token, "buy", "0.01", "50000", cl_ord_id="mine"))[0]["result"]["order_id"]
    answers = client.ask("cancel_order", 12, token=token, order_id=[first, "O"], cl_ord_id=["mine"], order_userref=[7])
    assert {answer["req_id"] for answer in answers[:4]} == {12}
    assert [answer.get("result", answer.get("error")) for answer in answers[:4]] == [
        {"order_id": first},
        "EOrder:Unknown order",
        {"cl_ord_id": "mine"},
        {"order_id": second, "order_userref": 7},
    ]
    assert [report["order_id"] for report in reports(answers)] == [first, named, second]
    (again,) = client.ask("cancel_order", token=token, order_userref=[7])
    assert again["error"] == "EOrder:Unknown order"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": []}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": "O12345-12345-123456"}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": [5]}, "EGeneral:Invalid arguments:order_id"),
        ({"cl_ord_id": [None]}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"order_userref": ["1"]}, "EGeneral:Invalid arguments:order_userref"),
        ({"order_userref": [True]}, "EGeneral:Invalid arguments:order_userref"),
        ({"order_id": ["O"] * 1001}, "EGeneral:Invalid arguments:order_id"),
        ({"orders": ["O"]}, "Unsupported field: 'orders' for the given msg type: cancel_order"),
    ],
)
async def test_wrong_cancel_is_refused(desk: Desk, params: dict[str, Any], error: str) -> None:
    client, token = desk.subscribed()
    (answer,) = client.ask("cancel_order", token=token, **params)
    assert answer["error"] == error


async def test_cancel_all_counts_the_orders_of_its_account_only(desk: Desk) -> None:
    alice, token = desk.subscribed("executions")
    bob, bobs_token = desk.subscribed()
    bob.ask("add_order", **limit(desk.token("bob"), "buy", "0.01", "50000"))
    for _ in range(3):
        alice.ask("add_order", **limit(token, "buy", "0.01", "50000"))
    answer, *told = alice.ask("cancel_all", 13, token=token)
    assert (answer["result"], answer["req_id"]) == ({"count": 3}, 13)
    assert [report["exec_type"] for report in reports(told)] == ["canceled"] * 3
    assert alice.ask("cancel_all", token=token)[0]["result"] == {"count": 0}
    assert len(desk.exchange.market.engine.open_orders("bob")) == 1
    assert bobs_token != token


@pytest.mark.parametrize("method", ["edit_order", "cancel_all_orders_after", "batch_add", "batch_cancel"])
async def test_methods_that_are_not_simulated_say_so(desk: Desk, method: str) -> None:
    client, token = desk.subscribed()
    (answer,) = client.ask(method, 1, token=token, whatever=1)
    assert answer["error"] == f"EGeneral:Invalid arguments:method '{method}' is not simulated"
    assert answer["success"] is False


async def test_nothing_is_traded_in_maintenance_and_every_client_is_told_of_it(desk: Desk) -> None:
    client, token = desk.subscribed()
    order_id = client.ask("add_order", **limit(token, "buy", "0.01", "50000"))[0]["result"]["order_id"]
    for status, add, cancel in (
        ("maintenance", "EService:Unavailable", "EService:Unavailable"),
        ("cancel_only", "EService:Market in cancel_only mode", None),
    ):
        desk.exchange.set_status(status)  # type: ignore[arg-type]  # the loop's text is one of the literals
        (told,) = client.news()
        assert (told["channel"], told["data"][0]["system"]) == ("status", status)
        (answer,) = client.ask("add_order", **limit(token, "buy", "0.01", "50000"))
        assert answer["error"] == add
        (answer,) = client.ask("cancel_order", token=token, order_id=[order_id])
        assert answer.get("error") == cancel


async def test_methods_of_the_private_door_are_no_events_elsewhere(desk: Desk) -> None:
    client = desk.client()
    for door in ("public", "l3"):
        other = type(client).connect(desk.exchange, door)
        other.news()
        for method in METHODS:
            (answer,) = other.ask(method, token=desk.token())
            assert answer["error"] == "Unsupported event"
