"""From one writer to many readers: an index by channel and symbol, so that a reader costs nothing for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from krakenwire.events import BookInvalidated, Event, Gap, Loss, SubscribeRejected
from krakenwire.hub.inbox import Inbox, Interest

__all__ = ["Hub", "Target"]

Target = Callable[[Any], object]
"""Called with each event of an interest, on the event loop; must be quick and must not raise."""

_Route = tuple[str | None, int | None, Target]


class Hub:
    """Publishes events to inboxes and internal callbacks. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._everything: tuple[Target, ...] = ()
        self._routes: dict[str, dict[str | None, tuple[_Route, ...]]] = {}
        self._inboxes: dict[int, Inbox] = {}

    @property
    def inboxes(self) -> tuple[Inbox, ...]:
        """The readers there are."""
        return tuple(self._inboxes.values())

    def attach(self, inbox: Inbox, interests: Iterable[Interest]) -> None:
        """Give `inbox` the events of further `interests`, from the next published on."""
        self._inboxes[id(inbox)] = inbox
        for interest in interests:
            self.listen(interest, inbox.put)

    def detach(self, inbox: Inbox) -> None:
        """Give it nothing more."""
        if self._inboxes.pop(id(inbox), None) is not None:
            self.forget(inbox.put)

    def listen(self, interest: Interest, target: Target) -> None:
        """Call `target` for each event of `interest`; once, however often it is asked for."""
        if interest.channel is None:
            if target not in self._everything:
                self._everything += (target,)
            return
        by_symbol = self._routes.setdefault(interest.channel, {})
        routes = by_symbol.get(interest.symbol, ())
        route = (interest.connection, interest.interval, target)
        if route not in routes:
            by_symbol[interest.symbol] = (*routes, route)

    def forget(self, target: Target) -> None:
        """Call `target` no more."""
        self._everything = tuple(known for known in self._everything if known != target)
        for channel, by_symbol in list(self._routes.items()):
            for symbol, routes in list(by_symbol.items()):
                kept = tuple(route for route in routes if route[2] != target)
                if kept:
                    by_symbol[symbol] = kept
                else:
                    del by_symbol[symbol]
            if not by_symbol:
                del self._routes[channel]

    def publish(self, events: Iterable[Event]) -> None:
        """Hand each event, in order, to whoever wants it; what a reader cannot keep is counted, never waited for."""
        for event in events:
            for target in self._everything:
                target(event)
            by_symbol = self._routes.get(event.channel)
            if by_symbol is not None:
                symbol = getattr(event, "symbol", None)
                interval = getattr(event, "interval", None)
                if symbol is not None:
                    self._hand_over(event, by_symbol.get(symbol, ()), interval)
                self._hand_over(event, by_symbol.get(None, ()), interval)
            if isinstance(event, BookInvalidated | Gap | SubscribeRejected):
                self._tell_loss(event)

    def end(self, error: BaseException) -> None:
        """End every reader: what waits is still given out, then `error` is raised."""
        for inbox in self._inboxes.values():
            inbox.end(error)

    @staticmethod
    def _hand_over(event: Event, routes: tuple[_Route, ...], interval: int | None) -> None:
        """Give `event`, which is about candles of `interval` (None: about any), to the routes that want it."""
        for connection, wanted, target in routes:
            if connection is not None and connection != event.stamp.connection:
                continue
            if wanted is not None and interval is not None and wanted != interval:
                continue
            target(event)

    def _tell_loss(self, event: BookInvalidated | Gap | SubscribeRejected) -> None:
        """What went missing upstream stands in the stream of every reader that would have been given it."""
        if isinstance(event, BookInvalidated):
            channel, count, reason = "book", None, f"the book is not synced ({event.reason})"
        elif isinstance(event, Gap):
            channel, count, reason = event.of, event.count, event.reason
        else:
            channel, count, reason = event.of or "", None, f"the subscription was rejected: {event.error}"
        by_symbol = self._routes.get(channel)
        if by_symbol is None:
            return
        loss = Loss(
            reason=reason,
            count=count,
            of=channel,
            symbol=event.symbol,
            cause=event,
            stamp=event.stamp,
            n=event.n,
            seq=event.seq,
        )
        interval = event.interval if isinstance(event, SubscribeRejected) else None
        for symbol in (event.symbol, None) if event.symbol is not None else (None,):
            self._hand_over(loss, by_symbol.get(symbol, ()), interval)
