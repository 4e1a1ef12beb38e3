"""A mirrored client over real sockets, either of which is cut at random while much is sent.

Hundreds of cuts are a matter of test_client_mirror.py, whose clock need not wait for the pauses between attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from helpers.mirrored import Consumer, is_whole
from krakenwire import BookInvalidated, Client, ConnectBudget, Endpoints, Event, Gap, LeaderChanged, Loss, Options
from krakenwire.sim.server import SimulatorServer

TWO = ["BTC/USD", "ETH/USD"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):  # one that is cut again and again is dialled after up to 30 s
        while not condition():  # noqa: ASYNC110  # what it looks at is the client's, and sets no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.long)])
async def test_no_reader_notices_that_either_socket_is_cut(times: int) -> None:
    rng = random.Random(times)
    log: list[Event] = []
    books, trades = Consumer(100), Consumer()
    async with SimulatorServer(symbols=TWO, rate=1000, seed=times) as server:
        client = Client(
            Endpoints(public=server.url),
            mirror=True,
            on_events=log.extend,
            options=Options(message_burst=100),
            connect_budget=ConnectBudget(limit=10_000),
        )
        async with client as kraken:
            sessions = kraken.core.sessions
            async with (
                kraken.books(*TWO, depth=100, policy="drop_oldest") as updates,
                kraken.trades(*TWO) as tape,
            ):
                tasks = [asyncio.create_task(books.read(updates)), asyncio.create_task(trades.read(tape))]
                for _ in range(times):
                    await until(lambda: all(map(is_whole, sessions)))
                    count = len(books.moments)
                    epochs = [session.epoch for session in sessions]
                    victim = rng.choice(list(server.exchange.peers))
                    server.exchange.faults.inject("cut", connection_id=victim.connection_id, code=1006)
                    await until(lambda: [session.epoch for session in sessions] != epochs)  # noqa: B023  # awaited here
                    await until(lambda: len(books.moments) >= count + 20)  # noqa: B023  # awaited here
                told = log.copy()
                await stop(tasks)
    assert not [event for event in told if isinstance(event, Gap | Loss | BookInvalidated)]
    assert [event for event in told if isinstance(event, LeaderChanged)]
    assert len(books.moments) > 20 * times
    assert trades.given


async def stop(tasks: list[asyncio.Task[Any]]) -> None:
    """End readers; what ended one before is raised."""
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
