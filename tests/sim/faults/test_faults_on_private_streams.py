"""Faults on the doors that need a token: by what a client can tell, over real sockets."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from helpers.faulted import SYMBOLS, only
from helpers.simclients import WsClient
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(Market(select(SYMBOLS), seed=1), hold=True) as server:
        yield server


def token(server: SimulatorServer, account: str = "alice") -> str:
    return server.exchange.accounts.issue_token(account, server.exchange.exchange_now_ns())


async def executions(server: SimulatorServer, account: str) -> WsClient:
    client = await WsClient.connect(server.auth_url)
    client.send({"method": "subscribe", "params": {"channel": "executions", "token": token(server, account)}})
    await client.roundtrip()
    return client


async def place(server: SimulatorServer, client: WsClient, account: str) -> None:
    price = float(server.truth("BTC/USD", 1)[0][0][0])
    wanted = {"order_type": "limit", "side": "buy", "symbol": "BTC/USD", "order_qty": 0.01, "limit_price": price}
    client.send({"method": "add_order", "params": wanted | {"token": token(server, account)}})
    await client.roundtrip()


def reports(client: WsClient) -> list[dict[str, Any]]:
    return [each for each in map(json.loads, client.frames) if each.get("channel") == "executions"]


async def test_lost_report_of_one_account_shows_as_a_jump_of_its_sequence(server: SimulatorServer) -> None:
    alice, bob = await executions(server, "alice"), await executions(server, "bob")
    fault = server.exchange.faults.inject("lose_update", channel="executions", account="alice")
    for _ in range(2):
        await place(server, bob, "bob")
        await place(server, alice, "alice")
    assert [each["sequence"] for each in reports(bob)] == [1, 2, 3, 4, 5]
    assert [each["sequence"] for each in reports(alice)] == [1, 3, 4, 5]
    assert (only(fault)["channel"], only(fault)["what"]["sequence"], only(fault)["door"]) == ("executions", 2, "auth")


async def test_doubled_report_has_the_same_sequence_twice(server: SimulatorServer) -> None:
    alice = await executions(server, "alice")
    server.exchange.faults.inject("double_update", door="auth")
    await place(server, alice, "alice")
    assert [each["sequence"] for each in reports(alice)] == [1, 2, 2, 3]


async def test_faults_of_level3_leave_the_other_doors_alone(server: SimulatorServer) -> None:
    faults = server.exchange.faults
    public, orders = await WsClient.connect(server.url), await WsClient.connect(server.l3_url)
    public.subscribe("book", "BTC/USD")
    orders.subscribe("level3", "BTC/USD", token=token(server))
    for client in (public, orders):
        await client.roundtrip()
    corrupted = faults.inject("corrupt_checksum", door="l3")
    lost = faults.inject("lose_update", channel="level3")
    server.release(100)
    await server.finished()
    for client in (public, orders):
        await client.roundtrip()
    level3 = [each for each in map(json.loads, orders.frames) if each.get("channel") == "level3"]
    sums = {each["data"][0]["timestamp"]: each["data"][0]["checksum"] for each in level3}
    assert only(corrupted)["channel"] == only(lost)["channel"] == "level3"
    # The same message: it was corrupted first, and then lost.
    assert only(lost)["what"]["timestamp"] == only(corrupted)["what"]["timestamp"] not in sums
    assert only(lost)["what"]["checksum"] == only(corrupted)["what"]["sent"]
    faults.inject("corrupt_checksum", door="l3", count=0, chance=0.5)
    server.release(50)
    await server.finished()
    await public.roundtrip()
    books = [json.loads(frame)["data"][0] for frame in public.frames if b'"book"' in frame[:20]]
    assert len(books) > 50
    assert [one["timestamp"] <= two["timestamp"] for one, two in itertools.pairwise(books)].count(False) == 0
    assert {touch.channel for fault in faults.log for touch in fault.touches} == {"level3"}


async def test_clients_of_one_door_are_cut_and_those_of_others_are_not(server: SimulatorServer) -> None:
    clients = {door: await WsClient.connect(url) for door, url in
               (("public", server.url), ("auth", server.auth_url), ("l3", server.l3_url))}  # fmt: skip
    server.exchange.faults.inject("cut", door="auth", code=1012)
    assert await clients["auth"].gone() == 1012
    for door in ("public", "l3"):
        await clients[door].roundtrip()
