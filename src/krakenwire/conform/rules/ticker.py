"""PROTOCOL 3.4: the ticker."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Item

__all__ = ["ticker_bid_below_ask", "ticker_complete", "ticker_fields", "ticker_trigger_bbo", "ticker_trigger_trades"]

NUMBERS = ("bid", "bid_qty", "ask", "ask_qty", "last", "volume", "vwap", "low", "high", "change", "change_pct")
FEEDS = ("ticker bbo", "ticker trades")


async def _items(subject: Subject, feed: str, *, enough: int | None = None) -> list[tuple[Frame, Item]]:
    frames = await subject.watch.frames(feed, enough=enough)
    return [(frame, item) for frame in frames for item in frame.data]


@rule("ticker.fields", "3.4", "DOC", lane="watch")
async def ticker_fields(subject: Subject) -> str | None:
    """The snapshot has symbol, bid, bid_qty, ask, ask_qty, last, volume, vwap, low, high, change and change_pct."""
    items = [found for found in await _items(subject, "ticker bbo", enough=1) if found[0].kind == "snapshot"]
    if not items:
        raise NotTested("needs the ticker's snapshot, which did not come")
    for _, item in items:
        expect_shape(item, {"symbol": "text"} | dict.fromkeys(NUMBERS, "number") | {"timestamp?": "text"})
    return None


@rule("ticker.complete", "3.4", "DOC", lane="watch")
async def ticker_complete(subject: Subject) -> str | None:
    """An update has the same fields as the snapshot, all of them."""
    count = 0
    for feed in FEEDS:
        items = await _items(subject, feed)
        names = set(items[0][1])
        for frame, item in items[1:]:
            count += 1
            missing = names - set(item)
            expect(not missing, "the same fields as before", f"none of {', '.join(sorted(missing))}", frame)
    if not count:
        raise NotTested(f"no update of the ticker came in {subject.target.seconds:g} s")
    return f"{count} updates"


@rule("ticker.trigger_bbo", "3.4", "DOC", lane="watch")
async def ticker_trigger_bbo(subject: Subject) -> str | None:
    """With the trigger `bbo` an update comes when the best bid or offer has changed, and only then."""
    return await _changes(subject, "ticker bbo", ("bid", "bid_qty", "ask", "ask_qty"))


@rule("ticker.trigger_trades", "3.4", "DOC", lane="watch")
async def ticker_trigger_trades(subject: Subject) -> str | None:
    """With the trigger `trades` an update comes when there was a trade, and only then."""
    return await _changes(subject, "ticker trades", ("last", "volume", "vwap"))


@rule("ticker.bid_below_ask", "3.4", "DOC", lane="watch")
async def ticker_bid_below_ask(subject: Subject) -> str | None:
    """The best bid is below the best offer, and the day's low not above its high."""
    items = await _items(subject, "ticker bbo")
    for frame, item in items:
        bid, ask = item.number("bid"), item.number("ask")
        expect(bid < ask, "bid < ask", f"{bid} and {ask}", frame)
        low, high = item.number("low"), item.number("high")
        expect(low <= high, "low <= high", f"{low} and {high}", frame)
    return f"{len(items)} messages"


async def _changes(subject: Subject, feed: str, names: tuple[str, ...]) -> str:
    """See that each update differs from the message before it in one of these fields."""
    items = await _items(subject, feed)
    before: list[str] | None = None
    count = 0
    for frame, item in items:
        now = [item.token(name) for name in names]
        if frame.kind == "update":
            count += 1
            if now == before:
                broken(f"another {', '.join(names[:-1])} or {names[-1]} than before", "the same", frame)
        before = [*now]
    if not count:
        raise NotTested(f"no update of the ticker came in {subject.target.seconds:g} s")
    return f"{count} updates"
