"""One writer in a directory: a file that is locked as long as its process lives, whatever becomes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import LOCK

if sys.platform != "win32":  # there nothing is locked, and two writers are not found out
    import fcntl

__all__ = ["DirectoryLock", "is_written", "locked"]

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""What a link leads to is another's, and not to be emptied."""
_ATTEMPTS = 100
"""How often those who only ask may be in the way, for microseconds each time."""


class DirectoryLock:
    """Holds the lock of a journal's directory until `release`, or until the process ends.

    The lock is the system's (`flock`): that of a killed process is gone with it, and the file may stay.

    Args:
        directory: where; it must be there.

    Raises:
        UsageError: somebody else holds it, this process included; names who. Or nothing may be written there.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        path = Path(directory, LOCK)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | _NO_LINK, 0o644)
        except OSError as error:
            raise UsageError(f"cannot write in {os.fspath(directory)}: {error.strerror}") from None
        if not _lock(self._file):
            holder = os.read(self._file, 100).decode(errors="replace").strip()
            os.close(self._file)
            raise UsageError(
                f"{os.fspath(directory)} is being written by another recorder ({holder or 'process unknown'}): "
                "end that one first, or write to another directory"
            )
        self._process = os.getpid()
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, b"process %d\n" % self._process)
        except OSError as error:  # the disk is full
            self.release()
            raise UsageError(f"cannot write in {os.fspath(directory)}: {error.strerror}") from None

    def release(self) -> None:
        """Let others write; at the second time nothing. In a process that was forked off it stays its parent's."""
        file, self._file = self._file, -1
        if file < 0:
            return
        with suppress(OSError):
            if sys.platform != "win32" and os.getpid() == self._process:
                fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough where a process was forked off meanwhile
            os.close(file)


@contextmanager
def locked(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the lock for the time of a `with`; see `DirectoryLock`."""
    lock = DirectoryLock(directory)
    try:
        yield
    finally:
        lock.release()


def is_written(directory: str | os.PathLike[str]) -> bool:
    """Whether somebody writes in `directory` now."""
    if sys.platform == "win32":
        return False
    try:
        file = os.open(Path(directory, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that two who ask do not see each other.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _lock(file: int) -> bool:
    if sys.platform == "win32":
        return True
    for _ in range(_ATTEMPTS):
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False  # somebody has it for himself
        fcntl.flock(file, fcntl.LOCK_UN)  # it was one who only asked
    return False
