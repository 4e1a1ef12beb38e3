"""PROTOCOL 8.3: the market by REST: depth, trades, candles, spread."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from krakenwire.conform.rule import rule
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.web import Reply
from krakenwire.conform.wire import Item, Number, in_words

__all__ = [
    "rest_depth",
    "rest_depth_count",
    "rest_depth_default",
    "rest_ohlc_interval",
    "rest_ohlc_rows",
    "rest_spread_rows",
    "rest_trades_count",
    "rest_trades_cursor",
    "rest_trades_rows",
]

Rows = list[list[Any]]
LAST_WORDS = "`last`, the cursor, to be a string of nanoseconds"


async def _rows(subject: Subject, method: str, **params: object) -> tuple[Reply, Rows]:
    """The rows that a method gives of the pair under test."""
    key, _ = await subject.rest_pair()
    reply = await subject.web.get(method, pair=key, **params)
    rows = reply.outcome.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        broken(f"an array of rows at {key}", in_words(rows), reply)
    return reply, rows


async def _book(subject: Subject, **params: object) -> tuple[Reply, Item]:
    key, _ = await subject.rest_pair()
    reply = await subject.web.get("Depth", pair=key, **params)
    book = reply.outcome.get(key)
    if not isinstance(book, dict):
        broken(f"an object at {key}", in_words(book), reply)
    return reply, Item(book, reply)


def _side(item: Item, name: str) -> Rows:
    rows = item.get(name)
    if not isinstance(rows, list):
        raise NotTested(f"needs {name} in {item.frame.shortened}")
    return [row for row in rows if isinstance(row, list)]


def _expect_row(row: list[Any], kinds: str, reply: Reply) -> None:
    """See that a row's cells are of these kinds: s a string that is a number, i an integer, n a number, t a text."""
    fits = len(row) == len(kinds) and all(_is(kind, cell) for kind, cell in zip(kinds, row, strict=True))
    words = {"s": "a number as a string", "i": "an integer", "n": "a number", "t": "a text"}
    expect(fits, f"[{', '.join(words[kind] for kind in kinds)}]", in_words(row), reply)


def _is(kind: str, cell: object) -> bool:
    if kind == "i":
        return isinstance(cell, Number) and cell.isdigit()
    if kind == "n":
        return isinstance(cell, Number)
    if type(cell) is not str:
        return False
    if kind == "s":
        try:
            Decimal(cell)
        except InvalidOperation:
            return False
    return True


@rule("rest.depth", "8.3", "DOC", lane="rest")
async def rest_depth(subject: Subject) -> str | None:
    """`Depth` gives asks and bids, best first: price and volume as strings, the time in whole seconds."""
    reply, book = await _book(subject, count=20)
    for name in ("asks", "bids"):
        rows = _side(book, name)
        for row in rows:
            _expect_row(row, "ssi", reply)
        prices = [Decimal(row[0]) for row in rows]
        expect(prices == sorted(prices, reverse=name == "bids"), f"{name} best first", "another order", reply)
    return None


@rule("rest.depth_count", "8.3", "DOC", lane="rest")
async def rest_depth_count(subject: Subject) -> str | None:
    """`Depth` gives at most `count` levels a side."""
    reply, book = await _book(subject, count=3)
    for name in ("asks", "bids"):
        expect(len(_side(book, name)) <= 3, f"at most 3 {name}", len(_side(book, name)), reply)
    return None


@rule("rest.depth_default", "8.3", "DOC", lane="rest")
async def rest_depth_default(subject: Subject) -> str | None:
    """Without `count`, `Depth` gives 100 levels a side, if there are."""
    reply, book = await _book(subject)
    _, full = await _book(subject, count=101)
    for name in ("asks", "bids"):
        wanted = min(100, len(_side(full, name)))
        found = len(_side(book, name))
        if wanted < 100:
            raise NotTested(f"the book has only {wanted} {name}")
        expect(found == wanted, f"{wanted} {name}", found, reply)
    return None


@rule("rest.trades_rows", "8.3", "DOC", lane="rest")
async def rest_trades_rows(subject: Subject) -> str | None:
    """A trade is [price, volume, time, b or s, m or l, misc, trade_id], price and volume as strings."""
    reply, rows = await _rows(subject, "Trades", count=20)
    for row in rows:
        _expect_row(row, "ssntttn", reply)
        expect(row[3] in ("b", "s"), "side b or s", in_words(row[3]), reply)
        expect(row[4] in ("m", "l"), "type m or l", in_words(row[4]), reply)
    if not rows:
        raise NotTested("there are no trades")
    return f"{len(rows)} trades"


@rule("rest.trades_count", "8.3", "DOC", lane="rest")
async def rest_trades_count(subject: Subject) -> str | None:
    """`Trades` gives at most `count` trades."""
    reply, rows = await _rows(subject, "Trades", count=7)
    expect(len(rows) <= 7, "at most 7 trades", len(rows), reply)
    return None


@rule("rest.trades_cursor", "8.3", "DOC", lane="rest")
async def rest_trades_cursor(subject: Subject) -> str | None:
    """`last` is a string of nanoseconds, and `since=last` gives only trades that came later."""
    reply, rows = await _rows(subject, "Trades", count=5)
    last = reply.outcome.get("last")
    expect(type(last) is str and last.isdigit() and len(last) == 19, LAST_WORDS, in_words(last), reply)
    if not rows:
        raise NotTested("there are no trades")
    _, later = await _rows(subject, "Trades", since=last)
    known = {row[6] for row in rows}
    again = [row for row in later if row[6] in known]
    if again:
        broken("trades after the cursor only", f"trade {again[0][6]} a second time")
    return None


@rule("rest.ohlc_rows", "8.3", "DOC", lane="rest")
async def rest_ohlc_rows(subject: Subject) -> str | None:
    """A candle is [time, open, high, low, close, vwap, volume, count]; at most 720 come, oldest first, and `last`."""
    reply, rows = await _rows(subject, "OHLC")
    expect(len(rows) <= 720, "at most 720 rows", len(rows), reply)
    for row in rows:
        _expect_row(row, "issssssi", reply)
    times = [int(row[0]) for row in rows]
    expect(times == sorted(set(times)), "oldest first, each once", "another order", reply)
    last = reply.outcome.get("last")
    expect(_is("i", last), "`last` to be an integer", in_words(last), reply)
    return f"{len(rows)} candles"


@rule("rest.ohlc_interval", "8.3", "DOC", lane="rest")
async def rest_ohlc_interval(subject: Subject) -> str | None:
    """Candles of `interval` minutes begin at multiples of it."""
    reply, rows = await _rows(subject, "OHLC", interval=60)
    for row in rows:
        if not _is("i", row[0]):
            raise NotTested(f"needs the time of a candle, got {in_words(row)}")
        expect(int(row[0]) % 3600 == 0, "a multiple of 3600 s", row[0], reply)
    return f"{len(rows)} candles"


@rule("rest.spread_rows", "8.3", "DOC", lane="rest")
async def rest_spread_rows(subject: Subject) -> str | None:
    """`Spread` gives rows of [time, bid, ask], the latter two as strings, and `last`, an integer."""
    reply, rows = await _rows(subject, "Spread")
    for row in rows:
        _expect_row(row, "iss", reply)
    last = reply.outcome.get("last")
    expect(_is("i", last), "`last` to be an integer", in_words(last), reply)
    return f"{len(rows)} rows"
