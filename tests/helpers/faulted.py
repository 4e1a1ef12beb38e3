"""What the tests of the faults look with: a client that follows books, and what a fault's log says."""

from __future__ import annotations

import json
from typing import Any, Self

from krakenwire.sim.faults import Fault
from krakenwire.sim.server import SimulatorServer

from .simclients import NaiveBook, WsClient

__all__ = ["SYMBOLS", "Watcher", "only"]

SYMBOLS = ["BTC/USD", "PEPE/USD", "MINA/GBP"]


class Watcher:
    """A client with the books of some symbols."""

    def __init__(self, server: SimulatorServer, client: WsClient, depth: int) -> None:
        self.server = server
        self.client = client
        self.depth = depth

    @classmethod
    async def connect(cls, server: SimulatorServer, *symbols: str, depth: int = 10) -> Self:
        client = await WsClient.connect(server.url)
        client.subscribe("book", *symbols, depth=depth)
        await client.roundtrip()
        return cls(server, client, depth)

    async def release(self, messages: int) -> None:
        self.server.release(messages)
        await self.server.finished()
        await self.client.roundtrip()

    def raw_books(self, symbol: str = "BTC/USD") -> list[bytes]:
        """Every frame of a book."""
        wanted = f'"symbol":"{symbol}"'.encode()
        return [each for each in self.client.frames if each.startswith(b'{"channel":"book"') and wanted in each]

    def books(self, symbol: str = "BTC/USD") -> list[dict[str, Any]]:
        """Every frame of a book, decoded."""
        return list(map(json.loads, self.raw_books(symbol)))

    def verdicts(self, symbol: str = "BTC/USD") -> tuple[NaiveBook, list[bool]]:
        """The book after all frames, and whether the checksum held after each."""
        book = NaiveBook(self.depth)
        return book, [book.apply(each) for each in self.raw_books(symbol)]


def only(fault: Fault[Any]) -> dict[str, Any]:
    """The one touch of a fault that is healed, as its log has it."""
    record = fault.record()
    assert fault.is_healed
    assert record["touched"] == 1
    assert isinstance(record["touches"], list)
    touch: dict[str, Any] = record["touches"][0]
    return touch
