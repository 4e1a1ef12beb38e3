"""A listener inside the exchange: it is given every frame before any fault is, and writes the truth down."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from hashlib import blake2b
from typing import Any, cast

import msgspec

from krakenwire.sim.exchange import Exchange
from krakenwire.sim.feed.stream import Stream

from .digest import LevelTexts, shortest
from .records import Shelf

__all__ = ["Tap", "trade_digest"]


class _Print(msgspec.Struct):
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    trade_id: int
    timestamp: str


class _Prints(msgspec.Struct):
    data: list[_Print]


_decoder = msgspec.json.Decoder(_Prints)


def trade_digest(side: str, price: Decimal, qty: Decimal) -> bytes:
    """The digest of a trade."""
    return blake2b(f"{side} {shortest(f'{price:f}')} {shortest(f'{qty:f}')}".encode(), digest_size=8).digest()


class Tap:
    """Subscribes to books and trades as a client would, but before all faults, for they stand before each client.

    A book frame tells of the book as it is when the frame is handed out, so that is looked at, rather than the frame.

    Args:
        exchange: what is tapped; nobody has subscribed to anything yet.
        symbols: of which books and trades are noted. They move from now on whether a client listens or not.
        shelf: where everything is written.

    Attributes:
        frames: how many frames it was given.
        trades: how many trades were in them.
        last: the number of the last trade of each symbol.
    """

    def __init__(
        self, exchange: Exchange, symbols: Iterable[str], shelf: Shelf, depths: tuple[int, ...] = (10,)
    ) -> None:
        self.frames = 0
        self.trades = 0
        self.last: dict[str, int] = {}
        self._exchange = exchange
        self._shelf = shelf
        self._texts: dict[str, LevelTexts] = {}
        for symbol in symbols:
            for stream in (*(Stream("book", symbol, depth) for depth in depths), Stream("trade", symbol)):
                for frame in exchange.source.open(cast("Any", self), stream, snapshot=stream.channel == "book"):
                    self.queue(stream, frame)

    def queue(self, stream: Stream, frame: bytes) -> None:
        """Take a frame, as a peer does."""
        self.frames += 1
        symbol = stream.symbol
        if symbol is None:
            return
        if stream.channel == "book":
            market = self._exchange.market
            instrument = market.instrument(symbol)
            texts = self._texts.get(symbol)
            if texts is None or texts.instrument is not instrument:
                texts = self._texts[symbol] = LevelTexts(instrument)
            book = market.book(symbol)
            self._shelf.true(symbol, book.updated_ns // 1000 * 1000, texts.digest(book))
        else:
            for trade in _decoder.decode(frame).data:
                self.trades += 1
                self.last[symbol] = trade.trade_id
                self._shelf.traded("tape", symbol, trade.trade_id, trade_digest(trade.side, trade.price, trade.qty))
