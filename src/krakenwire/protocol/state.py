"""The states of a connection and the moves between them, as a table."""

from __future__ import annotations

from enum import Enum

from krakenwire.errors import ProtocolError

__all__ = ["TRANSITIONS", "ConnectionState", "Move", "next_state"]


class ConnectionState(Enum):
    """Where a connection is in its life."""

    CLOSED = "closed"
    """No socket and none wanted at this moment."""
    CONNECTING = "connecting"
    """A socket was asked for."""
    OPEN = "open"
    """Frames may be sent and come."""
    CLOSING = "closing"
    """We asked for the end; what still comes is not looked at."""


class Move(Enum):
    """What moves a connection on; the first and the third are ours, the others happen to us."""

    OPEN = "open"
    CONNECTED = "connected"
    CLOSE = "close"
    DISCONNECTED = "disconnected"


_S, _M = ConnectionState, Move

TRANSITIONS: dict[tuple[ConnectionState, Move], ConnectionState] = {
    (_S.CLOSED, _M.OPEN): _S.CONNECTING,
    (_S.CONNECTING, _M.CONNECTED): _S.OPEN,
    (_S.CONNECTING, _M.DISCONNECTED): _S.CLOSED,
    (_S.CONNECTING, _M.CLOSE): _S.CLOSING,
    (_S.OPEN, _M.CLOSE): _S.CLOSING,
    (_S.OPEN, _M.DISCONNECTED): _S.CLOSED,
    (_S.CLOSING, _M.DISCONNECTED): _S.CLOSED,
}
"""Every legal move; anything else is somebody's mistake."""


def next_state(state: ConnectionState, move: Move) -> ConnectionState:
    """The state after `move`.

    Raises:
        ProtocolError: if the table has no such move; it names those that there are.
    """
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        legal = ", ".join(m.value for s, m in TRANSITIONS if s is state)
        raise ProtocolError(
            f"a connection that is {state.value} does not expect {move.value!r}; it expects: {legal}"
        ) from None
