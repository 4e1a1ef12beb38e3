"""Several journals as one tape, merged by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from krakenwire.events import Event

if TYPE_CHECKING:
    from krakenwire.replay.reel import Reel

__all__ = ["Spool"]


class Spool:
    """Plays reels together: always the one whose next input was received first; at the same moment the one named first.

    Args:
        reels: at least one.
        turned: called when something about a reel is another: where things are served, or that inputs are missing;
            after the input, and before its events are anybody's.

    Attributes:
        next_ns: UTC nanoseconds of the next input; None at the end.
        origin: that of the reel that was played last.
    """

    def __init__(self, reels: Sequence[Reel], turned: Callable[[Reel], None]) -> None:
        self.reels = tuple(reels)
        self.origin = self.reels[0].origin
        self._is_single = len(self.reels) == 1
        self._turned = turned
        self.begin()

    def begin(self) -> None:
        """The reels were wound elsewhere."""
        self._order = [(reel.next_ns, at) for at, reel in enumerate(self.reels) if reel.next_ns is not None]
        heapq.heapify(self._order)
        self._seen = [reel.wiring for reel in self.reels]
        self.next_ns = self._order[0][0] if self._order else None

    def play(self) -> Sequence[Event]:
        """Play one input; its events."""
        order = self._order
        at = order[0][1]
        reel = self.reels[at]
        events = reel.play()
        if self._is_single:
            self.next_ns = reel.next_ns
            if reel.wiring != self._seen[0] or reel.lost:
                self._seen[0] = reel.wiring
                self._turned(reel)
            return events
        if reel.next_ns is None:
            heapq.heappop(order)
        elif len(order) == 1:
            order[0] = reel.next_ns, at
        else:
            heapq.heapreplace(order, (reel.next_ns, at))
        self.next_ns = order[0][0] if order else None
        self.origin = reel.origin
        if reel.wiring != self._seen[at] or reel.lost:
            self._seen[at] = reel.wiring
            self._turned(reel)
        return events
