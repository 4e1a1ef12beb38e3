"""Recorded frames: books are learned from what was acknowledged, or from their snapshots; nothing is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.frames import Model, v1_snapshot, v1_update, v2_element, v2_frame
from helpers.wire import Feed, Wire, ack, refusal, timestamp, trades
from krakenwire.book import BookUpdate
from krakenwire.events import Gap, Subscribed, SubscribeRejected, Trade, Undecodable, Unsubscribed
from krakenwire.protocol.passive import PassiveSession

BTC, ETH = "BTC/USD", "ETH/USD"
BIDS, ASKS = [("100.00000", "1.00000000")], [("101.00000", "2.00000000")]


@pytest.fixture
def wire() -> Wire:
    return Wire(passive=True)


def request(method: str = "subscribe", channel: str = "book", **params: Any) -> dict[str, Any]:
    return {"method": method, "req_id": 1, "params": {"channel": channel, **params}}


def unknown(wire: Wire) -> int:
    session = wire.session()
    assert isinstance(session, PassiveSession)
    return session.unknown_updates


def test_depth_comes_from_the_ack(wire: Wire) -> None:
    wire.receive(ack(request(depth=25), BTC))
    assert wire.state().depth == 25
    assert wire.told(Subscribed)[0].depth == 25
    (update,) = wire.receive(Feed(BTC, 25).snapshot())
    assert (update.depth, update.outcome) == (25, "verified")


def test_ack_without_a_depth_means_the_default(wire: Wire) -> None:
    wire.receive(ack(request(), BTC))
    assert wire.state().depth == 10


@pytest.mark.parametrize(
    ("levels", "depth"), [(0, 10), (3, 10), (10, 10), (11, 25), (100, 100), (101, 500), (1000, 1000)]
)
def test_depth_of_a_snapshot_without_an_ack_is_the_smallest_that_holds_it(wire: Wire, levels: int, depth: int) -> None:
    bids = [(f"{20000 - i}.0", "1.0") for i in range(levels)]
    checksum = Model(BTC, 1000).apply(bids, [], snapshot=True)
    (update,) = wire.receive(v2_frame("snapshot", v2_element(BTC, bids, [], checksum)))
    assert isinstance(update, BookUpdate)
    assert (update.outcome, wire.state().depth) == ("verified", depth)


def test_snapshot_of_several_unknown_books_in_one_frame_is_applied_once(wire: Wire) -> None:
    level = [("100.0", "1.0")]
    checksum = Model(BTC, 10).apply(level, [], snapshot=True)
    frame = v2_frame("snapshot", v2_element(BTC, level, [], checksum), v2_element(ETH, level, [], checksum))
    assert [(update.symbol, update.outcome) for update in wire.receive(frame)] == [(BTC, "verified"), (ETH, "verified")]


def test_v1_book_is_known_by_its_v2_symbol(wire: Wire) -> None:
    status = {
        "event": "subscriptionStatus",
        "status": "subscribed",
        "pair": "XBT/USD",
        "channelName": "book-100",
        "channelID": 336,
        "subscription": {"name": "book", "depth": 100},
    }
    wire.receive(status)
    assert (wire.state(BTC).wire_name, wire.state(BTC).depth) == ("XBT/USD", 100)
    model = Model(BTC, 100)
    model.apply(BIDS, ASKS, snapshot=True)
    (snapshot,) = wire.receive(v1_snapshot("XBT/USD", 100, BIDS, ASKS))
    assert (snapshot.symbol, snapshot.outcome) == (BTC, "unproven")
    change = [("100.00000", "5.00000000")]
    (update,) = wire.receive(v1_update("XBT/USD", 100, change, [], model.apply(change, [])))
    assert (update.symbol, update.outcome) == (BTC, "verified")
    wire.receive(status | {"status": "unsubscribed"})
    assert BTC not in wire.session().books


def test_v1_snapshot_without_an_ack_tells_name_and_depth(wire: Wire) -> None:
    (update,) = wire.receive(v1_snapshot("XDG/USD", 25, BIDS, ASKS))
    assert (update.symbol, wire.state("DOGE/USD").depth, wire.state("DOGE/USD").wire_name) == (
        "DOGE/USD",
        25,
        "XDG/USD",
    )


def test_updates_of_a_book_whose_snapshot_was_not_seen_are_counted(wire: Wire) -> None:
    feed = Feed()
    feed.snapshot()
    assert wire.receive(feed.update(), feed.update(), v1_update("XBT/USD", 10, BIDS, [], 5)) == []
    assert unknown(wire) == 3
    assert len(wire.session().books) == 0


def test_unsubscribe_ends_the_book_and_a_new_ack_begins_it(wire: Wire) -> None:
    feed = Feed()
    wire.receive(ack(request(depth=10), BTC), feed.snapshot(), ack(request("unsubscribe", depth=10), BTC))
    assert wire.told(Unsubscribed)[0].symbol == BTC
    assert BTC not in wire.session().books
    assert wire.receive(feed.update()) == []
    wire.receive(ack(request(depth=25), BTC))
    assert (wire.state().depth, wire.state().status) == (25, "empty")


def test_second_ack_of_the_same_book_keeps_it_and_another_depth_does_not(wire: Wire) -> None:
    wire.receive(ack(request(depth=10), BTC), Feed().snapshot(), ack(request(depth=10), BTC))
    assert wire.state().status == "synced"
    wire.receive(ack(request(depth=100), BTC))
    assert (wire.state().depth, wire.state().status) == (100, "empty")


def test_book_under_another_name_of_the_same_symbol_takes_its_place(wire: Wire) -> None:
    wire.receive(Feed(BTC).snapshot())
    assert len(wire.receive(v1_snapshot("XBT/USD", 10, BIDS, ASKS))) == 1
    assert len(wire.receive(Feed("btc/usd").snapshot())) == 1
    assert list(wire.session().books) == [BTC]
    assert wire.state().wire_name == "btc/usd"


def test_symbol_that_is_no_pair_is_kept_as_it_is(wire: Wire) -> None:
    (update,) = wire.receive(Feed("INDEX").snapshot())
    assert update.symbol == "INDEX"


@pytest.mark.parametrize(
    "frame", [v2_frame("snapshot", v2_element("A B", [], [], 0)), v1_snapshot("X/Y", 99999, [], [])]
)
def test_book_that_cannot_be_kept_is_counted_and_harmless(wire: Wire, frame: bytes) -> None:
    assert wire.receive(frame) == []
    assert unknown(wire) == 1


@pytest.mark.parametrize("depth", [0, -5, 1001, 10**12])
def test_ack_of_an_impossible_depth_is_told_and_harmless(wire: Wire, depth: int) -> None:
    wire.receive(ack(request(depth=depth), BTC))
    assert len(wire.told(Subscribed)) == 1


def test_snapshot_with_what_no_decoder_takes_elsewhere_is_harmless(wire: Wire) -> None:
    frame = Feed().snapshot()[:-1] + b',"more":' + b"9" * 400 + b"e" + b"9" * 400 + b"}"
    wire.receive(frame)
    assert all(not isinstance(event, Undecodable) for event in wire.log)


def test_refusals_are_told_with_what_is_known(wire: Wire) -> None:
    wire.receive(refusal(request(), "Currency pair not supported XLM/GBP", "XLM/GBP"))
    (event,) = wire.told(SubscribeRejected)
    assert (event.symbol, event.error, event.req_id) == ("XLM/GBP", "Currency pair not supported XLM/GBP", 1)


def test_wrong_book_is_invalidated_and_nothing_is_sent(wire: Wire) -> None:
    feed = Feed()
    wire.receive(feed.snapshot(), feed.update(checksum_off=1), feed.update(), feed.snapshot())
    names = [type(event).__name__ for event in wire.log]
    assert names == ["BookUpdate", "BookInvalidated", "BookUpdate", "BookResynced"]
    assert wire.session().books.ignored == 1
    wire.advance(1000)
    assert wire.actions == []


def test_recorded_trade_snapshot_is_given_and_overlaps_are_not_repeated(wire: Wire) -> None:
    wire.receive(trades(1, 2, 3, kind="snapshot"), trades(4), trades(3, 4, 5, kind="snapshot"), trades(9))
    assert [event.trade_id for event in wire.told(Trade)] == [1, 2, 3, 4, 5, 9]
    assert [(gap.first, gap.last) for gap in wire.told(Gap)] == [(6, 8)]


def test_recorded_request_is_no_answer(wire: Wire) -> None:
    wire.receive(json.dumps(request(symbol=[BTC])), v2_frame("update", v2_element(BTC, [], [], 0, timestamp(1))))
    assert wire.told(Subscribed) == []
    assert len(wire.session().books) == 0
