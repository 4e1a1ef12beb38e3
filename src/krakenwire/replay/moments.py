"""Moments of a tape as a user gives them: from its begin, when, or nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from krakenwire.errors import UsageError

__all__ = ["When", "to_moment"]

When = datetime | timedelta | int
"""When (with a time zone), how long after the begin of the tape, or UTC nanoseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAST_NS = 10**16
"""April 1970: an integer below it is no nanoseconds but seconds, milliseconds or microseconds."""


def to_moment(name: str, when: When, begin_ns: int) -> int:
    """A moment as UTC nanoseconds, exact to what it was given in.

    Args:
        name: what the argument is called.
        when: the moment.
        begin_ns: that of the tape's begin.

    Raises:
        UsageError: it is none, or has no time zone; says what is accepted.
    """
    if isinstance(when, timedelta):
        if when < timedelta(0):
            raise UsageError(f"{name} as a timedelta is counted from the tape's begin and cannot be negative: {when!r}")
        return begin_ns + when // _MICROSECOND * 1000
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise UsageError(f"{name} needs a time zone, as in datetime(..., tzinfo=UTC); got {when!r}")
        return (when - _EPOCH) // _MICROSECOND * 1000
    if type(when) is int and when >= _LEAST_NS:
        return when
    raise UsageError(
        f"{name} must be a datetime with a time zone, a timedelta from the tape's begin, or UTC nanoseconds, "
        f"not {when!r}"
    )
