"""Helpers for tests of what is built on krakenwire: a network in memory, and a clock that is moved by hand.

Nothing here opens a socket or waits for real time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from krakenwire.clock import ManualClock
from krakenwire.errors import ConnectFailed, ConnectionClosed
from krakenwire.net.transport import Closed, Listener, Transport

__all__ = ["ManualClock", "MemoryNetwork", "MemoryPeer"]


class MemoryNetwork:
    """A network without sockets: a client connects through `connector`, the test holds the server's ends.

    ```python
    network = MemoryNetwork()
    transport = await network.connector("wss://ws.kraken.com/v2", listener)
    peer = await network.accept()
    peer.send_text(b'{"channel":"heartbeat"}')     # listener.receive_frame has returned by now
    transport.send_text(b'{"method":"ping"}')
    assert await peer.receive() == b'{"method":"ping"}'
    ```

    Deterministic: what a peer sends is delivered by direct calls before `send_text` returns, unless the client has
    paused reading, is inside a delivery, or has not had a turn of the loop since its connect; then it waits, in
    order. What a listener raises is raised out of the `send_*` that delivered it.

    Attributes:
        urls: where connects went to, refused ones included, in order.
        peers: the server's end of every connection, in order.
    """

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.peers: list[MemoryPeer] = []
        self._refusals: deque[ConnectFailed] = deque()
        self._accepted = 0
        self._connected = asyncio.Event()

    async def connector(self, url: str, listener: Listener) -> Transport:
        """A `krakenwire.net.transport.Connector`: connects at once, without waiting for `accept`.

        Raises:
            ConnectFailed: as `refuse_next` said.

        Cancellation: safe, it never waits.
        """
        self.urls.append(url)
        if self._refusals:
            raise self._refusals.popleft()
        peer = MemoryPeer(url, listener)
        self.peers.append(peer)
        self._connected.set()
        asyncio.get_running_loop().call_soon(peer._start)
        return peer._client

    async def accept(self) -> MemoryPeer:
        """The server's end of the next connection that was not accepted yet; waits for one.

        Cancellation: safe, no connection is lost.
        """
        while self._accepted == len(self.peers):
            self._connected.clear()
            await self._connected.wait()
        self._accepted += 1
        return self.peers[self._accepted - 1]

    def refuse_next(self, error: ConnectFailed) -> None:
        """Let the next connect that is not refused already fail with `error`."""
        self._refusals.append(error)


class MemoryPeer:
    """The server's end of a connection in memory.

    Attributes:
        url: where the client connected to.
        received: every message of the client, in order.
        closed: how the connection ended, as the client's listener was or will be told; None while it is open.
    """

    def __init__(self, url: str, listener: Listener) -> None:
        self.url = url
        self.received: list[bytes] = []
        self.closed: Closed | None = None
        self._listener = listener
        self._client = _MemoryTransport(self)
        self._inbox: deque[tuple[bytes, bool] | Closed] = deque()
        self._read = 0
        self._changed = asyncio.Event()
        self._is_held = True
        self._is_paused = False
        self._is_told = False

    def send_text(self, frame: bytes) -> None:
        """Send one message, as a socket read of its own. Ignored once the connection has ended."""
        self.send_many([frame])

    def send_many(self, frames: Iterable[bytes]) -> None:
        """Send messages that arrive in one socket read. Ignored once the connection has ended."""
        if self.closed is not None:
            return
        batch = list(frames)
        self._inbox.extend((frame, i == len(batch)) for i, frame in enumerate(batch, 1))
        self._deliver()

    async def receive(self) -> bytes:
        """The client's next message; waits for one.

        Raises:
            ConnectionClosed: the connection ended and every message was read.

        Cancellation: safe, no message is lost.
        """
        while self._read == len(self.received):
            if self.closed is not None:
                raise ConnectionClosed(f"the connection ended with {self.closed.code}; no further message will come")
            self._changed.clear()
            await self._changed.wait()
        self._read += 1
        return self.received[self._read - 1]

    async def wait_closed(self) -> Closed:
        """How the connection ended; waits for the end, whichever side makes it. Cancellation: safe."""
        while self.closed is None:
            self._changed.clear()
            await self._changed.wait()
        return self.closed

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from the server's side; the client learns of it after all that was sent before."""
        self._end(Closed(code, reason, local=False))

    def cut(self) -> None:
        """End the connection without a close frame; the client learns of it after all that was sent before."""
        self._end(Closed(1006, "the socket ended without a close frame", local=False))

    def _end(self, closed: Closed) -> None:
        if self.closed is None:
            self.closed = closed
            self._inbox.append(closed)
            self._changed.set()
            self._deliver()

    def _start(self) -> None:
        self._is_held = False
        self._deliver()

    def _deliver(self) -> None:
        """Hand on what waits, unless the client does not read or is being handed something already."""
        while self._inbox and not (self._is_held or self._is_paused):
            item = self._inbox.popleft()
            self._is_held = True
            try:
                if isinstance(item, Closed):
                    self._is_told = True
                    self._listener.receive_closed(item)
                else:
                    self._listener.receive_frame(*item)
            finally:
                self._is_held = False

    # --- what the client's end does ------------------------------------------------------------------------

    def _client_sent(self, text: bytes) -> None:
        if self.closed is None:
            self.received.append(text)
            self._changed.set()

    def _client_ended(self, closed: Closed) -> None:
        """Nothing sent earlier is delivered any more, and the end is told on the loop's next turn."""
        if self._is_told or (self.closed is not None and self.closed.local):
            return
        self.closed = closed
        self._inbox.clear()
        self._is_paused = False
        self._changed.set()
        asyncio.get_running_loop().call_soon(self._tell_client_ended, closed)

    def _tell_client_ended(self, closed: Closed) -> None:
        self._inbox.append(closed)
        self._deliver()

    def _client_reads(self, reads: bool) -> None:
        if self.closed is not None and self.closed.local:
            return
        self._is_paused = not reads
        if reads:
            asyncio.get_running_loop().call_soon(self._deliver)


class _MemoryTransport:
    """The client's end."""

    def __init__(self, peer: MemoryPeer) -> None:
        self._peer = peer

    def send_text(self, text: bytes) -> None:
        self._peer._client_sent(text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._peer._client_ended(Closed(code, reason, local=True))

    def abort(self) -> None:
        self._peer._client_ended(Closed(1006, "aborted by this side", local=True))

    def pause_reading(self) -> None:
        self._peer._client_reads(False)

    def resume_reading(self) -> None:
        self._peer._client_reads(True)
