"""One client of the exchange, without its socket: what it is sent, how it is kept alive, and when it is cut off."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal, Protocol

from krakenwire.clock import NS_PER_S, Clock, Timer

from .feed.stream import Stream
from .sessions.session import HEARTBEAT, Session, encode_status

if TYPE_CHECKING:
    from .faults import Faults

__all__ = ["DOORS", "HEARTBEAT_NS", "Door", "Host", "Peer", "Wire"]

Door = Literal["public", "auth", "l3"]
"""Where a client comes in: market data, private data and trading, or level3 (PROTOCOL 1)."""

DOORS: tuple[Door, ...] = ("public", "auth", "l3")

HEARTBEAT_NS = NS_PER_S

CLOSING_NS = 5 * NS_PER_S

NORMAL_CLOSURE, INTERNAL_ERROR = 1000, 1011

_log = logging.getLogger("krakenwire.sim")


class Wire(Protocol):
    """What a peer writes to: a socket, or a client in memory.

    It tells its peer what becomes of it: `receive`, `pause_writing`, `resume_writing`, and `disconnected` once.
    """

    def write(self, frames: list[bytes]) -> int:
        """Send JSON texts, in one go; returns how many bytes wait unsent. The list is the wire's to keep."""

    def close(self, code: int, reason: str) -> None:
        """Send what waits, say goodbye with a close code of RFC 6455, and end; harmless when repeated."""

    def abort(self) -> None:
        """End at once without a word; harmless when repeated."""


class Host(Protocol):
    """What a peer needs of its exchange."""

    clock: Clock
    faults: Faults
    max_buffer: int
    inactivity: float

    @property
    def is_simulated_time(self) -> bool:
        """True if heartbeats are the exchange's to send, in simulated time."""

    def exchange_now_ns(self) -> int:
        """The time to put into answers."""

    def begin_command(self) -> None:
        """A client's message is about to be handled."""

    def publish(self) -> None:
        """Hand out what that message did to the market."""

    def handle_changed(self) -> None:
        """Subscriptions or the room in a client's buffer changed."""

    def handle_disconnected(self, peer: Peer) -> None:
        """A client is gone."""

    def handle_overflow(self, peer: Peer) -> None:
        """A client did not take what it was sent; it has been cut off."""


class Peer:
    """One client's connection to an exchange, sockets apart.

    Attributes:
        door: where it came in.
        connection_id: what `status` told it (PROTOCOL 3.1).
        wire: where its frames go; may be replaced by a wrapper around it.
        outbox: the frames that leave with the next `flush`.
        session: its side of the protocol; set before the first message is received.
        gone: set once the connection has ended.
        behind_since_ns: since when the wire takes no more (monotonic), or None.
        next_heartbeat_ns: in simulated time, when the next heartbeat is due, or None.
    """

    def __init__(self, host: Host, door: Door, connection_id: int, wire: Wire) -> None:
        self.door = door
        self.connection_id = connection_id
        self.wire = wire
        self.outbox: list[bytes] = []
        self.session: Session
        self.gone = asyncio.Event()
        self.behind_since_ns: int | None = None
        self.next_heartbeat_ns: int | None = None
        self._host = host
        self._received_ns = host.clock.monotonic_ns()
        self._heartbeat_timer: Timer | None = None
        self._inactivity_timer: Timer | None = None
        self._closing_timer: Timer | None = None

    @property
    def has_subscriptions(self) -> bool:
        """True if the client has subscribed to anything."""
        return self.session.has_subscriptions

    @property
    def account(self) -> str | None:
        """Whose token it showed last; None if it never showed a good one."""
        return self.session.account

    # --- to the client ------------------------------------------------------------------------------------

    def greet(self, system: str) -> None:
        """Send the status that every connection begins with (PROTOCOL 2.5)."""
        self._watch_inactivity()
        self.send_status(system)
        self.flush()

    def send_status(self, system: str) -> None:
        """Queue a status frame (PROTOCOL 3.1)."""
        self.queue(Stream("status"), encode_status(self.connection_id, system))

    def queue(self, stream: Stream | None, frame: bytes) -> None:
        """Take a frame; it leaves with the next `flush`. `stream` is None for answers."""
        faults = self._host.faults
        if not faults.is_active:
            self.outbox.append(frame)
            return
        try:
            self.outbox += faults.outgoing(self, stream, frame)
        except Exception:  # one client's trouble must not end the exchange of all others
            self._fail("a frame could not be tampered with")

    def flush(self) -> None:
        """Hand what is queued to the wire in one write; cut the client off if too much waits there."""
        frames = self.outbox
        if not frames:
            return
        self.outbox = []
        try:
            waiting = self.wire.write(frames)
        except Exception:  # one client's trouble must not end the exchange of all others
            _log.exception("frames could not be sent; the connection is cut")
            self.abort()
            return
        self.check_waiting(waiting)

    def check_waiting(self, waiting: int) -> None:
        """Cut the client off if so many bytes, not yet taken by it, are too many."""
        if waiting > self._host.max_buffer:
            _log.warning("slow client dropped: %d bytes wait for it, at most %d may", waiting, self._host.max_buffer)
            self._host.handle_overflow(self)
            self.abort()

    def heartbeat(self) -> None:
        """Queue a heartbeat."""
        self.queue(Stream("heartbeat"), HEARTBEAT)

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, say goodbye, and end; a client that does not read is cut off after five seconds."""
        self.flush()
        if self._closing_timer is None and not self.gone.is_set():
            self._closing_timer = self._host.clock.call_at(self._host.clock.monotonic_ns() + CLOSING_NS, self.abort)
        self.wire.close(code, reason)

    def abort(self) -> None:
        """End without a word."""
        self.outbox.clear()
        self.wire.abort()

    # --- from the wire ------------------------------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """Take a message of the client: answer it, then hand out what it did.

        Whatever goes wrong in that ends this connection (1011) and no other.
        """
        if self.gone.is_set():
            return
        self._received_ns = self._host.clock.monotonic_ns()
        try:
            self._handle(message)
        except Exception:  # one client's trouble must not end the exchange of all others
            self._fail("a client's message could not be handled")
        self._host.handle_changed()

    def pause_writing(self) -> None:
        """The wire takes no more for now."""
        self.behind_since_ns = self._host.clock.monotonic_ns()

    def resume_writing(self) -> None:
        """The wire takes more."""
        self.behind_since_ns = None
        self._host.handle_changed()

    def disconnected(self) -> None:
        """The connection has ended: forget its subscriptions. Harmless when repeated."""
        if self.gone.is_set():
            return
        for timer in (self._heartbeat_timer, self._inactivity_timer, self._closing_timer):
            if timer is not None:
                timer.cancel()
        self.outbox.clear()
        self.session.close()
        self.gone.set()
        self._host.handle_disconnected(self)

    # --- inside -------------------------------------------------------------------------------------------

    def _fail(self, what: str) -> None:
        """Log what went wrong, and end this connection."""
        _log.exception("%s; its connection is closed", what)
        self.close(INTERNAL_ERROR, "internal error")

    def _handle(self, message: bytes) -> None:
        host = self._host
        if host.faults.is_active:
            instead = host.faults.incoming(self, message)
            if instead is not None:
                if instead:
                    self.queue(None, instead)
                    self.flush()
                return
        host.begin_command()
        for stream, frame in self.session.receive(message, self._received_ns):
            self.queue(stream, frame)
        self.flush()
        host.publish()
        if self.session.has_subscriptions:
            self._begin_heartbeats()

    def _begin_heartbeats(self) -> None:
        if self._host.is_simulated_time:
            if self.next_heartbeat_ns is None:
                now_ns = self._host.exchange_now_ns() - self._host.faults.skew_ns
                self.next_heartbeat_ns = now_ns + HEARTBEAT_NS
        elif self._heartbeat_timer is None:
            due_ns = self._host.clock.monotonic_ns() + HEARTBEAT_NS
            self._heartbeat_timer = self._host.clock.call_at(due_ns, lambda: self._beat(due_ns))

    def _beat(self, due_ns: int) -> None:
        self._heartbeat_timer = None
        if not self.session.has_subscriptions:
            return
        # From the moment it was due, so that lateness does not add up.
        next_ns = max(due_ns + HEARTBEAT_NS, self._host.clock.monotonic_ns())
        self._heartbeat_timer = self._host.clock.call_at(next_ns, lambda: self._beat(next_ns))
        self.heartbeat()
        self.flush()

    def _watch_inactivity(self) -> None:
        """Close the connection once it was silent, and without subscription, for too long (PROTOCOL 2.5)."""
        now_ns = self._host.clock.monotonic_ns()
        allowed_ns = round(self._host.inactivity * NS_PER_S)
        if self.session.has_subscriptions:
            due_ns = now_ns + allowed_ns
        else:
            due_ns = self._received_ns + allowed_ns
            if due_ns <= now_ns:
                self.close(NORMAL_CLOSURE, "inactive")
                return
        self._inactivity_timer = self._host.clock.call_at(due_ns, self._watch_inactivity)
