"""Conflation: of what waits, the newest of each kind and symbol; a loss is never hidden."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from krakenwire.events import Asset, Loss
from krakenwire.hub.ring import weigh

__all__ = ["Newest"]

_Key = tuple[type[Any], str | None, object]


class Newest:
    """The newest event of each key, in the order in which they came.

    Args:
        capacity: keys at most.
        capacity_bytes: bytes at most, or None; one event is kept whatever its size.

    Attributes:
        conflated: events that were replaced by a newer one.
    """

    def __init__(self, capacity: int, capacity_bytes: int | None) -> None:
        self.conflated = 0
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._events: OrderedDict[_Key, Any] = OrderedDict()
        self._weight = 0  # kept only where bytes are limited

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._events.values())

    def fold(self, events: list[Any]) -> list[Any]:
        """Take `events` in; what had to be dropped, oldest first."""
        newest: OrderedDict[_Key, Any] = self._events
        dropped: list[Any] = []
        weighs = self._capacity_bytes is not None
        if not weighs and len(newest) + len(events) <= self._capacity:
            events = self._thin_out(events)
        for event in events:
            key = _key(event)
            older = newest.pop(key, None)  # the newest goes to the end: order of arrival holds among what is left
            if older is not None:
                self.conflated += 1
                if weighs:
                    self._weight -= weigh(older)
                if isinstance(older, Loss):
                    event = _both(older, event)  # noqa: PLW2901  # what is kept is both
            elif len(newest) >= self._capacity:
                dropped.append(self._pop())
            newest[key] = event
            if weighs:
                self._weight += weigh(event)
                while len(newest) > 1 and self._weight > self._capacity_bytes:  # type: ignore[operator]  # weighs
                    dropped.append(self._pop())
        return dropped

    def take(self, count: int, *, to_loss: bool) -> list[Any]:
        """At most `count` events, oldest first; with `to_loss`, ending before a loss that is not the first."""
        taken: list[Any] = []
        while self._events and len(taken) < count:
            if to_loss and taken and isinstance(next(iter(self._events.values())), Loss):
                break
            taken.append(self._pop())
            if to_loss and isinstance(taken[0], Loss):
                break
        return taken

    def take_run(self, count: int) -> list[Any]:
        """At most `count` events, oldest first, and no loss among them."""
        taken: list[Any] = []
        while self._events and len(taken) < count:
            if type(next(iter(self._events.values()))) is Loss:
                break
            taken.append(self._pop())
        return taken

    def put_back(self, events: list[Any]) -> None:
        """What was taken last, last first, and nothing came since: it is as if it had not been taken."""
        for event in events:
            key = _key(event)
            self._events[key] = event
            self._events.move_to_end(key, last=False)
            if self._capacity_bytes is not None:
                self._weight += weigh(event)

    def give_back(self, events: Iterable[Any]) -> list[Any]:
        """`events`, the last that were taken, come first again; what had to be dropped for it, oldest first."""
        later = list(self._events.values())
        self.clear()
        return self.fold([*events, *later])

    def clear(self) -> None:
        """Keep nothing."""
        self._events.clear()
        self._weight = 0

    def weight(self) -> int:
        """Bytes of what is kept."""
        return sum(map(weigh, self._events.values()))

    def _thin_out(self, events: list[Any]) -> list[Any]:
        """Only the newest of each symbol, if none of `events` needs more of a look; it saves most of the work."""
        kept: list[Any] = []
        seen: dict[type[Any], set[str | None]] = {}
        for event in reversed(events):
            symbols = seen.get(type(event))
            if symbols is None:
                if not _is_by_symbol(type(event)):
                    return events
                symbols = seen[type(event)] = set()
            if event.symbol not in symbols:
                symbols.add(event.symbol)
                kept.append(event)
        self.conflated += len(events) - len(kept)
        kept.reverse()
        return kept

    def _pop(self) -> Any:
        event = self._events.popitem(last=False)[1]
        if self._capacity_bytes is not None:
            self._weight -= weigh(event)
        return event


def _is_by_symbol(kind: type[Any]) -> bool:
    """Whether of that kind the symbol alone makes the later event replace the earlier."""
    return hasattr(kind, "symbol") and not hasattr(kind, "interval") and kind is not Loss


def _key(event: Any) -> _Key:
    """What of two events makes the later one replace the earlier."""
    kind = type(event)
    if kind is Loss:
        return kind, event.symbol, event.of  # a kind of its own: a loss never hides the news that follow it
    if kind is Asset:
        return kind, event.id, None
    return kind, getattr(event, "symbol", None), getattr(event, "interval", None)


def _both(older: Loss, newer: Loss) -> Loss:
    """Two losses of one stream as one: nothing lost is forgotten."""
    count = None if older.count is None or newer.count is None else older.count + newer.count
    return msgspec.structs.replace(newer, count=count)
