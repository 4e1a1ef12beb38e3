"""PROTOCOL 2.4: what identifies a subscription, and how it ends."""

from __future__ import annotations

from collections.abc import Callable

from krakenwire.conform.line import Line
from krakenwire.conform.rule import rule
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, in_words

__all__ = [
    "subscribe_already",
    "subscribe_intervals",
    "subscribe_one_depth",
    "subscribe_snapshot",
    "subscribe_snapshot_false",
    "unsubscribe_acked",
    "unsubscribe_echoes_depth",
    "unsubscribe_instrument",
    "unsubscribe_new_snapshot",
    "unsubscribe_stops",
]

QUIET_S = 0.6


@rule("subscribe.already", "2.4", "WIRE", "SDK", lane="requests")
async def subscribe_already(subject: Subject) -> str | None:
    """A second subscribe of the same is refused with `Already subscribed`."""
    async with subject.line() as line:
        await line.subscribed("trade", subject.symbol)
        again = await line.answer("subscribe", {"channel": "trade", "symbol": [subject.symbol]}, req_id=2402)
        expect(again.error == "Already subscribed", "the error `Already subscribed`", again.said, again)
    return None


@rule("subscribe.one_depth", "2.4", "SDK", "WIRE", lane="requests")
async def subscribe_one_depth(subject: Subject) -> str | None:
    """A second depth of one symbol's book is refused on the same connection with `Already subscribed`."""
    async with subject.line() as line:
        await line.subscribed("book", subject.symbol, depth=10)
        params: dict[str, object] = {"channel": "book", "symbol": [subject.symbol], "depth": 100}
        again = await line.answer("subscribe", params, req_id=2403)
        expect(again.error == "Already subscribed", "the error `Already subscribed`", again.said, again)
    return None


@rule("subscribe.intervals", "2.4", "SDK", lane="requests")
async def subscribe_intervals(subject: Subject) -> str | None:
    """Candles of two intervals of one symbol are two subscriptions."""
    async with subject.line() as line:
        await line.subscribed("ohlc", subject.symbol, interval=1)
        params: dict[str, object] = {"channel": "ohlc", "symbol": [subject.symbol], "interval": 5}
        second = await line.answer("subscribe", params, req_id=2405)
        expect(second.is_success, "success", second.said, second)
    return None


@rule("subscribe.snapshot", "2.4", "DOC", "WIRE", lane="requests")
async def subscribe_snapshot(subject: Subject) -> str | None:
    """Book, ticker, ohlc and instrument send a snapshot unless it is declined."""
    async with subject.line() as line:
        for channel in ("book", "ticker", "ohlc", "instrument"):
            since = len(line.frames)
            await line.subscribed(channel, None if channel == "instrument" else subject.symbol)
            first = await line.wait(_of(channel), since=since)
            expect(first is not None, f"a snapshot of {channel}", f"no frame of it within {line.patience:g} s")
            expect(
                first is not None and first.kind == "snapshot",
                f"a snapshot of {channel} first",
                "another type",
                first or "",
            )
    return None


@rule("subscribe.snapshot_false", "2.4", "DOC", lane="requests")
async def subscribe_snapshot_false(subject: Subject) -> str | None:
    """With `snapshot` false no snapshot is sent."""
    async with subject.line() as line:
        since = len(line.frames)
        for channel in ("book", "ticker", "ohlc"):
            await line.subscribed(channel, subject.symbol, snapshot=False)
        await line.is_alive()
        found = await line.wait(lambda frame: frame.kind == "snapshot", since=since, within=QUIET_S)
        if found is not None:
            broken("updates only", "a snapshot", found)
    return None


@rule("unsubscribe.acked", "2.4", "DOC", "WIRE", lane="requests")
async def unsubscribe_acked(subject: Subject) -> str | None:
    """An unsubscribe is answered per symbol, with `success` true and the channel and symbol in `result`."""
    async with subject.line() as line:
        await line.subscribed("trade", subject.symbol)
        ack = await line.answer("unsubscribe", {"channel": "trade", "symbol": [subject.symbol]})
        expect(ack.is_success and ack.item.get("method") == "unsubscribe", "success", ack.said, ack)
        expect(ack.result.get("channel") == "trade", "`channel` trade", in_words(ack.result.get("channel")), ack)
        expect(ack.result.get("symbol") == subject.symbol, subject.symbol, in_words(ack.result.get("symbol")), ack)
    return None


@rule("unsubscribe.instrument", "3.9", "DOC", lane="requests")
async def unsubscribe_instrument(subject: Subject) -> str | None:
    """An unsubscribe of `instrument` is answered with the channel alone in `result`."""
    async with subject.line() as line:
        await line.subscribed("instrument", snapshot=False)
        ack = await line.answer("unsubscribe", {"channel": "instrument"})
        expect(ack.is_success, "success", ack.said, ack)
        expect(ack.result.fields == {"channel": "instrument"}, "the channel alone", in_words(ack.result.fields), ack)
    return None


@rule("unsubscribe.echoes_depth", "2.4", "SDK", lane="requests")
async def unsubscribe_echoes_depth(subject: Subject) -> str | None:
    """A depth or an interval that is not the default has to be repeated to unsubscribe, and is acknowledged."""
    async with subject.line() as line:
        await line.subscribed("book", subject.symbol, depth=25)
        params: dict[str, object] = {"channel": "book", "symbol": [subject.symbol]}
        without = await line.answer("unsubscribe", params)
        expect(not without.is_success, "a refusal without the depth", "success", without)
        ack = await line.answer("unsubscribe", params | {"depth": 25})
        expect(ack.is_success, "success with the depth", ack.said, ack)
        expect(str(ack.result.get("depth")) == "25", "`depth` 25", in_words(ack.result.get("depth")), ack)
    return None


@rule("unsubscribe.stops", "2.4", "DOC", "WIRE", lane="requests")
async def unsubscribe_stops(subject: Subject) -> str | None:
    """Once an unsubscribe is acknowledged, nothing of it comes any more."""
    async with subject.line() as line:
        ack = await _unsubscribed_book(subject.symbol, line)
        late = await line.wait(_of("book"), since=line.frames.index(ack), within=QUIET_S)
        if late is not None:
            broken("no book frame after the answer", "one", late)
    return None


@rule("unsubscribe.new_snapshot", "2.4", "DOC", "WIRE", lane="requests")
async def unsubscribe_new_snapshot(subject: Subject) -> str | None:
    """To unsubscribe and subscribe again brings a new snapshot."""
    symbol = await subject.other_symbol()
    async with subject.line() as line:
        ack = await _unsubscribed_book(symbol, line)
        await line.subscribed("book", symbol)
        first = await line.wait(
            lambda frame: frame.channel == "book" and frame.kind == "snapshot", since=line.frames.index(ack)
        )
        expect(first is not None, "a snapshot", f"none within {line.patience:g} s")
    return None


async def _unsubscribed_book(symbol: str, line: Line) -> Frame:
    """Subscribe the book, see that it flows, and unsubscribe it; the answer to that."""
    since = len(line.frames)
    await line.subscribed("book", symbol)
    if await line.wait(_of("book"), since=since) is None:
        raise NotTested("needs a frame of the book, which did not come")
    ack = await line.answer("unsubscribe", {"channel": "book", "symbol": [symbol], "depth": 10})
    if not ack.is_success:
        raise NotTested(f"needs an unsubscribe, which was refused: {ack.said}")
    return ack


def _of(channel: str) -> Callable[[Frame], bool]:
    return lambda frame: frame.channel == channel
