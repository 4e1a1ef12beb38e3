from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.simmarket import BOOKS, LEVEL3S, Pit
from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.engine.book import Side
from krakenwire.sim.engine.model import Refusal
from krakenwire.sim.instruments import Listing, select


def small(levels: int = 12) -> Listing:
    """A pair that is cheap to watch, and deep enough for a depth of ten."""
    (listing,) = select(["MINA/GBP"])
    return msgspec.structs.replace(listing, levels=levels, gap=2)


def background(side: Side) -> int:
    """Levels at which agents have an order."""
    return sum(any(order.account is None for order in queue.values()) for queue in side.queues.values())


def sound(pit: Pit) -> None:
    """What holds of every book after every move."""
    book, ours = pit.book, set()
    if book.bids.keys and book.asks.keys:
        assert book.spread >= 1
    for side in (book.bids, book.asks):
        assert side.keys == sorted(side.queues) == sorted(side.totals)
        assert all(side.sign * key >= 1 for key in side.keys)
        assert side.held == sum(order.account is not None for queue in side.queues.values() for order in queue.values())
        for key, queue in side.queues.items():
            assert queue
            assert side.totals[key] == sum(order.lots for order in queue.values())
            assert all(order.lots > 0 and order.key == key for order in queue.values())
            ours |= {pit.market.engine.order_text(number) for number, order in queue.items() if order.account}
    assert ours == {order.order_id for order in pit.market.engine.open_orders("alice")}


def resting(pit: Pit) -> dict[str, tuple[Decimal, Decimal]]:
    """Alice's open orders: what was filled of each, and its price."""
    return {
        each.order_id: (each.cum_qty, each.limit_price or Decimal(0)) for each in pit.market.engine.open_orders("alice")
    }


@pytest.mark.parametrize("symbol", ["BTC/USD", "SHIB/USD", "MINA/GBP", "USDT/USD"])
def test_market_has_the_shape_of_a_real_one(symbol: str) -> None:
    """About eight changes in ten are in the top ten, one move in seven trades, levels hold one to a few orders."""
    pit = Pit(symbol, seed=3)
    book, steps = pit.book, 8_000
    near = changes = trades = 0
    queued: set[int] = set()
    sizes: list[int] = []
    for step in range(steps):
        tenth = {side.sign: side.keys[:10][-1] for side in (book.bids, book.asks)}
        move = pit.market.step()
        trades += bool(move.trades)
        for sign, touched in ((-1, move.bids), (1, move.asks)):
            changes += len(touched)
            near += sum(key <= tenth[sign] for key in touched)
        if step % 50 == 0:
            queues = [side.queues[key] for side in (book.bids, book.asks) for key in side.keys[:10]]
            queued |= {len(queue) for queue in queues}
            sizes += [order.lots for queue in queues for order in queue.values()]
    assert near / changes > 0.70
    assert 0.12 < trades / steps < 0.17
    assert {1, 2, 3} <= queued <= set(range(1, 6))
    sizes.sort()
    assert sizes[-1] > 10_000 * sizes[len(sizes) // 100] or symbol == "USDT/USD"
    (listing,) = select([symbol])
    for side in (book.bids, book.asks):
        assert listing.levels * 0.85 <= len(side) <= listing.levels * 1.1 + 2


ACTIONS = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 30)),
    st.tuples(
        st.just("limit"), st.sampled_from(["buy", "sell"]), st.integers(-400, 400), st.integers(1, 10**6)
    ),
    st.tuples(st.just("flood"), st.sampled_from(["buy", "sell"]), st.integers(-40, 40), st.integers(2, 30)),
    st.tuples(st.just("sweep"), st.sampled_from(["buy", "sell"])),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("thin"), st.sampled_from([None, 0, 1, 3, 9])),
)  # fmt: skip


def act(pit: Pit, action: tuple[Any, ...]) -> None:
    """Do one of `ACTIONS`; what the engine refuses is not done."""
    engine, book = pit.market.engine, pit.book
    match action:
        case "step", count:
            pit.step(count)
        case "limit", side, offset, qty:
            with_refusals(pit, side, Decimal(qty), max(1, 294 + offset))
        case "flood", side, offset, count:
            for number in range(count):
                with_refusals(pit, side, Decimal(100), max(1, 294 + offset + number))
        case "sweep", side:
            opposite = book.asks if side == "buy" else book.bids
            if opposite.keys:
                pit.add(side, pit.qty(sum(opposite.totals.values()) + 10**12), None)
        case ("cancel",):
            engine.cancel_all("alice")
            pit.publish()
        case "thin", levels:
            pit.market.thin(pit.symbol, levels)
            pit.publish()


def with_refusals(pit: Pit, side: Any, qty: Decimal, tick: int) -> None:
    with contextlib.suppress(Refusal):  # it costs too little
        pit.add(side, qty, pit.price(tick))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**16), actions=st.lists(ACTIONS, max_size=25))
def test_whatever_accounts_do_books_stay_sound_and_every_client_at_every_depth_follows(
    seed: int, actions: list[tuple[Any, ...]]
) -> None:
    pit = Pit(seed=seed, listings=[small()])
    pit.join(*BOOKS, *LEVEL3S)
    for number, action in enumerate(actions):
        act(pit, action)
        sound(pit)
        if number == 5:
            pit.join(*BOOKS, *LEVEL3S)
    pit.check()


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_side_that_an_account_eats_empty_grows_back(side: Any) -> None:
    pit = Pit("BTC/USD")
    eaten = pit.book.asks if side == "buy" else pit.book.bids
    pit.add(side, pit.qty(sum(eaten.totals.values())))
    assert len(eaten) == 0
    pit.step(200)
    sound(pit)
    assert background(eaten) > 1000
    best = pit.book.asks.keys[0]
    assert 0.9 < best / 645250 < 1.1


def test_bid_far_above_the_market_is_sold_into_and_the_market_comes_back() -> None:
    pit = Pit("LTC/USD", seed=2)
    asks = pit.book.asks
    pit.add("buy", pit.qty(sum(asks.totals.values())) + 50_000, Decimal(200))
    assert len(asks) == 0
    assert -pit.book.bids.keys[0] == 20_000
    steps = 0
    while resting(pit):
        pit.step()
        sound(pit)
        assert not any(
            order.account is None and -key > 8_746 * 1.25
            for key in pit.book.bids.keys[:5]
            for order in pit.book.bids.queues[key].values()
        )
        steps += 1
        assert steps < 20_000
    pit.step(2_000)
    assert 0.9 < pit.book.asks.keys[0] / 8746 < 1.1


def test_ask_at_the_least_price_there_is_leaves_no_room_for_bids_until_it_is_bought() -> None:
    pit = Pit(seed=4)
    pit.add("sell", pit.qty(sum(pit.book.bids.totals.values())) + 1_000_000, Decimal("0.0001"))
    assert len(pit.book.bids) == 0
    for _ in range(3_000):
        pit.step()
        sound(pit)
    assert not resting(pit)
    assert len(pit.book.bids) > 4


def test_agents_leave_orders_of_accounts_alone_but_for_trading_with_them() -> None:
    pit = Pit("ETH/BTC", seed=5)
    book = pit.book
    touch = -book.bids.keys[0], book.asks.keys[0]
    for offset in range(1, 40):
        pit.add("buy", Decimal(1), pit.price(touch[0] - offset))
        pit.add("sell", Decimal(1), pit.price(touch[1] + offset))
    waiting, traded = resting(pit), Decimal(0)
    for _ in range(4_000):
        move = pit.market.step()
        for report in pit.market.drain().reports:
            assert report.exec_type in {"trade", "filled"}
            if report.execution is not None:
                assert report.execution.trade_id in {trade.trade_id for trade in move.trades}
                traded += report.execution.qty
    now = resting(pit)
    assert now.keys() <= waiting.keys()
    left = sum((Decimal(1) - filled for filled, _ in now.values()), Decimal(0))
    assert traded + left == len(waiting)
    assert 0 < traded < len(waiting)


def test_flood_of_an_account_does_not_drive_the_agents_out() -> None:
    pit = Pit(seed=6)
    for tick in range(1, 250):
        with_refusals(pit, "buy", Decimal(2_000), tick)
    for _ in range(3):
        pit.step(2_000)
        sound(pit)
        assert background(pit.book.bids) > 4
        assert 4 < background(pit.book.asks) < 10
        assert max(len(queue) for queue in pit.book.bids.queues.values()) <= 5


@pytest.mark.parametrize("levels", [0, 1, 2, 5, 9])
def test_thinned_book_has_no_more_levels_than_asked_for_until_it_may_again(levels: int) -> None:
    pit = Pit("BTC/USD", seed=7)
    pit.join(*BOOKS, *LEVEL3S)
    pit.market.thin("BTC/USD", levels)
    assert pit.market.has_effects
    pit.publish()
    for _ in range(400):
        assert max(len(pit.book.bids), len(pit.book.asks)) <= levels
        assert min(len(pit.book.bids), len(pit.book.asks)) >= min(levels, 1) or levels == 1
        pit.step()
        sound(pit)
    pit.check()
    pit.market.thin("BTC/USD", None)
    pit.publish()
    pit.step()
    pit.check()
    assert min(len(pit.book.bids), len(pit.book.asks)) > 1000


def test_thinning_is_of_a_symbol_that_is_traded_and_not_below_nothing() -> None:
    pit = Pit()
    with pytest.raises(UsageError, match="0 or more"):
        pit.market.thin("MINA/GBP", -1)
    with pytest.raises(UnknownSymbol):
        pit.market.thin("BTC/USD", 3)


def test_agents_keep_to_the_status_of_the_engine_and_of_their_instrument() -> None:
    pit = Pit("BTC/USD", seed=8)
    market = pit.market

    def happens() -> set[str]:
        pit.book.records_orders = True
        moves = [market.step() for _ in range(400)]
        events = {change.event for move in moves for change in move.orders}
        return events | {"market" if trade.market else "limit" for move in moves for trade in move.trades}

    assert happens() == {"add", "modify", "delete", "limit", "market"}
    market.set_status("post_only")
    assert happens() == {"add", "modify", "delete"}
    market.set_status("cancel_only")
    assert happens() == {"delete"}
    market.set_status("maintenance")
    assert not market.can_move
    with pytest.raises(UsageError, match="online"):
        market.step()
    market.set_status("online")
    market.change_instrument("BTC/USD", status="post_only")
    assert happens() == {"add", "modify", "delete"}
    market.set_status("cancel_only")
    assert happens() == {"delete"}
    market.set_status("online")
    market.change_instrument("BTC/USD", status="delisted")
    assert not market.can_move
    market.change_instrument("BTC/USD", status="limit_only")
    assert happens() == {"add", "modify", "delete", "limit"}
    market.change_instrument("BTC/USD", status="online")
    assert "market" in happens()


def test_price_without_room_for_the_levels_is_refused() -> None:
    (thin,) = select(["MINA/GBP"])
    with pytest.raises(UsageError, match="294"):
        Pit(listings=[msgspec.structs.replace(thin, levels=400)])
