"""Audits of whole books, one after the other, at a pace that a user chooses: by REST, or between two of a mirror.

A difference is believed when a second look finds it again: a stream that is late, or an answer out of somebody's
cache, differs in other prices each time, a book that lost an update in the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Literal

from krakenwire.book import BookState
from krakenwire.book.reasons import TOP
from krakenwire.events import BookAudited, Stamp
from krakenwire.protocol.books.audit import Comparison, Depth, compare, compare_books, decode_depth
from krakenwire.protocol.continuity.fetching import Answer, Fetcher
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.session import Session
from krakenwire.protocol.wire.rest import DECODE_ERRORS, RestTrouble, pair_spellings

__all__ = ["AuditMethod", "Auditor"]

AuditMethod = Literal["rest", "mirror"]

_NS = 1_000_000_000
MOST_ASKED = 500
"""Levels a side that `Depth` gives at most (PROTOCOL 8.3)."""
LEAD = 2 * _NS
"""A book is watched so long before it is asked for: an answer may come out of a cache."""
LAG = 2 * _NS
"""And so long after the answer: the stream may be behind it."""
RECHECK = 5 * _NS
"""Until the second look at a book that seems to differ."""
MOST_AT_ONCE = 8
"""Audits under way at once; the answers come at REST's pace, about one a second."""
_GIVE_UP = 120 * _NS
_STEP = _NS // 50
"""How often two books of a mirror are looked at until both are as of the same message."""
_STEPS = 500


class _Audit:
    """One book that is being looked at."""

    __slots__ = ("answer", "began", "due", "number", "session", "state", "steps", "suspects", "symbol", "watch")

    def __init__(self, session: Session, state: BookState, now: int) -> None:
        self.session = session
        self.state = state
        self.symbol = state.symbol
        self.watch = session.watch(state.symbol)
        self.began = now
        self.due: int | None = None
        """When there is something to do next, but for an answer."""
        self.number: int | None = None
        self.answer: Depth | None = None
        self.suspects: Comparison | None = None
        self.steps = 0


class Auditor:
    """Compares every book that is deeper than its checksum covers, each about every `audit_every` seconds.

    Args:
        method: by `rest`, or between the two books of a `mirror`.
        options: the pace.
        fetcher: makes the calls.
        out: where events go.

    Attributes:
        failed: audits that came to nothing, since there was no answer that was any good.
    """

    def __init__(self, method: AuditMethod, options: Options, fetcher: Fetcher, out: Outputs) -> None:
        self._method: AuditMethod = method
        self._every = round(options.audit_every * _NS)
        self._least = round(_NS / options.rest_per_second) if method == "rest" else _NS // 10
        self._fetcher = fetcher
        self._out = out
        self._turns: list[tuple[str, str]] = []
        self._spacing = self._every
        self._next_at: int | None = None
        self._audits: dict[str, _Audit] = {}
        self._spellings: dict[str, int] = {}
        self._fetched_again: dict[str, str] = {}
        """Of which connection of a mirror a differing book was fetched again last; the next time it is the other."""
        self.failed = 0

    def start(self, now: int) -> None:
        """Begin, at `now` (monotonic ns); harmless if it has begun."""
        if self._next_at is None:
            self._next_at = now + self._every // 10

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is wanted."""
        moments = [audit.due for audit in self._audits.values() if audit.due is not None]
        if self._next_at is not None:
            moments.append(self._next_at)
        return min(moments, default=None)

    def handle_deadline(self, now: Stamp, n: int, sessions: Mapping[str, Session]) -> None:
        """Time has come to `now`."""
        at = now.received_mono_ns
        for audit in list(self._audits.values()):
            if audit.due is not None and at >= audit.due:
                self._go_on(audit, now, n, sessions)
        if self._next_at is not None and at >= self._next_at:
            self._begin(at, sessions)
            self._next_at = at + self._spacing

    def stop(self) -> None:
        """Nothing is looked at any more."""
        self._next_at = None
        for audit in list(self._audits.values()):
            self._end(audit)

    # --- whose turn it is -------------------------------------------------------------------------------------------

    def _begin(self, at: int, sessions: Mapping[str, Session]) -> None:
        if not self._turns:
            self._turns = list(_books(sessions.values()))
            self._spacing = max(self._every // max(len(self._turns), 1), self._least)
        while self._turns and len(self._audits) < MOST_AT_ONCE:
            name, symbol = self._turns.pop(0)
            session = sessions.get(name)
            state = None if session is None else session.books.get(symbol)
            if session is None or state is None or state.status != "synced" or symbol in self._audits:
                continue
            audit = self._audits[symbol] = _Audit(session, state, at)
            if self._method == "rest":
                self._ask(audit, at)
            else:
                audit.due = at
            return

    def _end(self, audit: _Audit) -> None:
        audit.session.unwatch(audit.symbol)
        if audit.number is not None:
            self._fetcher.cancel(audit.number)
        del self._audits[audit.symbol]

    def _go_on(self, audit: _Audit, now: Stamp, n: int, sessions: Mapping[str, Session]) -> None:
        at = now.received_mono_ns
        is_held = audit.session.books.get(audit.symbol) is audit.state and audit.state.status == "synced"
        if audit.watch.is_broken or not is_held or at >= audit.began + _GIVE_UP:
            self._end(audit)  # it was fetched again meanwhile, or is being so: that is as good
            return
        if self._method == "mirror":
            self._look_at_both(audit, now, n, sessions)
        elif audit.answer is not None:
            answer, audit.answer, audit.due = audit.answer, None, None
            self._judge(audit, compare(audit.state, answer, audit.watch), now, n, sessions)
        else:
            self._ask(audit, at)

    # --- REST -------------------------------------------------------------------------------------------------------

    def _ask(self, audit: _Audit, at: int) -> None:
        asked = min(audit.state.depth, MOST_ASKED)
        spellings = pair_spellings(audit.symbol)
        pair = spellings[self._spellings.get(audit.symbol, 0) % len(spellings)]
        params = (("pair", pair), ("count", str(asked)))
        then = partial(self._take, audit, asked)  # no closure: it is part of the state
        audit.due = at + _GIVE_UP
        audit.number = self._fetcher.ask("Depth", params, then, not_before=at + LEAD)

    def _take(self, audit: _Audit, asked: int, answer: Answer, now: Stamp, _n: int) -> None:
        audit.number = None
        if answer.trouble is RestTrouble.PAIR:
            self._spellings[audit.symbol] = self._spellings.get(audit.symbol, 0) + 1
        with suppress(*DECODE_ERRORS):
            audit.answer = None if answer.result is None else decode_depth(answer.result, asked)
        if audit.answer is None:
            self.failed += 1
            self._end(audit)
        else:
            audit.due = now.received_mono_ns + LAG

    # --- a mirror ---------------------------------------------------------------------------------------------------

    def _look_at_both(self, audit: _Audit, now: Stamp, n: int, sessions: Mapping[str, Session]) -> None:
        other = sessions.get(_other_name(audit.session.name))
        theirs = None if other is None else other.books.get(audit.symbol)
        audit.steps += 1
        if theirs is None or theirs.depth != audit.state.depth or audit.steps > _STEPS:
            self._end(audit)
            return
        comparison = compare_books(audit.state, theirs)
        if comparison is None:
            audit.due = now.received_mono_ns + _STEP
        else:
            self._judge(audit, comparison, now, n, sessions)

    # --- what came of it --------------------------------------------------------------------------------------------

    def _judge(self, audit: _Audit, found: Comparison, now: Stamp, n: int, sessions: Mapping[str, Session]) -> None:
        if found.wrong and audit.suspects is None:
            audit.suspects = found
            audit.due = now.received_mono_ns + RECHECK
            audit.steps = 0
            return
        wrong = frozenset() if audit.suspects is None else found.wrong & audit.suspects.wrong
        session = audit.session
        stamp = session.own(now)
        self._end(audit)
        self._out.events.append(
            BookAudited(
                symbol=audit.symbol,
                depth=audit.state.depth,
                method=self._method,
                levels=found.levels,
                wrong=len(wrong),
                skipped=found.skipped,
                stamp=stamp,
                n=n,
                seq=session.seq,
            )
        )
        if wrong:
            if self._method == "mirror":
                session = self._choose(audit, sessions)
            session.refetch_book(audit.symbol, "audit", now, n)

    def _choose(self, audit: _Audit, sessions: Mapping[str, Session]) -> Session:
        """Which of two books is wrong nobody knows: one is fetched again now, the other if they differ still."""
        names = [audit.session.name, _other_name(audit.session.name)]
        last = self._fetched_again.get(audit.symbol)
        name = names[1] if last == names[0] else names[0]
        self._fetched_again[audit.symbol] = name
        self._turns.insert(0, (audit.session.name, audit.symbol))
        return sessions.get(name, audit.session)


def _books(sessions: Iterable[Session]) -> Iterable[tuple[str, str]]:
    """Every book that has levels which no checksum covers."""
    for session in sessions:
        for symbol in session.books:
            state = session.books.get(symbol)
            if state is not None and state.depth > TOP:
                yield session.name, symbol


def _other_name(name: str) -> str:
    return name.removesuffix("~") if name.endswith("~") else f"{name}~"
