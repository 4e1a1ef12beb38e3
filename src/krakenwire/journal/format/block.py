"""A block of lines as it is read: what both twins give."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from krakenwire.errors import FrameError
from krakenwire.events import Stamp

__all__ = [
    "BAD_CHECKSUM",
    "BAD_LINE",
    "FEW_MOMENTS",
    "MANY_MOMENTS",
    "NO_AT",
    "NO_BLOCK",
    "NO_END",
    "NO_MOMENT",
    "NO_PLACE",
    "TOO_LARGE",
    "Block",
    "BlockHead",
    "Entry",
    "Kind",
    "Run",
    "decode_block_head",
]

Kind = Literal["frame", "input", "action", "note"]

NO_END: Final = "a block without its end"
BAD_CHECKSUM: Final = "the checksum of a block is wrong: it was damaged"
NO_BLOCK: Final = "a block's first line should begin with 'block '"
NO_AT: Final = "a block's second line should begin with 'at '"
NO_MOMENT: Final = "not a moment"
NO_PLACE: Final = "a moment at a place that the block does not name"
TOO_LARGE: Final = "a time beyond 64 bits"
FEW_MOMENTS: Final = "a timed line without its moment"
MANY_MOMENTS: Final = "more moments than timed lines"
BAD_LINE: Final = "a line that begins with nothing known"


class Entry(NamedTuple):
    """One line of a block.

    Attributes:
        kind: what it is; `note` is a line about the journal itself.
        content: of a frame, itself; of anything else, the line.
        stamp: the moment of a timed input; one object for all that have the same.
    """

    kind: Kind
    content: bytes
    stamp: Stamp | None


class Run(NamedTuple):
    """Frames of one connection with nothing between them.

    Attributes:
        connection: which.
        frames: in order.
        stamps: the moment of each; one object for all that have the same.
    """

    connection: str
    frames: list[bytes]
    stamps: list[Stamp]


class Block(NamedTuple):
    """One block, read.

    Attributes:
        n: the number of the input before the first.
        received_ns, received_mono_ns: its own times.
        last_n: the number of its last input; the next block's `n`, if nothing is missing between them.
        runs: its lines, in order; frames as runs, anything else as it is.
    """

    n: int
    received_ns: int
    received_mono_ns: int
    last_n: int
    runs: list[Run | Entry]

    @property
    def entries(self) -> list[Entry]:
        """Its lines one by one; made anew whenever it is asked for."""
        entries = []
        for item in self.runs:
            if isinstance(item, Run):
                entries += [Entry("frame", *pair) for pair in zip(item.frames, item.stamps, strict=True)]
            else:
                entries.append(item)
        return entries


_Number = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    connection: str
    epoch: _Number


class BlockHead(msgspec.Struct, frozen=True, array_like=True):
    """The first line of a block; what stands behind these four is for later versions."""

    n: _Count
    received_ns: _Number
    received_mono_ns: _Number
    places: list[_Place]


_decode = msgspec.json.Decoder(BlockHead).decode


def decode_block_head(text: bytes) -> BlockHead:
    """What stands behind `block `.

    Raises:
        FrameError: it is not what it should be.
    """
    try:
        return _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # the latter two: no UTF-8, too deep
        raise FrameError(f"the first line of a block: {error}", 6) from None
