"""The books as they were after each of their messages, rebuilt beside the core that has gone on already."""

from __future__ import annotations

import copy
from typing import NamedTuple

from krakenwire.book import Books, BookState, BookUpdate, restore_books
from krakenwire.book.reasons import MAX_FRACTION
from krakenwire.events import BookInvalidated, Instrument, Unsubscribed
from krakenwire.protocol.core import Core
from krakenwire.protocol.mirror.mirror import group_of

__all__ = ["BookName", "FollowedBooks", "published"]


class BookName(NamedTuple):
    """Which book: those of a mirror are one."""

    group: str
    symbol: str
    depth: int


def published(core: Core) -> dict[BookName, BookState]:
    """The books that a core shows its readers; of one that only looks on, all."""
    found: dict[BookName, BookState] = {}
    for key, placement in core.placements().items():
        state = core.shown_book(placement) if key.channel == "book" else None
        if state is not None:
            found[BookName(group_of(placement.session.name), state.symbol, state.depth)] = state
    if not found:
        for session in core.sessions:
            for state in filter(None, map(session.books.get, session.books)):
                found[BookName(group_of(session.name), state.symbol, state.depth)] = state
    return found


class FollowedBooks:
    """Follows the books of a core by their updates, one message at a time.

    A core takes many frames at once; here each book can be looked at after every single message.
    """

    def __init__(self) -> None:
        self._core: Core | None = None
        self._books: dict[BookName, tuple[Books, BookState]] = {}
        self._names: dict[tuple[str, str, int], BookName] = {}
        self._depths: dict[str, list[int]] = {}

    def begin(self, core: Core) -> None:
        """Go on with the books of another core, as they are now."""
        self._core = core
        self._books = {name: _copy(state) for name, state in published(core).items()}
        self._list_depths()

    def states(self) -> list[BookState]:
        """All books, by symbol and depth."""
        return [self._books[name][1] for name in sorted(self._books, key=lambda name: name[1:])]

    def serving(self, symbol: str, depth: int) -> int | None:
        """The depth of the least deep book of `symbol` that has as many levels; None if there is none."""
        return next((each for each in self._depths.get(symbol, ()) if each >= depth), None)

    def follow(self, update: BookUpdate) -> BookState | None:
        """One message; the book after it, None if it is not known how it stood before."""
        key = (update.connection, update.symbol, update.depth)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = BookName(group_of(key[0]), key[1], key[2])
        kept = self._books.get(name)
        if kept is None:
            if update.type != "snapshot":
                return None
            kept = self._add(name, update.connection)
        books, state = kept
        return state if books.follow(update) else None

    def invalidate(self, event: BookInvalidated) -> None:
        """A book is not to be read any more."""
        kept = self._books.get(BookName(group_of(event.connection), event.symbol, event.depth))
        if kept is not None and kept[1].status == "synced":
            kept[1].invalidate(event.reason)

    def drop(self, event: Unsubscribed) -> None:
        """A book is there no longer."""
        if event.of == "book":
            for name in list(self._books):
                if name[:2] == (group_of(event.connection), event.symbol) and event.depth in (None, name.depth):
                    del self._books[name]
            self._list_depths()

    def learn(self, instrument: Instrument) -> None:
        """The precisions that the book's keeper knows from now on."""
        for name, (_, state) in self._books.items():
            if name.symbol == instrument.symbol:
                _set_precision(state, instrument)

    def _add(self, name: BookName, connection: str) -> tuple[Books, BookState]:
        """A book that was not there yet, for its first snapshot."""
        session = None if self._core is None else self._core.session(connection)
        held = None if session is None else session.books.get(name.symbol)
        books = Books()
        state = books.add(name.symbol, name.depth, wire_name=None if held is None else held.wire_name)
        instrument = None if self._core is None else self._core.catalogue.get(name.symbol)
        if instrument is not None:
            _set_precision(state, instrument)
        self._books[name] = books, state
        self._list_depths()
        return books, state

    def _list_depths(self) -> None:
        self._depths = {}
        for name in sorted(self._books, key=lambda name: name.depth):
            self._depths.setdefault(name.symbol, []).append(name.depth)


def _copy(state: BookState) -> tuple[Books, BookState]:
    """Books with one that stands as `state` does now."""
    copied = copy.deepcopy(state)
    content = Books().__reduce__()[1][0]
    return restore_books((*content[:-1], (copied,))), copied


def _set_precision(state: BookState, instrument: Instrument) -> None:
    if max(instrument.price_precision, instrument.qty_precision) > MAX_FRACTION:
        state.set_precision(None, None)
    else:
        state.set_precision(instrument.price_precision, instrument.qty_precision)
