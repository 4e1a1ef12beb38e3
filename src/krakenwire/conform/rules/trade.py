"""PROTOCOL 3.7: trades."""

from __future__ import annotations

from itertools import pairwise

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Item

__all__ = ["trade_ack", "trade_fields", "trade_ids_step", "trade_no_snapshot_by_default", "trade_snapshot_50"]

QUIET_S = 0.6
MOST = 50


def _steps(items: list[tuple[Frame, Item]]) -> None:
    """See that each trade's number follows the one before it."""
    for (_, earlier), (frame, later) in pairwise(items):
        before, after = earlier.integer("trade_id"), later.integer("trade_id")
        expect(after == before + 1, f"trade_id {before + 1} after {before}", after, frame)


@rule("trade.ack", "3.7", "DOC", lane="requests")
async def trade_ack(subject: Subject) -> str | None:
    """The answer to a subscribe says `snapshot` false unless a snapshot was asked for."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "trade", "symbol": [subject.symbol]})
        expect(ack.is_success, "success", ack.said, ack)
        expect(ack.result.get("snapshot") is False, "`snapshot` false", str(ack.result.get("snapshot")), ack)
    return None


@rule("trade.no_snapshot_by_default", "2.4", "DOC", lane="requests")
async def trade_no_snapshot_by_default(subject: Subject) -> str | None:
    """Trades send no snapshot unless it is asked for."""
    async with subject.line() as line:
        since = len(line.frames)
        await line.subscribed("trade", subject.symbol)
        found = await line.wait(
            lambda frame: frame.channel == "trade" and frame.kind == "snapshot", since=since, within=QUIET_S
        )
        if found is not None:
            broken("updates only", "a snapshot", found)
    return None


@rule("trade.snapshot_50", "3.7", "DOC", lane="requests")
async def trade_snapshot_50(subject: Subject) -> str | None:
    """A snapshot that is asked for has up to 50 trades, oldest first."""
    async with subject.line() as line:
        since = len(line.frames)
        await line.subscribed("trade", subject.symbol, snapshot=True)
        snapshot = await line.wait(lambda frame: frame.channel == "trade", since=since)
        if snapshot is None:
            broken("a snapshot", f"none within {line.patience:g} s")
        expect(snapshot.kind == "snapshot", "a snapshot first", "an update", snapshot)
        items = snapshot.data
        expect(0 < len(items) <= MOST, f"1 to {MOST} trades", len(items), snapshot)
        _steps([(snapshot, item) for item in items])
    return f"{len(items)} trades"


@rule("trade.fields", "3.7", "DOC", lane="watch")
async def trade_fields(subject: Subject) -> str | None:
    """A trade has symbol, side (buy or sell), price, qty, ord_type (limit or market), trade_id and timestamp."""
    frames = await subject.watch.updates("trade")
    shape = {
        "symbol": "text",
        "side": "buy|sell",
        "price": "number",
        "qty": "number",
        "ord_type": "limit|market",
        "trade_id": "integer",
        "timestamp": "time",
    }
    count = 0
    for frame in frames:
        for item in frame.data:
            count += 1
            expect_shape(item, shape)
    return f"{count} trades"


@rule("trade.ids_step", "3.7", "DOC", lane="watch")
async def trade_ids_step(subject: Subject) -> str | None:
    """`trade_id` counts the trades of a book without a gap."""
    frames = await subject.watch.updates("trade")
    items = [(frame, item) for frame in frames for item in frame.data]
    if len(items) < 2:
        raise NotTested(f"only {len(items)} trade came in {subject.target.seconds:g} s")
    _steps(items)
    return f"{len(items)} trades"
