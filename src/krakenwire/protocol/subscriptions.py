"""Subscriptions of one connection: what is desired against what Kraken has acknowledged.

Each subscription is in one of four states; `desired` and `renew` say where it should go, and `due` plans the
requests that bring it there::

    WANTED ──subscribe sent──► SUBSCRIBING ──acknowledged──► ACTIVE ──unsubscribe sent──► LEAVING
      ▲  ▲                          │ refused for now, unanswered                            │ answered
      │  └──────────────────────────┘                                                        │
      └───────────── if still desired (a renewal, which is how a book is fetched again) ◄────┘ else removed

An unsubscribe that is refused for now leads back to ACTIVE. What is no longer desired while its subscribe goes
unanswered is taken for ACTIVE too, and left: Kraken may have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from krakenwire.protocol.wire.answers import Ack

__all__ = ["Answered", "Key", "Pending", "State", "Subscription", "SubscriptionTable"]


class Key(NamedTuple):
    """The identity of a subscription on the wire (PROTOCOL 2.4).

    Attributes:
        channel: Kraken's channel.
        symbol: v2 symbol, or None for a channel without one.
        option: depth of a book, interval (minutes) of ohlc, event_trigger of a ticker, else None.
    """

    channel: str
    symbol: str | None = None
    option: int | str | None = None

    @property
    def depth(self) -> int | None:
        """Depth, of a book."""
        return self.option if self.channel == "book" and isinstance(self.option, int) else None

    @property
    def interval(self) -> int | None:
        """Interval in minutes, of ohlc."""
        return self.option if self.channel == "ohlc" and isinstance(self.option, int) else None

    @property
    def event_trigger(self) -> str | None:
        """What makes a ticker update: `trades` or `bbo`."""
        return self.option if self.channel == "ticker" and isinstance(self.option, str) else None


class State(Enum):
    """How far a subscription is."""

    WANTED = "wanted"
    SUBSCRIBING = "subscribing"
    ACTIVE = "active"
    LEAVING = "leaving"


class Subscription:
    """One subscription: its state, and where it should go."""

    __slots__ = ("attempts", "desired", "key", "not_before", "renew", "state")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.state = State.WANTED
        self.desired = True
        self.renew = False
        """Unsubscribe and subscribe again as soon as `not_before` allows it."""
        self.not_before = 0
        """No request for it goes out earlier (monotonic ns)."""
        self.attempts = 0
        """Requests that went unanswered or were refused for now, in a row."""

    def __repr__(self) -> str:
        return f"<Subscription {self.key} {self.state.value}{'' if self.desired else ' unwanted'}>"


class Pending:
    """A request that was sent and not yet fully answered: one answer per symbol (PROTOCOL 2.4).

    A refusal need not name its symbol (PROTOCOL 2.2): then it is of one symbol that it does not tell, or of the whole
    request. What else is answered shows which, so it is kept in `refusals` until that is known.
    """

    __slots__ = ("answered", "deadline", "method", "refusals", "req_id", "waiting")

    def __init__(self, req_id: int, method: str, waiting: Iterable[Subscription], deadline: int) -> None:
        self.req_id = req_id
        self.method = method
        self.waiting = {sub.key.symbol: sub for sub in waiting}
        self.deadline = deadline
        self.answered: set[str | None] = set()
        """Symbols that had an answer of their own."""
        self.refusals: list[Ack] = []
        """Those that are of one of `waiting`, or of all of them."""


class Answered(NamedTuple):
    """What an answer settles: the method that was asked, and subscriptions with the answer to each."""

    method: str
    answers: list[tuple[Subscription, Ack]]


class SubscriptionTable:
    """All subscriptions of one connection.

    Args:
        symbols_per_message: how many symbols one request may carry.
    """

    def __init__(self, symbols_per_message: int) -> None:
        self._per_message = symbols_per_message
        self._subs: dict[Key, Subscription] = {}
        self._by_symbol: dict[tuple[str, str | None], dict[Key, Subscription]] = {}
        self._todo: dict[Key, Subscription] = {}
        """Those that are to be asked for or left, now or later; so that an answer costs the same with thousands."""
        self._pending: dict[int, Pending] = {}

    def __len__(self) -> int:
        return len(self._subs)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._subs.values())

    def get(self, key: Key) -> Subscription | None:
        """The subscription of that identity, or None."""
        return self._subs.get(key)

    def of(self, channel: str, symbol: str | None) -> list[Subscription]:
        """All subscriptions of a channel and symbol, whatever their option."""
        return list(self._by_symbol.get((channel, symbol), {}).values())

    def want(self, key: Key) -> Subscription:
        """Desire a subscription; harmless if it is desired already."""
        sub = self._subs.get(key)
        if sub is None:
            sub = self._subs[key] = Subscription(key)
            self._by_symbol.setdefault((key.channel, key.symbol), {})[key] = sub
        elif not sub.desired:
            sub.desired = True
            sub.attempts = 0
        self._consider(sub)
        return sub

    def unwant(self, key: Key) -> bool:
        """Desire it no longer. True if it is gone at once, since Kraken had never been asked for it."""
        sub = self._subs.get(key)
        if sub is None:
            return True
        sub.desired = False
        sub.renew = False
        sub.not_before = 0
        if sub.state is State.WANTED:
            self.remove(key)
            return True
        self._consider(sub)
        return False

    def remove(self, key: Key) -> None:
        """Forget it: Kraken refused it for good, or has it no longer."""
        if self._subs.pop(key, None) is None:
            return
        self._todo.pop(key, None)
        alike = self._by_symbol[key.channel, key.symbol]
        del alike[key]
        if not alike:
            del self._by_symbol[key.channel, key.symbol]

    def renew(self, key: Key, not_before: int) -> None:
        """Ask for it anew, at `not_before` (monotonic ns) at the earliest."""
        sub = self._subs.get(key)
        if sub is not None and sub.desired:
            sub.not_before = not_before
            sub.renew = sub.state is not State.WANTED
            self._consider(sub)

    def disconnected(self) -> None:
        """Nothing is acknowledged any more; what is not desired is forgotten."""
        self._pending.clear()
        self._todo.clear()
        for sub in list(self._subs.values()):
            if not sub.desired:
                self.remove(sub.key)
                continue
            sub.state = State.WANTED
            sub.renew = False
            sub.not_before = 0
            sub.attempts = 0
            self._consider(sub)

    def due(self, now: int) -> tuple[str, list[Subscription]] | None:
        """The next request to send: method and the subscriptions it is for, alike in channel and option."""
        todo = [sub for sub in self._todo.values() if sub.not_before <= now]
        leaving = [sub for sub in todo if sub.state is not State.WANTED]
        if leaving:
            return "unsubscribe", self._alike(leaving)
        wanted = [sub for sub in todo if sub.state is State.WANTED]
        if wanted:
            return "subscribe", self._alike(wanted)
        return None

    def sent(self, req_id: int, method: str, subs: list[Subscription], deadline: int) -> None:
        """A request planned by `due` went out; it should be answered by `deadline` (monotonic ns)."""
        for sub in subs:
            sub.state = State.SUBSCRIBING if method == "subscribe" else State.LEAVING
            sub.renew = False
            self._consider(sub)
        self._pending[req_id] = Pending(req_id, method, subs, deadline)

    def awaits(self, req_id: int | None) -> bool:
        """Whether the request of that id is not yet fully answered."""
        return req_id in self._pending

    def answered(self, ack: Ack, *, all_of_it: bool, until: int) -> Answered | None:
        """Whose answer this is, and what it settles (perhaps nothing yet); None if nobody waits for it.

        A refusal that names none of the symbols waited for is kept until as many are waited for as there are such
        refusals: then these are theirs. What has no answer of its own at `until` is `expired`.

        Args:
            ack: the answer.
            all_of_it: if it names none of the symbols, it settles all that its request waits for.
            until: monotonic ns.
        """
        pending = self._pending.get(ack.req_id) if ack.req_id is not None else None
        if pending is None:
            return None
        waiting, settled = pending.waiting, []
        if ack.symbol in waiting:
            settled.append((waiting.pop(ack.symbol), ack))
            pending.answered.add(ack.symbol)
        elif ack.success or ack.symbol in pending.answered:
            return None
        else:
            pending.refusals.append(ack)
            pending.deadline = min(pending.deadline, until)
            if all_of_it:
                pending.refusals = [ack] * len(waiting)
        if len(pending.refusals) >= len(waiting):
            settled.extend(zip(waiting.values(), pending.refusals, strict=False))
            waiting.clear()
        if not waiting:
            del self._pending[pending.req_id]
        return Answered(pending.method, settled)

    def active(self, sub: Subscription) -> None:
        """Kraken acknowledged it."""
        sub.state = State.ACTIVE
        sub.attempts = 0
        self._consider(sub)

    def left(self, sub: Subscription) -> bool:
        """It ended at Kraken; True if it is wanted again, False if it is forgotten."""
        if sub.desired:
            sub.state = State.WANTED
            self._consider(sub)
            return True
        self.remove(sub.key)
        return False

    def again(self, sub: Subscription, not_before: int) -> bool:
        """It was refused for now: ask again at `not_before` (True), or forget it if it is desired no longer (False)."""
        sub.attempts += 1
        sub.not_before = not_before
        return self.left(sub)

    def stay(self, sub: Subscription, not_before: int) -> None:
        """Its end was refused for now: Kraken still has it, and is asked again at `not_before`."""
        sub.state = State.ACTIVE
        sub.renew = sub.desired
        sub.not_before = not_before
        self._consider(sub)

    def expired(self, now: int) -> list[Pending]:
        """Requests that were not (fully) answered in time; they are no longer waited for."""
        late = [pending for pending in self._pending.values() if pending.deadline <= now]
        for pending in late:
            del self._pending[pending.req_id]
        return late

    def shift(self, ns: int) -> None:
        """For `ns` no answer could be read: all that are waited for have so much longer."""
        for pending in self._pending.values():
            pending.deadline += ns

    def next_deadline(self, now: int) -> int | None:
        """When something changes by time alone: an answer is late, or a waiting subscription may go out."""
        moments = [pending.deadline for pending in self._pending.values()]
        moments += [sub.not_before for sub in self._todo.values() if sub.not_before > now]
        return min(moments, default=None)

    def _consider(self, sub: Subscription) -> None:
        """Something about `sub` changed: is there something to ask for?"""
        is_to_leave = sub.state is State.ACTIVE and (sub.renew or not sub.desired)
        if sub.state is State.WANTED or is_to_leave:
            self._todo[sub.key] = sub
        else:
            self._todo.pop(sub.key, None)

    def _alike(self, subs: list[Subscription]) -> list[Subscription]:
        first = subs[0].key
        alike = [sub for sub in subs if sub.key.channel == first.channel and sub.key.option == first.option]
        return alike[: self._per_message]
