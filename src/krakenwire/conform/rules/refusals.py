"""PROTOCOL 9.7 and the lines about refusals in 2, 3 and 10: what is refused, and in which words."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import expect
from krakenwire.conform.wire import Frame

__all__ = [
    "book_depth_integer",
    "book_depth_refused",
    "error_channel",
    "error_malformed",
    "error_not_iso",
    "error_status_subscribe",
    "error_symbol_array",
    "error_unknown_symbol",
    "error_unsupported_field",
    "error_v1_name",
    "ohlc_interval_integer",
    "ohlc_interval_refused",
]


async def _refused(subject: Subject, error: str, **params: object) -> Frame:
    """Subscribe what cannot be, and see that it is refused with `error`."""
    async with subject.line() as line:
        answer = await line.answer("subscribe", params)
        expect(not answer.is_success and answer.error == error, f"the error `{error}`", answer.said, answer)
        return answer


@rule("error.malformed", "9.7", "DOC", lane="requests")
async def error_malformed(subject: Subject) -> str | None:
    """A message that is not JSON is answered `Malformed request`, and the connection stays open."""
    async with subject.line() as line:
        since = len(line.frames)
        await line.send(b'{"method":"subscribe","params":')
        answer = await line.wait(lambda frame: frame.is_answer, since=since)
        expect(answer is not None, "the error `Malformed request`", f"no answer within {line.patience:g} s")
        if answer is not None:
            expect(answer.error == "Malformed request", "the error `Malformed request`", answer.said, answer)
        expect(await line.is_alive(), "an open connection", "no answer to a ping")
    return None


@rule("error.unknown_symbol", "2.2", "WIRE", "DOC", lane="requests")
async def error_unknown_symbol(subject: Subject) -> str | None:
    """A symbol that is not listed is refused with `Currency pair not supported <symbol>`."""
    await _refused(subject, "Currency pair not supported XLM/QQQ", channel="ticker", symbol=["XLM/QQQ"])
    return None


@rule("error.v1_name", "10", "DOC", "3P", lane="requests")
async def error_v1_name(subject: Subject) -> str | None:
    """A pair by its v1 name is refused with `Currency pair not supported XBT/USD`."""
    await _refused(subject, "Currency pair not supported XBT/USD", channel="ticker", symbol=["XBT/USD"])
    return None


@rule("error.not_iso", "9.7", "DOC", lane="requests")
async def error_not_iso(subject: Subject) -> str | None:
    """A symbol that is no pair at all is refused with `Currency pair not in ISO 4217-A3 format <symbol>`."""
    await _refused(subject, "Currency pair not in ISO 4217-A3 format BTCUSD", channel="trade", symbol=["BTCUSD"])
    return None


@rule("error.status_subscribe", "3.1", "SDK", lane="requests")
async def error_status_subscribe(subject: Subject) -> str | None:
    """`status` cannot be subscribed: `Symbol(s) not found`."""
    await _refused(subject, "Symbol(s) not found", channel="status")
    return None


@rule("error.channel", "9.7", "DOC", lane="requests")
async def error_channel(subject: Subject) -> str | None:
    """A channel that does not exist is refused with `Subscription name invalid`."""
    await _refused(subject, "Subscription name invalid", channel="weather", symbol=[subject.symbol])
    return None


@rule("error.symbol_array", "9.7", "DOC", lane="requests")
async def error_symbol_array(subject: Subject) -> str | None:
    """`symbol` that is no array is refused with `Pair field must be an array`."""
    await _refused(subject, "Pair field must be an array", channel="ticker", symbol=subject.symbol)
    return None


@rule("error.unsupported_field", "9.7", "DOC", "SDK", lane="requests")
async def error_unsupported_field(subject: Subject) -> str | None:
    """A parameter that does not exist is refused with `Unsupported field: '<name>'`."""
    async with subject.line() as line:
        params = {"channel": "ticker", "symbol": [subject.symbol], "colour": "red"}
        answer = await line.answer("subscribe", params)
        expected = "Unsupported field: 'colour'"
        expect(answer.error.startswith(expected), f"an error that begins `{expected}`", answer.said, answer)
    return None


@rule("book.depth_refused", "3.5", "WIRE", "DOC", lane="requests")
async def book_depth_refused(subject: Subject) -> str | None:
    """A depth other than 10, 25, 100, 500 and 1000 is refused with `Subscription depth not supported`."""
    for depth in (7, 50):
        await _refused(
            subject, "Subscription depth not supported", channel="book", symbol=[subject.symbol], depth=depth
        )
    return None


@rule("book.depth_integer", "9.7", "DOC", lane="requests")
async def book_depth_integer(subject: Subject) -> str | None:
    """A depth that is a string is refused with `Subscription book depth must be an integer`."""
    error = "Subscription book depth must be an integer"
    await _refused(subject, error, channel="book", symbol=[subject.symbol], depth="10")
    return None


@rule("ohlc.interval_refused", "9.7", "DOC", lane="requests")
async def ohlc_interval_refused(subject: Subject) -> str | None:
    """An interval that does not exist is refused with `Subscription ohlc interval not supported`."""
    error = "Subscription ohlc interval not supported"
    await _refused(subject, error, channel="ohlc", symbol=[subject.symbol], interval=7)
    return None


@rule("ohlc.interval_integer", "9.7", "DOC", lane="requests")
async def ohlc_interval_integer(subject: Subject) -> str | None:
    """An interval that is a string is refused with `Subscription ohlc interval must be an integer`."""
    error = "Subscription ohlc interval must be an integer"
    await _refused(subject, error, channel="ohlc", symbol=[subject.symbol], interval="5")
    return None
