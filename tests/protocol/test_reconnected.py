"""What is told once everything of a lost connection is back, and when."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.wire import Exchange, Feed, S, Wire, ack, acks, book, refusal
from krakenwire.events import BookQuarantined, Heartbeat, Reconnected, SubscribeRejected
from krakenwire.protocol.subscriptions import Key, State

BTC, ETH, XRP = "BTC/USD", "ETH/USD", "XRP/USD"
TRADE = Key("trade", BTC)
HEARTBEAT = b'{"channel":"heartbeat"}'


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


def settle(wire: Wire, exchange: Exchange, seconds: float = 1.0) -> None:
    """Answer whatever is asked, for a while."""
    for _ in range(round(seconds / 0.25) + 1):
        wire.receive(*exchange.answer(wire.sent()))
        wire.advance(0.25)


def lose(wire: Wire, seconds: float) -> None:
    """Lose the connection, and have it open again so much later."""
    wire.disconnect()
    wire.now += round(seconds * S)
    wire.connect()


def spoiled(frame: bytes) -> bytes:
    """The frame with another checksum, if it has one."""
    return re.sub(rb'"checksum":(\d+)', lambda match: b'"checksum":%d' % (int(match[1]) ^ 1), frame)


@pytest.fixture
def wire() -> Wire:
    """Two books, trades and instruments, all of them there."""
    wire = Wire().start()
    wire.subscribe(Key("instrument"), book(BTC), book(ETH, 100), TRADE)
    settle(wire, Exchange(), 3)
    assert {sub.state for sub in wire.session().table} == {State.ACTIVE}
    wire.news()
    return wire


def test_first_connection_is_no_reconnect(wire: Wire) -> None:
    assert wire.told(Reconnected) == []
    assert wire.core.statistics().restored == 0


def test_everything_back_is_told_once_with_its_times_and_counts(wire: Wire) -> None:
    lose(wire, 3)
    exchange = Exchange()
    lost_at = wire.now - 3 * S
    while not (told := wire.told(Reconnected)):
        states = {sub.state for sub in wire.session().table}
        assert states != {State.ACTIVE} or "empty" in {wire.state(symbol).status for symbol in (BTC, ETH)}
        answers = exchange.answer(wire.sent())
        for answer in answers:
            assert wire.told(Reconnected) == []
            wire.receive(answer)
        wire.advance(0.25)
    event = only(told)
    back_at = event.received_mono_ns
    assert (event.downtime_ns, event.took_ns) == (3 * S, back_at - lost_at)
    assert (event.subscriptions, event.rejected, event.books) == (4, 0, 2)
    assert (event.planned, event.epoch, event.connection) == (False, 1, "public")
    settle(wire, exchange, 5)
    assert wire.told(Reconnected) == [event]
    statistics = wire.core.statistics()
    assert (statistics.restored, statistics.recovery_ns) == (1, event.took_ns)


def test_acknowledged_but_unproven_book_is_not_back(wire: Wire) -> None:
    lose(wire, 1)
    feeds = {BTC: Feed(BTC), ETH: Feed(ETH, 100)}
    for _ in range(8):
        for request in wire.sent():
            wire.receive(*acks(request))
        wire.advance(0.25)
    assert {sub.state for sub in wire.session().table} == {State.ACTIVE}
    wire.receive(HEARTBEAT, feeds[BTC].snapshot(), feeds[BTC].update())
    assert wire.told(Reconnected) == []
    wire.receive(feeds[ETH].snapshot())
    assert only(wire.told(Reconnected)).books == 2


def test_wrong_first_snapshot_is_waited_out(wire: Wire) -> None:
    lose(wire, 1)
    exchange = Exchange()
    for _ in range(12):
        for frame in exchange.answer(wire.sent()):
            is_first = wire.core.statistics().mismatched == 0
            wire.receive(spoiled(frame) if is_first else frame)
            assert not wire.told(Reconnected) or "synced" == wire.state(BTC).status == wire.state(ETH).status
        wire.advance(0.25)
    assert wire.core.statistics().mismatched == 1
    assert only(wire.told(Reconnected)).books == 2


def test_second_drop_before_everything_was_back_is_part_of_the_same_loss(wire: Wire) -> None:
    first = wire.now
    lose(wire, 2)
    wire.receive(*acks(wire.sent()[0]))
    wire.advance(4)  # open, but not all back
    assert wire.told(Reconnected) == []
    lose(wire, 3)
    settle(wire, Exchange(), 3)
    event = only(wire.told(Reconnected))
    assert event.downtime_ns == 5 * S
    assert event.took_ns == event.received_mono_ns - first
    assert (event.subscriptions, event.books, event.epoch) == (4, 2, 2)


def test_failed_attempts_in_between_change_nothing(wire: Wire) -> None:
    first = wire.now
    wire.disconnect()
    for _ in range(3):
        wire.now += 2 * S
        wire.core.connecting("public")
        wire.disconnect(reason="refused", code=503)
    wire.connect()
    settle(wire, Exchange(), 3)
    event = only(wire.told(Reconnected))
    assert event.downtime_ns == 6 * S
    assert event.took_ns == event.received_mono_ns - first


def test_refusal_for_good_is_counted_and_not_waited_for(wire: Wire) -> None:
    lose(wire, 1)
    exchange = Exchange()
    for _ in range(12):
        for request in wire.sent():
            if request["params"]["channel"] == "trade":
                wire.receive(refusal(request, "Currency pair not supported BTC/USD", BTC))
            else:
                wire.receive(*exchange.answer([request]))
        wire.advance(0.25)
    assert only(wire.told(SubscribeRejected)).symbol == BTC
    event = only(wire.told(Reconnected))
    assert (event.subscriptions, event.rejected, event.books) == (3, 1, 2)


def test_refusals_for_the_rate_are_waited_out(wire: Wire) -> None:
    lose(wire, 1)
    exchange = Exchange()
    refused = 0
    for _ in range(200):
        for request in wire.sent():
            if refused < 5 and request["method"] == "subscribe":
                refused += 1
                wire.receive(refusal(request, "Exceeded msg rate"))
                assert wire.told(Reconnected) == []
            else:
                wire.receive(*exchange.answer([request]))
        wire.advance(0.25)
    event = only(wire.told(Reconnected))
    assert (refused, event.subscriptions, event.rejected) == (5, 4, 0)


def test_quarantined_book_is_not_waited_for() -> None:
    wire = Wire(resync_attempts=1).start()
    wire.subscribe(book(BTC))
    settle(wire, Exchange())
    lose(wire, 1)
    exchange = Exchange()
    for _ in range(40):
        for frame in exchange.answer(wire.sent()):
            wire.receive(spoiled(frame))
        wire.advance(0.25)
        if wire.told(BookQuarantined):
            break
    event = only(wire.told(Reconnected))
    assert (event.subscriptions, event.books) == (1, 0)


def test_what_is_given_up_meanwhile_is_not_waited_for(wire: Wire) -> None:
    lose(wire, 1)
    exchange = Exchange()
    while requests := wire.sent():
        wire.receive(*(frame for frame in exchange.answer(requests) if b'"symbol":"ETH/USD","bids"' not in frame))
        wire.advance(0.5)
    assert wire.told(Reconnected) == []
    wire.unsubscribe(book(ETH, 100))
    wire.receive(*exchange.answer(wire.sent()), HEARTBEAT)
    assert only(wire.told(Reconnected)).books == 1


def test_what_is_asked_for_later_is_no_part_of_it(wire: Wire) -> None:
    lose(wire, 1)
    wire.subscribe(book(XRP))
    exchange = Exchange()
    for _ in range(12):
        for request in wire.sent():
            if request["params"].get("symbol") == [XRP]:
                continue
            for frame in exchange.answer([request]):
                if b'"symbol":"XRP/USD"' not in frame:
                    wire.receive(frame)
        wire.advance(0.25)
    assert only(wire.told(Reconnected)).subscriptions == 4


def test_connection_without_subscriptions_is_back_at_once() -> None:
    wire = Wire().start()
    lose(wire, 2)
    event = only(wire.told(Reconnected))
    assert (event.subscriptions, event.books, event.took_ns, event.downtime_ns) == (0, 0, 2 * S, 2 * S)


def test_later_loss_is_told_anew(wire: Wire) -> None:
    exchange = Exchange()
    for seconds in (1, 2):
        lose(wire, seconds)
        exchange = Exchange()
        settle(wire, exchange, 3)
    assert [event.downtime_ns for event in wire.told(Reconnected)] == [S, 2 * S]
    assert wire.core.statistics().restored == 2


def test_further_connection_tells_its_own() -> None:
    wire = Wire().start()
    wire.subscribe(book(BTC, 10))
    settle(wire, Exchange())
    wire.subscribe(book(BTC, 100))
    wire.connect("public-2")
    wire.receive(*Exchange().answer(wire.sent("public-2")), connection="public-2")
    wire.disconnect("public-2")
    wire.now += S
    wire.connect("public-2")
    wire.receive(*Exchange().answer(wire.sent("public-2")), connection="public-2")
    event = only(wire.told(Reconnected))
    assert (event.connection, event.books, event.downtime_ns) == ("public-2", 1, S)


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(0.0, 3)), min_size=1, max_size=6))
def test_however_often_it_drops_the_losses_add_up(drops: list[tuple[float, float]]) -> None:
    wire = Wire().start()
    wire.subscribe(book(BTC), book(ETH, 100), Key("trade", XRP))
    settle(wire, Exchange(), 2)
    down = 0
    for seconds, served in drops:
        lose(wire, seconds)
        down += round(seconds * S)
        if served:
            settle(wire, Exchange(), served)
    lose(wire, 1)
    settle(wire, Exchange(), 3)
    told = wire.told(Reconnected)
    assert sum(event.downtime_ns for event in told) == down + S
    assert wire.told(Heartbeat) == []
    assert {sub.state for sub in wire.session().table} == {State.ACTIVE}


def test_stray_acknowledgement_does_not_count_twice(wire: Wire) -> None:
    lose(wire, 1)
    request = wire.sent()[0]
    wire.receive(*acks(request), ack(request))
    settle(wire, Exchange(), 4)
    assert all(event.subscriptions <= 4 for event in wire.told(Reconnected))
