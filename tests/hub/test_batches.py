"""Batches: all that waits at once, in order, with every loss in its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helpers.hub import open_reader, reader_of, ticker, trade
from krakenwire.clock import ManualClock
from krakenwire.errors import DataLost, ReaderOverrun, UsageError
from krakenwire.events import Gap, Loss
from krakenwire.hub import Hub, Interest

TRADES = Interest("trade", "A/B")


class Bench:
    """A hub by a manual clock, and what one reader of it is given in batches."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub = Hub(clock=self.clock)
        self.sent = 0

    def send(self, count: int = 1) -> None:
        self.hub.publish([trade(seq=self.sent + number) for number in range(count)])
        self.sent += count

    async def reader(self, **delivery: Any) -> Any:
        return await open_reader(self.hub, TRADES, **delivery)


def numbers(batch: list[Any]) -> list[int]:
    return [event.seq for event in batch]


async def test_what_waits_comes_at_once_up_to_the_number_asked_for() -> None:
    bench = Bench()
    async with await bench.reader() as reader:
        bench.send(7)
        batches = reader.batches(max_events=3)
        assert [numbers(await anext(batches)) for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]
        step = asyncio.ensure_future(anext(batches))
        await bench.clock.settle()
        assert not step.done()
        bench.send(2)
        assert numbers(await step) == [7, 8]
        account = reader.statistics()
        assert (account.delivered, account.waiting) == (9, 0)


async def test_iteration_subscribes_at_its_first_step_and_ends_when_the_reader_is_closed() -> None:
    bench = Bench()
    reader = reader_of(bench.hub, TRADES)
    seen: list[int] = []

    async def consume() -> None:
        async for batch in reader.batches():
            seen.extend(numbers(batch))

    task = asyncio.create_task(consume())
    await bench.clock.settle()
    assert len(bench.hub.inboxes) == 1
    bench.send(3)
    await reader.aclose()
    await task
    assert seen == [0, 1, 2]


async def test_with_max_wait_it_waits_for_more_but_not_longer() -> None:
    bench = Bench()
    async with await bench.reader() as reader:
        batches = reader.batches(max_events=5, max_wait=1.0)
        step = asyncio.ensure_future(anext(batches))
        await bench.clock.advance(60.0)
        assert not step.done(), "it waits for the first one as long as it takes"
        bench.send(1)
        await bench.clock.advance(0.9)
        bench.send(2)
        await bench.clock.settle()
        assert not step.done()
        await bench.clock.advance(0.1)
        assert numbers(await step) == [0, 1, 2]


async def test_with_max_wait_enough_events_end_the_wait() -> None:
    bench = Bench()
    async with await bench.reader() as reader:
        batches = reader.batches(max_events=5, max_wait=1.0)
        step = asyncio.ensure_future(anext(batches))
        for _ in range(4):
            await bench.clock.settle()
            assert not step.done()
            bench.send(1)
        bench.send(3)
        assert numbers(await step) == [0, 1, 2, 3, 4]
        bench.send(10)
        assert numbers(await anext(batches)) == [5, 6, 7, 8, 9]


async def test_waiting_for_more_never_makes_a_reader_lose_any() -> None:
    bench = Bench()
    async with await bench.reader(capacity=8) as reader:
        batches = reader.batches(max_events=1000, max_wait=60.0)
        for _ in range(5):
            step = asyncio.ensure_future(anext(batches))
            for _ in range(5):
                await bench.clock.settle()
                assert not step.done()
                bench.send(1)
            assert len(await step) == 5
        assert reader.statistics().dropped == 0


async def test_conflated_batches_hold_the_newest_of_each() -> None:
    bench = Bench()
    async with await open_reader(bench.hub, Interest("ticker"), policy="conflate") as reader:
        bench.hub.publish([ticker(symbol, number) for number, symbol in enumerate("ABABCA")])
        assert numbers(await anext(reader.batches())) == [3, 4, 5]
        assert reader.statistics().conflated == 3


async def test_what_precedes_a_loss_is_given_before_it_is_raised() -> None:
    bench = Bench()
    async with await bench.reader() as reader:
        gap = Gap(of="trade", symbol="A/B", reason="x", count=4)
        bench.send(2)
        bench.hub.publish([gap])
        bench.send(2)
        batches = reader.batches()
        assert numbers(await anext(batches)) == [0, 1]
        with pytest.raises(DataLost) as caught:
            await anext(batches)
        assert isinstance(caught.value.loss, Loss)
        assert caught.value.loss.count == 4
        assert numbers(await anext(batches)) == [2, 3]


async def test_a_loss_stands_in_the_list_where_it_is_asked_for() -> None:
    bench = Bench()
    async with await bench.reader(on_loss="yield", capacity=3) as reader:
        bench.send(4)
        bench.hub.publish([Gap(of="trade", symbol="A/B", reason="x", count=4)])
        first, *rest = await anext(reader.batches())
        assert first.count == 2
        assert [getattr(event, "count", event.seq) for event in rest] == [2, 3, 4]
        account = reader.statistics()
        assert (account.losses, account.dropped, account.delivered) == (2, 2, 3)


async def test_an_overrun_reader_gives_what_waited_and_is_over() -> None:
    bench = Bench()
    async with await bench.reader(policy="disconnect", capacity=3) as reader:
        bench.send(5)
        batches = reader.batches(max_events=2)
        assert [numbers(await anext(batches)) for _ in range(2)] == [[0, 1], [2]]
        for _ in range(2):
            with pytest.raises(ReaderOverrun):
                await anext(batches)


@pytest.mark.parametrize("max_wait", [None, 1.0])
async def test_cancelled_at_any_turn_nothing_is_lost(max_wait: float | None) -> None:
    for turns in range(12):
        bench = Bench()
        async with await bench.reader() as reader:
            batches = reader.batches(max_events=3, max_wait=max_wait)
            step = asyncio.ensure_future(anext(batches))
            for turn in range(turns):
                if turn in (2, 5):
                    bench.send(1)
                await asyncio.sleep(0)
            step.cancel()
            await bench.clock.settle()
            given = [] if step.cancelled() else numbers(await step)
            bench.send(1)
            while len(given) < bench.sent:
                step = asyncio.ensure_future(anext(batches))
                await bench.clock.advance(1.0)
                given += numbers(await step)
            assert given == [*range(bench.sent)]


async def test_a_second_consumer_is_refused_however_it_reads() -> None:
    bench = Bench()
    async with await bench.reader() as reader:
        waiting = asyncio.ensure_future(anext(reader.batches()))
        await bench.clock.settle()
        for other in (anext(reader), anext(reader.batches()), reader.run(print)):
            with pytest.raises(UsageError, match="two tasks"):
                await other
        bench.send(1)
        assert numbers(await waiting) == [0]


@pytest.mark.parametrize("how", [{"max_events": 0}, {"max_wait": -1.0}])
async def test_numbers_that_cannot_work_are_refused(how: dict[str, Any]) -> None:
    bench = Bench()
    async with await bench.reader() as reader:
        with pytest.raises(UsageError, match="at least"):
            reader.batches(**how)
