"""What readers ask of the past, whatever it is: steps of it up to the present, and the seam there."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from krakenwire.errors import RestFailed
from krakenwire.events import Gap, Loss, Stamp
from krakenwire.feed.feed import Feed
from krakenwire.protocol.wire.rest import RestTrouble, classify_rest, pair_spellings

__all__ = ["Pair", "Past", "Step", "loss_of", "rest_stamp"]

_REST = "rest"
"""The connection of events that came over none."""


class Step(NamedTuple):
    """What one step through the past gave.

    Attributes:
        number: which step: who was cancelled while it ended asks for it again.
        events: in order.
        again: the same is to be asked once more, for there is more of it.
    """

    number: int
    events: list[Any]
    again: bool


class Past(Protocol):
    """What happened to some symbols since a moment; its coroutines run on the feed's loop. Cancellation: safe."""

    async def more(self, number: int) -> Step:
        """The next events; `again` until the present is reached."""

    async def join(self, event: Any, number: int) -> Step:
        """What is to be given for a live `event`: itself after what is missing before it, or nothing."""

    def knows(self, event: Any) -> bool:
        """Whether `event` goes on from here without a `join`; any thread may ask."""

    @property
    def is_joined(self) -> bool:
        """Whether every event does; any thread may ask."""


class Pair:
    """Asks REST about one symbol, by the name that it knows."""

    def __init__(self, feed: Feed, symbol: str) -> None:
        self._feed = feed
        self._names = list(pair_spellings(symbol))

    async def fetch(self, call: str, params: tuple[tuple[str, str], ...]) -> bytes:
        """The result of a call. Raises `RestFailed`, `ConnectionClosed`. Cancellation: safe."""
        while True:
            try:
                return await self._feed.fetch(call, (("pair", self._names[0]), *params))
            except RestFailed as error:
                if classify_rest(error.text) is not RestTrouble.PAIR or len(self._names) == 1:
                    raise
                del self._names[0]


def rest_stamp(feed: Feed) -> Stamp:
    """This moment, of what REST answers."""
    clock = feed.settings.clock
    return Stamp(_REST, 0, clock.now_ns(), clock.monotonic_ns())


def loss_of(gap: Gap) -> Loss:
    """A gap, in one reader's stream."""
    return Loss(reason=gap.reason, count=gap.count, of=gap.of, symbol=gap.symbol, cause=gap)
