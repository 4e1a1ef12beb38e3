"""One client's socket: what it sends is put together and answered, what it is sent is bounded."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from krakenwire.clock import NS_PER_S, Clock, Timer

from .session import HEARTBEAT, ClientSession, encode_status
from .source import Source
from .wire import wrap_text

__all__ = ["MAX_REQUEST", "Connection", "Owner", "Settings"]

MAX_REQUEST = 256 * 1024
"""Bytes in one message of a client; a bigger one ends the connection."""

HIGH_WATER = 256 * 1024
"""Bytes not yet taken by the socket from which on a client counts as behind."""

HEARTBEAT_NS = NS_PER_S

_log = logging.getLogger("krakenwire.sim")
_HEARTBEAT = wrap_text(HEARTBEAT)


class Settings(Protocol):
    """What a connection is told about limits."""

    message_rate: float
    max_buffer: int
    inactivity: float


class Owner(Protocol):
    """What a connection needs of the server."""

    @property
    def source(self) -> Source[Connection]:
        """Where streams come from."""

    @property
    def is_simulated_time(self) -> bool:
        """True if heartbeats are the server's to send, in simulated time."""

    def exchange_now_ns(self) -> int:
        """The time to put into answers."""

    def handle_connected(self, connection: Connection) -> int:
        """A client is there; returns its connection_id."""

    def handle_changed(self) -> None:
        """Subscriptions or the room in a client's buffer changed."""

    def handle_disconnected(self, connection: Connection) -> None:
        """A client is gone."""

    def handle_overflow(self, connection: Connection) -> None:
        """A client did not take what it was sent; it has been cut off."""


class Connection(WSListener):
    """The socket of one client.

    Attributes:
        gone: set once the socket is closed.
        behind_since_ns: since when the socket takes no more (monotonic), or None.
        next_heartbeat_ns: in simulated time, when the next heartbeat is due, or None.
    """

    def __init__(self, owner: Owner, clock: Clock, settings: Settings) -> None:
        super().__init__()
        self._owner = owner
        self._clock = clock
        self._settings = settings
        self._session = ClientSession(owner.source, self, owner.exchange_now_ns, message_rate=settings.message_rate)
        self._transport: WSTransport | None = None
        self._outbox: list[bytes] = []
        self._fragments: list[bytes] = []
        self._received_ns = clock.monotonic_ns()
        self._heartbeat_timer: Timer | None = None
        self._inactivity_timer: Timer | None = None
        self.gone = asyncio.Event()
        self.behind_since_ns: int | None = None
        self.next_heartbeat_ns: int | None = None

    @property
    def has_subscriptions(self) -> bool:
        """True if the client has subscribed to anything."""
        return self._session.has_subscriptions

    # --- to the client ------------------------------------------------------------------------------------

    def queue(self, message: bytes) -> None:
        """Take a wrapped message; it leaves with the next `flush`."""
        self._outbox.append(message)

    def flush(self) -> None:
        """Hand what is queued to the socket in one write; cut the client off if too much waits there."""
        transport = self._transport
        if not self._outbox or transport is None:
            return
        data = b"".join(self._outbox)
        self._outbox.clear()
        if transport.is_close_frame_sent or transport.is_disconnected:
            return
        raw = transport.underlying_transport
        raw.write(data)
        waiting = raw.get_write_buffer_size()
        if waiting > self._settings.max_buffer:
            _log.warning(
                "slow client dropped: %d bytes wait for it, at most %d may",
                waiting,
                self._settings.max_buffer,
            )
            self._owner.handle_overflow(self)
            self.abort()

    def heartbeat(self) -> None:
        """Queue a heartbeat."""
        self._outbox.append(_HEARTBEAT)

    def close(self, code: WSCloseCode, reason: str) -> None:
        """Say goodbye and close the socket once everything is sent."""
        if self._transport is not None and not self._transport.is_disconnected:
            if not self._transport.is_close_frame_sent:
                self._transport.send_close(code, reason.encode())
            self._transport.disconnect()

    def abort(self) -> None:
        """Cut the TCP connection without a word."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # --- from picows --------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Greet the client."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=HIGH_WATER)
        connection_id = self._owner.handle_connected(self)
        self._watch_inactivity()
        self.queue(wrap_text(encode_status(connection_id)))
        self.flush()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame of the client, and answer once its message is whole."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self.close(WSCloseCode.OK, "")
            return
        if kind == WSMsgType.BINARY:
            self.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")
            return
        if kind not in (WSMsgType.TEXT, WSMsgType.CONTINUATION) or transport.is_close_frame_sent:
            return
        if (kind == WSMsgType.CONTINUATION) != bool(self._fragments):
            self.close(WSCloseCode.PROTOCOL_ERROR, "fragments out of order")
            return
        self._fragments.append(frame.get_payload_as_bytes())
        if sum(map(len, self._fragments)) > MAX_REQUEST or len(self._fragments) > MAX_REQUEST // 64:
            self.close(WSCloseCode.MESSAGE_TOO_BIG, f"at most {MAX_REQUEST} bytes")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._answer(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client."""
        for timer in (self._heartbeat_timer, self._inactivity_timer):
            if timer is not None:
                timer.cancel()
        self._session.close()
        self._owner.handle_disconnected(self)
        self.gone.set()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self.behind_since_ns = self._clock.monotonic_ns()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self.behind_since_ns = None
        self._owner.handle_changed()

    # --- inside -------------------------------------------------------------------------------------------

    def _answer(self, message: bytes) -> None:
        self._received_ns = self._clock.monotonic_ns()
        for frame in self._session.receive(message, self._received_ns):
            self.queue(wrap_text(frame))
        self.flush()
        if self._session.has_subscriptions:
            self._begin_heartbeats()
        self._owner.handle_changed()

    def _begin_heartbeats(self) -> None:
        if self._owner.is_simulated_time:
            if self.next_heartbeat_ns is None:
                self.next_heartbeat_ns = self._owner.exchange_now_ns() + HEARTBEAT_NS
        elif self._heartbeat_timer is None:
            due_ns = self._clock.monotonic_ns() + HEARTBEAT_NS
            self._heartbeat_timer = self._clock.call_at(due_ns, lambda: self._beat(due_ns))

    def _beat(self, due_ns: int) -> None:
        self._heartbeat_timer = None
        if not self._session.has_subscriptions:
            return
        # From the moment it was due, so that lateness does not add up.
        next_ns = max(due_ns + HEARTBEAT_NS, self._clock.monotonic_ns())
        self._heartbeat_timer = self._clock.call_at(next_ns, lambda: self._beat(next_ns))
        self.heartbeat()
        self.flush()

    def _watch_inactivity(self) -> None:
        """Close the connection once it was silent, and without subscription, for too long (PROTOCOL 2.5)."""
        now_ns = self._clock.monotonic_ns()
        allowed_ns = round(self._settings.inactivity * NS_PER_S)
        if self._session.has_subscriptions:
            due_ns = now_ns + allowed_ns
        else:
            due_ns = self._received_ns + allowed_ns
            if due_ns <= now_ns:
                self.close(WSCloseCode.OK, "inactive")
                return
        self._inactivity_timer = self._clock.call_at(due_ns, self._watch_inactivity)
