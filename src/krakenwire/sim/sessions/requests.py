"""What a client may send, read strictly, and the text of the answers to it (PROTOCOL 2)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec

from ..feed.feed import DEPTHS, INTERVALS, LEVEL3_DEPTHS
from ..feed.stream import Stream
from ..feed.wire import format_time

__all__ = [
    "Message",
    "Refused",
    "Request",
    "encode_ack",
    "encode_pong",
    "encode_refusal",
    "encode_result",
    "read_flag",
    "read_message",
    "read_request",
    "refuse_unknown",
    "unlisted",
]

MAX_SYMBOLS = 2000
"""Symbols in one message; Kraken publishes no such limit, and lists fewer."""

MAX_REQ_ID = 2**63 - 1

MAX_DIGITS = 100
"""Characters of a number with a fraction or an exponent: more is nobody's price."""

_SYMBOL = re.compile(r"[A-Z0-9.]+/[A-Z0-9.]+")
_PRIVATE_CHANNELS = ("executions", "balances", "level3")
_FIELDS: Mapping[str, Collection[str]] = {
    "book": {"symbol", "depth", "snapshot"},
    "ticker": {"symbol", "event_trigger", "snapshot"},
    "trade": {"symbol", "snapshot"},
    "ohlc": {"symbol", "interval", "snapshot"},
    "instrument": {"snapshot", "include_tokenized_assets", "execution_venue"},
    "level3": {"symbol", "depth", "snapshot"},
}
_BESIDE = ("users", "rebased")
"""Parameters of `balances` that the documentation has beside `params`, and Kraken's own tool in them (PROTOCOL 4.2)."""

_WARNINGS = {
    "ohlc": ["timestamp is deprecated, use interval_begin"],
    "instrument": ["tick_size is deprecated, use price_increment"],
}
_VARIANT_NAMES = {"book": "depth", "level3": "depth", "ticker": "event_trigger", "ohlc": "interval"}


class Message(NamedTuple):
    """A message of a client whose envelope is in order (PROTOCOL 2.1). `params` is empty where there are none."""

    method: str
    req_id: int | None
    params: dict[str, Any]


class Request(NamedTuple):
    """A subscription or its end, well formed; whether its symbols exist is not yet known.

    `streams` is one for each symbol asked for, in order.
    """

    method: Literal["subscribe", "unsubscribe"]
    req_id: int | None
    streams: tuple[Stream, ...]
    snapshot: bool = True


class Refused(Exception):
    """A request that is refused as a whole, with Kraken's words for it."""

    def __init__(self, error: str, method: str | None = None, req_id: int | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.method = method
        self.req_id = req_id


def _read_number(text: str) -> Decimal:
    """A number as exact as it was written."""
    if len(text) > MAX_DIGITS:
        raise ValueError("a number of too many digits")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("an exponent beyond all numbers") from None


_decoder = msgspec.json.Decoder(float_hook=_read_number)


def read_message(frame: bytes, methods: Collection[str]) -> Message:
    """Read the envelope of a client's message. Its numbers are `int`, or `Decimal` if written with a fraction.

    Args:
        frame: its bytes.
        methods: which there are here, besides `ping`.

    Raises:
        Refused: it is not what the protocol allows; nothing of it is to be done.
    """
    try:
        message = _decoder.decode(frame)
    except (ValueError, RecursionError):
        raise Refused("Malformed request") from None
    if not isinstance(message, dict):
        raise Refused("Malformed request")
    method, req_id, params = message.get("method"), message.get("req_id"), message.get("params")
    if not isinstance(method, str):
        method = None
    if req_id is not None and (type(req_id) is not int or abs(req_id) > MAX_REQ_ID):
        raise Refused("Malformed request", method)
    if method is None:
        raise Refused("Malformed request", None, req_id)
    if method == "ping":
        refuse_unknown(message, {"method", "req_id"}, method, req_id)
        return Message(method, req_id, {})
    if method not in methods:
        raise Refused("Unsupported event", method, req_id)
    beside = _BESIDE if isinstance(params, dict) and params.get("channel") == "balances" else ()
    refuse_unknown(message, {"method", "req_id", "params", *beside}, method, req_id)
    if not isinstance(params, dict):
        raise Refused("Malformed request", method, req_id)
    return Message(method, req_id, {**{name: message[name] for name in beside if name in message}, **params})


def read_request(message: Message, channels: Collection[str]) -> Request:
    """Read a `subscribe` or `unsubscribe` of market data.

    Args:
        message: its envelope.
        channels: which there are here.

    Raises:
        Refused: as `read_message`.
    """
    method, req_id, params = message
    try:
        streams, snapshot = _read_params(params, method, req_id, channels)
    except _Wrong as wrong:
        raise Refused(str(wrong), method, req_id) from None
    return Request("subscribe" if method == "subscribe" else "unsubscribe", req_id, streams, snapshot)


class _Wrong(Exception):
    """A parameter that is refused."""


def _read_params(
    params: dict[str, Any], method: str, req_id: int | None, channels: Collection[str]
) -> tuple[tuple[Stream, ...], bool]:
    channel = params.get("channel")
    if not isinstance(channel, str):
        raise _Wrong("Malformed request")
    if channel in ("status", "heartbeat"):
        # They flow by themselves, and asking for them is answered so (PROTOCOL 3.1).
        raise _Wrong("Symbol(s) not found")
    if channel not in channels:
        raise _Wrong("Token(s) not found" if channel in _PRIVATE_CHANNELS else "Subscription name invalid")
    refuse_unknown(params, {*_FIELDS[channel], "channel", "token"}, method, req_id)
    snapshot = params.get("snapshot", channel != "trade")
    if not isinstance(snapshot, bool):
        raise _Wrong("Malformed request")
    if channel == "instrument":
        return (Stream("instrument"),), snapshot
    variant = _read_variant(channel, params)
    symbols = params.get("symbol")
    if symbols is None or symbols == []:
        raise _Wrong("Symbol(s) not found")
    if not isinstance(symbols, list):
        raise _Wrong("Pair field must be an array")
    if len(symbols) > MAX_SYMBOLS or not all(isinstance(symbol, str) for symbol in symbols):
        raise _Wrong("Malformed request")
    return tuple(Stream(channel, symbol, variant) for symbol in symbols), snapshot


def _read_variant(channel: str, params: dict[str, Any]) -> int | str | None:
    if channel in ("book", "level3"):
        depth = params.get("depth", 10)
        if type(depth) is not int:
            raise _Wrong("Subscription book depth must be an integer")
        if depth not in (DEPTHS if channel == "book" else LEVEL3_DEPTHS):
            raise _Wrong("Subscription depth not supported")
        return depth
    if channel == "ohlc":
        interval = params.get("interval", 1)
        if type(interval) is not int:
            raise _Wrong("Subscription ohlc interval must be an integer")
        if interval not in INTERVALS:
            raise _Wrong("Subscription ohlc interval not supported")
        return interval
    if channel == "ticker":
        trigger = params.get("event_trigger", "trades")
        if trigger not in ("trades", "bbo"):
            raise _Wrong("Malformed request")
        return str(trigger)
    return None


def read_flag(message: Message, name: str, default: bool) -> bool:
    """A parameter that is true or false.

    Raises:
        Refused: it is neither.
    """
    value = message.params.get(name, default)
    if not isinstance(value, bool):
        raise Refused("Malformed request", message.method, message.req_id)
    return value


def refuse_unknown(fields: Collection[str], allowed: Collection[str], method: str, req_id: int | None) -> None:
    """Refuse a field that does not belong there (PROTOCOL 5).

    Raises:
        Refused: there is one; names it.
    """
    for name in fields:
        if name not in allowed:
            text = f"Unsupported field: '{name}' for the given msg type: {method}"
            raise Refused(text, method, req_id)


def unlisted(symbol: str) -> str:
    """Kraken's words for a symbol that it does not list (PROTOCOL 9.7)."""
    if _SYMBOL.fullmatch(symbol):
        return f"Currency pair not supported {symbol}"
    return f"Currency pair not in ISO 4217-A3 format {symbol}"


def encode_ack(request: Request, stream: Stream, time_in: int, time_out: int) -> bytes:
    """The answer to a subscribe or unsubscribe that was done, for one of its symbols."""
    result: dict[str, object] = {"channel": stream.channel}
    if stream.channel in _VARIANT_NAMES:
        result[_VARIANT_NAMES[stream.channel]] = stream.variant
    if request.method == "subscribe":
        result["snapshot"] = request.snapshot
    if stream.symbol is not None:
        result["symbol"] = stream.symbol
    if request.method == "subscribe" and stream.channel in _WARNINGS:
        result["warnings"] = _WARNINGS[stream.channel]
    return encode_result(request.method, request.req_id, result, time_in, time_out)


def encode_result(method: str, req_id: int | None, result: Mapping[str, object], time_in: int, time_out: int) -> bytes:
    """The answer to a request that was done (PROTOCOL 2.2)."""
    return _encode({"method": method, "req_id": req_id, "result": result, "success": True}, time_in, time_out)


def encode_refusal(refused: Refused, symbol: str | None, time_in: int, time_out: int) -> bytes:
    """The answer to a request that was refused, as a whole or for one symbol; it has no result."""
    answer: dict[str, object] = {
        "error": refused.error,
        "method": refused.method,
        "req_id": refused.req_id,
        "success": False,
        "symbol": symbol,
    }
    return _encode(answer, time_in, time_out)


def encode_pong(req_id: int | None, time_in: int, time_out: int) -> bytes:
    """The answer to a ping (PROTOCOL 3.3)."""
    return _encode({"method": "pong", "req_id": req_id}, time_in, time_out)


def _encode(answer: dict[str, object], time_in: int, time_out: int) -> bytes:
    present = {name: value for name, value in answer.items() if value is not None}
    present["time_in"] = format_time(time_in)
    present["time_out"] = format_time(time_out)
    return msgspec.json.encode(present)
