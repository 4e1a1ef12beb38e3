"""From what a consumer asks for to what was recorded of it, or an error that says what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from krakenwire.clock import NS_PER_S
from krakenwire.errors import NotRecorded
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.symbols import normalise

if TYPE_CHECKING:
    from krakenwire.replay.reel import Reel

__all__ = ["recorded_symbol", "require"]

_MOST_NAMED = 20


def recorded_symbol(reels: Sequence[Reel], symbol: str) -> str:
    """`symbol` as it was recorded: normalised, and regardless of case.

    Raises:
        UsageError: it is no symbol.
    """
    wanted = normalise(symbol)
    if any(reel.contents.is_known(wanted) for reel in reels):
        return wanted
    folded = wanted.casefold()
    return next((each for each in _symbols(reels) if each.casefold() == folded), wanted)


def require(reels: Sequence[Reel], key: Key) -> None:
    """Refuse what none of the journals has.

    Raises:
        NotRecorded: says what they have.
    """
    if any(reel.contents.has(key) for reel in reels) or any(reel.contents.is_open for reel in reels):
        return
    keys = [each for reel in reels for each in reel.contents.keys]
    of_channel = [each for each in keys if each.channel == key.channel]
    alike = [each for each in of_channel if each.symbol == key.symbol]
    if alike:
        there = ", ".join(str(option) for option in sorted({each.option for each in alike}, key=str))
        what = {"book": "with a depth of", "ohlc": "with an interval (minutes) of", "ticker": "with event_trigger"}
        text = f"{key.channel} {key.symbol} was recorded {what[key.channel]} {there}, not {key.option}"
    elif of_channel and key.symbol is not None:
        symbols = {each.symbol or "" for each in of_channel}
        near = difflib.get_close_matches(key.symbol, symbols, 5, cutoff=0.6)
        text = f"{key.channel} {key.symbol} was not recorded; "
        text += f"did you mean {', '.join(near)}?" if near else f"there is {key.channel} of {_some(symbols)}"
    else:
        text = f"{key.channel} was not recorded; there is {_some({_words(each) for each in keys}) or 'nothing'}"
    raise NotRecorded(f"{text} ({_range(reels)})")


def _symbols(reels: Iterable[Reel]) -> set[str]:
    return {key.symbol for reel in reels for key in reel.contents.keys if key.symbol is not None}


def _words(key: Key) -> str:
    return key.channel if key.symbol is None else f"{key.channel} {key.symbol}"


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _range(reels: Iterable[Reel]) -> str:
    return "; ".join(
        f"{reel.path} goes from {_time(reel.contents.began_ns)} to {_time(reel.contents.ended_ns)}" for reel in reels
    )


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"
