"""Cancelled at every suspension: nothing stays subscribed, no task and no socket is left, and the promise is kept."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from helpers.bench import Bench, finish, footprint, turn
from helpers.cancelling import Cancelling
from helpers.exchange import MemoryExchange
from helpers.hostile import Peer, serving
from krakenwire import Client, ConnectionClosed, Disconnected, Endpoints, Options, SystemClock, UsageError
from krakenwire.feed.iothread import THREAD_NAME
from krakenwire.net.transport import Closed
from krakenwire.net.websocket import WebSocketConnector
from krakenwire.testing import MemoryNetwork, SimulatorThread

pytestmark = pytest.mark.any_kernel

FAST = Options(messages_per_second=1e6, message_burst=1000)
MOST = 200
"""Suspensions that no work here has."""


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()
    assert [thread for thread in threading.enumerate() if thread.name == THREAD_NAME] == []


async def connected(**options: Any) -> Bench:
    bench = Bench(MemoryExchange(), options=FAST, **options)
    await finish(bench.exchange, bench.client.connect())
    await bench.exchange.settle()
    return bench


async def run_out(exchange: MemoryExchange, cancelling: Cancelling, goad: Callable[[], Awaitable[None]]) -> bool:
    """Let the work come to its end, with `goad` at each turn; whether it was cancelled."""
    for _ in range(2000):
        if cancelling.task.done():
            break
        await turn(exchange)
        await goad()
    else:
        raise AssertionError("it did not end")
    if cancelling.task.cancelled():
        assert cancelling.was_reached
        return True
    cancelling.task.result()
    return False


async def nothing() -> None:
    pass


Work = Callable[[Client], Coroutine[Any, Any, Any]]


async def _reader(client: Client) -> None:
    async with client.stream("trade", "book", symbols=["BTC/USD", "ETH/USD"], depth=100):
        pass


async def _reader_of_all(client: Client) -> None:
    async with client.stream("trade", "instrument", symbols="all"):
        pass


async def _book(client: Client) -> None:
    async with client.book("BTC/USD", depth=100) as book:
        await book.synced()
        await book.changed()


async def _first_trade(client: Client) -> None:
    async with client.trades("BTC/USD") as reader:
        await anext(reader)


async def _first_batch(client: Client) -> None:
    async with client.trades("BTC/USD") as reader:
        await anext(reader.batches(max_events=3, max_wait=1.0))


async def _lifecycle(client: Client) -> None:
    async with client.lifecycle() as reader, client.trades("BTC/USD"):
        await anext(reader)


async def _sleep(client: Client) -> None:
    await client.sleep(1.0)


@pytest.mark.parametrize("work", [_reader, _reader_of_all, _book, _first_trade, _first_batch, _lifecycle, _sleep])
async def test_work_that_is_cancelled_leaves_the_client_as_it_was(work: Work) -> None:
    bench = await connected()
    exchange = bench.exchange
    before = footprint(bench)

    async def goad() -> None:
        """Time passes and the market moves, so that whatever is waited for comes."""
        await exchange.clock.advance(0.05)
        with suppress(UsageError):  # a market that nobody watches does not move
            for _, subscribers, frame in exchange.source.step(None):
                for peer in list(subscribers):
                    peer.send_text(frame)

    for at in range(MOST):
        was_cancelled = await run_out(exchange, Cancelling(work(bench.client), at), goad)
        await exchange.advance(1)
        assert footprint(bench) == before, f"cancelled at suspension {at}"
        if not was_cancelled:
            break
    assert 0 < at < MOST - 1
    await finish(exchange, _reader(bench.client))  # it is as usable as before
    await finish(exchange, bench.client.close())


async def test_connect_that_is_cancelled_closes_the_client() -> None:
    for at in range(MOST):
        bench = Bench(MemoryExchange(), options=FAST)
        was_cancelled = await run_out(bench.exchange, Cancelling(bench.client.connect(), at), nothing)
        if not was_cancelled:
            await finish(bench.exchange, bench.client.close())
            break
        await bench.exchange.settle()
        assert bench.exchange.peers == []
        with pytest.raises(ConnectionClosed):
            await bench.client.connect()
        await bench.client.close()
    assert 0 < at < MOST - 1


async def test_close_that_is_cancelled_closes_all_the_same() -> None:
    for at in range(MOST):
        bench = await connected()
        reader = await finish(bench.exchange, bench.client.trades("BTC/USD").__aenter__())
        was_cancelled = await run_out(bench.exchange, Cancelling(bench.client.close(), at), nothing)
        await bench.exchange.settle()
        assert bench.exchange.peers == []
        assert [event.terminal for event in bench.told(Disconnected)] == [True]
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
        await bench.client.close()
        if not was_cancelled:
            break
    assert 0 < at < MOST - 1


# --- the thread -------------------------------------------------------------------------------------------------------


async def _everything(kraken: Client) -> None:
    async with (
        kraken.stream("book", "trade", symbols=["BTC/USD", "ETH/USD"], policy="drop_oldest") as reader,
        kraken.book("BTC/USD") as book,
        kraken.lifecycle(),
    ):
        await book.synced()
        await book.changed()
        await anext(reader)
        await anext(reader.batches(max_events=10, max_wait=0.05))
        await kraken.sleep(0.01)


async def test_with_the_feed_in_a_thread_cancelled_work_leaves_nothing_subscribed() -> None:
    with SimulatorThread(symbols=["BTC/USD", "ETH/USD"], seed=7, rate=500) as sim:
        async with Client(Endpoints(public=sim.url), options=FAST, io_thread=True) as kraken:
            for at in range(MOST):
                cancelling = Cancelling(_everything(kraken), at)
                await asyncio.wait([cancelling.task])
                placed = kraken._home.call(lambda: [key.channel for key in kraken.core._placing._placed])
                assert placed == ["instrument"], f"cancelled at suspension {at}"
                assert kraken.readers() == ()
                handovers = [task for task in kraken._home.call(asyncio.all_tasks) if "handover" in task.get_name()]
                assert all(task.cancelling() for task in handovers)
                if not cancelling.task.cancelled():
                    cancelling.task.result()
                    break
            assert 4 < at < MOST - 1


async def test_with_the_feed_in_a_thread_a_cancelled_connect_or_close_leaves_no_thread() -> None:
    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]

    with SimulatorThread(symbols=["BTC/USD"], seed=7, rate=0) as sim:
        for at in range(MOST):
            kraken = Client(Endpoints(public=sim.url), options=FAST, io_thread=True)
            cancelling = Cancelling(kraken.connect(), at)
            await asyncio.wait([cancelling.task])
            assert len(threads()) == (0 if cancelling.task.cancelled() else 1)
            if not cancelling.task.cancelled():
                break
        assert 0 < at < MOST - 1
        await kraken.close()
        for at in range(MOST):
            kraken = await Client(Endpoints(public=sim.url), options=FAST, io_thread=True).connect()
            cancelling = Cancelling(kraken.close(), at)
            await asyncio.wait([cancelling.task])
            assert threads() == []
            if not cancelling.task.cancelled():
                break
        assert 0 < at < MOST - 1


# --- the transport ----------------------------------------------------------------------------------------------------


class Ear:
    """A listener that only counts."""

    def __init__(self) -> None:
        self.closed: list[Closed] = []

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        pass

    def receive_read_end(self) -> None:
        pass

    def receive_closed(self, closed: Closed) -> None:
        self.closed.append(closed)


def sockets() -> int:
    """Open file descriptors that are sockets."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # the directory's own
            continue
    return sum(link.startswith("socket:") for link in links)


async def test_a_dial_that_is_cancelled_leaves_no_socket() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(b"")
        await peer.until_gone()

    connector = WebSocketConnector(clock=SystemClock(), open_timeout=5.0)
    async with serving(script) as port:
        # The first of all calls makes what the loop keeps: the thread that resolves names, and its way to wake us.
        transport = await connector(f"ws://127.0.0.1:{port}/v2", Ear())
        transport.abort()
        await asyncio.sleep(0.05)
        before = sockets()
        for at in range(MOST):
            ear = Ear()
            cancelling = Cancelling(connector(f"ws://127.0.0.1:{port}/v2", ear), at)
            await asyncio.wait([cancelling.task])
            if not cancelling.task.cancelled():
                cancelling.task.result().abort()
            async with asyncio.timeout(5):
                while sockets() > before:  # noqa: ASYNC110  # the server's end goes a moment later
                    await asyncio.sleep(0.001)
            assert len(ear.closed) == (0 if cancelling.task.cancelled() else 1)
            if not cancelling.task.cancelled():
                break
        assert 0 < at < MOST - 1


async def test_a_dial_in_memory_never_suspends() -> None:
    network = MemoryNetwork()
    cancelling = Cancelling(network.connector("wss://exchange/v2", Ear()), 0)
    (await cancelling.task).abort()
    assert not cancelling.was_reached
