"""Our own event loop standing still: seen, told, and never taken for the exchange's silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import uvloop

from krakenwire import Client
from krakenwire.clock import NS_PER_S, ManualClock, Timer
from krakenwire.events import Disconnected, LoopStalled, Stalled, Trade
from krakenwire.net.endpoints import Endpoints
from krakenwire.net.loopwatch import LoopWatch
from krakenwire.protocol.options import Options
from krakenwire.testing import Simulator, SimulatorThread


class HandClock:
    """A clock like the system's, but moved by hand: its timers may fire late."""

    def __init__(self) -> None:
        self.now = 0
        self.timers: list[tuple[int, Callable[[], object]]] = []

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def call_at(self, monotonic_ns: int, callback: Callable[[], object]) -> Timer:
        timer = (monotonic_ns, callback)
        self.timers.append(timer)

        class Handle:
            def cancel(_handle) -> None:  # noqa: N805  # `self` is the clock
                if timer in self.timers:
                    self.timers.remove(timer)

        return Handle()

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        self.now += round(seconds * NS_PER_S)
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback in due:
            callback()


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_beats_in_time_tell_nothing() -> None:
    clock, told = HandClock(), list[int]()
    watch = LoopWatch(clock, NS_PER_S // 2, told.append)
    watch.start()
    for _ in range(100):
        clock.pass_time(0.3)
    await turns(10)
    assert told == []
    watch.stop()
    assert clock.timers == []


async def test_stall_is_told_when_the_sockets_were_read() -> None:
    clock, told = HandClock(), list[int]()
    watch = LoopWatch(clock, NS_PER_S // 2, told.append)
    watch.start()
    clock.pass_time(5)
    for _ in range(20):  # as long as reads end, something is there that came before
        watch.reads += 1
        await turns(2)
        assert watch.is_draining
        assert told == []
    await turns(5)
    assert told == [4_750_000_000]
    assert not watch.is_draining


async def test_feed_that_never_pauses_is_judged_after_two_seconds() -> None:
    clock, told = HandClock(), list[int]()
    watch = LoopWatch(clock, NS_PER_S // 2, told.append)
    watch.start()
    clock.pass_time(5)
    for _ in range(25):
        watch.reads += 1
        clock.now += NS_PER_S // 10
        await turns(1)
    assert len(told) == 1


async def test_stop_forgets_a_stall_that_was_not_told() -> None:
    clock, told = HandClock(), list[int]()
    watch = LoopWatch(clock, NS_PER_S // 2, told.append)
    watch.start()
    clock.pass_time(5)
    watch.stop()
    await turns(10)
    assert told == []


def test_clock_moved_by_hand_needs_no_beat() -> None:
    clock = ManualClock()
    LoopWatch(clock, NS_PER_S // 2, lambda _: None).start()
    assert clock._timers == []


async def test_jumps_of_a_simulated_clock_are_no_stalls() -> None:
    told: list[Any] = []
    async with (
        Simulator(["BTC/USD"], seed=7, rate=0) as sim,
        sim.client(on_events=told.extend) as kraken,
        kraken.book("BTC/USD"),
    ):
        await sim.advance(120)
        assert not [event for event in told if isinstance(event, LoopStalled | Stalled | Disconnected)]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_everything_sent_meanwhile_is_read_before_anything_is_judged(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        told: list[Any] = []
        traded, stood_still = asyncio.Event(), asyncio.Event()

        def take(events: Sequence[Any]) -> None:
            told.extend(events)
            if any(isinstance(event, Trade) for event in events):
                traded.set()
            if any(isinstance(event, LoopStalled) for event in events):
                stood_still.set()

        # Shorter than the stall: judged by the clock alone, the connection would be given up.
        options = Options(idle_ping=0.3, ping_timeout=0.3, stall_after=1.0)
        with SimulatorThread(["BTC/USD", "ETH/USD"], seed=3, rate=100) as sim:
            async with (
                asyncio.timeout(60),
                Client(Endpoints(public=sim.url), options=options, on_events=take) as kraken,
                kraken.book("BTC/USD", depth=1000) as book,
                kraken.trades("BTC/USD"),
            ):
                await book.synced(timeout=30)
                sim.place("alice", "BTC/USD", "buy", "0.001")
                await traded.wait()
                time.sleep(1.5)  # noqa: ASYNC251  # the fault itself: our loop stands still
                await stood_still.wait()
        stalled = [event for event in told if isinstance(event, LoopStalled)]
        assert stalled[0].stalled_ns >= NS_PER_S
        assert not [event for event in told if isinstance(event, Stalled)]
        before = told[: told.index(stalled[0])]
        assert not [event for event in before if isinstance(event, Disconnected)]
        assert max(event.received_mono_ns for event in before) > stalled[0].received_mono_ns - NS_PER_S // 2

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
