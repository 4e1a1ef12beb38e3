"""Reconnects of a client against a simulated exchange: cuts, refusals and outages, and what is back afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from krakenwire import Client, Options
from krakenwire.book import Book
from krakenwire.events import (
    BookInvalidated,
    BookResynced,
    Connected,
    Disconnected,
    Gap,
    LeaderChanged,
    Reconnected,
    Trade,
)
from krakenwire.journal.bundles.bundle import bundles_in, read_bundle
from krakenwire.protocol.state import ConnectionState
from krakenwire.testing import Simulator

pytestmark = pytest.mark.asyncio

SYMBOLS = ["BTC/USD", "ETH/USD", "PEPE/USD", "MINA/GBP"]
DEPTH = 25


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


class Run:
    """A client of a simulator, with the books of all symbols and their trades, and everything it told."""

    def __init__(self, sim: Simulator, kraken: Client, log: list[Any]) -> None:
        self.sim = sim
        self.kraken = kraken
        self.log = log
        self.books: dict[str, Book] = {}

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.log if isinstance(event, kind)]

    async def whole(self) -> None:
        """Every book is synced, and the exchange's own level by level."""
        for symbol, book in self.books.items():
            await self.sim.until(book.synced())
            truth = self.sim.truth(symbol, DEPTH)
            assert [(format(p, "f"), format(q, "f")) for p, q in book.bids] == truth[0]
            assert [(format(p, "f"), format(q, "f")) for p, q in book.asks] == truth[1]


@asynccontextmanager
async def running(seed: int = 1, rate: float = 40.0, **options: Any) -> AsyncIterator[Run]:
    log: list[Any] = []
    options.setdefault("options", Options(seed=seed, message_burst=100))
    async with Simulator(SYMBOLS, seed=seed, rate=rate) as sim:
        kraken = sim.client(on_events=log.extend, **options)
        run = Run(sim, kraken, log)
        async with kraken, kraken.trades(*SYMBOLS, policy="conflate"):
            handles = {symbol: kraken.book(symbol, DEPTH) for symbol in SYMBOLS}
            for symbol, handle in handles.items():
                run.books[symbol] = await handle.__aenter__()
            await sim.advance(5)
            await run.whole()
            log.clear()
            yield run
            for handle in handles.values():
                await handle.__aexit__(None, None, None)


async def test_cut_connection_is_back_with_everything() -> None:
    async with running() as run:
        run.sim.inject("cut")
        await run.sim.advance(10)
        event = only(run.told(Reconnected))
        lost, opened = only(run.told(Disconnected)), only(run.told(Connected))
        assert (event.books, event.rejected, event.planned) == (len(SYMBOLS), 0, False)
        assert event.subscriptions == 2 * len(SYMBOLS) + 1
        assert event.downtime_ns == opened.received_mono_ns - lost.received_mono_ns == opened.downtime_ns
        assert event.took_ns == event.received_mono_ns - lost.received_mono_ns
        assert {each.symbol for each in run.told(BookResynced)} == set(SYMBOLS)
        assert all(each.n <= event.n for each in run.told(BookResynced))
        await run.whole()


async def test_trades_on_both_sides_of_a_cut_are_told_once_and_what_is_missing_is_known() -> None:
    async with running(rate=200.0) as run:
        for _ in range(5):
            run.sim.inject("cut")
            await run.sim.advance(8)
        for symbol in SYMBOLS:
            ids = [event.trade_id for event in run.told(Trade) if event.symbol == symbol]
            assert ids == sorted(set(ids))
            known = sum(event.count or 0 for event in run.told(Gap) if event.symbol == symbol and event.of == "trade")
            if ids:
                assert ids[-1] - ids[0] + 1 == len(ids) + known
        assert len(run.told(Reconnected)) == 5


@pytest.mark.parametrize("seed", range(3))
async def test_however_often_it_drops_one_event_covers_it_all_and_the_books_are_right(seed: int) -> None:
    random = Random(seed)
    async with running(seed, options=Options(seed=seed, message_burst=6)) as run:
        for _ in range(12):
            run.sim.inject("cut")
            if random.random() < 0.3:
                run.sim.inject("refuse_connect", status=502, duration=random.uniform(0.1, 3))
            if random.random() < 0.5:
                run.sim.inject("rate_limit", shape="any", count=random.randint(1, 4))
            await run.sim.advance(random.choice((0.05, 0.2, 0.5, 3)))
        await run.sim.advance(120)
        down = 0
        lost_at: int | None = None
        for event in run.log:
            if isinstance(event, Disconnected) and lost_at is None:
                lost_at = event.received_mono_ns
            elif isinstance(event, Connected):
                down += event.downtime_ns or 0
            elif isinstance(event, Reconnected):
                assert lost_at is not None
                assert (event.downtime_ns, event.took_ns) == (down, event.received_mono_ns - lost_at)
                assert event.books == len(SYMBOLS)
                lost_at, down = None, 0
        assert run.told(Reconnected)
        assert lost_at is None
        assert run.kraken.statistics().restored == len(run.told(Reconnected))
        await run.whole()


async def test_refused_subscribes_are_asked_again_before_everything_is_back() -> None:
    async with running() as run:
        run.sim.inject("cut")
        run.sim.inject("rate_limit", shape="ack", method="subscribe", count=3)
        await run.sim.advance(30)
        event = only(run.told(Reconnected))
        assert (event.rejected, event.subscriptions) == (0, 2 * len(SYMBOLS) + 1)
        await run.whole()


async def test_lost_acknowledgement_holds_it_up_until_it_is_asked_again() -> None:
    async with running() as run:
        run.sim.inject("lose_reply", method="subscribe", count=1)
        run.sim.inject("cut")
        await run.sim.advance(60)
        assert len(run.told(Reconnected)) == 1
        await run.whole()


async def test_maintenance_ends_with_one_planned_reconnect_each_time() -> None:
    async with running() as run:
        for number in range(1, 4):
            run.sim.inject("maintenance", maintenance=4, cancel_only=2, post_only=2)
            await run.sim.advance(7.5)
            assert len(run.told(Reconnected)) == number - 1
            await run.sim.advance(30)
            assert len(run.told(Reconnected)) == number
        assert all(event.planned for event in run.told(Reconnected))
        assert all(event.reason == "the engine is online again" for event in run.told(Disconnected))
        await run.whole()


async def test_maintenance_can_be_sat_out() -> None:
    options = Options(message_burst=100, reconnect_on_status=False)
    async with running(options=options) as run:
        run.sim.inject("maintenance", maintenance=4, cancel_only=2, post_only=2)
        await run.sim.advance(30)
        assert run.told(Disconnected) == []


async def test_user_can_have_the_connection_opened_anew() -> None:
    async with running() as run:
        run.kraken.reconnect()
        await run.sim.advance(10)
        assert only(run.told(Reconnected)).planned is True
        await run.whole()


async def test_schedule_is_kept() -> None:
    async with running(rate=5.0, reconnect_every=timedelta(minutes=5)) as run:
        await run.sim.advance(960)
        assert len(run.told(Reconnected)) in (2, 3)
        assert all(event.planned for event in run.told(Reconnected))
        await run.whole()


async def test_mirror_is_opened_anew_by_halves_and_no_reader_notices() -> None:
    async with running(mirror=True) as run:
        run.kraken.reconnect()
        for _ in range(300):
            await run.sim.advance(0.1)
            assert any(each.state is ConnectionState.OPEN for each in run.kraken.core.sessions)
        assert sorted(event.connection for event in run.told(Reconnected)) == sorted(
            session.name for session in run.kraken.core.sessions
        )
        assert all(event.planned for event in run.told(Reconnected))
        assert run.told(BookInvalidated) == []
        assert run.told(Gap) == []
        assert run.told(LeaderChanged)
        await run.whole()


async def test_wrong_book_leaves_its_evidence(tmp_path: Path) -> None:
    async with running(bundles=tmp_path) as run:
        await run.sim.advance(60)
        run.sim.inject("corrupt_checksum", symbol="BTC/USD", channel="book")
        await run.sim.advance(20)
        event = only(run.told(BookInvalidated))
        assert event.reason == "checksum"
        await run.whole()
    bundle = read_bundle(only(bundles_in(tmp_path)))
    assert (bundle.symbol, bundle.expected, bundle.computed) == ("BTC/USD", event.expected, event.computed)
    assert bundle.is_whole


async def test_wrong_books_of_a_mirror_leave_their_evidence_too(tmp_path: Path) -> None:
    async with running(bundles=tmp_path, mirror=True) as run:
        await run.sim.advance(60)
        for _ in range(3):
            run.sim.inject("corrupt_checksum", symbol="BTC/USD", channel="book", count=6)
            await run.sim.advance(20)
        told = run.told(BookInvalidated)
        assert told
        await run.whole()
    bundles = [read_bundle(path) for path in bundles_in(tmp_path)]
    assert [(each.expected, each.computed) for each in bundles] == [(each.expected, each.computed) for each in told]
    assert all(each.is_whole for each in bundles)
