"""One segment while it is written: a file of zstd frames that at every moment ends where a block ends."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from krakenwire.clock import NS_PER_S
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.journal.format.compression import FRAME_BYTES, live_options
from krakenwire.journal.writing.disk import Disk

__all__ = ["SegmentFile"]

_LAST_BLOCK = b"\x01\x00\x00"
"""The header of an empty last block of a zstd frame (RFC 8878, 3.1.1.2); the checksum of the frame follows it."""


class SegmentFile:
    """Writes blocks. After an `OSError` the same call can be made again, and nothing was written by halves.

    Args:
        disk: where.
        path: of the new file.
        head: its first line, without a line feed.

    Raises:
        OSError: it cannot be made; then it is not there.

    Attributes:
        size: bytes of the file that are whole.
    """

    def __init__(self, disk: Disk, path: Path, head: bytes) -> None:
        self.path = path
        self.size = 0
        self._disk = disk
        self._file = disk.create(path)
        self._texts: list[bytes] = []
        """Of the zstd frame that is not ended yet."""
        self._frame_bytes = 0
        self._frame_began_ns = 0
        self._ends_frame = False
        self._pending = b""
        self._is_synced = False
        self._compressor = ZstdCompressor(options=live_options(None))
        try:
            self._put(self._compressor.compress(head + b"\n", ZstdCompressor.FLUSH_FRAME))
        except OSError:
            self._close()
            with suppress(OSError):
                path.unlink()
            raise

    def write(self, block: bytes, received_ns: int, *, is_last: bool = False) -> None:
        """A whole block, received at this UTC time; the last one ends the zstd frame."""
        if not self._pending:
            if not self._texts:
                self._frame_began_ns = received_ns
            self._texts.append(block)
            self._frame_bytes += len(block)
            self._ends_frame = is_last or self._frame_bytes >= FRAME_BYTES
            self._pending = self._compressor.compress(
                block, ZstdCompressor.FLUSH_FRAME if self._ends_frame else ZstdCompressor.FLUSH_BLOCK
            )
        self._put(self._pending)
        self._pending = b""
        if self._ends_frame:
            passed_ns = max(received_ns - self._frame_began_ns, 1)
            self._compressor = ZstdCompressor(options=live_options(self._frame_bytes * NS_PER_S / passed_ns))
            self._texts, self._frame_bytes = [], 0

    def sync(self) -> bool:
        """Put it on the medium; False if it was there already."""
        if self._is_synced:
            return False
        self._disk.sync(self._file)
        self._is_synced = True
        return True

    @property
    def is_gone(self) -> bool:
        """It was removed by somebody."""
        return self._disk.is_gone(self._file)

    def close(self) -> None:
        """Let go of it; a zstd frame that is not ended is, so that nothing is torn. Never raises."""
        with suppress(OSError):
            if self._pending:
                self._texts.pop()  # that block is not in the file
            if self._texts:
                checksum = ZstdCompressor(options=live_options(None)).compress(
                    b"".join(self._texts), ZstdCompressor.FLUSH_FRAME
                )[-4:]
                self._put(_LAST_BLOCK + checksum)
        self._close()

    def _put(self, data: bytes) -> None:
        try:
            self._disk.write(self._file, data, self.size)
        except OSError:
            with suppress(OSError):
                self._disk.cut(self._file, self.size)
            raise
        self.size += len(data)
        self._is_synced = False

    def _close(self) -> None:
        with suppress(OSError):
            self._disk.close(self._file)
