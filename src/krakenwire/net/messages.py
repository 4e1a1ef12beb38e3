"""From WebSocket frames to whole text messages, within bounds (RFC 6455, sections 5.4, 5.6 and 8.1). Pure."""

from __future__ import annotations

__all__ = ["Assembler", "Refused", "is_utf8"]

NORMAL = 1000
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS = 1005
ABNORMAL = 1006
INVALID_TEXT = 1007
TOO_BIG = 1009
INTERNAL_ERROR = 1011


class Refused(Exception):
    """The peer sent what is not accepted; the connection is to be closed with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{reason} (close code {code})")


def is_utf8(payload: bytes) -> bool:
    """Whether `payload` is valid UTF-8. ASCII, as nearly all of Kraken's frames are, costs one scan."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


class Assembler:
    """Joins the fragments of one text message at a time.

    Args:
        max_message_bytes: the largest whole message that is accepted.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._parts: bytearray | None = None

    @property
    def is_open(self) -> bool:
        """Whether a fragmented message is under way."""
        return self._parts is not None

    def receive_text(self, payload: bytes, fin: bool) -> bytes | None:
        """A text frame: the whole message, or None if it only begins one.

        Raises:
            Refused: inside a fragmented message, over the size, or not UTF-8.
        """
        if self._parts is not None:
            raise Refused(PROTOCOL_ERROR, "a new message began inside a fragmented one")
        if fin:
            return self._whole(payload)
        self._check_size(len(payload))
        self._parts = bytearray(payload)
        return None

    def receive_continuation(self, payload: bytes, fin: bool) -> bytes | None:
        """A continuation frame: the whole message, or None if more is to come.

        Raises:
            Refused: without a message under way, over the size, or not UTF-8.
        """
        parts = self._parts
        if parts is None:
            raise Refused(PROTOCOL_ERROR, "a continuation frame came without a message to continue")
        self._check_size(len(parts) + len(payload))
        parts += payload
        if not fin:
            return None
        self._parts = None
        return self._whole(bytes(parts))

    def _whole(self, message: bytes) -> bytes:
        self._check_size(len(message))
        if not is_utf8(message):
            raise Refused(INVALID_TEXT, "a text message is not valid UTF-8")
        return message

    def _check_size(self, size: int) -> None:
        if size > self._max_message_bytes:
            raise Refused(TOO_BIG, f"a message of at least {size} bytes exceeds the {self._max_message_bytes} accepted")
