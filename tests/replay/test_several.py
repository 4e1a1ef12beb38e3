"""Several journals as one tape, and what is not in a journal."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from helpers.tapes import record, tape_of
from krakenwire import Loss, Trade
from krakenwire.book import BookUpdate
from krakenwire.clock import NS_PER_S
from krakenwire.errors import BookUnsynced, DataLost, NotRecorded
from krakenwire.journal.files.directory import segments
from krakenwire.replay import JournalStamp, Replay
from krakenwire.sim.market.market import SIMULATED_START_NS as BEGIN
from krakenwire.testing import Simulator


def of(events: list[Any], kind: type[Any], symbol: str) -> list[Any]:
    return [event for event in events if isinstance(event, kind) and event.symbol == symbol]


def key(event: Any) -> tuple[Any, ...]:
    return type(event), event.symbol, event.received_ns, event.seq


async def test_several_journals_are_one_tape(tmp_path: Path) -> None:
    """Two recorders of two symbols each; one symbol is in both."""
    one = await tape_of(tmp_path / "one", symbols=["BTC/USD", "ETH/USD"], seed=1)
    two = await tape_of(tmp_path / "two", symbols=["ETH/USD", "SOL/USD"], seed=2, start_ns=BEGIN + 12_345_678)
    async with Replay([tmp_path / "one", tmp_path / "two"]) as replay:
        async with replay.stream("trade", "book", symbols=["BTC/USD", "ETH/USD", "SOL/USD"]) as events:
            seen = [event async for event in events]
        assert replay.differences == 0
        assert replay.statistics().frames > 200
    assert all(before.received_ns <= after.received_ns for before, after in pairwise(seen))
    by_journal: dict[str, list[Any]] = {"one": [], "two": []}
    for event in seen:
        assert isinstance(event.stamp, JournalStamp)
        by_journal[event.stamp.journal].append(key(event))
    wanted = {
        "one": [e for e in one if isinstance(e, Trade | BookUpdate)],
        "two": [e for e in two if isinstance(e, Trade) or (isinstance(e, BookUpdate) and e.symbol == "SOL/USD")],
    }
    assert by_journal == {name: list(map(key, events)) for name, events in wanted.items()}


async def test_books_of_several_journals_are_as_of_the_event(tmp_path: Path) -> None:
    await tape_of(tmp_path / "a" / "tape", symbols=["BTC/USD"], seed=1, seconds=3)
    await tape_of(tmp_path / "b" / "tape", symbols=["SOL/USD"], seed=2, seconds=3)
    seen = set()
    async with Replay([tmp_path / "a" / "tape", tmp_path / "b" / "tape"]) as replay:
        async with replay.book("BTC/USD") as btc, replay.book("SOL/USD") as sol:
            async with replay.books("BTC/USD", "SOL/USD") as updates:
                async for update in updates:
                    book = btc if update.symbol == "BTC/USD" else sol
                    assert (book.best_bid, book.best_ask) == (update.best_bid, update.best_ask)
                    assert isinstance(update.stamp, JournalStamp)
                    seen.add((update.symbol, update.stamp.journal))
        with pytest.raises(NotRecorded, match=r"a/tape goes from .*b/tape goes from"):
            await replay.trades("XRP/USD").__aenter__()
    assert seen == {("BTC/USD", "tape"), ("SOL/USD", "tape-2")}


async def test_second_run_goes_on_after_a_loss_that_is_told(tmp_path: Path) -> None:
    """The recorder was started anew ten seconds later."""
    tape = tmp_path / "tape"
    one = await tape_of(tape, seconds=2.0)
    two = await tape_of(tape, seconds=2.0, seed=8, run=2, segment=2, start_ns=BEGIN + 12 * NS_PER_S)
    async with Replay(tape) as replay, replay.book("BTC/USD") as book:
        async with replay.books("BTC/USD", on_loss="yield") as updates:
            seen = []
            async for update in updates:
                seen.append(update)
                if isinstance(update, BookUpdate):
                    assert (book.best_bid, book.best_ask) == (update.best_bid, update.best_ask)
    lost = [event for event in seen if isinstance(event, Loss)]
    assert len(lost) == 1
    assert "nothing was recorded of it for 10.0" in lost[0].reason
    assert [event for event in seen if not isinstance(event, Loss)] == [
        *of(one, BookUpdate, "BTC/USD"),
        *of(two, BookUpdate, "BTC/USD"),
    ]
    assert seen.index(lost[0]) == len(of(one, BookUpdate, "BTC/USD"))


async def test_recorder_that_was_killed_leaves_no_book_that_looks_alive(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    async with Simulator(symbols=["BTC/USD"], seed=1, rate=40) as sim:
        client = sim.client()
        writer = record(client, tape)
        async with client as kraken, kraken.books("BTC/USD"):
            await sim.advance(2.0)
            writer.close()  # nothing after this is written
    await tape_of(tape, seconds=2.0, seed=8, run=2, segment=2, start_ns=BEGIN + 12 * NS_PER_S)
    async with Replay(tape) as replay, replay.book("BTC/USD") as book:
        await replay.sleep(1.9)
        assert book.is_synced
        while replay.now_ns() < BEGIN + 12 * NS_PER_S:
            await book.changed()
        with pytest.raises(BookUnsynced):
            book.snapshot()
        await book.synced()
        assert replay.now_ns() < BEGIN + 13 * NS_PER_S


async def test_hole_is_told_to_every_reader_and_books_come_back(tmp_path: Path) -> None:
    """A block is missing in the midst: what follows is seen from outside, and a book is back with its next snapshot."""
    tape = tmp_path / "tape"
    await tape_of(tape, seconds=6.0, faults=["cut@4s"])
    (segment,) = segments(tape)
    data = bytearray(segment.path.read_bytes())
    at = data.index(b"\x28\xb5\x2f\xfd", len(data) // 3) + 20
    data[at] ^= 0xFF
    segment.path.write_bytes(bytes(data))
    async with Replay(tape) as replay:
        seen: list[Any] = []
        async with replay.trades("BTC/USD", on_loss="yield") as trades:
            seen = [event async for event in trades]
        holes = [event for event in seen if isinstance(event, Loss) and "hole" in event.reason]
        assert len(holes) == 1
        await replay.seek(0 + BEGIN)
        async with replay.trades("BTC/USD") as trades:
            with pytest.raises(DataLost, match="the journal has a hole here"):
                async for _ in trades:
                    pass
            rest = [trade async for trade in trades]
        assert rest
        await replay.seek(BEGIN)
        states: list[bool] = []
        async with replay.book("BTC/USD") as book, replay.events() as events:
            async for _ in events:
                if not states or states[-1] != book.is_synced:
                    states.append(book.is_synced)
    assert states[:4] == [False, True, False, True]
