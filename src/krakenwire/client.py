"""What a user holds: a client of the exchange, and the streams and books it gives."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from krakenwire.book import Book
from krakenwire.book.reasons import is_symbol
from krakenwire.clock import Clock, SystemClock, timeout
from krakenwire.errors import ConnectFailed, ConnectionClosed, KrakenwireError, UsageError
from krakenwire.events import LIFECYCLE, Asset, Event, Instrument, Loss, Message, SubscribeRejected
from krakenwire.hub import Hub, Inbox, Interest, OnLoss, Policy, Reader
from krakenwire.net.backoff import ConnectBudget
from krakenwire.net.endpoints import Endpoints
from krakenwire.net.pump import Pump
from krakenwire.net.transport import Connector
from krakenwire.net.websocket import WebSocketConnector
from krakenwire.protocol.core import MAIN, Core, Placement
from krakenwire.protocol.options import Options
from krakenwire.protocol.statistics import Statistics
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.symbols import TRADABLE_STATUSES
from krakenwire.streams import StreamRequest, Streams
from krakenwire.subscribing import Subscriber, keys_of, rejection

__all__ = ["BookHandle", "Client"]

_log = logging.getLogger("krakenwire")

_INSTRUMENTS = Key("instrument")

_random = random.SystemRandom()


class Client(Streams):
    """Kraken's public market data, over as many connections as it takes.

    Use it as a context manager, or with `connect()` and `close()`; it belongs to the event loop it was connected on.
    Streams (`trades`, `books`, `ticker`, `ohlc`, `instruments`, `stream`, `events`, `lifecycle`) are `Reader`s;
    `book` gives one live, proven `Book`. Two readers of one stream share one subscription.

    Args:
        endpoints: where the exchange is; by default Kraken, or what the `KRAKEN_*` environment variables say.
        ssl_context: for `wss` URLs; by default certificates and host names are verified.
        proxy: `http://`, `https://` or `socks5://` URL to go through; never taken from the environment.
        options: pacing, liveness and resync numbers; by default with a jitter that no other client has.
        connect_budget: connection attempts allowed; by default 120 in any 600 seconds (PROTOCOL 9.1).
        subscribe_timeout: seconds a subscription may remain unanswered before its caller is told.
        clock: the time; replaced in tests.
        connector: opens connections; replaced in tests.
        on_events: called on the event loop with each batch of events before any reader gets them; must be quick.
            What it raises goes to the event loop's exception handler, which logs it by default; the feed goes on.

    Raises:
        UsageError: for an argument that cannot work.
    """

    def __init__(
        self,
        endpoints: Endpoints | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        options: Options | None = None,
        connect_budget: ConnectBudget | None = None,
        subscribe_timeout: float = 30.0,
        clock: Clock | None = None,
        connector: Connector | None = None,
        on_events: Callable[[Sequence[Event]], object] | None = None,
    ) -> None:
        if subscribe_timeout <= 0:
            raise UsageError(f"subscribe_timeout must be greater than 0 seconds, not {subscribe_timeout!r}")
        self.endpoints = endpoints if endpoints is not None else Endpoints.from_environment(os.environ)
        self.core = Core(options if options is not None else Options(seed=_random.getrandbits(32)))
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._connector = connector or WebSocketConnector(clock=self._clock, ssl_context=ssl_context, proxy=proxy)
        self._budget = connect_budget
        self._timeout = subscribe_timeout
        self._on_events = on_events
        self._hub = Hub()
        self._pump: Pump | None = None
        self._subscriber: Subscriber | None = None
        self._catalogued: asyncio.Event | None = None
        self._assets: dict[str, Asset] = {}
        self._followers: dict[int, Callable[[str], None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._books: set[BookHandle] = set()
        self._state: Literal["new", "open", "closed"] = "new"
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------------------

    async def connect(self) -> Self:
        """Open the public connection and ask for the instruments; harmless if done before.

        The first attempt decides: its failure is raised, so that a wrong URL or a dead network is seen at the start.
        Once connected, the client reconnects for as long as it is open.

        Raises:
            ConnectFailed: it could not be opened; says why, and whether a retry can help.
            ConnectionClosed: the client was closed, before or meanwhile.
            UsageError: it was connected on another event loop.

        Cancellation: closes; the client cannot be used afterwards.
        """
        if self._state != "new":
            self._opened()
            return self
        self._state = "open"
        self._loop = asyncio.get_running_loop()
        pump = self._pump = Pump(
            self.core,
            url=lambda _connection: self.endpoints.public,
            connector=self._connector,
            clock=self._clock,
            publish=self._publish,
            failed=self._failed,
            budget=self._budget,
        )
        self._subscriber = Subscriber(pump, self._hub, self._timeout)
        self._catalogued = asyncio.Event()
        self._hub.listen(Interest("instrument"), self._see_instrument)
        self.core.start()
        self.core.subscribe([_INSTRUMENTS], pump.now())
        pump.flush()
        try:
            await pump.connected(MAIN)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Close every connection cleanly and end every reader; harmless if done before.

        Cancellation: partial; sockets are dropped at once and the client is closed all the same.

        Raises:
            UsageError: it belongs to another event loop, which still runs.
        """
        if self._loop is not None and not self._loop.is_closed():
            self._check_loop()
        if self._state == "closed":
            await self._ended.wait()  # another task is at it
            return
        self._state = "closed"
        if self._catalogued is not None:
            self._catalogued.set()  # nobody waits for what will not come
        for task in self._tasks:
            task.cancel()
        try:
            if self._pump is not None:
                await self._pump.close()
        finally:
            error = ConnectionClosed("the client was closed")
            if self._subscriber is not None:
                self._subscriber.fail(error)
            self._end_books(error)
            self._hub.end(StopAsyncIteration())
            self._ended.set()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Client {self._state} {self.endpoints.public}>"

    # --- time -------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """UTC by the source's clock, nanoseconds: real time here, the tape's in a replay."""
        return self._clock.now_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait on the source's clock. Cancellation: safe, no effect."""
        await self._clock.sleep(seconds)

    def statistics(self) -> Statistics:
        """What was counted since the client was made: frames, verified, resyncs, reconnects and the like."""
        return self.core.statistics()

    # --- streams and books ------------------------------------------------------------------------------------------

    def book(self, symbol: str, depth: int = 10) -> BookHandle:
        """One live book: `async with kraken.book("BTC/USD", depth=100) as book`."""
        return BookHandle(self, symbol, depth)

    # --- inside -----------------------------------------------------------------------------------------------------

    def drop_connections(self) -> None:
        """Cut every socket without a word, as a broken network would; the client recovers. For demonstrations."""
        pump, _ = self._opened()
        for session in self.core.sessions:
            pump.drop(session.name)

    def _read(self, request: StreamRequest) -> Reader[Any]:
        reading = _Reading(self, request)
        return Reader(reading.inbox, on_loss=request.on_loss, subscribe=reading.subscribe, release=reading.release)

    def _observe(self, interest: Interest, policy: Policy, capacity: int, on_loss: OnLoss) -> Reader[Any]:
        inbox = Inbox(policy, capacity)

        async def subscribe() -> None:
            if self._state != "new":  # a reader may be there before the first connection is, and see it come
                self._opened()
            self._hub.attach(inbox, [interest])

        return Reader(inbox, on_loss=on_loss, subscribe=subscribe, release=lambda: self._hub.detach(inbox))

    async def _resolve(self, symbols: tuple[str, ...] | Literal["all"]) -> tuple[str, ...]:
        """Symbols as Kraken lists them; refused loudly where it does not."""
        if symbols == ():
            return ()
        await self._wait_for_catalogue()
        if symbols == "all":
            return self.core.catalogue.symbols(tradable_only=True)
        return tuple(dict.fromkeys(self.core.catalogue.resolve(symbol) for symbol in symbols))

    async def _wait_for_catalogue(self) -> None:
        assert self._catalogued is not None  # noqa: S101  # set by connect, which every caller has passed
        try:
            async with timeout(self._clock, self._timeout):
                await self._catalogued.wait()
        except TimeoutError:
            raise ConnectionClosed(
                f"the exchange did not send its instruments within {self._timeout:g} s, so no symbol can be checked"
            ) from None
        self._opened()

    def _see_instrument(self, event: Message) -> None:
        assert self._catalogued is not None  # noqa: S101  # set by connect, before anything is published
        if isinstance(event, Asset):
            self._assets[event.id] = event
        if not isinstance(event, Instrument):
            return
        first = not self._catalogued.is_set()
        self._catalogued.set()
        if first or event.status not in TRADABLE_STATUSES:
            return
        for follower in list(self._followers.values()):
            follower(event.symbol)

    def _release(self, keys: Sequence[Key]) -> None:
        if self._state == "open" and self._subscriber is not None and keys:
            self._subscriber.release(keys)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _opened(self) -> tuple[Pump, Subscriber]:
        if self._state == "closed":
            raise ConnectionClosed("this client was closed; make a new one")
        if self._pump is None or self._subscriber is None:
            raise UsageError("connect first: `async with Client() as kraken:` or `await kraken.connect()`")
        self._check_loop()
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # raised for each who asks: the trace must not grow
        return self._pump, self._subscriber

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError("this client was connected on another event loop; use it there, or make one for this loop")

    def _publish(self, events: Sequence[Event]) -> None:
        if self._on_events is not None:
            try:
                self._on_events(events)
            except Exception as error:  # the caller's: neither the feed nor the readers are to suffer from it
                message = "on_events raised; the feed goes on"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
        self._hub.publish(events)

    def _failed(self, connection: str, error: BaseException) -> None:
        """`connection` will not be tried again.

        What was wanted of a further one that cannot be opened, the core tells by itself; a defect ends everything.
        """
        if connection != MAIN and isinstance(error, ConnectFailed):
            return
        self._failure = error
        if self._catalogued is not None:
            self._catalogued.set()  # nobody waits for what will not come
        if self._subscriber is not None:
            self._subscriber.fail(error)
        self._end_books(error)
        self._hub.end(error)

    def _end_books(self, error: BaseException) -> None:
        for handle in list(self._books):
            handle.end(error)


class _Reading:
    """What one reader of market data holds: its inbox, and the subscriptions that fill it."""

    def __init__(self, client: Client, request: StreamRequest) -> None:
        self.inbox = Inbox(request.policy, request.capacity)
        self._client = client
        self._request = request
        self._asked: set[Key] = set()
        self._held: list[Key] = []
        self._following: set[asyncio.Task[None]] = set()
        self._keys(())  # refuses now what can never be

    async def subscribe(self) -> None:
        """Ask for everything and wait for Kraken's word. Cancellation: safe, all of it is released."""
        client, request = self._client, self._request
        client._opened()
        symbols = await client._resolve(request.symbols)
        if "instrument" in request.channels:
            for known in (*client._assets.values(), *client.core.catalogue):
                self.inbox.put(known)
        if request.symbols == "all":
            client._followers[id(self)] = self._follow  # now: what is listed while Kraken answers is not missed
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
        client = self._client
        client._followers.pop(id(self), None)
        for task in self._following:
            task.cancel()
        client._hub.detach(self.inbox)
        self._asked.clear()
        keys, self._held = self._held, []
        client._release(keys)

    async def _want(self, keys: list[Key]) -> list[SubscribeRejected]:
        self._asked.update(keys)
        try:
            refused = await self._client._opened()[1].subscribe(keys, before_sent=self._attach)
        except BaseException:
            self._asked.difference_update(keys)
            raise
        self._held.extend(keys)
        return refused

    def _attach(self, placement: Placement) -> None:
        self._client._hub.attach(self.inbox, [_interest(placement)])

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
            task = self._client._spawn(self._follow_up(symbol, keys))
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _follow_up(self, symbol: str, keys: list[Key]) -> None:
        try:
            await self._want(keys)
        except KrakenwireError as error:
            _log.warning("a new listing could not be followed: %s", error)
            self.inbox.put(Loss(reason=f"a new listing could not be followed: {error}", symbol=symbol))


class BookHandle:
    """One book for the time of an `async with`; made by `Client.book`."""

    def __init__(self, client: Client, symbol: str, depth: int) -> None:
        self._client = client
        self._symbol = symbol
        self._depth = depth
        self._is_entered = False
        self._key: Key | None = None
        self._book: Book | None = None

    async def __aenter__(self) -> Book:
        """Subscribe; the book is there at once, and synced a little later (`await book.synced()`).

        Raises:
            UnknownSymbol, SubscriptionRejected, SubscriptionTimeout: as for a reader.
            UsageError: it was entered before.

        Cancellation: safe, the subscription is released.
        """
        if self._is_entered:
            raise UsageError("this book was entered before; call Client.book() for each `async with`")
        self._is_entered = True
        try:
            return await self._enter()
        except BaseException:
            self._release()
            self._is_entered = False
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._release()

    async def _enter(self) -> Book:
        client = self._client
        _, subscriber = client._opened()
        keys_of(["book"], (), depth=self._depth)
        (symbol,) = await client._resolve((self._symbol,))
        (key,) = keys_of(["book"], [symbol], depth=self._depth)
        book = Book(symbol, self._depth)

        def attach(placement: Placement) -> None:
            book.attach(placement.session.keeper.hold(placement.key))
            client._hub.listen(_interest(placement), self._notify)
            client._hub.listen(Interest(LIFECYCLE, symbol, placement.session.name), self._notify)

        self._book = book
        client._books.add(self)
        refused = await subscriber.subscribe([key], before_sent=attach)
        self._key = key
        if refused:
            raise rejection(refused[0])
        client._opened()  # it may have ended in the very moment of the answer
        return book

    def _notify(self, event: Message) -> None:
        if self._book is None:
            return
        if isinstance(event, SubscribeRejected) and event.of == "book":
            self._book.release(rejection(event))  # after a reconnect, say: it will not be synced any more
        else:
            self._book.notify()

    def end(self, error: BaseException) -> None:
        """The book will not change any more: whoever waits on it is told."""
        self._client._books.discard(self)
        self._client._hub.forget(self._notify)
        if self._book is not None:
            self._book.release(error)

    def _release(self) -> None:
        client, key, self._key = self._client, self._key, None
        self.end(ConnectionClosed(f"the book of {self._symbol} was released"))
        if key is not None:
            client._release([key])


def _interest(placement: Placement) -> Interest:
    """The events of one subscription: its symbol, on its connection, of its interval."""
    session, key = placement
    return Interest(key.channel, key.symbol, session.name, key.interval)
