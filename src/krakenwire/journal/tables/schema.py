"""What the tables have in them: their rows, and of each its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec

from krakenwire.book.figures import BookSide, Figures
from krakenwire.events import Level

__all__ = ["SCHEMAS", "SOURCES", "BookRow", "BookSpan", "BookTop", "Channel", "Column", "Kind", "Missing", "Schema"]

Channel = Literal["trade", "book", "bbo", "ticker", "ohlc", "gaps", "book_state"]
Kind = Literal["text", "time", "integer", "flag", "number", "numbers"]
"""`number` is an exact decimal, `numbers` a list of them, `time` UTC nanoseconds."""

_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRow(Figures):
    """The top of a proven book, after one of its messages or at a moment.

    It has the figures of a `BookSnapshot`: `mid`, `spread`, `imbalance`, …

    Attributes:
        symbol: whose book it is.
        depth: levels a side at most.
        bids, asks: best first.
        proven: the checksum of the last message held; False only of v1's, before the first one has come.
        time_ns: which moment this is, UTC: that of the message, or a multiple of the interval that was asked for.
        exchange_ns: Kraken's time of the last message, or None.
        received_ns: when that was received, UTC.
        n: number of the input it came with.
    """

    symbol: str
    depth: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    proven: bool
    time_ns: int
    exchange_ns: int | None
    received_ns: int
    n: int

    def _best(self, side: BookSide, n: int) -> Sequence[Level]:
        return (self.bids if side == "bids" else self.asks)[:n]


class BookTop(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and offer, whenever one of the four numbers changed.

    Attributes:
        symbol, bid, bid_qty, ask, ask_qty: the numbers; None where a side is empty.
        source: `book`, which is proven after every message, or `spread`, v1's channel.
        exchange_ns: Kraken's time, or None.
        received_ns: UTC of receipt.
        n: number of the input.
    """

    symbol: str
    bid: Decimal | None
    bid_qty: Decimal | None
    ask: Decimal | None
    ask_qty: Decimal | None
    source: Literal["book", "spread"]
    exchange_ns: int | None
    received_ns: int
    n: int


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not there.

    Attributes:
        kind: `inputs`: what the journal does not have (a full disk, damage, a missing segment); `stopped`: between two
            runs nothing was recorded; `outage`: a connection was down; `unsynced`: a book was; `stalled`: a
            subscription was mute; `gap`: a known loss in a stream that could not be fetched.
        of: of which channel, where it is not of everything.
        symbol, depth, interval, connection: likewise.
        begin_ns, end_ns: from when to when, UTC. A `gap` has the moment at which it was told for both.
        is_open: it had not ended where the table (or the segment that was exported) ends.
        first, last: inputs; of a `gap`, trade_ids, or the begin of candles (ns).
        count: how many, where that is known.
        reason: why.
    """

    kind: Literal["inputs", "stopped", "outage", "unsynced", "stalled", "gap"]
    begin_ns: int
    end_ns: int
    reason: str
    of: str | None = None
    symbol: str | None = None
    depth: int | None = None
    interval: int | None = None
    connection: str | None = None
    is_open: bool = False
    first: int | None = None
    last: int | None = None
    count: int | None = None


class BookSpan(msgspec.Struct, frozen=True, kw_only=True):
    """How a book stood for a while.

    Attributes:
        symbol, depth: which.
        status: `synced` or `unsynced`.
        reason: why it was not synced: as in `BookInvalidated`, `quarantined`, `no snapshot yet`, or why nothing of it
            was recorded; empty if it was synced.
        begin_ns, end_ns: from when to when, UTC.
        is_open: it stood so where the table (or the segment that was exported) ends.
    """

    symbol: str
    depth: int
    status: Literal["synced", "unsynced"]
    reason: str
    begin_ns: int
    end_ns: int
    is_open: bool = False


class Column(NamedTuple):
    """One column.

    Attributes:
        name: its name.
        kind: of what it is.
        get: its value of a row.
    """

    name: str
    kind: Kind
    get: Callable[[Any], Any]


class Schema(NamedTuple):
    """The columns of a table.

    Attributes:
        channel: what it is called.
        columns: in their order; `symbol` is one of them.
        day_ns: the moment of a row whose day is the `date` that it is exported under.
    """

    channel: Channel
    columns: tuple[Column, ...]
    day_ns: Callable[[Any], int]


def _of(kind: Kind, *names: str) -> list[Column]:
    return [Column(name.replace("_ns", "_time"), kind, attrgetter(name)) for name in names]


def _levels(side: Literal["bids", "asks"]) -> list[Column]:
    levels = attrgetter(side)
    name = side[:-1]
    return [
        Column(f"{name}_prices", "numbers", lambda row: [level[0] for level in levels(row)]),
        Column(f"{name}_qtys", "numbers", lambda row: [level[1] for level in levels(row)]),
    ]


def _end_of(candle: Any) -> int:
    end: int = candle.interval_begin_ns + candle.interval * _MINUTE_NS
    return end


_STAMP = (*_of("time", "exchange_ns", "received_ns"), *_of("text", "connection"), *_of("integer", "n"))
_RECEIVED: Callable[[Any], int] = attrgetter("received_ns")
_BEGIN: Callable[[Any], int] = attrgetter("begin_ns")


def _trade_ns(trade: Any) -> int:
    when: int = trade.received_ns if trade.exchange_ns is None else trade.exchange_ns
    return when


def _schema(channel: Channel, day_ns: Callable[[Any], int], *columns: Column) -> Schema:
    return Schema(channel, columns, day_ns)


SCHEMAS: dict[Channel, Schema] = {
    schema.channel: schema
    for schema in (
        _schema(
            "trade",
            _trade_ns,
            *_of("text", "symbol"),
            *_of("integer", "trade_id"),
            *_of("number", "price", "qty"),
            *_of("text", "side", "ord_type", "source"),
            *_STAMP,
        ),
        _schema(
            "book",
            attrgetter("time_ns"),
            *_of("text", "symbol"),
            Column("time", "time", attrgetter("time_ns")),
            *_levels("bids"),
            *_levels("asks"),
            *_of("flag", "proven"),
            *_of("time", "exchange_ns", "received_ns"),
            *_of("integer", "n"),
        ),
        _schema(
            "bbo",
            _RECEIVED,
            *_of("text", "symbol"),
            *_of("number", "bid", "bid_qty", "ask", "ask_qty"),
            *_of("text", "source"),
            *_of("time", "exchange_ns", "received_ns"),
            *_of("integer", "n"),
        ),
        _schema(
            "ticker",
            _RECEIVED,
            *_of("text", "symbol", "type"),
            *_of("number", "bid", "bid_qty", "ask", "ask_qty", "last", "volume", "vwap", "low", "high", "change"),
            *_of("number", "change_pct"),
            *_STAMP,
        ),
        _schema(
            "ohlc",
            attrgetter("interval_begin_ns"),
            *_of("text", "symbol"),
            *_of("integer", "interval"),
            *_of("time", "interval_begin_ns"),
            Column("interval_end_time", "time", _end_of),
            *_of("number", "open", "high", "low", "close", "vwap", "volume"),
            *_of("integer", "trades"),
            *_of("text", "source"),
            *_STAMP,
        ),
        _schema(
            "gaps",
            _BEGIN,
            *_of("text", "kind", "of", "symbol"),
            *_of("time", "begin_ns", "end_ns"),
            *_of("flag", "is_open"),
            *_of("integer", "first", "last", "count"),
            *_of("text", "reason"),
            *_of("integer", "depth", "interval"),
            *_of("text", "connection"),
        ),
        _schema(
            "book_state",
            _BEGIN,
            *_of("text", "symbol"),
            *_of("integer", "depth"),
            *_of("text", "status", "reason"),
            *_of("time", "begin_ns", "end_ns"),
            *_of("flag", "is_open"),
        ),
    )
}
"""All tables, by the name under which they are exported."""

SOURCES: dict[Channel, tuple[str, ...]] = {"bbo": ("book", "spread"), "book_state": ("book",)}
"""What a table is made of, where that is not of its own name."""
