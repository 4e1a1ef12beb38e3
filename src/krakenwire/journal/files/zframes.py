"""The zstd frames of a file, one after another, in pieces that each decode on their own (RFC 8878, section 3.1.1).

A frame is walked header by header and given to the decompressor one zstd block at a time: what was flushed before a
torn end or a flipped bit comes out, where a larger piece would be lost with the error. By the format a zstd block
holds at most 128 KiB, so no file, however hostile, makes more than that of one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from krakenwire.journal.files.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

__all__ = ["MAGIC", "FrameBroken", "FrameCut", "ZstdFrame", "find_frame", "frame_offsets"]

MAGIC: Final = b"\x28\xb5\x2f\xfd"

_LARGEST_BLOCK = 128 * 1024
_OPTIONS: dict[int, int] = {DecompressionParameter.window_log_max: 27}
"""128 MiB at most for the window, which is what `zstd` itself takes without being asked."""
_SEARCHED = 1024 * 1024


class FrameBroken(Exception):
    """It is no zstd frame, or not what was written."""


class FrameCut(FrameBroken):
    """The file ends before the frame does."""


class ZstdFrame:
    """One zstd frame of a file.

    Args:
        file: is read from `offset` on.
        offset: where the frame begins.

    Attributes:
        has_checksum: all of it is proven once it was read to its end.
    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self.has_checksum = False
        self._file = file
        self._offset = offset

    def texts(self) -> Iterator[bytes]:
        """What is in it, in pieces of at most 128 KiB; the file stands at its end afterwards.

        Raises:
            FrameCut: the file ended before the frame.
            FrameBroken: it is damaged; says how.
        """
        self._file.seek(self._offset)
        decompress = ZstdDecompressor(options=_OPTIONS).decompress
        try:
            for piece in self._pieces():
                if text := decompress(piece):
                    yield text
        except ZstdError as error:
            raise FrameBroken(str(error)) from None

    def skip(self) -> None:
        """Go to its end, and prove nothing.

        Raises:
            FrameCut, FrameBroken: see `texts`.
        """
        self._file.seek(self._offset)
        for _ in self._pieces():
            pass

    def _pieces(self) -> Iterator[bytes]:
        header = self._header()
        is_last = False
        while not is_last:
            block = self._read(3)
            figures = int.from_bytes(block, "little")
            is_last, kind, size = bool(figures & 1), figures >> 1 & 3, figures >> 3
            if kind == 3 or size > _LARGEST_BLOCK:
                raise FrameBroken("a zstd block with a header that there is not")
            block += self._read(1 if kind == 1 else size)
            if is_last and self.has_checksum:
                yield header + block
                header, block = b"", self._read(4)
            yield header + block
            header = b""

    def _header(self) -> bytes:
        magic = self._file.read(4)
        if magic != MAGIC:
            if MAGIC.startswith(magic):
                raise FrameCut("the file ends where a zstd frame should begin")
            if not any(magic):
                raise FrameCut("there are zeros where a zstd frame should begin, as after a power cut")
            raise FrameBroken(f"expected the beginning of a zstd frame ({MAGIC.hex()}), found {magic.hex()}")
        (descriptor,) = self._read(1)
        is_single, self.has_checksum = bool(descriptor & 32), bool(descriptor & 4)
        if descriptor & 8:
            raise FrameBroken("a zstd frame with a header that there is not")
        if descriptor & 3:
            raise FrameBroken("a zstd frame that needs a dictionary; a journal has none")
        size = (int(is_single), 2, 4, 8)[descriptor >> 6]
        return MAGIC + bytes((descriptor,)) + self._read(size if is_single else size + 1)

    def _read(self, size: int) -> bytes:
        piece = self._file.read(size)
        if len(piece) < size:
            raise FrameCut("the file ends before its last zstd frame does")
        return piece


def frame_offsets(file: BinaryIO) -> Iterator[int]:
    """Where each zstd frame begins, by their headers alone; ends where the file does, or is not what it should be."""
    offset = 0
    while True:
        frame = ZstdFrame(file, offset)
        try:
            frame.skip()
        except FrameCut:
            if file.seek(offset) == offset and file.read(1):
                yield offset
            return
        except FrameBroken:
            return
        yield offset
        offset = file.tell()


def find_frame(file: BinaryIO, start: int, begins: tuple[bytes, ...]) -> int | None:
    """Where the first zstd frame from `start` on is whose text begins with one of `begins`; None if there is none."""
    while True:
        file.seek(start)
        piece = file.read(_SEARCHED)
        at = piece.find(MAGIC)
        if at < 0:
            if len(piece) < _SEARCHED:
                return None
            start += len(piece) - len(MAGIC) + 1
            continue
        try:
            if next(ZstdFrame(file, start + at).texts(), b"").startswith(begins):
                return start + at
        except FrameBroken:
            pass
        start += at + 1
