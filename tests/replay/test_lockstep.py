"""Nothing further of the tape is played before everybody who was given something has asked for more."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from helpers.tapes import tape_of
from krakenwire import Trade
from krakenwire.book import Book, BookUpdate
from krakenwire.errors import ReplayEnded
from krakenwire.replay import Replay

Tape = tuple[Path, list[Any]]
RUNS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tape(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tape]:
    directory = tmp_path_factory.mktemp("lockstep") / "tape"
    yield directory, await tape_of(directory, seconds=4.0)


def of(events: list[Any], kind: type[Any], symbol: str) -> list[int]:
    return [event.seq for event in events if isinstance(event, kind) and event.symbol == symbol]


async def at_once() -> None:
    """A consumer that awaits nothing."""


async def a_turn() -> None:
    await asyncio.sleep(0)


async def many_turns() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def a_timer() -> None:
    await asyncio.sleep(0.0005)


async def a_thread() -> None:
    await asyncio.to_thread(sum, range(100))


async def a_child() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.0005))


async def a_random_time() -> None:
    await asyncio.sleep(random.random() / 2000)


SLOW = [at_once, a_turn, many_turns, a_timer, a_thread, a_child, a_random_time]


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate", "disconnect", "block"])
@pytest.mark.parametrize("work", SLOW, ids=lambda work: work.__name__)
async def test_slow_consumer_loses_nothing_and_sees_the_book_of_its_event(
    tape: Tape, work: Callable[[], Awaitable[None]], policy: Any
) -> None:
    path, live = tape
    seen = []
    async with Replay(path) as replay, replay.book("BTC/USD") as book:
        async with replay.books("BTC/USD", policy=policy, capacity=1) as updates:
            async for update in updates:
                await work()
                assert (book.best_bid, book.best_ask) == (update.best_bid, update.best_ask)
                assert replay.now_ns() == update.received_ns
                seen.append(update.seq)
            statistics = updates.statistics()
    assert seen == of(live, BookUpdate, "BTC/USD")
    assert (statistics.dropped, statistics.conflated, statistics.delivered) == (0, 0, len(seen))


async def several(tape: Tape) -> None:
    """Consumers of all kinds, each of which must see the books of its event before and after whatever it awaits."""
    path, live = tape
    seen: dict[int, list[int]] = {}
    async with Replay(path) as replay, replay.book("BTC/USD") as btc, replay.book("ETH/USD") as eth:

        async def consume(number: int, work: Callable[[], Awaitable[None]]) -> None:
            seen[number] = []
            async with replay.books("BTC/USD", "ETH/USD", policy="disconnect", capacity=1) as updates:
                async for update in updates:
                    book = btc if update.symbol == "BTC/USD" else eth
                    top = update.best_bid, update.best_ask
                    assert (book.best_bid, book.best_ask) == top
                    await work()
                    assert (book.best_bid, book.best_ask) == top
                    assert replay.now_ns() == update.received_ns
                    seen[number].append(update.seq)

        await asyncio.gather(*(consume(number, work) for number, work in enumerate(SLOW)))
    everything = [event.seq for event in live if isinstance(event, BookUpdate)]
    assert seen == dict.fromkeys(range(len(SLOW)), everything)


async def test_every_one_of_several_consumers_sees_the_books_of_its_event(tape: Tape) -> None:
    await several(tape)


def test_the_same_on_an_event_loop_that_does_not_show_what_is_ready(tape: Tape) -> None:
    pytest.importorskip("uvloop").run(several(tape))


async def journey(path: Path) -> list[Any]:
    """Three consumers, a sleeper and a pair that hands over by a queue, all writing into one list."""
    told: list[Any] = []
    async with Replay(path) as replay:
        queue: asyncio.Queue[Trade] = asyncio.Queue()

        async def trades() -> None:
            async with replay.trades("BTC/USD") as reader:
                async for trade in reader:
                    told.append(("trade", trade.trade_id, replay.now_ns()))
                    queue.put_nowait(trade)

        async def worker() -> None:
            while True:
                trade = await queue.get()
                told.append(("queue", trade.trade_id, replay.now_ns()))

        async def books() -> None:
            async with replay.books("BTC/USD", "ETH/USD") as reader:
                async for update in reader:
                    told.append((update.symbol, update.seq, replay.now_ns()))
                    await asyncio.sleep(0)

        async def sleeper() -> None:
            with suppress(ReplayEnded):
                while True:
                    await replay.sleep(0.1)
                    told.append(("slept", replay.now_ns()))

        async def quiet() -> None:
            async with replay.book("ETH/USD") as book:
                with suppress(ReplayEnded):
                    while True:
                        await book.changed()
                        told.append(("changed", book.updated_ns, replay.now_ns()))

        works = asyncio.create_task(worker())
        await asyncio.gather(trades(), books(), sleeper(), quiet())
        works.cancel()
    return told


async def test_same_program_sees_the_same_order_on_every_run(tape: Tape) -> None:
    path, _ = tape
    first = await journey(path)
    assert {entry[0] for entry in first} == {"trade", "queue", "BTC/USD", "ETH/USD", "slept", "changed"}
    assert all(moment[-1] <= later[-1] for moment, later in pairwise(first))
    for _ in range(RUNS - 1):
        assert await journey(path) == first


def test_same_order_on_an_event_loop_that_does_not_show_what_is_ready(tape: Tape) -> None:
    uvloop = pytest.importorskip("uvloop")
    path, _ = tape
    first = uvloop.run(journey(path))
    assert all(uvloop.run(journey(path)) == first for _ in range(3))
    assert sorted(first, key=repr) == sorted(asyncio.run(journey(path)), key=repr)


async def test_what_a_queue_hands_over_is_handled_before_the_tape_goes_on(tape: Tape) -> None:
    path, live = tape
    seen = []
    async with Replay(path) as replay:
        queue: asyncio.Queue[Trade] = asyncio.Queue(maxsize=1)

        async def produce() -> None:
            async with replay.trades("BTC/USD") as reader:
                async for trade in reader:
                    await queue.put(trade)

        async def work() -> None:
            while True:
                trade = await queue.get()
                assert replay.now_ns() == trade.received_ns
                seen.append(trade.seq)

        works = asyncio.create_task(work())
        await produce()
        works.cancel()
    assert seen == of(live, Trade, "BTC/USD")


@pytest.mark.parametrize("is_busy_process", [False, True], ids=["alone", "with a server"])
async def test_consumers_that_wait_for_each_other_go_on(tape: Tape, *, is_busy_process: bool) -> None:
    """The worker takes of the replay, and then waits for a task that itself waits for the replay."""
    path, live = tape
    seen = []
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0) if is_busy_process else None
    async with Replay(path, patience=5.0) as replay:
        queue: asyncio.Queue[Trade] = asyncio.Queue()

        async def produce() -> None:
            async with replay.trades("BTC/USD") as reader:
                async for trade in reader:
                    queue.put_nowait(trade)

        async def work() -> None:
            async with replay.books("BTC/USD", policy="drop_oldest") as updates:
                await anext(updates)
                while True:
                    trade = await queue.get()  # while it is busy with the update that it was given
                    seen.append(trade.seq)
                    await anext(updates)

        works = asyncio.create_task(work())
        async with asyncio.timeout(4):  # less than the patience: it was seen, not waited out
            await produce()
        await asyncio.sleep(0)
        works.cancel()
    if server is not None:
        server.close()
    assert len(seen) >= len(of(live, Trade, "BTC/USD")) - 1


async def may_go_on(replay: Replay, book: Book) -> bool:
    try:
        await asyncio.wait_for(asyncio.ensure_future(book.changed()), 20)
        await asyncio.gather(asyncio.ensure_future(replay.sleep(0.01)))
        async with asyncio.TaskGroup() as group:
            group.create_task(replay.sleep(0.01))
    except (ConnectionError, ExceptionGroup):
        return False
    return True


async def test_handler_may_wait_for_the_replay_by_another_task(tape: Tape) -> None:
    path, _ = tape
    rounds = 0
    async with Replay(path) as replay, replay.book("BTC/USD") as book:
        async with replay.trades("BTC/USD") as trades:
            async for _trade in trades:
                if not await may_go_on(replay, book):
                    break
                rounds += 1
    assert rounds > 3


async def test_patience_ends_with_a_line_in_the_log(tape: Tape, caplog: pytest.LogCaptureFixture) -> None:
    """A bare future might be set by anything, and there is a thread about: one cannot tell."""
    path, live = tape
    seen = []
    released: list[asyncio.Future[None]] = []
    stop = asyncio.Event()
    waiting = asyncio.run_coroutine_threadsafe(stop.wait(), asyncio.get_running_loop())
    thread = asyncio.create_task(asyncio.to_thread(waiting.result))
    async with Replay(path, patience=0.05) as replay:

        async def stuck() -> None:
            async with replay.trades("BTC/USD") as reader:
                await anext(reader)
                released.append(asyncio.get_running_loop().create_future())
                await released[0]

        with caplog.at_level(logging.WARNING, "krakenwire.replay"):
            task = asyncio.create_task(stuck())
            async with replay.books("ETH/USD") as updates:
                seen = [update.seq async for update in updates]
        task.cancel()
    stop.set()
    await thread
    assert seen == of(live, BookUpdate, "ETH/USD")
    assert len(caplog.records) == 1
    assert "stuck" in caplog.text


async def test_reader_that_nobody_reads_does_not_stop_the_tape(tape: Tape) -> None:
    path, live = tape
    async with Replay(path) as replay:
        async with replay.trades("BTC/USD") as kept, replay.books("BTC/USD") as updates:
            assert [update.seq async for update in updates] == of(live, BookUpdate, "BTC/USD")
            assert [trade.seq async for trade in kept] == of(live, Trade, "BTC/USD")


async def test_policy_holds_for_the_time_that_a_consumer_lets_pass(tape: Tape) -> None:
    """Not how long it takes, but how long it sleeps, makes a consumer slow: as it would be live."""
    path, _ = tape
    async with Replay(path) as replay, replay.books("BTC/USD", policy="conflate") as updates:
        await anext(updates)
        await replay.sleep(1.0)
        newest = await anext(updates)
        assert updates.statistics().conflated > 0
        async with replay.book("BTC/USD") as book:
            assert book.best_bid == newest.best_bid


async def test_task_that_never_waits_does_not_stop_the_tape(tape: Tape) -> None:
    path, live = tape

    async def spin() -> None:
        while True:  # noqa: ASYNC110  # a task that waits for nothing is the point
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    async with Replay(path) as replay, replay.trades("BTC/USD") as trades:
        assert [trade.seq async for trade in trades] == of(live, Trade, "BTC/USD")
    task.cancel()


async def test_event_loop_has_its_turns_while_the_tape_is_played(tape: Tape) -> None:
    """A consumer that never awaits anything else: a timer is fired all the same, and so would be Ctrl-C."""
    path, _ = tape
    rounds = 0

    async def consume() -> None:
        nonlocal rounds
        while True:
            async with Replay(path) as replay, replay.books("BTC/USD") as updates:
                async for _ in updates:
                    rounds += 1

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await consume()
    assert rounds > 10
