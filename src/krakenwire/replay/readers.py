"""What a consumer holds of a replay: readers and books like a client's, by which it also plays on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar, cast

from krakenwire.book import Book
from krakenwire.clock import timeout as tape_timeout
from krakenwire.errors import DataLost, UsageError
from krakenwire.events import Loss
from krakenwire.hub import Inbox, OnLoss, Reader
from krakenwire.replay.conductor import Conductor

__all__ = ["BookHandle", "ReplayBook", "ReplayReader"]

T_co = TypeVar("T_co", covariant=True)


class ReplayReader(Reader[T_co]):
    """A `Reader` of a replay: while it has nothing to give, the tape is played.

    Args:
        inbox, on_loss, subscribe, release: as for a `Reader`.
        conductor: plays on.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        on_loss: OnLoss,
        subscribe: Callable[[], Awaitable[None]],
        release: Callable[[], None],
        conductor: Conductor,
    ) -> None:
        super().__init__(inbox, on_loss=on_loss, subscribe=subscribe, release=release)
        self._conductor = conductor

    async def __anext__(self) -> T_co:
        """As `Reader.__anext__`. Cancellation: safe, nothing is lost."""
        if self._ready:
            return self._ready.pop()
        if self._state in ("new", "opening"):
            await self._open()
        inbox, conductor = self._inbox, self._conductor
        task = conductor.asks()
        while True:
            if not self._is_served() and not conductor.serve(self._is_served):
                await self._wait(task)
            event = inbox.take_only()
            if event is None:
                event = inbox.take_ahead()
            if event is not None:
                conductor.gives(task, self)
                if self._raises and type(event) is Loss:
                    raise DataLost(event)
                return cast("T_co", event)

    async def next_batch(self, max_events: int, max_wait: float | None) -> list[T_co]:
        """As `Reader.next_batch`; `max_wait` is of the tape's time. Cancellation: safe, nothing is lost."""
        if self._state in ("new", "opening"):
            await self._open()
        inbox, conductor = self._inbox, self._conductor
        task = conductor.asks()
        while True:
            if inbox.is_idle and not conductor.serve(self._is_served):
                await self._wait(task)
            if max_wait and inbox.waiting < max_events:
                ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                conductor.waits(task, ended)
                try:
                    await self._wait_for_more(max_events, max_wait)
                finally:
                    conductor.waits_no_more(task)
            batch = inbox.take_batch(max_events, to_loss=self._raises)
            if batch:
                conductor.gives(task, self)
                if self._raises and isinstance(batch[0], Loss):
                    raise DataLost(batch[0])
                return batch

    async def aclose(self) -> None:
        """As `Reader.aclose`. Cancellation: safe."""
        self._conductor.takes_back(self)
        await super().aclose()

    def _is_served(self) -> bool:
        inbox = self._inbox
        return inbox.index < len(inbox.events) or not inbox.is_idle

    async def _wait(self, task: asyncio.Task[object]) -> None:
        waiter = self._inbox.sleep()
        self._conductor.waits(task, waiter)
        try:
            await waiter
        finally:
            self._conductor.waits_no_more(task)
            self._inbox.awake()


class ReplayBook(Book):
    """A `Book` of a replay: while it is as it was, the tape is played.

    Args:
        symbol, depth: as for a `Book`.
        conductor: plays on.
    """

    __slots__ = ("_conductor",)

    def __init__(self, symbol: str, depth: int, conductor: Conductor) -> None:
        super().__init__(symbol, depth)
        self._conductor = conductor

    async def changed(self) -> None:
        """As `Book.changed`.

        Raises:
            ReplayEnded: the tape is at its end.
            ConnectionClosed: the book was released, before or meanwhile.

        Cancellation: safe, no effect.
        """
        conductor = self._conductor
        task = conductor.asks()
        if not self._has_news() and not conductor.serve(self._has_news):
            waiter = self._wait_for_news()
            assert waiter is not None  # noqa: S101  # there is no news
            conductor.waits(task, waiter)
            try:
                await waiter
            finally:
                conductor.waits_no_more(task)
                self._waiters.discard(waiter)
        await super().changed()  # which returns at once, or raises
        conductor.gives(task, self)

    async def synced(self, timeout: float | None = None) -> None:
        """As `Book.synced`; `timeout` is of the tape's time.

        Raises:
            TimeoutError: it was not synced in time.
            ReplayEnded: the tape is at its end.
            ConnectionClosed: the book was released, before or meanwhile.

        Cancellation: safe, no effect.
        """
        if timeout is None:
            await super().synced()
            return
        async with tape_timeout(self._conductor.clock, timeout):
            await super().synced()

    def _has_news(self) -> bool:
        return self._seen != self._version or self._error is not None


class BookHandle:
    """One book for the time of an `async with`; made by `Replay.book`.

    Args:
        enter: attaches it.
        leave: lets go of it.
        what: it in a few words.
    """

    def __init__(self, enter: Callable[[], ReplayBook], leave: Callable[[], None], what: str) -> None:
        self._enter = enter
        self._leave = leave
        self._what = what
        self._is_entered = False

    def __repr__(self) -> str:
        return f"<BookHandle {self._what}>"

    async def __aenter__(self) -> Book:
        """The book, as it is at this moment of the tape; `await book.synced()` if it may not be synced yet.

        Raises:
            NotRecorded: the journal has no such book, or none so deep; says what it has.
            UsageError: it was entered before, or the replay is not open.

        Cancellation: safe, it never waits.
        """
        if self._is_entered:
            raise UsageError("this book was entered before; call Replay.book() for each `async with`")
        book = self._enter()
        self._is_entered = True
        return book

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._leave()
