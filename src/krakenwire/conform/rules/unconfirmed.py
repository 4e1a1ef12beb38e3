"""PROTOCOL 13: what nobody knows for sure. It is looked at and reported, and never called wrong."""

from __future__ import annotations

from itertools import pairwise

from krakenwire.conform.rule import rule
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested
from krakenwire.conform.wire import in_words

__all__ = [
    "observe_asset_class",
    "observe_executions_steps",
    "observe_fok_spelling",
    "observe_level3_modify",
    "observe_ohlc_count",
    "observe_ratecounter",
    "observe_status_again",
    "observe_string_req_id",
    "observe_token_reuse",
    "observe_token_words",
    "observe_unknown_method",
    "observe_wildcard",
]


@rule("observe.wildcard", "2.4", "3P", "UNCONFIRMED", lane="requests")
async def observe_wildcard(subject: Subject) -> str | None:
    """What `"symbol":["*"]` is answered on ticker and on trade."""
    said: list[str] = []
    async with subject.apart() as line:
        for channel in ("ticker", "trade"):
            answer = await line.answer("subscribe", {"channel": channel, "symbol": ["*"]})
            said.append(f"{channel}: {answer.said}")
    return "; ".join(said)


@rule("observe.unknown_method", "9.7", "UNCONFIRMED", lane="requests")
async def observe_unknown_method(subject: Subject) -> str | None:
    """What a method that does not exist is answered."""
    async with subject.line() as line:
        return (await line.answer("frobnicate", {})).said


@rule("observe.string_req_id", "2.1", "SDK", "UNCONFIRMED", lane="requests")
async def observe_string_req_id(subject: Subject) -> str | None:
    """What becomes of a `req_id` that is a string."""
    async with subject.line() as line:
        answer = await line.answer("ping", req_id="seven")
        return answer.shortened


@rule("observe.ohlc_count", "3.8", "UNCONFIRMED", lane="requests")
async def observe_ohlc_count(subject: Subject) -> str | None:
    """How many candles a snapshot of ohlc has."""
    async with subject.line() as line:
        since = len(line.frames)
        await line.subscribed("ohlc", subject.symbol, interval=15)
        snapshot = await line.wait(lambda frame: frame.channel == "ohlc", since=since)
        if snapshot is None:
            raise NotTested("needs a snapshot of candles, which did not come")
        return f"{len(snapshot.data)} candles of 15 min"


@rule("observe.status_again", "3.1", "SDK", "UNCONFIRMED", lane="watch")
async def observe_status_again(subject: Subject) -> str | None:
    """Whether the status is sent again after the greeting though nothing changed."""
    frames = await subject.watch.everything()
    count = sum(frame.channel == "status" for frame in frames)
    return f"{count} status messages on {len(await subject.watch.lines())} connections"


@rule("observe.asset_class", "3.9", "UNCONFIRMED", lane="requests")
async def observe_asset_class(subject: Subject) -> str | None:
    """Whether an asset of `instrument` has a field `class`, and which further fields there are."""
    known = {"id", "status", "precision", "precision_display", "borrowable", "collateral_value", "margin_rate"}
    more: set[str] = set()
    for item in (await subject.instruments()).data:
        for asset in item.items("assets"):
            more |= set(asset) - known
    return f"more fields: {', '.join(sorted(more))}" if more else "no more fields"


@rule("observe.level3_modify", "3.6", "UNCONFIRMED", lane="level3")
async def observe_level3_modify(subject: Subject) -> str | None:
    """Whether `modify` ever changes a price or raises a quantity."""
    quantities: dict[str, tuple[object, object]] = {}
    modified = changed = 0
    for frame in await subject.level3_frames():
        for item in frame.data:
            for order in [*item.items("bids"), *item.items("asks")]:
                order_id = order.text("order_id")
                price, qty = order.number("limit_price"), order.number("order_qty")
                before = quantities.get(order_id)
                if order.get("event") == "modify" and before is not None:
                    modified += 1
                    changed += before[0] != price or before[1] < qty  # type: ignore[operator]  # both are Decimals
                quantities[order_id] = (price, qty)
    return f"{changed} of {modified} did"


@rule("observe.token_words", "3.6", "3P", "UNCONFIRMED", lane="level3")
async def observe_token_words(subject: Subject) -> str | None:
    """What level3 answers to a token that was never issued."""
    async with subject.line("l3") as line:
        params = {"channel": "level3", "symbol": [subject.symbol], "token": "bm90IGEgdG9rZW4"}
        return (await line.answer("subscribe", params)).said


@rule("observe.token_reuse", "8.2", "UNCONFIRMED", lane="account")
async def observe_token_reuse(subject: Subject) -> str | None:
    """Whether one token serves a second connection while the first one uses it."""
    token = await subject.token()
    await subject.desk.line()
    async with subject.apart("auth") as line:
        answer = await line.answer("subscribe", {"channel": "balances", "token": token})
        return answer.said


@rule("observe.executions_steps", "4.1", "DOC", "UNCONFIRMED", lane="account")
async def observe_executions_steps(subject: Subject) -> str | None:
    """Whether `sequence` begins at 1 and rises by 1 from message to message, on executions and on balances."""
    line = await subject.desk.line()
    said: list[str] = []
    for channel in ("executions", "balances"):
        numbers = [frame.item.integer("sequence") for frame in line.frames if frame.channel == channel]
        if not numbers:
            continue
        steps = {after - before for before, after in pairwise(numbers)}
        said.append(f"{channel} from {numbers[0]} in steps of {', '.join(map(str, sorted(steps))) or 'nothing'}")
    if not said:
        raise NotTested("no message of executions or balances came")
    return "; ".join(said)


@rule("observe.ratecounter", "4.1", "UNCONFIRMED", lane="account")
async def observe_ratecounter(subject: Subject) -> str | None:
    """Which field `ratecounter` adds to a report."""
    token = await subject.token()
    desk = subject.desk
    plain = await desk.line()
    async with subject.line("auth") as line:
        await line.subscribed("executions", token=token, ratecounter=True, snap_orders=False)
        order_id = await desk.rest()
        await desk.cancel(order_id)
        await line.wait(lambda frame: any(item.get("exec_type") == "canceled" for item in frame.data))
        with_counter = {name for frame in line.frames for item in frame.data for name in item}
    without = {name for frame in plain.frames if frame.channel == "executions" for item in frame.data for name in item}
    more = sorted(with_counter - without - {"api_version", "connection_id", "system", "version"})
    return ", ".join(more) or "none"


@rule("observe.fok_spelling", "4.1", "UNCONFIRMED", lane="account")
async def observe_fok_spelling(subject: Subject) -> str | None:
    """How `executions` spells the time in force of a FOK order."""
    desk = subject.desk
    quote = await desk.quote()
    answer = await desk.add(order_qty=quote.qty, limit_price=quote.far, time_in_force="fok")
    order_id = answer.result.get("order_id")
    if not answer.is_success or type(order_id) is not str:
        return f"refused: {answer.said}"
    reports = await desk.reports(order_id, "ended")
    return in_words([report.get("time_in_force") for report in reports if "time_in_force" in report])
