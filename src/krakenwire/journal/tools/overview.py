"""What there is in a journal: quickly, from the two ends of each segment; or all of it, by playing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from krakenwire.errors import FrameError, UsageError
from krakenwire.events import LIFECYCLE, Event
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, missing, segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import BlockAt, read_head, read_segment
from krakenwire.journal.files.zframes import frame_offsets
from krakenwire.journal.format import Block, read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.comparing import End
from krakenwire.journal.playing.player import Player
from krakenwire.journal.sealing.index import Index, read_index
from krakenwire.journal.tools.verifying import KnownGap

__all__ = ["Content", "Overview", "RunOverview", "SegmentOverview", "overview"]


_Streams = dict[tuple[str, str | None, int | None], list[int]]
"""Events, and the first and last moment, by channel, symbol, and depth or interval."""


class SegmentOverview(msgspec.Struct, kw_only=True):
    """One segment.

    Attributes:
        number, file, size: its number, name, and bytes.
        run: of which run it is; None if its first line cannot be read.
        begin_ns, end_ns: UTC of its beginning and its last input; None if that cannot be read.
        first, last: its inputs; `last` is one less than `first` if there is none.
        ended: `closed`, `rotated`, … as its last line says; None without one.
        damage: why its end cannot be read, if that is so.
        is_sealed: it was proven and packed after it was ended.
        text_size, frames: bytes of text, and frames received; with contents, or where an index tells.
    """

    number: int
    file: str
    size: int
    run: int | None = None
    begin_ns: int | None = None
    end_ns: int | None = None
    first: int | None = None
    last: int | None = None
    ended: str | None = None
    damage: str | None = None
    is_sealed: bool = False
    text_size: int | None = None
    frames: int | None = None


class RunOverview(msgspec.Struct, kw_only=True):
    """One run of a recorder.

    Attributes:
        run: its number.
        segments: how many are there.
        is_whole: its first segment is there.
        resumed: it went on where the one before ended.
        passive: imported frames, which somebody else had asked for.
        mirror, book_audit, seed: of what client, as far as it matters most.
        krakenwire, kernel, python: versions of the program that wrote it.
    """

    run: int
    segments: int
    is_whole: bool
    resumed: bool
    passive: bool
    mirror: bool
    book_audit: str | None
    seed: int | None
    krakenwire: str
    kernel: str
    python: str


class Content(msgspec.Struct, kw_only=True):
    """What was recorded of one channel and symbol.

    Attributes:
        channel, symbol: which; `symbol` is None where a channel has none.
        depth: of a book.
        interval: of candles, minutes.
        events: how many events come of it.
        first_ns, last_ns: UTC of the first and the last.
    """

    channel: str
    symbol: str | None
    depth: int | None
    interval: int | None
    events: int
    first_ns: int
    last_ns: int


class Overview(msgspec.Struct, kw_only=True):
    """What there is.

    Attributes:
        journal: what all segments have in common.
        format: of the journal.
        runs, segments: one by one.
        missing: numbers of segments that are not there.
        size: bytes of files.
        is_written: somebody writes it now.
        gaps: inputs that were not written, as (first, last, reason); only with contents.
        contents: by channel and symbol; only with contents.
    """

    journal: str | None = None
    format: int | None = None
    runs: list[RunOverview] = []
    segments: list[SegmentOverview] = []
    missing: list[int] = []
    size: int = 0
    is_written: bool = False
    gaps: list[tuple[int, int, str]] | None = None
    contents: list[Content] | None = None


def overview(
    directory: str | os.PathLike[str],
    *,
    contents: bool = False,
    on_progress: Callable[[int], object] | None = None,
) -> Overview:
    """Look at a journal.

    Args:
        directory: the journal.
        contents: play it, to see what was recorded.
        on_progress: called with the bytes of files that were read so far.

    Raises:
        UsageError: it is no journal, or cannot be read.
    """
    found = segments(directory)
    seen = Overview(missing=missing(found), is_written=is_written(directory))
    indexes = [read_index(segment) for segment in found]
    known = [index for index in indexes if index is not None]
    counting = _Counting() if contents and len(known) < len(found) else None
    for segment, index in zip(found, indexes, strict=True):
        each = SegmentOverview(number=segment.number, file=segment.path.name, size=segment.path.stat().st_size)
        try:
            head = read_head(segment.path)
        except Damaged as damaged:
            each.damage = damaged.reason
        else:
            each.run, each.begin_ns, each.first, each.last = head.run, head.received_ns, head.n + 1, head.n
            _add_run(seen, head)
            seen.journal, seen.format = seen.journal or head.journal, seen.format or head.format
            if counting is not None:
                counting.begin(head)
        if index is not None:
            each.last, each.end_ns, each.ended = index.n[1], index.received_ns[1], index.closed
            each.is_sealed, each.text_size, each.frames = index.is_sealed, index.text_bytes, index.frames
        elif each.run is not None:
            _look_at_end(segment, each)
        if counting is not None:
            counting.count(segment, each)
        seen.segments.append(each)
        seen.size += each.size
        if on_progress is not None:
            on_progress(seen.size)
    if counting is not None:
        seen.gaps, seen.contents = counting.gaps, _contents(counting.streams)
    elif contents:
        seen.gaps = [hole for index in known for hole in index.holes]
        seen.contents = _contents(_streams(known))
    return seen


def _add_run(seen: Overview, head: Head) -> None:
    if seen.runs and seen.runs[-1].run == head.run:
        seen.runs[-1].segments += 1
        return
    made = head.made
    seen.runs.append(
        RunOverview(
            run=head.run,
            segments=1,
            is_whole=head.is_first,
            resumed=head.resumed,
            passive=made.passive,
            mirror=made.mirror,
            book_audit=made.book_audit,
            seed=made.options.get("seed"),
            krakenwire=head.krakenwire,
            kernel=head.kernel,
            python=head.python,
        )
    )


def _look_at_end(segment: Segment, seen: SegmentOverview) -> None:
    with open(segment.path, "rb") as file:
        offsets = list(frame_offsets(file))[-2:]  # the very last may be torn before its first block
    for found in read_segment(segment.path, offsets[0] if offsets else 0):
        if isinstance(found, Damaged):
            seen.damage = found.reason
            continue
        with suppress(FrameError):
            block = read_block(found.text)
            seen.last, seen.end_ns = block.last_n, _last_ns(block)
            seen.ended = _ended(block)


def _last_ns(block: Block) -> int:
    stamps = [entry.stamp for entry in block.entries if entry.stamp is not None]
    return stamps[-1].received_ns if stamps else block.received_ns


def _ended(block: Block) -> str | None:
    """How the segment was ended, if this is its last block."""
    last = block.entries[-1].content if block.runs else b""
    if last.startswith(b"end "):
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(last[4:], type=End).closed
    return None


class _Counting:
    """Plays a journal, and counts what comes."""

    def __init__(self) -> None:
        self.gaps: list[tuple[int, int, str]] = []
        self.streams: _Streams = {}
        self._player = Player(self._take)
        self._plays = False

    def begin(self, head: Head) -> None:
        """A segment; what cannot be played is counted as far as its lines tell."""
        try:
            self._player.begin(head)
        except UsageError:
            self._plays = False
        else:
            self._plays = True

    def count(self, segment: Segment, seen: SegmentOverview) -> None:
        seen.text_size, seen.frames = 0, 0
        for found in read_segment(segment.path):
            if isinstance(found, BlockAt):
                self._count_block(found.text, seen)
            elif not isinstance(found, Torn):
                seen.damage = found.reason

    def _count_block(self, text: bytes, seen: SegmentOverview) -> None:
        seen.text_size = (seen.text_size or 0) + len(text)
        try:
            block = read_block(text)
        except FrameError as error:
            seen.damage = str(error)
            return
        for entry in block.entries:
            seen.frames = (seen.frames or 0) + (entry.kind == "frame")
            if entry.kind == "note" and entry.content.startswith(b"gap "):
                with suppress(msgspec.MsgspecError):
                    gap = msgspec.json.decode(entry.content[4:], type=KnownGap)
                    self.gaps.append((gap.first, gap.last, gap.reason))
        if self._plays:
            self._player.play(block)

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.channel == LIFECYCLE:
                continue
            option = getattr(event, "depth", None) or getattr(event, "interval", None)
            _add(
                self.streams, (event.channel, getattr(event, "symbol", None), option), 1, *[event.stamp.received_ns] * 2
            )


def _streams(indexes: Iterable[Index]) -> _Streams:
    streams: _Streams = {}
    for index in indexes:
        for each in index.streams:
            _add(streams, (each.channel, each.symbol, each.option), each.messages, each.first_ns, each.last_ns)
    return streams


def _add(streams: _Streams, key: tuple[str, str | None, int | None], events: int, first_ns: int, last_ns: int) -> None:
    counted = streams.get(key)
    if counted is None:
        streams[key] = [events, first_ns, last_ns]
    else:
        counted[0] += events
        counted[1], counted[2] = min(counted[1], first_ns), max(counted[2], last_ns)


def _contents(streams: _Streams) -> list[Content]:
    return [
        Content(
            channel=channel,
            symbol=symbol,
            depth=option if channel == "book" else None,
            interval=option if channel != "book" else None,
            events=events,
            first_ns=first_ns,
            last_ns=last_ns,
        )
        for (channel, symbol, option), (events, first_ns, last_ns) in sorted(
            streams.items(), key=lambda stream: tuple(map(str, stream[0]))
        )
    ]
