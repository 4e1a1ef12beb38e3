"""PROTOCOL 5.1: what becomes of a new order."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, expect
from krakenwire.conform.wire import Frame, Item, Number, in_words

__all__ = [
    "add_order_ack",
    "add_order_fok",
    "add_order_gtd",
    "add_order_ioc",
    "add_order_post_only",
    "add_order_userref",
    "add_order_validate",
]

QUIET_S = 0.5
PAUSE_S = 3.5
NS_PER_S = 1_000_000_000


def _kinds(reports: list[Item]) -> list[str]:
    return [str(report.get("exec_type")) for report in reports]


@rule("add_order.ack", "5.1", "DOC", lane="account")
async def add_order_ack(subject: Subject) -> str | None:
    """The answer has the `order_id`, and repeats the `cl_ord_id`."""
    desk = subject.desk
    quote = await desk.quote()
    name = desk.new_cl_ord_id()
    answer = await desk.add(order_qty=quote.qty, limit_price=quote.far, cl_ord_id=name)
    expect(answer.is_success, "success", answer.said, answer)
    order_id = answer.result.get("order_id")
    if type(order_id) is str and order_id:
        await desk.cancel(order_id)
    expect_shape(answer.result, {"order_id": "text", "cl_ord_id": f"{name}|"})
    expect(bool(order_id), "an order_id", "an empty one", answer)
    return None


@rule("add_order.userref", "5.1", "DOC", lane="account")
async def add_order_userref(subject: Subject) -> str | None:
    """The answer repeats the `order_userref`, an integer."""
    desk = subject.desk
    quote = await desk.quote()
    answer = await desk.add(order_qty=quote.qty, limit_price=quote.far, order_userref=77)
    if not answer.is_success:
        raise NotTested(f"needs an order with order_userref, which was refused: {answer.said}")
    await desk.cancel(answer.result.text("order_id"))
    found = answer.result.get("order_userref")
    expect(isinstance(found, Number) and found == Number("77"), "`order_userref` 77", in_words(found), answer)
    return None


@rule("add_order.validate", "5.1", "DOC", "SDK", lane="account")
async def add_order_validate(subject: Subject) -> str | None:
    """With `validate` an order is only checked: success, an empty `order_id`, and nothing is told of it."""
    desk = subject.desk
    quote = await desk.quote()
    line = await desk.line()
    since = len(line.frames)
    name = desk.new_cl_ord_id()
    answer = await desk.add(order_qty=quote.qty, limit_price=quote.far, cl_ord_id=name, validate=True)
    expect(answer.is_success, "success", answer.said, answer)
    expect(
        answer.result.get("order_id") in ("", None),
        "an empty order_id",
        in_words(answer.result.get("order_id")),
        answer,
    )
    told = await line.wait(
        lambda frame: any(item.get("cl_ord_id") == name for item in frame.data), since=since, within=QUIET_S
    )
    expect(told is None, "nothing about it in `executions`", "a report", told or "")
    return None


async def _ends_without_trade(subject: Subject, **params: object) -> tuple[Frame, list[Item]]:
    """Add an order that must not rest, and see what becomes of it."""
    answer = await subject.desk.add(**params)
    order_id = answer.result.get("order_id")
    if not answer.is_success or type(order_id) is not str:
        return answer, []
    reports = await subject.desk.reports(order_id, "ended")
    if _kinds(reports)[-1:] not in (["canceled"], ["expired"], ["filled"]):
        await subject.desk.cancel(order_id)
    return answer, reports


@rule("add_order.post_only", "5.1", "DOC", lane="account")
async def add_order_post_only(subject: Subject) -> str | None:
    """A post-only order that would take never trades: it is refused, or ended at once."""
    quote = await subject.desk.quote()
    price = quote.floor(quote.ask * Decimal("1.01"))
    answer, reports = await _ends_without_trade(subject, order_qty=quote.qty, limit_price=price, post_only=True)
    if not answer.is_success:
        return f"it said {answer.said}"
    kinds = _kinds(reports)
    expect("trade" not in kinds, "no trade", ", ".join(kinds), reports[-1].frame if reports else answer)
    ended = kinds[-1:] in (["canceled"], ["expired"])
    expect(ended, "its end", ", ".join(kinds) or "nothing", reports[-1].frame if reports else answer)
    return f"it was told as {', '.join(kinds)}"


@rule("add_order.ioc", "5.1", "DOC", lane="account")
async def add_order_ioc(subject: Subject) -> str | None:
    """An IOC order that meets nothing does not rest: it ends at once without a trade."""
    quote = await subject.desk.quote()
    params = {"order_qty": quote.qty, "limit_price": quote.far, "time_in_force": "ioc"}
    answer, reports = await _ends_without_trade(subject, **params)
    expect(answer.is_success, "success", answer.said, answer)
    kinds = _kinds(reports)
    expect(kinds[-1:] in (["canceled"], ["expired"]), "canceled or expired", ", ".join(kinds) or "nothing", answer)
    return f"it was told as {', '.join(kinds)}"


@rule("add_order.fok", "5.1", "DOC", lane="account")
async def add_order_fok(subject: Subject) -> str | None:
    """A FOK order that cannot be filled whole does not trade at all: it is refused, or ended at once."""
    quote = await subject.desk.quote()
    params = {"order_qty": quote.qty, "limit_price": quote.far, "time_in_force": "fok"}
    answer, reports = await _ends_without_trade(subject, **params)
    if not answer.is_success:
        return f"it said {answer.said}"
    kinds = _kinds(reports)
    expect("trade" not in kinds, "no trade", ", ".join(kinds), reports[-1].frame if reports else answer)
    expect(kinds[-1:] in (["canceled"], ["expired"]), "canceled or expired", ", ".join(kinds) or "nothing", answer)
    return f"it was told as {', '.join(kinds)}"


@rule("add_order.gtd", "5.1", "DOC", lane="account")
async def add_order_gtd(subject: Subject) -> str | None:
    """A GTD order is told as `expired` once its `expire_time` is reached."""
    desk = subject.desk
    line = await desk.line()
    await desk.afford()  # what follows must not wait
    # The server's clock, not ours, says when that is.
    now_ns = (await line.answer("ping")).item.time_ns("time_out")
    expire_ns = (now_ns // NS_PER_S + 2) * NS_PER_S
    params = {"time_in_force": "gtd", "expire_time": _rfc3339(expire_ns // NS_PER_S)}
    order_id = await desk.rest(**params)
    found = await line.wait(
        lambda frame: any(
            item.get("order_id") == order_id and item.get("exec_type") in ("expired", "canceled") for item in frame.data
        ),
        within=PAUSE_S,
    )
    reports = await desk.reports(order_id, "new")
    kinds = _kinds(reports)
    if found is None:
        await desk.cancel(order_id)
    expect(kinds[-1:] == ["expired"], f"expired at {params['expire_time']}", ", ".join(kinds), found or "")
    return None


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
