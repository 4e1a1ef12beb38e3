from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.simmarket import BOOKS, LEVEL3S, Pit
from krakenwire.sim.engine.book import Resting
from krakenwire.sim.feed.feed import Stream
from krakenwire.sim.instruments import select


def exact(frame: bytes) -> Any:
    return json.loads(frame, parse_float=Decimal)


@pytest.mark.parametrize("symbol", ["BTC/USD", "ETH/BTC", "SHIB/USD", "PEPE/USD", "MINA/GBP"])
def test_naive_clients_verify_every_message_at_five_depths_at_once_and_end_equal_to_the_truth(symbol: str) -> None:
    pit = Pit(symbol, seed=7)
    pit.join(*BOOKS)
    for _ in range(5):
        pit.step(400)
        pit.check()


def test_client_that_joins_late_holds_the_same_book() -> None:
    pit = Pit("BTC/USD")
    pit.join(("book", 10))
    pit.step(500)
    early = pit.clients[Stream("book", "BTC/USD", 10)]
    pit.join(("book", 10))
    late = pit.clients[Stream("book", "BTC/USD", 10)]
    assert late.sides == early.sides
    pit.step(500)
    pit.check()


def test_level_pushed_out_is_not_deleted_and_one_that_comes_back_is_sent_again() -> None:
    pit = Pit("BTC/USD")
    pit.join(("book", 10))
    market = pit.market
    pushed_out = came_back = 0
    for _ in range(2_000):
        before = market.truth("BTC/USD", 10)
        pit.frames.clear()
        move = market.step()
        pit.frames += pit.feed.updates(move)
        after = market.truth("BTC/USD", 10)
        if not pit.frames:
            assert before == after
            continue
        data = json.loads(pit.frames[0][1], parse_float=str)["data"][0]
        for name, old, new, changes in zip(("bids", "asks"), before, after, (move.bids, move.asks), strict=True):
            sent = {level["price"]: level["qty"] for level in data[name]}
            for price, qty in new:
                if (price, qty) not in old:
                    assert sent[price] == qty
                    came_back += 1
            held = {price for price, _ in old + new}
            if len(changes) == 1:
                assert sent.keys() <= held
            gone = {price for price, _ in old} - {price for price, _ in new}
            if gone and len(changes) == 1 and all(changes.values()):
                assert not gone & sent.keys()
                pushed_out += 1
    assert pushed_out > 50
    assert came_back > 50


CHANGES = st.lists(st.tuples(st.integers(0, 24), st.integers(1, 9)), min_size=1, max_size=12)


@given(messages=st.lists(CHANGES, max_size=15))
def test_any_changes_in_one_message_lead_to_the_same_levels(messages: list[list[tuple[int, int]]]) -> None:
    """Levels go out of range, change or vanish there, and come back, all within one message."""
    pit = Pit("MINA/GBP")
    pit.join(*BOOKS, *LEVEL3S)
    book = pit.book
    best = book.asks.keys[0]
    for message in messages:
        move = book.begin(pit.market.now_ns)
        for offset, lots in message:
            key = best + offset
            queue = book.asks.queues.get(key)
            if queue is None or lots < 4:
                book.place(Resting(pit.market.engine.next_number(), None, False, key, lots, 0))
            elif lots > 6:
                for order in list(queue.values()):
                    book.remove(order)
            else:
                book.take(True, key, book.asks.totals[book.asks.keys[0]] + lots, market=True)
        pit.tell(pit.feed.updates(move))
        pit.check()


def test_moves_told_together_are_one_message_that_is_true_at_its_end() -> None:
    pit = Pit("BTC/USD")
    pit.join(*BOOKS, *LEVEL3S)
    for _ in range(100):
        moves = [pit.market.step() for _ in range(5)]
        pit.frames.clear()
        pit.tell(pit.feed.updates_of(moves))
        assert len({stream for stream, _ in pit.frames}) == len(pit.frames)
        pit.check()


def test_change_below_the_depth_sends_nothing_there() -> None:
    pit = Pit("BTC/USD")
    pit.join(("book", 10), ("book", 1000))
    pit.step(1_000)
    sent: dict[object, int] = defaultdict(int)
    for stream, _ in pit.frames:
        sent[stream.variant] += 1
    assert 0 < sent[10] < sent[1000] <= 1_000


def test_book_frames_have_the_text_of_real_ones() -> None:
    pit = Pit("BTC/USD")
    stream = Stream("book", "BTC/USD", 10)
    pit.join(("book", 10))
    snapshot = pit.feed.snapshot(stream).decode()
    assert snapshot.startswith('{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":')
    pit.step(99)
    update = pit.frames[0][1].decode()
    data = exact(update.encode())["data"][0]
    assert list(data) == ["symbol", "bids", "asks", "checksum", "timestamp"]
    texts = {
        name: ",".join(f'{{"price":{level["price"]:.1f},"qty":{level["qty"]:.8f}}}' for level in data[name])
        for name in ("bids", "asks")
    }
    assert update == (
        f'{{"channel":"book","type":"update","data":[{{"symbol":"BTC/USD","bids":[{texts["bids"]}],'
        f'"asks":[{texts["asks"]}],"checksum":{data["checksum"]},"timestamp":"{data["timestamp"]}"}}]}}'
    )
    assert len(data["timestamp"]) == len("2026-07-19T17:54:39.768901Z")


@pytest.mark.parametrize(("price", "qty", "text"), [(0, 8, "64"), (1, 0, "64"), (0, 0, "64")])
def test_numbers_without_decimals_have_no_point(price: int, qty: int, text: str) -> None:
    pit = Pit("BTC/USD", listings=select(["BTC/USD"]))
    pit.join(("book", 10))
    pit.market.change_instrument("BTC/USD", price_precision=price, qty_precision=qty)
    pit.publish()
    pit.step(300)
    pit.check()
    data = json.loads(pit.frames[0][1], parse_float=str, parse_int=str)["data"][0]
    for name in ("bids", "asks"):
        for level in data[name]:
            assert level["price"].startswith(text)
            assert ("." in level["price"], "." in level["qty"]) == (price > 0, qty > 0)
