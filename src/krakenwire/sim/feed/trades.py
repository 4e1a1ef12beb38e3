"""The text of the channels that trades drive: trade, ticker and ohlc (PROTOCOL 3.4, 3.7, 3.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..engine.book import OrderBook, Print
from ..instruments import ListedInstrument
from ..market.candles import MINUTE_NS, Candle, History
from .wire import format_number, format_time, format_time_ns

__all__ = ["Touch", "encode_candles", "encode_ticker", "encode_trades"]


class Touch(NamedTuple):
    """The best bid and the best ask: ticks and lots, both 0 where a side is empty."""

    bid: int
    bid_lots: int
    ask: int
    ask_lots: int

    @classmethod
    def of(cls, book: OrderBook) -> Touch:
        """That of a book, as it is now."""
        bids, asks = book.bids, book.asks
        bid, ask = bids.keys[:1], asks.keys[:1]
        return cls(
            -bid[0] if bid else 0,
            bids.totals[bid[0]] if bid else 0,
            ask[0] if ask else 0,
            asks.totals[ask[0]] if ask else 0,
        )


def encode_trades(kind: str, instrument: ListedInstrument, trades: Iterable[Print]) -> bytes:
    """A frame of the trade channel; `kind` is `snapshot` or `update`."""
    symbol, price, qty = instrument.symbol, instrument.price_precision, instrument.qty_precision
    texts = [
        f'{{"symbol":"{symbol}","side":"{"buy" if trade.buys else "sell"}",'
        f'"price":{format_number(trade.tick, price)},"qty":{format_number(trade.lots, qty)},'
        f'"ord_type":"{"market" if trade.market else "limit"}","trade_id":{trade.trade_id},'
        f'"timestamp":"{format_time(trade.exchange_ns)}"}}'
        for trade in trades
    ]
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(texts)}]}}'.encode()


def encode_ticker(
    kind: str, instrument: ListedInstrument, touch: Touch, stats: History, exchange_ns: int
) -> bytes:  # fmt: skip
    """A frame of the ticker channel; `kind` is `snapshot` or `update`."""
    price, qty = instrument.price_precision, instrument.qty_precision
    day = stats.day
    change = stats.last - day.open
    # in hundredths of a percent, rounded half up as recorded frames have it
    percent = (abs(change) * 20_000 + day.open) // (2 * day.open) * (1 if change >= 0 else -1)
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{instrument.symbol}",'
        f'"bid":{format_number(touch.bid, price)},"bid_qty":{format_number(touch.bid_lots, qty)},'
        f'"ask":{format_number(touch.ask, price)},"ask_qty":{format_number(touch.ask_lots, qty)},'
        f'"last":{format_number(stats.last, price)},"volume":{format_number(day.lots, qty)},'
        f'"vwap":{format_number(day.vwap, price)},"low":{format_number(day.low, price)},'
        f'"high":{format_number(day.high, price)},"change":{format_number(change, price)},'
        f'"change_pct":{format_number(percent, 2)},"timestamp":"{format_time(exchange_ns)}"}}]}}'
    ).encode()


def encode_candles(
    kind: str, instrument: ListedInstrument, interval: int, candles: Iterable[Candle], exchange_ns: int
) -> bytes:
    """A frame of the ohlc channel; `kind` is `snapshot` or `update`, `interval` is in minutes."""
    symbol, price, qty = instrument.symbol, instrument.price_precision, instrument.qty_precision
    texts = [
        f'{{"symbol":"{symbol}","open":{format_number(candle.open, price)},'
        f'"high":{format_number(candle.high, price)},"low":{format_number(candle.low, price)},'
        f'"close":{format_number(candle.close, price)},"trades":{candle.trades},'
        f'"volume":{format_number(candle.lots, qty)},"vwap":{format_number(candle.vwap, price)},'
        f'"interval_begin":"{format_time_ns(candle.begin_ns)}","interval":{interval},'
        f'"timestamp":"{format_time(candle.begin_ns + interval * MINUTE_NS)}"}}'
        for candle in candles
    ]
    return (
        f'{{"channel":"ohlc","type":"{kind}","timestamp":"{format_time_ns(exchange_ns)}","data":[{",".join(texts)}]}}'
    ).encode()
