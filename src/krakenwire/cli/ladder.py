"""A book as a ladder: asks above, bids below, a bar for each quantity, and how far it is proven."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from krakenwire.book import Book, BookSnapshot
from krakenwire.cli.event_text import level_text, plain
from krakenwire.errors import BookUnsynced
from krakenwire.events import Level

__all__ = ["View"]

BAR_WIDTH = 24


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

    def as_ladder(self, levels: int) -> Group:
        """The ladder, of so many rows a side that it does not jump while it is redrawn."""
        book = self.snapshot
        asks, bids = book.asks[:levels], book.bids[:levels]
        largest = max((level.qty for level in (*asks, *bids)), default=Decimal(0))
        faded = "" if self.is_synced else "dim "
        table = Table()
        table.add_column("price", justify="right")
        table.add_column("qty", justify="right")
        table.add_column("", width=BAR_WIDTH)
        for _ in range(levels - len(asks)):
            table.add_row()
        for level in reversed(asks):
            _add_row(table, level, largest, f"{faded}red")
        table.add_section()
        for level in bids:
            _add_row(table, level, largest, f"{faded}green")
        for _ in range(levels - len(bids)):
            table.add_row()
        return Group(self._title(), table, Text(self._caption()))

    def _title(self) -> Text:
        title = Text(f"{self.snapshot.symbol}  depth {self.snapshot.depth}  ")
        if self.is_synced:
            return title.append(f"synced, top {self.proven_levels} proven, checksum {self.snapshot.checksum}", "green")
        return title.append(f"NOT SYNCED: {self.reason}", "bold red")

    def _caption(self) -> str:
        if not self.is_synced:
            return "the last levels there were; it is being fetched again"
        book = self.snapshot
        return f"spread {plain(book.spread)}  mid {plain(book.mid)}  imbalance {self._imbalance():+.2f}"

    def _imbalance(self) -> float:
        return self.snapshot.imbalance(max(len(self.snapshot.bids), len(self.snapshot.asks), 1))


def _add_row(table: Table, level: Level, largest: Decimal, style: str) -> None:
    filled = round(BAR_WIDTH * level.qty / largest) if largest else 0
    table.add_row(plain(level.price), plain(level.qty), "█" * filled, style=style)
