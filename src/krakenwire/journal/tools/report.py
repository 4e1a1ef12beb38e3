"""How complete a journal is: from the indexes of its segments where these are there, by playing the others.

Both come to the same figures: what an index has was counted by the same code when the segment was sealed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Sequence

import msgspec

from krakenwire.errors import FrameError, UsageError
from krakenwire.events import Event
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, missing, segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import read_head, read_segment
from krakenwire.journal.format import Block, read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.comparing import End
from krakenwire.journal.playing.player import Player
from krakenwire.journal.playing.seeking import items_from, place_before, until
from krakenwire.journal.sealing.completeness import Completeness, Lost
from krakenwire.journal.sealing.counting import Counting
from krakenwire.journal.sealing.index import Index, read_index
from krakenwire.journal.states.state import load_core

__all__ = ["Break", "CompletenessReport", "DamageAt", "report"]


class DamageAt(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file is not what was written.

    Attributes:
        file: name of the segment.
        offset: in it.
        reason: what was expected and what came.
    """

    file: str
    offset: int
    reason: str


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which nobody recorded.

    Attributes:
        run: the one that ended.
        ended_ns: UTC of its last input; 0 if it has none.
        began_ns: when the next one began; None if there is none.
        closed: how it was ended; None if it was not: the recorder was killed, say, and what it had not flushed is lost.
    """

    run: int
    ended_ns: int
    began_ns: int | None
    closed: str | None


class CompletenessReport(msgspec.Struct, kw_only=True):
    """How complete a journal is.

    Attributes:
        journal: what all its segments have in common.
        segments, played: how many were looked at, and how many of them had no index that would do.
        counted: by symbol and day, and which inputs are lost.
        missing: numbers of segments that are not there.
        damage: where files are damaged.
        breaks: when nobody recorded.
        is_written: somebody writes it now.
    """

    journal: str | None = None
    segments: int = 0
    played: int = 0
    counted: Completeness = msgspec.field(default_factory=Completeness)
    missing: list[int] = msgspec.field(default_factory=list)
    damage: list[DamageAt] = msgspec.field(default_factory=list)
    breaks: list[Break] = msgspec.field(default_factory=list)
    is_written: bool = False

    @property
    def is_complete(self) -> bool:
        """Nothing is missing: neither of the streams nor of the recording. That it was ended is no hole."""
        is_whole = not (self.counted.lost or self.missing or self.damage)
        is_whole = is_whole and all(each.closed is not None for each in self.breaks)
        return is_whole and not any(each.gaps for each in self.counted.symbols)


def report(
    directory: str | os.PathLike[str],
    *,
    from_ns: int | None = None,
    to_ns: int | None = None,
    symbols: Collection[str] | None = None,
    on_progress: Callable[[int], object] = id,
) -> CompletenessReport:
    """Look how complete a journal is.

    Args:
        directory: the journal.
        from_ns: of what was received from then on (UTC).
        to_ns: and before then.
        symbols: only of these; what concerns no single one is told all the same.
        on_progress: called with the bytes of files that are done.

    Raises:
        UsageError: it is no journal, or cannot be read, or there is nothing of the symbols in it.
    """
    if from_ns is not None and to_ns is not None and to_ns <= from_ns:
        raise UsageError("--to is not after --from")
    found = _Reporting(directory, from_ns, to_ns, on_progress).run()
    if symbols is not None:
        _choose(found.counted, symbols)
    return found


def _choose(counted: Completeness, symbols: Collection[str]) -> None:
    there = {each.symbol for each in counted.symbols if each.symbol is not None}
    unknown = sorted(set(symbols) - there)
    if unknown:
        some = ", ".join(sorted(there)[:20]) or "nothing of any"
        raise UsageError(f"there is nothing of {', '.join(unknown)} in it; there is {some}")
    counted.symbols = [each for each in counted.symbols if each.symbol is None or each.symbol in symbols]


class _Reporting:
    def __init__(
        self,
        directory: str | os.PathLike[str],
        from_ns: int | None,
        to_ns: int | None,
        on_progress: Callable[[int], object],
    ) -> None:
        self._directory = directory
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._on_progress = on_progress
        self._done = 0
        self._found = CompletenessReport(is_written=is_written(directory))
        self._player: Player | None = None
        """As it is at the end of the segment before; None if that was not played."""
        self._counting: Counting | None = None
        self._closed: str | None = None
        self._before: Head | None = None
        self._ended_ns = self._n = 0
        """Of the last input of the segment before."""

    def run(self) -> CompletenessReport:
        there = segments(self._directory)
        wanted = [
            each for each, following in itertools.zip_longest(there, there[1:]) if self._is_within(each, following)
        ]
        self._found.missing = missing(wanted)
        for segment in wanted:
            size = segment.path.stat().st_size
            try:
                head = read_head(segment.path)
            except Damaged as damaged:
                self._note_damage(damaged, is_last=segment is there[-1])
                self._player = None
            else:
                self._look_at(segment, head, is_last=segment is there[-1])
            self._done += size
            self._on_progress(self._done)
        is_end = wanted[-1:] == there[-1:] and not self._found.is_written and self._before is not None
        if is_end and self._closed is None and self._is_counted(self._ended_ns):
            self._end_run(None)
        return self._found

    def _is_within(self, segment: Segment, following: Segment | None) -> bool:
        is_over = following is not None and self._from_ns is not None and following.started_ns < self._from_ns - _SECOND
        return not is_over and (self._to_ns is None or segment.started_ns < self._to_ns)

    def _is_counted(self, at_ns: int) -> bool:
        return (self._from_ns is None or at_ns >= self._from_ns) and (self._to_ns is None or at_ns < self._to_ns)

    def _look_at(self, segment: Segment, head: Head, *, is_last: bool) -> None:
        before = self._before
        if before is not None and before.run != head.run and self._is_counted(head.received_ns):
            self._end_run(head.received_ns)
        if before is not None and before.run == head.run:
            self._join(before, head)
        self._found.journal = self._found.journal or head.journal
        self._found.segments += 1
        self._before, self._closed = head, None
        index = read_index(segment)
        if index is not None and self._is_all_counted(head, index):
            self._found.counted.add(index.completeness)
            self._found.damage += [
                DamageAt(file=segment.path.name, offset=offset, reason=reason) for offset, reason in index.damage
            ]
            self._closed, self._ended_ns = index.closed, index.received_ns[1] or head.received_ns
            self._n = index.n[1]
            self._player = None
            return
        self._found.played += 1
        self._player = self._bring_to(segment, head)
        self._play(segment, self._player, is_last=is_last)

    def _is_all_counted(self, head: Head, index: Index) -> bool:
        return self._is_counted(head.received_ns) and (
            not index.received_ns[1] or self._is_counted(index.received_ns[1])
        )

    def _join(self, before: Head, head: Head) -> None:
        """Inputs that are missing between two segments of a run."""
        if self._n < head.n and self._is_counted(head.received_ns):
            gone = [number for number in self._found.missing if before.segment < number < head.segment]
            reason = f"segment(s) {', '.join(map(str, gone))} missing" if gone else "not in the journal"
            moments = (self._ended_ns, head.received_ns)
            lost = Lost(run=head.run, first=self._n + 1, last=head.n, reason=reason, received_ns=moments)
            self._found.counted.lost.append(lost)

    def _end_run(self, began_ns: int | None) -> None:
        assert self._before is not None  # noqa: S101  # a segment of it was looked at
        ended = Break(run=self._before.run, ended_ns=self._ended_ns, began_ns=began_ns, closed=self._closed)
        self._found.breaks.append(ended)

    # --- what has no index --------------------------------------------------------------------------------------------

    def _bring_to(self, segment: Segment, head: Head) -> Player:
        """A player at the first line of a segment, from the state at the end of the one before if that is there."""
        if self._player is not None:
            self._player.begin(head)
            return self._player
        player = Player(self._take, load=load_core)
        place = place_before(self._directory, number=segment.number)
        try:
            for item in items_from(self._directory, place):
                if not isinstance(item, Head):
                    player.play(item)
                elif item.segment == place.segment.number:
                    player.begin(item, place.core, place.log)
                else:
                    player.begin(item)
                if isinstance(item, Head) and item.segment == segment.number:
                    break
        except Damaged:  # the first line of one before: nothing is known from there
            player.begin(head)
        return player

    def _play(self, segment: Segment, player: Player, *, is_last: bool) -> None:
        counting = self._counting = Counting(player, from_ns=self._from_ns, to_ns=self._to_ns)
        is_whole = True
        for each in read_segment(segment.path):
            if isinstance(each, Damaged):
                self._note_damage(each, is_last=is_last)
                is_whole = False
                continue
            try:
                block = read_block(each.text)
            except FrameError:
                continue  # it is whole, and yet no block: the player sees that inputs are missing
            rest: Block | None = None
            if self._to_ns is not None:
                block, rest = until(block, self._to_ns - 1)
            counting.play(block)
            self._closed = _closed(block) if rest is None else "later"
            self._on_progress(self._done + each.offset)
            if rest is not None:
                counting.at_ns = self._to_ns or 0  # it goes on after that
                self._player = None
                break
        self._found.counted.add(counting.end())
        self._ended_ns, self._n = counting.at_ns, player.core.n
        self._closed = self._closed if is_whole else None
        self._counting = None

    def _take(self, events: Sequence[Event]) -> None:
        if self._counting is not None:
            self._counting.take(events)

    def _note_damage(self, damaged: Damaged, *, is_last: bool) -> None:
        if isinstance(damaged, Torn) and is_last and self._found.is_written:
            return
        self._found.damage.append(DamageAt(file=damaged.path.name, offset=damaged.offset, reason=damaged.reason))


_SECOND = 1_000_000_000
"""The name of a segment tells when it was begun to the second only."""


def _closed(block: Block) -> str | None:
    """How the segment was ended, if this is its last block."""
    last = block.entries[-1] if block.runs else None
    if last is None or last.kind != "note" or not last.content.startswith(b"end "):
        return None
    try:
        return msgspec.json.decode(last.content[4:], type=End).closed
    except msgspec.MsgspecError:
        return None
