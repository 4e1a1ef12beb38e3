"""A network between a client and any server that does what networks do: late, slow, stuck, cut, or dead."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from random import Random
from types import TracebackType
from typing import Literal, Self, cast
from urllib.parse import urlsplit

from krakenwire.clock import NS_PER_S, Clock, SystemClock, Timer
from krakenwire.errors import UsageError

__all__ = ["FaultProxy"]

Way = Literal["up", "down", "both"]

_WAYS: tuple[Way, ...] = ("up", "down", "both")

_MOST_HELD = 1 << 20
"""Bytes of one connection and direction that are held; then its sender is no longer read, as TCP has it."""

_PIECE_S = 0.02
"""How often a throttled connection lets something through."""

_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}


class FaultProxy:
    """A TCP proxy in user space between a client and any server, for tests of what a client makes of a bad network.

    ```python
    async with SimulatorServer(rate=100) as server, FaultProxy(server.url) as proxy:
        async with Client(Endpoints(public=proxy.url)) as kraken, kraken.book("BTC/USD") as book:
            await book.synced()
            proxy.delay(0.05, jitter=0.1)
            proxy.cut()
    ```

    Bytes pass as they are, TLS included; nothing is understood, so that a connection can end in the middle of a frame.
    Each trouble may be set at any time, alone or beside others, and holds for connections that are open and those that
    come, until `heal`. `up` is from the client to the server, `down` the other way.

    It needs no privileges, and is no replacement for a kernel's own `netem`: what it does begins above TCP. A lost
    packet shows as what TCP makes of one, a pause in which nothing arrives, and a burst behind it.

    Args:
        target: where it leads: a URL (`ws`, `wss`, `http`, `https`), or `host:port`.
        host: the address to listen on.
        port: the port to listen on; 0 lets the system choose.
        seed: of all chance in it.
        clock: what delays are measured on.

    Attributes:
        accepted: connections that came so far.
        passed: bytes that went through so far, by direction.
        swallowed: bytes that did not.

    Raises:
        UsageError: the target is not one.
    """

    def __init__(
        self, target: str, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0, clock: Clock | None = None
    ) -> None:
        parts = urlsplit(target if "//" in target else f"//{target}")
        try:
            target_port = parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            target_port = None
        if parts.hostname is None or target_port is None:
            raise UsageError(
                f"a proxy leads to a URL or to host:port, as in 'ws://127.0.0.1:8080/v2', not to {target!r}"
            )
        self.accepted = 0
        self.passed: dict[str, int] = {"up": 0, "down": 0}
        self.swallowed: dict[str, int] = {"up": 0, "down": 0}
        self._target = parts.hostname, target_port
        self._scheme, self._path = parts.scheme, parts.path
        self._host, self._port = host, port
        self._clock: Clock = SystemClock() if clock is None else clock
        self._random = Random(seed)
        self._trouble = {"up": _Trouble(), "down": _Trouble()}
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: the address cannot be bound.

        Cancellation: safe, nothing stays bound.
        """
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_listening()
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for pair in list(self._pairs):
            pair.cut()
        if self._pairs:  # the loop tells each socket of its end on one of its next turns
            await self._empty.wait()

    def __repr__(self) -> str:
        return f"<FaultProxy {self._host}:{self._port} to {self._target[0]}:{self._target[1]}>"

    # --- where it is ------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """What a client is given instead of the target: the same scheme and path; without a scheme `host:port`."""
        where = f"{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"
        return f"{self._scheme}://{where}{self._path}" if self._scheme else where

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._pairs)

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def delay(self, seconds: float, *, jitter: float = 0.0, way: Way = "both") -> None:
        """Let everything arrive later, by `seconds` and up to `jitter` more, in order.

        Raises:
            UsageError: for a time below 0 or another way.
        """
        for trouble in self._of(way, seconds=seconds, jitter=jitter):
            trouble.delay, trouble.jitter = seconds, jitter

    def throttle(self, bytes_per_second: float, *, way: Way = "both") -> None:
        """Let only so many bytes through, on each connection.

        Raises:
            UsageError: for a rate that is not more than 0, or another way.
        """
        if not bytes_per_second > 0:
            raise UsageError(f"bytes_per_second must be greater than 0, not {bytes_per_second!r}; `half_open` is 0")
        for trouble in self._of(way):
            trouble.rate = bytes_per_second

    def lose(self, chance: float, *, stall: float = 0.2, way: Way = "both") -> None:
        """Lose packets, as TCP shows it: with that chance a read is stuck for `stall` seconds, and all behind it.

        Raises:
            UsageError: for a chance that is none, a time below 0 or another way.
        """
        if not 0 <= chance <= 1:
            raise UsageError(f"chance must be from 0 to 1, not {chance!r}")
        for trouble in self._of(way, stall=stall):
            trouble.chance, trouble.stall = chance, stall

    def hold(self, *, way: Way = "both") -> None:
        """Let nothing through until `heal`; then all of it comes at once.

        Raises:
            UsageError: for another way.
        """
        for trouble in self._of(way):
            trouble.is_held = True

    def half_open(self, *, way: Way = "both") -> None:
        """Swallow everything, and tell nobody: TCP stays, new connections are accepted and never answered.

        `heal` cuts the connections from which something was swallowed: it cannot be made up for.

        Raises:
            UsageError: for another way.
        """
        for trouble in self._of(way):
            trouble.is_dead = True

    def cut(self) -> None:
        """Reset every connection that is open, now; new ones are accepted."""
        for pair in list(self._pairs):
            pair.cut()

    def cut_after(self, count: int, *, gently: bool = False, way: Literal["up", "down"] = "down") -> None:
        """End the first connection that has passed `count` more bytes, in the middle of a frame as it may be.

        Args:
            count: bytes from now on, or from the start of a connection that is to come.
            gently: end it as a program that closes its socket, not by a reset.
            way: the direction that is counted.

        Raises:
            UsageError: for a count below 0 or another way.
        """
        if count < 0:
            raise UsageError(f"count must be at least 0 bytes, not {count!r}")
        if way not in ("up", "down"):
            raise UsageError(f"way must be 'up' or 'down', not {way!r}")
        self._trouble[way].cut_after, self._trouble[way].gently = count, gently
        for pair in self._pairs:
            pair.lane(way).left = count

    async def refuse(self) -> None:
        """Listen no longer: new connections are refused, those that are open go on. Cancellation: safe."""
        self._stop_listening()

    async def heal(self) -> None:
        """Let everything through again; what was held goes on its way.

        Raises:
            OSError: the port was taken meanwhile.

        Cancellation: partial; call it again.
        """
        for trouble in self._trouble.values():
            trouble.clear()
        for pair in list(self._pairs):
            pair.heal()
        if self._server is None:
            await self._listen()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _of(self, way: Way, **times: float) -> list[_Trouble]:
        if way not in _WAYS:
            raise UsageError(f"way must be one of {', '.join(_WAYS)}, not {way!r}")
        for name, value in times.items():
            if value < 0:
                raise UsageError(f"{name} must be at least 0 seconds, not {value!r}")
        return [trouble for name, trouble in self._trouble.items() if way in (name, "both")]

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self) -> _End:
        self.accepted += 1
        pair = _Pair(self)
        self._pairs.add(pair)
        self._empty.clear()
        task = asyncio.get_running_loop().create_task(self._dial(pair))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        return pair.client

    async def _dial(self, pair: _Pair) -> None:
        if all(trouble.is_dead for trouble in self._trouble.values()):
            pair.swallowed = True
            return  # accepted, and nobody there
        try:
            await asyncio.get_running_loop().create_connection(lambda: pair.server, *self._target)
        except OSError:
            pair.cut()

    def _forget(self, pair: _Pair) -> None:
        """Both its sockets are gone."""
        self._pairs.discard(pair)
        if not self._pairs:
            self._empty.set()


class _Trouble:
    """What is wrong with one direction."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing is."""
        self.delay = 0.0
        self.jitter = 0.0
        self.rate: float | None = None
        self.chance = 0.0
        self.stall = 0.0
        self.is_held = False
        self.is_dead = False
        self.cut_after: int | None = None
        self.gently = False


class _Pair:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.swallowed = False
        self.client = _End(self, "up")
        self.server = _End(self, "down")
        self.client.lane.to, self.server.lane.to = self.server, self.client

    def lane(self, way: str) -> _Lane:
        """One of its directions."""
        return self.client.lane if way == "up" else self.server.lane

    def cut(self) -> None:
        """Reset both sockets."""
        for end in (self.client, self.server):
            end.lane.stop()
            end.reset()
        if not (self.client.is_open or self.server.is_open):
            self.proxy._forget(self)

    def ended(self, end: _End, error: Exception | None) -> None:
        """One of the sockets is gone."""
        other = self.server if end is self.client else self.client
        if not other.is_open:
            self.proxy._forget(self)
        elif error is not None:
            end.lane.put(None, is_reset=True)  # behind what is under way
        else:
            end.lane.put(None)

    def heal(self) -> None:
        """Let go what is held; cut what cannot be made good."""
        if self.swallowed:
            self.cut()
            return
        for end in (self.client, self.server):
            end.lane.left = None
            end.lane.hurry()


class _End(asyncio.Protocol):
    """One of the two sockets of a connection; what it receives goes into its lane."""

    def __init__(self, pair: _Pair, way: str) -> None:
        self.pair = pair
        self.is_open = False
        self.lane = _Lane(pair, way, self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.is_open = True
        if self.pair not in self.pair.proxy._pairs:
            self.reset()  # the other one, or the proxy, has ended meanwhile
            return
        for end in (self.pair.client, self.pair.server):
            end.lane.hurry()

    def data_received(self, data: bytes) -> None:
        self.lane.put(data)

    def eof_received(self) -> bool:
        self.lane.put(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.transport = None
        self.pair.ended(self, exc)

    def pause_writing(self) -> None:
        other = self.pair.server if self is self.pair.client else self.pair.client
        other.read(False)

    def resume_writing(self) -> None:
        other = self.pair.server if self is self.pair.client else self.pair.client
        other.read(True)

    def read(self, wanted: bool) -> None:
        """Read this socket, or leave what comes to TCP."""
        if self.transport is None or self.transport.is_closing():
            return
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def reset(self) -> None:
        """End this socket by a reset, whatever waits to be sent."""
        if self.transport is None:
            return
        found = self.transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Lane:
    """One direction of one connection: what is under way in it, and when it arrives. None is an end."""

    def __init__(self, pair: _Pair, way: str, source: _End) -> None:
        self.to: _End
        self.left = pair.proxy._trouble[way].cut_after
        self._pair = pair
        self._way = way
        self._source = source
        self._trouble = pair.proxy._trouble[way]
        self._clock = pair.proxy._clock
        self._queue: deque[tuple[int, bytes | None]] = deque()
        self._held = 0
        self._last_ns = 0
        self._timer: Timer | None = None
        self._is_reset = False

    def put(self, data: bytes | None, *, is_reset: bool = False) -> None:
        """Something was received, or nothing more will be."""
        trouble, proxy = self._trouble, self._pair.proxy
        self._is_reset = self._is_reset or is_reset
        if trouble.is_dead:
            proxy.swallowed[self._way] += len(data or b"")
            self._pair.swallowed = True
            return
        now_ns = self._clock.monotonic_ns()
        due_ns = max(
            self._last_ns, now_ns + round((trouble.delay + trouble.jitter * proxy._random.random()) * NS_PER_S)
        )
        if trouble.chance and proxy._random.random() < trouble.chance:
            due_ns += round(trouble.stall * NS_PER_S)
        if data is None or trouble.rate is None:
            self._append(due_ns, data)
        else:
            size = max(1, round(trouble.rate * _PIECE_S))
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                due_ns += round(len(piece) / trouble.rate * NS_PER_S)
                self._append(due_ns, piece)
        self._send_due()

    def hurry(self) -> None:
        """Whatever held things up may be over."""
        if not (self._trouble.delay or self._trouble.rate or self._trouble.chance):
            self._last_ns = 0
            self._queue = deque((0, data) for _, data in self._queue)
        self._send_due()

    def stop(self) -> None:
        """Nothing of it arrives any more."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _append(self, due_ns: int, data: bytes | None) -> None:
        self._last_ns = due_ns
        self._queue.append((due_ns, data))
        self._held += len(data or b"")
        if self._held > _MOST_HELD:
            self._source.read(False)

    def _send_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._trouble.is_held or not self.to.is_open:
            return
        now_ns = self._clock.monotonic_ns()
        while self._queue and self._queue[0][0] <= now_ns:
            self._send(self._queue.popleft()[1])
        if self._held <= _MOST_HELD // 2:
            self._source.read(True)
        if self._queue:
            self._timer = self._clock.call_at(self._queue[0][0], self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        self._send_due()

    def _send(self, data: bytes | None) -> None:
        transport = self.to.transport
        if transport is None or transport.is_closing():
            return
        if data is None:
            if self._is_reset:
                self._pair.cut()
            elif self._source.is_open and transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
            return
        self._held -= len(data)
        if self.left is not None:
            data = data[: self.left]
            self.left -= len(data)
        transport.write(data)
        self._pair.proxy.passed[self._way] += len(data)
        if self.left == 0:
            self._end_here()

    def _end_here(self) -> None:
        gently, self._trouble.cut_after = self._trouble.gently, None
        for pair in self._pair.proxy._pairs:
            pair.lane(self._way).left = None
        self.stop()
        if gently and self.to.transport is not None:
            self.to.transport.close()
            self._source.reset()
        else:
            # What was written last is to arrive before the reset, or the frame would not be torn.
            self._clock.call_at(self._clock.monotonic_ns() + NS_PER_S // 100, self._pair.cut)
