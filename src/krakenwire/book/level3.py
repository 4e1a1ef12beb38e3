"""The checksum of a level3 book: the rule of level2, over orders in queue order (PROTOCOL 6.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

from krakenwire.book.reasons import TOP

__all__ = ["level3_checksum"]

Order = tuple[str, str]
"""limit_price and order_qty of one order, as text at the instrument's precisions."""


def level3_checksum(bids: Iterable[Order], asks: Iterable[Order]) -> int:
    """CRC32 over all orders of the best ten price levels a side, asks first.

    Args:
        bids: orders to buy; those of one price in queue order, prices in any order.
        asks: orders to sell, likewise.
    """
    # Sorting is stable, also in reverse: orders of one price stay in their queue's order.
    best_asks = sorted(asks, key=_price)
    best_bids = sorted(bids, key=_price, reverse=True)
    return zlib.crc32("".join([*_texts(best_asks), *_texts(best_bids)]).encode())


def _price(order: Order) -> Decimal:
    return Decimal(order[0])


def _texts(orders: list[Order]) -> Iterable[str]:
    for rank, (_, level) in enumerate(groupby(orders, key=_price)):
        if rank == TOP:
            return
        for price, qty in level:
            yield _token(price) + _token(qty)


def _token(number: str) -> str:
    return number.replace(".", "").lstrip("0")
