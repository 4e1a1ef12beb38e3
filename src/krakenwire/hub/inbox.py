"""The hub's side of one reader: what waits for it, bounded, and an exact account of what it was not given."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Literal, NamedTuple

import msgspec

from krakenwire.errors import ReaderOverrun, UsageError
from krakenwire.events import Asset, Event, Loss

__all__ = ["DEFAULT_CAPACITY", "Inbox", "Interest", "OnLoss", "Policy", "ReaderStatistics"]

Policy = Literal["drop_oldest", "conflate", "disconnect"]
OnLoss = Literal["raise", "yield"]

POLICIES: tuple[Policy, ...] = ("drop_oldest", "conflate", "disconnect")
DEFAULT_CAPACITY = 65_536


class Interest(NamedTuple):
    """What a reader wants.

    Attributes:
        channel: which events; None is every event there is.
        symbol: of which symbol; None is all of the channel.
        connection: only from this connection (a deeper book of the same symbol may come over another); None is any.
        interval: only candles of this interval; None is any.
    """

    channel: str | None
    symbol: str | None = None
    connection: str | None = None
    interval: int | None = None


class ReaderStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A reader's account; `delivered + waiting + dropped + conflated` is everything it was meant to get.

    Attributes:
        policy: what happens when it is slow.
        capacity: events that may wait.
        waiting: events that wait now.
        delivered: events given out.
        dropped: events thrown away because it was slow.
        conflated: events replaced by a newer one of the same channel and symbol.
        losses: times it was told of a loss.
    """

    policy: Policy
    capacity: int
    waiting: int
    delivered: int
    dropped: int
    conflated: int
    losses: int


class Inbox:
    """A bounded queue of events with one policy. Everything here belongs to the event loop's thread.

    Args:
        policy: `drop_oldest` (and tell), `conflate` (keep the newest per channel and symbol), `disconnect`.
        capacity: events that may wait; under `conflate`, distinct channels and symbols.
    """

    def __init__(self, policy: Policy = "drop_oldest", capacity: int = DEFAULT_CAPACITY) -> None:
        if policy not in POLICIES:
            raise UsageError(f"policy must be one of {', '.join(POLICIES)}, not {policy!r}")
        if capacity < 1:
            raise UsageError(f"capacity must be at least 1 event, not {capacity!r}")
        self.policy: Policy = policy
        self.capacity = capacity
        self._queue: deque[Event] = deque()
        self._newest: dict[tuple[str, str | None, int | None], Event] = {}
        self._delivered = 0
        self._dropped = 0
        self._conflated = 0
        self._losses = 0
        self._untold = 0
        self._untold_is_exact = True
        self._over: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._queue) + len(self._newest) + (1 if self._untold else 0)

    def put(self, event: Event) -> None:
        """Keep `event` for the reader, as its policy says. Never blocks, never raises."""
        if self._over is not None:
            return
        if self.policy == "conflate":
            self._conflate(event)
        elif len(self._queue) < self.capacity:
            self._queue.append(event)
        elif self.policy == "drop_oldest":
            self._drop(self._queue.popleft())
            self._queue.append(event)
        else:
            self._dropped += 1
            self.end(ReaderOverrun(self.capacity))
        self.wake()

    def take(self) -> Event | None:
        """The next event or `Loss`, or None if nothing waits.

        Raises:
            ReaderOverrun: the reader was cut off, and what had waited is given out.
            BaseException: whatever else the reader was ended with; `StopAsyncIteration` for a plain end.
        """
        if self._untold:
            return self._tell()
        event: Event
        if self._queue:
            event = self._queue.popleft()
        elif self._newest:
            event = self._newest.pop(next(iter(self._newest)))
        elif self._over is not None:
            raise self._over.with_traceback(None)  # raised each time it is asked for: the trace must not grow
        else:
            return None
        self._delivered += 1
        if isinstance(event, Loss):
            self._losses += 1
        return event

    async def wait(self) -> None:
        """Wait until `take` has something to say. Cancellation: safe, nothing is taken.

        Raises:
            UsageError: if another task waits already; a reader has one consumer.
        """
        if len(self) or self._over is not None:
            return
        if self._waiter is not None:
            raise UsageError("two tasks read one reader; give each its own")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def end(self, error: BaseException) -> None:
        """Nothing more will come; once what waits is taken, `take` raises `error`."""
        if self._over is None:
            self._over = error
        self.wake()

    def clear(self) -> None:
        """Forget what waits, as if it had never been put."""
        self._queue.clear()
        self._newest.clear()
        self._untold = 0
        self._untold_is_exact = True

    @property
    def is_over(self) -> bool:
        """Nothing more will come, though something may still wait."""
        return self._over is not None

    def wake(self) -> None:
        """Let the consumer look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def statistics(self) -> ReaderStatistics:
        """The account so far."""
        return ReaderStatistics(
            policy=self.policy,
            capacity=self.capacity,
            waiting=len(self._queue) + len(self._newest),
            delivered=self._delivered,
            dropped=self._dropped,
            conflated=self._conflated,
            losses=self._losses,
        )

    def _conflate(self, event: Any) -> None:
        key: tuple[str, str | None, int | None]
        if isinstance(event, Loss):
            key = (event.of or "", event.symbol, -1)  # a loss never hides the news that follow it
        elif isinstance(event, Asset):
            key = (event.channel, event.id, -1)
        else:
            key = (event.channel, getattr(event, "symbol", None), getattr(event, "interval", None))
        older = self._newest.pop(key, None)  # the newest goes to the end: order of arrival holds among what is left
        if older is not None:
            self._conflated += 1
            if isinstance(older, Loss):
                event = _both(older, event)
        elif len(self._newest) >= self.capacity:
            self._drop(self._newest.pop(next(iter(self._newest))))
        self._newest[key] = event

    def _drop(self, event: Event) -> None:
        self._dropped += 1
        if not isinstance(event, Loss):
            self._untold += 1
            return
        # A loss that is itself lost is not forgotten: it becomes part of the next one told.
        self._untold += event.count or 1
        self._untold_is_exact = self._untold_is_exact and event.count is not None

    def _tell(self) -> Loss:
        count = self._untold if self._untold_is_exact else None
        self._untold = 0
        self._untold_is_exact = True
        self._losses += 1
        return Loss(reason=f"the reader fell behind by more than {self.capacity} events", count=count)


def _both(older: Loss, newer: Loss) -> Loss:
    """Two losses of one stream as one: nothing lost is forgotten."""
    count = None if older.count is None or newer.count is None else older.count + newer.count
    return msgspec.structs.replace(newer, count=count)
