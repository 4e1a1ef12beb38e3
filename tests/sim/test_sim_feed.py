from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from helpers.simmarket import Pit
from krakenwire.sim.engine.book import Print
from krakenwire.sim.feed.feed import Feed, Stream
from krakenwire.sim.feed.wire import format_number, format_time, format_time_ns
from krakenwire.sim.instruments import select
from krakenwire.sim.market.candles import INTERVALS, MINUTE_NS
from krakenwire.sim.market.market import Market

SYMBOLS = ("BTC/USD", "ETH/BTC", "SHIB/USD", "PEPE/USD", "MINA/GBP")


def exact(frame: bytes) -> Any:
    return json.loads(frame, parse_float=Decimal)


def make(*streams: Stream, seed: int = 1) -> tuple[Market, Feed]:
    market = Market(select(SYMBOLS), seed=seed)
    feed = Feed(market)
    for stream in streams:
        feed.watch(stream)
    return market, feed


def test_trades_are_those_of_the_market_and_the_snapshot_is_the_last_fifty() -> None:
    stream = Stream("trade", "ETH/BTC")
    market, feed = make(stream)
    market.move_only(["ETH/BTC"])
    seen: list[int] = []
    for _ in range(2_000):
        move = market.step()
        for _, frame in feed.updates(move):
            data = exact(frame)["data"]
            assert len(data) == len(move.trades)
            assert list(data[0]) == ["symbol", "side", "price", "qty", "ord_type", "trade_id", "timestamp"]
            seen += [trade["trade_id"] for trade in data]
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    snapshot = exact(feed.snapshot(stream))
    assert snapshot["type"] == "snapshot"
    assert [trade["trade_id"] for trade in snapshot["data"]] == seen[-50:]
    assert {trade["side"] for trade in snapshot["data"]} == {"buy", "sell"}


def test_ticker_by_trades_comes_with_each_trade_and_by_bbo_with_each_change_of_the_best() -> None:
    by_trade, by_bbo = Stream("ticker", "BTC/USD", "trades"), Stream("ticker", "BTC/USD", "bbo")
    market, feed = make(by_trade, by_bbo)
    market.move_only(["BTC/USD"])
    while not market.step().trades:
        pass  # the first trade of a minute makes the ticker forget the oldest one
    feed.watch(by_bbo)
    (opening,) = exact(feed.snapshot(by_trade))["data"]
    volume, began = opening["volume"], market.stats("BTC/USD").minutes.kept[0].open
    for _ in range(1_000):
        before = market.truth("BTC/USD", 1)
        move = market.step()
        frames = dict(feed.updates(move))
        volume += Decimal(sum(trade.lots for trade in move.trades)).scaleb(-8)
        assert (by_trade in frames) == bool(move.trades)
        assert (by_bbo in frames) == (market.truth("BTC/USD", 1) != before)
        for frame in frames.values():
            message = json.loads(frame, parse_float=str)
            (ticker,) = message["data"]
            assert message["type"] == "update"
            ((bid, ask),) = zip(*market.truth("BTC/USD", 1), strict=True)
            assert (ticker["bid"], ticker["bid_qty"], ticker["ask"], ticker["ask_qty"]) == (*bid, *ask)
            assert Decimal(ticker["volume"]) == volume
            if move.trades:
                assert ticker["last"] == format_number(move.trades[-1].tick, 1)
            assert Decimal(ticker["low"]) <= Decimal(ticker["last"]) <= Decimal(ticker["high"])
            change = Decimal(ticker["last"]) - Decimal(began).scaleb(-1)
            assert Decimal(ticker["change"]) == change
            assert abs(Decimal(ticker["change_pct"]) - 1000 * change / began) < Decimal("0.01")
    fields = "symbol bid bid_qty ask ask_qty last volume vwap low high change change_pct timestamp"
    assert list(exact(feed.snapshot(by_trade))["data"][0]) == fields.split()


@pytest.mark.parametrize("interval", INTERVALS)
def test_candles_add_up_to_the_trades(interval: int) -> None:
    stream = Stream("ohlc", "MINA/GBP", interval)
    market, feed = make(stream)
    market.move_only(["MINA/GBP"])
    opening = exact(feed.snapshot(stream))
    assert opening["type"] == "snapshot"
    begins = [candle["interval_begin"] for candle in opening["data"]]
    assert begins == sorted(set(begins))
    candles = {candle["interval_begin"]: candle for candle in opening["data"]}
    count = {begin: candle["trades"] for begin, candle in candles.items()}
    volume = {begin: candle["volume"] for begin, candle in candles.items()}
    printed: dict[str, list[Print]] = defaultdict(list)
    for step in range(1, 600):
        move = market.step(market.now_ns + step * 10**8)
        frames = feed.updates(move)
        assert bool(frames) == bool(move.trades)
        for _, frame in frames:
            (candle,) = exact(frame)["data"]
            length = interval * MINUTE_NS
            begin_ns = move.exchange_ns - move.exchange_ns % length
            begin = format_time_ns(begin_ns)
            assert candle["interval_begin"] == begin
            assert candle["timestamp"] == format_time(begin_ns + length)
            assert candle["interval"] == interval
            count[begin] = count.get(begin, 0) + len(move.trades)
            volume[begin] = volume.get(begin, Decimal(0)) + Decimal(sum(each.lots for each in move.trades)).scaleb(-8)
            assert (candle["trades"], candle["volume"]) == (count[begin], volume[begin])
            printed[begin] += move.trades
            if begin not in begins:
                value = sum(each.tick * each.lots for each in printed[begin])
                assert candle["vwap"] == Decimal(value // sum(each.lots for each in printed[begin])).scaleb(-4)
            assert candle["low"] <= min(candle["open"], candle["close"], candle["vwap"])
            assert candle["high"] >= max(candle["open"], candle["close"], candle["vwap"])
            assert candle["close"] == Decimal(move.trades[-1].tick).scaleb(-4)
            candles[begin] = candle
    again = exact(feed.snapshot(stream))["data"]
    assert again == [candles[candle["interval_begin"]] for candle in again]


@pytest.mark.parametrize(
    ("opened", "last", "percent"),
    # What recorded frames say: a last price, a change, and the change in percent.
    [(615608, 659728, "7.17"), (616299, 658437, "6.84"), (10052, 10035, "-0.17")],
)
def test_change_in_percent_is_rounded_as_kraken_rounds_it(opened: int, last: int, percent: str) -> None:
    stream = Stream("ticker", "BTC/USD", "trades")
    market, feed = make(stream)
    stats = market.stats("BTC/USD")
    stats.day.open, stats.last = opened, last
    assert f'"change_pct":{percent},'.encode() in feed.snapshot(stream)


def test_ticker_forgets_what_is_older_than_a_day() -> None:
    market, _ = make()
    market.move_only(["BTC/USD"])
    stats = market.stats("BTC/USD")
    full = stats.day.lots
    while not market.step(market.now_ns + 10**9).trades:
        pass
    assert abs(stats.day.lots - full) < full // 10
    later = market.now_ns + 25 * 60 * MINUTE_NS
    while not (move := market.step(later)).trades:
        pass
    assert stats.day.lots == sum(trade.lots for trade in move.trades)
    assert stats.last_ns == move.exchange_ns


def test_instrument_snapshot_has_every_field_and_numbers_in_their_short_form() -> None:
    _, feed = make()
    frame = feed.snapshot(Stream("instrument"))
    assert b'"qty_increment":1e-08' in frame
    assert b'"qty_min":5e-05' in frame
    data = json.loads(frame)["data"]
    assert [pair["symbol"] for pair in data["pairs"]] == list(SYMBOLS)
    margined = "margin_initial position_limit_long position_limit_short"
    fields = (
        "symbol base quote status qty_precision qty_increment price_precision cost_precision marginable has_index "
        f"ws_display_price_precision cost_min {margined} tick_size price_increment qty_min"
    )
    assert list(data["pairs"][0]) == fields.split()
    assert set(fields.split()) - set(data["pairs"][2]) == set(margined.split())
    assert {asset["id"] for asset in data["assets"]} == {"BTC", "ETH", "USD", "GBP", "SHIB", "PEPE", "MINA"}
    assert set(data["assets"][0]) == {
        "id", "status", "precision", "precision_display", "borrowable", "collateral_value", "margin_rate"
    }  # fmt: skip


def test_changed_instrument_is_told_alone_and_in_full() -> None:
    pit = Pit("BTC/USD", listings=select(["BTC/USD", "ETH/BTC"]))
    stream = Stream("instrument")
    pit.feed.watch(stream)
    pit.publish()
    assert pit.frames == []
    pit.market.change_instrument("ETH/BTC", status="limit_only")
    pit.publish()
    ((told, frame),) = pit.frames
    assert told == stream
    message = json.loads(frame)
    assert (message["type"], message["data"]["assets"]) == ("update", [])
    (pair,) = message["data"]["pairs"]
    (before,) = [each for each in json.loads(pit.feed.snapshot(stream))["data"]["pairs"] if each["symbol"] == "ETH/BTC"]
    assert pair == before
    assert pair["status"] == "limit_only"
    pit.publish()
    assert len(pit.frames) == 1
    pit.feed.unwatch(stream)
    pit.market.change_instrument("ETH/BTC", status="online")
    pit.publish()
    assert len(pit.frames) == 1


def test_changed_precision_is_told_first_and_then_its_books_anew() -> None:
    """PROTOCOL 3.9: books should be re-snapshotted; the server sends the snapshots by itself."""
    pit = Pit("BTC/USD")
    pit.feed.watch(Stream("instrument"))
    pit.join(("book", 10), ("book", 1000), ("level3", 100))
    for channel, variant in (("trade", None), ("ticker", "trades"), ("ohlc", 5), ("ohlc", 1440)):
        pit.feed.watch(Stream(channel, "BTC/USD", variant))
    pit.step(50)
    pit.frames.clear()
    pit.market.change_instrument("BTC/USD", price_precision=3, qty_precision=5)
    pit.publish()
    assert [(each.channel, each.variant) for each, _ in pit.frames] == [
        ("instrument", None), ("book", 10), ("book", 1000), ("level3", 100)
    ]  # fmt: skip
    data = json.loads(pit.frames[0][1])["data"]["pairs"][0]
    assert (data["price_precision"], data["price_increment"], data["qty_precision"]) == (3, 0.001, 5)
    assert data["ws_display_price_precision"] == 3
    assert all(b'"type":"snapshot"' in frame for _, frame in pit.frames[1:])
    pit.check()
    pit.step(400)
    pit.check()
    for stream, frame in pit.frames[4:]:
        assert frame.count(b"price") < 40, "only the snapshots tell all"
        if stream.channel == "trade":
            assert all(trade["price"].as_tuple().exponent == -3 for trade in exact(frame)["data"])
        elif stream.channel in {"ticker", "ohlc"}:
            (told,) = exact(frame)["data"]
            assert told["volume"].as_tuple().exponent == -5
            assert 60_000 < told["low"] <= told["high"] < 70_000


def test_ticker_of_an_empty_side_says_nothing_for_it() -> None:
    pit = Pit("MINA/GBP")
    pit.feed.watch(Stream("ticker", "MINA/GBP", "bbo"))
    pit.market.thin("MINA/GBP", 0)
    pit.publish()
    ((_, frame),) = pit.frames
    (told,) = json.loads(frame, parse_float=str)["data"]
    assert (told["bid"], told["bid_qty"], told["ask"], told["ask_qty"]) == (
        "0.0000", "0.00000000", "0.0000", "0.00000000"
    )  # fmt: skip


def test_stream_no_longer_watched_sends_nothing() -> None:
    streams = [
        Stream("instrument"),
        Stream("book", "BTC/USD", 10),
        Stream("level3", "BTC/USD", 10),
        Stream("trade", "BTC/USD"),
        Stream("ticker", "BTC/USD", "bbo"),
        Stream("ohlc", "BTC/USD", 5),
    ]
    market, feed = make(*streams)
    market.move_only(["BTC/USD"])
    assert {stream for _ in range(200) for stream, _ in feed.updates(market.step())} == set(streams[1:])
    for stream in streams:
        feed.unwatch(stream)
    assert [feed.updates(market.step()) for _ in range(200)] == [[]] * 200
