"""The public channels of v2 as they are on the wire, and their conversion into events (PROTOCOL 3).

Wire shapes are msgspec Structs: numbers are exact `Decimal`s with their zeros, whether they came as JSON
numbers or as strings; what PROTOCOL calls optional is optional. A field that is not known here harms nothing:
the frame's events are followed by a `Raw` with the whole of it. The book is not here: its frames go straight
into the kernel, and its events carry them. A decoder takes the frame and where it came from, and returns one
event per element, or raises one of `scalars.DECODE_ERRORS`: a frame is decoded whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

import msgspec

from krakenwire.events import (
    Asset,
    Heartbeat,
    Instrument,
    Message,
    MessageType,
    Ohlc,
    Raw,
    Side,
    Source,
    Stamp,
    SystemStatus,
    Ticker,
    Trade,
)
from krakenwire.protocol.wire.scalars import ABSENT, check_numbers, count, parse_timestamp, text, whole

__all__ = ["CHANNEL_DECODERS", "ChannelDecoder", "integer_or_text"]

ChannelDecoder = Callable[[bytes, Stamp, int, int], list[Message]]
"""(frame, stamp, n, seq) -> the events of the frame."""

Precision = Annotated[int, msgspec.Meta(ge=0, le=64)]


# --- wire shapes --------------------------------------------------------------------------------------------


class WireTrade(msgspec.Struct, gc=False):
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    ord_type: str
    trade_id: int
    timestamp: str


class TradeFrame(msgspec.Struct, gc=False):
    channel: Literal["trade"]
    type: MessageType
    data: list[WireTrade]


class WireTicker(msgspec.Struct, gc=False):
    symbol: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    last: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    change: Decimal | None = None
    change_pct: Decimal | None = None
    timestamp: str | None = None


class TickerFrame(msgspec.Struct, gc=False):
    channel: Literal["ticker"]
    type: MessageType
    data: list[WireTicker]


class WireOhlc(msgspec.Struct, gc=False):
    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    trades: Decimal
    interval: int
    interval_begin: str
    timestamp: msgspec.Raw = ABSENT  # deprecated


class OhlcFrame(msgspec.Struct, gc=False):
    channel: Literal["ohlc"]
    type: MessageType
    data: list[WireOhlc]
    timestamp: str | None = None


class WireAsset(msgspec.Struct, gc=False):
    id: str
    status: str
    precision: Precision
    precision_display: Precision
    borrowable: bool = False
    collateral_value: Decimal | None = None
    margin_rate: Decimal | None = None
    multiplier: Decimal | None = None
    class_: msgspec.Raw = msgspec.field(default=ABSENT, name="class")


class WirePair(msgspec.Struct, gc=False):
    symbol: str
    base: str
    quote: str
    status: str
    price_precision: Precision
    qty_precision: Precision
    cost_precision: Precision
    qty_increment: Decimal
    qty_min: Decimal
    price_increment: Decimal | None = None
    tick_size: Decimal | None = None  # its deprecated name
    cost_min: Decimal | None = None
    marginable: bool = False
    has_index: bool = False
    margin_initial: Decimal | None = None
    position_limit_long: Decimal | None = None
    position_limit_short: Decimal | None = None
    ws_display_price_precision: msgspec.Raw = ABSENT


class WireReference(msgspec.Struct, gc=False):
    assets: list[WireAsset] = []
    pairs: list[WirePair] = []


class InstrumentFrame(msgspec.Struct, gc=False):
    channel: Literal["instrument"]
    type: MessageType
    data: WireReference


class WireStatus(msgspec.Struct, gc=False):
    system: str
    api_version: str | None = None
    version: str | None = None
    connection_id: msgspec.Raw = ABSENT


class StatusFrame(msgspec.Struct, gc=False):
    channel: Literal["status"]
    data: list[WireStatus]
    type: msgspec.Raw = ABSENT


class HeartbeatFrame(msgspec.Struct, gc=False):
    channel: Literal["heartbeat"]


# --- conversion ---------------------------------------------------------------------------------------------


def _trade(message: TradeFrame, stamp: Stamp, n: int, seq: int) -> list[Message]:
    """One `Trade` per element; those of a snapshot have the source `snapshot` (PROTOCOL 3.7)."""
    source: Source = "live" if message.type == "update" else "snapshot"
    events: list[Message] = []
    for item in message.data:
        check_numbers(item.price, item.qty)
        events.append(
            Trade(
                stamp=stamp,
                n=n,
                seq=seq,
                symbol=item.symbol,
                side=item.side,
                price=item.price,
                qty=item.qty,
                ord_type=item.ord_type,
                trade_id=item.trade_id,
                exchange_ns=parse_timestamp(item.timestamp),
                source=source,
            )
        )
    return events


def _ticker(message: TickerFrame, stamp: Stamp, n: int, seq: int) -> list[Message]:
    """One `Ticker` per element (PROTOCOL 3.4); captures older than the field have no timestamp."""
    events: list[Message] = []
    for item in message.data:
        check_numbers(
            item.bid,
            item.bid_qty,
            item.ask,
            item.ask_qty,
            item.last,
            item.volume,
            item.vwap,
            item.low,
            item.high,
            item.change,
            item.change_pct,
        )
        events.append(
            Ticker(
                stamp=stamp,
                n=n,
                seq=seq,
                symbol=item.symbol,
                type=message.type,
                bid=item.bid,
                bid_qty=item.bid_qty,
                ask=item.ask,
                ask_qty=item.ask_qty,
                last=item.last,
                volume=item.volume,
                vwap=item.vwap,
                low=item.low,
                high=item.high,
                change=item.change,
                change_pct=item.change_pct,
                exchange_ns=_optional_time(item.timestamp),
            )
        )
    return events


def _ohlc(message: OhlcFrame, stamp: Stamp, n: int, seq: int) -> list[Message]:
    """One `Ohlc` per candle (PROTOCOL 3.8); `exchange_ns` is the frame's own timestamp."""
    exchange_ns = _optional_time(message.timestamp)
    source: Source = "live" if message.type == "update" else "snapshot"
    events: list[Message] = []
    for item in message.data:
        check_numbers(item.open, item.high, item.low, item.close, item.vwap, item.volume)
        events.append(
            Ohlc(
                stamp=stamp,
                n=n,
                seq=seq,
                symbol=item.symbol,
                type=message.type,
                interval=item.interval,
                interval_begin_ns=parse_timestamp(item.interval_begin),
                open=item.open,
                high=item.high,
                low=item.low,
                close=item.close,
                vwap=item.vwap,
                volume=item.volume,
                trades=count(item.trades),
                exchange_ns=exchange_ns,
                source=source,
            )
        )
    return events


def _instrument(message: InstrumentFrame, stamp: Stamp, n: int, seq: int) -> list[Message]:
    """First one `Asset` per asset, then one `Instrument` per pair (PROTOCOL 3.9)."""
    events: list[Message] = []
    for asset in message.data.assets:
        check_numbers(asset.collateral_value, asset.margin_rate, asset.multiplier)
        events.append(
            Asset(
                stamp=stamp,
                n=n,
                seq=seq,
                id=asset.id,
                type=message.type,
                status=asset.status,
                precision=asset.precision,
                precision_display=asset.precision_display,
                borrowable=asset.borrowable,
                collateral_value=asset.collateral_value,
                margin_rate=asset.margin_rate,
                multiplier=asset.multiplier,
            )
        )
    for pair in message.data.pairs:
        price_increment = pair.tick_size if pair.price_increment is None else pair.price_increment
        if price_increment is None:
            raise ValueError(f"expected a price_increment for {pair.symbol}, got none")
        check_numbers(price_increment, pair.qty_increment, pair.qty_min, pair.cost_min, pair.margin_initial)
        events.append(
            Instrument(
                stamp=stamp,
                n=n,
                seq=seq,
                symbol=pair.symbol,
                type=message.type,
                base=pair.base,
                quote=pair.quote,
                status=pair.status,
                price_precision=pair.price_precision,
                qty_precision=pair.qty_precision,
                cost_precision=pair.cost_precision,
                price_increment=price_increment,
                qty_increment=pair.qty_increment,
                qty_min=pair.qty_min,
                cost_min=pair.cost_min,
                marginable=pair.marginable,
                has_index=pair.has_index,
                margin_initial=pair.margin_initial,
                position_limit_long=_optional_count(pair.position_limit_long),
                position_limit_short=_optional_count(pair.position_limit_short),
            )
        )
    return events


def _status(message: StatusFrame, stamp: Stamp, n: int, seq: int) -> list[Message]:
    """One `SystemStatus` per element (PROTOCOL 3.1); `connection_id` is an integer, text, or None."""
    return [
        SystemStatus(
            stamp=stamp,
            n=n,
            seq=seq,
            system=item.system,
            api_version=item.api_version,
            version=item.version,
            connection_id=integer_or_text(item.connection_id),
        )
        for item in message.data
    ]


def _heartbeat(_message: HeartbeatFrame, stamp: Stamp, n: int, seq: int) -> list[Message]:
    """A `Heartbeat` (PROTOCOL 3.2)."""
    return [Heartbeat(stamp=stamp, n=n, seq=seq)]


def integer_or_text(raw: msgspec.Raw) -> int | str | None:
    """An id that is an integer on the live wire and text in redacted captures."""
    number = whole(raw)
    return text(raw) if number is None else number


def _optional_time(timestamp: str | None) -> int | None:
    return None if timestamp is None else parse_timestamp(timestamp)


def _optional_count(number: Decimal | None) -> int | None:
    return None if number is None else count(number)


# --- decoding -----------------------------------------------------------------------------------------------

_Frame = TypeVar("_Frame")

_UNKNOWN_FIELD = "Object contains unknown field "


class _Decoder(Generic[_Frame]):
    """From the bytes of a channel's frame to its events.

    Args:
        channel: Kraken's name.
        shape: its frames.
        convert: makes events of a decoded frame.
    """

    def __init__(
        self, channel: str, shape: type[_Frame], convert: Callable[[_Frame, Stamp, int, int], list[Message]]
    ) -> None:
        self._channel = channel
        self._known: msgspec.json.Decoder[_Frame] = msgspec.json.Decoder(_refusing_unknown(shape))
        self._lenient = msgspec.json.Decoder(shape)
        self._convert = convert

    def __call__(self, frame: bytes, stamp: Stamp, n: int, seq: int) -> list[Message]:
        try:
            return self._convert(self._known.decode(frame), stamp, n, seq)
        except msgspec.ValidationError as error:
            unknown = str(error)
            if not unknown.startswith(_UNKNOWN_FIELD):
                raise
        events = self._convert(self._lenient.decode(frame), stamp, n, seq)
        reason = f"unknown field {unknown.removeprefix(_UNKNOWN_FIELD)[:_LONGEST_REASON]}"
        events.append(Raw(stamp=stamp, n=n, seq=seq, name=self._channel, reason=reason, frame=frame))
        return events


_LONGEST_REASON = 100  # characters: the name is Kraken's


def _refusing_unknown(shape: Any) -> Any:
    """A wire shape that refuses the fields it does not know, as do the shapes in it."""
    if get_origin(shape) is list:
        return list[_refusing_unknown(get_args(shape)[0])]  # type: ignore[misc]  # a type made at run time
    if not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
        return shape
    inner: list[tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(shape):
        refusing = _refusing_unknown(field.type)
        if refusing is not field.type:
            default: Any = {"default": field.default, "default_factory": field.default_factory}
            inner.append((field.name, refusing, msgspec.field(**default)))
    return msgspec.defstruct(
        shape.__name__, inner, bases=(shape,), module=__name__, kw_only=True, gc=False, forbid_unknown_fields=True
    )


CHANNEL_DECODERS: Mapping[str, ChannelDecoder] = MappingProxyType(
    {
        "trade": _Decoder("trade", TradeFrame, _trade),
        "ticker": _Decoder("ticker", TickerFrame, _ticker),
        "ohlc": _Decoder("ohlc", OhlcFrame, _ohlc),
        "instrument": _Decoder("instrument", InstrumentFrame, _instrument),
        "status": _Decoder("status", StatusFrame, _status),
        "heartbeat": _Decoder("heartbeat", HeartbeatFrame, _heartbeat),
    }
)
"""The channels decoded here, by Kraken's name."""
