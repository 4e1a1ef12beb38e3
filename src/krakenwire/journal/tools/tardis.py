"""Files of raw messages as Tardis.dev gives them: the moment of receipt, and the message as it came.

* of its HTTP API, one message a line: `2019-06-01T00:02:03.9836600Z {…}`;
* of tardis-machine's `/replay`, one object a line: `{"localTimestamp":"2019-06-01T00:02:03.983Z","message":{…}}`.

In both an empty line (or a `null`) says that the recorder's connection was lost there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from krakenwire.clock import NS_PER_S
from krakenwire.errors import FrameError
from krakenwire.journal.frames import RecordedFrame
from krakenwire.protocol.wire.scalars import DECODE_ERRORS

__all__ = ["is_tardis", "read_tardis"]

_MOMENT = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z"
_BEGIN = re.compile(rb"\s*(?:" + _MOMENT + rb'\s+\S|\{\s*"localTimestamp"\s*:)')
_LINE = re.compile(_MOMENT + rb"\s+(\S.*)", re.DOTALL)
_QUOTED = re.compile(_MOMENT)


class _Replayed(msgspec.Struct, rename="camel"):
    local_timestamp: str
    message: msgspec.Raw


_replayed = msgspec.json.Decoder(_Replayed)


def is_tardis(begin: bytes) -> bool:
    """Whether a file that begins so is one."""
    return _BEGIN.match(begin) is not None


def read_tardis(file: BinaryIO) -> Iterator[RecordedFrame | None]:
    """The messages of a file, byte for byte, in order; None where the connection was lost.

    Raises:
        FrameError: a line is none of such a file; `offset` is that of the line.
    """
    offset = 0
    second, second_ns = b"", 0
    is_lost = True  # what the file begins or ends with is no loss of anything
    for line in file:
        text = line.strip()
        if not text or text == b"null":
            if not is_lost:
                yield None
            is_lost = True
        else:
            is_lost = False
            moment, frame = _parts(text, offset)
            if moment[1] != second:
                second, second_ns = moment[1], _second_ns(moment[1], offset)
            yield RecordedFrame(frame, second_ns + int((moment[2] or b"0").ljust(9, b"0")))
        offset += len(line)


def _parts(text: bytes, offset: int) -> tuple[re.Match[bytes], bytes]:
    if match := _LINE.fullmatch(text):
        return match, match[3]
    try:
        replayed = _replayed.decode(text)
        if match := _QUOTED.fullmatch(replayed.local_timestamp.encode()):
            return match, bytes(replayed.message)
    except DECODE_ERRORS:
        pass
    raise FrameError(
        f"expected a moment and a message, as in 2019-06-01T00:02:03.9836600Z {{…}}: {text[:60]!r}", offset
    )


def _second_ns(second: bytes, offset: int) -> int:
    try:
        moment = datetime.fromisoformat(second.decode()).replace(tzinfo=UTC)
    except ValueError as error:
        raise FrameError(f"no moment: {error}", offset) from None
    return int(moment.timestamp()) * NS_PER_S
