"""What the streams of one symbol say of each other: a witness that moves shows that a silent stream is mute.

Only what cannot be otherwise counts (PROTOCOL 3.4, 3.5, 3.7, 3.8): the ticker's best bid and ask are the book's top; a
trade takes from the book, so it never prints beyond its best; the ticker's `last` and a candle's `close` are the price
of the last trade.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from krakenwire.book import BookState
from krakenwire.events import Instrument, Ohlc, Ticker, Trade
from krakenwire.protocol.liveness.findings import News
from krakenwire.protocol.subscriptions import Key

__all__ = ["Heard", "contradicts", "is_repetition", "last_price", "news_of"]

_MINUTE_NS = 60_000_000_000

_MOST_HEARD = 20_000
"""Messages of one kind that are kept whether or not anybody wants them: there are some 1,500 symbols."""


class Heard:
    """The last message of each stream but the books, which know theirs: one store into a dictionary a message."""

    __slots__ = ("candles", "reference", "tickers", "trades")

    def __init__(self) -> None:
        self.tickers: dict[str, Ticker] = {}
        self.trades: dict[str, Trade] = {}
        self.candles: dict[tuple[str, int], Ohlc] = {}
        self.reference: dict[str, Instrument] = {}
        """Of the instrument channel, which has no symbol: by an empty one."""

    def where(self, key: Key) -> tuple[dict[Any, Any], object]:
        """In which dictionary, and under what, the last message of a stream is."""
        symbol = key.symbol or ""
        match key.channel:
            case "ticker":
                return self.tickers, symbol
            case "trade":
                return self.trades, symbol
            case "ohlc":
                return self.candles, (symbol, key.interval or 0)
            case _:
                return self.reference, symbol

    def shed(self, wanted: Iterable[Key]) -> None:
        """Forget what none of `wanted` is, where too much is kept: a server may name as many symbols as it likes."""
        everything: tuple[dict[Any, Any], ...] = (self.tickers, self.trades, self.candles)
        for messages in everything:
            if len(messages) > _MOST_HEARD:
                names = {name for where, name in map(self.where, wanted) if where is messages}
                for name in messages.keys() - names:
                    del messages[name]

    def keep(self, item: Trade | Ohlc) -> None:
        """An item of a snapshot: kept if it is the newest."""
        if isinstance(item, Trade):
            last = self.trades.get(item.symbol)
            if last is None or (item.trade_id or 0) > (last.trade_id or 0):
                self.trades[item.symbol] = item
            return
        name = (item.symbol, item.interval)
        candle = self.candles.get(name)
        if candle is None or item.interval_begin_ns >= candle.interval_begin_ns:
            self.candles[name] = item


def news_of(item: Trade | Ticker | Ohlc, held: Any, key: Key, subscribed_ns: int | None) -> News:
    """What an item of a snapshot tells beyond `held`, the last message before.

    Args:
        item: as it came.
        held: of the same stream, before the snapshot; None if there was none.
        key: the stream's.
        subscribed_ns: Kraken's time at which the stream had begun: without `held`, only what is later is news.
    """
    if isinstance(item, Trade):
        if held is not None:
            is_new = item.trade_id is not None and item.trade_id > (held.trade_id or 0)
        else:
            is_new = item.exchange_ns is not None and subscribed_ns is not None and item.exchange_ns > subscribed_ns
        return News(is_new, item.exchange_ns)
    if held is None:
        return News(False)
    if isinstance(item, Ticker):
        if key.event_trigger == "bbo":
            return News((item.bid, item.ask, item.last) != (held.bid, held.ask, held.last), item.exchange_ns)
        traded = item.last != held.last or (item.volume or Decimal(0)) > (held.volume or Decimal(0))
        return News(traded, item.exchange_ns)
    if item.interval_begin_ns < held.interval_begin_ns or not item.trades:
        return News(False)
    if item.interval_begin_ns == held.interval_begin_ns and item.trades <= held.trades:
        return News(False)
    return News(True, item.interval_begin_ns + item.interval * _MINUTE_NS)


def is_repetition(item: Ticker, held: Ticker | None) -> bool:
    """Whether a ticker tells what the last one told."""
    return held is not None and (item.bid, item.bid_qty, item.ask, item.ask_qty, item.last, item.volume) == (
        *(held.bid, held.bid_qty, held.ask, held.ask_qty, held.last, held.volume),
    )


def contradicts(witness: Key, key: Key, book: BookState | None, heard: Heard) -> bool:
    """Whether what `witness` said last cannot be, if `key`, which is silent since before, has told everything.

    Args:
        witness: a stream of the same symbol.
        key: the stream that is silent.
        book: the book of the symbol, if there is one.
        heard: the last messages.
    """
    symbol = key.symbol or ""
    if "book" in (witness.channel, key.channel):
        if book is None or book.status != "synced" or key.event_trigger == "trades":
            return False
        bid, ask = book.best("bids"), book.best("asks")
        if bid is None or ask is None:
            return False
        if witness.channel == "trade":
            trade = heard.trades.get(symbol)
            return trade is not None and not bid.price <= trade.price <= ask.price
        ticker = heard.tickers.get(symbol)
        return ticker is not None and (ticker.bid, ticker.ask) != (bid.price, ask.price)
    if key.event_trigger == "bbo":
        return False  # trades do not make it speak
    told, held = last_price(witness, heard), last_price(key, heard)
    return told is not None and held is not None and told != held


def last_price(key: Key, heard: Heard) -> Decimal | None:
    """The price of the last trade, as a stream has it; None if it has none."""
    messages, name = heard.where(key)
    message = messages.get(name)
    match message:
        case Trade():
            return message.price
        case Ticker():
            return message.last
        case Ohlc():
            return message.close
    return None
