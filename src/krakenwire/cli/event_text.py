"""An event as one line for a person, and as one object for a program."""

from __future__ import annotations

from decimal import Decimal
from functools import singledispatch
from typing import Any

from krakenwire.book import BookUpdate, format_timestamp
from krakenwire.events import (
    Asset,
    Backfilled,
    BookAudited,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    CallbackFailed,
    CallbackSlow,
    Connected,
    Disconnected,
    Event,
    Gap,
    Instrument,
    JournalPaused,
    JournalResumed,
    JournalStopped,
    LeaderChanged,
    Level,
    LoopStalled,
    Loss,
    Message,
    Ohlc,
    ReadingPaused,
    ReadingResumed,
    Reconnected,
    Recovered,
    RunResumed,
    Stalled,
    Ticker,
    Trade,
    Undecodable,
)

__all__ = ["as_line", "as_object", "level_text", "plain"]

_BOOK_FIELDS = (
    "symbol",
    "type",
    "outcome",
    "depth",
    "checksum",
    "computed",
    "normalised",
    "synthesised",
    "exchange_ns",
    "bids",
    "asks",
    "best_bid",
    "best_ask",
    "n",
    "seq",
)


def plain(number: Decimal | None) -> str:
    """All digits of a number, never with an exponent."""
    return "-" if number is None else format(number, "f")


def as_object(event: Event) -> dict[str, Any]:
    """The event by its own field names; `event` is its class, and where it came from stands beside its fields.

    A level is `[price, qty]`; a frame is its text.
    """
    names = _BOOK_FIELDS if isinstance(event, BookUpdate) else _own_fields(event)
    found: dict[str, Any] = {"event": type(event).__name__, "channel": event.channel}
    found |= {name: _value(getattr(event, name)) for name in names}
    stamp = event.stamp
    return found | {"connection": stamp.connection, "epoch": stamp.epoch, "received_ns": stamp.received_ns}


def _own_fields(event: Any) -> list[str]:
    return [name for name in event.__struct_fields__ if name != "stamp"]


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return as_object(value) if isinstance(value, Message) else value


_OF_CONNECTIONS = (Connected, Disconnected, Reconnected)
"""With a mirror there are two, and which of them it is says how bad it is."""


def as_line(event: Event) -> str:
    """One line: what it is, of which symbol, and what it says."""
    kind = type(event).__name__
    whose = event.connection if isinstance(event, _OF_CONNECTIONS) else getattr(event, "symbol", None)
    return f"{kind:<15} {whose or '-':<10} {_says(event)}"


def level_text(level: Level | None) -> str:
    """Price and quantity of a level."""
    return "-" if level is None else f"{plain(level.price)} x {plain(level.qty)}"


@singledispatch
def _says(event: Any) -> str:
    """Every other event: its fields as they are."""
    fields = ((name, getattr(event, name)) for name in _own_fields(event) if name not in ("n", "seq", "symbol"))
    return "  ".join(f"{name}={_value(value)}" for name, value in fields if value is not None)


@_says.register
def _(event: BookUpdate) -> str:
    changed = f"{len(event.bids) + len(event.asks)} level(s)"
    return (
        f"{event.type} {event.outcome}  {changed}  bid {level_text(event.best_bid)}  ask {level_text(event.best_ask)}"
    )


@_says.register
def _(event: Trade) -> str:
    when = "" if event.exchange_ns is None else f"  {format_timestamp(event.exchange_ns)}"
    return f"{event.side} {plain(event.qty)} @ {plain(event.price)}  {event.ord_type}{when}"


@_says.register
def _(event: Ticker) -> str:
    bid, ask = Level(event.bid, event.bid_qty), Level(event.ask, event.ask_qty)
    return f"bid {level_text(bid)}  ask {level_text(ask)}  last {plain(event.last)}  volume {plain(event.volume)}"


@_says.register
def _(event: Ohlc) -> str:
    prices = "  ".join(f"{name} {plain(getattr(event, name))}" for name in ("open", "high", "low", "close"))
    return f"{event.interval} min from {format_timestamp(event.interval_begin_ns)}  {prices}  trades {event.trades}"


@_says.register
def _(event: Instrument) -> str:
    return (
        f"{event.status}  price in steps of {plain(event.price_increment)}, quantity of {plain(event.qty_increment)}, "
        f"at least {plain(event.qty_min)}"
    )


@_says.register
def _(event: Asset) -> str:
    return f"{event.id}  {event.status}  {event.precision} decimals"


@_says.register
def _(event: Loss) -> str:
    return str(event)


def _reach(of: str, first: int, last: int | None) -> str:
    """From where to where: trade_ids, or the begin of candles."""
    if of == "ohlc":
        return f"{format_timestamp(first)} to {'?' if last is None else format_timestamp(last)}"
    return f"trade_id {first} to {last}"


@_says.register
def _(event: Gap) -> str:
    count = "an unknown number" if event.count is None else event.count
    between = "" if event.first is None else f" ({_reach(event.of, event.first, event.last)})"
    return f"{count} missing in {event.of}{between}: {event.reason}"


@_says.register
def _(event: Connected) -> str:
    again = "" if event.downtime_ns is None else f" again after {event.downtime_ns / 1e9:.3f} s"
    return f"connected{again} to {event.url}"


@_says.register
def _(event: Disconnected) -> str:
    code = "" if event.code is None else f" (code {event.code})"
    return f"{event.reason}{code}; {'for good' if event.terminal else 'it will be opened again'}"


@_says.register
def _(event: BookInvalidated) -> str:
    if event.expected is None or event.computed is None or event.reason != "checksum":
        return f"the book is not synced: {event.reason}"
    return f"the checksum does not match: expected {event.expected}, computed {event.computed}"


@_says.register
def _(event: BookResynced) -> str:
    return f"the book is proven again, after {event.took_ns / 1e9:.3f} s and {event.attempts} snapshot(s)"


@_says.register
def _(event: BookQuarantined) -> str:
    return f"failed {event.attempts} times in a row; left alone for {event.retry_after_ns / 1e9:.0f} s"


@_says.register
def _(event: Reconnected) -> str:
    what = f"{event.subscriptions} subscription(s) and {event.books} book(s)"
    refused = f", {event.rejected} refused" if event.rejected else ""
    missed = f"; {event.missed} trade(s) were missed" if event.missed else ""
    return f"everything is back after {event.took_ns / 1e9:.3f} s: {what}{refused}{missed}"


@_says.register
def _(event: Stalled) -> str:
    limit = f"more than {event.limit_ns / 1e9:.1f} s is unusual"
    return f"{event.of} has been silent for {event.silent_ns / 1e9:.1f} s ({event.evidence}; {limit})"


@_says.register
def _(event: Recovered) -> str:
    return f"{event.of} speaks again after {event.stalled_ns / 1e9:.1f} s, by {event.by}"


@_says.register
def _(event: LoopStalled) -> str:
    return f"our own event loop stood still for {event.stalled_ns / 1e9:.3f} s; something blocks it"


@_says.register
def _(event: ReadingPaused) -> str:
    return f"{event.connection} is not read for now: {event.reason}"


@_says.register
def _(event: ReadingResumed) -> str:
    return f"{event.connection} is read again after {event.paused_ns / 1e9:.3f} s"


@_says.register
def _(event: Backfilled) -> str:
    return f"{event.count} of {event.of} ({_reach(event.of, event.first, event.last)}) came after all, by {event.how}"


@_says.register
def _(event: LeaderChanged) -> str:
    before = "" if event.previous is None else f", no longer from {event.previous}"
    return f"published from {event.leader}{before} ({event.reason})"


@_says.register
def _(event: BookAudited) -> str:
    return f"{event.levels} level(s) compared by {event.method}: {event.wrong} wrong, {event.skipped} not comparable"


@_says.register
def _(event: CallbackFailed) -> str:
    return f"the callback of {event.reader} raised {event.error}, {event.failures} time(s) by now"


@_says.register
def _(event: CallbackSlow) -> str:
    return f"the callback of {event.reader} took {event.took_ns / 1e6:.0f} ms, {event.slow} time(s) by now"


@_says.register
def _(event: JournalPaused | JournalStopped) -> str:
    goes_on = "not written now" if isinstance(event, JournalPaused) else "written no more"
    return f"the journal is {goes_on}: {event.reason}"


@_says.register
def _(event: JournalResumed) -> str:
    return f"the journal is written again after {event.paused_ns / 1e9:.1f} s; {event.lost} input(s) are not in it"


@_says.register
def _(event: RunResumed) -> str:
    return (
        f"goes on where run {event.run} ended {event.downtime_ns / 1e9:.1f} s ago, behind input {event.last_n:,}: "
        f"{event.subscriptions} subscription(s) are wanted again"
    )


@_says.register
def _(event: Undecodable) -> str:
    where = "" if event.offset is None else f" at byte {event.offset}"
    return f"{event.reason}{where}: {event.frame[:80].decode(errors='replace')}"
