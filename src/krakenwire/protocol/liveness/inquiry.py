"""What REST tells of a stream after a probe that proved nothing: when each trade was, when each level last changed.

A probe brings a mute stream back, so there is no second one. But what had been withheld has left its traces: a trade
before the stream was left, or a level that is not what was held and changed before that (PROTOCOL 8.3). A stream that
was served had told of it. Nothing is concluded from their absence. Where the call fails, a silence that is unusual by
what little is known of the stream has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from krakenwire.book.numbers import ROUNDED
from krakenwire.events import Stamp
from krakenwire.protocol.continuity.fetching import Answer, Fetcher, Params
from krakenwire.protocol.liveness.findings import Inquire
from krakenwire.protocol.wire.rest import DECODE_ERRORS, RestTrouble, decode_trades, pair_spellings
from krakenwire.protocol.wire.scalars import check_numbers

__all__ = ["Proven", "inquire"]

_NS = 1_000_000_000
_MOST_WAITING = 50
"""Calls that wait already, about one a second is made: beyond that it would be too late anyway."""
_TRADES = 10
"""Of those asked for the first decides."""
_MOST_LEVELS = 500
"""Levels a side that `Depth` gives at most (PROTOCOL 8.3)."""

_NOWHERE = Stamp("", 0, 0, 0)
"""These trades are told to nobody."""

Proven = Callable[[Inquire, Stamp, int], None]
"""Called once if the stream had been mute, with the time and the number of the input that showed it."""


class _Row(msgspec.Struct, array_like=True, gc=False):
    price: Decimal
    qty: Decimal
    time: Annotated[int, Meta(ge=0, lt=2**40)]


class _Sides(msgspec.Struct, gc=False):
    bids: list[_Row]
    asks: list[_Row]


_depth = msgspec.json.Decoder(dict[str, _Sides])


def inquire(fetcher: Fetcher, question: Inquire, proven: Proven) -> None:
    """Ask, behind everything that waits for REST more urgently.

    Args:
        fetcher: makes the calls.
        question: what is to be known.
        proven: called when it is, and was so.
    """
    if question.key.symbol is not None and len(fetcher) < _MOST_WAITING:
        _Inquiry(fetcher, question, proven, pair_spellings(question.key.symbol)).ask()


class _Inquiry:
    """One question, and the names by which REST may know the pair that are still to be tried."""

    __slots__ = ("_fetcher", "_pairs", "_proven", "_question")

    def __init__(self, fetcher: Fetcher, question: Inquire, proven: Proven, pairs: tuple[str, ...]) -> None:
        self._fetcher = fetcher
        self._question = question
        self._proven = proven
        self._pairs = pairs

    def ask(self) -> None:
        key, pair = self._question.key, self._pairs[0]
        if key.channel == "book":
            params: Params = (("pair", pair), ("count", str(min(key.depth or 0, _MOST_LEVELS))))
            self._fetcher.ask("Depth", params, self._receive)
            return
        params = ("pair", pair), ("since", str(self._question.after_ns)), ("count", str(_TRADES))
        self._fetcher.ask("Trades", params, self._receive)

    def _receive(self, answer: Answer, now: Stamp, n: int) -> None:
        if answer.trouble is RestTrouble.PAIR and len(self._pairs) > 1:
            self._pairs = self._pairs[1:]
            self.ask()
            return
        question = self._question
        if answer.result is None:
            if question.is_unusual:
                self._proven(question, now, n)
            return
        show = _show_change if question.key.channel == "book" else _show_trade
        with suppress(*DECODE_ERRORS):  # what is no answer of Kraken's proves nothing
            if show(answer.result, question):
                self._proven(question, now, n)


def _show_trade(result: bytes, question: Inquire) -> bool:
    """Whether there was a trade in the time in question."""
    trades = decode_trades(result, question.key.symbol or "", _NOWHERE, 0).trades
    return any(question.after_ns < (trade.exchange_ns or 0) < question.before_ns for trade in trades)


def _show_change(result: bytes, question: Inquire) -> bool:
    """Whether a level that the stream had to tell of changed in the time in question, and is not what was held."""
    books = list(_depth.decode(result).values())
    if len(books) != 1 or question.content is None:
        return False
    bids, asks = question.content
    sides = ((books[0].bids, bids, 1), (books[0].asks, asks, -1))
    return any(_is_untold(row, held, sign, question) for rows, held, sign in sides for row in rows)


def _is_untold(row: _Row, held: Sequence[tuple[str, str]], sign: int, question: Inquire) -> bool:
    check_numbers(row.price, row.qty)
    if not (question.after_ns < row.time * _NS and (row.time + 1) * _NS <= question.before_ns):  # whole seconds
        return False
    if len(held) >= (question.key.depth or 0) and sign * row.price < sign * Decimal(held[-1][0]):
        return False  # it was beyond the depth, and came into it when another level went
    for price, qty in held:
        if Decimal(price) == row.price:
            exponent = row.qty.as_tuple().exponent  # REST rounds volumes to three decimals
            unit = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
            return abs(ROUNDED.subtract(row.qty, Decimal(qty))) >= unit
    return True
