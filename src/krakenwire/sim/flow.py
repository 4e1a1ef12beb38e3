"""Random order flow of one symbol: what keeps a simulated book alive."""

from __future__ import annotations

from math import exp, log
from random import Random
from typing import NamedTuple

from krakenwire.errors import UsageError

from .instruments import Listing
from .ladder import Change, Ladder, LadderBook

__all__ = ["Flow", "Move", "Print"]

NEAR_RANKS = 6.0
"""Mean rank of an ordinary change: about eight in ten fall into the top ten."""


class Print(NamedTuple):
    """One trade: `buys` says that the taker bought; price in ticks, quantity in lots."""

    trade_id: int
    buys: bool
    tick: int
    lots: int
    market: bool
    exchange_ns: int


class Move(NamedTuple):
    """What one step did to one symbol: the changes of each side, in their order, and the trades."""

    symbol: str
    exchange_ns: int
    bids: list[Change]
    asks: list[Change]
    trades: list[Print]


class Flow:
    """The book of one symbol and the orders that arrive at it.

    After every `move` either side holds between nine tenths of `listing.levels` and a little more than
    `levels`, and the book is not crossed. Prices walk at random and are pulled back towards where they
    started.

    Args:
        listing: what the market is like.
        random: where all chance comes from.
        exchange_ns: the time of the first book.
        first_trade_id: the id of the first trade.

    Raises:
        UsageError: the listing wants more levels below its price than there are ticks.
    """

    def __init__(self, listing: Listing, random: Random, exchange_ns: int, first_trade_id: int) -> None:
        instrument = listing.instrument
        self.listing = listing
        self.symbol = listing.symbol
        self.book = LadderBook()
        self.next_trade_id = first_trade_id
        self._random = random.random
        self._anchor = int(listing.price.scaleb(instrument.price_precision))
        self._size = log(int(listing.size.scaleb(instrument.qty_precision)))
        self._gap = listing.gap
        self._least = max(2, listing.levels * 9 // 10)
        self._most = listing.levels + max(2, listing.levels // 10)
        if self._anchor < 2 * listing.levels * listing.gap:
            least = 2 * listing.levels * listing.gap
            raise UsageError(
                f"{listing.symbol}: {listing.levels} levels, {listing.gap} ticks apart, need a price of at least "
                f"{least} ticks, got {self._anchor}; list fewer levels or a finer price"
            )
        self.book.updated_ns = exchange_ns
        half = max(1, listing.gap // 2)
        for ladder, best in ((self.book.bids, half - self._anchor), (self.book.asks, self._anchor + half)):
            ladder.set(best, self._lots())
            while len(ladder) < listing.levels:
                self._extend(ladder)

    def move(self, exchange_ns: int) -> Move:
        """Let one thing happen: a quote, a trade, a burst of quotes, or a change deep in the book."""
        move = Move(self.symbol, exchange_ns, [], [], [])
        chance = self._random()
        if chance < 0.14:
            self._trade(move)
        elif chance < 0.16:
            for _ in range(4 + int(self._random() * 9)):
                self._quote(move, NEAR_RANKS)
        elif chance < 0.20:
            self._quote(move, self.listing.levels / 2)
        else:
            self._quote(move, NEAR_RANKS)
            if chance > 0.90:
                self._quote(move, NEAR_RANKS)
        self.book.updated_ns = exchange_ns
        return move

    # --- what can happen ------------------------------------------------------------------------------------

    def _quote(self, move: Move, mean_rank: float) -> None:
        """Somebody places, changes or withdraws an order somewhere around `mean_rank`."""
        random = self._random
        if random() < 0.5:
            ladder, changes = self.book.bids, move.bids
        else:
            ladder, changes = self.book.asks, move.asks
        keys = ladder.keys
        spread = self.book.spread
        if spread > 1 and random() < (0.5 if spread > self._gap else 0.04):
            if len(keys) >= self._most:
                changes.append(ladder.remove(len(keys) - 1))
            reach = max(self._gap, spread // 2)
            changes.append(ladder.set(keys[0] - 1 - int(random() * min(spread - 1, reach)), self._lots()))
            return
        rank = int(-log(1.0 - random()) * mean_rank) % len(keys)
        if random() < 0.45:
            changes.append(ladder.set(keys[rank], self._lots()))
        elif self._least + random() * (self._most - self._least) >= len(keys):
            changes.append(self._insert(ladder, rank))
        else:
            changes.append(ladder.remove(rank))

    def _trade(self, move: Move) -> None:
        """A taker eats into the other side: a part of the best level, or several of them."""
        random = self._random
        mid = (self.book.asks.keys[0] - self.book.bids.keys[0]) / 2
        # 2 % away from the anchor, takers push back four to one.
        pull = max(-0.3, min(0.3, (self._anchor - mid) / self._anchor * 15))
        buys = random() < 0.5 + pull
        ladder, changes = (self.book.asks, move.asks) if buys else (self.book.bids, move.bids)
        market = random() < 0.45
        eaten = 0 if random() < 0.45 else min(1 + int(-log(1.0 - random()) * 0.8), len(ladder) - 1, 5)
        for _ in range(eaten):
            self._print(move, buys, ladder.tick_at(0), ladder.lots_at(0), market)
            changes.append(ladder.remove(0))
        best = ladder.lots_at(0)
        if best > 1 and (eaten == 0 or random() < 0.4):
            taken = 1 + int(random() * (best - 1))
            self._print(move, buys, ladder.tick_at(0), taken, market)
            changes.append(ladder.set(ladder.keys[0], best - taken))
        while len(ladder) < self._least:
            changes.append(self._insert(ladder, int(random() * len(ladder))))

    def _print(self, move: Move, buys: bool, tick: int, lots: int, market: bool) -> None:
        move.trades.append(Print(self.next_trade_id, buys, tick, lots, market, move.exchange_ns))
        self.next_trade_id += 1

    # --- where it happens -----------------------------------------------------------------------------------

    def _insert(self, ladder: Ladder, rank: int) -> Change:
        """Place a new level behind the one at `rank`, or in the next gap from there, or at the end of the book."""
        keys = ladder.keys
        for index in range(rank, len(keys) - 1):
            room = keys[index + 1] - keys[index] - 1
            if room:
                return ladder.set(keys[index] + min(room, self._distance()), self._lots())
        return self._extend(ladder)

    def _extend(self, ladder: Ladder) -> Change:
        """Place a new level at the end of the book, or in its last gap where prices would fall to zero."""
        keys = ladder.keys
        key = keys[-1] + self._distance()
        if ladder.sign * key < 1:
            rank = len(keys) - 1
            while rank > 0 and keys[rank] - keys[rank - 1] == 1:
                rank -= 1
            key = keys[rank] - 1 if rank > 0 else keys[-1]
        return ladder.set(key, self._lots())

    def _distance(self) -> int:
        """How far apart two neighbouring levels are, in ticks."""
        return 1 + int(-log(1.0 - self._random()) * (self._gap - 0.5))

    def _lots(self) -> int:
        """A quantity: sizes spread over four orders of magnitude, one in eight of them round."""
        random = self._random
        lots = int(exp(self._size + (random() + random() + random() - 1.5) * 4.0)) + 1
        if random() < 0.125:
            unit = 10 ** (len(str(lots)) - 1)
            lots = -(-lots // unit) * unit
        return lots
