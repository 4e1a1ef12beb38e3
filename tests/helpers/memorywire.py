"""A client of an `Exchange` without a socket: what it was sent, frame by frame."""

from __future__ import annotations

import json
from typing import Any, Self

from krakenwire.sim.exchange import Exchange
from krakenwire.sim.peer import Door, Peer

__all__ = ["MemoryWire"]


class MemoryWire:
    """A wire that keeps what is written.

    Attributes:
        frames: what came, in order.
        writes: how many frames came in each write.
        ended: the close code, 1006 for an end without one; None while it is open.
    """

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.writes: list[int] = []
        self.ended: int | None = None
        self.peer: Peer

    @classmethod
    def connect(cls, exchange: Exchange, door: Door = "public") -> Self:
        """Come in by a door."""
        wire = cls()
        wire.peer = exchange.connect(door, wire)
        return wire

    def send(self, message: object) -> None:
        """Send an object as JSON."""
        self.peer.receive(json.dumps(message).encode())

    def subscribe(self, channel: str, *symbols: str, **params: object) -> None:
        """Send a subscription."""
        self.send({"method": "subscribe", "params": {"channel": channel, "symbol": list(symbols), **params}})

    def messages(self, channel: str | None = None) -> list[dict[str, Any]]:
        """What came, decoded; only a channel's if one is given."""
        decoded = [json.loads(frame) for frame in self.frames]
        return [each for each in decoded if channel is None or each.get("channel") == channel]

    # --- what a peer calls ----------------------------------------------------------------------------------

    def write(self, frames: list[bytes]) -> int:
        if self.ended is None:
            self.frames += frames
            self.writes.append(len(frames))
        return 0

    def close(self, code: int, reason: str) -> None:
        self._end(code)

    def abort(self) -> None:
        self._end(1006)

    def _end(self, code: int) -> None:
        if self.ended is None:
            self.ended = code
            self.peer.disconnected()
