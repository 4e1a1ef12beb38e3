from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.sessions.session import ClientSession, Level3Session, encode_status
from krakenwire.sim.source import MarketSource

NS = 10**9
NOW = 1_784_483_679 * NS + 614_696_000
TIMES = '"time_in":"2026-07-19T17:54:39.614696Z","time_out":"2026-07-19T17:54:39.614696Z"'
MARKET = Market(select(["BTC/USD", "MINA/GBP"]), seed=1)


def make(message_rate: float = 1e6) -> ClientSession[str]:
    source: MarketSource[str] = MarketSource(MARKET)
    return ClientSession(source, "me", lambda: NOW, message_rate=message_rate)


def ask(session: ClientSession[str], message: object) -> list[str]:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return [frame.decode() for _, frame in session.receive(text, 0)]


def request(method: str, channel: object, *symbols: object, **params: object) -> dict[str, Any]:
    asked: dict[str, Any] = {"channel": channel, **params}
    if symbols:
        asked["symbol"] = list(symbols)
    return {"method": method, "params": asked}


@pytest.mark.parametrize(
    ("params", "result"),
    [
        ({"channel": "book"}, '"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"'),
        (
            {"channel": "book", "depth": 1000, "snapshot": False},
            '"channel":"book","depth":1000,"snapshot":false,"symbol":"BTC/USD"',
        ),
        ({"channel": "trade"}, '"channel":"trade","snapshot":false,"symbol":"BTC/USD"'),
        ({"channel": "trade", "snapshot": True}, '"channel":"trade","snapshot":true,"symbol":"BTC/USD"'),
        (
            {"channel": "ticker"},
            '"channel":"ticker","event_trigger":"trades","snapshot":true,"symbol":"BTC/USD"',
        ),
        (
            {"channel": "ticker", "event_trigger": "bbo"},
            '"channel":"ticker","event_trigger":"bbo","snapshot":true,"symbol":"BTC/USD"',
        ),
        (
            {"channel": "ohlc", "interval": 60},
            '"channel":"ohlc","interval":60,"snapshot":true,"symbol":"BTC/USD",'
            '"warnings":["timestamp is deprecated, use interval_begin"]',
        ),
        (
            {"channel": "instrument"},
            '"channel":"instrument","snapshot":true,"warnings":["tick_size is deprecated, use price_increment"]',
        ),
    ],
)
def test_subscription_is_acknowledged_in_kraken_words_and_then_opened(params: dict[str, Any], result: str) -> None:
    if params["channel"] != "instrument":
        params = {**params, "symbol": ["BTC/USD"]}
    ack, *opening = ask(make(), {"method": "subscribe", "params": params, "req_id": 42})
    assert ack == f'{{"method":"subscribe","req_id":42,"result":{{{result}}},"success":true,{TIMES}}}'
    assert len(opening) == ('"snapshot":true' in result)
    for frame in opening:
        assert json.loads(frame)["channel"] == params["channel"]
        assert json.loads(frame)["type"] == "snapshot"


@pytest.mark.parametrize(
    ("channel", "params", "result"),
    [
        ("book", {"depth": 25}, '"channel":"book","depth":25,"symbol":"BTC/USD"'),
        ("trade", {}, '"channel":"trade","symbol":"BTC/USD"'),
        ("ticker", {"event_trigger": "bbo"}, '"channel":"ticker","event_trigger":"bbo","symbol":"BTC/USD"'),
        ("ohlc", {"interval": 5}, '"channel":"ohlc","interval":5,"symbol":"BTC/USD"'),
        ("instrument", {}, '"channel":"instrument"'),
    ],
)
def test_unsubscription_is_acknowledged_once_and_refused_after(
    channel: str, params: dict[str, Any], result: str
) -> None:
    session = make()
    symbols = () if channel == "instrument" else ("BTC/USD",)
    ask(session, request("subscribe", channel, *symbols, **params))
    message = request("unsubscribe", channel, *symbols, **params)
    assert ask(session, message) == [f'{{"method":"unsubscribe","result":{{{result}}},"success":true,{TIMES}}}']
    assert not session.has_subscriptions
    (refused,) = map(json.loads, ask(session, message))
    assert refused["error"] == "Subscription Not Found"
    assert "result" not in refused


def test_each_symbol_is_answered_for_itself_under_one_req_id() -> None:
    frames = ask(make(), request("subscribe", "book", "BTC/USD", "XLM/GBP", "MINA/GBP") | {"req_id": 7})
    assert [json.loads(frame).get("method", "data") for frame in frames] == [
        "subscribe", "data", "subscribe", "subscribe", "data"
    ]  # fmt: skip
    assert frames[2] == (
        '{"error":"Currency pair not supported XLM/GBP","method":"subscribe","req_id":7,"success":false,'
        f'"symbol":"XLM/GBP",{TIMES}}}'
    )
    assert all(json.loads(frames[index])["req_id"] == 7 for index in (0, 2, 3))


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"hello", "Malformed request"),
        (b"", "Malformed request"),
        (b"\xff\xfe", "Malformed request"),
        (b"[1,2]", "Malformed request"),
        (b"12", "Malformed request"),
        (b"null", "Malformed request"),
        (b'{"method":"ping"', "Malformed request"),
        (b"[" * 100_000, "Malformed request"),
        ({}, "Malformed request"),
        ({"method": 5}, "Malformed request"),
        ({"method": "subscribe"}, "Malformed request"),
        ({"method": "subscribe", "params": []}, "Malformed request"),
        ({"method": "subscribe", "params": {}}, "Malformed request"),
        (request("subscribe", 5), "Malformed request"),
        (request("subscribe", "book", "BTC/USD", snapshot="yes"), "Malformed request"),
        (request("subscribe", "book", 5), "Malformed request"),
        (request("subscribe", "book", *["BTC/USD"] * 2001), "Malformed request"),
        (request("subscribe", "ticker", "BTC/USD", event_trigger=["bbo"]), "Malformed request"),
        ({"method": "ping", "req_id": "1"}, "Malformed request"),
        ({"method": "ping", "req_id": 10**30}, "Malformed request"),
        ({"method": "ping", "req_id": True}, "Malformed request"),
        ({"method": "dance"}, "Unsupported event"),
        ({"method": "ping", "params": {}}, "Unsupported field: 'params' for the given msg type: ping"),
        (
            {"method": "subscribe", "reqid": 1, "params": {"channel": "book"}},
            "Unsupported field: 'reqid' for the given msg type: subscribe",
        ),
        (
            request("subscribe", "book", "BTC/USD", interval=5),
            "Unsupported field: 'interval' for the given msg type: subscribe",
        ),
        (request("subscribe", "status"), "Symbol(s) not found"),
        (request("subscribe", "heartbeat"), "Symbol(s) not found"),
        (request("subscribe", "book"), "Symbol(s) not found"),
        (request("subscribe", "book", symbol=[]), "Symbol(s) not found"),
        (request("subscribe", "book", symbol="BTC/USD"), "Pair field must be an array"),
        (request("subscribe", "executions"), "Token(s) not found"),
        (request("subscribe", "gossip", "BTC/USD"), "Subscription name invalid"),
        (request("subscribe", "book", "BTC/USD", depth=7), "Subscription depth not supported"),
        (request("subscribe", "book", "BTC/USD", depth="10"), "Subscription book depth must be an integer"),
        (request("subscribe", "book", "BTC/USD", depth=True), "Subscription book depth must be an integer"),
        (request("subscribe", "ohlc", "BTC/USD", interval=2), "Subscription ohlc interval not supported"),
        (request("subscribe", "ohlc", "BTC/USD", interval=1.0), "Subscription ohlc interval must be an integer"),
        (request("unsubscribe", "book", "BTC/USD"), "Subscription Not Found"),
        (request("subscribe", "book", "XBT/USD"), "Currency pair not supported XBT/USD"),
        (request("subscribe", "trade", "*"), "Currency pair not in ISO 4217-A3 format *"),
    ],
)
def test_wrong_request_is_refused_in_kraken_words_and_does_nothing(message: object, error: str) -> None:
    session = make()
    (answer,) = map(json.loads, ask(session, message))
    assert answer["error"] == error
    assert answer["success"] is False
    assert "result" not in answer
    assert not session.has_subscriptions
    assert len(ask(session, request("subscribe", "book", "BTC/USD"))) == 2


def test_refused_depth_has_neither_result_nor_symbol() -> None:
    assert ask(make(), request("subscribe", "book", "BTC/USD", depth=11)) == [
        f'{{"error":"Subscription depth not supported","method":"subscribe","success":false,{TIMES}}}'
    ]


def test_second_depth_or_trigger_of_a_symbol_is_already_subscribed() -> None:
    session = make()
    for channel, first, second in (
        ("book", {"depth": 10}, {"depth": 100}),
        ("book", {"depth": 10}, {"depth": 10}),
        ("ticker", {}, {"event_trigger": "bbo"}),
        ("trade", {}, {}),
    ):
        ask(session, request("subscribe", channel, "BTC/USD", **first))
        assert ask(session, request("subscribe", channel, "BTC/USD", **second) | {"req_id": 2}) == [
            '{"error":"Already subscribed","method":"subscribe","req_id":2,"success":false,"symbol":"BTC/USD",'
            f"{TIMES}}}"
        ]


def test_another_depth_is_to_be_had_after_unsubscribing_with_the_right_depth() -> None:
    session = make()
    ask(session, request("subscribe", "book", "BTC/USD", depth=10))
    (wrong,) = map(json.loads, ask(session, request("unsubscribe", "book", "BTC/USD", depth=25)))
    assert wrong["error"] == "Subscription Not Found"
    ask(session, request("unsubscribe", "book", "BTC/USD"))
    assert len(ask(session, request("subscribe", "book", "BTC/USD", depth=25))) == 2


def test_several_intervals_of_a_symbol_go_together() -> None:
    session = make()
    for interval in (1, 5, 60):
        assert len(ask(session, request("subscribe", "ohlc", "BTC/USD", interval=interval))) == 2
    (again,) = map(json.loads, ask(session, request("subscribe", "ohlc", "BTC/USD", interval=5)))
    assert again["error"] == "Already subscribed"


def test_ping_is_answered_by_a_pong_of_four_keys() -> None:
    assert ask(make(), {"method": "ping", "req_id": 101}) == [f'{{"method":"pong","req_id":101,{TIMES}}}']
    assert ask(make(), {"method": "ping"}) == [f'{{"method":"pong",{TIMES}}}']


def test_flood_of_messages_is_answered_by_the_rate_error_until_it_slows_down() -> None:
    session = make(message_rate=5.0)
    ping = b'{"method":"ping"}'
    answers = [session.receive(ping, 0)[0][1] for _ in range(20)]
    assert [b"pong" in answer for answer in answers] == [True] * 10 + [False] * 10
    assert answers[-1] == b'{"Error":"Exceeded msg rate"}'
    assert b"pong" in session.receive(ping, NS)[0][1]
    assert [b"pong" in session.receive(ping, NS)[0][1] for _ in range(5)] == [True] * 4 + [False]


def test_client_that_is_gone_is_given_nothing_more() -> None:
    source: MarketSource[str] = MarketSource(MARKET)
    session = ClientSession(source, "me", lambda: NOW)
    states = [(session.has_subscriptions, source.is_idle)]
    ask(session, request("subscribe", "book", "BTC/USD", "MINA/GBP"))
    states.append((session.has_subscriptions, source.is_idle))
    session.close()
    states.append((session.has_subscriptions, source.is_idle))
    assert states == [(False, True), (True, False), (False, True)]


def test_status_has_the_text_of_a_real_one() -> None:
    assert encode_status(6437862339878838704) == (
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
        b'"connection_id":6437862339878838704}]}'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["channel", "symbol", "depth", "interval", "snapshot", "event_trigger", "token"])
LIKELY = st.sampled_from(["book", "ticker", "trade", "ohlc", "instrument", ["BTC/USD"], 10, 5, True, "bbo"])


@given(
    message=st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(["subscribe", "unsubscribe", "ping"]) | JSON,
            "params": st.dictionaries(KEYS, LIKELY | JSON) | JSON,
            "req_id": st.integers(0, 5) | JSON,
        },
    )
)
def test_any_json_is_answered_and_every_answer_is_json(message: dict[str, Any]) -> None:
    frames = ask(make(), message)
    assert frames
    for frame in frames:
        json.loads(frame)
    answer = json.loads(frames[0])
    assert ("error" in answer) != answer.get("success", answer.get("method") == "pong")


@given(text=st.binary(max_size=200))
def test_any_bytes_are_answered(text: bytes) -> None:
    assert ask(make(), text)


# --- level3 -----------------------------------------------------------------------------------------------------------

L3_MARKET = Market(seed=1)


class Level3Client:
    """A session of the level3 door, and tokens for it."""

    def __init__(self) -> None:
        self.accounts = Accounts.default()
        self.now_ns = NOW
        source: MarketSource[str] = MarketSource(L3_MARKET)
        self.session = Level3Session(source, "me", lambda: self.now_ns, self.accounts, message_rate=1e6)

    def ask(self, method: str, *symbols: str, at: int = 0, account: str = "bob", **params: Any) -> list[dict[str, Any]]:
        token = self.accounts.issue_token(account, self.now_ns)
        asked = {"channel": "level3", "symbol": symbols, "token": token} | params
        message = {"method": method, "params": asked}
        return [json.loads(frame) for _, frame in self.session.receive(json.dumps(message).encode(), at)]


def test_level3_is_acknowledged_and_opened_for_who_has_a_token() -> None:
    client = Level3Client()
    ack, snapshot = client.ask("subscribe", "BTC/USD", depth=100)
    assert ack["result"] == {"channel": "level3", "depth": 100, "snapshot": True, "symbol": "BTC/USD"}
    assert (snapshot["channel"], snapshot["type"]) == ("level3", "snapshot")
    assert {"order_id", "limit_price", "order_qty", "timestamp"} == set(snapshot["data"][0]["bids"][0])
    assert client.session.account == "bob"
    (again,) = client.ask("subscribe", "BTC/USD", depth=10)
    assert again["error"] == "Already subscribed"
    (ack,) = client.ask("unsubscribe", "BTC/USD", depth=100)
    assert ack["result"] == {"channel": "level3", "depth": 100, "symbol": "BTC/USD"}
    assert not client.session.has_subscriptions


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"token": None}, "Token(s) not found"),
        ({"token": 5}, "Token(s) not found"),
        ({"token": "stale"}, "EAPI:Invalid token"),
        ({"depth": 25}, "Subscription depth not supported"),
        ({"depth": "10"}, "Subscription book depth must be an integer"),
        ({"channel": "book"}, "Subscription name invalid"),
        ({"channel": "executions"}, "Token(s) not found"),
        ({"interval": 1}, "Unsupported field: 'interval' for the given msg type: subscribe"),
        ({"symbol": ["XBT/USD"]}, "Currency pair not supported XBT/USD"),
    ],
)
def test_wrong_level3_request_is_refused(params: dict[str, Any], error: str) -> None:
    client = Level3Client()
    (answer,) = client.ask("subscribe", "BTC/USD", **params)
    assert (answer["error"], answer["success"]) == (error, False)
    assert not client.session.has_subscriptions


@pytest.mark.parametrize(
    ("account", "depth", "allowed"),
    [("bob", 10, 20), ("bob", 100, 8), ("bob", 1000, 2), ("alice", 100, 20), ("alice", 1000, 5)],
)
def test_level3_subscriptions_cost_by_depth_and_the_tier_pro_may_have_more(
    account: str, depth: int, allowed: int
) -> None:
    client = Level3Client()
    answers = client.ask("subscribe", *L3_MARKET.symbols, account=account, depth=depth, snapshot=False)
    errors = [answer.get("error") for answer in answers]
    assert errors == [None] * allowed + ["Exceeded msg rate"] * (len(L3_MARKET.symbols) - allowed)
    if allowed < len(L3_MARKET.symbols):
        last = L3_MARKET.symbols[-1]
        assert client.ask("subscribe", last, account=account, depth=depth, at=NS - 1, snapshot=False)[0]["success"]


def test_level3_has_so_many_symbols_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krakenwire.sim.sessions.session.MAX_L3_SYMBOLS", 2)
    answers = Level3Client().ask("subscribe", *L3_MARKET.symbols[:3], snapshot=False)
    assert [answer["success"] for answer in answers] == [True, True, False]
