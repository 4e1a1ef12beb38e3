"""One connection against a scripted exchange: what is asked, when, and what is told of it."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from helpers.frames import v2_element, v2_frame
from helpers.wire import (
    Exchange,
    Feed,
    S,
    Wire,
    ack,
    acks,
    book,
    instrument,
    ohlc,
    refusal,
    ticker,
    timestamp,
    trades,
)
from krakenwire.book import BookUpdate
from krakenwire.errors import ProtocolError
from krakenwire.events import (
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Connected,
    Disconnected,
    ExchangeError,
    Gap,
    Heartbeat,
    Ohlc,
    Pong,
    Raw,
    Stamp,
    Subscribed,
    SubscribeRejected,
    Ticker,
    Trade,
    Undecodable,
    Unsubscribed,
)
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key, State

BTC, ETH, XRP = "BTC/USD", "ETH/USD", "XRP/USD"
TRADE = Key("trade", BTC)


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


def subscribed(wire: Wire, *keys: Key) -> None:
    """Subscribe, and have it acknowledged."""
    wire.subscribe(*keys)
    for _ in keys:
        for request in wire.sent():
            wire.receive(*acks(request))
        wire.advance(0.25)
    assert {sub.state for sub in wire.session().table} == {State.ACTIVE}


def synced(wire: Wire, symbol: str = BTC, depth: int = 10) -> Feed:
    """A book that is subscribed and proven, some time later."""
    subscribed(wire, book(symbol, depth))
    feed = Feed(symbol, depth)
    wire.receive(feed.snapshot())
    assert wire.state(symbol).status == "synced"
    wire.news()
    return feed


def refetched(wire: Wire) -> list[Any]:
    """Answer the unsubscribe that is out; the requests that follow."""
    leave = only(wire.sent())
    assert leave["method"] == "unsubscribe"
    wire.receive(*acks(leave))
    return wire.sent()


@pytest.fixture
def wire() -> Wire:
    return Wire().start()


# --- subscribing -----------------------------------------------------------------------------------------------------


def test_many_symbols_are_one_message_and_each_ack_is_told(wire: Wire) -> None:
    wire.subscribe(*(book(symbol) for symbol in (BTC, ETH, XRP)))
    request = only(wire.sent())
    assert request == {
        "method": "subscribe",
        "params": {"channel": "book", "symbol": [BTC, ETH, XRP], "depth": 10},
        "req_id": 1,
    }
    wire.receive(ack(request, ETH), ack(request, BTC))
    assert [event.symbol for event in wire.told(Subscribed)] == [ETH, BTC]
    assert wire.told(Subscribed)[0].depth == 10
    states = {sub.key.symbol: sub.state for sub in wire.session().table}
    assert states == {BTC: State.ACTIVE, ETH: State.ACTIVE, XRP: State.SUBSCRIBING}


def test_options_are_sent_and_unlike_subscriptions_are_messages_of_their_own(wire: Wire) -> None:
    wire.subscribe(
        Key("instrument"), Key("ohlc", BTC, 5), Key("ohlc", BTC, 60), Key("ticker", BTC, "bbo"), book(BTC, 100)
    )
    wire.advance(1)
    assert [request["params"] for request in wire.sent()] == [
        {"channel": "instrument"},
        {"channel": "ohlc", "symbol": [BTC], "interval": 5},
        {"channel": "ohlc", "symbol": [BTC], "interval": 60},
        {"channel": "ticker", "symbol": [BTC], "event_trigger": "bbo"},
        {"channel": "book", "symbol": [BTC], "depth": 100},
    ]


def test_warnings_of_an_ack_are_passed_on(wire: Wire) -> None:
    wire.subscribe(Key("ohlc", BTC, 5))
    request = only(wire.sent())
    result = {"channel": "ohlc", "interval": 5, "symbol": BTC, "warnings": ["timestamp is deprecated"]}
    wire.receive({"method": "subscribe", "req_id": request["req_id"], "result": result, "success": True})
    event = only(wire.told(Subscribed))
    assert (event.of, event.symbol, event.interval, event.warnings) == ("ohlc", BTC, 5, ("timestamp is deprecated",))


def test_requests_are_paced_and_each_goes_out_at_its_moment() -> None:
    wire = Wire(symbols_per_message=1, messages_per_second=2.0, message_burst=3).start()
    wire.subscribe(*(book(f"S{i}/USD") for i in range(6)))
    assert len(wire.sent()) == 3
    start = wire.now
    for number in range(3):
        assert wire.core.next_deadline() == start + (number + 1) * S // 2
        wire.advance(0.499)
        assert wire.sent() == []
        wire.advance(0.001)
        assert len(wire.sent()) == 1
    assert wire.session().table.due(wire.now) is None


def test_symbols_beyond_the_limit_go_into_further_messages() -> None:
    wire = Wire(symbols_per_message=2).start()
    wire.subscribe(*(book(f"S{i}/USD") for i in range(5)))
    assert [len(request["params"]["symbol"]) for request in wire.sent()] == [2, 2, 1]


def test_request_ids_are_never_used_twice() -> None:
    wire = Wire(symbols_per_message=1, message_burst=100).start()
    exchange = Exchange()
    ids: list[int] = []
    for _ in range(3):
        wire.subscribe(*(book(f"S{i}/USD") for i in range(5)))
        wire.advance(12)
        requests = wire.sent()
        ids += [request["req_id"] for request in requests]
        wire.receive(*exchange.answer(requests))
        wire.unsubscribe(*(book(f"S{i}/USD") for i in range(5)))
        requests = wire.sent()
        ids += [request["req_id"] for request in requests]
        wire.disconnect()
        wire.connect()
    assert len(ids) >= 30
    assert len(set(ids)) == len(ids)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_refusal_of_one_symbol_leaves_the_others(wire: Wire) -> None:
    wire.subscribe(book(BTC), book(ETH))
    request = only(wire.sent())
    wire.receive(refusal(request, "Currency pair not supported ETH/USD", ETH), ack(request, BTC))
    event = only(wire.told(SubscribeRejected))
    assert (event.of, event.symbol, event.error, event.req_id, event.depth) == (
        "book",
        ETH,
        "Currency pair not supported ETH/USD",
        request["req_id"],
        10,
    )
    assert only(wire.told(Subscribed)).symbol == BTC
    assert ETH not in wire.session().books
    wire.advance(9)
    assert wire.sent() == [], "what is refused for good is not asked again"


def test_refused_depth_names_no_symbol_and_refuses_the_whole_request(wire: Wire) -> None:
    wire.subscribe(book(BTC, 7), book(ETH, 7))
    request = only(wire.sent())
    wire.receive(refusal(request, "Subscription depth not supported"))
    wire.advance(0.999)
    assert wire.told(SubscribeRejected) == [], "it may be of one of them"
    wire.advance(0.001)
    assert [(event.symbol, event.depth, event.error, event.req_id) for event in wire.told(SubscribeRejected)] == [
        (BTC, 7, "Subscription depth not supported", request["req_id"]),
        (ETH, 7, "Subscription depth not supported", request["req_id"]),
    ]
    assert {(event.connection, event.epoch, event.n) for event in wire.told(SubscribeRejected)} == {
        ("public", 0, wire.core.n)
    }
    assert len(wire.session().table) == len(wire.session().books) == 0


def test_refusal_of_the_only_symbol_need_not_name_it(wire: Wire) -> None:
    wire.subscribe(book(BTC, 7))
    wire.receive(refusal(only(wire.sent()), "Subscription depth not supported"))
    assert only(wire.told(SubscribeRejected)).symbol == BTC


@pytest.mark.parametrize("place", [0, 1, 2])
def test_refusal_without_a_symbol_is_of_the_one_that_gets_no_answer_of_its_own(wire: Wire, place: int) -> None:
    wire.subscribe(book(BTC), book(ETH), book(XRP))
    request = only(wire.sent())
    answers = [ack(request, BTC), ack(request, XRP)]
    answers.insert(place, refusal(request, "Something new"))
    wire.receive(*answers)
    rejected = only(wire.told(SubscribeRejected))
    assert (rejected.symbol, rejected.error) == (ETH, "Something new")
    assert [event.symbol for event in wire.told(Subscribed)] == [BTC, XRP]
    wire.advance(9)
    assert wire.sent() == []


def test_as_many_refusals_without_a_symbol_as_symbols_refuse_each(wire: Wire) -> None:
    wire.subscribe(book(BTC), book(ETH), book(XRP))
    request = only(wire.sent())
    wire.receive(refusal(request, "One"), refusal(request, "Two", ETH), refusal(request, "Three"))
    assert {event.symbol: event.error for event in wire.told(SubscribeRejected)} == {
        BTC: "One",
        ETH: "Two",
        XRP: "Three",
    }


def test_refusal_that_names_no_method_is_the_callers_by_its_request_id(wire: Wire) -> None:
    wire.subscribe(book(BTC))
    request = only(wire.sent())
    wire.receive({"error": "Symbol(s) not found", "success": False, "req_id": request["req_id"]})
    event = only(wire.told(SubscribeRejected))
    assert (event.symbol, event.error) == (BTC, "Symbol(s) not found")
    assert wire.told(ExchangeError) == []
    wire.receive({"error": "Symbol(s) not found", "success": False, "req_id": request["req_id"]})
    assert only(wire.told(ExchangeError)).req_id == request["req_id"], "nobody waits for it any more"


def test_refusal_of_a_symbol_under_another_name_is_the_callers_too(wire: Wire) -> None:
    wire.subscribe(book("DOGE/USD"))
    wire.receive(refusal(only(wire.sent()), "Currency pair not supported XDG/USD"))
    assert only(wire.told(SubscribeRejected)).symbol == "DOGE/USD"


def test_repeated_refusal_of_a_symbol_is_no_other_symbols(wire: Wire) -> None:
    wire.subscribe(book(BTC), book(ETH))
    request = only(wire.sent())
    wire.receive(*[refusal(request, "Currency pair not supported BTC/USD")] * 2)
    wire.advance(2)
    assert only(wire.told(SubscribeRejected)).symbol == BTC
    wire.receive(ack(request, ETH))
    assert only(wire.told(Subscribed)).symbol == ETH


def test_refusal_that_fits_several_symbols_of_a_request_in_part_answered_has_them_asked_again(wire: Wire) -> None:
    wire.subscribe(book(BTC), book(ETH), book(XRP))
    first = only(wire.sent())
    wire.receive(refusal(first, "Something new"), ack(first, BTC))
    wire.advance(1)
    again = only(wire.sent())
    assert (again["method"], again["params"]["symbol"]) == ("subscribe", [ETH, XRP])
    assert wire.told(SubscribeRejected) == [], "one of them may hold: its answer was lost"
    wire.receive(refusal(again, "Already subscribed", XRP), refusal(again, "Something new"))
    assert only(wire.told(SubscribeRejected)).symbol == ETH
    assert [event.symbol for event in wire.told(Subscribed)] == [BTC, XRP]


def test_refusal_of_a_request_for_now_needs_no_symbol_and_no_wait(wire: Wire) -> None:
    wire.subscribe(book(BTC), book(ETH))
    first = only(wire.sent())
    wire.receive(refusal(first, "Exceeded msg rate"))
    assert wire.told(SubscribeRejected) == []
    wire.advance(0.5)
    assert only(wire.sent())["params"] == first["params"]


def test_end_refused_without_a_symbol_is_the_end_all_the_same(wire: Wire) -> None:
    subscribed(wire, book(BTC), book(ETH))
    wire.unsubscribe(book(BTC), book(ETH))
    wire.receive(refusal(only(wire.sent()), "Subscription Not Found"))
    assert len(wire.session().table) == 2, "it may be of one of them"
    wire.advance(1)
    assert [event.error for event in wire.told(ExchangeError)] == ["Subscription Not Found"] * 2
    assert len(wire.session().table) == len(wire.session().books) == 0


def test_refusal_without_a_reason_says_so(wire: Wire) -> None:
    wire.subscribe(book())
    request = only(wire.sent())
    wire.receive({"method": "subscribe", "req_id": request["req_id"], "success": False})
    assert only(wire.told(SubscribeRejected)).error == "refused without a reason"


def test_rate_refusal_of_a_request_slows_down_and_asks_again(wire: Wire) -> None:
    wire.subscribe(book(BTC), book(ETH))
    first = only(wire.sent())
    wire.receive(*(refusal(first, "Exceeded msg rate", symbol) for symbol in (BTC, ETH)))
    assert [event.error for event in wire.told(ExchangeError)] == ["Exceeded msg rate"] * 2
    assert wire.told(SubscribeRejected) == []
    assert wire.sent() == []
    wire.advance(0.499)
    assert wire.sent() == [], "half the rate of 4 a second, and no burst"
    wire.advance(0.001)
    again = only(wire.sent())
    assert again["params"] == first["params"]
    assert again["req_id"] != first["req_id"]


def test_global_rate_error_slows_down_and_what_was_dropped_is_asked_again() -> None:
    wire = Wire(ack_timeout=5.0).start()
    wire.subscribe(book())
    first = only(wire.sent())
    wire.receive('{"Error":"Exceeded msg rate"}')
    assert only(wire.told(ExchangeError)).error == "Exceeded msg rate"
    wire.subscribe(TRADE)
    assert wire.sent() == [], "the burst is gone"
    wire.advance(0.5)
    assert only(wire.sent())["params"]["channel"] == "trade"
    wire.advance(4.5)
    assert only(wire.sent())["params"] == first["params"]


def test_exchange_that_is_busy_is_asked_again_after_five_seconds(wire: Wire) -> None:
    wire.subscribe(book())
    wire.receive(refusal(only(wire.sent()), "EService:Busy", BTC))
    wire.advance(4.9)
    assert wire.sent() == []
    wire.advance(0.1)
    assert only(wire.sent())["method"] == "subscribe"


def test_refused_for_now_and_wanted_no_longer_leaves_nothing_behind(wire: Wire) -> None:
    wire.subscribe(book(BTC, 10))
    request = only(wire.sent())
    wire.unsubscribe(book(BTC, 10))
    wire.receive(refusal(request, "EService:Busy", BTC))
    assert len(wire.session().table) == len(wire.session().books) == 0
    wire.subscribe(book(BTC, 25))
    assert wire.state().depth == 25


def test_already_subscribed_book_that_is_proven_is_simply_taken(wire: Wire) -> None:
    wire.subscribe(book())
    request = only(wire.sent())
    wire.receive(Feed().snapshot(), refusal(request, "Already subscribed", BTC))
    assert only(wire.told(Subscribed)).symbol == BTC
    assert wire.sent() == []


def test_already_subscribed_book_without_a_snapshot_is_left_and_subscribed_anew(wire: Wire) -> None:
    wire.subscribe(book())
    wire.receive(refusal(only(wire.sent()), "Already subscribed", BTC))
    assert only(refetched(wire))["method"] == "subscribe"


def test_already_subscribed_to_another_depth_does_not_spin(wire: Wire) -> None:
    wire.subscribe(book(BTC, 25))
    for _ in range(10):
        wire.receive(*(refusal(request, "Already subscribed", BTC) for request in wire.sent()))
        wire.receive(*(refusal(request, "Subscription Not Found", BTC) for request in wire.sent()))
        wire.advance(1)
    assert len(wire.actions) < 10


def test_error_that_answers_nothing_is_an_event(wire: Wire) -> None:
    wire.receive({"method": "subscribe", "success": False, "error": "Symbol(s) not found"})
    assert only(wire.told(ExchangeError)).error == "Symbol(s) not found"
    wire.receive({"method": "subscribe", "success": False, "error": "Exceeded msg rate", "req_id": 99})
    wire.subscribe(book())
    assert wire.sent() == [], "it slows down all the same"


# --- no answer -------------------------------------------------------------------------------------------------------


def test_unanswered_request_is_sent_again_and_then_the_connection_is_given_up() -> None:
    wire = Wire(ack_timeout=4.0, ack_attempts=3, idle_ping=1000.0, keepalive=1000.0).start()
    wire.subscribe(book(BTC), book(ETH))
    first = only(wire.sent())
    wire.receive(ack(first, ETH))
    for _ in range(2):
        wire.advance(3.999)
        assert wire.sent() == []
        wire.advance(0.001)
        assert only(wire.sent())["params"]["symbol"] == [BTC]
    wire.advance(4)
    close = only(wire.closed)
    assert (close.connection, close.retire) == ("public", False)
    assert close.reason == "3 requests for book BTC/USD were not answered"
    assert wire.session().state is ConnectionState.CLOSING
    assert wire.core.next_deadline() is None
    wire.disconnect()
    wire.connect()
    assert only(wire.sent())["params"]["symbol"] == [BTC, ETH]


def test_late_ack_is_still_believed() -> None:
    wire = Wire(ack_timeout=4.0, messages_per_second=0.1, message_burst=1).start()
    wire.subscribe(book())
    first = only(wire.sent())
    wire.advance(4)
    assert wire.sent() == [], "it waits for its turn"
    wire.receive(ack(first, BTC))
    assert only(wire.told(Subscribed)).symbol == BTC
    wire.advance(60)
    assert [request for request in wire.sent() if request["method"] != "ping"] == []


def test_ack_of_what_nobody_asked_for_changes_nothing(wire: Wire) -> None:
    stray = {"method": "subscribe", "success": True, "result": {"channel": "book", "symbol": BTC, "depth": 10}}
    wire.receive(stray, stray | {"req_id": 77}, {"method": "unsubscribe", "success": True, "req_id": 3, "result": {}})
    assert wire.told(Subscribed) == []
    assert len(wire.session().table) == 0


def test_unanswered_subscribe_that_nobody_wants_any_more_is_left_to_be_sure() -> None:
    wire = Wire(ack_timeout=4.0).start()
    wire.subscribe(book())
    wire.sent()
    wire.unsubscribe(book())
    assert wire.sent() == []
    wire.advance(4)
    assert only(wire.sent())["method"] == "unsubscribe"
    wire.advance(4)
    assert len(wire.session().table) == len(wire.session().books) == 0
    assert wire.closed == []


# --- unsubscribing ---------------------------------------------------------------------------------------------------


def test_unsubscribe_repeats_the_option_and_late_frames_are_ignored(wire: Wire) -> None:
    feed = synced(wire, depth=25)
    wire.unsubscribe(book(BTC, 25))
    request = only(wire.sent())
    assert request["params"] == {"channel": "book", "symbol": [BTC], "depth": 25}
    wire.receive(feed.update())
    wire.receive(ack(request, BTC))
    event = only(wire.told(Unsubscribed))
    assert (event.of, event.symbol, event.depth) == ("book", BTC, 25)
    before = wire.session().books.ignored
    assert wire.receive(feed.update()) == []
    assert wire.session().books.ignored == before + 1
    assert len(wire.session().table) == len(wire.session().books) == 0


@pytest.mark.parametrize("error", ["Exceeded msg rate", "EService:Busy"])
def test_end_that_is_refused_for_now_is_asked_for_again(wire: Wire, error: str) -> None:
    synced(wire)
    wire.unsubscribe(book())
    wire.receive(refusal(only(wire.sent()), error, BTC))
    assert wire.told(Unsubscribed) == [], "it has not ended"
    wire.advance(6)
    again = only(wire.sent())
    assert again["method"] == "unsubscribe"
    wire.receive(ack(again, BTC))
    assert only(wire.told(Unsubscribed)).symbol == BTC


def test_end_of_what_the_exchange_never_had_is_taken_for_the_end(wire: Wire) -> None:
    synced(wire)
    wire.unsubscribe(book())
    wire.receive(refusal(only(wire.sent()), "Subscription Not Found", BTC))
    assert only(wire.told(ExchangeError)).error == "Subscription Not Found"
    assert len(wire.session().table) == len(wire.session().books) == 0


def test_book_wanted_again_while_it_leaves_is_empty_until_its_new_snapshot(wire: Wire) -> None:
    feed = synced(wire)
    wire.unsubscribe(book())
    leave = only(wire.sent())
    wire.subscribe(book())
    assert wire.sent() == []
    wire.receive(ack(leave, BTC))
    assert wire.state().status == "empty", "nothing keeps it up to date"
    request = only(wire.sent())
    assert request["method"] == "subscribe"
    wire.receive(ack(request, BTC), feed.snapshot())
    assert wire.state().status == "synced"
    assert [*wire.told(BookInvalidated), *wire.told(BookResynced)] == []


def test_readers_share_one_subscription_which_ends_with_the_last(wire: Wire) -> None:
    synced(wire)
    wire.subscribe(book())
    assert wire.sent() == []
    wire.unsubscribe(book())
    assert wire.sent() == []
    wire.unsubscribe(book())
    assert only(wire.sent())["method"] == "unsubscribe"


# --- books -----------------------------------------------------------------------------------------------------------


def test_snapshot_before_its_ack_is_taken(wire: Wire) -> None:
    wire.subscribe(book())
    request = only(wire.sent())
    feed = Feed()
    update = only(wire.receive(feed.snapshot()))
    assert isinstance(update, BookUpdate)
    assert (update.type, update.outcome) == ("snapshot", "verified")
    wire.receive(ack(request, BTC), feed.update())
    assert wire.state().status == "synced"
    assert wire.sent() == []


def test_book_that_was_not_asked_for_is_ignored_and_counted(wire: Wire) -> None:
    assert wire.receive(Feed(ETH).snapshot()) == []
    assert wire.session().books.ignored == 1


def test_mismatch_withholds_the_book_and_says_what_was_expected(wire: Wire) -> None:
    feed = synced(wire)
    frame = feed.update(checksum_off=1)
    event = only(wire.receive(frame))
    assert isinstance(event, BookInvalidated)
    assert (event.symbol, event.depth, event.reason, event.frame) == (BTC, 10, "checksum", frame)
    assert event.expected == feed.model.checksum() ^ 1
    assert event.computed == feed.model.checksum()
    assert event.text is not None
    assert zlib.crc32(event.text.encode()) == event.computed
    assert event.normalised_text is None, "no instrument is known"
    assert (event.n, event.seq) == (wire.core.n, wire.session().seq)
    assert wire.state().status == "unsynced"
    assert wire.core.events == []


def test_invalidated_book_shows_the_normalised_text_where_the_instrument_is_known(wire: Wire) -> None:
    subscribed(wire, Key("instrument"))
    wire.receive(instrument(price_precision=2))
    feed = synced(wire)
    event = only(wire.receive(feed.update(checksum_off=1)))
    assert event.normalised_text not in (None, event.text)
    assert len(event.normalised_text) > len(event.text)


def test_wrong_book_is_fetched_again_alone_while_others_go_on(wire: Wire) -> None:
    btc, eth = synced(wire, BTC), synced(wire, ETH)
    wire.receive(btc.update(checksum_off=1))
    leave = only(wire.sent())
    assert (leave["method"], leave["params"]["symbol"]) == ("unsubscribe", [BTC])
    assert wire.receive(btc.update()) == [], "its updates mean nothing until the next snapshot"
    assert isinstance(only(wire.receive(eth.update())), BookUpdate)
    wire.receive(ack(leave, BTC))
    again = only(wire.sent())
    assert (again["method"], again["params"]["symbol"]) == ("subscribe", [BTC])
    wire.now += 3 * S
    wire.receive(ack(again, BTC))
    update, resynced = wire.receive(btc.snapshot())
    assert isinstance(update, BookUpdate)
    assert isinstance(resynced, BookResynced)
    assert (resynced.symbol, resynced.depth, resynced.took_ns, resynced.attempts) == (BTC, 10, 3 * S, 1)
    assert wire.state(BTC).status == wire.state(ETH).status == "synced"
    assert [event.symbol for event in wire.told(BookInvalidated)] == [BTC]


def test_wrong_snapshot_before_its_ack_is_fetched_again(wire: Wire) -> None:
    wire.subscribe(book())
    request = only(wire.sent())
    feed = Feed()
    feed.snapshot()
    bad = v2_frame("snapshot", v2_element(BTC, [("100.0", "1.0")], [("101.0", "1.0")], 5, timestamp(1)))
    assert only(wire.receive(bad)).reason == "checksum"
    wire.receive(ack(request, BTC))
    assert only(refetched(wire))["method"] == "subscribe"


def test_crossed_book_is_found_at_once(wire: Wire) -> None:
    feed = synced(wire)
    event = only(wire.receive(feed.update([("101.0", "1.00000000")])))
    assert (event.reason, event.expected) == ("crossed", feed.model.checksum())
    assert only(wire.sent())["method"] == "unsubscribe"


def test_time_that_runs_backwards_is_found_at_once(wire: Wire) -> None:
    feed = synced(wire)
    wire.receive(*(feed.update() for _ in range(12)))
    event = only(wire.receive(feed.backwards()))
    assert (type(event), event.reason) == (BookInvalidated, "timestamp")
    assert wire.session().books.backwards == 1


def test_book_that_fails_again_and_again_is_quarantined_and_comes_back() -> None:
    wire = Wire(resync_attempts=2, resync_backoff=1.0, quarantine=60.0, keepalive=1000.0).start()
    feed = synced(wire)
    start = wire.now
    wire.receive(feed.update(checksum_off=1))
    for _ in range(2):
        again = only(refetched(wire))
        feed.snapshot()
        checksum = feed.model.checksum() ^ 1
        bids, asks = (feed.model.best(side) for side in ("bids", "asks"))
        wire.receive(ack(again, BTC), v2_frame("snapshot", v2_element(BTC, bids, asks, checksum, None)))
        wire.advance(1)
    event = only(wire.told(BookQuarantined))
    assert (event.symbol, event.depth, event.attempts, event.retry_after_ns) == (BTC, 10, 3, 60 * S)
    assert (wire.state().status, wire.state().reason) == ("unsynced", "quarantined")
    assert wire.sent() == []
    end = wire.told(BookQuarantined)[0].stamp.received_mono_ns + 60 * S
    while wire.now < end - S:
        wire.receive('{"channel":"heartbeat"}')
        wire.advance(0.5)
        assert wire.sent() == []
    wire.advance((end - wire.now) / S)
    wire.receive(ack(only(refetched(wire)), BTC), feed.snapshot())
    resynced = only(wire.told(BookResynced))
    assert (resynced.attempts, resynced.took_ns) == (3, wire.now - start)


def test_second_failure_waits_for_its_backoff() -> None:
    wire = Wire(resync_backoff=20.0, seed=1).start()
    feed = synced(wire)
    wire.receive(feed.update(checksum_off=1))
    wire.receive(ack(only(refetched(wire)), BTC), feed.snapshot(), feed.update(checksum_off=1))
    assert wire.sent() == []
    wire.advance(20)
    assert any(request["method"] == "unsubscribe" for request in wire.sent())


def test_changed_precision_has_the_book_fetched_again(wire: Wire) -> None:
    subscribed(wire, Key("instrument"))
    wire.receive(instrument(price_precision=1))
    feed = synced(wire)
    wire.receive(instrument(price_precision=1))
    assert wire.sent() == []
    wire.receive(instrument(price_precision=2))
    event = only(wire.told(BookInvalidated))
    assert (event.symbol, event.reason, event.expected, event.frame) == (BTC, "precision", None, None)
    wire.receive(ack(only(refetched(wire)), BTC), feed.snapshot())
    assert only(wire.told(BookResynced)).attempts == 1


def test_instrument_that_comes_after_the_book_tells_it_the_precisions(wire: Wire) -> None:
    feed = synced(wire)
    wire.receive(instrument(price_precision=1, qty_precision=8, kind="snapshot"))
    assert wire.told(BookInvalidated) == []
    checksum = feed.model.apply([("99.0", "0.50000000")], [])
    bare = v2_frame("update", v2_element(BTC, [("99", "0.5")], [], checksum, timestamp(50)))
    assert only(wire.receive(bare)).normalised
    assert wire.session().books.normalised == 1


def test_precision_that_no_number_can_have_does_no_harm(wire: Wire) -> None:
    feed = synced(wire)
    wire.receive(instrument(price_precision=30), instrument(price_precision=31))
    wire.receive(ack(only(refetched(wire)), BTC), feed.snapshot(), feed.update())
    assert wire.state().status == "synced"
    wire.subscribe(book(ETH))


def test_malformed_book_frame_is_told_and_changes_nothing(wire: Wire) -> None:
    feed = synced(wire)
    before = (wire.state().levels("bids"), wire.state().levels("asks"), wire.state().checksum)
    frame = feed.update()[:-20] + b"}]}"
    event = only(wire.receive(frame))
    assert isinstance(event, Undecodable)
    assert event.frame == frame
    assert event.offset is not None
    assert (wire.state().levels("bids"), wire.state().levels("asks"), wire.state().checksum) == before
    assert wire.state().status == "synced"


def test_book_frame_that_only_a_lenient_reader_takes_for_one_is_passed_on_raw(wire: Wire) -> None:
    synced(wire)
    frame = b'{"deep":' + b"[" * 70 + b"]" * 70 + b',"channel":"book","type":"update","data":[]}'
    event = only(wire.receive(frame))
    assert isinstance(event, Raw)
    assert (event.name, event.reason, event.frame) == ("book", "book channel", frame)


def test_both_elements_of_a_frame_count_and_a_snapshot_after_a_failure_needs_no_fetch(wire: Wire) -> None:
    subscribed(wire, book(BTC), book(ETH))
    btc, eth = Feed(BTC), Feed(ETH)
    good = [("100.0", "1.0")], [("101.0", "1.0")]
    wire.receive(
        v2_frame(
            "snapshot",
            v2_element(BTC, *good, 1, None),
            v2_element(ETH, *good, eth.model.apply(*good, snapshot=True), None),
            v2_element(BTC, *good, btc.model.apply(*good, snapshot=True), None),
        )
    )
    assert [type(event) for event in wire.news()[-4:]] == [BookInvalidated, BookUpdate, BookUpdate, BookResynced]
    assert wire.state(BTC).status == "synced"
    assert wire.sent() == []


# --- trades ----------------------------------------------------------------------------------------------------------


def test_trades_pass_once_and_a_gap_stands_before_the_trade_that_shows_it(wire: Wire) -> None:
    subscribed(wire, TRADE)
    wire.receive(trades(5, 6), trades(6), trades(9))
    wire.advance(1)
    wire.answer(only(wire.fetches()), error="nobody answers", retryable=False)
    market = [event for event in wire.log if isinstance(event, Trade | Gap)]
    assert [
        event.trade_id if isinstance(event, Trade) else (event.first, event.last, event.count) for event in market
    ] == [
        *(5, 6),
        (7, 8, 2),
        9,
    ]


def test_trade_snapshot_is_asked_only_where_a_trade_was_seen(wire: Wire) -> None:
    subscribed(wire, TRADE, Key("trade", ETH))
    wire.receive(trades(5))
    wire.disconnect()
    wire.connect()
    requests = {tuple(request["params"]["symbol"]): request["params"].get("snapshot") for request in wire.sent()}
    assert requests == {(BTC,): True, (ETH,): None}


def test_trade_snapshot_after_a_reconnect_closes_the_gap_as_far_as_it_reaches(wire: Wire) -> None:
    subscribed(wire, TRADE)
    wire.receive(trades(5, 6))
    wire.disconnect()
    wire.connect()
    wire.receive(*acks(only(wire.sent())), trades(5, 6, 7, 8, kind="snapshot"), trades(9))
    assert [(event.trade_id, event.source) for event in wire.told(Trade)] == [
        *((5, "live"), (6, "live")),
        *((7, "snapshot"), (8, "snapshot")),
        (9, "live"),
    ]
    assert wire.told(Gap) == []
    assert wire.session().trades.repeated == 2


def test_trade_snapshot_that_does_not_reach_is_an_exact_gap(wire: Wire) -> None:
    subscribed(wire, TRADE)
    wire.receive(trades(5))
    wire.disconnect()
    wire.connect()
    wire.receive(*acks(only(wire.sent())), trades(60, 61, kind="snapshot"))
    wire.advance(1)
    wire.answer(only(wire.fetches()), error="nobody answers", retryable=False)
    gap = only(wire.told(Gap))
    assert (gap.of, gap.symbol, gap.first, gap.last, gap.count) == ("trade", BTC, 6, 59, 54)


def test_trade_snapshot_nobody_asked_for_is_dropped_whole(wire: Wire) -> None:
    subscribed(wire, TRADE)
    wire.receive(trades(1, 2, 3, kind="snapshot"), trades(10))
    assert [event.trade_id for event in wire.told(Trade)] == [10]
    assert wire.told(Gap) == []


@pytest.mark.parametrize("how", ["acknowledged", "while down", "cut while leaving"])
def test_stream_that_ended_on_purpose_continues_nothing(wire: Wire, how: str) -> None:
    subscribed(wire, TRADE)
    wire.receive(trades(5))
    if how == "while down":
        wire.disconnect()
        wire.unsubscribe(TRADE)
        wire.connect()
    else:
        wire.unsubscribe(TRADE)
        leave = only(wire.sent())
        if how == "acknowledged":
            wire.receive(*acks(leave))
        else:
            wire.disconnect()
            wire.connect()
    wire.subscribe(TRADE)
    request = only(wire.sent())
    assert "snapshot" not in request["params"]
    wire.receive(*acks(request), trades(50))
    assert wire.told(Gap) == []


# --- the connection --------------------------------------------------------------------------------------------------


def test_disconnect_withholds_books_and_tells_the_gaps_that_nothing_can_close(wire: Wire) -> None:
    synced(wire)
    subscribed(wire, Key("ticker", BTC, "trades"), Key("ohlc", BTC, 1), Key("ohlc", BTC, 5), TRADE, book(ETH))
    wire.news()
    wire.disconnect(reason="reset by peer", code=1006)
    ended, *rest = wire.news()
    assert isinstance(ended, Disconnected)
    assert (ended.reason, ended.code, ended.terminal) == ("reset by peer", 1006, False)
    assert [(gap.of, gap.symbol, gap.reason, gap.count) for gap in wire.told(Gap)] == [
        ("ticker", BTC, "disconnected", None),
    ]
    assert [(event.symbol, event.reason) for event in wire.told(BookInvalidated)] == [(BTC, "disconnected")]
    assert len(rest) == 2
    assert wire.state(BTC).status == "unsynced"
    assert wire.state(ETH).status == "empty", "it never was, and says so"


def test_everything_is_subscribed_again_after_a_reconnect_paced() -> None:
    wire = Wire(symbols_per_message=1, messages_per_second=1.0, message_burst=2).start()
    keys = [book(f"S{i}/USD") for i in range(4)]
    exchange = Exchange()
    wire.subscribe(*keys)
    for _ in range(4):
        wire.receive(*exchange.answer(wire.sent()))
        wire.advance(1)
    wire.disconnect()
    assert wire.core.next_deadline() is None
    wire.connect()
    assert len(wire.sent()) == 2
    wire.advance(1)
    assert len(wire.sent()) == 1
    wire.advance(1)
    assert len(wire.sent()) == 1
    assert {sub.state for sub in wire.session().table} == {State.SUBSCRIBING}


def test_book_is_resynced_after_a_reconnect_and_the_time_is_told(wire: Wire) -> None:
    feed = synced(wire)
    wire.disconnect()
    wire.now += 7 * S
    wire.connect()
    wire.receive(ack(only(wire.sent()), BTC))
    update, resynced, _reconnected = wire.receive(feed.snapshot())
    assert (resynced.took_ns, resynced.attempts) == (7 * S, 1)
    assert update.epoch == 1


def test_downtime_is_that_of_the_last_outage_and_epochs_count(wire: Wire) -> None:
    for outage in (2, 5):
        wire.now += 100 * S
        wire.disconnect()
        wire.core.connecting("public")
        wire.disconnect(reason="refused", code=503)
        wire.now += outage * S
        wire.connect()
    assert [(event.downtime_ns, event.epoch, event.seq) for event in wire.told(Connected)] == [
        (None, 0, 0),
        (2 * S, 1, 0),
        (5 * S, 2, 0),
    ]
    assert [event.epoch for event in wire.told(Disconnected)] == [0, 0, 1, 1]


def test_seq_begins_anew_in_each_epoch_and_n_never(wire: Wire) -> None:
    wire.receive('{"channel":"heartbeat"}', "not json", '{"channel":"heartbeat"}')
    wire.disconnect()
    wire.connect()
    wire.receive('{"channel":"heartbeat"}')
    frames = [event for event in wire.log if isinstance(event, Heartbeat | Undecodable)]
    assert [(event.seq, event.epoch) for event in frames] == [(1, 0), (2, 0), (3, 0), (1, 1)]
    numbers = [event.n for event in wire.log]
    assert numbers == sorted(numbers)
    assert wire.core.frames == 4


def test_silence_is_asked_about_and_then_given_up() -> None:
    wire = Wire(idle_ping=10.0, ping_timeout=5.0, keepalive=1000.0).start()
    wire.advance(9.999)
    assert wire.sent() == []
    wire.advance(0.001)
    assert only(wire.sent())["method"] == "ping"
    wire.advance(4.999)
    assert wire.closed == []
    wire.advance(0.001)
    close = only(wire.closed)
    assert (close.reason, close.retire, close.is_dead) == ("no frame for 15 s, and no answer to a ping", False, True)


def test_any_frame_at_all_answers_the_ping_even_at_the_same_moment() -> None:
    wire = Wire(idle_ping=10.0, ping_timeout=5.0, keepalive=1000.0).start()
    for _ in range(5):
        wire.advance(10)
        request = only(wire.sent())
        wire.receive({"method": "pong", "req_id": request["req_id"]})
    assert wire.closed == []
    assert len(wire.told(Pong)) == 5


def test_traffic_needs_no_ping_but_for_keeping_the_connection_alive() -> None:
    wire = Wire(idle_ping=10.0, keepalive=30.0).start()
    pings = []
    for second in range(1, 100):
        wire.advance(1)
        wire.receive('{"channel":"heartbeat"}')
        if wire.sent():
            pings.append(second)
    assert pings == [30, 60, 90]
    assert wire.closed == []


def test_frames_while_closing_are_not_looked_at(wire: Wire) -> None:
    feed = synced(wire)
    wire.core.stop("done")
    assert wire.receive(feed.update(), feed.update(checksum_off=1), "garbage", trades(1)) == []
    assert wire.session().state is ConnectionState.CLOSING
    wire.advance(1000)
    assert wire.sent() == []


def test_moves_that_the_table_does_not_have_are_the_shells_fault(wire: Wire) -> None:
    with pytest.raises(ProtocolError, match="open does not expect 'open'"):
        wire.core.connecting("public")
    with pytest.raises(ProtocolError, match="open does not expect 'connected'"):
        wire.core.connected("", wire.stamp())
    wire.disconnect()
    with pytest.raises(ProtocolError, match="closed does not expect 'disconnected'"):
        wire.disconnect()


def test_early_deadline_does_nothing(wire: Wire) -> None:
    wire.subscribe(book())
    wire.sent()
    before = wire.core.next_deadline()
    wire.core.handle_deadline(wire.stamp(""))
    assert wire.core.next_deadline() == before
    assert wire.sent() == []


def test_market_data_passes_as_it_is(wire: Wire) -> None:
    subscribed(wire, Key("ticker", BTC, "trades"), Key("ohlc", BTC, 1))
    wire.receive(ticker(last=7.5), ohlc(), '{"channel":"new","data":[]}')
    assert str(only(wire.told(Ticker)).last) == "7.5"
    assert only(wire.told(Ohlc)).interval == 1
    assert only(wire.told(Raw)).reason == "unknown channel"


def test_events_carry_where_they_came_from(wire: Wire) -> None:
    event = only(wire.receive(ticker()))
    assert event.stamp == Stamp("public", 0, 1_700_000_000 * S + wire.now, wire.now)
    assert (event.connection, event.n, event.seq) == ("public", wire.core.n, 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"method":"subscribe"}',
        b'{"method":"subscribe","success":true,"result":null,"req_id":"1"}',
        b'{"method":"subscribe","success":true,"result":[],"req_id":1}',
        b'{"method":"unsubscribe","success":false,"error":["a"],"req_id":1}',
        b'{"method":"pong","req_id":99999999999999999999}',
        b'{"channel":"book"}',
        b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","checksum":0}]}',
        b'{"channel":"book","type":"update","data":null}',
        b'{"channel":"trade","type":"snapshot","data":[{}]}',
        b'{"channel":"instrument","type":"update","data":{"pairs":[{"symbol":"BTC/USD"}]}}',
        b'[1,{"as":[],"bs":[]},"book-10","XBT/USD"]',
        b'{"event":"subscriptionStatus","status":"subscribed","pair":"XBT/USD","subscription":{"name":"book"}}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
@pytest.mark.parametrize("passive", [False, True])
def test_no_frame_raises(frame: bytes, passive: bool) -> None:
    wire = Wire(passive=passive)
    if not passive:
        wire.start()
        wire.subscribe(book())
    wire.receive(frame, frame[:-1])
    assert wire.core.frames == 2
