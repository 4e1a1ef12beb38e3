"""Days of a stream in seconds: only its gaps are real, everything else is as small as it can be."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from krakenwire.book import BookState, format_timestamp, parse_timestamp
from krakenwire.events import Stamp
from krakenwire.protocol.liveness.findings import Ask, Finding, Inquire, Stall
from krakenwire.protocol.liveness.liveness import Liveness
from krakenwire.protocol.options import Options
from krakenwire.protocol.subscriptions import Key, SubscriptionTable
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["Day", "Gaps", "recorded_gaps"]

S = 1_000_000_000
_UTC = 1_800_000_000 * S
Gaps = Callable[[float], float]
"""The next gap in seconds, at a time of day in seconds."""


class _Book:
    """What liveness sees of a book: when it last spoke, and what it holds."""

    status = "synced"

    def __init__(self) -> None:
        self.version = 0
        self.exchange_ns = _UTC
        self.stamp = Stamp("public", 0, 0, 0)
        self.n = 0

    def canonical(self, _side: str) -> list[tuple[str, str]]:
        return [(str(self.version), "")]


class _Stream:
    def __init__(self, key: Key, gaps: Gaps) -> None:
        self.key = key
        self.gaps = gaps
        self.book = _Book()
        self.next_at = 0
        self.is_mute = False
        self.is_subscribed = False
        self.untold_at: int | None = None
        """When the first message came that a mute stream should have told."""
        self.changes: deque[int] = deque(maxlen=1000)
        """When something changed, by the exchange's clock: REST knows."""
        self.left_at = 0
        self.true_version = 0
        self.true_ns = _UTC


class Day:
    """Streams with gaps of their own, watched over by a `Liveness`.

    Attributes:
        found: everything found, with its time in seconds.
    """

    def __init__(self, streams: dict[str, Gaps], *, rtt: float = 0.08, **options: Any) -> None:
        self.now = S
        self.table = SubscriptionTable(100)
        self.liveness = Liveness(Options(**options), Catalogue(), self.table)
        self.streams: dict[Key, _Stream] = {}
        self.found: list[tuple[float, Finding]] = []
        self._rtt = round(rtt * S)
        self._answers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        for symbol, gaps in streams.items():
            key = Key("book", symbol, 10)
            stream = self.streams[key] = _Stream(key, gaps)
            self.table.want(key)
            stream.next_at = self.now + round(gaps(0.0) * S)
            self._subscribed(stream)

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> None:
        """Let time pass, sweep by sweep."""
        goal = self.now + round(seconds * S)
        while self.now < goal and not (until is not None and until()):
            sweep_at = self.liveness.next_deadline() or goal
            answer_at = self._answers[0][0] if self._answers else goal
            self.now = min(sweep_at, answer_at, goal)
            for stream in self.streams.values():
                if stream.next_at <= self.now:
                    self._speak(stream)
            while self._answers and self._answers[0][0] <= self.now:
                heapq.heappop(self._answers)[2]()
            self.liveness.sweep(self.now, self.now)
            self._follow()

    def told(self, kind: type[Finding]) -> list[tuple[float, Finding]]:
        """What was found of one kind."""
        return [(at, finding) for at, finding in self.found if isinstance(finding, kind)]

    def mute(self, symbol: str) -> _Stream:
        """A stream is silent from now on, until it is subscribed anew."""
        stream = self.streams[Key("book", symbol, 10)]
        stream.is_mute, stream.untold_at = True, None
        return stream

    def _speak(self, stream: _Stream) -> None:
        while stream.next_at <= self.now:
            at = stream.next_at
            stream.true_version += 1
            stream.true_ns = _UTC + at
            stream.changes.append(stream.true_ns)
            if stream.is_subscribed and not stream.is_mute:
                self._deliver(stream, at)
            elif stream.is_mute and stream.untold_at is None:
                stream.untold_at = at
            stream.next_at = at + max(round(stream.gaps(at / S % 86_400) * S), 1)

    def _deliver(self, stream: _Stream, at: int) -> None:
        stream.book.version, stream.book.exchange_ns = stream.true_version, stream.true_ns
        stream.book.stamp = Stamp("public", 0, at, at)
        stream.book.n += 1

    def _follow(self) -> None:
        found, self.liveness.found = self.liveness.found, []
        for finding in found:
            self.found.append((self.now / S, finding))
            stream = self.streams[finding.key]
            if isinstance(finding, Inquire):
                if any(finding.after_ns < change < finding.before_ns for change in stream.changes):
                    self.liveness.confirm(finding)
            elif isinstance(finding, Ask) or (isinstance(finding, Stall) and finding.renew):
                self.table.renew(finding.key, self.now)
                self.table.sent(next(self._order), "unsubscribe", [self.table.want(finding.key)], self.now)
                self._later(self._rtt // 2, lambda stream=stream: self._leave(stream))  # type: ignore[misc]

    def _later(self, ns: int, work: Callable[[], None]) -> None:
        heapq.heappush(self._answers, (self.now + ns, next(self._order), work))

    def _leave(self, stream: _Stream) -> None:
        """The exchange ends the subscription; its word for it is half a round trip away."""
        stream.is_subscribed = stream.is_mute = False
        stream.left_at = self.now
        ack = self._ack("unsubscribe", stream)

        def told() -> None:
            self.liveness.left(stream.key, ack)
            self.table.left(self.table.want(stream.key))
            self._later(self._rtt // 2, lambda: self._subscribed(stream))

        self._later(self._rtt // 2, told)

    def _subscribed(self, stream: _Stream) -> None:
        version, ns = stream.true_version, stream.true_ns
        ack = self._ack("subscribe", stream)

        def told() -> None:
            self.table.active(self.table.want(stream.key))
            self.liveness.subscribed(stream.key, ack, cast("BookState", stream.book), self.now)
            stream.book.version, stream.book.exchange_ns = version, ns
            stream.book.stamp = Stamp("public", 0, self.now, self.now)
            stream.book.n += 1
            self.liveness.is_same_book(stream.key.symbol or "", self.now)
            stream.is_subscribed = True
            if stream.true_version > version:  # on its way behind the snapshot
                self._deliver(stream, self.now)
            self._follow()

        self._later(self._rtt // 2, told)

    def _ack(self, method: Any, stream: _Stream) -> Ack:
        return Ack(method=method, success=True, symbol=stream.key.symbol, time_in=format_timestamp(_UTC + self.now))


def recorded_gaps(captures: Path) -> dict[str, list[float]]:
    """The gaps between the book messages of every symbol recorded, in seconds, by the exchange's own times."""
    gaps: dict[str, list[float]] = {}
    for name in ("v2_book10_btcusd_2026.frames.jsonl", "v2_book1000_10pairs_reencoded.frames.jsonl", _THIN):
        times: dict[str, list[int]] = {}
        for message in _messages(captures / name):
            if message.get("channel") == "book" and message["type"] == "update":
                data = message["data"][0]
                times.setdefault(data["symbol"], []).append(parse_timestamp(data["timestamp"]))
        for symbol, moments in times.items():
            gaps[symbol] = [(b - a) / S for a, b in itertools.pairwise(sorted(moments)) if b > a]
    return gaps


_THIN = "v2_book25_minagbp_resync_2026.ndjson"


def _messages(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        message = json.loads(line)
        yield message.get("frame", message)


def drawn(gaps: list[float], seed: int) -> Gaps:
    """Gaps drawn from those that were recorded."""
    rng = random.Random(seed)
    return lambda _at: rng.choice(gaps)
