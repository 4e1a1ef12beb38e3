"""A bare connection to a simulated exchange in memory: messages in, frames out, and nothing understood."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from krakenwire.errors import ConnectionClosed
from krakenwire.net.transport import Closed, Connector, Transport

__all__ = ["BareConnection"]


class BareConnection:
    """A client that understands nothing; made by `Simulator.connect`.

    Attributes:
        url: where it is connected to.
        frames: every frame that came, in order.
        closed: how the connection ended, or None while it is open.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.frames: list[bytes] = []
        self.closed: Closed | None = None
        self._read = 0
        self._changed = asyncio.Event()
        self._transport: Transport | None = None

    async def open(self, connector: Connector) -> None:
        """Connect. Raises and cancellation: as the connector."""
        self._transport = await connector(self.url, self)

    def send(self, message: bytes | str | Mapping[str, Any]) -> None:
        """Send a message: bytes and text as they are, anything else as JSON. Ignored once the connection has ended."""
        if isinstance(message, str):
            message = message.encode()
        if self._transport is not None:
            self._transport.send_text(message if isinstance(message, bytes) else msgspec.json.encode(message))

    async def receive(self) -> dict[str, Any]:
        """The next frame, decoded as plain JSON (floats and all); waits for one.

        Raises:
            ConnectionClosed: the connection ended and every frame was read.

        Cancellation: safe, no frame is lost.
        """
        while self._read == len(self.frames):
            if self.closed is not None:
                raise ConnectionClosed(f"the connection ended with {self.closed.code}; no further frame will come")
            self._changed.clear()
            await self._changed.wait()
        self._read += 1
        decoded: dict[str, Any] = msgspec.json.decode(self.frames[self._read - 1])
        return decoded

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from this side; harmless when repeated."""
        if self._transport is not None:
            self._transport.close(code, reason)

    # --- Listener -------------------------------------------------------------------------------------------

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        """Keep it."""
        self.frames.append(frame)
        self._changed.set()

    def receive_read_end(self) -> None:
        """Nothing to do: no reads are told apart here."""

    def receive_closed(self, closed: Closed) -> None:
        """Keep it."""
        self.closed = closed
        self._changed.set()
