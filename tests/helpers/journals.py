"""Journals to read, made by a client of an exchange in memory.

::

    recorded = await record_run(tmp_path / "tape", seed=3, seconds=20, faults=["cut@5s"], mirror=True)
    recorded.report.event_digest   # what a replay of it must come to
    recorded.directory             # the journal: closed, of one run

`record_run(directory, …)` again on the same directory adds a run. From a shell, for a journal to look at::

    PYTHONPATH=tests python -m helpers.journals DIRECTORY [seed [seconds]]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from krakenwire import Event
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.journal.writing.statistics import RecorderStatistics
from krakenwire.protocol.report import EventLog, Report, make_report
from krakenwire.testing import Simulator

__all__ = ["FAULTS", "Recorded", "record_run"]

FAULTS = (
    "lose_update:symbol=BTC/USD@3s",
    "corrupt_checksum:symbol=ETH/USD@4s",
    "cut@6s",
    "double_update:symbol=BTC/USD@9s",
    "cut@12s",
)
"""A book that is fetched again, reconnects, trades that REST fills in."""


@dataclass(frozen=True)
class Recorded:
    """What was recorded.

    Attributes:
        directory: the journal.
        report: the run's, at its end; its digests are over the core's events alone, as the journal's are.
        at_work: the same, before the readers went and the client was closed: with the books as they were.
        recording: the recorder's account.
    """

    directory: Path
    report: Report
    at_work: Report
    recording: RecorderStatistics


async def record_run(
    directory: Path | JournalOptions,
    *,
    seed: int = 0,
    seconds: float = 15.0,
    symbols: Sequence[str] = ("BTC/USD", "ETH/USD"),
    depths: Sequence[int] = (10, 100),
    channels: Sequence[str] = ("book", "trade", "ticker", "ohlc"),
    rate: float = 100.0,
    faults: Iterable[str] = FAULTS,
    **client: Any,
) -> Recorded:
    """Record one run of a client with one connection for each of `depths`, faults, REST and backfill.

    Args:
        directory: of the journal, or how to write it.
        seed: of everything.
        seconds: of the exchange's time, which takes about a tenth of it.
        symbols, depths, channels: what is subscribed.
        rate: frames a second.
        faults: as `Simulator` takes them.
        client: further arguments of `Client`, `mirror=True` say.
    """
    log = EventLog()
    async with Simulator(symbols=list(symbols), seed=seed, rate=rate, faults=faults) as sim:
        kraken = sim.client(journal=directory, **client)
        feed = kraken._feed
        publish = feed._publish_inputs

        def see(events: Sequence[Event]) -> None:
            log.add(events)
            publish(events)

        feed._publish_inputs = see  # type: ignore[method-assign]  # on_events is told of the readers' troubles, too
        async with kraken:
            readers = [
                kraken.stream(*channels, symbols=list(symbols), depth=depth, policy="conflate", on_loss="yield")
                for depth in depths
            ]
            for reader in readers:
                await sim.until(reader.__aenter__())
            await sim.advance(seconds)
            at_work = make_report(kraken.core, log, seconds)
            for reader in readers:
                await reader.aclose()
        recording = kraken.recording()
        assert recording is not None
        path = directory.path if isinstance(directory, JournalOptions) else directory
        return Recorded(path, make_report(kraken.core, log, seconds), at_work, recording)


if __name__ == "__main__":
    where, seed, seconds = [*sys.argv[1:], *("tape", "0", "15")[len(sys.argv) - 1 :]]
    print(asyncio.run(record_run(Path(where), seed=int(seed), seconds=float(seconds))))  # noqa: T201  # a command
