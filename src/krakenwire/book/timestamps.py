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
_FORM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?Z")


@lru_cache(maxsize=8)
def _midnight(day: str) -> int:
    """Nanoseconds since the epoch at 00:00 of `day`; ValueError if there is no such day, or none we can tell."""
    year = int(day[:4])
    if not 1970 <= year <= _LAST_YEAR:
        raise ValueError(day)
    return (date(year, int(day[5:7]), int(day[8:10])).toordinal() - _EPOCH) * 86_400 * _NS


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time in UTC with 0 to 9 digits of fraction.

    The zone must be written `Z`, the year lie between 1970 and 2261.

    Raises:
        ValueError: `text` is anything else.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(not_a_timestamp(text))
    day, hour, minute, second, fraction = form.groups()
    try:
        midnight = _midnight(day)
    except ValueError:
        raise ValueError(not_a_timestamp(text)) from None
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    return midnight + seconds * _NS + (int(fraction.ljust(9, "0")) if fraction else 0)


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
