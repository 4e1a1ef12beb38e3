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

from krakenwire.book.reasons import MAX_DEPTH, is_symbol
from krakenwire.errors import UsageError
from krakenwire.events import LoopStalled, Stamp
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Action, Open, Outputs
from krakenwire.protocol.passive import PassiveSession
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.statistics import Statistics, count
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
    """A subscription asked for, where it is served, and how many asked."""

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
        self._counted: Counter[str] = Counter()
        """What connections that are no more had counted."""
        self._passive = passive
        self._out = Outputs()
        self.events: list[Any] = self._out.events
        self._rng = random.Random(self.options.seed)
        self._sessions: dict[str, Session] = {}
        self._placed: dict[Key, _Placed] = {}
        self._serving: Counter[Placement] = Counter()
        self._epochs: dict[str, int] = {}
        """The last epochs of connections that are no more: a name that is used again goes on counting."""
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
        (PROTOCOL 2.4). What was refused before is asked for again.

        Returns:
            Where each of `keys` is served.

        Raises:
            UsageError: the core was not started, or there can be no book of a symbol or depth; nothing is wanted then.
        """
        self.n += 1
        for key in keys:
            if key.depth is not None and not (is_symbol(key.symbol) and 1 <= key.depth <= MAX_DEPTH):
                raise UsageError(f"there can be no book of {key.symbol!r} with a depth of {key.depth}")
        placements: list[Placement] = []
        for key in keys:
            placed = self._placed.get(key)
            if placed is None:
                placed = self._placed[key] = _Placed(self._place(key))
                self._serving[placed.placement] += 1
            elif placed.placement.session.retired:
                placement = self._place(key)
                self._release(placed.placement)
                placed.placement = placement
                self._serving[placement] += 1
            placed.count += 1
            session, served = placed.placement
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
            if self._release(placed.placement) and not session.retired:
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
        """`stamp.connection` ended, or an attempt to open it failed; `terminal`: it will not be tried again.

        What is wanted of a further connection that is not tried again is rejected; without the main one there is
        nothing left, which is the shell's to tell.
        """
        self.n += 1
        session = self._session(stamp.connection)
        session.disconnected(reason, code, terminal, stamp, self.n)
        if session.name == MAIN:
            return
        if terminal:
            session.abandon(reason, stamp, self.n)
        if session.retired:
            self._forget(session)

    def receive_frame(self, frame: bytes, stamp: Stamp) -> None:
        """A frame of `stamp.connection`, whole."""
        self.n += 1
        self.frames += 1
        session = self._sessions.get(stamp.connection) or self._session(stamp.connection)
        session.receive_frame(frame, stamp, self.n)
        if self._out.precisions:
            self._learn_precisions(stamp)
        session.flush(stamp.received_mono_ns)

    def receive_answer(self, number: int, body: bytes | None, error: str | None, now: Stamp) -> None:
        """What came of a `Fetch`: its body, whole, or why there is none."""
        self.n += 1
        self._flush(now)

    def paused(self, connection: str, reason: str, now: Stamp) -> None:
        """`connection` is not read for now: its silence means nothing."""
        self.n += 1
        session = self._sessions.get(connection)
        if session is not None:
            session.pause(reason, now, self.n)

    def resumed(self, connection: str, now: Stamp) -> None:
        """`connection` is read again."""
        self.n += 1
        session = self._sessions.get(connection)
        if session is not None:
            session.resume(now, self.n)
        self._flush(now)

    def loop_stalled(self, stalled_ns: int, now: Stamp) -> None:
        """The shell itself did nothing for `stalled_ns`; its sockets were read since."""
        self.n += 1
        self._out.events.append(LoopStalled(stalled_ns=stalled_ns, stamp=now, n=self.n))

    def handle_deadline(self, now: Stamp) -> None:
        """Time has come to `now.received_mono_ns`."""
        self.n += 1
        for session in self._sessions.values():
            session.handle_deadline(now, self.n)
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

    def statistics(self) -> Statistics:
        """What has been counted so far."""
        total = Counter(self._counted)
        symbols: set[str] = set()
        for session in self._sessions.values():
            total.update(count(session))
            symbols.update(session.books)
        names = Statistics.__struct_fields__
        counted = {name: total[name] for name in names if name not in ("frames", "symbols", "instruments")}
        return Statistics(frames=self.frames, symbols=len(symbols), instruments=len(self.catalogue), **counted)

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
        session.epoch = self._epochs.get(name, session.epoch)
        self._out.actions.append(Open(name))
        return session

    def _place(self, key: Key) -> Placement:
        main = self._sessions.get(MAIN)
        if main is None or main.retired:
            raise UsageError(
                "the client is not connected; use `async with Client() as kraken:` or `await kraken.connect()`"
            )
        if key.channel not in ("book", "ticker"):
            return Placement(main, key)
        fitting: Session | None = None
        for session in self._sessions.values():
            if session.retired:
                continue
            held = session.table.of(key.channel, key.symbol)
            if not held:
                fitting = fitting or session
                continue
            # One that is about to end is wanted again, but a deeper one is not kept for a smaller depth.
            serving = next((sub for sub in held if sub.key == key or (sub.desired and _serves(sub.key, key))), None)
            if serving is not None:
                return Placement(session, serving.key)
        if fitting is None:
            number = 2
            while f"{MAIN}-{number}" in self._sessions:
                number += 1
            fitting = self._open(f"{MAIN}-{number}")
        return Placement(fitting, key)

    def _retire_if_idle(self, session: Session) -> None:
        if session.name == MAIN or session.retired or any(sub.desired for sub in session.table):
            return
        closed = session.state is ConnectionState.CLOSED
        session.close("nothing is subscribed on it any more", retire=True)
        if closed:
            self._forget(session)

    def _release(self, placement: Placement) -> bool:
        """One key less is served there; True if it was the last."""
        self._serving[placement] -= 1
        if self._serving[placement]:
            return False
        del self._serving[placement]
        return True

    def _forget(self, session: Session) -> None:
        self._counted.update(count(session))
        self._epochs[session.name] = session.epoch
        del self._sessions[session.name]

    def _learn_precisions(self, stamp: Stamp) -> None:
        """Instruments came in with precisions that are new or changed: every connection may have their books."""
        precisions, self._out.precisions = self._out.precisions, {}
        for session in self._sessions.values():
            for symbol, changed in precisions.items():
                session.learn_precision(symbol, stamp, self.n, changed=changed)
            session.flush(stamp.received_mono_ns)


def _serves(held: Key, asked: Key) -> bool:
    """Whether a subscription that is held also serves what is asked for."""
    if held.depth is not None and asked.depth is not None:
        return held.depth >= asked.depth
    return held == asked
