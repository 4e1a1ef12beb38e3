"""An instrument's status and precisions change, and its book with them (PROTOCOL 3.9)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from krakenwire.sim.instruments import ListedInstrument

from .book import OrderBook, Resting, Side
from .money import round_up
from .pair import Pair

__all__ = ["refit", "revise"]


def revise(
    instrument: ListedInstrument, status: str | None, price_precision: int | None, qty_precision: int | None
) -> ListedInstrument:
    """The instrument with what is not None changed; the increments follow the precisions."""
    if status is not None:
        instrument = msgspec.structs.replace(instrument, status=status)
    if price_precision not in {None, instrument.price_precision}:
        unit = Decimal(1).scaleb(-price_precision)
        instrument = msgspec.structs.replace(
            instrument,
            price_precision=price_precision,
            ws_display_price_precision=price_precision,
            tick_size=unit,
            price_increment=unit,
        )
    if qty_precision not in {None, instrument.qty_precision}:
        unit = Decimal(1).scaleb(-qty_precision)
        instrument = msgspec.structs.replace(
            instrument,
            qty_precision=qty_precision,
            qty_increment=unit,
            qty_min=max(instrument.qty_min, round_up(instrument.qty_min, unit)),
        )
    return instrument


def refit(book: OrderBook, old: Pair, new: Pair) -> list[Resting]:
    """Change the scale of a book, and say which orders of accounts do not fit it; they are no longer in it.

    Where the new scale is coarser, an order of the background goes to the next tick away from the touch and loses what
    is less than a lot; it is gone if nothing is left. Priority is kept.
    """
    finer_price = new.instrument.price_precision - old.instrument.price_precision
    finer_qty = new.instrument.qty_precision - old.instrument.qty_precision
    orders = [order for side in (book.bids, book.asks) for key in side.keys for order in side.queues[key].values()]
    book.bids, book.asks = Side(-1), Side(1)
    misfits = []
    for order in orders:
        key, key_fits = _rescale_up(order.key, finer_price)
        lots, lots_fit = _rescale_down(order.lots, finer_qty)
        if order.account is not None and not (key_fits and lots_fit):
            misfits.append(order)
        elif key and lots:
            order.key, order.lots = key, lots
            book.place(order)
    return misfits


def _rescale_up(units: int, finer: int) -> tuple[int, bool]:
    whole, exact = _rescale_down(-units, finer)
    return -whole, exact


def _rescale_down(units: int, finer: int) -> tuple[int, bool]:
    """Units of a scale with `finer` more decimals, rounded down, and whether that is exact."""
    if finer >= 0:
        return units * 10**finer, True
    whole, rest = divmod(units, 10**-finer)
    return whole, rest == 0
