"""What watching over subscriptions comes to: a probe that is under way, and what a session is to do and to tell."""

from __future__ import annotations

from typing import NamedTuple

from krakenwire.book import BookState
from krakenwire.protocol.subscriptions import Key

__all__ = ["Ask", "Finding", "News", "Probe", "Reconnect", "Revived", "Stall"]

_SLACK = 250_000_000
"""What happened so long before Kraken ended a subscription was told before that, if the subscription was served."""
_COINCIDENCE = 10_000
"""How much longer than the probe itself a stream must have been silent, for news to be no coincidence."""

Levels = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


class Ask(NamedTuple):
    """Subscribe anew: a probe, or another attempt to bring a stalled stream back."""

    key: Key


class Stall(NamedTuple):
    """A stream is mute; `is_over`: and a probe has brought it back already. `renew`: it is to be subscribed anew."""

    key: Key
    silent_ns: int
    limit_ns: int
    evidence: str
    is_over: bool = False
    renew: bool = False


class Revived(NamedTuple):
    """A stream that was mute speaks again, after `silent_ns` of silence."""

    key: Key
    silent_ns: int
    by: str


class Reconnect(NamedTuple):
    """Subscribing anew did not bring a stream back: the connection is to be opened anew."""

    key: Key


Finding = Ask | Stall | Revived | Reconnect


class News(NamedTuple):
    """Whether a snapshot tells what was not told before, and by when that had happened (Kraken's ns, None: unknown)."""

    is_new: bool
    exchange_ns: int | None = None


class Probe:
    """A subscription that is ended and begun anew, to see what the snapshot tells.

    A book's snapshot bears the time of its last change (PROTOCOL 3.5): if that is before Kraken was asked, and the book
    is not what was held, then something was not told. A change in the moment between the two subscriptions proves
    nothing, unless the silence was unusual in itself, or that moment was too short for a coincidence.

    Args:
        is_unusual: the silence is longer than this stream has been seen to be silent; else it is routine.
        silent_ns: for how long nothing had come.
        witness: the channel that contradicted it, if that is why it is probed.

    Attributes:
        sent_at: when it was seen that the request had gone out.
        content: the levels of a book that was synced when it was left.
        has_spoken: a message came while it was under way, so that it is not mute.
        is_back: the new subscription is acknowledged.
        is_answered: a snapshot came.
        is_new: which told something new.
    """

    __slots__ = (
        *("_back_ns", "_left_ns", "_news_ns", "content", "has_spoken", "is_answered", "is_back", "is_new"),
        *("is_unusual", "sent_at", "silent_ns", "witness"),
    )

    def __init__(self, *, is_unusual: bool, silent_ns: int, witness: str | None = None) -> None:
        self.witness = witness
        self.is_unusual = is_unusual
        self.silent_ns = silent_ns
        self.sent_at: int | None = None
        self.content: Levels | None = None
        self.has_spoken = False
        self.is_back = False
        self.is_answered = False
        self.is_new = False
        self._left_ns: int | None = None
        self._back_ns: int | None = None
        self._news_ns: int | None = None

    def left(self, exchange_ns: int | None, book: BookState | None) -> None:
        """Kraken has ended the subscription, at its own time `exchange_ns`."""
        self._left_ns = exchange_ns
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
        if self.is_unusual:
            return True
        if self._left_ns is None:
            return False
        if self._news_ns is not None and self._news_ns < self._left_ns - _SLACK:
            return True
        return self._back_ns is not None and (self._back_ns - self._left_ns) * _COINCIDENCE < self.silent_ns


def _levels(book: BookState) -> Levels:
    return tuple(book.canonical("bids")), tuple(book.canonical("asks"))
