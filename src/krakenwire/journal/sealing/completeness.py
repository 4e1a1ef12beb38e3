"""How complete what was recorded is, by symbol and day: what is kept of a segment, and its sum."""

from __future__ import annotations

import msgspec

__all__ = ["Completeness", "Day", "Lost", "MissedEvents", "SymbolDay"]


class MissedEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing of a stream, as a `Gap` told it.

    Attributes:
        of, reason, interval, first, last, count: those of the `Gap`.
        received_ns: when it was told.
    """

    of: str
    reason: str
    interval: int | None
    first: int | None
    last: int | None
    count: int | None
    received_ns: int


class SymbolDay(msgspec.Struct, kw_only=True):
    """How one symbol fared on one day (UTC).

    Attributes:
        day: as in 2026-11-22.
        symbol: None for what concerns no single one.
        messages: events of market data.
        wanted_ns: for how long a book of it was wanted.
        synced_ns: for how long of that all its books that were served were proven.
        invalidated: how often one was not any more, by reason.
        resyncs: how often one was proven again.
        quarantines: how often one was left alone for a while.
        stalls: how often a subscription was mute, by channel.
        backfilled: trades and candles that were fetched after all.
        gaps: what is missing.
    """

    day: str
    symbol: str | None
    messages: int = 0
    wanted_ns: int = 0
    synced_ns: int = 0
    invalidated: dict[str, int] = msgspec.field(default_factory=dict)
    resyncs: int = 0
    quarantines: int = 0
    stalls: dict[str, int] = msgspec.field(default_factory=dict)
    backfilled: int = 0
    gaps: list[MissedEvents] = msgspec.field(default_factory=list)


class Day(msgspec.Struct, kw_only=True):
    """One day (UTC).

    Attributes:
        day: as in 2026-11-22.
        recorded_ns: for how long it was recorded.
        disconnects: how often a connection ended that was not to, by reason.
    """

    day: str
    recorded_ns: int = 0
    disconnects: dict[str, int] = msgspec.field(default_factory=dict)


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs that are not in the journal.

    Attributes:
        run: of which run.
        first, last: their numbers.
        reason: as the recorder told it, or what was found.
        received_ns: of the last input before (0: not known) and the first one behind.
    """

    run: int
    first: int
    last: int
    reason: str
    received_ns: tuple[int, int]


class Completeness(msgspec.Struct, kw_only=True):
    """The sum over a stretch of a journal; each list in order of its days, or moments."""

    days: list[Day] = msgspec.field(default_factory=list)
    symbols: list[SymbolDay] = msgspec.field(default_factory=list)
    lost: list[Lost] = msgspec.field(default_factory=list)

    def add(self, other: Completeness) -> None:
        """What follows."""
        days = {each.day: each for each in self.days}
        for day in other.days:
            _add(days.setdefault(day.day, Day(day=day.day)), day)
        symbols = {(each.day, each.symbol): each for each in self.symbols}
        for symbol in other.symbols:
            known = symbols.setdefault((symbol.day, symbol.symbol), SymbolDay(day=symbol.day, symbol=symbol.symbol))
            _add(known, symbol)
        self.days = [days[name] for name in sorted(days)]
        self.symbols = [symbols[name] for name in sorted(symbols, key=lambda name: (name[0], name[1] or ""))]
        self.lost += [each for each in other.lost if each not in self.lost]


def _add(to: Day | SymbolDay, other: Day | SymbolDay) -> None:
    for name in other.__struct_fields__:
        value = getattr(other, name)
        if isinstance(value, dict):
            counts = getattr(to, name)
            setattr(to, name, {each: counts.get(each, 0) + value.get(each, 0) for each in sorted({*counts, *value})})
        elif isinstance(value, list | int):
            setattr(to, name, getattr(to, name) + value)
