"""A price ladder of integers: one side of a book, and the two of them with the checksum of their top ten."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from typing import NamedTuple

__all__ = ["DEPTHS", "Change", "Ladder", "LadderBook"]

DEPTHS = (10, 25, 100, 500, 1000)
"""The depths that can be subscribed (PROTOCOL 3.5)."""

CHECKSUM_LEVELS = 10

_LAST_RANKS = tuple(depth - 1 for depth in DEPTHS)


class Change(NamedTuple):
    """One level that was set or removed.

    Attributes:
        rank: its place on its side, 0 is the best; of a removed level, the place it had.
        tick: its price in ticks.
        lots: its new quantity in lots, 0 if it was removed.
        crossed: for each of `DEPTHS`, the (tick, lots) of the level that crossed its edge because of this one: pushed
            out of range by a level added, moved up into range by one removed; None if there was no such level. It
            counts for depths above `rank` only, and is empty where only a quantity changed.
    """

    rank: int
    tick: int
    lots: int
    crossed: tuple[tuple[int, int] | None, ...] = ()


class Ladder:
    """One side of a book, best level first.

    Levels are kept by a *key* that grows away from the touch on either side: the tick for asks, its negative
    for bids.

    Args:
        sign: 1 for asks, -1 for bids.
    """

    __slots__ = ("_lots", "_tokens", "_top", "keys", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self._lots: dict[int, int] = {}
        self._tokens: dict[int, str] = {}
        self._top: str | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def lots_at(self, rank: int) -> int:
        """The quantity of the level at `rank`, in lots."""
        return self._lots[self.keys[rank]]

    def tick_at(self, rank: int) -> int:
        """The price of the level at `rank`, in ticks."""
        return self.sign * self.keys[rank]

    def set(self, key: int, lots: int) -> Change:
        """Set the level at `key` to `lots` (more than 0), adding it if it is not there."""
        rank = bisect_left(self.keys, key)
        is_new = key not in self._lots
        if is_new:
            self.keys.insert(rank, key)
        self._lots[key] = lots
        tick = self.sign * key
        # As the checksum wants it: decimal text without its point and leading zeros is the integer itself.
        self._tokens[key] = f"{tick}{lots}"
        if rank < CHECKSUM_LEVELS:
            self._top = None
        return Change(rank, tick, lots, self._levels_at(DEPTHS) if is_new else ())

    def remove(self, rank: int) -> Change:
        """Remove the level at `rank`."""
        key = self.keys.pop(rank)
        del self._lots[key], self._tokens[key]
        if rank < CHECKSUM_LEVELS:
            self._top = None
        return Change(rank, self.sign * key, 0, self._levels_at(_LAST_RANKS))

    def _levels_at(self, ranks: tuple[int, ...]) -> tuple[tuple[int, int] | None, ...]:
        keys, lots, sign, count = self.keys, self._lots, self.sign, len(self.keys)
        return tuple([(sign * keys[rank], lots[keys[rank]]) if rank < count else None for rank in ranks])

    def top(self, depth: int) -> list[tuple[int, int]]:
        """The best `depth` levels as (tick, lots), best first."""
        sign, lots = self.sign, self._lots
        return [(sign * key, lots[key]) for key in self.keys[:depth]]

    def checksum_text(self) -> str:
        """The part of the checksum's text that this side gives (PROTOCOL 6.1)."""
        if self._top is None:
            self._top = "".join(map(self._tokens.__getitem__, self.keys[:CHECKSUM_LEVELS]))
        return self._top


class LadderBook:
    """Both sides of one symbol's book.

    Attributes:
        bids, asks: the sides.
        updated_ns: when it last changed, exchange time.
    """

    __slots__ = ("asks", "bids", "updated_ns")

    def __init__(self) -> None:
        self.bids = Ladder(-1)
        self.asks = Ladder(1)
        self.updated_ns = 0

    @property
    def spread(self) -> int:
        """Best ask less best bid, in ticks."""
        return self.asks.keys[0] + self.bids.keys[0]

    def checksum(self) -> int:
        """CRC-32 of the top ten levels, the same at every depth (PROTOCOL 6.1)."""
        return zlib.crc32((self.asks.checksum_text() + self.bids.checksum_text()).encode())
