"""The fault of a book that crosses, with a checksum that says it is right."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from ..feed.stream import Stream
from ..feed.wire import format_number
from .filters import Count, StreamFault, StreamFilter
from .frames import evidence
from .host import Peer

__all__ = ["CrossedBook"]

_UPDATE = re.compile(rb'("bids":\[)(.*?)(\],"asks":\[)(.*?)(\],"checksum":)(\d+)(?=[,}])')


class CrossedFilter(StreamFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `crossed_book`."""

    side: Annotated[Literal["bids", "asks"], Meta(description="the side whose best level goes too far")] = "bids"
    ticks: Annotated[int, Meta(ge=0, le=1000, description="how far beyond the other side; 0 locks the book")] = 1
    checksum: Annotated[
        Literal["crossed", "true", "wrong"],
        Meta(description="of the crossed book, so that the crossing alone shows it; of the true book; or of neither"),
    ] = "crossed"
    count: Count = 1


class _Crossing(NamedTuple):
    """What has to be taken back on a stream: the level that was added, and the one that it pushed out."""

    added: int
    pushed_out: int | None


class CrossedBook(StreamFault[CrossedFilter]):
    """Book updates that add a level beyond the best of the other side; the next update takes it back."""

    kind = "crossed_book"
    parameters_type = CrossedFilter
    done = 0

    def check(self) -> None:
        """Refuse a recording, of which nobody knows the book, and channels other than book."""
        super().check()
        if self.parameters.channel not in (None, "book"):
            raise self.complain(f"channel {self.parameters.channel!r} cannot be crossed; expected book")
        _ = self.host.market

    def begin(self) -> None:
        """Nothing is crossed yet."""
        super().begin()
        self._crossings: dict[tuple[Peer, Stream], _Crossing] = {}

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """The update with the level added, or with it removed."""
        if stream is None or stream.channel != "book" or stream.symbol is None:
            return None
        match = _UPDATE.search(frame)
        if match is None:
            return None
        crossing = self._crossings.pop((peer, stream), None)
        if b'"type":"snapshot"' in frame[:64]:
            self._heal_if_done()  # the client has a new book: nothing to take back
            return None
        if crossing is not None:
            restored = self._take_back(stream, stream.symbol, crossing)
            self._heal_if_done()
            return (self._insert(frame, match, restored, int(match[6])),)
        wanted = self.parameters
        if (wanted.count and self.done >= wanted.count) or not self.covers("book", stream.symbol):
            return None
        if not self.takes(peer):
            return None
        return self._cross(peer, stream, stream.symbol, frame, match)

    def disconnected(self, peer: Peer) -> None:
        """Nothing is left to be taken back from it."""
        for key in [key for key in self._crossings if key[0] is peer]:
            del self._crossings[key]
        super().disconnected(peer)
        self._heal_if_done()

    def end(self) -> None:
        """Leave what is crossed as it is: the checksum of the next update shows it."""
        self._crossings.clear()

    def _cross(
        self, peer: Peer, stream: Stream, symbol: str, frame: bytes, match: re.Match[bytes]
    ) -> Sequence[bytes] | None:
        book = self.host.market.book(symbol)
        if book.checksum() != int(match[6]):
            return None  # the book has moved on already, or another fault was at this frame
        depth = stream.number
        bids, asks = book.bids.top(depth), book.asks.top(depth)
        own, other = (bids, asks) if self.parameters.side == "bids" else (asks, bids)
        if not own or not other:
            return None
        further = 1 if self.parameters.side == "bids" else -1
        tick, lots = other[0][0] + further * self.parameters.ticks, own[0][1]
        if tick <= 0:
            return None
        pushed_out = own[-1][0] if len(own) == depth else None
        own.insert(0, (tick, lots))
        true = int(match[6])
        text = "".join(f"{each_tick}{each_lots}" for each_tick, each_lots in asks[:10] + bids[:10])
        crossed = zlib.crc32(text.encode())
        checksum = {"crossed": crossed, "true": true, "wrong": true ^ crossed ^ self.random.randrange(1, 2**32)}
        sent = checksum[self.parameters.checksum]
        level = self._level(symbol, tick, lots)
        what = evidence(frame) | {"sent": sent, "level": level.decode()}
        self.touch(peer, stream, what, size=len(frame))
        self.done += 1
        self._crossings[peer, stream] = _Crossing(tick, pushed_out)
        return (self._insert(frame, match, level, sent),)

    def _take_back(self, stream: Stream, symbol: str, crossing: _Crossing) -> bytes:
        """Levels that make the book right again for a client that has swallowed the crossing."""
        levels = [self._level(symbol, crossing.added, 0)]
        book = self.host.market.book(symbol)
        side = book.bids if self.parameters.side == "bids" else book.asks
        if crossing.added in (held := dict(side.top(stream.number))):
            # The true book has a level there by now.
            levels[0] = self._level(symbol, crossing.added, held[crossing.added])
        if crossing.pushed_out in held:
            levels.append(self._level(symbol, crossing.pushed_out, held[crossing.pushed_out]))
        return b",".join(levels)

    def _insert(self, frame: bytes, match: re.Match[bytes], levels: bytes, checksum: int) -> bytes:
        """The frame with more levels behind those of the side, and with another checksum."""
        bids, asks = match[2], match[4]
        if self.parameters.side == "bids":
            bids = b",".join(filter(None, (bids, levels)))
        else:
            asks = b",".join(filter(None, (asks, levels)))
        parts = (frame[: match.start()], match[1], bids, match[3], asks, match[5], b"%d" % checksum)
        return b"".join((*parts, frame[match.end() :]))

    def _level(self, symbol: str, tick: int, lots: int) -> bytes:
        instrument = self.host.market.instrument(symbol)
        price = format_number(tick, instrument.price_precision)
        return f'{{"price":{price},"qty":{format_number(lots, instrument.qty_precision)}}}'.encode()

    def _heal_if_done(self) -> None:
        if not self._crossings and self.done == self.parameters.count:
            self.heal()
