"""PROTOCOL 3.6, 6.2: the book of single orders."""

from __future__ import annotations

from krakenwire.conform.line import Line
from krakenwire.conform.plainbook import SIDES, PlainOrders
from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, parse_time

__all__ = [
    "level3_ack",
    "level3_checksum",
    "level3_depth_refused",
    "level3_depths",
    "level3_fields",
    "level3_needs_token",
    "level3_own_host",
    "level3_snapshot_levels",
    "level3_truncation",
    "level3_uncrossed",
    "level3_unsubscribe",
]

DEPTHS = (10, 100, 1000)
ORDER = {"order_id": "text", "limit_price": "number", "order_qty": "number", "timestamp": "time"}


async def _snapshot(subject: Subject, line: Line, depth: int) -> Frame:
    since = len(line.frames)
    await line.subscribed("level3", subject.symbol, depth=depth, token=await subject.token())
    found = await line.wait(lambda frame: frame.channel == "level3" and frame.kind == "snapshot", since=since)
    if found is None or not found.data:
        raise NotTested(f"needs a snapshot at depth {depth}, which did not come")
    return found


@rule("level3.needs_token", "3.6", "DOC", lane="level3")
async def level3_needs_token(subject: Subject) -> str | None:
    """A subscribe without a token is refused, and the connection stays open."""
    async with subject.line("l3") as line:
        answer = await line.answer("subscribe", {"channel": "level3", "symbol": [subject.symbol]})
        expect(not answer.is_success, "a refusal", "success", answer)
        expect(await line.is_alive(), "an open connection", "no answer to a ping")
    return f"it said {answer.said}"


@rule("level3.own_host", "1", "DOC", lane="level3")
async def level3_own_host(subject: Subject) -> str | None:
    """level3 is on a host of its own: the public one refuses it, even with a token."""
    token = await subject.token()
    async with subject.apart() as line:
        params = {"channel": "level3", "symbol": [subject.symbol], "token": token}
        answer = await line.answer("subscribe", params)
        expect(not answer.is_success, "a refusal", "success", answer)
    return f"it said {answer.said}"


@rule("level3.ack", "3.6", "DOC", lane="level3")
async def level3_ack(subject: Subject) -> str | None:
    """The answer to a subscribe repeats channel, depth, snapshot and symbol, and not the token."""
    token = await subject.token()
    async with subject.line("l3") as line:
        params = {"channel": "level3", "symbol": [subject.symbol], "depth": 100, "token": token}
        ack = await line.answer("subscribe", params)
        expect(ack.is_success, "success", ack.said, ack)
        shape = {"channel": "level3|", "depth": "100|", "snapshot": "bool", "symbol": f"{subject.symbol}|"}
        expect_shape(ack.result, shape)
        expect("token" not in ack.result, "no token", "one")
    return None


@rule("level3.depths", "3.6", "DOC", lane="level3")
async def level3_depths(subject: Subject) -> str | None:
    """The depths 10, 100 and 1000 can be subscribed, and count price levels, not orders."""
    counts: list[str] = []
    token = await subject.token()
    async with subject.line("l3") as line:
        for depth in DEPTHS:
            since = len(line.frames)
            params: dict[str, object] = {
                "channel": "level3",
                "symbol": [subject.symbol],
                "depth": depth,
                "token": token,
            }
            ack = await line.answer("subscribe", params)
            expect(ack.is_success, f"depth {depth} to be subscribed", ack.said, ack)
            snapshot = await line.wait(
                lambda frame: frame.channel == "level3" and frame.kind == "snapshot", since=since
            )
            if snapshot is None or not snapshot.data:
                broken(f"a snapshot at depth {depth}", f"none within {line.patience:g} s")
            for side in SIDES:
                orders = snapshot.data[0].items(side)
                levels = len({order.number("limit_price") for order in orders})
                expect(levels <= depth, f"at most {depth} price levels", levels, snapshot)
            counts.append(f"{len(snapshot.data[0].items('bids'))} bids at {depth}")
            await line.ask("unsubscribe", params)
    return f"orders: {', '.join(counts)}"


@rule("level3.depth_refused", "3.6", "DOC", lane="level3")
async def level3_depth_refused(subject: Subject) -> str | None:
    """Depths of the book that level3 does not have, 25 and 500, are refused."""
    token = await subject.token()
    async with subject.line("l3") as line:
        for depth in (25, 500):
            params = {"channel": "level3", "symbol": [subject.symbol], "depth": depth, "token": token}
            answer = await line.answer("subscribe", params)
            expect(not answer.is_success, f"a refusal of depth {depth}", "success", answer)
    return f"it said {answer.said}"


@rule("level3.unsubscribe", "3.6", "DOC", lane="level3")
async def level3_unsubscribe(subject: Subject) -> str | None:
    """An unsubscribe with symbol, depth and token is answered with channel and symbol."""
    token = await subject.token()
    async with subject.line("l3") as line:
        params = {"channel": "level3", "symbol": [subject.symbol], "depth": 100, "token": token}
        await line.subscribed("level3", subject.symbol, depth=100, token=token)
        ack = await line.answer("unsubscribe", params)
        expect(ack.is_success, "success", ack.said, ack)
        expect_shape(ack.result, {"channel": "level3|", "symbol": f"{subject.symbol}|"})
    return None


@rule("level3.snapshot_levels", "3.6", "DOC", lane="level3")
async def level3_snapshot_levels(subject: Subject) -> str | None:
    """A snapshot has its price levels best first, at each price the orders in arrival order, each order once."""
    async with subject.line("l3") as line:
        snapshot = await _snapshot(subject, line, 100)
    seen: set[str] = set()
    for side in SIDES:
        orders = snapshot.data[0].items(side)
        prices = [order.number("limit_price") for order in orders]
        expect(prices == sorted(prices, reverse=side == "bids"), f"{side} best first", "another order", snapshot)
        for order in orders:
            order_id = order.text("order_id")
            expect(order_id not in seen, f"{order_id} once", "a second time", snapshot)
            seen.add(order_id)
    return f"{len(seen)} orders"


@rule("level3.fields", "3.6", "DOC", lane="level3")
async def level3_fields(subject: Subject) -> str | None:
    """An order has order_id, limit_price, order_qty and a timestamp in ns; of an update also add, modify or delete."""
    count = 0
    for frame in await subject.level3_frames():
        for item in frame.data:
            expect_shape(item, {"symbol": "text", "checksum": "integer"})
            for order in (order for side in SIDES for order in item.items(side)):
                count += 1
                is_update = frame.kind == "update"
                expect_shape(order, ORDER | ({"event": "add|modify|delete"} if is_update else {}))
                parsed = parse_time(order.text("timestamp"))
                expect(parsed is not None and parsed[1] == 9, "nanoseconds", order.text("timestamp"), frame)
    return f"{count} orders"


@rule("level3.checksum", "6.2", "DOC", lane="level3")
async def level3_checksum(subject: Subject) -> str | None:
    """After every message the orders of the best ten price levels, in queue order, have the checksum sent."""
    count = 0
    book = PlainOrders(10)
    for frame in await subject.level3_frames():
        for item in frame.data:
            book.apply(item, is_snapshot=frame.kind == "snapshot")
            count += 1
            computed = book.checksum()
            expect(computed == item.integer("checksum"), f"{computed}", str(item.token("checksum")), frame)
    return f"{count} messages"


@rule("level3.truncation", "3.6", "DOC", lane="level3")
async def level3_truncation(subject: Subject) -> str | None:
    """No event is sent for an order beyond the depth: what is modified or deleted, a truncated book holds."""
    book = PlainOrders(10)
    count = 0
    for frame in await subject.level3_frames():
        for item in frame.data:
            applied = book.apply(item, is_snapshot=frame.kind == "snapshot")
            count += 1
            if applied.strangers:
                broken("events of orders within the depth", f"one of {applied.strangers[0]}", frame)
    return f"{count} messages"


@rule("level3.uncrossed", "3.6", "DOC", lane="level3")
async def level3_uncrossed(subject: Subject) -> str | None:
    """The book never crosses."""
    book = PlainOrders(10)
    count = 0
    for frame in await subject.level3_frames():
        for item in frame.data:
            book.apply(item, is_snapshot=frame.kind == "snapshot")
            count += 1
            bid, ask = book.best("bids"), book.best("asks")
            if bid is not None and ask is not None:
                expect(bid < ask, "the best bid below the best ask", f"{bid} and {ask}", frame)
    return f"{count} messages"
