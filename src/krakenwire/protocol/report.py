"""What a run amounts to: counters, and two digests that say whether two runs were the same.

`state_digest` is the SHA-256 over the final books; `event_digest` over the events in order, without any time of ours
(nor `n`, which counts the deadlines that our clock brought in between). Both are the same for the same input, on every
run and on both kernels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from krakenwire.book import BookUpdate
from krakenwire.events import CallbackFailed, CallbackSlow, Event, LoopStalled, ReadingPaused, ReadingResumed
from krakenwire.protocol.core import Core
from krakenwire.protocol.statistics import Statistics

__all__ = ["EventLog", "Report", "make_report", "state_digest"]

_OURS = frozenset(
    {
        *("stamp", "n", "url", "took_ns", "downtime_ns", "retry_after_ns"),
        *("silent_ns", "limit_ns", "stalled_ns", "paused_ns", "time_in", "time_out"),
    }
)
"""Fields that hold times of this run, what depends on them, or an address of ours: they differ from run to run."""

_OF_THIS_MACHINE = (LoopStalled, ReadingPaused, ReadingResumed, CallbackFailed, CallbackSlow)
"""Events that tell how busy we were, not what came: they are counted, and in no digest."""


class Report(Statistics, frozen=True, kw_only=True):
    """The figures of one run: its statistics, and these.

    Attributes:
        events: events given out.
        by_type: events by their class.
        seconds: how long the run took.
        frames_per_second: frames over seconds.
        state_digest, event_digest: see the module.
    """

    events: int
    by_type: dict[str, int]
    seconds: float
    frames_per_second: float
    state_digest: str
    event_digest: str

    @property
    def sound(self) -> bool:
        """Nothing was found wrong with any book, and every frame was valid."""
        return not (self.mismatched or self.crossed or self.backwards or self.undecodable)


class EventLog:
    """Counts events and digests them, batch by batch, in order."""

    def __init__(self) -> None:
        self.by_type: Counter[str] = Counter()
        self._digest = hashlib.sha256()

    def add(self, events: Iterable[Event]) -> None:
        """The next events."""
        update = self._digest.update
        for event in events:
            name = type(event).__name__
            self.by_type[name] += 1
            if isinstance(event, _OF_THIS_MACHINE):
                continue
            if isinstance(event, BookUpdate):
                update(f"\n{name} {event.seq} {event.symbol} {event.outcome} {' '.join(event.bbo_text())} ".encode())
                update(event.frame)
            else:
                update(f"\n{name} ".encode())
                update(_encode({key: value for key, value in _fields(event) if key not in _OURS}))

    @property
    def count(self) -> int:
        """Events so far."""
        return self.by_type.total()

    def hexdigest(self) -> str:
        """The digest of all events so far."""
        return self._digest.hexdigest()


def state_digest(core: Core) -> str:
    """SHA-256 over the sorted final books: symbol, depth, synced, side and canonical levels; no times."""
    books = [
        (state.symbol, state.depth, state)
        for session in core.sessions
        for state in map(session.books.get, session.books)
        if state is not None
    ]
    digest = hashlib.sha256()
    for symbol, depth, state in sorted(books, key=lambda book: book[:2]):
        digest.update(f"book {symbol} {depth} {state.status == 'synced'}\n".encode())
        for side in ("bids", "asks"):
            digest.update(f"{side}\n".encode())
            for price, qty in state.canonical(side):
                digest.update(f"{price} {qty}\n".encode())
    return digest.hexdigest()


def make_report(core: Core, log: EventLog, seconds: float) -> Report:
    """The report of a run that took `seconds`."""
    return Report(
        **msgspec.structs.asdict(core.statistics()),
        events=log.count,
        by_type=dict(sorted(log.by_type.items())),
        seconds=round(seconds, 6),
        frames_per_second=round(core.frames / seconds, 1) if seconds > 0 else 0.0,
        state_digest=state_digest(core),
        event_digest=log.hexdigest(),
    )


def _fields(event: Any) -> Iterable[tuple[str, Any]]:
    return ((name, getattr(event, name)) for name in event.__struct_fields__)


def _encode(fields: dict[str, Any]) -> bytes:
    return _ENCODER.encode(fields)


_ENCODER = msgspec.json.Encoder(decimal_format="string", order="sorted")
