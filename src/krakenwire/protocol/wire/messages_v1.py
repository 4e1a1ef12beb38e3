"""The public frames of v1, decoded to the same events as v2's: for recordings, never for a live connection.

Two shapes (PROTOCOL 7): objects with an `event`, and arrays `[channelID, payload, channelName, pair]`.
Symbols are normalised (`XBT/USD` is `BTC/USD`). What v1 does not tell is None. Its numbers are strings, and
exact.

How a v1 ticker becomes a `Ticker`: of each pair `[today, last 24 hours]` the second is taken, as v2's fields
are those of 24 hours: `volume` from `v`, `vwap` from `p`, `low` from `l`, `high` from `h`. `bid_qty` and
`ask_qty` are the lot volumes (third element of `b` and `a`), `last` is the price of `c`. `change` is `last`
minus the opening price of 24 hours ago (second element of `o`), exact; `change_pct` is None, for it would
have to be rounded; so is `exchange_ns`, for v1 sends none.

Trades have no trade_id, and a first batch of them looks like any other: their source is always `live`. A
`Spread` is v1's `spread` channel as it is; v2 tells the same by its ticker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

from krakenwire.errors import UsageError
from krakenwire.events import (
    ExchangeError,
    Heartbeat,
    Message,
    Ohlc,
    Pong,
    Raw,
    Side,
    Spread,
    Stamp,
    SystemStatus,
    Ticker,
    Trade,
)
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.messages import integer_or_text
from krakenwire.protocol.wire.requests import DEFAULT_OHLC_INTERVAL
from krakenwire.protocol.wire.scalars import ABSENT, check_numbers, text, whole
from krakenwire.protocol.wire.symbols import normalise

__all__ = ["PAYLOAD_DECODERS", "Feed", "decode_event", "epoch_ns", "split_channel"]

_REQUESTS = frozenset({"ping", "subscribe", "unsubscribe"})

_SIDES: Mapping[str, Side] = {"b": "buy", "s": "sell"}
_ORD_TYPES = {"m": "market", "l": "limit"}

_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])

NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S


# --- wire shapes --------------------------------------------------------------------------------------------


class WireEvent(msgspec.Struct, gc=False, rename="camel"):
    """Any object with an `event`; the values undecoded where they are read leniently."""

    event: str
    reqid: msgspec.Raw = ABSENT
    status: str | None = None
    version: str | None = None
    connection_id: msgspec.Raw = msgspec.field(default=ABSENT, name="connectionID")
    channel_name: str | None = None
    pair: msgspec.Raw = ABSENT
    subscription: msgspec.Raw = ABSENT
    error_message: str | None = None


class WireSubscription(msgspec.Struct, gc=False):
    name: str | None = None
    depth: int | None = None
    interval: int | None = None


class WireTrade(msgspec.Struct, gc=False, array_like=True):
    price: Decimal
    volume: Decimal
    time: str
    side: Literal["b", "s"]
    ord_type: str


class WirePrice(msgspec.Struct, gc=False, array_like=True):
    price: Decimal


class WireQuote(msgspec.Struct, gc=False, array_like=True):
    price: Decimal
    whole_lot_volume: msgspec.Raw
    lot_volume: Decimal


class WireDay(msgspec.Struct, gc=False, array_like=True):
    today: Decimal
    last_24_hours: Decimal


class WireTicker(msgspec.Struct, gc=False):
    a: WireQuote
    b: WireQuote
    c: WirePrice
    v: WireDay
    p: WireDay
    l: WireDay  # noqa: E741  # Kraken's letter for low
    h: WireDay
    o: WireDay


class WireOhlc(msgspec.Struct, gc=False, array_like=True):
    time: str
    end_time: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    count: int


class WireSpread(msgspec.Struct, gc=False, array_like=True):
    bid: Decimal
    ask: Decimal
    time: str
    bid_volume: Decimal
    ask_volume: Decimal


_event = msgspec.json.Decoder(WireEvent)
_subscription = msgspec.json.Decoder(WireSubscription)
_trades = msgspec.json.Decoder(list[WireTrade])
_ticker = msgspec.json.Decoder(WireTicker)
_ohlc = msgspec.json.Decoder(WireOhlc)
_spread = msgspec.json.Decoder(WireSpread)


# --- objects with an event ----------------------------------------------------------------------------------


def decode_event(frame: bytes, stamp: Stamp, n: int, seq: int) -> Message | Ack:
    """What an object with an `event` is (PROTOCOL 7.1).

    Raises:
        DECODE_ERRORS: it breaks the shape of an event that is known here.
    """
    message = _event.decode(frame)
    match message.event:
        case "heartbeat":
            return Heartbeat(stamp=stamp, n=n, seq=seq)
        case "pong":
            return Pong(stamp=stamp, n=n, seq=seq, req_id=whole(message.reqid))
        case "systemStatus":
            if message.status is None:
                raise ValueError("expected a status in systemStatus, got none")
            return SystemStatus(
                stamp=stamp,
                n=n,
                seq=seq,
                system=message.status,
                version=message.version,
                connection_id=integer_or_text(message.connection_id),
            )
        case "subscriptionStatus":
            return _ack(message)
        case "error":
            error = message.error_message or "error without a message"
            return ExchangeError(stamp=stamp, n=n, seq=seq, error=error, req_id=whole(message.reqid))
        case name:
            reason = "request" if name in _REQUESTS else "unknown event"
            return Raw(stamp=stamp, n=n, seq=seq, name=name, reason=reason, frame=frame)


def _ack(message: WireEvent) -> Ack:
    wanted = WireSubscription()
    if bytes(message.subscription).startswith(b"{"):
        wanted = _subscription.decode(message.subscription)
    pair = text(message.pair)
    channel, suffix = split_channel(message.channel_name or wanted.name or "")
    return Ack(
        method="unsubscribe" if message.status == "unsubscribed" else "subscribe",
        success=message.status in ("subscribed", "unsubscribed", "ok"),
        req_id=whole(message.reqid),
        channel=channel or None,
        symbol=None if pair is None else _symbol_of(pair),
        depth=suffix if channel == "book" and wanted.depth is None else wanted.depth,
        interval=suffix if channel == "ohlc" and wanted.interval is None else wanted.interval,
        error=message.error_message,
        wire_name=pair,
    )


def _symbol_of(pair: str) -> str:
    """A pair's symbol; the pair itself where it is none, for a refusal repeats what was asked (PROTOCOL 9.7)."""
    try:
        return normalise(pair)
    except UsageError:
        return pair


def split_channel(name: str) -> tuple[str, int | None]:
    """`book-100` is the channel `book` with 100; a name without a number is itself, with None."""
    channel, dash, number = name.rpartition("-")
    if dash and channel and number.isascii() and number.isdigit() and len(number) <= 9:
        return channel, int(number)
    return name, None


# --- arrays -------------------------------------------------------------------------------------------------


class Feed(NamedTuple):
    """What an array says beside its payload.

    Attributes:
        symbol: normalised.
        number: that in the channel's name (`ohlc-5`), or None.
    """

    symbol: str
    number: int | None


def _decode_trade(payload: msgspec.Raw, feed: Feed, stamp: Stamp, n: int, seq: int) -> list[Message]:
    events: list[Message] = []
    for item in _trades.decode(payload):
        check_numbers(item.price, item.volume)
        events.append(
            Trade(
                stamp=stamp,
                n=n,
                seq=seq,
                symbol=feed.symbol,
                side=_SIDES[item.side],
                price=item.price,
                qty=item.volume,
                ord_type=_ORD_TYPES.get(item.ord_type, item.ord_type),
                trade_id=None,
                exchange_ns=epoch_ns(item.time),
            )
        )
    return events


def _decode_ticker(payload: msgspec.Raw, feed: Feed, stamp: Stamp, n: int, seq: int) -> list[Message]:
    item = _ticker.decode(payload)
    check_numbers(
        *(number for quote in (item.a, item.b) for number in (quote.price, quote.lot_volume)),
        *(day.last_24_hours for day in (item.v, item.p, item.l, item.h, item.o)),
        item.c.price,
    )
    return [
        Ticker(
            stamp=stamp,
            n=n,
            seq=seq,
            symbol=feed.symbol,
            type="update",
            bid=item.b.price,
            bid_qty=item.b.lot_volume,
            ask=item.a.price,
            ask_qty=item.a.lot_volume,
            last=item.c.price,
            volume=item.v.last_24_hours,
            vwap=item.p.last_24_hours,
            low=item.l.last_24_hours,
            high=item.h.last_24_hours,
            change=_EXACT.subtract(item.c.price, item.o.last_24_hours),
            change_pct=None,
            exchange_ns=None,
        )
    ]


def _decode_ohlc(payload: msgspec.Raw, feed: Feed, stamp: Stamp, n: int, seq: int) -> list[Message]:
    item = _ohlc.decode(payload)
    check_numbers(item.open, item.high, item.low, item.close, item.vwap, item.volume)
    minutes = DEFAULT_OHLC_INTERVAL if feed.number is None else feed.number
    return [
        Ohlc(
            stamp=stamp,
            n=n,
            seq=seq,
            symbol=feed.symbol,
            type="update",
            interval=minutes,
            interval_begin_ns=epoch_ns(item.end_time) - minutes * NS_PER_MINUTE,
            open=item.open,
            high=item.high,
            low=item.low,
            close=item.close,
            vwap=item.vwap,
            volume=item.volume,
            trades=item.count,
            exchange_ns=epoch_ns(item.time),
        )
    ]


def _decode_spread(payload: msgspec.Raw, feed: Feed, stamp: Stamp, n: int, seq: int) -> list[Message]:
    item = _spread.decode(payload)
    check_numbers(item.bid, item.bid_volume, item.ask, item.ask_volume)
    return [
        Spread(
            stamp=stamp,
            n=n,
            seq=seq,
            symbol=feed.symbol,
            bid=item.bid,
            bid_qty=item.bid_volume,
            ask=item.ask,
            ask_qty=item.ask_volume,
            exchange_ns=epoch_ns(item.time),
        )
    ]


PayloadDecoder = Callable[[msgspec.Raw, Feed, Stamp, int, int], list[Message]]

PAYLOAD_DECODERS: Mapping[str, PayloadDecoder] = MappingProxyType(
    {"trade": _decode_trade, "ticker": _decode_ticker, "ohlc": _decode_ohlc, "spread": _decode_spread}
)
"""(payload, feed, stamp, n, seq) -> events, by the name of the channel (PROTOCOL 7.2)."""


def epoch_ns(seconds: str) -> int:
    """Seconds since the epoch with up to nine decimals, as text, to nanoseconds: exact.

    Raises:
        ValueError: it is not that.
    """
    whole_seconds, _, fraction = seconds.partition(".")
    digits = whole_seconds + fraction.ljust(9, "0")
    if not (digits.isascii() and digits.isdigit() and 0 < len(whole_seconds) <= 10 and len(fraction) <= 9):
        raise ValueError(f"expected seconds since the epoch with at most nine decimals, got {seconds[:40]!r}")
    return int(digits)
