"""What goes into the engine and what comes out of it: requests, order states, reports and ledger entries."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

__all__ = [
    "Account",
    "AddOrder",
    "AmendOrder",
    "EngineStatus",
    "ExecType",
    "Execution",
    "FeeTier",
    "LedgerEntry",
    "OrderState",
    "OrderStatus",
    "Refusal",
    "Report",
    "TimeInForce",
]

EngineStatus = Literal["online", "cancel_only", "post_only", "maintenance"]
TimeInForce = Literal["gtc", "gtd", "ioc", "fok"]
OrderStatus = Literal["pending_new", "new", "partially_filled", "filled", "canceled", "expired"]
ExecType = Literal["pending_new", "new", "trade", "filled", "canceled", "expired", "amended", "restated"]


class Refusal(Exception):
    """A command that the engine does not carry out; nothing of it was done.

    Attributes:
        text: Kraken's words, as they stand in an answer (PROTOCOL 9.7), `EOrder:Insufficient funds` for one.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class FeeTier(msgspec.Struct, frozen=True, kw_only=True):
    """What an account pays: fractions of the value of a trade, `Decimal("0.0025")` for 0.25 %."""

    maker: Decimal = Decimal("0.0025")
    taker: Decimal = Decimal("0.004")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the engine knows it; keys and tokens are not its business.

    Attributes:
        name: what tests and the TOML file call it.
        funds: what it holds at the start, by asset id as WebSocket v2 spells it (`BTC`, `USD`).
        fees: what it pays.
        max_open_orders: open orders a symbol, 60, 80 or 225 by tier (PROTOCOL 9.5).
    """

    name: str
    funds: dict[str, Decimal]
    fees: FeeTier = FeeTier()
    max_open_orders: int = 80


class AddOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A new order, its fields read and typed, whether or not the engine will have it (PROTOCOL 5.1).

    Attributes:
        expire_ns: for `gtd`, when it expires, exchange time.
        deadline_ns: the engine refuses to match it later, exchange time.
        validate: only check it.
    """

    symbol: str
    side: Literal["buy", "sell"]
    order_type: Literal["limit", "market"]
    order_qty: Decimal
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    expire_ns: int | None = None
    post_only: bool = False
    cl_ord_id: str | None = None
    order_userref: int | None = None
    deadline_ns: int | None = None
    validate: bool = False


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of an order, which is named by exactly one of its ids (PROTOCOL 5.2)."""

    order_id: str | None = None
    cl_ord_id: str | None = None
    order_qty: Decimal | None = None
    limit_price: Decimal | None = None
    post_only: bool = False
    deadline_ns: int | None = None


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """An account's order as of one moment.

    Attributes:
        limit_price: None for a market order.
        avg_price: 0 before the first fill.
        fee: all fees so far, in the quote asset.
        amended: whether its user amended it.
        opened_ns, updated_ns: exchange time of its entry and of this state.
        reason: why it ended or was restated, in Kraken's words ("User requested"); None else.
    """

    account: str
    order_id: str
    symbol: str
    side: Literal["buy", "sell"]
    order_type: Literal["limit", "market"]
    order_qty: Decimal
    limit_price: Decimal | None
    time_in_force: TimeInForce
    expire_ns: int | None
    post_only: bool
    cl_ord_id: str | None
    order_userref: int | None
    status: OrderStatus
    cum_qty: Decimal
    cum_cost: Decimal
    avg_price: Decimal
    fee: Decimal
    amended: bool
    opened_ns: int
    updated_ns: int
    reason: str | None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One fill of an account's order. `cost` is price times qty, rounded to the pair's cost precision."""

    exec_id: str
    trade_id: int
    price: Decimal
    qty: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an account's order, as `executions` tells it (PROTOCOL 4.1).

    Attributes:
        order: its state after this; on the fill that completes an order the status is still `partially_filled`, and a
            report `filled` follows.
        execution: the fill, where `exec_type` is `trade`.
    """

    exec_type: ExecType
    order: OrderState
    exchange_ns: int
    execution: Execution | None = None


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an account's balance, as `balances` tells it (PROTOCOL 4.2).

    Attributes:
        ref_id: the exec_id of the trade; both entries of a trade share it.
        amount: signed, without the fee.
        fee: taken on top, in `asset`.
        balance: after it.
        kind: `trade`, or `deposit`.
    """

    account: str
    ledger_id: str
    ref_id: str
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal
    kind: Literal["trade", "deposit"]
    exchange_ns: int
