"""Faults that send a client what no exchange should: text that is not JSON, and a frame out of all proportion."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .filters import PeerFault, PeerFilter
from .host import Peer

__all__ = ["GiantFrame", "NotJson"]

BROKEN = '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":4'


class JunkFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `not_json`."""

    text: Annotated[str, Meta(min_length=1, description="what is sent; by default a book update that breaks off")] = (
        BROKEN
    )


class NotJson(PeerFault[JunkFilter]):
    """A text message that is not JSON, sent at once."""

    kind = "not_json"
    parameters_type = JunkFilter
    is_momentary = True

    def begin(self) -> None:
        """Send it."""
        super().begin()
        text = self.parameters.text.encode()
        for peer in self.taken():
            self.touch(peer, size=len(text))
            peer.queue(None, text)
            peer.flush()


class GiantFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `giant_frame`."""

    size: Annotated[int, Meta(ge=100, le=256 * 1024 * 1024, description="bytes of the message")] = 32 * 1024 * 1024


class GiantFrame(PeerFault[GiantFilter]):
    """One message of many bytes, sent at once: JSON, a heartbeat with padding."""

    kind = "giant_frame"
    parameters_type = GiantFilter
    is_momentary = True

    def begin(self) -> None:
        """Send it."""
        super().begin()
        head, tail = b'{"channel":"heartbeat","padding":"', b'"}'
        frame = head + b"x" * (self.parameters.size - len(head) - len(tail)) + tail
        for peer in self.taken():
            self.touch(peer, size=len(frame))
            self._send(peer, frame)

    @staticmethod
    def _send(peer: Peer, frame: bytes) -> None:
        # Not by `flush`, which would drop a client that more than `max_buffer` bytes wait for.
        peer.flush()
        peer.wire.write([frame])
