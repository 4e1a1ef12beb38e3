"""Where a journal can be written, where not, and what is said of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Require
from helpers.disks import contents_of, eventually
from krakenwire import Client, Event, UsageError
from krakenwire.events import JournalPaused, JournalResumed
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.writing.disk import Disk
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.testing import Simulator

SYMBOL = "BTC/USD"
NOBODY = 65534


@contextmanager
def tmpfs(path: Path, options: str, require: Require) -> Iterator[Path]:
    """A small file system of its own, which takes root."""
    require(os.geteuid() == 0, "mounting a tmpfs takes root")
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "krakenwire", path], capture_output=True, check=False)
    require(done.returncode == 0, f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


async def refusal(directory: Path) -> str:
    """What a client says that cannot record there."""
    async with Simulator(symbols=[SYMBOL]) as sim:
        kraken = sim.client(journal=directory)
        with pytest.raises(UsageError) as caught:
            await kraken.connect()
        assert not sim.exchange.peers, "nothing was connected"
        await kraken.close()
    return str(caught.value)


async def test_two_writers_are_refused_until_the_first_is_done(tmp_path: Path) -> None:
    async with Simulator(symbols=[SYMBOL]) as sim:
        first = sim.client(journal=tmp_path)
        await first.connect()
        said = await refusal(tmp_path)
        assert str(tmp_path) in said
        assert f"process {os.getpid()}" in said
        await first.close()
        async with sim.client(journal=tmp_path):
            await sim.advance(1)
    assert [segment.number for segment in segments(tmp_path)] == [1, 2]


async def test_a_file_in_place_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tape"
    path.write_text("mine")
    assert f"{path}: it is a file, not a directory" in await refusal(path)
    assert "below" in await refusal(path / "below")
    assert path.read_text() == "mine"


@contextmanager
def without_rights(path: Path) -> Iterator[None]:
    """Nothing may be written in `path`; root, who may, is nobody meanwhile."""
    is_root = os.geteuid() == 0
    path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        path.chmod(stat.S_IRWXU)


async def test_a_directory_without_rights_is_named(tmp_path: Path) -> None:
    with without_rights(tmp_path):
        assert "Permission denied" in await refusal(tmp_path)


async def test_a_read_only_file_system_is_named(tmp_path: Path, require: Require) -> None:
    with tmpfs(tmp_path / "disk", "ro,size=64k", require) as disk:
        assert "Read-only file system" in await refusal(disk)
        assert "Read-only file system" in await refusal(disk / "tape")


async def test_a_client_without_a_journal_has_no_recording() -> None:
    async with Simulator(symbols=[SYMBOL]) as sim, sim.client() as kraken:
        assert kraken.recording() is None


async def test_what_a_killed_writer_left_stays_as_it_is(tmp_path: Path) -> None:
    async with Simulator(symbols=[SYMBOL], rate=100) as sim:
        for _ in range(2):
            async with sim.client(journal=tmp_path):
                await sim.advance(3)
        first, second = (segment.path for segment in segments(tmp_path))
        torn = first.read_bytes()[:-50], second.read_bytes()[:3]  # the second was killed before its first line
        first.write_bytes(torn[0])
        second.write_bytes(torn[1])
        async with sim.client(journal=tmp_path):
            await sim.advance(1)
    assert (first.read_bytes(), second.read_bytes()) == torn
    third = segments(tmp_path)[2]
    head = read_head(third.path)
    assert (third.number, head.run, head.is_first) == (3, 2, True)
    assert head.journal == read_head(first).journal


async def test_a_file_system_that_is_full_is_waited_for_and_nothing_is_lost(tmp_path: Path, require: Require) -> None:
    told: list[Event] = []
    with tmpfs(tmp_path / "disk", "size=256k", require) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(150 * 1024))
        tape = disk / "tape"
        async with Simulator(symbols=[SYMBOL], seed=4, rate=400) as sim:
            kraken = sim.client(journal=JournalOptions(directory=tape, flush_every=0.1), on_events=told.extend)
            async with kraken, kraken.stream("book", symbols=[SYMBOL], policy="conflate", on_loss="yield"):
                for _ in range(100):
                    await sim.advance(1)
                    if any(isinstance(event, JournalPaused) for event in told):
                        break
                await sim.advance(2)
                ballast.unlink()
                await eventually(lambda: any(isinstance(event, JournalResumed) for event in told))
                await sim.advance(1)
        recording = kraken.recording()
        assert recording is not None
        found = contents_of(tape)
        assert found.inputs == recording.n
        assert not found.torn
        assert recording.failures > 0
        (paused,) = (event for event in told if isinstance(event, JournalPaused))
        assert paused.reason == "No space left on device"


def test_a_journal_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("krakenwire.journal.files.zstd", "krakenwire.journal.wri"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(UsageError, match=r"pip install '?krakenwire\[journal\]"):
        Client(journal="tape")


async def test_the_program_may_change_its_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "there"):
        (tmp_path / name / "tape").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    options = JournalOptions(directory="tape", segment_bytes=4096, flush_every=0.1, seal=False)
    async with Simulator(symbols=[SYMBOL], seed=5, rate=200) as sim:
        kraken = sim.client(journal=options)
        async with kraken, kraken.stream("book", symbols=[SYMBOL], policy="conflate"):
            await sim.advance(2)
            monkeypatch.chdir(tmp_path / "there")
            await sim.advance(10)
    assert len(segments(tmp_path / "here" / "tape")) > 3
    assert not list((tmp_path / "there" / "tape").iterdir())


async def test_a_directory_that_is_made_has_its_name_on_the_medium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(Disk, "sync_directory", lambda _self, path: synced.append(path))
    async with Simulator(symbols=[SYMBOL]) as sim, sim.client(journal=tmp_path / "of" / "mine" / "tape"):
        pass
    assert synced[:3] == [tmp_path / "of" / "mine", tmp_path / "of", tmp_path]
    assert synced[3] == tmp_path / "of" / "mine" / "tape"
