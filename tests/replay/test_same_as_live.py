"""What a consumer sees of a replay is what it saw live."""

from __future__ import annotations

import itertools
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from helpers.tapes import record, tape_of
from krakenwire import Asset, Client, Loss, Trade
from krakenwire.book import Book, BookUpdate
from krakenwire.errors import ReplayEnded
from krakenwire.replay import Replay
from krakenwire.streams import Streams
from krakenwire.testing import Simulator

FAULTS = ["lose_update:symbol=BTC/USD@2s", "corrupt_checksum:symbol=ETH/USD@3s", "cut@4s"]


async def turnover(source: Streams, count: int) -> tuple[Decimal, list[int | None]]:
    """A consumer as users write them: it knows nothing of where its trades are from."""
    total, ids = Decimal(0), []
    async with source.trades("BTC/USD", on_loss="yield") as trades:
        async for trade in trades:
            if isinstance(trade, Loss):
                continue
            total += trade.price * trade.qty
            ids.append(trade.trade_id)
            if len(ids) == count:
                break
    return total, ids


async def test_same_consumer_has_the_same_result_live_and_replayed(tmp_path: Path) -> None:
    async with Simulator(symbols=["BTC/USD"], seed=3, rate=60) as sim:
        client = sim.client()
        tape = record(client, tmp_path / "tape")
        async with client as kraken:
            live = await sim.until(turnover(kraken, 60), 600)
    tape.close()
    async with Replay(tmp_path / "tape") as replay:
        assert await turnover(replay, 60) == live
        assert replay.differences == 0


@pytest.mark.parametrize("options", [{}, {"mirror": True}], ids=["plain", "mirror"])
@pytest.mark.parametrize("faults", [(), FAULTS], ids=["sound", "faults"])
async def test_every_event_comes_again_as_it_was(tmp_path: Path, faults: list[str], options: dict[str, Any]) -> None:
    live = await tape_of(tmp_path / "tape", faults=faults, **options)
    async with Replay(tmp_path / "tape") as replay, replay.events() as events:
        played = [event async for event in events]
        statistics = replay.statistics()
        assert replay.differences == 0
    assert played == live
    assert {type(event).__name__ for event in live} >= {"Trade", "BookUpdate", "Ticker", "Instrument"}
    assert bool(statistics.reconnects) == bool(faults)


@pytest.mark.parametrize("options", [{}, {"mirror": True}], ids=["plain", "mirror"])
async def test_book_is_as_of_the_event_that_is_handled(tmp_path: Path, options: dict[str, Any]) -> None:
    """Each update carries the best prices after it: the live book must show just these, though nobody waited for it."""
    live = await tape_of(tmp_path / "tape", faults=FAULTS, **options)
    seen = 0
    async with Replay(tmp_path / "tape") as replay, replay.book("BTC/USD") as book:
        async with replay.stream("book", "trade", symbols=["BTC/USD"], on_loss="yield") as events:
            async for event in events:
                assert replay.now_ns() == event.stamp.received_ns
                if isinstance(event, BookUpdate):
                    assert (book.best_bid, book.best_ask) == (event.best_bid, event.best_ask)
                    seen += 1
                elif isinstance(event, Loss):
                    assert not book.is_synced
    expected = [e for e in live if isinstance(e, BookUpdate) and e.symbol == "BTC/USD"]
    assert seen == len(expected) > 50


async def test_book_that_nobody_reads_a_stream_of_drives_by_itself(tmp_path: Path) -> None:
    live = await tape_of(tmp_path / "tape")
    tops: list[Any] = []
    async with Replay(tmp_path / "tape") as replay, replay.book("ETH/USD") as book:
        await book.synced()
        assert book.snapshot().synced
        with suppress(ReplayEnded):
            while True:
                top = (book.best_bid, book.best_ask) if book.is_synced else None
                if top is not None and top not in tops[-1:]:  # it also changes by what is said of its subscription
                    tops.append(top)
                await book.changed()
        with pytest.raises(ReplayEnded, match="at the end of its tape"):
            await book.changed()
    expected = [(e.best_bid, e.best_ask) for e in live if isinstance(e, BookUpdate) and e.symbol == "ETH/USD"]
    assert tops == [top for top, _ in itertools.groupby(expected)]


async def test_smaller_depth_is_served_from_a_larger_one(tmp_path: Path) -> None:
    await tape_of(tmp_path / "tape", depth=100)
    async with Replay(tmp_path / "tape") as replay:
        async with replay.book("BTC/USD", depth=25) as book, replay.books("BTC/USD", depth=10) as updates:
            update = await anext(updates)
            assert update.depth == 100
            assert len(book.bids) == 25


async def test_loss_of_the_live_run_stands_in_the_replay(tmp_path: Path) -> None:
    async def losses(source: Client | Replay) -> list[str]:
        async with source.books("BTC/USD", on_loss="yield", policy="drop_oldest") as updates:
            return [str(each.reason) async for each in updates if isinstance(each, Loss)]

    live = await tape_of(tmp_path / "tape", faults=FAULTS)
    invalid = [e for e in live if type(e).__name__ == "BookInvalidated" and e.symbol == "BTC/USD"]
    del invalid[-1]  # when the client was closed, the reader had gone
    async with Replay(tmp_path / "tape") as replay:
        assert await losses(replay) == [f"the book is not synced ({event.reason})" for event in invalid] != []


async def test_instruments_come_first_to_a_reader_that_comes_late(tmp_path: Path) -> None:
    await tape_of(tmp_path / "tape")
    async with Replay(tmp_path / "tape") as replay:
        async with replay.trades("BTC/USD") as trades:
            assert isinstance(await anext(trades), Trade)
        async with replay.instruments() as instruments:
            known = [await anext(instruments) for _ in range(4)]
    assert {each.id if isinstance(each, Asset) else each.symbol for each in known} & {"BTC", "ETH", "USD"}


def test_book_of_a_replay_is_a_book() -> None:
    from krakenwire.replay.readers import ReplayBook

    assert issubclass(ReplayBook, Book)
