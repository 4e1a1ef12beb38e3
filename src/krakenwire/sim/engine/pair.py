"""The numbers of one instrument: prices as ticks, quantities as lots, and the units its money is rounded to."""

from __future__ import annotations

from decimal import Decimal

from krakenwire.sim.instruments import ListedInstrument

from .money import EXACT

__all__ = ["Pair"]

MOST_DIGITS = 40
MOST_MAGNITUDE = 24
"""A number of more digits, or more than 10^25, is no price and no quantity: what follows stays exact in `EXACT`."""


class Pair:
    """An instrument as the engine counts it; a change of its precisions makes a new one.

    Args:
        instrument: its reference data.
        quote_precision: decimals of the quote asset in the ledger.

    Attributes:
        price_unit, qty_unit: one tick and one lot.
        cost_unit: what the cost of a fill is rounded to.
        money_unit: what is moved of the quote asset is a multiple of it.
        price_step, qty_step: increments of the instrument in ticks and lots, 1 as a rule.
    """

    __slots__ = (
        "base",
        "cost_unit",
        "instrument",
        "money_unit",
        "price_step",
        "price_unit",
        "qty_step",
        "qty_unit",
        "quote",
        "symbol",
    )

    def __init__(self, instrument: ListedInstrument, quote_precision: int) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.base = instrument.base
        self.quote = instrument.quote
        self.price_unit = Decimal((0, (1,), -instrument.price_precision))
        self.qty_unit = Decimal((0, (1,), -instrument.qty_precision))
        self.cost_unit = Decimal((0, (1,), -instrument.cost_precision))
        self.money_unit = Decimal((0, (1,), -quote_precision))
        self.price_step = _whole(instrument.price_increment, instrument.price_precision) or 1
        self.qty_step = _whole(instrument.qty_increment, instrument.qty_precision) or 1

    def ticks(self, price: Decimal) -> int | None:
        """`price` in ticks; None if it is not a multiple of the price increment, or no sensible number."""
        ticks = _whole(price, self.instrument.price_precision)
        return ticks if ticks is not None and ticks % self.price_step == 0 else None

    def lots(self, qty: Decimal) -> int | None:
        """`qty` in lots; None if it is not a multiple of the quantity increment, or no sensible number."""
        lots = _whole(qty, self.instrument.qty_precision)
        return lots if lots is not None and lots % self.qty_step == 0 else None

    def price(self, tick: int) -> Decimal:
        """A tick as a price, padded to the pair's precision."""
        return Decimal(tick).scaleb(-self.instrument.price_precision, EXACT)

    def qty(self, lots: int) -> Decimal:
        """Lots as a quantity, padded to the pair's precision."""
        return Decimal(lots).scaleb(-self.instrument.qty_precision, EXACT)

    def value(self, tick: int, lots: int) -> Decimal:
        """What `lots` at `tick` are worth in the quote asset, exactly."""
        return Decimal(tick * lots).scaleb(-self.instrument.price_precision - self.instrument.qty_precision, EXACT)


def _whole(number: Decimal, precision: int) -> int | None:
    """`number` times 10^precision, None if that is not whole; looks before it computes, for input may be hostile."""
    if not number.is_finite():
        return None
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent < -MOST_DIGITS or len(digits) > MOST_DIGITS:
        return None
    if number.adjusted() > MOST_MAGNITUDE:
        return None
    scaled = number.scaleb(precision, EXACT)
    return int(scaled) if scaled == scaled.to_integral_value() else None
