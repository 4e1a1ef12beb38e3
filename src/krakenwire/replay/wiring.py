"""What one reader, or one book, is given of a tape: looked up again whenever something is served elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from krakenwire.book import BookState, BookUpdate
from krakenwire.errors import ConnectionClosed, SubscriptionRejected
from krakenwire.events import LIFECYCLE, Loss, Message, SubscribeRejected
from krakenwire.feed.subscribing import keys_of, rejection
from krakenwire.hub import Hub, Inbox, Interest
from krakenwire.protocol.subscriptions import Key
from krakenwire.replay.asking import recorded_symbol, require
from krakenwire.replay.readers import ReplayBook
from krakenwire.streams import StreamRequest

if TYPE_CHECKING:
    from krakenwire.replay.reel import Reel

__all__ = ["BookWiring", "ReaderWiring", "Wired"]


class Wired(Protocol):
    """Something that is given what some reels have."""

    def rewire(self, at_ns: int | None) -> None:
        """Look up again where it is served: something changed at `at_ns`, or None: the tape was wound."""

    def lose(self, reel: Reel, loss: Loss) -> None:
        """`reel` does not have something."""


class ReaderWiring:
    """What a reader of market data is given.

    Args:
        hub: publishes.
        reels: the journals.
        inbox: the reader's.
        request: what it wants.

    Raises:
        UsageError: for a request that can never be met.
    """

    def __init__(self, hub: Hub, reels: Sequence[Reel], inbox: Inbox, request: StreamRequest) -> None:
        self._hub = hub
        self._reels = reels
        self._inbox = inbox
        self._request = request
        self._keys: list[Key] = []
        self._last_seen: dict[Key, int] = {}
        """When those that are served by nothing any more were last served; what comes between is lost."""
        self._served: set[Key] = set()
        self._make_keys(())

    def enter(self, at_ns: int) -> None:
        """Have the inbox filled.

        Raises:
            NotRecorded: something was never recorded.
        """
        symbols = self._request.symbols
        if symbols != "all":
            self._keys = self._make_keys(recorded_symbol(self._reels, symbol) for symbol in symbols)
            for key in self._keys:
                require(self._reels, key)
        else:
            self._keys = self._make_keys(("*",))
        self._hub.attach(self._inbox, ())
        self.rewire(at_ns)

    def rewire(self, at_ns: int | None) -> None:
        """As `Wired.rewire`."""
        interests: set[Interest] = set()
        served: set[Key] = set()
        for key in self._wanted():
            for reel in self._reels:
                interest = reel.interest(key)
                if interest is None:
                    continue
                interests.add(interest)
                served.add(key)
                if key.channel == "book":
                    break  # of a book that is in two journals, the first is the one
        if at_ns is None:
            self._last_seen.clear()
            self._served.clear()
        for key in self._served - served:
            self._last_seen[key] = at_ns or 0
        for key in served - self._served:
            since_ns = self._last_seen.pop(key, None)
            if since_ns is not None and at_ns is not None:
                reason = f"nothing was recorded of it for {(at_ns - since_ns) / 1e9:.3f} s"
                self._inbox.put(Loss(reason=reason, of=key.channel, symbol=key.symbol))
        self._served = served
        self._hub.assign(self._inbox, interests)

    def lose(self, reel: Reel, loss: Loss) -> None:
        """Told to who reads that reel."""
        if any(reel.interest(key) is not None for key in self._wanted()):
            self._inbox.put(loss)

    def leave(self) -> None:
        """Give it nothing more."""
        self._hub.detach(self._inbox)

    def _wanted(self) -> list[Key]:
        if self._request.symbols != "all":
            return self._keys
        wanted: dict[Key, None] = {}
        for pattern in self._keys:
            for reel in self._reels:
                for symbol in reel.symbols(pattern.channel):
                    wanted[pattern._replace(symbol=symbol)] = None
        return list(wanted)

    def _make_keys(self, symbols: Iterable[str]) -> list[Key]:
        request = self._request
        return keys_of(
            request.channels,
            tuple(symbols),
            depth=request.depth,
            interval=request.interval,
            event_trigger=request.event_trigger,
        )


class BookWiring:
    """What a live book is kept up by.

    Args:
        hub: publishes.
        reels: the journals; the first that has the book is the one.
        symbol, depth: which book.
        new_book: makes what the user holds.

    Raises:
        UsageError: there can be no such depth.
    """

    def __init__(
        self, hub: Hub, reels: Sequence[Reel], symbol: str, depth: int, new_book: Callable[[str, int], ReplayBook]
    ) -> None:
        keys_of(["book"], (), depth=depth)
        self._hub = hub
        self._reels = reels
        self._symbol = symbol
        self._depth = depth
        self._new_book = new_book
        self._reel = reels[0]
        self._key: Key | None = None
        self._book: ReplayBook | None = None
        self._state: BookState | None = None

    def enter(self) -> ReplayBook:
        """Make the book, as it is now.

        Raises:
            NotRecorded: the journals have no such book.
        """
        symbol = recorded_symbol(self._reels, self._symbol)
        (key,) = keys_of(["book"], [symbol], depth=self._depth)
        require(self._reels, key)
        self._reel = next((reel for reel in self._reels if reel.contents.has(key)), self._reels[0])
        self._key = key
        self._book = self._new_book(symbol, self._depth)
        self._book.attach(self._look(), "empty")
        self._listen(key)
        return self._book

    def rewire(self, at_ns: int | None) -> None:
        """As `Wired.rewire`."""
        if self._book is None or self._key is None:
            return
        self._hub.forget(self._notify)
        self._listen(self._key)
        self._look_again()
        if at_ns is None:
            self._book.notify()

    def _listen(self, key: Key) -> None:
        interest = self._reel.interest(key)
        if interest is not None:
            self._hub.listen(interest, self._notify)
            self._hub.listen(Interest(LIFECYCLE, interest.symbol, interest.connection), self._notify)

    def _look_again(self) -> None:
        """The book may be another one."""
        before = self._state
        if self._book is not None and self._look() is not before:
            self._book.attach(self._state)

    def lose(self, reel: Reel, loss: Loss) -> None:
        """What is lost to a book shows by itself: it is not synced."""

    def leave(self, error: BaseException | None = None) -> None:
        """Keep it up no longer."""
        self._hub.forget(self._notify)
        if self._book is not None:
            self._book.release(error or ConnectionClosed(f"the book of {self._symbol} was released"))

    def _look(self) -> BookState | None:
        self._state = None if self._key is None else self._reel.book(self._key)
        return self._state

    def _notify(self, event: Message | BookUpdate) -> None:
        if self._book is None:
            return
        if isinstance(event, BookUpdate):
            if event.type == "snapshot":
                self._look_again()
        elif isinstance(event, SubscribeRejected) and event.of == "book":
            refused: SubscriptionRejected = rejection(event)
            self._book.release(refused)
            return
        else:
            self._look_again()
        self._book.notify()
