"""What commands did and nobody has looked at yet."""

from __future__ import annotations

from typing import NamedTuple

from .book import Move
from .model import LedgerEntry, Report

__all__ = ["Effects", "Pending"]


class Effects(NamedTuple):
    """What happened since the last look: to books, to orders of accounts, to balances; each in its order."""

    moves: list[Move]
    reports: list[Report]
    entries: list[LedgerEntry]


class Pending:
    """Effects that wait to be drained.

    Attributes:
        waits: whether there are any.
    """

    __slots__ = ("_entries", "_moves", "_reports", "waits")

    def __init__(self) -> None:
        self.waits = False
        self._moves: list[Move] = []
        self._reports: list[Report] = []
        self._entries: list[LedgerEntry] = []

    def add_move(self, move: Move) -> None:
        """Keep a move, if anything moved."""
        if move.bids or move.asks or move.trades:
            self._moves.append(move)
            self.waits = True

    def add_report(self, report: Report) -> None:
        """Keep what happened to an order."""
        self._reports.append(report)
        self.waits = True

    def add_entry(self, entry: LedgerEntry) -> None:
        """Keep what happened to a balance."""
        self._entries.append(entry)
        self.waits = True

    def moved(self, symbol: str) -> bool:
        """Whether a move of the book of `symbol` waits."""
        return any(move.symbol == symbol for move in self._moves)

    def drain(self) -> Effects:
        """Hand over what waits."""
        if not self.waits:
            return Effects([], [], [])
        effects = Effects(self._moves, self._reports, self._entries)
        self._moves, self._reports, self._entries = [], [], []
        self.waits = False
        return effects
