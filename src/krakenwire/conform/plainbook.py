"""A book and a level3 book of dicts, sorted anew for every message: slow, and plainly PROTOCOL 3.5 and 3.6."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from krakenwire.conform.checksum import TOP, crc
from krakenwire.conform.wire import Item, Malformed

__all__ = ["SIDES", "Applied", "PlainBook", "PlainOrders"]

SIDES = ("bids", "asks")


class Applied(NamedTuple):
    """What one message did.

    Attributes:
        strangers: what it deleted beyond the depth, where the book holds nothing: prices, or ids of orders. The delete
            of a level that is absent within the depth is allowed (PROTOCOL 3.5).
        beyond: prices that it set out of the depth, then and when the whole message was applied.
    """

    strangers: list[str]
    beyond: list[str]


class PlainBook:
    """A level 2 book.

    Args:
        depth: levels a side that are kept after a message; None keeps all.
    """

    def __init__(self, depth: int | None) -> None:
        self.depth = depth
        self.pushed_out = 0
        self._sides: dict[str, dict[Decimal, tuple[str, str]]] = {name: {} for name in SIDES}

    def apply(self, item: Item, *, is_snapshot: bool) -> Applied:
        """Apply one element of a message.

        Raises:
            Malformed: a level is not one.
        """
        applied = Applied([], [])
        for name in SIDES:
            side = self._sides[name]
            if is_snapshot:
                side.clear()
            out_of_depth: list[Decimal] = []
            for level in item.items(name):
                price = level.number("price")
                if level.number("qty") == 0:
                    if side.pop(price, None) is None and self._is_beyond(name, price):
                        applied.strangers.append(level.token("price"))
                else:
                    side[price] = (level.token("price"), level.token("qty"))
                    if self._is_beyond(name, price):
                        out_of_depth.append(price)
            if self.depth is not None:
                for price in self._sorted(name)[self.depth :]:
                    del side[price]
                    self.pushed_out += 1
                applied.beyond.extend(str(price) for price in out_of_depth if price not in side)
        return applied

    def count(self, name: str) -> int:
        """How many levels a side holds."""
        return len(self._sides[name])

    def checksum(self) -> int:
        """Of the best ten levels a side (PROTOCOL 6.1)."""
        levels = [self._sides[name][price] for name in ("asks", "bids") for price in self._sorted(name)[:TOP]]
        return crc(number for level in levels for number in level)

    def _is_beyond(self, name: str, price: Decimal) -> bool:
        """Whether as many levels as the depth are better than a price."""
        better = sum(other > price if name == "bids" else other < price for other in self._sides[name])
        return self.depth is not None and better >= self.depth

    def _sorted(self, name: str) -> list[Decimal]:
        return sorted(self._sides[name], reverse=name == "bids")


class PlainOrders:
    """A level 3 book: prices to queues of orders.

    Args:
        depth: price levels a side that are kept after a message.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._sides: dict[str, dict[Decimal, dict[str, tuple[str, str]]]] = {name: {} for name in SIDES}

    def apply(self, item: Item, *, is_snapshot: bool) -> Applied:
        """Apply one element of a message.

        Raises:
            Malformed: an order is not one, or an event is none of add, modify and delete.
        """
        applied = Applied([], [])
        for name in SIDES:
            side = self._sides[name]
            if is_snapshot:
                side.clear()
            for order in item.items(name):
                event = "add" if is_snapshot else order.text("event")
                self._apply_order(side, order, event, applied)
            for price in self._sorted(name)[self.depth :]:
                del side[price]
        return applied

    def _apply_order(
        self, side: dict[Decimal, dict[str, tuple[str, str]]], order: Item, event: str, applied: Applied
    ) -> None:
        price, order_id = order.number("limit_price"), order.text("order_id")
        order.number("order_qty")  # or it is malformed
        texts = (order.token("limit_price"), order.token("order_qty"))
        if event == "add":
            side.setdefault(price, {})[order_id] = texts
        elif event not in ("modify", "delete"):
            raise Malformed(f"event is none of add, modify, delete in {order.frame.shortened}")
        elif order_id not in side.get(price, {}):
            applied.strangers.append(order_id)
        elif event == "modify":
            side[price][order_id] = texts  # keeps its place in the dict, and so in the queue
        else:
            del side[price][order_id]
            if not side[price]:
                del side[price]

    def best(self, name: str) -> Decimal | None:
        """The best price of a side, None if it is empty."""
        prices = self._sorted(name)
        return prices[0] if prices else None

    def count(self, name: str) -> int:
        """How many price levels a side holds."""
        return len(self._sides[name])

    def queue(self, name: str, price: Decimal) -> list[str]:
        """The ids of the orders at a price, first come first."""
        return list(self._sides[name].get(price, {}))

    def checksum(self) -> int:
        """Of all orders of the best ten price levels a side (PROTOCOL 6.2)."""
        return crc(
            number
            for name in ("asks", "bids")
            for price in self._sorted(name)[:TOP]
            for order in self._sides[name][price].values()
            for number in order
        )

    def _sorted(self, name: str) -> list[Decimal]:
        return sorted(self._sides[name], reverse=name == "bids")
