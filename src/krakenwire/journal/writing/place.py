"""The directory that a recorder writes in: made, locked, and looked at for what was recorded there before."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from krakenwire.errors import UsageError
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import is_journal, segments
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.format.lines import Head
from krakenwire.journal.writing.disk import Disk

__all__ = ["Place", "highest_number", "take_place"]


class Place(NamedTuple):
    """Where to go on.

    Attributes:
        lock: of the directory, held.
        journal: what its segments have in common.
        number: of the last segment, 0 if there is none.
        run: of the last run, 0 if there is none.
    """

    lock: DirectoryLock
    journal: str
    number: int
    run: int


def take_place(directory: Path) -> Place:
    """Make the directory if need be, lock it, and see what is there.

    Raises:
        UsageError: it is no directory, nothing may be written in it, or somebody records there; says what.
    """
    try:
        _make(directory)
    except FileExistsError:
        raise UsageError(f"no journal can be written in {directory}: it is a file, not a directory") from None
    except OSError as error:
        raise UsageError(f"no journal can be written in {directory}: {error.strerror or error}") from None
    lock = DirectoryLock(directory)
    try:
        last = _last_head(directory)
        number = highest_number(directory)
    except BaseException:
        lock.release()
        raise
    if last is None:
        return Place(lock, secrets.token_hex(16), number, 0)
    return Place(lock, last.journal, number, last.run)


def _make(directory: Path) -> None:
    """Make it, and put its name on the medium: else a power cut could take it away with all that is in it."""
    made = [directory, *directory.parents]
    made = made[: next((at for at, each in enumerate(made) if each.exists()), len(made))]
    directory.mkdir(parents=True, exist_ok=True)
    for each in made:
        with suppress(OSError):  # not every file system has it
            Disk().sync_directory(each.parent)


def highest_number(directory: str | os.PathLike[str]) -> int:
    """The number of the last segment, 0 if there is none.

    Raises:
        UsageError: the directory cannot be read.
    """
    return segments(directory)[-1].number if is_journal(directory) else 0


def _last_head(directory: Path) -> Head | None:
    """The newest one that can be read: a writer that was killed may have left a segment without."""
    if not is_journal(directory):
        return None
    for segment in reversed(segments(directory)):
        try:
            return read_head(segment.path)
        except Damaged:
            continue
    return None
