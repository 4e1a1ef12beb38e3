"""PROTOCOL 3.9: reference data."""

from __future__ import annotations

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Item, in_words

__all__ = [
    "instrument_ack",
    "instrument_asset_fields",
    "instrument_data_object",
    "instrument_margin_fields",
    "instrument_pair_fields",
    "instrument_unique",
]

ASSET_STATUS = "depositonly|disabled|enabled|fundingtemporarilydisabled|withdrawalonly|workinprogress"
PAIR_STATUS = "cancel_only|delisted|limit_only|maintenance|online|post_only|reduce_only|work_in_progress"
ASSET = {
    "id": "text",
    "status": ASSET_STATUS,
    "precision": "integer",
    "precision_display": "integer",
    "borrowable": "bool",
    "collateral_value?": "number",
    "margin_rate?": "number",
}
PAIR = {
    "symbol": "text",
    "base": "text",
    "quote": "text",
    "status": PAIR_STATUS,
    "qty_precision": "integer",
    "qty_increment": "number",
    "price_precision": "integer",
    "price_increment": "number",
    "cost_precision": "integer",
    "cost_min": "number",
    "qty_min": "number",
    "marginable": "bool",
    "has_index": "bool",
}
MARGIN_ONLY = ("margin_initial", "position_limit_long", "position_limit_short")


async def _content(subject: Subject) -> Item:
    snapshot = await subject.instruments()
    data = snapshot.data
    if not data:
        raise NotTested("needs the content of `instrument`, which is empty")
    return data[0]


@rule("instrument.ack", "3.9", "DOC", lane="requests")
async def instrument_ack(subject: Subject) -> str | None:
    """The answer to a subscribe has the channel and no symbol, and warns that `tick_size` is deprecated."""
    async with subject.line() as line:
        ack = await line.answer("subscribe", {"channel": "instrument", "snapshot": False})
        expect(ack.is_success, "success", ack.said, ack)
        expect("symbol" not in ack.result, "no symbol", in_words(ack.result.get("symbol")), ack)
        warnings = ack.result.get("warnings")
        expected = "tick_size is deprecated, use price_increment"
        is_there = isinstance(warnings, list) and expected in warnings
        expect(is_there, f"the warning `{expected}`", in_words(warnings), ack)
    return None


@rule("instrument.data_object", "2.3", "DOC", "WIRE", lane="requests")
async def instrument_data_object(subject: Subject) -> str | None:
    """`data` of `instrument` is an object with `assets` and `pairs`."""
    snapshot = await subject.instruments()
    data = snapshot.fields.get("data")
    expect(isinstance(data, dict), "an object", "an array" if isinstance(data, list) else in_words(data), snapshot)
    for item in snapshot.data:
        expect_shape(item, {"assets": "list", "pairs": "list"})
    return None


@rule("instrument.asset_fields", "3.9", "DOC", "WIRE", lane="requests")
async def instrument_asset_fields(subject: Subject) -> str | None:
    """An asset has id, status, precision, precision_display and borrowable, each of its type."""
    assets = (await _content(subject)).items("assets")
    for asset in assets:
        expect_shape(asset, ASSET)
    return f"{len(assets)} assets"


@rule("instrument.pair_fields", "3.9", "DOC", "WIRE", lane="requests")
async def instrument_pair_fields(subject: Subject) -> str | None:
    """A pair has symbol, base, quote, status, precisions, increments, minima, marginable and has_index."""
    pairs = (await _content(subject)).items("pairs")
    for pair in pairs:
        expect_shape(pair, PAIR)
    return f"{len(pairs)} pairs"


@rule("instrument.margin_fields", "3.9", "DOC", lane="requests")
async def instrument_margin_fields(subject: Subject) -> str | None:
    """`margin_initial` and the position limits stand only on pairs that are marginable."""
    pairs = (await _content(subject)).items("pairs")
    for pair in pairs:
        found = [name for name in MARGIN_ONLY if name in pair]
        if found and pair.get("marginable") is False:
            broken(f"no {found[0]} on {pair.get('symbol')}, which is not marginable", "one", pair.frame)
    return f"{len(pairs)} pairs"


@rule("instrument.unique", "10", "DOC", "SDK", lane="requests")
async def instrument_unique(subject: Subject) -> str | None:
    """A symbol is `BASE/QUOTE` in upper case, of the pair's own base and quote, and stands once."""
    pairs = (await _content(subject)).items("pairs")
    seen: set[str] = set()
    for pair in pairs:
        symbol = pair.text("symbol")
        expect(symbol not in seen, f"{symbol} once", "a second time", pair.frame)
        expect(symbol == symbol.upper() and symbol.count("/") == 1, "BASE/QUOTE in upper case", symbol, pair.frame)
        seen.add(symbol)
    return f"{len(pairs)} pairs"
