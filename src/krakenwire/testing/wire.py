"""What carries the frames between a client and a simulated exchange that share a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from krakenwire.net.transport import Closed, Listener, Transport
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.peer import Door, Peer

from .link import ABNORMAL_CLOSURE, MemoryLink

__all__ = ["MemoryWire"]


class MemoryWire:
    """A `krakenwire.sim.peer.Wire` in memory.

    What either end sends arrives on the loop's next turn, in order: never inside the call that sent it, so that neither
    end is entered twice.

    Args:
        listener: the client's.
        stir: called whenever something is under way.
    """

    def __init__(self, listener: Listener, stir: Callable[[], object]) -> None:
        self._stir = stir
        self._link = MemoryLink(listener, sent=self._client_sent, ended=self._client_ended, paused=self._client_paused)
        self._peer: Peer | None = None

    def open(self, exchange: Exchange, door: Door) -> Transport:
        """Come in by `door`; returns the client's end."""
        transport = self._link.open()
        self._peer = exchange.connect(door, self)
        return transport

    # --- the exchange's end ---------------------------------------------------------------------------------

    def write(self, frames: list[bytes]) -> int:
        """Send JSON texts; returns how many bytes wait because the client does not read."""
        self._link.put(frames)
        self._soon(self._link.deliver)
        return self._link.waiting if self._link.is_paused else 0

    def close(self, code: int, reason: str) -> None:
        """End with a close code; the client learns of it after all that was sent before."""
        self._end(Closed(code, reason, local=False))

    def abort(self) -> None:
        """End without a word; the client learns of it after all that was sent before."""
        self._end(Closed(ABNORMAL_CLOSURE, "the socket ended without a close frame", local=False))

    def _end(self, closed: Closed) -> None:
        if self._link.put_end(closed):
            self._soon(self._link.deliver)
            self._soon(self._tell_peer_of_end)

    # --- the client's end -----------------------------------------------------------------------------------

    def _client_sent(self, text: bytes) -> None:
        self._soon(self._hand_in, text)

    def _client_ended(self) -> None:
        self._soon(self._tell_peer_of_end)

    def _client_paused(self) -> None:
        if self._peer is not None:
            if self._link.is_paused:
                self._peer.pause_writing()
            else:
                self._peer.resume_writing()

    # --- inside ---------------------------------------------------------------------------------------------

    def _hand_in(self, text: bytes) -> None:
        if self._peer is not None and not self._peer.gone.is_set():
            self._peer.receive(text)

    def _tell_peer_of_end(self) -> None:
        if self._peer is not None:
            self._peer.disconnected()

    def _soon(self, work: Callable[..., object], *args: object) -> None:
        self._stir()
        asyncio.get_running_loop().call_soon(work, *args)
