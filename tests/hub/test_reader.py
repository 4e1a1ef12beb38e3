"""A consumer's iterator: subscribed once, released once, and told of every loss."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

import pytest

from krakenwire.errors import DataLost, ReaderClosed, ReaderOverrun, UnknownSymbol, UsageError
from krakenwire.events import Heartbeat, Loss
from krakenwire.hub import Inbox, OnLoss, Policy, Reader


class Desk:
    """Makes a reader and counts what is done for it."""

    def __init__(self, *, policy: Policy = "drop_oldest", capacity: int = 100, on_loss: OnLoss = "raise") -> None:
        self.inbox = Inbox(policy, capacity)
        self.subscribed = 0
        self.released = 0
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None
        self.reader: Reader[Any] = Reader(self.inbox, on_loss=on_loss, subscribe=self._subscribe, release=self._release)

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.inbox.put(Heartbeat(seq=number))

    def forget_reader(self) -> None:
        del self.reader
        gc.collect()

    async def _subscribe(self) -> None:
        self.subscribed += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    def _release(self) -> None:
        self.released += 1


async def numbers(reader: Reader[Any], count: int) -> list[int]:
    return [(await anext(reader)).seq for _ in range(count)]


async def test_context_subscribes_at_entry_and_releases_at_exit() -> None:
    desk = Desk()
    async with desk.reader as reader:
        assert (desk.subscribed, desk.released) == (1, 0)
        desk.put(1, 2)
        assert await numbers(reader, 2) == [1, 2]
    assert (desk.subscribed, desk.released) == (1, 1)
    await desk.reader.aclose()
    assert desk.released == 1


async def test_iteration_subscribes_at_its_first_step() -> None:
    desk = Desk()
    desk.put(1)
    assert desk.subscribed == 0
    assert await numbers(desk.reader, 1) == [1]
    desk.put(2)
    assert await numbers(desk.reader, 1) == [2]
    assert desk.subscribed == 1
    await desk.reader.aclose()


async def test_break_and_errors_inside_the_context_release_too() -> None:
    desk = Desk()
    desk.put(1, 2)
    async with desk.reader as reader:
        async for _ in reader:
            break
    assert desk.released == 1
    desk = Desk()
    with pytest.raises(ValueError, match="ours"):
        async with desk.reader:
            raise ValueError("ours")
    assert desk.released == 1


async def test_failed_subscription_is_raised_and_can_be_tried_again() -> None:
    desk = Desk()
    desk.error = UnknownSymbol("BTC/USE", ("BTC/USD",))
    for _ in range(2):
        with pytest.raises(UnknownSymbol):
            await anext(desk.reader)
    assert desk.released == 0
    desk.error = None
    desk.put(1)
    assert await numbers(desk.reader, 1) == [1]
    await desk.reader.aclose()


async def test_closed_reader_ends_after_what_waited_and_cannot_be_entered_again() -> None:
    desk = Desk()
    async with desk.reader:
        desk.put(1)
    assert [event.seq async for event in desk.reader] == [1]
    with pytest.raises(ReaderClosed):
        await desk.reader.__aenter__()


async def test_reader_closed_before_it_was_used_is_simply_over() -> None:
    desk = Desk()
    await desk.reader.aclose()
    assert [event async for event in desk.reader] == []
    assert (desk.subscribed, desk.released) == (0, 0)


async def test_closing_ends_a_consumer_that_waits() -> None:
    desk = Desk()

    async def consume() -> list[Any]:
        return [event async for event in desk.reader]

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    await desk.reader.aclose()
    assert await task == []
    assert desk.released == 1


async def test_closing_while_it_is_being_subscribed_releases_it_then() -> None:
    desk = Desk()
    desk.gate = asyncio.Event()
    entering = asyncio.create_task(desk.reader.__aenter__())
    await asyncio.sleep(0)
    await desk.reader.aclose()
    assert desk.released == 0, "there is nothing to release yet"
    desk.gate.set()
    with pytest.raises(ReaderClosed):
        await entering
    assert desk.released == 1


async def test_second_task_is_refused_while_subscribing_and_while_waiting() -> None:
    desk = Desk()
    desk.gate = asyncio.Event()
    first = asyncio.ensure_future(anext(desk.reader))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="two tasks"):
        await anext(desk.reader)
    desk.gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="two tasks"):
        await anext(desk.reader)
    desk.put(7)
    assert (await first).seq == 7
    assert desk.subscribed == 1
    await desk.reader.aclose()


async def test_loss_is_raised_once_and_iterating_goes_on_after_it() -> None:
    desk = Desk(capacity=2)
    async with desk.reader as reader:
        desk.put(1, 2, 3, 4)
        with pytest.raises(DataLost, match=r"2 event\(s\) lost") as caught:
            await anext(reader)
        assert isinstance(caught.value.loss, Loss)
        assert caught.value.loss.count == 2
        assert await numbers(reader, 2) == [3, 4]


async def test_loss_stands_in_the_stream_where_it_is_asked_for() -> None:
    desk = Desk(capacity=2, on_loss="yield")
    async with desk.reader as reader:
        desk.put(1, 2, 3)
        loss = await anext(reader)
        assert isinstance(loss, Loss)
        assert loss.count == 1
        assert await numbers(reader, 2) == [2, 3]
        assert reader.statistics().losses == 1


async def test_overrun_reader_gives_what_waited_and_is_over() -> None:
    desk = Desk(policy="disconnect", capacity=2)
    async with desk.reader as reader:
        desk.put(1, 2, 3, 4)
        assert await numbers(reader, 2) == [1, 2]
        for _ in range(2):
            with pytest.raises(ReaderOverrun):
                await anext(reader)
    assert desk.released == 1


async def test_cancelled_step_loses_nothing() -> None:
    desk = Desk()
    async with desk.reader as reader:
        for number in range(10):
            step = asyncio.ensure_future(anext(reader))
            await asyncio.sleep(0)
            desk.put(number)  # it comes at the very moment of the cancellation
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert await numbers(reader, 1) == [number]


async def test_cancelled_entry_can_be_repeated() -> None:
    desk = Desk()
    desk.gate = asyncio.Event()
    entering = asyncio.create_task(desk.reader.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    desk.gate.set()
    async with desk.reader:
        assert desk.subscribed == 2
    assert desk.released == 1


async def test_forgotten_reader_is_released_with_a_warning_when_it_is_collected() -> None:
    desk = Desk()
    desk.put(1)
    await anext(desk.reader)
    gone = weakref.ref(desk.reader)
    with pytest.warns(ResourceWarning, match=r"unclosed .*async with"):
        desk.forget_reader()
    assert desk.released == 0  # it may be collected in the midst of anything
    await asyncio.sleep(0)
    assert gone() is None
    assert desk.released == 1


@pytest.mark.parametrize("how", ["never used", "closed", "overrun"])
async def test_reader_that_is_over_is_collected_without_a_word(how: str) -> None:
    desk = Desk(policy="disconnect", capacity=1)
    if how != "never used":
        desk.put(1)
        await anext(desk.reader)
    if how == "closed":
        await desk.reader.aclose()
    if how == "overrun":
        desk.put(2, 3)
    desk.forget_reader()
    await asyncio.sleep(0)
    assert desk.released == (0 if how == "never used" else 1)


def test_wish_about_losses_must_be_one_there_is() -> None:
    with pytest.raises(UsageError, match="'raise' or 'yield'"):
        Desk(on_loss="ignore")  # type: ignore[arg-type]  # that it is refused is the test


@pytest.mark.parametrize("how", ["closed", "dropped while it was open"])
async def test_what_waited_for_a_dropped_reader_is_gone_at_once(how: str) -> None:
    gc.collect()
    gc.disable()  # cycles are collected seldom: what hangs in one may keep megabytes for minutes
    try:
        desk = Desk()
        desk.put(1, 2, 3)
        await anext(desk.reader)
        if how == "closed":
            await desk.reader.aclose()
            del desk.reader
        else:
            with pytest.warns(ResourceWarning):
                del desk.reader
            await asyncio.sleep(0)
        gone = weakref.ref(desk.inbox)
        del desk.inbox
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


async def test_reader_that_was_cut_off_is_gone_with_all_it_held_once_its_end_was_seen() -> None:
    gc.collect()
    gc.disable()  # see above: what is raised must not keep the frames it went through
    try:
        desk = Desk(policy="disconnect", capacity=2)
        desk.put(1, 2, 3)
        with suppress(ReaderOverrun):
            async for _ in desk.reader:
                pass
        await desk.reader.aclose()
        gone = weakref.ref(desk.inbox)
        del desk.reader, desk.inbox
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()
