"""PROTOCOL 3.5, 6.1: the book of level 2 and its checksum."""

from __future__ import annotations

from krakenwire.conform.plainbook import SIDES, Applied, PlainBook
from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Item, parse_time

__all__ = [
    "book_ack",
    "book_checksum",
    "book_default_depth",
    "book_depths",
    "book_fields",
    "book_snapshot_checksum",
    "book_snapshot_levels",
    "book_truncation",
    "book_update_timestamp",
    "book_update_within_depth",
]

DEPTHS = (10, 25, 100, 500, 1000)
WATCHED = {"book 10": 10, "book 100": 100}


def _elements(frames: list[Frame]) -> list[tuple[Frame, Item, bool]]:
    """(frame, element, is it a snapshot) from the first snapshot on."""
    found: list[tuple[Frame, Item, bool]] = []
    for frame in frames:
        is_snapshot = frame.kind == "snapshot"
        if is_snapshot or found:
            found += [(frame, item, is_snapshot) for item in frame.data]
    if not found:
        raise NotTested("needs a snapshot of the book, which did not come")
    return found


@rule("book.ack", "3.5", "DOC", "WIRE", lane="requests")
async def book_ack(subject: Subject) -> str | None:
    """The answer to a subscribe of the book repeats channel, depth, snapshot and symbol."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "book", "symbol": [subject.symbol], "depth": 25})
        expect(ack.is_success, "success", ack.said, ack)
        shape = {"channel": "book|", "depth": "25|", "snapshot": "bool", "symbol": f"{subject.symbol}|"}
        expect_shape(ack.result, shape)
    return None


@rule("book.default_depth", "3.5", "DOC", lane="requests")
async def book_default_depth(subject: Subject) -> str | None:
    """Without a depth, ten levels a side are sent."""
    symbol = await subject.other_symbol()
    async with subject.line() as line:
        since = len(line.frames)
        await line.subscribed("book", symbol)
        snapshot = await line.wait(lambda frame: frame.channel == "book" and frame.kind == "snapshot", since=since)
        if snapshot is None or not snapshot.data:
            raise NotTested("needs a snapshot of the book, which did not come")
        counts = [len(snapshot.data[0].items(side)) for side in SIDES]
        expect(max(counts) <= 10, "at most 10 levels a side", max(counts), snapshot)
        if max(counts) < 10:
            raise NotTested(f"the book of {symbol} has less than ten levels a side")
    return None


@rule("book.depths", "3.5", "DOC", "WIRE", lane="requests")
async def book_depths(subject: Subject) -> str | None:
    """The depths 10, 25, 100, 500 and 1000 can be subscribed, and a snapshot has at most as many levels a side."""
    counts: list[str] = []
    async with subject.line() as line:
        for depth in DEPTHS:
            since = len(line.frames)
            params: dict[str, object] = {"channel": "book", "symbol": [subject.symbol], "depth": depth}
            ack = await line.answer("subscribe", params)
            expect(ack.is_success, f"depth {depth} to be subscribed", ack.said, ack)
            snapshot = await line.wait(lambda frame: frame.channel == "book" and frame.kind == "snapshot", since=since)
            if snapshot is None or not snapshot.data:
                broken(f"a snapshot at depth {depth}", f"none within {line.patience:g} s")
            most = max(len(snapshot.data[0].items(side)) for side in SIDES)
            expect(most <= depth, f"at most {depth} levels a side", most, snapshot)
            counts.append(f"{most} at {depth}")
            await line.ask("unsubscribe", params)
    return f"levels: {', '.join(counts)}"


@rule("book.fields", "3.5", "DOC", "WIRE", lane="watch")
async def book_fields(subject: Subject) -> str | None:
    """A book has symbol, bids, asks and checksum (an integer of 32 bits), a level has price and qty."""
    frames = await subject.watch.frames("book 10")
    for frame in frames:
        for item in frame.data:
            expect_shape(item, {"symbol": "text", "checksum": "integer", "bids?": "list", "asks?": "list"})
            expect(0 <= item.integer("checksum") < 2**32, "32 bits without sign", item.get("checksum"), frame)
            for side in SIDES:
                for level in item.items(side):
                    expect("price" in level and "qty" in level, "price and qty", ", ".join(level), frame)
    return f"{len(frames)} messages"


@rule("book.snapshot_levels", "3.5", "DOC", "WIRE", lane="watch")
async def book_snapshot_levels(subject: Subject) -> str | None:
    """A snapshot has its levels best first, and none of quantity 0."""
    for name in WATCHED:
        for frame, item, is_snapshot in _elements(await subject.watch.frames(name)):
            if not is_snapshot:
                continue
            for side in SIDES:
                prices = [level.number("price") for level in item.items(side)]
                ordered = sorted(set(prices), reverse=side == "bids")
                expect(prices == ordered, f"{side} best first, each price once", "another order", frame)
                expect(
                    all(level.number("qty") > 0 for level in item.items(side)), "quantities above 0", "a zero", frame
                )
    return None


@rule("book.snapshot_checksum", "3.5", "DOC", "WIRE", lane="watch")
async def book_snapshot_checksum(subject: Subject) -> str | None:
    """A snapshot carries the checksum of its best ten levels a side."""
    for name, depth in WATCHED.items():
        for frame, item, is_snapshot in _elements(await subject.watch.frames(name)):
            if is_snapshot:
                book = PlainBook(depth)
                book.apply(item, is_snapshot=True)
                _expect_checksum(book, item, frame)
    return None


@rule("book.checksum", "6.1", "DOC", "WIRE", lane="watch")
async def book_checksum(subject: Subject) -> str | None:
    """After every update, applied in order and truncated to the depth, the best ten levels have the checksum sent."""
    count = 0
    for name, depth in WATCHED.items():
        await subject.watch.updates(name)
        book = PlainBook(depth)
        for frame, item, is_snapshot in _elements(await subject.watch.frames(name)):
            book.apply(item, is_snapshot=is_snapshot)
            if not is_snapshot:
                count += 1
                _expect_checksum(book, item, frame)
    return f"{count} messages at depths 10 and 100"


@rule("book.truncation", "3.5", "DOC", "WIRE", lane="watch")
async def book_truncation(subject: Subject) -> str | None:
    """No delete is sent for a level that was pushed out of the depth: what is deleted, a truncated book holds."""
    pushed_out = 0
    for name, depth in WATCHED.items():
        await subject.watch.updates(name)
        book = PlainBook(depth)
        for frame, item, is_snapshot in _elements(await subject.watch.frames(name)):
            applied: Applied = book.apply(item, is_snapshot=is_snapshot)
            if applied.strangers:
                broken("deletes of levels within the depth", f"one of {applied.strangers[0]}", frame)
        pushed_out += book.pushed_out
    if not pushed_out:
        raise NotTested(f"no level was pushed out of the depth in {subject.target.seconds:g} s")
    return f"{pushed_out} levels pushed out"


@rule("book.update_within_depth", "3.5", "DOC", "WIRE", lane="watch")
async def book_update_within_depth(subject: Subject) -> str | None:
    """An update names no level that the truncation to the depth takes away at once."""
    count = 0
    for name, depth in WATCHED.items():
        await subject.watch.updates(name)
        book = PlainBook(depth)
        for frame, item, is_snapshot in _elements(await subject.watch.frames(name)):
            applied = book.apply(item, is_snapshot=is_snapshot)
            count += 1
            if applied.beyond and not is_snapshot:
                broken(f"levels within the best {depth}", f"one of {applied.beyond[0]}", frame)
    return f"{count} messages"


@rule("book.update_timestamp", "3.5", "WIRE", "DOC", lane="watch")
async def book_update_timestamp(subject: Subject) -> str | None:
    """Every update has a timestamp."""
    frames = await subject.watch.updates("book 10")
    for frame in frames:
        for item in frame.data:
            text = item.get("timestamp")
            expect(
                type(text) is str and parse_time(text) is not None,
                "a timestamp",
                "none" if text is None else text,
                frame,
            )
    return f"{len(frames)} updates"


def _expect_checksum(book: PlainBook, item: Item, frame: Frame) -> None:
    computed = book.checksum()
    if computed != item.integer("checksum"):
        broken(f"the checksum of the book, {computed}", str(item.token("checksum")), frame)
