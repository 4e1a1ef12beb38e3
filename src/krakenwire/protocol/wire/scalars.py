"""Single values of the wire: exact numbers within bounds, and fields read leniently for they change type."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from krakenwire.book import parse_timestamp

__all__ = ["ABSENT", "DECODE_ERRORS", "check_numbers", "count", "parse_timestamp", "text", "whole"]

ABSENT = msgspec.Raw(b"")
"""What a `msgspec.Raw` field holds when the frame does not have it."""

DECODE_ERRORS = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""All that reading hostile bytes can raise (bad UTF-8 is a ValueError, a wild Decimal an ArithmeticError)."""

MAX_EXPONENT = 64
"""Numbers are bounded to 10^±64: far beyond any price, and none can be printed as a gigabyte of zeros."""

_MAX_DIGITS = 20  # a uint64 has at most twenty digits (connection_id, PROTOCOL 3.1)

_text = msgspec.json.Decoder(str)


def check_numbers(*numbers: Decimal | None) -> None:
    """Refuse what a JSON string can smuggle into a Decimal (NaN, Infinity) and absurd exponents.

    Raises:
        ValueError: naming the number.
    """
    for number in numbers:
        if number is None:
            continue
        if not (number.is_finite() and -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT):
            raise ValueError(f"expected a finite number within 1e±{MAX_EXPONENT}, got {number}")


def count(number: Decimal) -> int:
    """A whole number that may be written as a fraction: 12 and 12.0 are both 12.

    Raises:
        ValueError: it is not whole, or beyond 10^18.
    """
    if not (number.is_finite() and number.adjusted() <= 18 and number == number.to_integral_value()):
        raise ValueError(f"expected a whole number, got {number}")
    return int(number)


def text(raw: msgspec.Raw) -> str | None:
    """The value if it is a JSON string, otherwise None."""
    value = bytes(raw)
    return _text.decode(value) if value.startswith(b'"') else None


def whole(raw: msgspec.Raw) -> int | None:
    """The value if it is a JSON integer of at most twenty digits, otherwise None."""
    value = bytes(raw)
    return int(value) if len(value) <= _MAX_DIGITS and value.removeprefix(b"-").isdigit() else None
