"""Recordings of others as a journal: frames only, to be played by a core that looks on.

The text of a frame is kept byte for byte. Each file is a run of its own, unless all are parts of one recording; its
last line says what came of its frames, so that playing the journal proves that it is the same.
"""

from __future__ import annotations

import gzip
import os
import platform
import secrets
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from krakenwire._version import __version__
from krakenwire.book import KERNEL
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import Stamp
from krakenwire.journal.files.locking import locked
from krakenwire.journal.files.newsegment import NewSegment, new_directory
from krakenwire.journal.files.zstd import ZstdError, ZstdFile
from krakenwire.journal.format import BlockWriter, close_block
from krakenwire.journal.format.lines import FORMAT, Head
from krakenwire.journal.frames import RecordedFrame, read_frames
from krakenwire.journal.playing.comparing import End
from krakenwire.journal.playing.making import core_of, made_of
from krakenwire.journal.tools.tardis import is_tardis, read_tardis
from krakenwire.protocol.core import MAIN
from krakenwire.protocol.options import Options
from krakenwire.protocol.report import EventLog, Report, make_report

__all__ = ["STDIN", "Imported", "import_frames"]

STDIN = "-"

_BLOCK_BYTES = 256 * 1024
_SEGMENT_BYTES = 256 * 1024 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PEEKED = 4096
_UNREADABLE = (OSError, EOFError, zlib.error, ZstdError)

OnProgress = Callable[[int], object]


class Imported(msgspec.Struct, kw_only=True):
    """What came of one file, or of all that were joined.

    Attributes:
        files: their names.
        run: its run in the journal.
        sent: frames that the client sent, which are left out.
        disconnects: how often the file says that its recorder's connection was lost.
        untimed: frames without a time of receipt.
        report: the figures, digests included, as `krakenwire replay` has them for the file.
    """

    files: list[str]
    run: int
    sent: int
    disconnects: int
    untimed: int
    report: Report


def import_frames(
    files: Sequence[str],
    directory: str | os.PathLike[str],
    *,
    is_joined: bool = False,
    segment_bytes: int = _SEGMENT_BYTES,
    on_progress: OnProgress | None = None,
) -> list[Imported]:
    """Make a journal of recorded frames.

    Args:
        files: recordings in any shape of `read_frames` or `read_tardis`, as they are or compressed by gzip or zstd; `-`
            is stdin.
        directory: of the journal; it must be empty, or not there yet.
        is_joined: the files are parts of one recording, in order.
        segment_bytes: a segment is ended when it has this size.
        on_progress: called with the bytes of files that were read so far.

    Raises:
        UsageError: a file cannot be read, or is no recording; or the directory cannot be written. Segments of files
            before that one are there.
    """
    target = new_directory(directory)
    importer = _Importer(target, segment_bytes, on_progress)
    with locked(target):
        runs = [list(files)] if is_joined else [[file] for file in files]
        return [importer.run(run, number) for number, run in enumerate(runs, 1)]


class _Importer:
    def __init__(self, directory: Path, segment_bytes: int, on_progress: OnProgress | None) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._on_progress = on_progress
        self._journal = secrets.token_hex(16)
        self._segments = 0
        self._read = 0
        """Bytes of the files before."""

    def run(self, files: list[str], number: int) -> Imported:
        """One recording."""
        counts: Counter[str] = Counter()
        lines = _Lines(self._frames(files, counts), [os.path.basename(file) for file in files])
        is_first = True
        while lines.has_more():
            self._segments += 1
            head = Head(
                format=FORMAT,
                journal=self._journal,
                segment=self._segments,
                run=number,
                is_first=is_first,
                resumed=False,
                n=lines.core.n,
                received_ns=lines.received_ns,
                made=made_of(Options(), passive=True),
                endpoints={},
                krakenwire=__version__,
                kernel=KERNEL,
                python=platform.python_version(),
            )
            with NewSegment(self._directory, head) as segment:
                while segment.size < self._segment_bytes and (block := lines.block()):
                    segment.write(block)
                if end := lines.end():
                    segment.write(end)
            is_first = False
        if is_first:
            raise UsageError(f"{', '.join(files)} is empty: there is no received frame in it")
        return Imported(
            files=files,
            run=number,
            sent=counts["sent"],
            disconnects=counts["disconnects"],
            untimed=counts["untimed"],
            report=make_report(lines.core, lines.log, 0),
        )

    def _frames(self, files: list[str], counts: Counter[str]) -> Iterator[RecordedFrame]:
        for file in files:
            with _opened(file) as (content, raw):
                for each in _read(content, file):
                    if each is None:
                        counts["disconnects"] += 1
                    elif each.sent:
                        counts["sent"] += 1
                    else:
                        counts["untimed"] += each.received_ns is None
                        yield each
                    if self._on_progress is not None and raw is not None:
                        self._on_progress(self._read + raw.tell())
                self._read += 0 if raw is None else raw.tell()


class _Lines:
    """Frames put into blocks, and played along.

    Attributes:
        core: as of the last frame.
        log: its events.
        received_ns: of the next frame; the last one if there is none.
    """

    def __init__(self, frames: Iterator[RecordedFrame], names: list[str]) -> None:
        self.core = core_of(made_of(Options(), passive=True))
        self.log = EventLog()
        self.received_ns = 0
        self._frames = frames
        self._writer = BlockWriter()
        self._writer.line(b"imported " + msgspec.json.encode({"files": names}), None, is_input=False)
        self._next = next(frames, None)
        self._is_ended = False
        self._stamp = Stamp(MAIN, 0, 0, 0)
        self._look()

    def has_more(self) -> bool:
        """There is something to write yet."""
        return self._next is not None

    def block(self) -> bytes:
        """The next block; empty if there is none."""
        writer, core, events = self._writer, self.core, self.core.events
        while self._next is not None and writer.size < _BLOCK_BYTES:
            writer.frame(self._next.frame, self._stamp)
            core.receive_frame(self._next.frame, self._stamp)
            self.log.add(events)
            events.clear()
            self._next = next(self._frames, None)
            self._look()
        return close_block(text) if (text := writer.take()) else b""

    def end(self) -> bytes:
        """The block with the last line of a segment."""
        core, log = self.core, self.log
        state_digest = None if self.has_more() else make_report(core, log, 0).state_digest
        end = End(
            n=core.n,
            frames=core.frames,
            events=log.count,
            event_digest=log.hexdigest(),
            state_digest=state_digest,
            closed="rotated" if self.has_more() else "imported",
        )
        self._writer.line(b"end " + msgspec.json.encode(end), None, is_input=False)
        return close_block(self._writer.take())

    def _look(self) -> None:
        """What the stamp of the next frame is; one object for all of the same moment."""
        if self._next is not None:
            received_ns = self._next.received_ns or 0
            if received_ns != self._stamp.received_ns:
                self._stamp = Stamp(MAIN, 0, received_ns, received_ns)
            self.received_ns = received_ns


@contextmanager
def _opened(file: str) -> Iterator[tuple[BufferedReader[Any], IO[bytes] | None]]:
    """Its content, decompressed, and what tells how much of it was read."""
    if file == STDIN:
        with _decompressed(cast("BufferedReader", sys.stdin.buffer)) as content:
            yield content, None
        return
    try:
        raw = open(file, "rb")  # noqa: SIM115  # closed below; only a failure to open is caught here
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    with raw, _decompressed(raw) as content:
        yield content, raw


@contextmanager
def _decompressed(raw: BufferedReader[Any]) -> Iterator[BufferedReader[Any]]:
    begin = raw.peek(_PEEKED)
    if begin.startswith(_GZIP):
        with gzip.GzipFile(fileobj=raw) as unzipped, BufferedReader(cast("RawIOBase", unzipped)) as content:
            yield content
    elif begin.startswith(_ZSTD):
        with ZstdFile(raw) as unpacked, BufferedReader(cast("RawIOBase", unpacked)) as content:
            yield content
    else:
        yield raw


def _read(content: BufferedReader[Any], file: str) -> Iterator[RecordedFrame | None]:
    try:
        begin = content.peek(_PEEKED)
        if b"\0" in begin[:_PEEKED]:
            raise UsageError(f"{file} is binary; expected text, one frame a line")
        yield from read_tardis(content) if is_tardis(begin) else read_frames(content)
    except FrameError as error:
        raise UsageError(f"{file} is no recording: {error}") from None
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"cannot read {file}: {reason}") from None
