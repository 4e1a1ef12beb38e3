"""Callbacks: what they raise and how long they take is their own affair, and is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from helpers.hub import open_reader, trade
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.errors import DataLost, ReaderOverrun, UsageError
from krakenwire.events import LIFECYCLE, CallbackFailed, CallbackSlow, Gap
from krakenwire.hub import Hub, Interest

TRADES = Interest("trade", "A/B")


class Bench:
    """A hub whose clock stands still unless a callback moves it, and one reader that runs a callback."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub = Hub(clock=self.clock)
        self.told: list[Any] = []
        self.hub.listen(Interest(LIFECYCLE), self.told.append)
        self.seen: list[int] = []
        self.sent = 0

    def send(self, count: int = 1) -> None:
        self.hub.publish([trade(seq=self.sent + number) for number in range(count)])
        self.sent += count

    async def run(self, callback: Callable[[Any], object], **delivery: Any) -> tuple[Any, asyncio.Task[None]]:
        reader = await open_reader(self.hub, TRADES, name="mine", **delivery)
        task = asyncio.create_task(reader.run(callback))
        await self.clock.settle()
        return reader, task

    def see(self, event: Any) -> None:
        self.seen.append(event.seq)

    def takes(self, seconds: float) -> None:
        self.clock._move_to(self.clock.monotonic_ns() + round(seconds * NS_PER_S))


async def test_every_event_is_handed_over_until_the_reader_is_closed() -> None:
    bench = Bench()
    reader, task = await bench.run(bench.see)
    for _ in range(3):
        bench.send(100)
        await bench.clock.settle()
    assert bench.seen == [*range(300)]
    await reader.aclose()
    await task
    assert bench.told == []


async def test_what_a_callback_raises_stops_neither_it_nor_others() -> None:
    bench = Bench()

    def fail(event: Any) -> None:
        bench.see(event)
        if event.seq % 2:
            raise ValueError("the password is hunter2")

    reader, task = await bench.run(fail)
    other = await open_reader(bench.hub, TRADES)
    bench.send(10)
    await bench.clock.settle()
    assert bench.seen == [*range(10)]
    assert len(await anext(other.batches())) == 10
    (told,) = bench.told
    assert isinstance(told, CallbackFailed)
    assert (told.reader, told.failures) == ("mine", 1)
    assert told.error.startswith("ValueError at test_calling.py:")
    assert "hunter2" not in told.error
    assert reader.statistics().failures == 5
    await bench.clock.advance(1.0)
    bench.send(2)
    await bench.clock.settle()
    assert [event.failures for event in bench.told] == [1, 6], "at most one a second, with the count by then"
    await reader.aclose()
    await other.aclose()
    await task


async def test_a_callback_that_keeps_the_loop_is_told() -> None:
    bench = Bench()

    def dawdle(event: Any) -> None:
        bench.see(event)
        bench.takes(0.05 if event.seq < 5 else 0.051)

    reader, task = await bench.run(dawdle)
    for _ in range(5):
        bench.send(1)
        await bench.clock.settle()
    assert bench.told == [], "50 ms are allowed"
    bench.send(1)
    await bench.clock.settle()
    (told,) = bench.told
    assert isinstance(told, CallbackSlow)
    assert (told.reader, told.took_ns, told.slow) == ("mine", 51_000_000, 1)
    assert reader.statistics().slow == 1
    await reader.aclose()
    await task


async def test_many_quick_calls_that_keep_the_loop_together_let_others_have_a_turn() -> None:
    bench = Bench()
    turns: list[int] = []
    reader, task = await bench.run(lambda _: bench.takes(0.001))

    async def watch() -> None:
        while True:
            turns.append(reader.statistics().delivered)
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    bench.send(640)
    await bench.clock.settle()
    assert [event.took_ns for event in bench.told] == [64_000_000] * 10
    assert {64, 128, 192, 640} <= set(turns)
    watcher.cancel()
    await reader.aclose()
    await task


async def test_a_loss_is_raised_in_its_place_and_running_again_goes_on() -> None:
    bench = Bench()
    reader, task = await bench.run(bench.see)
    bench.send(2)
    bench.hub.publish([Gap(of="trade", symbol="A/B", reason="x", count=4)])
    bench.send(2)
    with pytest.raises(DataLost):
        await task
    assert bench.seen == [0, 1]
    again = asyncio.create_task(reader.run(bench.see))
    await bench.clock.settle()
    assert bench.seen == [0, 1, 2, 3]
    await reader.aclose()
    await again


async def test_a_loss_is_handed_over_where_it_is_asked_for() -> None:
    bench = Bench()
    given: list[Any] = []
    reader, task = await bench.run(given.append, on_loss="yield", capacity=2)
    bench.send(5)
    await bench.clock.settle()
    assert (given[0].count, [event.seq for event in given[1:]]) == (3, [3, 4])
    await reader.aclose()
    await task


async def test_an_overrun_reader_ends_the_run_with_its_error() -> None:
    bench = Bench()
    _, task = await bench.run(bench.see, policy="disconnect", capacity=2)
    bench.send(5)
    with pytest.raises(ReaderOverrun):
        await task
    assert bench.seen == [0, 1]


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate", "block"])
async def test_what_stops_the_program_loses_nothing_but_the_event_at_hand(policy: Any) -> None:
    bench = Bench()
    bench.hub = Hub(clock=bench.clock, pause=lambda *_: None, resume=lambda *_: None)
    reader = await open_reader(
        bench.hub, *(Interest("trade", symbol, "") for symbol in "ABCDE"), policy=policy, name="mine"
    )
    for number, symbol in enumerate("ABCDE"):
        bench.hub.publish([trade(symbol, number)])

    def stop(event: Any) -> None:
        bench.see(event)
        if event.seq == 1:
            raise KeyboardInterrupt

    run = reader.run(stop)
    with pytest.raises(KeyboardInterrupt):
        run.send(None)
    assert reader.statistics().delivered == 2
    assert reader.statistics().waiting == 3
    again = asyncio.create_task(reader.run(bench.see))
    await bench.clock.settle()
    assert bench.seen == [*range(5)]
    await reader.aclose()
    await again


async def test_a_run_that_is_cancelled_loses_nothing() -> None:
    bench = Bench()
    reader, task = await bench.run(bench.see)
    for _ in range(20):
        bench.send(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.create_task(reader.run(bench.see))
        await asyncio.sleep(0)
    await bench.clock.settle()
    assert bench.seen == [*range(20)]
    await reader.aclose()
    await task


async def test_coroutine_functions_are_refused() -> None:
    bench = Bench()

    async def callback(_: Any) -> None:
        """It would never be awaited."""

    async with await open_reader(bench.hub, TRADES) as reader:
        with pytest.raises(UsageError, match="async for"):
            await reader.run(callback)


async def test_what_cannot_be_called_is_refused_before_the_first_event() -> None:
    async with await open_reader(Bench().hub, TRADES) as reader:
        with pytest.raises(UsageError, match="3 cannot be called"):
            await reader.run(cast("Any", 3))


async def test_events_about_callbacks_go_where_they_are_asked_to_go() -> None:
    bench = Bench()
    told: list[Any] = []
    bench.hub = Hub(clock=bench.clock, report=told.append)
    reader, task = await bench.run(lambda _: 1 / 0)
    bench.send(1)
    await bench.clock.settle()
    (event,) = told
    assert "ZeroDivisionError" in event.error
    assert event.stamp.received_mono_ns == bench.clock.monotonic_ns()
    await reader.aclose()
    await task
