"""A probe: a subscription that is ended and begun anew, to see whether the snapshot tells what was not told before."""

from __future__ import annotations

from typing import Any

from krakenwire.book import BookState
from krakenwire.protocol.liveness.findings import Inquire, Levels, News
from krakenwire.protocol.subscriptions import Key

__all__ = ["Probe"]

_SLACK = 250_000_000
"""What happened so long before Kraken ended a subscription was told before that, if the subscription was served.

Data bear the time of the matching engine, acknowledgements that of the server that we talk to: between the two lie the
way of a message, which is longer when the market is busy, and the difference of two clocks."""
_COINCIDENCE = 10_000
"""How much longer than the probe itself a stream must have been silent, for news to be no coincidence."""
_REST_KNOWS = frozenset({"book", "ticker", "ohlc"})
"""Channels whose snapshot tells less than REST; that of trades has the time of each (PROTOCOL 3.7)."""


class Probe:
    """A subscription that is ended and begun anew, to see what the snapshot tells.

    A book's snapshot bears the time of its last change (PROTOCOL 3.5): if that is before Kraken was asked, and the book
    is not what was held, then something was not told. A change in the moment between the two subscriptions proves
    nothing, unless the silence is a proof in itself, or that moment was too short for a coincidence. REST, which knows
    when each trade was and when each level changed, can tell afterwards (`inquiry`).

    Args:
        is_unusual: the silence is longer than this stream has been seen to be silent; else it is routine.
        is_proof: the silence is so unusual that any news proves the stream mute: no coincidence is as unlikely.
        silent_ns: for how long nothing had come.
        held: its last message; None if there was none, or if it is a book.
        witness: the channel that contradicted it, if that is why it is probed.

    Attributes:
        sent_at: when it was seen that the request had gone out.
        held: the last message that came of the subscription that was ended.
        content: the levels of a book that was synced when it was left.
        has_spoken: a message came before that subscription was ended, so that it was not mute.
        is_left: Kraken has ended it.
        is_back: the new subscription is acknowledged.
        is_alive: a message came of that one, before its snapshot.
        is_answered: a snapshot came.
        is_new: which told something new.
    """

    __slots__ = (
        *("_back_ns", "_left_ns", "_news_ns", "content", "has_spoken", "held", "is_alive", "is_answered"),
        *("is_back", "is_left", "is_new", "is_proof", "is_unusual", "sent_at", "silent_ns", "witness"),
    )

    def __init__(
        self, *, is_unusual: bool, is_proof: bool, silent_ns: int, held: Any = None, witness: str | None = None
    ) -> None:
        self.witness = witness
        self.is_unusual = is_unusual
        self.is_proof = is_proof
        self.silent_ns = silent_ns
        self.held = held
        self.sent_at: int | None = None
        self.content: Levels | None = None
        self.has_spoken = False
        self.is_left = False
        self.is_back = False
        self.is_alive = False
        self.is_answered = False
        self.is_new = False
        self._left_ns: int | None = None
        self._back_ns: int | None = None
        self._news_ns: int | None = None

    def left(self, exchange_ns: int | None, book: BookState | None, held: Any) -> None:
        """Kraken has ended the subscription, at its own time `exchange_ns`; what was held of it by then."""
        self.is_left = True
        self._left_ns = exchange_ns
        self.held = held
        self.content = None if book is None else _levels(book)

    def back(self, exchange_ns: int | None) -> None:
        """Kraken has acknowledged the new one."""
        self._back_ns = exchange_ns
        self.is_back = True

    def answer(self, news: News) -> None:
        """The snapshot, or one item of it."""
        self.is_answered = True
        if not news.is_new:
            return
        if not self.is_new or (
            self._news_ns is not None and news.exchange_ns is not None and news.exchange_ns < self._news_ns
        ):
            self._news_ns = news.exchange_ns
        self.is_new = True

    def answer_book(self, book: BookState) -> None:
        """The snapshot of a book, applied and proven."""
        self.answer(News(_levels(book) != self.content, book.exchange_ns))

    def wait_from(self, now: int) -> None:
        """Until now no answer could come."""
        if self.sent_at is not None:
            self.sent_at = now

    def shift(self, stalled_ns: int) -> None:
        """For `stalled_ns` nobody could have seen the answer."""
        if self.sent_at is not None:
            self.sent_at += stalled_ns

    @property
    def proves_mute(self) -> bool:
        """Whether the answer shows that something should have come before and did not."""
        if not self.is_new or self.has_spoken:
            return False
        if self.is_proof:
            return True
        if self._left_ns is None:
            return False
        if self._news_ns is not None and self._news_ns < self._left_ns - _SLACK:
            return True
        return self._back_ns is not None and (self._back_ns - self._left_ns) * _COINCIDENCE < self.silent_ns

    @property
    def is_inconclusive(self) -> bool:
        """Whether it told something new, which may have been withheld or have happened just while it was asked."""
        return self.is_new and not self.has_spoken and not self.proves_mute

    def inquiry(self, key: Key) -> Inquire | None:
        """What REST can be asked to tell the one from the other; None where it does not know."""
        if key.channel not in _REST_KNOWS or key.event_trigger == "bbo":
            return None
        if self._left_ns is None:
            return None
        # It was left after the probe was decided on, so the last message came no later than this.
        after, before = self._left_ns - self.silent_ns + _SLACK, self._left_ns - _SLACK
        if after >= before:
            return None
        return Inquire(key, after, before, self.silent_ns, self.is_unusual, self.content)


def _levels(book: BookState) -> Levels:
    return tuple(book.canonical("bids")), tuple(book.canonical("asks"))
