"""The answers to methods: acknowledgements, replies, pongs, in every form they were seen in (PROTOCOL 2.2).

An answer to subscribe or unsubscribe is an `Ack`: not an event, for a session first finds out which wish it
answers. Every other answer is an event at once. Answers are read leniently, field by field: one that is not
understood would leave somebody waiting.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from krakenwire.events import ExchangeError, Pong, Raw, Reply, Stamp
from krakenwire.protocol.wire.scalars import ABSENT, text, whole

__all__ = ["Ack", "AckMethod", "Answer", "Envelope", "decode_answer", "decode_global_error"]

AckMethod = Literal["subscribe", "unsubscribe"]


class Ack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer to subscribe or unsubscribe, of v2 or (as `subscriptionStatus`) of v1.

    Attributes:
        method: what is answered. A v1 error does not tell, and is taken for the answer to a subscribe.
        success: False also where the answer does not say.
        req_id: the request's, None if it had none.
        channel: Kraken's channel without v1's suffix; None on most failures.
        symbol: normalised where it came in v1's spelling; None where the answer names none.
        depth, interval, event_trigger, snapshot: as echoed, None where they were not.
        error: Kraken's text; None on success, and on a failure that gives no reason.
        warnings: Kraken's texts.
        result: the answer's `result` as it came, undecoded, or None.
        time_in, time_out: when Kraken received and answered the request, as text.
        wire_name: the pair exactly as it was on the wire (v1's `XBT/USD`), or None.
    """

    method: AckMethod
    success: bool
    req_id: int | None = None
    channel: str | None = None
    symbol: str | None = None
    depth: int | None = None
    interval: int | None = None
    event_trigger: str | None = None
    snapshot: bool | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    result: bytes | None = None
    time_in: str | None = None
    time_out: str | None = None
    wire_name: str | None = None


Answer = Ack | Reply | Pong | Raw


class Envelope(msgspec.Struct, gc=False):
    """The top level of any v2 object, every value still undecoded."""

    channel: msgspec.Raw = ABSENT
    method: msgspec.Raw = ABSENT
    event: msgspec.Raw = ABSENT
    params: msgspec.Raw = ABSENT
    req_id: msgspec.Raw = ABSENT
    success: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    global_error: msgspec.Raw = msgspec.field(default=ABSENT, name="Error")
    symbol: msgspec.Raw = ABSENT
    orders_cancelled: msgspec.Raw = ABSENT
    time_in: msgspec.Raw = ABSENT
    time_out: msgspec.Raw = ABSENT


class _Result(msgspec.Struct, gc=False):
    channel: msgspec.Raw = ABSENT
    symbol: msgspec.Raw = ABSENT
    depth: msgspec.Raw = ABSENT
    interval: msgspec.Raw = ABSENT
    event_trigger: msgspec.Raw = ABSENT
    snapshot: msgspec.Raw = ABSENT
    warnings: msgspec.Raw = ABSENT


_result = msgspec.json.Decoder(_Result)
_raws = msgspec.json.Decoder(list[msgspec.Raw])

_SYMBOL_IN_ERROR = re.compile(r"Currency pair not (?:supported|in ISO 4217-A3 format) (\S+)\Z")
"""Failed acks need not have a symbol; these two texts name it (PROTOCOL 2.2, 9.7)."""


def decode_answer(envelope: Envelope, frame: bytes, stamp: Stamp, n: int, seq: int) -> Answer | None:
    """What an object with a `method` is: an answer, or a recorded request.

    Returns:
        `Ack` for subscribe and unsubscribe; `Pong` for a pong without an error; `Raw` with the reason
        `request` for a request; `Reply` for everything else, a refused ping (which comes with the method
        `ping`) included; None if it has no method.
    """
    method = text(envelope.method)
    if method is None:
        return None
    if _is_request(method, envelope):
        return Raw(stamp=stamp, n=n, seq=seq, name=method, reason="request", frame=frame)
    req_id = whole(envelope.req_id)
    success = bytes(envelope.success) == b"true"
    error = None if success else _words(envelope.error)
    if method == "pong" and error is None and bytes(envelope.success) != b"false":
        time_in, time_out = text(envelope.time_in), text(envelope.time_out)
        return Pong(stamp=stamp, n=n, seq=seq, req_id=req_id, time_in=time_in, time_out=time_out)
    result = _result.decode(envelope.result) if bytes(envelope.result).startswith(b"{") else _Result()
    if method in ("subscribe", "unsubscribe"):
        symbol = text(result.symbol) or text(envelope.symbol) or _symbol_in(error)
        return Ack(
            method="subscribe" if method == "subscribe" else "unsubscribe",
            success=success,
            req_id=req_id,
            channel=text(result.channel),
            symbol=symbol,
            depth=whole(result.depth),
            interval=whole(result.interval),
            event_trigger=text(result.event_trigger),
            snapshot=_boolean(result.snapshot),
            error=error,
            warnings=_texts(result.warnings),
            result=_undecoded(envelope.result),
            time_in=text(envelope.time_in),
            time_out=text(envelope.time_out),
            wire_name=symbol,
        )
    return Reply(
        stamp=stamp,
        n=n,
        seq=seq,
        method=method,
        success=success,
        req_id=req_id,
        error=error,
        symbol=text(envelope.symbol),
        result=_undecoded(envelope.result),
        orders_cancelled=whole(envelope.orders_cancelled),
        warnings=_texts(result.warnings),
        time_in=text(envelope.time_in),
        time_out=text(envelope.time_out),
    )


def decode_global_error(envelope: Envelope, stamp: Stamp, n: int, seq: int) -> ExchangeError | None:
    """An error that names no method, spelled `error` or `Error` (PROTOCOL 9.3); None if there is none."""
    error = _words(envelope.error) or _words(envelope.global_error)
    if error is None:
        return None
    return ExchangeError(stamp=stamp, n=n, seq=seq, error=error, req_id=whole(envelope.req_id))


def _is_request(method: str, envelope: Envelope) -> bool:
    if any(bytes(part) for part in (envelope.success, envelope.result, envelope.error, envelope.time_in)):
        return False
    return method == "ping" or bool(bytes(envelope.params))


def _words(raw: msgspec.Raw) -> str | None:
    """Kraken's error text; where it is no string (REST sends arrays), its JSON."""
    value = bytes(raw)
    if value in (b"", b"null"):
        return None
    return text(raw) if value.startswith(b'"') else value.decode()


def _symbol_in(error: str | None) -> str | None:
    match = _SYMBOL_IN_ERROR.match(error or "")
    return match[1] if match else None


def _boolean(raw: msgspec.Raw) -> bool | None:
    return {b"true": True, b"false": False}.get(bytes(raw))


def _texts(raw: msgspec.Raw) -> tuple[str, ...]:
    if not bytes(raw).startswith(b"["):
        return ()
    return tuple(words for item in _raws.decode(raw) if (words := text(item)) is not None)


def _undecoded(raw: msgspec.Raw) -> bytes | None:
    value = bytes(raw)
    return None if value in (b"", b"null") else value
