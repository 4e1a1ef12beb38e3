"""User code that keeps its event loop busy, under 20,000 messages a second: no reconnect, no false alarm.

The simulator is a process of its own. What a client does not read waits in the sockets and then with the server, which
cuts off who leaves 16 MB there; five seconds at this rate are about 20 MB, of which the sockets hold some. The Python
twin of the kernel is asked for a tenth of that: it could not catch up.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from helpers.processes import simulator
from krakenwire import (
    KERNEL,
    BookInvalidated,
    Client,
    Disconnected,
    Endpoints,
    Gap,
    Heartbeat,
    LoopStalled,
    Options,
    Reconnected,
    Stalled,
    Trade,
)
from krakenwire.clock import NS_PER_S

pytestmark = pytest.mark.any_kernel

RATE = 20_000 if KERNEL == "compiled" else 2_000
ALARMS = (Disconnected, Reconnected, Stalled, BookInvalidated, Gap)
FAST = Options(messages_per_second=1e6, message_burst=1000)

SECONDS = [1.5, pytest.param(5.0, marks=pytest.mark.long)]


class Tape:
    """What was told, and when it was received."""

    def __init__(self) -> None:
        self.counts: Counter[type] = Counter()
        self.told: list[Any] = []
        self.moments: list[int] = []

    def see(self, events: Any) -> None:
        self.counts.update(map(type, events))
        self.told += [event for event in events if isinstance(event, (*ALARMS, LoopStalled))]
        if not isinstance(events[-1], Heartbeat):
            self.moments.append(events[-1].stamp.received_mono_ns)

    def alarms(self) -> list[Any]:
        return [event for event in self.told if isinstance(event, ALARMS)]

    def longest_silence(self, start: int, end: int) -> float:
        """Seconds between `start` and `end` in which nothing was received."""
        moments = [start, *(moment for moment in self.moments if start <= moment <= end), end]
        return max(later - earlier for earlier, later in pairwise(moments)) / NS_PER_S


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("io_thread", [False, True])
async def test_a_consumer_that_sleeps_is_neither_reconnected_nor_taken_for_a_stall(
    io_thread: bool, seconds: float
) -> None:
    tape = Tape()
    with simulator("--rate", str(RATE)) as env:
        endpoints = Endpoints.from_environment(env)
        async with (
            Client(endpoints, io_thread=io_thread, options=FAST, on_events=tape.see) as kraken,
            kraken.stream("book", "trade", "ticker", symbols="all", policy="conflate", on_loss="yield") as everything,
            kraken.trades("BTC/USD", capacity=100, on_loss="yield") as trades,
            kraken.book("BTC/USD", depth=10) as book,
        ):
            await book.synced(20)
            await _frames(kraken, 5000)
            start = time.monotonic_ns()
            time.sleep(seconds)  # noqa: ASYNC251  # the very thing
            end = time.monotonic_ns()
            received = list(tape.moments)
            await _frames(kraken, RATE)
            await book.synced(20)
            await anext(everything)
            await kraken.sleep(2.5)  # whatever would be judged of the silence is judged by then
            assert kraken.statistics().reconnects == 0
            account = trades.statistics()
            assert account.delivered + account.waiting + account.dropped <= tape.counts[Trade]
            assert tape.alarms() == []
    if io_thread:
        assert tape.longest_silence(start, end) < seconds / 2
        assert len(received) > 10
        assert not any(isinstance(event, LoopStalled) and event.stalled_ns > seconds * 1e9 / 2 for event in tape.told)
    else:
        assert tape.longest_silence(start, end) > seconds * 0.9
        assert any(isinstance(event, LoopStalled) for event in tape.told)


async def _frames(kraken: Client, count: int) -> None:
    """Let so many more frames come."""
    goal = kraken.statistics().frames + count
    async with asyncio.timeout(30):
        while kraken.statistics().frames < goal:
            await kraken.sleep(0.02)


async def test_a_busy_consumer_in_the_thread_of_the_program_costs_the_feed_no_frame() -> None:
    """Not asleep, but computing: it holds the interpreter's lock for most of the time."""
    tape = Tape()
    with simulator("--rate", "2000") as env:
        async with (
            Client(Endpoints.from_environment(env), io_thread=True, options=FAST, on_events=tape.see) as kraken,
            kraken.stream("book", "trade", symbols="all", policy="conflate", on_loss="yield"),
        ):
            await _frames(kraken, 500)
            start = time.monotonic_ns()
            while time.monotonic_ns() - start < NS_PER_S:
                sum(range(1000))
            end = time.monotonic_ns()
            assert tape.longest_silence(start, end) < 0.5
            assert tape.alarms() == []
