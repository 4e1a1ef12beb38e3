"""The book channel: from changes of a whole book to what each depth of it is sent (PROTOCOL 3.5)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from ..engine.book import Move, OrderBook, Side
from ..instruments import ListedInstrument
from .stream import Stream
from .wire import format_number, format_time

__all__ = ["DEPTHS", "END", "BookFeed", "edge", "encode_level"]

DEPTHS = (10, 25, 100, 500, 1000)
"""The depths that can be subscribed."""

END = 1 << 256
"""The edge of a side that has fewer levels than the depth: beyond every key."""


def edge(side: Side, depth: int) -> int:
    """The key of the last level that a client at `depth` sees."""
    keys = side.keys
    return keys[depth - 1] if len(keys) >= depth else END


def encode_level(instrument: ListedInstrument) -> Callable[[int, int], str]:
    """What writes a level, given tick and lots, at the precisions of `instrument`."""
    price, qty = instrument.price_precision, instrument.qty_precision

    def encode(tick: int, lots: int) -> str:
        # As format_number does it, in one go.
        whole, part = str(tick).zfill(price + 1), str(lots).zfill(qty + 1)
        return f'{{"price":{whole[:-price]}.{whole[-price:]},"qty":{part[:-qty]}.{part[-qty:]}}}'

    def encode_whole(tick: int, lots: int) -> str:
        return f'{{"price":{format_number(tick, price)},"qty":{format_number(lots, qty)}}}'

    return encode if price and qty else encode_whole


class _Watch:
    """One depth: its stream, and the keys up to which its clients see either side."""

    __slots__ = ("asks_edge", "bids_edge", "depth", "head", "stream")

    def __init__(self, stream: Stream, book: OrderBook) -> None:
        self.stream = stream
        self.depth = stream.number
        self.head = f'{{"channel":"book","type":"update","data":[{{"symbol":"{stream.symbol}","bids":['
        self.reset(book)

    def reset(self, book: OrderBook) -> None:
        self.bids_edge = edge(book.bids, self.depth)
        self.asks_edge = edge(book.asks, self.depth)


class BookFeed:
    """The book frames of one symbol, at every depth that is watched.

    A client holds the levels up to an *edge*, the key of the last one within its depth. After a move it is sent what
    changed up to the new edge, and what came to lie between the old edge and the new one. It is not told of a level
    that was pushed out: it cuts its sides to the depth after every message.

    Args:
        book: the whole book.
        instrument: for the precisions.
    """

    def __init__(self, book: OrderBook, instrument: ListedInstrument) -> None:
        self._book = book
        self._symbol = instrument.symbol
        self._watches: list[_Watch] = []
        self.rescale(instrument)

    @property
    def is_watched(self) -> bool:
        """Whether `updates` has anything to do."""
        return bool(self._watches)

    @property
    def streams(self) -> list[Stream]:
        """What is watched, shallow first."""
        return [watch.stream for watch in self._watches]

    def watch(self, stream: Stream) -> None:
        """Make the updates of a depth from now on."""
        watches = {watch.depth: watch for watch in (*self._watches, _Watch(stream, self._book))}
        self._watches = [watches[depth] for depth in sorted(watches)]

    def unwatch(self, stream: Stream) -> None:
        """Make the updates of a depth no more."""
        self._watches = [watch for watch in self._watches if watch.stream != stream]

    def rescale(self, instrument: ListedInstrument) -> None:
        """Write numbers at the precisions of `instrument`; clients must be sent snapshots next."""
        self._encode = encode_level(instrument)
        for watch in self._watches:
            watch.reset(self._book)

    def snapshot(self, depth: int) -> bytes:
        """The best `depth` levels of either side."""
        book, encode = self._book, self._encode
        bids, asks = (
            ",".join([encode(tick, lots) for tick, lots in side.top(depth)]) for side in (book.bids, book.asks)
        )
        return (
            f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{self._symbol}","bids":[{bids}],'
            f'"asks":[{asks}],"checksum":{book.checksum()},"timestamp":"{format_time(book.updated_ns)}"}}]}}'
        ).encode()

    def updates(self, move: Move, frames: list[tuple[Stream, bytes]]) -> None:
        """Append the frames of a move, which is the last thing that happened to the book."""
        book = self._book
        tail = ""
        for watch in self._watches:
            bids = asks = ""
            if move.bids:
                old_edge = watch.bids_edge
                watch.bids_edge = new_edge = edge(book.bids, watch.depth)
                bids = self._levels(book.bids, move.bids, old_edge, new_edge)
            if move.asks:
                old_edge = watch.asks_edge
                watch.asks_edge = new_edge = edge(book.asks, watch.depth)
                asks = self._levels(book.asks, move.asks, old_edge, new_edge)
            if not bids and not asks:
                continue
            if not tail:
                tail = f'],"checksum":{book.checksum()},"timestamp":"{format_time(move.exchange_ns)}"}}]}}'
            frames.append((watch.stream, f'{watch.head}{bids}],"asks":[{asks}{tail}'.encode()))

    def _levels(self, side: Side, changed: dict[int, int], old_edge: int, new_edge: int) -> str:
        """What a client that saw up to `old_edge` must be told to see up to `new_edge`."""
        sign, encode = side.sign, self._encode
        texts = []
        for key, lots in changed.items():
            if key <= new_edge and (lots or key <= old_edge):
                if lots:
                    texts.append(encode(sign * key, lots))
                else:  # before what is new, as Kraken does it: there are clients that cut to the depth after each level
                    texts.insert(0, encode(sign * key, 0))
        if new_edge > old_edge:
            keys, totals = side.keys, side.totals
            visible = keys[bisect_right(keys, old_edge) : bisect_right(keys, new_edge)]
            texts += [encode(sign * key, totals[key]) for key in visible if key not in changed]
        return ",".join(texts)
