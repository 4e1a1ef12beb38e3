"""Two books of one symbol held against each other, level by level and digit by digit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from krakenwire.cli.event_text import plain
from krakenwire.events import Level

__all__ = ["Difference", "first_difference"]

LevelText = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """The first place, from the top, where a book is not what it should be.

    Attributes:
        symbol: whose book.
        side: `bids` or `asks`.
        rank: 1 is the best level.
        expected, found: (price, qty), None where there is no such level.
    """

    symbol: str
    side: str
    rank: int
    expected: LevelText | None
    found: LevelText | None

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.symbol}: {self.side} level {self.rank}: expected {self.expected}, found {self.found}"


def first_difference(
    symbol: str,
    truth: tuple[Sequence[LevelText], Sequence[LevelText]],
    book: tuple[Sequence[Level], Sequence[Level]],
) -> Difference | None:
    """Where `book` differs from `truth`, both (bids, asks), best first; None if it does not.

    The text of the numbers counts: `1.50` is not `1.5`, as it would not be for a checksum.
    """
    for side, expected, levels in zip(("bids", "asks"), truth, book, strict=True):
        texts = [(plain(level.price), plain(level.qty)) for level in levels]
        for rank, (wanted, found) in enumerate(itertools.zip_longest(expected, texts), 1):
            if wanted != found:
                return Difference(symbol, side, rank, wanted, found)
    return None
