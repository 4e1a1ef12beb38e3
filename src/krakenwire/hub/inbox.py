"""The hub's side of one reader: its place in a ring, its policy, and an exact account of what it was not given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from krakenwire.clock import Clock
from krakenwire.errors import ReaderOverrun, UsageError, anew
from krakenwire.events import Event, Loss
from krakenwire.hub.interest import DEFAULT_BLOCK_LIMIT, DEFAULT_CAPACITY, Delivery, Interest, Policy, ReaderStatistics
from krakenwire.hub.newest import Newest
from krakenwire.hub.ring import Ring

if TYPE_CHECKING:
    from krakenwire.hub.hub import Hub

__all__ = ["Inbox"]


_RUN = 256
"""Events taken out ahead at most."""


class Inbox:
    """One reader's cursor. Everything here belongs to the event loop's thread.

    What was written is looked at when the reader reads, or when the ring needs room; either way the outcome is as if
    the policy had been applied at each event. Its insides are open to `Ring`, `Hub` and `Reader`, and to nobody else.

    Args:
        policy: `drop_oldest` (and tell), `conflate` (keep the newest of each kind and symbol), `disconnect` (end with
            `ReaderOverrun`), `block` (have reading paused).
        capacity: events that may wait; under `conflate`, distinct kinds and symbols.
        capacity_bytes: what may wait in bytes, or None. One event may wait whatever its size.
        block_limit: under `block`, seconds that reading may be paused.
        name: what it is called.
        clock: tells the lag in time.

    Attributes:
        hub: who writes to it, None at first.
        wanted: what it is to be given; the hub moves it to the ring for that before the next event.
        ring: what it reads.
        events: those of its ring.
        index: where in `events` it goes on.
        ready: the next few, last first, taken out ahead for `async for`; they go back before anything else is done.
        passed: places of rings that it has left behind for good.
        failures, slow: kept by `Reader.run`.
    """

    def __init__(
        self,
        policy: Policy = "drop_oldest",
        capacity: int = DEFAULT_CAPACITY,
        *,
        capacity_bytes: int | None = None,
        block_limit: float = DEFAULT_BLOCK_LIMIT,
        name: str = "",
        clock: Clock | None = None,
    ) -> None:
        Delivery(policy=policy, capacity=capacity, capacity_bytes=capacity_bytes, block_limit=block_limit)  # checks
        self.policy: Policy = policy
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self.block_limit = block_limit
        self.name = name
        self.clock = clock
        self.hub: Hub | None = None
        self.wanted: set[Interest] = set()
        self.ring = Ring()
        self.events = self.ring.events
        self.index = 0
        self.ready: list[Any] = []
        self.passed = 0
        self.failures = 0
        self.slow = 0
        self.is_holding = False
        # A reader that must not overrun is looked at when more than its room is taken.
        spare = 1 if policy == "block" else 0
        self.room = capacity - spare
        self.room_bytes = 0 if capacity_bytes is None else capacity_bytes - spare
        self._newest = Newest(capacity, capacity_bytes) if policy == "conflate" else None
        self._dropped = 0
        self._losses = 0
        self._pauses = 0
        self._peak = 0
        self._untold = 0
        self._untold_is_exact = True
        self._over: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.ring.join(self)

    def __len__(self) -> int:
        return self.waiting + (1 if self._untold else 0)

    @property
    def waiting(self) -> int:
        """Events that wait, with those that its policy will not let wait once somebody looks."""
        kept = 0 if self._newest is None else len(self._newest)
        return len(self.events) - self.index + kept + len(self.ready)

    @property
    def is_strict(self) -> bool:
        """Whether it must be seen to at the very event that is too much for it."""
        return self.policy == "disconnect" or (self.policy == "block" and not self.is_holding)

    @property
    def is_over(self) -> bool:
        """Nothing more will come, though something may still wait. It only looks, so any thread may ask."""
        return self._over is not None

    @property
    def is_cut_off(self) -> bool:
        """It is over because it was too slow."""
        return isinstance(self._over, ReaderOverrun)

    @property
    def is_idle(self) -> bool:
        """There is nothing to say, and there may be later."""
        return not (self.index < len(self.events) or self.ready or self._newest or self._untold or self._over)

    # --- the writer's side ------------------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Give `event` to it alone, after what waits already. Never blocks, never raises."""
        if self._over is not None:
            return
        if self.ring.is_shared:
            self.move(Ring(self.ring.interests, seed=self.rest()))
        if isinstance(event, Loss):
            self.ring.append_loss(event)
        else:
            self.events.append(event)
        self.ring.written()
        self._brake()

    def end(self, error: BaseException) -> None:
        """Nothing more will come; once what waits is taken, `take` raises `error`."""
        if self._over is None:
            rest = self.rest()  # which may find that it is to be cut off
            if self._over is None:
                self._finish(error, rest)
        self.wake()

    def wake(self) -> None:
        """Let the consumer look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def make_room(self) -> None:
        """Apply the policy to what came since the last look, so that the ring need not keep what it forbids."""
        if self.ready:
            self.unread()
        ring, start = self.ring, self.index
        count = len(self.events) - start
        if self._newest is not None:
            if count:
                self.index += count
                self._drop(self._newest.fold(self.events[start:]))
            count = len(self._newest)
        elif self.policy == "drop_oldest":
            first = start + max(0, count - self.capacity)
            if self.capacity_bytes is not None and count:
                first = ring.newest_within(first, self.capacity_bytes)
            if first > start:
                self.index = first
                self._drop(self.events[start:first])
                count = len(self.events) - first
        elif self.policy == "disconnect":
            fits = min(count, self.capacity)
            if self.capacity_bytes is not None and count:
                fits = min(fits, ring.oldest_within(start, self.capacity_bytes))
            if fits < count:
                count = fits
                self._dropped += 1  # the one that did not fit; what comes after it is not for this reader any more
                self.passed += 1
                self._finish(ReaderOverrun(self.capacity), self.events[start : start + fits])
        elif self.wanted and not self.is_holding and self._is_full(count):
            self.is_holding = True
            self._pauses += 1
            if self.hub is not None:
                self.hub.hold(self)
        self._peak = max(self._peak, count)

    def unread(self) -> None:
        """Put back what was taken out ahead: it waits as it did before."""
        if self._newest is None:
            self.index -= len(self.ready)
        else:
            self._newest.put_back(self.ready)
        self.ready.clear()

    def rest(self) -> list[Event]:
        """What waits in the ring, for another one."""
        self.make_room()
        return self.events[self.index :]

    def move(self, ring: Ring) -> None:
        """Read `ring` from now on: from its end if it is shared, else all of it."""
        old = self.ring
        waits = self in old.sleepers or self in old.watchers
        old.leave(self)
        self.ring, self.events = ring, ring.events
        self.passed += self.index
        self.index = len(ring.events) if ring.is_shared else 0
        self.passed -= self.index
        ring.join(self)
        if waits and not self.waiting:
            ring.sleepers[self] = None
        elif waits:
            self.wake()
        if self.hub is not None:
            self.hub.moved(old, ring)

    def time_is_up(self) -> None:
        """Reading was paused for as long as it may be: the reader is cut off, with all that waits."""
        if self._over is None:
            self._finish(ReaderOverrun(self.capacity, block_limit=self.block_limit), self.rest())
            self.wake()

    def part(self) -> None:
        """Its reader is no more: inbox and ring let go of each other, so that what waits is gone at once."""
        self.ring.leave(self)

    def hold_no_more(self) -> None:
        """It keeps no connection from being read any more; harmless if it did not."""
        if self.is_holding:
            self.is_holding = False
            self.ring.rebound()
            if self.hub is not None:
                self.hub.let_go(self)

    # --- the reader's side ------------------------------------------------------------------------------------------

    def take(self) -> Any:
        """The next event or `Loss`, or None if nothing waits.

        Raises:
            ReaderOverrun: the reader was cut off, and what had waited is given out.
            BaseException: whatever else the reader was ended with; `StopAsyncIteration` for a plain end.
        """
        batch = self.take_batch(1)
        return batch[0] if batch else None

    def take_only(self) -> Any:
        """The next event if it is all that waits, and no policy has to look at it; else None, and nothing is taken."""
        start = self.index
        if len(self.events) - start != 1 or self._newest or self._untold or self.is_holding or self.ready:
            return None
        event = self.events[start]
        if type(event) is Loss:
            return None
        self.index = start + 1
        return event

    def take_ahead(self) -> Any:
        """As `take`; a run of what comes after it is put into `ready`, to be popped from there.

        Not while it holds up a connection, for then every event counts; and not past a loss.
        """
        self.make_room()
        if self._untold or self.is_holding:
            return self.take()
        run: list[Any]
        if self._newest is not None:
            run = self._newest.take_run(_RUN)
        else:
            start = self.index
            stop = min(start + _RUN, len(self.events))
            losses = self.ring.losses(start, stop)
            if losses:
                stop = losses[0]
            run = self.events[start:stop]
            self.index = stop
        if not run:
            return self.take()
        run.reverse()
        event = run.pop()
        if run:
            self.ready += run
            self.ring.ahead[self] = None
        return event

    def take_batch(self, max_events: int, *, to_loss: bool = False) -> list[Any]:
        """What waits, at most `max_events` of it, losses in their place; empty if nothing does.

        Args:
            max_events: how many at most.
            to_loss: end before a loss, so that a loss comes alone.

        Raises:
            ReaderOverrun, BaseException: as `take`, once nothing waits.
        """
        self.make_room()
        if self._untold:
            loss = self._tell()
            if to_loss or max_events == 1:
                return [loss]
            return [loss, *self.take_batch(max_events - 1)] if self.waiting else [loss]
        if self._newest is not None:
            batch = self._newest.take(max_events, to_loss=to_loss)
            self._losses += sum(isinstance(event, Loss) for event in batch)
        else:
            start = self.index
            stop = min(start + max_events, len(self.events))
            losses = self.ring.losses(start, stop)
            if losses:
                if to_loss:
                    stop = max(losses[0], start + 1)
                self._losses += sum(at < stop for at in losses)
            self.index = stop
            batch = self.events[start:stop]
        if not batch and self._over is not None:
            raise anew(self._over)
        if self.is_holding and self._is_drained():
            self.hold_no_more()
        return batch

    async def wait(self, count: int = 1) -> None:
        """Wait until `take` has something to say; with `count`, until so many wait, or half of what it may hold.

        Cancellation: safe, nothing is taken.

        Raises:
            UsageError: if another task waits already; a reader has one consumer.
        """
        while not self._is_ready(count):
            waiter = self.sleep()
            try:
                await waiter
            finally:
                self.awake()

    def sleep(self) -> asyncio.Future[None]:
        """What to await for the next event, or for more of them; `awake` follows, whatever came of it.

        Raises:
            UsageError: as `wait`.
        """
        if self._waiter is not None:
            raise UsageError("two tasks read one reader; give each its own")
        if self.waiting:
            self.ring.watchers[self] = None
        else:
            if not self.ring.is_shared and self.hub is not None:
                self.hub.rejoin(self)
            self.ring.sleep(self)
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def awake(self) -> None:
        """It waits no more."""
        self._waiter = None
        self.ring.sleepers.pop(self, None)
        self.ring.watchers.pop(self, None)
        if self.hub is not None and self.hub.timings is not None and self.index < len(self.events):
            self.hub.timings.taken(self.events[self.index])

    def clear(self) -> None:
        """Forget what waits, as if it had never been put."""
        self.make_room()
        if self._newest is not None:
            self.passed -= len(self._newest)
            self._newest.clear()
        self.move(Ring(self.ring.interests))
        self._untold = 0
        self._untold_is_exact = True
        self.hold_no_more()

    def give_back(self, events: list[Any]) -> None:
        """`events`, the last that were taken, were not handled: they come first again."""
        self._losses -= sum(isinstance(event, Loss) for event in events)
        if self._newest is not None:
            self._drop(self._newest.give_back(events))
        else:
            seed = [*events, *self.rest()]
            self.move(Ring(self.ring.interests, seed=seed))
            self.passed -= len(events)

    def statistics(self) -> ReaderStatistics:
        """The account so far."""
        self.make_room()
        newest, waiting = self._newest, self.waiting
        conflated, kept, oldest = 0, 0, None
        if newest is not None:
            conflated, kept, oldest = newest.conflated, len(newest), next(iter(newest), None)
        elif waiting:
            oldest = self.events[self.index]
        received = 0 if oldest is None else oldest.stamp.received_mono_ns
        return ReaderStatistics(
            name=self.name,
            policy=self.policy,
            capacity=self.capacity,
            capacity_bytes=self.capacity_bytes,
            waiting=waiting,
            waiting_bytes=self.ring.weight(self.index, len(self.events)) if newest is None else newest.weight(),
            lag_ns=max(0, self.clock.monotonic_ns() - received) if received and self.clock is not None else 0,
            peak=self._peak,
            delivered=self.passed + self.index - self._dropped - conflated - kept,
            dropped=self._dropped,
            conflated=conflated,
            losses=self._losses,
            pauses=self._pauses,
            failures=self.failures,
            slow=self.slow,
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    def _is_ready(self, count: int) -> bool:
        self.make_room()
        waiting = self.waiting
        if self._untold or self._over is not None or waiting >= count:
            return True
        # Who waits for more than one must not be made to lose any by it.
        return waiting > 0 and count > 1 and (self.is_holding or not self._is_drained())

    def _is_full(self, count: int) -> bool:
        if count >= self.capacity:
            return True
        return self.capacity_bytes is not None and self._waiting_bytes() >= self.capacity_bytes

    def _is_drained(self) -> bool:
        """At most half of what it may hold waits."""
        if self.waiting * 2 > self.capacity:
            return False
        return self.capacity_bytes is None or self._waiting_bytes() * 2 <= self.capacity_bytes

    def _waiting_bytes(self) -> int:
        return self.ring.weight(self.index, len(self.events)) if self._newest is None else self._newest.weight()

    def _drop(self, events: Iterable[Any]) -> None:
        for event in events:
            self._dropped += 1
            if type(event) is not Loss:
                self._untold += 1
            else:  # a loss that is itself lost is not forgotten: it becomes part of the next one told
                self._untold += event.count or 1
                self._untold_is_exact = self._untold_is_exact and event.count is not None

    def _tell(self) -> Loss:
        count = self._untold if self._untold_is_exact else None
        self._untold = 0
        self._untold_is_exact = True
        self._losses += 1
        bound = f"{self.capacity} events"
        if self.capacity_bytes is not None:
            bound += f" or {self.capacity_bytes} bytes"
        return Loss(reason=f"the reader fell behind by more than {bound}", count=count)

    def _finish(self, error: BaseException, rest: list[Event]) -> None:
        """Nothing more will come but `rest`."""
        self._over = error
        self.move(Ring(seed=rest))
        if self.hub is not None:
            self.hub.detach(self)
        self.hold_no_more()

    def _brake(self) -> None:
        if self.hub is not None:
            self.hub.apply_brake()
