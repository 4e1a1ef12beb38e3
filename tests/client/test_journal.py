"""A client with a journal: over sockets, in both homes of the feed, with metrics, and when nobody closes it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import pytest

from helpers.disks import contents_of, eventually, replayed
from helpers.processes import environment
from helpers.scrape import scrape
from krakenwire import Client, Endpoints, JournalOptions, Options
from krakenwire.clock import ManualClock
from krakenwire.events import Stamp
from krakenwire.journal.format.lines import Made
from krakenwire.journal.writing.recorder import Recorder
from krakenwire.metrics import start_metrics
from krakenwire.protocol.core import Core
from krakenwire.testing import SimulatorThread

SYMBOLS = ["BTC/USD", "ETH/USD"]


@pytest.mark.parametrize("io_thread", [False, True], ids=["one loop", "thread"])
async def test_it_records_over_sockets_in_both_homes_while_books_are_read(tmp_path: Path, io_thread: bool) -> None:
    with SimulatorThread(symbols=SYMBOLS, rate=2000, seed=3) as sim:
        endpoints = Endpoints(public=sim.env()["KRAKEN_WS_PUBLIC_URL"])
        options = JournalOptions(directory=tmp_path / "tape", segment_bytes=15_000, flush_every=0.05, seal=False)
        kraken = Client(endpoints, journal=options, io_thread=io_thread, mirror=True, bundles=tmp_path / "bundles")
        async with kraken, start_metrics(kraken, 0) as metrics, kraken.trades(*SYMBOLS):
            async with kraken.book("BTC/USD", 100) as book:
                await book.synced()
                kraken.drop_connections()
                await eventually(lambda: kraken.core.frames > 2000)
                kraken.reconnect()
                await eventually(lambda: kraken.core.frames > 4000)
                page = await scrape(metrics.url)
        recording = kraken.recording()
    assert recording is not None
    assert recording.flushed_n == recording.synced_n == recording.n
    assert recording.segments > 2
    found = contents_of(tmp_path / "tape")
    assert (found.inputs, found.frames) == (recording.n, kraken.core.frames)
    player = replayed(tmp_path / "tape")
    assert player.compared[0] >= 1
    assert page.value("journal_recording") == 1
    assert 0 < page.value("journal_written_bytes_total") <= recording.written_bytes
    assert page.value("journal_lost_total") == 0


def test_a_program_that_does_not_close_its_client_ends_and_keeps_what_it_recorded(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from krakenwire import Client, Endpoints
        async def main():
            kraken = Client(Endpoints(public=sys.argv[1]), journal=sys.argv[2])
            await kraken.connect()
            await anext(kraken.trades("BTC/USD"))
        asyncio.run(main())
    """
    with SimulatorThread(symbols=SYMBOLS, rate=500, seed=3) as sim:
        command = [sys.executable, "-c", textwrap.dedent(program), sim.env()["KRAKEN_WS_PUBLIC_URL"], str(tmp_path)]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not contents_of(tmp_path).torn


@pytest.mark.parametrize("frames", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
async def test_recording_grows_memory_by_nothing(tmp_path: Path, frames: int) -> None:
    core = Core(Options(), passive=True)
    recorder = Recorder(
        JournalOptions(directory=tmp_path, segment_bytes=100_000, keep_bytes=300_000, seal=False),
        core,
        made=Made(options={}, passive=True),
        endpoints={},
        clock=ManualClock(),
        report=lambda event: None,
    )
    recorder.open()
    frame = b'{"channel":"heartbeat"}' + b" " * 200
    seen: list[int] = []
    tracemalloc.start()
    for number in range(frames):
        core.receive_frame(frame, Stamp("public", 0, number, number))
        recorder.see(core.events.copy())
        core.events.clear()
        if number % (frames // 10) == 0:
            await eventually(lambda: not recorder.statistics().backlog_bytes)
            seen.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    recorder.finish()
    recorder.close()
    recording = recorder.statistics()
    assert recording.flushed_n == recording.n == frames
    assert recording.lost == 0
    # It goes up and down with how full the block and the zstd frame are: 0.3 to 1.9 MB; all that was written is 22 MB.
    assert max(seen) < 3_000_000, "a block and a zstd frame, and no more with time"
