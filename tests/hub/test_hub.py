"""The hub: each event to whoever wants it, and each loss to whoever it concerns."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.wire import Wire, ohlc, ticker, trades
from krakenwire.events import (
    BookInvalidated,
    Connected,
    Event,
    Gap,
    Heartbeat,
    Loss,
    Stamp,
    Subscribed,
    SubscribeRejected,
)
from krakenwire.hub import Hub, Inbox, Interest

BTC, ETH = "BTC/USD", "ETH/USD"
FIRST, SECOND = Stamp("public", 0, 1, 2), Stamp("public-2", 0, 1, 2)


def events_of(*frames: bytes) -> list[Event]:
    """What frames turn into."""
    return Wire(passive=True).receive(*frames)


def reader(hub: Hub, *interests: Interest) -> Inbox:
    inbox = Inbox()
    hub.attach(inbox, interests)
    return inbox


def drain(inbox: Inbox) -> list[Any]:
    events: list[Any] = []
    while (event := inbox.take()) is not None:
        events.append(event)
    return events


def losses(*events: Event, **readers: Interest) -> dict[str, list[Loss]]:
    """What losses each reader is told of when `events` are published."""
    hub = Hub()
    inboxes = {name: reader(hub, interest) for name, interest in readers.items()}
    hub.publish(events)
    return {name: [event for event in drain(inbox) if isinstance(event, Loss)] for name, inbox in inboxes.items()}


def test_reader_gets_what_it_wants_and_nothing_else() -> None:
    hub = Hub()
    trades_of_btc = reader(hub, Interest("trade", BTC))
    all_trades = reader(hub, Interest("trade"))
    everything = reader(hub, Interest(None))
    lifecycle = reader(hub, Interest("lifecycle"))
    events = [*events_of(trades(1), trades(7, symbol=ETH), ticker()), Connected(url="x")]
    hub.publish(events)
    assert drain(trades_of_btc) == events[:1]
    assert drain(all_trades) == events[:2]
    assert drain(everything) == events
    assert drain(lifecycle) == events[3:]


def test_several_interests_make_one_ordered_stream() -> None:
    hub = Hub()
    inbox = reader(hub, Interest("trade", BTC), Interest("ticker", ETH))
    hub.attach(inbox, [Interest("ticker", BTC)])
    events = events_of(ticker(), trades(1), ticker(ETH), trades(2, symbol=ETH))
    hub.publish(events)
    assert drain(inbox) == events[:3]


def test_candles_are_told_apart_by_interval() -> None:
    hub = Hub()
    one, any_interval = reader(hub, Interest("ohlc", BTC, interval=1)), reader(hub, Interest("ohlc", BTC))
    events = events_of(ohlc(interval=1), ohlc(interval=5))
    hub.publish(events)
    assert drain(one) == events[:1]
    assert drain(any_interval) == events


def test_connections_are_told_apart() -> None:
    hub = Hub()
    first, both = reader(hub, Interest("heartbeat", connection="public")), reader(hub, Interest("heartbeat"))
    events = [Heartbeat(stamp=FIRST), Heartbeat(stamp=SECOND)]
    hub.publish(events)
    assert drain(first) == events[:1]
    assert drain(both) == events


def test_same_interest_twice_gives_each_event_once() -> None:
    hub = Hub()
    inbox = reader(hub, Interest("heartbeat"), Interest("heartbeat"))
    hub.attach(inbox, [Interest("heartbeat")])
    called: list[Any] = []
    for _ in range(2):
        hub.listen(Interest(None), called.append)
    hub.publish([Heartbeat()])
    assert len(drain(inbox)) == len(called) == 1


def test_detached_reader_gets_nothing_more_and_leaves_nothing_behind() -> None:
    hub = Hub()
    stays = reader(hub, Interest("heartbeat"))
    goes = reader(hub, Interest("heartbeat"), Interest(None), Interest("trade", BTC))
    assert list(hub.inboxes) == [stays, goes]
    hub.detach(goes)
    hub.detach(goes)
    hub.publish([Heartbeat(), *events_of(trades(1))])
    assert drain(goes) == []
    assert len(drain(stays)) == 1
    assert list(hub.inboxes) == [stays]


def test_reader_that_is_detached_while_an_event_is_published_does_no_harm() -> None:
    hub = Hub()
    inbox = Inbox()
    hub.listen(Interest("heartbeat"), lambda _: hub.detach(inbox))
    hub.attach(inbox, [Interest("heartbeat")])
    hub.publish([Heartbeat(seq=1), Heartbeat(seq=2)])
    assert [event.seq for event in drain(inbox)] == [1], "what was on its way arrives, nothing after it"


def test_end_ends_every_reader_after_what_waits() -> None:
    hub = Hub()
    inbox = reader(hub, Interest("heartbeat"))
    hub.publish([Heartbeat()])
    hub.end(ConnectionError("gone"))
    assert inbox.take() == Heartbeat()
    with pytest.raises(ConnectionError, match="gone"):
        inbox.take()


def test_unsynced_book_is_a_loss_for_its_readers_on_that_connection_only() -> None:
    event = BookInvalidated(symbol=BTC, depth=10, reason="checksum", stamp=FIRST, n=5, seq=4)
    told = losses(
        event,
        mine=Interest("book", BTC, connection="public"),
        all_books=Interest("book"),
        deeper=Interest("book", BTC, connection="public-2"),
        other=Interest("book", ETH),
        trades=Interest("trade", BTC),
        lifecycle=Interest("lifecycle"),
    )
    (loss,) = told["mine"]
    assert (loss.of, loss.symbol, loss.count, loss.cause) == ("book", BTC, None, event)
    assert (loss.stamp, loss.n, loss.seq) == (FIRST, 5, 4)
    assert "checksum" in loss.reason
    assert {name: len(found) for name, found in told.items()} == {
        "mine": 1,
        "all_books": 1,
        "deeper": 0,
        "other": 0,
        "trades": 0,
        "lifecycle": 0,
    }


def test_gap_is_a_loss_with_its_count_for_the_readers_of_its_stream() -> None:
    event = Gap(of="trade", symbol=BTC, reason="trade_id jumped", first=5, last=9, count=5, stamp=FIRST)
    told = losses(
        event,
        mine=Interest("trade", BTC),
        everyone=Interest("trade"),
        other=Interest("trade", ETH),
        ticker=Interest("ticker", BTC),
    )
    assert [(loss.count, loss.cause) for loss in told["mine"]] == [(5, event)]
    assert {name: len(found) for name, found in told.items()} == {"mine": 1, "everyone": 1, "other": 0, "ticker": 0}


def test_rejection_is_a_loss_for_the_readers_of_that_interval_only() -> None:
    event = SubscribeRejected(of="ohlc", symbol=BTC, error="Subscription ohlc interval not supported", interval=60)
    told = losses(event, hour=Interest("ohlc", BTC, interval=60), minute=Interest("ohlc", BTC, interval=1))
    assert [loss.reason for loss in told["hour"]] == [
        "the subscription was rejected: Subscription ohlc interval not supported"
    ]
    assert told["minute"] == []


def test_gap_of_candles_concerns_every_interval() -> None:
    told = losses(
        Gap(of="ohlc", symbol=BTC, reason="disconnected"),
        hour=Interest("ohlc", BTC, interval=60),
        minute=Interest("ohlc", BTC, interval=1),
    )
    assert [len(found) for found in told.values()] == [1, 1]


def test_rejection_that_names_nothing_is_no_loss_of_any_stream() -> None:
    event = SubscribeRejected(of=None, symbol=None, error="Event(s) not found")
    told = losses(event, trades=Interest("trade"), everything=Interest(None))
    assert list(told.values()) == [[], []]


def test_everything_means_events_and_no_losses_beside_their_causes() -> None:
    hub = Hub()
    inbox = reader(hub, Interest(None))
    event = Gap(of="trade", symbol=BTC, reason="x", count=1)
    hub.publish([event, Subscribed(of="trade", symbol=BTC)])
    assert drain(inbox) == [event, Subscribed(of="trade", symbol=BTC)]


def test_loss_stands_where_it_happened() -> None:
    hub = Hub()
    inbox = reader(hub, Interest("trade", BTC))
    before, after = events_of(trades(1)), events_of(trades(4))
    hub.publish([*before, Gap(of="trade", symbol=BTC, reason="trade_id jumped", first=2, last=3, count=2), *after])
    first, loss, second = drain(inbox)
    assert (first.trade_id, loss.count, second.trade_id) == (1, 2, 4)
