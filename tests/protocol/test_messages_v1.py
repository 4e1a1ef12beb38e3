"""The public frames of v1 become the same events as v2's."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.events import (
    ExchangeError,
    Heartbeat,
    Ohlc,
    Pong,
    Raw,
    Spread,
    Stamp,
    SystemStatus,
    Ticker,
    Trade,
    Undecodable,
)
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.messages_v1 import epoch_ns, split_channel

STAMP = Stamp("recorded", 0, 1, 2)

TICKER = (
    b'[0,{"a":["5525.40000",1,"1.000"],"b":["5525.10000",2,"2.000"],"c":["5525.10000","0.00398963"],'
    b'"v":["2634.1","3591.1"],"p":["5631.4","5653.7"],"t":[11493,16267],"l":["5505.0","5504.0"],'
    b'"h":["5783.0","5784.0"],"o":["5760.7","5763.4"]},"ticker","XBT/USD"]'
)
OHLC = (
    b'[42,["1542057314.748456","1542057360.435743","3586.70000","3586.80000","3586.60000","3586.65000","3586.68894",'
    b'"0.03373000",2],"ohlc-5","XBT/USD"]'
)


def one(frame: bytes) -> object:
    decoded = decode(frame, stamp=STAMP, n=8, seq=6)
    assert len(decoded) == 1
    return decoded[0]


def test_system_status_is_a_status() -> None:
    frame = b'{"connectionID":17413893361151983591,"event":"systemStatus","status":"online","version":"1.8.3"}'
    assert one(frame) == SystemStatus(
        stamp=STAMP, n=8, seq=6, system="online", version="1.8.3", connection_id=17413893361151983591
    )


def test_system_status_without_status_is_refused() -> None:
    assert isinstance(one(b'{"event":"systemStatus"}'), Undecodable)


def test_heartbeat_and_pong_are_known() -> None:
    assert one(b'{"event":"heartbeat"}') == Heartbeat(stamp=STAMP, n=8, seq=6)
    assert one(b'{"event":"pong","reqid":42}') == Pong(stamp=STAMP, n=8, seq=6, req_id=42)


def test_subscription_is_acknowledged_under_its_v2_name() -> None:
    assert one(
        b'{"channelID":336,"channelName":"book-100","event":"subscriptionStatus","pair":"XBT/USD","reqid":1,'
        b'"status":"subscribed","subscription":{"depth":100,"name":"book"}}'
    ) == Ack(
        method="subscribe",
        success=True,
        req_id=1,
        channel="book",
        symbol="BTC/USD",
        depth=100,
        wire_name="XBT/USD",
    )


def test_end_of_a_subscription_is_acknowledged_as_an_unsubscribe() -> None:
    assert one(
        b'{"channelID":10001,"channelName":"ohlc-5","event":"subscriptionStatus","pair":"XDG/EUR","reqid":42,'
        b'"status":"unsubscribed","subscription":{"interval":5,"name":"ohlc"}}'
    ) == Ack(
        method="unsubscribe",
        success=True,
        req_id=42,
        channel="ohlc",
        symbol="DOGE/EUR",
        interval=5,
        wire_name="XDG/EUR",
    )


def test_refused_subscription_gives_krakens_text() -> None:
    assert one(
        b'{"errorMessage":"Subscription depth not supported","event":"subscriptionStatus","pair":"XBT/USD",'
        b'"status":"error","subscription":{"depth":42,"name":"book"}}'
    ) == Ack(
        method="subscribe",
        success=False,
        channel="book",
        symbol="BTC/USD",
        depth=42,
        error="Subscription depth not supported",
        wire_name="XBT/USD",
    )


def test_depth_is_taken_from_the_channel_name_where_the_subscription_does_not_say() -> None:
    frame = b'{"event":"subscriptionStatus","channelName":"book-25","pair":"ETH/USD","status":"subscribed"}'
    answer = one(frame)
    assert isinstance(answer, Ack)
    assert (answer.channel, answer.depth, answer.interval) == ("book", 25, None)


@pytest.mark.parametrize(
    ("frame", "error", "req_id"),
    [
        (b'{"errorMessage":"Malformed request","event":"error"}', "Malformed request", None),
        (b'{"errorMessage":"Exceeded msg rate","event":"error","reqid":42}', "Exceeded msg rate", 42),
        (b'{"event":"error"}', "error without a message", None),
    ],
)
def test_error_event_is_an_exchange_error(frame: bytes, error: str, req_id: int | None) -> None:
    assert one(frame) == ExchangeError(stamp=STAMP, n=8, seq=6, error=error, req_id=req_id)


@pytest.mark.parametrize(
    ("frame", "name", "reason"),
    [
        (b'{"event":"ping","reqid":42}', "ping", "request"),
        (b'{"event":"subscribe","pair":["XBT/USD"],"subscription":{"name":"book"}}', "subscribe", "request"),
        (b'{"event":"unsubscribe","channelID":10001}', "unsubscribe", "request"),
        (b'{"event":"addOrderStatus","status":"ok","txid":"A"}', "addOrderStatus", "unknown event"),
        (b'[[{"TDLH43":{}}],"ownTrades",{"sequence":2948}]', "ownTrades", "private channel"),
        (b'[[{"OGTT3Y":{"status":"closed"}}],"openOrders",{"sequence":1}]', "openOrders", "private channel"),
        (b'[1,{},"news-3","XBT/USD"]', "news-3", "unknown channel"),
        (b"[1,2,3,4]", None, "unknown message"),
        (b'["trade","XBT/USD"]', None, "unknown message"),
        (b"[]", None, "unknown message"),
    ],
)
def test_what_has_no_type_is_raw(frame: bytes, name: str | None, reason: str) -> None:
    assert one(frame) == Raw(stamp=STAMP, n=8, seq=6, name=name, reason=reason, frame=frame)


def test_refused_pair_is_repeated_as_it_was_asked_for() -> None:
    answer = one(
        b'{"errorMessage":"Currency pair not in ISO 4217-A3 format XBTUSD","event":"subscriptionStatus",'
        b'"pair":"XBTUSD","status":"error"}'
    )
    assert isinstance(answer, Ack)
    assert (answer.success, answer.symbol, answer.wire_name) == (False, "XBTUSD", "XBTUSD")


def test_acknowledgement_without_a_pair_still_counts() -> None:
    for pair in (b"", b'"pair":null,', b'"pair":["XBT/USD"],'):
        answer = one(b'{"event":"subscriptionStatus",' + pair + b'"status":"subscribed"}')
        assert isinstance(answer, Ack)
        assert (answer.success, answer.symbol, answer.wire_name) == (True, None, None)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"event":"subscriptionStatus","status":5}',
        b'{"event":"subscriptionStatus","status":"subscribed","subscription":{"depth":"ten"}}',
    ],
)
def test_event_that_breaks_its_shape_is_refused(frame: bytes) -> None:
    assert isinstance(one(frame), Undecodable)


def test_trades_have_no_trade_id_and_the_symbol_of_v2() -> None:
    frame = (
        b'[0,[["5541.20000","0.15850568","1534614057.321597","s","l",""],'
        b'["6060.00000","0.02455000","1534614057.324998","b","m",""]],"trade","XBT/USD"]'
    )
    assert decode(frame, stamp=STAMP, n=8, seq=6) == [
        Trade(
            stamp=STAMP,
            n=8,
            seq=6,
            symbol="BTC/USD",
            side="sell",
            price=Decimal("5541.20000"),
            qty=Decimal("0.15850568"),
            ord_type="limit",
            trade_id=None,
            exchange_ns=1_534_614_057_321_597_000,
        ),
        Trade(
            stamp=STAMP,
            n=8,
            seq=6,
            symbol="BTC/USD",
            side="buy",
            price=Decimal("6060.00000"),
            qty=Decimal("0.02455000"),
            ord_type="market",
            trade_id=None,
            exchange_ns=1_534_614_057_324_998_000,
        ),
    ]


def test_ticker_takes_the_figures_of_24_hours_and_an_exact_change() -> None:
    ticker = one(TICKER)
    assert ticker == Ticker(
        stamp=STAMP,
        n=8,
        seq=6,
        symbol="BTC/USD",
        type="update",
        bid=Decimal("5525.10000"),
        bid_qty=Decimal("2.000"),
        ask=Decimal("5525.40000"),
        ask_qty=Decimal("1.000"),
        last=Decimal("5525.10000"),
        volume=Decimal("3591.1"),
        vwap=Decimal("5653.7"),
        low=Decimal("5504.0"),
        high=Decimal("5784.0"),
        change=Decimal("-238.30000"),
        change_pct=None,
        exchange_ns=None,
    )


def test_candle_begins_an_interval_before_it_ends() -> None:
    frame = OHLC.replace(b"1542057360.435743", b"1542057360.000000")
    assert one(frame) == Ohlc(
        stamp=STAMP,
        n=8,
        seq=6,
        symbol="BTC/USD",
        type="update",
        interval=5,
        interval_begin_ns=1_542_057_060_000_000_000,
        open=Decimal("3586.70000"),
        high=Decimal("3586.80000"),
        low=Decimal("3586.60000"),
        close=Decimal("3586.65000"),
        vwap=Decimal("3586.68894"),
        volume=Decimal("0.03373000"),
        trades=2,
        exchange_ns=1_542_057_314_748_456_000,
    )


def test_candle_of_a_channel_without_a_number_is_of_one_minute() -> None:
    candle = one(OHLC.replace(b"ohlc-5", b"ohlc"))
    assert isinstance(candle, Ohlc)
    assert candle.interval == 1


def test_spread_is_an_event_of_its_own() -> None:
    frame = b'[0,["5698.40000","5700.00000","1542057299.545897","1.01234567","0.98765432"],"spread","XBT/USD"]'
    assert one(frame) == Spread(
        stamp=STAMP,
        n=8,
        seq=6,
        symbol="BTC/USD",
        bid=Decimal("5698.40000"),
        bid_qty=Decimal("1.01234567"),
        ask=Decimal("5700.00000"),
        ask_qty=Decimal("0.98765432"),
        exchange_ns=1_542_057_299_545_897_000,
    )


@pytest.mark.parametrize(
    "frame",
    [
        TICKER.replace(b'"5525.40000"', b'"NaN"'),
        TICKER.replace(b'"o":["5760.7","5763.4"]', b'"o":"5760.7"'),
        TICKER.replace(b'"XBT/USD"', b'"XBTUSD"'),
        TICKER.replace(b"[0,", b"[0,{},"),
        TICKER.replace(b"[0,", b"["),
        OHLC.replace(b"1542057314.748456", b"soon"),
        OHLC.replace(b'"0.03373000",2', b'"0.03373000"'),
        b'[0,[["1","2","1534614057.3","s","l",""],["1","2","1534614057.3","x","l",""]],"trade","XBT/USD"]',
        b'[0,[["1","Infinity","1534614057.3","s","l",""]],"trade","XBT/USD"]',
        b'[0,["1","2"],"spread","XBT/USD"]',
        b'[0,[],"trade",5]',
    ],
)
def test_array_that_breaks_its_shape_is_refused_whole(frame: bytes) -> None:
    assert isinstance(one(frame), Undecodable)


@given(st.integers(0, 2**33), st.integers(0, 999_999_999))
def test_epoch_seconds_are_exact_nanoseconds(seconds: int, fraction: int) -> None:
    assert epoch_ns(f"{seconds}.{fraction:09d}") == seconds * 10**9 + fraction
    assert epoch_ns(f"{seconds}") == seconds * 10**9


@pytest.mark.parametrize("text", ["", ".", ".5", "-1", "1.2.3", "1e9", "1.1234567890", "12345678901", " 1", "١"])
def test_epoch_seconds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected seconds since the epoch"):
        epoch_ns(text)


@pytest.mark.parametrize(
    ("name", "channel", "number"),
    [
        ("book-1000", "book", 1000),
        ("ticker", "ticker", None),
        ("-5", "-5", None),
        ("ohlc-", "ohlc-", None),
        ("a-b-5", "a-b", 5),
        ("book-" + "1" * 5000, "book-" + "1" * 5000, None),
        ("book-١", "book-١", None),
    ],
)
def test_channel_name_is_split_at_its_number(name: str, channel: str, number: int | None) -> None:
    assert split_channel(name) == (channel, number)


def test_recorded_v1_session_holds_only_what_is_expected(captures: Path) -> None:
    counts: dict[str, int] = {}
    for line in (captures / "v1_book1000_10pairs_2021.frames.jsonl").read_bytes().splitlines():
        for decoded in decode(line):
            kind = decoded.reason if isinstance(decoded, Raw) else type(decoded).__name__
            counts[kind] = counts.get(kind, 0) + 1
            if isinstance(decoded, Ack):
                assert (decoded.channel, decoded.depth, decoded.success) == ("book", 1000, True)
                assert decoded.symbol is not None
                assert "XBT" not in decoded.symbol
    assert counts == {"SystemStatus": 1, "Ack": 10, "Heartbeat": 119, "book channel": 14506}


def test_published_v1_session_holds_only_what_is_expected(vectors: Path) -> None:
    messages = json.loads((vectors / "v1_book_capture_xbtusd_depth10.json").read_text("utf-8"))["messages"]
    decoded = [one(json.dumps(message).encode()) for message in messages]
    kinds = [each.reason if isinstance(each, Raw) else type(each).__name__ for each in decoded]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "SystemStatus": 1,
        "Pong": 2,
        "Ack": 1,
        "book channel": 177,
        "Heartbeat": 19,
    }
    assert [(each.symbol, each.depth) for each in decoded if isinstance(each, Ack)] == [("BTC/USD", 10)]
