"""What one process writes and another reads: lines of JSON, one thing each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

__all__ = ["Lines", "read_lines"]

T = TypeVar("T", bound=msgspec.Struct)


class Lines:
    """A file that things are appended to.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab")

    def write(self, thing: object) -> None:
        """Append one thing."""
        self._file.write(msgspec.json.encode(thing) + b"\n")

    def flush(self) -> None:
        """Let others see it."""
        self._file.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def read_lines(path: Path, kind: type[T] | Any) -> Iterator[Any]:
    """The things in a file, each as `kind`; a last line that was not finished is left out."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=kind)
