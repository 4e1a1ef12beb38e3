"""One client's socket: frames out in one write, messages in put together and bounded."""

from __future__ import annotations

import asyncio

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from .exchange import Exchange
from .feed.wire import wrap_texts
from .peer import Door, Peer

__all__ = ["MAX_REQUEST", "Connection"]

MAX_REQUEST = 256 * 1024
"""Bytes in one message of a client; a bigger one ends the connection."""

HIGH_WATER = 256 * 1024
"""Bytes not yet taken by the socket from which on a client counts as behind."""


class Connection(WSListener):
    """The socket of one client, and the wire of its peer.

    Args:
        exchange: which is told of the client once its upgrade is through.
        door: where it came in.
    """

    def __init__(self, exchange: Exchange, door: Door) -> None:
        super().__init__()
        self._exchange = exchange
        self._door: Door = door
        self._peer: Peer | None = None
        self._transport: WSTransport | None = None
        self._raw: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._size = 0

    # --- the peer's wire ------------------------------------------------------------------------------------

    def write(self, frames: list[bytes]) -> int:
        """Hand JSON texts to the socket in one write; returns how many bytes wait there."""
        transport, raw = self._transport, self._raw
        if transport is None or raw is None or transport.is_close_frame_sent or transport.is_disconnected:
            return 0
        if raw.is_closing():  # of TLS, the client may have said goodbye before picows knows
            return 0
        raw.write(wrap_texts(frames))
        return raw.get_write_buffer_size()

    def write_bytes(self, data: bytes) -> int:
        """Hand bytes of the stream of frames to the socket as they are; returns how many bytes wait there."""
        transport, raw = self._transport, self._raw
        if transport is None or raw is None or transport.is_close_frame_sent or transport.is_disconnected:
            return 0
        if raw.is_closing():  # of TLS, the client may have said goodbye before picows knows
            return 0
        raw.write(data)
        return raw.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Take nothing more from the socket, not even its end."""
        if self._raw is not None:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the socket again."""
        if self._raw is not None:
            self._raw.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close the socket once everything is sent."""
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode(code), reason.encode())
            transport.disconnect()

    def abort(self) -> None:
        """Cut the TCP connection without a word."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # --- from picows ----------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Introduce the client to the exchange, which greets it."""
        self._transport = transport
        self._raw = transport.underlying_transport
        self._raw.set_write_buffer_limits(high=HIGH_WATER)
        self._peer = self._exchange.connect(self._door, self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame of the client, and hand its message on once that is whole."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self.close(WSCloseCode.OK.value, "")
            return
        if kind == WSMsgType.BINARY:
            self.close(WSCloseCode.UNSUPPORTED_DATA.value, "text frames only")
            return
        if kind == WSMsgType.PING:
            self._pong(frame.get_payload_as_bytes())
            return
        if kind not in (WSMsgType.TEXT, WSMsgType.CONTINUATION) or transport.is_close_frame_sent:
            return
        if (kind == WSMsgType.CONTINUATION) != bool(self._fragments):
            self.close(WSCloseCode.PROTOCOL_ERROR.value, "fragments out of order")
            return
        payload = frame.get_payload_as_bytes()
        self._fragments.append(payload)
        self._size += len(payload)
        if self._size > MAX_REQUEST or len(self._fragments) > MAX_REQUEST // 64:
            self.close(WSCloseCode.MESSAGE_TOO_BIG.value, f"at most {MAX_REQUEST} bytes")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._size = 0
            if self._peer is not None:
                self._peer.receive(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the peer that it is over."""
        if self._peer is not None:
            self._peer.disconnected()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        if self._peer is not None:
            self._peer.pause_writing()

    def resume_writing(self) -> None:
        """The socket takes more."""
        if self._peer is not None:
            self._peer.resume_writing()

    # --- inside -------------------------------------------------------------------------------------------

    def _pong(self, payload: bytes) -> None:
        """Answer a ping; a client that does not read the answers is cut off as one that does not read frames."""
        transport, raw = self._transport, self._raw
        if transport is None or raw is None or transport.is_close_frame_sent or transport.is_disconnected:
            return
        if raw.is_closing():  # of TLS, the client may have said goodbye before picows knows
            return
        transport.send_pong(payload)
        if self._peer is not None:
            self._peer.check_waiting(raw.get_write_buffer_size())
