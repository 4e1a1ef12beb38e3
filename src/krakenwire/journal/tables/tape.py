"""Plays a journal, segment by segment, to what makes rows of its events."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from krakenwire.errors import FrameError
from krakenwire.events import LIFECYCLE, Event, Subscribed
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import BlockAt, read_head, read_segment
from krakenwire.journal.files.zframes import frame_offsets
from krakenwire.journal.format import Block, Entry, Run, read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.player import Hole, Player
from krakenwire.journal.playing.seeking import Place, place_before, until
from krakenwire.journal.sealing.index import read_index
from krakenwire.journal.states.state import load_core
from krakenwire.journal.tables.schema import Missing
from krakenwire.journal.tables.sinks import Beginning, Sink
from krakenwire.journal.tables.spans import Gaps
from krakenwire.protocol.core import Core

__all__ = ["OnProgress", "Tape", "last_moment"]

OnProgress = Callable[[int, int], object]
"""Is told how many bytes of files are done, and of how many."""


def last_moment(segment: Segment) -> int:
    """UTC of the last input of a segment; that of its begin if it cannot be told. Little of it is read."""
    index = read_index(segment)
    if index is not None and index.received_ns[1]:
        return index.received_ns[1]
    with open(segment.path, "rb") as file:
        offsets = list(frame_offsets(file))[-2:]  # the very last may be torn before its first block
    last = segment.started_ns
    for found in read_segment(segment.path, offsets[0] if offsets else 0):
        if isinstance(found, BlockAt):
            with suppress(FrameError):
                last = max(last, _last_ns(read_block(found.text)))
    return last


class Tape:
    """Plays a journal to sinks.

    Damage is passed over: what comes behind it is played on, and a sink of gaps is told.

    Args:
        directory: the journal.
        sinks: what makes rows.

    Raises:
        UsageError: it is no journal.

    Attributes:
        found: the segments, in order.
        recorded: what there was in what was played: channel, symbol, and depth or interval.
        now_ns: UTC of the last input; 0 before the first.
        is_before: what comes next may be before the moment from which on rows are wanted.
    """

    def __init__(self, directory: str | os.PathLike[str], sinks: Sequence[Sink]) -> None:
        self.found = segments(directory)
        self.recorded: dict[tuple[str, str | None, int | None], None] = {}
        self.now_ns = 0
        self._directory = directory
        self._sinks = sinks
        self._gaps = [sink for sink in sinks if isinstance(sink, Gaps)]
        self._handlers: dict[type, list[Callable[[Any], None]]] = {}
        for sink in sinks:
            for kind, handler in sink.handlers.items():
                self._handlers.setdefault(kind, []).append(handler)
        self._player = Player(self._take, load=load_core)
        self._core: Core | None = None
        self._head: Head | None = None
        self._number: int | None = None
        """Of the segment played last."""
        self._holes: list[Hole] = []
        self._told = 0
        """How many of the holes were."""
        self._damage: str | None = None
        """What was damaged since the last block that could be read."""
        self._is_new_run = False
        self._run_ended_ns = 0
        self.is_before = True
        self._is_over = False

    def play(
        self, start_ns: int | None = None, end_ns: int | None = None, on_progress: OnProgress | None = None
    ) -> Iterator[None]:
        """All of it, or from the first input received at `start_ns` up to the first one at `end_ns` (UTC).

        Rows can be taken whenever it yields.

        Raises:
            UsageError: a segment cannot be read, or is of a later version.
        """
        place = self.place(start_ns)
        sizes = {segment.number: segment.path.stat().st_size for segment in self.found}
        done, total = 0, sum(sizes.values())
        for segment in self.found:
            if segment.number >= place.segment.number and not self._is_over:
                for offset in self.play_segment(segment, place, start_ns, end_ns):
                    if on_progress is not None:
                        on_progress(done + offset, total)
                    yield
            done += sizes[segment.number]
            if on_progress is not None:
                on_progress(done, total)
        self.end(end_ns if self._is_over else None)
        yield

    def place(self, received_ns: int | None = None, segment: Segment | None = None) -> Place:
        """From where all is known of a moment, or of the begin of a segment; playing begins with it.

        Raises:
            UsageError: a segment cannot be read.
        """
        place = Place(self.found[0], 0, 0)
        head = _head(self.found[0])
        if segment is not None:
            place = place_before(self._directory, number=segment.number)
        elif received_ns is not None and head is not None and head.received_ns <= received_ns:
            place = place_before(self._directory, received_ns=received_ns)
        self._run_ended_ns = self._end_of_run_before(place.segment)
        return place

    def play_segment(
        self, segment: Segment, place: Place, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[int]:
        """One segment, which comes after the one played before, or begins at a place in it; yields how far it is.

        Args:
            segment: which.
            place: where playing began.
            start_ns: UTC; before that no rows are made.
            end_ns: UTC; here it ends, and so must the caller.

        Raises:
            UsageError: it cannot be read, or is of a later version.
        """
        if self._number is not None and segment.number > self._number + 1:
            self._damage = f"what was between the segments {self._number} and {segment.number} is not there"
        self._number = segment.number
        is_place = segment.number == place.segment.number
        if not self._begin(segment, place if is_place else None):
            return
        for found in read_segment(segment.path, place.offset if is_place else 0):
            block = self._read(segment, found)
            if block is None:
                continue
            if start_ns is not None and self.is_before:
                before, rest = until(block, start_ns - 1)
                self._play(before)
                for sink in self._sinks:
                    sink.cut(min(self.now_ns, start_ns) if rest is None else start_ns)
                if rest is None:
                    continue
                self.is_before, block = False, rest
            if end_ns is not None:
                block, later = until(block, end_ns - 1)
                self._is_over = later is not None
            self._play(block)
            yield found.offset
            if self._is_over:
                return

    def end(self, at_ns: int | None = None) -> None:
        """What has a length ends here: at that moment (UTC), or with the last input."""
        if self._damage is not None:
            self._miss(self._damage, self.now_ns, self.now_ns)
        for sink in self._sinks:
            sink.end(self.now_ns if at_ns is None else at_ns)
        self._note_wishes()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _read(self, segment: Segment, found: BlockAt | Damaged) -> Block | None:
        if isinstance(found, BlockAt):
            try:
                return read_block(found.text)
            except FrameError as error:  # it is whole, and yet no block: as if it were damaged
                self._damage = f"{segment.path.name}: {error}"
        else:
            self._see_damage(segment, found)
        return None

    def _see_damage(self, segment: Segment, found: Damaged) -> None:
        is_growing = isinstance(found, Torn) and segment == self.found[-1] and is_written(self._directory)
        if not is_growing:
            self._damage = f"{segment.path.name} is damaged at byte {found.offset:,}: {found.reason}"

    def _begin(self, segment: Segment, place: Place | None) -> bool:
        """The first line of a segment; False if it cannot be made out."""
        try:
            head = read_head(segment.path)
        except Damaged as damaged:
            self._see_damage(segment, damaged)
            return False
        before, self._head = self._head, head
        if before is None or place is not None:
            self._player.begin(head, *(() if place is None else (place.core, place.log)))
            self.now_ns = head.received_ns if place is None or place.core is None else 0
            self._holes, self._told = self._player.holes, len(self._player.holes)  # what was before is not ours
            return True
        if before.run != head.run:
            if self._damage is not None:
                self._miss(self._damage, self.now_ns, self.now_ns)
            self._stop(before, head)
            if not head.resumed:
                self._is_new_run, self._run_ended_ns = True, self.now_ns
        self._player.begin(head)
        self._look_at_core(head.received_ns)
        if before.run != head.run:
            self.now_ns = head.received_ns  # by a clock that may be another one
        return True

    def _play(self, block: Block) -> None:
        player = self._player
        if not self.now_ns:  # it begins in the midst of a segment
            self.now_ns = block.received_ns
        player.begin_block(block)
        self._look_at_core(block.received_ns)
        if any(isinstance(item, Entry) and item.content.startswith(_CHANGES) for item in block.runs):
            for entry in block.entries:
                player.step(entry)
                if entry.kind == "note":
                    self._look_at_core(block.received_ns)
        else:
            player.play(block)
        self.now_ns = max(self.now_ns, _last_ns(block))

    def _look_at_core(self, next_ns: int) -> None:
        """Tell who goes on, and what is missing before what was received at `next_ns`."""
        player = self._player
        if player.holes is not self._holes:
            self._holes, self._told = player.holes, 0
        reason = None
        for hole in self._holes[self._told :]:
            reason = self._miss(hole.reason, self.now_ns, next_ns, hole)
        self._told = len(self._holes)
        if player.core is self._core:
            return
        is_first = self._core is None
        self._core = player.core
        self._note_wishes()
        is_bridge = not (is_first or self._is_new_run or reason)
        at_ns = next_ns if is_bridge else self.now_ns
        beginning = Beginning(player.core, at_ns, reason, self._is_new_run, self._run_ended_ns)
        self._is_new_run = False
        for sink in self._sinks:
            sink.begin(beginning)

    def _miss(self, reason: str, begin_ns: int, end_ns: int, hole: Hole | None = None) -> str:
        """Inputs are missing; why."""
        if self._damage is not None:
            reason, self._damage = self._damage, None
        known = hole if hole is not None and hole.last >= hole.first else None
        for sink in self._gaps:
            sink.miss(
                Missing(
                    kind="inputs",
                    begin_ns=begin_ns,
                    end_ns=max(begin_ns, end_ns),
                    first=None if known is None else known.first,
                    last=None if known is None else known.last,
                    count=None if known is None else known.last - known.first + 1,
                    reason=reason,
                )
            )
        return reason

    def _stop(self, before: Head, head: Head) -> None:
        """Between two runs."""
        for sink in self._gaps if head.received_ns > self.now_ns else ():
            sink.miss(
                Missing(
                    kind="stopped",
                    begin_ns=self.now_ns,
                    end_ns=head.received_ns,
                    reason=f"nothing was recorded between the runs {before.run} and {head.run}",
                )
            )

    def _end_of_run_before(self, segment: Segment) -> int:
        """UTC of the last input of the run before the one that `segment` is of; 0 if it is the first."""
        head = _head(segment)
        for earlier in reversed(self.found[: self.found.index(segment)]):
            theirs = _head(earlier)
            if head is None or theirs is None:
                return 0
            if theirs.run != head.run and not head.resumed:
                return last_moment(earlier)
            head = theirs
        return 0

    def _note_wishes(self) -> None:
        """What is subscribed was recorded, also if nothing came of it."""
        for key in self._core.placements() if self._core is not None else ():
            self.recorded[key.channel, key.symbol, key.depth or key.interval] = None

    def _take(self, events: Sequence[Event]) -> None:
        handlers, recorded = self._handlers, self.recorded
        for event in events:
            kind = type(event)
            wanted = handlers.get(kind)
            if wanted is not None:
                for handler in wanted:
                    handler(event)
            told: Any = event
            if told.channel != LIFECYCLE:
                option = getattr(told, "depth", None) or getattr(told, "interval", None)
                recorded[told.channel, getattr(told, "symbol", None), option] = None
            elif kind is Subscribed:
                recorded[told.of, told.symbol, told.depth or told.interval] = None


_CHANGES = (b"gap ", b"state ")
"""Notes after which another core may go on."""


def _head(segment: Segment) -> Head | None:
    try:
        return read_head(segment.path)
    except Damaged:
        return None


def _last_ns(block: Block) -> int:
    for item in reversed(block.runs):
        stamp = item.stamps[-1] if isinstance(item, Run) else item.stamp
        if stamp is not None:
            return stamp.received_ns
    return 0
