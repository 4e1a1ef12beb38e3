"""One open WebSocket over picows: frames in, whole text messages out, and exactly one end.

picows parses, masks and keeps the TLS and the proxy; it delivers single frames. What a message is, how large
it may be, how a connection is closed and what a listener is told is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import suppress

import picows

from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.net.messages import (
    ABNORMAL,
    INTERNAL_ERROR,
    NO_STATUS,
    NORMAL,
    PROTOCOL_ERROR,
    UNSUPPORTED_DATA,
    Assembler,
    Refused,
    is_utf8,
)
from krakenwire.net.transport import Closed, Listener

__all__ = ["WebSocketTransport"]

_log = logging.getLogger(__name__)

_TEXT = picows.WSMsgType.TEXT
_BINARY = picows.WSMsgType.BINARY
_CONTINUATION = picows.WSMsgType.CONTINUATION
_CLOSE = picows.WSMsgType.CLOSE
_PING = picows.WSMsgType.PING

_MAX_REASON_BYTES = 123
_MAX_WRITE_BUFFER = 1 << 20
# What TLS gets to say goodbye once there is nothing more to say; a reconnect waits for it.
_LINGER_NS = NS_PER_S // 4


class WebSocketTransport(picows.WSListener):
    """A `Transport` over one picows connection; made by `WebSocketConnector`.

    Args:
        listener: who is told.
        clock: what the close timeout is measured on.
        close_timeout: seconds until a close that the peer does not answer becomes an abort.
        max_message_bytes: the largest message accepted.
    """

    def __init__(self, listener: Listener, *, clock: Clock, close_timeout: float, max_message_bytes: int) -> None:
        self._listener = listener
        self._receive_frame = listener.receive_frame
        self._clock = clock
        self._close_timeout_ns = round(close_timeout * NS_PER_S)
        self._max_message_bytes = max_message_bytes
        self._assembler = Assembler(max_message_bytes)
        self._ws: picows.WSTransport
        self._timer: Timer | None = None
        # What came with the response to the upgrade waits here until `start`; None afterwards.
        self._held: list[tuple[bytes, bool]] | None = []
        self._outcome: Closed | None = None
        self._is_closing = False
        self._is_paused = False
        # True if a whole text frame may be handed on as it is, which is all but always.
        self._is_plain = False
        # True if the listener has not yet been told that the present read is over.
        self._is_read_open = False
        self._epilogue: asyncio.Task[None] | None = None

    # --- what the feed calls --------------------------------------------------------------------------------

    def send_text(self, text: bytes) -> None:
        """Queue one text message (UTF-8). Ignored once the connection is closing."""
        if not self._is_closing:
            self._ws.send(_TEXT, text)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin a clean close; the peer has until the close timeout to answer."""
        if self._is_closing:
            return
        self._end(Closed(code, reason, local=True))
        self._forget_held()
        self._send_close(code, reason)
        self._abort_after(self._close_timeout_ns)
        self._ws.underlying_transport.resume_reading()  # or the peer's answer would not be seen

    def abort(self, reason: str = "aborted by this side") -> None:
        """Drop the connection now, without a close handshake."""
        self._end(Closed(ABNORMAL, reason, local=True))
        self._forget_held()
        self._ws.disconnect(graceful=False)

    def pause_reading(self) -> None:
        """Stop reading the socket; what the present read holds is still delivered."""
        self._is_paused = True
        if not self._is_closing:
            self._ws.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._is_paused = False
        if self._held is None and not self._is_closing:
            self._ws.underlying_transport.resume_reading()

    def start(self) -> None:
        """Begin to deliver: the connector's last act, when its caller holds the transport."""
        held, self._held = self._held or [], None
        known = self._outcome
        for message, last_in_read in held:
            if self._outcome is not known:  # the listener closed or raised
                break
            self._deliver(message, last_in_read)
        if self._is_read_open and not self._is_closing:
            self._tell_read_end()
        if self._ws.is_disconnected:
            self._tell_closed()
        elif not self._is_closing:
            self._is_plain = not self._assembler.is_open
            if not self._is_paused:
                self._ws.underlying_transport.resume_reading()

    def abandon(self) -> None:
        """Drop a connection whose connect failed after all, now or when it opens; the listener is not told."""
        self._end(Closed(ABNORMAL, "abandoned", local=True))
        ws = getattr(self, "_ws", None)
        if ws is not None:
            ws.disconnect(graceful=False)

    # --- what picows calls ----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The upgrade succeeded; nothing more is read until `start`."""
        self._ws = transport
        if self._is_closing:
            transport.disconnect(graceful=False)
            return
        transport.underlying_transport.set_write_buffer_limits(high=_MAX_WRITE_BUFFER)
        transport.underlying_transport.pause_reading()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """One frame. This is the hot path: a whole text message costs one copy and one call."""
        if (
            self._is_plain
            and frame.msg_type is _TEXT
            and frame.fin
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3 or transport.is_close_frame_sent)
        ):
            message = frame.get_payload_as_bytes()
            if message.isascii() or is_utf8(message):
                last_in_read = frame.last_in_buffer == 1
                self._is_read_open = not last_in_read
                try:
                    self._receive_frame(message, last_in_read)
                except Exception as error:  # whatever a listener raises ends the connection in order
                    self._listener_failed(error)
                return
        self._receive_other(transport, frame)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The socket is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._outcome is None:
            handshake = transport.close_handshake
            # Set if picows refused what it could not parse. Its stub forgets that it may be None.
            if handshake is not None and handshake.sent is not None:  # type: ignore[redundant-expr]
                self._end(Closed(handshake.sent.code.value, handshake.sent.reason, local=True))
            else:
                self._end(Closed(ABNORMAL, "the socket ended without a close frame", local=False))
        self._epilogue = asyncio.get_running_loop().create_task(_retrieve_error(transport))
        if self._held is None:
            self._tell_closed()

    def pause_writing(self) -> None:
        """The peer does not read and our bounded buffer is full: there is nobody to talk to."""
        self._end(Closed(ABNORMAL, "the peer does not read what is sent to it", local=True))
        self._ws.disconnect(graceful=False)

    def resume_writing(self) -> None:
        """The buffer drained while the connection was being dropped."""

    # --- all but whole text frames --------------------------------------------------------------------------

    def _receive_other(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if not self._is_closing:
            self._receive_open(transport, frame)
        elif frame.msg_type is _CLOSE:  # the answer to our own
            self._let_go()

    def _receive_open(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        # picows parses one frame ahead: it has refused what follows this one, or this one for its size.
        is_last = transport.is_close_frame_sent
        if is_last and frame.payload_size > self._max_message_bytes:
            return
        try:
            message = self._receive(transport, frame)
        except Refused as refused:
            self._drop(Closed(refused.code, refused.reason, local=True))
            return
        self._is_plain = not (self._is_closing or self._assembler.is_open or self._held is not None or is_last)
        last_in_read = frame.last_in_buffer == 1
        if self._held is not None:
            if message is not None:
                self._held.append((message, last_in_read))
        elif message is not None:
            self._deliver(message, last_in_read)
        elif last_in_read and self._is_read_open and not self._is_closing:
            self._tell_read_end()

    def _receive(self, transport: picows.WSTransport, frame: picows.WSFrame) -> bytes | None:
        """Act on a frame; the message, if it completes one."""
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise Refused(PROTOCOL_ERROR, "a reserved bit is set, though no extension was agreed on")
        kind = frame.msg_type
        if kind is _TEXT:
            return self._assembler.receive_text(frame.get_payload_as_bytes(), bool(frame.fin))
        if kind is _CONTINUATION:
            return self._assembler.receive_continuation(frame.get_payload_as_bytes(), bool(frame.fin))
        if kind is _BINARY:
            raise Refused(UNSUPPORTED_DATA, "a binary message came; only text is accepted")
        if kind is _PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self._receive_close(frame.get_close_code().value or NO_STATUS, frame.get_close_reason() or "")
        return None

    def _receive_close(self, code: int, reason: str) -> None:
        """The peer closes: answer with its own code and let the socket go."""
        self._drop(Closed(code, reason, local=False), answer=NORMAL if code in (NO_STATUS, ABNORMAL) else code)

    # --- what the listener is told --------------------------------------------------------------------------

    def _deliver(self, message: bytes, last_in_read: bool) -> None:
        self._is_read_open = not last_in_read
        try:
            self._receive_frame(message, last_in_read)
        except Exception as error:  # whatever a listener raises ends the connection in order
            self._listener_failed(error)

    def _tell_read_end(self) -> None:
        self._is_read_open = False
        try:
            self._listener.receive_read_end()
        except Exception as error:  # as in _deliver
            self._listener_failed(error)

    def _tell_closed(self) -> None:
        assert self._outcome is not None  # noqa: S101  # set before, in on_ws_disconnected
        try:
            self._listener.receive_closed(self._outcome)
        except Exception as error:  # the connection is over anyway
            _log_raised(error)

    def _listener_failed(self, error: Exception) -> None:
        _log_raised(error)
        self._drop(Closed(INTERNAL_ERROR, f"the listener raised {type(error).__name__}", local=True))

    # --- the end --------------------------------------------------------------------------------------------

    def _end(self, outcome: Closed) -> None:
        """Deliver nothing more; the first outcome is the one that counts."""
        self._is_closing = True
        self._is_plain = False
        if self._outcome is None:
            self._outcome = outcome

    def _forget_held(self) -> None:
        """The owner wants no more, not even what came before the connect returned."""
        if self._held:
            self._held.clear()

    def _drop(self, outcome: Closed, answer: int | None = None) -> None:
        """Send a close frame and let the socket go without waiting for the peer's."""
        if self._is_closing:
            return
        self._end(outcome)
        if outcome.local:
            _log.warning("closing the connection with %d: %s", outcome.code, outcome.reason)
        self._send_close(answer or outcome.code, outcome.reason if outcome.local else "")
        self._let_go()

    def _send_close(self, code: int, reason: str) -> None:
        text = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
        self._ws.send_close(picows.WSCloseCode(code), text)

    def _let_go(self) -> None:
        """Close the socket once what was written is sent."""
        self._abort_after(min(_LINGER_NS, self._close_timeout_ns))
        self._ws.underlying_transport.resume_reading()  # TLS ends with an answer, too
        self._ws.disconnect()

    def _abort_after(self, delay_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline_ns = self._clock.monotonic_ns() + delay_ns
        self._timer = self._clock.call_at(deadline_ns, lambda: self._ws.disconnect(graceful=False))


async def _retrieve_error(transport: picows.WSTransport) -> None:
    """Take the error that picows keeps for a waiter, or asyncio would complain that nobody asked for it."""
    with suppress(Exception):
        await transport.wait_disconnected()


def _log_raised(error: Exception) -> None:
    """Log where a listener raised; not the text of the error, which may quote a frame."""
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error("the listener raised %s\n%s", type(error).__name__, where)
