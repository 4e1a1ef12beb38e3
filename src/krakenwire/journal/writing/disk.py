"""The few things that a recorder asks of the file system, in one place, so that a test can be a bad disk."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """Files by their descriptors. Everything raises `OSError` as the system does."""

    def create(self, path: Path) -> int:
        """A new file to write to."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, file: int, data: bytes, offset: int) -> None:
        """All of `data`, at `offset`; after an error any part of it may be there."""
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, offset)
            view, offset = view[written:], offset + written

    def cut(self, file: int, size: int) -> None:
        """Let the file end at `size`."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Return when everything written is on the medium."""
        os.fsync(file)

    def sync_directory(self, path: Path) -> None:
        """The same for the names in a directory."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def is_gone(self, file: int) -> bool:
        """Whether the file was removed: what is written to it then is in no directory."""
        return os.fstat(file).st_nlink == 0

    def close(self, file: int) -> None:
        """Let go of it."""
        os.close(file)
