"""PROTOCOL 4.1: what is told of one's orders."""

from __future__ import annotations

from decimal import Decimal

from krakenwire.conform.desk import ENDED
from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Item, in_words

__all__ = [
    "executions_ack",
    "executions_canceled",
    "executions_cumulates",
    "executions_lifecycle",
    "executions_new_order",
    "executions_order_status_false",
    "executions_sequence",
    "executions_snap_orders",
    "executions_snap_trades",
    "executions_snapshot_declined",
    "executions_sparse_merge",
    "executions_trade_fields",
    "executions_unsubscribe",
]

COUNTERS = ("60", "125", "180")
QUIET_S = 0.6
TRANSITIONS = ("new", "filled", "canceled", "expired")
TRADE = {
    "exec_id": "text",
    "trade_id": "integer",
    "symbol": "text",
    "side": "buy|sell",
    "last_qty": "number",
    "last_price": "number",
    "cost": "number",
    "liquidity_ind": "m|t",
    "fees": "list",
    "order_type": "text",
    "order_status": "text",
    "cum_qty": "number",
    "cum_cost": "number",
    "avg_price": "number",
    "timestamp": "time",
}


def _types(reports: list[Item]) -> list[str]:
    return [str(report.get("exec_type")) for report in reports]


async def _subscribed(subject: Subject, **params: object) -> tuple[Frame, Frame | None]:
    """Subscribe `executions` on the shared private connection: the answer, and the first frame of it."""
    token = await subject.token()
    async with subject.line("auth") as line:
        since = len(line.frames)
        ack = await line.answer("subscribe", {"channel": "executions", "token": token} | params)
        expect(ack.is_success, "success", ack.said, ack)
        first = await line.wait(lambda frame: frame.channel == "executions", since=since, within=QUIET_S)
    return ack, first


@rule("executions.ack", "4.1", "DOC", lane="account")
async def executions_ack(subject: Subject) -> str | None:
    """The answer to a subscribe has `maxratecount`, 60, 125 or 180 by the account's tier, and repeats the snapshots."""
    ack, _ = await _subscribed(subject, snap_orders=True, snap_trades=True)
    expect_shape(ack.result, {"channel": "executions|", "maxratecount": "|".join(COUNTERS)})
    for name in ("snap_orders", "snap_trades"):
        expect(ack.result.get(name) is True, f"`{name}` true", in_words(ack.result.get(name)), ack)
    return f"maxratecount {ack.result.get('maxratecount')}"


@rule("executions.snap_orders", "4.1", "DOC", lane="account")
async def executions_snap_orders(subject: Subject) -> str | None:
    """The snapshot has the open orders, each whole."""
    order_id = await subject.desk.rest()
    _, snapshot = await _subscribed(subject)
    await subject.desk.cancel(order_id)
    if snapshot is None or snapshot.kind != "snapshot":
        broken("a snapshot", "none" if snapshot is None else "an update first", snapshot or "")
    found = [item for item in snapshot.data if item.get("order_id") == order_id]
    expect(len(found) == 1, f"the open order {order_id} once", f"{len(found)} times", snapshot)
    shape = {
        "symbol": "text",
        "side": "buy|",
        "order_type": "limit|",
        "order_qty": "number",
        "limit_price": "number",
        "order_status": "new|",
        "time_in_force": "GTC|",
        "cum_qty": "number",
    }
    expect_shape(found[0], shape)
    return None


@rule("executions.snap_trades", "4.1", "DOC", lane="account")
async def executions_snap_trades(subject: Subject) -> str | None:
    """With `snap_trades` the snapshot has the last fills, at most 50."""
    fill = await subject.desk.filled()
    _, snapshot = await _subscribed(subject, snap_orders=False, snap_trades=True)
    if snapshot is None or snapshot.kind != "snapshot":
        broken("a snapshot", "none" if snapshot is None else "an update first", snapshot or "")
    trades = [item for item in snapshot.data if item.get("exec_type") == "trade"]
    expect(len(trades) <= 50, "at most 50 fills", len(trades), snapshot)
    is_there = any(item.get("order_id") == fill.order_id for item in trades)
    expect(is_there, f"the fill of {fill.order_id}", "none of it", snapshot)
    return f"{len(trades)} fills"


@rule("executions.snapshot_declined", "4.1", "DOC", lane="account")
async def executions_snapshot_declined(subject: Subject) -> str | None:
    """With `snap_orders` false, open orders are not sent."""
    order_id = await subject.desk.rest()
    _, first = await _subscribed(subject, snap_orders=False)
    await subject.desk.cancel(order_id)
    if first is not None and any(item.get("order_id") == order_id for item in first.data):
        broken("no open orders", "one", first)
    return None


@rule("executions.sequence", "4.1", "DOC", lane="account")
async def executions_sequence(subject: Subject) -> str | None:
    """Every message has an integer `sequence`, above that of the message before it."""
    await subject.desk.filled()
    return await expect_rising(subject, "executions")


async def expect_rising(subject: Subject, channel: str) -> str:
    """See that the sequence of a channel rises on the desk's connection."""
    line = await subject.desk.line()
    frames = [frame for frame in line.frames if frame.channel == channel]
    if len(frames) < 2:
        raise NotTested(f"only {len(frames)} messages of {channel} came")
    before = None
    for frame in frames:
        expect_shape(frame.item, {"sequence": "integer"})
        now = frame.item.integer("sequence")
        expect(before is None or now > before, f"a sequence above {before}", now, frame)
        before = now
    return f"{len(frames)} messages"


@rule("executions.new_order", "4.1", "DOC", lane="account")
async def executions_new_order(subject: Subject) -> str | None:
    """A new order is told twice: `pending_new` with all its fields, then `new`."""
    desk = subject.desk
    order_id = await desk.rest()
    reports = await desk.reports(order_id, "new")
    await desk.cancel(order_id)
    expect(_types(reports)[:2] == ["pending_new", "new"], "pending_new, new", ", ".join(_types(reports)) or "nothing")
    shape = {
        "symbol": "text",
        "side": "buy|",
        "order_type": "limit|",
        "order_qty": "number",
        "limit_price": "number",
        "order_status": "pending_new|",
        "time_in_force": "GTC|",
        "timestamp": "time",
        "cl_ord_id": "text",
    }
    expect_shape(reports[0], shape)
    return None


@rule("executions.canceled", "4.1", "DOC", "SDK", lane="account")
async def executions_canceled(subject: Subject) -> str | None:
    """A cancelled order is told as `canceled`, with the reason `User requested`."""
    desk = subject.desk
    order_id = await desk.rest()
    await desk.cancel(order_id)
    report = (await desk.reports(order_id, "canceled"))[-1]
    expect(report.get("exec_type") == "canceled", "exec_type canceled", in_words(report.get("exec_type")), report.frame)
    expect_shape(report, {"order_status": "canceled|", "reason": "User requested|", "timestamp": "time"})
    return None


@rule("executions.lifecycle", "4.1", "DOC", lane="account")
async def executions_lifecycle(subject: Subject) -> str | None:
    """A filled order is told as `pending_new`, `new`, one `trade` for each fill, and `filled` at the end."""
    types = _types((await subject.desk.filled()).reports)
    trades = len(types) - 3
    wanted = ["pending_new", "new", *["trade"] * trades, "filled"]
    expect(trades >= 1 and types == wanted, "pending_new, new, trade…, filled", ", ".join(types))
    return f"{trades} fill(s)"


@rule("executions.trade_fields", "4.1", "DOC", lane="account")
async def executions_trade_fields(subject: Subject) -> str | None:
    """A `trade` has ids, quantity, price, cost, fees by asset, and whether it was maker or taker."""
    fill = await subject.desk.filled()
    trades = [report for report in fill.reports if report.get("exec_type") == "trade"]
    for trade in trades:
        expect_shape(trade, TRADE)
        for fee in trade.items("fees"):
            expect_shape(fee, {"asset": "text", "qty": "number"})
        expect(
            trade.get("liquidity_ind") == "t",
            "t, for a market order",
            in_words(trade.get("liquidity_ind")),
            trade.frame,
        )
    return f"{len(trades)} fill(s)"


@rule("executions.cumulates", "4.1", "DOC", lane="account")
async def executions_cumulates(subject: Subject) -> str | None:
    """`cum_qty` and `cum_cost` are the sums of `last_qty` and `cost`, and end at the order's quantity."""
    fill = await subject.desk.filled()
    qty = cost = Decimal(0)
    for trade in (report for report in fill.reports if report.get("exec_type") == "trade"):
        qty += trade.number("last_qty")
        cost += trade.number("cost")
        expect(trade.number("cum_qty") == qty, f"cum_qty {qty}", trade.number("cum_qty"), trade.frame)
        expect(trade.number("cum_cost") == cost, f"cum_cost {cost}", trade.number("cum_cost"), trade.frame)
    expect(qty == fill.qty, f"{fill.qty} in all", qty)
    return None


@rule("executions.sparse_merge", "4.1", "DOC", lane="account")
async def executions_sparse_merge(subject: Subject) -> str | None:
    """Reports merged by `order_id` give the whole order: symbol, side, type, quantity, status, what was filled."""
    fill = await subject.desk.filled()
    merged: dict[str, object] = {}
    for report in fill.reports:
        merged |= report.fields
    item = Item(merged, fill.reports[-1].frame)
    shape = {
        "order_id": "text",
        "symbol": "text",
        "side": "buy|",
        "order_type": "market|",
        "order_qty": "number",
        "order_status": "filled|",
        "cum_qty": "number",
        "cum_cost": "number",
        "avg_price": "number",
    }
    expect_shape(item, shape)
    return f"{len(merged)} fields of {len(fill.reports)} reports"


@rule("executions.order_status_false", "4.1", "DOC", lane="account")
async def executions_order_status_false(subject: Subject) -> str | None:
    """With `order_status` false only new, filled, canceled and expired are told, and fills."""
    token = await subject.token()
    async with subject.line("auth") as line:
        await line.subscribed("executions", token=token, order_status=False, snap_orders=False)
        since = len(line.frames)
        order_id = await subject.desk.rest()
        await subject.desk.cancel(order_id)
        await line.wait(lambda frame: any(item.get("exec_type") in ENDED for item in frame.data), since=since)
        reports = [item for frame in line.frames[since:] for item in frame.data if item.get("order_id") == order_id]
    if not reports:
        broken("reports of an order placed meanwhile", "none")
    for report in reports:
        kind = str(report.get("exec_type"))
        expect(kind in (*TRANSITIONS, "trade"), f"only {', '.join(TRANSITIONS)}", kind, report.frame)
    return None


@rule("executions.unsubscribe", "4.1", "DOC", lane="account")
async def executions_unsubscribe(subject: Subject) -> str | None:
    """An unsubscribe is answered with the channel in `result`."""
    token = await subject.token()
    async with subject.line("auth") as line:
        await line.subscribed("executions", token=token)
        ack = await line.answer("unsubscribe", {"channel": "executions", "token": token})
        expect(ack.is_success, "success", ack.said, ack)
        expect(ack.result.get("channel") == "executions", "`channel` executions", in_words(ack.result.fields), ack)
    return None
