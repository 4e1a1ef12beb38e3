"""Kraken's timestamps: RFC 3339 text in UTC on the wire, integer nanoseconds since the epoch here (PROTOCOL 2.3)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache

from krakenwire.book.reasons import not_a_timestamp
from krakenwire.errors import UsageError

__all__ = ["format_timestamp", "parse_timestamp"]

_NS = 1_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_YEAR_10000 = 253_402_300_800
_LAST_YEAR = 2261  # nanoseconds since the epoch fit 64 bits until April 2262
_FORM = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])").fullmatch


@lru_cache(maxsize=64)
def _second(text: str) -> int:
    """Nanoseconds since the epoch at a whole second; ValueError if there is none such, or none we can tell."""
    form = _FORM(text)
    if form is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, form.groups())
    if not 1970 <= year <= _LAST_YEAR:
        raise ValueError(text)
    days = date(year, month, day).toordinal() - _EPOCH
    return ((days * 24 + hour) * 3600 + minute * 60 + second) * _NS


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time in UTC with 0 to 9 digits of fraction.

    The zone must be written `Z`, the year lie between 1970 and 2261.

    Raises:
        ValueError: `text` is anything else.
    """
    fraction = text[20:-1]
    try:
        if text[-1:] == "Z" and text.isascii():
            if len(text) == 20:
                return _second(text[:19])
            if text[19] == "." and len(fraction) <= 9 and fraction.isdigit():
                return _second(text[:19]) + int(fraction.ljust(9, "0"))
    except (ValueError, IndexError):
        pass
    raise ValueError(not_a_timestamp(text))


def format_timestamp(ns: int, digits: int = 6) -> str:
    """The RFC 3339 text of `ns` nanoseconds since the epoch, cut (not rounded) to `digits` of fraction, 0 to 9.

    Raises:
        UsageError: `ns` is negative or beyond the year 9999, or `digits` is not 0 to 9.
    """
    if not 0 <= digits <= 9:
        raise UsageError(f"digits must be 0 to 9, got {digits}")
    if not 0 <= ns < _NS * _YEAR_10000:
        raise UsageError(f"expected nanoseconds since the epoch, before the year 10000, got {ns}")
    seconds, fraction = divmod(ns, _NS)
    tail = f".{fraction:09d}"[: digits + 1] if digits else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{tail}Z"
