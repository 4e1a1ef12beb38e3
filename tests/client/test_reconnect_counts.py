"""Thousands of reconnects leave nothing behind: on a manual clock, over the in-memory transport."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from helpers.bench import settle_rings
from krakenwire import Client, Reconnected
from krakenwire.net.backoff import ConnectBudget
from krakenwire.protocol.options import Options
from krakenwire.testing import Simulator

pytestmark = pytest.mark.any_kernel

SYMBOLS = ("BTC/USD", "ETH/USD")
WARM_UP = 30
STEP_S = 5.0
PATIENT_STEPS = 8
"""With many failures behind it a client waits for up to half a minute (`Backoff`)."""


def ours() -> Counter[str]:
    """Objects of krakenwire's classes that are alive."""
    gc.collect()
    names = ((str(type(each).__module__), type(each).__qualname__) for each in gc.get_objects())
    mine = (f"{module}.{name}" for module, name in names if module.startswith("krakenwire."))
    return Counter(name for name in mine if not name.startswith("krakenwire.sim."))


async def cut_and_wait(sim: Simulator, seen: list[Reconnected]) -> None:
    """Cut every connection, and wait until everything is back."""
    wanted = len(seen) + 1
    sim.inject("cut")
    for _ in range(PATIENT_STEPS):
        await sim.advance(STEP_S)
        if len(seen) == wanted:
            return
    raise AssertionError(f"not reconnected within {PATIENT_STEPS * STEP_S:g} simulated seconds")


async def reconnect(times: int, *, mirror: bool = False) -> None:
    """Reconnect so often, and compare what is alive with what was after the first few."""
    seen: list[Reconnected] = []
    connection = "public"

    def see(events: Sequence[Any]) -> None:
        seen.extend(event for event in events if isinstance(event, Reconnected) and event.connection == connection)

    async with Simulator(SYMBOLS, seed=1, rate=0) as sim:
        options = Options(seed=1, messages_per_second=1_000.0, message_burst=1_000)
        kraken: Client = sim.client(
            options=options, connect_budget=ConnectBudget(limit=100_000), on_events=see, mirror=mirror
        )
        async with (
            kraken,
            kraken.stream("book", "trade", "ticker", "ohlc", symbols=SYMBOLS, policy="conflate", on_loss="yield"),
            kraken.book("BTC/USD") as book,
        ):
            for _ in range(WARM_UP):
                await cut_and_wait(sim, seen)
            settle_rings(kraken)
            tasks, alive = len(asyncio.all_tasks()), ours()
            for _ in range(times):
                await cut_and_wait(sim, seen)
            assert len(asyncio.all_tasks()) == tasks
            settle_rings(kraken)
            grown = {name: count - alive[name] for name, count in ours().items() if count - alive[name] > 8}
            assert grown == {}
            assert book.is_synced
            assert kraken.statistics().reconnects >= times
            assert len(sim.exchange.peers) <= (2 if mirror else 1)


async def test_three_hundred_reconnects_leave_nothing_behind() -> None:
    await reconnect(300)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_five_thousand_reconnects_leave_nothing_behind() -> None:
    await reconnect(5_000)


async def test_reconnects_of_a_mirrored_client_leave_nothing_behind() -> None:
    await reconnect(50, mirror=True)
