"""Faults of single frames: lost, doubled, out of order, with a wrong checksum, or rewritten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from ..feed.stream import Stream
from .filters import Count, FrameFault, FrameFilter, PeerFault, PeerFilter
from .host import Peer
from .substitution import Substitution

__all__ = ["CorruptChecksum", "DoubleUpdate", "LoseUpdate", "ReorderUpdate", "Rewrite", "evidence"]

_CHECKSUM = re.compile(rb'"checksum":(\d+)')
_TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')
_SEQUENCE = re.compile(rb'"sequence":(\d+)')
_TRADE_ID = re.compile(rb'"trade_id":(\d+)')


def evidence(frame: bytes) -> dict[str, object]:
    """By what a frame can be known again: its checksum, timestamp, sequence and first trade_id."""
    found: dict[str, object] = {}
    if match := _CHECKSUM.search(frame):
        found["checksum"] = int(match[1])
    if match := _TIMESTAMP.search(frame):
        found["timestamp"] = match[1].decode()
    if match := _SEQUENCE.search(frame):
        found["sequence"] = int(match[1])
    if match := _TRADE_ID.search(frame):
        found["trade_id"] = int(match[1])
    return found


class LoseUpdate(FrameFault[FrameFilter]):
    """Frames that are not sent."""

    kind = "lose_update"
    parameters_type = FrameFilter

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """Nothing, where the frame is to be lost."""
        if not self.selects(peer, stream, frame):
            return None
        self.touch(peer, stream, evidence(frame), size=len(frame))
        self.spend()
        return ()


class DoubleUpdate(FrameFault[FrameFilter]):
    """Frames that are sent twice."""

    kind = "double_update"
    parameters_type = FrameFilter

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """The frame two times."""
        if not self.selects(peer, stream, frame):
            return None
        self.touch(peer, stream, evidence(frame), size=len(frame))
        self.spend()
        return (frame, frame)


class ReorderFilter(FrameFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `reorder_update`."""

    distance: Annotated[int, Meta(ge=1, le=1000, description="how many frames of the same stream overtake it")] = 1


class ReorderUpdate(FrameFault[ReorderFilter]):
    """Frames that are overtaken by those behind them on the same stream."""

    kind = "reorder_update"
    parameters_type = ReorderFilter

    def begin(self) -> None:
        """Hold nothing yet."""
        super().begin()
        self._held: dict[tuple[Peer, Stream], tuple[bytes, int]] = {}

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """Hold the frame back, or send one that was held behind this one."""
        if stream is None:
            return None
        held = self._held.get((peer, stream))
        if held is None:
            if not self.selects(peer, stream, frame):
                return None
            self.done += 1
            self._held[peer, stream] = (frame, self.parameters.distance)
            self.touch(peer, stream, evidence(frame), size=len(frame))
            return ()
        late, distance = held
        if distance > 1:
            self._held[peer, stream] = (late, distance - 1)
            return None
        del self._held[peer, stream]
        self._heal_if_done()
        return (frame, late)

    def disconnected(self, peer: Peer) -> None:
        """Drop what was held for it."""
        for key in [key for key in self._held if key[0] is peer]:
            del self._held[key]
        super().disconnected(peer)
        self._heal_if_done()

    def end(self) -> None:
        """Send what is still held: late, not lost."""
        for (peer, stream), (frame, _) in self._held.items():
            peer.queue(stream, frame)
            peer.flush()
        self._held.clear()

    def _heal_if_done(self) -> None:
        if not self._held and self.done == self.parameters.count:
            self.heal()


class CorruptChecksum(FrameFault[FrameFilter]):
    """Frames whose checksum is not that of their book; the levels in them are right."""

    kind = "corrupt_checksum"
    parameters_type = FrameFilter

    def check(self) -> None:
        """Refuse a channel that has no checksums."""
        super().check()
        if self.parameters.channel not in (None, "book", "level3"):
            raise self.complain(f"channel {self.parameters.channel!r} has no checksum; expected book or level3")

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """The frame with another checksum."""
        if stream is None or stream.channel not in ("book", "level3") or not self.selects(peer, stream, frame):
            return None
        match = _CHECKSUM.search(frame)
        if match is None:
            return None
        wrong = int(match[1]) ^ self.random.randrange(1, 2**32)
        self.touch(peer, stream, evidence(frame) | {"sent": wrong}, size=len(frame))
        self.spend()
        return (b'%b"checksum":%d%b' % (frame[: match.start()], wrong, frame[match.end() :]),)


class RewriteFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `rewrite`."""

    pattern: Annotated[str, Meta(min_length=1, description="a regular expression of Python's `re`")]
    replacement: Annotated[
        str,
        Meta(description="put in the place of every match, `\\1` for a group; a frame that becomes empty is not sent"),
    ] = ""
    channel: (
        Annotated[str, Meta(description="only frames of this channel; `answer` for answers to requests")] | None
    ) = None
    symbol: Annotated[str, Meta(description="only streams of this symbol")] | None = None
    count: Count = 0


class Rewrite(PeerFault[RewriteFilter]):
    """Frames of any kind, altered by a regular expression."""

    kind = "rewrite"
    parameters_type = RewriteFilter
    done = 0

    def check(self) -> None:
        """Refuse an expression that is none."""
        super().check()
        self.check_symbol(self.parameters.symbol)
        try:
            self._substitution = Substitution(self.parameters.pattern, self.parameters.replacement)
        except ValueError as error:
            raise self.complain(str(error)) from None

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """The frame as the expression makes it."""
        wanted = self.parameters
        if wanted.channel not in (None, stream.channel if stream else "answer"):
            return None
        if wanted.symbol is not None and (stream is None or stream.symbol != wanted.symbol):
            return None
        if not self.takes(peer) or (rewritten := self._substitution.apply(frame)) is None:
            return None
        self.touch(peer, stream, evidence(frame), size=len(frame))
        self.done += 1
        if self.done == wanted.count:
            self.heal()
        return (rewritten,) if rewritten else ()
