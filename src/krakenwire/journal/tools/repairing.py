"""Makes a damaged journal whole again: torn ends are cut, what was lost is told in its place as a gap.

What can be proven is kept. A segment is written anew beside the old one, put on the medium, and only then takes its
name, so that a repair that is itself killed leaves the journal as it was; done twice it changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from krakenwire.errors import FrameError, UsageError
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, index_name, segments
from krakenwire.journal.files.locking import is_written, locked
from krakenwire.journal.files.segments import BlockAt, read_head, read_segment
from krakenwire.journal.files.zstd import CompressionParameter, ZstdCompressor
from krakenwire.journal.format import Block, close_block, read_block
from krakenwire.journal.format.lines import Head, encode_head

__all__ = ["Repaired", "compressor", "repair", "sync_directory"]

_LEVEL = 3
_PARTIAL = ".repairing"
_PIECE = ".torn"
_PIECE_BYTES = 1024 * 1024


class Repaired(msgspec.Struct, kw_only=True):
    """What was done, or is to be done, to one segment.

    Attributes:
        file: its name.
        segment: its number.
        reasons: what is wrong with it.
        cut: bytes of the file that are damaged, from which blocks were saved as far as they can be proven.
        blocks: how many blocks those are.
        gaps: the inputs that are lost, as [first, last]; at the end of a run nobody knows how many, and there `last`
            is one less than `first`.
        pieces: names of the files that have what was cut.
        is_removed: nothing of it could be saved, and nothing stands before it: it is gone.
        is_left: its first line is lost, and no other segment tells of it: it is left as it is.
    """

    file: str
    segment: int
    reasons: list[str] = []
    cut: int = 0
    blocks: int = 0
    gaps: list[tuple[int, int]] = []
    pieces: list[str] = []
    is_removed: bool = False
    is_left: bool = False


def repair(
    directory: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    discard: bool = False,
    on_progress: Callable[[int], object] | None = None,
) -> list[Repaired]:
    """Repair a journal that nobody writes.

    Args:
        directory: the journal.
        dry_run: change nothing.
        discard: do not keep what was cut; it is kept as `….torn` beside the segment otherwise.
        on_progress: called with the bytes of files that were read so far.

    Returns:
        What was wrong, by segment; empty if nothing was.

    Raises:
        UsageError: it is no journal, cannot be read or written, or somebody writes it.
    """
    found = segments(directory)
    if dry_run and is_written(directory):
        raise UsageError(f"{os.fspath(directory)} is being written: what its end is shows when its recorder has ended")
    with nullcontext() if dry_run else locked(directory):
        repairer = _Repairer(dry_run=dry_run, discard=discard, on_progress=on_progress)
        for position, segment in enumerate(found):
            repairer.look_at(segment, found[position + 1 :])
        return repairer.done


class _Repairer:
    def __init__(self, *, dry_run: bool, discard: bool, on_progress: Callable[[int], object] | None) -> None:
        self.done: list[Repaired] = []
        self._dry_run = dry_run
        self._discard = discard
        self._on_progress = on_progress
        self._size = 0
        self._head: Head | None = None
        """Of the segment before."""
        self._end: Block | None = None
        """The last block of the run so far."""

    def look_at(self, segment: Segment, following: Sequence[Segment]) -> None:
        """Repair it if need be."""
        damages: dict[int, Damaged] = {}
        first = last = None
        for each in read_segment(segment.path):
            if isinstance(each, Damaged):
                damages.setdefault(each.offset, each)
            else:
                first, last = first or each, each
            if self._on_progress is not None:
                self._on_progress(self._size + each.offset)
        head, is_guessed = self._head_of(segment, _block(first), following)
        if damages or is_guessed:
            done = Repaired(file=segment.path.name, segment=segment.number)
            done.reasons = [str(damaged.reason) for damaged in damages.values()]
            self.done.append(done)
            if is_guessed:
                done.reasons.append("its first line cannot be proven: made anew of what its neighbours say")
            if head is not None and (not is_guessed or 0 in damages):
                rewriting = _Rewriting(segment, head, damages, done, dry_run=self._dry_run, discard=self._discard)
                rewriting.run(following, None if _is_anew(head) else self._end)
            elif head is None and first is None:
                self._remove(segment, done)
            else:
                done.is_left = True
                done.reasons.append("its first line cannot be made again: left as it is")
        self._size += segment.path.stat().st_size if not (self.done and self.done[-1].is_removed) else 0
        if head is not None:
            if _is_anew(head):
                self._end = None
            self._head = head
        self._end = _block(last) or self._end

    def _head_of(self, segment: Segment, first: Block | None, following: Sequence[Segment]) -> tuple[Head | None, bool]:
        """Its first line, and whether it had to be guessed: from a neighbour, or as it is read though it is damaged."""
        try:
            return read_head(segment.path), False
        except Damaged:
            pass
        before = self._head
        after = _first_head(following)
        n = None if first is None else first.n
        known = {"segment": segment.number, "received_ns": segment.started_ns, "resumed": False}
        if before is not None:
            before_n = before.n if self._end is None else self._end.last_n
            if n is None or n >= before_n:
                return msgspec.structs.replace(before, **known, is_first=False, n=before_n), True
            like = after if after is not None and after.run > before.run and not after.is_first else before
            return msgspec.structs.replace(like, **known, run=before.run + 1, is_first=True, n=0), True
        if n is None:
            return None, False
        if after is not None:
            return msgspec.structs.replace(after, **known, is_first=n == 0, n=n), True
        with suppress(Damaged):
            return read_head(segment.path, is_proven=False), True
        return None, False

    def _remove(self, segment: Segment, done: Repaired) -> None:
        """Nothing of it can be read, and nothing stands before it that it could go on with."""
        done.cut, done.is_removed = segment.path.stat().st_size, True
        if not self._discard and done.cut:
            done.pieces = [f"{segment.path.name}.0{_PIECE}"]
        if self._dry_run:
            return
        if done.pieces:
            segment.path.replace(segment.path.with_name(done.pieces[0]))
        else:
            segment.path.unlink()
        sync_directory(segment.path.parent)


class _Rewriting:
    """One segment, written anew: whole zstd frames as they are, of the others what can be proven.

    Args:
        segment: which.
        head: its first line.
        damages: what is wrong with it, by the offset of the zstd frame.
        done: is told what was done.
        dry_run, discard: as in `repair`.
    """

    def __init__(
        self, segment: Segment, head: Head, damages: dict[int, Damaged], done: Repaired, *, dry_run: bool, discard: bool
    ) -> None:
        self._path = segment.path
        self._number = segment.number
        self._head = head
        self._damages = damages
        self._done = done
        self._dry_run = dry_run
        self._discard = discard
        self._source: BinaryIO
        self._out: BinaryIO
        self._copied_to = 0
        self._cut_at = -1
        """Where the damaged zstd frame at hand is."""
        self._anew: ZstdCompressor | None = None
        """Makes the zstd frame that takes its place."""

    def run(self, following: Sequence[Segment], before: Block | None) -> None:
        """Do it; `before` is the last block of the segment before."""
        partial = Path(os.devnull) if self._dry_run else self._path.with_name(self._path.name + _PARTIAL)
        try:
            with open(self._path, "rb") as self._source, open(partial, "wb") as self._out:
                self._rewrite(following, before)
                if self._dry_run:
                    return
                self._out.flush()
                os.fsync(self._out.fileno())
            # Its offsets are no longer those of the file.
            self._path.with_name(index_name(self._number)).unlink(missing_ok=True)
            partial.replace(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            with suppress(OSError):
                if not self._dry_run:
                    partial.unlink(missing_ok=True)
            raise UsageError(f"cannot repair {self._path}: {error.strerror}") from None

    def _rewrite(self, following: Sequence[Segment], before: Block | None) -> None:
        last: bytes | None = None
        is_unsure = 0 in self._damages
        if is_unsure:
            self._cut(0)
            self._write(encode_head(self._head) + b"\n")
        for each in read_segment(self._path):
            is_bad = each.offset in self._damages
            if is_bad:
                self._cut(each.offset)
            if isinstance(each, Damaged):
                is_unsure = True
                continue
            if is_unsure:
                if (block := _block_of(each.text)) is not None:
                    self._tell_gap(_block_of(last) or before, block.n, block.received_ns)
                is_unsure = False
            if is_bad:
                self._write(each.text)
                self._done.blocks += 1
            else:
                self._end_anew()
            last = each.text
        if is_unsure:
            after = _first_head(following[:1])
            if after is not None and after.run == self._head.run:
                self._tell_gap(_block_of(last) or before, after.n, after.received_ns)
            elif not isinstance(self._damages[max(self._damages)], Torn):
                self._tell_open_gap(_block_of(last) or before)
        self._end_anew()
        _copy(self._source, self._out, self._copied_to, os.fstat(self._source.fileno()).st_size)

    def _cut(self, offset: int) -> None:
        """Copy what is before the damaged zstd frame at `offset`, and put that aside."""
        if offset == self._cut_at:
            return
        if offset > self._copied_to:
            self._end_anew()
            _copy(self._source, self._out, self._copied_to, offset)
        behind = self._damages[offset].next_offset
        if behind is None:
            behind = os.fstat(self._source.fileno()).st_size
        self._cut_at, self._copied_to = offset, behind
        self._done.cut += max(0, behind - offset)
        if self._discard or behind <= offset:
            return
        name = f"{self._path.name}.{offset}{_PIECE}"
        self._done.pieces.append(name)
        if not self._dry_run:
            with open(self._path.with_name(name), "wb") as piece:
                _copy(self._source, piece, offset, behind)
                piece.flush()
                os.fsync(piece.fileno())

    def _tell_gap(self, before: Block | None, n: int, received_ns: int) -> None:
        """Say what is lost up to the input `n`, if anything is."""
        first, since_ns, mono_ns = self._head.n, self._head.received_ns, 0
        if before is not None and before.last_n >= first:
            first, since_ns, mono_ns = before.last_n, before.received_ns, before.received_mono_ns
        if n <= first:
            return
        self._done.gaps.append((first + 1, n))
        self._write_gap(first + 1, n, "damaged in the file", (since_ns, received_ns), mono_ns)

    def _tell_open_gap(self, before: Block | None) -> None:
        """Say that something may be lost at the end of a run, where nothing behind it tells how much."""
        n, at, mono_ns = self._head.n, self._head.received_ns, 0
        if before is not None and before.last_n >= n:
            n, at, mono_ns = before.last_n, before.received_ns, before.received_mono_ns
        self._done.gaps.append((n + 1, n))
        self._write_gap(n + 1, n, "damaged in the file; how much is lost is not known", (at, at), mono_ns)

    def _write_gap(self, first: int, last: int, reason: str, times: tuple[int, int], mono_ns: int) -> None:
        gap = {"first": first, "last": last, "reason": reason, "received_ns": times}
        # By hand: it has a time, and no timed line that this could come from.
        head = msgspec.json.encode([last, times[1], mono_ns, []])
        self._write(close_block(b"block %b\nat \ngap %b\n" % (head, msgspec.json.encode(gap))))

    def _write(self, text: bytes) -> None:
        if self._anew is None:
            self._anew = compressor()
        self._out.write(self._anew.compress(text))

    def _end_anew(self) -> None:
        if self._anew is not None:
            self._out.write(self._anew.flush())
            self._anew = None


def compressor() -> ZstdCompressor:
    """As zstd frames are made that nobody waits for."""
    return ZstdCompressor(
        options={CompressionParameter.compression_level: _LEVEL, CompressionParameter.checksum_flag: 1}
    )


def sync_directory(directory: Path) -> None:
    """Put the names in it on the medium."""
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _first_head(found: Sequence[Segment]) -> Head | None:
    """The first of their first lines that can be read."""
    for segment in found:
        with suppress(Damaged):
            return read_head(segment.path)
    return None


def _is_anew(head: Head) -> bool:
    """Whether its inputs are counted from the beginning."""
    return head.is_first and not head.resumed


def _block(at: BlockAt | None) -> Block | None:
    return None if at is None else _block_of(at.text)


def _block_of(text: bytes | None) -> Block | None:
    """What it says, if it can be read: it is what was written, whatever that was."""
    if text is not None:
        with suppress(FrameError):
            return read_block(text)
    return None


def _copy(source: BinaryIO, out: BinaryIO, start: int, end: int) -> None:
    source.seek(start)
    while start < end and (piece := source.read(min(end - start, _PIECE_BYTES))):
        out.write(piece)
        start += len(piece)
