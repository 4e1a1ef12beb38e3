"""What the feed needs of a WebSocket, and no more: so that a socket, memory or a test can stand behind it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Closed", "Connector", "Listener", "Transport"]


class Closed(NamedTuple):
    """How a connection ended.

    Attributes:
        code: the WebSocket close code that came (or that we sent, if we closed first); 1005 if it came
            without one, 1006 if the socket just ended.
        reason: in words, for a person; never holds a secret.
        local: True if our side ended it (a close we asked for, a refused frame).
    """

    code: int
    reason: str
    local: bool


class Listener(Protocol):
    """Receives what comes over one connection. Called on the loop; must not block and must not raise."""

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        """One whole text message, valid UTF-8.

        `last_in_read` is True if it is known to be the last of its socket read. Messages that came with False
        are followed by a message with True, by `receive_read_end`, or by `receive_closed`.
        """

    def receive_read_end(self) -> None:
        """The socket read is over, and its last message came with `last_in_read` False.

        What ended the read was no message of its own: a ping, a pong, or a part of a fragmented message.
        """

    def receive_closed(self, closed: Closed) -> None:
        """The connection is over; called exactly once, and nothing after it."""


class Transport(Protocol):
    """One open connection."""

    def send_text(self, text: bytes) -> None:
        """Queue one text message (UTF-8). Ignored once the connection is closing."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin a clean close; `Listener.receive_closed` follows, at the latest after the close timeout.

        What comes until then is not delivered. Harmless when already closing.
        """

    def abort(self, reason: str = "aborted by this side") -> None:
        """Drop the connection now, without a close handshake."""

    def pause_reading(self) -> None:
        """Stop reading the socket (backpressure). What its present read holds may still be delivered."""

    def resume_reading(self) -> None:
        """Read on. Harmless when not paused."""


class Connector(Protocol):
    """Opens connections."""

    async def __call__(self, url: str, listener: Listener) -> Transport:
        """Open a WebSocket to `url` and deliver what comes to `listener`.

        The listener is not called before the loop's next turn after this returned, so who awaits it directly
        holds the transport by then.

        Raises:
            ConnectFailed: with the HTTP status of a refused upgrade, and whether a retry can help.

        Cancellation: safe, the attempt is abandoned and its socket closed.
        """
