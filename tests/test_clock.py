"""Clocks: the one that a test moves, and the machine's."""

from __future__ import annotations

import asyncio
import time

import pytest

from krakenwire.clock import NS_PER_S, ManualClock, SystemClock, timeout


async def test_timers_fire_in_order_each_at_its_own_moment() -> None:
    clock = ManualClock()
    fired: list[tuple[str, int]] = []
    for name, moment in (("late", 3), ("early", 1), ("middle", 2), ("beyond", 9)):
        clock.call_at(moment * NS_PER_S, lambda name=name: fired.append((name, clock.monotonic_ns())))  # type: ignore[misc]  # mypy infers no default
    await clock.advance(5)
    assert fired == [("early", NS_PER_S), ("middle", 2 * NS_PER_S), ("late", 3 * NS_PER_S)]
    assert clock.monotonic_ns() == 5 * NS_PER_S
    await clock.advance(4)
    assert fired[-1] == ("beyond", 9 * NS_PER_S)


async def test_timers_of_one_moment_fire_in_the_order_they_were_set() -> None:
    clock = ManualClock()
    fired: list[int] = []
    for number in range(5):
        clock.call_at(NS_PER_S, lambda number=number: fired.append(number))  # type: ignore[misc]  # mypy infers no default
    await clock.advance(1)
    assert fired == [0, 1, 2, 3, 4]


async def test_utc_moves_with_monotonic_time() -> None:
    clock = ManualClock(now_ns=500)
    await clock.advance(0.25)
    await clock.advance(0)
    assert (clock.now_ns(), clock.monotonic_ns()) == (500 + NS_PER_S // 4, NS_PER_S // 4)


async def test_time_does_not_run_backwards() -> None:
    clock = ManualClock()
    await clock.advance(1)
    with pytest.raises(ValueError, match="backwards"):
        await clock.advance(-1)
    fired: list[int] = []
    clock.call_at(0, lambda: fired.append(clock.monotonic_ns()))
    await clock.advance(0)
    assert fired == [NS_PER_S], "a moment that has passed is now"


async def test_cancelled_timer_does_not_fire_and_cancelling_again_is_harmless() -> None:
    clock = ManualClock()
    fired: list[int] = []
    timer = clock.call_at(1, lambda: fired.append(1))
    timer.cancel()
    timer.cancel()
    kept = clock.call_at(1, lambda: fired.append(2))
    await clock.advance(1)
    kept.cancel()
    assert fired == [2]


async def test_timer_set_by_a_timer_fires_on_the_same_way() -> None:
    clock = ManualClock()
    fired: list[int] = []

    def again() -> None:
        fired.append(clock.monotonic_ns())
        if len(fired) < 3:
            clock.call_at(clock.monotonic_ns() + NS_PER_S, again)

    clock.call_at(NS_PER_S, again)
    await clock.advance(10)
    assert fired == [NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S]


async def test_sleepers_wake_at_their_moment_and_run_before_time_goes_on() -> None:
    clock = ManualClock()
    woken: list[tuple[float, int]] = []

    async def sleeper(seconds: float) -> None:
        for _ in range(2):
            await clock.sleep(seconds)
            woken.append((seconds, clock.monotonic_ns()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(1.0))
        group.create_task(sleeper(1.5))
        await clock.advance(0.999)
        assert woken == []
        await clock.advance(5)
    assert woken == [(1.0, 10**9), (1.5, 15 * 10**8), (1.0, 2 * 10**9), (1.5, 3 * 10**9)]


async def test_cancelled_sleep_ends_at_once_and_has_no_effect() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.advance(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await clock.advance(100)
    assert clock.monotonic_ns() == 101 * NS_PER_S


async def test_settle_lets_tasks_run_without_moving_time() -> None:
    clock = ManualClock()
    steps: list[int] = []

    async def work() -> None:
        for number in range(10):
            await asyncio.sleep(0)
            steps.append(number)

    task = asyncio.create_task(work())
    await clock.settle()
    assert (len(steps), clock.monotonic_ns(), task.done()) == (10, 0, True)


async def test_timeout_is_measured_on_the_clock() -> None:
    clock = ManualClock()

    async def work(seconds: float) -> str:
        async with timeout(clock, 5.0):
            await clock.sleep(seconds)
        return "done"

    quick, slow = asyncio.create_task(work(4.9)), asyncio.create_task(work(5.1))
    await clock.advance(5)
    assert quick.result() == "done"
    with pytest.raises(TimeoutError):
        await slow


def test_system_clock_is_the_machines() -> None:
    clock = SystemClock()
    before, monotonic = time.time_ns(), time.monotonic_ns()
    assert before <= clock.now_ns() <= time.time_ns()
    assert monotonic <= clock.monotonic_ns() <= time.monotonic_ns()


async def test_system_clock_calls_at_the_moment_and_not_before() -> None:
    clock = SystemClock()
    called: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    due = clock.monotonic_ns() + 20_000_000
    clock.call_at(due, lambda: called.set_result(clock.monotonic_ns()))
    cancelled: list[int] = []
    clock.call_at(due, lambda: cancelled.append(1)).cancel()
    assert await called >= due - 1_000_000
    assert cancelled == []


async def test_system_clock_calls_at_once_for_a_moment_that_has_passed() -> None:
    clock = SystemClock()
    called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    clock.call_at(clock.monotonic_ns() - NS_PER_S, lambda: called.set_result(None))
    await called


async def test_system_clock_sleeps() -> None:
    clock = SystemClock()
    start = clock.monotonic_ns()
    await clock.sleep(0.01)
    assert clock.monotonic_ns() - start >= 9_000_000
