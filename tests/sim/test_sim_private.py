from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from helpers.desks import Desk, limit, reports
from helpers.memoryclient import MemoryClient
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.accounts.file import parse_definitions

TIME = "2023-11-14T22:13:20.000000Z"
FLAGS = {"snap_orders": True, "snap_trades": False, "snapshot": True}
WARNINGS = [
    "cancel_reason is deprecated, use reason",
    "stop_price is deprecated, use triggers.price",
    "trigger is deprecated use triggers.reference",
    "triggered_price is deprecated use triggers.last_price",
]


@pytest.fixture
async def desk() -> Desk:
    return Desk()


def texts(client: MemoryClient, since: int) -> list[str]:
    return [frame.decode() for frame in client.frames[since:]]


# --- subscribing ------------------------------------------------------------------------------------------------------


async def test_executions_are_acknowledged_with_the_tier_and_opened_with_a_snapshot(desk: Desk) -> None:
    client = desk.client()
    client.ask("subscribe", 7, channel="executions", token=desk.token())
    warnings = json.dumps(WARNINGS, separators=(",", ":"))
    assert texts(client, 1) == [
        '{"method":"subscribe","req_id":7,"result":{"channel":"executions","maxratecount":180,"snap_orders":true,'
        f'"snap_trades":false,"snapshot":true,"warnings":{warnings}}},"success":true,'
        f'"time_in":"{TIME}","time_out":"{TIME}"}}',
        '{"channel":"executions","type":"snapshot","data":[],"sequence":1}',
    ]


@pytest.mark.parametrize(
    ("params", "result", "kinds"),
    [
        ({}, FLAGS, ["new"]),
        ({"snap_trades": True}, FLAGS | {"snap_trades": True}, ["new", "trade"]),
        ({"snapshot_trades": True}, FLAGS | {"snap_trades": True}, ["new", "trade"]),
        ({"snap_orders": False, "snap_trades": True}, FLAGS | {"snap_orders": False, "snap_trades": True}, ["trade"]),
        ({"snapshot": False}, FLAGS | {"snap_orders": False, "snapshot": False}, None),
        ({"snap_orders": False}, FLAGS | {"snap_orders": False, "snapshot": False}, None),
        ({"users": "all", "snap_orders": True}, FLAGS | {"snap_orders": False, "snapshot": False}, None),
        ({"ratecounter": True, "rebased": False}, FLAGS, ["new"]),
    ],
)
async def test_snapshot_of_executions_has_what_was_asked_for(
    desk: Desk, params: dict[str, Any], result: dict[str, bool], kinds: list[str] | None
) -> None:
    trader, token = desk.subscribed()
    trader.ask("add_order", **limit(token, "buy", "0.001", desk.price("ask")))
    trader.ask("add_order", **limit(token, "buy", "0.001", "50000.0"))
    ack, *opening = desk.client().ask("subscribe", channel="executions", token=token, **params)
    assert {name: ack["result"][name] for name in FLAGS} == result
    assert [each["exec_type"] for frame in opening for each in frame["data"]] == (kinds or [])
    assert [(frame["type"], frame["sequence"]) for frame in opening] == ([] if kinds is None else [("snapshot", 1)])


async def test_balances_are_opened_with_every_asset_padded_to_its_precision(desk: Desk) -> None:
    client = desk.client()
    client.ask("subscribe", channel="balances", token=desk.token("carol"))
    assert texts(client, 1) == [
        '{"method":"subscribe","result":{"channel":"balances","snapshot":true},"success":true,'
        f'"time_in":"{TIME}","time_out":"{TIME}"}}',
        '{"channel":"balances","type":"snapshot","data":[{"asset":"USD","asset_class":"currency","balance":25.0000,'
        '"wallets":[{"type":"spot","id":"main","balance":25.0000}]}],"sequence":1}',
    ]
    (ack,) = desk.client().ask("subscribe", channel="balances", token=desk.token("carol"), snapshot=False)
    assert ack["result"] == {"channel": "balances", "snapshot": False}


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "executions"}, "Token(s) not found"),
        ({"channel": "executions", "token": 7}, "Token(s) not found"),
        ({"channel": "executions", "token": ["x"]}, "Token(s) not found"),
        ({"channel": "executions", "token": "never issued"}, "EAPI:Invalid token"),
        ({"channel": "balances", "token": ""}, "EAPI:Invalid token"),
        ({"channel": "book", "symbol": ["BTC/USD"]}, "Subscription name invalid"),
        ({"channel": "level3", "symbol": ["BTC/USD"]}, "Subscription name invalid"),
        ({"channel": "status"}, "Symbol(s) not found"),
        ({"channel": 5}, "Malformed request"),
        ({}, "Malformed request"),
        ({"channel": "balances", "snap_orders": True}, "Unsupported field: 'snap_orders' for the given msg type"),
        ({"channel": "executions", "symbol": ["BTC/USD"]}, "Unsupported field: 'symbol' for the given msg type"),
        ({"channel": "executions", "snap_orders": 1}, "Malformed request"),
        ({"channel": "executions", "users": "some"}, "Malformed request"),
    ],
)
async def test_wrong_subscription_is_refused_and_nothing_is_subscribed(
    desk: Desk, params: dict[str, Any], error: str
) -> None:
    client = desk.client()
    (answer,) = client.ask("subscribe", 3, **params)
    assert answer["error"].startswith(error)
    assert (answer["success"], answer["req_id"], "result" in answer) == (False, 3, False)
    assert not client.peer.has_subscriptions


async def test_options_of_balances_may_stand_beside_the_parameters_too(desk: Desk) -> None:
    for options, kinds in (({"rebased": False}, ["snapshot"]), ({"users": "all"}, [])):
        client = desk.client()
        request = {"method": "subscribe", "params": {"channel": "balances", "token": desk.token()}, **options}
        client.peer.receive(json.dumps(request).encode())
        ack, *opening = client.news()
        assert (ack["success"], [frame["type"] for frame in opening]) == (True, kinds)
    client.peer.receive(json.dumps(request | {"params": {"channel": "executions"}}).encode())
    assert client.news()[0]["error"] == "Unsupported field: 'users' for the given msg type: subscribe"


async def test_expired_token_is_refused_unless_a_subscription_keeps_it(desk: Desk) -> None:
    holder, token = desk.subscribed("balances")
    await desk.clock.advance(901)
    (answer,) = desk.client().ask("subscribe", channel="balances", token=token)
    assert answer["error"] == "ESession:Invalid session"
    holder.news()
    assert holder.ask("subscribe", channel="executions", token=token)[0]["success"]
    for channel in ("balances", "executions"):
        assert holder.ask("unsubscribe", channel=channel, token=token)[0]["success"]
    (answer,) = holder.ask("subscribe", channel="balances", token=token)
    assert answer["error"] == "ESession:Invalid session"


async def test_key_without_the_permission_sees_nothing_of_it() -> None:
    definitions = parse_definitions(
        '[accounts.watcher]\nkey = "k"\nsecret = "c2VjcmV0"\nfunds = { USD = 5 }\n'
        "permissions = { query_funds = true, query_orders = false, trade = false, cancel = false }\n",
        name="accounts",
    )
    desk = Desk(Accounts(definitions))
    client, token = desk.client(), desk.token("watcher")
    assert client.ask("subscribe", channel="balances", token=token)[0]["success"]
    for method, params in (
        ("subscribe", {"channel": "executions"}),
        ("add_order", limit(token, "buy", "1", "1.0")),
        ("amend_order", {"order_id": "O"}),
        ("cancel_order", {"order_id": ["O"]}),
        ("cancel_all", {}),
    ):
        (answer,) = client.ask(method, **{"token": token, **params})
        assert answer["error"] == "EGeneral:Permission denied"


async def test_second_subscription_of_a_channel_is_already_there_and_an_ended_one_is_not(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    assert client.ask("subscribe", channel="executions", token=token)[0]["error"] == "Already subscribed"
    (ack,) = client.ask("unsubscribe", 4, channel="executions", token=token)
    assert (ack["result"], ack["req_id"]) == ({"channel": "executions"}, 4)
    assert client.ask("unsubscribe", channel="executions", token=token)[0]["error"] == "Subscription Not Found"
    assert len(client.ask("add_order", **limit(token, "buy", "1", "50000.0"))) == 1
    _, snapshot = client.ask("subscribe", channel="executions", token=token)
    assert (len(snapshot["data"]), snapshot["sequence"]) == (1, 1)


# --- what happens to orders -------------------------------------------------------------------------------------------


async def test_life_of_an_order_is_told_sparsely_in_kraken_words(desk: Desk) -> None:
    client, token = desk.subscribed("executions", account="bob")
    since = len(client.frames)
    client.ask("add_order", 11, **limit(token, "buy", "0.5", "60000", order_userref=3))
    (ack, pending, new) = texts(client, since)
    order_id = json.loads(ack)["result"]["order_id"]
    assert ack == (
        f'{{"method":"add_order","req_id":11,"result":{{"order_id":"{order_id}","order_userref":3}},"success":true,'
        f'"time_in":"{TIME}","time_out":"{TIME}"}}'
    )
    assert pending == (
        f'{{"channel":"executions","type":"update","data":[{{"order_id":"{order_id}","symbol":"BTC/USD",'
        '"order_qty":0.50000000,"cum_cost":0.00000,"time_in_force":"GTC","exec_type":"pending_new","side":"buy",'
        '"order_type":"limit","order_userref":3,"limit_price_type":"static","limit_price":60000.0,"stop_price":0.0,'
        f'"order_status":"pending_new","fee_usd_equiv":0.00000,"fee_ccy_pref":"fciq","timestamp":"{TIME}"}}],'
        '"sequence":2}'
    )
    assert new == (
        f'{{"channel":"executions","type":"update","data":[{{"timestamp":"{TIME}","order_status":"new",'
        f'"exec_type":"new","order_userref":3,"order_id":"{order_id}"}}],"sequence":3}}'
    )
    since = len(client.frames)
    (amended,) = reports(client.ask("amend_order", token=token, order_id=order_id, limit_price=Decimal("61000.5")))
    assert amended == {
        "timestamp": TIME,
        "exec_type": "amended",
        "order_status": "new",
        "cum_qty": Decimal("0.00000000"),
        "reason": "User requested",
        "amended": True,
        "order_qty": Decimal("0.50000000"),
        "limit_price": Decimal("61000.5"),
        "limit_price_type": "static",
        "order_userref": 3,
        "order_id": order_id,
    }
    assert list(json.loads(client.frames[since + 1])["data"][0]) == list(amended)
    (canceled,) = reports(client.ask("cancel_order", token=token, order_id=[order_id]))
    assert canceled == {
        "timestamp": TIME,
        "order_status": "canceled",
        "exec_type": "canceled",
        "cum_qty": 0,
        "cum_cost": 0,
        "fee_usd_equiv": 0,
        "avg_price": 0,
        "order_userref": 3,
        "cancel_reason": "User requested",
        "reason": "User requested",
        "order_id": order_id,
    }


async def test_fill_that_completes_an_order_is_told_as_trade_and_then_filled(desk: Desk) -> None:
    client, token = desk.subscribed("executions", "balances")
    price = desk.price("ask")
    ack, *told = client.ask("add_order", **limit(token, "buy", "0.01", price, cl_ord_id='a"quoted"id'))
    assert ack["success"], ack
    pending, _, trade, filled = reports(told)
    assert (pending["cl_ord_id"], "order_userref" in pending) == ('a"quoted"id', False)
    cost = price * Decimal("0.01")
    assert trade["exec_type"] == "trade"
    assert (trade["order_status"], trade["liquidity_ind"]) == ("partially_filled", "t")
    assert (trade["last_qty"], trade["last_price"], trade["cost"]) == (Decimal("0.01"), price, cost)
    assert (trade["cum_qty"], trade["cum_cost"], trade["avg_price"]) == (Decimal("0.01"), cost, price)
    assert [fee["asset"] for fee in trade["fees"]] == ["USD"]
    assert trade["fee_usd_equiv"] == trade["fees"][0]["qty"] > 0
    assert {"exec_id", "trade_id", "symbol", "side", "order_type", "order_id", "timestamp"} <= set(trade)
    assert (filled["exec_type"], filled["order_status"], filled["cum_qty"]) == ("filled", "filled", Decimal("0.01"))
    assert "reason" not in filled
    entries = [entry for each in told if each["channel"] == "balances" for entry in each["data"]]
    assert [entry["asset"] for entry in entries] == ["BTC", "USD"]
    assert {entry["ref_id"] for entry in entries} == {trade["exec_id"]}
    assert [entry["amount"] for entry in entries] == [Decimal("0.01"), -cost.quantize(Decimal("0.0001"))]
    assert entries[1]["balance"] == 1_000_000 + entries[1]["amount"] - entries[1]["fee"]


async def test_ledger_entry_has_the_fields_and_padding_of_a_real_one(desk: Desk) -> None:
    client, token = desk.subscribed("balances")
    since = len(client.frames)
    client.ask("add_order", **limit(token, "sell", "0.001", desk.price("bid")))
    base = texts(client, since)[1]
    entry = json.loads(base)["data"][0]
    assert base == (
        f'{{"channel":"balances","type":"update","data":[{{"ledger_id":"{entry["ledger_id"]}",'
        f'"ref_id":"{entry["ref_id"]}","timestamp":"{TIME}","type":"trade","asset":"BTC","asset_class":"currency",'
        '"category":"trade","wallet_type":"spot","wallet_id":"main","amount":-0.0010000000,"fee":0.0000000000,'
        '"balance":19.9990000000}],"sequence":2}'
    )


async def test_deposit_is_told_as_one_and_only_to_its_account(desk: Desk) -> None:
    alice, _ = desk.subscribed("balances")
    bob, _ = desk.subscribed("balances", account="bob")
    desk.exchange.market.engine.deposit("alice", "BTC", Decimal("1.5"))
    desk.exchange.publish()
    (update,) = alice.news()
    entry = update["data"][0]
    assert (entry["type"], entry["category"], entry["amount"], entry["balance"]) == (
        "deposit", "deposit", Decimal("1.5"), Decimal("21.5")
    )  # fmt: skip
    assert bob.news() == []


async def test_fees_in_other_currencies_are_valued_in_dollars_where_books_tell_their_price() -> None:
    desk = Desk(symbols=("BTC/USD", "ETH/BTC", "BTC/EUR", "ADA/EUR", "MINA/GBP"))
    client, token = desk.subscribed("executions")
    in_btc, in_eur = desk.price("bid"), desk.price("bid") / desk.price("bid", symbol="BTC/EUR")
    for symbol, qty, worth in (("ETH/BTC", "0.5", in_btc), ("ADA/EUR", "100", in_eur), ("MINA/GBP", "100", None)):
        order = limit(token, "buy", qty, desk.price("ask", symbol=symbol)) | {"symbol": symbol}
        (trade, *_) = (each for each in reports(client.ask("add_order", **order)) if each["exec_type"] == "trade")
        assert ("fee_usd_equiv" in trade) is (worth is not None)
        if worth is not None:
            expected = trade["fees"][0]["qty"] * worth
            assert abs(trade["fee_usd_equiv"] - expected) <= Decimal("0.000001")


async def test_fill_has_its_fees_with_the_digits_of_its_cost_and_is_filled_in_a_snapshot_if_it_was_the_last(
    desk: Desk,
) -> None:
    trader, token = desk.subscribed("executions")
    trader.ask("add_order", **limit(token, "buy", "0.001", desk.price("ask")))
    client = desk.client()
    client.ask("subscribe", channel="executions", token=token, snap_trades=True)
    live, snapshot = trader.frames[-2].decode(), client.frames[-1].decode()
    assert [each["order_status"] for each in json.loads(live)["data"]] == ["partially_filled"]
    assert [each["order_status"] for each in json.loads(snapshot)["data"]] == ["filled"]
    for text in (live, snapshot):
        (record,) = json.loads(text, parse_float=str)["data"]
        figures = (record["cost"], record["fee_usd_equiv"], record["fees"][0]["qty"])
        assert [len(figure.partition(".")[2]) for figure in figures] == [5, 5, 5]


async def test_open_order_in_a_snapshot_is_told_whole(desk: Desk) -> None:
    client, token = desk.subscribed()
    price = desk.price("ask")
    first_level = Decimal(desk.exchange.truth("BTC/USD", 1)[1][0][1])
    order = limit(token, "buy", f"{first_level + 1}", price, expire_time="2023-11-15T00:00:00Z", time_in_force="gtd")
    order_id = client.ask("add_order", **order)[0]["result"]["order_id"]
    client.ask("amend_order", token=token, order_id=order_id, order_qty=first_level + 2)
    _, snapshot = client.ask("subscribe", channel="executions", token=token)
    (open_order,) = snapshot["data"]
    assert open_order.pop("fee_usd_equiv") > 0
    assert open_order == {
        "order_id": order_id,
        "symbol": "BTC/USD",
        "order_qty": first_level + 2,
        "cum_cost": (first_level * price).quantize(Decimal("0.00001")),
        "time_in_force": "GTD",
        "exec_type": "new",
        "side": "buy",
        "order_type": "limit",
        "order_userref": 0,
        "limit_price_type": "static",
        "limit_price": price,
        "stop_price": 0,
        "expire_time": "2023-11-15T00:00:00.000000Z",
        "order_status": "partially_filled",
        "fee_ccy_pref": "fciq",
        "cum_qty": first_level,
        "avg_price": price,
        "timestamp": TIME,
        "amended": True,
    }


async def test_order_that_expires_is_told_even_while_nothing_moves(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    order = limit(token, "buy", "1", "30000.0", time_in_force="gtd", expire_time="2023-11-14T22:13:50Z", post_only=True)
    new = reports(client.ask("add_order", **order))[1]
    assert new["post_only"] is True
    await desk.clock.advance(29)
    assert reports(client.news()) == []
    await desk.clock.advance(1)
    (expired,) = reports(client.news())
    assert (expired["exec_type"], expired["order_status"]) == ("expired", "expired")
    assert expired["timestamp"] == "2023-11-14T22:13:50.000000Z"


async def test_each_of_several_orders_expires_at_its_own_moment(desk: Desk) -> None:
    client, token = desk.subscribed("executions")
    for second in (40, 25, 50, 30):
        times = {"time_in_force": "gtd", "expire_time": f"2023-11-14T22:13:{second}Z"}
        client.ask("add_order", **limit(token, "buy", "1", "3000", cl_ord_id=f"until{second}", **times))
    client.ask("cancel_order", token=token, cl_ord_id=["until25"])
    expired = []
    for passed in range(1, 40):
        await desk.clock.advance(1)
        expired += [(20 + passed, report["timestamp"][17:19]) for report in reports(client.news())]
    assert expired == [(30, "30"), (40, "40"), (50, "50")]


async def test_only_openings_and_ends_are_told_where_order_status_is_off(desk: Desk) -> None:
    client, token = desk.subscribed("executions", order_status=False)
    told = reports(client.ask("add_order", **limit(token, "buy", "0.01", desk.price("ask"))))
    order_id = client.ask("add_order", **limit(token, "buy", "0.01", "50000"))[0]["result"]["order_id"]
    told += reports(client.ask("amend_order", token=token, order_id=order_id, limit_price=Decimal(51000)))
    told += reports(client.ask("cancel_all", token=token))
    assert [each["exec_type"] for each in told] == ["new", "filled", "canceled"]
    assert [each["sequence"] for each in client.messages("executions")] == list(range(1, 6))


# --- who is told ------------------------------------------------------------------------------------------------------


async def test_each_connection_of_an_account_counts_for_itself_and_other_accounts_are_told_nothing(
    desk: Desk,
) -> None:
    early, token = desk.subscribed("executions", "balances")
    early.ask("add_order", **limit(token, "buy", "0.01", desk.price("ask")))
    late, _ = desk.subscribed("executions", "balances")
    other, _ = desk.subscribed("executions", "balances", account="bob")
    unsubscribed, _ = desk.subscribed()
    early.ask("add_order", **limit(token, "buy", "0.01", desk.price("ask")))
    for client, executions, balances in ((early, 9, 5), (late, 5, 3), (other, 1, 1), (unsubscribed, 0, 0)):
        for channel, frames in (("executions", executions), ("balances", balances)):
            assert [each["sequence"] for each in client.messages(channel)] == list(range(1, frames + 1))
    assert [each["data"] for each in late.messages("executions")[1:]] == [
        each["data"] for each in early.messages("executions")[5:]
    ]


async def test_client_is_answered_before_accounts_are_told_and_the_public_is_told_last(desk: Desk) -> None:
    order: list[str] = []

    class Watching(MemoryClient):
        def write(self, frames: list[bytes]) -> int:
            order.extend(json.loads(frame).get("channel", "answer") for frame in frames)
            return super().write(frames)

    public, trader = (Watching.connect(desk.exchange, door) for door in ("public", "auth"))
    public.subscribe("trade", "BTC/USD")
    token = desk.token()
    for channel in ("executions", "balances"):
        trader.ask("subscribe", channel=channel, token=token)
    order.clear()
    trader.ask("add_order", **limit(token, "buy", "0.01", desk.price("ask")))
    assert order == ["answer", *["executions"] * 4, *["balances"] * 2, "trade"]


async def test_fill_by_the_background_reaches_the_account(desk: Desk) -> None:
    client, token = desk.subscribed("executions", "balances")
    await desk.exchange.start()
    client.ask("add_order", **limit(token, "buy", "0.001", desk.price("bid"), post_only=True))
    kinds: list[str] = []
    roles: set[str] = set()
    for _ in range(200):
        await desk.clock.advance(1)
        told = client.news()
        kinds += [each["exec_type"] for each in reports(told)]
        roles |= {each["liquidity_ind"] for each in reports(told) if each["exec_type"] == "trade"}
        if "filled" in kinds:
            break
    assert kinds == [*["trade"] * (len(kinds) - 1), "filled"]
    assert roles == {"m"}
    assert client.messages("balances")[-1]["data"][0]["asset"] == "USD"
    await desk.exchange.close()
