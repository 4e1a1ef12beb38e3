"""Faults of connections: cut, half open, slow, late, or refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta

from krakenwire.clock import NS_PER_S

from .filters import Count, PeerFault, PeerFilter
from .host import Door, Peer
from .model import MAX_SECONDS, Fault, Timing
from .wires import BadWire, DeadWire, DelayWire, DripWire, HeldWire

__all__ = ["Burst", "Cut", "Delay", "HalfOpen", "RefuseConnect", "SlowDrip"]

ABNORMAL = 1006
"""The code of an end without a goodbye; it never stands in a frame."""


class CutFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `cut`."""

    code: Annotated[
        Literal[1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1012, 1013],
        Meta(description="of the close frame; 1006 cuts the TCP connection without one"),
    ] = 1006
    reason: Annotated[str, Meta(max_length=100, description="beside the code")] = ""


class Cut(PeerFault[CutFilter]):
    """Connections that end, at once."""

    kind = "cut"
    parameters_type = CutFilter
    is_momentary = True

    def begin(self) -> None:
        """End them."""
        super().begin()
        code = self.parameters.code
        for peer in self.taken():
            self.touch(peer, what={"code": code})
            if code == ABNORMAL:
                peer.flush()
                peer.abort()
            else:
                peer.close(code, self.parameters.reason)


Q = TypeVar("Q", bound=PeerFilter)
W = TypeVar("W", bound=BadWire)


class WireFault(PeerFault[Q], Generic[Q, W]):
    """A fault that puts a bad wire between a peer and its socket, until it is healed."""

    def make(self, peer: Peer) -> W:
        """The wire."""
        raise NotImplementedError

    def begin(self) -> None:
        """Put one before everybody who is meant."""
        super().begin()
        self._wires: dict[Peer, W] = {}
        for peer in self.taken():
            self._wires[peer] = self.make(peer)

    def connected(self, peer: Peer) -> None:
        """Put one before a new client too."""
        if self.takes(peer):
            self._wires[peer] = self.make(peer)

    def disconnected(self, peer: Peer) -> None:
        """Forget its wire."""
        self._wires.pop(peer, None)
        super().disconnected(peer)

    def end(self) -> None:
        """Take the wires away."""
        for wire in list(self._wires.values()):
            wire.remove()
        self._wires.clear()

    def note(self, peer: Peer) -> Callable[[int], None]:
        """A function that notes how many bytes of a peer were touched."""

        def noted(size: int) -> None:
            self.touch(peer, size=size, repeats=True)

        return noted

    def has(self, peer: Peer) -> bool:
        """Whether this peer has such a wire."""
        return peer in self._wires


class HalfOpen(WireFault[PeerFilter, DeadWire]):
    """Connections whose TCP stays, and on which nothing is read or sent; healing cuts them."""

    kind = "half_open"
    parameters_type = PeerFilter

    def make(self, peer: Peer) -> DeadWire:
        """A dead wire."""
        self.touch(peer)
        return DeadWire(peer, self.host.clock, self.note(peer))

    def connected(self, peer: Peer) -> None:
        """Leave new connections alone, unless there was none to pick one from."""
        if self.parameters.pick == "one" and self.picked is None:
            super().connected(peer)

    def incoming(self, peer: Peer, message: bytes) -> bytes | None:
        """Read nothing."""
        if not self.has(peer):
            return None
        self.touch(peer, what={"received": True}, size=len(message), repeats=True)
        return b""


class DripFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `slow_drip`."""

    bytes_per_second: Annotated[float, Meta(ge=1, le=10**9, description="what gets through")] = 1000.0


class SlowDrip(WireFault[DripFilter, DripWire]):
    """Connections that carry few bytes a second."""

    kind = "slow_drip"
    parameters_type = DripFilter

    def make(self, peer: Peer) -> DripWire:
        """A dripping wire."""
        return DripWire(peer, self.host.clock, self.parameters.bytes_per_second, self.note(peer))


class BurstFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `burst`."""

    duration: (
        Annotated[float, Meta(gt=0, le=MAX_SECONDS, description="seconds for which everything is held back")] | None
    ) = 1.0


class Burst(WireFault[BurstFilter, HeldWire]):
    """Connections on which everything is held back for a while, and then comes all at once."""

    kind = "burst"
    parameters_type = BurstFilter

    def make(self, peer: Peer) -> HeldWire:
        """A wire that holds."""
        return HeldWire(peer, self.host.clock, self.note(peer))


class DelayFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `delay`."""

    seconds: Annotated[float, Meta(ge=0, le=3600, description="by which everything is late, at least")] = 0.1
    up_to: (
        Annotated[
            float, Meta(gt=0, le=3600, description="each write is late by between `seconds` and this, by the seed")
        ]
        | None
    ) = None


class Delay(WireFault[DelayFilter, DelayWire]):
    """Connections on which everything comes late, in its order."""

    kind = "delay"
    parameters_type = DelayFilter

    def check(self) -> None:
        """Refuse a range that is none."""
        super().check()
        if self.parameters.up_to is not None and self.parameters.up_to < self.parameters.seconds:
            raise self.complain(f"up_to={self.parameters.up_to} is less than seconds={self.parameters.seconds}")

    def make(self, peer: Peer) -> DelayWire:
        """A slow wire."""
        return DelayWire(peer, self.host.clock, partial(self._delay_ns, self.note(peer)))

    def _delay_ns(self, noted: Callable[[int], None], size: int) -> int:
        noted(size)
        least, most = self.parameters.seconds, self.parameters.up_to
        return round((least if most is None else self.random.uniform(least, most)) * NS_PER_S)


class UpgradeFilter(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `refuse_connect`."""

    door: Annotated[Door, Meta(description="only clients that come in by this door")] | None = None
    status: Annotated[
        Literal[400, 401, 403, 404, 429, 500, 502, 503, 504], Meta(description="HTTP status of the refused upgrade")
    ] = 503
    count: Count = 0


REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class RefuseConnect(Fault[UpgradeFilter]):
    """Connections that are refused at the upgrade (PROTOCOL 9.1)."""

    kind = "refuse_connect"
    parameters_type = UpgradeFilter
    done = 0

    def refuse_upgrade(self, door: Door) -> tuple[int, str] | None:
        """The status."""
        if self.parameters.door not in (None, door):
            return None
        status = self.parameters.status
        self.touch(what={"status": status}, door=door)
        self.done += 1
        if self.done == self.parameters.count:
            self.heal()
        return status, REASONS[status]
