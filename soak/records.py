"""What both sides write down, in a compact binary form: books that were, books that were served, trades."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import NamedTuple, Protocol, Self

__all__ = ["BookFile", "Pages", "Served", "Shelf", "Traded", "Truth", "read_served", "read_traded", "read_true"]


class Truth(NamedTuple):
    """A book of the exchange's from `exchange_ns` on, until the next record of its symbol."""

    exchange_ns: int
    digest: bytes


class Served(NamedTuple):
    """A book that a client gave out as proven.

    Attributes:
        exchange_ns: the time that the message bore; 0 if none.
        received_ns: UTC of receipt.
        digest: of the top ten.
        is_snapshot: it came with a snapshot, whose time is that of the last change below its depth too.
        frame: CRC-32 of the message that it came with.
    """

    exchange_ns: int
    received_ns: int
    digest: bytes
    is_snapshot: bool
    frame: int


class Traded(NamedTuple):
    """A trade: its number, and a digest of all it says."""

    trade_id: int
    digest: bytes


_TRUE = Struct("<q8s")
_SERVED = Struct("<qq8s?I")
_TRADED = Struct("<q8s")


class BookFile(Protocol):
    """Where packed records go."""

    def write(self, data: bytes, /) -> object:
        """Append."""


class Pages:
    """Records kept in memory; the twin of a file."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        """Append."""
        self.data += data


class Shelf:
    """Files of records in one directory, or pages in memory: one for each name, made when it is first written to.

    Args:
        directory: where the files are; None keeps everything in memory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._files: dict[str, BookFile] = {}
        self._open: list[object] = []
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def file(self, name: str) -> BookFile:
        """What is to be written to under that name."""
        found = self._files.get(name)
        if found is None:
            found = Pages() if self._directory is None else (self._directory / name).open("ab", buffering=1 << 16)
            self._files[name] = found
        return found

    def true(self, symbol: str, exchange_ns: int, digest: bytes) -> None:
        """A book of the exchange's."""
        self.file(name_of("true", symbol)).write(_TRUE.pack(exchange_ns, digest))

    def served(self, connection: str, symbol: str, depth: int, book: Served) -> None:
        """A book that was given out as proven."""
        self.file(name_of("served", symbol, connection, str(depth))).write(_SERVED.pack(*book))

    def traded(self, whose: str, symbol: str, trade_id: int, digest: bytes) -> None:
        """A trade, as `whose` saw it."""
        self.file(name_of(whose, symbol)).write(_TRADED.pack(trade_id, digest))

    def close(self) -> None:
        """Write everything out."""
        for each in self._files.values():
            if not isinstance(each, Pages):
                each.close()  # type: ignore[attr-defined]  # a file; what is written to needs no close

    # --- reading ----------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Of all that was written."""
        if self._directory is None:
            return sorted(self._files)
        return sorted(each.name for each in self._directory.iterdir())

    def data(self, name: str) -> bytes:
        """All that was written under that name; empty if nothing was."""
        if self._directory is None:
            page = self._files.get(name)
            return bytes(page.data) if isinstance(page, Pages) else b""
        path = self._directory / name
        return path.read_bytes() if path.exists() else b""


def name_of(what: str, symbol: str, *more: str) -> str:
    """The name of a file of records."""
    return "=".join((what, symbol.replace("/", "_"), *more))


def _whole(data: bytes, size: int) -> memoryview:
    """Without what a process that was killed has left half written."""
    return memoryview(data)[: len(data) // size * size]


def read_true(data: bytes) -> list[Truth]:
    """The books of one symbol, in order."""
    return list(map(Truth._make, _TRUE.iter_unpack(_whole(data, _TRUE.size))))


def read_served(data: bytes) -> Iterator[Served]:
    """What was given out of one symbol on one connection, in order."""
    return map(Served._make, _SERVED.iter_unpack(_whole(data, _SERVED.size)))


def read_traded(data: bytes) -> list[Traded]:
    """The trades of one symbol, in order."""
    return list(map(Traded._make, _TRADED.iter_unpack(_whole(data, _TRADED.size))))
