"""A disk that is full, slow, broken or gone costs what was not written, and says so; never the feed or the journal."""

from __future__ import annotations

import errno
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from helpers.disks import BadDisk, contents_of, eventually, replayed, use_disk
from krakenwire import Client, Event
from krakenwire.events import JournalPaused, JournalResumed, JournalStopped
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.writing import recorder
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.journal.writing.statistics import RecorderStatistics
from krakenwire.testing import Simulator

SYMBOL = "BTC/USD"
TOLD = (JournalPaused, JournalResumed, JournalStopped)


class Run:
    """A client that records a book on a bad disk, and what was told of it."""

    def __init__(self, sim: Simulator, client: Client, told: list[Event]) -> None:
        self.sim = sim
        self.client = client
        self._told = told

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self._told if isinstance(event, kind)]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self._told if isinstance(event, TOLD)]

    @property
    def state(self) -> str:
        return self.recording.state

    @property
    def recording(self) -> RecorderStatistics:
        found = self.client.recording()
        assert found is not None
        return found


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> BadDisk:
    return use_disk(monkeypatch)


@asynccontextmanager
async def running(directory: Path, **options: Any) -> AsyncIterator[Run]:
    told: list[Event] = []

    def see(events: Sequence[Event]) -> None:
        told.extend(events)

    async with Simulator(symbols=[SYMBOL], seed=5, rate=200) as sim:
        kraken = sim.client(
            journal=JournalOptions(directory=directory, flush_every=0.1, seal=False, **options), on_events=see
        )
        async with kraken, kraken.stream("book", "trade", symbols=[SYMBOL], policy="conflate", on_loss="yield"):
            await sim.advance(2)
            yield Run(sim, kraken, told)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
async def test_what_comes_while_nothing_can_be_written_waits(tmp_path: Path, disk: BadDisk, number: int) -> None:
    async with running(tmp_path) as run:
        disk.error = number
        await run.sim.advance(1)
        await eventually(lambda: run.kinds == ["JournalPaused"])
        assert run.state == "paused"
        frames = run.client.core.frames
        await run.sim.advance(5)
        assert run.client.core.frames > frames + 500, "the feed goes on"
        assert run.recording.backlog_bytes > 100_000
        disk.error = None
        await eventually(lambda: run.kinds == ["JournalPaused", "JournalResumed"])
        assert run.state == "recording"
        await run.sim.advance(1)
    assert run.told(JournalPaused)[0].reason
    assert (run.told(JournalResumed)[0].lost, run.recording.gaps, run.recording.lost) == (0, 0, 0)
    assert run.recording.failures > 0
    found = contents_of(tmp_path)
    assert found.inputs == run.recording.n
    assert not found.torn
    assert len(found.heads) == 1


async def test_a_disk_that_fills_up_again_and_again_leaves_nothing_torn(tmp_path: Path, disk: BadDisk) -> None:
    rng = Random(9)
    async with running(tmp_path, segment_bytes=20_000) as run:
        for _ in range(40):
            disk.room = rng.choice([0, 1, 7, 100, 300, 1000, 3000])
            await run.sim.advance(0.5)
            if rng.random() < 0.5:
                await eventually(lambda: run.state == "paused" or not run.recording.backlog_bytes)
        disk.room = None
    found = contents_of(tmp_path)
    assert run.recording.failures > 10
    assert disk.calls["cut"] > 10
    assert replayed(tmp_path).core.n == run.recording.n
    assert found.inputs == run.recording.n
    assert not found.torn
    assert len(found.heads) >= 2


async def test_what_does_not_fit_into_memory_is_a_gap_behind_which_the_state_stands(
    tmp_path: Path, disk: BadDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MOST_WAITING", 50_000)
    async with running(tmp_path) as run:
        disk.gate.clear()  # a disk so slow that nothing gets through
        await run.sim.advance(10)
        assert run.kinds == ["JournalPaused"]
        assert "slow" in run.told(JournalPaused)[0].reason
        assert run.state == "paused"
        assert run.recording.backlog_bytes <= 50_000
        lost = run.recording.lost
        assert lost > 500
        await run.sim.advance(5)
        assert run.recording.lost > lost + 500
        disk.gate.set()
        await eventually(lambda: run.recording.backlog_bytes == 0)
        await run.sim.advance(3)
        assert run.state == "recording"
    found = contents_of(tmp_path)
    (gap,) = found.told("gap")
    assert gap["last"] - gap["first"] + 1 == run.recording.lost == run.told(JournalResumed)[0].lost
    assert found.inputs + run.recording.lost == run.recording.n == found.last_n
    assert "slow" in gap["reason"]
    began, ended = gap["received_ns"]
    assert 12e9 < ended - began < 16e9
    assert len(found.told("state")) == 1
    assert not found.torn
    # Behind a gap events are counted and digested anew, for a reader has not seen those in it.
    (end,) = found.told("end")
    assert 0 < end["events"] < end["frames"] - run.recording.lost
    assert found.told("digest")[-1] == [end["events"], end["event_digest"]]
    player = replayed(tmp_path)
    assert player.is_exact
    assert player.core.n == run.recording.n
    assert player.compared[0] >= 1, "the digest behind the gap is the one that a replay comes to"
    assert [hole.is_bridged for hole in player.holes] == [True]


async def test_recording_stops_where_that_is_wanted(tmp_path: Path, disk: BadDisk) -> None:
    async with running(tmp_path, when_full="stop") as run:
        flushed = run.recording.flushed_n
        disk.room = 20  # a file system's last bytes: less than a block, more than the end of a zstd frame
        await run.sim.advance(1)
        await eventually(lambda: run.kinds == ["JournalStopped"])
        assert run.state == "stopped"
        frames, writes = run.client.core.frames, disk.calls["write"]
        await run.sim.advance(5)
        assert run.client.core.frames > frames + 500, "the feed goes on"
        assert disk.calls["write"] == writes
    assert run.state == "stopped"
    found = contents_of(tmp_path)
    assert not found.torn
    assert found.inputs == run.recording.flushed_n >= flushed > 0
    assert "space" in run.told(JournalStopped)[0].reason


async def test_a_slow_disk_ends_it_where_that_is_wanted(
    tmp_path: Path, disk: BadDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MOST_WAITING", 50_000)
    async with running(tmp_path, when_full="stop") as run:
        disk.gate.clear()
        await run.sim.advance(10)
        assert run.kinds == ["JournalPaused", "JournalStopped"]
        disk.gate.set()
    found = contents_of(tmp_path)
    assert [end["closed"] for end in found.told("end")] == ["stopped"]
    assert len(found.told("gap")) == 1
    assert not found.torn


async def test_a_failed_fsync_ends_the_segment(tmp_path: Path, disk: BadDisk) -> None:
    async with running(tmp_path, sync="always") as run:
        disk.sync_error = errno.EIO
        synced = run.recording.synced_n
        await run.sim.advance(1)
        await eventually(lambda: "JournalPaused" in run.kinds)
        assert run.recording.synced_n >= synced
        disk.sync_error = None
        await run.sim.advance(1)
        await eventually(lambda: run.state == "recording")
        paused_at = run.told(JournalPaused)[0].n
        await run.sim.advance(1)
    found = contents_of(tmp_path)
    assert len(found.heads) >= 2
    assert found.inputs == run.recording.n
    assert run.recording.synced_n <= paused_at < run.recording.flushed_n, "no later fsync proves what was before"
    assert not found.torn


async def test_a_core_whose_state_cannot_be_kept_is_recorded_all_the_same(
    tmp_path: Path, disk: BadDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_core: object) -> bytes:
        raise TypeError("numpy.float64 has no place in the state of a core")

    monkeypatch.setattr(recorder, "dump_core", fail)
    monkeypatch.setattr(recorder, "MOST_WAITING", 50_000)
    async with running(tmp_path) as run:
        disk.gate.clear()
        await run.sim.advance(10)
        disk.gate.set()
        await eventually(lambda: run.recording.backlog_bytes < 25_000)
        frames = run.client.core.frames
        await run.sim.advance(3)
        assert run.kinds == ["JournalPaused", "JournalResumed"]
        assert run.client.core.frames > frames + 300, "the feed goes on"
        assert len(run.client.core.sessions) == 1
        assert run.client.statistics().reconnects == 0
    found = contents_of(tmp_path)
    assert (len(found.told("gap")), found.told("state")) == (1, [])
    assert found.inputs + run.recording.lost == run.recording.n
    (hole,) = replayed(tmp_path).holes
    assert not hole.is_bridged


async def test_a_segment_that_was_removed_is_a_gap(tmp_path: Path, disk: BadDisk) -> None:
    async with running(tmp_path) as run:
        await eventually(lambda: not run.recording.backlog_bytes)
        flushed = run.recording.flushed_n
        segments(tmp_path)[0].path.unlink()
        await run.sim.advance(2)
        await eventually(lambda: run.told(JournalPaused))
        for _ in range(100):
            await run.sim.advance(0.2)
            if run.kinds[-1] == "JournalResumed":
                break
        await run.sim.advance(2)
    assert run.kinds == ["JournalPaused", "JournalResumed"]
    (left,) = segments(tmp_path)
    assert (left.number, read_head(left.path).is_first) == (2, False)
    found = contents_of(tmp_path)
    assert replayed(tmp_path).is_exact
    (gap,) = found.told("gap")
    assert gap["first"] >= flushed
    assert found.last_n == run.recording.n
    assert len(found.told("state")) == 1


async def test_a_directory_that_is_gone_is_waited_for(tmp_path: Path, disk: BadDisk) -> None:
    directory = tmp_path / "tape"
    async with running(directory) as run:
        shutil.rmtree(directory)
        await run.sim.advance(2)
        await eventually(lambda: run.told(JournalPaused))
        await run.sim.advance(2)
        assert not directory.exists(), "it is not for us to make it again: it may be where nothing is mounted"
        directory.mkdir()
        for _ in range(100):
            await run.sim.advance(0.2)
            await eventually(lambda: True)
            if run.kinds[-1] == "JournalResumed":
                break
        await run.sim.advance(1)
    assert run.kinds == ["JournalPaused", "JournalResumed"]
    found = contents_of(directory)
    assert found.last_n == run.recording.n
    assert len(found.told("gap")) == 1


async def test_closing_does_not_wait_for_a_disk_that_stays_full(
    tmp_path: Path, disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as run:
        disk.room = 10
        await run.sim.advance(1)
        await eventually(lambda: run.told(JournalPaused))
    assert run.recording.flushed_n < run.recording.n
    assert "were not written" in caplog.text
    found = contents_of(tmp_path)
    assert found.inputs == run.recording.flushed_n
    assert not found.torn
