"""Candles of every length and the statistics of the last 24 hours, in integers: ticks and lots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import exp, log
from random import Random

from ..engine.book import Print

__all__ = ["DAY_NS", "INTERVALS", "MINUTE_NS", "Candle", "Candles", "History", "make_history", "shifted"]

MINUTE_NS = 60 * 1_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

PULL = 0.000004
"""How far, in a minute, an old price returns to where the history ends; keeps two years within plausible bounds."""

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
"""The candle lengths that can be subscribed, in minutes (PROTOCOL 3.8)."""


class Candle:
    """Trades of one interval: prices in ticks, `lots` the volume, `value` the sum of tick times lots."""

    __slots__ = ("begin_ns", "close", "high", "lots", "low", "open", "trades", "value")

    def __init__(self, begin_ns: int, price: int) -> None:
        self.begin_ns = begin_ns
        self.open = self.high = self.low = self.close = price
        self.lots = 0
        self.value = 0
        self.trades = 0

    @property
    def vwap(self) -> int:
        """The average price by volume, in ticks, rounded down."""
        return self.value // self.lots if self.lots else self.close

    def add(self, tick: int, lots: int) -> None:
        """Add one trade."""
        if tick > self.high:
            self.high = tick
        elif tick < self.low:
            self.low = tick
        self.close = tick
        self.lots += lots
        self.value += tick * lots
        self.trades += 1

    def fold(self, other: Candle) -> None:
        """Add a later, shorter candle."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.lots += other.lots
        self.value += other.value
        self.trades += other.trades

    def rescale(self, price_shift: int, qty_shift: int) -> None:
        """Count in other ticks and lots: 10^shift of the new ones are one of the old."""
        self.open, self.high, self.low, self.close = (
            shifted(tick, price_shift) for tick in (self.open, self.high, self.low, self.close)
        )
        self.lots = shifted(self.lots, qty_shift)
        self.value = shifted(self.value, price_shift + qty_shift)


class Candles:
    """The candles of one symbol at one interval, oldest first; at most `limit` of them.

    Args:
        interval: minutes.
    """

    LIMIT = 720

    def __init__(self, interval: int, limit: int = LIMIT) -> None:
        self.interval = interval
        self.kept: deque[Candle] = deque(maxlen=limit)

    @property
    def current(self) -> Candle:
        """The newest candle."""
        return self.kept[-1]

    def add(self, trade: Print) -> None:
        """Add one trade."""
        self._at(trade.exchange_ns, trade.tick).add(trade.tick, trade.lots)

    def fold(self, candles: Iterable[Candle]) -> None:
        """Add shorter candles, oldest first."""
        for candle in candles:
            self._at(candle.begin_ns, candle.open).fold(candle)

    def _at(self, exchange_ns: int, price: int) -> Candle:
        length = self.interval * MINUTE_NS
        begin_ns = exchange_ns - exchange_ns % length
        if not self.kept or self.kept[-1].begin_ns < begin_ns:
            self.kept.append(Candle(begin_ns, price))
        return self.kept[-1]


class History:
    """The candles of one symbol at every interval, and the rolling statistics of its ticker (PROTOCOL 3.4, 3.8).

    A day is kept by the minute, a month by the hour, two years by the day.

    Args:
        minutes, hours, days: what was before: candles of each length, oldest first; none overlaps a shorter one.

    Attributes:
        minutes: the one-minute candles of the last 24 hours.
        day: their sum; its `open` is the price a day ago.
        last, last_ns: price in ticks and time of the last trade.
    """

    def __init__(self, minutes: Iterable[Candle], hours: Iterable[Candle], days: Iterable[Candle]) -> None:
        self.minutes = Candles(1, limit=1442)
        self.minutes.fold(minutes)
        self._hours = Candles(60)
        self._hours.fold(hours)
        self._days = Candles(1440)
        self._days.fold(days)
        self._days.fold(self._hours.kept)
        for each in (self._hours, self._days):
            each.fold(self.minutes.kept)
        self.last = self.minutes.current.close
        self.last_ns = self.minutes.current.begin_ns
        self.day = self._sum()

    def add(self, trade: Print) -> None:
        """Add one trade, and forget those of more than a day ago."""
        self.minutes.add(trade)
        self._hours.add(trade)
        self._days.add(trade)
        self.last = trade.tick
        self.last_ns = trade.exchange_ns
        minutes = self.minutes.kept
        expired_ns = trade.exchange_ns - DAY_NS - MINUTE_NS
        if minutes[0].begin_ns <= expired_ns:
            while minutes[0].begin_ns <= expired_ns:
                minutes.popleft()
            self.day = self._sum()
        else:
            self.day.add(trade.tick, trade.lots)

    def candles(self, interval: int) -> Candles:
        """The candles of `interval` minutes up to now, a copy."""
        source = self._days if interval >= 1440 else self._hours if interval >= 60 else self.minutes
        candles = Candles(interval)
        candles.fold(source.kept)
        return candles

    def rescale(self, price_shift: int, qty_shift: int) -> None:
        """Count in other ticks and lots: 10^shift of the new ones are one of the old; what falls below one is lost."""
        for kept in (self.minutes.kept, self._hours.kept, self._days.kept):
            for candle in kept:
                candle.rescale(price_shift, qty_shift)
        self.last = shifted(self.last, price_shift)
        self.day = self._sum()

    def _sum(self) -> Candle:
        minutes = self.minutes.kept
        day = Candle(minutes[0].begin_ns, minutes[0].open)
        for candle in minutes:
            day.fold(candle)
        return day


def make_history(price: int, size: int, random: Random, exchange_ns: int) -> History:
    """A seeded past that ends at `price` just before the minute of `exchange_ns`.

    Args:
        price: ticks.
        size: a typical trade, in lots.
        random: where the chance comes from.
        exchange_ns: the present.
    """
    end_ns = exchange_ns - exchange_ns % MINUTE_NS
    past: list[list[Candle]] = []
    close = price
    for length, count in ((MINUTE_NS, 1440), (HOUR_NS, 720), (DAY_NS, 720)):
        # Whole hours up to the first minute, whole days up to the first hour.
        end_ns -= end_ns % length
        candles = _make_candles(close, size, random, range(end_ns - length, end_ns - (count + 1) * length, -length))
        past.append(candles)
        close, end_ns = candles[0].open, candles[0].begin_ns
    return History(*past)


def shifted(number: int, shift: int) -> int:
    """`number` times 10^shift, rounded towards zero."""
    factor: int = 10 ** abs(shift)
    return number * factor if shift >= 0 else number // factor


def _make_candles(price: int, size: int, random: Random, begins: range) -> list[Candle]:
    """Candles that end at `price`, oldest first; prices spread with the square root of their length."""
    minutes = -begins.step // MINUTE_NS
    spread = 0.0006 * minutes**0.5
    candles: list[Candle] = []
    close = price
    for begin_ns in begins:
        opening = max(1, round(close * exp(random.gauss(0.0, spread) - PULL * minutes * log(close / price))))
        trades = 1 + int(random.expovariate(0.2 / minutes))
        candle = Candle(begin_ns, opening)
        candle.high = max(opening, close) + int(random.expovariate(3.0) * price * spread)
        candle.low = max(1, min(opening, close) - int(random.expovariate(3.0) * price * spread))
        candle.close = close
        candle.trades = trades
        candle.lots = max(1, int(size * trades * (0.2 + random.random())))
        candle.value = (candle.high + candle.low) * candle.lots // 2
        candles.append(candle)
        close = opening
    candles.reverse()
    return candles
