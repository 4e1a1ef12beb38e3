"""Journals that the tests of tables read, recorded once."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from helpers.journals import FAULTS
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.sim.market.market import SIMULATED_START_NS
from krakenwire.testing import Simulator

SEGMENT_BYTES = 12_000
"""A run of 24 seconds has some segments then."""
SYMBOLS = ["BTC/USD", "ETH/USD"]


async def run(options: JournalOptions, seed: int, start_ns: int) -> None:
    """One run of a client with a connection for each of two depths, faults, REST and backfill."""
    async with Simulator(symbols=SYMBOLS, seed=seed, rate=100, faults=FAULTS, start_ns=start_ns) as sim:
        async with sim.client(journal=options) as kraken:
            readers = [
                kraken.stream("book", "trade", "ticker", "ohlc", symbols=SYMBOLS, depth=depth, on_loss="yield")
                for depth in (10, 100)
            ]
            for reader in readers:
                await sim.until(reader.__aenter__())
            await sim.advance(24)
            for reader in readers:
                await reader.aclose()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, the second an hour after the first, each with faults and several segments. Not to be written to."""
    directory = tmp_path_factory.mktemp("recorded") / "tape"
    options = JournalOptions(directory=directory, segment_bytes=SEGMENT_BYTES)
    for number, seed in enumerate((3, 4)):
        asyncio.run(run(options, seed, SIMULATED_START_NS + number * 3600 * 10**9))
    return directory


@pytest.fixture
def tape(recorded: Path, tmp_path: Path) -> Path:
    """The same, for a test that does something to it."""
    return Path(shutil.copytree(recorded, tmp_path / "tape"))
