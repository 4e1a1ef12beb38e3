"""The lock of a journal's directory: it is held and let go of whatever other processes do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import LOCK
from krakenwire.journal.files.locking import DirectoryLock, is_written


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_child_that_was_forked_off_neither_keeps_the_lock_nor_takes_it_away(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert is_written(tmp_path), "the parent's"
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent has ended its side
        os._exit(0)
    lock.release()
    assert not is_written(tmp_path)
    DirectoryLock(tmp_path).release()
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)


def test_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_text("content")
    directory = tmp_path / "tape"
    directory.mkdir()
    (directory / LOCK).symlink_to(other)
    with pytest.raises(UsageError, match="cannot write in"):
        DirectoryLock(directory)
    assert other.read_text() == "content"
