"""The one writer: every input of a client, in one order, to events and actions. No clock, no socket, no chance.

Whatever can influence the state comes in through one of the input methods, with its time; a recorded list of inputs
so gives the same events and the same state. The shell around it (the pump, a replay, a test) takes `events` and
`actions` after each input and calls `handle_deadline` when `next_deadline` is reached.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from krakenwire.errors import UsageError
from krakenwire.events import Stamp
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Action, Open, Outputs
from krakenwire.protocol.passive import PassiveSession
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.symbols import Catalogue

__all__ = ["Core", "Placement"]

MAIN = "public"
"""The connection that is always wanted; further ones come and go with what does not fit on it."""


class Placement(NamedTuple):
    """Where a subscription is served: the session, and its identity there (a book may be deeper than asked)."""

    session: Session
    key: Key


class _Placed:
    """A subscription asked for, and by how many."""

    __slots__ = ("count", "placement")

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.count = 0


class Core:
    """All protocol state of one client.

    Args:
        options: numbers that may be tuned.
        passive: recorded frames only: acks without requests, depth from the ack, nothing sent.

    Attributes:
        events: out, in order; taken and cleared by the shell.
        catalogue: the instruments.
        frames: frames received, over all connections.
        n: number of the last input.
    """

    def __init__(self, options: Options | None = None, *, passive: bool = False) -> None:
        self.options = options if options is not None else Options()
        self.catalogue = Catalogue()
        self.frames = 0
        self.n = 0
        self.retired: Counter[str] = Counter()
        """What the books of connections that are no more had counted."""
        self._passive = passive
        self._out = Outputs()
        self.events: list[Any] = self._out.events
        self._rng = random.Random(self.options.seed)
        self._sessions: dict[str, Session] = {}
        self._placed: dict[Key, _Placed] = {}
        self._serving: Counter[tuple[str, Key]] = Counter()
        if passive:
            self._sessions[MAIN] = self._new_session(MAIN)

    # --- inputs ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The client is used: its main connection is wanted."""
        self.n += 1
        if MAIN not in self._sessions:
            self._open(MAIN)

    def stop(self, reason: str) -> None:
        """The client is closed: no connection is wanted any more."""
        self.n += 1
        for session in self._sessions.values():
            session.close(reason, retire=True)

    def subscribe(self, keys: Sequence[Key], now: Stamp) -> list[Placement]:
        """Somebody wants `keys`; counted, so that many share one subscription at Kraken.

        What is alike in channel and option goes out in one message. A smaller depth is served from a larger one
        already held; a larger one goes to a further connection, as Kraken holds one depth per symbol and connection
        (PROTOCOL 2.4).

        Returns:
            Where each of `keys` is served.
        """
        self.n += 1
        placements: list[Placement] = []
        for key in keys:
            placed = self._placed.get(key)
            if placed is None:
                placed = self._placed[key] = _Placed(self._place(key))
            placed.count += 1
            session, served = placed.placement
            if placed.count == 1:
                self._serving[session.name, served] += 1
                session.subscribe(served)
            placements.append(placed.placement)
        self._flush(now)
        return placements

    def unsubscribe(self, keys: Sequence[Key], now: Stamp) -> None:
        """One who wanted `keys` does so no longer.

        Raises:
            UsageError: if nobody wants one of them.
        """
        self.n += 1
        for key in keys:
            placed = self._placed.get(key)
            if placed is None:
                raise UsageError(f"{key} is not subscribed")
            placed.count -= 1
            if placed.count:
                continue
            del self._placed[key]
            session, served = placed.placement
            self._serving[session.name, served] -= 1
            if self._serving[session.name, served] == 0:
                del self._serving[session.name, served]
                session.unsubscribe(served)
                self._retire_if_idle(session)
        self._flush(now)

    def connecting(self, connection: str) -> None:
        """The shell begins to open `connection`."""
        self.n += 1
        self._session(connection).open()

    def connected(self, url: str, stamp: Stamp) -> None:
        """`stamp.connection` is open."""
        self.n += 1
        session = self._session(stamp.connection)
        session.connected(url, stamp, self.n)
        session.flush(stamp.received_mono_ns)

    def disconnected(self, reason: str, code: int | None, terminal: bool, stamp: Stamp) -> None:
        """`stamp.connection` ended, or an attempt to open it failed; `terminal`: it will not be tried again."""
        self.n += 1
        session = self._session(stamp.connection)
        session.disconnected(reason, code, terminal, stamp, self.n)
        if session.name != MAIN and not len(session.table):
            self._forget(session)

    def receive_frame(self, frame: bytes, stamp: Stamp) -> None:
        """A frame of `stamp.connection`, whole."""
        self.n += 1
        self.frames += 1
        session = self._sessions[stamp.connection]
        session.receive_frame(frame, stamp, self.n)
        out = self._out
        if out.changed_precision:
            self._refetch_changed(stamp)
        session.flush(stamp.received_mono_ns)

    def handle_deadline(self, now: Stamp) -> None:
        """Time has come to `now.received_mono_ns`."""
        self.n += 1
        for session in self._sessions.values():
            session.handle_deadline(now.received_mono_ns)
        self._flush(now)

    # --- outputs -----------------------------------------------------------------------------------------------------

    def take_actions(self) -> list[Action]:
        """What the shell is to do, in order; taken once."""
        actions = self._out.actions
        if not actions:
            return actions
        self._out.actions = []
        return actions

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is wanted."""
        deadlines = [session.next_deadline() for session in self._sessions.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The connections wanted now, in the order they came to be."""
        return tuple(self._sessions.values())

    def session(self, connection: str) -> Session | None:
        """The session of that name, or None."""
        return self._sessions.get(connection)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _flush(self, now: Stamp) -> None:
        for session in self._sessions.values():
            session.flush(now.received_mono_ns)

    def _session(self, connection: str) -> Session:
        try:
            return self._sessions[connection]
        except KeyError:
            raise UsageError(f"no connection {connection!r}; there are: {', '.join(self._sessions)}") from None

    def _new_session(self, name: str) -> Session:
        kind = PassiveSession if self._passive else Session
        return kind(name, self.options, self._out, self.catalogue, self._rng)

    def _open(self, name: str) -> Session:
        session = self._sessions[name] = self._new_session(name)
        self._out.actions.append(Open(name))
        return session

    def _place(self, key: Key) -> Placement:
        main = self._sessions.get(MAIN)
        if main is None:
            raise UsageError(
                "the client is not connected; use `async with Client() as kraken:` or `await kraken.connect()`"
            )
        if key.channel not in ("book", "ticker"):
            return Placement(main, key)
        fitting: Session | None = None
        for session in self._sessions.values():
            held = [sub for sub in session.table if sub.key.channel == key.channel and sub.key.symbol == key.symbol]
            if not held:
                fitting = fitting or session
                continue
            serving = next((sub for sub in held if sub.desired and _serves(sub.key, key)), None)
            if serving is not None:
                return Placement(session, serving.key)
        if fitting is None:
            number = 2
            while f"{MAIN}-{number}" in self._sessions:
                number += 1
            fitting = self._open(f"{MAIN}-{number}")
        return Placement(fitting, key)

    def _retire_if_idle(self, session: Session) -> None:
        if session.name == MAIN or any(sub.desired for sub in session.table):
            return
        closed = session.state is ConnectionState.CLOSED
        session.close("nothing is subscribed on it any more", retire=True)
        if closed:
            self._forget(session)

    def _forget(self, session: Session) -> None:
        self.retired.update(counted(session))
        del self._sessions[session.name]

    def _refetch_changed(self, stamp: Stamp) -> None:
        """The precision of an instrument changed: its books are fetched again (PROTOCOL 3.9)."""
        changed, self._out.changed_precision = self._out.changed_precision, []
        for symbol in changed:
            for session in self._sessions.values():
                session.refetch(symbol, "precision", stamp, self.n)
                session.flush(stamp.received_mono_ns)


def counted(session: Session) -> dict[str, int]:
    """What the books of one session have counted."""
    books = session.books
    return {
        "verified": books.verified,
        "unproven": books.unproven,
        "mismatched": books.mismatched,
        "crossed": books.crossed,
        "backwards": books.backwards,
        "ignored": books.ignored + (session.unknown_updates if isinstance(session, PassiveSession) else 0),
        "normalised": books.normalised,
        "repeated": session.trades.repeated,
    }


def _serves(held: Key, asked: Key) -> bool:
    """Whether a subscription that is held also serves what is asked for."""
    if held.depth is not None and asked.depth is not None:
        return held.depth >= asked.depth
    return held == asked
