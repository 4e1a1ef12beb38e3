"""What a client may send, read strictly, and the text of the answers to it (PROTOCOL 2)."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

from .candles import INTERVALS
from .feed import Stream
from .ladder import DEPTHS
from .wire import format_time

__all__ = ["Refused", "Request", "encode_ack", "encode_pong", "encode_refusal", "read_request", "unlisted"]

MAX_SYMBOLS = 2000
"""Symbols in one message; Kraken publishes no such limit, and lists fewer."""

MAX_REQ_ID = 2**63 - 1

_SYMBOL = re.compile(r"[A-Z0-9.]+/[A-Z0-9.]+")
_PRIVATE_CHANNELS = ("executions", "balances", "level3")
_FIELDS = {
    "book": {"symbol", "depth", "snapshot"},
    "ticker": {"symbol", "event_trigger", "snapshot"},
    "trade": {"symbol", "snapshot"},
    "ohlc": {"symbol", "interval", "snapshot"},
    "instrument": {"snapshot", "include_tokenized_assets", "execution_venue"},
}
_WARNINGS = {
    "ohlc": ["timestamp is deprecated, use interval_begin"],
    "instrument": ["tick_size is deprecated, use price_increment"],
}
_VARIANT_NAMES = {"book": "depth", "ticker": "event_trigger", "ohlc": "interval"}


class Request(NamedTuple):
    """A request that is well formed; whether its symbols exist is not yet known.

    `streams` is one for each symbol asked for, in order; empty for a ping.
    """

    method: Literal["subscribe", "unsubscribe", "ping"]
    req_id: int | None
    streams: tuple[Stream, ...] = ()
    snapshot: bool = True


class Refused(Exception):
    """A request that is refused as a whole, with Kraken's words for it."""

    def __init__(self, error: str, method: str | None = None, req_id: int | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.method = method
        self.req_id = req_id


def read_request(frame: bytes) -> Request:
    """Read one message of a client.

    Raises:
        Refused: it is not what the protocol allows; nothing of it is to be done.
    """
    try:
        message = msgspec.json.decode(frame)
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
    if method not in ("subscribe", "unsubscribe", "ping"):
        raise Refused("Unsupported event", method, req_id)
    allowed = {"method", "req_id"} if method == "ping" else {"method", "req_id", "params"}
    _refuse_unknown(message, allowed, method, req_id)
    if method == "ping":
        return Request("ping", req_id)
    if not isinstance(params, dict):
        raise Refused("Malformed request", method, req_id)
    try:
        streams, snapshot = _read_params(params, method, req_id)
    except _Wrong as wrong:
        raise Refused(str(wrong), method, req_id) from None
    return Request("subscribe" if method == "subscribe" else "unsubscribe", req_id, streams, snapshot)


class _Wrong(Exception):
    """A parameter that is refused."""


def _read_params(params: dict[str, object], method: str, req_id: int | None) -> tuple[tuple[Stream, ...], bool]:
    channel = params.get("channel")
    if not isinstance(channel, str):
        raise _Wrong("Malformed request")
    if channel in ("status", "heartbeat"):
        # They flow by themselves, and asking for them is answered so (PROTOCOL 3.1).
        raise _Wrong("Symbol(s) not found")
    if channel in _PRIVATE_CHANNELS:
        raise _Wrong("Token(s) not found")
    if channel not in _FIELDS:
        raise _Wrong("Subscription name invalid")
    _refuse_unknown(params, _FIELDS[channel] | {"channel", "token"}, method, req_id)
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


def _read_variant(channel: str, params: dict[str, object]) -> int | str | None:
    if channel == "book":
        depth = params.get("depth", 10)
        if type(depth) is not int:
            raise _Wrong("Subscription book depth must be an integer")
        if depth not in DEPTHS:
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


def _refuse_unknown(fields: dict[str, object], allowed: set[str], method: str, req_id: int | None) -> None:
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
    answer: dict[str, object] = {
        "method": request.method,
        "req_id": request.req_id,
        "result": result,
        "success": True,
    }
    return _encode(answer, time_in, time_out)


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
