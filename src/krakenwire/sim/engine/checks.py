"""What an order must be to be taken, in Kraken's words (PROTOCOL 9.7), and in the order it is looked at."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from .book import OrderBook
from .model import AddOrder, EngineStatus, Refusal
from .money import EXACT
from .pair import Pair

__all__ = [
    "check_cancel",
    "check_deadline",
    "check_minimum",
    "check_request",
    "check_status",
    "read_lots",
    "read_tick",
]

MONTH_NS: Final = 31 * 24 * 3600 * 1_000_000_000
"""How far ahead a GTD order may expire (PROTOCOL 5.1: a month)."""

CL_ORD_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}", re.ASCII
)


def check_status(engine: EngineStatus, pair: Pair, *, is_market: bool, post_only: bool) -> None:
    """Whether the engine and the instrument take such an order now (PROTOCOL 9.6, 3.9).

    Raises:
        Refusal: they do not.
    """
    for status in (engine, pair.instrument.status):
        if status == "online" or (status == "post_only" and post_only) or (status == "limit_only" and not is_market):
            continue
        if status in {"cancel_only", "post_only", "limit_only", "reduce_only"}:
            raise Refusal(f"EService:Market in {status} mode")
        if status == "delisted":
            raise Refusal("EQuery:Unknown asset pair")
        raise Refusal("EService:Unavailable")


def is_cancellable(status: str) -> bool:
    """Whether orders may be cancelled in a status, of the engine or of an instrument (PROTOCOL 9.6)."""
    return status not in {"maintenance", "work_in_progress"}


def check_cancel(status: str) -> None:
    """Whether orders may be cancelled in a status, of the engine or of an instrument.

    Raises:
        Refusal: in maintenance nothing can be done.
    """
    if not is_cancellable(status):
        raise Refusal("EService:Unavailable")


def check_deadline(deadline_ns: int | None, now_ns: int) -> None:
    """Whether a request has come in time (PROTOCOL 5.1).

    Raises:
        Refusal: it has not.
    """
    if deadline_ns is not None and now_ns > deadline_ns:
        raise Refusal("EService:Deadline elapsed")


def check_request(request: AddOrder, now_ns: int) -> None:
    """Whether the fields of a new order go together (PROTOCOL 5.1).

    Raises:
        Refusal: they do not; names the field.
    """
    is_market = request.order_type == "market"
    if (request.limit_price is None) is not is_market:
        raise _invalid("limit_price")
    if request.time_in_force not in ({"gtc", "ioc"} if is_market else {"gtc", "gtd", "ioc", "fok"}):
        raise _invalid("time_in_force")
    if request.post_only and (is_market or request.time_in_force in {"ioc", "fok"}):
        raise _invalid("post_only")
    if request.time_in_force == "gtd":
        if request.expire_ns is None or not now_ns < request.expire_ns <= now_ns + MONTH_NS:
            raise _invalid("expire_time")
    elif request.expire_ns is not None:
        raise _invalid("expire_time")
    if request.cl_ord_id is not None and (
        request.order_userref is not None or CL_ORD_ID.fullmatch(request.cl_ord_id) is None
    ):
        raise _invalid("cl_ord_id")
    if request.order_userref is not None and not -(2**31) <= request.order_userref < 2**31:
        raise _invalid("order_userref")


def read_lots(pair: Pair, qty: Decimal) -> int:
    """A quantity in lots.

    Raises:
        Refusal: it is not more than 0, or finer than the instrument's increment.
    """
    lots = pair.lots(qty)
    if lots is None or lots <= 0:
        raise _invalid("volume")
    return lots


def read_tick(pair: Pair, price: Decimal) -> int:
    """A price in ticks.

    Raises:
        Refusal: it is not more than 0, or between two ticks.
    """
    if not price.is_finite() or price <= 0:
        raise Refusal("EOrder:Invalid price")
    tick = pair.ticks(price)
    if tick is None:
        raise Refusal("EOrder:Tick size check failed")
    return tick


def check_minimum(pair: Pair, book: OrderBook, is_buy: bool, qty: Decimal, price: Decimal | None) -> None:
    """Whether an order is large enough, in quantity and in cost; a market order at the best price of the other side.

    Raises:
        Refusal: it is too small.
    """
    if qty < pair.instrument.qty_min:
        raise Refusal("EOrder:Order minimum not met")
    if price is None:
        keys = (book.asks if is_buy else book.bids).keys
        if not keys:
            return
        price = pair.price(abs(keys[0]))
    if EXACT.multiply(price, qty) < pair.instrument.cost_min:
        raise Refusal("EOrder:Cost minimum not met")


def _invalid(field: str) -> Refusal:
    return Refusal(f"EGeneral:Invalid arguments:{field}")
