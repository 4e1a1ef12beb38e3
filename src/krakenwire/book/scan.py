"""The frame scanner of the pure-Python book: from the bytes of a frame to the levels in it. It is the specification.

A frame is read whole before anything of it is applied: first that it is JSON at all (and whether it is a book's), then
that it says what a book message must say (PROTOCOL 3.5, 7.2). Keys come in any order, unknown ones are skipped, known
ones must not come twice. A number is a JSON number or a string that holds one. The compiled kernel's scanner is built
the same way and gives the same reason and the same offset for whatever is wrong.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from krakenwire.book import reasons
from krakenwire.book.timestamps import parse_timestamp
from krakenwire.errors import FrameError

__all__ = ["Element", "Entry", "Frame", "Scanned", "scan", "scan_canonical"]


Entry = tuple[bytes, int, int, int]
"""One level as the checksum wants it (PROTOCOL 6.1), without points and leading zeros: the digits of the price, then
those of the quantity; how many are the price's; how many of the price's, then of the quantity's, are behind the point.
A quantity without digits is zero. (A plain tuple: naming the fields would cost the book a tenth of its speed.)"""

Scanned = tuple[int, Entry]
"""A level of a message: its price times 10^18 (exact, and the same however the price was written), and its text."""


class Element(NamedTuple):
    """What a message says of one book."""

    symbol: str
    snapshot: bool
    bids: list[Scanned]
    asks: list[Scanned]
    checksum: int | None
    exchange_ns: int | None


class Frame(NamedTuple):
    """A book frame: one element per book in it. `v1` frames have no timestamp of their own."""

    elements: list[Element]
    v1: bool


_POWERS = [10**n for n in range(reasons.MAX_FRACTION + 1)]

# --- what Kraken sends, to the byte ----------------------------------------------------------------------------------

_N = rb"(?:0|[1-9][0-9]{0,9}+)(?:\.[0-9]{1,18}+)?+"
_LEVEL = rb'\{"price":%b,"qty":%b\}' % (_N, _N)
_LEVELS = rb"((?:%b(?:,%b)*+)?+)" % (_LEVEL, _LEVEL)
_CANONICAL = re.compile(
    rb'\{"channel":"book","type":"(update|snapshot)","data":\[\{"symbol":"([ !#-\[\]-~]{1,64}+)",'
    rb'"bids":\[%b\],"asks":\[%b\],"checksum":(0|[1-9][0-9]{0,9}+)(?:,"timestamp":"([0-9T:.Z-]++)")?+\}\]\}'
    % (_LEVELS, _LEVELS)
).fullmatch
_PAIRS = re.compile(rb'e":([0-9]+)\.?([0-9]*),"qty":([0-9]+)\.?([0-9]*)').findall


def _canonical_levels(text: bytes) -> list[Scanned]:
    levels = []
    for price, price_fraction, qty, qty_fraction in _PAIRS(text):
        digits = (price + price_fraction).lstrip(b"0")
        price_scale = len(price_fraction)
        qty_digits = (qty + qty_fraction).lstrip(b"0")
        # A price of zero has no digits: then int() raises ValueError.
        key = int(digits) * _POWERS[18 - price_scale]
        levels.append((key, (digits + qty_digits, len(digits), price_scale, len(qty_fraction))))
    return levels


def scan_canonical(frame: bytes) -> Element | None:
    """What `scan` finds in a frame of exactly the shape that Kraken sends; None for any other: `scan` must judge."""
    form = _CANONICAL(frame)
    if form is None:
        return None
    kind, symbol, bids, asks, checksum, timestamp = form.groups()
    expected = int(checksum)
    if expected > 0xFFFFFFFF:
        return None
    try:
        return Element(
            symbol.decode(),
            kind == b"snapshot",
            _canonical_levels(bids) if bids else [],
            _canonical_levels(asks) if asks else [],
            expected,
            None if timestamp is None else parse_timestamp(timestamp.decode()),
        )
    except ValueError:
        return None


# --- any JSON ---------------------------------------------------------------------------------------------------------

_SPACE = re.compile(rb"[ \t\n\r]*").match
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*').match
_DIGITS = re.compile(rb"[0-9]*").match
_HEX = re.compile(rb"[0-9a-fA-F]{4}").match
_BOOK_NAME = re.compile(r"book-[0-9]{1,9}").fullmatch
_UNSIGNED = re.compile(rb"0|[1-9][0-9]{0,9}").fullmatch
_SECONDS = re.compile(rb"(0|[1-9][0-9]*)(?:\.([0-9]{1,9}))?").fullmatch
_DECIMAL = re.compile(rb"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?").fullmatch
_ESCAPES = b'"\\/bfnrt'
_Readers = dict[str, Callable[[int], tuple[int, Any]]]
_LITERALS = {b"t": b"true", b"f": b"false", b"n": b"null"}


def _broken(reason: str, at: int) -> NoReturn:
    raise FrameError(reason, at)


class _Scanner:
    """Walks one frame. Every method is given the position where something starts and returns the one after it."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.end = len(frame)

    # --- JSON

    def space(self, p: int) -> int:
        return _SPACE(self.frame, p).end()  # type: ignore[union-attr]  # it matches nothing, too

    def at(self, p: int) -> bytes:
        """The byte at `p`; empty at the end of the frame."""
        return self.frame[p : p + 1]

    def wrong(self, p: int, reason: str) -> NoReturn:
        """What is at `p` is not what is wanted there, unless the frame has ended."""
        _broken(reason if p < self.end else reasons.END, p)

    def value(self, p: int, depth: int) -> int:
        """Any value; a container at `p` is the `depth`th around its content."""
        first = self.at(p)
        if first == b'"':
            return self.string(p)
        if first == b"{":
            return self.object(p, depth, lambda key_at, key_end, value_at: self.value(value_at, depth + 1))
        if first == b"[":
            return self.array(p, depth, lambda index, value_at: self.value(value_at, depth + 1))
        if first.isdigit() or first == b"-":
            return self.number(p, self.end)
        literal = _LITERALS.get(first)
        if literal is None or not self.frame.startswith(literal, p):
            self.wrong(p, reasons.VALUE)
        return p + len(literal)

    def object(self, p: int, depth: int, member: Callable[[int, int, int], int]) -> int:
        """An object; `member(key_at, key_end, value_at)` walks each value."""
        if depth > reasons.MAX_NESTING:
            _broken(reasons.NESTING, p)
        p = self.space(p + 1)
        if self.at(p) == b"}":
            return p + 1
        while True:
            if self.at(p) != b'"':
                self.wrong(p, reasons.KEY)
            key_at, key_end = p, self.string(p)
            p = self.space(key_end)
            if self.at(p) != b":":
                self.wrong(p, reasons.COLON)
            p = self.space(member(key_at, key_end, self.space(p + 1)))
            if self.at(p) == b"}":
                return p + 1
            if self.at(p) != b",":
                self.wrong(p, reasons.NEXT_MEMBER)
            p = self.space(p + 1)

    def array(self, p: int, depth: int, element: Callable[[int, int], int]) -> int:
        """An array; `element(index, value_at)` walks each value."""
        if depth > reasons.MAX_NESTING:
            _broken(reasons.NESTING, p)
        p = self.space(p + 1)
        if self.at(p) == b"]":
            return p + 1
        for index in itertools.count():
            p = self.space(element(index, p))
            if self.at(p) == b"]":
                break
            if self.at(p) != b",":
                self.wrong(p, reasons.NEXT_ELEMENT)
            p = self.space(p + 1)
        return p + 1

    def number(self, p: int, end: int) -> int:
        """A number that may reach up to `end`."""
        if self.at(p) == b"-":
            p += 1
        if p < end and self.at(p) == b"0":
            p += 1
            if p < end and self.at(p).isdigit():
                _broken(reasons.NUMBER, p)
        else:
            p = self.digits(p, end)
        if p < end and self.at(p) == b".":
            p = self.digits(p + 1, end)
        if p < end and self.at(p) in (b"e", b"E"):
            p += 1
            if p < end and self.at(p) in (b"+", b"-"):
                p += 1
            p = self.digits(p, end)
        return p

    def digits(self, p: int, end: int) -> int:
        """At least one digit."""
        after = _DIGITS(self.frame, p, end).end()  # type: ignore[union-attr]  # it matches nothing, too
        if after == p:
            self.wrong(p, reasons.NUMBER)
        return after

    def string(self, p: int) -> int:
        """A string, of valid UTF-8 and without lone surrogates."""
        p += 1
        while True:
            after = _PLAIN(self.frame, p).end()  # type: ignore[union-attr]  # it matches nothing, too
            try:
                self.frame[p:after].decode()
            except UnicodeDecodeError as error:
                _broken(reasons.UTF8, p + error.start)
            p = after
            char = self.at(p)
            if char == b'"':
                return p + 1
            if char != b"\\":
                self.wrong(p, reasons.CONTROL)
            p = self.escape(p)

    def escape(self, p: int) -> int:
        """What a backslash at `p` begins: a whole surrogate pair, if it is one."""
        kind = self.at(p + 1)
        if kind != b"u":
            if p + 1 >= self.end:
                _broken(reasons.END, self.end)
            if kind not in _ESCAPES:
                _broken(reasons.ESCAPE, p)
            return p + 2
        unit = self.unit(p)
        if 0xDC00 <= unit < 0xE000:
            _broken(reasons.SURROGATE, p)
        if 0xD800 <= unit < 0xDC00:
            if not self.frame.startswith(b"\\u", p + 6) or not 0xDC00 <= self.unit(p + 6) < 0xE000:
                _broken(reasons.SURROGATE, p)
            return p + 12
        return p + 6

    def unit(self, p: int) -> int:
        """The value of the four hexadecimal digits of the escape at `p`."""
        form = _HEX(self.frame, p + 2)
        if form is None:
            _broken(reasons.ESCAPE, p)
        return int(form.group(), 16)

    def text(self, p: int, end: int) -> str:
        """The string from `p` to `end`, decoded."""
        raw = self.frame[p:end]
        return str(json.loads(raw)) if b"\\" in raw else raw[1:-1].decode()


class _Reader:
    """Reads values of a frame known to be JSON: given where one starts, methods return where it ends, and the value."""

    def __init__(self, scanner: _Scanner) -> None:
        self.scanner = scanner
        self.frame = scanner.frame
        self.level_readers: _Readers = {"price": self.price, "qty": self.qty}
        self.element_readers: _Readers = {
            "symbol": self.symbol,
            "bids": self.levels,
            "asks": self.levels,
            "checksum": self.checksum,
            "timestamp": self.timestamp,
        }
        self.v1_readers: _Readers = {
            "as": self.v1_levels,
            "bs": self.v1_levels,
            "a": self.v1_levels,
            "b": self.v1_levels,
            "c": self.checksum,
        }

    def fields(self, p: int, readers: _Readers, found: dict[str, Any]) -> int:
        """An object, whose known members are put into `found`; they must not be there yet."""

        def member(key_at: int, key_end: int, value_at: int) -> int:
            key = self.scanner.text(key_at, key_end)
            if key not in readers:
                return self.scanner.value(value_at, 0)
            if key in found:
                _broken(reasons.duplicate(key), key_at)
            after, found[key] = readers[key](value_at)
            return after

        if self.scanner.at(p) != b"{":
            _broken(reasons.WANT_OBJECT, p)
        return self.scanner.object(p, 0, member)

    def items(self, p: int, item: Callable[[int, int], int]) -> int:
        if self.scanner.at(p) != b"[":
            _broken(reasons.WANT_ARRAY, p)
        return self.scanner.array(p, 0, item)

    def plain(self, p: int, reason: str) -> tuple[int, bytes]:
        """The bytes of a number or within a string, undecoded: what is wanted here needs no escapes."""
        first = self.scanner.at(p)
        if first == b'"':
            after = self.scanner.string(p)
            return after, self.frame[p + 1 : after - 1]
        if not first.isdigit() and first != b"-":
            _broken(reason, p)
        after = self.scanner.number(p, self.scanner.end)
        return after, self.frame[p:after]

    # --- values

    def decimal(self, p: int) -> tuple[int, bytes, bytes, int]:
        """A number: its sign, its digits without leading zeros, and how many of them are behind the point."""
        after, text = self.plain(p, reasons.WANT_NUMBER)
        form = _DECIMAL(text)
        if form is None:
            _broken(reasons.WANT_NUMBER, p)
        sign, whole, fraction, power = form.groups(b"")
        digits = (whole + fraction).lstrip(b"0")
        # A power may have any number of digits, and int() refuses thousands of them.
        magnitude = power.lstrip(b"+-").lstrip(b"0")
        if len(digits) > reasons.MAX_DIGITS or len(magnitude) > 2:
            _broken(reasons.RANGE, p)
        exponent = int(magnitude or b"0")
        scale = len(fraction) + (exponent if power[:1] == b"-" else -exponent)
        if scale < 0:
            if digits:
                digits += b"0" * -scale
            scale = 0
        if len(digits) > reasons.MAX_DIGITS or scale > reasons.MAX_FRACTION or len(digits) - scale > reasons.MAX_WHOLE:
            _broken(reasons.RANGE, p)
        return after, sign, digits, scale

    def price(self, p: int) -> tuple[int, tuple[bytes, int]]:
        after, sign, digits, scale = self.decimal(p)
        if sign or not digits:
            _broken(reasons.POSITIVE, p)
        return after, (digits, scale)

    def qty(self, p: int) -> tuple[int, tuple[bytes, int]]:
        after, sign, digits, scale = self.decimal(p)
        if sign:
            _broken(reasons.SIGN, p)
        return after, (digits, scale)

    def symbol(self, p: int) -> tuple[int, str]:
        if self.scanner.at(p) != b'"':
            _broken(reasons.WANT_STRING, p)
        after = self.scanner.string(p)
        symbol = self.scanner.text(p, after)
        if len(symbol.encode()) > reasons.MAX_SYMBOL:
            _broken(reasons.SYMBOL, p)
        return after, symbol

    def checksum(self, p: int) -> tuple[int, int]:
        after, text = self.plain(p, reasons.WANT_CHECKSUM)
        if _UNSIGNED(text) is None or int(text) > 0xFFFFFFFF:
            _broken(reasons.WANT_CHECKSUM, p)
        return after, int(text)

    def timestamp(self, p: int) -> tuple[int, int]:
        if self.scanner.at(p) != b'"':
            _broken(reasons.TIMESTAMP, p)
        after = self.scanner.string(p)
        try:
            return after, parse_timestamp(self.frame[p + 1 : after - 1].decode())
        except ValueError:
            _broken(reasons.TIMESTAMP, p)

    def seconds(self, p: int) -> tuple[int, int]:
        """v1's time of a level: seconds since the epoch, as nanoseconds."""
        after, text = self.plain(p, reasons.SECONDS)
        form = _SECONDS(text)
        if form is None:
            _broken(reasons.SECONDS, p)
        whole, fraction = form.groups(b"")
        if len(whole) > 10 or int(whole) > reasons.MAX_SECONDS:
            _broken(reasons.SECONDS, p)
        return after, int(whole) * 1_000_000_000 + int(fraction.ljust(9, b"0"))

    # --- levels

    def levels(self, p: int) -> tuple[int, list[Scanned]]:
        levels: list[Scanned] = []

        def level(_: int, value_at: int) -> int:
            found: dict[str, Any] = {}
            after = self.fields(value_at, self.level_readers, found)
            _require(found, ("price", "qty"), value_at)
            levels.append(_scanned(found["price"], found["qty"]))
            return after

        return self.items(p, level), levels

    def v1_levels(self, p: int) -> tuple[int, list[tuple[Scanned, int]]]:
        """Levels and their times."""
        levels: list[tuple[Scanned, int]] = []

        def level(_: int, value_at: int) -> int:
            values: list[Any] = []

            def value(index: int, p: int) -> int:
                if index > 2:
                    return self.scanner.value(p, 0)
                after, it = (self.price, self.qty, self.seconds)[index](p)
                values.append(it)
                return after

            after = self.items(value_at, value)
            if len(values) < 3:
                _broken(reasons.V1_LEVEL, value_at)
            price, qty, ns = values
            levels.append((_scanned(price, qty), ns))
            return after

        return self.items(p, level), levels


class _V2Book:
    """An object whose channel is `book` (PROTOCOL 3.5)."""

    def __init__(self, scanner: _Scanner) -> None:
        self.scanner = scanner
        self.found = False
        self.places: dict[str, int] = {}
        self.repeated: tuple[str, int] | None = None

    def walk(self, p: int) -> int:
        return self.scanner.object(p, 1, self.member)

    def member(self, key_at: int, key_end: int, value_at: int) -> int:
        after = self.scanner.value(value_at, 2)
        key = self.scanner.text(key_at, key_end)
        if key in ("channel", "type", "data"):
            if key in self.places:
                self.repeated = self.repeated or (key, key_at)
            self.places[key] = value_at
            if key == "channel" and self.scanner.at(value_at) == b'"':
                self.found |= self.scanner.text(value_at, after) == "book"
        return after

    def read(self, p: int) -> list[Element]:
        if self.repeated:
            key, key_at = self.repeated
            _broken(reasons.duplicate(key), key_at)
        _require(self.places, ("type", "data"), p)
        type_at = self.places["type"]
        if self.scanner.at(type_at) != b'"':
            _broken(reasons.WANT_STRING, type_at)
        kind = self.scanner.text(type_at, self.scanner.string(type_at))
        if kind not in ("snapshot", "update"):
            _broken(reasons.TYPE, type_at)
        reader = _Reader(self.scanner)
        elements: list[Element] = []

        def element(_: int, value_at: int) -> int:
            found: dict[str, Any] = {}
            after = reader.fields(value_at, reader.element_readers, found)
            _require(found, ("symbol", "checksum"), value_at)
            elements.append(
                Element(
                    found["symbol"],
                    kind == "snapshot",
                    found.get("bids", []),
                    found.get("asks", []),
                    found["checksum"],
                    found.get("timestamp"),
                )
            )
            return after

        reader.items(self.places["data"], element)
        return elements


class _V1Book:
    """An array with `book-N` last but one (PROTOCOL 7.2)."""

    def __init__(self, scanner: _Scanner) -> None:
        self.scanner = scanner
        self.found = False
        self.places: list[int] = []

    def walk(self, p: int) -> int:
        return self.scanner.array(p, 1, self.element)

    def element(self, _: int, value_at: int) -> int:
        after = self.scanner.value(value_at, 2)
        self.places.append(value_at)
        self.found |= self.is_name(value_at)
        return after

    def is_name(self, p: int) -> bool:
        if self.scanner.at(p) != b'"':
            return False
        return _BOOK_NAME(self.scanner.text(p, self.scanner.string(p))) is not None

    def read(self, p: int) -> list[Element]:
        if len(self.places) < 4 or not self.is_name(self.places[-2]):
            _broken(reasons.V1_SHAPE, p)
        first, *payloads, _, pair = self.places
        if not self.scanner.at(first).isdigit() and self.scanner.at(first) != b"-":
            _broken(reasons.WANT_NUMBER, first)
        reader = _Reader(self.scanner)
        found: dict[str, Any] = {}
        for payload in payloads:
            reader.fields(payload, reader.v1_readers, found)
        snapshot = "as" in found or "bs" in found
        if snapshot and ("a" in found or "b" in found):
            _broken(reasons.MIXED, p)
        bids = found.get("bs" if snapshot else "b", [])
        asks = found.get("as" if snapshot else "a", [])
        _, symbol = reader.symbol(pair)
        return [
            Element(
                symbol,
                snapshot,
                [level for level, _ in bids],
                [level for level, _ in asks],
                found.get("c"),
                max((ns for _, ns in itertools.chain(bids, asks)), default=None),
            )
        ]


def _require(found: Mapping[str, object], keys: tuple[str, ...], p: int) -> None:
    for key in keys:
        if key not in found:
            _broken(reasons.missing(key), p)


def _scanned(price: tuple[bytes, int], qty: tuple[bytes, int]) -> Scanned:
    digits, price_scale = price
    qty_digits, qty_scale = qty
    key = int(digits) * _POWERS[reasons.MAX_FRACTION - price_scale]
    return key, (digits + qty_digits, len(digits), price_scale, qty_scale)


def scan(frame: bytes) -> Frame | None:
    """What a frame says of books; None if it is no book's.

    A frame is a book's once `"channel":"book"`, or for v1 the name `book-N`, was seen at its top level.

    Raises:
        FrameError: it is a book's, and broken.
    """
    scanner = _Scanner(frame)
    p = scanner.space(0)
    book: _V1Book | _V2Book
    if scanner.at(p) == b"{":
        book = _V2Book(scanner)
    elif scanner.at(p) == b"[":
        book = _V1Book(scanner)
    else:
        return None
    try:
        after = scanner.space(book.walk(p))
        if after != scanner.end:
            _broken(reasons.GARBAGE, after)
    except FrameError:
        if book.found:
            raise
        return None
    return Frame(book.read(p), isinstance(book, _V1Book)) if book.found else None
