"""From the loss of a connection until everything it had is back, however often it is lost again on the way."""

from __future__ import annotations

from collections.abc import Iterable

from krakenwire.events import Reconnected, Stamp
from krakenwire.protocol.subscriptions import Key

__all__ = ["Recovery"]


class Recovery:
    """What one connection has to get back, and what has come back so far.

    What counts is what was wanted at the moment the socket was open again: a subscription asked for later is no part
    of it, one that is given up meanwhile is waited for no longer. A book counts once it was proven: that it may be
    found wrong again while others are still awaited is told by events of its own.

    Args:
        now: when the connection was lost, monotonic nanoseconds.
        missed: trades missed before.

    Attributes:
        lost_at: when it was lost first.
        missed_before: trades missed before.
        downtime_ns: how long there was no open socket, all losses together.
        planned: every loss so far was our own wish.
        subscriptions: how many Kraken acknowledged anew, on the socket that is open.
        rejected: how many it refused for good, on any socket since the loss.
        books: how many books were proven anew, on the socket that is open.
    """

    __slots__ = (
        "_down_since",
        "_unanswered",
        "_unproven",
        "books",
        "downtime_ns",
        "lost_at",
        "missed_before",
        "planned",
        "rejected",
        "subscriptions",
    )

    def __init__(self, now: int, missed: int) -> None:
        self.lost_at = now
        self.missed_before = missed
        self.downtime_ns = 0
        self.planned = True
        self.subscriptions = 0
        self.rejected = 0
        self.books = 0
        self._down_since: int | None = now
        self._unanswered: set[Key] = set()
        self._unproven: set[str] = set()

    def lost(self, now: int, *, planned: bool) -> None:
        """The open socket ended, for the first time or again."""
        self.planned = self.planned and planned
        self._down_since = now

    def connected(self, now: int, wanted: Iterable[Key]) -> None:
        """There is an open socket, and everything in `wanted` is to come back on it."""
        if self._down_since is not None:
            self.downtime_ns += now - self._down_since
            self._down_since = None
        self.subscriptions = self.books = 0
        self._unanswered = set(wanted)
        self._unproven = {key.symbol for key in self._unanswered if key.channel == "book" and key.symbol is not None}

    def acknowledged(self, key: Key) -> None:
        """Kraken has `key` again."""
        if key in self._unanswered:
            self._unanswered.remove(key)
            self.subscriptions += 1

    def rejected_one(self, key: Key) -> None:
        """Kraken refused `key` for good."""
        self.rejected += key in self._unanswered
        self.given_up(key)

    def given_up(self, key: Key) -> None:
        """Nobody wants `key` any more, or it cannot be had."""
        self._unanswered.discard(key)
        if key.channel == "book" and key.symbol is not None:
            self._unproven.discard(key.symbol)

    def proven(self, symbol: str) -> None:
        """The book of `symbol` is synced."""
        if symbol in self._unproven:
            self._unproven.remove(symbol)
            self.books += 1

    def quarantined(self, symbol: str) -> None:
        """The book of `symbol` is left alone for a while: nothing is waited for."""
        self._unproven.discard(symbol)

    @property
    def is_complete(self) -> bool:
        """Everything is back."""
        return self._down_since is None and not self._unanswered and not self._unproven

    def as_event(self, missed: int, stamp: Stamp, n: int, seq: int) -> Reconnected:
        """What there is to tell once everything is back; `missed` counts the trades missed by now."""
        return Reconnected(
            downtime_ns=self.downtime_ns,
            took_ns=stamp.received_mono_ns - self.lost_at,
            subscriptions=self.subscriptions,
            rejected=self.rejected,
            books=self.books,
            missed=missed - self.missed_before,
            planned=self.planned,
            stamp=stamp,
            n=n,
            seq=seq,
        )
