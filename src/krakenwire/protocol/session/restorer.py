"""What a connection had and lost, with its socket or by silence, and how it comes back."""

from __future__ import annotations

from krakenwire.events import Gap, Recovered, Stalled, Stamp
from krakenwire.protocol.liveness.findings import Ask, Finding, Inquire, Revived, Stall
from krakenwire.protocol.liveness.inquiry import inquire
from krakenwire.protocol.session.recovery import Recovery
from krakenwire.protocol.session.subscriber import Subscriber
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import State

__all__ = ["Restorer"]


class Restorer(Subscriber):
    """A subscriber that gets back what it had."""

    restored = 0
    """How often everything was back after a loss."""
    recovery_ns = 0
    """How long that took, all times together."""
    restored_at: int | None = None
    """When everything was back after the last `reconnect` (monotonic ns); None until then."""

    # --- the loss of the socket ---------------------------------------------------------------------------------------

    def connected(self, url: str, stamp: Stamp, n: int) -> Stamp:
        """The socket is open; what is desired will be asked for, paced."""
        stamp = super().connected(url, stamp, n)
        if self._recovery is not None:
            self._recovery.connected(stamp.received_mono_ns, [sub.key for sub in self.table])
            self._look_at_recovery(stamp, n)
        return stamp

    def disconnected(self, reason: str, code: int | None, terminal: bool, stamp: Stamp, n: int) -> None:
        """The socket ended, or could not be opened; books are withheld until they are proven again."""
        is_loss, is_planned = self._is_held, self._is_planned
        super().disconnected(reason, code, terminal, stamp, n)
        if is_loss:
            now = stamp.received_mono_ns
            if self._recovery is None:
                self._recovery = Recovery(now, self.trades.missed)
            self._recovery.lost(now, planned=is_planned)
        interrupted = [
            sub.key.symbol for sub in self.table if sub.state is State.ACTIVE and sub.key.channel == "ticker"
        ]
        for symbol in dict.fromkeys(interrupted):  # once, whatever the triggers
            self._out.events.append(
                Gap(of="ticker", symbol=symbol, reason="disconnected", stamp=stamp, n=n, seq=self.seq)
            )
        for sub in self.table:
            self.candles.interrupt(sub.key.symbol, sub.key.interval)
        for symbol in self.books:
            self.keeper.withhold(symbol, "disconnected", stamp, n, self.seq)
        for sub in self.table:
            if not sub.desired:
                self._forget(sub.key)
        self.table.disconnected()
        self.liveness.disconnected()

    def reconnect(self, reason: str) -> None:
        """End an open connection and have it opened anew, as planned; harmless while there is none."""
        if self.state is ConnectionState.OPEN:
            self._is_planned = True
            self.restored_at = None
            self.close(reason, retire=False)

    def _look_at_recovery(self, stamp: Stamp, n: int) -> None:
        recovery = self._recovery
        if recovery is None or not recovery.is_complete:
            return
        self._recovery = None
        event = recovery.as_event(self.trades.missed, stamp, n, self.seq)
        self.restored_at = stamp.received_mono_ns
        self.restored += 1
        self.recovery_ns += event.took_ns
        self._out.events.append(event)

    # --- silence ------------------------------------------------------------------------------------------------------

    def resume(self, stamp: Stamp, n: int) -> None:
        """The socket is read again: from here on silence counts."""
        if self._paused_at is not None:
            now = stamp.received_mono_ns
            self.table.shift(now - self._paused_at)
            self.liveness.restart(now)
        super().resume(stamp, n)

    def loop_stalled(self, stalled_ns: int, now: int) -> None:
        """For `stalled_ns` nobody could have seen what came: that is no silence of the exchange's."""
        super().loop_stalled(stalled_ns, now)
        self.table.shift(stalled_ns)
        self.liveness.shift(stalled_ns, now)

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
        elif isinstance(finding, Inquire):
            if self.trades.fetcher is not None:
                inquire(self.trades.fetcher, finding, self._confirm)
        elif self.state is ConnectionState.OPEN:
            what = " ".join(part for part in (key.channel, key.symbol) if part)
            self.close(f"{what} stays silent", retire=False)

    def _confirm(self, question: Inquire, stamp: Stamp, n: int) -> None:
        """REST has told that a stream had been mute which a probe brought back."""
        if not self.retired:
            self.liveness.confirm(question)
            self._follow_findings(self.own(stamp), n)
