"""Where the frames come from: what the server asks of a market or of a file, whoever it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, Protocol, TypeVar

from .feed import Feed, Stream
from .market import Market
from .requests import unlisted

__all__ = ["Delivery", "MarketSource", "Source"]

Subscriber = TypeVar("Subscriber")

Delivery = tuple[Collection[Subscriber], bytes]
"""A frame and who gets it."""


class Source(Protocol[Subscriber]):
    """A stock of streams. Subscribers are whatever hashable things the server hands in."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be subscribed."""

    @property
    def now_ns(self) -> int:
        """The simulated time: that of the last step."""

    @property
    def is_idle(self) -> bool:
        """True if no step can give a frame: nobody listens, or the file is at its end."""

    def refuse(self, stream: Stream) -> str | None:
        """Kraken's words if this stream cannot be had, else None."""

    def open(self, subscriber: Subscriber, stream: Stream, snapshot: bool) -> list[bytes]:
        """Begin a subscription; returns what is sent at once."""

    def close(self, subscriber: Subscriber, stream: Stream) -> None:
        """End a subscription."""

    def step(self, exchange_ns: int | None) -> Sequence[Delivery[Subscriber]]:
        """Let the next thing happen, at `exchange_ns` or in simulated time if that is None."""


class MarketSource(Generic[Subscriber]):
    """A market as a source: every frame is made once and given to all who subscribed to its stream.

    Args:
        market: moves only in the symbols that somebody listens to.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.feed = Feed(market)
        self.symbols = market.symbols
        self._subscribers: dict[Stream, dict[Subscriber, None]] = {}
        self._moving: set[str] = set()

    @property
    def now_ns(self) -> int:
        """Exchange time of the last step."""
        return self.market.now_ns

    @property
    def is_idle(self) -> bool:
        """True if nobody listens to a symbol."""
        return not self._moving

    def refuse(self, stream: Stream) -> str | None:
        """Kraken's words if the market does not trade the symbol."""
        if stream.symbol is None or stream.symbol in self.symbols:
            return None
        return unlisted(stream.symbol)

    def open(self, subscriber: Subscriber, stream: Stream, snapshot: bool) -> list[bytes]:
        """Begin a subscription; returns its snapshot if that is wanted."""
        if stream not in self._subscribers:
            self._subscribers[stream] = {}
            self.feed.watch(stream)
            self._choose_moving()
        self._subscribers[stream][subscriber] = None
        return [self.feed.snapshot(stream)] if snapshot else []

    def close(self, subscriber: Subscriber, stream: Stream) -> None:
        """End a subscription."""
        subscribers = self._subscribers[stream]
        del subscribers[subscriber]
        if not subscribers:
            del self._subscribers[stream]
            self.feed.unwatch(stream)
            self._choose_moving()

    def step(self, exchange_ns: int | None) -> list[Delivery[Subscriber]]:
        """Let one thing happen on one symbol; often it concerns nobody and gives nothing."""
        subscribers = self._subscribers
        return [(subscribers[stream], frame) for stream, frame in self.feed.updates(self.market.step(exchange_ns))]

    def _choose_moving(self) -> None:
        moving = {stream.symbol for stream in self._subscribers if stream.symbol is not None}
        if moving != self._moving:
            self._moving = moving
            self.market.move_only(moving)
