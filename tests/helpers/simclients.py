"""What the simulator's tests look at it with: a book as plain as can be, and two clients that know nothing of ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from krakenwire.book.level3 import level3_checksum

__all__ = ["NaiveBook", "NaiveLevel3", "RawClient", "WsClient", "mask"]

PATIENCE_S = 20.0


class NaiveBook:
    """PROTOCOL 3.5 and 6.1 word for word: a dict a side, sorted anew each time."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[Decimal, tuple[str, str]]] = {"bids": {}, "asks": {}}

    def apply(self, frame: bytes | str) -> bool:
        """Apply a snapshot or an update; True if the checksum holds afterwards."""
        message = json.loads(frame, parse_float=str, parse_int=str)
        data = message["data"][0]
        for name, side in self.sides.items():
            if message["type"] == "snapshot":
                side.clear()
            for level in data[name]:
                price = Decimal(level["price"])
                if Decimal(level["qty"]) == 0:
                    side.pop(price, None)
                else:
                    side[price] = (level["price"], level["qty"])
            for price in sorted(side, reverse=name == "bids")[self.depth :]:
                del side[price]
        return self.checksum() == int(data["checksum"])

    def levels(self, name: str) -> list[tuple[str, str]]:
        """One side, best first, as text."""
        side = self.sides[name]
        return [side[price] for price in sorted(side, reverse=name == "bids")]

    def checksum(self) -> int:
        """CRC-32 of the top ten."""
        text = "".join(
            number.replace(".", "").lstrip("0")
            for level in self.levels("asks")[:10] + self.levels("bids")[:10]
            for number in level
        )
        return zlib.crc32(text.encode())


class NaiveLevel3:
    """PROTOCOL 3.6 and 6.2 word for word: a dict of queues a side. What it is told must fit what it holds."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        # price, order id: price, quantity and timestamp as they came
        self.sides: dict[str, dict[Decimal, dict[str, tuple[str, str, str]]]] = {"bids": {}, "asks": {}}

    def apply(self, frame: bytes | str) -> bool:
        """Apply a snapshot or an update; True if the checksum holds afterwards."""
        message = json.loads(frame, parse_float=str, parse_int=str)
        data = message["data"][0]
        for name, side in self.sides.items():
            if message["type"] == "snapshot":
                side.clear()
            for order in data[name]:
                self._tell(side, order.get("event", "add"), order)
            for price in self.prices(name)[self.depth :]:
                del side[price]
        return self.checksum() == int(data["checksum"])

    def _tell(self, side: dict[Decimal, dict[str, tuple[str, str, str]]], event: str, order: dict[str, str]) -> None:
        number, price = order["order_id"], Decimal(order["limit_price"])
        fields = order["limit_price"], order["order_qty"], order["timestamp"]
        if event == "add":
            assert not any(number in queue for queue in side.values()), "added twice"
            side.setdefault(price, {})[number] = fields
        elif event == "modify":
            assert number in side[price], "modified, but not there"
            side[price][number] = fields
        else:
            assert event == "delete"
            del side[price][number]
            if not side[price]:
                del side[price]

    def prices(self, name: str) -> list[Decimal]:
        """The prices of one side, best first."""
        return sorted(self.sides[name], reverse=name == "bids")

    def orders(self, name: str) -> list[tuple[str, str, str, str]]:
        """One side, best first and each price in the order of its queue: id, price, quantity, timestamp."""
        return [(number, *fields) for price in self.prices(name) for number, fields in self.sides[name][price].items()]

    def checksum(self) -> int:
        """CRC-32 of the orders of the top ten levels."""
        bids, asks = ([order[1:3] for order in self.orders(name)] for name in ("bids", "asks"))
        return level3_checksum(bids, asks)


class WsClient(WSListener):
    """A WebSocket client that keeps every text frame in `frames`."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []
        self.close_code: int | None = None
        self.closed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._seen = 0
        self._transport: WSTransport | None = None

    @classmethod
    async def connect(cls, url: str, ssl_context: ssl.SSLContext | None = None) -> Self:
        """Open a connection."""
        _, listener = await ws_connect(cls, url, ssl_context=ssl_context)
        assert isinstance(listener, cls)
        return listener

    @property
    def transport(self) -> WSTransport:
        """The open transport."""
        assert self._transport is not None
        return self._transport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code().value)
            transport.disconnect()
            return
        self.frames.append(frame.get_payload_as_bytes())
        self._arrived.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed.set()
        self._arrived.set()

    def send(self, message: object) -> None:
        """Send an object as JSON, or bytes as they are."""
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.transport.send(WSMsgType.TEXT, text)

    def subscribe(self, channel: str, *symbols: str, req_id: int | None = None, **params: object) -> None:
        """Send a subscription."""
        request: dict[str, Any] = {"method": "subscribe", "params": {"channel": channel, **params}}
        if symbols:
            request["params"]["symbol"] = list(symbols)
        if req_id is not None:
            request["req_id"] = req_id
        self.send(request)

    async def next(self, wanted: Callable[[dict[str, Any]], object] = lambda _: True) -> dict[str, Any]:
        """The next frame not yet looked at that `wanted` accepts; those before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self._seen < len(self.frames):
                    message: dict[str, Any] = json.loads(self.frames[self._seen])
                    self._seen += 1
                    if wanted(message):
                        return message
                assert not self.closed.is_set(), "the connection ended while a frame was waited for"
                self._arrived.clear()
                await self._arrived.wait()

    async def roundtrip(self) -> None:
        """Wait until everything sent before was answered: a ping comes back in its turn."""
        self.send({"method": "ping", "req_id": 987654321})
        await self.next(lambda message: message.get("req_id") == 987654321)

    async def gone(self) -> int | None:
        """Wait for the end; the close code, None if there was no close frame."""
        async with asyncio.timeout(PATIENCE_S):
            await self.closed.wait()
        return self.close_code

    async def hang_up(self) -> None:
        """Close this side."""
        self.transport.disconnect(graceful=False)
        await self.gone()


def mask(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    head = bytes(((0x80 if fin else 0) | opcode,))
    if len(payload) < 126:
        size = bytes((0x80 | len(payload),))
    elif len(payload) < 65536:
        size = b"\xfe" + struct.pack(">H", len(payload))
    else:
        size = b"\xff" + struct.pack(">Q", len(payload))
    return head + size + bytes(4) + payload


class RawClient:
    """A TCP client that speaks just enough WebSocket, and keeps the bytes it received as they came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, url: str, *, limit: int = 65536) -> Self:
        """Connect and upgrade."""
        address, _, path = url.removeprefix("ws://").partition("/")
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
        client = cls(reader, writer)
        writer.write(
            f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            await client.close()
            raise ConnectionRefusedError(head.decode())
        return client

    def send(self, message: object) -> None:
        """Send an object as a text message."""
        self.writer.write(mask(1, json.dumps(message).encode()))

    async def frame(self) -> tuple[bytes, bytes]:
        """The next frame: all its bytes, and its payload."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readexactly(2)
            size = head[1]
            if size == 126:
                more = await self.reader.readexactly(2)
                size = int.from_bytes(more, "big")
                head += more
            elif size == 127:
                more = await self.reader.readexactly(8)
                size = int.from_bytes(more, "big")
                head += more
            payload = await self.reader.readexactly(size)
        return head + payload, payload

    async def end(self) -> bytes:
        """Everything up to the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        """Cut the connection."""
        self.writer.close()
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE_S):
                await self.writer.wait_closed()
