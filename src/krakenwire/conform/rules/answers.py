"""PROTOCOL 2.1, 2.2: what an answer looks like."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Number, in_words, parse_time

__all__ = [
    "ack_echoes_req_id",
    "ack_no_req_id",
    "ack_once",
    "ack_per_symbol",
    "ack_shape",
    "ack_times",
    "refusal_keeps_open",
    "refusal_shape",
    "req_id_integer",
]

LARGE = 2**53 + 1
"""An integer that a decoder of floats gives back changed."""


@rule("ack.shape", "2.2", "DOC", "WIRE", lane="requests")
async def ack_shape(subject: Subject) -> str | None:
    """The answer to a subscribe has `method`, `success` true, a `result` object with the channel and the symbol."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "trade", "symbol": [subject.symbol]})
        expect_shape(ack.item, {"method": "subscribe|", "success": "bool", "result": "object"})
        expect(ack.is_success, "`success` true", ack.error or "false", ack)
        expect_shape(ack.result, {"channel": "trade|", "symbol": f"{subject.symbol}|"})
    return None


@rule("ack.times", "2.2", "DOC", "WIRE", lane="requests")
async def ack_times(subject: Subject) -> str | None:
    """An answer has `time_in` and `time_out`, RFC 3339 with microseconds, the latter not before the former."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "trade", "symbol": [subject.symbol]})
        expect_shape(ack.item, {"time_in": "time", "time_out": "time"})
        for name in ("time_in", "time_out"):
            parsed = parse_time(ack.item.text(name))
            expect(parsed is not None and parsed[1] == 6, f"microseconds in `{name}`", ack.item.text(name), ack)
        expect(ack.item.time_ns("time_in") <= ack.item.time_ns("time_out"), "time_in <= time_out", "later", ack)
    return None


@rule("ack.echoes_req_id", "2.2", "DOC", "WIRE", lane="requests")
async def ack_echoes_req_id(subject: Subject) -> str | None:
    """An answer carries the `req_id` of its request, success and failure alike."""
    async with subject.line() as line:
        for symbol in (subject.symbol, "NOT/LISTED"):
            answer = await line.answer("subscribe", {"channel": "trade", "symbol": [symbol]}, req_id=4711)
            expect(
                answer.item.get("req_id") == Number("4711"), "`req_id` 4711", _shown(answer.item.get("req_id")), answer
            )
    return None


@rule("ack.no_req_id", "2.2", "DOC", "WIRE", lane="requests")
async def ack_no_req_id(subject: Subject) -> str | None:
    """The answer to a request without `req_id` has none."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "trade", "symbol": [subject.symbol]}, req_id=None)
        expect("req_id" not in ack.item, "no `req_id`", _shown(ack.item.get("req_id")), ack)
    return None


@rule("req_id.integer", "2.1", "DOC", "SDK", lane="requests")
async def req_id_integer(subject: Subject) -> str | None:
    """A `req_id` above 2^53 comes back as the same JSON integer, digit by digit."""
    async with subject.line() as line:
        pong = await line.answer("ping", req_id=LARGE)
        expect(pong.item.get("req_id") == Number(LARGE), f"`req_id` {LARGE}", _shown(pong.item.get("req_id")), pong)
        expect(isinstance(pong.item.get("req_id"), Number), "a JSON number", "a string", pong)
    return None


@rule("ack.per_symbol", "2.4", "DOC", "WIRE", lane="requests")
async def ack_per_symbol(subject: Subject) -> str | None:
    """A subscribe of several symbols gets one answer and one snapshot for each, all with its `req_id`."""
    symbols = [subject.symbol, await subject.other_symbol()]
    async with subject.line() as line:
        since = len(line.frames)
        params = {"channel": "ticker", "symbol": symbols}
        acks = await line.ask("subscribe", params, answers=2, req_id=2201)
        expect(len(acks) == 2, "two answers", f"{len(acks)} within {line.patience:g} s")
        acked = {str(ack.result.get("symbol")) for ack in acks if ack.item.get("req_id") == Number("2201")}
        expect(acked == set(symbols), f"answers for {' and '.join(symbols)}", in_words(sorted(acked)), acks[0])
        for symbol in symbols:
            snapshot = await line.wait(
                lambda frame, symbol=symbol: (
                    frame.kind == "snapshot"  # type: ignore[misc]  # the default binds it
                    and any(item.get("symbol") == symbol for item in frame.data)
                ),
                since=since,
            )
            expect(snapshot is not None, f"a snapshot of {symbol}", f"none within {line.patience:g} s")
    return None


@rule("ack.once", "2.2", "DOC", lane="requests")
async def ack_once(subject: Subject) -> str | None:
    """A request about one symbol gets exactly one answer."""
    async with subject.line() as line:
        since = len(line.frames)
        await line.answer("subscribe", {"channel": "trade", "symbol": [subject.symbol]}, req_id=5101)
        await line.ask("ping", req_id=5102)
        pong = await line.wait(lambda frame: frame.item.get("req_id") == Number("5102"), since=since)
        if pong is None:
            raise NotTested("needs the answer to a ping")
        answers = [frame for frame in line.frames[since : line.frames.index(pong, since)] if frame.is_answer]
        expect(len(answers) == 1, "one answer", len(answers), answers[-1] if answers else "")
    return None


@rule("refusal.shape", "2.2", "WIRE", "SDK", lane="requests")
async def refusal_shape(subject: Subject) -> str | None:
    """A refusal has `success` false, `error` as one string (not an array), and no `result`."""
    async with subject.line() as line:
        refusal = await line.answer("subscribe", {"channel": "book", "symbol": ["NOT/LISTED"]})
        expect_shape(refusal.item, {"method": "subscribe|", "success": "bool", "error": "text"})
        expect(refusal.item.get("success") is False, "`success` false", "true", refusal)
        expect("result" not in refusal.item, "no `result`", in_words(refusal.item.get("result")), refusal)
    return None


@rule("refusal.keeps_open", "2.2", "WIRE", lane="requests")
async def refusal_keeps_open(subject: Subject) -> str | None:
    """A refused subscribe leaves the connection open."""
    async with subject.line() as line:
        await line.answer("subscribe", {"channel": "book", "symbol": ["NOT/LISTED"]})
        if not await line.ask("ping", req_id=7301):
            broken("an answer to a ping after it", "none" if line.closed is None else "the end of the connection")
    return None


def _shown(value: object) -> str:
    return "none" if value is None else in_words(value)
