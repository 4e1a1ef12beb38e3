"""An account's order while it lives: what was asked, what was filled, and which states may follow which."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from .book import Resting
from .model import AddOrder, OrderState, OrderStatus
from .money import EXACT, ZERO, ratio, round_half_up
from .pair import Pair

__all__ = ["ENDED", "NEXT", "Order"]

NEXT: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    "pending_new": frozenset({"new"}),
    "new": frozenset({"partially_filled", "canceled", "expired"}),
    "partially_filled": frozenset({"partially_filled", "filled", "canceled", "expired"}),
    "filled": frozenset(),
    "canceled": frozenset(),
    "expired": frozenset(),
}
"""Which status may follow which (PROTOCOL 4.1); a fill that completes an order leads through `partially_filled`."""

ENDED: Final = frozenset(status for status, following in NEXT.items() if not following)


class Order:
    """An order of an account.

    Args:
        account: whose it is.
        request: what was asked.
        pair: the numbers of its instrument.
        key: its limit as a `Side` counts it, None for a market order.
        lots: its quantity.
        now_ns: exchange time.

    Attributes:
        order_id: empty until it is entered.
        resting: its place in the book, or what would be; its `lots` are what remains of it even while it is not there.
        held: what is held back for it, of the quote asset for a buy and of the base asset for a sell.
        value: what its fills were worth, not rounded.
        due_fee: its fees so far, not rounded.
        fee: its fees so far as they were taken.
    """

    __slots__ = (
        "account",
        "amended",
        "cl_ord_id",
        "cum_cost",
        "cum_qty",
        "due_fee",
        "expire_ns",
        "fee",
        "held",
        "is_buy",
        "limit_price",
        "opened_ns",
        "order_id",
        "order_qty",
        "order_type",
        "order_userref",
        "post_only",
        "reason",
        "resting",
        "status",
        "symbol",
        "time_in_force",
        "updated_ns",
        "value",
    )

    def __init__(self, account: str, request: AddOrder, pair: Pair, *, key: int | None, lots: int, now_ns: int) -> None:
        self.account = account
        self.order_id = ""
        self.symbol = request.symbol
        self.is_buy = request.side == "buy"
        self.order_type = request.order_type
        self.time_in_force = request.time_in_force
        self.expire_ns = request.expire_ns
        self.post_only = request.post_only
        self.cl_ord_id = request.cl_ord_id
        self.order_userref = request.order_userref
        self.resting = Resting(0, account, self.is_buy, 0 if key is None else key, lots, now_ns)
        self.order_qty = pair.qty(lots)
        self.limit_price = None if key is None else pair.price(self.resting.tick)
        self.status: OrderStatus = "pending_new"
        self.cum_qty = pair.qty(0)
        self.cum_cost = ZERO
        self.value = ZERO
        self.due_fee = ZERO
        self.fee = ZERO
        self.held = ZERO
        self.amended = False
        self.opened_ns = now_ns
        self.updated_ns = now_ns
        self.reason: str | None = None

    def become(self, status: OrderStatus, now_ns: int, reason: str | None = None) -> None:
        """Pass to another status.

        Raises:
            RuntimeError: an order cannot do that; the engine has a bug.
        """
        if status not in NEXT[self.status]:
            raise RuntimeError(f"order {self.order_id} is {self.status}, so it cannot become {status}")
        self.status = status
        self.updated_ns = now_ns
        self.reason = reason

    def fill(
        self, *, qty: Decimal, value: Decimal, cost: Decimal, rate: Decimal, unit: Decimal, most: Decimal | None
    ) -> Decimal:
        """Note a fill, and say what fee it costs.

        The fee of the whole order is rounded, not that of each fill: many small fills cost no more than one.

        Args:
            qty: how much was traded.
            value: what that is worth, exactly.
            cost: what that is worth, rounded for others to see.
            rate: what part of the value is the fee.
            unit: what fees are rounded to.
            most: more than this is not taken now but with a later fill; None sets no bound.
        """
        self.cum_qty = EXACT.add(self.cum_qty, qty)
        self.cum_cost = EXACT.add(self.cum_cost, cost)
        self.value = EXACT.add(self.value, value)
        self.due_fee = EXACT.add(self.due_fee, EXACT.multiply(value, rate))
        fee = EXACT.subtract(round_half_up(self.due_fee, unit), self.fee)
        if most is not None:
            fee = min(fee, most)
        self.fee = EXACT.add(self.fee, fee)
        return fee

    def state(self, pair: Pair) -> OrderState:
        """What it is now, for others to keep."""
        return OrderState(
            account=self.account,
            order_id=self.order_id,
            symbol=self.symbol,
            side="buy" if self.is_buy else "sell",
            order_type=self.order_type,
            order_qty=self.order_qty,
            limit_price=self.limit_price,
            time_in_force=self.time_in_force,
            expire_ns=self.expire_ns,
            post_only=self.post_only,
            cl_ord_id=self.cl_ord_id,
            order_userref=self.order_userref,
            status=self.status,
            cum_qty=self.cum_qty,
            cum_cost=self.cum_cost,
            avg_price=ratio(self.value, self.cum_qty, pair.price_unit) if self.cum_qty else ZERO,
            fee=self.fee,
            amended=self.amended,
            opened_ns=self.opened_ns,
            updated_ns=self.updated_ns,
            reason=self.reason,
        )
