"""The client over real loopback sockets: the simulator, a network that cuts, and servers that are wrong on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from helpers.hostile import BINARY, CONTINUATION, PING, TEXT, Peer, frame, serving
from krakenwire import (
    Client,
    ConnectFailed,
    Disconnected,
    Endpoints,
    Options,
    Subscribed,
    SubscribeRejected,
    SubscriptionRejected,
    SubscriptionTimeout,
    SystemClock,
    Trade,
    Undecodable,
    UnknownSymbol,
)
from krakenwire.net.websocket import WebSocketConnector
from krakenwire.sim.server import SimulatorServer

STATUS = b'{"channel":"status","type":"update","data":[{"system":"online","api_version":"v2","connection_id":1}]}'
INSTRUMENTS = (
    b'{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[{"symbol":"BTC/USD","base":"BTC",'
    b'"quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"cost_precision":5,'
    b'"price_increment":0.1,"qty_min":0.0001}]}}'
)


def trade_frame(trade_id: int) -> bytes:
    return (
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":60000.1,"qty":0.5,'
        b'"ord_type":"market","trade_id":%d,"timestamp":"2026-11-22T07:49:37.708706Z"}]}' % trade_id
    )


async def read_request(peer: Peer) -> dict[str, Any]:
    while True:
        opcode, payload = await peer.receive()
        if opcode == TEXT:
            request: dict[str, Any] = json.loads(payload)
            return request


def ack(request: dict[str, Any], symbol: str | None = None) -> bytes:
    result = {"channel": request["params"]["channel"], **({"symbol": symbol} if symbol else {})}
    return json.dumps(
        {"method": request["method"], "req_id": request["req_id"], "result": result, "success": True}
    ).encode()


async def greet(peer: Peer) -> None:
    """What every exchange does first: status, and the instruments as soon as they are asked for."""
    await peer.accept(frame(STATUS))
    request = await read_request(peer)
    assert request["params"]["channel"] == "instrument"
    peer.send(frame(ack(request)) + frame(INSTRUMENTS))


async def serve_trades(peer: Peer) -> None:
    await greet(peer)
    request = await read_request(peer)
    peer.send(frame(ack(request, "BTC/USD")))


def client_of(port: int, log: Log | None = None, **options: Any) -> Client:
    connector = WebSocketConnector(clock=SystemClock(), open_timeout=2.0, close_timeout=0.5, max_message_bytes=1 << 20)
    return Client(
        Endpoints(public=f"ws://127.0.0.1:{port}/v2"),
        connector=connector,
        on_events=None if log is None else log.tell,
        **{"subscribe_timeout": 5.0, **options},
    )


def port_of(server: SimulatorServer) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


class Log(list[Any]):
    """What a client told, and a way to wait for more of it."""

    def __init__(self) -> None:
        super().__init__()
        self._told = asyncio.Event()

    def tell(self, events: Iterable[Any]) -> None:
        self.extend(events)
        self._told.set()

    async def until(self, condition: Callable[[], object], within: float = 20.0) -> None:
        """Wait until what was told makes `condition` true."""
        async with asyncio.timeout(within):
            while not condition():
                self._told.clear()
                await self._told.wait()


async def test_books_over_a_socket_equal_the_exchanges_own_level_by_level() -> None:
    symbols = ["BTC/USD", "ETH/USD", "PEPE/USD", "MINA/GBP"]
    log = Log()
    async with SimulatorServer(seed=3, hold=True) as server:
        async with client_of(port_of(server), log) as kraken:
            async with kraken.stream("book", "trade", symbols=symbols, depth=100, on_loss="yield"):
                (session,) = kraken.core.sessions
                await log.until(lambda: session.books.verified == len(symbols))
                server.release(3000)
                await server.finished()
                for symbol in symbols:
                    state = session.books.get(symbol)
                    assert state is not None
                    bids, asks = server.truth(symbol, 100)
                    await log.until(lambda s=state, b=bids: [(str(p), str(q)) for p, q in s.levels("bids")] == b)  # type: ignore[misc]  # bound for the loop
                    assert [(str(price), str(qty)) for price, qty in state.levels("asks")] == asks
                assert session.books.mismatched == 0
                assert session.books.verified > 1000


@asynccontextmanager
async def cutting_proxy(target: int, cut_after: int) -> AsyncIterator[int]:
    """Forwards to `target`; the first connection is cut once `cut_after` bytes have come from the server."""
    first = True
    tasks: set[asyncio.Task[None]] = set()

    async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None) -> None:
        while data := await source.read(4096):
            if limit is not None and len(data) >= limit:
                sink.write(data[:limit])
                await sink.drain()
                return
            limit = None if limit is None else limit - len(data)
            sink.write(data)
            await sink.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        limit, first = (cut_after if first else None), False
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", target)
        down = asyncio.ensure_future(forward(up_reader, writer, limit))
        up = asyncio.ensure_future(forward(reader, up_writer, None))
        try:
            await asyncio.wait((down, up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (down, up):
                task.cancel()
            await asyncio.gather(down, up, return_exceptions=True)
            up_writer.transport.abort()
            writer.transport.abort()
            for end in (up_writer, writer):
                with contextlib.suppress(ConnectionError):
                    await end.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(relay(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if tasks:  # both ends are gone by now, so each relay comes to its end by itself
            await asyncio.wait(tasks)


UPGRADE_BYTES = 129
"""Of the simulator's answer to the upgrade: what is cut before that is an attempt that failed."""


@pytest.mark.parametrize("cut_after", [1, 60, UPGRADE_BYTES - 1])
async def test_a_socket_killed_during_the_upgrade_is_a_failure_that_can_be_retried(cut_after: int) -> None:
    async with SimulatorServer(seed=4, rate=2000) as server, cutting_proxy(port_of(server), cut_after) as port:
        with pytest.raises(ConnectFailed) as caught:
            await client_of(port).connect()
        assert caught.value.retryable


@pytest.mark.parametrize("cut_after", [UPGRADE_BYTES, 160, 250, 400, 3_000, 9_000, 15_000, 40_000, 90_000])
async def test_a_socket_killed_at_any_later_point_is_recovered_from(cut_after: int) -> None:
    log = Log()
    async with (
        SimulatorServer(seed=4, rate=2000) as server,
        cutting_proxy(port_of(server), cut_after) as port,
        client_of(port, log) as kraken,
        kraken.stream("book", symbols=["BTC/USD", "ETH/USD"], on_loss="yield"),
    ):
        await log.until(lambda: any(isinstance(event, Disconnected) for event in log))
        (session,) = kraken.core.sessions
        await log.until(lambda: [state_of(session, symbol) for symbol in session.books] == ["synced"] * 2)
        verified = session.books.verified
        await log.until(lambda: session.books.verified > verified + 100)
        assert session.epoch == 1
        assert session.books.mismatched == 0


def state_of(session: Any, symbol: str) -> str:
    status: str = session.books.get(symbol).status
    return status


async def test_any_split_of_the_bytes_gives_the_same_events() -> None:
    payloads = [trade_frame(n) for n in range(1, 40)]
    payloads.insert(7, b"CloudFlare WebSocket proxy restarting")
    stream = b"".join(
        frame(p[:9], TEXT, fin=False) + frame(b"now", PING) + frame(p[9:], CONTINUATION) if n % 5 == 0 else frame(p)
        for n, p in enumerate(payloads)
    )

    async def events_of(pieces: list[bytes]) -> list[Any]:
        async def script(peer: Peer) -> None:
            await serve_trades(peer)
            for piece in pieces:
                peer.send(piece)
                await peer.writer.drain()
                await asyncio.sleep(0)
            await peer.until_gone()

        log = Log()
        async with serving(script) as port, client_of(port, log) as kraken, kraken.trades("BTC/USD"):
            await log.until(lambda: sum(isinstance(event, Trade | Undecodable) for event in log) == len(payloads))
        return [(type(e), e.seq, getattr(e, "trade_id", None)) for e in log if isinstance(e, Trade | Undecodable)]

    whole = await events_of([stream])
    rng = random.Random(5)
    for _ in range(6):
        cuts = sorted(rng.sample(range(len(stream)), 60))
        assert await events_of([stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]) == whole
    assert await events_of([stream[i : i + 1] for i in range(len(stream))]) == whole


Misdeed = Callable[[Peer], Awaitable[None]]


async def half_a_frame(peer: Peer) -> None:
    peer.send(frame(trade_frame(2))[:50])
    await peer.writer.drain()
    peer.cut()


async def a_hundred_megabytes(peer: Peer) -> None:
    peer.send(b"\x81\x7f" + (100 * 1024 * 1024).to_bytes(8, "big") + b'{"channel":"trade"' * 1000)


async def binary(peer: Peer) -> None:
    peer.send(frame(b"\x00\x01", BINARY))


async def bad_utf8(peer: Peer) -> None:
    peer.send(frame(b'{"channel":"\xff\xfe"}'))


async def end_of_stream(peer: Peer) -> None:
    peer.writer.write_eof()


@pytest.mark.parametrize(
    ("misdeed", "words"),
    [
        (half_a_frame, ""),
        (a_hundred_megabytes, "104857600"),
        (binary, "binary"),
        (bad_utf8, "UTF-8"),
        (end_of_stream, ""),
    ],
)
async def test_a_server_that_misbehaves_is_left_and_everything_is_restored(misdeed: Misdeed, words: str) -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await serve_trades(peer)
        peer.send(frame(trade_frame(connections)))
        if connections == 1:
            await misdeed(peer)
        await peer.until_gone()

    log = Log()
    async with serving(script) as port, client_of(port, log) as kraken:
        async with kraken.trades("BTC/USD", on_loss="yield") as reader:
            async with asyncio.timeout(10):
                trades = [await anext(reader), await anext(reader)]
    assert [trade.trade_id for trade in trades if isinstance(trade, Trade)] == [1, 2]
    ended = [event for event in log if isinstance(event, Disconnected)]
    assert words in ended[0].reason
    assert not ended[0].terminal


async def test_a_frame_that_is_not_json_is_an_event_and_harms_nothing() -> None:
    async def script(peer: Peer) -> None:
        await serve_trades(peer)
        peer.send(
            frame(b"CloudFlare WebSocket proxy restarting") + frame(b'{"channel":"trade"') + frame(trade_frame(1))
        )
        await peer.until_gone()

    log = Log()
    async with serving(script) as port, client_of(port, log) as kraken, kraken.trades("BTC/USD") as reader:
        async with asyncio.timeout(10):
            assert (await anext(reader)).trade_id == 1
    assert len([event for event in log if isinstance(event, Undecodable)]) == 2


async def test_a_fragmented_message_is_one_frame() -> None:
    text = trade_frame(1)

    async def script(peer: Peer) -> None:
        await serve_trades(peer)
        peer.send(frame(text[:10], TEXT, fin=False))
        peer.send(frame(b"", PING) + frame(text[10:50], CONTINUATION, fin=False) + frame(text[50:], CONTINUATION))
        await peer.until_gone()

    async with serving(script) as port, client_of(port) as kraken, kraken.trades("BTC/USD") as reader:
        async with asyncio.timeout(10):
            assert (await anext(reader)).trade_id == 1


async def test_a_server_that_never_answers_the_upgrade_is_a_clear_failure() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.until_gone()

    async with serving(script) as port:
        with pytest.raises(ConnectFailed, match="took longer than 2 s") as caught:
            await client_of(port).connect()
    assert caught.value.retryable


async def test_a_server_that_never_answers_a_subscribe_is_a_timeout_not_a_hang() -> None:
    async def script(peer: Peer) -> None:
        await greet(peer)
        await peer.until_gone()

    async with serving(script) as port, client_of(port, subscribe_timeout=0.3) as kraken:
        with pytest.raises(SubscriptionTimeout):
            await kraken.trades("BTC/USD").__aenter__()


async def test_unanswered_subscribes_make_the_client_try_another_connection() -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await greet(peer)
        if connections == 2:
            peer.send(frame(ack(await read_request(peer), "BTC/USD")))
        await peer.until_gone()

    options = Options(ack_timeout=0.1, ack_attempts=2)
    async with serving(script) as port, client_of(port, options=options) as kraken, kraken.trades("BTC/USD"):
        assert connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b'{"error":"Subscription depth not supported","method":"subscribe","req_id":2,"success":false}',
        b'{"error":"Currency pair not supported BTC/USD","method":"subscribe","req_id":2,"success":false,'
        b'"symbol":"BTC/USD"}',
        b'{"error":"Currency pair not supported BTC/USD","method":"subscribe","req_id":2,"success":false}',
    ],
)
async def test_a_refused_subscription_raises_krakens_own_words(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer)
        await read_request(peer)
        peer.send(frame(answer))
        await peer.until_gone()

    log = Log()
    async with serving(script) as port, client_of(port, log) as kraken:
        with pytest.raises(SubscriptionRejected) as caught:
            await kraken.books("BTC/USD").__aenter__()
        assert caught.value.text == json.loads(answer)["error"]
        assert [event.error for event in log if isinstance(event, SubscribeRejected)] == [caught.value.text]
        assert [event.of for event in log if isinstance(event, Subscribed)] == ["instrument"]


async def test_a_wrong_symbol_names_the_right_ones_over_a_socket() -> None:
    async with SimulatorServer(seed=1, rate=50) as server:
        async with client_of(port_of(server)) as kraken:
            with pytest.raises(UnknownSymbol, match="ETH/USD"):
                await kraken.trades("ETH/USB").__aenter__()


async def test_nobody_listening_is_a_clear_failure() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectFailed, match="refused"):
        await client_of(port).connect()
