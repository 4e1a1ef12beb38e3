"""A moment of a journal: the nearest place before it from which all is known, and the player that is as of then.

With the side-cars that sealing makes, some megabytes are read however large the journal is. Without them, or with those
of another version, the run is played from its beginning: the same comes of it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from krakenwire.book import format_timestamp
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import Stamp
from krakenwire.journal.files.directory import Segment, segments, state_name
from krakenwire.journal.files.segments import Damaged, read_head, read_segment
from krakenwire.journal.format import Block, Entry, Run, read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.player import OnEvents, Player
from krakenwire.journal.sealing.index import CheckpointAt, Index, read_index
from krakenwire.journal.states.checkpoints import Checkpoint, read_checkpoint
from krakenwire.journal.states.state import StateUnusable, load_core
from krakenwire.protocol.core import Core
from krakenwire.protocol.report import LogState

__all__ = ["Place", "items_from", "place_before", "play_to", "until"]


class Place(NamedTuple):
    """From where playing gives the exact state.

    Attributes:
        segment: in which to begin.
        offset: of the zstd frame to begin with.
        n: of the last input before.
        core: as it was there; None where a run begins, or nothing better is there.
        log: of the events up to there, likewise; None also where it is not known how the recorded one stood.
    """

    segment: Segment
    offset: int
    n: int
    core: Core | None = None
    log: LogState | None = None


def place_before(
    directory: str | os.PathLike[str], *, received_ns: int | None = None, number: int | None = None
) -> Place:
    """The nearest place before a moment, or at the beginning of a segment, from which playing gives the exact state.

    Args:
        directory: the journal.
        received_ns: UTC; no input before the place was received later.
        number: of a segment; the place is at its beginning or before.

    Raises:
        UsageError: it is no journal, or begins later.
    """
    found = segments(directory)
    if number is not None:
        at = next((at for at, segment in enumerate(found) if segment.number == number), None)
        if at is None:
            raise UsageError(f"{os.fspath(directory)} has no segment {number}")
        return _place(found, at, 0)
    if received_ns is None:
        raise UsageError("give the moment as received_ns, or a segment by its number")
    at = bisect_right([segment.started_ns for segment in found], received_ns) - 1
    while at >= 0 and _begins_later(found[at], received_ns):
        at -= 1  # the name tells only the second
    if at < 0:
        raise UsageError(
            f"{os.fspath(directory)} begins later than {format_timestamp(received_ns)}: "
            f"its first segment is {found[0].path.name}"
        )
    return _place(found, at, received_ns)


def play_to(directory: str | os.PathLike[str], received_ns: int, on_events: OnEvents | None = None) -> Player:
    """A player that has been given every input up to the first one that was received after this moment (UTC).

    Args:
        directory: the journal.
        received_ns: the moment.
        on_events: as `Player` takes it; it is told of what is played, which begins somewhere before.

    Raises:
        UsageError: it is no journal, or begins later.
    """
    place = place_before(directory, received_ns=received_ns)
    player = Player(on_events, load=load_core)
    for item in items_from(directory, place):
        if isinstance(item, Head):
            if not hasattr(player, "head"):
                player.begin(item, place.core, place.log)
            elif item.received_ns > received_ns and item.is_first and not item.resumed:
                break
            else:
                player.begin(item)
            continue
        whole, rest = until(item, received_ns)
        player.play(whole)
        if rest is not None:
            break
    return player


def items_from(directory: str | os.PathLike[str], place: Place) -> Iterator[Head | Block]:
    """What is to be played from a place on: the first line of each segment, that of the place's first, and blocks.

    Damage is passed over: who plays the rest sees that inputs are missing.

    Raises:
        Damaged: a first line cannot be made out.
        UsageError: a segment cannot be read.
    """
    for segment in segments(directory):
        if segment.number < place.segment.number:
            continue
        yield read_head(segment.path)
        for found in read_segment(segment.path, place.offset if segment.number == place.segment.number else 0):
            if not isinstance(found, Damaged):
                with suppress(FrameError):  # it is whole, and yet no block: as if it were damaged
                    yield read_block(found.text)


def until(block: Block, received_ns: int) -> tuple[Block, Block | None]:
    """What of a block was received up to a moment; the rest, None if that is nothing.

    The moment of an input without a time is that of the one before.
    """
    runs = block.runs
    n = block.n
    for at, item in enumerate(runs):
        if isinstance(item, Run):
            for number, stamp in enumerate(item.stamps):
                if stamp.received_ns > received_ns:
                    return _cut(block, at, n, item, number)
            n += len(item.frames)
        elif isinstance(item.stamp, Stamp) and item.stamp.received_ns > received_ns:
            return _cut(block, at, n, None, 0)
        else:
            n += item.kind == "input"
    return block, None


def _cut(block: Block, at: int, n: int, run: Run | None, frames: int) -> tuple[Block, Block]:
    before: list[Run | Entry] = list(block.runs[:at])
    after: list[Run | Entry] = list(block.runs[at:])
    if run is not None and frames:
        before.append(Run(run.connection, run.frames[:frames], run.stamps[:frames]))
        after[0] = Run(run.connection, run.frames[frames:], run.stamps[frames:])
        n += frames
    return block._replace(runs=before, last_n=n), block._replace(runs=after, n=n)


# --- places -----------------------------------------------------------------------------------------------------------


def _place(found: Sequence[Segment], at: int, received_ns: int) -> Place:
    """The nearest before `received_ns` in the segment `at`, or at its beginning, or before that; 0 is its beginning."""
    index = read_index(found[at]) if received_ns else None
    if index is not None:
        for checkpoint in reversed(index.checkpoints):
            if checkpoint.offset is not None and checkpoint.latest_ns <= received_ns:
                place = _use(found[at], index, checkpoint, found[at], checkpoint.offset)
                if place is not None:
                    return place
    head = _head(found[at])
    if head is not None and head.is_first and not head.resumed:
        return Place(found[at], 0, head.n)
    if at == 0 or found[at - 1].number + 1 != found[at].number:
        return Place(found[at], 0, 0 if head is None else head.n)
    before = read_index(found[at - 1])
    last = before.checkpoints[-1] if before is not None and before.checkpoints else None
    is_end = last is not None and last.offset is None and last.latest_ns <= (received_ns or _FOR_EVER)
    is_end = is_end and last is not None and head is not None and (head.n == last.n or head.goes_on(last.n))
    if before is not None and last is not None and is_end:
        place = _use(found[at - 1], before, last, found[at], 0)
        if place is not None:
            return place
    return _place(found, at - 1, received_ns or _FOR_EVER)


_FOR_EVER = 1 << 63


def _begins_later(segment: Segment, received_ns: int) -> bool:
    head = _head(segment)
    return head is not None and head.received_ns > received_ns


def _use(kept: Segment, index: Index, at: CheckpointAt, segment: Segment, offset: int) -> Place | None:
    """The place of a state, None if it is of no use."""
    try:
        checkpoint: Checkpoint = read_checkpoint(
            kept.path.with_name(state_name(kept.number, at.n)), layout=index.layout, n=at.n
        )
        return Place(segment, offset, at.n, load_core(checkpoint.state), checkpoint.log)
    except StateUnusable:
        return None


def _head(segment: Segment) -> Head | None:
    try:
        return read_head(segment.path)
    except Damaged:
        return None
