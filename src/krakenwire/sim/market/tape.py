"""What traded in one symbol: its statistics, its last trades, and the spreads after them."""

from __future__ import annotations

import itertools
from collections import deque
from random import Random
from typing import NamedTuple

from ..engine.book import Move, OrderBook, Print
from ..instruments import Listing
from .candles import MINUTE_NS, make_history, shifted

__all__ = ["SPREADS_KEPT", "TRADES_KEPT", "Spread", "Tape"]

TRADES_KEPT = 1000
"""As many as REST gives at once (PROTOCOL 8.3)."""

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
        self._trades: deque[Print] = deque(maxlen=TRADES_KEPT)
        times = sorted(random.randrange(1, MINUTE_NS // 1000) * 1000 for _ in range(TRADES_KEPT))
        for number, ago_ns in enumerate(reversed(times)):
            trade = Print(
                first_trade_id - TRADES_KEPT + number,
                random.random() < 0.5,
                max(1, price + random.randrange(-listing.gap, listing.gap + 1)),
                1 + int(size * random.random()),
                random.random() < 0.45,
                start_ns - ago_ns,
            )
            self._add(trade)

    def last_trades(self, count: int) -> list[Print]:
        """The last trades, oldest first; at most `count`, and at most a thousand."""
        return list(itertools.islice(self._trades, max(0, len(self._trades) - count), None))

    def note(self, move: Move, book: OrderBook) -> None:
        """Take in a move that traded; `book` is as it left it."""
        for trade in move.trades:
            self._add(trade)
        if book.bids.keys and book.asks.keys:
            self.spreads.append(Spread(move.exchange_ns, -book.bids.keys[0], book.asks.keys[0]))

    def rescale(self, price_shift: int, qty_shift: int) -> None:
        """Count in other ticks and lots: 10^shift of the new ones are one of the old. Spreads are forgotten."""
        self.stats.rescale(price_shift, qty_shift)
        self._trades = deque(
            (
                trade._replace(
                    tick=max(1, shifted(trade.tick, price_shift)), lots=max(1, shifted(trade.lots, qty_shift))
                )
                for trade in self._trades
            ),
            maxlen=TRADES_KEPT,
        )
        self.spreads.clear()

    def _add(self, trade: Print) -> None:
        self.stats.add(trade)
        self._trades.append(trade)
