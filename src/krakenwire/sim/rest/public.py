"""The public calls of the REST API (PROTOCOL 8.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from ..engine.book import Side
from ..engine.model import EngineStatus, FeeTier, Refusal
from ..feed.wire import NS_PER_S, format_number
from ..instruments import ListedAsset, ListedInstrument
from ..market.candles import DAY_NS, INTERVALS, MINUTE_NS, Candle, History
from ..market.market import Market
from .fields import INVALID_ARGUMENTS, Fields, format_plain, format_rescaled, seconds
from .names import AssetNames, PairName, PairNames, asset_id, asset_name

__all__ = ["PUBLIC_CALLS", "PublicCalls", "price_decimals", "status_answer", "time_answer"]

PUBLIC_CALLS: Final = ("Assets", "AssetPairs", "Ticker", "Depth", "Trades", "OHLC", "Spread")
"""Those that need a market; `Time` and `SystemStatus` do not."""

PRICE_DECIMALS: Final = 5
"""Ticker, Depth, Trades and Spread pad prices to at least so many decimals, OHLC only to the pair's own."""

DEPTH_QTY_DECIMALS: Final = 3
"""Depth rounds volumes to these; what is not nothing is shown as one unit at least."""

MAX_DEPTH: Final = 500
MAX_TRADES: Final = 1000

MAX_TIME: Final = 2**63
SECONDS_BELOW: Final = 10**13
"""A `since` of Trades below this is in seconds, else in nanoseconds: Kraken takes both."""

TRADE_TIME_DECIMALS: Final = 7

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INFO: Final = {
    "leverage": ("leverage_buy", "leverage_sell"),
    "fees": ("fees", "fees_maker", "fee_volume_currency"),
    "margin": ("margin_call", "margin_stop"),
}


def time_answer(exchange_ns: int) -> dict[str, Any]:
    """`Time`: no locale has a part in its text."""
    now = datetime.fromtimestamp(exchange_ns // NS_PER_S, UTC)
    day, month = _DAYS[now.weekday()], _MONTHS[now.month - 1]
    return {
        "unixtime": exchange_ns // NS_PER_S,
        "rfc1123": f"{day}, {now.day:02d} {month} {now.year % 100:02d} {now:%H:%M:%S} +0000",
    }


def status_answer(status: EngineStatus, exchange_ns: int) -> dict[str, Any]:
    """`SystemStatus`."""
    now = datetime.fromtimestamp(exchange_ns // NS_PER_S, UTC)
    return {"status": status, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"}


def price_decimals(instrument: ListedInstrument) -> int:
    """How many decimals a price of this pair has in REST, OHLC apart."""
    return max(PRICE_DECIMALS, instrument.price_precision)


class PublicCalls:
    """The calls that tell of a market; they raise `Refusal` with Kraken's error.

    Args:
        market: what is told of.
        note: is told the symbols that market data is asked for.

    Attributes:
        calls: by name; each takes the fields of a request and gives the result.
        names: of the pairs.
    """

    def __init__(self, market: Market, note: Callable[[Iterable[str]], object]) -> None:
        self._note = note
        self.names = PairNames(market.symbols)
        self._market = market
        self._assets = AssetNames(asset.id for asset in market.assets)
        self._today = {symbol: _Today() for symbol in market.symbols}
        tell = (
            self._tell_assets,
            self._tell_pairs,
            self._tell_tickers,
            self._tell_depth,
            self._tell_trades,
            self._tell_candles,
            self._tell_spreads,
        )
        self.calls: dict[str, Callable[[Fields], dict[str, Any]]] = dict(zip(PUBLIC_CALLS, tell, strict=True))

    # --- reference data -----------------------------------------------------------------------------------

    def _tell_assets(self, fields: Fields) -> dict[str, Any]:
        if fields.text("aclass") not in (None, "currency"):
            raise Refusal(INVALID_ARGUMENTS)
        assets = {asset.id: asset for asset in self._market.assets}
        wanted = fields.names("asset")
        if wanted is not None:
            found = [self._assets.find(name) for name in wanted]
            if None in found:
                raise Refusal("EQuery:Unknown asset")
            assets = {name: assets[name] for name in found if name is not None}
        return {asset_id(name): _asset(asset) for name, asset in assets.items()}

    def _tell_pairs(self, fields: Fields) -> dict[str, Any]:
        info = fields.text("info") or "info"
        if info != "info" and info not in _INFO:
            raise Refusal(INVALID_ARGUMENTS)
        if fields.text("aclass_base") not in (None, "currency"):
            return {}
        answer = {}
        for pair in self._pairs(fields):
            record = _pair(pair, self._market.instrument(pair.symbol))
            answer[pair.id] = record if info == "info" else {name: record[name] for name in _INFO[info]}
        return answer

    # --- market data --------------------------------------------------------------------------------------

    def _tell_tickers(self, fields: Fields) -> dict[str, Any]:
        pairs = self._pairs(fields)
        self._note(pair.symbol for pair in pairs)
        return {pair.id: self._ticker(pair.symbol) for pair in pairs}

    def _ticker(self, symbol: str) -> dict[str, Any]:
        instrument = self._market.instrument(symbol)
        price, qty, decimals = instrument.price_precision, instrument.qty_precision, price_decimals(instrument)
        book, stats = self._market.book(symbol), self._market.stats(symbol)
        today, day = self._today[symbol].of(stats, instrument), stats.day
        last = self._market.recent_trades(symbol, 1)

        def best(side: Side) -> list[str]:
            tick, lots = next(iter(side.top(1)), (0, 0))
            whole = lots // 10**qty or int(lots > 0)
            return [format_rescaled(tick, price, decimals), str(whole), f"{whole}.000"]

        def both(text: Callable[[Candle], Any]) -> list[Any]:
            return [text(today), text(day)]

        def vwap(candle: Candle) -> str:
            ticks = candle.value * 10 ** (decimals - price) // candle.lots if candle.lots else 0
            return format_number(ticks, decimals)

        return {
            "a": best(book.asks),
            "b": best(book.bids),
            "c": [format_rescaled(stats.last, price, decimals), format_number(last[0].lots if last else 0, qty)],
            "v": both(lambda candle: format_number(candle.lots, qty)),
            "p": both(vwap),
            "t": both(lambda candle: candle.trades),
            "l": both(lambda candle: format_rescaled(candle.low, price, decimals)),
            "h": both(lambda candle: format_rescaled(candle.high, price, decimals)),
            "o": format_rescaled(today.open, price, decimals),
        }

    def _tell_depth(self, fields: Fields) -> dict[str, Any]:
        pair = self._pair(fields)
        count = min(MAX_DEPTH, fields.integer("count", least=1, most=10**9) or 100)
        instrument, book = self._market.instrument(pair.symbol), self._market.book(pair.symbol)

        def levels(side: Side) -> list[list[Any]]:
            return [
                [
                    format_rescaled(side.sign * key, instrument.price_precision, price_decimals(instrument)),
                    _depth_qty(side.totals[key], instrument.qty_precision),
                    max(order.entered_ns for order in side.queues[key].values()) // NS_PER_S,
                ]
                for key in side.keys[:count]
            ]

        return {pair.id: {"asks": levels(book.asks), "bids": levels(book.bids)}}

    def _tell_trades(self, fields: Fields) -> dict[str, Any]:
        pair = self._pair(fields)
        since = fields.integer("since", least=0, most=MAX_TIME)
        count = min(MAX_TRADES, fields.integer("count", least=1, most=10**9) or MAX_TRADES)
        instrument = self._market.instrument(pair.symbol)
        decimals = price_decimals(instrument)
        if since is None:
            chosen = self._market.newest_trades(pair.symbol, count)
        else:
            after = since * NS_PER_S if since < SECONDS_BELOW else since
            chosen = self._market.trades_after(pair.symbol, after, count)
        rows = [
            [
                format_rescaled(trade.tick, instrument.price_precision, decimals),
                format_number(trade.lots, instrument.qty_precision),
                seconds(trade.exchange_ns, TRADE_TIME_DECIMALS),
                "b" if trade.buys else "s",
                "m" if trade.market else "l",
                "",
                trade.trade_id,
            ]
            for _, trade in chosen
        ]
        return {pair.id: rows, "last": str(chosen[-1][0] if chosen else since or 0)}

    def _tell_candles(self, fields: Fields) -> dict[str, Any]:
        pair = self._pair(fields)
        interval = fields.integer("interval", least=1, most=10**9) or 1
        if interval not in INTERVALS:
            raise Refusal(INVALID_ARGUMENTS)
        since = fields.integer("since", least=0, most=MAX_TIME)
        instrument = self._market.instrument(pair.symbol)
        price, qty = instrument.price_precision, instrument.qty_precision
        candles = self._market.stats(pair.symbol).candles(interval)
        rows = [
            [
                candle.begin_ns // NS_PER_S,
                *(format_number(each, price) for each in (candle.open, candle.high, candle.low, candle.close)),
                format_number(candle.vwap if candle.lots else 0, price),
                format_number(candle.lots, qty),
                candle.trades,
            ]
            for candle in candles.kept
            if since is None or candle.begin_ns > since * NS_PER_S
        ]
        committed = candles.kept[-2] if len(candles.kept) > 1 else candles.current
        return {pair.id: rows, "last": committed.begin_ns // NS_PER_S}

    def _tell_spreads(self, fields: Fields) -> dict[str, Any]:
        pair = self._pair(fields)
        since = fields.integer("since", least=0, most=MAX_TIME) or 0
        instrument = self._market.instrument(pair.symbol)
        price, decimals = instrument.price_precision, price_decimals(instrument)
        book = self._market.book(pair.symbol)
        spreads = [tuple(spread) for spread in self._market.recent_spreads(pair.symbol)]
        if book.bids.keys and book.asks.keys:
            spreads.append((book.updated_ns, -book.bids.keys[0], book.asks.keys[0]))
        rows: list[list[Any]] = []
        for exchange_ns, bid, ask in spreads:
            row = [format_rescaled(bid, price, decimals), format_rescaled(ask, price, decimals)]
            if exchange_ns // NS_PER_S >= since and not (rows and rows[-1][1:] == row):
                rows.append([exchange_ns // NS_PER_S, *row])
        return {pair.id: rows, "last": rows[-1][0] if rows else since}

    # --- inside -------------------------------------------------------------------------------------------

    def _pair(self, fields: Fields) -> PairName:
        """The one pair whose market data is asked for."""
        pair = self._find(fields.need_text("pair"))
        self._note((pair.symbol,))
        return pair

    def _pairs(self, fields: Fields) -> tuple[PairName, ...]:
        """The pairs that are asked for; all if none is named."""
        wanted = fields.names("pair")
        return self.names.all if wanted is None else tuple(self._find(name) for name in wanted)

    def _find(self, name: str) -> PairName:
        pair = self.names.find(name)
        if pair is None:
            raise Refusal("EQuery:Unknown asset pair")
        # As replies recorded from Kraken show it: one asked for as BTC/USD is told under that name.
        return pair._replace(id=name) if "/" in name else pair


class _Today:
    """The trades of a symbol since midnight UTC, summed up without starting at midnight each time."""

    def __init__(self) -> None:
        self._day_ns = -1
        self._upto_ns = -1
        self._precisions = (-1, -1)
        self._sum: Candle | None = None

    def of(self, stats: History, instrument: ListedInstrument) -> Candle:
        """The sum; it begins with the first candle of the day, and is that of one minute just after midnight."""
        current = stats.minutes.current
        day_ns = current.begin_ns - current.begin_ns % DAY_NS
        precisions = (instrument.price_precision, instrument.qty_precision)
        if day_ns != self._day_ns or precisions != self._precisions:
            self._day_ns, self._precisions, self._upto_ns, self._sum = day_ns, precisions, day_ns - MINUTE_NS, None
        newer = []
        for candle in reversed(stats.minutes.kept):
            if candle.begin_ns <= self._upto_ns:
                break
            newer.append(candle)
        newer.reverse()
        for candle in newer[:-1]:
            self._sum = self._sum or Candle(candle.begin_ns, candle.open)
            self._sum.fold(candle)
            self._upto_ns = candle.begin_ns
        today = Candle(current.begin_ns, current.open)
        if self._sum is not None:
            today = Candle(self._sum.begin_ns, self._sum.open)
            today.fold(self._sum)
        today.fold(current)
        return today


def _depth_qty(lots: int, precision: int) -> str:
    least = 10 ** max(0, precision - DEPTH_QTY_DECIMALS)
    return format_rescaled(max(lots, least), precision, DEPTH_QTY_DECIMALS)


def _asset(asset: ListedAsset) -> dict[str, Any]:
    record: dict[str, Any] = {
        "aclass": "currency",
        "altname": asset_name(asset.id),
        "decimals": asset.precision,
        "display_decimals": asset.precision_display,
    }
    if asset.collateral_value is not None:
        record["collateral_value"] = float(asset.collateral_value)
    record["status"] = asset.status
    if asset.margin_rate is not None:
        record["margin_rate"] = float(asset.margin_rate)
    return record


def _pair(pair: PairName, instrument: ListedInstrument) -> dict[str, Any]:
    usual = FeeTier()
    leverage = [] if instrument.margin_initial is None else list(range(2, int(1 / instrument.margin_initial) + 1))
    record: dict[str, Any] = {
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": asset_id(instrument.base),
        "aclass_quote": "currency",
        "quote": asset_id(instrument.quote),
        "lot": "unit",
        "cost_decimals": instrument.cost_precision,
        "pair_decimals": instrument.price_precision,
        "lot_decimals": instrument.qty_precision,
        "lot_multiplier": 1,
        "leverage_buy": leverage,
        "leverage_sell": leverage,
        # One step: fees do not fall with volume here.
        "fees": [[0, float(usual.taker * 100)]],
        "fees_maker": [[0, float(usual.maker * 100)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": format_plain(instrument.qty_min),
        "costmin": format_plain(instrument.cost_min),
        "tick_size": format_plain(instrument.tick_size),
        "status": instrument.status,
        "execution_venue": "international",
    }
    if instrument.position_limit_long is not None:
        record["long_position_limit"] = instrument.position_limit_long
    if instrument.position_limit_short is not None:
        record["short_position_limit"] = instrument.position_limit_short
    return record
