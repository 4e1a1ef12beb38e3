# cython: language_level=3, wraparound=False, cdivision=True, initializedcheck=False, auto_pickle=False
"""The local order book, compiled: the classes of pure/, which is the specification and has the commentary.

A frame is scanned into arrays first and applied after, so that a broken one changes nothing. No Python object is made
for a level unless somebody asks for it. The GIL is held throughout, and no Python code runs between scan and apply.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)  # fmt: skip
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from decimal import Decimal

from krakenwire.book import reasons
from krakenwire.book.content import BooksContent, StateContent, check_books, check_state, refuse
from krakenwire.book.synthesis import book_frame
from krakenwire.book.timestamps import format_timestamp
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import NO_STAMP, Level as LevelTuple

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
    "restore_books",
    "restore_state",
    "restore_update",
    "update_texts",
]

cdef extern from *:
    """
    typedef __int128 kw_i128;
    """
    ctypedef long long i128 "kw_i128"

cdef enum:                     # those of reasons.py, as C wants them
    TOP = 10
    MAX_DEPTH = 1000
    MAX_NESTING = 64
    MAX_WHOLE = 19
    MAX_FRACTION = 18
    MAX_DIGITS = 28
    MAX_SYMBOL = 64
    TOP_TEXT = 2048            # of one side: ten levels of at most 2 × (28 + 18) digits, and what is copied beyond

cdef int64_t MAX_SECONDS = reasons.MAX_SECONDS

if (TOP, MAX_DEPTH, MAX_NESTING, MAX_WHOLE, MAX_FRACTION, MAX_DIGITS, MAX_SYMBOL) != (
    reasons.TOP, reasons.MAX_DEPTH, reasons.MAX_NESTING, reasons.MAX_WHOLE, reasons.MAX_FRACTION,
    reasons.MAX_DIGITS, reasons.MAX_SYMBOL,
):  # fmt: skip
    raise ImportError("the compiled book is older than its limits in reasons.py: build it again")

cdef uint64_t power_of_ten[19]
for _power in range(19):
    power_of_ten[_power] = 10**_power

NOT_BOOK = -1
QUIET = 0
NOTABLE = 1
UNKNOWN = 2

cdef enum:
    IS_NOT_BOOK = -1
    IS_QUIET = 0
    IS_NOTABLE = 1
    IS_UNKNOWN = 2

cdef enum:                     # outcomes; OUTCOMES has the words
    VERIFIED
    UNPROVEN
    MISMATCHED
    CROSSED
    BACKWARDS

cdef tuple OUTCOMES = ("verified", "unproven", "checksum", "crossed", "timestamp")

cdef enum:                     # status of a book; STATUSES has the words
    EMPTY
    SYNCED
    UNSYNCED

cdef tuple STATUSES = ("empty", "synced", "unsynced")

cdef struct Named:
    const char* name
    Py_ssize_t size
    void* state

cdef struct Table:             # open addressing, at most half full; from a symbol's bytes to its BookState, borrowed
    Named* places
    size_t mask


cdef inline size_t name_hash(const char* name, Py_ssize_t size) noexcept nogil:
    cdef size_t value = <size_t>size
    cdef Py_ssize_t i
    for i in range(size):
        value = value * 33 + <uint8_t>name[i]
    return value ^ (value >> 7)


cdef inline void* table_find(const Table* table, const char* name, Py_ssize_t size) noexcept nogil:
    cdef size_t place
    cdef const Named* named
    if table.places == NULL:
        return NULL
    place = name_hash(name, size) & table.mask
    while True:
        named = &table.places[place]
        if named.state == NULL:
            return NULL
        if named.size == size and memcmp(named.name, name, size) == 0:
            return named.state
        place = (place + 1) & table.mask


include "crc.pxi"
include "ladder.pxi"
include "scratch.pxi"
include "times.pxi"
include "walk.pxi"
include "scan.pxi"
include "canonical.pxi"


cdef int write_plain(char* text, const char* digits, int count, int scale, bint canonical) noexcept:
    """As `plain_text`, into 64 bytes; how many it took."""
    cdef int whole = count - scale, n, i
    if whole > 0:
        memcpy(text, digits, whole)
        n = whole
    else:
        text[0] = c"0"
        n = 1
    if scale:
        text[n] = c"."
        n += 1
        for i in range(whole, 0):
            text[n] = c"0"
            n += 1
        if count:
            memcpy(text + n, digits + max(whole, 0), count - max(whole, 0))
            n += count - max(whole, 0)
        if canonical:
            while text[n - 1] == c"0":
                n -= 1
            if text[n - 1] == c".":
                n -= 1
    return n


cdef str plain_text(const char* digits, int count, int scale, bint canonical):
    """The decimal text of digits of which `scale` are behind the point; canonical: without zeros at its end."""
    cdef char text[64]
    return PyUnicode_DecodeASCII(text, write_plain(text, digits, count, scale, canonical), NULL)


cdef inline bint same_text(const Text* one, const Text* other) noexcept nogil:
    return (
        one.price_len == other.price_len and one.qty_len == other.qty_len
        and one.price_scale == other.price_scale and one.qty_scale == other.qty_scale
        and memcmp(one.digits, other.digits, one.price_len + one.qty_len) == 0
    )  # fmt: skip


cdef str level_json(const Text* text, bint deleted):
    price = plain_text(text.digits, text.price_len, text.price_scale, False)
    qty = plain_text(text.digits + text.price_len, 0 if deleted else text.qty_len, text.qty_scale, False)
    return f'{{"price":{price},"qty":{qty}}}'


cdef str ladder_difference(const Ladder* own, const Ladder* other):
    """What makes `own` the other, as JSON: what is to be deleted, then what is to be set, each best first."""
    cdef list deleted = [], changed = []
    cdef Py_ssize_t i = 0, j = 0                        # ranks
    cdef i128 key, other_key
    while i < own.count or j < other.count:
        key = own.keys[own.head + own.count - 1 - i] if i < own.count else 0
        other_key = other.keys[other.head + other.count - 1 - j] if j < other.count else 0
        if j == other.count or (i < own.count and key > other_key):
            deleted.append(level_json(ladder_text(own, i), True))
            i += 1
        elif i == own.count or other_key > key:
            changed.append(level_json(ladder_text(other, j), False))
            j += 1
        else:
            if not same_text(ladder_text(own, i), ladder_text(other, j)):
                changed.append(level_json(ladder_text(other, j), False))
            i += 1
            j += 1
    return ",".join(deleted + changed)


cdef object level_of(const Text* text):
    return LevelTuple(
        Decimal(plain_text(text.digits, text.price_len, text.price_scale, False)),
        Decimal(plain_text(text.digits + text.price_len, text.qty_len, text.qty_scale, False)),
    )


cdef tuple canonical_of(const Text* text):
    return (
        plain_text(text.digits, text.price_len, text.price_scale, True),
        plain_text(text.digits + text.price_len, text.qty_len, text.qty_scale, True),
    )


cdef tuple pack(const Text* text):
    """A level for a pickle; None if there is none."""
    if text.price_len == 0:
        return None
    return (
        PyBytes_FromStringAndSize(text.digits, text.price_len + text.qty_len),
        text.price_len, text.price_scale, text.qty_scale,
    )  # fmt: skip


cdef int unpack(tuple packed, Text* text) except -1:
    cdef bytes digits
    cdef Py_ssize_t price_len, price_scale, qty_scale
    memset(text, 0, sizeof(Text))
    if packed is None:
        return 0
    digits, price_len, price_scale, qty_scale = packed
    if not (
        0 < price_len <= MAX_DIGITS
        and price_len <= len(digits) <= price_len + MAX_DIGITS
        and 0 <= price_scale <= MAX_FRACTION
        and 0 <= qty_scale <= MAX_FRACTION
    ):
        raise ValueError("not the content of a BookUpdate")
    text.price_len = <uint8_t>price_len
    text.qty_len = <uint8_t>(len(digits) - price_len)
    text.price_scale = <uint8_t>price_scale
    text.qty_scale = <uint8_t>qty_scale
    memcpy(text.digits, PyBytes_AS_STRING(digits), len(digits))
    return 0


cdef bytes pack_levels(const Ladder* ladder):
    """A side as bytes, see content.py."""
    cdef Py_ssize_t rank, size = 0
    cdef const Text* text
    cdef char* out
    cdef bytes packed
    for rank in range(ladder.count):
        text = ladder_text(ladder, rank)
        size += 4 + text.price_len + text.qty_len
    packed = PyBytes_FromStringAndSize(NULL, size)
    out = PyBytes_AS_STRING(packed)
    for rank in range(ladder.count):
        text = ladder_text(ladder, rank)
        out[0] = <char>text.price_len
        out[1] = <char>text.qty_len
        out[2] = <char>text.price_scale
        out[3] = <char>text.qty_scale
        size = text.price_len + text.qty_len
        memcpy(out + 4, text.digits, size)
        out += 4 + size
    return packed


cdef bint is_number(const uint8_t* digits, Py_ssize_t count, Py_ssize_t scale) noexcept nogil:
    """Whether digits, without the zeros before them, are of a number that a book may hold."""
    cdef Py_ssize_t i
    if not 0 < count <= MAX_DIGITS or scale > MAX_FRACTION or count - scale > MAX_WHOLE or digits[0] == c"0":
        return False
    for i in range(count):
        if not c"0" <= digits[i] <= c"9":
            return False
    return True


cdef int unpack_levels(bytes packed, Ladder* ladder, bint is_asks, Py_ssize_t depth) except -1:
    """Put the levels of a side into a ladder that is empty and has room for them."""
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(packed)
    cdef const uint8_t* end = p + PyBytes_GET_SIZE(packed)
    cdef Text text
    cdef i128 key, last = 0
    cdef int i
    while p < end:
        if end - p < 4 or ladder.count == depth or end - p < 4 + p[0] + p[1]:
            raise refuse("more levels than its depth, or a part of one")
        if not is_number(p + 4, p[0], p[2]) or not is_number(p + 4 + p[0], p[1], p[3]):
            raise refuse("a level that is not of two numbers")
        memset(&text, 0, sizeof(text))
        text.price_len, text.qty_len, text.price_scale, text.qty_scale = p[0], p[1], p[2], p[3]
        memcpy(text.digits, p + 4, text.price_len + text.qty_len)
        key = 0
        for i in range(text.price_len):
            key = key * 10 + (text.digits[i] - c"0")
        key *= <i128>power_of_ten[MAX_FRACTION - text.price_scale]
        if is_asks:
            key = -key
        if ladder.count and key >= last:
            raise refuse("levels out of order")
        last = key
        ladder_apply(ladder, key, &text)
        p += 4 + text.price_len + text.qty_len
    return 0


cdef object scan_error(const Scan* s):
    """The exception for what is wrong with a frame."""
    if s.error == NO_MEMORY:
        return MemoryError()
    if s.error == DUPLICATE:
        reason = reasons.duplicate(KEYS[s.key])
    elif s.error == MISSING:
        reason = reasons.missing(KEYS[s.key])
    else:
        reason = REASONS[s.error]
    return FrameError(reason, s.error_at - s.start)


def parse_timestamp(str text not None):
    """Nanoseconds since the epoch of an RFC 3339 time in UTC with 0 to 9 digits of fraction; else ValueError."""
    cdef Py_ssize_t size = 0
    cdef const char* p = PyUnicode_AsUTF8AndSize(text, &size)
    cdef int64_t ns = 0
    if not read_timestamp(p, size, &ns):
        raise ValueError(reasons.not_a_timestamp(text))
    return ns


@cython.final
cdef class BookState:
    """One book, live: it is as of the last message applied, and belongs to the thread that applies them.

    Made by `Books.add`. A side is `"bids"` or `"asks"`. pure/state.py says what each attribute means.
    """

    cdef readonly str symbol
    cdef readonly str wire_name
    cdef readonly int depth
    cdef readonly str reason
    cdef readonly bint proven
    cdef readonly object stamp
    cdef readonly long long n
    cdef readonly long long seq
    cdef bytes name
    cdef int state
    cdef Ladder sides[2]
    cdef int price_precision           # -1: not known
    cdef int qty_precision
    cdef uint32_t asks_sum             # the CRC of the asks' text, and of both sides': as of when `dirty` was cleared
    cdef uint32_t wire_sum
    cdef uint32_t computed
    cdef bint has_computed
    cdef int64_t ns
    cdef bint has_ns
    cdef int64_t clock_ns              # of the last message that had a time
    cdef bint has_clock

    def __cinit__(self):
        memset(self.sides, 0, sizeof(self.sides))

    def __init__(self):
        raise TypeError("a BookState is made by Books.add")

    def __dealloc__(self):
        ladder_free(&self.sides[BIDS])
        ladder_free(&self.sides[ASKS])

    def __repr__(self):
        return (
            f"<BookState {self.symbol} depth={self.depth} {self.status}"
            f" bids={self.sides[BIDS].count} asks={self.sides[ASKS].count}>"
        )

    def __reduce__(self):
        content = StateContent(
            symbol=self.symbol,
            wire_name=self.wire_name,
            depth=self.depth,
            status=self.status,
            reason=self.reason,
            proven=self.proven,
            checksum=self.checksum,
            exchange_ns=self.exchange_ns,
            clock_ns=self.clock_ns if self.has_clock else None,
            price_precision=None if self.price_precision < 0 else self.price_precision,
            qty_precision=None if self.qty_precision < 0 else self.qty_precision,
            stamp=self.stamp,
            n=self.n,
            seq=self.seq,
            bids=pack_levels(&self.sides[BIDS]),
            asks=pack_levels(&self.sides[ASKS]),
        )
        return restore_state, (tuple(content),)

    @property
    def status(self):
        return STATUSES[self.state]

    @property
    def checksum(self):
        return self.computed if self.has_computed else None

    @property
    def exchange_ns(self):
        return self.ns if self.has_ns else None

    cdef Ladder* side(self, object side) except NULL:
        if side == "bids":
            return &self.sides[BIDS]
        if side == "asks":
            return &self.sides[ASKS]
        raise UsageError(f"side must be 'bids' or 'asks', got {side!r}")

    def count(self, side):
        """How many levels the side has."""
        return self.side(side).count

    def levels(self, side, n=None):
        """The best `n` levels, or all, best first; numbers exact, with the zeros that were on the wire."""
        cdef Ladder* ladder = self.side(side)
        cdef Py_ssize_t rank, count = ladder.count
        if n is not None:
            if n < 0:
                raise UsageError(f"n must not be negative, got {n}")
            count = min(count, n)
        return [level_of(ladder_text(ladder, rank)) for rank in range(count) if rank < ladder.count]

    def best(self, side):
        """The best level, or None if the side is empty."""
        cdef Ladder* ladder = self.side(side)
        return level_of(ladder_text(ladder, 0)) if ladder.count else None

    def canonical(self, side):
        """All levels as text, best first: no exponent, no zeros at the end of a fraction (`0.5`, `100`)."""
        cdef Ladder* ladder = self.side(side)
        cdef Py_ssize_t rank
        return [canonical_of(ladder_text(ladder, rank)) for rank in range(ladder.count)]

    def fill(self, side, out):
        """Write (price, qty) of the best levels into a float64 buffer of shape (n, 2); how many rows were written."""
        cdef Ladder* ladder = self.side(side)
        cdef Py_buffer view
        cdef Py_ssize_t rank, count
        cdef const Text* text
        cdef double* rows
        try:
            PyObject_GetBuffer(out, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        except (TypeError, BufferError, ValueError):
            raise UsageError(reasons.ROWS) from None
        try:
            if view.ndim != 2 or view.format == NULL or view.format != b"d" or view.shape[1] != 2:
                raise UsageError(reasons.ROWS)
            count = min(view.shape[0], ladder.count)
            rows = <double*>view.buf
            for rank in range(count):
                text = ladder_text(ladder, rank)
                rows[2 * rank] = float(plain_text(text.digits, text.price_len, text.price_scale, False))
                rows[2 * rank + 1] = float(
                    plain_text(text.digits + text.price_len, text.qty_len, text.qty_scale, False)
                )
            return count
        finally:
            PyBuffer_Release(&view)

    def set_precision(self, price_precision, qty_precision):
        """Decimals of the instrument, for the second try at a checksum (PROTOCOL 6.1 b); None if not known."""
        for precision in (price_precision, qty_precision):
            if precision is not None and not 0 <= precision <= MAX_FRACTION:
                raise UsageError(f"precision must be from 0 to {MAX_FRACTION}, got {precision}")
        self.price_precision = -1 if price_precision is None else price_precision
        self.qty_precision = -1 if qty_precision is None else qty_precision

    def invalidate(self, str reason not None):
        """Ignore updates until the next snapshot; the levels stay readable."""
        self.state = UNSYNCED
        self.reason = reason
        self.proven = False

    def reset(self, str reason not None="empty"):
        """Forget the levels and await a snapshot."""
        ladder_clear(&self.sides[BIDS])
        ladder_clear(&self.sides[ASKS])
        self.state = EMPTY
        self.reason = reason
        self.proven = False
        self.has_computed = False
        self.has_ns = False
        self.has_clock = False

    def checksum_text(self, bint normalised=False):
        """The text that the checksum is over: from the wire, or at the instrument's precisions (None if unset)."""
        cdef char text[2 * TOP_TEXT]
        cdef Py_ssize_t size
        if normalised:
            if self.price_precision < 0 or self.qty_precision < 0:
                return None
            size = self.normalised_text(text)
        else:
            size = ladder_top(&self.sides[ASKS], text)
            size += ladder_top(&self.sides[BIDS], text + size)
        return PyUnicode_DecodeASCII(text, size, NULL)

    def difference(self, BookState other not None):
        """The frame that makes this book the other, which is proven; None if every level is the same already."""
        cdef Ladder nothing
        cdef Ladder* sides = self.sides
        if other.depth != self.depth:
            raise UsageError(reasons.other_depth(self.symbol, self.depth, other.depth))
        if other.state != SYNCED or not other.proven:
            raise UsageError(reasons.not_proven(other.symbol))
        memset(&nothing, 0, sizeof(nothing))
        update = self.state == SYNCED
        bids = ladder_difference(&self.sides[BIDS] if update else &nothing, &other.sides[BIDS])
        asks = ladder_difference(&self.sides[ASKS] if update else &nothing, &other.sides[ASKS])
        if update and not bids and not asks:
            return None
        return book_frame(
            "update" if update else "snapshot", self.wire_name, (bids, asks), other.computed, other.exchange_ns
        )

    cdef Py_ssize_t normalised_text(self, char* text) noexcept:
        cdef Py_ssize_t size
        size = ladder_top_at(&self.sides[ASKS], text, self.price_precision, self.qty_precision)
        return size + ladder_top_at(&self.sides[BIDS], text + size, self.price_precision, self.qty_precision)

    cdef inline uint32_t wire_checksum(self) noexcept:
        """The CRC of the wire's text. What did not change since is not summed again: below the top ten, all of it."""
        cdef char text[TOP_TEXT]
        if self.sides[ASKS].dirty:
            self.asks_sum = crc_extend(0, text, ladder_top(&self.sides[ASKS], text))
        elif not self.sides[BIDS].dirty:
            return self.wire_sum
        self.wire_sum = crc_extend(self.asks_sum, text, ladder_top(&self.sides[BIDS], text))
        self.sides[ASKS].dirty = False
        self.sides[BIDS].dirty = False
        return self.wire_sum

    cdef inline bint make_room(self, const Element* element) noexcept:
        """For every level of the element. False, and no change, if there is no memory."""
        cdef int side
        cdef Py_ssize_t wanted
        for side in range(2):
            wanted = self.depth + element.count[side]
            if self.sides[side].capacity < wanted and not ladder_resize(&self.sides[side], wanted):
                return False
        return True

    cdef inline void apply_levels(self, int side, const Level* levels, Py_ssize_t count) noexcept:
        cdef Ladder* ladder = &self.sides[side]
        cdef Py_ssize_t i
        for i in range(count):
            ladder_apply(ladder, levels[i].key if side == BIDS else -levels[i].key, &levels[i].text)
        if ladder.count > self.depth:
            ladder_truncate(ladder, self.depth)
        if ladder.capacity > 4 * default_capacity(self.depth):
            ladder_resize(ladder, default_capacity(self.depth))     # let go of what a monstrous message needed

    cdef int apply_element(self, const Scan* s, const Element* element, bint* normalised) noexcept:
        """Apply a message and judge the book: the outcome, and whether it took normalised text."""
        cdef char text[2 * TOP_TEXT]
        cdef int outcome = VERIFIED
        cdef Ladder* bids = &self.sides[BIDS]
        cdef Ladder* asks = &self.sides[ASKS]
        if element.snapshot:
            ladder_clear(bids)
            ladder_clear(asks)
            self.has_clock = False
            self.state = SYNCED
            self.reason = ""
        if element.count[BIDS]:
            self.apply_levels(BIDS, s.levels + element.first[BIDS], element.count[BIDS])
        if element.count[ASKS]:
            self.apply_levels(ASKS, s.levels + element.first[ASKS], element.count[ASKS])
        self.computed = self.wire_checksum()
        self.has_computed = True
        if not element.has_checksum:
            outcome = UNPROVEN
        elif self.computed != element.checksum:
            outcome = MISMATCHED
            if self.price_precision >= 0 and self.qty_precision >= 0:
                if crc_extend(0, text, self.normalised_text(text)) == element.checksum:
                    outcome = VERIFIED
                    normalised[0] = True
                    self.computed = element.checksum
        if outcome != MISMATCHED:
            if (
                bids.count and asks.count
                and bids.keys[bids.head + bids.count - 1] >= -asks.keys[asks.head + asks.count - 1]
            ):  # fmt: skip
                outcome = CROSSED
            elif element.has_ns and self.has_clock and element.ns < self.clock_ns and not s.v1:
                outcome = BACKWARDS
        if outcome >= MISMATCHED:
            self.state = UNSYNCED
            self.reason = <str>OUTCOMES[outcome]
        self.proven = outcome == VERIFIED
        self.has_ns = element.has_ns
        self.ns = element.ns
        if element.has_ns:
            self.has_clock = True
            self.clock_ns = element.ns
        return outcome


cdef inline Py_ssize_t default_capacity(Py_ssize_t depth) noexcept:
    return 2 * depth + 64


cdef BookState new_state(str symbol, int depth, str wire_name):
    """A book that awaits its snapshot; what it is given was looked at."""
    cdef BookState state = BookState.__new__(BookState)
    state.symbol = symbol
    state.wire_name = wire_name
    state.name = wire_name.encode()
    state.depth = depth
    state.price_precision = -1
    state.qty_precision = -1
    state.stamp = NO_STAMP
    if not ladder_resize(&state.sides[BIDS], default_capacity(depth)):
        raise MemoryError
    if not ladder_resize(&state.sides[ASKS], default_capacity(depth)):
        raise MemoryError
    state.reset()
    return state


def restore_state(content):
    """A book from its content (`StateContent`), whichever kernel gave it; ValueError if none can have."""
    given = check_state(content)
    cdef BookState state = new_state(given.symbol, given.depth, given.wire_name)
    unpack_levels(given.bids, &state.sides[BIDS], False, given.depth)
    unpack_levels(given.asks, &state.sides[ASKS], True, given.depth)
    state.state = STATUSES.index(given.status)
    state.reason = given.reason
    state.proven = given.proven
    state.has_computed = given.checksum is not None
    state.computed = given.checksum or 0
    state.has_ns = given.exchange_ns is not None
    state.ns = given.exchange_ns or 0
    state.has_clock = given.clock_ns is not None
    state.clock_ns = given.clock_ns or 0
    state.price_precision = -1 if given.price_precision is None else given.price_precision
    state.qty_precision = -1 if given.qty_precision is None else given.qty_precision
    state.stamp = given.stamp
    state.n = given.n
    state.seq = given.seq
    return state


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class BookUpdate:
    """One message of one book, and how the book stood after it. Immutable; its levels are decoded when asked for.

    Made by `Books.apply`. The outcome is `verified`; `unproven` if v1 sent no checksum; or why the book is unsynced:
    `checksum` (it does not match), `crossed` (best bid not below best ask), `timestamp` (earlier than the last one).
    Two are equal if frame, symbol, n, seq and outcome are. pure/update.py says what each attribute means.
    """

    channel = "book"

    cdef readonly bytes frame
    cdef readonly str symbol
    cdef readonly object stamp
    cdef readonly long long n
    cdef readonly long long seq
    cdef readonly int depth
    cdef int result                    # the outcome
    cdef bint snapshot
    cdef readonly bint normalised
    cdef readonly bint synthesised
    cdef bint has_checksum
    cdef bint has_ns
    cdef uint32_t theirs
    cdef uint32_t ours
    cdef Py_ssize_t index              # of the element in its frame
    cdef int64_t ns
    cdef Text bid                      # price_len 0: there is none
    cdef Text ask

    def __init__(self):
        raise TypeError("a BookUpdate is made by Books.apply")

    @property
    def type(self):
        return "snapshot" if self.snapshot else "update"

    @property
    def outcome(self):
        return OUTCOMES[self.result]

    @property
    def proven(self):
        return self.result == VERIFIED

    @property
    def checksum(self):
        return self.theirs if self.has_checksum else None

    @property
    def computed(self):
        return self.ours

    @property
    def exchange_ns(self):
        return self.ns if self.has_ns else None

    @property
    def connection(self):
        return self.stamp.connection

    @property
    def epoch(self):
        return self.stamp.epoch

    @property
    def received_ns(self):
        return self.stamp.received_ns

    @property
    def received_mono_ns(self):
        return self.stamp.received_mono_ns

    cdef tuple changed(self, int side):
        """The levels of the message: its frame is scanned again."""
        cdef Scan s
        cdef Table nothing
        cdef Py_ssize_t i
        cdef const Element* element
        memset(&s, 0, sizeof(s))
        memset(&nothing, 0, sizeof(nothing))
        try:
            scan_begin(&s, PyBytes_AS_STRING(self.frame), PyBytes_GET_SIZE(self.frame))
            scan_frame(&s, &nothing)
            if s.error:
                raise scan_error(&s)
            if self.index >= s.element_count:
                raise ValueError("the frame has no such element")
            element = &s.elements[self.index]
            return tuple(
                [level_of(&s.levels[element.first[side] + i].text) for i in range(element.count[side])]
            )
        finally:
            scan_free(&s)

    @property
    def bids(self):
        return self.changed(BIDS)

    @property
    def asks(self):
        return self.changed(ASKS)

    @property
    def best_bid(self):
        return level_of(&self.bid) if self.bid.price_len else None

    @property
    def best_ask(self):
        return level_of(&self.ask) if self.ask.price_len else None

    def bbo_text(self):
        """Price and qty of the best bid, then of the best ask, as canonical text; empty where there is none."""
        return (
            *(canonical_of(&self.bid) if self.bid.price_len else ("", "")),
            *(canonical_of(&self.ask) if self.ask.price_len else ("", "")),
        )

    def __eq__(self, other):
        if not isinstance(other, BookUpdate):
            return NotImplemented
        return self.identity() == (<BookUpdate>other).identity()

    def __hash__(self):
        return hash(self.identity())

    cdef tuple identity(self):
        return self.frame, self.symbol, self.n, self.seq, self.outcome

    def __reduce__(self):
        return restore_update, (
            (
                self.frame, self.symbol, self.snapshot, self.outcome, self.normalised, self.depth, self.checksum,
                self.computed, self.exchange_ns, self.stamp, self.n, self.seq, self.index,
                pack(&self.bid), pack(&self.ask), self.synthesised,
            ),
        )  # fmt: skip

    def __repr__(self):
        bid, bid_qty, ask, ask_qty = self.bbo_text()
        return (
            f"<BookUpdate {self.symbol} {self.type} {self.outcome} depth={self.depth}"
            f" bid={bid or None} x {bid_qty or None} ask={ask or None} x {ask_qty or None} n={self.n} seq={self.seq}>"
        )


def restore_update(tuple content not None):
    """A BookUpdate from its pickle."""
    cdef BookUpdate update = BookUpdate.__new__(BookUpdate)
    (
        update.frame, update.symbol, update.snapshot, outcome, update.normalised, update.depth, checksum,
        update.ours, exchange_ns, update.stamp, update.n, update.seq, update.index, bid, ask, update.synthesised,
    ) = content  # fmt: skip
    update.result = OUTCOMES.index(outcome)
    update.has_checksum = checksum is not None
    update.theirs = 0 if checksum is None else checksum
    update.has_ns = exchange_ns is not None
    update.ns = 0 if exchange_ns is None else exchange_ns
    unpack(bid, &update.bid)
    unpack(ask, &update.ask)
    if update.frame is None or update.symbol is None or update.index < 0:
        raise ValueError("not the content of a BookUpdate")
    return update


@cython.final
cdef class Books:
    """The books of one connection.

    Args:
        skip_unknown: ignore (and count) what concerns a symbol without a book here; otherwise `apply` gives `UNKNOWN`.

    pure/books.py says what each attribute means.
    """

    cdef dict by_symbol
    cdef dict by_wire
    cdef Table table
    cdef Scan scan
    cdef bint skip_unknown
    cdef readonly str unknown
    cdef readonly int last_code
    cdef readonly Py_ssize_t last_consumed
    cdef readonly Py_ssize_t last_start
    cdef readonly long long verified
    cdef readonly long long unproven
    cdef readonly long long mismatched
    cdef readonly long long crossed
    cdef readonly long long backwards
    cdef readonly long long ignored
    cdef readonly long long normalised

    def __cinit__(self):
        memset(&self.scan, 0, sizeof(self.scan))
        memset(&self.table, 0, sizeof(self.table))

    def __init__(self, *, skip_unknown=True):
        self.skip_unknown = skip_unknown
        self.by_symbol = {}
        self.by_wire = {}
        self.remake_table()

    def __dealloc__(self):
        scan_free(&self.scan)
        free(self.table.places)

    cdef int remake_table(self) except -1:
        cdef size_t size = 16
        cdef size_t place
        cdef Named* places
        cdef BookState state
        while size < 2 * <size_t>len(self.by_wire) + 2:
            size *= 2
        places = <Named*>malloc(size * sizeof(Named))
        if places == NULL:
            free(self.table.places)                     # it may name a book that is gone: rather none is found
            self.table.places = NULL
            raise MemoryError
        memset(places, 0, size * sizeof(Named))
        for state in self.by_wire.values():
            place = name_hash(PyBytes_AS_STRING(state.name), PyBytes_GET_SIZE(state.name)) & (size - 1)
            while places[place].state != NULL:
                place = (place + 1) & (size - 1)
            places[place].name = PyBytes_AS_STRING(state.name)
            places[place].size = PyBytes_GET_SIZE(state.name)
            places[place].state = <void*>state
        free(self.table.places)
        self.table.places = places
        self.table.mask = size - 1
        return 0

    def __reduce__(self):
        fields = BooksContent._fields
        counted = [getattr(self, name) for name in fields[1 : len(fields) - 1]]  # no index below 0: see wraparound
        return restore_books, ((self.skip_unknown, *counted, tuple(self.by_symbol.values())),)

    def add(self, symbol, depth, *, wire_name=None):
        """Keep a book, which awaits its snapshot; UsageError if the depth or a name cannot be, or is taken."""
        cdef BookState state
        if type(depth) is not int or not 1 <= depth <= MAX_DEPTH:
            raise UsageError(f"{reasons.DEPTH_LIMIT}, got {depth!r}")
        wire_name = symbol if wire_name is None else wire_name
        for name in (symbol, wire_name):
            if not reasons.is_symbol(name):
                raise UsageError(f"{reasons.SYMBOL_FORM}, got {name!r}")
        if symbol in self.by_symbol or wire_name in self.by_wire:
            raise UsageError(f"there is a book of {symbol!r} (on the wire {wire_name!r}) already")
        state = new_state(symbol, depth, wire_name)
        self.by_symbol[symbol] = state
        self.by_wire[wire_name] = state
        self.remake_table()
        return state

    def remove(self, symbol):
        """Keep the book no longer; who holds its state can go on reading it. UsageError if there is none."""
        cdef BookState state = self.by_symbol.pop(symbol, None)
        if state is None:
            raise UsageError(reasons.no_book(symbol))
        del self.by_wire[state.wire_name]
        self.remake_table()

    def get(self, symbol):
        """The book of `symbol`, or None."""
        return self.by_symbol.get(symbol)

    def __contains__(self, symbol):
        return symbol in self.by_symbol

    def __len__(self):
        return len(self.by_symbol)

    def __iter__(self):
        return iter(self.by_symbol)

    def apply(self, frame, list out not None, stamp=NO_STAMP, long long n=0, long long seq=0):
        """Apply a frame, whole or not at all; `NOT_BOOK`, `QUIET`, `NOTABLE` or `UNKNOWN`, or FrameError if it is broken."""
        if not isinstance(frame, bytes):
            frame = bytes(memoryview(frame))
        return self.apply_frame(<bytes>frame, out, stamp, n, seq)

    def apply_many(self, frames, list out not None, stamp=NO_STAMP, long long n=0, long long seq=0):
        """Apply frames, `n` and `seq` counting up, until one is not `QUIET` (`last_code`); how many were consumed."""
        self.last_code = IS_QUIET
        self.last_consumed = 0
        for frame in frames:
            self.last_consumed += 1
            if not isinstance(frame, bytes):
                frame = bytes(memoryview(frame))
            self.last_code = self.apply_frame(<bytes>frame, out, stamp, n, seq)
            if self.last_code != IS_QUIET:
                break
            n += 1
            seq += 1
        return self.last_consumed

    def apply_run(
        self, list frames not None, list stamps not None, Py_ssize_t start, list out not None,
        long long n=0, long long seq=0,
    ):  # fmt: skip
        """As `apply_many`, from `frames[start]` on, each with its stamp; `out` had `last_start` before the last one."""
        cdef Py_ssize_t i
        if len(frames) != len(stamps):
            raise ValueError("each frame needs a stamp")
        self.last_code = IS_QUIET
        self.last_consumed = 0
        for i in range(max(start, 0), len(frames)):
            self.last_consumed += 1
            self.last_start = len(out)
            self.last_code = self.apply_frame(<bytes?>frames[i], out, stamps[i], n, seq)
            if self.last_code != IS_QUIET:
                break
            n += 1
            seq += 1
        return self.last_consumed

    def follow(self, BookUpdate update not None):
        """Apply the one message that `update` of other books tells of; whether this book then stands as that one did."""
        cdef Scan* s = &self.scan
        cdef const Element* element
        cdef BookState state
        cdef int outcome
        cdef bint normalised = False
        if not self.scan_book(update.frame) or update.index >= s.element_count:
            return False
        element = &s.elements[update.index]
        state = <BookState>element.state if element.state != NULL else None
        if state is None or (not element.snapshot and state.state != SYNCED):
            self.ignored += 1
            return False
        if not state.make_room(element):
            raise MemoryError
        outcome = state.apply_element(s, element, &normalised)
        state.stamp = update.stamp
        state.n = update.n
        state.seq = update.seq
        self.tally(outcome, normalised)
        scan_shrink(s)
        return outcome == update.result and state.computed == update.ours

    def adopt(self, BookState other not None, list out not None, stamp=NO_STAMP, long long n=0, long long seq=0):
        """Become the other book, which is proven, by one synthesised `BookUpdate`; False if it is the same already."""
        cdef BookState state = self.by_symbol.get(other.symbol)
        if state is None:
            raise UsageError(reasons.no_book(other.symbol))
        if state.state == SYNCED and state.has_clock and other.has_ns and other.ns < state.clock_ns:
            raise UsageError(reasons.back_in_time(other.symbol))
        frame = state.difference(other)
        if frame is None:
            return False
        state.price_precision = other.price_precision
        state.qty_precision = other.qty_precision
        self.apply_frame(frame, out, stamp, n, seq)
        (<BookUpdate>out[len(out) - 1]).synthesised = True
        return True

    cdef inline void tally(self, int outcome, bint normalised) noexcept:
        if outcome == VERIFIED:
            self.verified += 1
            self.normalised += normalised
        elif outcome == UNPROVEN:
            self.unproven += 1
        elif outcome == MISMATCHED:
            self.mismatched += 1
        elif outcome == CROSSED:
            self.crossed += 1
        else:
            self.backwards += 1

    cdef inline bint scan_book(self, bytes frame) except -1:
        """Scan a frame; False if it is not a book's."""
        cdef Scan* s = &self.scan
        scan_begin(s, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        if scan_canonical(s, &self.table):
            return True
        scan_begin(s, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        scan_frame(s, &self.table)
        if not s.book and s.error != NO_MEMORY:
            return False
        if s.error:
            raise scan_error(s)
        return True

    cdef int apply_frame(self, bytes frame, list out, object stamp, long long n, long long seq) except -2:
        cdef Scan* s = &self.scan
        cdef Py_ssize_t i
        cdef const Element* element
        cdef BookState state
        cdef BookUpdate update
        cdef int outcome, code = IS_QUIET
        cdef bint normalised
        if not self.scan_book(frame):
            return IS_NOT_BOOK
        for i in range(s.element_count):
            element = &s.elements[i]
            if element.state == NULL:
                self.unknown = self.symbol_at(element.symbol)
                if not self.skip_unknown:
                    return IS_UNKNOWN
            elif not (<BookState>element.state).make_room(element):
                raise MemoryError
        for i in range(s.element_count):
            element = &s.elements[i]
            if element.state == NULL:
                self.ignored += 1
                continue
            state = <BookState>element.state
            if not element.snapshot and state.state != SYNCED:
                self.ignored += 1
                continue
            normalised = False
            outcome = state.apply_element(s, element, &normalised)
            state.stamp = stamp
            state.n = n
            state.seq = seq
            self.tally(outcome, normalised)
            if element.snapshot or outcome >= MISMATCHED:
                code = IS_NOTABLE
            update = BookUpdate.__new__(BookUpdate)
            update.frame = frame
            update.symbol = state.symbol
            update.stamp = stamp
            update.n = n
            update.seq = seq
            update.depth = state.depth
            update.result = outcome
            update.snapshot = element.snapshot
            update.normalised = normalised
            update.has_checksum = element.has_checksum
            update.theirs = element.checksum
            update.ours = state.computed
            update.has_ns = element.has_ns
            update.ns = element.ns
            update.index = i
            if state.sides[BIDS].count:
                update.bid = ladder_text(&state.sides[BIDS], 0)[0]
            if state.sides[ASKS].count:
                update.ask = ladder_text(&state.sides[ASKS], 0)[0]
            out.append(update)
        scan_shrink(s)
        return code

    cdef str symbol_at(self, const char* p):
        """The symbol whose opening quote is at `p`."""
        cdef char name[MAX_SYMBOL]
        return PyUnicode_DecodeUTF8(name, decode(p, skip_string(&self.scan, p), name, MAX_SYMBOL), NULL)


def restore_books(content):
    """The books of a connection from their content (`BooksContent`), whichever kernel gave it; ValueError if none can have."""
    given = check_books(content, BookState)
    cdef Books books = Books(skip_unknown=given.skip_unknown)
    (
        _, books.unknown, books.last_code, books.last_consumed, books.verified, books.unproven, books.mismatched,
        books.crossed, books.backwards, books.ignored, books.normalised, states,
    ) = given  # fmt: skip
    books.by_symbol = {state.symbol: state for state in states}
    books.by_wire = {state.wire_name: state for state in states}
    books.remake_table()
    return books


include "texts.pxi"
