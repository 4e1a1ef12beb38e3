"""The background market of one symbol: seeded agents that quote, withdraw and trade, and so keep a book alive."""

from __future__ import annotations

from bisect import bisect_left
from math import exp, log
from random import Random
from typing import Literal, Protocol

from krakenwire.errors import UsageError

from ..engine.book import Move, OrderBook, Resting, Side
from ..instruments import Listing

__all__ = ["Agents", "Conduct", "Venue"]

Conduct = Literal["all", "limits", "quotes", "withdrawals", "nothing"]
"""What agents may do: everything; no market orders; no trades; only withdraw; stand still."""

TRADES = 0.14
"""Which part of the moves are trades."""

NEAR_RANKS = 6.0
"""Mean rank of an ordinary change: about eight in ten fall into the top ten."""

MOST_QUEUED = 4
"""Orders at one price from which on agents join it no more."""

SIZES = 1024
"""How many sizes an agent's market knows; each order takes a part of one of them."""

WIDE_GAPS = 40
"""Typical distances from where a side belongs to its best level, from which on its next quote starts there anew."""


class Venue(Protocol):
    """What agents need of the engine."""

    def next_number(self) -> int:
        """A number for an order."""

    def take(self, book: OrderBook, is_buy: bool, limit_key: int | None, lots: int, market: bool) -> None:
        """Trade with the other side of `book`."""


class Agents:
    """The agents of one symbol. They act on its book as any trader could, and on orders of their own only.

    Between moves either side holds between nine tenths of `listing.levels` and a little more than `levels`, levels of
    accounts not counted; where somebody ate more than that, it grows back move by move. Prices walk at random and are
    pulled back towards where they started; agents neither bid a quarter more than that nor ask a quarter less. An
    account may leave them no room to quote; then they trade with it until there is some.

    Args:
        listing: what the market is like.
        book: its book; the agents fill it.
        venue: takes for them, and numbers their orders.
        random: where all chance comes from.

    Attributes:
        symbol: what they trade.
        listing: the listing, as given.
        conduct: what they may do.

    Raises:
        UsageError: the listing wants more levels below its price than there are ticks.
    """

    def __init__(self, listing: Listing, book: OrderBook, venue: Venue, random: Random) -> None:
        self.listing = listing
        self.symbol = listing.symbol
        self.conduct: Conduct = "all"
        self._book = book
        self._venue = venue
        self._random = random.random
        self._measure(listing)
        if self._anchor < 2 * listing.levels * listing.gap:
            raise UsageError(
                f"{listing.symbol}: {listing.levels} levels, {listing.gap} ticks apart, need a price of at least "
                f"{2 * listing.levels * listing.gap} ticks, got {self._anchor}; list fewer levels or a finer price"
            )
        self._bound(None)
        self._fill()

    # --- what the market calls ------------------------------------------------------------------------------

    def move(self, exchange_ns: int) -> Move:
        """Let one thing happen: a quote, a trade, a burst of quotes, or a change deep in the book."""
        move = self._book.begin(exchange_ns)
        if self._levels == 0:
            return move
        if self.conduct != "all":
            self._act_restrained()
            return move
        chance = self._random()
        if chance < TRADES:
            self._trade()
        elif chance < 0.16:
            for _ in range(4 + int(self._random() * 9)):
                self._quote(NEAR_RANKS)
        elif chance < 0.20:
            self._quote(self._levels / 2)
        elif chance > 0.90:
            self._requote()
        else:
            self._quote(NEAR_RANKS)
        return move

    def keep(self, levels: int | None, exchange_ns: int) -> Move:
        """Withdraw or place what it takes to have `levels` a side, and never have more again; None is as listed."""
        self._bound(levels)
        move = self._book.begin(exchange_ns)
        for side in (self._book.bids, self._book.asks):
            while len(side.keys) - side.held > self._levels and self._clear_worst(side):
                pass
        self._fill()
        return move

    def rescale(self, listing: Listing) -> None:
        """Go on with the precisions that `listing` has and the book has taken on."""
        self.listing = listing
        self._measure(listing)
        self._bound(self._kept)

    # --- what can happen ------------------------------------------------------------------------------------

    def _act_restrained(self) -> None:
        if self.conduct == "limits" and self._random() < TRADES:
            self._trade()
        elif self.conduct in {"limits", "quotes"}:
            self._quote(NEAR_RANKS)
        elif self.conduct == "withdrawals":
            side = self._either_side()
            if len(side.keys) - side.held > self._least // 2:
                self._withdraw(side, self._rank(side, NEAR_RANKS))

    def _quote(self, mean_rank: float) -> None:
        """Somebody places, changes or withdraws an order somewhere around `mean_rank`."""
        random = self._random
        book = self._book
        side, opposite = (book.bids, book.asks) if random() < 0.5 else (book.asks, book.bids)
        keys = side.keys
        levels = len(keys) - side.held
        if levels < self._least:
            self._restock(side)
            return
        if not keys:
            return
        if opposite.keys:
            spread = keys[0] + opposite.keys[0]
            if spread > 1 and random() < (0.5 if spread > self._gap else 0.04):
                self._improve(side, opposite, spread)
                return
        rank = int(-log(1.0 - random()) * mean_rank) % len(keys)
        if random() < 0.45:
            self._change(side, keys[rank])
        elif self._least + random() * (self._most - self._least) > levels:
            self._insert(side, rank)
        else:
            self._withdraw(side, rank)

    def _improve(self, side: Side, opposite: Side, spread: int) -> None:
        """Place an order inside a spread that has room for one; at once where the side belongs, if it is far off."""
        if len(side.keys) - side.held >= self._most:
            self._clear_worst(side)
        if not side.keys:
            return
        best = self._due(side, opposite)
        if spread <= WIDE_GAPS * self._gap or side.keys[0] <= best:
            reach = max(self._gap, spread // 2)
            best = side.keys[0] - 1 - int(self._random() * min(spread - 1, reach))
        self._place(side, best)

    def _change(self, side: Side, key: int) -> None:
        """Join the level at `key`, withdraw one of several orders there, or make one smaller."""
        random = self._random
        queue = side.queues[key]
        chance = random()
        if chance < 0.4 and len(queue) < MOST_QUEUED:
            self._place(side, key)
            return
        order = _own(queue, chance < 0.7)
        if order is None:
            return
        if len(queue) > 1 and chance < 0.8:
            self._book.remove(order)
        elif order.lots > self._min_lots:
            self._book.reduce(order, self._min_lots + int(random() * (order.lots - self._min_lots)))

    def _requote(self) -> None:
        """Withdraw an order near the touch, and place one a little further in or out."""
        side = self._either_side()
        keys = side.keys
        if len(keys) - side.held < self._least:
            self._restock(side)
        elif keys:
            self._withdraw(side, self._rank(side, NEAR_RANKS))
            if keys and len(keys) - side.held < self._most:
                self._insert(side, self._rank(side, NEAR_RANKS))

    def _trade(self) -> None:
        """A taker eats into the other side: a part of the best level, or several of them."""
        random = self._random
        book = self._book
        buys = random() < 0.5 + self._pull()
        side = book.asks if buys else book.bids
        keys, totals = side.keys, side.totals
        if not keys:
            return
        eaten = 0 if random() < 0.45 else min(1 + int(-log(1.0 - random()) * 0.8), len(keys) - 1, 5)
        lots = sum([totals[key] for key in keys[:eaten]])
        if eaten == 0 or random() < 0.4:
            lots += 1 + int(random() * (totals[keys[eaten]] - 1))
        market = random() < 0.45 and self.conduct == "all"
        self._venue.take(book, buys, None if market else keys[eaten], min(lots, self._most_lots), market)
        if len(keys) - side.held < self._least:
            self._restock(side)

    def _pull(self) -> float:
        """How takers lean: 2 % away from the anchor they push back four to one."""
        bids, asks = self._book.bids.keys, self._book.asks.keys
        ask = asks[0] if asks else self._anchor
        bid = -bids[0] if bids else self._anchor
        return max(-0.3, min(0.3, (self._anchor - (ask + bid) / 2) / self._anchor * 15))

    # --- where it happens -----------------------------------------------------------------------------------

    def _either_side(self) -> Side:
        return self._book.bids if self._random() < 0.5 else self._book.asks

    def _rank(self, side: Side, mean_rank: float) -> int:
        """A level of a side that has some, about `mean_rank` from the touch."""
        return int(-log(1.0 - self._random()) * mean_rank) % len(side.keys)

    def _restock(self, side: Side) -> None:
        """Quote where more was eaten than the agents let be: all of a little, a part of much."""
        missing = self._least - len(side.keys) + side.held
        for _ in range(min(missing, 8 + missing // 8)):
            self._restore(side)

    def _restore(self, side: Side) -> None:
        """Place a new level in a side that lacks some: where the side belongs, if nothing is near there."""
        book = self._book
        keys = side.keys
        best = self._due(side, book.asks if side is book.bids else book.bids)
        if keys and keys[-1] >= self._absurd(side) and keys[0] - best <= WIDE_GAPS * self._gap:
            self._insert(side, int(self._random() * len(keys)))
        else:
            self._place(side, best)

    def _due(self, side: Side, opposite: Side) -> int:
        """The best key of a side where prices are as listed, as near to that as the other side allows."""
        due = self._half + side.sign * self._anchor
        return max(due, 1 - opposite.keys[0]) if opposite.keys else due

    def _absurd(self, side: Side) -> int:
        """The key from which on agents quote: nobody bids a quarter more than it is worth, or asks a quarter less."""
        return side.sign * self._anchor - self._anchor // 4

    def _insert(self, side: Side, rank: int) -> None:
        """Place a new level behind the one at `rank`, or in the next gap from there, or at the end of the book."""
        keys = side.keys
        if keys[rank] < self._absurd(side):
            rank = min(bisect_left(keys, self._absurd(side)), len(keys) - 1)
        for index in range(rank, len(keys) - 1):
            room = keys[index + 1] - keys[index] - 1
            if room:
                self._place(side, keys[index] + min(room, self._distance()))
                return
        self._extend(side)

    def _extend(self, side: Side) -> None:
        """Place a new level behind the agents' worst one, or in the last gap if that is no price."""
        keys = side.keys
        worst = self._worst(side)
        key = keys[max(worst, 0)] + self._distance()
        if side.sign * key < 1:  # prices would fall to zero
            rank = len(keys) - 1
            while rank > 0 and keys[rank] - keys[rank - 1] == 1:
                rank -= 1
            if rank == 0:
                return
            key = keys[rank] - 1
        self._place(side, key)

    def _fill(self) -> None:
        """Place levels until there are as many as there should be, some of several orders; fewer if room is short."""
        for side in (self._book.bids, self._book.asks):
            missing = self._levels - len(side.keys) + side.held
            if missing > 0:
                self._restore(side)
            for _ in range(missing - 1):
                if side.keys:
                    self._extend(side)
                    if self._random() < 0.25:
                        self._place(side, side.keys[-1])

    def _place(self, side: Side, key: int) -> None:
        if key < self._absurd(side) or side.sign * key < 1:
            return
        book = self._book
        book.place(Resting(self._venue.next_number(), None, side.sign < 0, key, self._lots(), book.move.exchange_ns))

    def _withdraw(self, side: Side, rank: int) -> None:
        """Withdraw an order of the level at `rank`, if agents have one there."""
        order = _own(side.queues[side.keys[rank]], self._random() < 0.5)
        if order is not None:
            self._book.remove(order)

    def _worst(self, side: Side) -> int:
        """The rank of the last level at which agents have an order, -1 if there is none."""
        rank = len(side.keys) - 1
        if side.held:
            while rank >= 0 and _own(side.queues[side.keys[rank]], True) is None:
                rank -= 1
        return rank

    def _clear_worst(self, side: Side) -> bool:
        """Withdraw all that agents have at the last level where they have something; False if they have nothing."""
        rank = self._worst(side)
        if rank < 0:
            return False
        for order in list(side.queues[side.keys[rank]].values()):
            if order.account is None:
                self._book.remove(order)
        return True

    # --- how much -------------------------------------------------------------------------------------------

    def _measure(self, listing: Listing) -> None:
        """Take over what the listing says, in ticks and lots of its instrument."""
        instrument = listing.instrument
        self._anchor = max(1, int(listing.price.scaleb(instrument.price_precision)))
        self._gap = listing.gap
        self._half = max(1, listing.gap // 2)
        self._min_lots = max(1, int(instrument.qty_min.scaleb(instrument.qty_precision)))
        # Sizes spread over four orders of magnitude, drawn once: a part of one of these is cheap to draw.
        mean = log(max(1, int(listing.size.scaleb(instrument.qty_precision))))
        random = self._random
        self._sizes = [2 + int(exp(mean + 0.7 + (random() + random() + random() - 1.5) * 4.0)) for _ in range(SIZES)]
        self._most_lots = max(self._sizes)
        self._listed = max(1, min(listing.levels, self._anchor // (2 * listing.gap)))

    def _bound(self, kept: int | None) -> None:
        """From now on have about so many levels a side: at most `kept`, or if that is None a few more than listed."""
        self._kept = kept
        self._levels = levels = self._listed if kept is None else min(kept, self._listed)
        self._least = min(levels, max(2, levels * 9 // 10))
        self._most = levels + max(2, levels // 10) if kept is None else levels

    def _distance(self) -> int:
        """How far apart two neighbouring levels are, in ticks."""
        return 1 + int(-log(1.0 - self._random()) * (self._gap - 0.5))

    def _lots(self) -> int:
        """A quantity; one in eight is round."""
        random = self._random
        chance = random()
        lots = self._min_lots + int(self._sizes[int(chance * SIZES)] * random())
        if chance > 0.875:
            unit = 10 ** (len(str(lots)) - 1)
            lots = -(-lots // unit) * unit
        return lots


def _own(queue: dict[int, Resting], newest: bool) -> Resting | None:
    """The newest or the oldest order of the agents in a queue, None if accounts have it for themselves."""
    for order in reversed(queue.values()) if newest else queue.values():
        if order.account is None:
            return order
    return None
