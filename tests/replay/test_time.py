"""Time on a tape: sleeping, beginning, ending, going elsewhere, and how fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from helpers.tapes import record, tape_of
from krakenwire import ManualClock, Trade
from krakenwire.book import BookUpdate
from krakenwire.clock import NS_PER_S
from krakenwire.errors import ConnectionClosed, NotRecorded, ReplayEnded, UsageError
from krakenwire.journal.files.directory import segments, states
from krakenwire.journal.sealing.sealing import seal, unsealed
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.replay import Replay
from krakenwire.sim.market.market import SIMULATED_START_NS as BEGIN
from krakenwire.streams import Streams
from krakenwire.testing import Simulator

Tape = tuple[Path, list[Any]]
SECONDS = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tape(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tape]:
    directory = tmp_path_factory.mktemp("time") / "tape"
    yield directory, await tape_of(directory, seconds=SECONDS)


def updates_of(events: list[Any], start_ns: int = 0, end_ns: int = 1 << 62) -> list[BookUpdate]:
    return [e for e in events if isinstance(e, BookUpdate) and start_ns <= e.received_ns < end_ns]


async def collect(replay: Replay) -> list[BookUpdate]:
    async with replay.books("BTC/USD", "ETH/USD") as updates:
        return [update async for update in updates]


# --- sleeping ---------------------------------------------------------------------------------------------------------


async def looks(source: Any, count: int, every: float) -> list[tuple[int, Decimal, Decimal]]:
    """A strategy that only sleeps and looks at a book."""
    found = []
    async with source.book("BTC/USD") as book:
        await book.synced()
        start_ns = source.now_ns()
        for number in range(count):
            await source.sleep(every)
            assert source.now_ns() == start_ns + round((number + 1) * every * NS_PER_S)
            found.append((source.now_ns(), book.best_bid.price, book.best_ask.price))
    return found


async def test_strategy_that_sleeps_sees_what_it_saw_live(tmp_path: Path) -> None:
    async with Simulator(symbols=["BTC/USD"], seed=5, rate=33) as sim:
        client = sim.client()
        tape = record(client, tmp_path / "tape")
        async with client as kraken:
            live = await sim.until(looks(kraken, 20, 0.37), 60)
    tape.close()
    async with Replay(tmp_path / "tape") as replay:
        assert await looks(replay, 20, 0.37) == live
    assert len({bid for _, bid, _ in live}) > 1


async def test_sleepers_are_woken_in_order_with_events(tape: Tape) -> None:
    path, live = tape
    told: list[int] = []
    async with Replay(path) as replay:

        async def sleep(every: float) -> None:
            with suppress(ReplayEnded):
                while True:
                    due = replay.now_ns() + round(every * NS_PER_S)
                    await replay.sleep(every)
                    assert replay.now_ns() == due
                    told.append(replay.now_ns())

        async def read() -> None:
            async with replay.books("BTC/USD") as updates:
                async for update in updates:
                    assert replay.now_ns() == update.received_ns
                    told.append(replay.now_ns())

        await asyncio.gather(sleep(0.13), read(), sleep(0.011))
    assert told == sorted(told)
    sleeps = len(told) - len([e for e in updates_of(live) if e.symbol == "BTC/USD"])
    assert SECONDS / 0.13 + SECONDS / 0.011 - 3 < sleeps <= SECONDS / 0.13 + SECONDS / 0.011


async def crossover(source: Streams, fast: int, slow: int, seconds: float) -> list[tuple[int, str]]:
    """Moving averages of the mid, sampled by the clock of the source."""
    signals: list[tuple[int, str]] = []
    mids: list[Decimal] = []
    end_ns = source.now_ns() + round(seconds * NS_PER_S)
    async with source.book("BTC/USD") as book:  # type: ignore[attr-defined]  # of a client and a replay alike
        await book.synced()
        while source.now_ns() < end_ns:
            await source.sleep(0.1)
            mids.append(book.mid)
            if len(mids) >= slow:
                side = "long" if sum(mids[-fast:]) / fast > sum(mids[-slow:]) / slow else "flat"
                if not signals or signals[-1][1] != side:
                    signals.append((source.now_ns(), side))
    return signals


async def test_crossover_strategy_trades_as_it_did_live(tmp_path: Path) -> None:
    async with Simulator(symbols=["BTC/USD"], seed=11, rate=50) as sim:
        client = sim.client()
        tape = record(client, tmp_path / "tape")
        async with client as kraken:
            live = await sim.until(crossover(kraken, 3, 9, 20), 60)
    tape.close()
    assert len(live) > 3
    async with Replay(tmp_path / "tape") as replay:
        assert await crossover(replay, 3, 9, 20) == live


async def test_end_of_the_tape_ends_whoever_waits(tape: Tape) -> None:
    path, _ = tape
    async with Replay(path) as replay, replay.book("BTC/USD") as book:

        async def change() -> None:
            while True:
                await book.changed()

        results = await asyncio.gather(
            collect(replay), replay.sleep(1e6), change(), book_timeout(book), return_exceptions=True
        )
        assert isinstance(results[0], list)
        assert [type(result) for result in results[1:]] == [ReplayEnded, ReplayEnded, ReplayEnded]
        assert replay.progress.is_over
        assert replay.progress.fraction == 1.0
        with pytest.raises(ReplayEnded, match="end of its tape"):
            await replay.sleep(0.1)
        with pytest.raises(ConnectionClosed):
            await book.synced()
        with pytest.raises(ReplayEnded):
            async with replay.book("BTC/USD"):
                pass
        assert await collect(replay) == []


async def book_timeout(book: Any) -> None:
    while True:
        await book.changed()
        await book.synced(timeout=1e6)


async def test_time_out_of_a_book_is_of_the_tape(tmp_path: Path) -> None:
    async with Simulator(symbols=["BTC/USD"]) as sim:
        client = sim.client()
        writer = record(client, tmp_path / "tape")
        async with client as kraken, kraken.trades("BTC/USD"):
            await sim.advance(2.0)
            async with kraken.books("BTC/USD"):
                await sim.advance(1.0)
    writer.close()
    async with Replay(tmp_path / "tape") as replay, replay.book("BTC/USD") as book:
        with pytest.raises(TimeoutError):
            await book.synced(timeout=0.7)
        assert replay.now_ns() == BEGIN + 700_000_000
        await book.synced(timeout=1.5)
        assert replay.now_ns() == BEGIN + 2 * NS_PER_S


async def test_batches_wait_by_the_time_of_the_tape(tape: Tape) -> None:
    path, live = tape
    seen: list[BookUpdate] = []
    async with Replay(path) as replay, replay.books("BTC/USD", "ETH/USD", policy="drop_oldest") as updates:
        async for batch in updates.batches(max_events=1000, max_wait=0.5):
            assert replay.now_ns() - batch[0].received_ns <= 0.5 * NS_PER_S
            seen += batch
    assert seen == updates_of(live)


# --- from where to where ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (timedelta(seconds=2), timedelta(seconds=4)),
        (BEGIN + 2 * NS_PER_S, BEGIN + 4 * NS_PER_S),
        (datetime.fromtimestamp(BEGIN / 1e9 + 2, UTC), datetime.fromtimestamp(BEGIN / 1e9 + 4, UTC)),
    ],
)
async def test_start_and_end(tape: Tape, start: Any, end: Any) -> None:
    path, live = tape
    async with Replay(path, start=start, end=end) as replay:
        assert replay.now_ns() == BEGIN + 2 * NS_PER_S
        async with replay.book("BTC/USD") as book:
            await book.synced()
            assert replay.now_ns() == BEGIN + 2 * NS_PER_S, "it was there at once"
            last = next(e for e in reversed(updates_of(live, 0, replay.now_ns())) if e.symbol == "BTC/USD")
            assert (book.best_bid, book.best_ask) == (last.best_bid, last.best_ask)
        async with replay.instruments() as instruments:
            assert (await anext(instruments)).received_ns < replay.now_ns()
        assert await collect(replay) == updates_of(live, BEGIN + 2 * NS_PER_S, BEGIN + 4 * NS_PER_S)
        assert replay.now_ns() == BEGIN + 4 * NS_PER_S


async def test_sleeping_up_to_the_end_that_was_asked_for(tape: Tape) -> None:
    path, _ = tape
    async with Replay(path, end=timedelta(seconds=60)) as replay:
        await replay.sleep(59.0)
        assert replay.now_ns() == BEGIN + 59 * NS_PER_S
        with pytest.raises(ReplayEnded):
            await replay.sleep(2.0)
        assert replay.now_ns() == BEGIN + 60 * NS_PER_S


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"start": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001  # that is what is refused
        ({"start": 1_767_225_600}, "UTC nanoseconds"),
        ({"end": "yesterday"}, "end must be a datetime"),
        ({"start": timedelta(seconds=-1)}, "cannot be negative"),
        ({"speed": 0}, "speed must be greater than 0"),
        ({"speed": float("inf")}, "speed must be greater than 0"),
        ({"patience": 0}, "patience"),
    ],
)
def test_arguments_that_cannot_work(tape: Tape, options: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Replay(tape[0], **options)


async def test_start_behind_the_end(tape: Tape) -> None:
    with pytest.raises(NotRecorded, match=r"the tape ends .* before start"):
        await Replay(tape[0], start=timedelta(hours=1)).__aenter__()
    with pytest.raises(UsageError, match="end must be after start"):
        await Replay(tape[0], start=timedelta(seconds=2), end=timedelta(seconds=1)).__aenter__()


def test_no_journal(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no journal"):
        Replay(tmp_path)
    with pytest.raises(UsageError, match="at least one journal"):
        Replay([])


# --- stepping and winding ---------------------------------------------------------------------------------------------


async def test_pause_and_resume(tape: Tape) -> None:
    path, live = tape
    async with Replay(path) as replay:
        replay.pause()
        task = asyncio.create_task(collect(replay))
        await asyncio.sleep(0.01)
        assert replay.progress.inputs == 0
        replay.resume()
        assert await task == updates_of(live)


async def test_step_by_step(tape: Tape) -> None:
    path, live = tape
    seen: list[Any] = []
    async with Replay(path) as replay:

        async def consume() -> None:
            async with replay.stream("book", "trade", symbols=["BTC/USD"]) as events:
                async for event in events:
                    await asyncio.sleep(0.0002)
                    seen.append(event)

        task = asyncio.create_task(consume())
        expected = [e for e in live if isinstance(e, BookUpdate | Trade) and e.symbol == "BTC/USD"]
        for _ in range(5):
            count = len(seen)
            assert await replay.step() == 1
            inputs = {event.n for event in seen[count:]}
            assert len(inputs) == 1
            assert seen == expected[: len(seen)]
            assert replay.now_ns() == seen[-1].received_ns
        assert await replay.step(3) == 3
        await asyncio.sleep(0.001)
        assert len({event.n for event in seen}) == 8
        left = len({event.n for event in expected}) - 8
        assert left <= await replay.step(100_000) <= left + 1
        assert await replay.step() == 0
        await task
    assert seen == expected


async def test_seek_forward_and_back(tape: Tape) -> None:
    path, live = tape
    async with Replay(path) as replay, replay.book("BTC/USD") as book:
        async with replay.books("BTC/USD", "ETH/USD") as updates:
            first = [await anext(updates) for _ in range(20)]
            assert first == updates_of(live)[:20]
            for second in (4, 2, 5, 0):
                moment = BEGIN + second * NS_PER_S
                await replay.seek(moment)
                assert replay.now_ns() == moment
                before = [e for e in updates_of(live, 0, moment) if e.symbol == "BTC/USD"]
                assert book.is_synced == bool(before)
                if before:
                    assert (book.best_bid, book.best_ask) == (before[-1].best_bid, before[-1].best_ask)
                assert [await anext(updates) for _ in range(20)] == updates_of(live, moment)[:20]
            rest = [update async for update in updates]
            assert rest == updates_of(live)[20:]
        await replay.seek(timedelta(seconds=5))
        assert await collect(replay) == updates_of(live, BEGIN + 5 * NS_PER_S)
        with pytest.raises(NotRecorded, match="before the moment that is sought"):
            await replay.seek(timedelta(hours=1))


async def test_who_waits_while_it_is_wound_is_served_at_the_new_place(tape: Tape) -> None:
    path, live = tape
    async with Replay(path) as replay:
        replay.pause()
        task = asyncio.create_task(collect(replay))
        slept = asyncio.create_task(replay.sleep(1.0))
        await asyncio.sleep(0)
        await replay.seek(timedelta(seconds=3))
        assert not slept.done()
        replay.resume()
        assert await task == updates_of(live, BEGIN + 3 * NS_PER_S)
        await slept


# --- speed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
async def test_at_a_speed_events_come_when_they_came(tape: Tape, speed: float) -> None:
    path, live = tape
    clock = ManualClock()
    seen: list[tuple[float, BookUpdate]] = []
    async with Replay(path, speed=speed, clock=clock) as replay:

        async def consume() -> None:
            async with replay.books("BTC/USD", "ETH/USD", policy="drop_oldest") as updates:
                async for update in updates:
                    seen.append((clock.monotonic_ns() / NS_PER_S, update))  # noqa: PERF401  # looked at meanwhile

        task = asyncio.create_task(consume())
        await clock.advance(1.0 / speed)
        assert len(seen) == len(updates_of(live, 0, BEGIN + NS_PER_S + 1))
        replay.pause()
        await clock.advance(5.0)
        assert len(seen) == len(updates_of(live, 0, BEGIN + NS_PER_S + 1))
        replay.resume()
        replay.speed = 2.0
        await clock.advance(0.5)
        assert replay.now_ns() == BEGIN + 2 * NS_PER_S
        await clock.advance(60.0)
        await task
    assert [update for _, update in seen] == updates_of(live)
    for moment, update in seen:
        tape_s = (update.received_ns - BEGIN) / NS_PER_S
        due = tape_s / speed if tape_s <= 1 else 1 / speed + 5 + (tape_s - 1) / 2
        assert moment == pytest.approx(due, abs=1e-6)


async def test_at_a_speed_sleepers_are_woken_and_policies_hold(tape: Tape) -> None:
    path, _ = tape
    clock = ManualClock()
    async with Replay(path, speed=2.0, clock=clock) as replay:
        async with replay.books("BTC/USD", policy="conflate") as updates:
            task = asyncio.create_task(replay.sleep(3.0))
            await clock.advance(1.4)
            assert not task.done()
            await clock.advance(0.2)
            await task
            assert replay.now_ns() == BEGIN + round(3.2 * NS_PER_S)
            await anext(updates)
            assert updates.statistics().conflated > 10


async def test_another_speed_begins_where_the_tape_is(tape: Tape) -> None:
    path, _ = tape
    clock = ManualClock()
    async with Replay(path, speed=1.0, clock=clock) as replay:
        reader = asyncio.create_task(collect(replay))
        await clock.advance(0)
        began_ns = replay.now_ns()
        await clock.advance(1.0)
        now_ns = replay.now_ns()
        assert now_ns > began_ns
        for speed in (4.0, 0.25, None, 2.0):
            replay.speed = speed
            assert replay.now_ns() == now_ns, "no time has passed"
        await clock.advance(0.5)
        assert replay.now_ns() - now_ns <= NS_PER_S
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader


async def test_speed_may_be_taken_off(tape: Tape) -> None:
    path, live = tape
    async with Replay(path, speed=1.0, clock=ManualClock()) as replay:
        task = asyncio.create_task(collect(replay))
        await asyncio.sleep(0)
        replay.speed = None
        assert await task == updates_of(live)


async def test_seeking_by_the_states_that_sealing_keeps_is_the_same(tmp_path: Path) -> None:
    """Recorded by the client itself, in many segments, with and without what sealing puts beside them."""
    live: list[Any] = []
    options = JournalOptions(directory=tmp_path / "tape", segment_bytes=8192)
    async with Simulator(symbols=["BTC/USD", "ETH/USD"], seed=7, rate=100) as sim:
        async with sim.client(journal=options, on_events=live.extend) as kraken:
            async with kraken.books("BTC/USD", "ETH/USD"):
                while sim.now_ns < BEGIN + 10 * NS_PER_S or len(segments(tmp_path / "tape")) < 4:
                    await sim.advance(0.5)
                    await asyncio.sleep(0.005)  # the writer is a thread, and looks at the size between two writes
    assert len(segments(tmp_path / "tape")) > 3

    async def wander(path: Path) -> list[Any]:
        found: list[Any] = []
        async with Replay(path, start=timedelta(seconds=6), verify=True) as replay, replay.book("BTC/USD") as book:
            for second in (6, 8, 3, 9, 1, 0):
                await replay.seek(timedelta(seconds=second))
                found.append((second, book.snapshot() if book.is_synced else None))
                async with replay.books("BTC/USD", "ETH/USD") as updates:
                    found += [(e.symbol, e.n, e.bbo_text()) for e in [await anext(updates) for _ in range(30)]]
            assert replay.differences == 0
        return found

    plain = await wander(tmp_path / "tape")
    for segment in unsealed(tmp_path / "tape"):
        seal(tmp_path / "tape", segment)
    assert states(tmp_path / "tape")
    assert await wander(tmp_path / "tape") == plain
    async with Replay(tmp_path / "tape") as replay, replay.books("BTC/USD", "ETH/USD") as updates:
        assert [update async for update in updates] == updates_of(live)
