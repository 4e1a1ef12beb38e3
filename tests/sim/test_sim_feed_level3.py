from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from helpers.simmarket import BOOKS, LEVEL3S, Pit
from krakenwire.sim.engine.model import AmendOrder
from krakenwire.sim.feed.feed import Stream
from krakenwire.sim.feed.level3 import level3_checksum

TEN = Stream("level3", "BTC/USD", 10)


def told(pit: Pit, stream: Stream = TEN) -> list[dict[str, Any]]:
    """The events of the last message of a stream, bids first."""
    frame = [frame for each, frame in pit.frames if each == stream][-1]
    data = json.loads(frame, parse_float=str)["data"][0]
    return [*data["bids"], *data["asks"]]


@pytest.mark.parametrize("symbol", ["BTC/USD", "SHIB/USD", "PEPE/USD", "MINA/GBP"])
def test_naive_clients_hold_the_queues_of_the_exchange_at_three_depths_at_once(symbol: str) -> None:
    pit = Pit(symbol, seed=8)
    pit.join(*BOOKS, *LEVEL3S)
    for _ in range(5):
        pit.step(200)
        pit.check()


def test_frames_have_the_text_of_the_documented_ones() -> None:
    pit = Pit("BTC/USD")
    pit.join(("level3", 10))
    number = r"[0-9]+\.[0-9]{8}"
    order = (
        r'"order_id":"O[A-Z2-7]{5}-[A-Z2-7]{5}-[A-Z2-7]{6}","limit_price":[0-9]+\.[0-9],'
        rf'"order_qty":{number},"timestamp":"[-0-9]{{10}}T[0-9:]{{8}}\.[0-9]{{9}}Z"'
    )
    orders = rf"(\{{{order}\}},)*\{{{order}\}}"
    snapshot = (
        r'\{"channel":"level3","type":"snapshot","data":\[\{"symbol":"BTC/USD","checksum":[0-9]+,'
        rf'"bids":\[{orders}\],"asks":\[{orders}\],"timestamp":"[-0-9]{{10}}T[0-9:]{{8}}\.[0-9]{{9}}Z"\}}\]\}}'
    )
    assert re.fullmatch(snapshot, pit.feed.snapshot(TEN).decode())
    pit.step(300)
    event = rf'\{{"event":"(add|modify|delete)",{order}\}}'
    events = rf"(({event},)*{event})?"
    update = (
        r'\{"channel":"level3","type":"update","data":\[\{"symbol":"BTC/USD","checksum":[0-9]+,'
        rf'"timestamp":"[-0-9]{{10}}T[0-9:]{{8}}\.[0-9]{{9}}Z","bids":\[{events}\],"asks":\[{events}\]\}}\]\}}'
    )
    for _, frame in pit.frames:
        assert re.fullmatch(update, frame.decode())


def test_order_is_added_at_the_back_of_its_queue_and_a_cancelled_one_deleted() -> None:
    pit = Pit("BTC/USD")
    pit.join(*LEVEL3S)
    best = pit.price(-pit.book.bids.keys[0])
    mine = pit.add("buy", Decimal(1), best)
    (event,) = told(pit)
    assert (event["event"], event["order_id"], event["limit_price"]) == ("add", mine.order_id, str(best))
    pit.check()
    pit.market.engine.cancel("alice", order_id=mine.order_id)
    pit.publish()
    (event,) = told(pit)
    assert (event["event"], event["order_id"], event["order_qty"]) == ("delete", mine.order_id, "1.00000000")
    pit.check()


def test_partial_fill_modifies_and_the_order_keeps_its_place() -> None:
    pit = Pit("BTC/USD")
    pit.join(*LEVEL3S)
    price = pit.price(pit.book.asks.keys[0] - 1)
    first, second = pit.add("sell", Decimal(2), price), pit.add("sell", Decimal(3), price)
    pit.add("buy", Decimal("0.5"), price)
    (event,) = told(pit)
    assert (event["event"], event["order_id"], event["order_qty"]) == ("modify", first.order_id, "1.50000000")
    pit.add("buy", Decimal("2"), price)
    assert [(event["event"], event["order_id"], event["order_qty"]) for event in told(pit)] == [
        ("delete", first.order_id, "1.50000000"), ("modify", second.order_id, "2.50000000")
    ]  # fmt: skip
    pit.check()


def test_order_amended_to_another_price_is_deleted_here_and_added_there() -> None:
    pit = Pit("BTC/USD")
    pit.join(*LEVEL3S)
    best = -pit.book.bids.keys[0]
    mine = pit.add("buy", Decimal(1), pit.price(best - 1))
    pit.step(0)
    pit.market.engine.amend("alice", AmendOrder(order_id=mine.order_id, limit_price=pit.price(best)))
    pit.publish()
    events = [event for event in told(pit) if event["order_id"] == mine.order_id]
    assert [(event["event"], event["limit_price"]) for event in events] == [
        ("delete", str(pit.price(best - 1))), ("add", str(pit.price(best)))
    ]  # fmt: skip
    pit.check()


def test_level_that_comes_into_the_window_comes_with_all_its_orders_in_their_order() -> None:
    pit = Pit("BTC/USD")
    side = pit.book.asks
    eleventh = pit.price(side.keys[10])
    behind = [pit.add("sell", Decimal(number), eleventh).order_id for number in (3, 1, 2)]
    pit.join(("level3", 10))
    pit.step(0)
    sent_ns = pit.market.now_ns
    pit.market.engine.advance(sent_ns + 10**9)
    pit.frames.clear()
    pit.add("buy", pit.qty(side.totals[side.keys[0]]), pit.price(side.keys[0]), "ioc")
    events = told(pit)
    assert events[0]["event"] == "delete"
    added = [event for event in events if event["event"] == "add"]
    assert {event["limit_price"] for event in added} == {str(eleventh)}
    assert [event["order_id"] for event in added][-3:] == behind
    assert all(event["timestamp"] < "2026-01-01T00:00:00.5" for event in added), "they are as old as they are"
    pit.check()


def test_orders_below_the_window_are_not_told() -> None:
    pit = Pit("BTC/USD")
    pit.join(*LEVEL3S)
    pit.add("buy", Decimal(1), pit.price(-pit.book.bids.keys[50]))
    assert {stream.variant for stream, _ in pit.frames} == {100, 1000}


def test_orders_are_noted_only_while_somebody_watches_them() -> None:
    pit = Pit("BTC/USD")
    assert not pit.market.step().orders
    pit.feed.watch(TEN)
    deep = Stream("level3", "BTC/USD", 1000)
    pit.feed.watch(deep)
    pit.feed.unwatch(TEN)
    assert pit.book.records_orders
    pit.feed.unwatch(deep)
    assert not pit.book.records_orders


def test_checksum_of_a_book_of_single_orders_is_that_of_its_levels() -> None:
    pit = Pit("BTC/USD")
    pit.market.thin("BTC/USD", 0)
    pit.publish()
    for number in range(12):
        pit.add("buy", Decimal(1 + number), pit.price(600_000 - number))
        pit.add("sell", Decimal(1 + number), pit.price(600_001 + number))
    assert level3_checksum(pit.book) == pit.book.checksum()
    pit.add("sell", Decimal(1), pit.price(600_001))
    assert level3_checksum(pit.book) != pit.book.checksum()
