"""A journal read while it is written: its segments and blocks as they come, until its recorder ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import BlockAt, read_segment

__all__ = ["Following"]


class Following:
    """Reads a journal to its end, and on from there as long as somebody writes it.

    Args:
        directory: the journal.
        wait: called where there is nothing new; blocks for a moment.
    """

    def __init__(self, directory: str | os.PathLike[str], wait: Callable[[], object]) -> None:
        self._directory = directory
        self._wait = wait

    def segments(self) -> Iterator[Segment]:
        """The segments, those to come too.

        Raises:
            UsageError: it is no journal, or cannot be read.
        """
        number = 0
        while True:
            is_over = not is_written(self._directory)
            for segment in segments(self._directory):
                if segment.number > number:
                    number = segment.number
                    yield segment
            if is_over:
                return
            self._wait()

    def read(self, segment: Segment) -> Iterator[BlockAt | Damaged]:
        """As `read_segment`; it ends when nothing more comes to this segment.

        Raises:
            UsageError: the segment cannot be read.
        """
        offset = given = 0
        told: set[int] = set()
        while True:
            is_over = self._is_over(segment)  # before it is read, so that nothing comes in between
            at, count = -1, 0
            for each in read_segment(segment.path, offset):
                if isinstance(each, Damaged):
                    if each.offset not in told and (is_over or not isinstance(each, Torn)):
                        told.add(each.offset)
                        yield each
                    continue
                count = count + 1 if each.offset == at else 1
                at = each.offset
                if at > offset or count > given:
                    offset, given = at, count
                    yield each
            if is_over:
                return
            self._wait()

    def _is_over(self, segment: Segment) -> bool:
        return segments(self._directory)[-1].number > segment.number or not is_written(self._directory)
