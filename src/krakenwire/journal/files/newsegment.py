"""A segment made at leisure, out of what is there already: a whole file or none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import LOCK, segment_name
from krakenwire.journal.files.zstd import CompressionParameter, ZstdCompressor
from krakenwire.journal.format.lines import Head, encode_head
from krakenwire.journal.tools.repairing import sync_directory

__all__ = ["NewSegment", "new_directory"]

_LEVEL = 6
_FRAME_BYTES = 4 * 1024 * 1024
"""Text in one zstd frame, or a little more: what has to be read to find one block."""


class NewSegment:
    """Takes blocks for the time of a `with`; at its end the segment is on the medium, and has its name.

    Args:
        directory: where.
        head: its first line.

    Raises:
        UsageError: it cannot be written; says why. Nothing of it is there then.

    Attributes:
        size: bytes of the file so far.
    """

    def __init__(self, directory: Path, head: Head) -> None:
        self.size = 0
        self._path = directory / segment_name(head.segment, head.received_ns)
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._held = 0
        self._compressor = ZstdCompressor(
            options={CompressionParameter.compression_level: _LEVEL, CompressionParameter.checksum_flag: 1}
        )
        try:
            self._file = open(self._partial, "wb")  # noqa: SIM115  # closed at the end of the `with`
        except OSError as error:
            raise self._failed(error) from None
        self._put(encode_head(head) + b"\n", is_end=True)

    def write(self, block: bytes) -> None:
        """A whole block, its `crc` line included."""
        self._held += len(block)
        self._put(block, is_end=self._held >= _FRAME_BYTES)

    def _put(self, text: bytes, *, is_end: bool) -> None:
        data = self._compressor.compress(text)
        if is_end:
            data += self._compressor.flush()
            self._held = 0
        self.size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc_type is not None:
            with suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)
            return
        try:
            with self._file:
                if self._held:
                    self._put(b"", is_end=True)
                self._file.flush()
                os.fsync(self._file.fileno())
            self._partial.replace(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            self._partial.unlink(missing_ok=True)
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> UsageError:
        return UsageError(f"cannot write {self._path}: {error.strerror}")


def new_directory(path: str | os.PathLike[str]) -> Path:
    """A directory for a journal of its own: made, or there and empty.

    Raises:
        UsageError: there is something in it, or it cannot be made.
    """
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(path.name != LOCK for path in directory.iterdir()):
            raise UsageError(f"{directory} is not empty: give a directory that is, or is not there yet")
    except FileExistsError:
        raise UsageError(f"{directory} is a file; a journal is a directory") from None
    except OSError as error:
        raise UsageError(f"cannot write in {directory}: {error.strerror}") from None
    return directory
