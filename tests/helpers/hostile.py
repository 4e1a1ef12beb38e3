"""Small hand-written servers over real loopback sockets: every byte is the test's own, so that it may be wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from krakenwire.net.transport import Closed, Transport

Script = Callable[["Peer"], Awaitable[None]]

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, rsv: int = 0, mask: bytes = b"") -> bytes:
    """One frame as a server sends it; `rsv` is the three reserved bits, `mask` makes it one a server must not send."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, masked | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, masked | 127, len(payload))
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return head + mask + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(struct.pack("!H", code) + reason.encode(), CLOSE)


class Peer:
    """The server's end of one socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""

    async def read_head(self) -> bytes:
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    def header(self, name: str) -> str:
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        raise AssertionError(f"no {name} in {self.head!r}")

    def acceptance(self) -> bytes:
        key = self.header("Sec-WebSocket-Key").encode()
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324  # RFC 6455's own
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )

    async def accept(self, also: bytes = b"") -> None:
        """Answer the upgrade; `also` goes out in the same write."""
        await self.read_head()
        self.send(self.acceptance() + also)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the client, unmasked: opcode and payload."""
        first, second = await self.reader.readexactly(2)
        assert second & 0x80, "a client must mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        return first & 0xF, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    async def receive_close(self) -> tuple[int, str]:
        """Skip to the client's close frame: code and reason."""
        while True:
            opcode, payload = await self.receive()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def until_gone(self) -> None:
        """Wait until the client's socket is closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def cut(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def serving(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run `script` for each connection; yields the port. What a script raised is raised at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(Peer(reader, writer))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(run(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
        for _ in range(20):  # what is in the backlog by now is accepted within a few turns
            await asyncio.sleep(0)
        if tasks:  # the client has gone, so each script comes to its end
            await asyncio.wait(tasks)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


class Recorder:
    """A listener that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []
        self.log: list[str] = []
        self.ends: list[Closed] = []
        self.transport: Transport | None = None
        self._changed = asyncio.Event()

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        assert not self.ends, "a frame after the end"
        self.frames.append((frame, last_in_read))
        self.log.append(f"frame {'last' if last_in_read else 'more'}")
        self._changed.set()

    def receive_read_end(self) -> None:
        assert not self.ends, "a read end after the end"
        self.log.append("read end")
        self._changed.set()

    def receive_closed(self, closed: Closed) -> None:
        self.ends.append(closed)
        self.log.append("closed")
        self._changed.set()

    @property
    def messages(self) -> list[bytes]:
        return [message for message, _ in self.frames]

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def closed(self) -> Closed:
        await self.until(lambda: self.ends)
        return self.ends[0]
