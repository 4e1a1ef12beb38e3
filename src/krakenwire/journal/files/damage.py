"""What is wrong with the bytes of a segment, told so that it can be read on behind it."""

from __future__ import annotations

from pathlib import Path

from krakenwire.errors import KrakenwireError

__all__ = ["Damaged", "Torn"]


class Damaged(KrakenwireError):
    """A part of a segment is not what was written: a bit was flipped, a piece is missing.

    What was given before it is proven, each block by its checksum.

    Attributes:
        path: the segment.
        offset: where the damaged zstd frame begins in the file.
        reason: what was expected and what came.
        blocks: how many blocks of that zstd frame were given before the damage.
        next_offset: where a whole zstd frame begins behind it, None if there is none.
    """

    def __init__(
        self, path: Path, offset: int, reason: str, *, blocks: int = 0, next_offset: int | None = None
    ) -> None:
        self.path = path
        self.offset = offset
        self.reason = reason
        self.blocks = blocks
        self.next_offset = next_offset
        super().__init__(f"{path} is damaged at byte {offset:,}: {reason}")


class Torn(Damaged):
    """A segment ends before its last zstd frame does: its writer was killed, or is writing yet."""
