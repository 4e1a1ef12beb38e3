"""What was not recorded is refused at entry, with what there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from helpers.tapes import record, tape_of
from krakenwire import Ohlc, Ticker, Trade
from krakenwire.book import BookUpdate
from krakenwire.errors import NotRecorded, ReplayEnded, UsageError
from krakenwire.replay import Replay
from krakenwire.testing import Simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    directory = tmp_path_factory.mktemp("asking") / "tape"
    await tape_of(directory, seconds=2.0, depth=25)
    yield directory


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda replay: replay.books("BTC/USD", depth=100), "book BTC/USD was recorded with a depth of 25, not 100"),
        (lambda replay: replay.trades("BTC/EUR"), r"trade BTC/EUR was not recorded; did you mean BTC/USD"),
        (lambda replay: replay.trades("SOL/JPY"), "there is trade of BTC/USD, ETH/USD"),
        (lambda replay: replay.ohlc("BTC/USD", interval=60), r"an interval \(minutes\) of 1, not 60"),
        (lambda replay: replay.ticker("BTC/USD", event_trigger="bbo"), "with event_trigger trades, not bbo"),
        (lambda replay: replay.trades("BTC/USD", "XYZ/USD"), "XYZ/USD was not recorded"),
        (lambda replay: replay.book("SOL/USD"), "book SOL/USD was not recorded"),
        (lambda replay: replay.book("BTC/USD", depth=1000), "a depth of 25, not 1000"),
    ],
)
async def test_what_was_not_recorded(path: Path, ask: Any, text: str) -> None:
    async with Replay(path) as replay:
        with pytest.raises(NotRecorded, match=text) as caught:
            await ask(replay).__aenter__()
        assert f"{path} goes from 2026-01-01T00:00:00Z to 2026-01-01T00:00:0" in str(caught.value)


async def test_channel_that_was_not_recorded(tmp_path: Path) -> None:
    async with Simulator(symbols=["BTC/USD"]) as sim:
        client = sim.client()
        tape = record(client, tmp_path / "tape")
        async with client as kraken, kraken.trades("BTC/USD"):
            await sim.advance(1.0)
    tape.close()
    async with Replay(tmp_path / "tape") as replay:
        with pytest.raises(NotRecorded, match="book was not recorded; there is instrument, trade BTC/USD"):
            await replay.books("BTC/USD").__aenter__()


@pytest.mark.parametrize("symbol", ["BTC/USD", "btc/usd", "XBT/USD", "xbt/usd"])
async def test_symbol_is_found_as_it_is_meant(path: Path, symbol: str) -> None:
    async with Replay(path) as replay, replay.book(symbol) as book, replay.trades(symbol) as trades:
        assert book.symbol == (await anext(trades)).symbol == "BTC/USD"


async def test_what_can_never_be_is_refused_at_once(path: Path) -> None:
    async with Replay(path) as replay:
        for ask in (
            lambda: replay.books("BTC/USD", depth=11),
            lambda: replay.book("BTC/USD", depth=11),
            lambda: replay.stream("gossip", symbols=["BTC/USD"]),
            replay.trades,
            lambda: replay.trades("BTC/USD", since=1_767_225_600 * 10**9),
        ):
            with pytest.raises(UsageError):
                ask()


async def test_everything_that_was_recorded(path: Path) -> None:
    async with Replay(path) as replay:
        async with replay.stream("trade", "book", "ticker", "ohlc", symbols="all", policy="block") as events:
            seen = [event async for event in events]
    assert {(type(event), event.symbol) for event in seen} == {
        (kind, symbol) for kind in (Trade, BookUpdate, Ticker, Ohlc) for symbol in ("BTC/USD", "ETH/USD")
    }


async def test_it_is_used_as_it_should_be(path: Path) -> None:
    replay = Replay(path)
    with pytest.raises(UsageError, match="async with Replay"):
        await anext(replay.trades("BTC/USD"))
    with pytest.raises(UsageError, match="async with Replay"):
        await replay.sleep(1)
    async with replay:
        handle = replay.book("BTC/USD")
        async with handle:
            with pytest.raises(UsageError, match="entered before"):
                await handle.__aenter__()
        with pytest.raises(UsageError, match="events must be at least 1"):
            await replay.step(0)
        with pytest.raises(UsageError, match="block"):
            await replay.events(policy="block").__aenter__()
    with pytest.raises(UsageError, match="entered before"):
        await replay.__aenter__()
    for work in (replay.sleep(1), replay.step(), replay.seek(0), replay.trades("BTC/USD").__aenter__()):
        with pytest.raises(ReplayEnded, match="was closed"):
            await work
