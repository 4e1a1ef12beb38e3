"""Blocks of lines, in Python: what the compiled twin has to do, too.

A block is what is written, and proven, at once::

    block [n, received_ns, received_mono_ns, [[connection, epoch], …]]
    at a0*3 b51200-17 a8300+40*2 …
    the lines: inputs, actions, and what is to be said of the journal itself
    crc 1c291ca3

`n` is the number of the input before the first of the block; every input counts one more, other lines do not count.
The `at` line has an entry for each moment (a `Stamp`): the code of its place (connection and epoch: `a` for the first
in the list of the block, `z` for the 26th, `aa` after it), left out if it is that of the entry before; the nanoseconds
that passed on the monotonic clock since the moment before; by how much more (`+`) or less (`-`) UTC went on, if it did;
and `*` with how many timed inputs in a row have that moment, if it is not one. The first moment is counted from the
block's own times. `crc` is the CRC-32 of all bytes before that line, their line feeds included, in eight hexadecimal
digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple
from zlib import crc32

import msgspec

from krakenwire.errors import FrameError
from krakenwire.events import Stamp
from krakenwire.journal.format.lines import decode_frame, encode_frame

__all__ = ["Block", "BlockWriter", "Entry", "close_block", "read_block"]

_Kind = Literal["frame", "input", "action", "note"]
_BLOCK = msgspec.json.Decoder(tuple[int, int, int, list[tuple[str, int]]])
_KINDS: dict[int, _Kind] = {
    **dict.fromkeys(b"{[:;", "frame"),
    **dict.fromkeys(b"!=", "input"),
    **dict.fromkeys(b">", "action"),
}
_MOMENT = re.compile(rb"([a-z]*)(-?\d+)([+-]\d+)?(?:\*(\d+))?")


class Entry(NamedTuple):
    """One line of a block.

    Attributes:
        kind: what it is; `note` is a line about the journal itself.
        content: of a frame, itself; of anything else, the line.
        stamp: the moment of a timed input.
    """

    kind: _Kind
    content: bytes
    stamp: Stamp | None


class Block(NamedTuple):
    """One block, read.

    Attributes:
        n: the number of the input before the first.
        received_ns, received_mono_ns: its own times.
        entries: its lines, in order.
    """

    n: int
    received_ns: int
    received_mono_ns: int
    entries: Sequence[Entry]


class BlockWriter:
    """Puts lines into blocks. Nothing here waits, or fails for what comes in.

    Args:
        n: the number of the input before the first.

    Attributes:
        n: the number of the last input.
        size: bytes of lines in the block at hand.
    """

    def __init__(self, n: int = 0) -> None:
        self.n = n
        self.size = 0
        self._first_n = n
        self._first: Stamp | None = None
        self._last: Stamp | None = None
        self._times = (0, 0)
        self._repeats = 0
        self._moments: list[str] = []
        self._places: dict[tuple[str, int], str] = {}
        self._place: tuple[str, int] | None = None
        self._lines: list[bytes] = []

    def frame(self, frame: bytes, stamp: Stamp) -> None:
        """A frame was received."""
        self.line(encode_frame(frame), stamp)

    def line(self, line: bytes, stamp: Stamp | None, *, is_input: bool = True) -> None:
        """Any line, without its line feed; `stamp` is that of a timed input."""
        self.n += is_input
        if stamp is not None:
            if stamp is self._last and self._first is not None:
                self._repeats += 1
            else:
                self._moment(stamp)
        self._lines.append(line)
        self.size += len(line) + 1

    def take(self) -> bytes:
        """The block so far, up to its `crc` line (see `close_block`), and begin another; empty if there is nothing."""
        if not self._lines:
            return b""
        self._end_moment()
        at, mono = self._times if self._first is None else (self._first.received_ns, self._first.received_mono_ns)
        head = msgspec.json.encode([self._first_n, at, mono, list(self._places)])
        text = b"block %b\nat %b\n%b\n" % (head, " ".join(self._moments).encode(), b"\n".join(self._lines))
        if self._last is not None:
            self._times = self._last.received_ns, self._last.received_mono_ns
        self._first, self._first_n, self._repeats, self.size, self._place = None, self.n, 0, 0, None
        self._moments, self._places, self._lines = [], {}, []
        return text

    def _moment(self, stamp: Stamp) -> None:
        self._end_moment()
        before = self._last
        if self._first is None or before is None:
            self._first = before = stamp
        mono = stamp.received_mono_ns - before.received_mono_ns
        drift = stamp.received_ns - before.received_ns - mono
        place = stamp.connection, stamp.epoch
        code = ""
        if place != self._place:
            self._place = place
            code = self._places.setdefault(place, _code(len(self._places)))
        self._moments.append(f"{code}{mono}{drift:+}" if drift else f"{code}{mono}")
        self._last, self._repeats = stamp, 1

    def _end_moment(self) -> None:
        if self._repeats > 1:
            self._moments[-1] += f"*{self._repeats}"


def close_block(text: bytes) -> bytes:
    """A block, complete."""
    return b"%bcrc %08x\n" % (text, crc32(text))


def read_block(text: bytes) -> Block:
    """Read a complete block, from `block` to the end of its `crc` line.

    Raises:
        FrameError: it is damaged; says how.
    """
    end = text.rfind(b"crc ", 0, len(text))
    if end <= 0 or text[end - 1 : end] != b"\n" or len(text) != end + 13:
        raise FrameError("a block without its end", len(text))
    if text[end + 4 : end + 12] != b"%08x" % crc32(memoryview(text)[:end]):
        raise FrameError("the checksum of a block is wrong: it was damaged", end)
    head, at, *lines = text[: end - 1].split(b"\n")
    try:
        n, received_ns, mono_ns, places = msgspec.json.decode(
            head[6:], type=tuple[int, int, int, list[tuple[str, int]]]
        )
        stamps = _stamps(at[3:], received_ns, mono_ns, places)
        entries = []
        for line in lines:
            kind = _KINDS.get(line[0] if line else 0, "note")
            is_timed = kind == "frame" or (kind == "input" and line[:1] == b"!")
            content = decode_frame(line) if kind == "frame" else line
            entries.append(Entry(kind, content, stamps.pop() if is_timed else None))
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise FrameError(f"a block that is whole, but not one of a journal: {error}", 0) from None
    return Block(n, received_ns, mono_ns, entries)


def _stamps(at: bytes, received_ns: int, mono_ns: int, places: list[tuple[str, int]]) -> list[Stamp]:
    """The stamp of each timed input, the last first."""
    codes = {_code(number).encode(): place for number, place in enumerate(places)}
    stamps: list[Stamp] = []
    connection, epoch = "", 0
    for moment in at.split():
        match = _MOMENT.fullmatch(moment)
        if match is None:
            raise ValueError(f"no moment: {moment!r}")
        code, passed, drift, repeats = match.groups()
        if code:
            connection, epoch = codes[code] if code in codes else _unknown(code)
        mono_ns += int(passed)
        received_ns += int(passed) + int(drift or 0)
        stamps += [Stamp(connection, epoch, received_ns, mono_ns)] * int(repeats or 1)
    stamps.reverse()
    return stamps


def _unknown(code: bytes) -> tuple[str, int]:
    raise ValueError(f"no place has the code {code.decode()!r}")


def _code(number: int) -> str:
    code = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        code = chr(97 + letter) + code
    return code
