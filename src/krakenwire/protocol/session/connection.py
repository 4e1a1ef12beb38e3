"""The life of one connection: its state and epochs, what is sent and how fast, and whether it is still alive."""

from __future__ import annotations

import random

import msgspec

from krakenwire.events import Connected, Disconnected, ReadingPaused, ReadingResumed, Stamp
from krakenwire.protocol.clockoffset import ClockOffset
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Close, Outputs, Send
from krakenwire.protocol.ratelimit import Pacer
from krakenwire.protocol.state import ConnectionState, Move, next_state
from krakenwire.protocol.wire import requests

__all__ = ["Connection"]

_NS = 1_000_000_000
_RUNNING = frozenset({"online", "post_only", "cancel_only"})
"""Engine statuses under which books go on being kept (PROTOCOL 9.6); after any other they may be another engine's."""
_STATUS_SPREAD = 5 * _NS
"""Within which a connection is opened anew after an outage, so that not everybody comes at once (PROTOCOL 9.1)."""


class Connection:
    """One connection, whatever is asked for over it.

    Args:
        name: `public`, `public-2`, ….
        options: see there.
        out: where events and actions go.
        rng: source of jitter.
    """

    def __init__(self, name: str, options: Options, out: Outputs, rng: random.Random) -> None:
        self.name = name
        self.state = ConnectionState.CLOSED
        self.epoch = -1
        """Count of re-establishments: 0 while the first connection lives."""
        self.seq = 0
        """Frames received in this epoch."""
        self.reconnects = 0
        self.unread = 0
        """Frames that came while we were closing, and were not looked at."""
        self.retired = False
        """No connection is wanted any more: it is not opened anew."""
        self.clock_offset = ClockOffset()
        self._options = options
        self._out = out
        self._pacer = Pacer(options.messages_per_second, options.message_burst)
        self._rng = rng
        self._is_planned = False
        """The end of this socket is our own wish."""
        self._was_down = False
        self._outdated_at: int | None = None
        """From when on this connection is to be opened anew, since the engine was down while it was open."""
        self._earlier_frames = 0
        self._next_req_id = 1
        self._received_at = 0
        self._sent_at = 0
        self._pinged_at: int | None = None
        self._disconnected_at: int | None = None
        self._paused_at: int | None = None
        self._deadline: int | None = None
        self._dirty = False
        """Something changed: what is to be sent, and the deadline, are to be planned anew."""

    @property
    def frames(self) -> int:
        """Frames received, over all epochs."""
        return self._earlier_frames + self.seq + self.unread

    def own(self, stamp: Stamp) -> Stamp:
        """That moment, on this connection."""
        if stamp.connection == self.name:
            return stamp
        return msgspec.structs.replace(stamp, connection=self.name, epoch=self.epoch)

    def last_seen(self, now: Stamp) -> Stamp:
        """When something came over this connection for the last time, told at `now`."""
        ago = max(now.received_mono_ns - self._received_at, 0) if self.state is ConnectionState.OPEN else 0
        return Stamp(self.name, max(self.epoch, 0), now.received_ns - ago, now.received_mono_ns - ago)

    # --- its socket ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """A socket is being opened for this session."""
        self.state = next_state(self.state, Move.OPEN)

    def connected(self, url: str, stamp: Stamp, n: int) -> Stamp:
        """The socket is open: an epoch begins.

        Returns:
            That moment, in this epoch: the shell knew only the one before.
        """
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
        stamp = msgspec.structs.replace(stamp, epoch=self.epoch)
        self._out.events.append(Connected(url=url, downtime_ns=downtime, stamp=stamp, n=n))
        self._was_down = False
        self._outdated_at = None
        self._dirty = True
        return stamp

    def disconnected(self, reason: str, code: int | None, terminal: bool, stamp: Stamp, n: int) -> None:
        """The socket ended, or could not be opened."""
        was_open = self._is_held
        planned = self.state is ConnectionState.CLOSING and (self.retired or self._is_planned)
        self.state = next_state(self.state, Move.DISCONNECTED)
        self._out.events.append(
            Disconnected(reason=reason, code=code, terminal=terminal, planned=planned, stamp=stamp, n=n, seq=self.seq)
        )
        if was_open:
            self._disconnected_at = stamp.received_mono_ns
        self._is_planned = False
        self._outdated_at = None
        self.clock_offset.disconnected()
        self._deadline = None
        self._paused_at = None
        self._dirty = False

    @property
    def _is_held(self) -> bool:
        """There is a socket that was open: its end is a loss."""
        is_held = self.state in (ConnectionState.OPEN, ConnectionState.CLOSING)
        return is_held and self.epoch >= 0 and self._disconnected_at is None

    def close(self, reason: str, *, retire: bool, is_dead: bool = False) -> None:
        """End the connection; it is opened anew unless it is to `retire`. If it `is_dead` nothing is waited for."""
        self.retired = self.retired or retire
        if self.state in (ConnectionState.OPEN, ConnectionState.CONNECTING):
            self.state = next_state(self.state, Move.CLOSE)
        self._out.actions.append(Close(self.name, reason, retire, is_dead))
        self._deadline = None

    # --- reading, and not ---------------------------------------------------------------------------------------------

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
        self._out.events.append(ReadingResumed(paused_ns=paused_ns, stamp=self.own(stamp), n=n, seq=self.seq))
        self._dirty = True

    def loop_stalled(self, stalled_ns: int, now: int) -> None:
        """For `stalled_ns` nobody could have seen what came: that is no silence of the exchange's."""
        self._received_at = min(self._received_at + stalled_ns, now)
        if self._pinged_at is not None:
            self._pinged_at += stalled_ns
        self._dirty = True

    # --- sending ------------------------------------------------------------------------------------------------------

    def _send(self, text: bytes, now: int) -> None:
        self._pacer.record(now)
        self._sent_at = now
        self._out.actions.append(Send(self.name, text))

    def _take_req_id(self, now: int) -> int:
        req_id = self._next_req_id
        self._next_req_id += 1
        self.clock_offset.sent(req_id, now)
        return req_id

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        """The monotonic nanosecond at which `handle_deadline` is due, None if time alone changes nothing."""
        return self._deadline if self.state is ConnectionState.OPEN else None

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

    # --- the exchange's engine ----------------------------------------------------------------------------------------

    def _note_engine(self, system: str, now: int) -> None:
        """What the exchange says of its engine: after an outage the connection is outdated (PROTOCOL 9.6)."""
        if system not in _RUNNING:
            self._was_down = True
        elif system == "online" and self._was_down:
            self._was_down = False
            if self._options.reconnect_on_status:
                self._outdated_at = now + round(self._rng.uniform(0.0, 1.0) * _STATUS_SPREAD)
                self._dirty = True

    def take_outdated(self, now: int) -> bool:
        """Whether it is time to open the connection anew, since the engine was down while it was open; told once."""
        if self._outdated_at is None or now < self._outdated_at:
            return False
        self._outdated_at = None
        self._dirty = True
        return True
