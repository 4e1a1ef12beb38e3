"""The directory of a journal: the names in it, and the segments in their order."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError

__all__ = [
    "LOCK",
    "Segment",
    "index_name",
    "is_journal",
    "missing",
    "segment_name",
    "segments",
    "state_name",
    "states",
    "unreadable",
]

LOCK: Final = "lock"
"""Name of the file that whoever writes in the directory holds locked."""

MOST_MISSING: Final = 10_000
"""Numbers of missing segments that are told."""

_SEGMENT = re.compile(r"(\d{8,})-(\d{8}T\d{6})Z\.zst")
_STATE = re.compile(r"(\d{8,})-(\d+)\.state")
_TIME = "%Y%m%dT%H%M%S"


class Segment(NamedTuple):
    """One file of a journal.

    Attributes:
        path: where it is.
        number: its number, from 1.
        started_ns: UTC at which it was begun, to the second.
    """

    path: Path
    number: int
    started_ns: int


def segment_name(number: int, started_ns: int) -> str:
    """The file name of the segment `number`, begun at `started_ns` (UTC)."""
    return f"{number:08}-{datetime.fromtimestamp(started_ns // NS_PER_S, UTC):{_TIME}}Z.zst"


def index_name(number: int) -> str:
    """The file name of the time index of the segment `number`."""
    return f"{number:08}.index"


def state_name(number: int, n: int) -> str:
    """The file name of the state after input `n`, which lies in the segment `number`."""
    return f"{number:08}-{n}.state"


def is_journal(directory: str | os.PathLike[str]) -> bool:
    """Whether `directory` is one that has a segment in it; False also if it cannot be read."""
    try:
        return any(map(_SEGMENT.fullmatch, os.listdir(directory)))
    except OSError:
        return False


def segments(directory: str | os.PathLike[str]) -> list[Segment]:
    """The segments of a journal, by number.

    Raises:
        UsageError: there is no such directory, it cannot be read, no segment is in it, or two have the same number.
    """
    found: list[Segment] = []
    for name in _names(directory):
        if parts := _SEGMENT.fullmatch(name):
            try:
                started = datetime.strptime(parts[2], _TIME).replace(tzinfo=UTC)
            except ValueError:
                continue  # figures that are no time: not of ours
            found.append(Segment(Path(directory, name), int(parts[1]), int(started.timestamp()) * NS_PER_S))
    found.sort(key=lambda segment: segment.number)
    if not found:
        raise UsageError(
            f"{directory} is no journal: expected files as {segment_name(1, 0)} in it, and there is none; "
            "one is recorded by `krakenwire record`, or made of recorded frames by `krakenwire journal import`"
        )
    for one, other in itertools.pairwise(found):
        if one.number == other.number:
            raise UsageError(
                f"{one.path} and {other.path} have the same number: two journals were put into one directory; "
                "move one of them elsewhere"
            )
    return found


def missing(found: Sequence[Segment]) -> list[int]:
    """Numbers that are missing between segments; what was before the first has been given up, or never was.

    The first `MOST_MISSING` of them: a file with a strange name must not make a list that no memory holds.
    """
    numbers = (number for one, other in itertools.pairwise(found) for number in range(one.number + 1, other.number))
    return list(itertools.islice(numbers, MOST_MISSING))


def states(directory: str | os.PathLike[str]) -> list[tuple[int, int, Path]]:
    """The states that are kept, as (n, number of the segment, path), by n.

    Raises:
        UsageError: the directory cannot be read.
    """
    parts = filter(None, map(_STATE.fullmatch, _names(directory)))
    return sorted((int(part[2]), int(part[1]), Path(directory, part[0])) for part in parts)


def unreadable(path: str | os.PathLike[str], error: OSError) -> UsageError:
    """What to raise for a file or directory that the system does not give."""
    return UsageError(f"cannot read {os.fspath(path)}: {error.strerror}")


def _names(directory: str | os.PathLike[str]) -> list[str]:
    try:
        return os.listdir(directory)
    except NotADirectoryError:
        raise UsageError(f"{os.fspath(directory)} is no directory; a journal is a directory of segments") from None
    except OSError as error:
        raise unreadable(directory, error) from None
