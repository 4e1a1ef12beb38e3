"""The orders of one account: the open ones by each of their ids, the last of the ended ones, and the last fills."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from typing import Final

from krakenwire.errors import UsageError

from .model import Account, OrderState, Refusal, Report
from .orders import Order

__all__ = ["Register", "check_account", "check_amount"]

ENDED_KEPT: Final = 2000
FILLS_KEPT: Final = 50
"""As many as a snapshot of `executions` has (PROTOCOL 4.1)."""


class Register:
    """One account and its orders.

    Attributes:
        account: whose they are.
        open: its open orders by order_id, oldest first.
        by_cl_ord_id: those of them that have one.
        open_of: how many are open, by symbol.
        ended: how the last orders ended, by order_id, oldest first.
        fills: the last `trade` reports, oldest first.
    """

    __slots__ = ("account", "by_cl_ord_id", "ended", "fills", "open", "open_of")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.open: dict[str, Order] = {}
        self.by_cl_ord_id: dict[str, Order] = {}
        self.open_of: Counter[str] = Counter()
        self.ended: dict[str, OrderState] = {}
        self.fills: deque[Report] = deque(maxlen=FILLS_KEPT)

    def add(self, order: Order) -> None:
        """Enter an order that is open now."""
        self.open[order.order_id] = order
        self.open_of[order.symbol] += 1
        if order.cl_ord_id is not None:
            self.by_cl_ord_id[order.cl_ord_id] = order

    def find(self, order_id: str | None, cl_ord_id: str | None) -> Order:
        """The open order that exactly one of its ids names.

        Raises:
            Refusal: there is none.
        """
        if order_id is not None and cl_ord_id is None:
            order = self.open.get(order_id)
        elif cl_ord_id is not None and order_id is None:
            order = self.by_cl_ord_id.get(cl_ord_id)
        else:
            raise Refusal("EGeneral:Invalid arguments:order_id")
        if order is None:
            raise Refusal("EOrder:Unknown order")
        return order

    def end(self, order: Order, state: OrderState) -> None:
        """An order has ended as `state`: it moves to the ended ones, and the oldest of those goes."""
        del self.open[order.order_id]
        self.open_of[order.symbol] -= 1
        if order.cl_ord_id is not None:
            del self.by_cl_ord_id[order.cl_ord_id]
        self.ended[order.order_id] = state
        if len(self.ended) > ENDED_KEPT:
            del self.ended[next(iter(self.ended))]


def check_account(account: Account) -> None:
    """Whether an account's numbers make sense.

    Raises:
        UsageError: an amount or a fee does not.
    """
    for asset, amount in account.funds.items():
        check_amount(amount, f"what {account.name!r} holds of {asset}")
    for rate in (account.fees.maker, account.fees.taker):
        check_amount(rate, f"a fee of {account.name!r}")
        if rate >= 1:
            raise UsageError(f"a fee of {account.name!r} is a fraction, 0.0025 for 0.25 %, not {rate}")


def check_amount(amount: Decimal, what: str) -> None:
    """Whether an amount is one that can be reckoned with exactly.

    Raises:
        UsageError: it is negative, no number, or has more than 18 decimals or 24 digits before them.
    """
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or amount < 0 or exponent < -18 or amount.adjusted() >= 24:
        raise UsageError(f"{what} must be from 0 to 10^24 with at most 18 decimals, got {amount}")
