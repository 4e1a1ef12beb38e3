"""Consumers that go early, fail, or are cancelled; and a replay that is closed in the midst."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from helpers.tapes import tape_of
from krakenwire import CallbackFailed
from krakenwire.book import BookUpdate
from krakenwire.errors import ConnectionClosed, ReplayEnded, UsageError
from krakenwire.replay import Replay

Tape = tuple[Path, list[Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tape(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tape]:
    directory = tmp_path_factory.mktemp("endings") / "tape"
    yield directory, await tape_of(directory, seconds=3.0)


def books(live: list[Any], symbol: str = "BTC/USD") -> list[BookUpdate]:
    return [event for event in live if isinstance(event, BookUpdate) and event.symbol == symbol]


async def whole(replay: Replay, symbol: str = "BTC/USD") -> list[BookUpdate]:
    async with replay.books(symbol) as updates:
        return [update async for update in updates]


async def test_others_go_on_when_one_breaks_out(tape: Tape) -> None:
    path, live = tape

    async def short(replay: Replay) -> None:
        async with replay.books("BTC/USD") as updates:
            async for _ in updates:
                break
        await asyncio.sleep(0.01)  # it is nobody's business any more how long this takes

    async with Replay(path) as replay:
        results = await asyncio.gather(whole(replay), short(replay))
        assert results[0] == books(live)
        assert replay.readers() == ()


async def test_others_go_on_when_one_fails_or_is_cancelled(tape: Tape) -> None:
    path, live = tape

    async def fails(replay: Replay) -> None:
        async with replay.books("BTC/USD") as updates:
            await anext(updates)
            raise RuntimeError("mine")

    async def hangs(replay: Replay) -> None:
        async with replay.books("BTC/USD") as updates:
            await anext(updates)
            asyncio.get_running_loop().call_later(0.01, tasks[1].cancel)
            await asyncio.get_running_loop().create_future()

    async with Replay(path) as replay:
        tasks = [asyncio.create_task(work(replay)) for work in (fails, hangs, whole)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, asyncio.CancelledError, list]
    assert results[2] == books(live)


async def test_cancelled_wait_loses_nothing(tape: Tape) -> None:
    path, live = tape
    seen: list[Any] = []
    async with Replay(path) as replay, replay.books("BTC/USD", policy="drop_oldest") as updates:
        other = asyncio.create_task(whole(replay, "ETH/USD"))
        while len(seen) < 20:
            task = asyncio.create_task(anext(updates))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not task.done():
                task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(result, BaseException):
                seen.append(result)
        other.cancel()
    assert seen == books(live)[:20]


async def test_bare_loop_that_is_broken_out_of(tape: Tape) -> None:
    path, live = tape
    async with Replay(path) as replay:

        async def break_out() -> None:
            async for _ in replay.books("BTC/USD"):
                break
            gc.collect()

        with pytest.warns(ResourceWarning, match="unclosed"):
            await break_out()
        await asyncio.sleep(0)
        assert replay.readers() == ()
        assert await whole(replay) == books(live)[1:]


async def test_closing_in_the_midst_ends_everybody(tape: Tape) -> None:
    path, _ = tape
    async with Replay(path) as replay:
        replay.pause()

        async def change() -> None:
            async with replay.book("BTC/USD") as book:
                await book.changed()

        tasks = [asyncio.create_task(work) for work in (whole(replay), replay.sleep(100), change())]
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == []
    assert [type(result) for result in results[1:]] == [ReplayEnded, ReplayEnded]


async def test_released_book_tells_who_waits(tape: Tape) -> None:
    path, _ = tape
    async with Replay(path) as replay:
        replay.pause()
        async with replay.book("BTC/USD") as book:
            task = asyncio.create_task(book.changed())
            await asyncio.sleep(0)
        with pytest.raises(ConnectionClosed, match="released"):
            await task


async def test_exception_out_of_the_block_goes_through(tape: Tape) -> None:
    path, _ = tape

    async def fail() -> None:
        async with Replay(path) as replay, replay.trades("BTC/USD") as trades:
            async for _ in trades:
                raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await fail()


async def test_callback_is_called_with_each_event_at_its_moment(tape: Tape, caplog: pytest.LogCaptureFixture) -> None:
    path, live = tape
    seen: list[Any] = []
    failures: list[Any] = []
    async with Replay(path) as replay, replay.book("BTC/USD") as book, replay.lifecycle() as lifecycle:

        def callback(update: BookUpdate) -> None:
            assert (book.best_bid, replay.now_ns()) == (update.best_bid, update.received_ns)
            seen.append(update)
            if len(seen) == 5:
                raise RuntimeError("mine")

        async def watch() -> None:
            failures.extend([event async for event in lifecycle if isinstance(event, CallbackFailed)])

        task = asyncio.create_task(watch())
        with caplog.at_level(logging.ERROR, "krakenwire.hub"):
            async with replay.books("BTC/USD", policy="disconnect", capacity=1) as updates:
                await updates.run(callback)
                assert updates.statistics().failures == 1
        await task
    assert seen == books(live)
    assert len(failures) == 1


async def test_batches_are_of_one_input(tape: Tape) -> None:
    path, live = tape
    seen: list[Any] = []
    async with Replay(path) as replay, replay.trades("BTC/USD", "ETH/USD") as trades:
        async for batch in trades.batches():
            assert {trade.received_ns for trade in batch} == {replay.now_ns()}
            assert len({trade.n for trade in batch}) == 1
            seen += batch
    assert [trade.trade_id for trade in seen] == [e.trade_id for e in live if type(e).__name__ == "Trade"]


async def test_two_tasks_of_one_reader_are_refused(tape: Tape) -> None:
    path, _ = tape
    async with Replay(path) as replay, replay.books("BTC/USD") as updates:
        replay.pause()
        task = asyncio.create_task(anext(updates))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="two tasks"):
            await anext(updates)
        task.cancel()


async def test_what_cannot_be_read_is_told_to_everybody(tape: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = tape
    async with Replay(path) as replay:
        monkeypatch.setattr(replay._spool, "play", lambda: (_ for _ in ()).throw(UsageError("the disk is gone")))
        results = await asyncio.gather(whole(replay), replay.sleep(1), return_exceptions=True)
    assert [str(result) for result in results] == ["the disk is gone", "the disk is gone"]
