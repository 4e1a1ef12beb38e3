"""One function from the bytes of any frame to what it is.

A frame's first bytes choose a typed decoder; where they do not, or that decoder refuses, its top level is
read and says what it is or why it is nothing. Frames of the book channel take another way, into the kernel;
one that comes by here all the same is a `Raw`. Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import re

import msgspec

from krakenwire.events import NO_STAMP, Heartbeat, Message, Raw, Stamp, Undecodable
from krakenwire.protocol.wire import messages_v1
from krakenwire.protocol.wire.answers import Ack, Envelope, decode_answer, decode_global_error
from krakenwire.protocol.wire.messages import CHANNEL_DECODERS
from krakenwire.protocol.wire.scalars import DECODE_ERRORS, text
from krakenwire.protocol.wire.symbols import normalise

__all__ = ["PRIVATE_CHANNELS", "Decoded", "decode"]

PRIVATE_CHANNELS = frozenset({"executions", "balances", "level3", "openOrders", "ownTrades"})
"""Of v2 and of v1 (PROTOCOL 3.6, 4, 7.3)."""


Decoded = Message | Ack
"""What a frame turns into: events, or what a session must look at first."""

_HEARTBEAT = b'{"channel":"heartbeat"}'
_CHANNEL_PREFIX = b'{"channel":"'
_SHORT = len(_CHANNEL_PREFIX) + 3
_BY_PREFIX = {(_CHANNEL_PREFIX + name.encode())[:_SHORT]: decoder for name, decoder in CHANNEL_DECODERS.items()}
"""Three letters tell the channels apart; a decoder reads the whole name itself and refuses another's."""

_envelope = msgspec.json.Decoder(Envelope)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder(msgspec.Raw)

_AT_BYTE = re.compile(r" \(byte (\d+)\)\Z")
_TRAILING = "JSON is malformed: trailing characters"
_LONGEST_REASON = 300  # characters; a reason quotes what came, and that may be the whole frame


def decode(frame: bytes, *, stamp: Stamp = NO_STAMP, n: int = 0, seq: int = 0) -> list[Decoded]:
    """What a frame is, of either version of the protocol.

    Args:
        frame: one whole WebSocket message.
        stamp: which connection it came over, and when.
        n: the client-wide number of the input.
        seq: the arrival number on its connection.

    Returns:
        One event per element of the frame's data (none if it has none), or one `Ack`. What has no type here
        is one `Raw`: the book channel, a private channel, an unknown channel or event, a recorded request. So
        is, after its events, a public channel's frame with fields that are not known here.
        What is not JSON, or breaks the shape of something known, is one `Undecodable`, and nothing else of it
        is returned.
    """
    if frame == _HEARTBEAT:
        return [Heartbeat(stamp=stamp, n=n, seq=seq)]
    decoder = _BY_PREFIX.get(frame[:_SHORT])
    # msgspec does not check the UTF-8 of what it skips: only plain ASCII (all of the live wire) goes this way
    if decoder is not None and frame.isascii():
        try:
            return decoder(frame, stamp, n, seq)  # type: ignore[return-value]  # a list of some of what Decoded is
        except DECODE_ERRORS:
            pass  # the long way finds out whether it is another channel's, and says what is wrong
    try:
        return _decode_any(frame, stamp, n, seq)
    except DECODE_ERRORS as error:
        return [_undecodable(error, frame, stamp, n, seq)]


def _decode_any(frame: bytes, stamp: Stamp, n: int, seq: int) -> list[Decoded]:
    frame.decode()  # for its check of the UTF-8
    first = frame.lstrip()[:1]
    if first == b"{":
        return _decode_object(frame, stamp, n, seq)
    if first == b"[":
        return _decode_array(frame, stamp, n, seq)
    _any.decode(frame)
    return [_raw(None, "unknown message", frame, stamp=stamp, n=n, seq=seq)]


def _decode_object(frame: bytes, stamp: Stamp, n: int, seq: int) -> list[Decoded]:
    envelope = _envelope.decode(frame)
    channel = text(envelope.channel)
    if channel is not None:
        return _decode_channel(channel, frame, stamp, n, seq)
    answer = decode_answer(envelope, frame, stamp, n, seq)
    if answer is not None:
        return [answer]
    if text(envelope.event) is not None:
        return [messages_v1.decode_event(frame, stamp, n, seq)]
    error = decode_global_error(envelope, stamp, n, seq)
    return [_raw(None, "unknown message", frame, stamp=stamp, n=n, seq=seq) if error is None else error]


def _decode_channel(channel: str, frame: bytes, stamp: Stamp, n: int, seq: int) -> list[Decoded]:
    decoder = CHANNEL_DECODERS.get(channel)
    if decoder is None:
        return [_raw(channel, _why_raw(channel), frame, stamp=stamp, n=n, seq=seq)]
    return [*decoder(frame, stamp, n, seq)]


def _decode_array(frame: bytes, stamp: Stamp, n: int, seq: int) -> list[Decoded]:
    """A v1 array: `[channelID, payload…, channelName, pair]`, or `[payload, channelName, {…}]` if private."""
    items = _array.decode(frame)
    name = text(items[-2]) if len(items) >= 3 else None
    if name is None:
        return [_raw(None, "unknown message", frame, stamp=stamp, n=n, seq=seq)]
    channel, number = messages_v1.split_channel(name)
    decoder = messages_v1.PAYLOAD_DECODERS.get(channel)
    if decoder is None:
        return [_raw(name, _why_raw(channel), frame, stamp=stamp, n=n, seq=seq)]
    pair = text(items[-1])
    if pair is None or len(items) != 4:
        raise ValueError(f"expected [channelID, payload, {name!r}, pair], got {len(items)} elements")
    return [*decoder(items[1], messages_v1.Feed(normalise(pair), number), stamp, n, seq)]


def _why_raw(channel: str) -> str:
    if channel == "book":
        return "book channel"
    return "private channel" if channel in PRIVATE_CHANNELS else "unknown channel"


def _raw(name: str | None, reason: str, frame: bytes, *, stamp: Stamp, n: int, seq: int) -> Raw:
    return Raw(stamp=stamp, n=n, seq=seq, name=name, reason=reason, frame=frame)


def _undecodable(error: Exception, frame: bytes, stamp: Stamp, n: int, seq: int) -> Undecodable:
    reason, offset = str(error), None
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        reason, offset = "not UTF-8", error.start
    elif reason == "Input data was truncated":
        reason, offset = "not whole: JSON ends too early", len(frame)
    elif found := _AT_BYTE.search(reason):
        reason, offset = reason[: found.start()], int(found[1])
        if reason == _TRAILING:
            offset -= 1  # msgspec has read it by then
    return Undecodable(stamp=stamp, n=n, seq=seq, reason=reason[:_LONGEST_REASON], offset=offset, frame=frame)
