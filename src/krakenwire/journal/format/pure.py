"""Blocks of lines, in Python: the specification of the compiled twin.

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
from collections.abc import Iterator
from zlib import crc32

import msgspec

from krakenwire.errors import FrameError
from krakenwire.events import Stamp
from krakenwire.journal.format import block as said
from krakenwire.journal.format.block import Block, BlockHead, Entry, Kind, Run, decode_block_head
from krakenwire.journal.format.lines import decode_frame, encode_frame

__all__ = ["Block", "BlockWriter", "Entry", "Run", "close_block", "read_block"]

_KINDS: dict[int, Kind] = {
    **dict.fromkeys(b"{[:;", "frame"),
    **dict.fromkeys(b"!=", "input"),
    **dict.fromkeys(b">", "action"),
    **dict.fromkeys(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "note"),
}
_MOMENT = re.compile(rb"([a-z]*)(-?[0-9]{1,20})([+-][0-9]{1,20})?(?:\*([1-9][0-9]{0,17}))?")
_END = len(b"crc 00000000\n")


class BlockWriter:
    """Puts lines into blocks. Nothing here waits, or fails for what comes in.

    Args:
        n: the number of the input before the first.

    Attributes:
        n: the number of the last input.
        size: bytes of lines in the block at hand.
    """

    def __init__(self, n: int = 0) -> None:
        self._n = n
        self._size = 0
        self._first_n = n
        self._first: Stamp | None = None
        self._last: Stamp | None = None
        self._times = (0, 0)
        self._repeats = 0
        self._moments: list[str] = []
        self._places: dict[tuple[str, int], str] = {}
        self._place: tuple[str, int] | None = None
        self._lines: list[bytes] = []

    @property
    def n(self) -> int:  # noqa: D102  # said above, as of the compiled twin's
        return self._n

    @property
    def size(self) -> int:  # noqa: D102  # said above, as of the compiled twin's
        return self._size

    def frame(self, frame: bytes, stamp: Stamp) -> None:
        """A frame was received."""
        self.line(encode_frame(frame), stamp)

    def line(self, line: bytes, stamp: Stamp | None, *, is_input: bool = True) -> None:
        """Any line, without its line feed; `stamp` is that of a timed input."""
        if stamp is not None:
            if stamp is self._last and self._first is not None:
                self._repeats += 1
            else:
                self._moment(stamp)
        self._n += is_input
        self._lines.append(line)
        self._size += len(line) + 1

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
        self._first, self._first_n, self._repeats, self._size, self._place = None, self._n, 0, 0, None
        self._moments, self._places, self._lines = [], {}, []
        return text

    def _moment(self, stamp: Stamp) -> None:
        if not _fits(stamp.received_ns, stamp.received_mono_ns, stamp.epoch):
            raise OverflowError("a time beyond 64 bits")
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
        FrameError: it is damaged, or not a block of a journal; says where and how.
    """
    end = len(text) - _END
    if end <= 0 or text[end - 1 : end + 4] != b"\ncrc " or text[-1:] != b"\n":
        raise FrameError(said.NO_END, len(text))
    if text[end + 4 : end + 12] != b"%08x" % crc32(memoryview(text)[:end]):
        raise FrameError(said.BAD_CHECKSUM, end)
    if not text.startswith(b"block "):
        raise FrameError(said.NO_BLOCK, 0)
    at = text.index(b"\n") + 1
    head = decode_block_head(text[6 : at - 1])
    if text[at : at + 3] != b"at ":
        raise FrameError(said.NO_AT, at)
    start = text.index(b"\n", at) + 1
    moments = _moments(text[at + 3 : start - 1], at + 3, head)
    runs: list[Run | Entry] = []
    run: Run | None = None
    n = head.n
    for line in text[start:end].split(b"\n")[:-1]:
        kind = _KINDS.get(line[0] if line else 0)
        if kind is None:
            raise FrameError(said.BAD_LINE, start)
        is_timed = kind == "frame" or line[0] == 33  # !
        stamp = next(moments, None) if is_timed else None
        if is_timed and stamp is None:
            raise FrameError(said.FEW_MOMENTS, start)
        n += kind in ("frame", "input")
        if kind != "frame" or stamp is None:
            run = None
            runs.append(Entry(kind, line, stamp))
        else:
            if run is None or run.connection != stamp.connection:
                run = Run(stamp.connection, [], [])
                runs.append(run)
            run.frames.append(_frame(line, start))
            run.stamps.append(stamp)
        start += len(line) + 1
    if next(moments, None) is not None:
        raise FrameError(said.MANY_MOMENTS, at)
    return Block(head.n, head.received_ns, head.received_mono_ns, n, runs)


def _frame(line: bytes, at: int) -> bytes:
    try:
        return decode_frame(line)
    except FrameError as error:
        raise FrameError(error.reason, at + error.offset) from None


def _moments(text: bytes, at: int, head: BlockHead) -> Iterator[Stamp]:
    """The stamp of each timed input; they are looked at only when they are asked for."""
    places = {_code(number).encode(): place for number, place in enumerate(head.places)}
    received_ns, mono_ns = head.received_ns, head.received_mono_ns
    place = None
    for moment in text.split(b" ") if text else ():
        match = _MOMENT.fullmatch(moment)
        if match is None:
            raise FrameError(said.NO_MOMENT, at)
        code, passed, drift, repeats = match.groups()
        if code:
            place = places.get(code)
        if place is None:
            raise FrameError(said.NO_PLACE, at)
        mono_ns += int(passed)
        received_ns += int(passed) + int(drift or 0)
        if not _fits(mono_ns, received_ns):
            raise FrameError(said.TOO_LARGE, at)
        stamp = Stamp(place.connection, place.epoch, received_ns, mono_ns)
        for _ in range(int(repeats or 1)):
            yield stamp
        at += len(moment) + 1


def _fits(*numbers: int) -> bool:
    return all(-(1 << 63) <= number < 1 << 63 for number in numbers)


def _code(number: int) -> str:
    code = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        code = chr(97 + letter) + code
    return code
