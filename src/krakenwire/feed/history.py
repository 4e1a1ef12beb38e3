"""What happened since a moment, and then what happens: one stream without a seam, each event once.

A reader with `since=` is attached to the live stream first; what comes there waits in its inbox. Then the past is
read from the client's own journal, if it has one, and fetched by REST where that has nothing, page by page as it is
read, never more than one page of each symbol ahead. Trades join by their trade_id: what history has is dropped from
the live stream, and if the first live trade is further on, history goes on up to it. Candles join by their begin. What
cannot be had stands in the stream as a `Loss`. A client that goes on where another ended has all readers of trades, or
of candles, begin where that one's events ended, as if they had asked for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Literal, TypeVar, cast

from krakenwire.errors import ConnectionClosed, DataLost, UsageError
from krakenwire.events import Loss
from krakenwire.feed.feed import Feed
from krakenwire.feed.past import Past, Step
from krakenwire.feed.pastcandles import PastCandles
from krakenwire.feed.pasttrades import PastTrades
from krakenwire.hub import Inbox, OnLoss, Reader
from krakenwire.streams import StreamRequest

__all__ = ["HistoryReader", "Past", "PastCandles", "PastTrades", "Step", "past_of"]

T_co = TypeVar("T_co", covariant=True)


class HistoryReader(Reader[T_co], Generic[T_co]):
    """A `Reader` that begins in the past. Its statistics are those of its live part.

    Args:
        inbox: of the live stream.
        on_loss: as for any reader.
        subscribe: as for any reader.
        release: as for any reader.
        past: what happened.
        run: runs a coroutine of the past on the feed's loop.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        on_loss: OnLoss,
        subscribe: Callable[[], Awaitable[None]],
        release: Callable[[], None],
        past: Past,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        super().__init__(inbox, on_loss=on_loss, subscribe=subscribe, release=release)
        self._past = past
        self._run = run
        self._phase: Literal["past", "joining", "live"] = "past"
        self._queue: deque[Any] = deque()
        self._event: Any = None
        """The live event that is being joined."""
        self._number = 0
        self._is_stepping = False

    async def __anext__(self) -> T_co:
        """The next event. Cancellation: safe, nothing is lost.

        Raises:
            RestFailed: the past cannot be fetched; iterating again asks again.
            Whatever iterating a reader may raise.
        """
        if not await self._has_history():
            return await super().__anext__()
        event = self._queue.popleft()
        if self._raises and isinstance(event, Loss):
            raise DataLost(event)
        return cast("T_co", event)

    async def next_batch(self, max_events: int, max_wait: float | None) -> list[T_co]:
        """One step of `batches`; the past waits for no more."""
        if not await self._has_history():
            return await super().next_batch(max_events, max_wait)
        batch: list[T_co] = []
        queue = self._queue
        while queue and len(batch) < max_events:
            if self._raises and isinstance(queue[0], Loss):
                if batch:
                    break
                raise DataLost(queue.popleft())
            batch.append(queue.popleft())
        return batch

    async def _has_history(self) -> bool:
        """Have an event in the queue; False once all is live."""
        if self._phase == "live" and not self._queue:
            return False
        if self._state in ("new", "opening"):
            await self._open()
        while not self._queue and self._phase != "live":
            if self._state == "closed":
                raise StopAsyncIteration
            if self._is_stepping:
                raise UsageError("two tasks read one reader; give each its own")
            self._is_stepping = True
            try:
                await self._advance()
            except ConnectionClosed:
                if not self._inbox.is_over:
                    raise
                raise StopAsyncIteration from None  # the client was closed, as ends any reader
            finally:
                self._is_stepping = False
        return bool(self._queue)

    async def _advance(self) -> None:
        """One step through the past, or over the seam."""
        if self._phase == "past":
            step = await self._run(partial(self._past.more, self._number))
            if not step.again:
                self._phase = "joining"
        else:
            if self._event is None:
                await self._inbox.wait()
                self._event = self._inbox.take()
            if self._event is None:
                return
            if self._past.knows(self._event):
                self._queue.append(self._event)
                self._event = None
                return
            step = await self._run(partial(self._past.join, self._event, self._number))
            if not step.again:
                self._event = None
        self._number += 1
        self._queue.extend(step.events)
        if self._phase == "joining" and self._event is None and self._past.is_joined:
            self._phase = "live"


def past_of(feed: Feed, request: StreamRequest) -> Past | None:
    """The past that a reader is to begin with, or None."""
    if request.since_ns is None and (not feed.settings.resume or request.delivery.policy == "conflate"):
        return None
    if request.symbols == "all":
        return None
    if request.channels == ("trade",):
        return PastTrades(feed, request.symbols, request.since_ns)
    if request.channels == ("ohlc",):
        return PastCandles(feed, request.symbols, request.interval, request.since_ns)
    return None
