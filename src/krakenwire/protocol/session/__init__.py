"""One connection's protocol state: frames in; events, frames to send and a deadline out. No clock, no socket.

In layers, each a class on the one before: `connection` (its life), `subscriber` (what is asked for, and the answers),
`restorer` (what is lost and comes back), and on top of them `frames`, the `Session` (what is received).
"""

from krakenwire.protocol.session.frames import Session

__all__ = ["Session"]
