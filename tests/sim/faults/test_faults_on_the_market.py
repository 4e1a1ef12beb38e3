"""What a client sees of maintenance, changed instruments, thin books and a clock that is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from helpers.faulted import SYMBOLS, Watcher
from helpers.simclients import NaiveBook, WsClient
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.errors import UnknownSymbol, UsageError
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


async def trade(server: SimulatorServer, client: WsClient, **params: Any) -> str | None:
    """Send an order that rests; Kraken's error, or None."""
    bid = server.truth("BTC/USD", 1)[0][0][0]
    wanted = {"order_type": "limit", "side": "buy", "symbol": "BTC/USD", "order_qty": 0.01, "limit_price": float(bid)}
    token = server.exchange.accounts.issue_token("alice", server.exchange.exchange_now_ns())
    client.send({"method": "add_order", "params": wanted | {"token": token} | params, "req_id": 1})
    answer = await client.next(lambda message: message.get("method") == "add_order")
    return answer.get("error")


async def test_maintenance_ends_through_cancel_only_and_post_only_and_everybody_is_told(
    server: SimulatorServer, clock: ManualClock
) -> None:
    watcher, trader = await Watcher.connect(server, "BTC/USD"), await WsClient.connect(server.auth_url)
    fault = server.exchange.faults.inject("maintenance", maintenance=10.0, cancel_only=5.0, post_only=2.0)

    async def look() -> tuple[str, str | None, str | None, str]:
        await trader.roundtrip()
        await watcher.client.roundtrip()
        for client in (trader, watcher.client):
            told = [json.loads(frame) for frame in client.frames if frame.startswith(b'{"channel":"status"')]
        async with httpx.AsyncClient(base_url=server.rest_url) as http:
            rest = (await http.get("/0/public/SystemStatus")).json()["result"]["status"]
        plain = await trade(server, trader)
        return told[-1]["data"][0]["system"], plain, await trade(server, trader, post_only=True), rest

    unavailable, cancels, posts = "Unavailable", "Market in cancel_only mode", "Market in post_only mode"
    assert await look() == ("maintenance", f"EService:{unavailable}", f"EService:{unavailable}", "maintenance")
    async with httpx.AsyncClient(base_url=server.rest_url) as http:
        assert (await http.get("/0/public/Ticker")).json()["error"] == ["EService:Unavailable"]
    await clock.advance(10)
    assert await look() == ("cancel_only", f"EService:{cancels}", f"EService:{cancels}", "cancel_only")
    await clock.advance(5)
    assert await look() == ("post_only", f"EService:{posts}", None, "post_only")
    assert not fault.is_healed
    await clock.advance(2)
    assert (await look())[::3] == ("online", "online")
    assert await trade(server, trader) is None
    assert [touch.what["status"] for touch in fault.touches] == ["maintenance", "cancel_only", "post_only", "online"]
    assert fault.is_healed


async def test_maintenance_that_is_healed_is_over_at_once_and_stages_can_be_skipped(
    server: SimulatorServer, clock: ManualClock
) -> None:
    client = await WsClient.connect(server.url)
    fault = server.exchange.faults.inject("maintenance", maintenance=0.0, cancel_only=3.0)
    server.exchange.faults.heal(fault.id)
    await clock.advance(30)
    await client.roundtrip()
    told = [json.loads(frame)["data"][0]["system"] for frame in client.frames if b'"status"' in frame[:20]]
    assert told == ["online", "cancel_only", "online"]


async def test_precision_changes_with_an_instrument_update_and_back_again(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    watcher.client.subscribe("instrument")
    await watcher.release(10)
    fault = server.exchange.faults.inject("precision_change", symbol="BTC/USD", price_precision=2, qty_precision=6)
    await watcher.client.roundtrip()
    updates = [json.loads(frame) for frame in watcher.client.frames if b'"instrument","type":"update"' in frame]
    (pair,) = updates[0]["data"]["pairs"]
    assert (pair["symbol"], pair["price_precision"], pair["qty_precision"]) == ("BTC/USD", 2, 6)
    again = await Watcher.connect(server, "BTC/USD")
    await again.release(20)
    assert all(again.verdicts()[1])
    price, qty = again.verdicts()[0].levels("bids")[0]
    assert (len(price.partition(".")[2]), len(qty.partition(".")[2])) == (2, 6)
    server.exchange.faults.heal(fault.id)
    await watcher.client.roundtrip()
    assert [touch.what for touch in fault.touches] == [
        {"price_precision": 2, "qty_precision": 6}, {"price_precision": 1, "qty_precision": 8}
    ]  # fmt: skip
    with pytest.raises(UsageError, match="nothing changes"):
        server.exchange.faults.inject("precision_change", symbol="BTC/USD")


async def test_status_of_one_symbol_changes_and_its_orders_are_refused(server: SimulatorServer) -> None:
    client, trader = await WsClient.connect(server.url), await WsClient.connect(server.auth_url)
    client.subscribe("instrument")
    await client.roundtrip()
    fault = server.exchange.faults.inject("instrument_status", symbol="BTC/USD", status="cancel_only")
    assert await trade(server, trader) == "EService:Market in cancel_only mode"
    server.exchange.faults.heal(fault.id)
    assert await trade(server, trader) is None
    await client.roundtrip()
    updates = [json.loads(frame) for frame in client.frames if b'"instrument","type":"update"' in frame]
    assert [[pair["status"] for pair in each["data"]["pairs"]] for each in updates] == [["cancel_only"], ["online"]]
    assert [touch.what["status"] for touch in fault.touches] == ["cancel_only", "online"]


async def test_book_is_thin_for_as_long_as_the_fault_lasts_and_its_checksum_covers_what_is_there(
    server: SimulatorServer, clock: ManualClock
) -> None:
    watcher = await Watcher.connect(server, "BTC/USD", depth=100)
    fault = server.exchange.faults.inject("thin_book", symbol="BTC/USD", levels=3, duration=60.0)
    await watcher.release(200)
    book = NaiveBook(100)
    sizes = []
    for frame in watcher.raw_books():
        assert book.apply(frame)
        sizes.append((len(book.levels("bids")), len(book.levels("asks"))))
    assert sizes[0] == (100, 100)
    assert max(map(max, sizes[2:])) <= 3
    await clock.advance(60)
    assert fault.is_healed
    await watcher.release(3000)
    book, verdicts = watcher.verdicts()
    assert all(verdicts)
    assert len(book.levels("bids")) > 10
    assert (book.levels("bids"), book.levels("asks")) == server.truth("BTC/USD", 100)
    assert [touch.what["levels"] for touch in fault.touches] == [3, "as ever"]


@pytest.mark.parametrize("kind", ["thin_book", "precision_change", "instrument_status"])
async def test_symbol_that_is_not_listed_is_refused(server: SimulatorServer, kind: str) -> None:
    with pytest.raises(UnknownSymbol):
        server.exchange.faults.inject(kind, symbol="XLM/GBP")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_clock_that_is_ahead_shifts_every_time_that_is_told_and_then_is_right_again(
    server: SimulatorServer,
) -> None:
    skewed, right = await Watcher.connect(server, "BTC/USD"), await Watcher.connect(server, "BTC/USD")
    for watcher in (skewed, right):
        watcher.client.subscribe("ohlc", "BTC/USD", interval=5)
        watcher.client.subscribe("trade", "BTC/USD")
    await skewed.release(5)
    before = len(skewed.books())
    true_ns = server.exchange.market.now_ns
    fault = server.exchange.faults.inject("clock_skew", seconds=-12.5)
    skewed.client.send({"method": "ping", "req_id": 3})
    pong = await skewed.client.next(lambda message: message.get("req_id") == 3)
    assert seconds(pong["time_in"]) == pytest.approx(true_ns / 1e9 - 12.5, abs=1e-5)
    async with httpx.AsyncClient(base_url=server.rest_url) as http:
        unixtime = (await http.get("/0/public/Time")).json()["result"]["unixtime"]
    assert unixtime == int(true_ns / 1e9 - 12.5)
    await skewed.release(60)
    server.exchange.faults.heal(fault.id)
    await skewed.release(5)
    times = [seconds(each["data"][0]["timestamp"]) for each in skewed.books()]
    assert times[before] - times[before - 1] == pytest.approx(-12.5, abs=0.5)
    assert sorted(times) != times
    assert all(skewed.verdicts()[1])
    candles = [each for each in map(json.loads, skewed.client.frames) if each.get("channel") == "ohlc"]
    shifted = next(each for each in candles if seconds(each["timestamp"]) < true_ns / 1e9)
    assert shifted["data"][0]["interval_begin"].endswith(":00.000000000Z")
    assert seconds(shifted["data"][0]["timestamp"]) % 300 == 0
    trades = [each for each in map(json.loads, skewed.client.frames) if each.get("channel") == "trade"]
    assert any(seconds(each["data"][0]["timestamp"]) < true_ns / 1e9 for each in trades)
    assert fault.injected_ns == true_ns
    assert all(touch.exchange_ns >= true_ns for touch in fault.touches)
    assert fault.healed_ns is not None
    assert fault.healed_ns > true_ns
    assert fault.touched > 100


async def test_clock_drifts_by_so_much_a_second(server: SimulatorServer, clock: ManualClock) -> None:
    client = await WsClient.connect(server.url)
    server.exchange.faults.inject("clock_skew", drift=0.01)
    shifts = []
    for _ in range(3):
        client.send({"method": "ping", "req_id": 3})
        pong = await client.next(lambda message: message.get("req_id") == 3)
        shifts.append(seconds(pong["time_out"]) - server.exchange.market.now_ns / 1e9)
        await clock.advance(10)
    assert shifts == pytest.approx([0.0, 0.1, 0.2], abs=1e-5)
    with pytest.raises(UsageError, match="nothing is skewed"):
        server.exchange.faults.inject("clock_skew")


@pytest.mark.parametrize("skew", [0.0, 30.0, -30.0])
async def test_orders_are_taken_whatever_the_exchange_says_the_time_is(server: SimulatorServer, skew: float) -> None:
    trader = await WsClient.connect(server.auth_url)
    if skew:
        server.exchange.faults.inject("clock_skew", seconds=skew)
    assert await trade(server, trader) is None


async def test_deadline_has_passed_for_an_exchange_whose_clock_is_ahead(server: SimulatorServer) -> None:
    trader = await WsClient.connect(server.auth_url)
    deadline_ns = server.exchange.exchange_now_ns() + 5 * NS_PER_S
    deadline = f"{datetime.fromtimestamp(deadline_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    assert await trade(server, trader, deadline=deadline) is None
    server.exchange.faults.inject("clock_skew", seconds=30.0)
    assert await trade(server, trader, deadline=deadline) == "EService:Deadline elapsed"
