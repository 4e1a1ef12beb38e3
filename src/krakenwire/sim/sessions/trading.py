"""Trading over the private door: requests read strictly, done by the engine, and what is answered (PROTOCOL 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, TypeVar

from krakenwire.book.timestamps import parse_timestamp

from ..accounts.accounts import Accounts
from ..engine.engine import Engine
from ..engine.model import AddOrder, AmendOrder, Refusal
from .requests import Message, refuse_unknown

__all__ = ["METHODS", "Trading"]

NS_PER_S = 1_000_000_000

DEADLINE_NS = 5 * NS_PER_S
"""What a request's deadline is if it names none (PROTOCOL 5.1)."""

DEADLINES_NS = (NS_PER_S // 2, 60 * NS_PER_S)
"""How far ahead one may lie (PROTOCOL 5.1)."""

MAX_CANCELS = 1000
"""Orders in one `cancel_order`; Kraken publishes no limit."""

MAX_MAGNITUDE = 40
"""Numbers are below 10^40, and finer than 10^-40 they are not: beyond that lies no price of anything."""

_FIELDS = {
    "add_order": {
        "symbol",
        "side",
        "order_type",
        "order_qty",
        "limit_price",
        "limit_price_type",
        "time_in_force",
        "expire_time",
        "effective_time",
        "deadline",
        "post_only",
        "reduce_only",
        "margin",
        "cl_ord_id",
        "order_userref",
        "fee_preference",
        "stp_type",
        "no_mpp",
        "validate",
    },
    "amend_order": {
        "order_id",
        "cl_ord_id",
        "order_qty",
        "limit_price",
        "limit_price_type",
        "post_only",
        "deadline",
        "symbol",
    },
    "cancel_order": {"order_id", "cl_ord_id", "order_userref"},
    "cancel_all": set[str](),
}
_LATER_METHODS = ("edit_order", "cancel_all_orders_after", "batch_add", "batch_cancel")
_LATER_FIELDS = {
    "add_order": {
        "cash_order_qty",
        "conditional",
        "display_qty",
        "sender_sub_id",
        "stop_price",
        "trigger",
        "triggers",
    },
    "amend_order": {"display_qty", "trigger_price", "trigger_price_type"},
}
_LATER_TYPES = frozenset({
    "iceberg",
    "stop-loss",
    "stop-loss-limit",
    "take-profit",
    "take-profit-limit",
    "trailing-stop",
    "trailing-stop-limit",
    "settle-position",
})  # fmt: skip

METHODS = (*_FIELDS, *_LATER_METHODS)
"""What the private door takes besides subscriptions."""

Answer = dict[str, Any] | Refusal
"""The result of a request, or why it was not done."""

T = TypeVar("T")

_OFFSET = re.compile(r"(.*)([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


class Trading:
    """Does what trading requests ask.

    It has limit and market orders. Other types, `batch_add`, `batch_cancel`, `edit_order` and
    `cancel_all_orders_after` are refused with `EGeneral:Invalid arguments`, the name, and that they are not
    simulated; so are cash quantities, iceberg, triggers, margin, fees in the base asset and scheduled starts.

    Args:
        engine: what is traded with.
        accounts: what an account's key may do.
    """

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self._engine = engine
        self._accounts = accounts

    def do(self, account: str, message: Message, now_ns: int) -> list[Answer]:
        """Do one request, and return its answers: one for each order named in a `cancel_order`, else one.

        Args:
            account: whose token it carried.
            message: the request.
            now_ns: the exchange's time as its clients see it.

        Raises:
            Refused: it has a field that there is not.
        """
        method, params = message.method, _Params(message.params)
        try:
            self._check(account, message)
            if method == "cancel_order":
                return list(self._cancel(account, params))
            return [self._do_one(account, method, params, now_ns)]
        except Refusal as refusal:
            return [refusal]

    def _check(self, account: str, message: Message) -> None:
        method, params = message.method, message.params
        if method in _LATER_METHODS:
            raise _not_simulated("method", method)
        for name in _LATER_FIELDS.get(method, ()):
            if name in params:
                raise _not_simulated(name)
        refuse_unknown(params, {*_FIELDS[method], "token"}, method, message.req_id)
        permissions = self._accounts.permissions(account)
        if not (permissions.cancel if method.startswith("cancel") else permissions.trade):
            raise Refusal("EGeneral:Permission denied")

    def _do_one(self, account: str, method: str, params: _Params, now_ns: int) -> dict[str, Any]:
        if method == "add_order":
            order = _read_add(params, now_ns, self._engine.now_ns)
            return _with_ids(self._engine.add(account, order).order_id, order.cl_ord_id, order.order_userref)
        if method == "amend_order":
            amend = _read_amend(params, now_ns, self._engine.now_ns)
            amend_id, _ = self._engine.amend(account, amend)
            return {"amend_id": amend_id, **_with_ids(amend.order_id, amend.cl_ord_id, None)}
        return {"count": self._engine.cancel_all(account)}

    def _cancel(self, account: str, params: _Params) -> Iterator[Answer]:
        order_ids = params.list_of("order_id", str)
        cl_ord_ids = params.list_of("cl_ord_id", str)
        userrefs = params.list_of("order_userref", int)
        if not 0 < len(order_ids) + len(cl_ord_ids) + len(userrefs) <= MAX_CANCELS:
            raise _invalid("order_id")
        for order_id in order_ids:
            yield self._cancel_one(account, order_id=order_id)
        for cl_ord_id in cl_ord_ids:
            yield self._cancel_one(account, cl_ord_id=cl_ord_id)
        for userref in userrefs:
            yield from self._cancel_by_userref(account, userref)

    def _cancel_one(self, account: str, **name: str) -> Answer:
        try:
            self._engine.cancel(account, **name)
        except Refusal as refusal:
            return refusal
        return name

    def _cancel_by_userref(self, account: str, userref: int) -> list[Answer]:
        """One answer an order; how many Kraken gives is not known (PROTOCOL 5.4)."""
        try:
            cancelled = self._engine.cancel_by_userref(account, userref)
        except Refusal as refusal:
            return [refusal]
        if not cancelled:
            return [Refusal("EOrder:Unknown order")]
        return [{"order_id": order.order_id, "order_userref": userref} for order in cancelled]


class _Params:
    """The parameters of a request, each read as what it must be; raises Refusal, naming the one that is not."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def text(self, name: str) -> str | None:
        return self._typed(name, str)

    def integer(self, name: str) -> int | None:
        return self._typed(name, int)

    def flag(self, name: str) -> bool:
        return self._typed(name, bool) or False

    def one_of(self, name: str, *allowed: str) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise _invalid(name)
        return value

    def number(self, name: str) -> Decimal | None:
        """A JSON number, exactly as it was written (PROTOCOL 5); text is refused."""
        value = self._fields.get(name)
        if value is None and name not in self._fields:
            return None
        if type(value) is int and abs(value) < 10**MAX_MAGNITUDE:
            return Decimal(value)
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            raise Refusal(f"{name.capitalize()} field must be a number_float")
        if not isinstance(value, Decimal):
            raise _invalid(name)
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -MAX_MAGNITUDE or value.adjusted() >= MAX_MAGNITUDE:
            raise _invalid(name)
        return value

    def time(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            if (zoned := _OFFSET.fullmatch(text)) is None:
                return parse_timestamp(text)
            local, sign, hours, minutes = zoned.groups()
            ahead_ns = (int(hours) * 60 + int(minutes)) * 60 * NS_PER_S
            return parse_timestamp(f"{local}Z") - (ahead_ns if sign == "+" else -ahead_ns)
        except ValueError:
            raise _invalid(name) from None

    def list_of(self, name: str, kind: type[T]) -> list[T]:
        values = self._fields.get(name, [])
        if not isinstance(values, list) or not all(type(value) is kind for value in values):
            raise _invalid(name)
        return values

    def _typed(self, name: str, kind: type[T]) -> T | None:
        if name not in self._fields:
            return None
        value = self._fields[name]
        if type(value) is not kind:
            raise _invalid(name)
        return value


def _read_add(params: _Params, now_ns: int, engine_ns: int) -> AddOrder:
    """A new order (PROTOCOL 5.1). Raises Refusal."""
    order_type = _needed("order_type", params.text("order_type"))
    if order_type in _LATER_TYPES:
        raise _not_simulated("order_type", order_type)
    known_type: Literal["limit", "market"]
    if order_type == "limit":
        known_type = "limit"
    elif order_type == "market":
        known_type = "market"
    else:
        raise _invalid("order_type")
    side = _needed("side", params.one_of("side", "buy", "sell"))
    for name in ("margin", "reduce_only"):
        if params.flag(name):
            raise _not_simulated(name)
    for name, allowed, simulated in (
        ("fee_preference", ("base", "quote"), "quote"),
        ("stp_type", ("cancel_newest", "cancel_oldest", "cancel_both"), "cancel_newest"),
        ("limit_price_type", ("static", "pct", "quote"), "static"),
    ):
        value = params.one_of(name, *allowed)
        if value not in (None, simulated):
            raise _not_simulated(name, value)
    effective_ns = params.time("effective_time")
    if effective_ns is not None and effective_ns > now_ns:
        raise _not_simulated("effective_time")
    params.flag("no_mpp")
    return AddOrder(
        symbol=_needed("symbol", params.text("symbol")),
        side="buy" if side == "buy" else "sell",
        order_type=known_type,
        order_qty=_needed("order_qty", params.number("order_qty")),
        limit_price=params.number("limit_price"),
        time_in_force=_time_in_force(params.one_of("time_in_force", "gtc", "gtd", "ioc", "fok")),
        expire_ns=params.time("expire_time"),
        post_only=params.flag("post_only"),
        cl_ord_id=params.text("cl_ord_id"),
        order_userref=params.integer("order_userref"),
        deadline_ns=_deadline(params, now_ns, engine_ns),
        validate=params.flag("validate"),
    )


def _read_amend(params: _Params, now_ns: int, engine_ns: int) -> AmendOrder:
    """What to change of an order (PROTOCOL 5.2). Raises Refusal."""
    order_id, cl_ord_id = params.text("order_id"), params.text("cl_ord_id")
    if (order_id is None) == (cl_ord_id is None):
        raise _invalid("order_id")
    if params.one_of("limit_price_type", "static", "pct", "quote") not in (None, "static"):
        raise _invalid("limit_price_type")
    params.text("symbol")
    return AmendOrder(
        order_id=order_id,
        cl_ord_id=cl_ord_id,
        order_qty=params.number("order_qty"),
        limit_price=params.number("limit_price"),
        post_only=params.flag("post_only"),
        deadline_ns=_deadline(params, now_ns, engine_ns),
    )


def _time_in_force(text: str | None) -> Literal["gtc", "gtd", "ioc", "fok"]:
    return "gtd" if text == "gtd" else "ioc" if text == "ioc" else "fok" if text == "fok" else "gtc"


def _deadline(params: _Params, now_ns: int, engine_ns: int) -> int:
    """Until when the engine may match, in its own time. One that has passed is the engine's to refuse."""
    deadline_ns = params.time("deadline")
    if deadline_ns is None:
        return engine_ns + DEADLINE_NS
    ahead_ns = deadline_ns - now_ns
    if ahead_ns >= 0 and not DEADLINES_NS[0] <= ahead_ns <= DEADLINES_NS[1]:
        raise _invalid("deadline")
    return engine_ns + ahead_ns


def _with_ids(order_id: str | None, cl_ord_id: str | None, order_userref: int | None) -> dict[str, Any]:
    ids = {"order_id": order_id, "cl_ord_id": cl_ord_id, "order_userref": order_userref}
    return {name: value for name, value in ids.items() if value is not None}


def _needed(name: str, value: T | None) -> T:
    if value is None:
        raise _invalid(name)
    return value


def _invalid(name: str) -> Refusal:
    return Refusal(f"EGeneral:Invalid arguments:{name}")


def _not_simulated(name: str, value: str | None = None) -> Refusal:
    what = name if value is None else f"{name} '{value}'"
    return Refusal(f"EGeneral:Invalid arguments:{what} is not simulated")
