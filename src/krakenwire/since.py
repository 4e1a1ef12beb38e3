"""Moments in the past as a user gives them: how long ago, when, or nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from krakenwire.errors import UsageError

__all__ = ["Since", "to_ns"]

Since = timedelta | datetime | int
"""How long ago, when (with a time zone), or UTC nanoseconds."""

_LEAST_NS = 10**16
"""April 1970: an integer below it is no nanoseconds but seconds, milliseconds or microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_ns(since: Since, now_ns: int) -> int:
    """A moment as UTC nanoseconds, exact to what it was given in.

    Args:
        since: the moment.
        now_ns: the present.

    Raises:
        UsageError: it is none, it has no time zone, or it lies in the future; says what is accepted.
    """
    if isinstance(since, timedelta):
        if since <= timedelta(0):
            raise UsageError(f"since must be how long ago, as in timedelta(hours=1), not {since!r}")
        moment_ns = now_ns - since // _MICROSECOND * 1000
    elif isinstance(since, datetime):
        if since.tzinfo is None:
            raise UsageError(f"since needs a time zone, as in datetime(..., tzinfo=UTC); got {since!r}")
        moment_ns = (since - _EPOCH) // _MICROSECOND * 1000
    elif type(since) is int:
        if 0 < since < _LEAST_NS:
            raise UsageError(f"since as an integer is UTC nanoseconds; {since} would be in 1970: give a datetime")
        moment_ns = since
    else:
        raise UsageError(
            f"since must be a timedelta, a datetime with a time zone, or integer nanoseconds, not {since!r}"
        )
    if moment_ns > now_ns:
        raise UsageError(
            f"since lies {(moment_ns - now_ns) / 1e9:.3f} s in the future; leave it out for live events only"
        )
    if moment_ns < 0:
        raise UsageError("since lies before 1970; there was no exchange then")
    return moment_ns
