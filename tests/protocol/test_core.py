"""The core: several connections, one order of inputs, and the same outcome whenever they are the same."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.wire import Exchange, Feed, S, Wire, ack, acks, book, instrument, refusal, ticker, trades
from krakenwire.book import BookUpdate
from krakenwire.errors import UsageError
from krakenwire.events import (
    BookInvalidated,
    Connected,
    Stamp,
    Subscribed,
    SubscribeRejected,
    Trade,
)
from krakenwire.protocol.core import Core
from krakenwire.protocol.report import EventLog, make_report, state_digest
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key, State

BTC, ETH = "BTC/USD", "ETH/USD"
FURTHER = "public-2"


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


@pytest.fixture
def wire() -> Wire:
    return Wire().start()


def held(wire: Wire, key: Key, connection: str = "public") -> None:
    """Subscribe to a book and have it proven."""
    wire.subscribe(key)
    request = only(wire.sent(connection))
    feed = Feed(key.symbol or "", key.depth or 10)
    wire.receive(*acks(request), feed.snapshot(), connection=connection)


# --- where a subscription is served ----------------------------------------------------------------------------------


def test_client_that_is_not_started_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="async with Client"):
        Core().subscribe([book()], Stamp("", 0, 0, 0))


def test_start_opens_the_main_connection_once() -> None:
    wire = Wire()
    wire.core.start()
    wire.core.start()
    wire.connect()
    assert wire.opened == ["public"]


def test_smaller_depth_is_served_from_a_larger_one_that_is_held(wire: Wire) -> None:
    held(wire, book(BTC, 100))
    placement = only(wire.core.subscribe([book(BTC, 10)], wire.stamp()))
    assert placement.key == book(BTC, 100)
    assert placement.session.name == "public"
    assert wire.core.take_actions() == []


def test_larger_depth_keeps_what_serves_a_smaller_one(wire: Wire) -> None:
    held(wire, book(BTC, 100))
    wire.subscribe(book(BTC, 10))
    wire.unsubscribe(book(BTC, 100))
    assert wire.sent() == []
    wire.unsubscribe(book(BTC, 10))
    assert only(wire.sent())["params"]["depth"] == 100


def test_larger_depth_goes_to_a_further_connection(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100), book(BTC, 500))
    assert wire.opened == ["public", FURTHER, "public-3"]
    wire.connect(FURTHER)
    assert only(wire.sent(FURTHER))["params"] == {"channel": "book", "symbol": [BTC], "depth": 100}
    wire.subscribe(book(BTC, 25))
    assert len(wire.opened) == 3, "25 is served from the 100"


def test_other_symbols_and_channels_stay_on_the_main_connection(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    wire.sent()
    wire.subscribe(book(ETH, 1000), Key("trade", BTC), Key("ohlc", BTC, 1), Key("ohlc", BTC, 5))
    wire.advance(1)
    assert len(wire.sent("public")) == 4
    assert len(wire.opened) == 2


def test_ticker_with_another_trigger_needs_a_further_connection(wire: Wire) -> None:
    wire.subscribe(Key("ticker", BTC, "trades"), Key("ticker", BTC, "trades"))
    assert wire.opened == ["public"]
    wire.subscribe(Key("ticker", BTC, "bbo"))
    assert wire.opened == ["public", FURTHER]


def test_impossible_book_is_refused_before_anything_is_wanted(wire: Wire) -> None:
    for key in (book("BTC USD"), book("币/USD"), book(BTC, 0), book(BTC, 1001), Key("book", None, 10)):
        with pytest.raises(UsageError, match="there can be no book"):
            wire.subscribe(book(ETH), key)
    assert len(wire.session().table) == 0
    with pytest.raises(UsageError, match="not subscribed"):
        wire.unsubscribe(book(ETH))


def test_connection_nobody_knows_is_named(wire: Wire) -> None:
    with pytest.raises(UsageError, match="no connection 'public-9'; there are: public"):
        wire.core.connecting("public-9")
    with pytest.raises(UsageError, match="public-9"):
        wire.core.receive_frame(b"{}", Stamp("public-9", 0, 0, 0))


# --- further connections come and go ---------------------------------------------------------------------------------


def test_further_connection_is_retired_when_nothing_is_wanted_of_it(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    wire.receive(*acks(only(wire.sent(FURTHER))), Feed(BTC, 100).snapshot(), connection=FURTHER)
    wire.unsubscribe(book(BTC, 100))
    close = only(wire.closed)
    assert (close.connection, close.retire) == (FURTHER, True)
    wire.disconnect(FURTHER)
    assert [session.name for session in wire.core.sessions] == ["public"]
    assert wire.core.statistics().verified == 2, "what it counted is kept"
    assert make_report(wire.core, EventLog(), 1.0).verified == 2


def test_retired_connection_is_not_used_while_it_ends_and_its_epochs_go_on(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    wire.unsubscribe(book(BTC, 100))
    wire.subscribe(book(BTC, 100))
    assert wire.opened == ["public", FURTHER, "public-3"], "the one that ends is not opened anew"
    wire.disconnect(FURTHER)
    wire.subscribe(book(BTC, 500))
    assert wire.opened[-1] == FURTHER
    wire.connect(FURTHER)
    assert [event.epoch for event in wire.told(Connected) if event.connection == FURTHER] == [0, 1]


@pytest.mark.parametrize("connecting", [False, True])
def test_further_connection_that_never_opened_is_retired_too(wire: Wire, connecting: bool) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    if connecting:
        wire.core.connecting(FURTHER)
    wire.unsubscribe(book(BTC, 100))
    assert only(wire.closed).connection == FURTHER
    if connecting:
        assert wire.session(FURTHER).state is ConnectionState.CLOSING
        wire.disconnect(FURTHER, reason="given up")
    assert wire.core.session(FURTHER) is None


def test_further_connection_that_drops_is_opened_anew_even_if_all_of_it_was_refused(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    wire.receive(refusal(only(wire.sent(FURTHER)), "Subscription depth not supported"), connection=FURTHER)
    wire.disconnect(FURTHER)
    wire.connect(FURTHER)
    wire.unsubscribe(book(BTC, 100))
    assert only(wire.closed).retire


def test_further_connection_that_is_not_tried_again_rejects_what_was_wanted_of_it(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.core.connecting(FURTHER)
    wire.disconnect(FURTHER, reason="HTTP 404", code=404, terminal=True)
    event = only(wire.told(SubscribeRejected))
    assert (event.of, event.symbol, event.depth, event.connection) == ("book", BTC, 100, FURTHER)
    assert "HTTP 404" in event.error
    assert [session.name for session in wire.core.sessions] == ["public"]
    wire.unsubscribe(book(BTC, 100))
    assert wire.closed == []


def test_what_was_rejected_with_its_connection_is_placed_anew_for_the_next_who_wants_it(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.core.connecting(FURTHER)
    wire.disconnect(FURTHER, reason="HTTP 404", terminal=True)
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    assert only(wire.sent(FURTHER))["params"]["depth"] == 100
    wire.unsubscribe(book(BTC, 100))
    assert wire.closed == []
    wire.unsubscribe(book(BTC, 100))
    assert only(wire.closed).connection == FURTHER


def test_what_was_refused_is_asked_for_again_when_another_wants_it(wire: Wire) -> None:
    wire.subscribe(book())
    wire.receive(refusal(only(wire.sent()), "Currency pair not supported BTC/USD"))
    assert wire.sent() == []
    wire.subscribe(book())
    wire.receive(*acks(only(wire.sent())))
    assert only(wire.told(Subscribed)).symbol == BTC
    wire.unsubscribe(book())
    assert wire.sent() == []
    wire.unsubscribe(book())
    assert only(wire.sent())["method"] == "unsubscribe"


def test_loss_of_the_main_connection_for_good_rejects_nothing(wire: Wire) -> None:
    wire.subscribe(book())
    wire.disconnect(terminal=True)
    assert wire.told(SubscribeRejected) == [], "the shell ends everything"


def test_stop_retires_every_connection_and_nothing_can_be_wanted_after_it(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    wire.core.stop("the client was closed")
    assert [(close.connection, close.reason, close.retire) for close in wire.core.take_actions()[-2:]] == [  # type: ignore[union-attr]  # all are Close
        ("public", "the client was closed", True),
        (FURTHER, "the client was closed", True),
    ]
    with pytest.raises(UsageError, match="not connected"):
        wire.subscribe(book(ETH))


def test_changed_precision_concerns_the_books_of_every_connection(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    wire.receive(*acks(only(wire.sent(FURTHER))), Feed(BTC, 100).snapshot(), connection=FURTHER)
    wire.receive(instrument(price_precision=1), instrument(price_precision=2))
    told = [(event.connection, event.depth, event.seq) for event in wire.told(BookInvalidated)]
    assert told == [("public", 10, wire.session().seq), (FURTHER, 100, wire.session(FURTHER).seq)]
    new = wire.actions[-2:]
    assert [(action.connection, b"unsubscribe" in action.text) for action in new] == [  # type: ignore[union-attr]  # all are Send
        ("public", True),
        (FURTHER, True),
    ]


def test_connections_are_paced_and_watched_apart() -> None:
    wire = Wire(idle_ping=10.0, ping_timeout=5.0, keepalive=1000.0).start()
    wire.subscribe(book(BTC, 10))
    wire.receive(*acks(only(wire.sent())))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    for _ in range(20):
        wire.advance(1)
        wire.receive('{"channel":"heartbeat"}')
    assert [close.connection for close in wire.closed] == [FURTHER]


# --- the same inputs, the same outcome -------------------------------------------------------------------------------


def play(seed: int, steps: int = 120) -> tuple[list[Any], list[Any], str, str]:
    """A random life of a client with an exchange that answers late, lies at times, and is cut off."""
    rng = random.Random(seed)
    wire = Wire(seed=seed, resync_attempts=1, quarantine=5.0, ack_timeout=4.0, messages_per_second=2.0)
    wire.core.start()
    keys = [book(BTC, 10), book(BTC, 25), book(ETH, 10), Key("trade", BTC), Key("ticker", ETH, "bbo")]
    wanted: list[Key] = []
    exchanges: dict[str, Exchange] = {}
    trade_id = 0
    for _ in range(steps):
        for session in wire.core.sessions:
            if session.state is ConnectionState.CLOSED:
                if rng.random() < 0.5:
                    wire.connect(session.name)
                    exchanges[session.name] = Exchange()
            elif session.state is ConnectionState.CLOSING or rng.random() < 0.02:
                wire.disconnect(session.name)
        names = [session.name for session in wire.core.sessions if session.state is ConnectionState.OPEN]
        choice = rng.randrange(6)
        if choice == 0:
            wanted.append(rng.choice(keys))
            wire.subscribe(wanted[-1])
        elif choice == 1 and wanted:
            wire.unsubscribe(wanted.pop(rng.randrange(len(wanted))))
        elif choice == 2:
            wire.advance(rng.choice([0.1, 1.0, 3.0]))
        else:
            for name in names:
                exchange = exchanges[name]
                if rng.random() < 0.8:
                    wire.receive(*exchange.answer(wire.sent(name)), connection=name)
                for feed in exchange.feeds.values():
                    off = int(rng.random() < 0.2)
                    wire.receive(feed.update(checksum_off=off), connection=name)
                trade_id += rng.choice([1, 1, 1, 3])
                wire.receive(trades(trade_id), ticker(ETH), connection=name)
    log = EventLog()
    log.add(wire.log)
    return wire.log, wire.actions, log.hexdigest(), state_digest(wire.core)


@given(st.integers(0, 2**32))
def test_same_inputs_give_the_same_events_actions_and_digests(seed: int) -> None:
    assert play(seed) == play(seed)


def test_random_life_meets_what_it_should() -> None:
    kinds = {type(event).__name__ for seed in range(20) for event in play(seed)[0]}
    assert kinds >= {"BookUpdate", "BookInvalidated", "BookResynced", "BookQuarantined", "Gap", "Trade", "Unsubscribed"}


@given(st.integers(0, 2**32))
def test_no_book_is_synced_unless_its_last_message_was_verified(seed: int) -> None:
    wire = Wire(seed=seed).start()
    rng = random.Random(seed)
    exchange = Exchange()
    wire.subscribe(book(BTC), book(ETH))
    for _ in range(60):
        wire.receive(*exchange.answer(wire.sent()))
        for symbol, feed in exchange.feeds.items():
            event = wire.receive(feed.update(checksum_off=int(rng.random() < 0.1)))
            state = wire.state(symbol)
            if event and isinstance(event[0], BookUpdate):
                assert state.status == "synced"
            if state.status == "synced":
                assert state.checksum == feed.model.checksum()
                assert state.proven
        wire.advance(0.5)
    assert exchange.feeds.keys() == {BTC, ETH}


def test_jitter_comes_from_the_seed_alone() -> None:
    def moment(seed: int) -> int:
        wire = Wire(seed=seed, resync_backoff=8.0).start()
        exchange = Exchange()
        wire.subscribe(book())
        for _ in range(2):
            for _ in range(2):
                wire.receive(*exchange.answer(wire.sent()))
            wire.receive(exchange.feeds[BTC].update(checksum_off=1))
        return next(iter(wire.session().table)).not_before

    assert moment(1) == moment(1)
    assert len({moment(seed) for seed in range(5)}) == 5


@given(passive=st.booleans(), seed=st.integers(0, 2**32), cuts=st.sets(st.integers(1, 39)))
def test_any_split_of_the_frames_into_reads_gives_the_same_events(passive: bool, seed: int, cuts: set[int]) -> None:
    def run(cuts: set[int]) -> tuple[str, str, list[tuple[int, int]]]:
        wire, rng = Wire(passive=passive), random.Random(seed)
        if not passive:
            wire.start()
        exchange = Exchange()
        if not passive:
            wire.subscribe(book(BTC), book(ETH))
        params = {"channel": "book", "symbol": [BTC, ETH], "depth": 10}
        frames = exchange.answer([{"method": "subscribe", "req_id": 1, "params": params}])
        for number in range(40 - len(frames)):
            feed = exchange.feeds[rng.choice([BTC, ETH])]
            off = int(rng.random() < 0.05)
            frames.append(rng.choice([feed.update(checksum_off=off), trades(number), b"garbage", ticker()]))
        stamp = wire.stamp()
        for number, frame in enumerate(frames):
            if number in cuts:  # a new read of the socket, later
                wire.now += 7_000_000
                stamp = wire.stamp()
            wire.core.receive_frame(frame, stamp)
        log = EventLog()
        log.add(wire.core.events)
        return log.hexdigest(), state_digest(wire.core), [(event.n, event.seq) for event in wire.core.events]

    assert run(cuts) == run(set())


def test_inputs_are_numbered_in_one_order_over_all_connections(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    start = wire.core.n
    wire.receive(ticker(), connection=FURTHER)
    wire.receive(ticker())
    wire.receive(trades(1, 2), connection=FURTHER)
    events = wire.log[-4:]
    assert [event.n - start for event in events] == [1, 2, 3, 3]
    assert [(event.connection, event.seq) for event in events] == [
        (FURTHER, 1),
        ("public", 3),
        (FURTHER, 2),
        (FURTHER, 2),
    ]
    assert isinstance(events[-1], Trade)


def test_nothing_is_wanted_of_time_before_anything_is_open() -> None:
    wire = Wire()
    wire.core.start()
    assert wire.core.next_deadline() is None
    wire.core.handle_deadline(wire.stamp(""))
    assert wire.core.events == []


def test_every_key_is_active_in_the_end_whatever_was_lost_on_the_way() -> None:
    wire = Wire(symbols_per_message=3, ack_timeout=2.0, ack_attempts=100).start()
    rng = random.Random(5)
    exchange = Exchange()
    keys = [book(f"S{i}/USD") for i in range(12)]
    wire.subscribe(*keys)
    for _ in range(60):
        lost = rng.random() < 0.3
        answers = exchange.answer(wire.sent())
        wire.receive(*(frame for frame in answers if not lost or rng.random() < 0.5))
        wire.advance(1)
    for _ in range(60):
        wire.receive(*exchange.answer(wire.sent()))
        wire.advance(1)
    assert {sub.key: sub.state for sub in wire.session().table} == dict.fromkeys(keys, State.ACTIVE)
    assert {wire.state(key.symbol or "").status for key in keys} == {"synced"}
    assert wire.now > 1000 * S


def test_ack_belongs_to_the_connection_it_came_over(wire: Wire) -> None:
    held(wire, book(BTC, 10))
    wire.subscribe(book(BTC, 100))
    wire.connect(FURTHER)
    request = only(wire.sent(FURTHER))
    wire.receive(ack(request, BTC), connection="public")
    assert {sub.state for sub in wire.session(FURTHER).table} == {State.SUBSCRIBING}
    wire.receive(ack(request, BTC), connection=FURTHER)
    assert {sub.state for sub in wire.session(FURTHER).table} == {State.ACTIVE}
