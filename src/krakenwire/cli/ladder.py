"""A book as a ladder: asks above, bids below, a bar for each quantity, and how far it is proven."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.text import Text

from krakenwire.book import Book, BookSnapshot
from krakenwire.cli.event_text import level_text, plain
from krakenwire.errors import BookUnsynced
from krakenwire.events import Level

__all__ = ["View", "rows_that_fit"]

BAR_WIDTH = 24
BAR = "█"
OTHER_LINES = 3
"""Lines of a ladder that are no levels."""


@dataclass(frozen=True)
class View:
    """A book at one moment.

    Attributes:
        snapshot: its best levels; the last ones there were if it is not synced.
        reason: why it is not synced, or None.
        proven_levels: levels a side that the checksum proves.
    """

    snapshot: BookSnapshot
    reason: str | None
    proven_levels: int

    @classmethod
    def of(cls, book: Book, levels: int) -> View:
        """The best `levels` a side of `book` as of now."""
        try:
            return cls(book.snapshot(levels), None, book.proven_levels)
        except BookUnsynced as unsynced:
            return cls(book.stale, unsynced.reason, 0)

    @property
    def is_synced(self) -> bool:
        """Whether the levels are those of now."""
        return self.reason is None

    def as_object(self) -> dict[str, Any]:
        """For JSON. Levels are `[price, qty]`; what is not known, as of an unsynced book, is null or empty."""
        book = self.snapshot
        known = self.is_synced
        return {
            "symbol": book.symbol,
            "synced": known,
            "reason": self.reason,
            "proven_levels": self.proven_levels,
            "checksum": book.checksum,
            "exchange_ns": book.exchange_ns,
            "received_ns": book.received_ns,
            "bids": book.bids if known else (),
            "asks": book.asks if known else (),
            "spread": book.spread if known else None,
            "mid": book.mid if known else None,
            "imbalance": self._imbalance() if known else None,
        }

    def as_line(self) -> str:
        """One line for a person without a terminal."""
        book = self.snapshot
        if not self.is_synced:
            return f"{book.symbol}  not synced: {self.reason}"
        bid, ask = (level_text(level) for level in (book.best_bid, book.best_ask))
        return f"{book.symbol}  bid {bid}  ask {ask}  spread {plain(book.spread)}  checksum {book.checksum}"

    def as_ladder(self, rows: int, bar: str = BAR) -> Text:
        """The ladder, of so many `rows` a side that it does not jump while it is redrawn; `bar` fills the bars."""
        book = self.snapshot
        asks, bids = book.asks[:rows], book.bids[:rows]
        levels = (*asks, *bids)
        largest = max((level.qty for level in levels), default=Decimal(0))
        price_width = max((len(plain(level.price)) for level in levels), default=0)
        qty_width = max((len(plain(level.qty)) for level in levels), default=0)
        faded = "" if self.is_synced else "dim "

        def line(level: Level, style: str) -> tuple[str, str]:
            filled = round(BAR_WIDTH * level.qty / largest) if largest else 0
            text = f"{plain(level.price):>{price_width}}  {plain(level.qty):>{qty_width}}  {bar * filled}"
            return text.rstrip(), faded + style

        lines = [
            self._title(),
            (f"{'price':>{price_width}}  {'qty':>{qty_width}}", "dim"),
            *[("", "")] * (rows - len(asks)),
            *(line(level, "red") for level in reversed(asks)),
            (self._middle(), ""),
            *(line(level, "green") for level in bids),
            *[("", "")] * (rows - len(bids)),
        ]
        ladder = Text(no_wrap=True, overflow="crop")
        for number, (text, style) in enumerate(lines):
            ladder.append("\n" * (number > 0)).append(text, style)
        return ladder

    def _title(self) -> tuple[str, str]:
        title = f"{self.snapshot.symbol}  depth {self.snapshot.depth}  "
        if self.is_synced:
            return f"{title}synced, top {self.proven_levels} proven, checksum {self.snapshot.checksum}", "bold"
        return f"{title}NOT SYNCED: {self.reason}", "bold red"

    def _middle(self) -> str:
        if not self.is_synced:
            return "-- the last levels there were; it is being fetched again"
        book = self.snapshot
        return f"-- spread {plain(book.spread)}  mid {plain(book.mid)}  imbalance {self._imbalance():+.2f}"

    def _imbalance(self) -> float:
        return self.snapshot.imbalance(max(len(self.snapshot.bids), len(self.snapshot.asks), 1))


def rows_that_fit(levels: int, height: int) -> int:
    """How many of `levels` a side a ladder can show on a terminal of `height` lines."""
    return max(1, min(levels, (height - OTHER_LINES) // 2))
