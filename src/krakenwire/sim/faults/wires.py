"""Wires that carry badly: between a peer and its socket, they hold back, slow down or swallow what is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from krakenwire.clock import NS_PER_S, Clock, Timer

from ..feed.wire import wrap_texts
from .host import Peer, Wire

__all__ = ["BadWire", "ByteWire", "DeadWire", "DelayWire", "DripWire", "HeldWire", "find_socket"]

DRIP_S = 0.02
"""How often a dripping wire lets something through."""


@runtime_checkable
class ByteWire(Protocol):
    """What a wire can do that is a socket, and one in memory cannot."""

    def write_bytes(self, data: bytes) -> int:
        """Send bytes of a stream of frames as they are; returns how many bytes wait unsent."""

    def pause_reading(self) -> None:
        """Read nothing more of what the client sends."""

    def resume_reading(self) -> None:
        """Read again."""


class BadWire:
    """A wire around another one; this one passes everything on.

    Args:
        peer: whose wire it becomes, around the one that it has.
        clock: gives the time.
    """

    def __init__(self, peer: Peer, clock: Clock) -> None:
        self.inner: Wire = peer.wire
        self.clock = clock
        self._peer = peer
        peer.wire = self

    def write(self, frames: list[bytes]) -> int:
        """Send JSON texts; returns how many bytes wait unsent."""
        return self.inner.write(frames)

    def close(self, code: int, reason: str) -> None:
        """Send what waits, say goodbye, and end."""
        self.inner.close(code, reason)

    def abort(self) -> None:
        """End at once."""
        self.inner.abort()

    def remove(self) -> None:
        """Let what is held go on its way, and be no longer between the peer and its socket."""
        if self._peer.wire is self:
            self._peer.wire = self.inner
            return
        outer: object = self._peer.wire
        while isinstance(outer, BadWire):
            if outer.inner is self:
                outer.inner = self.inner
                return
            outer = outer.inner


def find_socket(wire: Wire) -> ByteWire | None:
    """The socket that is behind all the bad wires, or None if it is a client in memory."""
    while isinstance(wire, BadWire):
        wire = wire.inner
    return wire if isinstance(wire, ByteWire) else None


class DeadWire(BadWire):
    """Nothing gets through in either direction, and nobody is told."""

    def __init__(self, peer: Peer, clock: Clock, swallowed: Callable[[int], None]) -> None:
        super().__init__(peer, clock)
        self._swallowed = swallowed
        self._socket = find_socket(self.inner)
        if self._socket is not None:
            self._socket.pause_reading()

    def write(self, frames: list[bytes]) -> int:
        """Swallow."""
        self._swallowed(sum(map(len, frames)))
        return 0

    def close(self, code: int, reason: str) -> None:
        """Swallow: the goodbye does not get through either."""

    def remove(self) -> None:
        """Cut the connection: what was swallowed cannot be made up for."""
        super().remove()
        if self._socket is not None:
            self._socket.resume_reading()
        self.inner.abort()


class HeldWire(BadWire):
    """Everything waits until the wire is removed, and goes all at once then."""

    def __init__(self, peer: Peer, clock: Clock, held: Callable[[int], None]) -> None:
        super().__init__(peer, clock)
        self._held_bytes = held
        self._frames: list[bytes] = []
        self._waiting = 0
        self._goodbye: tuple[int, str] | None = None

    def write(self, frames: list[bytes]) -> int:
        """Hold."""
        self._frames += frames
        size = sum(map(len, frames))
        self._waiting += size
        self._held_bytes(size)
        return self._waiting

    def close(self, code: int, reason: str) -> None:
        """Say goodbye behind what is held."""
        self._goodbye = self._goodbye or (code, reason)

    def remove(self) -> None:
        """Let everything go."""
        super().remove()
        if self._frames:
            self.inner.write(self._frames)
            self._frames = []
        if self._goodbye is not None:
            self.inner.close(*self._goodbye)


class DelayWire(BadWire):
    """Everything arrives later, in its order.

    Args:
        peer: whose wire it becomes.
        clock: gives the time.
        delay_ns: gives the delay of what is written now.
    """

    def __init__(self, peer: Peer, clock: Clock, delay_ns: Callable[[int], int]) -> None:
        super().__init__(peer, clock)
        self._delay_ns = delay_ns
        self._queue: deque[tuple[int, list[bytes] | tuple[int, str], int]] = deque()
        self._waiting = 0
        self._timer: Timer | None = None

    def write(self, frames: list[bytes]) -> int:
        """Send them later; returns what waits here and behind."""
        size = sum(map(len, frames))
        self._waiting += size
        self._enqueue(frames, size)
        return self._waiting

    def close(self, code: int, reason: str) -> None:
        """Say goodbye later, behind what waits."""
        self._enqueue((code, reason), 0)

    def abort(self) -> None:
        """End at once; what waits is lost."""
        self._queue.clear()
        super().abort()

    def remove(self) -> None:
        """Send everything that waits."""
        super().remove()
        if self._timer is not None:
            self._timer.cancel()
        while self._queue:
            self._send_one()

    def _enqueue(self, what: list[bytes] | tuple[int, str], size: int) -> None:
        due_ns = self.clock.monotonic_ns() + self._delay_ns(size)
        self._queue.append((due_ns, what, size))
        if self._timer is None:
            self._timer = self.clock.call_at(due_ns, self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        now_ns = self.clock.monotonic_ns()
        while self._queue and self._queue[0][0] <= now_ns:
            self._send_one()
        if self._queue:
            self._timer = self.clock.call_at(self._queue[0][0], self._send_due)

    def _send_one(self) -> None:
        _, what, size = self._queue.popleft()
        self._waiting -= size
        if isinstance(what, tuple):
            self.inner.close(*what)
        else:
            self.inner.write(what)


class DripWire(BadWire):
    """Only so many bytes a second get through: to a socket byte by byte, to a client in memory frame by frame.

    Args:
        peer: whose wire it becomes.
        clock: gives the time.
        bytes_per_second: more than 0.
        held: is told of the bytes that had to wait.
    """

    def __init__(self, peer: Peer, clock: Clock, bytes_per_second: float, held: Callable[[int], None]) -> None:
        super().__init__(peer, clock)
        self._rate = bytes_per_second
        self._held_bytes = held
        self._is_socket = isinstance(self.inner, ByteWire)
        self._queue: deque[memoryview] = deque()
        self._waiting = 0
        self._credit = 0.0
        self._since_ns = clock.monotonic_ns()
        self._timer: Timer | None = None
        self._goodbye: tuple[int, str] | None = None

    def write(self, frames: list[bytes]) -> int:
        """Send them at leisure; returns what waits here."""
        parts = [wrap_texts(frames)] if self._is_socket else frames
        size = sum(map(len, parts))
        self._queue += map(memoryview, parts)
        self._waiting += size
        self._held_bytes(size)
        self._wait()
        return self._waiting

    def close(self, code: int, reason: str) -> None:
        """Say goodbye behind what waits."""
        if self._queue:
            self._goodbye = self._goodbye or (code, reason)
        else:
            self.inner.close(code, reason)

    def abort(self) -> None:
        """End at once; what waits is lost."""
        self._queue.clear()
        super().abort()

    def remove(self) -> None:
        """Send everything that waits."""
        super().remove()
        if self._timer is not None:
            self._timer.cancel()
        for part in self._queue:
            self._send(part)
        self._queue.clear()
        if self._goodbye is not None:
            self.inner.close(*self._goodbye)

    def _wait(self) -> None:
        if self._timer is None:
            now_ns = self.clock.monotonic_ns()
            self._since_ns = now_ns
            self._timer = self.clock.call_at(now_ns + self._pause_ns(), self._drip)

    def _pause_ns(self) -> int:
        # Long enough for one byte, or for the frame that is next.
        missing = 1.0 if self._is_socket or not self._queue else len(self._queue[0]) - self._credit
        return round(max(DRIP_S, missing / self._rate) * NS_PER_S)

    def _drip(self) -> None:
        self._timer = None
        now_ns = self.clock.monotonic_ns()
        self._credit += (now_ns - self._since_ns) / NS_PER_S * self._rate
        while self._queue and self._credit >= 1.0:
            part = self._queue[0]
            if len(part) > self._credit:
                if not self._is_socket:
                    break
                part, self._queue[0] = part[: int(self._credit)], part[int(self._credit) :]
            else:
                self._queue.popleft()
            self._credit -= len(part)
            self._waiting -= len(part)
            self._send(part)
        if self._queue:
            self._since_ns = now_ns
            self._timer = self.clock.call_at(now_ns + self._pause_ns(), self._drip)
            return
        self._credit = 0.0
        if self._goodbye is not None:
            self.inner.close(*self._goodbye)

    def _send(self, part: memoryview) -> None:
        if self._is_socket and isinstance(self.inner, ByteWire):
            self.inner.write_bytes(bytes(part))
        else:
            self.inner.write([bytes(part)])
