"""Rings and policies against a reference that keeps a list for each reader and applies its policy at each event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from helpers.hub import Brakes, candle, ticker, trade
from krakenwire.clock import ManualClock
from krakenwire.errors import ReaderOverrun
from krakenwire.events import Asset, BookInvalidated, Connected, Gap, Loss, Stamp
from krakenwire.hub import Delivery, Inbox, Interest
from krakenwire.hub.ring import weigh
from krakenwire.protocol.mirror.mirror import group_of

CONNECTIONS = ("public", "public~", "public-2")
STAMPS = {name: [Stamp(name, 0, 1, 1 + n) for n in range(2)] for name in CONNECTIONS}
SYMBOLS = ("A/B", "C/D")


class Model:
    """One reader, as simple as can be."""

    def __init__(self, delivery: Delivery, interests: list[Interest]) -> None:
        self.delivery = delivery
        self.interests = interests
        self.items: list[Any] = []
        self.untold: int = 0
        self.exact = True
        self.meant = self.given = self.dropped = self.conflated = self.told = self.pauses = 0
        self.is_over = False
        self.is_holding = False

    # --- the policy

    def put(self, event: Any) -> None:
        if self.is_over:
            return
        self.meant += 1
        policy, capacity, limit = self.delivery.policy, self.delivery.capacity, self.delivery.capacity_bytes
        if policy == "disconnect":
            heavy = limit is not None and bool(self.items) and self.bytes() + weigh(event) > limit
            if len(self.items) >= capacity or heavy:
                self.dropped += 1
                self.is_over = True
                return
            self.items.append(event)
            return
        if policy == "conflate":
            older = next((item for item in self.items if key_of(item) == key_of(event)), None)
            if older is not None:
                self.conflated += 1
                self.items = [item for item in self.items if item is not older]
                if isinstance(older, Loss):
                    event = both(older, event)
        self.items.append(event)
        if policy != "block":
            while len(self.items) > capacity or (limit is not None and len(self.items) > 1 and self.bytes() > limit):
                self.drop()

    def batch_ended(self) -> None:
        if self.delivery.policy == "block" and self.interests and not self.is_holding and self.is_full():
            self.is_holding = True
            self.pauses += 1

    def drop(self) -> None:
        event = self.items.pop(0)
        self.dropped += 1
        if isinstance(event, Loss):
            self.untold += event.count or 1
            self.exact = self.exact and event.count is not None
        else:
            self.untold += 1

    # --- reading

    def take(self, count: int, to_loss: bool) -> list[Any]:
        """What `Inbox.take_batch` must give; what was lost by the reader itself is a number, or None."""
        taken: list[Any] = []
        if self.untold:
            taken.append(self.untold if self.exact else None)
            self.untold, self.exact = 0, True
            self.told += 1
            if to_loss:
                return taken
        while self.items and len(taken) < count:
            if to_loss and taken and isinstance(self.items[0], Loss):
                break
            event = self.items.pop(0)
            self.given += 1
            self.told += isinstance(event, Loss)
            taken.append(event)
            if to_loss and isinstance(event, Loss):
                break
        if self.is_holding and self.is_drained():
            self.is_holding = False
        return taken

    def stop(self) -> None:
        self.interests = []
        self.is_holding = False

    # --- measures

    def bytes(self) -> int:
        return sum(weigh(event) for event in self.items)

    def is_full(self) -> bool:
        limit = self.delivery.capacity_bytes
        return len(self.items) >= self.delivery.capacity or (limit is not None and self.bytes() >= limit)

    def is_drained(self) -> bool:
        limit = self.delivery.capacity_bytes
        return 2 * len(self.items) <= self.delivery.capacity and (limit is None or 2 * self.bytes() <= limit)

    def wants(self, event: Any, *, is_loss: bool = False) -> bool:
        for channel, symbol, connection, interval in self.interests:
            if channel is None:
                if not is_loss and connection in (None, group_of(event.stamp.connection)):
                    return True
                continue
            of = event.of if is_loss else event.channel
            its = getattr(event, "interval", None)
            if (
                channel == of
                and symbol in (None, getattr(event, "symbol", None))
                and (connection is None or group_of(connection) == group_of(event.stamp.connection))
                and (interval is None or its is None or interval == its)
            ):
                return True
        return False


def key_of(event: Any) -> object:
    if isinstance(event, Loss):
        return Loss, event.of, event.symbol
    if isinstance(event, Asset):
        return Asset, event.id
    return type(event), getattr(event, "symbol", None), getattr(event, "interval", None)


def both(older: Loss, newer: Loss) -> Loss:
    count = None if older.count is None or newer.count is None else older.count + newer.count
    fields = {name: getattr(newer, name) for name in newer.__struct_fields__}
    return Loss(**(fields | {"count": count}))


symbols = st.sampled_from(SYMBOLS)
stamps = st.builds(lambda name, n: STAMPS[name][n], st.sampled_from([*CONNECTIONS, *["public"] * 3]), st.integers(0, 1))
Make = Callable[[int, Stamp], Any]
makers: st.SearchStrategy[Make] = st.one_of(
    *[st.builds(lambda s: lambda seq, stamp: trade(s, seq, stamp), symbols)] * 4,
    st.builds(lambda s: lambda seq, stamp: ticker(s, seq, stamp), symbols),
    st.builds(lambda s, i: lambda seq, stamp: candle(i, seq, s, stamp), symbols, st.sampled_from([1, 5])),
    st.builds(
        lambda s, count: lambda seq, stamp: Gap(of="trade", symbol=s, reason="x", count=count, stamp=stamp, seq=seq),
        symbols,
        st.sampled_from([None, 3]),
    ),
    st.builds(
        lambda s: lambda seq, stamp: BookInvalidated(symbol=s, depth=10, reason="x", stamp=stamp, seq=seq), symbols
    ),
    st.just(
        lambda seq, stamp: Asset(
            id="X", type="update", status="", precision=1, precision_display=1, stamp=stamp, seq=seq
        )
    ),
    st.just(lambda seq, stamp: Connected(url="", stamp=stamp, seq=seq)),
)
interests = st.sampled_from(
    [
        *(Interest("trade", symbol, "public") for symbol in SYMBOLS),
        Interest("trade", None, "public"),
        Interest("trade", "A/B", "public-2"),
        Interest("ticker", "A/B", "public"),
        Interest("ohlc", "A/B", "public", 1),
        Interest("ohlc", None, "public-2"),
        Interest("instrument", None, "public"),
        Interest("book", "A/B", "public"),
    ]
)
observed = st.sampled_from([Interest(None), Interest("lifecycle"), Interest("trade"), Interest("ticker", "A/B")])
deliveries = st.builds(
    lambda policy, capacity, capacity_bytes: Delivery(
        policy=policy, capacity=capacity, capacity_bytes=capacity_bytes, name="x"
    ),
    st.sampled_from(["drop_oldest", "conflate", "disconnect", "block"]),
    st.integers(1, 7),
    st.sampled_from([None, None, 1, 700, 1500, 3000]),
)
which = st.integers(0, 50)


class Rings(RuleBasedStateMachine):
    """Any number of readers, in any order of events."""

    @initialize(delivery=deliveries, wanted=interests, count=st.integers(0, 3))
    def begin(self, delivery: Delivery, wanted: Interest, count: int) -> None:
        self.runner = asyncio.Runner()
        self.brakes = Brakes()
        self.hub = self.brakes.hub(ManualClock())
        self.readers: list[tuple[Inbox, Model]] = []
        self.seq = 0
        for _ in range(count):
            self.a_reader_comes(delivery, [wanted], None)

    def teardown(self) -> None:
        try:
            for number in range(len(self.readers)):
                self.the_account_is_exact(number)
        finally:
            self.runner.close()

    def pick(self, number: int) -> tuple[Inbox, Model]:
        inbox, model = self.readers[number % len(self.readers)]
        inbox.awake()
        return inbox, model

    @rule(delivery=deliveries, wanted=st.lists(interests, min_size=1, max_size=3), everything=st.none() | observed)
    def a_reader_comes(self, delivery: Delivery, wanted: list[Interest], everything: Interest | None) -> None:
        if everything is not None and delivery.policy != "block":
            wanted = [*wanted, everything]
        inbox = self.hub.inbox(delivery, "x")
        self.hub.attach(inbox, wanted)
        self.readers.append((inbox, Model(delivery, wanted)))

    @precondition(lambda self: self.readers)
    @rule(number=which)
    def another_of_the_same_comes(self, number: int) -> None:
        _, model = self.pick(number)
        if model.interests:
            inbox = self.hub.inbox(model.delivery, "x")
            self.hub.attach(inbox, model.interests)
            self.readers.append((inbox, Model(model.delivery, model.interests)))

    @rule(batch=st.lists(st.tuples(makers, stamps), max_size=12))
    def events_come(self, batch: list[tuple[Make, Stamp]]) -> None:
        events = []
        for make, stamp in batch:
            self.seq += 1
            event = make(self.seq, stamp)
            events.append(event)
            loss = None
            if isinstance(event, Gap):
                loss = Loss(reason="x", count=event.count, of="trade", symbol=event.symbol, cause=event)
            elif isinstance(event, BookInvalidated):
                loss = Loss(reason="the book is not synced (x)", of="book", symbol=event.symbol, cause=event)
            for _, model in self.readers:
                if model.wants(event):
                    model.put(event)
                if loss is not None:
                    fields = {name: getattr(loss, name) for name in loss.__struct_fields__}
                    told = Loss(**(fields | {"stamp": stamp, "seq": event.seq}))
                    if model.wants(told, is_loss=True):
                        model.put(told)
        self.hub.publish(events)
        for _, model in self.readers:
            model.batch_ended()

    @precondition(lambda self: self.readers)
    @rule(number=which, make=makers, count=st.sampled_from([None, 2]), is_loss=st.booleans())
    def one_is_given_something_alone(self, number: int, make: Make, count: int | None, is_loss: bool) -> None:
        inbox, model = self.pick(number)
        self.seq += 1
        event = Loss(reason="alone", count=count, seq=self.seq) if is_loss else make(self.seq, STAMPS["public"][0])
        inbox.put(event)
        model.put(event)
        model.batch_ended()

    @precondition(lambda self: self.readers)
    @rule(number=which, count=st.integers(1, 8), to_loss=st.booleans())
    def one_reads(self, number: int, count: int, to_loss: bool) -> None:
        inbox, model = self.pick(number)
        try:
            given = inbox.take_batch(count, to_loss=to_loss)
        except (ReaderOverrun, StopAsyncIteration):
            assert model.is_over
            assert not model.items
            return
        self.compare(given, model.take(count, to_loss))

    @precondition(lambda self: self.readers)
    @rule(number=which, count=st.integers(1, 5))
    def one_reads_one_by_one(self, number: int, count: int) -> None:
        """As `Reader.__anext__` does."""
        inbox, model = self.pick(number)
        for _ in range(count):
            try:
                event = inbox.ready.pop() if inbox.ready else inbox.take_ahead()
            except (ReaderOverrun, StopAsyncIteration):
                assert model.is_over
                assert not model.items
                return
            self.compare([] if event is None else [event], model.take(1, to_loss=True))

    def compare(self, given: list[Any], expected: list[Any]) -> None:
        assert len(given) == len(expected)
        for mine, theirs in zip(expected, given, strict=True):
            if mine is None or isinstance(mine, int):
                assert isinstance(theirs, Loss)
                assert theirs.count == mine
                assert theirs.cause is None
            else:
                assert theirs == mine

    @precondition(lambda self: self.readers)
    @rule(number=which)
    def one_goes_to_sleep(self, number: int) -> None:
        inbox, model = self.pick(number)

        async def sleep() -> None:
            if inbox.is_idle:
                inbox.sleep()

        self.runner.run(sleep())
        assert inbox.is_idle == (not model.items and not model.untold and not model.is_over)

    @precondition(lambda self: self.readers)
    @rule(number=which, wanted=interests)
    def one_wants_more(self, number: int, wanted: Interest) -> None:
        inbox, model = self.pick(number)
        if not model.is_over and model.interests:
            self.hub.attach(inbox, [wanted])
            model.interests = [*model.interests, wanted]

    @precondition(lambda self: self.readers)
    @rule(number=which)
    def one_is_detached(self, number: int) -> None:
        inbox, model = self.pick(number)
        self.hub.detach(inbox)
        model.stop()

    @precondition(lambda self: self.readers)
    @rule(number=which)
    def one_is_ended(self, number: int) -> None:
        inbox, model = self.pick(number)
        inbox.end(StopAsyncIteration())
        model.stop()
        model.is_over = True

    @precondition(lambda self: self.readers)
    @rule(number=which)
    def the_account_is_exact(self, number: int) -> None:
        inbox, model = self.readers[number % len(self.readers)]
        account = inbox.statistics()
        assert (account.delivered, account.waiting) == (model.given, len(model.items))
        assert (account.dropped, account.conflated) == (model.dropped, model.conflated)
        assert (account.losses, account.pauses) == (model.told, model.pauses)
        assert account.waiting_bytes == model.bytes()
        assert account.delivered + account.waiting + account.dropped + account.conflated == model.meant

    @invariant()
    def what_is_held_is_paused(self) -> None:
        if not hasattr(self, "readers"):
            return
        held = {
            group_of(interest.connection or "")
            for _, model in self.readers
            if model.is_holding
            for interest in model.interests
        }
        assert set(self.brakes.paused) == held


TestRings = Rings.TestCase
TestRings.settings = settings(stateful_step_count=40)
