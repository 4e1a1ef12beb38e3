"""A simulated market with naive clients at every depth, which check every frame; and accounts that trade in it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from helpers.simclients import NaiveBook, NaiveLevel3
from krakenwire.sim.engine.book import OrderBook
from krakenwire.sim.engine.model import Account, AddOrder, FeeTier, OrderState
from krakenwire.sim.feed.feed import DEPTHS, LEVEL3_DEPTHS, Feed, Stream
from krakenwire.sim.feed.wire import format_number, format_time_ns
from krakenwire.sim.instruments import Listing, default_assets, select
from krakenwire.sim.market.market import Market

__all__ = ["ALICE", "BOOKS", "LEVEL3S", "Pit"]

FREE = FeeTier(maker=Decimal(0), taker=Decimal(0))
ALICE = Account(
    name="alice", funds={asset.id: Decimal(10) ** 22 for asset in default_assets()}, fees=FREE, max_open_orders=2000
)
"""Somebody who can afford to buy every book empty."""

BOOKS = tuple(("book", depth) for depth in DEPTHS)
LEVEL3S = tuple(("level3", depth) for depth in LEVEL3_DEPTHS)


class Pit:
    """One symbol's market, alice, and clients whose books are checked after every message."""

    def __init__(self, symbol: str = "MINA/GBP", *, seed: int = 1, listings: Iterable[Listing] | None = None) -> None:
        self.symbol = symbol
        self.market = Market(tuple(listings or select([symbol])), seed=seed, accounts=[ALICE])
        self.feed = Feed(self.market)
        self.clients: dict[Stream, NaiveBook | NaiveLevel3] = {}
        self.frames: list[tuple[Stream, bytes]] = []

    @property
    def book(self) -> OrderBook:
        """The truth."""
        return self.market.book(self.symbol)

    def join(self, *channels: tuple[str, int]) -> None:
        """Let a client subscribe to each of these channels and depths, and load the snapshot."""
        for channel, depth in channels:
            stream = Stream(channel, self.symbol, depth)
            client = NaiveBook(depth) if channel == "book" else NaiveLevel3(depth)
            self.feed.watch(stream)
            assert client.apply(self.feed.snapshot(stream))
            self.clients[stream] = client

    def step(self, count: int = 1) -> None:
        """Let the agents act."""
        for _ in range(count):
            move = self.market.step()
            self.tell(self.feed.updates_of([*self.market.drain().moves, move]))

    def publish(self) -> None:
        """Tell what was done to the market."""
        self.tell(self.feed.updates_of(self.market.drain().moves))

    def add(
        self,
        side: Literal["buy", "sell"],
        qty: Decimal,
        price: Decimal | None = None,
        time_in_force: Literal["gtc", "ioc"] = "gtc",
    ) -> OrderState:
        """Enter an order of alice's, a market order if there is no price, and tell what it did."""
        request = AddOrder(
            symbol=self.symbol,
            side=side,
            order_type="market" if price is None else "limit",
            order_qty=qty,
            limit_price=price,
            time_in_force=time_in_force,
        )
        state = self.market.engine.add("alice", request)
        self.publish()
        return state

    def qty(self, lots: int) -> Decimal:
        """Lots as a quantity."""
        return Decimal(lots).scaleb(-self.market.instrument(self.symbol).qty_precision)

    def price(self, tick: int) -> Decimal:
        """A tick as a price."""
        return Decimal(tick).scaleb(-self.market.instrument(self.symbol).price_precision)

    def check(self) -> None:
        """Every client holds what the exchange has, to its depth."""
        for stream, client in self.clients.items():
            if isinstance(client, NaiveBook):
                held = client.levels("bids"), client.levels("asks")
                assert held == self.market.truth(self.symbol, stream.number)
            else:
                for name in ("bids", "asks"):
                    assert client.orders(name) == self._orders(name, stream.number)

    def _orders(self, name: str, depth: int) -> list[tuple[str, str, str, str]]:
        instrument = self.market.instrument(self.symbol)
        side = self.book.bids if name == "bids" else self.book.asks
        return [
            (
                self.market.engine.order_text(order.number),
                format_number(order.tick, instrument.price_precision),
                format_number(order.lots, instrument.qty_precision),
                format_time_ns(order.entered_ns),
            )
            for key in side.keys[:depth]
            for order in side.queues[key].values()
        ]

    def tell(self, frames: list[tuple[Stream, bytes]]) -> None:
        for stream, frame in frames:
            if stream in self.clients:
                assert self.clients[stream].apply(frame), frame
        self.frames += frames
