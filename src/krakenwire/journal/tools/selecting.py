"""The lines of a journal one by one, those that are asked for, with their numbers and times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from krakenwire.errors import FrameError
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import Segment
from krakenwire.journal.files.segments import BlockAt, read_head, read_segment
from krakenwire.journal.format import Entry, read_block

__all__ = ["Line", "Wanted", "read_file", "select", "since"]


class Line(NamedTuple):
    """One line of a journal.

    Attributes:
        run: of which run it is.
        n: the number of the input, or of the last one before what is none.
        received_ns: its moment, or the last one before (UTC).
        entry: itself.
    """

    run: int
    n: int
    received_ns: int
    entry: Entry


class Wanted(NamedTuple):
    """Which lines are asked for; what is None does not matter.

    Attributes:
        run: of that run.
        first_n, last_n: inputs by their number, and what stands between them.
        from_ns, to_ns: from that moment on, and before that one (UTC).
        connection: inputs of that connection.
        kinds: of these kinds.
    """

    run: int | None = None
    first_n: int | None = None
    last_n: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    connection: str | None = None
    kinds: Collection[str] | None = None

    @property
    def is_all(self) -> bool:
        """Nothing is left out."""
        return self == Wanted()

    def has(self, line: Line) -> bool:
        """Whether it is asked for."""
        run, n, received_ns, entry = line
        return (
            (self.run is None or run == self.run)
            and (self.first_n is None or n >= self.first_n)
            and (self.last_n is None or n <= self.last_n)
            and (self.from_ns is None or received_ns >= self.from_ns)
            and (self.to_ns is None or received_ns < self.to_ns)
            and (self.connection is None or (entry.stamp is not None and entry.stamp.connection == self.connection))
            and (self.kinds is None or entry.kind in self.kinds)
        )


def read_file(segment: Segment) -> Iterator[BlockAt | Damaged]:
    """What there is of a segment now."""
    return read_segment(segment.path)


def select(
    found: Iterable[Segment],
    wanted: Wanted,
    on_damage: Callable[[Damaged], object],
    read: Callable[[Segment], Iterator[BlockAt | Damaged]] = read_file,
) -> Iterator[Line]:
    """The lines that are asked for, in order.

    Args:
        found: where to look.
        wanted: which.
        on_damage: called for damage, which is passed over; what it raises ends the search.
        read: gives the blocks of a segment.

    Raises:
        UsageError: a segment cannot be read.
    """
    run = 0
    for segment in found:
        with suppress(Damaged):  # reading it tells
            run = read_head(segment.path).run
        if wanted.run is not None and run != wanted.run:
            continue
        for each in read(segment):
            if isinstance(each, Damaged):
                on_damage(each)
                continue
            try:
                yield from _lines(each, run, wanted)
            except FrameError as error:
                on_damage(Damaged(segment.path, each.offset, str(error)))


def since(found: Sequence[Segment], from_ns: int | None) -> list[Segment]:
    """Without those of which all is older: the next one began before that moment."""
    return [
        segment
        for segment, following in itertools.zip_longest(found, found[1:])
        if from_ns is None or following is None or following.started_ns >= from_ns
    ]


def _lines(at: BlockAt, run: int, wanted: Wanted) -> Iterator[Line]:
    block = read_block(at.text)
    n, received_ns = block.n, block.received_ns
    for entry in block.entries:
        if entry.stamp is not None:
            received_ns = entry.stamp.received_ns
        n += entry.kind in ("frame", "input")
        line = Line(run, n, received_ns, entry)
        if wanted.has(line):
            yield line
