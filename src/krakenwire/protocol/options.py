"""What of the protocol's behaviour can be chosen, with the reason for each default."""

from __future__ import annotations

import math

import msgspec

from krakenwire.errors import UsageError

__all__ = ["Options"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a user may tune; times are seconds.

    Attributes:
        symbols_per_message: symbols in one subscribe; hundreds are accepted (PROTOCOL 9.3).
        messages_per_second: requests a second per connection; Kraken publishes no limit, the 16th to 20th rapid
            subscribe was seen to fail (PROTOCOL 9.3).
        message_burst: requests that may go out at once before that rate holds.
        ack_timeout: how long an answer may take before the request is sent again.
        ack_attempts: how often it is sent before the connection is given up and opened anew.
        idle_ping: silence of the whole connection after which a ping asks whether it lives (PROTOCOL 12).
        ping_timeout: further silence after which the connection is given up.
        keepalive: a ping goes out at least this often, since an idle socket is closed after a minute (PROTOCOL 9.2).
        resync_attempts: how often in a row one book is fetched again before it is quarantined.
        resync_backoff: wait before the second attempt; it doubles from there on, up to `quarantine`, with full jitter.
        quarantine: how long a quarantined book is left alone; doubles each time, up to `quarantine_limit`.
        stable: a book that stayed synced this long has no failures behind it any more.
        reconnect_on_status: open a connection anew when the engine is `online` after it was down (`maintenance`, or a
            status that is not known) while the connection was open: what was subscribed before may be mute, and levels
            below the proven ones may be another engine's. `post_only` and `cancel_only` alone change nothing.
        audit_every: where whole books are audited, each is about so often.
        rest_per_second: public REST calls a second; about one is allowed per address (PROTOCOL 9.4, unconfirmed).
        backfill_timeout: how long trades or candles may be held back while what is missing before them is fetched.
        backfill_attempts: how often in a row one call may fail, or bring nothing new, before it is given up.
        backfill_limit: trades fetched for one gap at most; what is left of it is told as lost.
        backfill_hold: trades of one symbol held back at most; those beyond it are fetched like the missing ones.
        stall_after: no subscription is called stalled before it was silent for so long (PROTOCOL 3.2: 5 s of healthy
            silence on BTC/USD, 26 s on a thin pair), and an acknowledged one without its snapshot is called so then.
        stall_multiple: a longer silence than so many times the learned 99.9th percentile of its gaps is a stall.
        probe_after: a stream that is silent for so long is subscribed anew, to see whether anything was missed, however
            quiet it usually is; so that a mute one is found within two minutes.
        loop_stall_after: our own event loop standing still for longer is told as `LoopStalled`.
        mirror_wait: at a failover of a mirrored book, how long one that is behind what was shown is waited for.
        seed: of the jitter, so that the same inputs give the same requests.
    """

    symbols_per_message: int = 100
    messages_per_second: float = 4.0
    message_burst: int = 4
    ack_timeout: float = 10.0
    ack_attempts: int = 3
    idle_ping: float = 10.0
    ping_timeout: float = 10.0
    keepalive: float = 30.0
    resync_attempts: int = 5
    resync_backoff: float = 1.0
    quarantine: float = 60.0
    quarantine_limit: float = 900.0
    stable: float = 30.0
    reconnect_on_status: bool = True
    audit_every: float = 60.0
    rest_per_second: float = 1.0
    backfill_timeout: float = 300.0
    backfill_attempts: int = 5
    backfill_limit: int = 100_000
    backfill_hold: int = 10_000
    stall_after: float = 10.0
    stall_multiple: float = 3.0
    probe_after: float = 90.0
    loop_stall_after: float = 0.5
    mirror_wait: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _WHOLE:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} must be an integer of at least 1, not {value!r}")
        for name in _POSITIVE:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise UsageError(f"{name} must be finite and greater than 0, not {value!r}")
        if not 0 <= self.resync_backoff < math.inf:
            raise UsageError(f"resync_backoff must be finite and not negative, not {self.resync_backoff!r}")


_WHOLE = (
    *("symbols_per_message", "message_burst", "ack_attempts", "resync_attempts"),
    *("backfill_attempts", "backfill_limit", "backfill_hold"),
)
_POSITIVE = (
    *("mirror_wait", "stall_after", "stall_multiple", "probe_after", "loop_stall_after"),
    *("messages_per_second", "ack_timeout", "idle_ping", "ping_timeout", "keepalive"),
    *("quarantine", "quarantine_limit", "stable", "audit_every", "rest_per_second", "backfill_timeout"),
)
