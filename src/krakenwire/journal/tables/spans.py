"""What was the case for a while: books synced or not, connections down, subscriptions mute."""

from __future__ import annotations

from typing import Any

from krakenwire.book import BookUpdate
from krakenwire.events import (
    BookInvalidated,
    BookQuarantined,
    Connected,
    Disconnected,
    Gap,
    Recovered,
    Stalled,
    Subscribed,
    Unsubscribed,
)
from krakenwire.journal.tables.following import BookName, published
from krakenwire.journal.tables.schema import BookSpan, Missing
from krakenwire.journal.tables.sinks import Beginning, Sink, Symbols
from krakenwire.protocol.mirror.mirror import group_of

__all__ = ["BookSpans", "Gaps"]

_NO_SNAPSHOT = "no snapshot yet"
_PROVEN = ("verified", "unproven")


class BookSpans(Sink):
    """When each book was synced, and when not and why."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self._since: dict[BookName, tuple[str, int]] = {}
        """Why each book is not synced (empty: it is), and since when."""
        self._names: dict[tuple[str, str, int], BookName] = {}
        self.handlers = {
            BookUpdate: self._take,
            BookInvalidated: self._invalidate,
            BookQuarantined: self._quarantine,
            Subscribed: self._await,
            Unsubscribed: self._drop,
        }

    def begin(self, beginning: Beginning) -> None:
        """As of `Sink`."""
        at_ns = beginning.at_ns
        now = {name: (state.status, state.reason) for name, state in published(beginning.core).items()}
        for name in sorted(self._since.keys() - now.keys()):
            if beginning.hole is None:
                why, since = self._since.pop(name)
                self._add(name, why, since, at_ns)
            else:
                self._turn(name, beginning.hole, at_ns)
        for name, (status, reason) in sorted(now.items()):
            if beginning.hole is not None:
                self._turn(name, beginning.hole, at_ns)  # of a length that is not known: it may be none
            why = "" if status == "synced" else _NO_SNAPSHOT if status == "empty" else reason
            self._turn(name, why, at_ns)

    def end(self, at_ns: int) -> None:
        """As of `Sink`."""
        for name, (why, since) in sorted(self._since.items()):  # in whatever order they came to be known
            self._add(name, why, since, at_ns, is_open=True)
            self._since[name] = why, at_ns

    def _take(self, update: BookUpdate) -> None:
        if update.outcome in _PROVEN:
            key = (update.connection, update.symbol, update.depth)
            name = self._names.get(key)
            if name is None:
                name = self._names[key] = _name(update)
            known = self._since.get(name)
            if known is None or known[0]:
                self._turn(name, "", update.received_ns)

    def _invalidate(self, event: BookInvalidated) -> None:
        self._turn(_name(event), event.reason, event.received_ns)

    def _quarantine(self, event: BookQuarantined) -> None:
        self._turn(_name(event), "quarantined", event.received_ns)

    def _await(self, event: Subscribed) -> None:
        if event.of == "book" and event.symbol is not None and event.depth is not None:
            name = _name(event)
            if name not in self._since:
                self._turn(name, _NO_SNAPSHOT, event.received_ns)

    def _drop(self, event: Unsubscribed) -> None:
        if event.of == "book":
            for name in list(self._since):
                if name[:2] == (group_of(event.connection), event.symbol) and event.depth in (None, name.depth):
                    self._close(name, event.received_ns)

    def _turn(self, name: BookName, why: str, at_ns: int) -> None:
        if self._symbols is not None and name.symbol not in self._symbols:
            return
        known = self._since.get(name)
        if known is None:
            self._since[name] = why, at_ns
        elif known[0] != why:
            self._close(name, at_ns)
            self._since[name] = why, at_ns

    def _close(self, name: BookName, at_ns: int) -> None:
        why, since = self._since.pop(name)
        self._add(name, why, since, at_ns, is_told=bool(why))  # however soon it was over

    def _add(
        self, name: BookName, why: str, since: int, at_ns: int, *, is_open: bool = False, is_told: bool = False
    ) -> None:
        if at_ns > since or is_told:
            self.rows.append(
                BookSpan(
                    symbol=name.symbol,
                    depth=name.depth,
                    status="unsynced" if why else "synced",
                    reason=why,
                    begin_ns=since,
                    end_ns=at_ns,
                    is_open=is_open,
                )
            )


class Gaps(Sink):
    """All that is missing.

    Args:
        symbols: of whose streams; what concerns all of them (outages, missing inputs) is always told.
    """

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self._books = BookSpans(symbols)
        self._down: dict[str, Disconnected] = {}
        self._down_since: dict[str, int] = {}
        self._mute: dict[tuple[Any, ...], tuple[Stalled, int]] = {}
        self._begin_ns = 0
        self.handlers = {
            Gap: self._lose,
            Disconnected: self._disconnect,
            Connected: self._connect,
            Stalled: self._stall,
            Recovered: self._recover,
        }
        self.handlers |= self._books.handlers

    def begin(self, beginning: Beginning) -> None:
        """As of `Sink`."""
        self._books.begin(beginning)
        self._end_outages(beginning.at_ns, is_open=False)
        self._down.clear()
        self._mute.clear()

    def end(self, at_ns: int) -> None:
        """As of `Sink`."""
        self._books.end(at_ns)
        self._end_outages(at_ns, is_open=True)
        for key, (event, since) in self._mute.items():
            self._add_stall(event, since, at_ns, event.evidence, is_open=True)
            self._mute[key] = event, at_ns
        self._begin_ns = at_ns

    def miss(self, row: Missing) -> None:
        """Something of the journal itself is missing."""
        self.rows.append(row)

    def take(self) -> list[Any]:
        """As of `Sink`."""
        self._take_books()
        return super().take()

    def _take_books(self) -> None:
        for span in self._books.take():
            if span.status == "unsynced" and span.reason != _NO_SNAPSHOT:
                self.rows.append(
                    Missing(
                        kind="unsynced",
                        of="book",
                        symbol=span.symbol,
                        depth=span.depth,
                        begin_ns=span.begin_ns,
                        end_ns=span.end_ns,
                        is_open=span.is_open,
                        reason=span.reason,
                    )
                )

    def _lose(self, gap: Gap) -> None:
        if self._wants(gap.symbol):
            self.rows.append(
                Missing(
                    kind="gap",
                    of=gap.of,
                    symbol=gap.symbol,
                    interval=gap.interval,
                    connection=gap.connection or None,
                    begin_ns=gap.received_ns,
                    end_ns=gap.received_ns,
                    first=gap.first,
                    last=gap.last,
                    count=gap.count,
                    reason=gap.reason,
                )
            )

    def _disconnect(self, event: Disconnected) -> None:
        if event.connection not in self._down:
            self._down[event.connection] = event
            self._down_since[event.connection] = event.received_ns

    def _connect(self, event: Connected) -> None:
        was = self._down.pop(event.connection, None)
        if was is not None:
            self._add_outage(was, self._down_since[was.connection], event.received_ns, is_open=False)

    def _end_outages(self, at_ns: int, *, is_open: bool) -> None:
        for event in self._down.values():
            if not event.planned:  # of one that we closed, nothing is missing while it is not opened again
                self._add_outage(event, self._down_since[event.connection], at_ns, is_open=is_open)
                self._down_since[event.connection] = at_ns

    def _add_outage(self, event: Disconnected, since: int, at_ns: int, *, is_open: bool) -> None:
        if at_ns > since:
            self.rows.append(
                Missing(
                    kind="outage",
                    connection=event.connection,
                    begin_ns=since,
                    end_ns=at_ns,
                    is_open=is_open,
                    reason=event.reason,
                )
            )

    def _stall(self, event: Stalled) -> None:
        if self._wants(event.symbol):
            since = max(event.received_ns - event.silent_ns, self._begin_ns)
            self._mute.setdefault(_stream(event), (event, since))

    def _recover(self, event: Recovered) -> None:
        if self._wants(event.symbol):
            known = self._mute.pop(_stream(event), None)
            since = max(event.received_ns - event.stalled_ns, self._begin_ns) if known is None else known[1]
            self._add_stall(event, since, event.received_ns, event.by if known is None else known[0].evidence)

    def _add_stall(
        self, event: Stalled | Recovered, since: int, at_ns: int, reason: str, *, is_open: bool = False
    ) -> None:
        if at_ns > since:
            self.rows.append(
                Missing(
                    kind="stalled",
                    of=event.of,
                    symbol=event.symbol,
                    depth=event.depth,
                    interval=event.interval,
                    connection=event.connection,
                    begin_ns=since,
                    end_ns=at_ns,
                    is_open=is_open,
                    reason=reason,
                )
            )

    def _wants(self, symbol: str | None) -> bool:
        return self._symbols is None or symbol is None or symbol in self._symbols


def _stream(event: Stalled | Recovered) -> tuple[Any, ...]:
    return event.connection, event.of, event.symbol, event.depth, event.interval


def _name(event: Any) -> BookName:
    return BookName(group_of(event.connection), event.symbol, event.depth)
