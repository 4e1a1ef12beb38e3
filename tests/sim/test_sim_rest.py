"""The REST API without a socket: shapes and digits of every answer, and an error for everything else."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krakenwire.clock import ManualClock
from krakenwire.errors import UsageError
from krakenwire.protocol.wire.auth import sign
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.accounts.file import Permissions, default_definitions
from krakenwire.sim.engine.model import AddOrder, AmendOrder, EngineStatus
from krakenwire.sim.faults import Faults
from krakenwire.sim.instruments import select
from krakenwire.sim.market.candles import INTERVALS, Candle
from krakenwire.sim.market.market import SIMULATED_START_NS, Market
from krakenwire.sim.peer import Peer
from krakenwire.sim.rest.api import PUBLIC_BURST, RestApi

S = 1_000_000_000
SYMBOLS = ("BTC/USD", "ETH/BTC", "SOL/USD", "DOGE/USD", "PEPE/USD", "MINA/GBP")
PUBLIC = ("Time", "SystemStatus", "Assets", "AssetPairs", "Ticker", "Depth", "Trades", "OHLC", "Spread")
PRIVATE = ("GetWebSocketsToken", "Balance", "BalanceEx", "OpenOrders")


class Exchange:
    """A market with accounts that moves when it is told to."""

    def __init__(self, accounts: Accounts | None = None, *, seed: int = 5) -> None:
        self.clock = ManualClock()
        self.moving: set[str] = set()
        self.accounts = accounts or Accounts.default()
        listings = select(SYMBOLS)
        assets = {name for each in listings for name in (each.instrument.base, each.instrument.quote)}
        self.market = Market(listings, seed=seed, accounts=self.accounts.engine_accounts(assets))
        self.api = RestApi(self)
        self.faults = Faults(self)
        self.nonce = 0

    @property
    def peers(self) -> dict[Peer, None]:
        return {}

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.market.symbols

    def set_status(self, status: EngineStatus) -> None:
        self.market.set_status(status)

    def publish(self) -> None:
        self.market.drain()

    def move_too(self, symbols: Iterable[str]) -> None:
        self.moving = set(symbols)

    def exchange_now_ns(self) -> int:
        return self.market.now_ns

    def move(self, steps: int) -> None:
        for _ in range(steps):
            self.market.step()
            self.market.drain()

    def ask(self, name: str, **fields: object) -> Any:
        """The result of a public call."""
        answer = self.answer(name, **fields)
        assert answer["error"] == []
        return answer["result"]

    def answer(self, name: str, **fields: object) -> Any:
        status, body = self.api.handle("GET", f"/0/public/{name}", urlencode(fields))
        assert status == 200
        return json.loads(body)

    def error(self, name: str, **fields: object) -> str:
        """The one error of a public call; there is nothing beside it."""
        answer = self.answer(name, **fields)
        assert answer.keys() == {"error"}
        (text,) = answer["error"]
        return str(text)

    def sign_in(self, account: str, name: str, *, as_json: bool = False, **fields: object) -> Any:
        """The answer to a private call."""
        self.nonce += 1
        credentials = self.accounts.credentials(account)
        said = {"nonce": self.nonce, **fields}
        body = json.dumps(said).encode() if as_json else urlencode(said).encode()
        path = f"/0/private/{name}"
        headers = {"API-Key": credentials.key, "API-Sign": sign(path, str(self.nonce), body, credentials.secret)}
        status, answer = self.api.handle("POST", path, headers=headers, body=body)
        assert status == 200
        return json.loads(answer)


@pytest.fixture(scope="module")
def moved() -> Exchange:
    """An exchange that has traded; tests that share it only look."""
    exchange = Exchange()
    exchange.move(4000)
    return exchange


# --- what is no call ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Nothing", "time", "Time/", "Balance", "%00"])
def test_unknown_call_is_an_unknown_method(moved: Exchange, name: str) -> None:
    assert moved.error(name) == "EGeneral:Unknown method"


@pytest.mark.parametrize("name", ["", "Nothing", "Time", "AddOrder"])
def test_unknown_private_call_is_an_unknown_method_whoever_asks(moved: Exchange, name: str) -> None:
    status, body = moved.api.handle("POST", f"/0/private/{name}")
    assert (status, json.loads(body)) == (200, {"error": ["EGeneral:Unknown method"]})


@pytest.mark.parametrize("path", ["", "/", "/0", "/0/public", "/1/public/Time", "/0/secret/Time"])
def test_path_outside_the_api_is_not_found(moved: Exchange, path: str) -> None:
    status, body = moved.api.handle("GET", path)
    assert (status, json.loads(body)) == (404, {"error": ["EGeneral:Unknown method"]})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "get", ""])
def test_method_that_no_call_has_is_not_allowed(moved: Exchange, method: str) -> None:
    assert moved.api.handle(method, "/0/public/Time")[0] == 405


# --- time and status ----------------------------------------------------------------------------------------


def test_time_is_the_exchanges_in_two_forms() -> None:
    assert Exchange().ask("Time") == {
        "unixtime": SIMULATED_START_NS // S,
        "rfc1123": "Thu, 01 Jan 26 00:00:00 +0000",
    }


@pytest.mark.parametrize("status", ["online", "cancel_only", "post_only", "maintenance"])
def test_system_status_is_the_engines(status: EngineStatus) -> None:
    exchange = Exchange()
    exchange.market.set_status(status)
    assert exchange.ask("SystemStatus") == {"status": status, "timestamp": "2026-01-01T00:00:00Z"}


def test_maintenance_leaves_time_and_status_only() -> None:
    exchange = Exchange()
    exchange.market.set_status("maintenance")
    for name in PUBLIC[2:]:
        assert exchange.error(name, pair="XBTUSD") == "EService:Unavailable"
    for name in PRIVATE:
        assert exchange.sign_in("alice", name) == {"error": ["EService:Unavailable"]}
    assert exchange.ask("Time")


def test_public_calls_are_posted_too(moved: Exchange) -> None:
    for body in (b"pair=XBTUSD&count=1", b'{"pair":"XBTUSD","count":1}'):
        _, answer = moved.api.handle("POST", "/0/public/Depth", body=body)
        assert json.loads(answer)["result"] == moved.ask("Depth", pair="XBTUSD", count=1)


# --- reference data -----------------------------------------------------------------------------------------


def test_assets_are_keyed_by_their_id(moved: Exchange) -> None:
    assert moved.ask("Assets", asset="XBT,SOL")["XXBT"] == {
        "aclass": "currency",
        "altname": "XBT",
        "decimals": 10,
        "display_decimals": 5,
        "collateral_value": 1.0,
        "status": "enabled",
        "margin_rate": 0.01,
    }
    assert moved.ask("Assets", asset="XBT,SOL").keys() == {"XXBT", "SOL"}
    traded = {"XXBT", "XETH", "SOL", "XXDG", "PEPE", "MINA", "ZUSD", "ZGBP"}
    assert moved.ask("Assets").keys() == moved.ask("Assets", aclass="currency").keys() == traded


def test_unknown_asset_and_class_are_errors(moved: Exchange) -> None:
    assert moved.error("Assets", asset="XBT,NOPE") == "EQuery:Unknown asset"
    assert moved.error("Assets", aclass="shares") == "EGeneral:Invalid arguments"


def test_pairs_are_told_as_kraken_tells_them(moved: Exchange) -> None:
    (pair,) = moved.ask("AssetPairs", pair="BTC/USD").values()
    assert pair == {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "aclass_base": "currency",
        "base": "XXBT",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3, 4, 5],
        "leverage_sell": [2, 3, 4, 5],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
        "execution_venue": "international",
        "long_position_limit": 250,
        "short_position_limit": 200,
    }


def test_pairs_are_all_or_those_named_and_never_with_an_exponent(moved: Exchange) -> None:
    everything = moved.ask("AssetPairs")
    assert everything.keys() == {"XXBTZUSD", "XETHXXBT", "SOLUSD", "XDGUSD", "PEPEUSD", "MINAGBP"}
    assert everything["PEPEUSD"]["tick_size"] == "0.000000001"
    assert everything["PEPEUSD"]["ordermin"] == "200000"
    assert everything["MINAGBP"]["leverage_buy"] == []
    assert "long_position_limit" not in everything["MINAGBP"]
    assert moved.ask("AssetPairs", pair="ETHXBT, XXBTZUSD").keys() == {"XETHXXBT", "XXBTZUSD"}


@pytest.mark.parametrize(
    ("info", "fields"),
    [
        ("leverage", {"leverage_buy", "leverage_sell"}),
        ("fees", {"fees", "fees_maker", "fee_volume_currency"}),
        ("margin", {"margin_call", "margin_stop"}),
    ],
)
def test_pairs_can_be_told_in_part(moved: Exchange, info: str, fields: set[str]) -> None:
    assert moved.ask("AssetPairs", pair="XBTUSD", info=info)["XXBTZUSD"].keys() == fields


def test_pair_that_is_not_listed_is_unknown_everywhere(moved: Exchange) -> None:
    for name in ("AssetPairs", "Ticker", "Depth", "Trades", "OHLC", "Spread"):
        assert moved.error(name, pair="NOPEUSD") == "EQuery:Unknown asset pair"
    assert moved.error("Ticker", pair="XBTUSD,NOPEUSD") == "EQuery:Unknown asset pair"


def test_pair_must_be_named_where_one_is_told_of(moved: Exchange) -> None:
    for name in ("Depth", "Trades", "OHLC", "Spread"):
        assert moved.error(name) == moved.error(name, pair="") == "EGeneral:Invalid arguments"


def test_status_of_a_pair_is_that_of_now() -> None:
    exchange = Exchange()
    exchange.market.change_instrument("SOL/USD", status="cancel_only")
    assert exchange.ask("AssetPairs", pair="SOLUSD")["SOLUSD"]["status"] == "cancel_only"
    assert exchange.ask("AssetPairs", pair="XBTUSD")["XXBTZUSD"]["status"] == "online"


@pytest.mark.parametrize("info", ["everything", "INFO"])
def test_other_kinds_of_information_do_not_exist(moved: Exchange, info: str) -> None:
    assert moved.error("AssetPairs", info=info) == "EGeneral:Invalid arguments"


def test_there_are_no_tokenised_assets(moved: Exchange) -> None:
    assert moved.ask("AssetPairs", aclass_base="tokenized_asset") == {}


# --- the book -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_depth_is_the_book_rounded_as_kraken_rounds_it(moved: Exchange, symbol: str) -> None:
    (told,) = moved.ask("Depth", pair=symbol, count=25).values()
    bids, asks = moved.market.truth(symbol, 25)
    for levels, truth in ((told["bids"], bids), (told["asks"], asks)):
        assert len(levels) == len(truth) > 0
        for (price, qty, moment), (true_price, true_qty) in zip(levels, truth, strict=True):
            assert Decimal(price) == Decimal(true_price)
            assert len(price.partition(".")[2]) >= 5
            assert abs(Decimal(qty) - Decimal(true_qty)) <= Decimal("0.001")
            assert re.fullmatch(r"\d+\.\d{3}", qty)
            assert Decimal(qty) > 0
            assert SIMULATED_START_NS // S <= moment <= moved.market.now_ns // S


def test_volume_too_small_to_be_told_is_not_told_as_nothing() -> None:
    exchange = Exchange()
    (bid,), _ = exchange.market.truth("BTC/USD", 1)
    order = AddOrder(
        symbol="BTC/USD",
        side="buy",
        order_type="limit",
        order_qty=Decimal("0.00005"),
        limit_price=Decimal(bid[0]) + Decimal("0.1"),
        post_only=True,
    )
    exchange.market.engine.add("alice", order)
    assert exchange.ask("Depth", pair="XBTUSD", count=1)["XXBTZUSD"]["bids"][0][1] == "0.001"


@pytest.mark.parametrize(("count", "levels"), [("", 100), (1, 1), (500, 500), (501, 500), (10**9, 500)])
def test_depth_is_a_hundred_levels_or_as_many_as_asked_for(moved: Exchange, count: object, levels: int) -> None:
    (told,) = moved.ask("Depth", pair="XBTUSD", count=count).values()
    assert len(told["bids"]) == len(told["asks"]) == levels


@pytest.mark.parametrize("count", [0, -1, "ten", "1.0", "1e2", "٣", "9" * 100])
def test_count_that_is_no_number_of_levels_is_invalid(moved: Exchange, count: object) -> None:
    for name in ("Depth", "Trades"):
        assert moved.error(name, pair="XBTUSD", count=count) == "EGeneral:Invalid arguments"


def test_depth_of_a_book_thinner_than_asked_for_is_what_there_is() -> None:
    exchange = Exchange()
    exchange.market.thin("BTC/USD", 3)
    exchange.market.drain()
    (told,) = exchange.ask("Depth", pair="XBTUSD").values()
    assert (len(told["bids"]), len(told["asks"])) == (3, 3)


def test_empty_book_is_told_without_a_failure() -> None:
    exchange = Exchange()
    exchange.market.thin("BTC/USD", 0)
    exchange.market.drain()
    assert exchange.ask("Depth", pair="XBTUSD") == {"XXBTZUSD": {"asks": [], "bids": []}}
    ticker = exchange.ask("Ticker", pair="XBTUSD")["XXBTZUSD"]
    assert ticker["a"] == ticker["b"] == ["0.00000", "0", "0.000"]
    assert exchange.ask("Spread", pair="XBTUSD")["XXBTZUSD"] is not None


def test_spreads_end_with_that_of_now_and_since_includes_its_second(moved: Exchange) -> None:
    told = moved.ask("Spread", pair="XBTUSD")
    (bid,), (ask,) = ([Decimal(price) for price, _ in side] for side in moved.market.truth("BTC/USD", 1))
    rows = told["XXBTZUSD"]
    assert [Decimal(price) for price in rows[-1][1:]] == [bid, ask]
    assert all(re.fullmatch(r"\d+\.\d{5}", price) for row in rows for price in row[1:])
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert told["last"] == rows[-1][0]
    newer = moved.ask("Spread", pair="XBTUSD", since=told["last"])["XXBTZUSD"]
    assert newer == [row for row in rows if row[0] >= told["last"]]
    assert moved.ask("Spread", pair="XBTUSD", since=told["last"] + 1) == {"XXBTZUSD": [], "last": told["last"] + 1}


# --- ticker and candles -------------------------------------------------------------------------------------


def test_ticker_is_told_as_kraken_tells_it(moved: Exchange) -> None:
    told = moved.ask("Ticker", pair="XBTUSD")["XXBTZUSD"]
    (depth,) = moved.ask("Depth", pair="XBTUSD", count=1).values()
    stats = moved.market.stats("BTC/USD")
    assert told.keys() == set("abcvptlho")
    assert [told["a"][0], told["b"][0]] == [depth["asks"][0][0], depth["bids"][0][0]]
    assert all(re.fullmatch(r"\d+", each[1]) and each[2] == f"{each[1]}.000" for each in (told["a"], told["b"]))
    assert int(told["a"][1]) > 0, "less than one is one, not nothing"
    last = moved.market.recent_trades("BTC/USD", 1)[0]
    assert [Decimal(each) for each in told["c"]] == [Decimal(last.tick) / 10, Decimal(last.lots) / 10**8]
    assert Decimal(told["v"][1]) == Decimal(stats.day.lots) / 10**8
    assert told["t"][1] == stats.day.trades
    assert told["h"][1] == f"{Decimal(stats.day.high) / 10:.5f}"
    assert told["l"][1] == f"{Decimal(stats.day.low) / 10:.5f}"
    assert abs(Decimal(told["p"][1]) - Decimal(stats.day.value) / stats.day.lots / 10) < Decimal("0.00001")
    assert all(re.fullmatch(r"\d+\.\d{5}", price) for price in (*told["l"], *told["h"], *told["p"], told["o"]))


def test_ticker_of_all_pairs_needs_no_names(moved: Exchange) -> None:
    everything = moved.ask("Ticker")
    assert everything.keys() == moved.ask("AssetPairs").keys()
    assert everything["PEPEUSD"] == moved.ask("Ticker", pair="PEPEUSD")["PEPEUSD"]
    assert re.fullmatch(r"0\.\d{9}", everything["PEPEUSD"]["c"][0])
    assert re.fullmatch(r"\d+\.\d{5}", everything["PEPEUSD"]["c"][1])


@pytest.mark.parametrize("call", ["AssetPairs", "Ticker", "Depth", "Trades", "OHLC", "Spread"])
def test_a_pair_asked_for_with_a_slash_is_told_under_that_name(moved: Exchange, call: str) -> None:
    assert moved.ask(call, pair="PEPE/USD").keys() - {"last"} == {"PEPE/USD"}
    assert moved.ask(call, pair="PEPEUSD").keys() - {"last"} == {"PEPEUSD"}


def test_today_is_what_was_traded_since_midnight() -> None:
    exchange = Exchange()
    market = exchange.market
    day_ns = 86_400 * S
    trades = total = 0
    for now_ns in (
        SIMULATED_START_NS + 30 * S,
        *range(SIMULATED_START_NS + day_ns - 300 * S, SIMULATED_START_NS + day_ns + 300 * S, 7 * S),
    ):
        market.step(now_ns)
        for _ in range(20):
            market.step()
        market.drain()
        today = Candle(0, 0)
        for candle in market.stats("BTC/USD").minutes.kept:
            if candle.begin_ns // day_ns == market.stats("BTC/USD").minutes.current.begin_ns // day_ns:
                today = today if today.begin_ns else Candle(candle.begin_ns, candle.open)
                today.fold(candle)
        told = exchange.ask("Ticker", pair="XBTUSD")["XXBTZUSD"]
        assert (told["t"][0], Decimal(told["v"][0])) == (today.trades, Decimal(today.lots) / 10**8)
        assert [Decimal(each) * 10 for each in (told["o"], told["l"][0], told["h"][0])] == [
            today.open,
            today.low,
            today.high,
        ]
        trades, total = max(trades, today.trades), total + 1
    assert trades > 10
    assert total > 80


def test_candles_are_at_most_720_and_the_last_one_runs(moved: Exchange) -> None:
    told = moved.ask("OHLC", pair="XBTUSD")
    rows = told["XXBTZUSD"]
    assert len(rows) == 720
    moments = [row[0] for row in rows]
    assert moments == sorted(moments)
    assert all(moment % 60 == 0 for moment in moments)
    assert told["last"] == moments[-2]
    for _, opened, high, low, closed, vwap, volume, count in rows:
        assert Decimal(low) <= min(Decimal(opened), Decimal(closed)) <= Decimal(high)
        assert Decimal(low) <= Decimal(vwap) <= Decimal(high)
        assert re.fullmatch(r"\d+\.\d", opened)
        assert re.fullmatch(r"\d+\.\d{8}", volume)
        assert isinstance(count, int)


@pytest.mark.parametrize("interval", INTERVALS)
def test_candles_of_every_length_are_told(moved: Exchange, interval: int) -> None:
    rows = moved.ask("OHLC", pair="XBTUSD", interval=interval)["XXBTZUSD"]
    assert 0 < len(rows) <= 720
    assert all(row[0] % (interval * 60) == 0 for row in rows)


def test_candles_since_the_last_one_are_those_that_came_after(moved: Exchange) -> None:
    told = moved.ask("OHLC", pair="XBTUSD")
    newer = moved.ask("OHLC", pair="XBTUSD", since=told["last"])
    assert newer == {"XXBTZUSD": told["XXBTZUSD"][-1:], "last": told["last"]}


@pytest.mark.parametrize(
    "fields", [{"interval": 2}, {"interval": "x"}, {"since": "x"}, {"since": -1}, {"since": 2**64}]
)
def test_candles_of_no_length_or_time_are_invalid(moved: Exchange, fields: dict[str, object]) -> None:
    assert moved.error("OHLC", pair="XBTUSD", **fields) == "EGeneral:Invalid arguments"


# --- trades -------------------------------------------------------------------------------------------------


def test_trades_are_told_as_kraken_tells_them(moved: Exchange) -> None:
    told = moved.ask("Trades", pair="XBTUSD", count=50)
    rows = told["XXBTZUSD"]
    assert len(rows) == 50
    for row, trade in zip(rows, moved.market.recent_trades("BTC/USD", 50), strict=True):
        price, qty, moment, side, kind, misc, trade_id = row
        assert (Decimal(price) * 10, Decimal(qty) * 10**8) == (Decimal(trade.tick), Decimal(trade.lots))
        assert re.fullmatch(r"\d+\.\d{5}", price)
        assert abs(Decimal(str(moment)) - Decimal(trade.exchange_ns) / S) < Decimal("0.000001")
        assert (side, kind) == ("b" if trade.buys else "s", "m" if trade.market else "l")
        assert (misc, trade_id) == ("", trade.trade_id)
    assert isinstance(told["last"], str)
    assert int(told["last"]) >= moved.market.recent_trades("BTC/USD", 1)[0].exchange_ns


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_trades_can_be_paged_through_and_none_is_missed_or_told_twice(count: int) -> None:
    exchange = Exchange()
    exchange.move(500)
    since, told = "0", []
    while rows := (page := exchange.ask("Trades", pair="XBTUSD", since=since, count=count))["XXBTZUSD"]:
        assert len(rows) <= count
        told += [row[6] for row in rows]
        since = page["last"]
        exchange.move(1)
    ids = [trade.trade_id for trade in exchange.market.recent_trades("BTC/USD")]
    assert told[-len(ids) :] == ids[-len(told) :]
    assert told == list(range(told[0], told[0] + len(told)))
    assert page["last"] == since


def test_trades_since_a_moment_in_seconds_are_those_after_it(moved: Exchange) -> None:
    since = moved.market.now_ns // S - 1
    told = moved.ask("Trades", pair="XBTUSD", since=since)["XXBTZUSD"]
    assert [row[6] for row in told] == [
        trade.trade_id for trade in moved.market.recent_trades("BTC/USD") if trade.exchange_ns > since * S
    ]
    assert told


def test_trades_without_since_are_the_last_thousand(moved: Exchange) -> None:
    told = moved.ask("Trades", pair="XBTUSD")
    assert len(told["XXBTZUSD"]) == 1000
    assert told["XXBTZUSD"][-1][6] == moved.market.recent_trades("BTC/USD", 1)[0].trade_id


# --- private calls ------------------------------------------------------------------------------------------


def test_token_opens_the_private_websockets() -> None:
    exchange = Exchange()
    answer = exchange.sign_in("bob", "GetWebSocketsToken")
    assert answer["error"] == []
    assert answer["result"]["expires"] == 900
    assert exchange.accounts.account_of(answer["result"]["token"], exchange.exchange_now_ns()) == "bob"


@pytest.mark.parametrize("as_json", [False, True])
def test_balance_is_padded_to_what_the_asset_has(as_json: bool) -> None:
    exchange = Exchange()
    answer = exchange.sign_in("bob", "Balance", as_json=as_json)
    assert answer == {
        "error": [],
        "result": {"ZUSD": "250000.0000", "XXBT": "5.0000000000", "XETH": "100.0000000000"},
    }


def test_balance_is_told_with_what_open_orders_hold_back() -> None:
    exchange = Exchange()
    exchange.market.engine.add(
        "bob",
        AddOrder(
            symbol="BTC/USD", side="sell", order_type="limit", order_qty=Decimal("0.25"), limit_price=Decimal(99999)
        ),
    )
    assert exchange.sign_in("bob", "BalanceEx")["result"] == {
        "ZUSD": {"balance": "250000.0000", "hold_trade": "0.0000"},
        "XXBT": {"balance": "5.0000000000", "hold_trade": "0.2500000000"},
        "XETH": {"balance": "100.0000000000", "hold_trade": "0.0000000000"},
    }


def test_open_orders_are_told_newest_first_as_kraken_tells_them() -> None:
    exchange = Exchange()
    engine = exchange.market.engine
    first = engine.add(
        "bob",
        AddOrder(
            symbol="BTC/USD",
            side="buy",
            order_type="limit",
            order_qty=Decimal("0.5"),
            limit_price=Decimal("30010.0"),
            order_userref=120,
            post_only=True,
            time_in_force="gtd",
            expire_ns=SIMULATED_START_NS + 60 * S,
        ),
    )
    second = engine.add(
        "bob",
        AddOrder(
            symbol="ETH/BTC",
            side="sell",
            order_type="limit",
            order_qty=Decimal(10),
            limit_price=Decimal("0.9"),
            cl_ord_id="mine",
        ),
    )
    engine.amend("bob", AmendOrder(order_id=second.order_id, order_qty=Decimal(9)))
    opened = exchange.sign_in("bob", "OpenOrders")["result"]["open"]
    assert list(opened) == [second.order_id, first.order_id]
    assert opened[first.order_id] == {
        "refid": None,
        "userref": 120,
        "status": "open",
        "opentm": SIMULATED_START_NS / S,
        "starttm": 0,
        "expiretm": SIMULATED_START_NS / S + 60,
        "descr": {
            "pair": "XBTUSD",
            "type": "buy",
            "ordertype": "limit",
            "price": "30010.0",
            "price2": "0",
            "leverage": "none",
            "order": "buy 0.50000000 XBTUSD @ limit 30010.0",
            "close": "",
        },
        "vol": "0.50000000",
        "vol_exec": "0.00000000",
        "cost": "0.00000",
        "fee": "0.00000",
        "price": "0.00000",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq,post",
    }
    assert opened[second.order_id]["cl_ord_id"] == "mine"
    assert opened[second.order_id]["descr"]["order"] == "sell 9.00000000 ETHXBT @ limit 0.90000"
    assert (opened[second.order_id]["misc"], opened[second.order_id]["expiretm"]) == ("amended", 0)
    for fields, found in (
        ({"userref": 120}, [first]),
        ({"userref": 121}, []),
        ({"cl_ord_id": "mine"}, [second]),
        ({"cl_ord_id": "mine", "userref": 120}, []),
    ):
        told = exchange.sign_in("bob", "OpenOrders", **fields)["result"]["open"]
        assert list(told) == [order.order_id for order in found]
    assert exchange.sign_in("alice", "OpenOrders") == {"error": [], "result": {"open": {}}}


@pytest.mark.parametrize(("trades", "told"), [("true", True), (True, True), ("false", False), ("", False)])
def test_trades_of_open_orders_are_told_if_asked_for(trades: object, told: bool) -> None:
    exchange = Exchange()
    bids, _ = exchange.market.truth("BTC/USD", 1)
    price, qty = (Decimal(each) for each in bids[0])
    order = exchange.market.engine.add(
        "alice",
        AddOrder(symbol="BTC/USD", side="sell", order_type="limit", order_qty=qty + Decimal("0.1"), limit_price=price),
    )
    answer = exchange.sign_in("alice", "OpenOrders", as_json=isinstance(trades, bool), trades=trades)
    record = answer["result"]["open"][order.order_id]
    assert Decimal(record["vol_exec"]) == qty
    assert Decimal(record["cost"]) == (qty * price).quantize(Decimal("0.00001"))
    assert Decimal(record["price"]) == price
    assert Decimal(record["fee"]) > 0
    fills = [report.execution.exec_id for report in exchange.market.engine.recent_fills("alice") if report.execution]
    assert record.get("trades") == (fills if told else None)


@pytest.mark.parametrize("fields", [{"userref": "x"}, {"userref": 2**31}, {"trades": "maybe"}, {"cl_ord_id": [1]}])
def test_open_orders_of_senseless_fields_are_invalid_arguments(fields: dict[str, object]) -> None:
    answer = Exchange().sign_in("alice", "OpenOrders", as_json=True, **fields)
    assert answer == {"error": ["EGeneral:Invalid arguments"]}


def test_private_call_without_a_proper_signature_is_refused() -> None:
    exchange = Exchange()
    key = exchange.accounts.credentials("alice").key
    for headers, text in (
        ({}, "EAPI:Invalid key"),
        ({"api-key": key}, "EAPI:Invalid signature"),
        ({"api-key": key, "api-sign": "x"}, "EAPI:Invalid signature"),
    ):
        _, answer = exchange.api.handle("POST", "/0/private/Balance", headers=headers, body=b"nonce=1")
        assert json.loads(answer) == {"error": [text]}


@pytest.mark.parametrize(
    ("permissions", "calls"),
    [
        (Permissions(websocket=False), ["GetWebSocketsToken"]),
        (Permissions(query_funds=False), ["Balance", "BalanceEx"]),
        (Permissions(query_orders=False), ["OpenOrders"]),
    ],
)
def test_key_without_the_permission_is_denied_these_calls_only(permissions: Permissions, calls: list[str]) -> None:
    alice = msgspec.structs.replace(default_definitions()[0], permissions=permissions)
    exchange = Exchange(Accounts([alice]))
    for name in PRIVATE:
        errors = exchange.sign_in("alice", name)["error"]
        assert errors == (["EGeneral:Permission denied"] if name in calls else [])


async def test_private_calls_are_counted_and_the_counter_drains() -> None:
    exchange = Exchange()
    for _ in range(15):
        assert exchange.sign_in("carol", "Balance")["error"] == []
    assert exchange.sign_in("carol", "GetWebSocketsToken") == {"error": ["EAPI:Rate limit exceeded"]}
    assert exchange.sign_in("alice", "Balance")["error"] == []
    await exchange.clock.advance(3.1)
    assert exchange.sign_in("carol", "Balance")["error"] == []
    assert exchange.sign_in("carol", "Balance")["error"] == ["EAPI:Rate limit exceeded"]


async def test_what_is_asked_for_moves_for_a_minute() -> None:
    exchange = Exchange()
    exchange.ask("AssetPairs")
    assert exchange.moving == set()
    exchange.ask("Depth", pair="XBTUSD")
    assert exchange.moving == {"BTC/USD"}
    await exchange.clock.advance(30)
    exchange.ask("Trades", pair="PEPEUSD")
    assert exchange.moving == {"BTC/USD", "PEPE/USD"}
    await exchange.clock.advance(29)
    exchange.ask("Ticker", pair="XBTUSD")
    await exchange.clock.advance(2)
    assert exchange.moving == {"BTC/USD", "PEPE/USD"}
    await exchange.clock.advance(30)
    assert exchange.moving == {"BTC/USD"}
    await exchange.clock.advance(60)
    assert exchange.moving == set()
    exchange.ask("Ticker")
    assert exchange.moving == set(SYMBOLS)


# --- limits and failures ------------------------------------------------------------------------------------


async def test_public_calls_of_an_address_can_be_limited() -> None:
    exchange = Exchange()
    api = RestApi(exchange, public_rate=2.0)

    def ask(address: str) -> list[str]:
        errors: list[str] = json.loads(api.handle("GET", "/0/public/Time", address=address)[1])["error"]
        return errors

    assert [ask("::1") for _ in range(PUBLIC_BURST)] == [[]] * PUBLIC_BURST
    assert ask("::1") == ["EGeneral:Too many requests"]
    assert ask("::2") == []
    await exchange.clock.advance(0.5)
    assert [ask("::1"), ask("::1")] == [[], ["EGeneral:Too many requests"]]
    for number in range(10_000):
        ask(str(number))
    assert ask("::1") == [], "forgotten: addresses do not fill the memory"


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_limit_must_be_more_than_nothing(rate: float) -> None:
    with pytest.raises(UsageError, match="public_rate must be more than 0"):
        RestApi(Exchange(), public_rate=rate)


class Recorded:
    """An exchange that plays a recording."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.accounts = Accounts.default()
        self.faults = Exchange().faults

    @property
    def market(self) -> Market:
        raise UsageError("a recording is played")

    def exchange_now_ns(self) -> int:
        return self.clock.now_ns()

    def move_too(self, symbols: Iterable[str]) -> None:
        raise AssertionError("nothing is traded")


def test_recording_leaves_what_needs_no_market() -> None:
    exchange = Recorded()
    api = RestApi(exchange)
    answers = {name: json.loads(api.handle("GET", f"/0/public/{name}")[1])["error"] for name in PUBLIC}
    assert answers.pop("Time") == answers.pop("SystemStatus") == []
    assert set(map(tuple, answers.values())) == {("EService:Unavailable",)}
    credentials = exchange.accounts.credentials("alice")
    for nonce, (name, errors) in enumerate([("Balance", ["EService:Unavailable"]), ("GetWebSocketsToken", [])], 1):
        path, body = f"/0/private/{name}", f"nonce={nonce}".encode()
        headers = {"API-Key": credentials.key, "API-Sign": sign(path, str(nonce), body, credentials.secret)}
        assert json.loads(api.handle("POST", path, headers=headers, body=body)[1])["error"] == errors


def test_failure_of_ours_is_an_internal_error_with_a_log_that_tells_no_secret(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange()

    def fail(account: str) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(exchange.market.engine, "balances", fail)
    with caplog.at_level(logging.DEBUG):
        assert exchange.sign_in("alice", "Balance") == {"error": ["EGeneral:Internal error"]}
    assert "the simulator failed to answer /0/private/Balance" in caplog.text
    credentials = exchange.accounts.credentials("alice")
    assert credentials.key not in caplog.text
    assert credentials.secret not in caplog.text


def test_fault_answers_in_place_of_the_api_and_alters_what_it_says() -> None:
    exchange = Exchange()
    exchange.faults.inject("rest_error", call="Balance", error="EService:Busy")
    assert exchange.answer("Time")["error"] == []
    assert exchange.sign_in("alice", "Balance") == {"error": ["EService:Busy"]}
    assert exchange.sign_in("alice", "Balance")["error"] == []
    exchange.faults.inject("rewrite_rest", call="Depth", pattern="asks", replacement="bids")
    assert exchange.ask("Depth", pair="XBTUSD")["XXBTZUSD"].keys() == {"bids"}


FIELDS = st.dictionaries(
    st.sampled_from(
        ["pair", "asset", "info", "count", "since", "interval", "aclass", "aclass_base", "nonce", "trades"]
    ),
    st.one_of(
        st.sampled_from(
            ["XBTUSD", "XBTUSD,PEPEUSD", "MINA/GBP", "1", "0", "60", "2", "leverage", "1767225600000000000"]
        ),
        st.integers().map(str),
        st.text(max_size=8),
    ),
)


@settings(max_examples=300)
@given(
    st.sampled_from(["GET", "POST", "HEAD", "PATCH"]),
    st.one_of(
        st.sampled_from([f"/0/public/{name}" for name in PUBLIC] + [f"/0/private/{name}" for name in PRIVATE]),
        st.text(max_size=20),
    ),
    st.one_of(FIELDS.map(urlencode), st.text(max_size=30)),
    st.one_of(st.just(b""), FIELDS.map(lambda fields: json.dumps(fields).encode()), st.binary(max_size=40)),
    st.dictionaries(st.sampled_from(["API-Key", "api-sign", "x"]), st.text(max_size=10)),
)
def test_any_request_gets_valid_json_of_krakens_form(
    method: str, path: str, query: str, body: bytes, headers: dict[str, str]
) -> None:
    status, answer = SHARED.api.handle(method, path, query, headers=headers, body=body, address="")
    assert status in (200, 404, 405)
    told = json.loads(answer)
    assert told["error"] != ["EGeneral:Internal error"]
    if told["error"]:
        assert told.keys() == {"error"}
        assert all(re.match(r"^E[A-Z][A-Za-z]+:", text) for text in told["error"])
    else:
        assert told.keys() == {"error", "result"}
        assert status == 200


SHARED = Exchange()
