"""Any bytes become what they are, and nothing raises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from krakenwire.events import ExchangeError, Heartbeat, Message, Pong, Raw, Reply, Stamp, Trade, Undecodable
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.codec import Decoded, decode

STAMP = Stamp("public", 1, 2, 3)

FRAMES = [
    b'{"channel":"heartbeat"}',
    b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":1}]}',
    b'{"channel":"trade","type":"update","data":[{"symbol":"A/USD","side":"sell","price":0.5117,"qty":4e1,"ord_type":"market",'
    b'"trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}]}',
    b'{"channel":"ticker","type":"update","data":[{"symbol":"A/USD","bid":1.0,"bid_qty":2,"ask":"3","ask_qty":4}]}',
    b'{"channel":"ohlc","type":"update","data":[{"symbol":"A/USD","open":1,"high":2,"low":1,"close":1,"trades":12,"volume":3,'
    b'"vwap":0.5,"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":5}]}',
    b'{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"A/USD","base":"A","quote":"USD",'
    b'"status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"cost_precision":5,"price_increment":0.1,'
    b'"qty_min":5e-05}]}}',
    b'{"method":"subscribe","req_id":42,"result":{"channel":"book","depth":10,"snapshot":true,"symbol":"A/USD"},"success":true}',
    b'{"method":"pong","req_id":101}',
    b'{"Error":"Exceeded msg rate"}',
    b'{"channel":"executions","type":"update","data":[{}],"sequence":8}',
    b'{"channelName":"book-10","event":"subscriptionStatus","pair":"XBT/USD","reqid":1,"status":"subscribed"}',
    b'[0,[["5541.20000","0.15850568","1534614057.321597","s","l",""]],"trade","XBT/USD"]',
    b'[0,["1","2","1542057299.545897","1","2"],"spread","XBT/USD"]',
    b'[42,["1542057314.748456","1542057360.435743","1","2","1","2","1.5","3",2],"ohlc-5","XBT/USD"]',
]

KEYS = [
    "channel method event params result success error Error data type symbol req_id time_in trade ticker ohlc "
    "instrument status heartbeat book executions subscribe ping pong snapshot update subscriptionStatus assets pairs"
]
WORDS = st.sampled_from(" ".join(KEYS).split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6),
    max_leaves=20,
)


def one(frame: bytes) -> Decoded:
    decoded = decode(frame, stamp=STAMP, n=7, seq=3)
    assert len(decoded) == 1
    return decoded[0]


def check(frame: bytes) -> list[Decoded]:
    """What holds for every frame, whatever it is."""
    decoded = decode(frame, stamp=STAMP, n=7, seq=3)
    for each in decoded:
        if isinstance(each, Message):
            assert (each.stamp, each.n, each.seq) == (STAMP, 7, 3)
        if isinstance(each, Raw | Undecodable):
            assert each.frame is frame
            assert each is decoded[-1]
            assert len(decoded) == 1 or (isinstance(each, Raw) and each.reason.startswith("unknown field "))
        if isinstance(each, Undecodable):
            assert each.reason
            assert each.offset is None or 0 <= each.offset <= len(frame)
    return decoded


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff")
@example(b"{")
@example(b"\xef\xbb\xbf{}")
@example(b'{"channel":"\xff"}')
@example(b'{"channel":"\\ud800"}')
@example(b'{"channel":"trade","type":"update","data":[],"x":"\xff"}')
def test_any_bytes_become_something(frame: bytes) -> None:
    check(frame)


@given(JSON)
def test_any_json_becomes_something(value: object) -> None:
    frame = json.dumps(value, allow_nan=False).encode() if _is_json(value) else json.dumps(value).encode()
    for each in check(frame):
        if isinstance(each, Undecodable):
            assert not (_is_json(value) and each.reason.startswith("JSON is malformed"))


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@given(frame=st.sampled_from(FRAMES), data=st.data())
def test_damaged_frame_becomes_something(frame: bytes, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(begin, min(len(frame), begin + 4)))
    patch = data.draw(
        st.binary(max_size=4) | st.sampled_from([b"null", b"{}", b"[]", b'"', b"1e999999", b'"NaN"', b"-"])
    )
    check(frame[:begin] + patch + frame[end:])


@pytest.mark.parametrize("frame", FRAMES)
def test_every_cut_of_a_frame_is_refused_with_the_place(frame: bytes) -> None:
    for end in range(len(frame)):
        event = one(frame[:end])
        assert isinstance(event, Undecodable)
        assert event.offset == end


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("before", "after"), [(b" ", b""), (b"", b"\r\n"), (b"\t\n", b"  ")])
def test_white_space_around_a_frame_changes_nothing(frame: bytes, before: bytes, after: bytes) -> None:
    plain, spaced = decode(frame), decode(before + frame + after)
    if isinstance(plain[0], Raw):
        assert [type(each) for each in spaced] == [Raw]
    else:
        assert spaced == plain


@pytest.mark.parametrize("frame", [frame for frame in FRAMES if frame.startswith(b"{")])
def test_order_of_keys_changes_nothing(frame: bytes) -> None:
    reversed_keys = json.dumps(dict(reversed(json.loads(frame, parse_float=str).items()))).encode()
    expected, decoded = decode(frame), decode(reversed_keys)
    if isinstance(expected[0], Ack | Raw):  # these hold bytes of the frame
        assert type(decoded[0]) is type(expected[0])
    else:
        assert decoded == expected


@pytest.mark.parametrize(
    "frame",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"channel":"trade","data":' + b"[" * 100_000,
        b'{"channel":"trade","type":"update","x":' + b"[" * 100_000 + b"]" * 100_000 + b',"data":[]}',
        b'{"method":"subscribe","result":' + b'{"a":' * 100_000,
        b'{"channel":"unknown","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[0," + b"[" * 100_000 + b"]" * 100_000 + b',"trade","XBT/USD"]',
    ],
)
def test_deep_nesting_is_refused_and_never_overflows(frame: bytes) -> None:
    event = one(frame)
    assert isinstance(event, Undecodable)
    assert event.reason == "nested too deeply"


@pytest.mark.parametrize(
    ("frame", "reason", "offset"),
    [
        (b"CloudFlare WebSocket proxy restarting", "JSON is malformed: invalid character", 0),
        (b'{"channel":"heartbeat"} x', "JSON is malformed: trailing characters", 24),
        (b'{"channel":"news"}]', "JSON is malformed: trailing characters", 18),
        (b'[0,{},"trade","XBT/USD"] ,', "JSON is malformed: trailing characters", 25),
        (b"5 5", "JSON is malformed: trailing characters", 2),
        (b'{"channel":"trade","type":"update","data":[}', "JSON is malformed: invalid character", 43),
        (b'{"channel":"trade"', "not whole: JSON ends too early", 18),
        (b'{"channel":"news","text":"\xff"}', "not UTF-8", 26),
        (b'{"channel":"trade","type":"update","data":[],"x":"\xff"}', "not UTF-8", 50),
        (b'{"channel":"trade","type":"update"}', "Object missing required field `data`", None),
        (
            b'{"channel":"trade","type":"update","data":[{"symbol":5}]}',
            "Expected `str`, got `int` - at `$.data[0].symbol`",
            None,
        ),
        (b'{"channel":"status","data":{}}', "Expected `array`, got `object` - at `$.data`", None),
    ],
)
def test_refusal_says_what_was_expected_and_where(frame: bytes, reason: str, offset: int | None) -> None:
    assert one(frame) == Undecodable(stamp=STAMP, n=7, seq=3, reason=reason, offset=offset, frame=frame)


@pytest.mark.parametrize(("old", "new"), [(b"2023-09-25", b"9" * 100_000), (b"0.5117", b"0." + b"0" * 100_000 + b"1")])
def test_refusal_of_something_huge_is_short(old: bytes, new: bytes) -> None:
    event = one(FRAMES[2].replace(old, new))
    assert isinstance(event, Undecodable)
    assert event.reason.startswith("expected")
    assert len(event.reason) == 300 or "1E-100001" in event.reason


@pytest.mark.parametrize(
    ("frame", "name", "reason"),
    [
        (b'{"channel":"executions","type":"snapshot","data":[],"sequence":1}', "executions", "private channel"),
        (b'{"channel":"balances","data":5}', "balances", "private channel"),
        (b'{"channel":"level3","type":"update","data":[]}', "level3", "private channel"),
        (b'{"channel":"news"}', "news", "unknown channel"),
        (b'{"channel":"trades","type":"update","data":[]}', "trades", "unknown channel"),
        (b'{"channel":"heartbeats"}', "heartbeats", "unknown channel"),
        (b'{"channel":""}', "", "unknown channel"),
        (b'{"channel":"n\xc3\xa9ws"}', "néws", "unknown channel"),
        (b'{"channel":5}', None, "unknown message"),
        (b"{}", None, "unknown message"),
        (b'{"data":[]}', None, "unknown message"),
        (b"5", None, "unknown message"),
        (b'"text"', None, "unknown message"),
        (b"null", None, "unknown message"),
        (b"1e999", None, "unknown message"),
    ],
)
def test_json_that_has_no_type_is_raw(frame: bytes, name: str | None, reason: str) -> None:
    assert one(frame) == Raw(stamp=STAMP, n=7, seq=3, name=name, reason=reason, frame=frame)


def test_channel_decides_before_method() -> None:
    for member in (b'"method":"pong"', b'"error":"x"'):
        heartbeat, raw = decode(b'{%s,"channel":"heartbeat"}' % member)
        assert isinstance(heartbeat, Heartbeat)
        assert isinstance(raw, Raw)


def test_text_outside_ascii_is_read_all_the_same() -> None:
    frame = FRAMES[2].replace(b"A/USD", "Ä/USD".encode())
    trade = one(frame)
    assert isinstance(trade, Trade)
    assert trade.symbol == "Ä/USD"


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (
            b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":0}]}',
            "book",
        ),
        (b'{"type":"update","data":5,"channel":"b\\u006fok"}', "book"),
        (b'[336,{"as":[],"bs":[]},"book-100","XBT/USD"]', "book-100"),
        (b'[1234,{"a":[]},{"b":[],"c":"974942666"},"book-10","XBT/USD"]', "book-10"),
    ],
)
def test_book_that_the_kernel_did_not_take_is_raw(frame: bytes, name: str) -> None:
    assert one(frame) == Raw(stamp=STAMP, n=7, seq=3, name=name, reason="book channel", frame=frame)


def summary(frame: bytes) -> str:
    """A frame in a few words: the types of what it decodes to, and what tells one answer from another."""
    decoded = decode(frame)
    first = decoded[0]
    match first:
        case Ack():
            words = f"{first.method} {first.channel} {first.symbol} {first.error}"
        case Reply():
            words = f"{first.method} {first.error or (first.result or b'nothing').decode()}"
        case Raw():
            words = f"{first.name}, {first.reason}"
        case Undecodable():
            words = f"{first.reason} at {first.offset}"
        case Pong():
            words = f"{first.req_id}"
        case ExchangeError():
            words = first.error
        case _:
            names = [type(each).__name__ for each in decoded]
            return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    assert len(decoded) == 1
    return f"{type(first).__name__}: {words}"


RECORDED = [
    "Pong: 1",
    "Ack: subscribe executions None None",
    "Ack: subscribe balances None None",
    "Ack: subscribe ticker BTC/USD None",
    "Ack: subscribe book BTC/USD None",
    "Ack: subscribe level3 BTC/USD None",
    "Ack: subscribe ohlc ETH/USD None",
    "Ack: subscribe trade BTC/USD None",
    "Ack: subscribe instrument None None",
    "1 Heartbeat",
    "1 SystemStatus",
    "Undecodable: JSON is malformed: invalid character at 0",
    "Reply: ping Unsupported field: 'params' for the given msg type: ping",
    "Ack: subscribe None None Unsupported event",
    "Reply: add_order EGeneral:Invalid arguments:no_mpp order option is only available when ordertype = market",
    "Reply: add_order Cash_order_qty field must be a number_float",
    "Reply: add_order EGeneral:Permission denied",
    "Reply: edit_order Token(s) not found",
    "1 Ticker",
    "1 Ticker",
    "Raw: book, book channel",
    "Raw: book, book channel",
    "Raw: level3, private channel",
    "Raw: level3, private channel",
    "2 Ohlc",
    "2 Trade",
    "2 Trade",
    "3 Asset, 2 Instrument",
    'Reply: add_order {"order_id":"OPS23M-VS41G-DDE5Z2","cl_ord_id":"client-zero"}',
    'Reply: amend_order {"amend_id":"1M2JV8-OEJZD-G5GSBF","order_id":"BQS60L-EGW18-UPAK9U"}',
    "Raw: amend_order, request",
    "Reply: amend_order Limit_price field must be a number_float",
    'Reply: edit_order {"order_id":"7FIK6B-S15X0-DPJJTH","original_order_id":"K1FF7H-A13AR-Q1S9Z6"}',
    'Reply: cancel_order {"order_id":"1V7PZA-L5RIM-RX2G6B"}',
    'Reply: cancel_order {"cl_ord_id":"a-uuid"}',
    'Reply: cancel_all {"count":0}',
    'Reply: cancel_all_orders_after {"currentTime":"2024-05-19T19:22:20Z","triggerTime":"2024-05-19T19:22:25Z"}',
    'Reply: batch_add [{"order_id":"JQDNTT-MZEIZ-OZKUDD"},{"order_id":"X67GEK-3VQWM-HPNQ89"}]',
    "Reply: batch_cancel nothing",
    "Raw: executions, private channel",
    "Raw: executions, private channel",
    "Raw: executions, private channel",
    "Raw: executions, private channel",
    "Raw: executions, private channel",
    "Raw: executions, private channel",
    "Raw: balances, private channel",
    "Raw: balances, private channel",
    "Raw: balances, private channel",
    "1 SystemStatus",
    "1 SystemStatus",
    "Raw: book, book channel",
    "Ack: subscribe None None ESession:Invalid session",
    "Ack: subscribe None WWW/USD Currency pair not supported WWW/USD",
]
"""What each recorded frame is, in the order of the file."""


def test_every_recorded_reply_is_reported_for_what_it_is(captures: Path) -> None:
    lines = (captures / "v2_private_and_replies.jsonl").read_text("utf-8").splitlines()
    assert [summary(json.loads(line)["raw"].encode()) for line in lines] == RECORDED
    assert len(RECORDED) == 53


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        (
            "v2_book10_btcusd_2026.frames.jsonl",
            {"SystemStatus": 1, "Ack": 1, "Heartbeat": 120, "book channel": 1254},
        ),
        (
            "v2_book1000_10pairs_reencoded.frames.jsonl",
            {"SystemStatus": 1, "Ack": 10, "Heartbeat": 119, "book channel": 14506},
        ),
    ],
)
def test_recorded_session_holds_only_what_is_expected(captures: Path, file: str, counts: dict[str, int]) -> None:
    found: dict[str, int] = {}
    for line in (captures / file).read_bytes().splitlines():
        for decoded in decode(line):
            name = decoded.reason if isinstance(decoded, Raw) else type(decoded).__name__
            found[name] = found.get(name, 0) + 1
    assert found == counts
