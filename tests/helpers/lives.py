"""A client that is killed and comes back: lives of one program, in memory, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any
from weakref import WeakSet

from krakenwire import Client, KrakenwireError
from krakenwire.clock import SystemClock
from krakenwire.events import Event, Ohlc, Trade
from krakenwire.journal.continuing import play_to_end
from krakenwire.journal.files.directory import segments
from krakenwire.journal.past import last_trades
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.testing import Simulator

__all__ = ["Life", "candles_by_begin", "ids", "keep_going", "kept_ids", "real"]

PATIENCE_S = 30.0
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
"""Those whose work in threads is done by one: who waits for it waits for all that it was given before."""


async def real(work: Any) -> Any:
    """Wait for what is done in threads, on which the simulated clock has no influence."""
    return await asyncio.wait_for(work, PATIENCE_S)


class Life:
    """One life of a program that records and reads; `kill` leaves what was on the disk, less a torn end.

    Args:
        sim: the exchange.
        directory: of the journal.
        options: as `Simulator.client` takes them.

    Attributes:
        kraken: the client.
        found: what its readers were given, by the name of each.
        events: everything that was published.
    """

    def __init__(self, sim: Simulator, directory: Path, *, resume: bool = True, **options: Any) -> None:
        self.sim = sim
        self.directory = directory
        self.events: list[Event] = []
        self.found: dict[str, list[Any]] = {}
        options.setdefault("journal", JournalOptions(directory=directory, seal=False, segment_bytes=60_000))
        self.kraken = sim.client(resume=resume, on_events=self.events.extend, **options)
        self.errors: list[KrakenwireError] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> Client:
        """Connect, whatever that takes in threads."""
        loop = asyncio.get_running_loop()
        if loop not in _loops:
            _loops.add(loop)
            loop.set_default_executor(ThreadPoolExecutor(1))
        await real(self.kraken.connect())
        return self.kraken

    def read(self, name: str, reader: Any) -> None:
        """Have somebody read on."""
        into = self.found.setdefault(name, [])

        async def drain() -> None:
            try:
                async with reader:
                    async for event in reader:
                        into.append(event)
            except KrakenwireError as error:
                self.errors.append(error)

        self._tasks.append(asyncio.create_task(drain()))

    async def live(self, seconds: float) -> None:
        """Let time pass, and threads do what they have to."""
        while seconds > 0:
            await self.sim.advance(min(seconds, 1.0))
            await rest()
            seconds -= 1.0

    async def kill(self, rng: Random, target: Path) -> dict[str, list[Any]]:
        """End it without its knowing; what it had written by then is at `target`, its end torn somewhere."""
        shutil.copytree(self.directory, target)
        (target / "lock").unlink()
        last = segments(target)[-1].path
        if (size := last.stat().st_size) > 2000:
            os.truncate(last, size - rng.randint(0, 600))
        given = {name: list(events) for name, events in self.found.items()}
        await self.end()
        return given

    async def end(self) -> None:
        """End it properly."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await real(self.kraken.close())
        assert self.errors == []


async def rest() -> None:
    """Let threads that work for the event loop come to their end: they are those of its executor."""
    loop = asyncio.get_running_loop()
    for _ in range(5):
        await loop.run_in_executor(None, int)
        await asyncio.sleep(0)


async def keep_going(sim: Simulator, *symbols: str) -> None:
    """Somebody else listens, so that the market goes on while nobody of ours is there."""
    watcher = await sim.connect()
    watcher.send({"method": "subscribe", "params": {"channel": "trade", "symbol": list(symbols)}})


def ids(events: Iterable[Any], symbol: str) -> list[int]:
    """The ids of the trades of a symbol."""
    return [event.trade_id or 0 for event in events if isinstance(event, Trade) and event.symbol == symbol]


def kept_ids(directory: Path, symbols: list[str]) -> dict[str, int]:
    """The last trade of each symbol that a client had given by the end of its journal.

    What came behind a hole that was still there was not given, though it is in the journal.
    """
    left = play_to_end(directory, SystemClock(), lambda: True)
    kept = {} if left is None else left.core.trades.all_last()
    others = set(symbols) - kept.keys()
    kept |= last_trades(directory, others, 1 << 60) if left is not None else {}
    return {symbol: kept[symbol][0] for symbol in symbols if symbol in kept}


def candles_by_begin(events: Iterable[Any], symbol: str) -> dict[int, Ohlc]:
    """The newest state of each candle of a symbol."""
    candles = [event for event in events if isinstance(event, Ohlc) and event.symbol == symbol]
    return {candle.interval_begin_ns: candle for candle in candles}
