"""A network in memory whose other end a test holds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from krakenwire.errors import ConnectFailed, ConnectionClosed
from krakenwire.net.transport import Closed, Listener, Transport

from .link import ABNORMAL_CLOSURE, MemoryLink

__all__ = ["MemoryNetwork", "MemoryPeer"]


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
        return peer._link.open()

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
    """The server's end of a connection in memory, in a test's hands.

    Attributes:
        url: where the client connected to.
        received: every message of the client, in order.
    """

    def __init__(self, url: str, listener: Listener) -> None:
        self.url = url
        self.received: list[bytes] = []
        self._read = 0
        self._changed = asyncio.Event()
        self._link = MemoryLink(listener, sent=self._client_sent, ended=self._changed.set)

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, as the client's listener was or will be told; None while it is open."""
        return self._link.closed

    def send_text(self, frame: bytes) -> None:
        """Send one message, as a socket read of its own. Ignored once the connection has ended."""
        self.send_many([frame])

    def send_many(self, frames: Iterable[bytes]) -> None:
        """Send messages that arrive in one socket read. Ignored once the connection has ended."""
        self._link.put(frames)
        self._link.deliver()

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
        self._end(Closed(ABNORMAL_CLOSURE, "the socket ended without a close frame", local=False))

    def _client_sent(self, text: bytes) -> None:
        self.received.append(text)
        self._changed.set()

    def _end(self, closed: Closed) -> None:
        if self._link.put_end(closed):
            self._changed.set()
            self._link.deliver()
