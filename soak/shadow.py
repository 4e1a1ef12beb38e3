"""The book of a client that believes everything: what a fault would have made of it, had nobody looked."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from krakenwire.sim.engine.book import OrderBook

from .digest import TOP

__all__ = ["Ladder", "Shadow", "sent_checksum", "sent_timestamp"]

MOMENTS_KEPT = 256
"""Of a stream: no message is held back by a fault for longer than that."""

_CHECKSUM = re.compile(rb'"checksum":(\d+)')
_TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')


class _Level(msgspec.Struct):
    price: msgspec.Raw
    qty: msgspec.Raw


class _Data(msgspec.Struct):
    bids: list[_Level]
    asks: list[_Level]


class _Frame(msgspec.Struct):
    type: str
    data: list[_Data]


_decoder = msgspec.json.Decoder(_Frame)


def sent_checksum(frame: bytes) -> int | None:
    """The checksum in a frame."""
    match = _CHECKSUM.search(frame)
    return int(match[1]) if match else None


def sent_timestamp(frame: bytes) -> bytes:
    """The timestamp in a frame; timestamps of one length compare as text does."""
    match = _TIMESTAMP.search(frame)
    return match[1] if match else b""


def _units(number: msgspec.Raw) -> int:
    """A padded number in its own last decimals, as the exchange counts in ticks and lots."""
    return int(bytes(number).replace(b".", b""))


class _Moment(NamedTuple):
    """The exchange's book as it was when a message was made."""

    checksum: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Ladder:
    """One side of such a book: ticks and lots, cut to the depth after each message.

    Args:
        sign: 1 for asks, -1 for bids: lower keys are better.
        depth: levels that are kept.
        levels: what it holds at first.
    """

    def __init__(self, sign: int, depth: int, levels: list[tuple[int, int]]) -> None:
        self._sign = sign
        self._depth = depth
        self._lots = dict(levels)

    def apply(self, levels: list[_Level]) -> None:
        """Take a message in."""
        for level in levels:
            tick, lots = _units(level.price), _units(level.qty)
            if lots:
                self._lots[tick] = lots
            else:
                self._lots.pop(tick, None)
        if len(self._lots) > self._depth:
            self._lots = dict(self.top(self._depth))

    def top(self, count: int) -> list[tuple[int, int]]:
        """The best levels, best first."""
        return sorted(self._lots.items(), key=lambda level: self._sign * level[0])[:count]


class Shadow:
    """What a client that believes everything holds of one stream, from the injection of a fault on.

    Args:
        book: the exchange's.
        depth: of the stream.
        is_held: the client holds the book now; else it will by its next snapshot.

    Attributes:
        faults: numbers of the faults that it is about.
        touched_ns: when something was first done to the stream, or None.
        is_outside: the top ten are right, something below them is not.
    """

    def __init__(self, book: OrderBook, depth: int, *, is_held: bool) -> None:
        self.faults: set[int] = set()
        self.touched_ns: int | None = None
        self.is_outside = False
        self._book = book
        self._depth = depth
        self._last = b""
        self._moments: dict[bytes, _Moment] = {}
        self._sides: tuple[Ladder, Ladder] | None = None
        if is_held:
            self._sides = self._begin(book.bids.top(depth), book.asks.top(depth))

    def note(self, frame: bytes) -> None:
        """The exchange made a frame, and its book is as it says; what is sent of it comes by `take`, perhaps later."""
        if len(self._moments) >= MOMENTS_KEPT:
            del self._moments[next(iter(self._moments))]
        self._moments[sent_timestamp(frame)] = self._now()

    def take(self, frame: bytes) -> str | None:
        """A frame was sent.

        Returns:
            `found`: whoever looks at the top ten, the checksum and the timestamp finds something wrong now;
            `healed`: the book is the exchange's again; `outside`: the top ten are, something below them is not; None
            if the client had no book to compare.
        """
        try:
            decoded = _decoder.decode(frame)
        except msgspec.DecodeError:
            return None
        (data,) = decoded.data
        if decoded.type == "snapshot":
            self._sides = self._begin([], [])
        if self._sides is None:
            return None
        timestamp = sent_timestamp(frame)
        runs_backwards = decoded.type != "snapshot" and timestamp < self._last
        self._last = max(timestamp, self._last) if decoded.type != "snapshot" else timestamp
        bids, asks = self._sides
        try:
            bids.apply(data.bids)
            asks.apply(data.asks)
        except ValueError:
            return "found"
        true = self._moment(timestamp, sent_checksum(frame))
        if runs_backwards or sent_checksum(frame) != true.checksum or not self._is_equal(true, TOP):
            return "found"
        self.is_outside = not self._is_equal(true, self._depth)
        return "outside" if self.is_outside else "healed"

    def _begin(self, bids: list[Any], asks: list[Any]) -> tuple[Ladder, Ladder]:
        return Ladder(-1, self._depth, bids), Ladder(1, self._depth, asks)

    def _moment(self, timestamp: bytes, checksum: int | None) -> _Moment:
        """The exchange's book that a frame tells of: that of its time, if a fault has not altered that.

        A skewed clock may give a frame just the time of an earlier one, whose book was another. So where the checksum
        is not that of the time, it tells the book; one that a fault has altered tells none, and is found wrong.
        """
        at_its_time = self._moments.get(timestamp)
        if at_its_time is None or at_its_time.checksum != checksum:
            for moment in reversed(self._moments.values()):
                if moment.checksum == checksum:
                    return moment
        return at_its_time or self._now()

    def _now(self) -> _Moment:
        book = self._book
        return _Moment(book.checksum(), book.bids.top(self._depth), book.asks.top(self._depth))

    def _is_equal(self, true: _Moment, count: int) -> bool:
        assert self._sides is not None  # noqa: S101  # only called with sides
        bids, asks = self._sides
        return bids.top(count) == true.bids[:count] and asks.top(count) == true.asks[:count]
