"""Eight bytes that stand for the whole of a book's top ten, made alike from the exchange's book and from a client's."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from krakenwire.book import BookState
from krakenwire.events import Level
from krakenwire.sim.engine.book import OrderBook
from krakenwire.sim.feed.wire import format_number
from krakenwire.sim.instruments import ListedInstrument

__all__ = ["TOP", "LevelTexts", "digest_of", "digest_of_state", "shortest", "texts_of"]

TOP = 10
"""Levels a side that a checksum covers (PROTOCOL 6)."""

TEXTS_KEPT = 10_000

DEEP = 100
"""From this depth on it is cheaper to format ten levels than to list them all."""


def shortest(number: str) -> str:
    """A decimal without zeros at the end of its fraction: `0.50` is `0.5`, `100.0` is `100`."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def digest_of(bids: Iterable[str], asks: Iterable[str]) -> bytes:
    """The digest of two sides, each level as `price,qty` with both numbers in their shortest form."""
    return blake2b(f"{';'.join(bids)}|{';'.join(asks)}".encode(), digest_size=8).digest()


def texts_of(levels: Iterable[Level]) -> list[tuple[str, str]]:
    """Levels as text, both numbers in their shortest form."""
    return [(shortest(f"{price:f}"), shortest(f"{qty:f}")) for price, qty in levels]


def digest_of_state(state: BookState) -> bytes:
    """The digest of a client's book as it is now."""
    if state.depth >= DEEP:
        bids, asks = texts_of(state.levels("bids", TOP)), texts_of(state.levels("asks", TOP))
    else:
        bids, asks = state.canonical("bids")[:TOP], state.canonical("asks")[:TOP]
    return digest_of(map(",".join, bids), map(",".join, asks))


class LevelTexts(dict[tuple[int, int], str]):
    """The levels of one symbol as text, by tick and lots: from one move to the next nearly all are the same.

    Args:
        instrument: for the precisions.
    """

    def __init__(self, instrument: ListedInstrument) -> None:
        super().__init__()
        self.instrument = instrument

    def __missing__(self, level: tuple[int, int]) -> str:
        if len(self) >= TEXTS_KEPT:
            self.clear()
        tick, lots = level
        price = shortest(format_number(tick, self.instrument.price_precision))
        qty = shortest(format_number(lots, self.instrument.qty_precision))
        text = self[level] = f"{price},{qty}"
        return text

    def digest(self, book: OrderBook) -> bytes:
        """The digest of the exchange's own book as it is now."""
        text = self.__getitem__
        return digest_of(map(text, book.bids.top(TOP)), map(text, book.asks.top(TOP)))
