"""What a client sees of connections that are cut, dead, slow, late or refused, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from helpers.faulted import SYMBOLS, Watcher, only
from helpers.simclients import PATIENCE_S, RawClient, WsClient
from krakenwire.clock import ManualClock
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def server(clock: ManualClock) -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(Market(select(SYMBOLS), seed=1), hold=True, clock=clock) as server:
        yield server


async def settle() -> None:
    """Let whatever is on its way through loopback sockets arrive."""
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012, 1013])
async def test_cut_connection_ends_with_the_code_and_the_reason_that_were_asked_for(
    server: SimulatorServer, code: int
) -> None:
    client, witness = await RawClient.connect(server.url), await WsClient.connect(server.url)
    status = json.loads((await client.frame())[1])
    fault = server.exchange.faults.inject(
        "cut", code=code, reason="because", connection_id=status["data"][0]["connection_id"]
    )
    assert await client.end() == b"\x88\x09" + code.to_bytes(2, "big") + b"because"
    assert only(fault)["what"] == {"code": code}
    assert only(fault)["connection_id"] == status["data"][0]["connection_id"]
    await witness.roundtrip()
    await client.close()


async def test_cut_without_a_goodbye_is_code_1006(server: SimulatorServer) -> None:
    clients = [await WsClient.connect(server.url) for _ in range(3)]
    fault = server.exchange.faults.inject("cut")
    assert [await client.gone() for client in clients] == [None] * 3
    assert fault.touched == 3
    assert fault.is_healed
    again = await WsClient.connect(server.url)
    await again.roundtrip()


async def test_seed_picks_one_connection_and_the_same_one_again(clock: ManualClock) -> None:
    async def cut_one(seed: int) -> list[int]:
        async with SimulatorServer(Market(select(SYMBOLS), seed=1), hold=True, clock=clock, seed=seed) as server:
            clients = [await WsClient.connect(server.url) for _ in range(5)]
            server.exchange.faults.inject("cut", code=1012, pick="one")
            await settle()
            return [number for number, client in enumerate(clients) if client.close_code == 1012]

    picked = [await cut_one(seed) for seed in (1, 1, 2, 3, 4)]
    assert [len(each) for each in picked] == [1] * 5
    assert picked[0] == picked[1]
    assert len({each[0] for each in picked}) > 1


async def test_half_open_connection_is_silent_in_both_directions_until_it_is_cut(
    server: SimulatorServer, clock: ManualClock
) -> None:
    dead, alive = await Watcher.connect(server, "BTC/USD"), await Watcher.connect(server, "BTC/USD")
    connection_id = json.loads(dead.client.frames[0])["data"][0]["connection_id"]
    fault = server.exchange.faults.inject("half_open", connection_id=connection_id, duration=30.0)
    seen = len(dead.client.frames)
    dead.client.send({"method": "ping", "req_id": 1})
    await alive.release(100)
    assert len(alive.books()) == 101
    await settle()
    assert len(dead.client.frames) == seen
    assert not dead.client.closed.is_set()
    assert server.connections == 2
    touches = fault.touches
    assert touches[1].bytes > 100 * 100
    await clock.advance(30)
    assert await dead.client.gone() is None
    assert fault.is_healed
    await alive.client.roundtrip()


async def test_half_open_connection_answers_no_ping_of_the_websocket_protocol(server: SimulatorServer) -> None:
    client = await RawClient.connect(server.url)
    await client.frame()
    ping = b"\x89\x80" + bytes(4)
    client.writer.write(ping)
    assert (await client.frame())[0] == b"\x8a\x00"
    fault = server.exchange.faults.inject("half_open")
    client.writer.write(ping)
    await settle()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.reader.readexactly(1)
    server.exchange.faults.heal(fault.id)
    await client.end()
    await client.close()


async def test_half_open_connection_does_not_keep_the_simulator_from_closing(clock: ManualClock) -> None:
    async with SimulatorServer(Market(select(SYMBOLS), seed=1), hold=True, clock=clock) as server:
        client = await WsClient.connect(server.url)
        server.exchange.faults.inject("half_open")
    await client.gone()


async def test_slow_drip_lets_so_many_bytes_a_second_through_and_frames_in_pieces(
    server: SimulatorServer, clock: ManualClock
) -> None:
    client = await RawClient.connect(server.url)
    await client.frame()
    fault = server.exchange.faults.inject("slow_drip", bytes_per_second=1000.0)
    client.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 100}})
    received = 0
    await settle()
    for _ in range(5):
        await clock.advance(0.5)
        async with asyncio.timeout(PATIENCE_S):
            received += len(await client.reader.readexactly(500))
    await settle()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.reader.readexactly(1)
    held = fault.touches[0].bytes
    assert held > 5000
    server.exchange.faults.heal(fault.id)
    async with asyncio.timeout(PATIENCE_S):
        await client.reader.readexactly(held - received)
    client.send({"method": "ping", "req_id": 5})
    assert json.loads((await client.frame())[1])["req_id"] == 5
    await client.close()


async def test_client_that_a_drip_leaves_behind_is_dropped_like_any_slow_one(clock: ManualClock) -> None:
    market = Market(select(SYMBOLS), seed=1)
    async with SimulatorServer(market, hold=True, clock=clock, max_buffer=50_000) as server:
        watcher = await Watcher.connect(server, "BTC/USD")
        server.exchange.faults.inject("slow_drip", bytes_per_second=1.0)
        server.release(1000)
        await watcher.client.gone()
        assert server.slow_clients_dropped == 1


async def test_burst_holds_everything_back_and_then_sends_it_at_once(
    server: SimulatorServer, clock: ManualClock
) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    seen = len(watcher.client.frames)
    fault = server.exchange.faults.inject("burst", duration=3.0)
    server.release(200)
    await server.finished()
    await clock.advance(2.9)
    await settle()
    assert len(watcher.client.frames) == seen
    await clock.advance(0.2)
    await watcher.client.roundtrip()
    assert len(watcher.books()) == 201
    assert all(watcher.verdicts()[1])
    assert fault.is_healed
    assert fault.touches[0].bytes == sum(map(len, watcher.raw_books()[1:]))


async def test_delayed_frames_come_late_and_in_their_order(server: SimulatorServer, clock: ManualClock) -> None:
    watcher = await Watcher.connect(server, *SYMBOLS)
    fault = server.exchange.faults.inject("delay", seconds=0.5, up_to=1.5)
    seen = len(watcher.client.frames)
    for _ in range(20):
        server.release(10)
        await server.finished()
    await clock.advance(0.4)
    await settle()
    assert len(watcher.client.frames) == seen
    await clock.advance(0.6)
    await settle()
    assert seen < len(watcher.client.frames) < seen + 200
    await clock.advance(0.5)
    server.exchange.faults.heal(fault.id)
    await watcher.client.roundtrip()
    for symbol in SYMBOLS:
        assert all(watcher.verdicts(symbol)[1])
    assert sum(len(watcher.books(symbol)) for symbol in SYMBOLS) == 203
    assert fault.touched >= 20


async def test_goodbye_does_not_overtake_what_is_late(server: SimulatorServer, clock: ManualClock) -> None:
    for kind, parameters in (("delay", {"seconds": 1.0}), ("burst", {}), ("slow_drip", {"bytes_per_second": 1e6})):
        client = await WsClient.connect(server.url)
        await client.roundtrip()
        fault = server.exchange.faults.inject(kind, **parameters)
        client.send({"method": "ping", "req_id": 7})
        await settle()
        server.exchange.faults.inject("cut", code=1012)
        await settle()
        assert not client.closed.is_set()
        await clock.advance(1.1)
        assert await client.gone() == 1012
        assert json.loads(client.frames[-1])["req_id"] == 7
        server.exchange.faults.heal(fault.id)


async def test_faults_of_the_wire_stack_and_are_taken_away_in_any_order(
    server: SimulatorServer, clock: ManualClock
) -> None:
    faults = server.exchange.faults
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        watcher = await Watcher.connect(server, "BTC/USD")
        injected = [
            faults.inject("slow_drip", bytes_per_second=2000.0),
            faults.inject("delay", seconds=0.3),
            faults.inject("burst", duration=60.0),
        ]
        server.release(50)
        await server.finished()
        await clock.advance(1)
        for number in order:
            faults.heal(injected[number].id)
            await clock.advance(0.01)
        await watcher.client.roundtrip()
        assert len(watcher.books()) == 51
        assert all(watcher.verdicts()[1])
        await watcher.client.hang_up()


async def test_text_that_is_not_json_is_sent_between_frames_that_are(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("not_json")
    other = server.exchange.faults.inject("not_json", text="<html>502</html>")
    await settle()
    broken = []
    for frame in watcher.client.frames:
        try:
            json.loads(frame)
        except ValueError:
            broken.append(frame)
    assert [len(each) for each in broken] == [only(fault)["bytes"], only(other)["bytes"]]
    assert broken[1] == b"<html>502</html>"


async def test_giant_frame_is_one_message_of_that_size_and_the_client_is_not_called_slow(
    server: SimulatorServer,
) -> None:
    size = 32 * 1024 * 1024
    client = await RawClient.connect(server.url, limit=2 * size)
    await client.frame()
    fault = server.exchange.faults.inject("giant_frame", size=size)
    _, payload = await client.frame()
    assert len(payload) == size == only(fault)["bytes"]
    assert json.loads(payload)["channel"] == "heartbeat"
    client.send({"method": "ping", "req_id": 5})
    assert json.loads((await client.frame())[1])["req_id"] == 5
    assert server.slow_clients_dropped == 0
    await client.close()


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_upgrade_is_refused_with_the_status_so_many_times(server: SimulatorServer, status: int) -> None:
    there = await WsClient.connect(server.url)
    fault = server.exchange.faults.inject("refuse_connect", status=status, count=2)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError, match=rf"HTTP/1\.1 {status} "):
            await RawClient.connect(server.url)
    again = await RawClient.connect(server.url)
    await again.frame()
    await again.close()
    await there.roundtrip()
    assert fault.is_healed
    assert [touch.what["status"] for touch in fault.touches] == [status] * 2
    assert {touch.door for touch in fault.touches} == {"public"}


async def test_upgrade_is_refused_for_a_time(server: SimulatorServer, clock: ManualClock) -> None:
    server.exchange.faults.inject("refuse_connect", duration=600.0, after=1.0)
    early = await RawClient.connect(server.url)
    await clock.advance(2)
    with pytest.raises(ConnectionRefusedError, match="503 Service Unavailable"):
        await RawClient.connect(server.url)
    await clock.advance(600)
    late = await RawClient.connect(server.url)
    await early.close()
    await late.close()
