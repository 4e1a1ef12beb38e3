"""Moments as they are given on a command line: how long ago, or when."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from krakenwire.errors import UsageError

__all__ = ["since_of"]

_AGO = re.compile(r"([1-9]\d{0,8})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def since_of(text: str | None) -> timedelta | datetime | None:
    """`90s`, `15m`, `2h`, `1d` as how long ago, or an ISO 8601 time with its zone as when.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            return moment
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        "--since: expected how long ago, as in 90s, 15m, 2h or 1d, or a time with its zone, "
        f"as in 2026-11-22T14:00:00Z, not {text!r}"
    )
