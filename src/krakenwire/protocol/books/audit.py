"""Whether the levels of a book, those that no checksum covers included, are those that REST or a second book shows.

REST and the stream are not as of the same moment, so a book is watched from before the question until after the
answer: a price that changed meanwhile cannot be compared, nor can what lies beyond the edge of either. What is left
stood still all the time, and must be the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from krakenwire.book import BookState, BookUpdate
from krakenwire.book.numbers import ROUNDED
from krakenwire.events import Level
from krakenwire.protocol.wire.scalars import check_numbers

__all__ = ["Comparison", "Depth", "Watch", "compare", "compare_books", "decode_depth"]

Side = Literal["bids", "asks"]


class Watch:
    """What changed in one book for as long as it is watched.

    Attributes:
        changed: prices of each side that were set or deleted.
        is_broken: a snapshot came, or the book was found wrong: there is nothing to compare any more.
    """

    __slots__ = ("changed", "is_broken")

    def __init__(self) -> None:
        self.changed: dict[Side, set[Decimal]] = {"bids": set(), "asks": set()}
        self.is_broken = False

    def note(self, update: BookUpdate) -> None:
        """A message of the book was applied."""
        if update.type == "snapshot":
            self.is_broken = True
            return
        self.changed["bids"].update(level.price for level in update.bids)
        self.changed["asks"].update(level.price for level in update.asks)


class Depth(NamedTuple):
    """One answer of `Depth` (PROTOCOL 8.3); a side that has as many levels as were asked for may go on behind them."""

    bids: list[Level]
    asks: list[Level]
    asked: int


class Comparison(NamedTuple):
    """What a comparison came to: levels compared, levels that could not be, and the prices of those that differ."""

    levels: int
    skipped: int
    wrong: frozenset[tuple[Side, Decimal]]


class _Row(msgspec.Struct, array_like=True, gc=False):
    price: Decimal
    qty: Decimal
    time: msgspec.Raw = msgspec.Raw()


class _Sides(msgspec.Struct, gc=False):
    bids: list[_Row]
    asks: list[_Row]


_answer = msgspec.json.Decoder(dict[str, _Sides])


def decode_depth(result: bytes, asked: int) -> Depth:
    """The book in the result of `Depth`, whatever Kraken calls the pair there.

    Raises:
        msgspec.DecodeError: it is not one book.
    """
    books = list(_answer.decode(result).values())
    if len(books) != 1:
        raise msgspec.ValidationError(f"expected one pair, got {len(books)}")
    (sides,) = books
    for row in (*sides.bids, *sides.asks):
        check_numbers(row.price, row.qty)
    bids, asks = ([Level(row.price, row.qty) for row in side] for side in (sides.bids, sides.asks))
    return Depth(bids, asks, asked)


def compare(state: BookState, answer: Depth, watch: Watch) -> Comparison:
    """Compare a book with REST's; REST writes volumes with three decimals, so they agree to within one of these."""
    levels = skipped = 0
    wrong: set[tuple[Side, Decimal]] = set()
    sides: tuple[tuple[Side, list[Level]], ...] = (("bids", answer.bids), ("asks", answer.asks))
    for side, theirs in sides:
        changed = watch.changed[side]
        ours = state.levels(side)
        edges = _edges(ours, theirs, state.depth, answer.asked, changed)
        if edges is None:
            continue
        shown = dict(theirs)
        held = dict(ours)
        for price in held.keys() | shown.keys():
            if any(price < edge if side == "bids" else price > edge for edge in edges):
                continue
            if price in changed:
                skipped += 1
                continue
            levels += 1
            if price not in held or price not in shown or not _agree(held[price], shown[price]):
                wrong.add((side, price))
    return Comparison(levels, skipped, frozenset(wrong))


def compare_books(one: BookState, other: BookState) -> Comparison | None:
    """Compare two books of a mirrored pair; None if they are not as of the same message."""
    for state in (one, other):
        if state.status != "synced" or state.exchange_ns is None:
            return None
    if (one.exchange_ns, one.checksum) != (other.exchange_ns, other.checksum):
        return None
    levels = 0
    wrong: set[tuple[Side, Decimal]] = set()
    sides: tuple[Side, ...] = ("bids", "asks")
    for side in sides:
        first, second = one.canonical(side), other.canonical(side)
        levels += max(len(first), len(second))
        if first != second:
            wrong.update((side, Decimal(price)) for price, _ in set(first) ^ set(second))
    return Comparison(levels, 0, frozenset(wrong))


def _edges(
    ours: Sequence[Level], theirs: Sequence[Level], depth: int, asked: int, changed: Iterable[Decimal]
) -> list[Decimal] | None:
    """The prices beyond which nothing can be compared; None if that is so of the whole side."""
    moved = set(changed)
    edges = []
    if len(ours) + len(moved) >= depth:
        # Each level that came in may have pushed one out for a while. What stood still all the time was within all the
        # time, and so was all that is better.
        still = [level.price for level in ours if level.price not in moved]
        if not still:
            return None
        edges.append(still[-1])
    if len(theirs) >= asked:
        edges.append(theirs[-1].price)
    return edges


def _agree(ours: Decimal, theirs: Decimal) -> bool:
    exponent = theirs.as_tuple().exponent
    unit = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return abs(ROUNDED.subtract(ours, theirs)) < unit
