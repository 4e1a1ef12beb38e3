"""Where the frames come from: what the exchange asks of a market or of a file, whoever it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from .engine.effects import Effects
from .engine.model import Report
from .feed.feed import Feed
from .feed.stream import Stream
from .market.market import Market
from .sessions.requests import unlisted

__all__ = ["OPEN", "Delivery", "MarketSource", "Source"]

OPEN = frozenset({"pending_new", "new", "partially_filled"})
"""The statuses of an order that is not over."""

Subscriber = TypeVar("Subscriber")

Delivery = tuple[Stream, Collection[Subscriber], bytes]
"""A frame, the stream it belongs to, and who gets it."""


class Source(Protocol[Subscriber]):
    """A stock of streams. Subscribers are whatever hashable things the exchange hands in.

    Attributes:
        effects: what the last `step` did to accounts, to be told before what it returned; None if nothing.
    """

    effects: Effects | None

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be subscribed."""

    @property
    def now_ns(self) -> int:
        """The simulated time: that of the last step."""

    @property
    def is_idle(self) -> bool:
        """True if no step can do anything: nobody listens, or the file is at its end."""

    @property
    def is_unheard(self) -> bool:
        """True if no step can give a frame, whatever else it does."""

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
        market: moves only in the symbols that somebody listens to, in those where an account has an open order, and
            in those of `move_too`.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.feed = Feed(market)
        self.symbols = market.symbols
        self.effects: Effects | None = None
        self._subscribers: dict[Stream, dict[Subscriber, None]] = {}
        self._listened: set[str] = set()
        self._open_orders: dict[str, set[str]] = {}
        self._asked: frozenset[str] = frozenset()
        market.move_only(())

    @property
    def now_ns(self) -> int:
        """Exchange time of the last step or command."""
        return self.market.now_ns

    @property
    def is_idle(self) -> bool:
        """True if there is no symbol that may move."""
        return not self.market.can_move

    @property
    def is_unheard(self) -> bool:
        """True if nobody listens to any symbol."""
        return not self._listened

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
        market = self.market
        move = market.step(exchange_ns)
        if market.has_effects:
            self.effects = effects = self._drain()
            frames = self.feed.updates_of([*effects.moves, move])
        else:
            self.effects = None
            frames = self.feed.updates(move)
        subscribers = self._subscribers
        return [(stream, subscribers[stream], frame) for stream, frame in frames]

    def move_too(self, symbols: Iterable[str]) -> None:
        """Let these symbols move besides, and no longer those of the call before."""
        self._asked = frozenset(symbols)
        self._choose_moving()

    def look(self) -> tuple[Effects, list[Delivery[Subscriber]]]:
        """What commands have done since the last look or step, and the frames that tell it."""
        effects = self._drain()
        subscribers = self._subscribers
        frames = self.feed.updates_of(effects.moves)
        return effects, [(stream, subscribers[stream], frame) for stream, frame in frames]

    # --- inside -------------------------------------------------------------------------------------------

    def _drain(self) -> Effects:
        effects = self.market.drain()
        if effects.reports:
            self._follow(effects.reports)
        return effects

    def _follow(self, reports: Iterable[Report]) -> None:
        """Note where accounts have open orders: those symbols move too, or nothing would ever fill."""
        for report in reports:
            order = report.order
            if order.status in OPEN:
                self._open_orders.setdefault(order.symbol, set()).add(order.order_id)
            elif orders := self._open_orders.get(order.symbol):
                orders.discard(order.order_id)
                if not orders:
                    del self._open_orders[order.symbol]
        self._choose_moving()

    def _choose_moving(self) -> None:
        self._listened = {stream.symbol for stream in self._subscribers if stream.symbol is not None}
        self.market.move_only(self._listened.union(self._open_orders, self._asked))
