"""What a client sees of requests that are refused, unanswered or answered without anything after it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from helpers.faulted import SYMBOLS, Watcher, only
from helpers.simclients import WsClient
from krakenwire.clock import ManualClock
from krakenwire.errors import UsageError
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def server(clock: ManualClock) -> AsyncIterator[SimulatorServer]:
    market = Market(select(SYMBOLS), seed=1)
    async with SimulatorServer(market, hold=True, clock=clock, rest_port=0) as server:
        yield server


def token(server: SimulatorServer, account: str = "alice") -> str:
    return server.exchange.accounts.issue_token(account, server.exchange.exchange_now_ns())


def order(server: SimulatorServer, **params: Any) -> dict[str, Any]:
    """A request for an order that rests."""
    bid = server.truth("BTC/USD", 1)[0][0][0]
    wanted = {"order_type": "limit", "side": "buy", "symbol": "BTC/USD", "order_qty": 0.01, "limit_price": float(bid)}
    return {"method": "add_order", "params": wanted | {"token": token(server)} | params, "req_id": 77}


# --- subscriptions that are mute --------------------------------------------------------------------------------------


async def test_existing_subscription_falls_silent_while_heartbeats_and_other_symbols_go_on(
    server: SimulatorServer,
) -> None:
    watcher = await Watcher.connect(server, *SYMBOLS)
    fault = server.exchange.faults.inject("mute", symbol="PEPE/USD")
    await watcher.release(3000)
    assert len(watcher.books("PEPE/USD")) == 1
    assert len(watcher.books("BTC/USD")) > 100
    assert watcher.client.frames.count(b'{"channel":"heartbeat"}') >= 2
    assert all(watcher.verdicts("BTC/USD")[1])
    assert len(fault.touches) == 1
    assert (fault.touches[0].symbol, fault.touches[0].times) == ("PEPE/USD", fault.touched)
    assert fault.touched > 100


async def test_mute_subscription_speaks_again_once_it_is_subscribed_anew(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("mute", symbol="BTC/USD")
    await watcher.release(10)
    assert len(watcher.books()) == 1
    watcher.client.send({"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    await watcher.client.roundtrip()
    assert fault.is_healed
    watcher.client.subscribe("book", "BTC/USD")
    await watcher.release(10)
    assert [each["type"] for each in watcher.books()] == ["snapshot", "snapshot", *["update"] * 10]
    assert all(watcher.verdicts()[1])


@pytest.mark.parametrize("snapshot", [False, True])
async def test_next_subscription_is_acknowledged_and_then_mute(server: SimulatorServer, snapshot: bool) -> None:
    before = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("mute", which="next", channel="book", snapshot=snapshot)
    client = await WsClient.connect(server.url)
    client.subscribe("trade", "BTC/USD")
    client.subscribe("book", "BTC/USD", req_id=3)
    ack = await client.next(lambda message: message.get("req_id") == 3)
    assert ack["success"] is True
    await before.release(50)
    await client.roundtrip()
    books = [each for each in map(json.loads, client.frames) if each.get("channel") == "book"]
    assert [each["type"] for each in books] == (["snapshot"] if snapshot else [])
    assert len(before.books()) > 40
    assert fault.touches[0].what == {"acked": True}
    assert fault.touches[-1].times == fault.touched - 1


async def test_mute_that_only_a_new_connection_cures(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("mute", symbol="BTC/USD", cure="reconnect")
    await watcher.release(10)
    for method in ("unsubscribe", "subscribe"):
        watcher.client.send({"method": method, "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    await watcher.release(10)
    assert len(watcher.books()) == 1
    await watcher.client.hang_up()
    again = await Watcher.connect(server, "BTC/USD")
    await again.release(10)
    assert len(again.books()) == 11
    assert fault.is_healed


async def test_mute_that_nothing_cures_is_mute_on_every_connection_until_it_is_healed(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD", "PEPE/USD")
    fault = server.exchange.faults.inject("mute", symbol="BTC/USD", cure="none")
    await watcher.release(20)
    await watcher.client.hang_up()
    again = await Watcher.connect(server, "BTC/USD", "PEPE/USD")
    for method in ("unsubscribe", "subscribe"):
        again.client.send({"method": method, "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    await again.release(20)
    assert again.books() == []
    assert len(again.books("PEPE/USD")) > 1
    server.exchange.faults.heal(fault.id)
    await again.release(20)
    assert len(again.books()) > 0


async def test_subscription_is_refused_for_the_symbols_that_are_meant_and_taken_for_the_others(
    server: SimulatorServer,
) -> None:
    client = await WsClient.connect(server.url)
    fault = server.exchange.faults.inject("refuse_subscription", symbol="BTC/USD", error="EService:Busy")
    client.subscribe("book", "BTC/USD", "PEPE/USD", req_id=4)
    answers = [await client.next(lambda message: message.get("req_id") == 4) for _ in range(2)]
    assert [(each["success"], each.get("error"), each.get("symbol")) for each in answers] == [
        (False, "EService:Busy", "BTC/USD"), (True, None, None)
    ]  # fmt: skip
    assert answers[1]["result"]["symbol"] == "PEPE/USD"
    assert only(fault)["what"] == {"error": "EService:Busy"}
    client.subscribe("book", "BTC/USD", req_id=5)
    assert (await client.next(lambda message: message.get("req_id") == 5))["success"] is True
    server.exchange.faults.inject("refuse_subscription")
    client.subscribe("instrument", req_id=6)
    assert (await client.next(lambda message: message.get("req_id") == 6))["error"] == "EGeneral:Internal error"


# --- requests that are not done, or not answered ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        ("bare", {"Error": "Exceeded msg rate"}),
        ("event", {"errorMessage": "Exceeded msg rate", "event": "error", "reqid": 9}),
        ("ack", {"method": "subscribe", "req_id": 9, "success": False, "error": "Exceeded msg rate"}),
    ],
)
async def test_request_is_refused_for_its_rate_and_not_done(
    server: SimulatorServer, shape: str, answer: dict[str, Any]
) -> None:
    client = await WsClient.connect(server.url)
    fault = server.exchange.faults.inject("rate_limit", shape=shape, method="subscribe", count=2)
    for number in (9, 10, 11):
        client.subscribe("book", "BTC/USD", req_id=number)
    client.send({"method": "ping", "req_id": 12})
    await client.next(lambda message: message.get("req_id") == 12)
    got = [json.loads(frame) for frame in client.frames[1:]]
    assert {name: got[0].get(name) for name in answer} == answer
    assert got[2]["req_id"] == 11
    assert got[2]["success"] is True
    assert [touch.what for touch in fault.touches] == [{"method": "subscribe", "shape": shape}] * 2


async def test_order_is_accepted_and_its_answer_is_lost(server: SimulatorServer) -> None:
    client = await WsClient.connect(server.auth_url)
    client.send({"method": "subscribe", "params": {"channel": "executions", "token": token(server)}})
    await client.roundtrip()
    fault = server.exchange.faults.inject("lose_reply")
    client.send(order(server, order_qty=-1))
    assert (await client.next(lambda message: message.get("req_id") == 77))["success"] is False
    client.send(order(server, cl_ord_id="mine"))
    await client.roundtrip()
    after = [json.loads(frame) for frame in client.frames[-4:]]
    assert not any(message.get("success") for message in after)
    reports = [message["data"][0] for message in after if message.get("channel") == "executions"]
    assert [each["exec_type"] for each in reports] == ["pending_new", "new"]
    assert len(server.exchange.market.engine.open_orders("alice")) == 1
    assert only(fault)["what"] == {"method": "add_order", "req_id": 77, "success": True}
    assert only(fault)["door"] == "auth"


async def test_order_is_accepted_and_the_connection_is_cut_instead_of_an_answer(
    server: SimulatorServer, clock: ManualClock
) -> None:
    client = await WsClient.connect(server.auth_url)
    server.exchange.faults.inject("lose_reply", cut=True, account="bob")
    client.send(order(server))
    assert (await client.next(lambda message: message.get("req_id") == 77))["success"] is True
    server.exchange.faults.inject("lose_reply", cut=True, account="alice")
    client.send(order(server, cl_ord_id="second"))
    while len(server.exchange.market.engine.open_orders("alice")) < 2:
        await clock.settle()
    await clock.advance(0.1)
    assert await client.gone() is None
    assert sum(b"add_order" in frame for frame in client.frames) == 1


async def test_expired_token_is_refused_and_the_connection_stays(server: SimulatorServer) -> None:
    client = await WsClient.connect(server.auth_url)
    good = token(server)
    client.send({"method": "subscribe", "params": {"channel": "executions", "token": good}, "req_id": 1})
    assert (await client.next(lambda message: message.get("req_id") == 1))["success"] is True
    others = server.exchange.faults.inject("expire_token", account="bob")
    fault = server.exchange.faults.inject("expire_token", account="alice")
    client.send(order(server, token=good))
    answer = await client.next(lambda message: message.get("req_id") == 77)
    assert answer["error"] == "ESession:Invalid session"
    client.send(order(server))
    assert (await client.next(lambda message: message.get("req_id") == 77))["success"] is True
    assert only(others)["what"] == {"tokens": 0, "account": "bob"}
    assert only(fault)["what"] == {"tokens": 1, "account": "alice"}


async def test_no_token_and_no_key_stands_in_the_log(server: SimulatorServer) -> None:
    client = await WsClient.connect(server.auth_url)
    faults = server.exchange.faults
    secret = token(server)
    for kind, parameters in (
        ("rate_limit", {"count": 1}),
        ("lose_reply", {"method": "any"}),
        ("rewrite", {"pattern": "success", "count": 1}),
        ("lose_update", {}),
        ("half_open", {"after": 1.0}),
        ("expire_token", {"after": 1.0}),
    ):
        faults.inject(kind, **parameters)
    for _ in range(4):
        client.send({"method": "subscribe", "params": {"channel": "balances", "token": secret}})
    await client.roundtrip()
    log = b"\n".join(faults.log_lines())
    assert secret.encode() not in log
    for name in server.exchange.accounts.names:
        credentials = server.exchange.accounts.credentials(name)
        assert credentials.key.encode() not in log
        assert credentials.secret.encode() not in log


# --- REST -----------------------------------------------------------------------------------------------------------


async def test_rest_call_is_answered_with_an_error_so_many_times(server: SimulatorServer) -> None:
    faults = server.exchange.faults
    limited = faults.inject("rest_error", call="Time", count=2)
    broken = faults.inject("rest_error", call="SystemStatus", status=503, error="nothing")
    async with httpx.AsyncClient(base_url=server.rest_url) as http:
        for _ in range(2):
            assert (await http.get("/0/public/Time")).json() == {"error": ["EAPI:Rate limit exceeded"]}
        assert (await http.get("/0/public/Time")).json()["error"] == []
        answer = await http.get("/0/public/SystemStatus")
        assert answer.status_code == 503
        with pytest.raises(ValueError, match="Expecting"):
            answer.json()
        assert (await http.get("/0/public/SystemStatus")).json()["result"]["status"] == "online"
    assert limited.touched == 2
    assert limited.touches[0].what == {"call": "Time", "status": 200, "error": "EAPI:Rate limit exceeded"}
    assert only(broken)["what"] == {"call": "SystemStatus", "status": 503}


async def test_rest_answer_is_rewritten(server: SimulatorServer) -> None:
    fault = server.exchange.faults.inject("rewrite_rest", pattern='"unixtime":', replacement='"unix":', count=1)
    async with httpx.AsyncClient(base_url=server.rest_url) as http:
        assert "unix" in (await http.get("/0/public/Time")).json()["result"]
        assert "unixtime" in (await http.get("/0/public/Time")).json()["result"]
    assert only(fault)["what"] == {"call": "Time"}
    with pytest.raises(UsageError, match="no regular expression"):
        server.exchange.faults.inject("rewrite_rest", pattern="[")
