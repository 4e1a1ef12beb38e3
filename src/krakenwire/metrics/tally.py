"""Lifecycle events, counted: they are few, so that each is looked at when it happens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from krakenwire.events import (
    Backfilled,
    BookAudited,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    CallbackFailed,
    CallbackSlow,
    Disconnected,
    ExchangeError,
    Gap,
    LeaderChanged,
    LoopStalled,
    Message,
    ReadingPaused,
    ReadingResumed,
    Recovered,
    Stalled,
    SubscribeRejected,
)
from krakenwire.latency import LatencyRecorder
from krakenwire.protocol.wire.requests import CHANNELS

__all__ = ["Labels", "Tally", "kind_of_reader"]

Labels = tuple[str, ...]

_REASONS = ("checksum", "crossed", "timestamp", "precision", "disconnected")
_ZEROS: dict[str, Iterable[Labels]] = {
    "audit_wrong_levels": [(method,) for method in ("mirror", "rest", "snapshot")],
    "audited_levels": [(method,) for method in ("mirror", "rest", "snapshot")],
    "backfilled": list(product(("trade", "ohlc"), ("rest", "snapshot", "mirror", "late"))),
    "book_invalidated": [(reason,) for reason in _REASONS],
    "book_quarantined": [()],
    "callback_failures": [],
    "callback_slow": [],
    "disconnects": [],
    "exchange_errors": [()],
    "gap_events": [(channel,) for channel in CHANNELS],
    "gaps": [(channel,) for channel in CHANNELS],
    "leader_changes": [("disconnected",)],
    "loop_stalled_ns": [()],
    "loop_stalls": [()],
    "reading_paused_ns": [],
    "reading_pauses": [],
    "recovered": list(product(CHANNELS, ("itself", "resubscribe", "reconnect"))),
    "stalls": [(channel,) for channel in CHANNELS],
    "subscriptions_rejected": [(channel,) for channel in CHANNELS],
}
"""What is 0 from the start: for a counter that first appears as 1, Prometheus sees no increase."""


_NUMBER = re.compile(r" #[0-9]+\Z")


def kind_of_reader(name: str) -> str:
    """A reader's name without the number that ends a made-up one.

    With it each new reader would be a new series, for as long as Prometheus keeps them. So readers that were given no
    name share the series of their kind.
    """
    return _NUMBER.sub("", name)


class Tally:
    """Counts of lifecycle events: by the name of a metric without its prefix, then by the values of its labels.

    Attributes:
        counts: `counts["stalls"]["book",]`.
        resync: how long books took to be proven again.
    """

    def __init__(self, *, per_symbol: bool = False) -> None:
        self.counts = {name: Counter(dict.fromkeys(labels, 0)) for name, labels in _ZEROS.items()}
        self.resync = LatencyRecorder()
        self._per_symbol = per_symbol
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            Backfilled: lambda e: self._add("backfilled", e.of, e.how, by=e.count),
            BookAudited: self._audited,
            BookInvalidated: self._invalidated,
            BookQuarantined: lambda _: self._add("book_quarantined"),
            BookResynced: lambda e: self.resync.record(e.took_ns),
            CallbackFailed: lambda e: self._add("callback_failures", kind_of_reader(e.reader)),
            CallbackSlow: lambda e: self._add("callback_slow", kind_of_reader(e.reader)),
            Disconnected: lambda e: self._add("disconnects", e.connection),
            ExchangeError: lambda _: self._add("exchange_errors"),
            Gap: self._gap,
            LeaderChanged: lambda e: self._add("leader_changes", e.reason),
            LoopStalled: self._loop_stalled,
            ReadingPaused: lambda e: self._add("reading_pauses", e.connection),
            ReadingResumed: lambda e: self._add("reading_paused_ns", e.connection, by=e.paused_ns),
            Recovered: lambda e: self._add("recovered", e.of, e.by),
            Stalled: lambda e: self._add("stalls", e.of),
            SubscribeRejected: lambda e: self._add("subscriptions_rejected", e.of or "unknown"),
        }

    def see(self, event: Message) -> None:
        """Count a lifecycle event."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def copy_counts(self) -> dict[str, Counter[Labels]]:
        """The counts as they are now."""
        return {name: counts.copy() for name, counts in self.counts.items()}

    def _add(self, name: str, *labels: str, by: int = 1) -> None:
        self.counts.setdefault(name, Counter())[labels] += by

    def _audited(self, event: BookAudited) -> None:
        self._add("audited_levels", event.method, by=event.levels)
        self._add("audit_wrong_levels", event.method, by=event.wrong)

    def _invalidated(self, event: BookInvalidated) -> None:
        self._add("book_invalidated", event.reason)
        if self._per_symbol:
            self._add("symbol_book_invalidated", event.symbol, event.reason)

    def _gap(self, event: Gap) -> None:
        self._add("gaps", event.of)
        self._add("gap_events", event.of, by=event.count or 0)
        if self._per_symbol:
            self._add("symbol_gaps", event.symbol or "", event.of)

    def _loop_stalled(self, event: LoopStalled) -> None:
        self._add("loop_stalls")
        self._add("loop_stalled_ns", by=event.stalled_ns)
