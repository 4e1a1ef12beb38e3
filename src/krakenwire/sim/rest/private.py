"""The private calls of the REST API: a token, balances, open orders (PROTOCOL 8.2)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from ..accounts.accounts import Accounts
from ..accounts.tokens import TOKEN_SECONDS
from ..engine.model import OrderState
from ..market.market import Market
from .fields import Fields, format_plain, seconds
from .names import PairNames, asset_id
from .public import price_decimals

__all__ = ["CALLS", "PrivateCall", "private_calls", "token_answer"]

TIME_DECIMALS = 4


class PrivateCall(NamedTuple):
    """A private call: which permission its key needs, and whether it works without a market."""

    permission: str
    needs_market: bool


CALLS = {
    "GetWebSocketsToken": PrivateCall("websocket", needs_market=False),
    "Balance": PrivateCall("query_funds", needs_market=True),
    "BalanceEx": PrivateCall("query_funds", needs_market=True),
    "OpenOrders": PrivateCall("query_orders", needs_market=True),
}


def token_answer(accounts: Accounts, account: str, now_ns: int) -> dict[str, Any]:
    """`GetWebSocketsToken`."""
    return {"token": accounts.issue_token(account, now_ns), "expires": TOKEN_SECONDS}


def private_calls(market: Market, names: PairNames) -> dict[str, Callable[[str, Fields], dict[str, Any]]]:
    """The calls that tell of an account on a market; each takes the account's name and the request's fields."""
    decimals = {asset.id: asset.precision for asset in market.assets}

    def tell_balance(account: str, _: Fields) -> dict[str, Any]:
        balances = market.engine.balances(account)
        return {
            asset_id(asset): format_plain(total, decimals.get(asset, 0)) for asset, total in balances.items() if total
        }

    def tell_balance_and_holds(account: str, _: Fields) -> dict[str, Any]:
        return {
            asset_id(asset): {
                "balance": format_plain(total, decimals.get(asset, 0)),
                "hold_trade": format_plain(total - market.engine.available(account, asset), decimals.get(asset, 0)),
            }
            for asset, total in market.engine.balances(account).items()
            if total
        }

    def tell_open_orders(account: str, fields: Fields) -> dict[str, Any]:
        with_trades = fields.flag("trades")
        userref = fields.integer("userref", least=-(2**31), most=2**31 - 1)
        cl_ord_id = fields.text("cl_ord_id")
        trades: dict[str, list[str]] = {}
        for report in market.engine.recent_fills(account) if with_trades else ():
            if report.execution is not None:
                trades.setdefault(report.order.order_id, []).append(report.execution.exec_id)
        answer = {}
        for order in reversed(market.engine.open_orders(account)):
            if userref not in (None, order.order_userref) or cl_ord_id not in (None, order.cl_ord_id):
                continue
            answer[order.order_id] = _order(order, market, names)
            if order.order_id in trades:
                answer[order.order_id]["trades"] = trades[order.order_id]
        return {"open": answer}

    return {"Balance": tell_balance, "BalanceEx": tell_balance_and_holds, "OpenOrders": tell_open_orders}


def _order(order: OrderState, market: Market, names: PairNames) -> dict[str, Any]:
    instrument = market.instrument(order.symbol)
    pair = names.find(order.symbol)
    altname = order.symbol if pair is None else pair.altname
    decimals, lots, cost = price_decimals(instrument), instrument.qty_precision, instrument.cost_precision
    limit = "0" if order.limit_price is None else format_plain(order.limit_price, instrument.price_precision)
    qty = format_plain(order.order_qty, lots)
    record = {
        "refid": None,
        "userref": order.order_userref,
        "status": "pending" if order.status == "pending_new" else "open",
        "opentm": seconds(order.opened_ns, TIME_DECIMALS),
        "starttm": 0,
        "expiretm": 0 if order.expire_ns is None else seconds(order.expire_ns, TIME_DECIMALS),
        "descr": {
            "pair": altname,
            "type": order.side,
            "ordertype": order.order_type,
            "price": limit,
            "price2": "0",
            "leverage": "none",
            "order": f"{order.side} {qty} {altname} @ {order.order_type}"
            + ("" if order.limit_price is None else f" {limit}"),
            "close": "",
        },
        "vol": qty,
        "vol_exec": format_plain(order.cum_qty, lots),
        "cost": format_plain(order.cum_cost, cost),
        "fee": format_plain(order.fee, cost),
        "price": format_plain(order.avg_price, decimals),
        "stopprice": format_plain(Decimal(0), decimals),
        "limitprice": format_plain(Decimal(0), decimals),
        "misc": "amended" if order.amended else "",
        "oflags": "fciq,post" if order.post_only else "fciq",
    }
    if order.cl_ord_id is not None:
        record["cl_ord_id"] = order.cl_ord_id
    return record
