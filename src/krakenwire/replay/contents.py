"""What was recorded: which subscriptions there ever were, found by looking ahead as far as need be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from krakenwire.errors import FrameError
from krakenwire.journal.files.directory import Segment
from krakenwire.journal.files.segments import Damaged, read_head, read_segment
from krakenwire.journal.format.block import decode_block_head
from krakenwire.journal.format.lines import decode_input
from krakenwire.protocol.inputs import Subscribe
from krakenwire.protocol.subscriptions import Key

__all__ = ["Contents", "serves"]

_SUBSCRIBE = b'\n!["subscribe"'


class Contents:
    """The subscriptions of one journal.

    Args:
        found: its segments.

    Attributes:
        began_ns: UTC at which the first segment was begun, to the second.
        ended_ns: UTC of the last block that was looked at.
    """

    def __init__(self, found: list[Segment]) -> None:
        self.began_ns = self.ended_ns = found[0].started_ns
        self._keys: dict[Key, None] = {}
        self._is_open = False
        self._ahead = self._look_through(found)

    @property
    def keys(self) -> list[Key]:
        """All there are: the whole journal is looked through for it."""
        for _ in self._ahead:
            pass
        return list(self._keys)

    @property
    def is_open(self) -> bool:
        """Something in it was seen from outside only: what there is cannot be told from its requests."""
        return self._is_open

    def has(self, key: Key) -> bool:
        """Whether `key` was recorded, or of books a deeper one; what it was looked for in is not read again."""
        while not any(serves(each, key) for each in self._keys):
            if next(self._ahead, None) is None:
                return False
        return True

    def is_known(self, symbol: str) -> bool:
        """Whether anything of exactly this symbol was recorded."""
        while not any(each.symbol == symbol for each in self._keys):
            if next(self._ahead, None) is None:
                return False
        return True

    def _look_through(self, found: Iterable[Segment]) -> Iterator[Key]:
        for segment in found:
            try:
                head = read_head(segment.path)
            except Damaged:
                continue
            self._is_open = self._is_open or head.made.passive or not (head.is_first or self._keys)
            for part in read_segment(segment.path):
                if isinstance(part, Damaged):
                    continue
                with suppress(FrameError):  # it is whole, and yet no block: as if it were damaged
                    first = part.text[len(b"block ") : part.text.index(b"\n")]
                    self.ended_ns = max(self.ended_ns, decode_block_head(first).received_ns)
                at = part.text.find(_SUBSCRIBE)
                while at >= 0:
                    end = part.text.index(b"\n", at + 1)
                    for key in _keys_of(part.text[at + 1 : end]):
                        if key not in self._keys:
                            self._keys[key] = None
                            yield key
                    at = part.text.find(_SUBSCRIBE, end)


def _keys_of(line: bytes) -> tuple[Key, ...]:
    try:
        given = decode_input(line)
    except FrameError:  # the player tells of it
        return ()
    return given.keys if isinstance(given, Subscribe) else ()


def serves(recorded: Key, asked: Key) -> bool:
    """Whether what was recorded also has what is asked for."""
    if recorded[:2] != asked[:2]:
        return False
    if recorded.depth is not None and asked.depth is not None:
        return recorded.depth >= asked.depth
    return recorded == asked
