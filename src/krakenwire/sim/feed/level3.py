"""The level3 channel: from what happened to single orders to what each depth is sent (PROTOCOL 3.6)."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable

from ..engine.book import CHECKSUM_LEVELS, Move, OrderBook, OrderChange, Resting, Side
from ..instruments import ListedInstrument
from .book import edge
from .stream import Stream
from .wire import format_number, format_time_ns

__all__ = ["LEVEL3_DEPTHS", "Level3Feed", "level3_checksum"]

LEVEL3_DEPTHS = (10, 100, 1000)
"""The depths that can be subscribed, in price levels."""

TEXTS_KEPT = 200


def level3_checksum(book: OrderBook) -> int:
    """CRC-32 over the orders of the top ten levels, each in the order of its queue (PROTOCOL 6.2)."""
    return zlib.crc32(_QueueTexts(book.bids).top(), zlib.crc32(_QueueTexts(book.asks).top()))


class _QueueTexts(dict[int, str]):
    """What the levels of a side give to the checksum's text, by their keys; a level that changed must be dropped."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self._side = side

    def __missing__(self, key: int) -> str:
        tick = str(self._side.sign * key)
        text = self[key] = "".join([f"{tick}{order.lots}" for order in self._side.queues[key].values()])
        return text

    def top(self) -> bytes:
        """The text of the side."""
        return "".join(map(self.__getitem__, self._side.keys[:CHECKSUM_LEVELS])).encode()

    def drop(self, keys: Iterable[int]) -> None:
        """Forget levels; all of them now and then, as prices move on."""
        if len(self) > TEXTS_KEPT:
            self.clear()
        for key in keys:
            self.pop(key, None)


class _Watch:
    """One depth: its stream, and the keys up to which its clients see either side, bids first."""

    __slots__ = ("depth", "edges", "stream")

    def __init__(self, stream: Stream, book: OrderBook) -> None:
        self.stream = stream
        self.depth = stream.number
        self.reset(book)

    def reset(self, book: OrderBook) -> None:
        self.edges = [edge(side, self.depth) for side in (book.bids, book.asks)]


class Level3Feed:
    """The level3 frames of one symbol, at every depth that is watched.

    A client is told all that happened on the levels it holds, up to its old edge, and is given every order of the
    levels that came to lie between the old edge and the new one. What was pushed out it cuts off itself.

    Args:
        book: the whole book; it notes orders while anything is watched.
        instrument: for the precisions.
        order_text: the id of an order, from its number.
    """

    def __init__(self, book: OrderBook, instrument: ListedInstrument, order_text: Callable[[int], str]) -> None:
        self._book = book
        self._symbol = instrument.symbol
        self._order_text = order_text
        self._watches: list[_Watch] = []
        self.rescale(instrument)

    @property
    def streams(self) -> list[Stream]:
        """What is watched, shallow first."""
        return [watch.stream for watch in self._watches]

    def watch(self, stream: Stream) -> None:
        """Make the updates of a depth from now on."""
        watches = {watch.depth: watch for watch in (*self._watches, _Watch(stream, self._book))}
        self._watches = [watches[depth] for depth in sorted(watches)]
        self._book.records_orders = True
        self._forget_texts()

    def unwatch(self, stream: Stream) -> None:
        """Make the updates of a depth no more."""
        self._watches = [watch for watch in self._watches if watch.stream != stream]
        self._book.records_orders = bool(self._watches)

    def rescale(self, instrument: ListedInstrument) -> None:
        """Write numbers at the precisions of `instrument`; clients must be sent snapshots next."""
        self._price = instrument.price_precision
        self._qty = instrument.qty_precision
        self._forget_texts()
        for watch in self._watches:
            watch.reset(self._book)

    def snapshot(self, depth: int) -> bytes:
        """All orders of the best `depth` levels of either side, each level's in the order of its queue."""
        book = self._book
        bids, asks = (
            ",".join([self._order(order) for key in side.keys[:depth] for order in side.queues[key].values()])
            for side in (book.bids, book.asks)
        )
        return (
            f'{{"channel":"level3","type":"snapshot","data":[{{"symbol":"{self._symbol}",'
            f'"checksum":{level3_checksum(book)},"bids":[{bids}],"asks":[{asks}],'
            f'"timestamp":"{format_time_ns(book.updated_ns)}"}}]}}'
        ).encode()

    def updates(self, move: Move, frames: list[tuple[Stream, bytes]]) -> None:
        """Append the frames of a move, which is the last thing that happened to the book."""
        book = self._book
        changes = (
            [change for change in move.orders if change.is_buy],
            [change for change in move.orders if not change.is_buy],
        )
        self._bids_texts.drop(move.bids)
        self._asks_texts.drop(move.asks)
        head = ""
        for watch in self._watches:
            texts = []
            for number, side in enumerate((book.bids, book.asks)):
                old_edge = watch.edges[number]
                watch.edges[number] = new_edge = edge(side, watch.depth)
                texts.append(",".join(self._events(side, changes[number], old_edge, new_edge)))
            bids, asks = texts
            if not bids and not asks:
                continue
            if not head:
                checksum = zlib.crc32(self._bids_texts.top(), zlib.crc32(self._asks_texts.top()))
                head = (
                    f'{{"channel":"level3","type":"update","data":[{{"symbol":"{self._symbol}",'
                    f'"checksum":{checksum},"timestamp":"{format_time_ns(move.exchange_ns)}",'
                )
            frames.append((watch.stream, f'{head}"bids":[{bids}],"asks":[{asks}]}}]}}'.encode()))

    def _events(self, side: Side, changes: list[OrderChange], old_edge: int, new_edge: int) -> Iterable[str]:
        """What a client that saw up to `old_edge` must be told to see up to `new_edge`."""
        for event, number, is_buy, key, lots, entered_ns in changes:
            if key <= old_edge:
                yield f'{{"event":"{event}",{self._fields(number, -key if is_buy else key, lots, entered_ns)}}}'
        if new_edge > old_edge:
            keys = side.keys
            for key in keys[bisect_right(keys, old_edge) : bisect_right(keys, new_edge)]:
                for order in side.queues[key].values():
                    yield f'{{"event":"add",{self._fields(order.number, order.tick, order.lots, order.entered_ns)}}}'

    def _forget_texts(self) -> None:
        self._bids_texts, self._asks_texts = _QueueTexts(self._book.bids), _QueueTexts(self._book.asks)

    def _order(self, order: Resting) -> str:
        return f"{{{self._fields(order.number, order.tick, order.lots, order.entered_ns)}}}"

    def _fields(self, number: int, tick: int, lots: int, entered_ns: int) -> str:
        return (
            f'"order_id":"{self._order_text(number)}","limit_price":{format_number(tick, self._price)},'
            f'"order_qty":{format_number(lots, self._qty)},"timestamp":"{format_time_ns(entered_ns)}"'
        )
