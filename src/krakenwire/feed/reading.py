"""What one reader, or one book, holds of a feed: its subscriptions, and where their events go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from krakenwire.book import Book
from krakenwire.book.reasons import is_symbol
from krakenwire.errors import ConnectionClosed, KrakenwireError
from krakenwire.events import LIFECYCLE, Loss, Message, SubscribeRejected
from krakenwire.feed.feed import Feed
from krakenwire.feed.subscribing import keys_of, rejection
from krakenwire.hub import Inbox, Interest
from krakenwire.protocol.core import Placement
from krakenwire.protocol.subscriptions import Key
from krakenwire.streams import StreamRequest

__all__ = ["BookReading", "Observing", "Reading"]

_log = logging.getLogger("krakenwire")


class Reading:
    """What one reader of market data holds: its inbox, and the subscriptions that fill it.

    Raises:
        UsageError: for a request that can never be met.
    """

    def __init__(self, feed: Feed, request: StreamRequest) -> None:
        self.inbox = feed.hub.inbox(request.delivery, request.what)
        self._feed = feed
        self._request = request
        self._asked: set[Key] = set()
        self._held: list[Key] = []
        self._following: set[asyncio.Task[None]] = set()
        self._keys(())  # refuses now what can never be

    async def subscribe(self) -> None:
        """Ask for everything and wait for Kraken's word. Cancellation: safe, all of it is released."""
        feed, request = self._feed, self._request
        feed.opened()
        symbols = await feed.resolve(request.symbols)
        if "instrument" in request.channels:
            for known in (*feed.assets.values(), *feed.core.catalogue):
                self.inbox.put(known)
        if request.symbols == "all":
            feed.listings[id(self)] = self._follow  # now: what is listed while Kraken answers is not missed
        try:
            refused = await self._want(self._possible(symbols))
        except BaseException:
            self.release()
            raise
        if refused and request.symbols != "all":
            self.release()
            raise rejection(refused[0])

    def release(self) -> None:
        """Want nothing any more."""
        feed = self._feed
        feed.listings.pop(id(self), None)
        for task in self._following:
            task.cancel()
        feed.hub.detach(self.inbox)
        self._asked.clear()
        keys, self._held = self._held, []
        feed.release(keys)

    async def _want(self, keys: list[Key]) -> list[SubscribeRejected]:
        self._asked.update(keys)
        try:
            refused = await self._feed.opened()[1].subscribe(keys, before_sent=self._attach)
        except BaseException:
            self._asked.difference_update(keys)
            raise
        self._held.extend(keys)
        return refused

    def _attach(self, placement: Placement) -> None:
        self._feed.hub.attach(self.inbox, [_interest(placement)])

    def _keys(self, symbols: Iterable[str]) -> list[Key]:
        request = self._request
        return keys_of(
            request.channels,
            symbols,
            depth=request.depth,
            interval=request.interval,
            event_trigger=request.event_trigger,
        )

    def _possible(self, symbols: Iterable[str]) -> list[Key]:
        """The subscriptions of `symbols` that were not asked for yet; a listing too odd for a book is told."""
        keys = dict.fromkeys(key for key in self._keys(symbols) if key not in self._asked)
        if self._request.symbols == "all":
            for key in [key for key in keys if key.channel == "book" and not is_symbol(key.symbol)]:
                self._asked.add(key)
                del keys[key]
                self.inbox.put(Loss(reason="there can be no book of that name", of=key.channel, symbol=key.symbol))
        return list(keys)

    def _follow(self, symbol: str) -> None:
        """A new listing."""
        keys = self._possible([symbol])
        if keys:
            self._asked.update(keys)
            task = self._feed.spawn(self._follow_up(symbol, keys))
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _follow_up(self, symbol: str, keys: list[Key]) -> None:
        try:
            await self._want(keys)
        except KrakenwireError as error:
            _log.warning("a new listing could not be followed: %s", error)
            self.inbox.put(Loss(reason=f"a new listing could not be followed: {error}", symbol=symbol))


class Observing:
    """What a reader holds that sees what happens anyway: an inbox, and no subscription."""

    def __init__(self, feed: Feed, inbox: Inbox, interest: Interest) -> None:
        self.inbox = inbox
        self._feed = feed
        self._interest = interest

    async def subscribe(self) -> None:
        """Attach the inbox. Cancellation: safe, it never waits."""
        if self._feed.state != "new":  # a reader may be there before the first connection is, and see it come
            self._feed.opened()
        self._feed.hub.attach(self.inbox, [self._interest])

    def release(self) -> None:
        """Detach it."""
        self._feed.hub.detach(self.inbox)


class BookReading:
    """What one live book holds: its subscription, and the events after which it is another.

    Attributes:
        symbol: as it was asked for.
        depth: levels a side.
    """

    def __init__(self, feed: Feed, symbol: str, depth: int) -> None:
        self._feed = feed
        self.symbol = symbol
        self.depth = depth
        self._key: Key | None = None
        self._book: Book | None = None

    async def subscribe(self) -> Book:
        """Ask for it and wait for Kraken's word. Cancellation: partial; `release` undoes it."""
        feed = self._feed
        _, subscriber = feed.opened()
        keys_of(["book"], (), depth=self.depth)
        (symbol,) = await feed.resolve((self.symbol,))
        (key,) = keys_of(["book"], [symbol], depth=self.depth)
        book = feed.new_book(symbol, self.depth)

        def attach(placement: Placement) -> None:
            book.attach(feed.core.hold_book(placement.session.name, placement.key))
            feed.hub.listen(_interest(placement), self._notify)
            feed.hub.listen(Interest(LIFECYCLE, symbol, placement.session.name), self._notify)

        self._book = book
        feed.books.add(self)
        refused = await subscriber.subscribe([key], before_sent=attach)
        self._key = key
        if refused:
            raise rejection(refused[0])
        feed.opened()  # it may have ended in the very moment of the answer
        return book

    def end(self, error: BaseException) -> None:
        """The book will not change any more: whoever waits on it is told."""
        self._feed.books.discard(self)
        self._feed.hub.forget(self._notify)
        if self._book is not None:
            self._book.release(error)

    def release(self) -> None:
        """Want it no longer; whoever waits on the book gets `ConnectionClosed`."""
        key, self._key = self._key, None
        self.end(ConnectionClosed(f"the book of {self.symbol} was released"))
        if key is not None:
            self._feed.release([key])

    def _notify(self, event: Message) -> None:
        if self._book is None:
            return
        if isinstance(event, SubscribeRejected) and event.of == "book":
            self._book.release(rejection(event))  # after a reconnect, say: it will not be synced any more
        else:
            self._book.notify()


def _interest(placement: Placement) -> Interest:
    """The events of one subscription: its symbol, on its connection, of its interval."""
    session, key = placement
    return Interest(key.channel, key.symbol, session.name, key.interval)
