"""Candles: what was missed is given before they go on, and what cannot be had is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.rest import kraken_error, ohlc_body, param
from helpers.wire import Wire, acks
from krakenwire.book import format_timestamp
from krakenwire.events import Backfilled, Gap, Ohlc, SubscribeRejected
from krakenwire.protocol.continuity import candles as module
from krakenwire.protocol.subscriptions import Key

BTC = "BTC/USD"
CANDLES = Key("ohlc", BTC, 1)
M0 = 1_784_419_200  # a whole minute
NS = 1_000_000_000


def frame(*candles: tuple[int, int], kind: str = "update", interval: int = 1) -> bytes:
    """One message of candles: the minute each begins in, and its trades so far."""
    items = [
        {
            "symbol": BTC,
            "open": 1.0,
            "high": 2.0,
            "low": 0.5,
            "close": 1.5,
            "vwap": 1.2,
            "volume": float(trades),
            "trades": trades,
            "interval": interval,
            "interval_begin": format_timestamp((M0 + 60 * minute) * NS),
        }
        for minute, trades in candles
    ]
    return json.dumps({"channel": "ohlc", "type": kind, "data": items}).encode()


def live(*keys: Key, **options: Any) -> Wire:
    quiet: dict[str, Any] = {"idle_ping": 1e6, "keepalive": 1e6}
    wire = Wire(**quiet | options).start()
    wire.subscribe(*(keys or (CANDLES,)))
    for request in wire.sent():
        wire.receive(*acks(request))
    return wire


def again(wire: Wire, *frames: bytes) -> None:
    wire.disconnect()
    wire.connect()
    for request in wire.sent():
        wire.receive(*acks(request))
    wire.receive(*frames)


def given(wire: Wire) -> list[tuple[int, int, str]]:
    """Minute, trades and source of what was given."""
    return [((c.interval_begin_ns // NS - M0) // 60, c.trades, c.source) for c in wire.told(Ohlc)]


def test_candles_pass_as_they_come_and_say_where_from() -> None:
    wire = live()
    wire.receive(frame((1, 5), (2, 3), kind="snapshot"), frame((2, 4)), frame((3, 1)))
    assert given(wire) == [(1, 5, "snapshot"), (2, 3, "snapshot"), (2, 4, "live"), (3, 1, "live")]


def test_snapshot_that_reaches_back_gives_what_was_missed_and_the_unfinished_one_once_more() -> None:
    wire = live()
    wire.receive(frame((1, 5)), frame((2, 3)))
    again(wire, frame((0, 9), (1, 5), (2, 8), (3, 7), (4, 1), kind="snapshot"), frame((4, 2)))
    assert given(wire)[2:] == [(2, 8, "snapshot"), (3, 7, "snapshot"), (4, 1, "snapshot"), (4, 2, "live")]
    (filled,) = wire.told(Backfilled)
    assert (filled.of, filled.how, filled.interval, filled.count) == ("ohlc", "snapshot", 1, 2)
    assert ((filled.first // NS - M0) // 60, (filled.last // NS - M0) // 60) == (3, 4)
    assert wire.told(Gap) == []
    assert wire.fetches() == []


def test_snapshot_with_nothing_new_tells_nothing() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    again(wire, frame((1, 5), (2, 3), kind="snapshot"))
    assert given(wire) == [(2, 3, "live")]
    assert wire.told(Backfilled) == []


def test_snapshot_that_does_not_reach_waits_for_rest() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    again(wire, frame((10, 4), (11, 1), kind="snapshot"), frame((11, 2)))
    assert len(given(wire)) == 1
    wire.advance(2)
    (fetch,) = wire.fetches()
    assert (fetch.call, param(fetch, "pair"), param(fetch, "interval")) == ("OHLC", BTC, "1")
    assert int(param(fetch, "since") or 0) < M0 + 120
    wire.receive(frame((12, 1)))
    wire.answer(fetch, ohlc_body([M0 + 60 * minute for minute in range(2, 13)]))
    assert [minute for minute, _, _ in given(wire)] == [2, *range(2, 13)]
    sources = {minute: source for minute, _, source in given(wire)}
    assert sources[5] == "backfill"
    (filled,) = wire.told(Backfilled)
    assert (filled.how, filled.interval) == ("rest", 1)
    assert wire.told(Gap) == []
    wire.receive(frame((13, 1)))
    assert given(wire)[-1] == (13, 1, "live")


def test_candle_that_came_live_is_not_replaced_by_an_older_state_of_it() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    again(wire, frame((4, 50), (5, 4), kind="snapshot"), frame((5, 20)))
    wire.advance(2)
    (fetch,) = wire.fetches()
    wire.answer(fetch, ohlc_body([M0 + 60 * minute for minute in range(2, 7)], trades=10))
    assert given(wire)[1:] == [
        *((2, 10, "backfill"), (3, 10, "backfill")),
        *((4, 50, "snapshot"), (5, 20, "live")),
    ]


def test_what_rest_does_not_have_any_more_is_a_gap() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    again(wire, frame((1000, 1), kind="snapshot"))
    wire.advance(2)
    (fetch,) = wire.fetches()
    wire.answer(fetch, ohlc_body([M0 + 60 * minute for minute in range(281, 1001)]))
    (gap,) = wire.told(Gap)
    assert (gap.of, gap.interval, gap.count) == ("ohlc", 1, None)
    assert ((gap.first or 0) // NS, (gap.last or 0) // NS) == (M0 + 60 * 2, M0 + 60 * 280)
    assert [minute for minute, _, _ in given(wire)] == [2, *range(281, 1001)]


@pytest.mark.parametrize(
    "body", [None, b"", b"{}", kraken_error("EGeneral:Invalid arguments"), b'{"error":[],"result":{"A":[[1]]}}']
)
def test_rest_that_fails_is_a_gap_and_candles_go_on(body: bytes | None) -> None:
    wire = live(backfill_attempts=1)
    wire.receive(frame((2, 3)))
    again(wire, frame((5, 1)))
    wire.advance(2)
    (fetch,) = wire.fetches()
    wire.answer(fetch, body, None if body is not None else "HTTP 500")
    (gap,) = wire.told(Gap)
    assert ((gap.first or 0) // NS, (gap.last or 0) // NS) == (M0 + 60 * 2, M0 + 60 * 4)
    assert given(wire)[-1] == (5, 1, "live")


def test_wait_for_rest_has_an_end() -> None:
    wire = live(backfill_timeout=20.0)
    wire.receive(frame((2, 3)))
    again(wire, frame((5, 1)))
    wire.advance(30)
    assert len(wire.told(Gap)) == 1
    assert given(wire)[-1] == (5, 1, "live")
    (fetch,) = wire.fetches()
    assert wire.answer(fetch, ohlc_body([M0])) == []


def test_client_that_is_closed_gives_what_it_holds() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    again(wire, frame((5, 1)))
    wire.core.stop("closed")
    wire._collect()
    assert given(wire)[-1] == (5, 1, "live")
    assert len(wire.told(Gap)) == 1


def test_intervals_are_kept_apart() -> None:
    wire = live(CANDLES, Key("ohlc", BTC, 5))
    wire.receive(frame((2, 3)), frame((0, 3), interval=5))
    wire.disconnect()
    wire.connect()
    for request in wire.sent():
        wire.receive(*acks(request))
    wire.receive(frame((0, 4), (5, 1), kind="snapshot", interval=5), frame((9, 1)))
    assert [(c.interval, c.trades) for c in wire.told(Ohlc)][2:] == [(5, 4), (5, 1)]
    wire.advance(2)
    (fetch,) = wire.fetches()
    assert param(fetch, "interval") == "1"


def test_stream_that_ended_on_purpose_continues_nothing() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    again(wire, frame((5, 1)))
    wire.unsubscribe(CANDLES)
    (leave,) = wire.sent()
    wire.receive(*acks(leave))
    wire.advance(400)
    assert wire.told(Gap) == []
    assert wire.core.candles.next_deadline() is None
    wire.subscribe(CANDLES)
    wire.receive(*acks(wire.sent()[-1]), frame((50, 1)))
    assert given(wire)[-1] == (50, 1, "live")


def test_disconnect_alone_is_no_gap_of_candles() -> None:
    wire = live()
    wire.receive(frame((2, 3)))
    wire.disconnect()
    assert [gap for gap in wire.told(Gap) if gap.of == "ohlc"] == []
    assert wire.told(SubscribeRejected) == []


def test_candles_of_ever_more_symbols_are_given_and_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STREAMS", 10)
    wire = live()
    for number in range(100):
        wire.receive(frame((2, 3)).replace(b"BTC/USD", b"S%d/USD" % number))
    assert len(wire.told(Ohlc)) == 100
    assert len(wire.core.candles._streams) == 10
