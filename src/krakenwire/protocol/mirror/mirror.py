"""A mirror: every connection twice, so that the end of one, or what is wrong on it, is no loss to any reader.

The second connection of a pair is called as the first one, with a `~` behind it. Both have the same subscriptions and
keep whole books of their own; see `Pair` for what is shown of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from krakenwire.events import Ohlc, Stamp
from krakenwire.protocol.books.bookkeeper import BookKeeper
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.mirror.pair import Pair
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.session import Session
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["MIRRORED", "Mirror", "group_of"]

MIRRORED = "~"
"""What the name of a pair's second connection ends with."""


def group_of(connection: str) -> str:
    """What both connections of a pair are known by: the name of the first."""
    return connection.removesuffix(MIRRORED)


class Mirror:
    """The pairs of a core.

    Args:
        options: how long one that is behind is waited for.
        out: where events go.
        catalogue: the instruments.
        candles: the continuity of candles, over all connections.
        rng: source of jitter.
    """

    def __init__(
        self, options: Options, out: Outputs, catalogue: Catalogue, candles: Candles, rng: random.Random
    ) -> None:
        self._options = options
        self._out = out
        self._catalogue = catalogue
        self._candles = candles
        self._rng = rng
        self._ends: dict[str, _End] = {}

    # --- pairs come and go ------------------------------------------------------------------------------------------

    def end(self, connection: str) -> tuple[Outputs, Candles]:
        """What a new session of that name writes to."""
        end = self._ends[connection] = _End(self._out, self._candles)
        return end.out, end.candles

    def join(self, first: Session, second: Session) -> None:
        """The two are a pair from now on."""
        keeper = BookKeeper(self._options, self._out, self._catalogue, self._rng, skip_unknown=True)
        pair = Pair(first, second, out=self._out, keeper=keeper, candles=self._candles, wait=self._options.mirror_wait)
        for session in pair.sessions:
            self._ends[session.name].join(pair, session)

    def forget(self, session: Session) -> None:
        """It is no more."""
        end = self._ends.pop(session.name)
        self._collect(end)

    def pair(self, session: Session) -> Pair:
        """The pair that a session belongs to."""
        return self._ends[session.name].pair

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs."""
        return tuple({id(end.pair): end.pair for end in self._ends.values()}.values())

    def is_retired(self, session: Session) -> bool:
        """Whether neither connection of the pair is wanted any more."""
        return all(each.retired for each in self.pair(session).sessions)

    # --- inputs -----------------------------------------------------------------------------------------------------

    def collect(self) -> None:
        """Show what the sessions told since."""
        for end in self._ends.values():
            if end.out.events:
                self._collect(end)

    def collect_from(self, connection: str) -> None:
        """Show what one session told since."""
        end = self._ends[connection]
        events = end.out.events
        if len(events) == 1:  # as of nearly every frame
            end.pair.take(end.session, events.pop())
        elif events:
            self._collect(end)

    def give_way(self, session: Session, now: Stamp, n: int) -> None:
        """`session` is about to end by our own wish."""
        self.pair(session).give_way(session, "planned", now, n)

    def in_turn(self, sessions: Iterable[Session]) -> list[Session]:
        """In the order in which they are best opened anew: of each pair first the one that leads less."""
        return sorted(sessions, key=lambda session: self.pair(session).leader is session)

    def set_precision(self, symbol: str) -> None:
        """The instrument's precisions of `symbol` came in."""
        for pair in self.pairs:
            pair.books.set_precision(symbol)

    def handle_deadline(self, now: Stamp, n: int) -> None:
        """Time has come to `now`."""
        for pair in self.pairs:
            pair.books.handle_deadline(now, n)

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is due, or None."""
        deadlines = (pair.books.next_deadline() for pair in self.pairs)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _collect(self, end: _End) -> None:
        events = end.out.events.copy()
        end.out.events.clear()
        for event in events:
            end.pair.take(end.session, event)


class _End:
    """One connection of a pair: what its session writes to."""

    pair: Pair
    session: Session

    def __init__(self, out: Outputs, candles: Candles) -> None:
        self.out = _Aside(out)
        self.candles = _MergedCandles(candles)

    def join(self, pair: Pair, session: Session) -> None:
        self.pair = self.candles.pair = pair
        self.session = self.candles.session = session


class _Aside(Outputs):
    """Outputs of a session whose events are looked through before they are shown; all else goes its usual way."""

    __slots__ = ("_all",)

    def __init__(self, out: Outputs) -> None:
        self.events = []
        self._all = out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)  # `actions` is another list after every input


class _MergedCandles(Candles):
    """The candles of one connection of a pair: those of both are one stream."""

    pair: Pair
    session: Session

    def __init__(self, candles: Candles) -> None:
        self._candles = candles
        self.touched = []

    def receive(self, candle: Ohlc) -> None:
        self.pair.merge(self.session, candle)
        self.touched = self._candles.touched

    def end_frame(self, stamp: Stamp, n: int) -> None:
        self._candles.end_frame(stamp, n)
        self.touched = []

    def interrupt(self, symbol: str | None, interval: int | None) -> None:
        if not self.pair.serves(self.session, "ohlc", symbol, interval):
            self._candles.interrupt(symbol, interval)

    def forget(self, symbol: str | None, interval: int | None) -> None:
        others = self.pair.other(self.session).table.of("ohlc", symbol)
        if not any(sub.key.interval == interval for sub in others):
            self._candles.forget(symbol, interval)
