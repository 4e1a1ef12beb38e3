"""The order book of one symbol: price-time priority, a queue of orders a price, and the checksum of its top ten."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from typing import Literal, NamedTuple

import msgspec

__all__ = ["CHECKSUM_LEVELS", "Fill", "Move", "OrderBook", "OrderChange", "Print", "Resting", "Side"]

CHECKSUM_LEVELS = 10


class Resting:
    """An order that rests in the book.

    Attributes:
        number: the exchange's number of it; its `order_id` is made from that where somebody sees it.
        account: whose it is; None for the background market's.
        is_buy: its side.
        key: its price, as a `Side` counts it: the tick of a sell, the negative tick of a buy.
        lots: what remains of it, more than 0 while it rests.
        entered_ns: when it was inserted or last amended, exchange time.
    """

    __slots__ = ("account", "entered_ns", "is_buy", "key", "lots", "number")

    def __init__(  # noqa: PLR0917  # made for every quote of the background, where keywords would cost
        self, number: int, account: str | None, is_buy: bool, key: int, lots: int, entered_ns: int
    ) -> None:
        self.number = number
        self.account = account
        self.is_buy = is_buy
        self.key = key
        self.lots = lots
        self.entered_ns = entered_ns

    @property
    def tick(self) -> int:
        """Its price in ticks."""
        return -self.key if self.is_buy else self.key


class OrderChange(NamedTuple):
    """One order added, modified or deleted, as level3 tells it (PROTOCOL 3.6); a deleted one with what it had."""

    event: Literal["add", "modify", "delete"]
    number: int
    is_buy: bool
    key: int
    lots: int
    entered_ns: int


class Print(NamedTuple):
    """One trade: `buys` says that the taker bought; price in ticks, quantity in lots."""

    trade_id: int
    buys: bool
    tick: int
    lots: int
    market: bool
    exchange_ns: int


class Move(msgspec.Struct):
    """What one command did to one book.

    Attributes:
        bids, asks: the levels it touched: what each holds now, by its key on its side; 0 lots if it is gone.
        trades: the trades, in their order.
        orders: what happened to orders, in its order; filled only while the book's `records_orders` is set.
    """

    symbol: str
    exchange_ns: int
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    trades: list[Print] = []
    orders: list[OrderChange] = []


class Fill(NamedTuple):
    """A maker's part of a trade: whose order, how much of it, and the print that tells it."""

    maker: Resting
    lots: int
    print: Print


class Side:
    """One side of a book, best level first.

    Levels are kept by a *key* that grows away from the touch on either side: the tick for asks, its negative for bids.

    Args:
        sign: 1 for asks, -1 for bids.

    Attributes:
        keys: the levels' keys, ascending: best first.
        totals: the quantity of each level, in lots.
        queues: the orders of each level by their number, first come first.
        held: how many of the orders are accounts'; the others are the background market's.
    """

    __slots__ = ("_tokens", "_top", "held", "keys", "queues", "sign", "totals")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.totals: dict[int, int] = {}
        self.queues: dict[int, dict[int, Resting]] = {}
        self.held = 0
        self._tokens: dict[int, str] = {}
        self._top: bytes | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def top(self, depth: int) -> list[tuple[int, int]]:
        """The best `depth` levels as (tick, lots), best first."""
        sign, totals = self.sign, self.totals
        return [(sign * key, totals[key]) for key in self.keys[:depth]]

    def set_total(self, key: int, lots: int) -> None:
        """Say what the level at `key` holds now; 0 removes it, with its queue."""
        keys, tokens = self.keys, self._tokens
        if lots == 0:
            rank = bisect_left(keys, key)
            del keys[rank], self.totals[key], self.queues[key], tokens[key]
        else:
            if key in self.totals:
                rank = 0 if len(keys) <= CHECKSUM_LEVELS or key <= keys[CHECKSUM_LEVELS - 1] else CHECKSUM_LEVELS
            else:
                rank = bisect_left(keys, key)
                keys.insert(rank, key)
            self.totals[key] = lots
            # As the checksum wants it: decimal text without its point and leading zeros is the integer itself.
            tokens[key] = f"{self.sign * key}{lots}"
        if rank < CHECKSUM_LEVELS:
            self._top = None

    def checksum_text(self) -> bytes:
        """The part of the checksum's text that this side gives (PROTOCOL 6.1)."""
        if self._top is None:
            self._top = "".join(map(self._tokens.__getitem__, self.keys[:CHECKSUM_LEVELS])).encode()
        return self._top


class OrderBook:
    """Both sides of one symbol's book, and the only code that changes them.

    Every change is noted in the current `move`; `begin` starts a new one. An order may be placed only where it does
    not cross: `take` first what it would trade with.

    Args:
        symbol: whose book it is.
        first_trade_id: the id of its first trade; they go up by one (PROTOCOL 3.7).
        exchange_ns: when it is opened.

    Attributes:
        bids, asks: the sides.
        move: what happened since `begin`.
        next_trade_id: the id that the next trade will have.
        records_orders: whether `move.orders` is filled.
        updated_ns: when it last changed, exchange time.
    """

    __slots__ = ("asks", "bids", "move", "next_trade_id", "records_orders", "symbol", "updated_ns")

    def __init__(self, symbol: str, first_trade_id: int, exchange_ns: int) -> None:
        self.symbol = symbol
        self.bids = Side(-1)
        self.asks = Side(1)
        self.next_trade_id = first_trade_id
        self.records_orders = False
        self.updated_ns = exchange_ns
        self.move = Move(symbol, exchange_ns)

    @property
    def spread(self) -> int:
        """Best ask less best bid, in ticks; only if both sides hold something."""
        return self.asks.keys[0] + self.bids.keys[0]

    def checksum(self) -> int:
        """CRC-32 of the top ten levels, the same at every depth (PROTOCOL 6.1)."""
        return zlib.crc32(self.bids.checksum_text(), zlib.crc32(self.asks.checksum_text()))

    def begin(self, exchange_ns: int) -> Move:
        """Begin a move: what is done from here on is noted in it."""
        self.updated_ns = exchange_ns
        self.move = Move(self.symbol, exchange_ns)
        return self.move

    def crosses(self, is_buy: bool, key: int) -> bool:
        """Whether an order at `key` of its own side would trade with the best of the other."""
        keys = (self.asks if is_buy else self.bids).keys
        return bool(keys) and keys[0] <= -key

    def place(self, order: Resting) -> None:
        """Put an order at the back of the queue of its price."""
        side, changes = (self.bids, self.move.bids) if order.is_buy else (self.asks, self.move.asks)
        key = order.key
        queue = side.queues.get(key)
        if queue is None:
            side.queues[key] = {order.number: order}
            total = order.lots
        else:
            queue[order.number] = order
            total = side.totals[key] + order.lots
        if order.account is not None:
            side.held += 1
        side.set_total(key, total)
        changes[key] = total
        if self.records_orders:
            self._record("add", order, order.lots)

    def remove(self, order: Resting) -> None:
        """Take an order out of the book."""
        side, changes = (self.bids, self.move.bids) if order.is_buy else (self.asks, self.move.asks)
        key = order.key
        total = side.totals[key] - order.lots
        del side.queues[key][order.number]
        if order.account is not None:
            side.held -= 1
        side.set_total(key, total)
        changes[key] = total
        if self.records_orders:
            self._record("delete", order, order.lots)

    def reduce(self, order: Resting, lots: int) -> None:
        """Let an order hold fewer `lots` (more than 0); it keeps its place."""
        side, changes = (self.bids, self.move.bids) if order.is_buy else (self.asks, self.move.asks)
        total = side.totals[order.key] - order.lots + lots
        order.lots = lots
        side.set_total(order.key, total)
        changes[order.key] = total
        if self.records_orders:
            self._record("modify", order, lots)

    def take(self, is_buy: bool, limit_key: int | None, lots: int, market: bool) -> list[Fill]:
        """Trade up to `lots` with the other side, best price first and first come first.

        Args:
            is_buy: the taker's side.
            limit_key: the worst level to trade with, as a key of the *other* side; None takes any.
            lots: how much at most.
            market: whether the print says that the taker's order was a market order.

        Returns:
            The makers' parts, in order; their `lots` are reduced already, and those with 0 left are out of the book.
        """
        side, changes = (self.asks, self.move.asks) if is_buy else (self.bids, self.move.bids)
        prints, records = self.move.trades, self.records_orders
        exchange_ns = self.move.exchange_ns
        fills: list[Fill] = []
        while lots and side.keys:
            key = side.keys[0]
            if limit_key is not None and key > limit_key:
                break
            total = side.totals[key]
            queue = side.queues[key]
            while lots and queue:
                maker = next(iter(queue.values()))
                part = min(lots, maker.lots)
                lots -= part
                total -= part
                sold = Print(self.next_trade_id, is_buy, side.sign * key, part, market, exchange_ns)
                self.next_trade_id += 1
                prints.append(sold)
                fills.append(Fill(maker, part, sold))
                if part == maker.lots:
                    del queue[maker.number]
                    if maker.account is not None:
                        side.held -= 1
                    if records:
                        self._record("delete", maker, part)
                    maker.lots = 0
                else:
                    maker.lots -= part
                    if records:
                        self._record("modify", maker, maker.lots)
            side.set_total(key, total)
            changes[key] = total
        return fills

    def _record(self, event: Literal["add", "modify", "delete"], order: Resting, lots: int) -> None:
        self.move.orders.append(
            OrderChange(event, order.number, order.is_buy, order.key, lots, order.entered_ns),
        )
