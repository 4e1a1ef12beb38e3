"""Reads all of a journal, and says what is wrong with it: what is torn, damaged, missing, or comes out otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from krakenwire.errors import FrameError, UsageError
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import BlockAt, read_head, read_segment
from krakenwire.journal.format import Block, Entry, Run, read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.comparing import Difference, End
from krakenwire.journal.playing.player import Player

__all__ = ["Finding", "KnownGap", "Verdict", "verify"]

_What = Literal["torn", "damaged", "missing", "hole", "head", "end", "difference"]


class KnownGap(msgspec.Struct, frozen=True):
    """Inputs that the journal itself says it does not have.

    Attributes:
        first, last: their numbers.
        reason: why.
        received_ns: from when to when (UTC).
    """

    first: int
    last: int
    reason: str
    received_ns: tuple[int, int]


class Finding(msgspec.Struct, kw_only=True):
    """Something that is wrong.

    Attributes:
        what: `torn` the file ends within a zstd frame, `damaged` bits are not what was written, `missing` segments are
            not there, `hole` inputs are not there and nothing says why, `head` a first line does not fit, `end` a last
            one, `difference` played again it comes out otherwise.
        text: what, in words.
        file: the segment's name.
        segment: its number.
        offset: of the zstd frame in the file, where that is known.
        first, last: the inputs that are lost by it, where that is known; None for none, or none known.
        received_ns: from when to when something may be lost (UTC), where that is known.
    """

    what: _What
    text: str
    file: str
    segment: int
    offset: int | None = None
    first: int | None = None
    last: int | None = None
    received_ns: tuple[int | None, int | None] = (None, None)


class Verdict(msgspec.Struct, kw_only=True):
    """What was found in a journal.

    Attributes:
        journal: what all its segments have in common; None if no first line could be read.
        segments, runs, blocks, inputs, frames: how many there are.
        size, text_size: bytes of its files, and of what is in them.
        findings: what is wrong, in order.
        gaps: what was not written, as the journal itself says.
        unended: numbers of segments without a last line: the recorder was killed; nothing is wrong with what is there.
        is_written: somebody writes it now; that its last segment is not ended is no finding then.
        compared: how many recorded digests came out the same, of events and of books; None if it was not played.
        sound: nothing is wrong.
    """

    journal: str | None = None
    segments: int = 0
    runs: int = 0
    blocks: int = 0
    inputs: int = 0
    frames: int = 0
    size: int = 0
    text_size: int = 0
    findings: list[Finding] = []
    gaps: list[KnownGap] = []
    unended: list[int] = []
    is_written: bool = False
    compared: tuple[int, int] | None = None
    sound: bool = True


def verify(
    directory: str | os.PathLike[str], *, replay: bool = False, on_progress: Callable[[int], object] | None = None
) -> Verdict:
    """Read all of a journal.

    Args:
        directory: the journal.
        replay: play it too, and compare actions, events and books with what was recorded.
        on_progress: called with the bytes of files that were read so far.

    Raises:
        UsageError: it is no journal, or cannot be read.
    """
    verifier = _Verifier(Player(load=_load) if replay else None, on_progress)
    found = segments(directory)
    verifier.verdict.is_written = is_written(directory)
    for segment in found:
        verifier.look_at(segment, is_last=segment is found[-1])
    return verifier.end()


def _load(state: bytes) -> Any:
    from krakenwire.journal.states.state import load_core

    return load_core(state)


class _Verifier:
    def __init__(self, player: Player | None, on_progress: Callable[[int], object] | None) -> None:
        self.verdict = Verdict()
        self._player = player
        self._plays = False
        self._on_progress = on_progress
        self._before: Segment | None = None
        self._head: Head | None = None
        self._n: int | None = None
        """Of the last input; None if it is not known."""
        self._received_ns: int | None = None
        self._open: Finding | None = None
        """What lost inputs, until the next block says how many."""
        self._has_ended = True
        self._path = Path()
        self._number = 0

    def look_at(self, segment: Segment, *, is_last: bool) -> None:
        verdict = self.verdict
        self._path, self._number = segment.path, segment.number
        verdict.segments += 1
        if self._before is not None and segment.number > self._before.number + 1:
            first, last = self._before.number + 1, segment.number - 1
            names = f"segment {first} is" if first == last else f"segments {first} to {last} are"
            self._open = self._find("missing", f"{names} not there")
        self._before = segment
        self._begin()
        self._has_ended = False
        for each in read_segment(segment.path):
            if isinstance(each, BlockAt):
                self._take(each)
            elif not (is_last and verdict.is_written and isinstance(each, Torn)):
                self._damage(each)
            if self._on_progress is not None:
                self._on_progress(verdict.size + each.offset)
        size = segment.path.stat().st_size
        verdict.size += size
        if not self._has_ended and not (is_last and verdict.is_written):
            verdict.unended.append(segment.number)

    def end(self) -> Verdict:
        self._end_run()
        verdict = self.verdict
        verdict.sound = not verdict.findings
        return verdict

    # --- first lines --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        try:
            head = read_head(self._path)
        except Damaged as damaged:
            self._head = None
            if not isinstance(damaged, Torn):
                self._find("head", f"its first line cannot be read: {damaged.reason}", offset=0)
            return  # reading it will say the rest
        verdict, before = self.verdict, self._head
        if verdict.journal is None:
            verdict.journal = head.journal
        elif head.journal != verdict.journal:
            self._find("head", f"it is of another journal: {head.journal}, not {verdict.journal}")
        if head.segment != self._number:
            self._find("head", f"its first line says that it is segment {head.segment}")
        if before is None or head.run != before.run:
            verdict.runs += 1
            if before is not None and head.run < before.run:
                self._find("head", f"it is of run {head.run}, after one of run {before.run}")
        if head.is_first and not head.resumed:
            self._end_run()
            self._n, self._open = head.n, None
        elif head.goes_on(self._n):
            self._n = head.n
        self._head = head
        self._go_on_at(head.n, None, head.received_ns)
        self._play_on(head)

    def _end_run(self) -> None:
        player = self._player
        if player is None or not self._plays:
            return
        digests, states = self.verdict.compared or (0, 0)
        self.verdict.compared = digests + player.compared[0], states + player.compared[1]
        for difference in player.differences:
            self._find("difference", _difference_text(difference), first=difference.n, last=difference.n)
        if more := player.different - len(player.differences):
            self._find("difference", f"and {more:,} more in this run")
        self._plays = False

    def _play_on(self, head: Head) -> None:
        if self._player is None:
            return
        if self._plays and not (head.is_first and head.resumed):
            self._player.begin(head)
            return
        try:
            self._player.begin(head)
        except UsageError as error:
            self._find("difference", f"it cannot be played: {error}")
        else:
            self._plays = True

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _take(self, at: BlockAt) -> None:
        verdict = self.verdict
        verdict.blocks += 1
        verdict.text_size += len(at.text)
        try:
            block = read_block(at.text)
        except FrameError as error:
            self._open = self._find("damaged", str(error), offset=at.offset)
            return
        self._go_on_at(block.n, block, block.received_ns)
        verdict.inputs += block.last_n - block.n
        self._n = block.last_n
        for item in block.runs:
            if isinstance(item, Run):
                verdict.frames += len(item.frames)
                self._received_ns = item.stamps[-1].received_ns
            elif item.kind == "note":
                self._note(item.content)
            else:
                verdict.frames += item.kind == "frame"
                self._received_ns = item.stamp.received_ns if item.stamp else self._received_ns
        if self._player is not None and self._plays:
            self._player.play(block)

    def _go_on_at(self, n: int, block: Block | None, received_ns: int) -> None:
        """What comes has the inputs behind `n`."""
        expected, lost_by = self._n, self._open
        self._n, self._open = n, None
        if expected is None or n == expected:
            return
        if n < expected:
            self._find("hole", f"it goes back from input {expected:,} to input {n:,}")
            return
        first = block.runs[0] if block is not None and block.runs else None
        if isinstance(first, Entry) and first.content.startswith(b"gap "):
            with suppress(msgspec.MsgspecError):  # reading it tells
                n = min(n, msgspec.json.decode(first.content[4:], type=KnownGap).first - 1)
            if n <= expected:
                return
        if lost_by is None:
            lost_by = self._find("hole", "inputs are not there, and nothing says why")
        lost_by.first, lost_by.last = expected + 1, n
        lost_by.received_ns = self._received_ns, received_ns

    def _note(self, line: bytes) -> None:
        name, _, body = line.partition(b" ")
        try:
            if name == b"gap":
                self.verdict.gaps.append(msgspec.json.decode(body, type=KnownGap))
            elif name == b"end":
                self._has_ended = True
                end = msgspec.json.decode(body, type=End)
                if end.n != self._n:
                    self._find("end", f"its last line tells of {end.n:,} inputs, and there are {self._n:,}")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._find("end", f"a line about the journal cannot be read: {name.decode(errors='replace')}: {error}")

    # --- what is wrong ------------------------------------------------------------------------------------------------

    def _damage(self, damaged: Damaged) -> None:
        what: _What = "torn" if isinstance(damaged, Torn) else "damaged"
        blocks = "1 block" if damaged.blocks == 1 else f"{damaged.blocks} blocks"
        self._open = self._find(what, f"{damaged.reason}; {blocks} of it can be read", offset=damaged.offset)
        self._open.received_ns = self._received_ns, None

    def _find(self, what: _What, text: str, **more: Any) -> Finding:
        found = Finding(what=what, text=text, file=self._path.name, segment=self._number, **more)
        self.verdict.findings.append(found)
        return found


def _difference_text(difference: Difference) -> str:
    what = {
        "action": "what was wanted",
        "events": "the events so far",
        "state": "the books",
        "input": "an input",
        "n": "the number of inputs",
        "frames": "the number of frames",
    }[difference.what]
    recorded, played = difference.recorded or "nothing", difference.played or "nothing"
    return f"after input {difference.n:,} {what} differs: recorded {recorded}, played {played}"
