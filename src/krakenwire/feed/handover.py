"""A reader whose feed lives in another thread: events are handed over to its loop in batches.

The reader's inbox stays on the feed's loop, with its policy and its exact account. A carrier there takes what waits in
it and hands it to an inbox on the reader's loop, but never so much that more than `BATCH` events are between the two:
on the way, or waiting for the consumer. Whatever else comes waits on the feed's side, under the policy. A reader that
conflates does so on both sides, so that its consumer is not shown what was the newest a thousand events ago.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import msgspec

from krakenwire.events import Loss
from krakenwire.feed.iothread import Home
from krakenwire.hub import Hub, Inbox, ReaderStatistics

__all__ = ["BATCH", "Handover", "Source"]

BATCH = 1024
"""Events that may be between the feed's side and the consumer."""

_GRANT = BATCH // 2
"""So many are taken before the feed's side is told: telling it wakes it."""


class Source(Protocol):
    """What a reader holds on the feed's side."""

    inbox: Inbox

    def subscribe(self) -> Coroutine[Any, Any, None]:
        """Have the inbox filled."""

    def release(self) -> None:
        """Have it filled no more."""


class _Handed(NamedTuple):
    """What one handover brings.

    Attributes:
        events: in their order.
        begins_with_lag: the first of them tells what the inbox dropped, and is not of the stream.
        over: what the reader is ended with, after these.
        is_last: the feed is over: what is left in the inbox is the consumer's to take.
    """

    events: list[Any]
    begins_with_lag: bool = False
    over: BaseException | None = None
    is_last: bool = False


class Handover(Inbox):
    """The reader's end: an inbox on its own loop, of which `Reader` knows no more than of any other.

    Args:
        home: where the feed lives.
        source: what the reader holds there.
        hub: the reader's side of the feed's hub; tells the time, and passes on what is told of callbacks.
    """

    def __init__(self, home: Home, source: Source, hub: Hub) -> None:
        near = source.inbox
        if near.policy == "conflate":
            super().__init__("conflate", near.capacity, capacity_bytes=near.capacity_bytes)
        else:
            super().__init__("drop_oldest", 2 * BATCH)  # never full: who waits for half of it waits for a batch
        self.name, self.clock, self.hub = near.name, hub.clock, hub
        self._home = home
        self._source = source
        self._carrier: _Carrier | None = None
        self._received = 0
        self._told = 0  # events that the feed's side knows to be taken
        self._lags: deque[int] = deque()  # places of losses that are not of the stream
        self._lags_taken = 0
        self._is_last = False

    async def subscribe(self) -> None:
        """Subscribe on the feed's side. Cancellation: safe, the subscription is released."""
        carrier = self._carrier = _Carrier(self._source, self._receive, asyncio.get_running_loop())
        self._told = self._taken
        try:
            await self._home.run(carrier.begin)
        except BaseException:
            self._home.call(carrier.abandon)
            raise

    def release(self) -> None:
        """Release it there. What is here can still be consumed."""
        if self._carrier is not None:
            self._home.call(self._carrier.end)

    async def wait(self, count: int = 1) -> None:
        """As `Inbox.wait`; no more than `BATCH` events can be waited for."""
        await super().wait(min(count, BATCH))

    def sleep(self) -> asyncio.Future[None]:
        """As `Inbox.sleep`; the consumer has nothing left, so this is the time to see to more."""
        waiter = super().sleep()
        if self._is_last:
            self._take_over()
        elif self.policy != "conflate":
            self._tell_taken(1 if self.waiting else _GRANT)
        return waiter

    def statistics(self) -> ReaderStatistics:
        """The account of both sides; belongs to the thread of the reader's loop.

        What is between the sides the feed's has delivered, and it waits for the consumer.
        """
        far, near = super().statistics(), self._home.call(self._source.inbox.statistics)
        while self._lags and self._lags[0] < self._taken:
            self._lags.popleft()
            self._lags_taken += 1
        delivered = far.delivered - self._lags_taken
        return msgspec.structs.replace(
            near,
            waiting=near.waiting + near.delivered - delivered - far.dropped - far.conflated,
            waiting_bytes=near.waiting_bytes + far.waiting_bytes,
            lag_ns=far.lag_ns if far.waiting else near.lag_ns,
            peak=max(near.peak, far.peak),
            delivered=delivered,
            dropped=near.dropped + far.dropped,
            conflated=near.conflated + far.conflated,
            losses=far.losses,
            failures=far.failures,
            slow=far.slow,
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _taken(self) -> int:
        """Events that are not between the sides any more: consumed, or, where the newest is kept, seen here."""
        return self._received if self.policy == "conflate" else self.passed + self.index

    def _tell_taken(self, at_least: int) -> None:
        """Let the feed's side know how many more were taken, if they are worth it."""
        more = self._taken - self._told
        if more >= at_least:
            self._told += more
            if (carrier := self._carrier) is not None:
                self._home.post(lambda: carrier.granted(more))

    def _receive(self, carrier: _Carrier, handed: _Handed) -> None:
        if carrier is not self._carrier:
            return  # of an entry that failed
        self._is_last = handed.is_last
        self._accept(handed)
        if self._is_last:
            self._take_over()
        if self.policy == "conflate":
            self._tell_taken(_GRANT)

    def _take_over(self) -> None:
        """The feed is over: what it left is taken from there, batch by batch as before."""
        if not self.waiting and self._carrier is not None:
            self._accept(self._carrier.take(BATCH))

    def _accept(self, handed: _Handed) -> None:
        if self.is_over:
            return
        events = handed.events
        self._received += len(events)
        if handed.begins_with_lag and self.policy == "conflate":
            lag, *events = events  # told before what waits here, as it was there
            self._untold += lag.count or 1
            self._untold_is_exact = self._untold_is_exact and lag.count is not None
            self.wake()
        elif handed.begins_with_lag:
            self._lags.append(self.passed + len(self.events))
        if Loss in map(type, events):
            for event in events:
                if type(event) is Loss:
                    self.ring.append_loss(event)
                else:
                    self.events.append(event)
        else:
            self.events.extend(events)
        self.ring.written()
        if handed.over is not None:
            self.end(handed.over)


class _Carrier:
    """The feed's side of one subscription: takes from the inbox, and hands over.

    Args:
        source: what the reader holds.
        receive: given what is handed over, on the reader's loop.
        loop: that one.
    """

    def __init__(
        self, source: Source, receive: Callable[[_Carrier, _Handed], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._source = source
        self._receive = receive
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._between = 0
        self._may_go_on = asyncio.Event()
        self._is_released = False

    async def begin(self) -> None:
        """Subscribe, and hand over from then on. Cancellation: safe, the subscription is released."""
        await self._source.subscribe()
        self._task = asyncio.get_running_loop().create_task(self._carry(), name="krakenwire handover")

    def end(self) -> None:
        """Hand nothing more over, and release the subscription."""
        self._is_released = True
        if self._task is not None:
            self._task.cancel()
        self._source.release()

    def abandon(self) -> None:
        """Be as if it had never begun."""
        self.end()
        self._source.inbox.clear()

    def granted(self, count: int) -> None:
        """So many events are not between the sides any more."""
        self._between -= count
        self._may_go_on.set()

    def take(self, count: int) -> _Handed:
        """At most `count` of the events that wait, or the end."""
        inbox = self._source.inbox
        inbox.make_room()
        begins_with_lag = len(inbox) > inbox.waiting
        try:
            return _Handed(inbox.take_batch(count), begins_with_lag)
        except BaseException as error:  # what the reader was ended with, whatever that is
            return _Handed([], over=error)

    async def _carry(self) -> None:
        try:
            over = None
            while over is None:
                while self._between >= BATCH:
                    self._may_go_on.clear()
                    await self._may_go_on.wait()
                await self._source.inbox.wait()
                handed = self.take(BATCH - self._between)
                self._between += len(handed.events)
                over = handed.over
                self._hand_over(handed)
        except asyncio.CancelledError:
            if not self._is_released:
                self._hand_over(_Handed([], is_last=True))
            raise

    def _hand_over(self, handed: _Handed) -> None:
        with suppress(RuntimeError):  # the reader's loop is closed: nobody is there any more
            self._loop.call_soon_threadsafe(self._receive, self, handed)
