"""Counts how complete what was recorded is, event by event.

A segment is counted by itself, from what its core held when it began, so that the sum over segments is the same whether
each is played now or was when it was sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from krakenwire.book import BookUpdate
from krakenwire.clock import NS_PER_S
from krakenwire.events import (
    LIFECYCLE,
    Backfilled,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Disconnected,
    Event,
    Gap,
    Stalled,
)
from krakenwire.journal.format import Block, Run
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.player import Player
from krakenwire.journal.sealing.completeness import Completeness, Day, Lost, MissedEvents, SymbolDay
from krakenwire.protocol.core import Core
from krakenwire.protocol.mirror.mirror import group_of

__all__ = ["Counting"]

_DAY_NS: Final = 86_400 * NS_PER_S
_COUNTED: Final = frozenset({"trade", "ticker", "ohlc", "spread"})
_PROVEN: Final = ("verified", "unproven")
_QUIET: Final = (b'!["deadline"', b'!["paused"', b'!["resumed"', b'!["loopstood"')
"""Inputs after which no book is another one unless an event tells."""


class _BookName(NamedTuple):
    group: str
    symbol: str
    depth: int


class Counting:
    """Counts a segment while it is played: `take` is to be given all events, and blocks are to be played by `play`.

    Args:
        player: at the segment's first line.
        from_ns: what was received before is not counted (UTC); None for all.
        to_ns: nor what was then, or later.

    Attributes:
        at_ns: UTC of the last input so far, or of the segment's begin.
    """

    def __init__(self, player: Player, *, from_ns: int | None = None, to_ns: int | None = None) -> None:
        self._player = player
        self._head: Head = player.head
        self._from_ns = 0 if from_ns is None else from_ns
        self._to_ns = 1 << 63 if to_ns is None else to_ns
        self._days: dict[int, Day] = {}
        self._symbols: dict[tuple[int, str | None], SymbolDay] = {}
        self._lost: list[Lost] = []
        self._holes = len(player.holes)
        self._names: dict[tuple[str, str, int], _BookName] = {}
        self._books: dict[_BookName, bool] = {}
        """Whether each is proven."""
        self._wanted: dict[str, int] = {}
        self._synced: dict[str, int] = {}
        """Since when, by symbol."""
        self.at_ns = self._since_ns = self._head.received_ns
        self._turned: dict[str, int] = {}
        """When an event told of a symbol's books since it was looked at them."""
        self._is_moved = False
        self._core = player.core
        self._begin()

    def play(self, block: Block) -> None:
        """Play a block."""
        player = self._player
        player.begin_block(block)
        for item in block.runs:
            if isinstance(item, Run):
                self._go_behind(item.stamps[0].received_ns)
                self.at_ns = item.stamps[-1].received_ns
                player.play(block._replace(n=player.core.n, runs=[item]))
            else:
                if item.stamp is not None:
                    self._go_behind(item.stamp.received_ns)
                    self.at_ns = item.stamp.received_ns
                player.step(item)
                self._is_moved = self._is_moved or (item.kind == "input" and not item.content.startswith(_QUIET))
            if self._is_moved and player.core is self._core:
                self._look()

    def take(self, events: Sequence[Event]) -> None:
        """The events of the player."""
        for event in events:
            at_ns = event.stamp.received_ns
            is_within = self._from_ns <= at_ns < self._to_ns
            if type(event) is BookUpdate:
                if is_within:
                    self._symbol(at_ns, event.symbol).messages += 1
                self._take_update(event, at_ns)
            elif event.channel == LIFECYCLE:
                self._is_moved = True
                if isinstance(event, BookInvalidated | BookQuarantined):
                    self._turn(_name(event), at_ns, is_proven=False)
                if is_within:
                    self._count(event, at_ns)
            elif is_within and event.channel in _COUNTED:
                self._symbol(at_ns, getattr(event, "symbol", None)).messages += 1

    def end(self) -> Completeness:
        """The segment is over."""
        self._go_behind(self.at_ns)
        self._close(self.at_ns)
        counted = Completeness()
        counted.add(Completeness(days=list(self._days.values()), symbols=list(self._symbols.values()), lost=self._lost))
        return counted

    # --- what is wanted and proven ------------------------------------------------------------------------------------

    def _take_update(self, update: BookUpdate, at_ns: int) -> None:
        key = (update.connection, update.symbol, update.depth)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = _name(update)
        if update.outcome in _PROVEN and not self._books.get(name):
            self._turn(name, at_ns, is_proven=True)

    def _turn(self, name: _BookName, at_ns: int, *, is_proven: bool) -> None:
        """An event tells of a book. Whether it is one that is shown, and so matters, is looked at soon."""
        self._is_moved = True
        self._turned[name.symbol] = at_ns
        if name in self._books:
            self._books[name] = is_proven
            self._judge(name.symbol, at_ns)

    def _look(self) -> None:
        """What the core holds after some inputs: which books are wanted and shown, and whether they are proven.

        What that changes changed when an event told of it, if one did.
        """
        self._is_moved = False
        self._books = dict(_shown(self._core))
        wanted = {key.symbol for key in self._core.placements() if key.channel == "book" and key.symbol is not None}
        is_told = bool(wanted) or (self._player.is_exact and not self._head.made.passive)
        if not is_told:
            wanted = {name.symbol for name in self._books}
        for symbol in sorted({*wanted, *self._wanted}):
            at_ns = self._turned.get(symbol, self.at_ns)
            if symbol in wanted:
                self._wanted.setdefault(symbol, self.at_ns if is_told else at_ns)
            else:
                self._add_span("wanted_ns", symbol, self._wanted.pop(symbol), self.at_ns)
            self._judge(symbol, at_ns)
        self._turned.clear()

    def _judge(self, symbol: str, at_ns: int) -> None:
        """Whether all its books are proven, from now on."""
        proven = [is_proven for name, is_proven in self._books.items() if name.symbol == symbol]
        if symbol in self._wanted and proven and all(proven):
            self._synced.setdefault(symbol, max(at_ns, self._wanted[symbol]))
        elif symbol in self._synced:
            self._add_span("synced_ns", symbol, self._synced.pop(symbol), at_ns)

    # --- cores and holes ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """As the core stands now."""
        self._since_ns = self.at_ns
        self._turned.clear()
        self._look()

    def _go_behind(self, behind_ns: int) -> None:
        """If inputs are missing before this moment, what was until the last one is over."""
        if len(self._player.holes) > self._holes:
            self._note_holes(self.at_ns, behind_ns)
        if self._player.core is not self._core:
            self._close(self.at_ns)
            self._core = self._player.core
            self.at_ns = behind_ns
            self._begin()

    def _close(self, at_ns: int) -> None:
        self._books.clear()
        for symbol in list(self._wanted):
            self._add_span("wanted_ns", symbol, self._wanted.pop(symbol), at_ns)
            self._judge(symbol, at_ns)
        for begin, length in _split(*self._clip(self._since_ns, at_ns)):
            self._day(begin).recorded_ns += length

    def _note_holes(self, before_ns: int, behind_ns: int) -> None:
        """Those that were found since, but for one that ends at the first line: what was before is another segment."""
        head, holes = self._head, self._player.holes
        for hole in holes[self._holes :]:
            is_within = hole.last >= hole.first and hole.last != head.n
            is_cut_off = hole.first == 1  # what was before was not to be here
            if is_within and not is_cut_off and self._from_ns <= behind_ns < self._to_ns:
                moments = (before_ns, behind_ns)
                self._lost.append(
                    Lost(run=head.run, first=hole.first, last=hole.last, reason=hole.reason, received_ns=moments)
                )
        self._holes = len(holes)

    # --- sums ---------------------------------------------------------------------------------------------------------

    def _count(self, event: Any, at_ns: int) -> None:
        if isinstance(event, Disconnected):
            if not event.planned:
                _increase(self._day(at_ns).disconnects, event.reason)
            return
        if not isinstance(event, BookInvalidated | BookResynced | BookQuarantined | Stalled | Backfilled | Gap):
            return
        found = self._symbol(at_ns, event.symbol)
        if isinstance(event, BookInvalidated):
            _increase(found.invalidated, event.reason)
        elif isinstance(event, BookResynced):
            found.resyncs += 1
        elif isinstance(event, BookQuarantined):
            found.quarantines += 1
        elif isinstance(event, Stalled):
            _increase(found.stalls, event.of)
        elif isinstance(event, Backfilled):
            found.backfilled += event.count
        else:
            given = {name: getattr(event, name) for name in ("of", "reason", "interval", "first", "last", "count")}
            found.gaps.append(MissedEvents(**given, received_ns=at_ns))

    def _add_span(self, name: str, symbol: str, since: int, until: int) -> None:
        for begin, length in _split(*self._clip(since, until)):
            found = self._symbol(begin, symbol)
            setattr(found, name, getattr(found, name) + length)

    def _clip(self, since: int, until: int) -> tuple[int, int]:
        return max(since, self._from_ns), min(until, self._to_ns)

    def _day(self, at_ns: int) -> Day:
        day = at_ns // _DAY_NS
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = Day(day=_day_text(day))
        return found

    def _symbol(self, at_ns: int, symbol: str | None) -> SymbolDay:
        key = at_ns // _DAY_NS, symbol
        found = self._symbols.get(key)
        if found is None:
            found = self._symbols[key] = SymbolDay(day=_day_text(key[0]), symbol=symbol)
        return found


def _shown(core: Core) -> Iterable[tuple[_BookName, bool]]:
    """The books that a core shows its readers, and whether each is proven; of one that only looks on, all."""
    found = [
        (placement.session.name, core.shown_book(placement))
        for key, placement in core.placements().items()
        if key.channel == "book"
    ]
    if not found:
        found = [(session.name, session.books.get(symbol)) for session in core.sessions for symbol in session.books]
    for connection, state in found:
        if state is not None:
            yield _BookName(group_of(connection), state.symbol, state.depth), state.status == "synced"


def _name(event: Any) -> _BookName:
    return _BookName(group_of(event.connection), event.symbol, event.depth)


def _increase(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _split(since: int, until: int) -> Iterable[tuple[int, int]]:
    """A span day by day: where it begins, how long it is."""
    while since < until:
        day = since // _DAY_NS
        end = min(until, (day + 1) * _DAY_NS)
        yield since, end - since
        since = end


def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
