"""Frames taken many at once: the same comes of them as of one at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.frames import v2_element, v2_frame, walk
from helpers.wire import Exchange, S, Wire, book, instrument, ticker, trades
from krakenwire.events import Stamp
from krakenwire.protocol.auditor import AuditMethod
from krakenwire.protocol.core import Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.report import EventLog, make_report

SYMBOLS = ("BTC/USD", "ETH/USD")
DEPTH = 25
"""More than the checksum covers, so that there is something to audit."""


def market(symbol: str, seed: int) -> list[bytes]:
    return [
        v2_frame(kind, v2_element(symbol, bids, asks, checksum))
        for kind, bids, asks, checksum, _ in walk(seed, symbol=symbol, depth=DEPTH, updates=30)
    ]


MARKETS = {symbol: market(symbol, seed) for seed, symbol in enumerate(SYMBOLS)}
OTHERS = (
    b'{"channel":"heartbeat"}',
    trades(1, 2),
    trades(9),
    ticker(),
    instrument("ETH/USD"),
    instrument("ETH/USD", price_precision=3),
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":',
    b"[1,2",
    b"",
    v2_frame("update", v2_element("SOL/USD", [("1.0", "1.0")], [], 1)),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Two books, some of whose frames are lost, and whatever else may come in between."""
    frames: list[bytes] = []
    for symbol in SYMBOLS:
        frames += MARKETS[symbol][: draw(st.integers(2, 30))]
    for at in draw(st.lists(st.integers(1, 60), max_size=3)):
        del frames[at : at + 1]
    for other in draw(st.lists(st.sampled_from(OTHERS), max_size=6)):
        frames.insert(draw(st.integers(0, len(frames))), other)
    return frames


def outcome(core: Core, log: EventLog) -> Any:
    events = [(type(event), event.n, event.seq, event.stamp) for event in core.events]
    log.add(core.events)
    report = make_report(core, log, 0.0)
    return events, report, core.n, core.frames, core.next_deadline(), core.take_actions()


def check(one: Core, many: Core, frames: list[bytes], cuts: list[int], mono_ns: int) -> None:
    moments = [mono_ns + number * S // 10 for number in range(len(frames))]
    stamps = [Stamp("public", 0, moment, moment) for moment in moments]
    for frame, stamp in zip(frames, stamps, strict=True):
        one.receive_frame(frame, stamp)
    edges = sorted({0, *(cut for cut in cuts if cut < len(frames)), len(frames)})
    for start, end in pairwise(edges):
        many.receive_frames(frames[start:end], stamps[start:end])
    assert outcome(one, EventLog()) == outcome(many, EventLog())
    later = mono_ns + 11 * S  # silence of the connection is counted from the last frame
    for core in (one, many):
        core.handle_deadline(Stamp("", 0, later, later))
    assert outcome(one, EventLog()) == outcome(many, EventLog())


@given(frames=streams(), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_recorded_frames(frames: list[bytes], cuts: list[int]) -> None:
    check(Core(passive=True), Core(passive=True), frames, cuts, 1)


def connected(audit: AuditMethod | None = None) -> Wire:
    """Two books of a live connection; where they are audited, a REST call is under way and they are watched."""
    wire = Wire()
    wire.core = Core(Options(audit_every=1.0), book_audit=audit)
    wire.start()
    wire.subscribe(*(book(symbol, DEPTH) for symbol in SYMBOLS))
    wire.receive(*Exchange().answer(wire.sent()))
    wire.receive(*(MARKETS[symbol][0] for symbol in SYMBOLS))
    wire.advance(5)
    assert bool(wire.fetches()) is (audit is not None)
    return wire


@pytest.mark.parametrize("audit", [None, "rest"])
@given(frames=streams(), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_frames_of_a_live_connection(audit: AuditMethod | None, frames: list[bytes], cuts: list[int]) -> None:
    one, many = connected(audit), connected(audit)
    check(one.core, many.core, frames, cuts, one.now)
    assert changed(one) == changed(many)


def changed(wire: Wire) -> Any:
    """What an audit knows of what changed while it waits for its answer."""
    return {symbol: (watch.changed, watch.is_broken) for symbol, watch in wire.session()._watches.items()}


def test_frames_of_no_connection_are_refused_and_counted_as_one_at_a_time() -> None:
    core = connected().core
    n = core.n
    stamp = Stamp("public-9", 0, 1, 1)
    with pytest.raises(ValueError, match="no connection 'public-9'"):
        core.receive_frames([b"{}", b"{}"], [stamp, stamp])
    assert core.n == n + 1
