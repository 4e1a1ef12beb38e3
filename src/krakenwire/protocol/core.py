"""The one writer: every input of a client, in one order, to events and actions. No clock, no socket, no chance.

Whatever can influence the state comes in through one of the input methods, with its time; a recorded list of inputs
so gives the same events and the same state. The shell around it (the pump, a replay, a test) takes `events` and
`actions` after each input and calls `handle_deadline` when `next_deadline` is reached.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, get_args

from krakenwire.book import BookState
from krakenwire.errors import UsageError
from krakenwire.events import LoopStalled, Stamp
from krakenwire.protocol import inputs
from krakenwire.protocol.auditor import AuditMethod, Auditor
from krakenwire.protocol.clockoffset import Offset
from krakenwire.protocol.connections import MAIN, Connections
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.continuity.fetching import Fetcher, Params, Then
from krakenwire.protocol.continuity.trades import Trades
from krakenwire.protocol.inputs import Tape
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Action, Outputs
from krakenwire.protocol.placing import Placement, Placing
from krakenwire.protocol.rotation import Every, Rotation, Schedule
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.statistics import ConnectionStatistics, Statistics
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["MAIN", "Core", "Placement"]


class Core:
    """All protocol state of one client.

    Args:
        options: numbers that may be tuned.
        passive: recorded frames only: acks without requests, depth from the ack, nothing sent.
        reconnect_every: open all connections anew, one after the other, so often or at this time of day (UTC).
        mirror: every connection twice; what is told comes from the one of the two that serves.
        book_audit: how whole books are audited, every `Options.audit_every` seconds; None for not at all.

    Raises:
        UsageError: for a schedule that cannot be kept, or an audit between two books where there is no mirror.

    Attributes:
        events: out, in order; taken and cleared by the shell.
        catalogue: the instruments.
        fetcher: the REST calls that are wanted.
        trades: what is known of the trades of each symbol, over all connections.
        candles: that of candles.
        frames: frames received, over all connections.
        n: number of the last input.
        tape: is told of every input before it is taken, if there is one; it is no part of the state.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        passive: bool = False,
        reconnect_every: Every | None = None,
        mirror: bool = False,
        book_audit: AuditMethod | None = None,
    ) -> None:
        if book_audit not in (None, *get_args(AuditMethod)):
            raise UsageError(f"book_audit must be 'rest', 'mirror' or None, not {book_audit!r}")
        if book_audit == "mirror" and not mirror:
            raise UsageError('book_audit="mirror" compares the two books of a mirror: it needs mirror=True')
        self.options = options if options is not None else Options()
        self.catalogue = Catalogue()
        self.frames = 0
        self.n = 0
        self.tape: Tape | None = None
        self._out = Outputs()
        self.events: list[Any] = self._out.events
        self._rng = random.Random(self.options.seed)
        self.fetcher = Fetcher(self.options, self._out, self._rng)
        fetcher = None if passive else self.fetcher
        self.trades = Trades(self.options, self._out, fetcher)
        self.candles = Candles(self.options, self._out, fetcher)
        self._rotation = Rotation()
        self._schedule = None if reconnect_every is None else Schedule(reconnect_every, self._rng)
        self._auditor = None if book_audit is None else Auditor(book_audit, self.options, self.fetcher, self._out)
        self._reconnect_at: int | None = None
        """When the schedule has the connections opened anew (monotonic ns)."""
        if mirror and passive:
            raise UsageError("recorded frames cannot be mirrored: there is nothing to connect to")
        self._connections = Connections(
            self.options,
            self._out,
            self.catalogue,
            self._rng,
            trades=self.trades,
            candles=self.candles,
            passive=passive,
            mirror=mirror,
        )
        self._sessions, self._mirror = self._connections.sessions, self._connections.mirror
        self._placing = Placing(self._connections)

    # --- inputs ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The client is used: its main connection is wanted."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Started(), None)
        if MAIN not in self._sessions:
            self._connections.open(MAIN)

    def restart(self, n: int, now: Stamp) -> None:
        """The program ended, in whatever way, and another one goes on from the state that it left.

        What was wanted still is: connections are opened anew, and what was missed meanwhile is found and fetched as
        after any other outage, which lasted from the last sign of life of each connection until now.

        Args:
            n: the number of this input; some numbers may have been used of which nobody knows any more.
            now: on a monotonic clock that has gone on from the one before.

        Raises:
            UsageError: `n` was used before.
        """
        if n <= self.n:
            raise UsageError(f"a run that goes on counts its inputs from more than {self.n}, not from {n}")
        self.n = n
        if self.tape is not None:
            self.tape.append_input(inputs.Restarted(n), now)
        self._out.actions = []
        for session in tuple(self._sessions.values()):
            if session.state is not ConnectionState.CLOSED:
                session.disconnected("the program ended", None, session.retired, session.last_seen(now), n)
        self._collect()
        if self._auditor is not None:
            self._auditor.stop()
        self._reconnect_at = None
        self._connections.reopen()
        at = now.received_mono_ns
        self.trades.restart(at)
        self.candles.restart(at)
        self.fetcher.restart()

    def stop(self, reason: str) -> None:
        """The client is closed: no connection is wanted any more."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Stopped(reason), None)
        self.trades.stop(reason, self.n)
        self.candles.stop(reason, self.n)
        self.fetcher.stop()
        if self._auditor is not None:
            self._auditor.stop()
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
        if self.tape is not None:
            self.tape.append_input(inputs.Subscribe(tuple(keys)), now)
        placements = self._placing.subscribe(keys)
        self._flush(now)
        return placements

    def unsubscribe(self, keys: Sequence[Key], now: Stamp) -> None:
        """One who wanted `keys` does so no longer.

        Raises:
            UsageError: if nobody wants one of them.
        """
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Unsubscribe(tuple(keys)), now)
        self._placing.unsubscribe(keys)
        self._flush(now)

    def hold_book(self, connection: str, key: Key) -> BookState | None:
        """The book that is served there for `key`, made if it is not there yet; None if there is no such place."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Held(connection, key), None)
        session = self._sessions.get(connection)
        return None if session is None else self._placing.book(Placement(session, key))

    def connecting(self, connection: str) -> None:
        """The shell begins to open `connection`."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Connecting(connection), None)
        self._connections.named(connection).open()

    def connected(self, url: str, stamp: Stamp) -> None:
        """`stamp.connection` is open."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Connected(url), stamp)
        session = self._connections.named(stamp.connection)
        session.connected(url, stamp, self.n)
        if self._schedule is not None and self._reconnect_at is None:
            self._reconnect_at = self._schedule.next_after(stamp)
        if self._auditor is not None:
            self._auditor.start(stamp.received_mono_ns)
        self._collect()
        session.flush(stamp.received_mono_ns)

    def disconnected(self, reason: str, code: int | None, terminal: bool, stamp: Stamp) -> None:
        """`stamp.connection` ended, or an attempt to open it failed; `terminal`: it will not be tried again.

        What is wanted of a further connection that is not tried again is rejected; without the main one there is
        nothing left, which is the shell's to tell.
        """
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Disconnected(reason, code, terminal), stamp)
        session = self._connections.named(stamp.connection)
        session.disconnected(reason, code, terminal, stamp, self.n)
        if session.name == MAIN and self._mirror is None:
            return
        if terminal and not session.retired:
            session.abandon(reason, stamp, self.n)
        self._collect()
        if session.retired:
            self._connections.forget_if_closed(session)

    def receive_frame(self, frame: bytes, stamp: Stamp) -> None:
        """A frame of `stamp.connection`, whole."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_frame(frame, stamp)
        self.frames += 1
        session = self._sessions.get(stamp.connection) or self._connections.named(stamp.connection)
        session.receive_frame(frame, stamp, self.n)
        if self._mirror is not None:
            self._mirror.collect_from(session.name)
        self._settle(session, stamp)

    def receive_frames(self, frames: list[bytes], stamps: list[Stamp]) -> None:
        """Frames of one connection, one after the other: `receive_frame` for each, where nobody looks between them.

        If it raises, `n` tells how many were taken.
        """
        at = 0
        while at < len(frames):
            session = self._sessions.get(stamps[at].connection)
            is_plain = self.tape is None and self._mirror is None and not self.fetcher.dirty
            if session is None or not (is_plain and session.is_settled):
                self.receive_frame(frames[at], stamps[at])
                at += 1
                continue
            try:
                session.receive_run(frames, stamps, at, self.n + 1)
            finally:
                count = session.books.last_consumed
                self.n += count
                self.frames += count
            at += count
            self._settle(session, stamps[at - 1])

    def fetch(self, call: str, params: Params, then: Then, now: Stamp) -> int:
        """Somebody wants a public REST call, paced with all others; `then` is called with its answer, its number.

        Taken back with `cancel_fetch`.
        """
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Fetched(call, params), now)
        number = self.fetcher.ask(call, params, then)
        self._flush(now)
        return number

    def cancel_fetch(self, number: int) -> None:
        """Nobody waits for that call's answer any more."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Cancelled(number), None)
        self.fetcher.cancel(number)

    def receive_answer(
        self,
        number: int,
        body: bytes | None,
        error: str | None,
        now: Stamp,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        """What came of a `Fetch`: its body, whole, or why there is none.

        Args:
            number: which.
            body: as it came, whatever is in it.
            error: why there is no body.
            now: when.
            retryable: whether the same call may succeed later.
            retry_after: seconds that the exchange asks to be left alone.
        """
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Answered(number, body, error, retryable, retry_after), now)
        self.fetcher.receive(number, body, error, now, self.n, retryable=retryable, retry_after=retry_after)
        self._flush(now)

    def paused(self, connection: str, reason: str, now: Stamp) -> None:
        """`connection` is not read for now: its silence means nothing."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Paused(connection, reason), now)
        session = self._sessions.get(connection)
        if session is not None:
            session.pause(reason, now, self.n)
            self._collect()

    def resumed(self, connection: str, now: Stamp) -> None:
        """`connection` is read again."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Resumed(connection), now)
        session = self._sessions.get(connection)
        if session is not None:
            session.resume(now, self.n)
        self._flush(now)

    def reconnect(self, connection: str | None, reason: str, now: Stamp) -> None:
        """Open `connection` anew, or all of them: one after the other, each when everything of the last is back.

        One that is not open is left alone: it is being opened anyway.

        Raises:
            UsageError: there is no such connection.
        """
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Reconnect(connection, reason), now)
        self._rotation.add(
            self._connections.in_turn() if connection is None else [self._connections.named(connection).name], reason
        )
        self._rotate(now)
        self._flush(now)

    def loop_stalled(self, stalled_ns: int, now: Stamp) -> None:
        """The shell itself did nothing for `stalled_ns`; its sockets were read since."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.LoopStood(stalled_ns), now)
        self._out.events.append(LoopStalled(stalled_ns=stalled_ns, stamp=now, n=self.n))
        for session in self._sessions.values():
            session.loop_stalled(stalled_ns, now.received_mono_ns)
        self._flush(now)

    def handle_deadline(self, now: Stamp) -> None:
        """Time has come to `now.received_mono_ns`."""
        self.n += 1
        if self.tape is not None:
            self.tape.append_input(inputs.Deadline(), now)
        for session in self._sessions.values():
            session.handle_deadline(now, self.n)
        self.trades.handle_deadline(now, self.n)
        self.candles.handle_deadline(now, self.n)
        if self._auditor is not None:
            self._auditor.handle_deadline(now, self.n, self._sessions)
        if self._mirror is not None:
            self._mirror.collect()
            self._mirror.handle_deadline(now, self.n)
        self._plan_reconnects(now)
        self._flush(now)

    # --- outputs -----------------------------------------------------------------------------------------------------

    def take_actions(self) -> list[Action]:
        """What the shell is to do, in order; taken once."""
        actions = self._out.actions
        if not actions:
            return actions
        self._out.actions = []
        if self.tape is not None:
            self.tape.append_actions(actions)
        return actions

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is wanted."""
        deadlines = [session.next_deadline() for session in self._sessions.values()]
        deadlines += self.trades.next_deadline(), self.candles.next_deadline(), self.fetcher.next_deadline()
        deadlines += self._reconnect_at, self._rotation.next_deadline(self._sessions)
        if self._auditor is not None:
            deadlines.append(self._auditor.next_deadline())
        if self._mirror is not None:
            deadlines.append(self._mirror.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The connections wanted now, in the order they came to be."""
        return tuple(self._sessions.values())

    def statistics(self) -> Statistics:
        """What has been counted so far."""
        total = self._connections.count()
        trades = self.trades
        total.update(repeated=trades.repeated, backfilled=trades.backfilled + self.candles.backfilled, lost=trades.lost)
        total["frames"], total["instruments"] = self.frames, len(self.catalogue)
        return Statistics(**{name: total[name] for name in Statistics.__struct_fields__})

    def connection_statistics(self) -> tuple[ConnectionStatistics, ...]:
        """Each connection that there is or was; what they have counted adds up to `statistics()`."""
        return self._connections.statistics()

    def clock_offset(self, now: Stamp) -> Offset | None:
        """The exchange's clock less ours at `now`, by the connection that knows it best; None if none does."""
        known = [session.clock_offset.estimate(now) for session in self._sessions.values()]
        return min((offset for offset in known if offset is not None), key=lambda each: each[1], default=None)

    def session(self, connection: str) -> Session | None:
        """The session of that name, or None."""
        return self._sessions.get(connection)

    def is_active(self, placement: Placement) -> bool:
        """Whether Kraken has acknowledged what is served there."""
        return self._placing.is_active(placement)

    def placements(self) -> dict[Key, Placement]:
        """What is subscribed for somebody, and where it is served."""
        return self._placing.placements()

    def shown_book(self, placement: Placement) -> BookState | None:
        """The book that is served there, as `hold_book` gives it, but it is not made, and it is no input to ask."""
        return self._placing.shown_book(placement)

    @property
    def main(self) -> tuple[str, ...]:
        """The main connection, and the one that mirrors it."""
        return self._connections.main

    def is_vital(self, connection: str) -> bool:
        """Whether nothing is left without `connection`: it is the main one, and not mirrored by one that goes on."""
        return self._connections.is_vital(connection)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _settle(self, session: Session, stamp: Stamp) -> None:
        """What a frame calls for."""
        if self._out.precisions:
            self._learn_precisions(stamp)
        session.flush(stamp.received_mono_ns)
        if self.fetcher.dirty:
            self.fetcher.flush(stamp.received_mono_ns)

    def _flush(self, now: Stamp) -> None:
        for session in self._sessions.values():
            session.flush(now.received_mono_ns)
        self._collect()
        if self.fetcher.dirty or self.fetcher.is_due(now.received_mono_ns):
            self.fetcher.flush(now.received_mono_ns)

    def _collect(self) -> None:
        """Of mirrored connections: show what is to be shown of what they told."""
        if self._mirror is not None:
            self._mirror.collect()

    def _plan_reconnects(self, now: Stamp) -> None:
        at = now.received_mono_ns
        for session in self._sessions.values():
            if session.take_outdated(at):
                self._rotation.add([session.name], "the engine is online again")
        if self._schedule is not None and self._reconnect_at is not None and at >= self._reconnect_at:
            self._reconnect_at = self._schedule.next_after(now)
            self._rotation.add(self._connections.in_turn(), "on schedule")
        self._rotate(now)

    def _rotate(self, now: Stamp) -> None:
        if self._rotation.is_active and (turn := self._rotation.next(self._sessions)) is not None:
            session, reason = turn
            if self._mirror is not None:
                self._mirror.give_way(session, now, self.n)
            session.reconnect(reason)

    def _learn_precisions(self, stamp: Stamp) -> None:
        """Instruments came in with precisions that are new or changed: every connection may have their books."""
        precisions, self._out.precisions = self._out.precisions, {}
        for session in self._sessions.values():
            for symbol, changed in precisions.items():
                session.learn_precision(symbol, stamp, self.n, changed=changed)
            session.flush(stamp.received_mono_ns)
        if self._mirror is not None:
            self._mirror.collect()
            for symbol in precisions:
                self._mirror.set_precision(symbol)
