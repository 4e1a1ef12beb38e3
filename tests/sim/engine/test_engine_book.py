"""The order book by itself, against a list of orders."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from krakenwire.sim.engine.book import OrderBook, Resting

START_NS = 10**18

# (what, side, tick, lots): 0 adds, 1 takes, 2 removes and 3 reduces one of those that rest.
commands = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 14), st.integers(1, 12)), max_size=60)


def checksum(orders: list[Resting]) -> int:
    """Kraken's checksum as PROTOCOL 6.1 says it, from nothing but orders."""
    text = ""
    for is_buy in (False, True):
        lots: dict[int, int] = {}
        for order in orders:
            if order.is_buy is is_buy:
                lots[order.tick] = lots.get(order.tick, 0) + order.lots
        for tick in sorted(lots, reverse=is_buy)[:10]:
            text += f"{tick}{lots[tick]}"
    return zlib.crc32(text.encode())


@given(commands)
def test_book_is_what_a_list_of_orders_says(steps: list[tuple[int, bool, int, int]]) -> None:
    book = OrderBook("COIN/USD", 1000, START_NS)
    orders: list[Resting] = []
    levels: dict[bool, dict[int, int]] = {True: {}, False: {}}
    for number, (what, is_buy, tick, lots) in enumerate(steps):
        account = "alice" if number % 3 == 0 else None
        move = book.begin(START_NS + number)
        key = -tick if is_buy else tick
        if what == 0 and not book.crosses(is_buy, key):
            orders.append(Resting(number, account, is_buy, key, lots, START_NS))
            book.place(orders[-1])
        elif what == 1:
            sized = {order.number: order.lots for order in orders}
            fills = book.take(is_buy, -key, lots, market=False)
            queue = sorted((o for o in orders if o.is_buy is not is_buy and o.key <= -key), key=lambda o: o.key)
            expected, left = [], lots
            for maker in queue:
                part = min(left, sized[maker.number])
                if part:
                    expected.append((maker.number, part))
                left -= part
            assert [(fill.maker.number, fill.lots) for fill in fills] == expected
            assert [fill.print for fill in fills] == move.trades
            orders = [order for order in orders if order.lots]
        elif what == 2 and orders:
            book.remove(orders.pop(lots % len(orders)))
        elif what == 3 and orders:
            order = orders[lots % len(orders)]
            if order.lots > 1:
                book.reduce(order, order.lots - 1)
        for side, changes in ((True, move.bids), (False, move.asks)):
            for change, total in changes.items():
                levels[side][change] = total
                if not total:
                    del levels[side][change]
        check(book, orders, levels)


def check(book: OrderBook, orders: list[Resting], levels: dict[bool, dict[int, int]]) -> None:
    """Everything that the book keeps is what the orders and the moves so far say."""
    for side, is_buy in ((book.bids, True), (book.asks, False)):
        mine = [order for order in orders if order.is_buy is is_buy]
        assert side.keys == sorted({order.key for order in mine})
        assert side.totals == levels[is_buy]
        assert {key: sum(order.lots for order in queue.values()) for key, queue in side.queues.items()} == side.totals
        assert len(side) == len(side.keys)
        assert side.held == sum(order.account is not None for order in mine)
        for key, queue in side.queues.items():
            assert list(queue.values()) == [order for order in mine if order.key == key]
            assert all(number == order.number for number, order in queue.items())
    if book.bids.keys and book.asks.keys:
        assert book.spread > 0
    assert book.checksum() == checksum(orders)


def test_trade_ids_go_up_by_one() -> None:
    book = OrderBook("COIN/USD", 1000, START_NS)
    for number in range(3):
        book.place(Resting(number, None, False, 5, 1, START_NS))
    move = book.begin(START_NS)
    book.take(is_buy=True, limit_key=None, lots=3, market=True)
    assert [trade.trade_id for trade in move.trades] == [1000, 1001, 1002]
    assert book.next_trade_id == 1003


def test_orders_are_recorded_only_on_demand() -> None:
    book = OrderBook("COIN/USD", 1000, START_NS)
    book.place(Resting(1, None, False, 5, 4, START_NS))
    assert book.move.orders == []
    book.records_orders = True
    book.place(Resting(2, None, False, 5, 4, START_NS))
    book.take(is_buy=True, limit_key=5, lots=5, market=True)
    assert [(each.event, each.number, each.lots) for each in book.move.orders] == [
        ("add", 2, 4),
        ("delete", 1, 4),
        ("modify", 2, 3),
    ]


@given(st.booleans(), st.lists(st.tuples(st.integers(1, 16), st.integers(1, 9)), min_size=20, max_size=40))
def test_checksum_follows_every_change_around_the_tenth_level(is_buy: bool, steps: list[tuple[int, int]]) -> None:
    book = OrderBook("COIN/USD", 1000, START_NS)
    # Deep enough from the start; each step adds to a level or makes it, or takes its first order away.
    orders = [Resting(tick, None, is_buy, -tick if is_buy else tick, 5, START_NS) for tick in range(1, 13)]
    for order in orders:
        book.place(order)
    for number, (tick, lots) in enumerate(steps, start=100):
        assert book.checksum() == checksum(orders)
        at_tick = [order for order in orders if order.tick == tick]
        if at_tick and lots < 4:
            book.remove(at_tick[0])
            orders.remove(at_tick[0])
        else:
            orders.append(Resting(number, None, is_buy, -tick if is_buy else tick, lots, START_NS))
            book.place(orders[-1])
    assert book.checksum() == checksum(orders)
