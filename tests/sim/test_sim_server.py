from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import trustme
from picows import WSMsgType

from helpers.simclients import NaiveBook, NaiveLevel3, RawClient, WsClient, mask
from krakenwire.clock import ManualClock
from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer

SYMBOLS = ["BTC/USD", "PEPE/USD", "MINA/GBP"]


def market(seed: int = 1) -> Market:
    return Market(select(SYMBOLS), seed=seed)


def is_book(message: dict[str, Any]) -> bool:
    return message.get("channel") == "book"


def books_of(frames: list[bytes]) -> list[bytes]:
    return [frame for frame in frames if frame.startswith(b'{"channel":"book"')]


def verify(frames: list[bytes], depth: int) -> dict[str, NaiveBook]:
    books: dict[str, NaiveBook] = {}
    for frame in books_of(frames):
        symbol = json.loads(frame)["data"][0]["symbol"]
        assert books.setdefault(symbol, NaiveBook(depth)).apply(frame), frame
    return books


async def test_status_greets_every_client_with_an_id_above_53_bits() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        ids = set()
        for _ in range(3):
            client = await WsClient.connect(server.url)
            status = await client.next()
            assert status["channel"] == "status"
            assert status["data"][0]["system"] == "online"
            ids.add(status["data"][0]["connection_id"])
            await client.hang_up()
        assert len(ids) == 3
        assert min(ids) > 2**53


async def test_every_door_is_open_on_loopback_and_named_in_the_environment() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        urls = [server.url, server.auth_url, server.l3_url]
        assert all(re.fullmatch(r"ws://127\.0\.0\.1:[1-9]\d+/v2", url) for url in urls)
        assert len(set(urls)) == 3
        names = ["KRAKEN_WS_PUBLIC_URL", "KRAKEN_WS_AUTH_URL", "KRAKEN_WS_L3_URL"]
        assert server.env() == dict(zip(names, urls, strict=True))
        for property_name in ("rest_url", "control_url"):
            with pytest.raises(UsageError, match="port"):
                getattr(server, property_name)


async def test_rest_and_control_are_served_where_they_are_wanted() -> None:
    async with SimulatorServer(market(), hold=True, rest_port=0, control_port=0) as server, httpx.AsyncClient() as http:
        assert server.env()["KRAKEN_SPOT_URL"] == server.rest_url
        answer = await http.get(f"{server.rest_url}/0/public/Time")
        assert answer.json()["result"]["unixtime"] == 1_767_225_600
        await http.post(f"{server.control_url}/faults", json={"kind": "refuse_connect", "status": 429, "door": "auth"})
        with pytest.raises(ConnectionRefusedError, match="429"):
            await RawClient.connect(server.auth_url)
        await (await RawClient.connect(server.url)).close()


async def test_doors_that_are_not_wanted_stay_shut() -> None:
    async with SimulatorServer(market(), hold=True, auth_port=None, l3_port=None) as server:
        assert list(server.env()) == ["KRAKEN_WS_PUBLIC_URL"]
        with pytest.raises(UsageError, match="'l3' of this simulator is shut; there is public"):
            _ = server.l3_url


async def test_http_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    for rest_port, control_port in ((0, None), (None, 0)):
        with pytest.raises(UsageError, match=r"pip install 'krakenwire\[sim\]'"):
            SimulatorServer(market(), rest_port=rest_port, control_port=control_port)


async def test_nothing_stays_bound_if_a_port_is_taken() -> None:
    async with SimulatorServer(market(), hold=True) as first:
        taken = int(first.l3_url.rpartition(":")[2].removesuffix("/v2"))
        second = SimulatorServer(market(), hold=True, l3_port=taken)
        with pytest.raises(OSError, match="in use"):
            await second.start()
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await RawClient.connect(second.url)


async def test_every_door_speaks_tls_if_it_is_given_a_certificate() -> None:
    authority = trustme.CA()
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.configure_trust(client_side)
    async with SimulatorServer(market(), hold=True, tls=server_side) as server:
        for url in server.env().values():
            assert url.startswith("wss://127.0.0.1:")
            client = await WsClient.connect(url, ssl_context=client_side)
            assert (await client.next())["channel"] == "status"
            await client.hang_up()
        client = await WsClient.connect(server.url, ssl_context=client_side)
        client.subscribe("book", *SYMBOLS, depth=1000)
        await client.roundtrip()
        server.release(3_000)
        await server.finished()
        await client.roundtrip()
        verify(client.frames, 1000)
        await client.hang_up()


async def test_life_of_an_order_is_seen_by_both_connections_of_its_account_and_by_the_public() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        token = server.exchange.accounts.issue_token("alice", server.exchange.exchange_now_ns())
        trader, watcher = await WsClient.connect(server.auth_url), await WsClient.connect(server.auth_url)
        public, l3 = await WsClient.connect(server.url), await WsClient.connect(server.l3_url)
        for client in (trader, watcher):
            for channel in ("executions", "balances"):
                client.subscribe(channel, token=token)
            await client.roundtrip()
        public.subscribe("book", "BTC/USD", depth=100)
        l3.subscribe("level3", "BTC/USD", depth=100, token=token)
        for client in (public, l3):
            await client.roundtrip()

        def ask(method: str, **params: object) -> None:
            trader.send({"method": method, "params": {**params, "token": token}, "req_id": 5})

        _, asks = server.truth("BTC/USD", 1)
        price, best_qty = float(asks[0][0]), float(asks[0][1])
        order = {"order_type": "limit", "side": "buy", "symbol": "BTC/USD", "cl_ord_id": "mine"}
        ask("add_order", **order, order_qty=round(best_qty + 0.5, 8), limit_price=price)
        ask("amend_order", cl_ord_id="mine", limit_price=price - 10.5)
        ask("cancel_order", cl_ord_id=["mine", "mine"])
        for client in (trader, watcher, public, l3):
            await client.roundtrip()

        answers = [json.loads(frame) for frame in trader.frames if b'"req_id":5' in frame]
        assert [answer["success"] for answer in answers] == [True, True, True, False]
        for client in (trader, watcher):
            messages = [json.loads(frame) for frame in client.frames]
            executions = [each for each in messages if each.get("channel") == "executions"]
            assert [each["sequence"] for each in executions] == list(range(1, len(executions) + 1))
            kinds = [report["exec_type"] for each in executions for report in each["data"]]
            trades = kinds.count("trade")
            assert kinds == ["pending_new", "new", *["trade"] * trades, "amended", "canceled"]
            balances = [each for each in messages if each.get("channel") == "balances"]
            assert [each["sequence"] for each in balances] == list(range(1, 2 + 2 * trades))
            assert trades >= 1
        filled = executions[-1]["data"][0]["cum_qty"]
        assert filled == best_qty
        book = verify(public.frames, 100)["BTC/USD"]
        assert (book.levels("bids"), book.levels("asks")) == server.truth("BTC/USD", 100)
        orders = NaiveLevel3(100)
        assert all(orders.apply(frame) for frame in l3.frames if b'"level3","type"' in frame)
        for client in (trader, watcher, public, l3):
            await client.hang_up()


@pytest.mark.parametrize("path", ["/v3", "/", "/v2/more"])
async def test_other_path_is_not_found(path: str) -> None:
    async with SimulatorServer(market(), hold=True) as server:
        for url in server.env().values():
            with pytest.raises(ConnectionRefusedError, match="404"):
                await RawClient.connect(url.replace("/v2", path))


async def test_ack_comes_before_snapshot_and_snapshot_before_updates() -> None:
    async with SimulatorServer(market(), rate=2_000) as server:
        client = await WsClient.connect(server.url)
        client.subscribe("book", "BTC/USD", "XLM/GBP", depth=25, req_id=3)
        for _ in range(50):
            await client.next(lambda message: is_book(message) and message["type"] == "update")
        messages = [json.loads(frame) for frame in client.frames]
        assert [message.get("error", message.get("result", {}).get("symbol")) for message in messages[1:4]] == [
            "BTC/USD", None, "Currency pair not supported XLM/GBP"
        ]  # fmt: skip
        assert messages[1]["req_id"] == messages[3]["req_id"] == 3
        assert messages[2]["type"] == "snapshot"
        assert len(messages[2]["data"][0]["bids"]) == 25
        verify(client.frames, 25)
        await client.hang_up()


async def test_clients_that_join_at_different_moments_all_end_equal_to_the_truth() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        clients: list[tuple[WsClient, int]] = []
        for depth in (10, 100, 10, 1000):
            client = await WsClient.connect(server.url)
            client.subscribe("book", *SYMBOLS, depth=depth)
            await client.roundtrip()
            clients.append((client, depth))
            server.release(700)
            await server.finished()
        for client, depth in clients:
            await client.roundtrip()
            books = verify(client.frames, depth)
            assert set(books) == set(SYMBOLS)
            for symbol, book in books.items():
                assert (book.levels("bids"), book.levels("asks")) == server.truth(symbol, depth)
            await client.hang_up()


async def test_release_sends_exactly_the_messages_asked_for() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        client = await WsClient.connect(server.url)
        for channel in ("book", "trade", "ticker", "ohlc"):
            client.subscribe(channel, *SYMBOLS)
        await client.roundtrip()
        seen = len(client.frames)
        for messages in (1, 1234, 0, 3, *[1] * 40):
            server.release(messages)
            await server.finished()
            await client.roundtrip()
            data = [json.loads(frame).get("channel") for frame in client.frames[seen:]]
            assert len([channel for channel in data if channel not in (None, "heartbeat")]) == messages
            seen = len(client.frames)
        for symbol, book in verify(client.frames, 10).items():
            assert (book.levels("bids"), book.levels("asks")) == server.truth(symbol, 10)
        await client.hang_up()


async def play(seed: int) -> bytes:
    """All bytes a client with fixed requests receives, up to the end of a release."""
    received = []
    async with SimulatorServer(seed=seed, hold=True) as server:
        client = await RawClient.connect(server.url)
        for params in (
            {"channel": "instrument"},
            {"channel": "book", "symbol": ["BTC/USD", "MINA/GBP", "SHIB/USD", "NO/PE"], "depth": 100},
            {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo"},
            {"channel": "trade", "symbol": ["BTC/USD", "SHIB/USD"], "snapshot": True},
            {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 5},
        ):
            client.send({"method": "subscribe", "params": params, "req_id": 1})
        client.send({"method": "ping", "req_id": 2})
        while True:
            raw, payload = await client.frame()
            received.append(raw)
            if b'"pong"' in payload:
                break
        server.release(4_000)
        counted = 0
        while counted < 4_000:
            raw, payload = await client.frame()
            received.append(raw)
            counted += payload != b'{"channel":"heartbeat"}'
        await client.close()
    return b"".join(received)


async def test_two_runs_of_a_held_market_give_the_same_bytes() -> None:
    one, two, other = await play(7), await play(7), await play(8)
    assert one == two
    assert one != other
    assert one.count(b'{"channel":"heartbeat"}') >= 2


async def test_held_market_stands_still_until_released_and_only_a_held_one_can_be() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        client = await WsClient.connect(server.url)
        client.subscribe("book", "BTC/USD")
        before = server.truth("BTC/USD", 1000)
        for _ in range(50):
            await client.roundtrip()
        assert server.truth("BTC/USD", 1000) == before
        server.release()
        for _ in range(500):
            await client.next(is_book)
        assert server.truth("BTC/USD", 1000) != before
        await client.hang_up()
    async with SimulatorServer(market()) as server:
        with pytest.raises(UsageError, match="hold=True"):
            server.release(5)


async def test_unsubscribed_stream_ends_and_others_go_on() -> None:
    async with SimulatorServer(market(), rate=3_000) as server:
        client = await WsClient.connect(server.url)
        client.subscribe("book", "BTC/USD", "PEPE/USD")
        for _ in range(20):
            await client.next(is_book)
        client.send({"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}})
        ack = await client.next(lambda message: message.get("method") == "unsubscribe")
        assert ack["result"] == {"channel": "book", "depth": 10, "symbol": "BTC/USD"}
        for _ in range(200):
            message = await client.next(is_book)
            assert message["data"][0]["symbol"] == "PEPE/USD"
        client.subscribe("book", "BTC/USD", depth=10)
        again = await client.next(lambda message: is_book(message) and message["data"][0]["symbol"] == "BTC/USD")
        assert again["type"] == "snapshot"
        await client.hang_up()


async def test_answers_carry_the_time_of_the_clock() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), hold=False, rate=1, clock=clock) as server:
        client = await WsClient.connect(server.url)
        client.send({"method": "ping", "req_id": 1})
        pong = await client.next(lambda message: message.get("method") == "pong")
        assert pong == {
            "method": "pong",
            "req_id": 1,
            "time_in": "2023-11-14T22:13:20.000000Z",
            "time_out": "2023-11-14T22:13:20.000000Z",
        }
        await client.hang_up()


async def test_heartbeats_come_once_a_second_from_the_first_subscription_on() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), rate=10, clock=clock) as server:
        client, quiet = await WsClient.connect(server.url), await WsClient.connect(server.url)
        await clock.advance(5.0)
        client.subscribe("instrument")
        await client.roundtrip()
        await clock.advance(3.5)
        for each, beats in ((client, 3), (quiet, 0)):
            await each.roundtrip()
            assert each.frames.count(b'{"channel":"heartbeat"}') == beats
        client.send({"method": "unsubscribe", "params": {"channel": "instrument"}})
        await client.roundtrip()
        await clock.advance(10.0)
        await client.roundtrip()
        assert client.frames.count(b'{"channel":"heartbeat"}') == 3
        client.subscribe("instrument")
        await client.roundtrip()
        await clock.advance(2.0)
        await client.roundtrip()
        assert client.frames.count(b'{"channel":"heartbeat"}') == 5
        await client.hang_up()
        await quiet.hang_up()


async def test_silent_client_without_subscription_is_closed_after_a_minute() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), rate=1, clock=clock) as server:
        silent, talking, subscribed = [await WsClient.connect(server.url) for _ in range(3)]
        subscribed.subscribe("instrument")
        await subscribed.roundtrip()
        await clock.advance(40)
        await talking.roundtrip()
        await clock.advance(19)
        assert server.connections == 3
        await clock.advance(2)
        assert await silent.gone() == 1000
        await clock.advance(38)
        await talking.roundtrip()
        await clock.advance(61)
        await talking.gone()
        await clock.advance(200)
        await subscribed.roundtrip()
        await subscribed.hang_up()


@pytest.mark.parametrize(("rate", "seconds", "least", "most"), [(1000, 2.0, 1950, 2000), (0.5, 10.0, 4, 5)])
async def test_rate_is_messages_a_second(rate: float, seconds: float, least: int, most: int) -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), rate=rate, clock=clock) as server:
        client = await WsClient.connect(server.url)
        client.subscribe("book", *SYMBOLS, snapshot=False)
        await client.roundtrip()
        await clock.advance(seconds)
        await client.roundtrip()
        assert least <= len(books_of(client.frames)) <= most
        await client.hang_up()


async def test_delay_is_made_up_for_a_tenth_of_a_second_only() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), rate=1000, clock=clock) as server:
        client = await WsClient.connect(server.url)
        client.subscribe("book", *SYMBOLS, snapshot=False)
        await client.roundtrip()
        await clock.settle()
        clock._move_to(10**10)  # ten seconds in which nothing ran
        await clock.advance(0)
        await client.roundtrip()
        assert 90 <= len(books_of(client.frames)) <= 110
        await client.hang_up()


async def test_nothing_moves_while_nobody_listens() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), rate=1000, clock=clock) as server:
        before = [server.truth(symbol, 1000) for symbol in SYMBOLS]
        await clock.advance(5)
        client = await WsClient.connect(server.url)
        client.subscribe("book", "PEPE/USD")
        await client.roundtrip()
        await clock.advance(1)
        after = [server.truth(symbol, 1000) for symbol in SYMBOLS]
        assert [one == two for one, two in zip(before, after, strict=True)] == [True, False, True]
        await client.hang_up()
        await server.drop_connections()
        await clock.advance(1)
        assert [server.truth(symbol, 1000) for symbol in SYMBOLS] == after


async def test_client_that_pings_without_end_and_does_not_read_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="krakenwire.sim"):
        async with SimulatorServer(market(), hold=True, max_buffer=200_000) as server:
            deaf = await RawClient.connect(server.url, limit=1024)
            await deaf.frame()
            deaf.writer.write(mask(9, b"early"))
            assert (await deaf.frame())[1] == b"early"
            with contextlib.suppress(ConnectionError):
                for _ in range(400):
                    deaf.writer.write(mask(9, b"x" * 125) * 1000)
                    await deaf.writer.drain()
            assert server.slow_clients_dropped == 1
            await deaf.close()
    assert caplog.text.count("slow client dropped") == 1


async def test_slow_client_is_dropped_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    with caplog.at_level(logging.WARNING, logger="krakenwire.sim"):
        async with SimulatorServer(market(), rate=50_000, clock=clock, max_buffer=200_000) as server:
            slow, good = await RawClient.connect(server.url, limit=1024), await WsClient.connect(server.url)
            slow.send({"method": "subscribe", "params": {"channel": "book", "symbol": SYMBOLS, "depth": 1000}})
            good.subscribe("book", *SYMBOLS)
            await good.roundtrip()
            async with asyncio.timeout(40):
                while server.connections == 2:
                    await clock.advance(0.02)
                    await good.roundtrip()
            assert server.slow_clients_dropped == 1
            await good.roundtrip()
            verify(good.frames, 10)
            await good.hang_up()
            await slow.close()
    assert "slow client dropped" in caplog.text


async def test_market_without_a_rate_waits_for_its_only_client_instead_of_dropping_it() -> None:
    async with SimulatorServer(market(), hold=True, max_buffer=600_000) as server:
        client = await RawClient.connect(server.url, limit=1024)
        client.send({"method": "subscribe", "params": {"channel": "book", "symbol": SYMBOLS, "depth": 1000}})
        while b'"MINA/GBP","bids"' not in (await client.frame())[1]:
            pass
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport too
        server.release(60_000)
        finished = asyncio.ensure_future(server.finished())
        for _ in range(3_000):
            await asyncio.sleep(0)
        assert not finished.done()
        assert server.connections == 1
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a read transport too
        updates = 0
        while updates < 60_000:
            _, payload = await client.frame()
            updates += payload != b'{"channel":"heartbeat"}'
        assert server.slow_clients_dropped == 0
        await client.close()


async def test_market_without_a_rate_waits_five_seconds_for_one_client_of_several() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), hold=True, clock=clock, max_buffer=600_000) as server:
        good, deaf = await WsClient.connect(server.url), await RawClient.connect(server.url, limit=1024)
        deaf.send({"method": "subscribe", "params": {"channel": "book", "symbol": SYMBOLS, "depth": 1000}})
        while b'"MINA/GBP","bids"' not in (await deaf.frame())[1]:
            pass
        good.subscribe("book", *SYMBOLS)
        await good.roundtrip()
        server.release()
        for _ in range(3_000):
            await asyncio.sleep(0)
        assert server.slow_clients_dropped == 0
        stood_at = server.truth("BTC/USD", 1000)
        await good.roundtrip()
        await clock.advance(4)
        assert server.truth("BTC/USD", 1000) == stood_at
        async with asyncio.timeout(30):
            while server.slow_clients_dropped == 0:
                await clock.advance(1)
                await good.roundtrip()
        assert server.connections == 1
        verify(good.frames, 10)
        await good.hang_up()
        await deaf.close()


@pytest.mark.parametrize("code", [None, 1001, 1012])
async def test_connections_are_dropped_and_new_ones_accepted(code: int | None) -> None:
    async with SimulatorServer(market(), rate=500) as server:
        clients = [await WsClient.connect(server.url) for _ in range(3)]
        for client in clients:
            client.subscribe("book", "BTC/USD")
            await client.roundtrip()
        await server.drop_connections(code)
        assert server.connections == 0
        assert [await client.gone() for client in clients] == [code] * 3
        again = await WsClient.connect(server.url)
        again.subscribe("book", "BTC/USD")
        assert (await again.next(is_book))["type"] == "snapshot"
        await again.hang_up()


async def test_closing_says_goodbye_even_to_a_client_that_does_not_read() -> None:
    server = SimulatorServer(market())
    await server.start()
    with pytest.raises(UsageError, match="started before"):
        await server.start()
    client, deaf = await WsClient.connect(server.url), await RawClient.connect(server.url, limit=1024)
    deaf.send({"method": "subscribe", "params": {"channel": "book", "symbol": SYMBOLS, "depth": 1000}})
    await asyncio.wait_for(deaf.frame(), 10)
    await server.close()
    await server.close()
    assert await client.gone() == 1001
    assert server.connections == 0
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await RawClient.connect(server.url)
    await deaf.close()


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="more than 0"):
        SimulatorServer(market(), rate=rate)


def test_symbols_choose_from_the_default_listing() -> None:
    assert SimulatorServer(symbols=["MINA/GBP", "BTC/USD"]).symbols == ("BTC/USD", "MINA/GBP")
    assert len(SimulatorServer().symbols) == 20
    with pytest.raises(UnknownSymbol):
        SimulatorServer(symbols=["XBT/USD"])
    with pytest.raises(UsageError, match="not both"):
        SimulatorServer(market(), symbols=["BTC/USD"])


# --- hostile clients -------------------------------------------------------------------------------------------------


async def send_binary(client: RawClient) -> None:
    client.writer.write(mask(2, b"\x00\x01"))


async def send_huge(client: RawClient) -> None:
    client.writer.write(mask(1, b"x" * 300_000))


async def send_endless_fragments(client: RawClient) -> None:
    client.writer.write(mask(1, b"x", fin=False))
    client.writer.write(mask(0, b"y" * 50, fin=False) * 6_000)


async def send_huge_claim(client: RawClient) -> None:
    client.writer.write(b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4))


async def send_noise(client: RawClient) -> None:
    client.writer.write(bytes(range(255, 0, -1)) * 4)


async def send_loose_continuation(client: RawClient) -> None:
    client.writer.write(mask(0, b"hello"))


async def send_close_with_strange_code(client: RawClient) -> None:
    client.writer.write(mask(8, (4999).to_bytes(2, "big")))


async def send_half_a_frame_and_vanish(client: RawClient) -> None:
    client.writer.write(mask(1, b'{"method":"ping"}')[:9])
    client.writer.close()


@pytest.mark.parametrize(
    "attack",
    [
        send_binary,
        send_huge,
        send_endless_fragments,
        send_huge_claim,
        send_noise,
        send_loose_continuation,
        send_close_with_strange_code,
        send_half_a_frame_and_vanish,
    ],
)
async def test_hostile_client_loses_its_socket_and_nobody_else_notices(
    attack: Callable[[RawClient], Awaitable[None]],
) -> None:
    async with SimulatorServer(market(), rate=2_000) as server:
        witness = await WsClient.connect(server.url)
        witness.subscribe("book", "BTC/USD")
        hostile = await RawClient.connect(server.url)
        await hostile.frame()
        await attack(hostile)
        await hostile.end()
        await hostile.close()
        async with asyncio.timeout(10):
            while server.connections > 1:
                await witness.next()
        for _ in range(50):
            await witness.next(is_book)
        verify(witness.frames, 10)
        await witness.hang_up()


async def test_nonsense_is_answered_and_the_connection_goes_on() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        client = await WsClient.connect(server.url)
        for text in (b"", b"hello", b"[[[[", b'{"method":"subscribe"}', b"\xff\xff", b"9" * 200_000):
            client.send(text)
            answer = await client.next(lambda message: "error" in message)
            assert answer["error"] == "Malformed request"
        await client.roundtrip()
        await client.hang_up()


async def test_fragmented_request_is_put_together() -> None:
    async with SimulatorServer(market(), hold=True) as server:
        client = await RawClient.connect(server.url)
        await client.frame()
        text = b'{"method":"ping","req_id":5}'
        client.writer.write(mask(1, text[:7], fin=False) + mask(9, b"still there?") + mask(0, text[7:]))
        frames = [await client.frame(), await client.frame()]
        assert frames[0][0][0] == 0x80 | WSMsgType.PONG.value
        assert json.loads(frames[1][1])["req_id"] == 5
        await client.close()


async def test_client_that_sends_too_fast_is_told_so_and_kept() -> None:
    clock = ManualClock()
    async with SimulatorServer(market(), hold=True, clock=clock, message_rate=5) as server:
        client = await WsClient.connect(server.url)
        for number in range(12):
            client.send({"method": "ping", "req_id": number})
        for _ in range(2):
            assert await client.next(lambda message: "Error" in message) == {"Error": "Exceeded msg rate"}
        await clock.advance(1)
        await client.roundtrip()
        await client.hang_up()
