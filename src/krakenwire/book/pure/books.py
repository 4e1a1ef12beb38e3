"""The books of one connection, and what a frame does to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from krakenwire.book import reasons
from krakenwire.book.content import BooksContent, check_books
from krakenwire.book.pure.canonical import scan_canonical
from krakenwire.book.pure.levels import Frame
from krakenwire.book.pure.scan import scan
from krakenwire.book.pure.state import BookState, Outcome
from krakenwire.book.pure.update import BookUpdate, make_update
from krakenwire.errors import UsageError
from krakenwire.events import NO_STAMP, Stamp

__all__ = ["NOTABLE", "NOT_BOOK", "QUIET", "UNKNOWN", "Books", "restore_books"]

NOT_BOOK: Final = -1
"""The frame is not a book's, or not understandable as one: decode it otherwise."""
QUIET: Final = 0
"""A book frame in which there is nothing to look at: updates, verified or unproven or ignored."""
NOTABLE: Final = 1
"""At least one appended `BookUpdate` is a snapshot or has a failed outcome."""
UNKNOWN: Final = 2
"""The frame names a book that is not here, and `skip_unknown` is False: nothing of it was applied."""


class Books:
    """The books of one connection.

    Args:
        skip_unknown: ignore (and count) what concerns a symbol without a book here; otherwise `apply` gives `UNKNOWN`.

    Attributes:
        unknown: the last symbol met, as on the wire, that has no book here.
        last_code: the code of the last frame that `apply_many` consumed.
        last_consumed: how many frames the last `apply_many` consumed, the one it raised for included.
        last_start: how many updates there were before the last frame that `apply_run` consumed.
        verified, unproven, mismatched, crossed, backwards: messages by their outcome.
        ignored: messages of unknown books, and updates of books that are not synced.
        normalised: messages verified only at the instrument's precisions.
    """

    def __init__(self, *, skip_unknown: bool = True) -> None:
        self._skip_unknown = skip_unknown
        self._by_symbol: dict[str, BookState] = {}
        self._by_wire: dict[str, BookState] = {}
        self.unknown: str | None = None
        self.last_code = QUIET
        self.last_consumed = 0
        self.last_start = 0
        self.verified = 0
        self.unproven = 0
        self.mismatched = 0
        self.crossed = 0
        self.backwards = 0
        self.ignored = 0
        self.normalised = 0

    def __reduce__(self) -> tuple[object, ...]:
        counted = [getattr(self, name) for name in BooksContent._fields[1:-1]]
        return restore_books, ((self._skip_unknown, *counted, tuple(self._by_symbol.values())),)

    def add(self, symbol: str, depth: int, *, wire_name: str | None = None) -> BookState:
        """Keep a book, which awaits its snapshot.

        Args:
            symbol: whose book.
            depth: levels a side to keep, 1 to 1000.
            wire_name: what the symbol is called on the wire, if different (v1's `XBT/USD` for `BTC/USD`).

        Raises:
            UsageError: the depth is out of range, the name cannot be one, or there is such a book already.
        """
        if type(depth) is not int or not 1 <= depth <= reasons.MAX_DEPTH:
            raise UsageError(f"{reasons.DEPTH_LIMIT}, got {depth!r}")
        wire_name = symbol if wire_name is None else wire_name
        for name in (symbol, wire_name):
            if not reasons.is_symbol(name):
                raise UsageError(f"{reasons.SYMBOL_FORM}, got {name!r}")
        if symbol in self._by_symbol or wire_name in self._by_wire:
            raise UsageError(f"there is a book of {symbol!r} (on the wire {wire_name!r}) already")
        state = BookState(symbol, depth, wire_name)
        self._by_symbol[symbol] = state
        self._by_wire[wire_name] = state
        return state

    def remove(self, symbol: str) -> None:
        """Keep the book no longer; who holds its state can go on reading it.

        Raises:
            UsageError: there is no such book.
        """
        state = self._by_symbol.pop(symbol, None)
        if state is None:
            raise UsageError(reasons.no_book(symbol))
        del self._by_wire[state.wire_name]

    def get(self, symbol: str) -> BookState | None:
        """The book of `symbol`, or None."""
        return self._by_symbol.get(symbol)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._by_symbol

    def __len__(self) -> int:
        return len(self._by_symbol)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_symbol)

    def apply(
        self,
        frame: bytes | memoryview,
        out: list[BookUpdate],
        stamp: Stamp = NO_STAMP,
        n: int = 0,
        seq: int = 0,
    ) -> int:
        """Apply a frame, whole or not at all.

        Args:
            frame: one message as received; of a memoryview, a copy is kept.
            out: one `BookUpdate` is appended to it for each message applied.
            stamp: where and when the frame was received.
            n: the client-wide number of the input.
            seq: its arrival number on the connection.

        Returns:
            `NOT_BOOK`, `QUIET`, `NOTABLE` or `UNKNOWN`.

        Raises:
            FrameError: it is a book's, and broken; nothing was changed.
        """
        if not isinstance(frame, bytes):
            frame = bytes(memoryview(frame))
        scanned = _scan(frame)
        if scanned is None:
            return NOT_BOOK
        elements, v1 = scanned
        by_wire = self._by_wire
        for element in elements:
            if element.symbol not in by_wire:
                self.unknown = element.symbol
                if not self._skip_unknown:
                    return UNKNOWN
        code = QUIET
        for index, element in enumerate(elements):
            state = by_wire.get(element.symbol)
            if state is None or not (element.snapshot or state.status == "synced"):
                self.ignored += 1
                continue
            outcome, normalised, computed = state._apply(element, v1)
            state.stamp = stamp
            state.n = n
            state.seq = seq
            self._tally(outcome, normalised)
            if element.snapshot or outcome not in ("verified", "unproven"):
                code = NOTABLE
            content = (
                frame,
                state.symbol,
                element.snapshot,
                outcome,
                normalised,
                state.depth,
                element.checksum,
                computed,
                element.exchange_ns,
                stamp,
                n,
                seq,
                index,
                state._bids.first(),
                state._asks.first(),
                False,
            )
            out.append(make_update(content))
        return code

    def apply_many(
        self,
        frames: Sequence[bytes],
        out: list[BookUpdate],
        stamp: Stamp = NO_STAMP,
        n: int = 0,
        seq: int = 0,
    ) -> int:
        """Apply frames one by one, `n` and `seq` counting up, until one is not `QUIET`; its code is `last_code`.

        Returns:
            How many were consumed, the last one included; also in `last_consumed`, if it raises too.

        Raises:
            FrameError: the last frame consumed is a book's, and broken; those before it were applied.
        """
        self.last_code = QUIET
        self.last_consumed = 0
        for consumed, frame in enumerate(frames):
            self.last_consumed = consumed + 1
            self.last_code = self.apply(frame, out, stamp, n + consumed, seq + consumed)
            if self.last_code != QUIET:
                break
        return self.last_consumed

    def apply_run(  # noqa: PLR0917  # a call of the kernel's: keywords cost time there
        self,
        frames: list[bytes],
        stamps: list[Stamp],
        start: int,
        out: list[BookUpdate],
        n: int = 0,
        seq: int = 0,
    ) -> int:
        """As `apply_many`, but each frame has a stamp of its own, and those before `start` are passed over.

        Returns:
            How many were consumed, the last one included; also in `last_consumed`, if it raises too.

        Raises:
            FrameError: the last frame consumed is a book's, and broken; those before it were applied.
            ValueError: there are not as many stamps as frames.
        """
        if len(frames) != len(stamps):
            raise ValueError("each frame needs a stamp")
        self.last_code = QUIET
        self.last_consumed = 0
        for at in range(max(start, 0), len(frames)):
            before, self.last_start = self.last_consumed, len(out)
            self.last_consumed += 1
            self.last_code = self.apply(frames[at], out, stamps[at], n + before, seq + before)
            if self.last_code != QUIET:
                break
        return self.last_consumed

    def follow(self, update: BookUpdate) -> bool:
        """Apply the one message that `update`, of other books, tells of.

        Returns:
            Whether the book here then stands as that one did. If it was not synced, or there is none, nothing is done.
        """
        scanned = _scan(update.frame)
        index = update._content[12]
        if scanned is None or index >= len(scanned.elements):
            return False
        element = scanned.elements[index]
        state = self._by_wire.get(element.symbol)
        if state is None or not (element.snapshot or state.status == "synced"):
            self.ignored += 1
            return False
        outcome, normalised, computed = state._apply(element, scanned.v1)
        state.stamp = update.stamp
        state.n = update.n
        state.seq = update.seq
        self._tally(outcome, normalised)
        return outcome == update.outcome and computed == update.computed

    def adopt(self, other: BookState, out: list[BookUpdate], stamp: Stamp = NO_STAMP, n: int = 0, seq: int = 0) -> bool:
        """Become the other book, by one synthesised `BookUpdate` that is appended to `out`.

        It is an update that deletes and sets levels, or a snapshot if the book here is not synced. The precisions are
        taken over, too.

        Args:
            other: a proven book of the same symbol and depth, kept elsewhere.
            out: what the update is appended to.
            stamp: where and when what caused it was received.
            n: the client-wide number of that input.
            seq: the arrival number, on its connection, of what the other book was last changed by.

        Returns:
            False if every level is the same already: nothing is appended.

        Raises:
            UsageError: there is no such book here, or the other one is not proven, older, or of another depth.
        """
        state = self._by_symbol.get(other.symbol)
        if state is None:
            raise UsageError(reasons.no_book(other.symbol))
        clock, time = state._clock_ns, other.exchange_ns
        if state.status == "synced" and clock is not None and time is not None and time < clock:
            raise UsageError(reasons.back_in_time(other.symbol))
        frame = state.difference(other)
        if frame is None:
            return False
        state._price_precision, state._qty_precision = other._price_precision, other._qty_precision
        self.apply(frame, out, stamp, n, seq)
        out[-1] = make_update((*out[-1]._content[:15], True))
        return True

    def _tally(self, outcome: Outcome, normalised: bool) -> None:
        if outcome == "verified":
            self.verified += 1
            self.normalised += normalised
        elif outcome == "unproven":
            self.unproven += 1
        elif outcome == "checksum":
            self.mismatched += 1
        elif outcome == "crossed":
            self.crossed += 1
        else:
            self.backwards += 1


def restore_books(content: object) -> Books:
    """The books of a connection from their content (`BooksContent`), whichever kernel gave it.

    Raises:
        ValueError: no kernel can have given it; says why.
    """
    given = check_books(content, BookState)
    books = Books(skip_unknown=given.skip_unknown)
    for name in BooksContent._fields[1:-1]:
        setattr(books, name, getattr(given, name))
    for state in given.states:
        books._by_symbol[state.symbol] = state
        books._by_wire[state.wire_name] = state
    return books


def _scan(frame: bytes) -> Frame | None:
    """What a frame says of books, or None if it is not a book's."""
    canonical = scan_canonical(frame)
    return scan(frame) if canonical is None else Frame([canonical], v1=False)
