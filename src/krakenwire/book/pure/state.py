"""One book, live."""

from __future__ import annotations

from typing import Literal, cast
from zlib import crc32

from krakenwire.book import reasons
from krakenwire.book.content import StateContent, check_state
from krakenwire.book.pure.ladder import Ladder
from krakenwire.book.pure.levels import (
    Element,
    canonical_of,
    level_of,
    pack_levels,
    plain_text,
    unpack_levels,
)
from krakenwire.book.synthesis import book_frame
from krakenwire.errors import UsageError
from krakenwire.events import NO_STAMP, Level, Stamp

__all__ = ["BookSide", "BookState", "Outcome", "restore_state"]

Outcome = Literal["verified", "unproven", "checksum", "crossed", "timestamp"]
Status = Literal["empty", "synced", "unsynced"]
BookSide = Literal["bids", "asks"]


def _rows(out: object) -> memoryview[float]:
    """`out` as a buffer of pairs of float64."""
    try:
        rows = cast("memoryview[float]", memoryview(cast("bytearray", out)))
    except (TypeError, BufferError, ValueError):
        raise UsageError(reasons.ROWS) from None
    if rows.format != "d" or rows.ndim != 2 or rows.shape is None or rows.shape[1] != 2:
        raise UsageError(reasons.ROWS)
    if rows.readonly or not rows.c_contiguous:
        raise UsageError(reasons.ROWS)
    return rows


class BookState:
    """One book, live: it is as of the last message applied, and belongs to the thread that applies them.

    Made by `Books.add`. A side is `"bids"` or `"asks"`.

    Attributes:
        symbol: whose book it is.
        wire_name: what the symbol is called on this connection's wire.
        depth: levels a side that are kept.
        status: `empty` before the first snapshot, `synced`, or `unsynced` until the next one.
        reason: "" if it is synced; else `empty`, `checksum`, `crossed`, `timestamp`, or what `invalidate` was given.
        proven: the last message applied had a checksum, and it held.
        checksum: ours after the last message applied, or None.
        exchange_ns: Kraken's time of the last message applied, or None.
        stamp, n, seq: whence the last message applied came.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_clock_ns",
        "_price_precision",
        "_qty_precision",
        "checksum",
        "depth",
        "exchange_ns",
        "n",
        "proven",
        "reason",
        "seq",
        "stamp",
        "status",
        "symbol",
        "wire_name",
    )

    def __init__(self, symbol: str, depth: int, wire_name: str) -> None:
        self.symbol = symbol
        self.wire_name = wire_name
        self.depth = depth
        self._bids = Ladder(1)
        self._asks = Ladder(-1)
        self._price_precision: int | None = None
        self._qty_precision: int | None = None
        self.stamp: Stamp = NO_STAMP
        self.n = 0
        self.seq = 0
        self.reset()

    def __repr__(self) -> str:
        return (
            f"<BookState {self.symbol} depth={self.depth} {self.status}"
            f" bids={len(self._bids.keys)} asks={len(self._asks.keys)}>"
        )

    def __reduce__(self) -> tuple[object, ...]:
        content = StateContent(
            symbol=self.symbol,
            wire_name=self.wire_name,
            depth=self.depth,
            status=self.status,
            reason=self.reason,
            proven=self.proven,
            checksum=self.checksum,
            exchange_ns=self.exchange_ns,
            clock_ns=self._clock_ns,
            price_precision=self._price_precision,
            qty_precision=self._qty_precision,
            stamp=self.stamp,
            n=self.n,
            seq=self.seq,
            bids=pack_levels(self._bids.best(None)),
            asks=pack_levels(self._asks.best(None)),
        )
        return restore_state, (tuple(content),)

    def _side(self, side: str) -> Ladder:
        if side == "bids":
            return self._bids
        if side == "asks":
            return self._asks
        raise UsageError(f"side must be 'bids' or 'asks', got {side!r}")

    def count(self, side: BookSide) -> int:
        """How many levels the side has."""
        return len(self._side(side).keys)

    def levels(self, side: BookSide, n: int | None = None) -> list[Level]:
        """The best `n` levels, or all, best first; numbers exact, with the zeros that were on the wire."""
        if n is not None and n < 0:
            raise UsageError(f"n must not be negative, got {n}")
        return [level_of(entry) for entry in self._side(side).best(n)]

    def best(self, side: BookSide) -> Level | None:
        """The best level, or None if the side is empty."""
        entry = self._side(side).first()
        return None if entry is None else level_of(entry)

    def canonical(self, side: BookSide) -> list[tuple[str, str]]:
        """All levels as text, best first: no exponent, no zeros at the end of a fraction (`0.5`, `100`)."""
        return [canonical_of(entry) for entry in self._side(side).best(None)]

    def fill(self, side: BookSide, out: object) -> int:
        """Write (price, qty) of the best levels, as float64, into a writable C-contiguous buffer of shape (n, 2).

        Returns:
            How many rows were written: as many as there are levels and rows.

        Raises:
            UsageError: the buffer is of another kind.
        """
        entries = self._side(side).best(None)
        rows = _rows(out)
        shape = rows.shape
        count = min(shape[0] if shape else 0, len(entries))
        for row, (text, price_len, price_scale, qty_scale) in enumerate(entries[:count]):
            rows[row, 0] = float(plain_text(text[:price_len], price_scale))
            rows[row, 1] = float(plain_text(text[price_len:], qty_scale))
        return count

    def set_precision(self, price_precision: int | None, qty_precision: int | None) -> None:
        """Decimals of the instrument, for the second try at a checksum (PROTOCOL 6.1 b); None if not known.

        Raises:
            UsageError: a precision is not 0 to 18.
        """
        for precision in (price_precision, qty_precision):
            if precision is not None and not 0 <= precision <= reasons.MAX_FRACTION:
                raise UsageError(f"precision must be from 0 to {reasons.MAX_FRACTION}, got {precision}")
        self._price_precision = price_precision
        self._qty_precision = qty_precision

    def invalidate(self, reason: str) -> None:
        """Ignore updates until the next snapshot; the levels stay readable."""
        self.status: Status = "unsynced"
        self.reason = reason
        self.proven = False

    def reset(self, reason: str = "empty") -> None:
        """Forget the levels and await a snapshot."""
        self._bids.clear()
        self._asks.clear()
        self.status = "empty"
        self.reason = reason
        self.proven = False
        self.checksum: int | None = None
        self.exchange_ns: int | None = None
        self._clock_ns: int | None = None

    def checksum_text(self, normalised: bool = False) -> str | None:
        """The text that the checksum is over: from the wire, or at the instrument's precisions (None if unset)."""
        if not normalised:
            return (self._asks.text() + self._bids.text()).decode()
        text = self._normalised_text()
        return None if text is None else text.decode()

    def _normalised_text(self) -> bytes | None:
        price_precision, qty_precision = self._price_precision, self._qty_precision
        if price_precision is None or qty_precision is None:
            return None
        return self._asks.text_at(price_precision, qty_precision) + self._bids.text_at(price_precision, qty_precision)

    def difference(self, other: BookState) -> bytes | None:
        """The frame that makes this book the other; None if every level is the same already.

        It is an update that deletes and sets levels, or a snapshot if this book is not synced; its checksum and its
        time are the other book's.

        Raises:
            UsageError: the other book is not proven, or keeps another depth.
        """
        if other.depth != self.depth:
            raise UsageError(reasons.other_depth(self.symbol, self.depth, other.depth))
        if other.status != "synced" or not other.proven or other.checksum is None:
            raise UsageError(reasons.not_proven(other.symbol))
        update = self.status == "synced"
        bids = (self._bids if update else Ladder(1)).difference(other._bids)
        asks = (self._asks if update else Ladder(-1)).difference(other._asks)
        if update and not bids and not asks:
            return None
        return book_frame(
            "update" if update else "snapshot", self.wire_name, (bids, asks), other.checksum, other.exchange_ns
        )

    def _apply(self, element: Element, v1: bool) -> tuple[Outcome, bool, int]:
        """Apply a message and judge the book: the outcome, whether it took normalised text, and our checksum."""
        _, snapshot, bid_levels, ask_levels, expected, exchange_ns = element
        bids, asks = self._bids, self._asks
        if snapshot:
            bids.clear()
            asks.clear()
            self._clock_ns = None
            self.status = "synced"
            self.reason = ""
        if bid_levels:
            bids.apply(bid_levels, self.depth)
        if ask_levels:
            asks.apply(ask_levels, self.depth)
        computed = crc32(bids.text(), crc32(asks.text()))
        outcome: Outcome = "verified"
        normalised = False
        if expected is None:
            outcome = "unproven"
        elif computed != expected:
            text = self._normalised_text()
            if text is not None and crc32(text) == expected:
                normalised = True
                computed = expected
            else:
                outcome = "checksum"
        clock = self._clock_ns
        if outcome != "checksum":
            if bids.keys and asks.keys and bids.keys[-1] >= -asks.keys[-1]:
                outcome = "crossed"
            elif clock is not None and exchange_ns is not None and exchange_ns < clock and not v1:
                outcome = "timestamp"
        if outcome not in ("verified", "unproven"):
            self.status = "unsynced"
            self.reason = outcome
        self.proven = outcome == "verified"
        self.checksum = computed
        self.exchange_ns = exchange_ns
        if exchange_ns is not None:
            self._clock_ns = exchange_ns
        return outcome, normalised, computed


def restore_state(content: object) -> BookState:
    """A book from its content (`StateContent`), whichever kernel gave it.

    Raises:
        ValueError: no kernel can have given it; says why.
    """
    given = check_state(content)
    state = BookState(given.symbol, given.depth, given.wire_name)
    state._bids.apply(unpack_levels(given.bids, 1, given.depth), given.depth)
    state._asks.apply(unpack_levels(given.asks, -1, given.depth), given.depth)
    state.status = cast("Status", given.status)
    state.reason = given.reason
    state.proven = given.proven
    state.checksum = given.checksum
    state.exchange_ns = given.exchange_ns
    state._clock_ns = given.clock_ns
    state._price_precision = given.price_precision
    state._qty_precision = given.qty_precision
    state.stamp = given.stamp
    state.n = given.n
    state.seq = given.seq
    return state
