"""The simulated exchange without its sockets: its market, its accounts, and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from random import Random
from types import TracebackType
from typing import Self

from krakenwire.clock import Clock, SystemClock, Timer
from krakenwire.errors import UsageError

from .accounts.accounts import Accounts
from .engine.effects import Effects
from .engine.model import EngineStatus, Report
from .faults import Faults
from .feed.stream import Stream
from .instruments import select
from .market.market import SIMULATED_START_NS, Market
from .pace import Pace
from .peer import HEARTBEAT_NS, Door, Peer, Wire
from .playback import Playback, Recording
from .sessions.private import PrivateSession
from .sessions.reports import ReportText
from .sessions.session import ClientSession, Level3Session, Session
from .source import OPEN, MarketSource, Source

__all__ = ["Exchange"]

BARREN_STEPS = 64
"""Steps for each wanted frame after which a batch ends: where little is watched, most give nothing."""

CLOSE_S = 1.0

GOING_AWAY = 1001


class Exchange:
    """A simulated Kraken, whatever carries its frames: sockets (`SimulatorServer`), or memory.

    A symbol moves only while somebody listens to it, an account has an open order in it, or REST was asked for it in
    the last minute. A client that does not take its frames is cut off once `max_buffer` bytes wait for it; a market
    without a rate waits for its clients first. A recording has no accounts: only the public door is open then.

    Args:
        source: a market, or a recording to play; if None, a market of the default listing is made.
        symbols: which of the default listing that market trades; all if None.
        accounts: who may come in by the private doors; those of `Accounts.default()` if None. The market's engine
            is given those that it does not know.
        rate: market data frames a second over all streams, each counted once however many listen; None is as
            fast as it goes.
        clock: gives the time and the pace.
        seed: of the market that is made if none is given, of the connection ids and of the faults.
        hold: nothing moves until `release`, and all times inside frames and the heartbeats are simulated:
            clients that send the same requests before the release receive the same bytes on every run.
        message_rate: messages a second that a client may send in the long run; twice as many at once.
        max_buffer: bytes that may wait for one client. A snapshot at depth 1000 is some 80 kB a symbol.
        inactivity: seconds of silence after which a client without subscriptions is closed.

    Attributes:
        accounts: who may come in by the private doors.
        clock, rate: as given.
        source: where streams come from.
        faults: what it does wrong on purpose.
        peers: its clients, in the order they came.
        slow_clients_dropped: clients that were cut off because they did not read.
        is_simulated_time: as `hold` was given.

    Raises:
        UnknownSymbol: the default listing does not hold one of `symbols`.
        UsageError: `rate` is not more than 0, or both `source` and `symbols` are given.
    """

    def __init__(
        self,
        source: Market | Recording | None = None,
        *,
        symbols: Iterable[str] | None = None,
        accounts: Accounts | None = None,
        rate: float | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        hold: bool = False,
        message_rate: float = 100.0,
        max_buffer: int = 16 * 1024 * 1024,
        inactivity: float = 60.0,
    ) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self.accounts = Accounts.default() if accounts is None else accounts
        self.rate = rate
        self.message_rate = message_rate
        self.max_buffer = max_buffer
        self.inactivity = inactivity
        self.is_simulated_time = hold
        self.slow_clients_dropped = 0
        self.peers: dict[Peer, None] = {}
        self._private: dict[Peer, PrivateSession] = {}
        self._ids = Random(seed)
        self._next_beat_ns = 0
        self._expiries: dict[str, int] = {}
        self._expiry_due_ns = 0
        self._expiry_timer: Timer | None = None
        self._pace = Pace(self, self.clock, rate, hold=hold)
        if source is None:
            listings = None if symbols is None else select(symbols)
            start_ns = SIMULATED_START_NS if hold else self.clock.now_ns()
            source = Market(listings, seed=seed, start_ns=start_ns)
        elif symbols is not None:
            raise UsageError("symbols= chooses from the default listing; give a source or symbols, not both")
        self.source: Source[Peer]
        self._traded: MarketSource[Peer] | None = None
        if isinstance(source, Recording):
            self.source = Playback(source)
        else:
            self.source = self._traded = MarketSource(source)
            self._text = ReportText(source.engine, source.assets)
            self._status: EngineStatus = source.engine.status
            self._open_accounts(source)
        self.faults = Faults(self, seed=seed)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- what a user calls --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to move.

        Raises:
            UsageError: it was started before.

        Cancellation: safe, it never waits.
        """
        self._pace.start()

    async def close(self) -> None:
        """Stop moving and close every connection (1001); harmless when repeated.

        Cancellation: partial; call it again.
        """
        await self._pace.stop()
        self.faults.heal_all()
        await self._end(list(self.peers), GOING_AWAY, "simulator closes")

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be subscribed."""
        return self.source.symbols

    @property
    def market(self) -> Market:
        """What is traded here. Who changes it calls `publish` afterwards.

        Raises:
            UsageError: a recording is played.
        """
        return self._market_source().market

    def release(self, messages: int | None = None) -> None:
        """Let a held market move.

        Args:
            messages: stop again after this many market data frames (book, level3, trade, ticker, ohlc; not counted
                are those sent at subscription and those that clients' orders cause). Books of the last step are
                always sent, so that each client's book ends equal to `truth`: where one symbol is subscribed at
                several depths the count may be passed by that. None lets it run on.

        Raises:
            UsageError: the exchange was not made with `hold=True`.
        """
        if not self.is_simulated_time:
            raise UsageError("only a simulator made with hold=True can be released")
        self._pace.release(messages)

    def keep_still(self, still: bool) -> None:
        """Let the market stand still, or go on, in real time: clients are answered and heartbeats sent all the while.

        Raises:
            UsageError: the exchange was made with `hold=True`; then it is `release` that lets it move.
        """
        if self.is_simulated_time:
            raise UsageError("a simulator made with hold=True moves by release(); keep_still is for one in real time")
        self._pace.release(0 if still else None)

    async def finished(self) -> None:
        """Wait until the last `release` has sent its messages. Cancellation: safe, no effect."""
        await self._pace.finished()

    def truth(self, symbol: str, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The exchange's own book: (bids, asks), each a list of (price, qty) as on the wire, best first.

        Raises:
            UnknownSymbol: it is not traded here.
            UsageError: a recording is played, of which nobody knows the truth.
        """
        return self.market.truth(symbol, depth)

    def set_status(self, status: EngineStatus) -> None:
        """Let the engine take everything, less, or nothing, and tell every client (PROTOCOL 3.1, 9.6).

        Raises:
            UsageError: there is no such status, or a recording is played.
        """
        self.market.set_status(status)
        self.publish()

    async def drop_connections(self, code: int | None = None) -> None:
        """End every connection there is, and wait until they are gone; new ones are accepted all along.

        Args:
            code: the close code to send; None cuts the connections without a word.

        Cancellation: partial; the connections end nevertheless.
        """
        await self._end(list(self.peers), code, "dropped by the simulator")

    def connect(self, door: Door, wire: Wire) -> Peer:
        """Take a new client, and greet it with the status frame (PROTOCOL 2.5).

        Args:
            door: where it comes in.
            wire: what carries its frames; it hands the client's messages to `Peer.receive`.

        Raises:
            UsageError: a recording is played, and the door is not the public one.
        """
        # Above 2^63, as Kraken's ids often are.
        peer = Peer(self, door, self._ids.getrandbits(64) | 1 << 63, wire)
        peer.session = self._session(door, peer)
        self.peers[peer] = None
        if self.faults.is_active:
            self.faults.connected(peer)
        peer.greet("online" if self._traded is None else self._status)
        return peer

    def exchange_now_ns(self) -> int:
        """The exchange's time, UTC nanoseconds, as it tells it."""
        now_ns = self.source.now_ns if self.is_simulated_time else self.clock.now_ns()
        return now_ns + self.faults.skew_ns

    def publish(self) -> None:
        """Hand out what was done to the market: to whom it concerns first, then to the public.

        To be called after everything that was done to `market` from outside.
        """
        source = self._traded
        if source is None:
            return
        status = source.market.engine.status
        if status != self._status:
            self._status = status
            for peer in list(self.peers):
                peer.send_status(status)
        effects, deliveries = source.look()
        self._tell(effects)
        for stream, subscribers, frame in deliveries:
            for peer in tuple(subscribers):
                peer.queue(stream, frame)
        self._flush()
        self._pace.look()

    def move_too(self, symbols: Iterable[str]) -> None:
        """Let these symbols move besides: REST is asked for them. Does nothing in simulated time."""
        if self._traded is not None and not self.is_simulated_time:
            self._traded.move_too(symbols)
            self._pace.look()

    # --- what a peer calls --------------------------------------------------------------------------------

    def begin_command(self) -> None:
        """A client's message is about to be handled: the market's time becomes that of the clock."""
        if self._traded is not None and not self.is_simulated_time:
            self._traded.market.engine.advance(self.clock.now_ns())

    def handle_changed(self) -> None:
        """Subscriptions or the room in a client's buffer changed."""
        self._pace.look()

    def handle_disconnected(self, peer: Peer) -> None:
        """A client is gone."""
        self.peers.pop(peer, None)
        self._private.pop(peer, None)
        if self.faults.is_active:
            self.faults.disconnected(peer)
        self._pace.look()

    def handle_overflow(self, peer: Peer) -> None:
        """Count a client that was cut off."""
        self.slow_clients_dropped += 1

    # --- what the pace calls ------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """True if no symbol may move, or the recording is at its end."""
        return self.source.is_idle

    @property
    def waiting(self) -> list[int | None]:
        """For each client that listens, since when it takes no more (monotonic), None if it does."""
        return [peer.behind_since_ns for peer in self.peers if peer.has_subscriptions]

    def emit(self, wanted: int) -> int:
        """Move until `wanted` frames were made, hand them out, and return how many it were."""
        source, pace = self.source, self._pace
        now_ns = None if self.is_simulated_time else self.clock.now_ns()
        made = 0
        for _ in range(wanted * BARREN_STEPS):
            if made >= wanted or pace.is_held or source.is_idle:
                break
            deliveries = source.step(now_ns)
            if source.effects is not None:
                self._tell(source.effects)
            for stream, subscribers, frame in deliveries:
                made += self._deliver(stream, subscribers, frame)
            if not deliveries and source.is_unheard:
                made += 1  # what moves for somebody's open order only moves no faster than the rest
            if now_ns is None and source.now_ns >= self._next_beat_ns:
                self._beat(source.now_ns)
        self._flush()
        return made

    # --- inside -------------------------------------------------------------------------------------------

    def _market_source(self) -> MarketSource[Peer]:
        if self._traded is None:
            raise UsageError("a recording is played; only a market has a truth, accounts, and what can be changed")
        return self._traded

    def _open_accounts(self, market: Market) -> None:
        known = market.engine.accounts()
        for account in self.accounts.engine_accounts({asset.id for asset in market.assets}):
            if account.name not in known:
                market.engine.open_account(account)

    def _session(self, door: Door, peer: Peer) -> Session:
        now_ns, rate = self.exchange_now_ns, self.message_rate
        if door == "public":
            return ClientSession(self.source, peer, now_ns, message_rate=rate)
        if door == "l3":
            return Level3Session(self._market_source(), peer, now_ns, self.accounts, message_rate=rate)
        engine = self._market_source().market.engine
        session = PrivateSession(engine, self.accounts, self._text, peer, now_ns, message_rate=rate)
        self._private[peer] = session
        return session

    async def _end(self, peers: Collection[Peer], code: int | None, reason: str) -> None:
        """End connections and wait until they are gone."""
        for peer in peers:
            if code is None:
                peer.abort()
            else:
                peer.close(code, reason)
        try:
            async with asyncio.timeout(CLOSE_S):
                for peer in peers:
                    await peer.gone.wait()
        except TimeoutError:
            # They do not read, so their close frame never leaves.
            for peer in peers:
                peer.abort()
            for peer in peers:
                await peer.gone.wait()

    def _deliver(self, stream: Stream, subscribers: Collection[Peer], frame: bytes) -> int:
        """Queue one frame, unless the release is over; returns 1 if it was queued."""
        if self._pace.is_held and stream.channel not in ("book", "level3"):
            return 0
        if self.faults.is_active:
            for peer in tuple(subscribers):
                peer.queue(stream, frame)
        else:
            for peer in subscribers:
                peer.outbox.append(frame)
        self._pace.count()
        return 1

    def _tell(self, effects: Effects) -> None:
        """Tell accounts what became of their orders and balances."""
        for report in effects.reports:
            record = self._text.update(report)
            for peer, session in list(self._private.items()):
                if reply := session.report(report, record):
                    peer.queue(*reply)
            self._watch_expiry(report)
        for entry in effects.entries:
            record = self._text.entry(entry)
            for peer, session in list(self._private.items()):
                if reply := session.enter(entry, record):
                    peer.queue(*reply)

    def _watch_expiry(self, report: Report) -> None:
        """Wake up when the next order expires: it may be that nothing else happens then."""
        order = report.order
        if order.expire_ns is None or self.is_simulated_time:
            return
        if order.status in OPEN:
            self._expiries[order.order_id] = order.expire_ns
        else:
            self._expiries.pop(order.order_id, None)
        self._await_expiry()

    def _await_expiry(self) -> None:
        if not self._expiries:
            return
        ahead_ns = max(0, min(self._expiries.values()) - self.clock.now_ns())
        due_ns = self.clock.monotonic_ns() + ahead_ns
        # A timer that turns out to be early does no harm; one for each order would be a heap of them.
        if self._expiry_timer is None or due_ns < self._expiry_due_ns:
            if self._expiry_timer is not None:
                self._expiry_timer.cancel()
            self._expiry_due_ns = due_ns
            self._expiry_timer = self.clock.call_at(due_ns, self._expire)

    def _expire(self) -> None:
        self._expiry_timer = None
        self.begin_command()
        self.publish()
        self._await_expiry()

    def _flush(self) -> None:
        """Send what is queued; to accounts first, as nobody hears of a trade before those whose trade it is."""
        for peer in [*self._private, *self.peers]:
            peer.flush()

    def _beat(self, now_ns: int) -> None:
        """Queue the heartbeats that are due in simulated time."""
        self._next_beat_ns = now_ns + HEARTBEAT_NS
        for peer in list(self.peers):
            due_ns = peer.next_heartbeat_ns
            if due_ns is None:
                continue
            if due_ns <= now_ns:
                due_ns = peer.next_heartbeat_ns = due_ns + HEARTBEAT_NS
                if peer.has_subscriptions:
                    peer.heartbeat()
            self._next_beat_ns = min(self._next_beat_ns, due_ns)
