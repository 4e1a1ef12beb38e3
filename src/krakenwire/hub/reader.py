"""A consumer's side of the hub: an async iterator that is subscribed at entry and released at exit."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, cast

from krakenwire.errors import DataLost, ReaderClosed, UsageError
from krakenwire.events import Loss
from krakenwire.hub.inbox import Inbox, OnLoss, ReaderStatistics

__all__ = ["Reader"]

T_co = TypeVar("T_co", covariant=True)


class Reader(Generic[T_co]):
    """A stream of events: `async with` it, or iterate it as it is.

    It is subscribed at entry, or at the first iteration, where a wrong symbol raises. It is released at exit and by
    `aclose()`. A bare `async for` that is broken out of is released when the reader is garbage-collected, with a
    `ResourceWarning`; `async with` is the sure way.

    One consumer per reader. When it is slow, its policy decides what happens, and it is told: by `DataLost`, raised
    once at the place of the loss (iterating again goes on after it), or with `on_loss="yield"` by a `Loss` that
    stands in the stream.
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
        self._on_loss = on_loss
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
            ReaderOverrun: the policy is `disconnect` and the reader was too slow.
            StopAsyncIteration: the reader or its client was closed.
            UsageError: another task reads it already.
            Whatever subscribing may raise, at the first iteration.
        """
        if self._state in ("new", "opening"):
            await self._open()
        while True:
            event = self._inbox.take()
            if event is None:
                await self._inbox.wait()
                continue
            if isinstance(event, Loss) and self._on_loss == "raise":
                raise DataLost(event)
            return cast("T_co", event)

    async def aclose(self) -> None:
        """Release the subscription and end the iteration; harmless if done before. Cancellation: safe."""
        if self._state == "open":
            self._release()
        self._state = "closed"
        self._inbox.end(StopAsyncIteration())

    def statistics(self) -> ReaderStatistics:
        """The reader's account at this moment."""
        return self._inbox.statistics()

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if getattr(self, "_state", "closed") != "open":
            return
        self._state = "closed"
        # It may be collected at any allocation, in the midst of a publication, or on another thread: the loop releases
        # it when it has a turn. A loop that is closed has nothing left to release.
        with suppress(RuntimeError):
            cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(self._release)
        if not self._inbox.is_over:
            _warn(f"unclosed {self!r}; use `async with` or aclose()", ResourceWarning, source=self, stacklevel=2)

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
                return
            self._release()  # closed by another task meanwhile
        raise ReaderClosed("this reader was closed; ask the client for a new one")

    def _closed(self) -> bool:
        return self._state == "closed"
