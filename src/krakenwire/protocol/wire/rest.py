"""What the public REST API answers, read into events: the envelope, trades, candles (PROTOCOL 8.3, 9.7). No I/O."""

from __future__ import annotations

import enum
from decimal import Context, Decimal
from typing import Literal, NamedTuple

import msgspec

from krakenwire.events import Ohlc, Side, Stamp, Trade
from krakenwire.protocol.wire.scalars import ABSENT, DECODE_ERRORS, check_numbers, count
from krakenwire.protocol.wire.symbols import V1_ASSETS

__all__ = [
    "CANDLES_KEPT",
    "DECODE_ERRORS",
    "TRADES_PER_PAGE",
    "RestTrouble",
    "TradePage",
    "classify_rest",
    "decode_candles",
    "decode_envelope",
    "decode_trades",
    "pair_spellings",
]

TRADES_PER_PAGE = 1000
"""The most that one `Trades` gives (PROTOCOL 8.3)."""

CANDLES_KEPT = 720
"""The most that `OHLC` gives, whatever is asked for; there is no older one to be had (PROTOCOL 8.3)."""

_NS_PER_S = 1_000_000_000
_MAX_CURSOR_DIGITS = 20
_MAX_ID = 2**63

_SIDES: dict[str, Side] = {"b": "buy", "s": "sell"}
_ORD_TYPES = {"m": "market", "l": "limit"}

_WIDE = Context(prec=100)
"""Times have some twenty digits; nothing is rounded here that has fewer than a hundred."""


class RestTrouble(enum.Enum):
    """What an error of the REST API asks of us."""

    RATE = "rate"
    """Too many calls: again later, and slower."""
    LATER = "later"
    """The exchange cannot answer now: again later."""
    PAIR = "pair"
    """It does not know the pair by that name."""
    FINAL = "final"
    """The same call would meet the same."""


_TROUBLES = (
    ("EAPI:Rate limit", RestTrouble.RATE),
    ("EGeneral:Too many requests", RestTrouble.RATE),
    ("EService: Throttled", RestTrouble.RATE),
    ("EService:Throttled", RestTrouble.RATE),
    ("EService:", RestTrouble.LATER),
    ("EGeneral:Internal error", RestTrouble.LATER),
    ("EGeneral:Temporary lockout", RestTrouble.LATER),
    ("EQuery:Unknown asset pair", RestTrouble.PAIR),
)


def classify_rest(error: str) -> RestTrouble:
    """What to do about Kraken's error, by the beginning of its text (PROTOCOL 9.7)."""
    return next((trouble for prefix, trouble in _TROUBLES if error.startswith(prefix)), RestTrouble.FINAL)


class _Envelope(msgspec.Struct, gc=False):
    error: list[str]
    result: msgspec.Raw = ABSENT


class _RestTrade(msgspec.Struct, gc=False, array_like=True):
    price: Decimal
    qty: Decimal
    time: Decimal
    side: Literal["b", "s"]
    ord_type: str
    misc: msgspec.Raw
    trade_id: int


class _RestCandle(msgspec.Struct, gc=False, array_like=True):
    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    trades: Decimal


class TradePage(NamedTuple):
    """One answer of `Trades`.

    Attributes:
        trades: by ascending trade_id, each id once; their source is `backfill`.
        cursor: what to give as `since` for the page after it; None if Kraken named none.
    """

    trades: list[Trade]
    cursor: int | None


_envelope = msgspec.json.Decoder(_Envelope)
_result = msgspec.json.Decoder(dict[str, msgspec.Raw])
_trades = msgspec.json.Decoder(list[_RestTrade])
_candles = msgspec.json.Decoder(list[_RestCandle])
_cursor = msgspec.json.Decoder(int | str)


def pair_spellings(symbol: str) -> tuple[str, ...]:
    """The names by which REST may know `symbol`, the likeliest first (PROTOCOL 10): `BTC/USD`, then `XBTUSD`."""
    base, _, quote = symbol.partition("/")
    return tuple(dict.fromkeys((symbol, V1_ASSETS.get(base, base) + V1_ASSETS.get(quote, quote))))


def decode_envelope(body: bytes) -> tuple[bytes | None, str | None]:
    """The `result` of an answer as JSON, or Kraken's errors as one text (a warning, `W…`, is none).

    Raises:
        DECODE_ERRORS: it is no answer of Kraken's.
    """
    body.decode()  # for its check of the UTF-8
    envelope = _envelope.decode(body)
    errors = [error for error in envelope.error if not error.startswith("W")]
    if errors:
        return None, ", ".join(errors)[:300]
    result = bytes(envelope.result)
    if result in (b"", b"null"):
        raise ValueError("expected a result or an error, got neither")
    return result, None


def decode_trades(result: bytes, symbol: str, stamp: Stamp, n: int) -> TradePage:
    """The trades in the result of `Trades`, whatever Kraken calls the pair there.

    Args:
        result: from `decode_envelope`.
        symbol: whose they are.
        stamp: where the events are to say they came from.
        n: the input they are to say they came with.

    Raises:
        DECODE_ERRORS: it breaks the shape of a `Trades`.
    """
    rows, last = _split(result)
    trades: dict[int, Trade] = {}
    for row in _trades.decode(rows):
        check_numbers(row.price, row.qty, row.time)
        if not 0 <= row.trade_id < _MAX_ID:
            raise ValueError(f"expected a trade_id of 0 to 2^63, got {row.trade_id}")
        trades[row.trade_id] = Trade(
            stamp=stamp,
            n=n,
            symbol=symbol,
            side=_SIDES[row.side],
            price=row.price,
            qty=row.qty,
            ord_type=_ORD_TYPES.get(row.ord_type, row.ord_type),
            trade_id=row.trade_id,
            exchange_ns=int(row.time.scaleb(9, _WIDE)),
            source="backfill",
        )
    cursor = None if last is None else _cursor.decode(last)
    if isinstance(cursor, str):
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MAX_CURSOR_DIGITS):
            raise ValueError(f"expected digits in last, got {cursor[:40]!r}")
        cursor = int(cursor)
    return TradePage([trades[trade_id] for trade_id in sorted(trades)], cursor)


def decode_candles(result: bytes, symbol: str, interval: int, stamp: Stamp, n: int) -> list[Ohlc]:
    """The candles in the result of `OHLC`, oldest first; the last one still runs.

    Raises:
        DECODE_ERRORS: it breaks the shape of an `OHLC`.
    """
    rows, _ = _split(result)
    candles: dict[int, Ohlc] = {}
    for row in _candles.decode(rows):
        check_numbers(row.open, row.high, row.low, row.close, row.vwap, row.volume)
        if not 0 <= row.time < 2**40:
            raise ValueError(f"expected a time in seconds, got {row.time}")
        begin_ns = row.time * _NS_PER_S
        candles[begin_ns] = Ohlc(
            stamp=stamp,
            n=n,
            symbol=symbol,
            type="snapshot",
            interval=interval,
            interval_begin_ns=begin_ns,
            open=row.open,
            high=row.high,
            low=row.low,
            close=row.close,
            vwap=row.vwap,
            volume=row.volume,
            trades=count(row.trades),
            exchange_ns=None,
            source="backfill",
        )
    return [candles[begin_ns] for begin_ns in sorted(candles)]


def _split(result: bytes) -> tuple[bytes, bytes | None]:
    """What stands under the pair's name, and `last`; old pairs have an id of Kraken's own (PROTOCOL 10)."""
    fields = _result.decode(result)
    last = fields.pop("last", None)
    if len(fields) != 1:
        raise ValueError(f"expected one pair, got {len(fields)}")
    (rows,) = fields.values()
    return bytes(rows), None if last is None else bytes(last)
