"""The local order book in pure Python: the specification of the compiled kernel, which has the same classes.

A message goes from the bytes of its frame into the book in one call: scan, apply, truncate to depth, checksum, compare
(PROTOCOL 3.5, 6.1, 6.3, 7.2). A frame is applied whole or not at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, NoReturn, cast
from zlib import crc32

from krakenwire.book import reasons
from krakenwire.book.scan import Element, Entry, Scanned, scan, scan_canonical
from krakenwire.book.timestamps import format_timestamp, parse_timestamp
from krakenwire.errors import UsageError
from krakenwire.events import NO_STAMP, Level, Stamp

__all__ = [
    "NOTABLE",
    "NOT_BOOK",
    "QUIET",
    "UNKNOWN",
    "BookState",
    "BookUpdate",
    "Books",
    "format_timestamp",
    "parse_timestamp",
]

NOT_BOOK: Final = -1
"""The frame is not a book's, or not understandable as one: decode it otherwise."""
QUIET: Final = 0
"""A book frame in which there is nothing to look at: updates, verified or unproven or ignored."""
NOTABLE: Final = 1
"""At least one appended `BookUpdate` is a snapshot or has a failed outcome."""
UNKNOWN: Final = 2
"""The frame names a book that is not here, and `skip_unknown` is False: nothing of it was applied."""

Outcome = Literal["verified", "unproven", "checksum", "crossed", "timestamp"]
Status = Literal["empty", "synced", "unsynced"]
BookSide = Literal["bids", "asks"]


def _plain(digits: bytes, scale: int) -> str:
    """The decimal text of `digits` with `scale` of them behind the point."""
    text = digits.decode().rjust(scale + 1, "0")
    return f"{text[:-scale]}.{text[-scale:]}" if scale else text


def _level(entry: Entry) -> Level:
    text, price_len, price_scale, qty_scale = entry
    return Level(Decimal(_plain(text[:price_len], price_scale)), Decimal(_plain(text[price_len:], qty_scale)))


def _canonical(entry: Entry) -> tuple[str, str]:
    """Price and quantity without zeros at the end of the fraction."""
    text, price_len, price_scale, qty_scale = entry
    price, qty = _plain(text[:price_len], price_scale), _plain(text[price_len:], qty_scale)
    return (
        price.rstrip("0").rstrip(".") if price_scale else price,
        qty.rstrip("0").rstrip(".") if qty_scale else qty,
    )


def _at_precision(digits: bytes, scale: int, precision: int) -> bytes:
    """Digits as they are at `precision`: zeros are added or dropped at the end, but never anything else."""
    if scale < precision:
        return digits + b"0" * (precision - scale)
    while scale > precision and digits.endswith(b"0"):
        digits = digits[:-1]
        scale -= 1
    return digits


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


class _Ladder:
    """One side of a book.

    `keys` ascend and their last is the best: a bid's key is its price times 10^18, an ask's the negative of it.
    """

    __slots__ = ("entries", "keys", "sign", "top")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.entries: dict[int, Entry] = {}
        self.top: bytes | None = b""  # the checksum's text of this side; None once it may have changed

    def clear(self) -> None:
        self.keys.clear()
        self.entries.clear()
        self.top = b""

    def apply(self, levels: Iterable[Scanned], depth: int) -> None:
        """Set or delete levels in their order, then keep the best `depth`."""
        keys, entries, sign = self.keys, self.entries, self.sign
        for price, entry in levels:
            key = price * sign
            if len(entry[0]) == entry[1]:
                if key not in entries:
                    continue
                del entries[key]
                rank = bisect_left(keys, key)
                del keys[rank]
            else:
                if key not in entries:
                    rank = bisect_left(keys, key)
                    keys.insert(rank, key)
                else:
                    rank = -1 if self.top is None else bisect_left(keys, key)
                entries[key] = entry
            if rank >= len(keys) - reasons.TOP:
                self.top = None
        excess = len(keys) - depth
        if excess > 0:
            for key in keys[:excess]:
                del entries[key]
            del keys[:excess]

    def text(self) -> bytes:
        """What the checksum covers of this side: the top ten, best first."""
        if self.top is None:
            entries = self.entries
            self.top = b"".join([entries[key][0] for key in self.keys[: -reasons.TOP - 1 : -1]])
        return self.top

    def text_at(self, price_precision: int, qty_precision: int) -> bytes:
        """The same with numbers as they are at the instrument's precisions."""
        return b"".join(
            [
                _at_precision(text[:price_len], price_scale, price_precision)
                + _at_precision(text[price_len:], qty_scale, qty_precision)
                for text, price_len, price_scale, qty_scale in self.best(reasons.TOP)
            ]
        )

    def best(self, n: int | None) -> list[Entry]:
        """The best `n` levels, or all, best first."""
        keys = self.keys if n is None or n >= len(self.keys) else self.keys[len(self.keys) - n :]
        return [self.entries[key] for key in reversed(keys)]

    def first(self) -> Entry | None:
        """The best level."""
        return self.entries[self.keys[-1]] if self.keys else None


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
        self._bids = _Ladder(1)
        self._asks = _Ladder(-1)
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

    def _side(self, side: str) -> _Ladder:
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
        return [_level(entry) for entry in self._side(side).best(n)]

    def best(self, side: BookSide) -> Level | None:
        """The best level, or None if the side is empty."""
        entry = self._side(side).first()
        return None if entry is None else _level(entry)

    def canonical(self, side: BookSide) -> list[tuple[str, str]]:
        """All levels as text, best first: no exponent, no zeros at the end of a fraction (`0.5`, `100`)."""
        return [_canonical(entry) for entry in self._side(side).best(None)]

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
            rows[row, 0] = float(_plain(text[:price_len], price_scale))
            rows[row, 1] = float(_plain(text[price_len:], qty_scale))
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


_Content = tuple[
    bytes, str, bool, Outcome, bool, int, int | None, int, int | None, Stamp, int, int, int, Entry | None, Entry | None
]


class BookUpdate:
    """One message of one book, and how the book stood after it. Immutable; its levels are decoded when asked for.

    Made by `Books.apply`. The outcome is `verified`; `unproven` if v1 sent no checksum; or why the book is unsynced:
    `checksum` (it does not match), `crossed` (best bid not below best ask), `timestamp` (earlier than the last one).
    Two are equal if frame, symbol, n, seq and outcome are.
    """

    __slots__ = ("_content",)

    _content: _Content
    channel: Final = "book"

    def __init__(self) -> None:
        raise TypeError("a BookUpdate is made by Books.apply")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a BookUpdate is immutable; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a BookUpdate is immutable; cannot delete {name!r}")

    @property
    def frame(self) -> bytes:
        """The frame it came in, whole."""
        return self._content[0]

    @property
    def symbol(self) -> str:
        """Whose book it is."""
        return self._content[1]

    @property
    def type(self) -> Literal["snapshot", "update"]:
        """Whether it replaces the book or changes it."""
        return "snapshot" if self._content[2] else "update"

    @property
    def outcome(self) -> Outcome:
        """How the book stands after it."""
        return self._content[3]

    @property
    def proven(self) -> bool:
        """Whether the top ten is proven to be Kraken's."""
        return self._content[3] == "verified"

    @property
    def normalised(self) -> bool:
        """The checksum matched only with numbers at the instrument's precisions (PROTOCOL 6.1 b)."""
        return self._content[4]

    @property
    def depth(self) -> int:
        """Levels a side that the book keeps."""
        return self._content[5]

    @property
    def checksum(self) -> int | None:
        """Kraken's, or None."""
        return self._content[6]

    @property
    def computed(self) -> int | None:
        """Ours."""
        return self._content[7]

    @property
    def exchange_ns(self) -> int | None:
        """Kraken's time, nanoseconds since the epoch, or None; on v1 the latest time of a level in it."""
        return self._content[8]

    @property
    def stamp(self) -> Stamp:
        """Whence it came: connection, epoch, times of receipt."""
        return self._content[9]

    @property
    def n(self) -> int:
        """The client-wide number of the input it came from."""
        return self._content[10]

    @property
    def seq(self) -> int:
        """Its arrival number on the connection."""
        return self._content[11]

    @property
    def connection(self) -> str:
        """Which connection it came from."""
        return self.stamp.connection

    @property
    def epoch(self) -> int:
        """How often that connection had been re-established."""
        return self.stamp.epoch

    @property
    def received_ns(self) -> int:
        """UTC of receipt, nanoseconds."""
        return self.stamp.received_ns

    @property
    def received_mono_ns(self) -> int:
        """Monotonic time of receipt, nanoseconds."""
        return self.stamp.received_mono_ns

    def _element(self) -> Element:
        scanned = scan(self.frame)
        assert scanned is not None  # noqa: S101  # it was scanned when it was applied
        return scanned.elements[self._content[12]]

    @property
    def bids(self) -> tuple[Level, ...]:
        """The bids that the message sets, or deletes (qty 0), in its order."""
        return tuple([_level(entry) for _, entry in self._element().bids])

    @property
    def asks(self) -> tuple[Level, ...]:
        """The asks that the message sets, or deletes (qty 0), in its order."""
        return tuple([_level(entry) for _, entry in self._element().asks])

    @property
    def best_bid(self) -> Level | None:
        """The best bid after this message."""
        entry = self._content[13]
        return None if entry is None else _level(entry)

    @property
    def best_ask(self) -> Level | None:
        """The best ask after this message."""
        entry = self._content[14]
        return None if entry is None else _level(entry)

    def bbo_text(self) -> tuple[str, str, str, str]:
        """Price and qty of the best bid, then of the best ask, as canonical text; empty where there is none."""
        bid, ask = self._content[13], self._content[14]
        return (
            *(("", "") if bid is None else _canonical(bid)),
            *(("", "") if ask is None else _canonical(ask)),
        )

    def _identity(self) -> tuple[bytes, str, int, int, str]:
        return self.frame, self.symbol, self.n, self.seq, self.outcome

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BookUpdate):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self._content,)

    def __repr__(self) -> str:
        bid, bid_qty, ask, ask_qty = self.bbo_text()
        return (
            f"<BookUpdate {self.symbol} {self.type} {self.outcome} depth={self.depth}"
            f" bid={bid or None} x {bid_qty or None} ask={ask or None} x {ask_qty or None} n={self.n} seq={self.seq}>"
        )


_new = BookUpdate.__new__
_set_content = cast("Any", vars(BookUpdate)["_content"]).__set__  # the slot's own setter: __setattr__ refuses


def _restore(content: _Content) -> BookUpdate:
    update = _new(BookUpdate)
    _set_content(update, content)
    return update


class Books:
    """The books of one connection.

    Args:
        skip_unknown: ignore (and count) what concerns a symbol without a book here; otherwise `apply` gives `UNKNOWN`.

    Attributes:
        unknown: the last symbol met, as on the wire, that has no book here.
        last_code: the code of the last frame that `apply_many` consumed.
        last_consumed: how many frames the last `apply_many` consumed, the one it raised for included.
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
        self.verified = 0
        self.unproven = 0
        self.mismatched = 0
        self.crossed = 0
        self.backwards = 0
        self.ignored = 0
        self.normalised = 0

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
            raise UsageError(f"there is no book of {symbol!r}")
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
        v1 = False
        canonical = scan_canonical(frame)
        if canonical is not None:
            elements = [canonical]
        else:
            scanned = scan(frame)
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
            if outcome == "verified":
                self.verified += 1
                self.normalised += normalised
                if element.snapshot:
                    code = NOTABLE
            elif outcome == "unproven":
                self.unproven += 1
                if element.snapshot:
                    code = NOTABLE
            else:
                code = NOTABLE
                if outcome == "checksum":
                    self.mismatched += 1
                elif outcome == "crossed":
                    self.crossed += 1
                else:
                    self.backwards += 1
            update = _new(BookUpdate)
            _set_content(
                update,
                (
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
                ),
            )
            out.append(update)
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
