"""The market at one moment, and what an order must look like in it."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple, Self

from krakenwire.conform.wire import Item, Malformed

__all__ = ["Quote"]

FAR = Decimal("0.8")
"""How far below the market a resting buy is put, so that it is not met."""

AMPLE = Decimal("1.5")
"""By how much an order exceeds the minimum, so that it still does when the market has moved a little."""


class Quote(NamedTuple):
    """The market, and what an order must look like in it.

    Attributes:
        bid, ask: best prices.
        tick: price increment.
        lot: quantity increment.
        qty: a quantity a little above the minimum, by quantity and by cost.
        qty_min: the least quantity.
        cost_min: the least cost.
    """

    bid: Decimal
    ask: Decimal
    tick: Decimal
    lot: Decimal
    qty: Decimal
    qty_min: Decimal
    cost_min: Decimal

    @property
    def far(self) -> Decimal:
        """A price at which a buy rests."""
        return self.floor(self.bid * FAR)

    def floor(self, price: Decimal) -> Decimal:
        """The next price that is a multiple of the increment, downwards."""
        return (price / self.tick).to_integral_value(ROUND_FLOOR) * self.tick

    @classmethod
    def of(cls, ticker: Item, pair: Item) -> Self:
        """From the ticker, and from what `instrument` says of the pair.

        Raises:
            Malformed: a field is not what it should be.
        """
        bid, ask = ticker.number("bid"), ticker.number("ask")
        tick = pair.number("price_increment")
        lot, qty_min, cost_min = pair.number("qty_increment"), pair.number("qty_min"), pair.number("cost_min")
        if min(bid, ask, tick, lot) <= 0:
            raise Malformed(f"a price or an increment is not above 0 in {ticker.frame.shortened}")
        least = max(qty_min, cost_min / (bid * FAR)) * AMPLE
        qty = (least / lot).to_integral_value(ROUND_CEILING) * lot
        return cls(bid, ask, tick, lot, qty, qty_min, cost_min)
