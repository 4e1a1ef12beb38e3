"""PROTOCOL 3.8: candles."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Number, in_words, parse_time

__all__ = [
    "ohlc_ack",
    "ohlc_aligned",
    "ohlc_end",
    "ohlc_fields",
    "ohlc_intervals",
    "ohlc_range",
    "ohlc_top_timestamp",
]

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
MINUTE_NS = 60 * 1_000_000_000


async def _snapshot(subject: Subject, interval: int) -> Frame:
    """The snapshot of candles of one length, on the shared connection."""
    async with subject.line() as line:
        since = len(line.frames)
        await line.subscribed("ohlc", subject.symbol, interval=interval)
        snapshot = await line.wait(lambda frame: frame.channel == "ohlc" and frame.kind == "snapshot", since=since)
    if snapshot is None or not snapshot.data:
        raise NotTested(f"needs a snapshot of candles of {interval} min, which did not come")
    return snapshot


@rule("ohlc.ack", "3.8", "DOC", lane="requests")
async def ohlc_ack(subject: Subject) -> str | None:
    """The answer to a subscribe repeats the interval and warns that `timestamp` is deprecated."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "ohlc", "symbol": [subject.symbol], "interval": 5})
        expect(ack.is_success, "success", ack.said, ack)
        expect(ack.result.get("interval") == Number("5"), "`interval` 5", in_words(ack.result.get("interval")), ack)
        warnings = ack.result.get("warnings")
        expected = "timestamp is deprecated, use interval_begin"
        is_there = isinstance(warnings, list) and expected in warnings
        expect(is_there, f"the warning `{expected}`", in_words(warnings), ack)
    return None


@rule("ohlc.intervals", "3.8", "DOC", lane="requests")
async def ohlc_intervals(subject: Subject) -> str | None:
    """Candles of 1, 5, 15, 30, 60, 240, 1440, 10080 and 21600 minutes can be subscribed."""
    async with subject.line() as line:
        for interval in INTERVALS:
            ack = await line.answer(
                "subscribe", {"channel": "ohlc", "symbol": [subject.symbol], "interval": interval, "snapshot": False}
            )
            expect(ack.is_success, f"interval {interval} to be subscribed", ack.said, ack)
    return None


@rule("ohlc.aligned", "3.8", "DOC", lane="requests")
async def ohlc_aligned(subject: Subject) -> str | None:
    """`interval_begin` is a multiple of the interval, and `interval` is the one subscribed."""
    count = 0
    for interval in (5, 60):
        snapshot = await _snapshot(subject, interval)
        for item in snapshot.data:
            count += 1
            expect(str(item.get("interval")) == str(interval), f"`interval` {interval}", item.get("interval"), snapshot)
            begin = item.time_ns("interval_begin")
            expect(
                begin % (interval * MINUTE_NS) == 0,
                f"a multiple of {interval} min",
                item.text("interval_begin"),
                snapshot,
            )
    return f"{count} candles"


@rule("ohlc.fields", "3.8", "DOC", lane="watch")
async def ohlc_fields(subject: Subject) -> str | None:
    """A candle has symbol, open, high, low, close, trades, volume, vwap, interval_begin (in ns) and interval."""
    frames = await subject.watch.frames("ohlc")
    shape = {"symbol": "text", "interval_begin": "time", "interval": "integer", "trades": "integer"} | dict.fromkeys(
        ("open", "high", "low", "close", "volume", "vwap"), "number"
    )
    for frame in frames:
        for item in frame.data:
            expect_shape(item, shape)
            parsed = parse_time(item.text("interval_begin"))
            expect(parsed is not None and parsed[1] == 9, "nanoseconds", item.text("interval_begin"), frame)
    return f"{len(frames)} messages"


@rule("ohlc.range", "3.8", "DOC", lane="watch")
async def ohlc_range(subject: Subject) -> str | None:
    """Open, close and vwap of a candle with trades lie between its low and its high."""
    frames = await subject.watch.frames("ohlc")
    for frame in frames:
        for item in frame.data:
            low, high = item.number("low"), item.number("high")
            for name in ("open", "close") + (("vwap",) if item.number("trades") else ()):
                value = item.number(name)
                expect(low <= value <= high, f"`{name}` in {low} to {high}", value, frame)
    return f"{len(frames)} messages"


@rule("ohlc.end", "3.8", "DOC", lane="watch")
async def ohlc_end(subject: Subject) -> str | None:
    """The deprecated `timestamp` of a candle is its end: its beginning and the interval."""
    frames = await subject.watch.frames("ohlc", enough=1)
    for frame in frames:
        for item in frame.data:
            if "timestamp" in item:
                length = item.integer("interval") * MINUTE_NS
                difference = item.time_ns("timestamp") - item.time_ns("interval_begin")
                if difference != length:
                    broken(f"the end, {length // MINUTE_NS} min after the beginning", item.text("timestamp"), frame)
    return f"{len(frames)} messages"


@rule("ohlc.top_timestamp", "2.3", "DOC", lane="watch")
async def ohlc_top_timestamp(subject: Subject) -> str | None:
    """Messages of candles have a `timestamp` at the top level."""
    frames = await subject.watch.frames("ohlc")
    for frame in frames:
        text = frame.fields.get("timestamp")
        expect(type(text) is str, "a `timestamp` beside `data`", "none", frame)
    return f"{len(frames)} messages"
