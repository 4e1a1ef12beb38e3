"""What a client was given, counted by symbol while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from krakenwire.book import BookUpdate
from krakenwire.events import Event, Ticker, Trade

__all__ = ["SymbolTally", "Tally"]


class SymbolTally:
    """The counts of one symbol.

    Attributes:
        messages: messages of book, trade and ticker, after those that a subscription begins with.
        books: messages of the book, snapshots included.
        verified: those of them that a checksum proved.
        trades: trades.
    """

    __slots__ = ("books", "messages", "trades", "verified")

    def __init__(self) -> None:
        self.messages = 0
        self.books = 0
        self.verified = 0
        self.trades = 0


class Tally:
    """The counts of all symbols of a run; events of others are passed over."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.by_symbol = {symbol: SymbolTally() for symbol in symbols}
        self._last_n = 0

    @property
    def messages(self) -> int:
        """Messages of all symbols."""
        return sum(each.messages for each in self.by_symbol.values())

    def add(self, events: Sequence[Event]) -> None:
        """The next events."""
        for event in events:
            if isinstance(event, BookUpdate):
                of_symbol = self.by_symbol[event.symbol]
                of_symbol.books += 1
                of_symbol.verified += event.proven
                of_symbol.messages += event.type == "update"
            elif isinstance(event, Trade):
                of_symbol = self.by_symbol[event.symbol]
                of_symbol.trades += 1
                # One message may hold several trades: they have its number in common.
                of_symbol.messages += event.source == "live" and event.n != self._last_n
                self._last_n = event.n
            elif isinstance(event, Ticker):
                self.by_symbol[event.symbol].messages += event.type == "update"
