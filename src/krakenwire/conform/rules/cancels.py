"""PROTOCOL 5.4, 5.5: cancelling."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, expect
from krakenwire.conform.wire import in_words

__all__ = [
    "cancel_all_count",
    "cancel_by_cl_ord_id",
    "cancel_one_answer_each",
    "cancel_twice",
    "cancel_unknown",
]

GONE = ("EOrder:Unknown order", "EOrder:Invalid order")
NOWHERE = "OAAAAA-AAAAA-AAAAAA"


@rule("cancel.one_answer_each", "5.4", "DOC", lane="account")
async def cancel_one_answer_each(subject: Subject) -> str | None:
    """A cancel of several orders gets one answer for each, all with its `req_id`."""
    desk = subject.desk
    ids = {await desk.rest(), await desk.rest()}
    line = await desk.line()
    params = {"order_id": sorted(ids), "token": await subject.token()}
    answers = await line.ask("cancel_order", params, answers=2, req_id=6120)
    for order_id in ids:
        await desk.reports(order_id, "canceled")
    expect(len(answers) == 2, "two answers", len(answers), answers[-1] if answers else "")
    named = {str(answer.result.get("order_id")) for answer in answers if answer.is_success}
    expect(named == ids, "each order_id once", in_words(sorted(named)), answers[0])
    req_ids = {str(answer.item.get("req_id")) for answer in answers}
    expect(req_ids == {"6120"}, "`req_id` 6120 twice", in_words(sorted(req_ids)), answers[0])
    return None


@rule("cancel.by_cl_ord_id", "5.4", "SDK", lane="account")
async def cancel_by_cl_ord_id(subject: Subject) -> str | None:
    """A cancel by `cl_ord_id` is answered with that, and without the `order_id`."""
    desk = subject.desk
    name = desk.new_cl_ord_id()
    order_id = await desk.rest(cl_ord_id=name)
    answer = await desk.request("cancel_order", cl_ord_id=[name])
    await desk.reports(order_id, "canceled")
    expect(answer.is_success, "success", answer.said, answer)
    expect(
        answer.result.fields == {"cl_ord_id": name}, f"cl_ord_id {name} alone", in_words(answer.result.fields), answer
    )
    return None


@rule("cancel.unknown", "5.4", "SDK", "DOC", lane="account")
async def cancel_unknown(subject: Subject) -> str | None:
    """A cancel of an order that never was is refused with `EOrder:Unknown order` or `EOrder:Invalid order`."""
    answer = await subject.desk.request("cancel_order", req_id=5401, order_id=[NOWHERE])
    expect(not answer.is_success and answer.error in GONE, " or ".join(GONE), answer.said, answer)
    return answer.error


@rule("cancel.twice", "5.4", "SDK", "DOC", lane="account")
async def cancel_twice(subject: Subject) -> str | None:
    """A cancel of an order that is gone already is refused in the same words."""
    desk = subject.desk
    order_id = await desk.rest()
    await desk.cancel(order_id)
    answer = await desk.request("cancel_order", req_id=5402, order_id=[order_id])
    expect(not answer.is_success and answer.error in GONE, " or ".join(GONE), answer.said, answer)
    return answer.error


@rule("cancel_all.count", "5.5", "DOC", lane="account")
async def cancel_all_count(subject: Subject) -> str | None:
    """`cancel_all` ends every open order, and its answer says how many."""
    desk = subject.desk
    strangers = await desk.foreign_orders()
    if strangers:
        raise NotTested(f"the account has {strangers} open order(s) of its own, which it would cancel")
    ids = [await desk.rest(), await desk.rest()]
    answer = await desk.request("cancel_all")
    for order_id in ids:
        reports = await desk.reports(order_id, "canceled")
        kind = reports[-1].get("exec_type")
        expect(kind == "canceled", f"{order_id} canceled", in_words(kind), reports[-1].frame)
    expect(answer.is_success, "success", answer.said, answer)
    expect(str(answer.result.get("count")) == "2", "`count` 2", in_words(answer.result.get("count")), answer)
    return None
