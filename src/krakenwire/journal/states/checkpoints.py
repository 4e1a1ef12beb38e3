"""States beside a segment: the core and the log of its events, as they were where a zstd frame begins."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from krakenwire.journal.files.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
from krakenwire.journal.sealing.index import write_whole
from krakenwire.journal.states.state import StateUnusable
from krakenwire.protocol.report import LogState

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

_WORD = b"checkpoint "
_LARGEST_LOG = 1 << 28
"""Bytes; it holds up to a thousand events, and a frame may be of some megabytes."""


class Checkpoint(NamedTuple):
    """What playing goes on from.

    Attributes:
        state: of the core, see `load_core`.
        log: of its events; None if it is not known how the recorded one stood.
    """

    state: bytes
    log: LogState | None


class _Head(msgspec.Struct, frozen=True):
    """The first line of the file, behind a word.

    Attributes:
        layout: of the index that it belongs to.
        n: of the last input before.
        log_bytes: of what follows so many are the log.
        sha256: of all that follows.
    """

    layout: str
    n: int
    log_bytes: int
    sha256: str


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, layout: str, n: int) -> int:
    """Keep it; how many bytes it has.

    Raises:
        UsageError: it cannot be written; says why.
    """
    log = ZstdCompressor().compress(msgspec.msgpack.encode(checkpoint.log), ZstdCompressor.FLUSH_FRAME)
    content = log + checkpoint.state
    head = _Head(layout, n, len(log), hashlib.sha256(content).hexdigest())
    data = b"%b%b\n%b" % (_WORD, msgspec.json.encode(head), content)
    write_whole(path, data)
    return len(data)


def read_checkpoint(path: Path, *, layout: str, n: int) -> Checkpoint:
    """What was kept; the state in it is not looked at.

    Raises:
        StateUnusable: it is not there, is damaged, or belongs to another file.
    """
    try:
        first, _, content = path.read_bytes().partition(b"\n")
        head = msgspec.json.decode(first.removeprefix(_WORD), type=_Head)
    except OSError as error:
        raise StateUnusable(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateUnusable(f"{path} is damaged: {error}") from None
    if (head.layout, head.n) != (layout, n):
        raise StateUnusable(f"{path} belongs to a segment that is not there any more")
    if hashlib.sha256(content).hexdigest() != head.sha256 or not 0 <= head.log_bytes <= len(content):
        raise StateUnusable(f"{path} is damaged: its checksum is wrong")
    try:
        log = ZstdDecompressor().decompress(content[: head.log_bytes], _LARGEST_LOG)
        state = msgspec.msgpack.decode(log, type=LogState | None)
    except (ZstdError, msgspec.MsgspecError) as error:
        raise StateUnusable(f"{path} is damaged: {error}") from None
    if state is not None and state.left < 1:  # a log would never come to the end of such
        raise StateUnusable(f"{path} is damaged: it tells of a log that there cannot be")
    return Checkpoint(content[head.log_bytes :], state)
