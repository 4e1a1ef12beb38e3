"""PROTOCOL 2.3: what every data frame is."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Number, in_words, parse_time

__all__ = [
    "frames_channel_or_method",
    "frames_data",
    "frames_one_element",
    "frames_sequence",
    "frames_symbol",
    "numbers_are_numbers",
    "numbers_padded",
    "timestamps_rfc3339",
]

NUMBERS = {
    "book": (),
    "ticker": ("bid", "bid_qty", "ask", "ask_qty", "last", "volume", "vwap", "low", "high", "change", "change_pct"),
    "trade": ("price", "qty"),
    "ohlc": ("open", "high", "low", "close", "vwap", "volume"),
}


async def _data(subject: Subject) -> list[Frame]:
    """Every data frame of the channels that are watched."""
    frames = [frame for frame in await subject.watch.everything() if frame.channel in NUMBERS]
    if not frames:
        raise NotTested(f"no data came in {subject.target.seconds:g} s")
    return frames


@rule("frames.channel_or_method", "2.2", "DOC", "WIRE", lane="watch")
async def frames_channel_or_method(subject: Subject) -> str | None:
    """Every message is a JSON object with `channel` (data) or `method` (an answer), never both."""
    frames = await subject.watch.everything()
    for frame in frames:
        expect(isinstance(frame.message, dict), "a JSON object", "something else", frame)
        expect(
            ("channel" in frame.fields) != ("method" in frame.fields),
            "either `channel` or `method`",
            "both" if "channel" in frame.fields else "neither",
            frame,
        )
    return f"{len(frames)} messages"


@rule("frames.data", "2.3", "DOC", "WIRE", lane="watch")
async def frames_data(subject: Subject) -> str | None:
    """Data has `type` snapshot or update, and a `data` array of objects."""
    frames = await _data(subject)
    for frame in frames:
        expect(frame.kind in ("snapshot", "update"), "`type` snapshot or update", in_words(frame.kind), frame)
        data = frame.fields.get("data")
        expect(
            isinstance(data, list) and all(isinstance(each, dict) for each in data),
            "`data` to be an array of objects",
            in_words(data),
            frame,
        )
    return f"{len(frames)} messages"


@rule("frames.one_element", "2.3", "DOC", lane="watch")
async def frames_one_element(subject: Subject) -> str | None:
    """`data` of book and ticker holds exactly one element."""
    frames = [frame for frame in await _data(subject) if frame.channel in ("book", "ticker")]
    for frame in frames:
        expect(len(frame.data) == 1, "one element in `data`", len(frame.data), frame)
    return f"{len(frames)} messages"


@rule("frames.symbol", "2.4", "DOC", lane="watch")
async def frames_symbol(subject: Subject) -> str | None:
    """Data comes of the symbols that were subscribed, and of no other."""
    frames = await _data(subject)
    for frame in frames:
        for item in frame.data:
            expect(item.get("symbol") == subject.symbol, subject.symbol, in_words(item.get("symbol")), frame)
    return f"{len(frames)} messages"


@rule("frames.sequence", "2.3", "DOC", lane="watch")
async def frames_sequence(subject: Subject) -> str | None:
    """Public channels have no `sequence`; that is for executions and balances."""
    frames = await _data(subject)
    for frame in frames:
        expect("sequence" not in frame.fields, "no `sequence`", in_words(frame.fields.get("sequence")), frame)
    return f"{len(frames)} messages"


@rule("numbers.are_numbers", "2.3", "DOC", "WIRE", lane="watch")
async def numbers_are_numbers(subject: Subject) -> str | None:
    """Prices and quantities are JSON numbers, not strings."""
    count = 0
    for frame in await _data(subject):
        for item in frame.data:
            for name in NUMBERS[frame.channel or ""]:
                if name in item:
                    count += 1
                    value = item.get(name)
                    expect(isinstance(value, Number), f"`{name}` to be a JSON number", in_words(value), frame)
            for side in ("bids", "asks") if frame.channel == "book" else ():
                for level in item.items(side):
                    count += 2
                    for name in ("price", "qty"):
                        value = level.get(name)
                        expect(isinstance(value, Number), f"`{name}` to be a JSON number", in_words(value), frame)
    return f"{count} numbers"


@rule("numbers.padded", "6.1", "DOC", "WIRE", lane="watch")
async def numbers_padded(subject: Subject) -> str | None:
    """Prices and quantities of the book are written with all decimals of the pair's precision."""
    pair = await subject.pair()
    decimals = {"price": pair.integer("price_precision"), "qty": pair.integer("qty_precision")}
    count = 0
    for name in ("book 10", "book 100"):
        for frame in await subject.watch.frames(name):
            for level in (level for item in frame.data for side in ("bids", "asks") for level in item.items(side)):
                for field, wanted in decimals.items():
                    count += 1
                    text = level.token(field)
                    found = len(text.partition(".")[2])
                    if found != wanted or "e" in text.lower():
                        broken(f"{wanted} decimals in `{field}`", text, frame)
    return f"{count} numbers"


@rule("timestamps.rfc3339", "2.3", "DOC", "WIRE", lane="watch")
async def timestamps_rfc3339(subject: Subject) -> str | None:
    """Times are RFC 3339 in UTC: microseconds in book, ticker and trade, nanoseconds at the top level of ohlc."""
    count = 0
    for frame in await _data(subject):
        found = [(item.get("timestamp"), 6) for item in frame.data if "timestamp" in item]
        if frame.channel == "ohlc" and "timestamp" in frame.fields:
            found.append((frame.fields["timestamp"], 9))
        for text, digits in found:
            count += 1
            parsed = parse_time(text) if type(text) is str else None
            expect(
                parsed is not None and parsed[1] == digits,
                f"a time in UTC with {digits} digits of the second's fraction",
                in_words(text),
                frame,
            )
    return f"{count} times"
