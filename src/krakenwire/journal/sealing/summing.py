"""What a segment tells, summed up event by event for its index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from krakenwire.book import BookState, BookUpdate
from krakenwire.events import (
    LIFECYCLE,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Event,
    Gap,
    Heartbeat,
    Stalled,
    Unsubscribed,
)
from krakenwire.journal.sealing.index import Book, Missed, Stream

__all__ = ["Summary"]


class Summary:
    """The sum of the events that were told.

    Args:
        synced: the books that are proven already.
        received_ns: since when, UTC.

    Attributes:
        events: how many.
        lifecycle: how many of each class but those of market data.
        stalls: subscriptions found mute, by channel and symbol.
        gaps: what is missing.
    """

    def __init__(self, synced: Iterable[BookState], received_ns: int) -> None:
        self.events = 0
        self.lifecycle: Counter[str] = Counter()
        self.stalls: Counter[str] = Counter()
        self.gaps: list[Missed] = []
        self._streams: dict[tuple[str, str, str | None, int | None], Stream] = {}
        self._books: dict[tuple[str, int], Book] = {}
        self._since: dict[tuple[str, int], int] = {(each.symbol, each.depth): received_ns for each in synced}
        """Of the books that are proven."""

    def take(self, events: Iterable[Event]) -> None:
        """The next events."""
        for event in events:
            self.events += 1
            kind = type(event)
            if kind is BookUpdate:
                self._take_update(event)
            elif event.channel == LIFECYCLE:
                self.lifecycle[kind.__name__] += 1
                self._take_lifecycle(event)
            elif kind is not Heartbeat:
                self._count(event, event.channel, getattr(event, "symbol", None), getattr(event, "interval", None))

    def streams(self) -> list[Stream]:
        """What was told of each stream, in the order in which they began."""
        return list(self._streams.values())

    def books(self, now_ns: int) -> list[Book]:
        """How each book fared up to now (UTC), by symbol and depth."""
        for name, since in self._since.items():
            self._book(*name).synced.append((since, max(now_ns, since)))
        self._since = dict.fromkeys(self._since, now_ns)
        return [self._books[name] for name in sorted(self._books)]

    def _take_update(self, update: Any) -> None:
        symbol, depth = update.symbol, update.depth
        if update.outcome in ("verified", "unproven") and (symbol, depth) not in self._since:
            self._since[symbol, depth] = update.stamp.received_ns
        self._count(update, "book", symbol, depth)

    def _count(self, event: Any, channel: str, symbol: str | None, option: int | None) -> None:
        stamp = event.stamp
        name = (stamp.connection, channel, symbol if channel != "instrument" else None, option)
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(
                connection=name[0], channel=channel, symbol=name[2], option=option, first_ns=stamp.received_ns
            )
        stream.messages += 1
        stream.last_ns = stamp.received_ns

    def _take_lifecycle(self, event: Any) -> None:
        at = event.stamp.received_ns
        if isinstance(event, BookInvalidated):
            book = self._end(event.symbol, event.depth, at)
            book.invalidated[event.reason] = book.invalidated.get(event.reason, 0) + 1
        elif isinstance(event, BookResynced):
            self._book(event.symbol, event.depth).resyncs += 1
        elif isinstance(event, BookQuarantined):
            self._book(event.symbol, event.depth).quarantines += 1
        elif isinstance(event, Unsubscribed) and event.of == "book" and event.symbol is not None:
            for symbol, depth in list(self._since):
                if symbol == event.symbol and depth == (event.depth or depth):
                    self._end(symbol, depth, at)
        elif isinstance(event, Stalled):
            self.stalls[" ".join(filter(None, (event.of, event.symbol)))] += 1
        elif isinstance(event, Gap):
            self.gaps.append(
                Missed(
                    of=event.of,
                    symbol=event.symbol,
                    interval=event.interval,
                    reason=event.reason,
                    first=event.first,
                    last=event.last,
                    count=event.count,
                    received_ns=at,
                )
            )

    def _end(self, symbol: str, depth: int, at: int) -> Book:
        book = self._book(symbol, depth)
        since = self._since.pop((symbol, depth), None)
        if since is not None:
            book.synced.append((since, max(at, since)))
        return book

    def _book(self, symbol: str, depth: int) -> Book:
        book = self._books.get((symbol, depth))
        if book is None:
            book = self._books[symbol, depth] = Book(symbol=symbol, depth=depth)
        return book
