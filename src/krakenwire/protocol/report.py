"""What a run amounts to: counters, and two digests that say whether two runs were the same.

`state_digest` is the SHA-256 over the final books; `event_digest` over the events in order, without any time of ours
(nor `n`, which counts the deadlines that our clock brought in between). Both are the same for the same input, on every
run and on both kernels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from krakenwire.book import BookUpdate, update_texts
from krakenwire.events import (
    CallbackFailed,
    CallbackSlow,
    Event,
    JournalPaused,
    JournalResumed,
    JournalStopped,
    LoopStalled,
    ReadingPaused,
    ReadingResumed,
    RunResumed,
)
from krakenwire.protocol.core import Core
from krakenwire.protocol.statistics import Statistics

__all__ = ["EventLog", "LogState", "Report", "make_report", "state_digest"]

_OURS = frozenset(
    {
        *("stamp", "n", "url", "took_ns", "downtime_ns", "retry_after_ns"),
        *("silent_ns", "limit_ns", "stalled_ns", "paused_ns", "time_in", "time_out"),
    }
)
"""Fields that hold times of this run, what depends on them, or an address of ours: they differ from run to run."""

_OF_THIS_MACHINE = (
    *(LoopStalled, ReadingPaused, ReadingResumed, CallbackFailed, CallbackSlow),
    *(JournalPaused, JournalResumed, JournalStopped, RunResumed),
)
"""Events that tell how busy we were, not what came: they are counted, and in no digest."""

_FOLD = 1024
"""Events after which the event digest is folded."""


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


class LogState(NamedTuple):
    """Where a log is, so that another one can go on from there.

    Attributes:
        by_type: events so far.
        folded: the digest as it was last folded; empty before that.
        texts: what came since.
        left: events until it is folded again.
    """

    by_type: dict[str, int]
    folded: bytes
    texts: bytes
    left: int


class EventLog:
    """Counts events and digests them, batch by batch, in order.

    The digest is SHA-256 over the events' texts, folded: after every so many events it begins anew with what it was
    by then. So little is needed to go on from any event: that, and the texts since (`dump`).

    Args:
        state: of the log to go on from.
    """

    def __init__(self, state: LogState | None = None) -> None:
        state = LogState({}, b"", b"", _FOLD) if state is None else state
        self.by_type: Counter[str] = Counter(state.by_type)
        self._folded = state.folded
        self._texts = [state.texts]
        self._left = state.left
        self._digest = hashlib.sha256(state.folded)
        self._digest.update(state.texts)

    def add(self, events: Iterable[Event]) -> None:
        """The next events."""
        events = events if isinstance(events, list) else list(events)
        at, end = 0, len(events)
        while at < end:
            event = events[at]
            kind = type(event)
            if kind is BookUpdate:
                before = at
                text, at = update_texts(events, at, min(end, at + self._left))
                self.by_type["BookUpdate"] += at - before
                self._take(text, at - before)
                continue
            at += 1
            self.by_type[kind.__name__] += 1
            if not isinstance(event, _OF_THIS_MACHINE):
                fields = _encode({key: value for key, value in _fields(event) if key not in _OURS})
                self._take(b"\n%b %b" % (kind.__name__.encode(), fields), 1)

    @property
    def count(self) -> int:
        """Events so far."""
        return self.by_type.total()

    def hexdigest(self) -> str:
        """The digest of all events so far."""
        return self._digest.hexdigest()

    def dump(self) -> LogState:
        """Where it is."""
        return LogState(dict(self.by_type), self._folded, b"".join(self._texts), self._left)

    def _take(self, text: bytes, events: int) -> None:
        self._digest.update(text)
        self._left -= events
        if self._left:
            self._texts.append(text)
            return
        self._folded = self._digest.digest()
        self._digest = hashlib.sha256(self._folded)
        self._texts.clear()
        self._left = _FOLD


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
