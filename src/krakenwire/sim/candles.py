"""Candles and the statistics of the last 24 hours, in integers: ticks and lots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random

from .flow import Print

__all__ = ["DAY_NS", "INTERVALS", "MINUTE_NS", "Candle", "Candles", "DayStats", "make_history"]

MINUTE_NS = 60 * 1_000_000_000
DAY_NS = 1440 * MINUTE_NS

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
        self.high = max(self.high, tick)
        self.low = min(self.low, tick)
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


class DayStats:
    """The rolling statistics of the ticker (PROTOCOL 3.4), kept by the minute.

    Attributes:
        minutes: the one-minute candles of the last 24 hours.
        day: their sum; its `open` is the price a day ago.
        last, last_ns: price in ticks and time of the last trade.
    """

    def __init__(self, history: Iterable[Candle]) -> None:
        self.minutes = Candles(1, limit=1442)
        self.minutes.fold(history)
        self.last = self.minutes.current.close
        self.last_ns = self.minutes.current.begin_ns
        self.day = self._sum()

    def add(self, trade: Print) -> None:
        """Add one trade, and forget those of more than a day ago."""
        self.minutes.add(trade)
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

    def _sum(self) -> Candle:
        minutes = self.minutes.kept
        day = Candle(minutes[0].begin_ns, minutes[0].open)
        for candle in minutes:
            day.fold(candle)
        return day


def make_history(price: int, size: int, random: Random, exchange_ns: int) -> list[Candle]:
    """A day of one-minute candles that ends at `price` just before the minute of `exchange_ns`.

    Args:
        price: ticks.
        size: a typical trade, in lots.
        random: where the chance comes from.
        exchange_ns: the present.
    """
    history: list[Candle] = []
    begin_ns = exchange_ns - exchange_ns % MINUTE_NS
    close = price
    for _ in range(1440):
        begin_ns -= MINUTE_NS
        opening = max(1, round(close * (1 + random.gauss(0.0, 0.0006))))
        trades = 1 + int(random.expovariate(0.2))
        candle = Candle(begin_ns, opening)
        candle.high = max(opening, close) + int(random.expovariate(1.0) * price * 0.0002)
        candle.low = max(1, min(opening, close) - int(random.expovariate(1.0) * price * 0.0002))
        candle.close = close
        candle.trades = trades
        candle.lots = max(1, int(size * trades * (0.2 + random.random())))
        candle.value = (candle.high + candle.low) * candle.lots // 2
        history.append(candle)
        close = opening
    history.reverse()
    return history
