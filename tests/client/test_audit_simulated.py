"""Audits of a client against a simulated exchange: what the checksum cannot see is found, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from krakenwire import Client, Options, UsageError
from krakenwire.book import Book, BookUpdate
from krakenwire.events import BookAudited, BookInvalidated, BookResynced
from krakenwire.testing import Simulator

pytestmark = pytest.mark.asyncio

SYMBOL = "BTC/USD"
DEPTH = 100
TOP = 10


class Run:
    """A client with one deep book, whose exchange can be made to lose an update below the top ten."""

    def __init__(self, sim: Simulator, kraken: Client, book: Book, log: list[Any]) -> None:
        self.sim, self.kraken, self.book, self.log = sim, kraken, book, log

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.log if isinstance(event, kind)]

    def is_true(self) -> bool:
        """Whether every level is the exchange's."""
        bids, asks = self.sim.truth(SYMBOL, DEPTH)
        mine = [[(format(p, "f"), format(q, "f")) for p, q in side] for side in (self.book.bids, self.book.asks)]
        return mine == [bids, asks]

    async def lose_one_below(self) -> None:
        """Lose updates one at a time until one leaves the book synced and wrong."""
        for _ in range(200):
            mismatched = self.kraken.statistics().mismatched
            fault = self.sim.inject("lose_update", symbol=SYMBOL, channel="book", count=1)
            while not fault.is_healed:
                await self.sim.advance(0.02)
            await self.sim.advance(0.5)
            if self.book.is_synced and not self.is_true() and self.kraken.statistics().mismatched == mismatched:
                return
            await self.sim.until(self.book.synced())
        raise AssertionError("every lost update was found, or healed")


@asynccontextmanager
async def running(seed: int = 1, rate: float = 10.0, **options: Any) -> AsyncIterator[Run]:
    log: list[Any] = []
    options.setdefault("book_audit", "rest")
    options.setdefault("options", Options(seed=seed, message_burst=100, audit_every=20.0))
    async with Simulator([SYMBOL], seed=seed, rate=rate) as sim:
        async with sim.client(on_events=log.extend, **options) as kraken, kraken.book(SYMBOL, DEPTH) as book:
            await sim.until(book.synced())
            yield Run(sim, kraken, book, log)


@pytest.mark.parametrize("seed", [1, 2])
async def test_update_lost_below_the_top_ten_is_found_by_rest_and_healed(seed: int) -> None:
    async with running(seed) as run:
        await run.sim.advance(30)
        await run.lose_one_below()
        run.log.clear()
        await run.sim.advance(60)
        assert run.is_true()
        found = [event for event in run.told(BookAudited) if event.wrong]
        assert found, "the market itself wrote over it: choose another seed"
        assert [event.reason for event in run.told(BookInvalidated)] == ["audit"]
        assert len(run.told(BookResynced)) == 1
        assert run.told(BookAudited)[-1].wrong == 0


async def test_without_an_audit_it_stays_wrong() -> None:
    async with running(book_audit=None) as run:
        await run.sim.advance(30)
        await run.lose_one_below()
        assert run.told(BookAudited) == []
        assert run.book.is_synced
        assert not run.is_true()


async def test_busy_market_with_delays_gives_no_false_alarm() -> None:
    async with running(3, rate=30.0) as run:
        for seconds in (0.5, 2, 5):
            fault = run.sim.inject("delay", seconds=seconds)
            await run.sim.advance(100)
            run.sim.heal(fault)
            await run.sim.advance(20)
        audits = run.told(BookAudited)
        assert len(audits) >= 8
        assert [event for event in audits if event.wrong] == []
        assert run.told(BookInvalidated) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_simulated_hour_gives_no_false_alarm() -> None:
    async with running(5, rate=20.0) as run:
        for _ in range(12):
            fault = run.sim.inject("delay", seconds=3)
            await run.sim.advance(150)
            run.sim.heal(fault)
            await run.sim.advance(150)
            del run.log[:-20_000]
        assert run.kraken.statistics().resyncs == 0
        assert [event for event in run.told(BookAudited) if event.wrong] == []


async def test_failing_rest_hurts_nobody() -> None:
    async with running() as run:
        run.sim.inject("rest_error", count=0)
        await run.sim.advance(200)
        assert run.told(BookAudited) == []
        assert run.told(BookInvalidated) == []
        assert run.told(BookUpdate)
        assert run.is_true()


async def test_two_books_of_a_mirror_find_what_one_of_them_lost() -> None:
    async with running(mirror=True, book_audit="mirror") as run:
        await run.sim.advance(30)
        assert run.told(BookAudited)
        assert {event.wrong for event in run.told(BookAudited)} == {0}
        sessions = run.kraken.core.sessions
        for _ in range(100):
            run.sim.inject("lose_update", symbol=SYMBOL, channel="book", count=1)
            await run.sim.advance(0.5)
            one, other = (session.books.get(SYMBOL) for session in sessions)
            assert one is not None
            assert other is not None
            both = (one.status, other.status) == ("synced", "synced")
            if both and one.checksum == other.checksum and one.canonical("bids") != other.canonical("bids"):
                break
            await run.sim.advance(2)
        else:
            raise AssertionError("no update was lost unseen")
        await run.sim.advance(90)
        one, other = (session.books.get(SYMBOL) for session in sessions)
        assert one is not None
        assert other is not None
        assert [one.canonical(side) for side in ("bids", "asks")] == [
            other.canonical(side) for side in ("bids", "asks")
        ]
        assert run.is_true()


async def test_audit_between_two_books_is_refused_without_a_mirror() -> None:
    with pytest.raises(UsageError, match="mirror=True"):
        Client(book_audit="mirror")


async def test_audit_that_cannot_be_made_is_refused() -> None:
    async with Simulator([SYMBOL]) as sim:
        with pytest.raises(UsageError, match="give rest="):
            Client(sim.endpoints, connector=sim.connector, book_audit="rest")
        with pytest.raises(UsageError, match="must be 'rest', 'mirror' or None"):
            Client(book_audit="snapshot")  # type: ignore[arg-type]  # that is the point
