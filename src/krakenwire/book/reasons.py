"""The words and limits that both implementations of the book share, so that they cannot drift apart."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "COLON",
    "CONTROL",
    "DEPTH_LIMIT",
    "END",
    "ESCAPE",
    "GARBAGE",
    "KEY",
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_EXPONENT",
    "MAX_FRACTION",
    "MAX_NESTING",
    "MAX_SECONDS",
    "MAX_SYMBOL",
    "MAX_WHOLE",
    "MIXED",
    "NESTING",
    "NEXT_ELEMENT",
    "NEXT_MEMBER",
    "NUMBER",
    "POSITIVE",
    "RANGE",
    "ROWS",
    "SECONDS",
    "SIGN",
    "SURROGATE",
    "SYMBOL",
    "SYMBOL_FORM",
    "TIMESTAMP",
    "TOP",
    "TYPE",
    "UTF8",
    "V1_LEVEL",
    "V1_SHAPE",
    "VALUE",
    "WANT_ARRAY",
    "WANT_CHECKSUM",
    "WANT_NUMBER",
    "WANT_OBJECT",
    "WANT_STRING",
    "back_in_time",
    "duplicate",
    "is_symbol",
    "missing",
    "no_book",
    "not_a_timestamp",
    "not_proven",
    "other_depth",
]

TOP: Final = 10
"""Levels a side that the checksum covers (PROTOCOL 6.1)."""
MAX_DEPTH: Final = 1000
"""The deepest book that Kraken serves (PROTOCOL 3.5)."""
MAX_NESTING: Final = 64
"""Containers within each other that a frame may have."""
MAX_WHOLE: Final = 19
"""Digits before the point that a price or a quantity may have."""
MAX_FRACTION: Final = 18
"""Digits after the point that a price or a quantity may have."""
MAX_DIGITS: Final = 28
"""Significant digits that a price or a quantity may have: those of Python's default decimal context."""
MAX_EXPONENT: Final = 99
"""The largest magnitude of an exponent."""
MAX_SECONDS: Final = 9_223_372_035
"""The last second since the epoch whose nanoseconds fit 64 bits."""
MAX_SYMBOL: Final = 64
"""Bytes of the longest symbol."""

_SYMBOL = re.compile(rf"[!#-\[\]-~]{{1,{MAX_SYMBOL}}}").fullmatch

# Broken JSON.
END: Final = "unexpected end of the frame"
VALUE: Final = "expected a JSON value"
KEY: Final = "expected a string as key"
COLON: Final = 'expected ":"'
NEXT_MEMBER: Final = 'expected "," or "}"'
NEXT_ELEMENT: Final = 'expected "," or "]"'
CONTROL: Final = "control character in a string"
ESCAPE: Final = "invalid escape in a string"
SURROGATE: Final = "lone surrogate in a string"
UTF8: Final = "invalid UTF-8 in a string"
NUMBER: Final = "malformed number"
NESTING: Final = f"nested deeper than {MAX_NESTING}"
GARBAGE: Final = "garbage after the end of the JSON value"

# JSON, but no book message.
WANT_OBJECT: Final = "expected an object"
WANT_ARRAY: Final = "expected an array"
WANT_STRING: Final = "expected a string"
WANT_NUMBER: Final = "expected a decimal number"
WANT_CHECKSUM: Final = "expected a checksum from 0 to 4294967295"
TYPE: Final = 'type must be "snapshot" or "update"'
SYMBOL: Final = f"symbol longer than {MAX_SYMBOL} bytes"
TIMESTAMP: Final = "timestamp must be RFC 3339 in UTC, as in 2026-07-19T17:54:39.614696Z"
SECONDS: Final = "time must be seconds since the epoch with at most 9 decimals"
POSITIVE: Final = "price must be positive"
SIGN: Final = "qty must not be negative"
RANGE: Final = (
    f"number out of range (at most {MAX_WHOLE} digits before the point, {MAX_FRACTION} after, {MAX_DIGITS} significant)"
)
V1_SHAPE: Final = 'v1 book must be [channelID, {..}, "book-N", pair]'
V1_LEVEL: Final = "v1 level must be [price, volume, time]"
MIXED: Final = "v1 book mixes snapshot and update"

# Wrong calls.
DEPTH_LIMIT: Final = f"depth must be an integer from 1 to {MAX_DEPTH}"
ROWS: Final = "expected a writable C-contiguous buffer of float64 of shape (n, 2)"
SYMBOL_FORM: Final = (
    f"a symbol is 1 to {MAX_SYMBOL} printable ASCII characters, none of them a space, a quote or a backslash"
)


def is_symbol(name: object) -> bool:
    """Whether a book can be called `name`: then its bytes on the wire are the name's own, without an escape."""
    return isinstance(name, str) and _SYMBOL(name) is not None


def duplicate(key: str) -> str:
    """A known key came twice in one object."""
    return f'duplicate key "{key}"'


def missing(key: str) -> str:
    """An object lacks a key it must have."""
    return f'missing key "{key}"'


def not_a_timestamp(text: str) -> str:
    """What `parse_timestamp` says of a text it refuses."""
    return f"expected an RFC 3339 time in UTC such as 2026-07-19T17:54:39.614696Z, got {text!r}"


def no_book(symbol: str) -> str:
    """No book of that symbol is kept here."""
    return f"there is no book of {symbol!r}"


def other_depth(symbol: str, depth: int, other: int) -> str:
    """Two books that are to become one keep different depths."""
    return f"the book of {symbol!r} keeps {depth} levels a side and cannot become one of {other}"


def not_proven(symbol: str) -> str:
    """A book that is not proven is to be taken over."""
    return f"the other book of {symbol!r} is not proven, so that nothing can be taken from it"


def back_in_time(symbol: str) -> str:
    """A book that is older is to be taken over."""
    return f"the other book of {symbol!r} is older than this one; wait until it has caught up"
