"""What is asked for over a connection, and what Kraken answers."""

from __future__ import annotations

import random

from krakenwire.events import ExchangeError, Stamp, Subscribed, SubscribeRejected, Unsubscribed
from krakenwire.protocol.books.bookkeeper import BookKeeper
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.continuity.trades import Trades
from krakenwire.protocol.liveness.liveness import Liveness
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.session.connection import Connection
from krakenwire.protocol.session.recovery import Recovery
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key, State, Subscription, SubscriptionTable
from krakenwire.protocol.wire import requests
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.refusals import Refusal, classify
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["Subscriber"]

_NS = 1_000_000_000
_NO_REASON = "refused without a reason"
_RETRY_LATER = 5 * _NS
"""Wait after a refusal that asks for patience (PROTOCOL 9.1: after an outage no faster than every 5 s)."""
_REST_ANSWERED = 1 * _NS
"""After a refusal without a symbol, how long the other symbols of its request may take to be answered; Kraken answers
them all within milliseconds."""


class Subscriber(Connection):
    """A connection with its subscriptions, and what is kept for each of them.

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
        super().__init__(name, options, out, rng)
        self.keeper = BookKeeper(options, out, catalogue, rng, skip_unknown=skip_unknown)
        self.books = self.keeper.books
        self.table = SubscriptionTable(options.symbols_per_message)
        self.liveness = Liveness(options, catalogue, self.table)
        self.trades = trades
        self.candles = candles
        self._recovery: Recovery | None = None
        """What is still to come back after a loss."""

    # --- what is desired ----------------------------------------------------------------------------------------------

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

    def abandon(self, reason: str, stamp: Stamp, n: int) -> None:
        """The connection cannot be opened any more: who wants something of it is told."""
        self.retired = True
        for sub in list(self.table):
            self._reject(sub, f"the connection is not tried again: {reason}", None, stamp, n)

    def _renew_book(self, symbol: str, not_before: int) -> None:
        state = self.books.get(symbol)
        if state is not None:
            self.table.renew(Key("book", symbol, state.depth), not_before)
            self._dirty = True

    # --- requests -----------------------------------------------------------------------------------------------------

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

    # --- answers ------------------------------------------------------------------------------------------------------

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

    def _handle_exchange_error(self, error: ExchangeError, stamp: Stamp, n: int) -> None:
        if self.table.awaits(error.req_id):  # a refusal that does not say of what method (PROTOCOL 3.1)
            self._handle_ack(Ack(method="subscribe", success=False, req_id=error.req_id, error=error.error), stamp, n)
        else:
            self._tell_error(error)

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

    # --- refusals -----------------------------------------------------------------------------------------------------

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

    def _tell_error(self, error: ExchangeError) -> None:
        self._out.events.append(error)
        if classify(error.error) is Refusal.RATE:
            self._pacer.slow_down(error.stamp.received_mono_ns)

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

    # --- what is left -------------------------------------------------------------------------------------------------

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


def _key(channel: str, ack: Ack) -> Key:
    """The identity of what an answer acknowledges."""
    option = {"book": ack.depth, "ohlc": ack.interval, "ticker": ack.event_trigger}.get(channel)
    return Key(channel, ack.symbol, option)
