"""The books that a mirrored pair shows: each follows its leader, and changes over to the other in one step.

Both connections keep whole books of their own. What is shown is a third one, to which every message of the leader is
applied after it was proven there. So it never holds a message that was wrong, and at a failover the difference between
it and the other connection's book is exactly what readers are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from krakenwire.book import BookState, BookUpdate
from krakenwire.events import BookInvalidated, BookResynced, LeaderChanged, Stamp
from krakenwire.protocol.books.bookkeeper import BookKeeper
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key

__all__ = ["BEHIND", "Failover", "on_connection"]

_NS = 1_000_000_000

BEHIND = "behind"
"""Why a leader does not serve that is slower than the other one, or whose snapshot is older than what was shown."""


class _Shown:
    """One book as readers know it."""

    __slots__ = (
        *("ahead", "attempts", "cause", "deadline", "fresh", "invalid_since", "is_ahead", "leader", "preferred"),
        *("reason", "serving", "state", "why_preferred"),
    )

    def __init__(self, state: BookState) -> None:
        self.state = state
        self.leader: Session | None = None
        """Whose messages are shown; None before the first."""
        self.serving = False
        """The leader's book is good and is what is shown; else whichever connection can serve takes over."""
        self.is_ahead = False
        """What is shown is the leader's, but said to be of a later time (a snapshot may be stamped when it is sent)."""
        self.deadline: int | None = None
        """Until when what is shown may stay as it is while nobody serves (monotonic ns)."""
        self.reason = ""
        """Why the leader does not serve."""
        self.cause: BookInvalidated | None = None
        self.fresh: Session | None = None
        """Who sent a snapshot since then."""
        self.invalid_since: int | None = None
        """Since when readers know that it is not synced."""
        self.attempts = 0
        """Snapshots that came since then."""
        self.ahead: tuple[int, int] | None = None
        """Of the first message of the follower that the leader has not sent yet: its time, and when it was received."""
        self.preferred: Session | None = None
        """Who is to lead as soon as it is not behind, though the leader is as good."""
        self.why_preferred = ""


class Failover:
    """What is shown of the books of two sessions, and which of them leads each.

    A leader goes when its book is wrong or lost, when it stalls, and when it is behind the other by more than `wait`.
    Who takes over must not be behind what was shown: its time is later, or the same with the same checksum. One that is
    behind is waited for, up to `wait`; then the book is told to be invalid, as it is without a mirror.

    Args:
        sessions: the two.
        keeper: of what is shown.
        out: where events go.
        wait: seconds.

    Attributes:
        books: what is shown.
    """

    def __init__(self, sessions: tuple[Session, Session], keeper: BookKeeper, out: list[Any], wait: float) -> None:
        self.books = keeper.books
        self._sessions = sessions
        self._keeper = keeper
        self._out = out
        self._wait = round(wait * _NS)
        self._shown: dict[str, _Shown] = {}
        self._waiting: dict[str, None] = {}
        """Symbols with a deadline, in the order of their coming: a set's would be another one in every process."""

    # --- what is shown ----------------------------------------------------------------------------------------------

    def hold(self, key: Key) -> BookState | None:
        """Show the book of a subscription; harmless if it is shown already, None if `key` is of another channel."""
        state = self._keeper.hold(key)
        if state is not None and state.symbol not in self._shown:
            self._shown[state.symbol] = _Shown(state)
        return state

    def shown(self, symbol: str) -> BookState | None:
        """The book that is shown of `symbol`; None if there is none yet."""
        shown = self._shown.get(symbol)
        return None if shown is None else shown.state

    def set_precision(self, symbol: str) -> None:
        """The instrument's precisions of `symbol` came in."""
        self._keeper.set_precision(symbol)

    def sweep(self, symbols: Iterable[str]) -> None:
        """Show no longer those of `symbols` of which neither session holds a book."""
        for symbol in symbols:
            if symbol in self._shown and not any(symbol in session.books for session in self._sessions):
                del self._shown[symbol]
                self._waiting.pop(symbol, None)
                self.books.remove(symbol)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Whose books are shown."""
        return tuple(self._shown)

    def is_synced(self, symbol: str) -> bool:
        """Whether what is shown of `symbol` is proven."""
        shown = self._shown.get(symbol)
        return shown is not None and _is_good(shown.state)

    # --- inputs -----------------------------------------------------------------------------------------------------

    def update(self, session: Session, update: BookUpdate) -> None:
        """A message that was proven on `session`."""
        shown = self._shown.get(update.symbol)
        if shown is None:
            return
        if session is not shown.leader or not shown.serving:
            self._consider(shown, session, update)
            return
        if (shown.is_ahead or update.type == "snapshot") and _is_older(update, shown.state):
            self._lose(shown, BEHIND, None, update.stamp, update.n)
            return
        shown.is_ahead = False
        if self.books.follow(update):
            self._out.append(update)
        else:  # it is not as it should be; the leader's is proven all the same
            self._adopt(shown, session, update.stamp, update.n)

    def invalidated(self, session: Session, event: BookInvalidated) -> None:
        """The book of `session` was found wrong, or is withheld."""
        shown = self._shown.get(event.symbol)
        if shown is None:
            return
        if shown.state.status == "synced":
            if not shown.serving:
                self._give_up_if_hopeless(shown, event.stamp, event.n)
            elif session is shown.leader:
                self._lose(shown, event.reason, event, event.stamp, event.n)
            return
        if shown.invalid_since is None:
            other = self._other(session)
            state = other.books.get(event.symbol)
            if state is not None and state.status == "empty" and other.state is ConnectionState.OPEN:
                return  # its first snapshot is on its way
            shown.invalid_since = event.stamp.received_mono_ns
            shown.leader = shown.leader or session
            shown.reason = event.reason
            shown.state.invalidate(event.reason)
        if session is shown.leader:
            self._out.append(event)

    def unsubscribed(self, session: Session, symbol: str, stamp: Stamp, n: int) -> None:
        """The subscription of `session` ended, perhaps to begin anew: its book is empty, or no more.

        While a quiet one is probed its book is kept, and goes on being shown: its snapshot is no news (`Liveness`).
        """
        shown = self._shown.get(symbol)
        is_kept = _is_good(session.books.get(symbol))
        if shown is not None and shown.serving and session is shown.leader and not is_kept:
            if _is_good(self._other(session).books.get(symbol)):
                self._lose(shown, "unsubscribed", None, stamp, n)
            else:
                shown.serving = False
                shown.reason = "unsubscribed"
                shown.state.reset()  # nothing keeps it up to date until the next snapshot
        self.sweep([symbol])

    def prefer(self, session: Session, reason: str, symbol: str, stamp: Stamp, n: int) -> None:
        """Let `session` lead, as soon as it is not behind what is shown; the leader goes on until then."""
        shown = self._shown.get(symbol)
        if shown is None or not shown.serving or shown.leader is session:
            return
        if _can_take(shown.state, session.books.get(symbol)):
            self._take(shown, session, reason, stamp, n)
        else:
            shown.preferred = session
            shown.why_preferred = reason

    def give_way(self, session: Session, reason: str, stamp: Stamp, n: int) -> None:
        """`session` is about to end: whatever the other one can lead it does, or will as soon as it is not behind."""
        other = self._other(session)
        for symbol, shown in self._shown.items():
            if shown.leader is session and shown.serving and _is_good(other.books.get(symbol)):
                self._lose(shown, reason, None, stamp, n)

    def handle_deadline(self, now: Stamp, n: int) -> None:
        """Time has come to `now`: what is waited for too long is given up."""
        for symbol in list(self._waiting):
            shown = self._shown[symbol]
            if shown.deadline is None or now.received_mono_ns < shown.deadline:
                continue
            able = [session for session in self._sessions if _is_good(session.books.get(symbol))]
            ready = next((session for session in able if _is_the_same(shown.state, session.books.get(symbol))), None)
            if ready is not None:
                self._take(shown, ready, shown.reason, now, n)
                continue
            fresh = shown.fresh
            self._give_up(shown, now, n)
            if fresh in able:  # it is what the exchange has, whatever its time
                self._take(shown, fresh, shown.reason, now, n)

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is due, or None."""
        deadlines = (self._shown[symbol].deadline for symbol in self._waiting)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _other(self, session: Session) -> Session:
        first, second = self._sessions
        return second if session is first else first

    def _consider(self, shown: _Shown, session: Session, update: BookUpdate) -> None:
        """A message on a session that does not lead, or while nobody serves."""
        symbol = update.symbol
        state = session.books.get(symbol)
        if not shown.serving:
            is_snapshot = update.type == "snapshot"
            if is_snapshot:
                shown.attempts += 1
                shown.fresh = session
            # Readers that were told of the loss begin anew, as they do without a mirror.
            if _can_take(shown.state, state) or (is_snapshot and shown.state.status != "synced" and _is_good(state)):
                self._take(shown, session, shown.reason, update.stamp, update.n, update=update)
        elif shown.preferred is session and _can_take(shown.state, state):
            self._take(shown, session, shown.why_preferred, update.stamp, update.n)
        elif self._is_too_far_ahead(shown, update):
            self._take(shown, session, BEHIND, update.stamp, update.n)
        elif shown.leader is not None and not _is_good(shown.leader.books.get(symbol)):
            self._lose(shown, "unsubscribed", None, update.stamp, update.n)

    def _is_too_far_ahead(self, shown: _Shown, update: BookUpdate) -> bool:
        """Whether the leader has not sent for too long what the follower had: it is mute, or much slower."""
        at = update.exchange_ns
        if at is None or update.type == "snapshot":  # which may be stamped when it is sent, whatever it holds
            return False
        now, known = update.received_mono_ns, shown.state.exchange_ns
        if shown.ahead is not None and known is not None and known < shown.ahead[0]:
            return now - shown.ahead[1] >= self._wait
        shown.ahead = (at, now) if known is not None and known < at else None
        return False

    def _lose(self, shown: _Shown, reason: str, cause: BookInvalidated | None, stamp: Stamp, n: int) -> None:
        """The leader's book is not good any more; readers do not know yet."""
        assert shown.leader is not None  # noqa: S101  # it served
        symbol, other = shown.state.symbol, self._other(shown.leader)
        shown.serving = False
        shown.reason = reason
        shown.cause = cause
        shown.fresh = shown.leader if reason == BEHIND else None
        shown.attempts = 0
        if _can_take(shown.state, other.books.get(symbol)):
            self._take(shown, other, reason, stamp, n)
            return
        shown.deadline = stamp.received_mono_ns + self._wait
        self._waiting[symbol] = None
        self._give_up_if_hopeless(shown, stamp, n)

    def _give_up_if_hopeless(self, shown: _Shown, stamp: Stamp, n: int) -> None:
        if not any(_is_good(session.books.get(shown.state.symbol)) for session in self._sessions):
            self._give_up(shown, stamp, n)

    def _give_up(self, shown: _Shown, stamp: Stamp, n: int) -> None:
        """Neither connection can serve: readers are told."""
        state, leader, cause = shown.state, shown.leader, shown.cause
        assert leader is not None  # noqa: S101  # it served
        stamp = on_connection(leader, stamp)
        if cause is None:
            event = BookInvalidated(
                symbol=state.symbol, depth=state.depth, reason=shown.reason, stamp=stamp, n=n, seq=leader.seq
            )
        else:
            event = msgspec.structs.replace(cause, stamp=stamp, n=n, seq=leader.seq)
        state.invalidate(shown.reason)
        shown.invalid_since = stamp.received_mono_ns
        self._rest(shown)
        self._out.append(event)

    def _take(
        self, shown: _Shown, session: Session, reason: str, stamp: Stamp, n: int, *, update: BookUpdate | None = None
    ) -> None:
        """`session` leads from now on; what readers do not have yet is told in one update."""
        symbol, previous = shown.state.symbol, shown.leader
        was_synced = shown.state.status == "synced"
        shown.leader = session
        shown.serving = True
        shown.preferred = None
        shown.ahead = None
        self._rest(shown)
        state = session.books.get(symbol)
        shown.is_ahead = was_synced and state is not None and _is_older(state, shown.state)
        if previous is not None and previous is not session:
            self._out.append(
                LeaderChanged(
                    symbol=symbol,
                    leader=session.name,
                    previous=previous.name,
                    reason=reason,
                    stamp=on_connection(session, stamp),
                    n=n,
                    seq=session.seq,
                )
            )
        if not was_synced and update is not None and update.type == "snapshot" and self.books.follow(update):
            self._out.append(update)
        else:
            self._adopt(shown, session, stamp, n)
        if shown.invalid_since is not None:
            took_ns = stamp.received_mono_ns - shown.invalid_since
            shown.invalid_since = None
            self._out.append(
                BookResynced(
                    symbol=symbol,
                    depth=shown.state.depth,
                    took_ns=took_ns,
                    attempts=shown.attempts,
                    stamp=on_connection(session, stamp),
                    n=n,
                    seq=session.seq,
                )
            )
        shown.attempts = 0

    def _adopt(self, shown: _Shown, session: Session, stamp: Stamp, n: int) -> None:
        state = session.books.get(shown.state.symbol)
        if state is not None and not shown.is_ahead:
            self.books.adopt(state, self._out, on_connection(session, stamp), n, session.seq)

    def _rest(self, shown: _Shown) -> None:
        """Nothing is waited for."""
        shown.deadline = None
        shown.cause = None
        shown.fresh = None
        self._waiting.pop(shown.state.symbol, None)


def on_connection(session: Session, stamp: Stamp) -> Stamp:
    """That moment, on the connection of `session`."""
    if stamp.connection == session.name:
        return stamp
    return msgspec.structs.replace(stamp, connection=session.name, epoch=session.epoch)


def _is_good(state: BookState | None) -> bool:
    return state is not None and state.status == "synced" and state.proven


def _is_older(one: BookState | BookUpdate, shown: BookState) -> bool:
    return one.exchange_ns is not None and shown.exchange_ns is not None and one.exchange_ns < shown.exchange_ns


def _is_the_same(shown: BookState, state: BookState | None) -> bool:
    """Whether `state`, which is good, is surely not behind, when there was time enough to catch up."""
    return state is not None and (not _is_older(state, shown) or shown.difference(state) is None)


def _can_take(shown: BookState, state: BookState | None) -> bool:
    """Whether `state` is good, and surely not behind what is shown.

    Of two states of the same time that differ nobody can tell which is the later one.
    """
    if state is None or not _is_good(state):
        return False
    ours, theirs = shown.exchange_ns, state.exchange_ns
    if ours is None or theirs is None:
        return ours is None
    return theirs > ours or (theirs == ours and state.checksum == shown.checksum)
