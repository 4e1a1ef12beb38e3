"""The names in a journal's directory, and the lock on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.processes import environment
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import is_journal, missing, segment_name, segments, state_name, states
from krakenwire.journal.files.locking import DirectoryLock, is_written, locked

BEGAN_NS = 1_795_400_000_123_456_789
HOLD = """
import sys
from krakenwire.journal.files.locking import DirectoryLock
lock = DirectoryLock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_segments_are_listed_by_their_numbers_whatever_else_is_there(tmp_path: Path) -> None:
    names = [segment_name(number, BEGAN_NS) for number in (3, 100_000_000, 99_999_999, 1)]
    others = ["lock", "00000001.index", "00000001-7.state", f"{names[0]}.torn", f"{names[0]}.partial", "notes.zst"]
    others.append("00000004-20261399T000000Z.zst")
    for name in (*names, *others):
        (tmp_path / name).touch()
    found = segments(tmp_path)
    assert [segment.number for segment in found] == [1, 3, 99_999_999, 100_000_000]
    assert [segment.path.name for segment in found] == sorted(names, key=lambda name: int(name.split("-")[0]))
    assert {segment.started_ns for segment in found} == {BEGAN_NS // 10**9 * 10**9}
    assert missing(found[:2]) == [2]
    assert segment_name(1, BEGAN_NS) == "00000001-20261123T021320Z.zst"


def test_strange_number_makes_no_list_that_no_memory_holds(tmp_path: Path) -> None:
    for number in (1, 10**13):
        (tmp_path / segment_name(number, 0)).touch()
    assert missing(segments(tmp_path)) == list(range(2, 10_002))


def test_states_are_listed_by_their_inputs(tmp_path: Path) -> None:
    for number, n in ((2, 500), (1, 90), (1, 100)):
        (tmp_path / state_name(number, n)).touch()
    assert [(n, number) for n, number, _ in states(tmp_path)] == [(90, 1), (100, 1), (500, 2)]


def test_directory_that_is_no_journal_is_named(tmp_path: Path) -> None:
    assert not is_journal(tmp_path)
    assert not is_journal(tmp_path / "none")
    with pytest.raises(UsageError, match=r"is no journal: expected files as 00000001-19700101T000000Z\.zst"):
        segments(tmp_path)
    with pytest.raises(UsageError, match=r"cannot read .*none: No such file"):
        segments(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no directory"):
        segments(tmp_path / "file")


def test_two_segments_of_one_number_are_refused(tmp_path: Path) -> None:
    for began_ns in (BEGAN_NS, BEGAN_NS + 10**9):
        (tmp_path / segment_name(1, began_ns)).touch()
    assert is_journal(tmp_path)
    with pytest.raises(UsageError, match="have the same number"):
        segments(tmp_path)


def test_directory_is_locked_for_one_writer_even_of_this_process(tmp_path: Path) -> None:
    assert not is_written(tmp_path)
    with locked(tmp_path):
        assert is_written(tmp_path)
        with pytest.raises(UsageError, match=r"is being written by another recorder \(process \d+\)"):
            DirectoryLock(tmp_path)
        assert is_written(tmp_path)
    assert not is_written(tmp_path)
    lock = DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    assert not is_written(tmp_path)


def test_lock_of_a_killed_process_is_gone_with_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_written(tmp_path)
        with pytest.raises(UsageError, match=rf"process {holder.pid}"):
            DirectoryLock(tmp_path)
        holder.kill()
    assert not is_written(tmp_path)
    with locked(tmp_path):
        pass


def test_those_who_only_ask_do_not_keep_a_writer_out(tmp_path: Path) -> None:
    import fcntl

    with locked(tmp_path), open(tmp_path / "lock") as asking:
        with pytest.raises(BlockingIOError):
            fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    # One who asks lets go at once; here it stays, and only then a writer gives up.
    with open(tmp_path / "lock") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert not is_written(tmp_path)
        with pytest.raises(UsageError):
            DirectoryLock(tmp_path)


def test_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write in .*No such file"):
        DirectoryLock(tmp_path / "none")
