"""Whom and what a fault works on: filters by connection, by stream and by frame, and the seeded choice among them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from msgspec import Meta

from ..feed.stream import Stream
from .host import Door, Peer
from .model import Fault, Timing

__all__ = ["Count", "FrameFault", "FrameFilter", "PeerFault", "PeerFilter", "StreamFault", "StreamFilter"]

Channel = Literal["book", "level3", "trade", "ticker", "ohlc", "instrument", "executions", "balances"]

Count = Annotated[int, Meta(ge=0, le=10**9, description="heals after touching so many; 0: goes on")]


class PeerFilter(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a fault works on; what is not given restricts nothing."""

    door: Annotated[Door, Meta(description="only clients that came in by this door")] | None = None
    connection_id: Annotated[int, Meta(ge=0, description="only this connection, as `status` told it")] | None = None
    account: Annotated[str, Meta(description="only connections that speak for this account")] | None = None
    pick: Annotated[
        Literal["all", "one"], Meta(description="`one`: a single connection of those that match, chosen by the seed")
    ] = "all"


class StreamFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which streams a fault works on."""

    channel: Annotated[Channel, Meta(description="only this channel")] | None = None
    symbol: Annotated[str, Meta(description="only this symbol, as in `BTC/USD`")] | None = None


class FrameFilter(StreamFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which frames of a stream a fault works on."""

    type: Annotated[Literal["update", "snapshot", "any"], Meta(description="only frames of this type")] = "update"
    chance: Annotated[float, Meta(gt=0, le=1, description="the part of the matching frames that is touched")] = 1.0
    count: Count = 1


Q = TypeVar("Q", bound=PeerFilter)
S = TypeVar("S", bound=StreamFilter)
F = TypeVar("F", bound=FrameFilter)


class PeerFault(Fault[Q]):
    """A fault of connections.

    With `pick="one"` the seed chooses among those that match when the fault begins; if there are none, the first
    that matches later is it. Once the one that is meant is gone, the fault is over.
    """

    picked: Peer | None = None

    def check(self) -> None:
        """Refuse an account and a connection that are not there."""
        wanted = self.parameters
        if wanted.account is not None and wanted.account not in self.host.accounts.names:
            names = ", ".join(self.host.accounts.names)
            raise self.complain(f"there is no account {wanted.account!r}; there are {names}")
        if wanted.connection_id is not None and not any(map(self._matches, self.host.peers)):
            raise self.complain(f"no connection {wanted.connection_id} that matches; GET /state lists what there is")

    def begin(self) -> None:
        """Choose."""
        if self.parameters.pick == "one" and (peers := [each for each in self.host.peers if self._matches(each)]):
            self.picked = self.random.choice(peers)

    def takes(self, peer: Peer) -> bool:
        """Whether the fault works on this connection."""
        if self.parameters.pick == "all":
            return self._matches(peer)
        if self.picked is None and self._matches(peer):
            self.picked = peer
        return peer is self.picked

    def taken(self) -> list[Peer]:
        """The connections it works on now."""
        return [peer for peer in self.host.peers if self.takes(peer)]

    def disconnected(self, peer: Peer) -> None:
        """Be over if there is nobody left to work on, nor will be."""
        if peer is self.picked or peer.connection_id == self.parameters.connection_id:
            self.heal()

    def let_go(self) -> None:
        """Hold on to nobody."""
        super().let_go()
        self.picked = None

    def _matches(self, peer: Peer) -> bool:
        wanted = self.parameters
        return (
            wanted.door in (None, peer.door)
            and wanted.connection_id in (None, peer.connection_id)
            and (wanted.account is None or wanted.account == peer.session.account)
        )


class StreamFault(PeerFault[S]):
    """A fault of streams."""

    def check(self) -> None:
        """Refuse a symbol that cannot be subscribed."""
        super().check()
        self.check_symbol(self.parameters.symbol)

    def covers(self, channel: str, symbol: str | None) -> bool:
        """Whether a stream of this channel and symbol is meant."""
        wanted = self.parameters
        return wanted.channel in (None, channel) and wanted.symbol in (None, symbol)


class FrameFault(StreamFault[F]):
    """A fault of single frames of market or private data."""

    done = 0

    def selects(self, peer: Peer, stream: Stream | None, frame: bytes) -> bool:
        """Whether this frame is to be touched."""
        wanted = self.parameters
        if (
            stream is None
            or (wanted.count and self.done >= wanted.count)
            or stream.channel in ("status", "heartbeat")
            or not self.covers(stream.channel, stream.symbol)
            or (wanted.type != "any" and (b'"type":"snapshot"' in frame[:64]) != (wanted.type == "snapshot"))
            or not self.takes(peer)
        ):
            return False
        return wanted.chance == 1.0 or self.random.random() < wanted.chance

    def spend(self) -> None:
        """Count one frame; the last one heals the fault."""
        self.done += 1
        if self.done == self.parameters.count:
            self.heal()
