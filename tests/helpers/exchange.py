"""The simulator's exchange on a network in memory: no socket, no wall clock, every frame when the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.sessions.session import HEARTBEAT, ClientSession, encode_status
from krakenwire.sim.source import MarketSource
from krakenwire.testing import ManualClock, MemoryNetwork, MemoryPeer

__all__ = ["MemoryExchange"]

Edit = Callable[[bytes], bytes | None]
"""Changes a frame on its way to the client, or loses it (None)."""

LISTED = ("BTC/USD", "ETH/USD", "MINA/GBP")
"""A market of all symbols takes three times as long to make, and some tests make hundreds."""


class MemoryExchange:
    """Serves every connection of `network` from one market, as the real server would."""

    def __init__(self, *, seed: int = 1, clock: ManualClock | None = None) -> None:
        self.network = MemoryNetwork()
        self.clock = clock if clock is not None else ManualClock()
        self.market = Market(select(LISTED), seed=seed)
        self.source: MarketSource[MemoryPeer] = MarketSource(self.market)
        self.edit: Edit | None = None
        self.answers = True
        self.requests: list[bytes] = []
        self._sessions: dict[MemoryPeer, ClientSession[MemoryPeer]] = {}
        self._answered: dict[MemoryPeer, int] = {}

    @property
    def peers(self) -> list[MemoryPeer]:
        """The connections that are open."""
        return [peer for peer in self.network.peers if peer.closed is None]

    async def settle(self) -> None:
        """Answer what the clients ask until nobody asks any more."""
        quiet = 0
        while quiet < 3:
            await self.clock.settle()
            quiet = 0 if self._answer() else quiet + 1

    async def advance(self, seconds: float, step: float = 0.25) -> None:
        """Move the clock, answering on the way, with a heartbeat a second."""
        moved = 0.0
        while moved < seconds:
            await self.clock.advance(step)
            moved += step
            if round(moved / step) % round(1 / step) == 0:
                for peer in self.peers:
                    self._send(peer, HEARTBEAT)
            await self.settle()

    async def trade(self, steps: int) -> None:
        """Let the market move `steps` times and send what comes of it."""
        for _ in range(steps):
            for _, subscribers, frame in self.source.step(None):
                for peer in list(subscribers):
                    self._send(peer, frame)
        await self.settle()

    async def cut(self) -> None:
        """Cut every connection without a word."""
        for peer in self.peers:
            peer.cut()
        await self.settle()

    def truth(self, symbol: str, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The exchange's own book."""
        return self.market.truth(symbol, depth)

    def _send(self, peer: MemoryPeer, frame: bytes) -> None:
        edited = frame if self.edit is None else self.edit(frame)
        if edited is not None:
            peer.send_text(edited)

    def _answer(self) -> bool:
        busy = False
        for peer in self.network.peers:
            session = self._sessions.get(peer)
            if session is None:
                session = self._sessions[peer] = ClientSession(self.source, peer, lambda: self.source.now_ns)
                self._answered[peer] = 0
                self._send(peer, encode_status(1))
                busy = True
            if peer.closed is not None:
                session.close()
                continue
            while self._answered[peer] < len(peer.received):
                request = peer.received[self._answered[peer]]
                self._answered[peer] += 1
                self.requests.append(request)
                busy = True
                if self.answers:
                    for _, frame in session.receive(request, self.clock.monotonic_ns()):
                        self._send(peer, frame)
        return busy


async def settled(exchange: MemoryExchange, task: asyncio.Task[object]) -> None:
    """Answer until `task` is done."""
    while not task.done():
        await exchange.settle()
