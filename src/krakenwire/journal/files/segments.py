"""The blocks of a segment, one after another, and what is damaged between them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from krakenwire.errors import FrameError, UsageError
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import unreadable
from krakenwire.journal.files.zframes import MAGIC, FrameBroken, FrameCut, ZstdFrame, find_frame
from krakenwire.journal.format.lines import FORMAT, Head, decode_head

__all__ = ["MAX_BLOCK", "BlockAt", "Damaged", "Torn", "read_blocks", "read_first_line", "read_head", "read_segment"]

MAX_BLOCK: Final = 64 * 1024 * 1024
"""Bytes of one block at most; more is damage, or was made to fill our memory."""

_HELD_BACK = 8 * 1024 * 1024
"""Bytes of a zstd frame that may wait for its checksum; beyond that each block is proven by its own."""
_END = b"\ncrc "
_END_SIZE = len(_END) + 9
_HEAD = b"journal "
_BEGINS = (b"block ", _HEAD)
_BUFFER = 256 * 1024


class BlockAt(NamedTuple):
    """A whole block, and where it is.

    Attributes:
        offset: of its zstd frame in the file.
        text: all of it, its `crc` line included; it is what was written.
    """

    offset: int
    text: bytes


class _Format(msgspec.Struct):
    format: int


def read_head(path: Path, *, is_proven: bool = True) -> Head:
    """What the first line of a segment says.

    Args:
        path: the segment.
        is_proven: take it only if the zstd frame that it is in is whole, or torn behind it.

    Raises:
        Damaged: it cannot be made out; says why. `Torn` where the file ends before that.
        UsageError: the file cannot be read, or is of a later format.
    """
    try:
        return _head(read_first_line(path, is_proven=is_proven), path)
    except FrameError as error:
        raise Damaged(path, 0, str(error)) from None


def read_first_line(path: Path, *, is_proven: bool = True) -> bytes:
    """The first line of a segment as it is, without its line feed; see `read_head`."""
    begin = bytearray()
    with _opened(path) as file:
        try:
            for text in ZstdFrame(file, 0).texts():  # to its end, which proves it, if that is not too far away
                begin += text
                if len(begin) > _HELD_BACK:
                    break
        except FrameCut as cut:
            if b"\n" not in begin:
                raise Torn(path, 0, str(cut)) from None
        except FrameBroken as error:
            if is_proven or b"\n" not in begin:
                raise Damaged(path, 0, str(error), next_offset=find_frame(file, 1, _BEGINS)) from None
    return bytes(begin.partition(b"\n")[0])


def read_blocks(path: Path, offset: int = 0) -> Iterator[BlockAt]:
    """The blocks of a segment, in order, up to its end or the first damage.

    Memory is bounded, however large the file is. A segment may be read while it is written: it ends as a torn one.

    Args:
        path: the segment.
        offset: where a zstd frame begins in it.

    Raises:
        Damaged: here is the first damage; `read_segment` goes on behind it. `Torn` at the end of the file.
        UsageError: the file cannot be read.
    """
    for found in read_segment(path, offset):
        if isinstance(found, Damaged):
            raise found
        yield found


def read_segment(path: Path, offset: int = 0) -> Iterator[BlockAt | Damaged]:
    """As `read_blocks`, but goes on behind damage, which is given in its place; `Torn` comes last if at all.

    Raises:
        UsageError: the file cannot be read.
    """
    with _opened(path) as file:
        at: int | None = offset
        before = offset
        while at is not None:
            file.seek(at)
            if at and not file.peek(1):
                return
            before, at = at, (yield from _Frame(path, file, at, before).read())


class _Frame:
    """One zstd frame of a segment.

    All of it is taken on its own checksum where it has one, which costs next to nothing; the checksums of its blocks
    are looked at only where that one is missing, wrong, or too far away.

    Args:
        path, file: the segment.
        offset: where the frame begins.
        before: where the one before began: its length may be what is damaged, so that the next is searched from there.
    """

    def __init__(self, path: Path, file: BufferedReader[FileIO], offset: int, before: int) -> None:
        self._path = path
        self._file = file
        self._offset = offset
        self._before = before
        self._given = 0
        self._is_told = False

    def read(self) -> Generator[BlockAt | Damaged, None, int | None]:
        """Its blocks and what is damaged; returns where the next frame is, None if there is none."""
        frame = ZstdFrame(self._file, self._offset)
        held: list[bytes] = []
        held_size = 0
        try:
            for block in self._split(frame.texts()):
                held.append(block)
                held_size += len(block)
                if not frame.has_checksum or held_size > _HELD_BACK:
                    blocks, held = held, []
                    yield from self._proven(blocks)
        except FrameBroken as error:
            broken = error
        else:
            for block in held:
                yield BlockAt(self._offset, block)
            return self._file.tell()
        yield from self._proven(held)
        next_offset = self._next_offset()
        if not self._is_told or isinstance(broken, FrameCut):
            is_end = isinstance(broken, FrameCut) and next_offset is None
            yield self._damaged(str(broken), next_offset, Torn if is_end else Damaged)
        return next_offset

    def _split(self, texts: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks of a frame; nothing of them is proven here."""
        text = bytearray()
        searched = 0
        is_head, is_journal = self._offset == 0, True
        for piece in texts:
            text += piece
            start = 0
            if is_head and (start := text.find(b"\n") + 1):
                is_journal, is_head = text.startswith(_HEAD), False
            searched = max(searched, start)
            while 0 <= (end := text.find(_END, searched)) <= len(text) - _END_SIZE:
                searched = end + _END_SIZE
                with memoryview(text) as view:
                    block = bytes(view[start:searched])
                yield block
                start = searched
            del text[:start]
            searched = max(0, len(text) - _END_SIZE)
            if len(text) > MAX_BLOCK:
                raise FrameBroken(f"a block of more than {MAX_BLOCK // 1024**2} MiB")
        if not is_journal:
            raise FrameBroken("the first line is not that of a segment")
        if text:
            raise FrameBroken("a zstd frame ends within a block")

    def _proven(self, blocks: list[bytes]) -> Iterator[BlockAt | Damaged]:
        """Those of `blocks` that are what their checksums say, and what lies between them."""
        for block in blocks:
            whole = block
            if not _is_whole(block):
                yield self._damaged("the checksum of a block is wrong", self._next_offset())
                # Where it is the end of a block that was damaged, the next one was taken for a part of it.
                whole = block[block.rfind(b"\n" + _BEGINS[0]) + 1 :]
                if len(whole) == len(block) or not _is_whole(whole):
                    continue
            self._given += 1
            yield BlockAt(self._offset, whole)

    def _damaged(self, reason: str, next_offset: int | None, kind: type[Damaged] = Damaged) -> Damaged:
        self._is_told = True
        return kind(self._path, self._offset, reason, blocks=self._given, next_offset=next_offset)

    def _next_offset(self) -> int | None:
        here = self._file.tell()
        try:
            self._file.seek(self._offset)
            begins_here = self._file.read(len(MAGIC)) == MAGIC
            return find_frame(self._file, (self._offset if begins_here else self._before) + 1, _BEGINS)
        finally:
            self._file.seek(here)


def _is_whole(block: bytes) -> bool:
    end = len(block) - _END_SIZE + 1
    return block.startswith(_BEGINS[0]) and block[end:] == b"crc %08x\n" % crc32(memoryview(block)[:end])


def _head(line: bytes, path: Path) -> Head:
    if line.startswith(_HEAD):
        try:
            form = msgspec.json.decode(line[len(_HEAD) :], type=_Format).format
        except msgspec.MsgspecError:
            pass  # what is wrong with it is said below
        else:
            if form > FORMAT:
                raise UsageError(
                    f"{path} is of format {form}, and this version reads up to {FORMAT}: update krakenwire"
                )
    return decode_head(line)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader[FileIO]]:
    try:
        file = BufferedReader(FileIO(path), _BUFFER)
    except OSError as error:
        raise unreadable(path, error) from None
    with file:
        try:
            yield file
        except OSError as error:
            raise unreadable(path, error) from None
