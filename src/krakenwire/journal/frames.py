"""Files of recorded frames, in the shapes that people keep them in.

* one frame a line, as it came over the wire (JSON or not);
* one object a line that holds the frame: `{"frame": {…}}` or `{"raw": "…"}`, with `rx_ns` (nanoseconds) and `dir`
  (`tx` for what the client sent) where they were kept, and perhaps a first line that describes the recording;
* one frame alone, pretty-printed over many lines.

The text of a frame is passed on byte for byte: the digits of its numbers are what checksums are made of.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from krakenwire.errors import FrameError
from krakenwire.protocol.wire.scalars import DECODE_ERRORS

__all__ = ["RecordedFrame", "read_frames"]

MAX_SINGLE_FRAME = 256 * 1024 * 1024
"""Bytes of a file that are read at once to see whether it is one frame over many lines."""


class RecordedFrame(NamedTuple):
    """One frame of a recording.

    Attributes:
        frame: the text, as it came.
        received_ns: when, by the recorder's clock, or None if it did not say.
        sent: True for a frame that the client sent.
    """

    frame: bytes
    received_ns: int | None = None
    sent: bool = False


_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""What no text has, and what files of other kinds (compressed ones above all) have soon."""
_ABSENT = msgspec.Raw()


class _Line(msgspec.Struct):
    """What a line may hold besides a bare frame, undecoded."""

    frame: msgspec.Raw = _ABSENT
    raw: str | None = None
    rx_ns: int | None = None
    dir: str | None = None
    channel: msgspec.Raw = _ABSENT
    method: msgspec.Raw = _ABSENT
    event: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    global_error: msgspec.Raw = msgspec.field(default=_ABSENT, name="Error")

    @property
    def is_frame(self) -> bool:
        """It has a key that only frames have."""
        return any(map(bytes, (self.channel, self.method, self.event, self.error, self.global_error)))


_line = msgspec.json.Decoder(_Line)
_whole = msgspec.json.Decoder(msgspec.Raw)


def read_frames(file: BinaryIO) -> Iterator[RecordedFrame]:
    """The frames of `file`, in order; blank lines are skipped.

    Raises:
        FrameError: if the file is not a recording at all (binary data); says where.
    """
    lines: Iterator[bytes] = (line for line in file if not line.isspace())
    first = next(lines, None)
    if first is None:
        return
    if binary := _BINARY.search(first):
        raise FrameError("expected lines of text with one frame each, got binary data", binary.start())
    if first.lstrip()[:1] in b"{[" and not _is_json(first):
        rest = file.read(MAX_SINGLE_FRAME) + file.readline()
        if _is_json(first + rest):
            yield RecordedFrame((first + rest).strip())
            return
        following = (line for line in io.BytesIO(rest) if not line.isspace())
        lines = itertools.chain([first], following, lines)
    elif _is_description(first):
        pass
    else:
        lines = itertools.chain([first], lines)
    for line in lines:
        yield _recorded(line.strip())


_BARE = (b'{"channel"', b'{"method"', b'{"event"')
"""How most frames begin: what begins so is one, without a further look."""


def _recorded(line: bytes) -> RecordedFrame:
    if not line.startswith(b"{") or line.startswith(_BARE):
        return RecordedFrame(line)
    try:
        parts = _line.decode(line)
        sent = parts.dir in ("tx", "out", "sent")
        if parts.raw is not None:
            return RecordedFrame(parts.raw.encode(), parts.rx_ns, sent)
        if bytes(parts.frame):
            return RecordedFrame(_unquoted(bytes(parts.frame)), parts.rx_ns, sent)
    except DECODE_ERRORS:
        pass  # the codec will say what is wrong with it
    return RecordedFrame(line)


def _unquoted(frame: bytes) -> bytes:
    """A frame kept as a JSON string is its content; one kept as JSON is itself."""
    return msgspec.json.decode(frame, type=str).encode() if frame.startswith(b'"') else frame


def _is_json(text: bytes) -> bool:
    try:
        _whole.decode(text)
    except DECODE_ERRORS:
        return False
    return True


def _is_description(line: bytes) -> bool:
    """A first line about the recording: an object with nothing of a frame in it."""
    try:
        parts = _line.decode(line)
    except DECODE_ERRORS:
        return False
    return not parts.is_frame and not bytes(parts.frame) and parts.raw is None
