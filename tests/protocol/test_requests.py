"""Requests are exact bytes, and come back from the decoder as what they are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.errors import UsageError
from krakenwire.events import Raw
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.requests import (
    BOOK_DEPTHS,
    CHANNELS,
    EVENT_TRIGGERS,
    OHLC_INTERVALS,
    check_subscription,
    ping,
    subscribe,
    unsubscribe,
)


def test_subscribe_to_books_names_all_symbols_at_once() -> None:
    assert subscribe("book", ["ALGO/USD", "MATIC/USD"], req_id=7, depth=10, snapshot=True) == (
        b'{"method":"subscribe","params":{"channel":"book","symbol":["ALGO/USD","MATIC/USD"],"depth":10,"snapshot":true},'
        b'"req_id":7}'
    )


def test_subscribe_leaves_out_what_is_not_given() -> None:
    assert subscribe("trade", ["MATIC/USD"]) == (
        b'{"method":"subscribe","params":{"channel":"trade","symbol":["MATIC/USD"]}}'
    )
    assert subscribe("instrument", None, req_id=79) == (
        b'{"method":"subscribe","params":{"channel":"instrument"},"req_id":79}'
    )


def test_subscribe_sends_a_snapshot_that_is_not_wanted_as_false() -> None:
    assert subscribe("ticker", ("ALGO/USD",), req_id=0, event_trigger="bbo", snapshot=False) == (
        b'{"method":"subscribe","params":{"channel":"ticker","symbol":["ALGO/USD"],"event_trigger":"bbo","snapshot":false},'
        b'"req_id":0}'
    )


@pytest.mark.parametrize(
    ("channel", "options", "params"),
    [
        ("book", {"depth": 100}, b'"channel":"book","symbol":["ALGO/USD"],"depth":100'),
        ("ohlc", {"interval": 5}, b'"channel":"ohlc","symbol":["ALGO/USD"],"interval":5'),
        ("ticker", {"event_trigger": "bbo"}, b'"channel":"ticker","symbol":["ALGO/USD"],"event_trigger":"bbo"'),
        ("trade", {}, b'"channel":"trade","symbol":["ALGO/USD"]'),
    ],
)
def test_unsubscribe_repeats_what_identifies_the_subscription(
    channel: str, options: dict[str, object], params: bytes
) -> None:
    request = unsubscribe(channel, ["ALGO/USD"], req_id=8, **options)  # type: ignore[arg-type]  # by parameter
    assert request == b'{"method":"unsubscribe","params":{%s},"req_id":8}' % params


def test_ping_has_no_params() -> None:
    assert ping(101) == b'{"method":"ping","req_id":101}'


@given(
    method=st.sampled_from(["subscribe", "unsubscribe"]),
    channel=st.sampled_from(CHANNELS),
    symbols=st.none() | st.lists(st.text(max_size=12), max_size=3),
    req_id=st.none() | st.integers(0, 2**63 - 1),
    depth=st.none() | st.integers(0, 2000),
    interval=st.none() | st.integers(0, 2000),
    event_trigger=st.none() | st.text(max_size=6),
)
def test_request_is_decoded_as_the_request_it_is(
    *,
    method: str,
    channel: str,
    symbols: list[str] | None,
    req_id: int | None,
    depth: int | None,
    interval: int | None,
    event_trigger: str | None,
) -> None:
    encode = subscribe if method == "subscribe" else unsubscribe
    frame = encode(channel, symbols, req_id=req_id, depth=depth, interval=interval, event_trigger=event_trigger)
    assert decode(frame, n=5) == [Raw(n=5, name=method, reason="request", frame=frame)]
    given_params = {
        "channel": channel,
        "symbol": symbols,
        "depth": depth,
        "interval": interval,
        "event_trigger": event_trigger,
    }
    expected = {"method": method, "params": {k: v for k, v in given_params.items() if v is not None}}
    assert json.loads(frame) == expected | ({} if req_id is None else {"req_id": req_id})


def test_ping_is_decoded_as_a_request() -> None:
    assert decode(ping(1)) == [Raw(name="ping", reason="request", frame=ping(1))]


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_public_channel_may_be_subscribed(channel: str) -> None:
    check_subscription(channel)


def test_every_value_that_kraken_knows_is_accepted() -> None:
    for depth in BOOK_DEPTHS:
        check_subscription("book", depth=depth)
    for interval in OHLC_INTERVALS:
        check_subscription("ohlc", interval=interval)
    for event_trigger in EVENT_TRIGGERS:
        check_subscription("ticker", event_trigger=event_trigger)


@pytest.mark.parametrize(
    ("channel", "options", "words"),
    [
        ("level2", {}, "expected channel to be one of book, trade, ticker, ohlc, instrument, got 'level2'"),
        ("status", {}, "expected channel"),
        ("book", {"depth": 42}, "expected depth to be one of 10, 25, 100, 500, 1000, got 42"),
        ("book", {"depth": 10.0}, "got 10.0"),
        ("ohlc", {"interval": True}, "expected interval to be one of 1, 5, 15"),
        ("ticker", {"event_trigger": "always"}, "expected event_trigger to be one of trades, bbo"),
        ("trade", {"depth": 10}, "depth is an option of the channel 'book', not of 'trade'"),
        ("book", {"interval": 1}, "interval is an option of the channel 'ohlc', not of 'book'"),
    ],
)
def test_what_kraken_would_refuse_is_refused_before_it_is_sent(
    channel: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_subscription(channel, **options)  # type: ignore[arg-type]  # wrong types are part of the test
