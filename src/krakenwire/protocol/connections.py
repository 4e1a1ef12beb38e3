"""The connections of a core: how they come, in pairs where they are mirrored, how they go, and what they counted."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

from krakenwire.errors import UsageError
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.continuity.trades import Trades
from krakenwire.protocol.mirror.mirror import MIRRORED, Mirror, group_of
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Open, Outputs
from krakenwire.protocol.passive import PassiveSession
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.statistics import ConnectionStatistics, count, of_connection
from krakenwire.protocol.subscriptions import Key, Subscription
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["MAIN", "Connections"]

MAIN = "public"
"""The connection that is always wanted; further ones come and go with what does not fit on it."""


class Connections:
    """The sessions of a core, one for each connection.

    Args:
        options: numbers that may be tuned.
        out: where events and actions go.
        catalogue: the instruments.
        rng: source of jitter.
        trades: the continuity of trades, over all connections.
        candles: that of candles.
        passive: recorded frames only: the main connection is there from the start, any other from its first frame on.
        mirror: every connection twice.

    Attributes:
        sessions: those wanted now, by name, in the order they came to be.
        mirror: the pairs; None if there are none.
    """

    def __init__(
        self,
        options: Options,
        out: Outputs,
        catalogue: Catalogue,
        rng: random.Random,
        *,
        trades: Trades,
        candles: Candles,
        passive: bool,
        mirror: bool,
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self.mirror = Mirror(options, out, catalogue, candles, rng) if mirror else None
        self._options = options
        self._out = out
        self._catalogue = catalogue
        self._rng = rng
        self._trades = trades
        self._candles = candles
        self._passive = passive
        self._counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """What connections that are no more had counted, by their name."""
        self._epochs: dict[str, int] = {}
        """The last epochs of connections that are no more: a name that is used again goes on counting."""
        if passive:
            self.sessions[MAIN] = self._new(MAIN)

    # --- which there are ---------------------------------------------------------------------------------------------

    def named(self, connection: str) -> Session:
        """The session of that name; where there are recorded frames only, each name is that of one.

        Raises:
            UsageError: there is none.
        """
        try:
            return self.sessions[connection]
        except KeyError:
            if self._passive:
                session = self.sessions[connection] = self._new(connection)
                return session
            raise UsageError(f"no connection {connection!r}; there are: {', '.join(self.sessions)}") from None

    @property
    def main(self) -> tuple[str, ...]:
        """The main connection, and the one that mirrors it."""
        return (MAIN,) if self.mirror is None else (MAIN, MAIN + MIRRORED)

    def is_vital(self, connection: str) -> bool:
        """Whether nothing is left without `connection`: it is the main one, and not mirrored by one that goes on."""
        main = self.sessions.get(MAIN)
        return connection in self.main and (self.mirror is None or main is None or self.mirror.is_retired(main))

    def pair(self, session: Session) -> tuple[Session, ...]:
        """`session` and the one that mirrors it, or that it mirrors."""
        return (session,) if self.mirror is None else self.mirror.pair(session).sessions

    def is_retired(self, session: Session) -> bool:
        """Whether it is not wanted any more; of a pair, neither is."""
        return session.retired if self.mirror is None else self.mirror.is_retired(session)

    def held(self, session: Session, key: Key) -> list[Subscription]:
        """What is held there of the channel and symbol of `key`, whatever the option."""
        if self.mirror is not None:
            return self.mirror.pair(session).held(key.channel, key.symbol)
        return session.table.of(key.channel, key.symbol)

    def in_turn(self) -> list[str]:
        """The connections in the order in which they are best opened anew."""
        sessions = [session for session in self.sessions.values() if not session.retired]
        return [session.name for session in (sessions if self.mirror is None else self.mirror.in_turn(sessions))]

    # --- how they come and go ----------------------------------------------------------------------------------------

    def open(self, name: str) -> Session:
        """A connection is wanted, and with it the one that mirrors it."""
        session = self._open_one(name)
        if self.mirror is not None:
            self.mirror.join(session, self._open_one(name + MIRRORED))
        return session

    def open_further(self) -> Session:
        """One more is wanted; its number is the lowest that is free."""
        number = 2
        while any(group_of(name) == f"{MAIN}-{number}" for name in self.sessions):
            number += 1
        return self.open(f"{MAIN}-{number}")

    def retire_if_idle(self, session: Session) -> None:
        """Close a further connection, and the one that mirrors it, if nothing is desired of them any more."""
        pair = self.pair(session)
        if group_of(session.name) == MAIN or any(sub.desired for each in pair for sub in each.table):
            return
        for each in pair:
            if each.retired:
                continue
            closed = each.state is ConnectionState.CLOSED
            each.close("nothing is subscribed on it any more", retire=True)
            if closed:
                self.forget_if_closed(each)

    def forget_if_closed(self, session: Session) -> None:
        """It ended for good; of a pair, the one is kept until the other has ended, too."""
        pair = self.pair(session)
        if group_of(session.name) != MAIN and all(
            each.retired and each.state is ConnectionState.CLOSED for each in pair
        ):
            for each in pair:
                self._forget(each)

    def reopen(self) -> None:
        """None is open, for another program had them: those that are wanted are to be opened, the main ones anyway."""
        for session in tuple(self.sessions.values()):
            if session.retired and group_of(session.name) != MAIN:
                self.forget_if_closed(session)
                continue
            session.retired = False
            self._out.actions.append(Open(session.name))

    def _new(self, name: str) -> Session:
        kind = PassiveSession if self._passive else Session
        out, candles = (self._out, self._candles) if self.mirror is None else self.mirror.end(name)
        return kind(name, self._options, out, self._catalogue, self._rng, trades=self._trades, candles=candles)

    def _open_one(self, name: str) -> Session:
        session = self.sessions[name] = self._new(name)
        session.epoch = self._epochs.get(name, session.epoch)
        self._out.actions.append(Open(name))
        return session

    def _forget(self, session: Session) -> None:
        if self.mirror is not None:
            self.mirror.forget(session)
        self._counted[session.name].update(count(session))
        self._epochs[session.name] = session.epoch
        self._trades.release_all(session.name)
        del self.sessions[session.name]

    # --- what they counted -------------------------------------------------------------------------------------------

    def count(self) -> Counter[str]:
        """What all of them have counted, those included that are no more, by the names of `Statistics`."""
        total = sum(self._counted.values(), Counter[str]())
        symbols: set[str] = set()
        for session in self.sessions.values():
            total.update(count(session))
            symbols.update(session.books)
        total["symbols"] = len(symbols)
        return total

    def statistics(self) -> tuple[ConnectionStatistics, ...]:
        """Each connection that there is or was."""
        names = dict.fromkeys((*self.sessions, *self._counted))
        return tuple(of_connection(name, self.sessions.get(name), self._counted.get(name, Counter())) for name in names)
