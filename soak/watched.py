"""The simulator's faults, with somebody who watches what they make of each client's books."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from krakenwire.sim.exchange import Exchange
from krakenwire.sim.faults import Fault, Faults
from krakenwire.sim.feed.stream import Stream
from krakenwire.sim.peer import Peer

from .shadow import Shadow

__all__ = ["Outcome", "WatchedFaults", "frames_of"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one client's book after a fault, judged from what was sent.

    Attributes:
        faults: numbers of the faults.
        connection_id: whose book.
        symbol, depth: which.
        outcome: `found`, `healed`, `outside`, or `gone` (the connection or the subscription ended before).
        frame: CRC-32 of the frame at which it was decided.
        touched_ns: when the first of the faults touched the stream, exchange time.
        decided_ns: when that frame was sent.
    """

    faults: tuple[int, ...]
    connection_id: int
    symbol: str
    depth: int
    outcome: str
    frame: int
    touched_ns: int
    decided_ns: int


def frames_of(outcomes: Iterable[Outcome]) -> set[int]:
    """The messages at which something had to be found."""
    return {each.frame for each in outcomes if each.outcome == "found"}


class WatchedFaults(Faults):
    """Faults that tell what they lead to.

    Args:
        exchange: whose faults they become.
        seed: of whatever they choose.
        tell: is told each outcome.
    """

    def __init__(self, exchange: Exchange, *, seed: int, tell: Callable[[Outcome], object]) -> None:
        super().__init__(exchange, seed=seed)
        self._exchange = exchange
        self._tell = tell
        self._shadows: dict[tuple[Peer, Stream], Shadow] = {}
        self._books: dict[tuple[Peer, str | None], Stream] = {}
        """The stream of each book that a client was sent last, whether it is subscribed to it now or not."""

    @property
    def is_active(self) -> bool:
        """Always, or what is sent after the last fault was over would not be seen."""
        return True

    @is_active.setter
    def is_active(self, value: bool) -> None:
        pass

    def watch(self, fault: Fault[Any], peer: Peer, symbol: str) -> None:
        """From now on follow the book that `peer` has of a symbol, which `fault` is about to touch."""
        stream = self._books.get((peer, symbol))
        if stream is None:
            return  # it never had one
        shadow = self._shadows.get((peer, stream))
        if shadow is None:
            is_held = stream in self.streams(peer)
            shadow = Shadow(self._exchange.market.book(symbol), stream.number, is_held=is_held)
            self._shadows[peer, stream] = shadow
        shadow.faults.add(fault.id)

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        """What is sent instead of a frame."""
        frames = super().outgoing(peer, stream, frame)
        if stream is not None and stream.channel == "book":
            self._books[peer, stream.symbol] = stream
            shadow = self._shadows.get((peer, stream))
            if shadow is not None:
                self._follow(shadow, peer, stream, frame, frames)
        return frames

    def disconnected(self, peer: Peer) -> None:
        """A client is gone, and its books with it."""
        super().disconnected(peer)
        for key in [key for key in self._shadows if key[0] is peer]:
            self._end(key, "gone", b"")
        for known in [known for known in self._books if known[0] is peer]:
            del self._books[known]

    def settle(self) -> None:
        """Nothing more will be sent: what is still open stays so."""
        for key in list(self._shadows):
            self._end(key, "gone", b"")

    def _follow(self, shadow: Shadow, peer: Peer, stream: Stream, frame: bytes, frames: Sequence[bytes]) -> None:
        if shadow.touched_ns is None and (len(frames) != 1 or frames[0] is not frame):
            shadow.touched_ns = self._now_ns()
        shadow.note(frame)
        outcome = None
        for each in frames:
            outcome = shadow.take(each) or outcome
            if outcome == "found":
                break
        if shadow.touched_ns is None or outcome is None or outcome == "outside":
            return  # a later message may bring what is below up
        if outcome == "healed" and not all(self.find(number).is_healed for number in shadow.faults):
            return  # more is to come
        self._end((peer, stream), outcome, each)
        if going_on := {number for number in shadow.faults if not self.find(number).is_healed}:
            # It has more to do with what the client fetches now.
            assert stream.symbol is not None  # noqa: S101  # a stream of a book
            again = Shadow(self._exchange.market.book(stream.symbol), stream.number, is_held=False)
            again.faults, again.touched_ns = going_on, self._now_ns()
            self._shadows[peer, stream] = again

    def _end(self, key: tuple[Peer, Stream], outcome: str, frame: bytes) -> None:
        shadow = self._shadows.pop(key)
        if shadow.touched_ns is None:
            return
        peer, stream = key
        self._tell(
            Outcome(
                faults=tuple(sorted(shadow.faults)),
                connection_id=peer.connection_id,
                symbol=str(stream.symbol),
                depth=stream.number,
                outcome="outside" if outcome == "gone" and shadow.is_outside else outcome,
                frame=zlib.crc32(frame),
                touched_ns=shadow.touched_ns,
                decided_ns=self._now_ns(),
            )
        )

    def streams(self, peer: Peer) -> set[Stream]:
        """What a client has subscribed to."""
        streams: dict[Stream, Stream] = getattr(peer.session, "_streams", {})
        return set(streams.values())
