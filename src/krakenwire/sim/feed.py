"""From the market's moves to Kraken's frames: once per stream, whoever listens."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from .candles import INTERVALS, MINUTE_NS, Candle, Candles
from .flow import Move, Print
from .instruments import ListedAsset, ListedInstrument
from .ladder import DEPTHS, Change
from .market import Market
from .wire import format_number, format_reference, format_time, format_time_ns

__all__ = ["DEPTHS", "INTERVALS", "Feed", "Stream", "encode_instruments"]


class Stream(NamedTuple):
    """What can be subscribed: a channel, and where it has them a symbol and a variant.

    `variant` is the depth of a book, the interval of ohlc and the event trigger of a ticker.
    """

    channel: str
    symbol: str | None = None
    variant: int | str | None = None

    @property
    def number(self) -> int:
        """The depth of a book or the interval of candles."""
        return self.variant if isinstance(self.variant, int) else 0


class _Symbol:
    """What the feed keeps for one symbol: its number formats and who listens to what."""

    __slots__ = ("bbo", "candles", "corrupt", "depths", "instrument", "price", "qty", "tickers", "trades")

    def __init__(self, instrument: ListedInstrument) -> None:
        self.instrument = instrument
        self.price = instrument.price_precision
        self.qty = instrument.qty_precision
        # (index in DEPTHS, depth), shallow first
        self.depths: list[tuple[int, int]] = []
        self.trades = False
        self.tickers: set[str] = set()
        self.candles: dict[int, Candles] = {}
        self.bbo: tuple[int, int, int, int] | None = None
        self.corrupt = False


class Feed:
    """The frames of a market.

    Streams that nobody watches cost nothing. A book at depth d obeys Kraken's truncation rule (PROTOCOL 3.5):
    a level pushed out of range is not deleted, one that moves up into range is sent again in the same
    message, and a change below d sends nothing.

    Args:
        market: whose moves they are.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self._symbols = {each.symbol: _Symbol(each) for each in market.instruments}

    def watch(self, stream: Stream) -> None:
        """From now on make the updates of `stream`."""
        if stream.symbol is None:
            return
        state = self._symbols[stream.symbol]
        if stream.channel == "book":
            state.depths = sorted({*state.depths, (DEPTHS.index(stream.number), stream.number)})
        elif stream.channel == "trade":
            state.trades = True
        elif stream.channel == "ticker":
            state.tickers.add(str(stream.variant))
            state.bbo = self._bbo(stream.symbol)
        elif stream.channel == "ohlc":
            state.candles[stream.number] = self._folded(stream.symbol, stream.number)

    def unwatch(self, stream: Stream) -> None:
        """Make the updates of `stream` no more."""
        if stream.symbol is None:
            return
        state = self._symbols[stream.symbol]
        if stream.channel == "book":
            state.depths = [each for each in state.depths if each[1] != stream.variant]
        elif stream.channel == "trade":
            state.trades = False
        elif stream.channel == "ticker":
            state.tickers.discard(str(stream.variant))
        elif stream.channel == "ohlc":
            del state.candles[stream.number]

    def corrupt_next(self, symbol: str) -> None:
        """Give the next book update of `symbol`, at every depth watched then, a wrong checksum."""
        self._symbols[symbol].corrupt = True

    def snapshot(self, stream: Stream) -> bytes:
        """The snapshot of a stream, as of the market's last step."""
        if stream.symbol is None:
            return encode_instruments(self.market.assets, self.market.instruments)
        if stream.channel == "book":
            return self._book_snapshot(stream.symbol, stream.number)
        if stream.channel == "trade":
            return self._trades("snapshot", stream.symbol, self.market.recent_trades(stream.symbol))
        if stream.channel == "ticker":
            return self._ticker("snapshot", stream.symbol)
        interval = stream.number
        watched = self._symbols[stream.symbol].candles.get(interval)
        candles = watched or self._folded(stream.symbol, interval)
        return self._ohlc("snapshot", stream.symbol, interval, candles.kept)

    def updates(self, move: Move) -> list[tuple[Stream, bytes]]:
        """The frames of one move: books first, then trades, ticker and candles."""
        symbol = move.symbol
        state = self._symbols[symbol]
        frames: list[tuple[Stream, bytes]] = []
        if state.depths and (move.bids or move.asks):
            self._book_updates(state, move, frames)
        if move.trades:
            if state.trades:
                frames.append((Stream("trade", symbol), self._trades("update", symbol, move.trades)))
            if "trades" in state.tickers:
                frames.append((Stream("ticker", symbol, "trades"), self._ticker("update", symbol)))
        if "bbo" in state.tickers:
            bbo = self._bbo(symbol)
            if bbo != state.bbo:
                state.bbo = bbo
                frames.append((Stream("ticker", symbol, "bbo"), self._ticker("update", symbol)))
        if move.trades:
            for interval, candles in state.candles.items():
                for trade in move.trades:
                    candles.add(trade)
                frame = self._ohlc("update", symbol, interval, (candles.current,))
                frames.append((Stream("ohlc", symbol, interval), frame))
        return frames

    # --- book -----------------------------------------------------------------------------------------------

    def _book_updates(self, state: _Symbol, move: Move, frames: list[tuple[Stream, bytes]]) -> None:
        symbol = move.symbol
        tail = ""
        for index, depth in state.depths:
            bids = self._levels(state, move.bids, index, depth)
            asks = self._levels(state, move.asks, index, depth)
            if not bids and not asks:
                continue
            if not tail:
                checksum = self.market.checksum(symbol)
                if state.corrupt:
                    checksum ^= 1
                tail = f'],"checksum":{checksum},"timestamp":"{format_time(move.exchange_ns)}"}}]}}'
            head = '{"channel":"book","type":"update","data":[{"symbol":"'
            text = f'{head}{symbol}","bids":[{bids}],"asks":[{asks}{tail}'
            frames.append((Stream("book", symbol, depth), text.encode()))
        if tail:
            state.corrupt = False

    def _levels(self, state: _Symbol, changes: list[Change], index: int, depth: int) -> str:
        texts: list[str] = []
        # Pushed out earlier in this message: the client still holds them, as it truncates at the end only.
        pushed_out: set[int] = set()
        for rank, tick, lots, crossed in changes:
            if rank < depth:
                texts.append(self._level(state, tick, lots))
                if crossed and (level := crossed[index]) is not None:
                    if lots:
                        pushed_out.add(level[0])
                    else:
                        pushed_out.discard(level[0])
                        texts.append(self._level(state, *level))
            elif not lots and tick in pushed_out:
                pushed_out.discard(tick)
                texts.append(self._level(state, tick, 0))
        return ",".join(texts)

    def _level(self, state: _Symbol, tick: int, lots: int) -> str:
        return f'{{"price":{format_number(tick, state.price)},"qty":{format_number(lots, state.qty)}}}'

    def _book_snapshot(self, symbol: str, depth: int) -> bytes:
        state = self._symbols[symbol]
        book = self.market.book(symbol)
        bids, asks = (
            ",".join([self._level(state, tick, lots) for tick, lots in side.top(depth)])
            for side in (book.bids, book.asks)
        )
        return (
            f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{symbol}","bids":[{bids}],"asks":[{asks}],'
            f'"checksum":{book.checksum()},"timestamp":"{format_time(book.updated_ns)}"}}]}}'
        ).encode()

    # --- the other channels ---------------------------------------------------------------------------------

    def _trades(self, kind: str, symbol: str, trades: Iterable[Print]) -> bytes:
        state = self._symbols[symbol]
        texts = [
            f'{{"symbol":"{symbol}","side":"{"buy" if trade.buys else "sell"}",'
            f'"price":{format_number(trade.tick, state.price)},"qty":{format_number(trade.lots, state.qty)},'
            f'"ord_type":"{"market" if trade.market else "limit"}","trade_id":{trade.trade_id},'
            f'"timestamp":"{format_time(trade.exchange_ns)}"}}'
            for trade in trades
        ]
        return f'{{"channel":"trade","type":"{kind}","data":[{",".join(texts)}]}}'.encode()

    def _bbo(self, symbol: str) -> tuple[int, int, int, int]:
        book = self.market.book(symbol)
        return (book.bids.tick_at(0), book.bids.lots_at(0), book.asks.tick_at(0), book.asks.lots_at(0))

    def _ticker(self, kind: str, symbol: str) -> bytes:
        state = self._symbols[symbol]
        price, qty = state.price, state.qty
        bid, bid_lots, ask, ask_lots = self._bbo(symbol)
        stats = self.market.stats(symbol)
        day = stats.day
        change = stats.last - day.open
        # in hundredths of a percent, rounded towards zero
        percent = abs(change) * 10_000 // day.open * (1 if change >= 0 else -1)
        exchange_ns = max(self.market.book(symbol).updated_ns, stats.last_ns)
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol}",'
            f'"bid":{format_number(bid, price)},"bid_qty":{format_number(bid_lots, qty)},'
            f'"ask":{format_number(ask, price)},"ask_qty":{format_number(ask_lots, qty)},'
            f'"last":{format_number(stats.last, price)},"volume":{format_number(day.lots, qty)},'
            f'"vwap":{format_number(day.vwap, price)},"low":{format_number(day.low, price)},'
            f'"high":{format_number(day.high, price)},"change":{format_number(change, price)},'
            f'"change_pct":{format_number(percent, 2)},"timestamp":"{format_time(exchange_ns)}"}}]}}'
        ).encode()

    def _folded(self, symbol: str, interval: int) -> Candles:
        """The candles of a length, made of the minutes of the last day."""
        candles = Candles(interval)
        candles.fold(self.market.stats(symbol).minutes.kept)
        return candles

    def _ohlc(self, kind: str, symbol: str, interval: int, candles: Iterable[Candle]) -> bytes:
        state = self._symbols[symbol]
        price = state.price
        texts = [
            f'{{"symbol":"{symbol}","open":{format_number(candle.open, price)},'
            f'"high":{format_number(candle.high, price)},"low":{format_number(candle.low, price)},'
            f'"close":{format_number(candle.close, price)},"trades":{candle.trades},'
            f'"volume":{format_number(candle.lots, state.qty)},"vwap":{format_number(candle.vwap, price)},'
            f'"interval_begin":"{format_time_ns(candle.begin_ns)}","interval":{interval},'
            f'"timestamp":"{format_time(candle.begin_ns + interval * MINUTE_NS)}"}}'
            for candle in candles
        ]
        return (
            f'{{"channel":"ohlc","type":"{kind}","timestamp":"{format_time_ns(self.market.now_ns)}",'
            f'"data":[{",".join(texts)}]}}'
        ).encode()


def encode_instruments(
    assets: Iterable[ListedAsset], instruments: Iterable[ListedInstrument], kind: str = "snapshot"
) -> bytes:
    """A frame of the instrument channel (PROTOCOL 3.9); `kind` is `snapshot`, or `update` for what changed."""
    asset_texts = ",".join(_encode_record(each) for each in assets)
    pair_texts = ",".join(_encode_record(each) for each in instruments)
    return (
        f'{{"channel":"instrument","type":"{kind}","data":{{"assets":[{asset_texts}],"pairs":[{pair_texts}]}}}}'
    ).encode()


def _encode_record(record: ListedAsset | ListedInstrument) -> str:
    """The fields of a record in their order; those that are None are left out."""
    texts: list[str] = []
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if value is None:
            continue
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, Decimal):
            text = format_reference(value)
        elif isinstance(value, int):
            text = str(value)
        else:
            text = f'"{value}"'
        texts.append(f'"{name}":{text}')
    return "{" + ",".join(texts) + "}"
