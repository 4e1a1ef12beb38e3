"""What waits for all readers of the same thing: each event once, however many they are.

A ring is a list that is appended to at one end, while each reader has its place in it, and cut off at the other when
nobody needs the front any more. In Python that is faster than an index modulo a size, and a batch is one slice. Its
bound is the readers': what one of them has not read within its capacity is dropped, folded or waited for by its policy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from krakenwire.events import Event, Loss
from krakenwire.hub.interest import Interest

if TYPE_CHECKING:
    from krakenwire.hub.inbox import Inbox

__all__ = ["DECODED_BYTES", "FRAME_BYTES", "Ring", "weigh"]

DECODED_BYTES = 512
"""What a decoded event is taken to need: the object, its numbers and its share of the stamp."""
FRAME_BYTES = 256
"""What an event that carries its frame is taken to need beside the frame."""

_SLACK = 256
"""Events that have been read by all may stay this long before they are cut off; so cutting costs next to nothing."""
_SLACK_BYTES = 65_536


def weigh(event: Any) -> int:
    """About how many bytes `event` keeps in memory."""
    frame = getattr(event, "frame", None)
    return DECODED_BYTES if frame is None else len(frame) + FRAME_BYTES


class Ring:
    """Events in their order, and who reads them. Belongs to the event loop's thread.

    Args:
        interests: what is in it; readers that want exactly this may share it.
        is_shared: whether they do; else it is one reader's own.
        seed: what waits in it from the start.

    Attributes:
        events: the events that some reader may still want; appended to directly, then `settle_if_full`.
        inboxes: its readers.
        sleepers: those of them that wait for the next event, with nothing left to read.
        watchers: those that wait for more, with something left.
        ahead: those that have taken some out ahead.
    """

    __slots__ = (
        "_base_weight",
        "_bound",
        "_bound_bytes",
        "_idle_bounds",
        "_losses",
        "_weights",
        "ahead",
        "events",
        "inboxes",
        "interests",
        "is_shared",
        "sleepers",
        "watchers",
    )

    def __init__(
        self, interests: frozenset[Interest] = frozenset(), *, is_shared: bool = False, seed: Iterable[Event] = ()
    ) -> None:
        self.interests = interests
        self.is_shared = is_shared
        self.events: list[Event] = list(seed)
        self.inboxes: dict[Inbox, None] = {}
        self.sleepers: dict[Inbox, None] = {}
        self.watchers: dict[Inbox, None] = {}
        self.ahead: dict[Inbox, None] = {}
        self._losses = [at for at, event in enumerate(self.events) if isinstance(event, Loss)]
        self._weights: list[int] = []  # bytes up to and with each event, as far as anybody has asked
        self._base_weight = 0
        self._bound = _SLACK
        self._bound_bytes: int | None = None
        self._idle_bounds: tuple[int, int | None] | None = None  # the two of them when nothing waits

    # --- writing ----------------------------------------------------------------------------------------------------

    def append_loss(self, loss: Loss) -> None:
        """Put a loss in its place; other events are appended to `events` directly."""
        self._losses.append(len(self.events))
        self.events.append(loss)

    def written(self) -> None:
        """After a batch was appended: wake who waits, and keep the bounds."""
        if self.ahead:
            for inbox in self.ahead:
                inbox.unread()
            self.ahead.clear()
        if self.sleepers or self.watchers:
            self.wake()
        if len(self.events) > self._bound or (
            self._bound_bytes is not None and self.weight(0, len(self.events)) > self._bound_bytes
        ):
            self.settle()

    def wake(self) -> None:
        """Let everybody who waits look."""
        for inbox in self.sleepers:
            inbox.wake()
        self.sleepers.clear()
        for inbox in self.watchers:
            inbox.wake()
        self.watchers.clear()

    def settle(self) -> None:
        """Apply every reader's policy, cut off what nobody needs, and see when this has to be done again."""
        for inbox in list(self.inboxes):
            inbox.make_room()
        self._cut(min((inbox.index for inbox in self.inboxes), default=len(self.events)))
        self.rebound()

    def rebound(self) -> None:
        """See when policies have to be applied next: seldom, or when a reader that must not overrun is full."""
        live = len(self.events)
        self._bound = live + max(_SLACK, live >> 2, len(self.inboxes))
        self._bound_bytes = None
        for inbox in self.inboxes:
            self._bound_by(inbox)

    def join(self, inbox: Inbox) -> None:
        """`inbox` reads it from now on."""
        self.inboxes[inbox] = None
        self._idle_bounds = None
        self._bound_by(inbox)

    def leave(self, inbox: Inbox) -> None:
        """`inbox` reads it no more."""
        self.inboxes.pop(inbox, None)
        for others in (self.sleepers, self.watchers, self.ahead):
            others.pop(inbox, None)
        self._idle_bounds = None  # the present bounds may be too low now: then they are seen to once too often

    def _bound_by(self, inbox: Inbox) -> None:
        if inbox.is_strict:
            self._bound = min(self._bound, inbox.index + inbox.room)
        if inbox.capacity_bytes is None:
            return
        if inbox.is_strict:
            limit = self.weight(0, inbox.index) + inbox.room_bytes
        else:
            live_bytes = self.weight(0, len(self.events))
            limit = live_bytes + max(_SLACK_BYTES, live_bytes >> 2)
        self._bound_bytes = limit if self._bound_bytes is None else min(self._bound_bytes, limit)

    # --- reading ----------------------------------------------------------------------------------------------------

    def sleep(self, inbox: Inbox) -> None:
        """`inbox` has read everything and waits. When all do, nothing need be kept."""
        self.sleepers[inbox] = None
        if len(self.sleepers) == len(self.inboxes):
            self._cut(len(self.events))
            if self._idle_bounds is None:
                self.rebound()
                self._idle_bounds = self._bound, self._bound_bytes
            else:
                self._bound, self._bound_bytes = self._idle_bounds

    def losses(self, start: int, stop: int) -> list[int]:
        """Where among the events from `start` to before `stop` losses stand."""
        if not self._losses:
            return []
        return self._losses[bisect_left(self._losses, start) : bisect_left(self._losses, stop)]

    # --- bytes ------------------------------------------------------------------------------------------------------

    def weight(self, start: int, stop: int) -> int:
        """Bytes of the events from `start` to before `stop`. Each event is weighed once, and only if somebody asks."""
        self._weigh()
        return self._weight_before(stop) - self._weight_before(start)

    def newest_within(self, start: int, limit: int) -> int:
        """The first place, from `start` on, from which all that follows takes at most `limit` bytes; at least one."""
        self._weigh()
        goal = self._weight_before(len(self.events)) - limit
        if self._weight_before(start) >= goal:
            return start
        return min(bisect_left(self._weights, goal, start) + 1, len(self.events) - 1)

    def oldest_within(self, start: int, limit: int) -> int:
        """How many events from `start` on take at most `limit` bytes together; at least one."""
        self._weigh()
        return max(1, bisect_right(self._weights, self._weight_before(start) + limit, start) - start)

    def _weigh(self) -> None:
        weights = self._weights
        if len(weights) == len(self.events):
            return
        total = weights[-1] if weights else self._base_weight
        for event in islice(self.events, len(weights), None):
            total += weigh(event)
            weights.append(total)

    def _weight_before(self, place: int) -> int:
        return self._weights[place - 1] if place else self._base_weight

    def _cut(self, count: int) -> None:
        """Take `count` events off the front."""
        if not count:
            return
        if count <= len(self._weights):
            self._base_weight = self._weights[count - 1]
            del self._weights[:count]
        else:
            self._base_weight = 0
            self._weights.clear()
        del self.events[:count]
        if self._losses:
            self._losses = [at - count for at in self._losses if at >= count]
        for inbox in self.inboxes:
            inbox.index -= count
            inbox.passed += count
