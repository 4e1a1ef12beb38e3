"""The frame scanner of the pure-Python book: from the bytes of a frame to the levels in it. It is the specification.

A frame is read whole before anything of it is applied: first that it is JSON at all (and whether it is a book's), then
that it says what a book message must say (PROTOCOL 3.5, 7.2). Keys come in any order, unknown ones are skipped, known
ones must not come twice. A number is a JSON number or a string that holds one. The compiled kernel's scanner is built
the same way and gives the same reason and the same offset for whatever is wrong.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from krakenwire.book import reasons
from krakenwire.book.pure.levels import Element, Frame, Scanned, scanned_level
from krakenwire.book.pure.walk import Walker, broken
from krakenwire.book.timestamps import parse_timestamp
from krakenwire.errors import FrameError

__all__ = ["scan"]

_BOOK_NAME = re.compile(r"book-[0-9]{1,9}").fullmatch
_UNSIGNED = re.compile(rb"0|[1-9][0-9]{0,9}").fullmatch
_SECONDS = re.compile(rb"(0|[1-9][0-9]*)(?:\.([0-9]{1,9}))?").fullmatch
_DECIMAL = re.compile(rb"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?").fullmatch
_Readers = dict[str, Callable[[int], tuple[int, Any]]]


class _Reader:
    """Reads values of a frame known to be JSON: given where one starts, methods return where it ends, and the value."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker
        self.frame = walker.frame
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
            key = self.walker.text(key_at, key_end)
            if key not in readers:
                return self.walker.value(value_at, 0)
            if key in found:
                broken(reasons.duplicate(key), key_at)
            after, found[key] = readers[key](value_at)
            return after

        if self.walker.at(p) != b"{":
            broken(reasons.WANT_OBJECT, p)
        return self.walker.object(p, 0, member)

    def items(self, p: int, item: Callable[[int, int], int]) -> int:
        if self.walker.at(p) != b"[":
            broken(reasons.WANT_ARRAY, p)
        return self.walker.array(p, 0, item)

    def plain(self, p: int, reason: str) -> tuple[int, bytes]:
        """The bytes of a number or within a string, undecoded: what is wanted here needs no escapes."""
        first = self.walker.at(p)
        if first == b'"':
            after = self.walker.string(p)
            return after, self.frame[p + 1 : after - 1]
        if not first.isdigit() and first != b"-":
            broken(reason, p)
        after = self.walker.number(p, self.walker.end)
        return after, self.frame[p:after]

    # --- values

    def decimal(self, p: int) -> tuple[int, bytes, bytes, int]:
        """A number: its sign, its digits without leading zeros, and how many of them are behind the point."""
        after, text = self.plain(p, reasons.WANT_NUMBER)
        form = _DECIMAL(text)
        if form is None:
            broken(reasons.WANT_NUMBER, p)
        sign, whole, fraction, power = form.groups(b"")
        digits = (whole + fraction).lstrip(b"0")
        # A power may have any number of digits, and int() refuses thousands of them.
        magnitude = power.lstrip(b"+-").lstrip(b"0")
        if len(digits) > reasons.MAX_DIGITS or len(magnitude) > 2:
            broken(reasons.RANGE, p)
        exponent = int(magnitude or b"0")
        scale = len(fraction) + (exponent if power[:1] == b"-" else -exponent)
        if scale < 0:
            if digits:
                digits += b"0" * -scale
            scale = 0
        if len(digits) > reasons.MAX_DIGITS or scale > reasons.MAX_FRACTION or len(digits) - scale > reasons.MAX_WHOLE:
            broken(reasons.RANGE, p)
        return after, sign, digits, scale

    def price(self, p: int) -> tuple[int, tuple[bytes, int]]:
        after, sign, digits, scale = self.decimal(p)
        if sign or not digits:
            broken(reasons.POSITIVE, p)
        return after, (digits, scale)

    def qty(self, p: int) -> tuple[int, tuple[bytes, int]]:
        after, sign, digits, scale = self.decimal(p)
        if sign:
            broken(reasons.SIGN, p)
        return after, (digits, scale)

    def symbol(self, p: int) -> tuple[int, str]:
        if self.walker.at(p) != b'"':
            broken(reasons.WANT_STRING, p)
        after = self.walker.string(p)
        symbol = self.walker.text(p, after)
        if len(symbol.encode()) > reasons.MAX_SYMBOL:
            broken(reasons.SYMBOL, p)
        return after, symbol

    def checksum(self, p: int) -> tuple[int, int]:
        after, text = self.plain(p, reasons.WANT_CHECKSUM)
        if _UNSIGNED(text) is None or int(text) > 0xFFFFFFFF:
            broken(reasons.WANT_CHECKSUM, p)
        return after, int(text)

    def timestamp(self, p: int) -> tuple[int, int]:
        if self.walker.at(p) != b'"':
            broken(reasons.TIMESTAMP, p)
        after = self.walker.string(p)
        try:
            return after, parse_timestamp(self.frame[p + 1 : after - 1].decode())
        except ValueError:
            broken(reasons.TIMESTAMP, p)

    def seconds(self, p: int) -> tuple[int, int]:
        """v1's time of a level: seconds since the epoch, as nanoseconds."""
        after, text = self.plain(p, reasons.SECONDS)
        form = _SECONDS(text)
        if form is None:
            broken(reasons.SECONDS, p)
        whole, fraction = form.groups(b"")
        if len(whole) > 10 or int(whole) > reasons.MAX_SECONDS:
            broken(reasons.SECONDS, p)
        return after, int(whole) * 1_000_000_000 + int(fraction.ljust(9, b"0"))

    # --- levels

    def levels(self, p: int) -> tuple[int, list[Scanned]]:
        levels: list[Scanned] = []

        def level(_: int, value_at: int) -> int:
            found: dict[str, Any] = {}
            after = self.fields(value_at, self.level_readers, found)
            _require(found, ("price", "qty"), value_at)
            levels.append(scanned_level(found["price"], found["qty"]))
            return after

        return self.items(p, level), levels

    def v1_levels(self, p: int) -> tuple[int, list[tuple[Scanned, int]]]:
        """Levels and their times."""
        levels: list[tuple[Scanned, int]] = []

        def level(_: int, value_at: int) -> int:
            values: list[Any] = []

            def value(index: int, p: int) -> int:
                if index > 2:
                    return self.walker.value(p, 0)
                after, it = (self.price, self.qty, self.seconds)[index](p)
                values.append(it)
                return after

            after = self.items(value_at, value)
            if len(values) < 3:
                broken(reasons.V1_LEVEL, value_at)
            price, qty, ns = values
            levels.append((scanned_level(price, qty), ns))
            return after

        return self.items(p, level), levels


class _V2Frame:
    """An object whose channel is `book` (PROTOCOL 3.5)."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker
        self.found = False
        self.places: dict[str, int] = {}
        self.repeated: tuple[str, int] | None = None

    def walk(self, p: int) -> int:
        return self.walker.object(p, 1, self.member)

    def member(self, key_at: int, key_end: int, value_at: int) -> int:
        after = self.walker.value(value_at, 2)
        key = self.walker.text(key_at, key_end)
        if key in ("channel", "type", "data"):
            if key in self.places:
                self.repeated = self.repeated or (key, key_at)
            self.places[key] = value_at
            if key == "channel" and self.walker.at(value_at) == b'"':
                self.found |= self.walker.text(value_at, after) == "book"
        return after

    def read(self, p: int) -> list[Element]:
        if self.repeated:
            key, key_at = self.repeated
            broken(reasons.duplicate(key), key_at)
        _require(self.places, ("type", "data"), p)
        type_at = self.places["type"]
        if self.walker.at(type_at) != b'"':
            broken(reasons.WANT_STRING, type_at)
        kind = self.walker.text(type_at, self.walker.string(type_at))
        if kind not in ("snapshot", "update"):
            broken(reasons.TYPE, type_at)
        reader = _Reader(self.walker)
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


class _V1Frame:
    """An array with `book-N` last but one (PROTOCOL 7.2)."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker
        self.found = False
        self.places: list[int] = []

    def walk(self, p: int) -> int:
        return self.walker.array(p, 1, self.element)

    def element(self, _: int, value_at: int) -> int:
        after = self.walker.value(value_at, 2)
        self.places.append(value_at)
        self.found |= self.is_name(value_at)
        return after

    def is_name(self, p: int) -> bool:
        if self.walker.at(p) != b'"':
            return False
        return _BOOK_NAME(self.walker.text(p, self.walker.string(p))) is not None

    def read(self, p: int) -> list[Element]:
        if len(self.places) < 4 or not self.is_name(self.places[-2]):
            broken(reasons.V1_SHAPE, p)
        first, *payloads, _, pair = self.places
        if not self.walker.at(first).isdigit() and self.walker.at(first) != b"-":
            broken(reasons.WANT_NUMBER, first)
        reader = _Reader(self.walker)
        found: dict[str, Any] = {}
        for payload in payloads:
            reader.fields(payload, reader.v1_readers, found)
        snapshot = "as" in found or "bs" in found
        if snapshot and ("a" in found or "b" in found):
            broken(reasons.MIXED, p)
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
            broken(reasons.missing(key), p)


def scan(frame: bytes) -> Frame | None:
    """What a frame says of books; None if it is no book's.

    A frame is a book's once `"channel":"book"`, or for v1 the name `book-N`, was seen at its top level.

    Raises:
        FrameError: it is a book's, and broken.
    """
    walker = Walker(frame)
    p = walker.space(0)
    book: _V1Frame | _V2Frame
    if walker.at(p) == b"{":
        book = _V2Frame(walker)
    elif walker.at(p) == b"[":
        book = _V1Frame(walker)
    else:
        return None
    try:
        after = walker.space(book.walk(p))
        if after != walker.end:
            broken(reasons.GARBAGE, after)
    except FrameError:
        if book.found:
            raise
        return None
    return Frame(book.read(p), isinstance(book, _V1Frame)) if book.found else None
