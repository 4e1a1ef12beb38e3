"""PROTOCOL 8, 8.3, 10: the envelope of REST, its clock, its pairs, its errors."""

from __future__ import annotations

import email.utils
import re
from decimal import Decimal

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.web import Reply
from krakenwire.conform.wire import Item, in_words

__all__ = [
    "rest_asset_pairs",
    "rest_asset_pairs_filter",
    "rest_asset_pairs_match_instrument",
    "rest_assets",
    "rest_envelope",
    "rest_error_text",
    "rest_spellings",
    "rest_status_200",
    "rest_system_status",
    "rest_ticker",
    "rest_time",
    "rest_unknown_pair",
]

STATUSES = "online|cancel_only|post_only|limit_only|reduce_only"
PAIR = {
    "altname": "text",
    "wsname?": "text",
    "aclass_base": "text",
    "base": "text",
    "aclass_quote": "text",
    "quote": "text",
    "pair_decimals": "integer",
    "lot_decimals": "integer",
    "cost_decimals": "integer",
    "lot_multiplier": "integer",
    "leverage_buy": "list",
    "leverage_sell": "list",
    "fees": "list",
    "fees_maker?": "list",
    "margin_call": "integer",
    "margin_stop": "integer",
    "ordermin": "text",
    "costmin": "text",
    "tick_size": "text",
    "status": STATUSES,
}
TICKER = {"a": 3, "b": 3, "c": 2, "v": 2, "p": 2, "t": 2, "l": 2, "h": 2}
ERROR = re.compile(r"[EW][A-Z][A-Za-z]*:.+")
UNKNOWN = "EQuery:Unknown asset pair"


async def _one(subject: Subject, method: str, key: str, **params: object) -> tuple[Reply, Item]:
    """What a method says of one key."""
    reply = await subject.web.get(method, **params)
    value = reply.outcome.get(key)
    if not isinstance(value, dict):
        raise NotTested(f"needs {key} in the answer of {method}: {reply.shortened}")
    return reply, Item(value, reply)


@rule("rest.envelope", "8", "DOC", lane="rest")
async def rest_envelope(subject: Subject) -> str | None:
    """An answer is an object with `error`, an array of strings that is empty on success, and `result`."""
    reply = await subject.web.get("Time")
    expect_shape(reply.item, {"error": "list", "result": "object"})
    expect(reply.fields["error"] == [], "an empty `error`", in_words(reply.fields["error"]), reply)
    return None


@rule("rest.status_200", "8", "DOC", lane="rest")
async def rest_status_200(subject: Subject) -> str | None:
    """A refusal comes with HTTP status 200."""
    reply = await subject.web.get("Spread", pair="NOTAPAIR")
    expect(reply.status == 200, "HTTP status 200", reply.status, reply)
    return None


@rule("rest.error_text", "8", "DOC", lane="rest")
async def rest_error_text(subject: Subject) -> str | None:
    """A refusal has a text `<E|W><Category>:<text>` in `error`, and no result."""
    reply = await subject.web.get("Spread", pair="NOTAPAIR")
    expect(len(reply.errors) == 1, "one text in `error`", in_words(reply.fields.get("error")), reply)
    expect(ERROR.fullmatch(reply.errors[0]) is not None, "<E|W><Category>:<text>", reply.errors[0], reply)
    expect(not reply.fields.get("result"), "no result", "one", reply)
    return None


@rule("rest.unknown_pair", "9.7", "DOC", lane="rest")
async def rest_unknown_pair(subject: Subject) -> str | None:
    """A pair that is not known is refused with `EQuery:Unknown asset pair`."""
    for method in ("Ticker", "Depth", "Trades", "OHLC"):
        reply = await subject.web.get(method, pair="NOTAPAIR")
        expect(reply.errors == [UNKNOWN], f"{method} to answer `{UNKNOWN}`", in_words(reply.errors), reply)
    return None


@rule("rest.time", "8.3", "DOC", lane="rest")
async def rest_time(subject: Subject) -> str | None:
    """`Time` gives one moment twice: `unixtime` in seconds, and `rfc1123`."""
    reply = await subject.web.get("Time")
    result = reply.outcome
    expect_shape(result, {"unixtime": "integer", "rfc1123": "text"})
    try:
        moment = email.utils.parsedate_to_datetime(result.text("rfc1123"))
    except ValueError:
        broken("a date in `rfc1123`", result.text("rfc1123"), reply)
    expect(round(moment.timestamp()) == result.integer("unixtime"), "the same moment", "another", reply)
    return None


@rule("rest.system_status", "8.3", "DOC", lane="rest")
async def rest_system_status(subject: Subject) -> str | None:
    """`SystemStatus` says online, post_only, cancel_only or maintenance, and when."""
    reply = await subject.web.get("SystemStatus")
    expect_shape(reply.outcome, {"status": "online|post_only|cancel_only|maintenance", "timestamp": "time"})
    return reply.outcome.text("status")


@rule("rest.assets", "8.3", "DOC", lane="rest")
async def rest_assets(subject: Subject) -> str | None:
    """`Assets` maps each asset's id to its altname and decimals."""
    reply = await subject.web.get("Assets")
    for name, value in reply.outcome.fields.items():
        expect(isinstance(value, dict), f"an object for {name}", in_words(value), reply)
        shape = {"altname": "text", "decimals": "integer", "display_decimals": "integer"}
        expect_shape(Item(value, reply), shape)
    return f"{len(reply.outcome.fields)} assets"


@rule("rest.asset_pairs", "8.3", "DOC", lane="rest")
async def rest_asset_pairs(subject: Subject) -> str | None:
    """`AssetPairs` maps each pair's id to its names, decimals, fees and minima, these as strings."""
    reply = await subject.asset_pairs()
    for name, value in reply.outcome.fields.items():
        expect(isinstance(value, dict), f"an object for {name}", in_words(value), reply)
        expect_shape(Item(value, reply), PAIR)
    return f"{len(reply.outcome.fields)} pairs"


@rule("rest.asset_pairs_filter", "8.3", "DOC", lane="rest")
async def rest_asset_pairs_filter(subject: Subject) -> str | None:
    """`AssetPairs?pair=` gives that pair alone."""
    key, _ = await subject.rest_pair()
    reply = await subject.web.get("AssetPairs", pair=key)
    expect(set(reply.outcome) == {key}, f"{key} alone", ", ".join(reply.outcome), reply)
    return None


@rule("rest.asset_pairs_match_instrument", "6.1", "DOC", lane="rest")
async def rest_asset_pairs_match_instrument(subject: Subject) -> str | None:
    """Decimals, tick size and minima of `AssetPairs` are those of `instrument`."""
    _, pair = await subject.rest_pair()
    instrument = await subject.pair()
    for theirs, ours in (("pair_decimals", "price_precision"), ("lot_decimals", "qty_precision")):
        wanted = instrument.integer(ours)
        expect(pair.integer(theirs) == wanted, f"`{theirs}` {wanted}", pair.integer(theirs), pair.frame)
    for theirs, ours in (("tick_size", "price_increment"), ("ordermin", "qty_min"), ("costmin", "cost_min")):
        least = instrument.number(ours)
        expect(Decimal(pair.text(theirs)) == least, f"`{theirs}` {least}", pair.text(theirs), pair.frame)
    return None


@rule("rest.spellings", "10", "DOC", lane="rest")
async def rest_spellings(subject: Subject) -> str | None:
    """A pair is found by its id and by its altname, and the answer is keyed by its id."""
    key, pair = await subject.rest_pair()
    for spelling in (key, pair.text("altname")):
        reply = await subject.web.get("Depth", pair=spelling, count=1)
        expect(not reply.errors, f"an answer to pair={spelling}", in_words(reply.errors), reply)
        expect(list(reply.outcome) == [key], f"the key {key}", ", ".join(reply.outcome), reply)
    return f"{key}, {pair.text('altname')}"


@rule("rest.ticker", "8.3", "DOC", lane="rest")
async def rest_ticker(subject: Subject) -> str | None:
    """`Ticker` gives a, b, c, v, p, t, l, h as arrays and o, prices and volumes as strings."""
    key, _ = await subject.rest_pair()
    reply, item = await _one(subject, "Ticker", key, pair=key)
    for name, length in TICKER.items():
        value = item.get(name)
        is_right = isinstance(value, list) and len(value) == length
        expect(is_right, f"`{name}` to be an array of {length}", in_words(value), reply)
        if name != "t" and isinstance(value, list):
            expect(type(value[0]) is str, f"strings in `{name}`", in_words(value), reply)
    expect_shape(item, {"o": "text"})
    return None
