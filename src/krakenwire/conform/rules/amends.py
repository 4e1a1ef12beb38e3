"""PROTOCOL 5.2: an order amended in place, seen in the answers, in `executions` and in the queue of level3."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from krakenwire.conform.line import Line
from krakenwire.conform.plainbook import SIDES, PlainOrders
from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Item, in_words

__all__ = [
    "amend_by_cl_ord_id",
    "amend_in_place",
    "amend_no_change",
    "amend_post_only",
    "amend_priority",
    "amend_reported",
    "amend_unknown",
    "level3_own_order",
]


async def _amended(subject: Subject) -> tuple[str, Frame, Decimal]:
    """An order of which the quantity was amended: its id, the answer, the new quantity; it is open."""
    desk = subject.desk
    quote = await desk.quote()
    order_id = await desk.rest(order_qty=quote.qty * 2)
    qty = quote.qty + quote.lot
    return order_id, await desk.request("amend_order", order_id=order_id, order_qty=qty), qty


@rule("amend.in_place", "5.2", "DOC", lane="account")
async def amend_in_place(subject: Subject) -> str | None:
    """An amend keeps the `order_id`; the answer has an `amend_id` and repeats it."""
    order_id, answer, _ = await _amended(subject)
    await subject.desk.cancel(order_id)
    expect(answer.is_success, "success", answer.said, answer)
    expect_shape(answer.result, {"amend_id": "text", "order_id": f"{order_id}|"})
    return None


@rule("amend.reported", "4.1", "DOC", lane="account")
async def amend_reported(subject: Subject) -> str | None:
    """An amend is told in `executions` as `amended`, with the new quantity."""
    order_id, answer, qty = await _amended(subject)
    if not answer.is_success:
        await subject.desk.cancel(order_id)
        raise NotTested(f"needs an amend, which was refused: {answer.said}")
    reports = await subject.desk.reports(order_id, "amended")
    await subject.desk.cancel(order_id)
    found = [report for report in reports if report.get("exec_type") == "amended"]
    if not found:
        broken("a report `amended`", ", ".join(str(report.get("exec_type")) for report in reports))
    expect(found[0].number("order_qty") == qty, f"order_qty {qty}", found[0].number("order_qty"), found[0].frame)
    return None


@rule("amend.by_cl_ord_id", "5.2", "DOC", lane="account")
async def amend_by_cl_ord_id(subject: Subject) -> str | None:
    """An order can be named by its `cl_ord_id`, which the answer repeats."""
    desk = subject.desk
    quote = await desk.quote()
    name = desk.new_cl_ord_id()
    order_id = await desk.rest(cl_ord_id=name)
    answer = await desk.request("amend_order", cl_ord_id=name, limit_price=quote.far - quote.tick)
    await desk.cancel(order_id)
    expect(answer.is_success, "success", answer.said, answer)
    expect(answer.result.get("cl_ord_id") == name, name, in_words(answer.result.get("cl_ord_id")), answer)
    return None


@rule("amend.no_change", "5.2", "SDK", lane="account")
async def amend_no_change(subject: Subject) -> str | None:
    """An amend that changes nothing is refused: `…No amendable parameters`."""
    desk = subject.desk
    order_id = await desk.rest()
    answer = await desk.request("amend_order", order_id=order_id)
    await desk.cancel(order_id)
    expect(
        not answer.is_success and "No amendable parameters" in answer.error,
        "an error with `No amendable parameters`",
        answer.said,
        answer,
    )
    return answer.error


@rule("amend.unknown", "5.2", "SDK", lane="account")
async def amend_unknown(subject: Subject) -> str | None:
    """An amend of an order that does not exist is refused with `EOrder:Unknown order`."""
    quote = await subject.desk.quote()
    answer = await subject.desk.request("amend_order", order_id="OAAAAA-AAAAA-AAAAAA", order_qty=quote.qty)
    expect(answer.error == "EOrder:Unknown order", "the error `EOrder:Unknown order`", answer.said, answer)
    return None


@rule("amend.post_only", "5.2", "DOC", lane="account")
async def amend_post_only(subject: Subject) -> str | None:
    """A post-only amend to a price that would take is refused, and the order stays as it was."""
    desk = subject.desk
    quote = await desk.quote()
    order_id = await desk.rest()
    line = await desk.line()
    since = len(line.frames)
    price = quote.floor(quote.ask * Decimal("1.01"))
    answer = await desk.request("amend_order", order_id=order_id, limit_price=price, post_only=True)
    await desk.cancel(order_id)
    expect(not answer.is_success, "a refusal", answer.said, answer)
    kinds = [str(report.get("exec_type")) for report in await desk.reports(order_id, "canceled", since=since)]
    expect(kinds == ["canceled"], "canceled alone, by the cancel that followed", ", ".join(kinds))
    return answer.error


@rule("amend.priority", "5.2", "DOC", lane="account")
async def amend_priority(subject: Subject) -> str | None:
    """A smaller quantity keeps an order's place in the queue of its price, a larger one puts it at the back."""
    desk = subject.desk
    async with subject.apart("l3") as line:
        book = PlainOrders(1000)
        price = await _deep_price(subject, line)
        quote = await desk.quote()
        first = await desk.rest(limit_price=price, order_qty=quote.qty * 2)
        second = await desk.rest(limit_price=price)
        queues: list[list[str]] = []
        for qty in (quote.qty * 2 - quote.lot, quote.qty * 3):
            since = len(line.frames)
            answer = await desk.request("amend_order", order_id=first, order_qty=qty)
            if not answer.is_success:
                await desk.cancel(first, second)
                raise NotTested(f"needs an amend, which was refused: {answer.said}")
            await line.wait(_names(first), since=since)
            queues.append(_queue(line, book, price, (first, second)))
        await desk.cancel(first, second)
    expect(queues[0] == [first, second], "the same place after a smaller quantity", "another")
    expect(queues[1] == [second, first], "the back of the queue after a larger quantity", "another place")
    return None


@rule("level3.own_order", "3.6", "DOC", lane="account")
async def level3_own_order(subject: Subject) -> str | None:
    """An order that is placed is told on level3 as `add` under its `order_id`, and as `delete` once it is cancelled."""
    desk = subject.desk
    async with subject.apart("l3") as line:
        price = await _deep_price(subject, line)
        order_id = await desk.rest(limit_price=price)
        added = await line.wait(_names(order_id))
        since = len(line.frames)
        await desk.cancel(order_id)
        deleted = await line.wait(_names(order_id), since=since)
    for frame, event in ((added, "add"), (deleted, "delete")):
        if frame is None:
            broken(f"an event {event} of {order_id}", f"none within {line.patience:g} s")
        events = [order.get("event") for order in _orders(frame, order_id)]
        expect(events == [event], f"an event {event} of {order_id}", in_words(events), frame)
    return None


async def _deep_price(subject: Subject, line: Line) -> Decimal:
    """Subscribe level3 at its greatest depth: a bid price within it that nobody will reach."""
    await line.subscribed("level3", subject.symbol, depth=1000, token=await subject.token())
    snapshot = await line.wait(lambda frame: frame.channel == "level3" and frame.kind == "snapshot")
    if snapshot is None or not snapshot.data:
        raise NotTested("needs a snapshot of level3, which did not come")
    prices = sorted({order.number("limit_price") for order in snapshot.data[0].items("bids")})
    if not prices:
        raise NotTested("needs bids on level3, of which there are none")
    return prices[len(prices) // 4]


def _orders(frame: Frame, order_id: str) -> list[Item]:
    orders = (order for item in frame.data for side in SIDES for order in item.items(side))
    return [order for order in orders if order.get("order_id") == order_id]


def _names(order_id: str) -> Callable[[Frame], bool]:
    return lambda frame: frame.channel == "level3" and bool(_orders(frame, order_id))


def _queue(line: Line, book: PlainOrders, price: Decimal, ours: tuple[str, str]) -> list[str]:
    """In which order these two stand at a price, by all that has come."""
    for frame in line.frames:
        for item in frame.data if frame.channel == "level3" else ():
            book.apply(item, is_snapshot=frame.kind == "snapshot")
    return [order_id for order_id in book.queue("bids", price) if order_id in ours]
