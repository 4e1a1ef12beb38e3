"""A journal as Parquet files, segment by segment; what is there already is not made again."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import Final, get_args

import msgspec

from krakenwire._version import __version__
from krakenwire.errors import UsageError
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.seeking import Place
from krakenwire.journal.tables.arrow import import_extra
from krakenwire.journal.tables.manifest import Done, Manifest, settle
from krakenwire.journal.tables.planning import Planning, Todo, overlap
from krakenwire.journal.tables.recorded import require
from krakenwire.journal.tables.schema import SOURCES, Channel
from krakenwire.journal.tables.sinks import Bbo, Books, Candles, Sink, Tickers, Trades
from krakenwire.journal.tables.spans import BookSpans, Gaps
from krakenwire.journal.tables.spool import Spool
from krakenwire.journal.tables.tape import OnProgress, Tape
from krakenwire.journal.tables.targets import Target, open_target

__all__ = ["CHANNELS", "SCALE", "Exported", "export_journal"]

CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
SCALE: Final = 12
"""Decimals of exported numbers. Kraken has prices of up to 10, quantities of 8 and costs of 12 (instrument channel,
2026); 26 digits are left before the point."""


class Exported(msgspec.Struct, kw_only=True):
    """What was done.

    Attributes:
        to: where to.
        journal: which.
        segments: numbers of those that were exported now.
        already: how many were there already.
        open: numbers of those left out as they are still written.
        files: written now.
        rows: written now, by channel.
        size: bytes written now.
    """

    to: str
    journal: str
    segments: list[int] = []
    already: int = 0
    open: list[int] = []
    files: int = 0
    rows: dict[Channel, int] = {}
    size: int = 0


def export_journal(
    directory: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    channels: Sequence[Channel] = CHANNELS,
    symbols: Collection[str] = (),
    start_ns: int | None = None,
    end_ns: int | None = None,
    depth: int = 10,
    every_ns: int | None = None,
    scale: int = SCALE,
    include_open: bool = False,
    on_progress: OnProgress | None = None,
) -> Exported:
    """Write Parquet files, `channel=…/symbol=…/date=…/part-….parquet`, of all that is not there yet.

    Each segment is made whole, then it counts: what is interrupted is made again, over files of the same names.

    Args:
        directory: the journal.
        to: a folder, or a URL that fsspec knows.
        channels: the tables.
        symbols: whose; all if there are none.
        start_ns: rows from the first input on that was received then, UTC.
        end_ns: up to the first that was received then.
        depth: levels a side of books.
        every_ns: a row of books at each multiple of that; None for one after each message.
        scale: decimals of all numbers.
        include_open: also what there is of a segment that is still written; it is made again when there is more.
        on_progress: called with the bytes of segments that are done, and of how many.

    Raises:
        NotRecorded: a symbol is not there in all that was to be exported; what is there of others was exported.
        UsageError: it is no journal, something cannot be read or written, or the target has files of another kind.
    """
    import_extra("pyarrow", "export", "'krakenwire[arrow]'")
    found = segments(directory)
    heads = {segment.number: _head(segment) for segment in found}
    journal = next((head.journal for head in heads.values() if head is not None), None)
    if journal is None:
        raise UsageError(f"{os.fspath(directory)}: no first line of a segment can be made out; see `journal repair`")
    target = open_target(to)
    settle(target, scale, (depth, every_ns) if "book" in channels else None)
    manifest = Manifest(target, journal)
    done = Exported(to=str(target), journal=journal)
    growing = found[-1].number if is_written(directory) else None
    planning = Planning(manifest, channels, tuple(sorted(set(symbols))) or None)
    for segment in found:
        if segment.number == growing and not include_open:
            done.open.append(segment.number)
            continue
        span = overlap(segment, heads[segment.number], start_ns, end_ns)
        if span is not None:
            size = segment.path.stat().st_size if segment.number == growing else None
            done.already += not planning.add(segment, span, size)
    exporting = _Exporting(directory, target, manifest, done, scale=scale, on_progress=on_progress)
    exporting.run(found, planning.todo, lambda: _sinks(channels, planning.symbols, depth, every_ns))
    if done.segments:
        _check(exporting.recorded, channels, symbols, depth, f"in what was exported of {os.fspath(directory)}")
    return done


class _Exporting:
    """One run of an export.

    Attributes:
        recorded: what there was: channel, symbol, and depth or interval.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        target: Target,
        manifest: Manifest,
        done: Exported,
        *,
        scale: int,
        on_progress: OnProgress | None,
    ) -> None:
        self.recorded: dict[tuple[str, str | None, int | None], None] = {}
        self._directory = directory
        self._target = target
        self._manifest = manifest
        self._done = done
        self._scale = scale
        self._on_progress = on_progress
        self._bytes = 0
        self._total = 0

    def run(self, found: Sequence[Segment], todo: dict[int, Todo], make: Callable[[], dict[Channel, Sink]]) -> None:
        """All segments that are to be made; of those that follow each other in one go."""
        self._total = sum(each.segment.path.stat().st_size for each in todo.values())
        group: list[Todo] = []
        before: Segment | None = None
        for segment in found:
            if segment.number in todo:
                if not group:
                    begin = before
                group.append(todo[segment.number])
            elif group:
                self._export(begin, group, make())
                group = []
            before = segment
        if group:
            self._export(begin, group, make())

    def _export(self, before: Segment | None, group: list[Todo], sinks: dict[Channel, Sink]) -> None:
        """Segments that follow each other.

        The one before them is played as well: how things stood at its end is the same then, whether it is exported
        together with them or was long ago.
        """
        tape = Tape(self._directory, list(sinks.values()))
        place = tape.place(segment=before or group[0].segment)
        trades = sinks.get("trade")
        if isinstance(trades, Trades):
            trades.known = dict(self._manifest.trades.get(place.segment.number - 1, {}))
        for segment in tape.found:
            if place.segment.number <= segment.number < group[0].segment.number:
                for _ in tape.play_segment(segment, place):
                    for sink in sinks.values():
                        sink.take()
                tape.end()
                for sink in sinks.values():
                    sink.take()
        for todo in group:
            if isinstance(trades, Trades):
                trades.know(self._manifest.trades.get(todo.segment.number - 1, {}))
            spool = Spool(self._scale)
            try:
                self._make(tape, place, todo, sinks, spool)
                files = self._write(todo, spool)
            finally:
                spool.close()
            self._record(todo, trades, files)
            self.recorded |= tape.recorded

    def _make(self, tape: Tape, place: Place, todo: Todo, sinks: dict[Channel, Sink], spool: Spool) -> None:
        """The rows of a segment."""
        for sink in sinks.values():
            sink.begin_segment()
        start_ns, end_ns = todo.span
        tape.is_before = start_ns is not None
        for offset in tape.play_segment(todo.segment, place, start_ns, end_ns):
            self._tell(offset)
            _move(todo, sinks, spool)
        tape.end(end_ns)
        _move(todo, sinks, spool)

    def _write(self, todo: Todo, spool: Spool) -> list[str]:
        """The files of a segment; their names."""
        files: list[str] = []
        name = f"part-{self._manifest.journal}-{todo.segment.number:08}.parquet"
        for partition in spool.partitions():
            metadata = {
                "krakenwire": __version__,
                "journal": self._manifest.journal,
                "segment": str(todo.segment.number),
                "channel": partition.channel,
                "symbol": partition.symbol or "",
            }
            files.append(f"{partition.folder}/{name}")
            with self._target.create(files[-1]) as file:
                spool.write(partition, file, metadata)
                self._done.size += file.tell()
            self._done.files += 1
        for channel, count in spool.counts.items():
            self._done.rows[channel] = self._done.rows.get(channel, 0) + count
        return files

    def _record(self, todo: Todo, trades: Sink | None, files: Sequence[str]) -> None:
        """From now on it counts."""
        manifest, number = self._manifest, todo.segment.number
        is_joined = number == 1 or number - 1 in manifest.trades
        parts = dict(manifest.segments.get(number, {}))
        for channel, symbols in todo.channels.items():
            is_whole = channel != "trade" or is_joined
            own = () if is_whole else tuple(name for name in files if name.startswith(f"channel={channel}/"))
            for name in parts[channel].files if channel in parts else ():
                if name not in files:
                    self._target.remove(name)
            parts[channel] = Done(symbols=symbols, span=todo.span, size=todo.size, is_joined=is_whole, files=own)
        manifest.segments[number] = parts
        if isinstance(trades, Trades) and "trade" in todo.channels:
            manifest.trades[number] = dict(trades.known)
            if todo.size is None:
                manifest.trades.pop(number - 1, None)
        manifest.save()
        self._done.segments.append(number)
        self._bytes += todo.segment.path.stat().st_size
        self._tell(0)

    def _tell(self, offset: int) -> None:
        if self._on_progress is not None:
            self._on_progress(self._bytes + offset, self._total)


def _sinks(
    channels: Sequence[Channel], symbols: Collection[str] | None, depth: int, every_ns: int | None
) -> dict[Channel, Sink]:
    made: dict[Channel, Callable[[], Sink]] = {
        "trade": lambda: Trades(symbols),
        "book": lambda: Books(symbols, depth, every_ns),
        "bbo": lambda: Bbo(symbols),
        "ticker": lambda: Tickers(symbols),
        "ohlc": lambda: Candles(symbols, None, updates=False),
        "gaps": lambda: Gaps(symbols),
        "book_state": lambda: BookSpans(symbols),
    }
    return {channel: made[channel]() for channel in channels}


def _move(todo: Todo, sinks: dict[Channel, Sink], spool: Spool) -> None:
    """Rows on their way; those that are there already are not wanted."""
    for channel, sink in sinks.items():
        rows = sink.take()
        if channel in todo.channels:
            symbols = todo.channels[channel]
            if symbols is not None:
                rows = [row for row in rows if row.symbol is None or row.symbol in symbols]
            spool.add(channel, rows)


def _check(
    recorded: Collection[tuple[str, str | None, int | None]],
    channels: Sequence[Channel],
    symbols: Collection[str],
    depth: int,
    where: str,
) -> None:
    """Refuse what is nowhere in what was looked at."""
    sources = list(dict.fromkeys(each for channel in channels for each in SOURCES.get(channel, (channel,))))
    if symbols and sources != ["gaps"]:
        require(recorded, [each for each in sources if each != "gaps"], symbols, None, where)
    books = {each[1]: each[2] or 0 for each in sorted(recorded, key=str) if each[0] == "book" and each[1] is not None}
    if "book" in channels and books and max(books.values()) < depth:
        require(recorded, ["book"], [name for name in books if name][:1], depth, where)


def _head(segment: Segment) -> Head | None:
    try:
        return read_head(segment.path)
    except Damaged:
        return None
