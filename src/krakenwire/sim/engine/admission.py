"""Whether a new order or an amend is taken: every check, in the order in which it is made."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from .checks import (
    check_cancel,
    check_deadline,
    check_minimum,
    check_request,
    check_status,
    read_lots,
    read_tick,
)
from .clearing import need_of_limit, need_of_market
from .matching import Matching
from .model import AddOrder, AmendOrder, EngineStatus, Refusal
from .money import EXACT
from .orders import Order
from .register import Register

__all__ = ["Amendment", "admit", "admit_amendment"]


class Amendment(NamedTuple):
    """What an open order becomes: its whole quantity, what remains of it in lots (0 ends it), and its limit."""

    order: Order
    qty: Decimal
    lots: int
    tick: int


def admit(matching: Matching, status: EngineStatus, register: Register, request: AddOrder) -> Order:
    """Make the order that is asked for, if it may be entered now.

    Args:
        matching: what it would enter.
        status: the engine's.
        register: who asks.
        request: what is asked.

    Raises:
        Refusal: it may not; nothing has happened.
    """
    pair = matching.pairs.get(request.symbol)
    if pair is None:
        raise Refusal("EQuery:Unknown asset pair")
    account, book, now_ns = register.account, matching.books[pair.symbol], matching.now_ns
    is_buy, is_market = request.side == "buy", request.order_type == "market"
    check_deadline(request.deadline_ns, now_ns)
    check_status(status, pair, is_market=is_market, post_only=request.post_only)
    check_request(request, now_ns)
    lots = read_lots(pair, request.order_qty)
    tick = None if request.limit_price is None else read_tick(pair, request.limit_price)
    check_minimum(pair, book, is_buy, request.order_qty, request.limit_price)
    if request.cl_ord_id is not None and request.cl_ord_id in register.by_cl_ord_id:
        raise Refusal("EGeneral:Invalid arguments:cl_ord_id not unique")
    may_rest = not is_market and request.time_in_force in {"gtc", "gtd"}
    if may_rest and register.open_of[pair.symbol] >= account.max_open_orders:
        raise Refusal("EOrder:Orders limit exceeded")
    if tick is None:
        key, need = None, need_of_market(pair, account.fees, book, is_buy, lots)
    else:
        key, need = -tick if is_buy else tick, need_of_limit(pair, account.fees, is_buy, tick, lots)
    if need > matching.ledger.available(account.name, pair.quote if is_buy else pair.base):
        raise Refusal("EOrder:Insufficient funds")
    if request.post_only and key is not None and book.crosses(is_buy, key):
        raise Refusal("EOrder:Post only order")
    return Order(account.name, request, pair, key=key, lots=lots, now_ns=now_ns)


def admit_amendment(matching: Matching, status: EngineStatus, register: Register, request: AmendOrder) -> Amendment:
    """Work out what an open order becomes, if it may be amended so now.

    Args:
        matching: where the order is.
        status: the engine's.
        register: who asks.
        request: what is asked.

    Raises:
        Refusal: it may not; nothing has happened.
    """
    check_deadline(request.deadline_ns, matching.now_ns)
    check_cancel(status)
    order = register.find(request.order_id, request.cl_ord_id)
    account, resting, is_buy = register.account, order.resting, order.is_buy
    pair, book = matching.pairs[order.symbol], matching.books[order.symbol]
    post_only = request.post_only or order.post_only
    check_status(status, pair, is_market=False, post_only=post_only)
    qty, lots, tick = order.order_qty, resting.lots, resting.tick
    if request.order_qty is not None:
        qty = pair.qty(read_lots(pair, request.order_qty))
        left = EXACT.subtract(qty, order.cum_qty)
        lots = read_lots(pair, left) if left > 0 else 0
    if request.limit_price is not None:
        tick = read_tick(pair, request.limit_price)
    if (lots, tick) == (resting.lots, resting.tick):
        raise Refusal("EOrder:No amendable parameters")
    if lots:
        check_minimum(pair, book, is_buy, qty, pair.price(tick))
        need = need_of_limit(pair, account.fees, is_buy, tick, lots, order=order)
        free = matching.ledger.available(account.name, pair.quote if is_buy else pair.base)
        if EXACT.subtract(need, order.held) > free:
            raise Refusal("EOrder:Insufficient funds")
        if post_only and book.crosses(is_buy, -tick if is_buy else tick):
            raise Refusal("EOrder:Post only order")
    return Amendment(order, qty, lots, tick)
