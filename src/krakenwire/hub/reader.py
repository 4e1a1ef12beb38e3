"""A consumer's side of the hub: an async iterator that is subscribed at entry and released at exit."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, cast

from krakenwire.clock import SystemClock, timeout
from krakenwire.errors import DataLost, ReaderClosed, UsageError
from krakenwire.events import Loss
from krakenwire.hub.calling import Calling
from krakenwire.hub.inbox import Inbox
from krakenwire.hub.interest import OnLoss, ReaderStatistics

__all__ = ["Reader"]

T_co = TypeVar("T_co", covariant=True)


class Reader(Generic[T_co]):
    """A stream of events: `async with` it, or iterate it as it is.

    It is subscribed at entry, or at the first iteration, where a wrong symbol raises. It is released at exit and by
    `aclose()`. A bare `async for` that is broken out of is released when the reader is garbage-collected, with a
    `ResourceWarning`; `async with` is the sure way.

    One event at a time by `async for`, many at once by `batches()`, or handed to a callback by `run()`; one consumer
    per reader. When it is slow, its policy decides what happens, and it is told: by `DataLost`, raised once at the
    place of the loss (iterating again goes on after it), or with `on_loss="yield"` by a `Loss` that stands in the
    stream.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        on_loss: OnLoss,
        subscribe: Callable[[], Awaitable[None]],
        release: Callable[[], None],
    ) -> None:
        if on_loss not in ("raise", "yield"):
            raise UsageError(f"on_loss must be 'raise' or 'yield', not {on_loss!r}")
        self._inbox = inbox
        self._ready: list[T_co] = []  # the inbox's, from the moment that the reader is open
        self._raises = on_loss == "raise"
        self._subscribe = subscribe
        self._release = release
        self._state: Literal["new", "opening", "open", "closed"] = "new"
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Subscribe. Cancellation: safe, the subscription is released.

        Raises:
            UnknownSymbol: Kraken does not list a symbol; the nearest right ones are named.
            SubscriptionRejected: Kraken refused, with its text.
            SubscriptionTimeout: Kraken did not answer in time.
            ReaderClosed: the reader was closed before.
            UsageError: its policy is `block`, and this source cannot wait.
        """
        await self._open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        """The next event. Cancellation: safe, nothing is lost.

        Raises:
            DataLost: something is missing here; iterating again goes on after it.
            ReaderOverrun: the policy is `disconnect` or `block` and the reader was too slow.
            StopAsyncIteration: the reader or its client was closed.
            UsageError: another task reads it already.
            Whatever subscribing may raise, at the first iteration.
        """
        try:
            return self._ready.pop()
        except IndexError:
            return await self._next()

    def batches(self, max_events: int = 1000, max_wait: float | None = None) -> AsyncIterator[list[T_co]]:
        """All that waits, at once, again and again: `async for trades in reader.batches():`.

        Args:
            max_events: a batch is at most so long.
            max_wait: once there is an event, wait so many seconds for more of them, by the source's clock, unless
                `max_events` wait sooner, or half of what the reader may hold; None gives what is there.

        Each step may raise what iterating does, and is as safe to cancel. What precedes a loss is given before the
        `DataLost`; with `on_loss="yield"` the `Loss` stands in the list.

        Raises:
            UsageError: for numbers that cannot work.
        """
        if max_events < 1:
            raise UsageError(f"max_events must be at least 1, not {max_events!r}")
        if max_wait is not None and max_wait < 0:
            raise UsageError(f"max_wait must be at least 0 seconds, or None, not {max_wait!r}")
        return _Batches(self, max_events, max_wait)

    async def run(self, callback: Callable[[T_co], object]) -> None:
        """Call `callback` with each event until the reader is closed; end it by `aclose()` or by cancelling this.

        It is called on the event loop, event by event, without a task's turn for each; so it must be quick, and cannot
        be a coroutine function. What it raises is counted (`statistics().failures`), logged and told as
        `CallbackFailed`, and the next event is given to it all the same. When it keeps the loop for more than 50 ms,
        that is counted (`slow`) and told as `CallbackSlow`.

        Cancellation: safe, nothing is lost: who runs it again goes on with the next event.

        Raises:
            DataLost: something is missing here; running it again goes on after it.
            ReaderOverrun: the policy is `disconnect` or `block` and the callback was too slow.
            UsageError: it is no plain function, or another task reads the reader already.
            Whatever subscribing may raise.
        """
        if inspect.iscoroutinefunction(callback):
            raise UsageError("run() calls plain functions; iterate the reader with `async for` to await something")
        if not callable(callback):
            raise UsageError(f"run() calls a function with each event; {callback!r} cannot be called")
        calling = Calling(self._inbox, callback)
        with suppress(StopAsyncIteration):
            while True:
                batch = await self.next_batch(Calling.BURST, None)
                if calling.hand_over(batch):
                    await asyncio.sleep(0)  # it was slow: others have waited for their turn

    async def next_batch(self, max_events: int, max_wait: float | None) -> list[T_co]:
        """One step of `batches`."""
        if self._state in ("new", "opening"):
            await self._open()
        inbox = self._inbox
        while True:
            if inbox.is_idle:
                waiter = inbox.sleep()
                try:
                    await waiter
                finally:
                    inbox.awake()
            if max_wait and inbox.waiting < max_events:
                await self._wait_for_more(max_events, max_wait)
            batch = inbox.take_batch(max_events, to_loss=self._raises)
            if batch:
                if self._raises and isinstance(batch[0], Loss):
                    raise DataLost(batch[0])
                return batch

    async def aclose(self) -> None:
        """Release the subscription and end the iteration; harmless if done before. Cancellation: safe."""
        if self._state == "open":
            self._release()
        self._state = "closed"
        self._inbox.end(StopAsyncIteration())

    def statistics(self) -> ReaderStatistics:
        """The reader's account at this moment."""
        return self._inbox.statistics()

    @property
    def name(self) -> str:
        """What it is called in statistics, metrics and events."""
        return self._inbox.name

    def __repr__(self) -> str:
        return f"<Reader {self.name!r} {self._state}>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if getattr(self, "_state", None) is None:  # it was refused while it was made
            return
        if self._state != "open":
            self._inbox.part()
            return
        what, self._state = repr(self), "closed"
        # It may be collected at any allocation, in the midst of a publication, or on another thread: the loop releases
        # it when it has a turn. A loop that is closed has nothing left to release.
        with suppress(RuntimeError):
            cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(_give_back, self._release, self._inbox)
        if not self._inbox.is_over:
            _warn(f"unclosed {what}; use `async with` or aclose()", ResourceWarning, source=self, stacklevel=2)

    async def _next(self) -> T_co:
        """The next event, when none was taken out ahead."""
        if self._state in ("new", "opening"):
            await self._open()
        inbox = self._inbox
        while True:
            if inbox.is_idle:
                waiter = inbox.sleep()
                try:
                    await waiter
                finally:
                    inbox.awake()
            event = inbox.take_ahead()
            if event is not None:
                if self._raises and type(event) is Loss:
                    raise DataLost(event)
                return cast("T_co", event)

    async def _open(self) -> None:
        if self._state == "open":
            return
        if self._state == "opening":
            raise UsageError("two tasks read one reader; give each its own")
        if self._state == "new":
            self._state = "opening"
            self._loop = asyncio.get_running_loop()
            try:
                await self._subscribe()
            except BaseException:
                if not self._closed():
                    self._inbox.clear()  # a further entry begins anew
                    self._state = "new"
                raise
            if not self._closed():
                self._state = "open"
                self._ready = self._inbox.ready
                return
            self._release()  # closed by another task meanwhile
        raise ReaderClosed("this reader was closed; ask the client for a new one")

    async def _wait_for_more(self, max_events: int, max_wait: float) -> None:
        """Until `max_events` wait, or `max_wait` seconds have passed. Cancellation: safe, nothing is taken."""
        clock = self._inbox.clock
        with suppress(TimeoutError):
            async with timeout(clock if clock is not None else SystemClock(), max_wait):
                await self._inbox.wait(max_events)

    def _closed(self) -> bool:
        return self._state == "closed"


class _Batches(AsyncIterator[list[T_co]], Generic[T_co]):
    """The iterator of `Reader.batches`; an object rather than a generator, so that an error does not end it."""

    def __init__(self, reader: Reader[T_co], max_events: int, max_wait: float | None) -> None:
        self._reader = reader
        self._max_events = max_events
        self._max_wait = max_wait

    async def __anext__(self) -> list[T_co]:
        return await self._reader.next_batch(self._max_events, self._max_wait)


def _give_back(release: Callable[[], None], inbox: Inbox) -> None:
    """Of a reader that was dropped while it was open: nobody reads it any more."""
    release()
    inbox.part()
