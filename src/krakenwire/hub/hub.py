"""From one writer to many readers: an index by channel and symbol, so that a reader costs nothing for the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from krakenwire.clock import Clock, SystemClock
from krakenwire.errors import UsageError
from krakenwire.events import BookInvalidated, Event, Gap, Loss, Stamp, SubscribeRejected
from krakenwire.hub.brake import Brake
from krakenwire.hub.inbox import Inbox
from krakenwire.hub.interest import Delivery, Interest, ReaderStatistics
from krakenwire.hub.ring import Ring
from krakenwire.latency import StageTimings
from krakenwire.protocol.mirror.mirror import group_of

__all__ = ["Hub", "Target"]

Target = Callable[[Any], object]
"""Called with each event of an interest, on the event loop; must be quick and must not raise."""

_MOST_PLANS = 20_000
"""Channels and symbols whose receivers are remembered; a server may name as many symbols as it likes."""


class _Plan:
    """Who is given the events of one channel, symbol, interval and connection."""

    __slots__ = ("gives", "is_noted", "rings", "targets")

    def __init__(self, rings: tuple[Ring, ...], targets: tuple[Target, ...]) -> None:
        self.rings = rings
        self.targets = targets
        # Rings come first: a callback may have a reader leave, which is to have got this event by then.
        self.gives: tuple[Target, ...] = (*(ring.events.append for ring in rings), *targets)
        self.is_noted = not rings  # noted rings are seen to after the batch


_Plans = dict[type[Any], dict[str | None, _Plan]]
"""Of one connection: plans by kind of event, then by symbol; only of kinds whose symbol alone decides."""

_Place = tuple[str | None, str | None]
"""Where in the index an interest stands: its channel and symbol."""

_LOSSES = (BookInvalidated, Gap, SubscribeRejected)


class Hub:
    """Publishes events to readers and internal callbacks. Belongs to the event loop's thread.

    Readers that want the same share one `Ring`, into which each event is put once. Which rings and callbacks an event
    goes to is looked up once for its kind, symbol and connection, and remembered until somebody comes or goes.

    Args:
        clock: tells readers' lag, and how long reading may be paused.
        pause: has a connection (and the other one of its mirrored pair) read no more, for the reason given. Without
            it no reader may have the policy `block`.
        resume: has it read again.
        may_block: whether readers may hold up a connection.
        report: is given events about readers (`CallbackFailed`, `CallbackSlow`); by default they are published.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        pause: Callable[[str, str], object] | None = None,
        resume: Callable[[str], object] | None = None,
        may_block: Callable[[str], bool] = lambda _connection: True,
        report: Callable[[Event], object] | None = None,
    ) -> None:
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.report = report if report is not None else lambda event: self.publish([event])
        self.mourners: tuple[Callable[[Inbox], object], ...] = ()
        """Told of each reader that goes, with its account as it is then."""
        self.timings: StageTimings | None = None
        """How long events take to get to their consumers; measured while it is set."""
        self._brake: Brake | None = None
        if pause is not None and resume is not None:
            self._brake = Brake(self.clock, pause, resume, may_block)
        self._numbers = itertools.count(1)
        self._inboxes: dict[Inbox, None] = {}
        self._shared: dict[frozenset[Interest], Ring] = {}
        self._moving: dict[Inbox, None] = {}  # they want something else than their ring has
        self._targets: dict[Target, list[Interest]] = {}
        self._index: dict[_Place, dict[Ring | Target, list[Interest]]] = {}
        self._indexed: set[Ring] = set()
        self._plans: dict[str, _Plans] = {}
        self._rare: dict[tuple[str, str, str | None, int | None, bool], _Plan] = {}
        self._count = 0

    # --- who reads --------------------------------------------------------------------------------------------------

    @property
    def inboxes(self) -> tuple[Inbox, ...]:
        """The readers there are."""
        return tuple(self._inboxes)

    @property
    def wishes(self) -> int:
        """How many interests of readers and callbacks it looks events up for."""
        if self._moving:
            self._settle_moves()
        return sum(len(interests) for entries in self._index.values() for interests in entries.values())

    def statistics(self) -> tuple[ReaderStatistics, ...]:
        """The accounts of all readers there are."""
        return tuple(inbox.statistics() for inbox in self.inboxes)

    def inbox(self, delivery: Delivery, what: str) -> Inbox:
        """The hub's side of a new reader of `what`, which makes its name if it was given none."""
        name = delivery.name
        inbox = Inbox(
            delivery.policy,
            delivery.capacity,
            capacity_bytes=delivery.capacity_bytes,
            block_limit=delivery.block_limit,
            name=name if name is not None else f"{what} #{next(self._numbers)}",
            clock=self.clock,
        )
        inbox.hub = self
        return inbox

    def attach(self, inbox: Inbox, interests: Iterable[Interest]) -> None:
        """Give `inbox` the events of further `interests`, from the next published on.

        Raises:
            UsageError: its policy is `block`, and the events cannot wait for it.
        """
        interests = tuple(interests)
        if inbox.policy == "block":
            if self._brake is None:
                raise UsageError("policy 'block' is refused: there is no connection here that could be paused")
            for interest in interests:
                self._brake.check(interest)
        if inbox.is_over:
            return
        if inbox.hub is None:
            inbox.hub = self
            inbox.clock = inbox.clock or self.clock
            inbox.name = inbox.name or f"reader #{next(self._numbers)}"
        self._inboxes[inbox] = None
        inbox.wanted.update(interests)
        if inbox.is_holding:
            self.hold(inbox)  # the further connections, too
            self.apply_brake()
        self._moving[inbox] = None
        self._forget_plans()

    def assign(self, inbox: Inbox, interests: Iterable[Interest]) -> None:
        """Give `inbox`, which is attached, the events of `interests` and no others, from the next published on."""
        interests = set(interests)
        if inbox in self._inboxes and interests != inbox.wanted:
            inbox.wanted = interests
            self._moving[inbox] = None
            self._forget_plans()

    def detach(self, inbox: Inbox) -> None:
        """Give it nothing more; what waits remains."""
        if self._inboxes.pop(inbox, self) is not None:
            return
        self._moving.pop(inbox, None)
        inbox.wanted.clear()
        if inbox.ring.interests:
            inbox.move(Ring(seed=inbox.rest()))
        inbox.hold_no_more()
        for target in self.mourners:
            target(inbox)

    def listen(self, interest: Interest, target: Target) -> None:
        """Call `target` for each event of `interest`; once, however often it is asked for."""
        known = self._targets.setdefault(target, [])
        if interest not in known:
            known.append(interest)
            self._enter(target, [interest])

    def forget(self, target: Target) -> None:
        """Call `target` no more."""
        interests = self._targets.pop(target, None)
        if interests is not None:
            self._leave(target, interests)

    def end(self, error: BaseException) -> None:
        """End every reader: what waits is still given out, then `error` is raised."""
        for inbox in self.inboxes:
            inbox.end(error)
        self.apply_brake()

    # --- publishing -------------------------------------------------------------------------------------------------

    def publish(self, events: Iterable[Event], origin: str = "") -> None:
        """Hand each event, in order, to whoever wants it. Never waits, whoever is slow.

        Args:
            events: what is published.
            origin: stands before the name of each connection, where interests tell connections of several cores apart.
        """
        noted: list[_Plan] = []
        stamp: Stamp | None = None
        plans: _Plans = {}
        event: Any
        try:
            for event in events:
                if event.stamp is not stamp:  # one for all frames of a socket read
                    stamp = event.stamp
                    plans = self._plans.setdefault(origin + stamp.connection, {})
                try:
                    plan = plans[type(event)][event.symbol]
                except KeyError:
                    self._publish_rare(event, plans, noted, origin)
                    continue
                if not plan.is_noted:
                    plan.is_noted = True
                    noted.append(plan)
                for give in plan.gives:
                    give(event)
        finally:
            for plan in noted:
                plan.is_noted = False
                for ring in plan.rings:
                    ring.written()
            self.apply_brake()

    def _publish_rare(self, event: Any, plans: _Plans, noted: list[_Plan], origin: str) -> None:
        """Publish what has no plan yet, what more than its symbol decides on, and what is a loss to others."""
        kind, group = type(event), group_of(origin + event.stamp.connection)
        symbol, interval = getattr(event, "symbol", None), getattr(event, "interval", None)
        plan = self._plan(group, event.channel, symbol, interval)
        if hasattr(kind, "symbol") and not (hasattr(kind, "interval") or issubclass(kind, _LOSSES)):
            plans.setdefault(kind, {})[symbol] = plan
        _note(plan, noted)
        for give in plan.gives:
            give(event)
        if issubclass(kind, _LOSSES):
            loss = _loss_of(event)
            plan = self._plan(group, loss.of or "", loss.symbol, interval, is_loss=True)
            for ring in plan.rings:
                ring.append_loss(loss)
            _note(plan, noted)
            for target in plan.targets:
                target(loss)

    # --- for inboxes ------------------------------------------------------------------------------------------------

    def moved(self, old: Ring, new: Ring) -> None:
        """A reader reads `new` instead of `old`."""
        if not old.inboxes and old in self._indexed:
            self._indexed.discard(old)
            self._leave(old, old.interests)
            if self._shared.get(old.interests) is old:
                del self._shared[old.interests]
        if new.interests and new not in self._indexed:
            self._indexed.add(new)
            self._enter(new, new.interests)

    def rejoin(self, inbox: Inbox) -> None:
        """`inbox` has read all that was its own: from now on it may share."""
        if inbox.ring.interests and inbox not in self._moving:
            inbox.move(self._shared_ring(inbox.ring.interests))

    def hold(self, inbox: Inbox) -> None:
        """`inbox` is full; `apply_brake` has its connections paused."""
        if self._brake is not None:
            self._brake.hold(inbox)

    def let_go(self, inbox: Inbox) -> None:
        """`inbox` is not full any more."""
        if self._brake is not None:
            self._brake.let_go(inbox)
            self._brake.apply()

    def apply_brake(self) -> None:
        """Pause and resume what should be; it leads back into the core, so it comes last in what is done."""
        if self._brake is not None and self._brake.is_due:
            self._brake.apply()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _plan(
        self, group: str, channel: str, symbol: str | None, interval: int | None, *, is_loss: bool = False
    ) -> _Plan:
        """Who is given such an event. Losses are not told to who wants everything, and so gets their causes."""
        if self._moving:
            self._settle_moves()
        if self._count >= _MOST_PLANS:
            self._forget_plans()
        key = group, channel, symbol, interval, is_loss
        plan = self._rare.get(key)
        if plan is not None:
            return plan
        found: dict[Ring | Target, None] = {}
        places: list[_Place] = [] if is_loss else [(None, None)]
        places += [(channel, None)] if symbol is None else [(channel, symbol), (channel, None)]
        for place in places:
            for entry, interests in self._index.get(place, {}).items():
                if any(_meets(interest, group, interval) for interest in interests):
                    found[entry] = None
        rings = tuple(entry for entry in found if isinstance(entry, Ring))
        targets = tuple(entry for entry in found if not isinstance(entry, Ring))
        plan = self._rare[key] = _Plan(rings, targets)
        self._count += 1
        return plan

    def _settle_moves(self) -> None:
        """Bring every reader that wants something else than its ring has to a ring that has it."""
        while self._moving:
            inbox, _ = self._moving.popitem()
            wanted = frozenset(inbox.wanted)
            if wanted == inbox.ring.interests:
                continue
            rest = inbox.rest()
            if not inbox.is_over:
                inbox.move(Ring(wanted, seed=rest) if rest else self._shared_ring(wanted))

    def _shared_ring(self, interests: frozenset[Interest]) -> Ring:
        ring = self._shared.get(interests)
        if ring is None:
            ring = self._shared[interests] = Ring(interests, is_shared=True)
        return ring

    def _enter(self, entry: Ring | Target, interests: Iterable[Interest]) -> None:
        for interest in interests:
            place = (interest.channel, interest.symbol if interest.channel is not None else None)
            self._index.setdefault(place, {}).setdefault(entry, []).append(interest)
        self._forget_plans()

    def _leave(self, entry: Ring | Target, interests: Iterable[Interest]) -> None:
        for interest in interests:
            place = (interest.channel, interest.symbol if interest.channel is not None else None)
            entries = self._index.get(place)
            if entries is not None:
                entries.pop(entry, None)
                if not entries:
                    del self._index[place]
        self._forget_plans()

    def _forget_plans(self) -> None:
        self._count = 0
        self._rare.clear()
        for plans in self._plans.values():
            plans.clear()  # in place: a publication that is under way holds them


def _note(plan: _Plan, noted: list[_Plan]) -> None:
    if not plan.is_noted:
        plan.is_noted = True
        noted.append(plan)


def _meets(interest: Interest, group: str, interval: int | None) -> bool:
    """Whether an event of `group`, about candles of `interval` (None: about any), is what `interest` wants."""
    if interest.connection is not None and group_of(interest.connection) != group:
        return False
    return interest.interval is None or interval is None or interest.interval == interval


def _loss_of(event: BookInvalidated | Gap | SubscribeRejected) -> Loss:
    """What went missing upstream, as it stands in the stream of every reader that would have been given it."""
    if isinstance(event, BookInvalidated):
        channel, count, reason = "book", None, f"the book is not synced ({event.reason})"
    elif isinstance(event, Gap):
        channel, count, reason = event.of, event.count, event.reason
    else:
        channel, count, reason = event.of or "", None, f"the subscription was rejected: {event.error}"
    return Loss(
        reason=reason,
        count=count,
        of=channel,
        symbol=event.symbol,
        cause=event,
        stamp=event.stamp,
        n=event.n,
        seq=event.seq,
    )
