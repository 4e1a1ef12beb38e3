"""What derives from a book's levels; the same for the live book and for its snapshots.

Everything is exact but for three: `microprice` and `vwap` are quotients, rounded half to even to 28 significant digits;
`imbalance` is floating.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, NoReturn

from krakenwire.book.numbers import EXACT, ROUNDED, to_decimal
from krakenwire.errors import NotEnoughLiquidity, UsageError
from krakenwire.events import Level, Side

__all__ = ["BookSide", "Figures"]

BookSide = Literal["bids", "asks"]

_HALF = Decimal("0.5")
_ZERO = Decimal(0)


class Figures(ABC):
    """Derived numbers of whatever can give its best levels."""

    __slots__ = ()

    symbol: str

    @abstractmethod
    def _best(self, side: BookSide, n: int) -> Sequence[Level]:
        """The best `n` levels of a side, or as many as there are, best first."""

    def _bbo(self) -> tuple[Level, Level] | None:
        bid, ask = self._best("bids", 1), self._best("asks", 1)
        return (bid[0], ask[0]) if bid and ask else None

    @property
    def best_bid(self) -> Level | None:
        """The highest bid; None if there are no bids."""
        levels = self._best("bids", 1)
        return levels[0] if levels else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask; None if there are no asks."""
        levels = self._best("asks", 1)
        return levels[0] if levels else None

    @property
    def mid(self) -> Decimal | None:
        """Halfway between best bid and best ask, exact; None if a side is empty."""
        bbo = self._bbo()
        if bbo is None:
            return None
        return EXACT.multiply(EXACT.add(bbo[0].price, bbo[1].price), _HALF)

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid, exact; None if a side is empty."""
        bbo = self._bbo()
        return None if bbo is None else EXACT.subtract(bbo[1].price, bbo[0].price)

    @property
    def microprice(self) -> Decimal | None:
        """The mid weighted with the quantity of the other side; None if a side is empty.

        `(bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty)`: the more is bid, the nearer to the ask.
        """
        bbo = self._bbo()
        if bbo is None:
            return None
        (bid, bid_qty), (ask, ask_qty) = bbo
        weighted = EXACT.fma(bid, ask_qty, EXACT.multiply(ask, bid_qty))
        return ROUNDED.divide(weighted, EXACT.add(bid_qty, ask_qty))

    def imbalance(self, levels: int = 1) -> float:
        """`(bids - asks) / (bids + asks)` of the quantities in the best `levels` a side.

        From -1.0 (asks only) to 1.0 (bids only); nan if the book is empty.

        Raises:
            UsageError: `levels` is not positive.
        """
        if levels < 1:
            raise UsageError(f"levels must be positive, got {levels}")
        bids = _total(self._best("bids", levels))
        asks = _total(self._best("asks", levels))
        both = EXACT.add(bids, asks)
        return float(ROUNDED.divide(EXACT.subtract(bids, asks), both)) if both else float("nan")

    def cost(self, side: Side, qty: Decimal | int | str) -> Decimal:
        """What filling `qty` against the book costs (`buy`: takes asks) or brings (`sell`: hits bids), before fees.

        Args:
            side: `buy` or `sell`.
            qty: in the base currency; positive.

        Returns:
            The exact amount in the quote currency.

        Raises:
            NotEnoughLiquidity: the book holds less.
            UsageError: an argument is of a wrong kind.
        """
        return self._take(side, _positive(qty))

    def vwap(self, side: Side, qty: Decimal | int | str) -> Decimal:
        """The average price of filling `qty` against the book, as `cost` does it, in the quote currency.

        Raises:
            NotEnoughLiquidity: the book holds less.
            UsageError: an argument is of a wrong kind.
        """
        wanted = _positive(qty)
        return ROUNDED.divide(self._take(side, wanted), wanted)

    def _take(self, side: Side, wanted: Decimal) -> Decimal:
        if side not in ("buy", "sell"):
            raise UsageError(f"side must be 'buy' or 'sell', got {side!r}")
        taken: BookSide = "asks" if side == "buy" else "bids"
        reach = 10
        while True:
            levels = self._best(taken, reach)
            cost, left = _ZERO, wanted
            for price, qty in levels:
                part = min(qty, left)
                cost = EXACT.fma(price, part, cost)
                left = EXACT.subtract(left, part)
                if not left:
                    return cost
            if len(levels) < reach:
                self._run_out(taken, wanted, EXACT.subtract(wanted, left))
            reach *= 4  # seldom are more than ten levels needed, and a book may have a thousand

    def _run_out(self, side: BookSide, wanted: Decimal, available: Decimal) -> NoReturn:
        raise NotEnoughLiquidity(self.symbol, side, wanted, available)


def _total(levels: Sequence[Level]) -> Decimal:
    total = _ZERO
    for level in levels:
        total = EXACT.add(total, level.qty)
    return total


def _positive(qty: Decimal | int | str) -> Decimal:
    number = to_decimal(qty, "qty")
    if number <= 0:
        raise UsageError(f"qty must be positive, got {number}")
    return number
