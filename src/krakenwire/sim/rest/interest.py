"""Which symbols are asked for by REST: these move, as if somebody listened to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from krakenwire.clock import NS_PER_S, Clock, Timer

__all__ = ["INTEREST_NS", "Interest"]

INTEREST_NS: Final = 60 * NS_PER_S
"""So long after it was asked for, a symbol stands still again unless somebody listens to it."""


class Interest:
    """The symbols that were asked for in the last minute.

    Args:
        clock: what the minute is measured on.
        move: is told the symbols whenever they become others.
    """

    def __init__(self, clock: Clock, move: Callable[[Collection[str]], object]) -> None:
        self._clock = clock
        self._move = move
        self._until_ns: dict[str, int] = {}
        self._timer: Timer | None = None

    def note(self, symbols: Iterable[str]) -> None:
        """Somebody asked for these."""
        before = len(self._until_ns)
        until_ns = self._clock.monotonic_ns() + INTEREST_NS
        self._until_ns |= dict.fromkeys(symbols, until_ns)
        if len(self._until_ns) > before:
            self._move(self._until_ns.keys())
        if self._timer is None and self._until_ns:
            self._timer = self._clock.call_at(until_ns, self._forget)

    def _forget(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._until_ns = {symbol: until_ns for symbol, until_ns in self._until_ns.items() if until_ns > now_ns}
        self._move(self._until_ns.keys())
        first_ns = min(self._until_ns.values(), default=None)
        self._timer = None if first_ns is None else self._clock.call_at(first_ns, self._forget)
