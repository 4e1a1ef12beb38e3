"""What traded in one symbol: its statistics, its last trades, and the spreads after them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from random import Random
from typing import NamedTuple

from ..engine.book import Move, OrderBook, Print
from ..instruments import Listing
from .candles import MINUTE_NS, make_history, shifted

__all__ = ["PAST_TRADES", "SPREADS_KEPT", "TRADES_KEPT", "Spread", "Tape"]

TRADES_KEPT = 20_000
"""Of one symbol, at least: so far back REST can page. Kraken keeps all there ever were; this bounds our memory to some
5 MB a symbol."""

_SLACK = 1000
"""So many more are kept before the oldest are let go, all at once."""

PAST_TRADES = 1000
"""Trades before the first: as many as REST gives at once (PROTOCOL 8.3)."""

SPREADS_KEPT = 200
"""As many as REST gives (PROTOCOL 8.3)."""


class Spread(NamedTuple):
    """The best bid and ask at one moment, in ticks."""

    exchange_ns: int
    bid: int
    ask: int


class Tape:
    """What traded in one symbol, and a seeded past of it.

    Args:
        listing: where its price starts, and how much is traded at once.
        first_trade_id: the id of its first trade after the past.
        start_ns: when the past ends, exchange time.
        random: where the chance of the past comes from.

    Attributes:
        stats: its candles, and the statistics of 24 hours.
        spreads: best bid and ask after each of the last moves that traded, oldest first.
    """

    def __init__(self, listing: Listing, first_trade_id: int, start_ns: int, random: Random) -> None:
        instrument = listing.instrument
        price = max(1, int(listing.price.scaleb(instrument.price_precision)))
        size = max(1, int(listing.size.scaleb(instrument.qty_precision)))
        self.stats = make_history(price, size, random, start_ns - MINUTE_NS)
        self.spreads: deque[Spread] = deque(maxlen=SPREADS_KEPT)
        self._trades: list[Print] = []
        self._cursors: list[int] = []
        """Of each trade, the time by which REST's `since` and `last` count: those of one moment are told apart."""
        times = sorted(random.randrange(1, MINUTE_NS // 1000) * 1000 for _ in range(PAST_TRADES))
        for number, ago_ns in enumerate(reversed(times)):
            trade = Print(
                first_trade_id - PAST_TRADES + number,
                random.random() < 0.5,
                max(1, price + random.randrange(-listing.gap, listing.gap + 1)),
                1 + int(size * random.random()),
                random.random() < 0.45,
                start_ns - ago_ns,
            )
            self._add(trade)

    def last_trades(self, count: int) -> list[Print]:
        """The last trades, oldest first; at most `count`, and at most as many as are kept."""
        return self._trades[max(0, len(self._trades) - count) :]

    def newest(self, count: int) -> list[tuple[int, Print]]:
        """The last trades as `trades_after` gives them."""
        start = max(0, len(self._trades) - count)
        return list(zip(self._cursors[start:], self._trades[start:], strict=True))

    def trades_after(self, cursor: int, count: int) -> list[tuple[int, Print]]:
        """The first trades after a cursor, oldest first, each with its own: a time by which no two trades are alike.

        Args:
            cursor: of the trade before them, or any moment (exchange time).
            count: at most so many.
        """
        start = bisect_right(self._cursors, cursor)
        return list(zip(self._cursors[start : start + count], self._trades[start : start + count], strict=True))

    def note(self, move: Move, book: OrderBook) -> None:
        """Take in a move that traded; `book` is as it left it."""
        for trade in move.trades:
            self._add(trade)
        if book.bids.keys and book.asks.keys:
            self.spreads.append(Spread(move.exchange_ns, -book.bids.keys[0], book.asks.keys[0]))

    def rescale(self, price_shift: int, qty_shift: int) -> None:
        """Count in other ticks and lots: 10^shift of the new ones are one of the old. Spreads are forgotten."""
        self.stats.rescale(price_shift, qty_shift)
        self._trades = [
            trade._replace(tick=max(1, shifted(trade.tick, price_shift)), lots=max(1, shifted(trade.lots, qty_shift)))
            for trade in self._trades
        ]
        self.spreads.clear()

    def _add(self, trade: Print) -> None:
        self.stats.add(trade)
        self._cursors.append(max(self._cursors[-1] + 1, trade.exchange_ns) if self._cursors else trade.exchange_ns)
        self._trades.append(trade)
        if len(self._trades) > TRADES_KEPT + _SLACK:
            del self._trades[:_SLACK], self._cursors[:_SLACK]
