"""The index beside a sealed segment: where to begin to read for a moment, and what is in it, without reading it.

An index is a cache, made by sealing, and made again where it is missing or of another file than the one that is there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import Segment, index_name, unreadable
from krakenwire.journal.sealing.completeness import Completeness

__all__ = ["Book", "CheckpointAt", "FrameAt", "Index", "Missed", "Stream", "read_index", "write_index", "write_whole"]

FORMAT: Final = 1


class FrameAt(NamedTuple):
    """Where a zstd frame begins that has blocks in it.

    Attributes:
        offset: in the file.
        n: the number of the input before its first.
        received_ns, received_mono_ns: the times of its first block.
    """

    offset: int
    n: int
    received_ns: int
    received_mono_ns: int


class CheckpointAt(NamedTuple):
    """A state that was kept.

    Attributes:
        n: of the last input before.
        offset: of the zstd frame that begins there; None at the end of the segment, where the next one goes on.
        latest_ns: the latest UTC time of receipt of all inputs before, in the run.
    """

    n: int
    offset: int | None
    latest_ns: int


class Stream(msgspec.Struct, kw_only=True):
    """What was told of one channel and symbol over one connection.

    Attributes:
        connection, channel: which.
        symbol: None of a channel without one.
        option: depth of a book, minutes of candles, else None.
        messages: how many events.
        first_ns, last_ns: UTC of receipt of the first and the last.
    """

    connection: str
    channel: str
    symbol: str | None
    option: int | None
    messages: int = 0
    first_ns: int = 0
    last_ns: int = 0


class Book(msgspec.Struct, kw_only=True):
    """How one book fared.

    Attributes:
        symbol, depth: which.
        synced: from when to when it was proven (UTC ns); what reaches the end of the segment goes on in the next.
        invalidated: how often it was not any more, by reason.
        resyncs: how often it was proven again.
        quarantines: how often it was left alone for a while.
    """

    symbol: str
    depth: int
    synced: list[tuple[int, int]] = msgspec.field(default_factory=list)
    invalidated: dict[str, int] = msgspec.field(default_factory=dict)
    resyncs: int = 0
    quarantines: int = 0


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing of a stream, as a `Gap` told it.

    Attributes:
        of, symbol, interval, reason, first, last, count: those of the `Gap`.
        received_ns: when it was told.
    """

    of: str
    symbol: str | None
    interval: int | None
    reason: str
    first: int | None
    last: int | None
    count: int | None
    received_ns: int


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of a segment beside it.

    Attributes:
        format: see `FORMAT`.
        krakenwire: the version that made it.
        layout: what the states that belong to it name, too: they are of this very file.
        size: bytes of the segment; a file of another size is another one.
        text_bytes: bytes of its text.
        journal, segment, run, is_first, resumed: those of the segment's first line.
        n: number of the input before the first, and of the last.
        received_ns: UTC of the first and of the last input that had a time; 0 if none had.
        inputs, frames, blocks, events: how many.
        is_sealed: it was recompressed. A damaged one is not: what can be saved of it is not to be lost.
        is_exact: all of it was played as it was recorded.
        different: how often what came of playing it was not what was recorded.
        closed: how it was ended, as its last line says; None without such a line.
        places: where its zstd frames begin, in order.
        checkpoints: the states, in order.
        streams, books, gaps: what was told.
        completeness: how complete it is, by symbol and day.
        stalls: subscriptions found mute, by channel and symbol.
        lifecycle: how many events there were of each class but those of market data.
        holes: inputs that are missing: from, to, why.
        damage: where the file is damaged: offset, why.
    """

    format: int
    krakenwire: str
    layout: str
    size: int
    text_bytes: int
    journal: str
    segment: int
    run: int
    is_first: bool
    resumed: bool
    n: tuple[int, int]
    received_ns: tuple[int, int]
    inputs: int
    frames: int
    blocks: int
    events: int
    is_sealed: bool
    is_exact: bool
    different: int
    closed: str | None
    places: list[FrameAt]
    checkpoints: list[CheckpointAt]
    streams: list[Stream]
    books: list[Book]
    gaps: list[Missed]
    completeness: Completeness
    stalls: dict[str, int]
    lifecycle: dict[str, int]
    holes: list[tuple[int, int, str]]
    damage: list[tuple[int, str]]


_decoder = msgspec.json.Decoder(Index)


def read_index(segment: Segment) -> Index | None:
    """The index of a segment; None if there is none, or it is of another file, damaged, or of a later format.

    Raises:
        UsageError: the segment is not there any more, or cannot be read.
    """
    try:
        size = segment.path.stat().st_size
    except OSError as error:
        raise unreadable(segment.path, error) from None
    try:
        index = _decoder.decode(_path(segment).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return index if index.format == FORMAT and (index.size, index.segment) == (size, segment.number) else None


def write_index(segment: Segment, index: Index) -> None:
    """Put it beside its segment.

    Raises:
        UsageError: it cannot be written; says why.
    """
    write_whole(_path(segment), msgspec.json.encode(index) + b"\n")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at no moment there is a part of it under its name, as long as the power does not fail.

    What is written so is a cache, that proves itself or is made again: it need not wait for the medium.

    Raises:
        UsageError: it cannot be written; says why.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _path(segment: Segment) -> Path:
    return segment.path.with_name(index_name(segment.number))
