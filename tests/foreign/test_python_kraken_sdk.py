"""python-kraken-sdk against the simulator over TLS: its order book client, its token, its orders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from foreign.driver import ForeignClient, held, running
from krakenwire.testing import SimulatorThread

Foreign = Callable[[str], str]

SYMBOLS = ["BTC/USD", "ETH/USD", "MINA/GBP"]
UPDATES = 10_000


@pytest.mark.parametrize("depth", [10, 100])
async def test_order_book_client_finds_no_checksum_error_over_10_000_updates(foreign: Foreign, depth: int) -> None:
    async with held(SYMBOLS) as (server, env):
        async with running(foreign("kraken"), "sdk_books.py", depth, env=env) as client:
            await client.ask("add_book", SYMBOLS)
            while None in (await client.ask("count", *SYMBOLS))["books"].values():
                pass  # the snapshots are on their way
            server.release(UPDATES)
            while sum((found := await client.ask("count", *SYMBOLS))["updates"].values()) < UPDATES:
                assert found["errors"] == []
                assert not found["failed"]
    assert found["errors"] == []
    for symbol in SYMBOLS:
        assert levels(found["books"][symbol]) == server.truth(symbol, depth), symbol


def levels(book: dict[str, Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The bids and asks of its book."""
    bids, asks = ([(price, qty) for price, (qty, _) in book[side].items()] for side in ("bid", "ask"))
    return bids, asks


async def test_token_and_executions_of_an_order_placed_amended_filled_and_cancelled(foreign: Foreign) -> None:
    with SimulatorThread(symbols=["BTC/USD"], seed=3, rate=0, tls=True) as sim:
        async with running(foreign("kraken"), "sdk_trading.py", env=sim.env("alice")) as client:
            token = await client.ask("get_ws_token")
            assert token["expires"] == 900
            for channel in ("executions", "balances"):
                await client.ask("subscribe", {"channel": channel})
                await client.told(lambda message: message.get("channel") == channel)  # noqa: B023  # called at once
            order_id = await place_amend_fill_and_cancel(client, sim)
        assert sim.orders("alice") == []
    executions = [
        report
        for message in client.messages
        if message.get("channel") == "executions" and message["type"] == "update"
        for report in message["data"]
    ]
    assert {report["order_id"] for report in executions} == {order_id}
    assert [report["exec_type"] for report in executions] == ["pending_new", "new", "amended", "trade", "canceled"]
    assert [report["order_status"] for report in executions][-2:] == ["partially_filled", "canceled"]
    assert (executions[3]["last_qty"], executions[3]["liquidity_ind"]) == (0.01, "m")
    sequences = [message["sequence"] for message in client.messages if message.get("channel") == "executions"]
    assert sequences == list(range(1, len(sequences) + 1))
    ledger = [
        entry
        for message in client.messages
        if message.get("channel") == "balances" and message["type"] == "update"
        for entry in message["data"]
    ]
    assert {(entry["asset"], entry["amount"] > 0) for entry in ledger} == {("BTC", True), ("USD", False)}


async def place_amend_fill_and_cancel(client: ForeignClient, sim: SimulatorThread) -> str:
    """All of it over its WebSocket, but for Bob, who takes the other side."""
    bids, _ = sim.truth("BTC/USD", 1)
    best = Decimal(bids[0][0])
    better = best + Decimal("0.1")
    order = {
        "order_type": "limit",
        "side": "buy",
        "symbol": "BTC/USD",
        "order_qty": 0.05,
        "limit_price": float(best) - 100,
    }
    order_id = (await told_result(client, "add_order", order, 1))["order_id"]
    amendment = {"order_id": order_id, "order_qty": 0.03, "limit_price": float(better)}
    assert (await told_result(client, "amend_order", amendment, 2))["order_id"] == order_id
    sim.place("bob", "BTC/USD", "sell", "0.01", better)
    await client.told(lambda message: "trade" in str(message.get("data")))
    assert await told_result(client, "cancel_order", {"order_id": [order_id]}, 3) == {"order_id": order_id}
    await client.told(lambda message: "canceled" in str(message.get("data")))
    return str(order_id)


async def told_result(client: ForeignClient, method: str, params: dict[str, Any], req_id: int) -> dict[str, Any]:
    """What the exchange answers to a request of the client."""
    await client.ask("send_message", {"method": method, "params": params, "req_id": req_id})
    reply = await client.told(lambda message: message.get("req_id") == req_id)
    assert reply["success"], reply
    result: dict[str, Any] = reply["result"]
    return result
