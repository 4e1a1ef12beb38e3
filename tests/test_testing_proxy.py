"""The fault proxy: what it does to bytes, and what our client makes of each trouble."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from krakenwire import (
    BookResynced,
    BookUpdate,
    Client,
    Connected,
    ConnectFailed,
    Disconnected,
    Endpoints,
    Options,
    Reconnected,
    SystemClock,
    UsageError,
)
from krakenwire.net.backoff import ConnectBudget
from krakenwire.net.websocket import WebSocketConnector
from krakenwire.sim.certificate import Certificate
from krakenwire.sim.server import SimulatorServer
from krakenwire.testing import FaultProxy

WITHIN_S = 20.0
HASTY = Options(
    idle_ping=0.5, ping_timeout=0.5, ack_timeout=2.0, messages_per_second=100.0, message_burst=100, resync_backoff=0.1
)


# --- bytes ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """A server that sends back whatever it is sent."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def line(proxy: FaultProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    """Give the loop turns until it is so."""
    for _ in itertools.count():
        if condition():
            return
        await asyncio.sleep(0.001)


async def took(proxy: FaultProxy, data: bytes) -> float:
    """Seconds until `data` is back, whole."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(WITHIN_S), line(proxy) as (reader, writer):
        began = loop.time()
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        return loop.time() - began


async def test_bytes_pass_as_they_are_and_an_end_passes_too() -> None:
    data = bytes(range(256)) * 4096
    async with echoing() as target, FaultProxy(target) as proxy, line(proxy) as (reader, writer):
        writer.write(data)
        writer.write_eof()
        assert await reader.read(-1) == data
        assert proxy.passed == {"up": len(data), "down": len(data)}
        assert (proxy.accepted, proxy.url) == (1, f"127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("way", ["up", "down"])
async def test_delayed_bytes_are_late_by_that_much_and_in_order(way: Any) -> None:
    async with echoing() as target, FaultProxy(target, seed=3) as proxy:
        proxy.delay(0.05, jitter=0.05, way=way)
        assert await took(proxy, bytes(range(256)) * 100) >= 0.05


async def test_throttled_bytes_take_as_long_as_they_must() -> None:
    async with echoing() as target, FaultProxy(target) as proxy:
        proxy.throttle(100_000, way="down")
        assert await took(proxy, b"x" * 20_000) >= 0.19


async def test_lost_packets_are_a_pause_and_nothing_is_missing() -> None:
    async with echoing() as target, FaultProxy(target) as proxy:
        proxy.lose(1.0, stall=0.1, way="up")
        assert await took(proxy, b"x" * 1000) >= 0.1


async def test_held_bytes_come_at_once_when_it_is_healed() -> None:
    async with asyncio.timeout(WITHIN_S), echoing() as target, FaultProxy(target) as proxy, line(proxy) as ends:
        reader, writer = ends
        proxy.hold(way="down")
        for _ in range(10):
            writer.write(b"0123456789")
        await until(lambda: proxy.passed["up"] == 100)
        assert proxy.passed["down"] == 0
        await proxy.heal()
        assert await reader.readexactly(100) == b"0123456789" * 10


async def test_held_bytes_are_bounded_as_tcp_bounds_them() -> None:
    async with asyncio.timeout(WITHIN_S), echoing() as target, FaultProxy(target) as proxy, line(proxy) as (_, writer):
        proxy.hold(way="up")
        writer.write(b"x" * 64_000_000)
        pair = next(iter(proxy._pairs))
        await until(lambda: writer.transport.get_write_buffer_size() and pair.client.lane._held > 1 << 20)
        assert pair.client.lane._held < 2 << 20
        proxy.cut()
        writer.transport.abort()


async def test_cut_is_a_reset() -> None:
    async with asyncio.timeout(WITHIN_S), echoing() as target, FaultProxy(target) as proxy, line(proxy) as ends:
        reader, writer = ends
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await until(lambda: not proxy.connections)


@pytest.mark.parametrize("gently", [True, False])
async def test_connection_ends_after_so_many_bytes(gently: bool) -> None:
    async with asyncio.timeout(WITHIN_S), echoing() as target, FaultProxy(target) as proxy:
        proxy.cut_after(7, gently=gently)
        async with line(proxy) as (reader, writer):
            writer.write(b"0123456789")
            assert await reader.readexactly(7) == b"0123456"
            if gently:
                assert await reader.read() == b""
            else:
                with pytest.raises(ConnectionResetError):
                    await reader.read()
        assert await took(proxy, b"0123456789") >= 0  # the next one is whole


async def test_half_open_connection_swallows_and_healing_cuts_it() -> None:
    async with asyncio.timeout(WITHIN_S), echoing() as target, FaultProxy(target) as proxy, line(proxy) as ends:
        reader, writer = ends
        proxy.half_open()
        writer.write(b"hello")
        await until(lambda: proxy.swallowed["up"] == 5)
        async with line(proxy) as (later_reader, _):  # accepted, and never answered
            assert proxy.accepted == 2
            await proxy.heal()
            for each in (reader, later_reader):
                with pytest.raises(ConnectionResetError):
                    await each.read()
        assert await took(proxy, b"hello") >= 0


async def test_refused_connections_are_refused_and_open_ones_go_on() -> None:
    async with asyncio.timeout(WITHIN_S), echoing() as target, FaultProxy(target) as proxy, line(proxy) as ends:
        reader, writer = ends
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await proxy.heal()
        assert await took(proxy, b"hello") >= 0


async def test_server_that_is_not_there_resets_the_client() -> None:
    async with echoing() as target:
        pass
    async with asyncio.timeout(WITHIN_S), FaultProxy(target) as proxy, line(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


@pytest.mark.parametrize("target", ["nowhere", "http:///path", "ws://host:notaport/", "host:99999", ""])
def test_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="a proxy leads to"):
        FaultProxy(target)


@pytest.mark.parametrize(
    "trouble",
    [
        lambda proxy: proxy.delay(-1),
        lambda proxy: proxy.delay(0, jitter=-1),
        lambda proxy: proxy.delay(1, way="sideways"),
        lambda proxy: proxy.throttle(0),
        lambda proxy: proxy.lose(2),
        lambda proxy: proxy.lose(0.5, stall=-1),
        lambda proxy: proxy.cut_after(-1),
        lambda proxy: proxy.cut_after(1, way="both"),
        lambda proxy: proxy.half_open(way="sideways"),
    ],
)
def test_trouble_that_cannot_be_is_refused(trouble: Callable[[FaultProxy], object]) -> None:
    with pytest.raises(UsageError):
        trouble(FaultProxy("127.0.0.1:1"))


# --- our client -------------------------------------------------------------------------------------------------------


class Life:
    """A client behind a proxy, what it told, and the exchange that it must agree with."""

    def __init__(self, server: SimulatorServer, proxy: FaultProxy) -> None:
        self.server = server
        self.proxy = proxy
        self.events: list[Any] = []
        self.told = asyncio.Event()

    def take(self, events: Iterable[Any]) -> None:
        self.events.extend(events)
        self.told.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self.told.clear()
                await self.told.wait()

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def last(self, kind: type) -> Any:
        return next(event for event in reversed(self.events) if isinstance(event, kind))

    async def proven(self) -> None:
        """Every book is proven from now on."""
        wanted = self.count(BookUpdate) + 50
        await self.until(lambda: self.count(BookUpdate) >= wanted)


@asynccontextmanager
async def living(**options: Any) -> AsyncIterator[Life]:
    async with SimulatorServer(symbols=["BTC/USD", "ETH/USD"], rate=400, seed=9) as server:
        async with FaultProxy(server.url, seed=1) as proxy:
            life = Life(server, proxy)
            kraken = Client(
                Endpoints(public=proxy.url),
                options=HASTY,
                connect_budget=ConnectBudget(limit=1000),
                connector=WebSocketConnector(clock=SystemClock(), open_timeout=1.0),
                on_events=life.take,
                **options,
            )
            async with kraken, kraken.book("BTC/USD") as one, kraken.book("ETH/USD") as other:
                await one.synced(timeout=WITHIN_S)
                await other.synced(timeout=WITHIN_S)
                yield life
                await proxy.heal()
                await life.proven()
                server.exchange.keep_still(True)
                for book in (one, other):
                    async with asyncio.timeout(WITHIN_S):
                        while not _is_right(server, book):
                            await book.changed()


def _is_right(server: SimulatorServer, book: Any) -> bool:
    if not book.is_synced:
        return False
    bids, asks = server.truth(book.symbol, 10)
    sides = ([(str(price), str(qty)) for price, qty in side] for side in (book.bids, book.asks))
    return list(sides) == [bids, asks]


async def test_late_and_slow_data_is_still_proven_and_no_trouble_at_all() -> None:
    async with living() as life:
        life.proxy.delay(0.02, jitter=0.05)
        await life.proven()
        life.proxy.throttle(200_000)
        await life.proven()
        life.proxy.lose(0.2, stall=0.05)
        await life.proven()
        assert life.count(Disconnected) == 0


async def test_connection_that_is_reset_is_opened_again_and_all_comes_back() -> None:
    async with living() as life:
        for number in range(1, 4):
            life.proxy.cut()
            await life.until(lambda wanted=number: life.count(Reconnected) == wanted)  # type: ignore[misc]  # bound for the loop
        told = life.last(Reconnected)
        assert (told.books, told.rejected, told.planned) == (2, 0, False)
        assert life.count(Disconnected) == 3
        assert life.count(BookResynced) == 6


@pytest.mark.parametrize("gently", [True, False])
@pytest.mark.parametrize("count", [1, 100, 5_000])
async def test_connection_that_ends_in_the_middle_of_a_frame_is_recovered_from(count: int, gently: bool) -> None:
    async with living() as life:
        life.proxy.cut_after(count, gently=gently)
        await life.until(lambda: life.count(Reconnected))
        assert life.count(Disconnected) == 1


@pytest.mark.parametrize("way", ["both", "down", "up"])
async def test_dead_connection_is_found_by_its_silence(way: Any) -> None:
    async with living() as life:
        life.proxy.half_open(way=way)
        if way == "up":  # data goes on to come; what we send does not arrive
            life.proxy.hold(way="down")
        await life.until(lambda: life.count(Disconnected))
        assert life.count(Reconnected) == 0
        await life.proxy.heal()
        await life.until(lambda: life.count(Reconnected))


async def test_server_that_refuses_is_tried_again_until_it_does_not() -> None:
    async with living() as life:
        await life.proxy.refuse()
        life.proxy.cut()
        await life.until(lambda: life.count(Disconnected) >= 3)
        assert not life.last(Disconnected).terminal
        assert life.count(Connected) == 1
        await life.proxy.heal()
        await life.until(lambda: life.count(Reconnected))
        assert life.last(Reconnected).downtime_ns > 0


async def test_pause_and_burst_is_no_loss() -> None:
    async with living() as life:
        life.proxy.hold(way="down")
        await asyncio.sleep(0.2)  # the trouble itself: shorter than what counts as dead
        await life.proxy.heal()
        await life.proven()
        assert life.count(Disconnected) == 0


async def test_first_connect_through_a_dead_network_fails_clearly() -> None:
    async with SimulatorServer(symbols=["BTC/USD"], rate=100) as server, FaultProxy(server.url) as proxy:
        await proxy.refuse()
        with pytest.raises(ConnectFailed) as caught:
            await Client(Endpoints(public=proxy.url)).connect()
        assert caught.value.retryable


async def test_tls_passes_as_bytes() -> None:
    certificate = Certificate()
    try:
        async with (
            SimulatorServer(symbols=["BTC/USD"], rate=200, tls=certificate.server_context()) as server,
            FaultProxy(server.url) as proxy,
            Client(Endpoints(public=proxy.url), ssl_context=certificate.client_context(), options=HASTY) as kraken,
            kraken.book("BTC/USD") as book,
        ):
            assert proxy.url.startswith("wss://")
            await book.synced(timeout=WITHIN_S)
            proxy.cut_after(1_000)
            async with asyncio.timeout(WITHIN_S):
                while book.is_synced:
                    await book.changed()
            await book.synced(timeout=WITHIN_S)
    finally:
        certificate.remove()
