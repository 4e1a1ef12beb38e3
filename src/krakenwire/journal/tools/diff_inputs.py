"""Two journals held against each other: whether they have the same inputs, and where they first have not."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from krakenwire.errors import FrameError
from krakenwire.events import Stamp
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_head, read_segment
from krakenwire.journal.format import Block, Entry, Run, read_block
from krakenwire.journal.format.lines import Made

__all__ = ["InputsDiff", "LineAt", "LineDifference", "diff_inputs"]


class LineAt(NamedTuple):
    """An input, or an action that was wanted after one.

    Attributes:
        run: which run of its journal, from 1.
        n: the number of the input, or of the one before an action.
        rank: 0 for the input, the actions after it count from 1.
        kind: `frame`, `input` or `action`.
        content: of a frame, itself; of anything else, the line.
        stamp: the moment of a timed input.
    """

    run: int
    n: int
    rank: int
    kind: str
    content: bytes
    stamp: Stamp | None


class LineDifference(NamedTuple):
    """The first place that is not the same.

    Attributes:
        run: in which run.
        n: at which input, or after which.
        what: what differs: `made` what the client was made of, `kind`, `content`, `place` the connection or its epoch,
            `time`; or `missing` in one of them.
        before: the last line before, which both have.
        a, b: what each has there; None if nothing.
    """

    run: int
    n: int
    what: str
    before: LineAt | None
    a: LineAt | Made | None
    b: LineAt | Made | None


class InputsDiff(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        first: where they first differ; None if they do not.
        inputs: how many each has.
        equal: inputs that are the same in both.
        differing: that have the same number, and are not.
        only: that only the one has, and only the other.
        actions: actions that are not the same, or not there.
        damage: what of their files is not what was written, and was passed over.
    """

    first: LineDifference | None = None
    inputs: tuple[int, int] = (0, 0)
    equal: int = 0
    differing: int = 0
    only: tuple[int, int] = (0, 0)
    actions: int = 0
    damage: list[str] = msgspec.field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """They are the same, and all of both could be read."""
        return self.first is None and not self.damage


def diff_inputs(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    times: bool = True,
    on_progress: Callable[[int], object] = id,
) -> InputsDiff:
    """Compare all inputs and actions of two journals, by their run and number.

    How they are divided into blocks and segments, and how these are packed, does not matter; nor do notes.

    Args:
        a: a journal.
        b: another one.
        times: inputs that came at another moment are not the same.
        on_progress: called with the bytes of files of `a` that were read.

    Raises:
        UsageError: one of them is no journal, or cannot be read.
    """
    return _Differing(_Side(a, on_progress), _Side(b, id), times).run()


class _Differing:
    def __init__(self, a: _Side, b: _Side, times: bool) -> None:
        self._a, self._b = a, b
        self._times = times
        self._found = InputsDiff()
        self._before: LineAt | None = None

    def run(self) -> InputsDiff:
        a, b, found = self._a, self._b, self._found
        while True:
            if not a.lines and not b.lines:
                texts = a.next_block(), b.next_block()
                if texts == (None, None):
                    break
                if texts[0] == texts[1] and a.run == b.run:
                    self._skip()
                    continue
            one, other = a.first(), b.first()
            if one is None and other is None:
                continue
            self._compare(one, other)
        self._compare_clients()
        found.inputs = a.inputs, b.inputs
        found.damage = a.damage + b.damage
        return found

    def _skip(self) -> None:
        """A block of the same text in both: it need not be looked at line by line."""
        before = self._a.inputs
        self._before = self._a.skip() or self._before
        self._b.skip()
        self._found.equal += self._a.inputs - before

    def _compare(self, one: LineAt | None, other: LineAt | None) -> None:
        found = self._found
        if other is None or (one is not None and one[:3] < other[:3]):
            self._a.lines.popleft()
            found.only = found.only[0] + (one is not None and not one.rank), found.only[1]
            self._differ("missing", one, None)
        elif one is None or one[:3] > other[:3]:
            self._b.lines.popleft()
            found.only = found.only[0], found.only[1] + (not other.rank)
            self._differ("missing", None, other)
        else:
            self._a.lines.popleft()
            self._b.lines.popleft()
            what = self._what_differs(one, other)
            if what is None:
                found.equal += not one.rank
                self._before = one
            else:
                found.differing += not one.rank
                self._differ(what, one, other)

    def _what_differs(self, one: LineAt, other: LineAt) -> str | None:
        if one.kind != other.kind:
            return "kind"
        if one.content != other.content:
            return "content"
        if one.stamp is None or other.stamp is None:
            return None if one.stamp is other.stamp else "time"
        if (one.stamp.connection, one.stamp.epoch) != (other.stamp.connection, other.stamp.epoch):
            return "place"
        return "time" if self._times and one.stamp != other.stamp else None

    def _differ(self, what: str, one: LineAt | None, other: LineAt | None) -> None:
        line = one or other
        assert line is not None  # noqa: S101  # one of them is there
        self._found.actions += line.rank > 0
        if self._found.first is None:
            self._found.first = LineDifference(line.run, line.n, what, self._before, one, other)

    def _compare_clients(self) -> None:
        """Runs of clients that were not made alike; that is before all of their inputs."""
        for run, (one, other) in enumerate(zip(self._a.made, self._b.made, strict=False), 1):
            first = self._found.first
            if one != other and (first is None or run <= first.run):
                self._found.first = LineDifference(run, 0, "made", None, one, other)
                return


class _Side:
    """One of the journals.

    Attributes:
        lines: those of the block at hand that were not looked at.
        run: of the block at hand, from 1.
        made: what the client of each run was made of.
        inputs: how many there were.
        damage: what was passed over.
    """

    def __init__(self, directory: str | os.PathLike[str], on_progress: Callable[[int], object]) -> None:
        self.lines: deque[LineAt] = deque()
        self.run = 0
        self.made: list[Made] = []
        self.inputs = 0
        self.damage: list[str] = []
        self._text: bytes | None = None
        self._at = (0, 0)
        """The last input, and how many actions came after it."""
        self._on_progress = on_progress
        self._blocks = self._read(directory)

    def next_block(self) -> bytes | None:
        """The text of the next block; None at the end. Its lines are read by `first`, or left out by `skip`."""
        if self._text is None:
            self._text = next(self._blocks, None)
        return self._text

    def first(self) -> LineAt | None:
        """The first line that was not looked at; None at the end."""
        while not self.lines and self.next_block() is not None:
            self._load()
        return self.lines[0] if self.lines else None

    def skip(self) -> LineAt | None:
        """Leave out the lines of the block at hand; the last of them, None if it has none."""
        block = self._take()
        if block is None:
            return None
        self.inputs += block.last_n - block.n
        last: Entry | None = None
        rank = 0
        for item in reversed(block.runs):
            if isinstance(item, Run):
                last = last or Entry("frame", item.frames[-1], item.stamps[-1])
                break
            if item.kind == "note":
                continue
            last = last or item
            if item.kind == "input":
                break
            rank += 1
        if last is None:
            return None
        self._at = block.last_n, rank  # as it is skipped in both, both count on alike
        return LineAt(self.run, *self._at, last.kind, last.content, last.stamp)

    def _load(self) -> None:
        """Make lines of the block at hand."""
        block = self._take()
        if block is None:
            return
        n, rank = self._at if self._at[0] == block.n else (block.n, 0)
        for entry in block.entries:
            if entry.kind == "note":
                continue
            if entry.kind == "action":
                rank += 1
            else:
                n, rank = n + 1, 0
                self.inputs += 1
            self.lines.append(LineAt(self.run, n, rank, *entry))
        self._at = n, rank

    def _take(self) -> Block | None:
        text, self._text = self._text, None
        try:
            return read_block(text or b"")
        except FrameError as error:
            self.damage.append(f"a block of run {self.run}: {error}")
            return None

    def _read(self, directory: str | os.PathLike[str]) -> Iterator[bytes]:
        done, run = 0, 0
        for segment in segments(directory):
            try:
                head = read_head(segment.path)
            except Damaged as damaged:
                self.damage.append(str(damaged))
                continue
            if head.run != run:
                run, self.run, self._at = head.run, self.run + 1, (0, 0)
                self.made.append(head.made)
            for each in read_segment(segment.path):
                if isinstance(each, Damaged):
                    self.damage.append(str(each))
                else:
                    self._on_progress(done + each.offset)
                    yield each.text
            done += segment.path.stat().st_size
