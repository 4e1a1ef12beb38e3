"""What there is, said where something was asked for that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from krakenwire.errors import NotRecorded

__all__ = ["require"]

_MOST_NAMED = 20

Recorded = Collection[tuple[str, str | None, int | None]]
"""Channel, symbol, and depth or interval."""


def require(
    recorded: Recorded, channels: Iterable[str], symbols: Iterable[str], option: int | None, where: str
) -> None:
    """Refuse what was not recorded.

    Args:
        recorded: what there is.
        channels: each of which would do.
        symbols: that were asked for; all of them must be there. None is whatever there is.
        option: depth that is needed at least, or interval; None where that does not matter.
        where: in what was looked at.

    Raises:
        NotRecorded: says what there is.
    """
    channels = tuple(channels)
    of_channel = [each for each in recorded if each[0] in channels]
    name = channels[0]
    for symbol in symbols:
        alike = [each[2] for each in of_channel if each[1] == symbol]
        known = sorted({each for each in alike if each is not None})
        is_there = option in known if name == "ohlc" else any(each >= (option or 0) for each in known)
        if alike and (option is None or is_there):
            continue
        if alike:
            what = "an interval (minutes) of" if name == "ohlc" else "a depth of"
            raise NotRecorded(f"{name} {symbol} was recorded with {what} {_some(known)}, not {option} ({where})")
        names = {each[1] for each in of_channel if each[1] is not None}
        if not names:
            break
        near = difflib.get_close_matches(symbol, names, 5, cutoff=0.6)
        there = f"did you mean {', '.join(near)}?" if near else f"there is {name} of {_some(names)}"
        raise NotRecorded(f"{name} {symbol} was not recorded; {there} ({where})")
    if not of_channel:
        there = _some({each[0] if each[1] is None else f"{each[0]} {each[1]}" for each in recorded}) or "nothing"
        raise NotRecorded(f"{name} was not recorded; there is {there} ({where})")


def _some(names: Iterable[object]) -> str:
    listed = [str(name) for name in sorted(names, key=lambda name: (isinstance(name, str), name))]
    more = len(listed) - _MOST_NAMED
    return ", ".join(listed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
