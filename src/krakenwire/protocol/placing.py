"""Where what is asked for is served: on which connection, and by which subscription there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from krakenwire.book import BookState
from krakenwire.book.reasons import MAX_DEPTH, is_symbol
from krakenwire.errors import UsageError
from krakenwire.protocol.connections import MAIN, Connections
from krakenwire.protocol.mirror.mirror import group_of
from krakenwire.protocol.session import Session
from krakenwire.protocol.subscriptions import Key, State

__all__ = ["Placement", "Placing"]


class Placement(NamedTuple):
    """Where a subscription is served: the session, and its identity there (a book may be deeper than asked)."""

    session: Session
    key: Key


class _Placed:
    """A subscription asked for, where it is served, and how many asked."""

    __slots__ = ("count", "placement")

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.count = 0


class Placing:
    """What is asked for, counted, so that many share one subscription at Kraken.

    A smaller depth is served from a larger one already held; a larger one goes to a further connection, as Kraken
    holds one depth per symbol and connection (PROTOCOL 2.4).

    Args:
        connections: those there are; further ones are opened as they are needed.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._placed: dict[Key, _Placed] = {}
        self._serving: Counter[Placement] = Counter()

    def subscribe(self, keys: Sequence[Key]) -> list[Placement]:
        """As `Core.subscribe`."""
        for key in keys:
            if key.depth is not None and not (is_symbol(key.symbol) and 1 <= key.depth <= MAX_DEPTH):
                raise UsageError(f"there can be no book of {key.symbol!r} with a depth of {key.depth}")
        mirror = self._connections.mirror
        placements: list[Placement] = []
        for key in keys:
            placed = self._placed.get(key)
            if placed is None:
                placed = self._placed[key] = _Placed(self._place(key))
                self._serving[placed.placement] += 1
            elif self._connections.is_retired(placed.placement.session):
                placement = self._place(key)
                self._release(placed.placement)
                placed.placement = placement
                self._serving[placement] += 1
            placed.count += 1
            session, served = placed.placement
            if mirror is None:
                session.subscribe(served)
            else:
                mirror.pair(session).subscribe(served)
            placements.append(placed.placement)
        return placements

    def unsubscribe(self, keys: Sequence[Key]) -> None:
        """As `Core.unsubscribe`."""
        mirror = self._connections.mirror
        for key in keys:
            placed = self._placed.get(key)
            if placed is None:
                raise UsageError(f"{key} is not subscribed")
            placed.count -= 1
            if placed.count:
                continue
            del self._placed[key]
            session, served = placed.placement
            if self._release(placed.placement) and not self._connections.is_retired(session):
                if mirror is None:
                    session.unsubscribe(served)
                else:
                    mirror.pair(session).unsubscribe(served)
                self._connections.retire_if_idle(session)

    def is_active(self, placement: Placement) -> bool:
        """As `Core.is_active`."""
        session, key = placement
        if self._connections.mirror is not None:
            return self._connections.mirror.pair(session).is_active(key)
        sub = session.table.get(key)
        return sub is not None and sub.state is State.ACTIVE

    def placements(self) -> dict[Key, Placement]:
        """As `Core.placements`."""
        return {key: placed.placement for key, placed in self._placed.items()}

    def book(self, placement: Placement) -> BookState | None:
        """As `Core.book`."""
        session, key = placement
        if self._connections.mirror is not None:
            return self._connections.mirror.pair(session).books.hold(key)
        return session.keeper.hold(key)

    def shown_book(self, placement: Placement) -> BookState | None:
        """As `Core.shown_book`."""
        session, key = placement
        if key.channel != "book" or key.symbol is None:
            return None
        if self._connections.mirror is not None and session.name in self._connections.sessions:
            return self._connections.mirror.pair(session).books.shown(key.symbol)
        return session.books.get(key.symbol)

    def _place(self, key: Key) -> Placement:
        connections = self._connections
        main = connections.sessions.get(MAIN)
        if main is None or connections.is_retired(main):
            raise UsageError(
                "the client is not connected; use `async with Client() as kraken:` or `await kraken.connect()`"
            )
        if key.channel not in ("book", "ticker"):
            return Placement(main, key)
        fitting: Session | None = None
        for session in connections.sessions.values():
            if connections.is_retired(session) or session.name != group_of(session.name):
                continue
            held = connections.held(session, key)
            if not held:
                fitting = fitting or session
                continue
            # One that is about to end is wanted again, but a deeper one is not kept for a smaller depth.
            serving = next((sub for sub in held if sub.key == key or (sub.desired and _serves(sub.key, key))), None)
            if serving is not None:
                return Placement(session, serving.key)
        return Placement(fitting or connections.open_further(), key)

    def _release(self, placement: Placement) -> bool:
        """One key less is served there; True if it was the last."""
        self._serving[placement] -= 1
        if self._serving[placement]:
            return False
        del self._serving[placement]
        return True


def _serves(held: Key, asked: Key) -> bool:
    """Whether a subscription that is held also serves what is asked for."""
    if held.depth is not None and asked.depth is not None:
        return held.depth >= asked.depth
    return held == asked
