"""The order of levels within a message: right also for a client that cuts its book after every single level."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from krakenwire.sim.feed.feed import Feed
from krakenwire.sim.feed.stream import Stream
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market

SYMBOLS = ["BTC/USD", "ETH/USD", "MINA/GBP"]


class HastyBook:
    """As python-kraken-sdk keeps it: sorted and cut to the depth after each level, not after each message."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._sides: dict[str, dict[str, str]] = {"asks": {}, "bids": {}}

    def apply(self, data: dict[str, Any]) -> bool:
        for name, side in self._sides.items():
            for level in data[name]:
                if float(level["qty"]) > 0:
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
                best = sorted(side.items(), key=lambda item: float(item[0]), reverse=name == "bids")
                side = self._sides[name] = dict(best[: self._depth])  # noqa: PLW2901  # it is cut right here
        digits = [
            text.replace(".", "").lstrip("0")
            for name in ("asks", "bids")
            for level in self.levels(name)[:10]
            for text in level
        ]
        return zlib.crc32("".join(digits).encode()) == int(data["checksum"])

    def levels(self, name: str) -> list[tuple[str, str]]:
        return list(self._sides[name].items())


@pytest.mark.parametrize("depth", [10, 100])
def test_a_client_that_cuts_after_every_level_stays_right(depth: int) -> None:
    market = Market(select(SYMBOLS), seed=3)
    feed = Feed(market)
    books = {symbol: HastyBook(depth) for symbol in SYMBOLS}
    for symbol, book in books.items():
        stream = Stream("book", symbol, depth)
        feed.watch(stream)
        assert book.apply(read(feed.snapshot(stream)))
    both = 0
    for _ in range(3000):
        for _, frame in feed.updates(market.step()):
            data = read(frame)
            assert books[data["symbol"]].apply(data), frame
            both += any(len({float(level["qty"]) > 0 for level in data[side]}) == 2 for side in ("bids", "asks"))
    assert both > 50
    for symbol, book in books.items():
        assert (book.levels("bids"), book.levels("asks")) == market.truth(symbol, depth)


def read(frame: bytes) -> dict[str, Any]:
    """The book in a frame, its numbers as they are written."""
    data: dict[str, Any] = json.loads(frame, parse_float=str, parse_int=str)["data"][0]
    return data
