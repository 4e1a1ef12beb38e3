"""One connection's protocol state: frames in; events, frames to send and a deadline out. No clock, no socket."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from krakenwire.book import NOT_BOOK, QUIET, UNKNOWN, BookUpdate
from krakenwire.errors import FrameError
from krakenwire.events import (
    BookQuarantined,
    Connected,
    Disconnected,
    ExchangeError,
    Gap,
    Instrument,
    Ohlc,
    Pong,
    Raw,
    ReadingPaused,
    ReadingResumed,
    Reconnected,
    Recovered,
    Stalled,
    Stamp,
    Subscribed,
    SubscribeRejected,
    SystemStatus,
    Ticker,
    Trade,
    Undecodable,
    Unsubscribed,
)
from krakenwire.protocol.books.audit import Watch
from krakenwire.protocol.books.bookkeeper import BookKeeper
from krakenwire.protocol.clockoffset import ClockOffset
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.continuity.trades import Trades
from krakenwire.protocol.liveness.findings import Ask, Finding, Revived, Stall
from krakenwire.protocol.liveness.liveness import Liveness
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Close, Outputs, Send
from krakenwire.protocol.ratelimit import Pacer
from krakenwire.protocol.recovery import Recovery
from krakenwire.protocol.state import ConnectionState, Move, next_state
from krakenwire.protocol.subscriptions import Key, State, Subscription, SubscriptionTable
from krakenwire.protocol.wire import requests
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.refusals import Refusal, classify
from krakenwire.protocol.wire.symbols import Catalogue, Change

__all__ = ["Session"]

_NS = 1_000_000_000
_NO_REASON = "refused without a reason"
_RETRY_LATER = 5 * _NS
"""Wait after a refusal that asks for patience (PROTOCOL 9.1: after an outage no faster than every 5 s)."""
_REST_ANSWERED = 1 * _NS
"""After a refusal without a symbol, how long the other symbols of its request may take to be answered; Kraken answers
them all within milliseconds."""
_RUNNING = frozenset({"online", "post_only", "cancel_only"})
"""Engine statuses under which books go on being kept (PROTOCOL 9.6); after any other they may be another engine's."""
_STATUS_SPREAD = 5 * _NS
"""Within which a connection is opened anew after an outage, so that not everybody comes at once (PROTOCOL 9.1)."""


class Session:
    """The protocol state of one connection.

    Args:
        name: `public`, `public-2`, ….
        options: see there.
        out: where events and actions go.
        catalogue: the instruments, shared by all sessions.
        rng: source of jitter.
        trades: the continuity of trades, shared by all sessions.
        candles: that of candles, likewise.
        skip_unknown: count book frames of symbols that are not held, rather than have them looked at.
    """

    def __init__(
        self,
        name: str,
        options: Options,
        out: Outputs,
        catalogue: Catalogue,
        rng: random.Random,
        *,
        trades: Trades,
        candles: Candles,
        skip_unknown: bool = True,
    ) -> None:
        self.name = name
        self.state = ConnectionState.CLOSED
        self.epoch = -1
        """Count of re-establishments: 0 while the first connection lives."""
        self.seq = 0
        """Frames received in this epoch."""
        self.reconnects = 0
        self.unread = 0
        """Frames that came while we were closing, and were not looked at."""
        self.restored = 0
        """How often everything was back after a loss."""
        self.recovery_ns = 0
        """How long that took, all times together."""
        self.restored_at: int | None = None
        """When everything was back after the last `reconnect` (monotonic ns); None until then."""
        self.undecodable = 0
        self.raw = 0
        self.retired = False
        """No connection is wanted any more: it is not opened anew."""
        self.keeper = BookKeeper(options, out, catalogue, rng, skip_unknown=skip_unknown)
        self.books = self.keeper.books
        self.table = SubscriptionTable(options.symbols_per_message)
        self.liveness = Liveness(options, catalogue, self.table)
        self.trades = trades
        self.candles = candles
        self._options = options
        self._out = out
        self._catalogue = catalogue
        self._pacer = Pacer(options.messages_per_second, options.message_burst)
        self._watches: dict[str, Watch] = {}
        """Of the books that are being audited, by symbol."""
        self._rng = rng
        self._recovery: Recovery | None = None
        self._is_planned = False
        """The end of this socket is our own wish."""
        self._was_down = False
        self._outdated_at: int | None = None
        """From when on this connection is to be opened anew, since the engine was down while it was open."""
        self.clock_offset = ClockOffset()
        self._earlier_frames = 0
        self._next_req_id = 1
        self._received_at = 0
        self._sent_at = 0
        self._pinged_at: int | None = None
        self._disconnected_at: int | None = None
        self._paused_at: int | None = None
        self._deadline: int | None = None
        self._dirty = False
        self._handlers: dict[type, Callable[[Any, Stamp, int], None]] = {
            Ack: self._handle_ack,
            Trade: self._handle_trade,
            Ticker: self._handle_ticker,
            Ohlc: self._handle_ohlc,
            Instrument: self._handle_instrument,
            ExchangeError: self._handle_exchange_error,
            Pong: self._handle_pong,
            SystemStatus: self._handle_status,
            Raw: self._handle_raw,
            Undecodable: self._handle_undecodable,
        }

    # --- inputs -----------------------------------------------------------------------------------------------------

    @property
    def frames(self) -> int:
        """Frames received, over all epochs."""
        return self._earlier_frames + self.seq + self.unread

    def open(self) -> None:
        """A socket is being opened for this session."""
        self.state = next_state(self.state, Move.OPEN)

    def connected(self, url: str, stamp: Stamp, n: int) -> None:
        """The socket is open; what is desired will be asked for, paced."""
        self.state = next_state(self.state, Move.CONNECTED)
        now = stamp.received_mono_ns
        self.epoch += 1
        self._earlier_frames += self.seq
        self.seq = 0
        self._received_at = self._sent_at = now
        self._pinged_at = None
        self._pacer.reset()
        downtime = None if self._disconnected_at is None else now - self._disconnected_at
        self._disconnected_at = None
        self.reconnects += downtime is not None
        stamp = msgspec.structs.replace(stamp, epoch=self.epoch)  # the shell knew only the epoch before
        self._out.events.append(Connected(url=url, downtime_ns=downtime, stamp=stamp, n=n))
        if self._recovery is not None:
            self._recovery.connected(now, [sub.key for sub in self.table])
            self._look_at_recovery(stamp, n)
        self._was_down = False
        self._outdated_at = None
        self._dirty = True

    def disconnected(self, reason: str, code: int | None, terminal: bool, stamp: Stamp, n: int) -> None:
        """The socket ended, or could not be opened; books are withheld until they are proven again."""
        was_open = self.state in (ConnectionState.OPEN, ConnectionState.CLOSING) and self.epoch >= 0
        planned = self.state is ConnectionState.CLOSING and (self.retired or self._is_planned)
        self.state = next_state(self.state, Move.DISCONNECTED)
        now = stamp.received_mono_ns
        events = self._out.events
        events.append(
            Disconnected(reason=reason, code=code, terminal=terminal, planned=planned, stamp=stamp, n=n, seq=self.seq)
        )
        if was_open and self._disconnected_at is None:
            self._disconnected_at = now
            if self._recovery is None:
                self._recovery = Recovery(now, self.trades.missed)
            self._recovery.lost(now, planned=self._is_planned)
        self._is_planned = False
        self._outdated_at = None
        interrupted = [
            sub.key.symbol for sub in self.table if sub.state is State.ACTIVE and sub.key.channel == "ticker"
        ]
        for symbol in dict.fromkeys(interrupted):  # once, whatever the triggers
            events.append(Gap(of="ticker", symbol=symbol, reason="disconnected", stamp=stamp, n=n, seq=self.seq))
        for sub in self.table:
            self.candles.interrupt(sub.key.symbol, sub.key.interval)
        for symbol in self.books:
            self.keeper.withhold(symbol, "disconnected", stamp, n, self.seq)
        for sub in self.table:
            if not sub.desired:
                self._forget(sub.key)
        self.table.disconnected()
        self.liveness.disconnected()
        self.clock_offset.disconnected()
        self._deadline = None
        self._paused_at = None
        self._dirty = False

    def receive_frame(self, frame: bytes, stamp: Stamp, n: int) -> None:
        """One frame, whole. A frame that cannot be understood becomes an event, never an exception."""
        if self.state is not ConnectionState.OPEN:
            self.unread += 1
            return  # we are closing: what still comes belongs to nobody
        self.seq += 1
        self._received_at = stamp.received_mono_ns
        self._pinged_at = None
        events = self._out.events
        start = len(events)
        try:
            code = self.books.apply(frame, events, stamp, n, self.seq)
        except FrameError as error:
            reason, offset = error.reason, error.offset
            self._handle_undecodable(
                Undecodable(reason=reason, offset=offset, frame=frame, stamp=stamp, n=n, seq=self.seq), stamp, n
            )
            return
        if code == QUIET:
            if self._watches:
                self._note_changes(start)
            return
        if code == NOT_BOOK:
            self._receive_message(frame, stamp, n)
        elif code == UNKNOWN:
            self._receive_unknown_book(frame, stamp, n)
        else:
            self._look_at_books(start, stamp)
        if self._recovery is not None:
            self._look_at_recovery(stamp, n)

    def pause(self, reason: str, stamp: Stamp, n: int) -> None:
        """The socket is not read for now: silence means nothing until it is."""
        if self._paused_at is None and self.state is ConnectionState.OPEN:
            self._paused_at = stamp.received_mono_ns
            self._out.events.append(ReadingPaused(reason=reason, stamp=self.own(stamp), n=n, seq=self.seq))
            self._dirty = True

    def resume(self, stamp: Stamp, n: int) -> None:
        """The socket is read again: from here on silence counts."""
        if self._paused_at is None:
            return
        now = stamp.received_mono_ns
        paused_ns, self._paused_at = now - self._paused_at, None
        self._received_at = now
        self._pinged_at = None
        self.table.shift(paused_ns)
        self.liveness.restart(now)
        self._out.events.append(ReadingResumed(paused_ns=paused_ns, stamp=self.own(stamp), n=n, seq=self.seq))
        self._dirty = True

    def loop_stalled(self, stalled_ns: int, now: int) -> None:
        """For `stalled_ns` nobody could have seen what came: that is no silence of the exchange's."""
        self._received_at = min(self._received_at + stalled_ns, now)
        if self._pinged_at is not None:
            self._pinged_at += stalled_ns
        self.table.shift(stalled_ns)
        self.liveness.shift(stalled_ns, now)
        self._dirty = True

    def subscribe(self, key: Key) -> None:
        """Desire a subscription; harmless if it is desired already.

        Raises:
            UsageError: there can be no book of that symbol or depth.
        """
        self.keeper.hold(key)
        if key.channel == "trade" and key.symbol is not None:
            self.trades.hold(key.symbol, self.name)
        self.table.want(key)
        self._dirty = True

    def unsubscribe(self, key: Key) -> None:
        """Desire it no longer."""
        if self.table.unwant(key):
            self._forget(key)
        self._dirty = True

    def learn_precision(self, symbol: str, stamp: Stamp, n: int, *, changed: bool) -> None:
        """The precisions of `symbol` came in; where they `changed`, its book is fetched again (PROTOCOL 3.9).

        `stamp` and `n` are those of the frame that said so, on whichever connection.
        """
        self.keeper.set_precision(symbol)
        if not changed:
            return
        stamp = self.own(stamp)
        if self.keeper.withhold(symbol, "precision", stamp, n, self.seq):
            self._renew_book(symbol, stamp.received_mono_ns)

    def watch(self, symbol: str) -> Watch:
        """Note from now on what changes in the book of `symbol`, until `unwatch`."""
        watch = self._watches[symbol] = Watch()
        return watch

    def unwatch(self, symbol: str) -> None:
        """Note it no longer."""
        self._watches.pop(symbol, None)

    def refetch_book(self, symbol: str, reason: str, stamp: Stamp, n: int) -> None:
        """Withhold a book that is synced, and fetch it again."""
        if self.keeper.withhold(symbol, reason, self.own(stamp), n, self.seq):
            self._renew_book(symbol, stamp.received_mono_ns)

    def abandon(self, reason: str, stamp: Stamp, n: int) -> None:
        """The connection cannot be opened any more: who wants something of it is told."""
        self.retired = True
        for sub in list(self.table):
            self._reject(sub, f"the connection is not tried again: {reason}", None, stamp, n)

    def close(self, reason: str, *, retire: bool, is_dead: bool = False) -> None:
        """End the connection; it is opened anew unless it is to `retire`. If it `is_dead` nothing is waited for."""
        self.retired = self.retired or retire
        if self.state in (ConnectionState.OPEN, ConnectionState.CONNECTING):
            self.state = next_state(self.state, Move.CLOSE)
        self._out.actions.append(Close(self.name, reason, retire, is_dead))
        self._deadline = None

    def reconnect(self, reason: str) -> None:
        """End an open connection and have it opened anew, as planned; harmless while there is none."""
        if self.state is ConnectionState.OPEN:
            self._is_planned = True
            self.restored_at = None
            self.close(reason, retire=False)

    def take_outdated(self, now: int) -> bool:
        """Whether it is time to open the connection anew, since the engine was down while it was open; told once."""
        if self._outdated_at is None or now < self._outdated_at:
            return False
        self._outdated_at = None
        self._dirty = True
        return True

    def handle_deadline(self, stamp: Stamp, n: int) -> None:
        """Time has reached `next_deadline` (or not: an early call does nothing)."""
        now = stamp.received_mono_ns
        if self.state is not ConnectionState.OPEN or self._deadline is None or now < self._deadline:
            return
        self._dirty = True
        if self._paused_at is None:
            self._give_up_unanswered(self.own(stamp), n)
            self.liveness.sweep(now, self._received_at)
            self._follow_findings(self.own(stamp), n)
        if self.state is ConnectionState.OPEN:
            self._watch_liveness(now)

    def flush(self, now: int) -> None:
        """Plan what to send, as far as the pacing allows; called by the core after each input."""
        if not self._dirty or self.state is not ConnectionState.OPEN:
            return
        self._dirty = False
        blocked_until: int | None = None
        while (plan := self.table.due(now)) is not None:
            ready_at = self._pacer.ready_at(now)
            if ready_at > now:
                blocked_until = ready_at
                break
            self._request(*plan, now)
        moments = [self._liveness_deadline(), blocked_until, self._outdated_at]
        if self._paused_at is None:
            moments += self.table.next_deadline(now), self.liveness.next_deadline()
        self._deadline = min(moment for moment in moments if moment is not None)

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is due, None if time alone changes nothing."""
        return self._deadline if self.state is ConnectionState.OPEN else None

    # --- sending ----------------------------------------------------------------------------------------------------

    def _request(self, method: str, subs: list[Subscription], now: int) -> None:
        req_id = self._take_req_id(now)
        key = subs[0].key
        # After a reconnect the last 50 trades close the gap as far as they reach; they are asked for nowhere else.
        catch_up = method == "subscribe" and self._has_traded(subs[0])
        if method == "subscribe":
            subs = [sub for sub in subs if self._has_traded(sub) is catch_up]
        symbols = [sub.key.symbol for sub in subs if sub.key.symbol is not None]
        if method == "subscribe":
            text = requests.subscribe(
                key.channel,
                symbols or None,
                req_id=req_id,
                depth=key.depth,
                interval=key.interval,
                event_trigger=key.event_trigger,
                snapshot=True if catch_up else None,
            )
        else:
            text = requests.unsubscribe(
                key.channel,
                symbols or None,
                req_id=req_id,
                depth=key.depth,
                interval=key.interval,
                event_trigger=key.event_trigger,
            )
        self.table.sent(req_id, method, subs, now + round(self._options.ack_timeout * _NS))
        self._send(text, now)

    def _has_traded(self, sub: Subscription) -> bool:
        symbol = sub.key.symbol
        if sub.key.channel != "trade" or symbol is None:
            return False
        return self.trades.last(symbol) is not None or self.liveness.wants_snapshot(sub.key)

    def _send(self, text: bytes, now: int) -> None:
        self._pacer.record(now)
        self._sent_at = now
        self._out.actions.append(Send(self.name, text))

    def _take_req_id(self, now: int) -> int:
        req_id = self._next_req_id
        self._next_req_id += 1
        self.clock_offset.sent(req_id, now)
        return req_id

    # --- time -------------------------------------------------------------------------------------------------------

    def _liveness_deadline(self) -> int:
        options = self._options
        if self._paused_at is not None:
            return self._sent_at + round(options.keepalive * _NS)
        if self._pinged_at is not None:
            return self._pinged_at + round(options.ping_timeout * _NS)
        idle = self._received_at + round(options.idle_ping * _NS)
        return min(idle, self._sent_at + round(options.keepalive * _NS))

    def _watch_liveness(self, now: int) -> None:
        if now < self._liveness_deadline():
            return
        if self._paused_at is None and self._pinged_at is not None:
            silent = (now - self._received_at) / _NS
            self.close(f"no frame for {silent:.0f} s, and no answer to a ping", retire=False, is_dead=True)
            return
        self._pinged_at = now
        self._send(requests.ping(self._take_req_id(now)), now)

    def own(self, stamp: Stamp) -> Stamp:
        """That moment, on this connection."""
        if stamp.connection == self.name:
            return stamp
        return msgspec.structs.replace(stamp, connection=self.name, epoch=self.epoch)

    def _give_up_unanswered(self, stamp: Stamp, n: int) -> None:
        now = stamp.received_mono_ns
        for pending in self.table.expired(now):
            if pending.refusals and not pending.answered:  # so it was the whole request that was refused
                for sub in pending.waiting.values():
                    self._settle(pending.method, sub, pending.refusals[0], stamp, n)
                continue
            for sub in pending.waiting.values():
                if pending.method == "unsubscribe":
                    self._left(sub)  # if Kraken still sends, its frames are for nobody and counted as ignored
                    continue
                if not sub.desired:
                    self.table.active(sub)  # Kraken may have it all the same: it is left
                    continue
                self.table.again(sub, now)
                if sub.attempts >= self._options.ack_attempts:
                    what = " ".join(part for part in (sub.key.channel, sub.key.symbol) if part)
                    self.close(f"{sub.attempts} requests for {what} were not answered", retire=False)
                    return

    # --- answers ----------------------------------------------------------------------------------------------------

    def _receive_message(self, frame: bytes, stamp: Stamp, n: int) -> None:
        events = self._out.events
        handlers = self._handlers
        for item in decode(frame, stamp=stamp, n=n, seq=self.seq):
            handler = handlers.get(type(item))
            if handler is None:
                events.append(item)
            else:
                handler(item, stamp, n)
        if self.trades.touched:
            self.trades.end_frame(stamp, n)
        if self.candles.touched:
            self.candles.end_frame(stamp, n)
        if self.liveness.is_probing:
            self.liveness.conclude(stamp.received_mono_ns)
            self._follow_findings(stamp, n)

    def _handle_ack(self, ack: Ack, stamp: Stamp, n: int) -> None:
        self._dirty = True
        self.clock_offset.answered(ack.req_id, ack.time_in, ack.time_out, stamp)
        now = stamp.received_mono_ns
        # Kraken drops a whole request for its rate; what is asked again is harmed by no misunderstanding.
        for_now = not ack.success and classify(ack.error or _NO_REASON) in (Refusal.RATE, Refusal.LATER)
        found = self.table.answered(ack, all_of_it=for_now, until=now + _REST_ANSWERED)
        if found is None:
            self._handle_stray_ack(ack, stamp, n)
            return
        for sub, answer in found.answers:
            self._settle(found.method, sub, answer, stamp, n)

    def _settle(self, method: str, sub: Subscription, ack: Ack, stamp: Stamp, n: int) -> None:
        """`ack` is the answer to what was asked for `sub`."""
        if method == "unsubscribe":
            if ack.success:
                self.liveness.left(sub.key, ack)
                self._unsubscribed(sub, stamp, n)
            else:
                self._stays(sub, ack, stamp, n)
        elif ack.success:
            self._subscribed(sub, ack, stamp, n)
        else:
            self._refused(sub, ack, stamp, n)

    def _handle_stray_ack(self, ack: Ack, stamp: Stamp, n: int) -> None:
        """An answer nobody waits for: late (its request was given up), or to no request of ours."""
        if not ack.success:
            self._tell_refusal(ack, stamp, n)
            return
        if ack.method == "subscribe" and ack.channel is not None:
            sub = self.table.get(_key(ack.channel, ack))
            if sub is not None and sub.state is State.WANTED and sub.attempts:
                self._subscribed(sub, ack, stamp, n)

    def _subscribed(self, sub: Subscription, ack: Ack, stamp: Stamp, n: int) -> None:
        self.table.active(sub)
        book = self.books.get(sub.key.symbol) if sub.key.channel == "book" and sub.key.symbol is not None else None
        self.liveness.subscribed(sub.key, ack, book, stamp.received_mono_ns)
        if self._recovery is not None:
            self._recovery.acknowledged(sub.key)
        self._out.events.append(
            Subscribed(
                of=sub.key.channel,
                symbol=sub.key.symbol,
                depth=sub.key.depth,
                interval=sub.key.interval,
                warnings=ack.warnings,
                stamp=stamp,
                n=n,
                seq=self.seq,
            )
        )

    def _unsubscribed(self, sub: Subscription, stamp: Stamp, n: int) -> None:
        self._left(sub)
        self._out.events.append(
            Unsubscribed(
                of=sub.key.channel,
                symbol=sub.key.symbol,
                depth=sub.key.depth,
                interval=sub.key.interval,
                stamp=stamp,
                n=n,
                seq=self.seq,
            )
        )

    def _stays(self, sub: Subscription, ack: Ack, stamp: Stamp, n: int) -> None:
        """Kraken did not end a subscription: it has it still, or never had it."""
        now = stamp.received_mono_ns
        refusal = self._tell_refusal(ack, stamp, n)
        if refusal is Refusal.RATE:
            self.table.stay(sub, now)
        elif refusal is Refusal.LATER:
            self.table.stay(sub, now + _RETRY_LATER)
        else:
            sub.not_before = now + _RETRY_LATER  # a renewal that fails this way would come back at once
            self._left(sub)

    def _tell_refusal(self, ack: Ack, stamp: Stamp, n: int) -> Refusal:
        """A refusal that is no caller's business, as an event; what it asks of us."""
        error = ack.error or _NO_REASON
        self._tell_error(ExchangeError(error=error, req_id=ack.req_id, stamp=stamp, n=n, seq=self.seq))
        return classify(error)

    def _refused(self, sub: Subscription, ack: Ack, stamp: Stamp, n: int) -> None:
        now = stamp.received_mono_ns
        error = ack.error or _NO_REASON
        refusal = classify(error)
        if refusal is Refusal.ALREADY:
            self._subscribed(sub, ack, stamp, n)
            if sub.key.channel == "book" and not self.keeper.is_synced(sub.key):
                self.table.renew(sub.key, now)  # a repeated subscribe brings no snapshot (PROTOCOL 2.4)
            return
        if refusal is Refusal.FINAL:
            self._reject(sub, error, ack.req_id, stamp, n)
            return
        self._tell_refusal(ack, stamp, n)
        if not self.table.again(sub, now + (0 if refusal is Refusal.RATE else _RETRY_LATER)):
            self._forget(sub.key)

    def _reject(self, sub: Subscription, error: str, req_id: int | None, stamp: Stamp, n: int) -> None:
        self.table.remove(sub.key)
        if self._recovery is not None:
            self._recovery.rejected_one(sub.key)
        if sub.key.channel == "trade" and sub.key.symbol is not None:
            self.trades.give_up(sub.key.symbol, f"the subscription was rejected: {error}", stamp, n)
        self._forget(sub.key)
        self._out.events.append(
            SubscribeRejected(
                of=sub.key.channel,
                symbol=sub.key.symbol,
                error=error,
                req_id=req_id,
                depth=sub.key.depth,
                interval=sub.key.interval,
                stamp=stamp,
                n=n,
                seq=self.seq,
            )
        )

    def _left(self, sub: Subscription) -> None:
        if self.table.left(sub):
            self.candles.interrupt(sub.key.symbol, sub.key.interval)
            if not self.liveness.keeps(sub.key):
                self.keeper.restart(sub.key)  # between the end and the next snapshot nothing keeps it up to date
        else:
            self._forget(sub.key)

    def _forget(self, key: Key) -> None:
        """What was kept for a subscription that is no more."""
        self.keeper.release(key)
        self.liveness.forget(key)
        if self._recovery is not None:
            self._recovery.given_up(key)
        if key.channel == "trade" and key.symbol is not None:
            self.trades.release(key.symbol, self.name)
        elif key.channel == "ohlc":
            self.candles.forget(key.symbol, key.interval)

    # --- books ------------------------------------------------------------------------------------------------------

    def _receive_unknown_book(self, frame: bytes, stamp: Stamp, n: int) -> None:
        """Only a passive session meets it: the books of a live one skip and count what was not asked for."""

    def _note_changes(self, start: int) -> None:
        for event in self._out.events[start:]:
            if (watch := self._watches.get(event.symbol)) is not None:
                watch.note(event)

    def _look_at_books(self, start: int, stamp: Stamp) -> None:
        if self._watches:
            self._note_changes(start)
        if self.liveness.is_probing:
            start = self._look_at_probes(start, stamp)
        for symbol, not_before in self.keeper.look_at(start, stamp):
            self._renew_book(symbol, not_before)
        if self._recovery is not None:
            for event in self._out.events[start:]:
                if isinstance(event, BookQuarantined):
                    self._recovery.quarantined(event.symbol)
                elif isinstance(event, BookUpdate) and event.type == "snapshot":
                    self._recovery.proven(event.symbol)

    def _look_at_probes(self, start: int, stamp: Stamp) -> int:
        """Snapshots that answer a probe and hold what was held before are no news: nobody is told.

        Returns:
            Where the updates begin, behind what was told of the streams.
        """
        events = self._out.events
        updates: list[BookUpdate] = events[start:]
        del events[start:]
        now = stamp.received_mono_ns
        news = [
            update
            for update in updates
            if not (
                update.type == "snapshot"
                and update.outcome in ("verified", "unproven")
                and self.liveness.is_same_book(update.symbol, now)
            )
        ]
        if updates:
            self._follow_findings(stamp, updates[0].n)
        start = len(events)
        events += news
        return start

    def _renew_book(self, symbol: str, not_before: int) -> None:
        state = self.books.get(symbol)
        if state is not None:
            self.table.renew(Key("book", symbol, state.depth), not_before)
            self._dirty = True

    # --- what came back after a loss --------------------------------------------------------------------------------

    def _look_at_recovery(self, stamp: Stamp, n: int) -> None:
        recovery = self._recovery
        if recovery is None or not recovery.is_complete:
            return
        self._recovery = None
        now = stamp.received_mono_ns
        self.restored_at = now
        self.restored += 1
        self.recovery_ns += now - recovery.lost_at
        self._out.events.append(
            Reconnected(
                downtime_ns=recovery.downtime_ns,
                took_ns=now - recovery.lost_at,
                subscriptions=recovery.subscriptions,
                rejected=recovery.rejected,
                books=recovery.books,
                missed=self.trades.missed - recovery.missed_before,
                planned=recovery.planned,
                stamp=stamp,
                n=n,
                seq=self.seq,
            )
        )

    def _handle_status(self, status: SystemStatus, stamp: Stamp, _n: int) -> None:
        self._out.events.append(status)
        self.liveness.set_engine(status.system, stamp.received_mono_ns)
        if status.system not in _RUNNING:
            self._was_down = True
        elif status.system == "online" and self._was_down:
            self._was_down = False
            if self._options.reconnect_on_status:
                self._outdated_at = stamp.received_mono_ns + round(self._rng.uniform(0.0, 1.0) * _STATUS_SPREAD)
                self._dirty = True

    # --- messages that mean something to the session ----------------------------------------------------------------

    def _follow_findings(self, stamp: Stamp, n: int) -> None:
        """Tell what became of silent subscriptions, and ask for them again."""
        found = self.liveness.found
        if not found:
            return
        self.liveness.found = []
        for finding in found:
            self._follow(finding, stamp, n)

    def _follow(self, finding: Finding, stamp: Stamp, n: int) -> None:
        key, now = finding.key, stamp.received_mono_ns
        if isinstance(finding, Ask):
            self.table.renew(key, now)
        elif isinstance(finding, Stall):
            self._out.events.append(
                Stalled(
                    of=key.channel,
                    symbol=key.symbol,
                    depth=key.depth,
                    interval=key.interval,
                    silent_ns=finding.silent_ns,
                    limit_ns=finding.limit_ns,
                    evidence=finding.evidence,
                    stamp=stamp,
                    n=n,
                    seq=self.seq,
                )
            )
            if key.channel == "book" and key.symbol is not None and not finding.is_over:
                self.keeper.withhold(key.symbol, "stalled", stamp, n, self.seq)
            if finding.renew:
                self.table.renew(key, now)
        elif isinstance(finding, Revived):
            self._out.events.append(
                Recovered(
                    of=key.channel,
                    symbol=key.symbol,
                    depth=key.depth,
                    interval=key.interval,
                    stalled_ns=finding.silent_ns,
                    by=finding.by,
                    stamp=stamp,
                    n=n,
                    seq=self.seq,
                )
            )
        elif self.state is ConnectionState.OPEN:
            what = " ".join(part for part in (key.channel, key.symbol) if part)
            self.close(f"{what} stays silent", retire=False)

    def _handle_ticker(self, ticker: Ticker, _stamp: Stamp, _n: int) -> None:
        liveness = self.liveness
        if not (liveness.is_probing and ticker.type == "snapshot"):
            liveness.heard.tickers[ticker.symbol] = ticker
        elif liveness.is_repeated(ticker):
            return
        self._out.events.append(ticker)

    def _handle_trade(self, trade: Trade, stamp: Stamp, _n: int) -> None:
        if trade.source == "live":
            self.liveness.heard.trades[trade.symbol] = trade
        else:
            missed = self.liveness.receive_snapshot(trade, stamp.received_mono_ns)
            self.trades.receive(trade, missed=missed)
            return
        self.trades.receive(trade)

    def _handle_ohlc(self, candle: Ohlc, stamp: Stamp, _n: int) -> None:
        if candle.type == "update":
            self.liveness.heard.candles[candle.symbol, candle.interval] = candle
        else:
            self.liveness.receive_snapshot(candle, stamp.received_mono_ns)
        self.candles.receive(candle)

    def _handle_instrument(self, instrument: Instrument, stamp: Stamp, _n: int) -> None:
        self._out.events.append(instrument)
        self.liveness.heard.reference[""] = instrument
        change = self._catalogue.add(instrument)
        if Change.STATUS in change:
            self.liveness.restart(stamp.received_mono_ns, instrument.symbol)
        if change & (Change.LISTED | Change.PRECISION):
            self._out.precisions[instrument.symbol] = Change.PRECISION in change

    def _handle_pong(self, pong: Pong, stamp: Stamp, _n: int) -> None:
        self.clock_offset.answered(pong.req_id, pong.time_in, pong.time_out, stamp)
        self._out.events.append(pong)

    def _handle_raw(self, raw: Raw, _stamp: Stamp, _n: int) -> None:
        self.raw += 1
        self._out.events.append(raw)

    def _handle_undecodable(self, undecodable: Undecodable, _stamp: Stamp, _n: int) -> None:
        self.undecodable += 1
        self._out.events.append(undecodable)

    def _handle_exchange_error(self, error: ExchangeError, stamp: Stamp, n: int) -> None:
        if self.table.awaits(error.req_id):  # a refusal that does not say of what method (PROTOCOL 3.1)
            self._handle_ack(Ack(method="subscribe", success=False, req_id=error.req_id, error=error.error), stamp, n)
        else:
            self._tell_error(error)

    def _tell_error(self, error: ExchangeError) -> None:
        self._out.events.append(error)
        if classify(error.error) is Refusal.RATE:
            self._pacer.slow_down(error.stamp.received_mono_ns)


def _key(channel: str, ack: Ack) -> Key:
    """The identity of what an answer acknowledges."""
    option = {"book": ack.depth, "ohlc": ack.interval, "ticker": ack.event_trigger}.get(channel)
    return Key(channel, ack.symbol, option)
