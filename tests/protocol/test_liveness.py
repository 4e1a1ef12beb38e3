"""Subscriptions that fall mute: found in time, brought back, and never suspected for being quiet."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from helpers.quiet import KEYS, QuietExchange
from helpers.wire import S, Wire, acks, ticker
from krakenwire.book import BookUpdate
from krakenwire.events import (
    BookInvalidated,
    BookResynced,
    Disconnected,
    Heartbeat,
    Ohlc,
    Pong,
    Recovered,
    Stalled,
    Subscribed,
    Ticker,
    Trade,
    Unsubscribed,
)
from krakenwire.protocol.core import MAIN
from krakenwire.protocol.liveness import witnesses
from krakenwire.protocol.liveness.findings import Revived
from krakenwire.protocol.subscriptions import Key

BTC = "BTC/USD"


def even(gap: float) -> Callable[[], float]:
    return lambda: gap


def exponential(mean: float, seed: int = 1) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.expovariate(1 / mean)


def lively(exchange: QuietExchange, mean: float, *, seed: int = 1) -> None:
    """Book and trades of a symbol go on, with random gaps."""
    exchange.every(exponential(mean, seed), exchange.move)
    exchange.every(exponential(mean, seed + 1), exchange.trade)


def subscribed(*channels: str, warm: float = 0.0, mean: float = 0.5, **options: Any) -> QuietExchange:
    """An exchange with a lively symbol, some channels of it subscribed, some time later."""
    exchange = QuietExchange(**options)
    exchange.wire.subscribe(*(KEYS[channel] for channel in channels))
    lively(exchange, mean)
    exchange.run(warm)
    assert not exchange.wire.told(Stalled)
    return exchange


def found_after(exchange: QuietExchange, channel: str, within: float) -> Stalled:
    """Let a channel fall mute; the stall that is found."""
    exchange.mute.add((channel, BTC))
    exchange.run(within, until=lambda: exchange.wire.told(Stalled))
    (stalled,) = exchange.wire.told(Stalled)
    assert (stalled.of, stalled.symbol) == (channel, BTC)
    return stalled


@pytest.mark.parametrize("channel", ["book", "trade", "ticker", "ohlc"])
def test_mute_stream_of_a_busy_symbol_is_found_within_ten_seconds_and_comes_back(channel: str) -> None:
    exchange = subscribed(channel, warm=200, mean=0.1)
    stalled = found_after(exchange, channel, 10.0)
    assert stalled.evidence == "probe"
    assert stalled.limit_ns == 10_000_000_000
    (recovered,) = exchange.wire.told(Recovered)
    assert (recovered.of, recovered.by) == (channel, "resubscribe")
    exchange.run(300)
    assert len(exchange.wire.told(Stalled)) == 1
    assert exchange.wire.core.statistics().stalls == 1


@pytest.mark.parametrize("channel", ["book", "trade", "ticker", "ohlc"])
@pytest.mark.parametrize("cures", ["resubscribe", "reconnect"])
def test_mute_stream_of_a_quiet_symbol_is_found_within_two_minutes(channel: str, cures: str) -> None:
    exchange = subscribed(channel, warm=1800, mean=20 if channel == "ohlc" else 40)
    exchange.cures = cures
    fell_mute = exchange.now
    stalled = found_after(exchange, channel, 400)
    missed = [told for told in exchange.untold if told > fell_mute]
    assert missed[0] < exchange.now <= missed[0] + 120
    exchange.run(60)
    (recovered,) = exchange.wire.told(Recovered)
    assert recovered.by == cures
    assert stalled.evidence in ("probe", "silence")


def test_quiet_streams_are_probed_unseen() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(*KEYS.values())
    exchange.run(10)
    exchange.trade()
    exchange.wire.news()
    for _ in range(60):
        exchange.run(60)
        assert exchange.wire.state().status == "synced"
    assert exchange.wire.core.statistics().probes > 4 * 30
    kinds = {type(event) for event in exchange.wire.news()}
    assert kinds == {Heartbeat, Pong, Subscribed, Unsubscribed}, "and no data twice"
    assert {type(event) for event in exchange.wire.log} >= {BookUpdate, Trade, Ticker, Ohlc}


@pytest.mark.parametrize("channel", ["book", "trade", "ticker", "ohlc"])
def test_what_happens_while_a_quiet_stream_is_probed_is_no_stall(channel: str) -> None:
    exchange = QuietExchange(rtt=0.5)
    exchange.wire.subscribe(KEYS[channel])
    exchange.trade()
    exchange.run(10)

    def happen() -> None:
        exchange.trade()
        exchange.move()

    probes = 0
    while probes < 10:
        exchange.run(200, until=lambda: exchange.requests[-1][1]["method"] == "unsubscribe")
        probes += 1
        exchange.at(exchange.now + 0.51, happen)  # between the end of the one and the begin of the other
        exchange.run(5)
        assert exchange.requests[-1][1]["method"] == "subscribe"
    assert not exchange.wire.told(Stalled)
    assert len([event for event in exchange.wire.log if event.channel == channel]) >= 10


def test_subscription_acknowledged_and_mute_from_the_start_is_found() -> None:
    for channel in ("book", "ticker", "ohlc", "instrument"):
        exchange = QuietExchange()
        key = KEYS.get(channel, Key(channel))
        exchange.mute.add((channel, key.symbol or ""))
        exchange.wire.subscribe(key)
        exchange.run(10, until=lambda: exchange.wire.told(Stalled))  # noqa: B023  # used within the turn
        (stalled,) = exchange.wire.told(Stalled)
        assert (stalled.of, stalled.evidence) == (channel, "silence")
        exchange.run(5)
        (recovered,) = exchange.wire.told(Recovered)
        assert recovered.by == "resubscribe"
        if channel == "book":
            assert exchange.wire.state().status == "synced"


def test_trades_mute_from_the_start_are_found_by_a_probe() -> None:
    exchange = QuietExchange()
    exchange.mute.add(("trade", BTC))
    exchange.wire.subscribe(KEYS["trade"])
    exchange.run(5)
    exchange.trade()
    exchange.run(120, until=lambda: exchange.wire.told(Stalled))
    (stalled,) = exchange.wire.told(Stalled)
    assert stalled.evidence == "probe"


def test_symbol_without_any_trade_is_no_stall() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["trade"])
    exchange.run(7200)
    assert not exchange.wire.told(Stalled)
    assert exchange.wire.core.statistics().probes > 60


# --- witnesses -------------------------------------------------------------------------------------------------------


def test_ticker_that_moves_shows_that_the_book_is_mute() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], Key("ticker", BTC, "bbo"))
    exchange.run(30)
    exchange.mute.add(("book", BTC))
    exchange.quote("99.5", "100.5")
    exchange.run(6, until=lambda: exchange.wire.told(Stalled))
    (stalled,) = exchange.wire.told(Stalled)
    assert (stalled.of, stalled.evidence) == ("book", "ticker")
    assert [event.by for event in exchange.wire.told(Recovered)] == ["resubscribe"]
    assert exchange.wire.state().status == "synced"


def test_book_that_stays_mute_is_not_shown_until_a_new_connection_brings_it_back() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], Key("ticker", BTC, "bbo"))
    exchange.run(30)
    exchange.mute.add(("book", BTC))
    exchange.cures = "reconnect"
    exchange.quote("99.5", "100.5")
    exchange.run(8, until=lambda: exchange.wire.told(Stalled))
    (stalled,) = exchange.wire.told(Stalled)
    assert (stalled.of, stalled.evidence) == ("book", "ticker")
    assert [event.reason for event in exchange.wire.told(BookInvalidated)] == ["stalled"]
    exchange.run(10)
    assert [event.by for event in exchange.wire.told(Recovered)] == ["reconnect"]
    assert len(exchange.wire.told(BookResynced)) == 1


def test_witness_that_errs_raises_no_alarm_and_is_not_listened_to_for_a_while() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], Key("ticker", BTC, "bbo"))
    exchange.run(30)
    for i in range(60):
        exchange.run(1)
        exchange.wire.receive(ticker(BTC, 100.0 + i))  # its best bid is not the book's
    assert not exchange.wire.told(Stalled)
    assert exchange.wire.core.statistics().probes == 1


def test_trade_beyond_the_book_shows_that_it_is_mute() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], KEYS["trade"])
    exchange.run(30)
    exchange.mute.add(("book", BTC))
    exchange.quote("104.0", "105.0")
    exchange.trade(price=105.0)
    exchange.run(8, until=lambda: exchange.wire.told(Stalled))
    assert [(stalled.of, stalled.evidence) for stalled in exchange.wire.told(Stalled)] == [("book", "trade")]


def test_trades_within_a_silent_book_accuse_nobody() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], *(KEYS[channel] for channel in ("trade", "ticker", "ohlc")))
    for i in range(60):
        exchange.trade(price=99.0 + i % 3)
        exchange.run(1)
    assert not exchange.wire.told(Stalled)


@pytest.mark.parametrize("witness", ["ticker", "ohlc"])
def test_what_trades_drive_shows_that_trades_are_mute(witness: str) -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["trade"], KEYS[witness])
    exchange.run(30)
    exchange.trade(price=100.0)
    exchange.run(10)
    exchange.mute.add(("trade", BTC))
    exchange.trade(price=100.1)
    exchange.run(8, until=lambda: exchange.wire.told(Stalled))
    assert [(stalled.of, stalled.evidence) for stalled in exchange.wire.told(Stalled)] == [("trade", witness)]
    exchange.run(5)
    assert [trade.trade_id for trade in exchange.wire.told(Trade)] == [1001, 1002]


@pytest.mark.parametrize("channel", ["ticker", "ohlc"])
def test_trades_show_that_what_they_drive_is_mute(channel: str) -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["trade"], KEYS[channel])
    exchange.run(30)
    exchange.trade(price=100.0)
    exchange.run(10)
    exchange.mute.add((channel, BTC))
    exchange.trade(price=100.1)
    exchange.run(8, until=lambda: exchange.wire.told(Stalled))
    assert [(stalled.of, stalled.evidence) for stalled in exchange.wire.told(Stalled)] == [(channel, "trade")]


def test_book_that_moves_shows_that_the_ticker_is_mute() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], Key("ticker", BTC, "bbo"))
    exchange.run(30)
    exchange.mute.add(("ticker", BTC))
    exchange.quote("99.5", "100.5")
    exchange.run(8, until=lambda: exchange.wire.told(Stalled))
    assert [(stalled.of, stalled.evidence) for stalled in exchange.wire.told(Stalled)] == [("ticker", "book")]


# --- what follows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [3, pytest.param(24, marks=pytest.mark.long)])
def test_dead_pair_on_a_living_connection_causes_no_storm(hours: int) -> None:
    exchange = QuietExchange()
    exchange.cures = "none"
    alive = Key("book", "ETH/USD", 10)
    exchange.wire.subscribe(KEYS["book"], alive)
    exchange.every(even(2.0), lambda: exchange.move("ETH/USD"))
    exchange.run(100)
    exchange.mute.add(("book", BTC))
    exchange.run(hours * 3600)
    (stalled,) = exchange.wire.told(Stalled)
    assert stalled.symbol == BTC
    assert len(exchange.wire.told(Disconnected)) == 3
    asked = [request for _, request in exchange.requests if BTC in request.get("params", {}).get("symbol", ())]
    assert len(asked) < 2 * hours * 4 + 40, "every quarter of an hour, in the end"
    exchange.mute.clear()
    exchange.run(1000)
    (recovered,) = exchange.wire.told(Recovered)
    assert recovered.by == "resubscribe"
    assert recovered.stalled_ns > (hours - 1) * 3600 * S
    assert exchange.wire.state().status == "synced"


def test_stream_that_speaks_again_by_itself_is_told_so() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"], KEYS["ticker"])
    exchange.mute.add(("book", BTC))
    exchange.run(10, until=lambda: exchange.wire.told(Stalled))
    exchange.mute.clear()
    exchange.wire.receive(exchange.snapshot(BTC))  # the snapshot was only late
    exchange.run(0.01)
    exchange.wire.session().liveness.sweep(exchange.wire.now + S, exchange.wire.now)
    (found,) = exchange.wire.session().liveness.found
    assert isinstance(found, Revived)
    assert found.by == "itself"


def test_what_was_learned_survives_a_reconnect() -> None:
    exchange = subscribed("book", warm=200, mean=0.1)
    exchange.cut()
    exchange.run(5)
    found_after(exchange, "book", 10.0)


def test_unsubscribing_leaves_nothing_behind() -> None:
    exchange = subscribed(*KEYS, warm=200)
    exchange.wire.unsubscribe(*KEYS.values())
    exchange.run(200)
    liveness = exchange.wire.session().liveness
    assert liveness.next_deadline() is None
    assert all(liveness.stream(key) is None for key in KEYS.values())
    heard = liveness.heard
    assert (heard.tickers, heard.trades, heard.candles) == ({}, {}, {})
    assert not exchange.wire.told(Stalled)


# --- what excuses silence --------------------------------------------------------------------------------------------


def test_nothing_is_judged_while_reading_is_paused() -> None:
    exchange = subscribed(*KEYS, warm=60, mean=0.2)
    wire = exchange.wire
    wire.core.paused(MAIN, "a reader is behind", wire.stamp())
    exchange.silent = True
    exchange.requests.clear()
    exchange.run(600)
    assert {request["method"] for _, request in exchange.requests} == {"ping"}, "the socket is kept"
    wire.core.resumed(MAIN, wire.stamp())
    exchange.run(6)  # what had been held back is on its way
    exchange.silent = False
    exchange.run(100)
    assert not wire.told(Stalled)
    assert not wire.closed
    assert wire.core.statistics().probes == 0


def test_probe_that_is_under_way_when_reading_is_paused_is_answered_afterwards() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"])
    exchange.run(200, until=lambda: exchange.requests[-1][1]["method"] == "unsubscribe")
    exchange.wire.core.paused(MAIN, "a reader is behind", exchange.wire.stamp())
    exchange.holds = True
    exchange.run(30)
    exchange.wire.core.resumed(MAIN, exchange.wire.stamp())
    exchange.run(2)
    exchange.release()
    exchange.run(60)
    assert exchange.wire.core.statistics().probes == 1
    assert not exchange.wire.told(Stalled)


def test_probe_whose_answer_is_held_back_with_everything_else_is_no_stall() -> None:
    exchange = QuietExchange()
    exchange.wire.subscribe(KEYS["book"])
    exchange.run(200, until=lambda: exchange.requests[-1][1]["method"] == "unsubscribe")
    exchange.holds = True
    exchange.run(9)
    exchange.wire.receive(b'{"channel":"heartbeat"}')  # the first of what was held back
    exchange.run(1.5)
    exchange.release()
    exchange.run(60)
    assert exchange.wire.core.statistics().probes == 1
    assert not exchange.wire.told(Stalled)


def test_answers_are_not_missed_while_reading_is_paused() -> None:
    exchange = QuietExchange()
    exchange.silent = True
    exchange.wire.subscribe(KEYS["book"])
    exchange.wire.core.paused(MAIN, "a reader is behind", exchange.wire.stamp())
    exchange.run(25)
    assert len([1 for _, request in exchange.requests if request["method"] == "subscribe"]) == 1
    exchange.wire.core.resumed(MAIN, exchange.wire.stamp())
    exchange.run(9)
    assert not exchange.wire.closed


def test_maintenance_is_no_stall() -> None:
    exchange = subscribed(*KEYS, warm=60, mean=0.2, reconnect_on_status=False)
    exchange.stopped = True
    exchange.status("maintenance")
    exchange.run(1800)
    exchange.status("cancel_only")
    exchange.run(600)
    exchange.status("post_only")
    exchange.run(600)
    exchange.status("online")
    exchange.run(5)
    exchange.stopped = False
    exchange.run(60)
    assert not exchange.wire.told(Stalled)
    assert exchange.wire.core.statistics().probes == 0


@pytest.mark.parametrize("status", ["maintenance", "post_only", "delisted"])
def test_symbol_that_is_not_traded_is_no_stall(status: str) -> None:
    exchange = subscribed(*KEYS, warm=60, mean=0.2)
    exchange.wire.subscribe(Key("instrument"))
    exchange.run(1)
    exchange.stopped = True
    exchange.list_symbol(BTC, status)
    exchange.run(1800)
    exchange.list_symbol(BTC, "online")
    exchange.run(5)
    exchange.stopped = False
    exchange.run(60)
    assert not exchange.wire.told(Stalled)
    assert exchange.wire.core.statistics().probes == 0


def test_half_open_connection_is_one_matter_and_not_one_for_each_stream() -> None:
    exchange = subscribed(*KEYS, warm=60, mean=0.2)
    exchange.silent = True
    exchange.run(21, until=lambda: exchange.wire.closed)
    assert exchange.wire.closed
    exchange.silent = False
    exchange.run(60)
    assert not exchange.wire.told(Stalled)


def test_our_own_stall_is_no_silence() -> None:
    exchange = subscribed(*KEYS, warm=60, mean=0.2)
    wire = exchange.wire
    for _ in range(20):
        exchange.stopped = True
        wire.now += 9 * S  # no timer fires, and nobody would have seen what comes
        wire.core.loop_stalled(9 * S, wire.stamp(""))
        exchange.run(1.5)
        exchange.stopped = False
        exchange.run(2)
    assert not wire.told(Stalled)
    assert not wire.closed
    assert wire.core.statistics().probes == 0
    exchange.mute.add(("book", BTC))
    for _ in range(12):
        exchange.run(2)
        wire.now += S
        wire.core.loop_stalled(S, wire.stamp(""))
    assert len(wire.told(Stalled)) == 1, "but stalls hide none"


def test_messages_of_ever_more_symbols_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "_MOST_HEARD", 50)
    exchange = subscribed("ticker", warm=5)
    wire = exchange.wire
    heard = wire.core.sessions[0].liveness.heard
    before = dict(heard.tickers)
    for number in range(100):
        wire.receive(ticker(f"S{number}/USD"))
    assert len(heard.tickers) == len(before) + 100
    exchange.run(5)
    assert heard.tickers.keys() == before.keys() != set()


def test_candles_of_a_symbol_that_never_traded_are_no_stall() -> None:
    wire = Wire().start()
    nothing = b'{"channel":"ohlc","type":"snapshot","timestamp":"2026-07-19T00:00:00.000000000Z","data":[]}'

    def answer() -> None:
        for request in wire.sent():
            if request["method"] in ("subscribe", "unsubscribe"):
                wire.receive(*acks(request))
            if request["method"] == "subscribe":
                wire.receive(nothing)

    wire.subscribe(Key("ohlc", "NEW/USD", 1))
    answer()
    for _ in range(400):
        wire.receive(b'{"channel":"heartbeat"}')
        wire.advance(1)
        answer()
    assert wire.closed == []
    assert wire.told(Stalled) == []
