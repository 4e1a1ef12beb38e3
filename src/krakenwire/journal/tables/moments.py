"""Moments as a notebook gives them: when, or how long before the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError

__all__ = ["Moment", "to_ns"]

Moment = datetime | timedelta | int | str
"""When, with a time zone; how long before the end of the journal; UTC nanoseconds; or ISO 8601 text with its zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAST_NS = 10**16
"""April 1970: an integer below it is no nanoseconds but seconds, milliseconds or microseconds."""
_TEXT = re.compile(r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)")


def to_ns(name: str, when: Moment, end_ns: Callable[[], int]) -> int:
    """A moment as UTC nanoseconds, exact to what it was given in.

    Args:
        name: what the argument is called.
        when: the moment.
        end_ns: tells when the journal ends.

    Raises:
        UsageError: it is none, or has no time zone; says what is accepted.
    """
    if isinstance(when, timedelta) and when >= timedelta(0):
        return end_ns() - when // _MICROSECOND * 1000
    if isinstance(when, datetime) and when.tzinfo is not None:
        return (when - _EPOCH) // _MICROSECOND * 1000
    if type(when) is int and when >= _LEAST_NS:
        return when
    if isinstance(when, str) and (match := _TEXT.fullmatch(when.strip())):
        date, fraction, zone = match.groups()
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(f"{date if len(date) > 10 else date + 'T00:00'}{zone}")
            return int((moment - _EPOCH) // timedelta(seconds=1)) * NS_PER_S + int((fraction or "0").ljust(9, "0"))
    raise UsageError(
        f"{name} must be a datetime with a time zone, text as in 2026-11-23T14:03:07.25Z, UTC nanoseconds, or a "
        f"timedelta back from the journal's end, not {when!r}"
    )
