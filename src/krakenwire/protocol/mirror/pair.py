"""One mirrored connection: two sessions that want the same, and what is shown of what they tell.

Each session writes its events into a list of its own. After every input the pair looks through them: market data of the
leader is shown, that of the follower is kept until it is needed; what happens to either connection is told under its
own name; and what only one of them lost is no loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from krakenwire.book import BookUpdate
from krakenwire.events import (
    Asset,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Connected,
    Disconnected,
    ExchangeError,
    Gap,
    Instrument,
    LeaderChanged,
    Message,
    Ohlc,
    Recovered,
    Stalled,
    Stamp,
    Subscribed,
    SubscribeRejected,
    SystemStatus,
    Ticker,
    Unsubscribed,
)
from krakenwire.protocol.books.bookkeeper import BookKeeper
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.mirror.failover import BEHIND, Failover, on_connection
from krakenwire.protocol.mirror.handover import Handover
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key, State, Subscription

__all__ = ["Pair"]

_NS = 1_000_000_000

_Named = SubscribeRejected | Subscribed | Unsubscribed | Stalled | Recovered


class Pair:
    """Two sessions for the same data.

    Args:
        first: the one whose name both are known by.
        second: the other one.
        out: where events go.
        keeper: of the books that are shown.
        candles: the continuity of candles, over all connections.
        wait: seconds that one which is behind is waited for, see `Failover`.

    Attributes:
        leader: whose data is shown of everything that is not a book or a trade.
        books: what is shown of books, and who leads each.
    """

    def __init__(
        self, first: Session, second: Session, *, out: Outputs, keeper: BookKeeper, candles: Candles, wait: float
    ) -> None:
        self.sessions = (first, second)
        self.leader = first
        self.books = Failover(self.sessions, keeper, out.events, wait)
        self._out = out.events
        self._candles = candles
        self._wait = round(wait * _NS)
        self._handover = Handover(self._give)
        self._refused: dict[str, SubscribeRejected] = {}
        """What one connection was refused while the other one still waits for its answer."""
        self._stalled: set[tuple[Session, str, str | None, int | None]] = set()
        self._handlers: dict[type, Callable[[Session, Any], None]] = {
            BookUpdate: self.books.update,
            BookInvalidated: self.books.invalidated,
            BookResynced: self._drop,
            BookQuarantined: self._handle_quarantine,
            Connected: self._handle_connected,
            Disconnected: self._handle_disconnected,
            Gap: self._handle_gap,
            Subscribed: self._handle_subscribed,
            SubscribeRejected: self._handle_rejected,
            Unsubscribed: self._handle_unsubscribed,
            Stalled: self._handle_stalled,
            Recovered: self._handle_recovered,
            Ticker: self.merge,
            Instrument: self.merge,
            Asset: self.merge,
            SystemStatus: self.merge,
        }

    def other(self, session: Session) -> Session:
        """The other one of the two."""
        first, second = self.sessions
        return second if session is first else first

    # --- what is wanted ---------------------------------------------------------------------------------------------

    def subscribe(self, key: Key) -> None:
        """Both are to have it."""
        if key.symbol is not None:
            self.books.sweep([key.symbol])
        for session in self.sessions:
            if not session.retired:
                session.subscribe(key)
        self.books.hold(key)

    def unsubscribe(self, key: Key) -> None:
        """Neither needs it any longer."""
        for session in self.sessions:
            if not session.retired:
                session.unsubscribe(key)
        if key.symbol is not None:
            self.books.sweep([key.symbol])
        self._handover.forget(key.channel, key.symbol, key.interval)
        self._stalled.difference_update([(session, key.channel, key.symbol, key.interval) for session in self.sessions])

    def is_active(self, key: Key) -> bool:
        """Whether one of the two has it."""
        return any(
            sub is not None and sub.state is State.ACTIVE
            for sub in (session.table.get(key) for session in self.sessions)
        )

    def held(self, channel: str, symbol: str | None) -> list[Subscription]:
        """The subscriptions of a channel and symbol, as the one has them that has any."""
        first, second = self.sessions
        return first.table.of(channel, symbol) or second.table.of(channel, symbol)

    def give_way(self, session: Session, reason: str, now: Stamp, n: int) -> None:
        """`session` is about to end by our own wish: the other one leads wherever it can."""
        other = self.other(session)
        if other.state is ConnectionState.OPEN:
            self.books.give_way(session, reason, now, n)
            if self.leader is session:
                self._lead(other, reason, now, n)

    # --- what they tell ---------------------------------------------------------------------------------------------

    def take(self, session: Session, event: Any) -> None:
        """What `session` told: it is shown, or not."""
        handler = self._handlers.get(type(event))
        if handler is None:
            self._out.append(event)
        else:
            handler(session, event)

    def merge(self, session: Session, event: Message) -> None:
        """Market data other than books and trades."""
        if session is self.leader:
            self._handover.show(event)
        elif self._handover.keep(event) >= self._wait and session.state is ConnectionState.OPEN:
            self._lead(session, BEHIND, event.stamp, event.n)

    def serves(self, session: Session, channel: str, symbol: str | None, interval: int | None = None) -> bool:
        """Whether the other connection has the stream that `session` lost."""
        return any(
            sub.state is State.ACTIVE and (interval is None or sub.key.interval == interval)
            for sub in self.other(session).table.of(channel, symbol)
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    def _give(self, event: Message) -> None:
        if isinstance(event, Ohlc):
            self._candles.receive(event)
        else:
            self._out.append(event)

    def _drop(self, session: Session, event: Message) -> None:
        """Only what is shown counts; of that the pair tells by itself."""

    def _handle_quarantine(self, session: Session, event: BookQuarantined) -> None:
        if not self.books.is_synced(event.symbol):
            self._out.append(event)

    def _handle_connected(self, session: Session, event: Connected) -> None:
        self._out.append(event)
        other = self.other(session)
        for sub in other.table:
            if sub.desired and session.table.get(sub.key) is None:
                session.subscribe(sub.key)  # refused here before, and not there
        if session is not self.leader and self.leader.state is not ConnectionState.OPEN:
            self._lead(session, "disconnected", event.stamp, event.n)

    def _handle_disconnected(self, session: Session, event: Disconnected) -> None:
        self._out.append(event)
        self._stalled = {stalled for stalled in self._stalled if stalled[0] is not session}
        other = self.other(session)
        if session is self.leader and other.state is ConnectionState.OPEN:
            self._lead(other, "disconnected", event.stamp, event.n)
        self.books.sweep(self.books.symbols)

    def _handle_gap(self, session: Session, event: Gap) -> None:
        if not self.serves(session, event.of, event.symbol):
            self._out.append(event)

    def _handle_subscribed(self, session: Session, event: Subscribed) -> None:
        self._out.append(event)
        refusal = self._refused.pop(_name(event), None)
        if refusal is not None:
            self._tell_refusal(refusal)

    def _handle_rejected(self, session: Session, event: SubscribeRejected) -> None:
        """A refusal is final if the other connection was refused too, or does not ask for it."""
        name = _name(event)
        subs = [
            sub
            for sub in self.other(session).table.of(event.of or "", event.symbol)
            if sub.desired and (sub.key.depth, sub.key.interval) == (event.depth, event.interval)
        ]
        if any(sub.state is State.ACTIVE for sub in subs):
            self._tell_refusal(event)
        elif subs:
            self._refused[name] = event
        else:
            self._refused.pop(name, None)
            self._out.append(event)
        if event.symbol is not None:
            self.books.sweep([event.symbol])

    def _tell_refusal(self, event: SubscribeRejected) -> None:
        """What is no loss, since the other connection has it."""
        error = ExchangeError(error=event.error, req_id=event.req_id, stamp=event.stamp, n=event.n, seq=event.seq)
        self._out.append(error)

    def _handle_unsubscribed(self, session: Session, event: Unsubscribed) -> None:
        self._out.append(event)
        if event.of == "book" and event.symbol is not None:
            self.books.unsubscribed(session, event.symbol, event.stamp, event.n)

    def _handle_stalled(self, session: Session, event: Stalled) -> None:
        self._out.append(event)
        self._stalled.add((session, event.of, event.symbol, event.interval))
        other = self.other(session)
        if (other, event.of, event.symbol, event.interval) in self._stalled:
            return
        if event.of == "book" and event.symbol is not None:
            self.books.prefer(other, "stalled", event.symbol, event.stamp, event.n)
        elif session is self.leader and self.serves(session, event.of, event.symbol, event.interval):
            self._lead(other, "stalled", event.stamp, event.n)

    def _handle_recovered(self, session: Session, event: Recovered) -> None:
        self._out.append(event)
        self._stalled.discard((session, event.of, event.symbol, event.interval))

    def _lead(self, session: Session, reason: str, stamp: Stamp, n: int) -> None:
        previous, self.leader = self.leader, session
        if previous.epoch >= 0:
            self._out.append(
                LeaderChanged(
                    symbol=None,
                    leader=session.name,
                    previous=previous.name,
                    reason=reason,
                    stamp=on_connection(session, stamp),
                    n=n,
                    seq=session.seq,
                )
            )
        self._handover.change()
        if self._candles.touched:
            self._candles.end_frame(stamp, n)


def _name(event: _Named) -> str:
    return " ".join(map(str, (event.of, event.symbol, event.depth, event.interval)))
