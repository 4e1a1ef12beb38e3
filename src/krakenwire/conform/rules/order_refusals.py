"""PROTOCOL 5.1, 9.7: new orders that are refused, and in which words."""

from __future__ import annotations

from decimal import Decimal

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, expect
from krakenwire.conform.wire import Frame

__all__ = [
    "add_order_cl_ord_id_unique",
    "add_order_cost_minimum",
    "add_order_funds",
    "add_order_minimum",
    "add_order_no_price",
    "add_order_symbol",
    "add_order_tick",
    "add_order_unsupported_field",
    "order_refusal_shape",
]

MUCH = Decimal(10) ** 9


async def _refused(subject: Subject, *errors: str, **params: object) -> Frame:
    """Add an order that cannot be, and see that it is refused with one of `errors`."""
    answer = await subject.desk.add(**params)
    wanted = " or ".join(f"`{error}`" for error in errors)
    expect(not answer.is_success and answer.error.startswith(errors), f"the error {wanted}", answer.said, answer)
    return answer


@rule("add_order.tick", "9.7", "DOC", lane="account")
async def add_order_tick(subject: Subject) -> str | None:
    """A price between two ticks is refused with `EOrder:Tick size check failed` or `EOrder:Invalid price`."""
    quote = await subject.desk.quote()
    errors = ("EOrder:Tick size check failed", "EOrder:Invalid price")
    answer = await _refused(subject, *errors, order_qty=quote.qty, limit_price=quote.far + quote.tick / 10)
    return answer.error


@rule("add_order.minimum", "9.7", "DOC", lane="account")
async def add_order_minimum(subject: Subject) -> str | None:
    """A quantity below the pair's `qty_min` is refused with `EOrder:Order minimum not met`."""
    quote = await subject.desk.quote()
    less = quote.qty_min - quote.lot
    if less <= 0:
        raise NotTested("the least quantity of the pair is one increment")
    await _refused(subject, "EOrder:Order minimum not met", order_qty=less, limit_price=quote.far)
    return None


@rule("add_order.cost_minimum", "9.7", "DOC", lane="account")
async def add_order_cost_minimum(subject: Subject) -> str | None:
    """An order worth less than the pair's `cost_min` is refused with `EOrder:Cost minimum not met`."""
    quote = await subject.desk.quote()
    price = quote.tick
    qty = max(quote.qty_min, quote.lot)
    if qty * price >= quote.cost_min:
        raise NotTested("the least quantity at the least price is worth the minimum already")
    await _refused(subject, "EOrder:Cost minimum not met", order_qty=qty, limit_price=price)
    return None


@rule("add_order.funds", "9.7", "DOC", lane="account")
async def add_order_funds(subject: Subject) -> str | None:
    """An order for which the funds do not suffice is refused with `EOrder:Insufficient funds`."""
    quote = await subject.desk.quote()
    qty = (MUCH / quote.far / quote.lot).to_integral_value() * quote.lot
    await _refused(subject, "EOrder:Insufficient funds", order_qty=qty, limit_price=quote.far)
    return None


@rule("add_order.symbol", "9.7", "DOC", lane="account")
async def add_order_symbol(subject: Subject) -> str | None:
    """An order of a symbol that is not listed is refused."""
    quote = await subject.desk.quote()
    answer = await subject.desk.add(symbol="XLM/QQQ", order_qty=quote.qty, limit_price=quote.far)
    expect(not answer.is_success, "a refusal", answer.said, answer)
    return answer.error


@rule("add_order.no_price", "5.1", "DOC", lane="account")
async def add_order_no_price(subject: Subject) -> str | None:
    """A limit order without `limit_price` is refused."""
    quote = await subject.desk.quote()
    answer = await subject.desk.add(order_qty=quote.qty)
    expect(not answer.is_success, "a refusal", answer.said, answer)
    return answer.error


@rule("add_order.unsupported_field", "5", "SDK", lane="account")
async def add_order_unsupported_field(subject: Subject) -> str | None:
    """A parameter that does not exist is refused with `Unsupported field: '<name>'`."""
    quote = await subject.desk.quote()
    params = {"order_qty": quote.qty, "limit_price": quote.far, "colour": "red"}
    await _refused(subject, "Unsupported field: 'colour'", **params)
    return None


@rule("add_order.cl_ord_id_unique", "5.1", "DOC", lane="account")
async def add_order_cl_ord_id_unique(subject: Subject) -> str | None:
    """A `cl_ord_id` that an open order has is refused."""
    desk = subject.desk
    quote = await desk.quote()
    name = desk.new_cl_ord_id()
    order_id = await desk.rest(cl_ord_id=name)
    answer = await desk.add(order_qty=quote.qty, limit_price=quote.far, cl_ord_id=name)
    second = answer.result.get("order_id")
    await desk.cancel(order_id, *([second] if type(second) is str and second else []))
    expect(not answer.is_success, "a refusal", answer.said, answer)
    return answer.error


@rule("order.refusal_shape", "2.2", "SDK", "DOC", lane="account")
async def order_refusal_shape(subject: Subject) -> str | None:
    """A refused order is answered with `method`, `success` false and `error` as one string, and without a `result`."""
    quote = await subject.desk.quote()
    answer = await subject.desk.add(order_qty=quote.qty, limit_price=quote.far, shape="round")
    expect_shape(answer.item, {"method": "add_order|", "success": "bool", "error": "text"})
    expect(answer.item.get("success") is False, "`success` false", "true", answer)
    expect("result" not in answer.item, "no `result`", "one", answer)
    return None
