"""What is kept of every book in case that it is found wrong: its last frames, and the book before the first of them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec

from krakenwire.book import Books, BookState, BookUpdate
from krakenwire.book.reasons import MAX_FRACTION
from krakenwire.errors import UsageError
from krakenwire.events import BookInvalidated, Disconnected, Instrument, SubscribeRejected, Unsubscribed
from krakenwire.journal.bundles.bundle import KeptFrame, book_before, bundles_in, describe, write_bundle
from krakenwire.protocol.core import Core
from krakenwire.protocol.mirror.mirror import group_of

__all__ = ["KEPT", "MOST_BUNDLES", "BundleStatistics", "Evidence"]

_log = logging.getLogger("krakenwire.bundles")

KEPT = 64
"""Frames of a book that a bundle has, the one at which it was found wrong not counted."""
MOST_BUNDLES = 100
"""Bundles that are kept in the directory; then the oldest goes."""
MOST_WAITING = 16
"""Bundles that wait to be written; what is found while a slow disk is that far behind is counted only."""
_FOUND = frozenset({"checksum", "crossed", "timestamp"})
"""Reasons that a frame shows."""


class BundleStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the bundles.

    Attributes:
        written: those that are complete.
        failed: those that could not be written.
        skipped: those that were not tried, since too many waited.
    """

    written: int
    failed: int
    skipped: int


class Evidence:
    """Watches the events of a feed, and writes a bundle whenever a book is found wrong by a frame.

    Of each book it keeps the last frames, and a book of its own that is always as many frames behind: so there is
    nothing to copy as long as nothing is wrong. A frame costs one more call of the kernel, which is why this is only
    there where it is asked for.

    Bundles are written by a thread. A disk that is full or gone costs bundles, never the feed: it is logged and
    counted. Of more than `MOST_BUNDLES` the oldest is removed.

    Args:
        directory: where the bundles go; made if it is not there.
        core: whose events are seen.

    Raises:
        UsageError: nothing can be written there; says why.
    """

    def __init__(self, directory: str | Path, core: Core) -> None:
        self._directory = _usable(directory)
        self._core = core
        self._groups: dict[str, str] = {}
        """Of each connection: what those of a mirror have in common, for what they publish is one stream."""
        self._trails: dict[tuple[str, str | None], _Trail] = {}
        self._baseless: list[tuple[str, _Trail]] = []
        """Those that began in the midst of a stream, in the batch at hand, and over which connection."""
        self._writer = ThreadPoolExecutor(1, "krakenwire bundles")
        self._submitted = 0
        self._finished = 0
        self._written = 0
        self._failed = 0
        self._skipped = 0

    @property
    def statistics(self) -> BundleStatistics:
        """What became of the bundles so far."""
        return BundleStatistics(written=self._written, failed=self._failed, skipped=self._skipped)

    def see(self, events: Iterable[Any]) -> None:
        """Take note of what was published."""
        trails, groups = self._trails, self._groups
        for event in events:
            kind = type(event)
            if kind is BookUpdate:
                trail = trails.get((groups.get(event.connection, ""), event.symbol))
                if trail is None or trail.depth != event.depth:
                    trail = self._begin(event)
                trail.add(event)
            elif kind is BookInvalidated:
                self._found(event)
            elif kind is Instrument:
                self._learn(event)
            elif kind is Disconnected and event.terminal:
                self._forget(event.connection)
            elif (kind is Unsubscribed or kind is SubscribeRejected) and event.of == "book":
                trails.pop((group_of(event.connection), event.symbol), None)
        if self._baseless:
            self._find_bases()

    def close(self) -> None:
        """Wait until what was found is written; blocks for as long as the disk takes."""
        self._writer.shutdown(wait=True)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _begin(self, update: BookUpdate) -> _Trail:
        """A trail of a book that was not seen yet, or that was of another depth."""
        group = self._groups[update.connection] = group_of(update.connection)
        key = (group, update.symbol)
        trail = self._trails.get(key)
        if trail is None or trail.depth != update.depth:
            trail = self._trails[key] = _Trail(update.symbol, update.depth)
            trail.set_precision(self._core.catalogue.get(update.symbol))
            if update.type == "update":
                self._baseless.append((update.connection, trail))
        return trail

    def _find_bases(self) -> None:
        """Begin these with the books as they are now; that is after the last update that was published."""
        for connection, trail in self._baseless:
            session = self._core.session(connection)
            state = None if session is None else session.books.get(trail.symbol)
            if state is not None and not trail.is_whole:
                trail.begin_with(state)
        self._baseless.clear()

    def _learn(self, instrument: Instrument) -> None:
        for group in set(self._groups.values()):  # a connection or two, where there may be hundreds of trails
            trail = self._trails.get((group, instrument.symbol))
            if trail is not None:
                trail.set_precision(instrument)

    def _forget(self, connection: str) -> None:
        group = group_of(connection)
        for key in [key for key in self._trails if key[0] == group]:
            del self._trails[key]

    def _found(self, found: BookInvalidated) -> None:
        trail = self._trails.pop((group_of(found.connection), found.symbol), None)
        if found.reason not in _FOUND or found.frame is None:
            return
        if self._submitted - self._finished >= MOST_WAITING:
            self._skipped += 1
            return
        instrument = self._core.catalogue.get(found.symbol)
        try:
            self._writer.submit(self._write, found, trail, instrument)
        except RuntimeError:  # the interpreter is ending, while a feed in a thread of its own has not noticed yet
            self._skipped += 1
            return
        self._submitted += 1

    def _write(self, found: BookInvalidated, trail: _Trail | None, instrument: Instrument | None) -> None:
        """In the writer's thread; nobody else has the trail any more."""
        try:
            path = _write(self._directory, found, trail, instrument)
            self._written += 1
            _log.warning("%s: the book was found wrong (%s); the evidence is in %s", found.symbol, found.reason, path)
            self._remove_oldest()
        except Exception as error:
            self._failed += 1
            _log.error("%s: the evidence of a wrong book could not be written: %s", found.symbol, error)
        finally:
            self._finished += 1

    def _remove_oldest(self) -> None:
        for path in bundles_in(self._directory)[:-MOST_BUNDLES]:
            rmtree(path, ignore_errors=True)


class _Trail:
    """The last frames of one book, and the book before the first of them."""

    __slots__ = ("_books", "_state", "_updates", "depth", "is_whole", "symbol")

    def __init__(self, symbol: str, depth: int) -> None:
        self.symbol = symbol
        self.depth = depth
        self._books = Books()
        self._state: BookState = self._books.add(symbol, depth)
        self._updates: list[BookUpdate] = []
        self.is_whole = False
        """The book is known from before the first frame on."""

    def set_precision(self, instrument: Instrument | None) -> None:
        """As the keeper of the real book does it."""
        if instrument is None or max(instrument.price_precision, instrument.qty_precision) > MAX_FRACTION:
            self._state.set_precision(None, None)
        else:
            self._state.set_precision(instrument.price_precision, instrument.qty_precision)

    def add(self, update: BookUpdate) -> None:
        """One more frame."""
        updates = self._updates
        if update.type == "snapshot":
            updates.clear()
            self._state.reset()
            self.is_whole = True
        updates.append(update)
        if len(updates) >= 2 * KEPT:
            self._drop(KEPT)

    def begin_with(self, state: BookState) -> None:
        """Go on from `state`, if that is what the last frame led to."""
        last = self._updates[-1] if self._updates else None
        is_it = state.status == "synced" and state.proven and last is not None and state.checksum == last.computed
        if is_it and state.depth == self.depth:
            self._books.adopt(state, [])
            self._updates.clear()
            self.is_whole = True

    def take(self) -> tuple[list[BookUpdate], BookState | None]:
        """The last frames, and the book before them; None if that is empty or not known."""
        if (surplus := len(self._updates) - KEPT) > 0:
            self._drop(surplus)
        return self._updates, self._state if self._state.status == "synced" else None

    def leads_to(self, found: BookInvalidated) -> bool:
        """Whether the frames, and then that of `found`, show what was found; the trail is used up by that."""
        follow = self._books.follow
        for update in self._updates:
            follow(update)
        return _shows(self._books, found)

    def _drop(self, count: int) -> None:
        follow = self._books.follow
        for update in self._updates[:count]:
            follow(update)
        del self._updates[:count]


def _write(directory: Path, found: BookInvalidated, trail: _Trail | None, instrument: Instrument | None) -> Path:
    assert found.frame is not None  # noqa: S101  # looked at by who hands it over
    if trail is None:
        trail = _Trail(found.symbol, found.depth)
        trail.set_precision(instrument)
    updates, state = trail.take()
    by_frame = {id(each.frame): each for each in updates}  # a frame may hold two messages of one book: it is kept once
    frames = [KeptFrame(each.frame, each.received_ns, each.seq, each.synthesised) for each in by_frame.values()]
    frames.append(KeptFrame(found.frame, found.received_ns, found.seq))
    before = None if state is None else book_before(state)
    bundle = describe(found, instrument, frames, before, is_whole=trail.leads_to(found))
    return write_bundle(directory, bundle, instrument, frames)


def _shows(books: Books, found: BookInvalidated) -> bool:
    updates: list[BookUpdate] = []
    books.apply(found.frame or b"", updates)
    return any((each.outcome, each.computed) == (found.reason, found.computed) for each in updates)


def _usable(directory: str | Path) -> Path:
    """The directory, made if need be, and tried."""
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except FileExistsError as error:
        raise UsageError(f"bundles cannot be written to {path}: it is no directory") from error
    except OSError as error:
        raise UsageError(f"bundles cannot be written to {path}: {error.strerror or error}") from error
    return path
