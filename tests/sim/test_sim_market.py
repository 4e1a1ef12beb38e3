from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.simclients import NaiveBook
from helpers.simmarket import Pit
from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.engine.model import AddOrder
from krakenwire.sim.feed.feed import DEPTHS
from krakenwire.sim.instruments import default_assets, default_listings, select
from krakenwire.sim.market.market import SIMULATED_START_NS, Market

SOME = select(["BTC/USD", "SHIB/USD", "PEPE/USD", "MINA/GBP"])


def test_default_listing_has_twenty_pairs_of_many_precisions_and_quotes() -> None:
    instruments = [listing.instrument for listing in default_listings()]
    assert len({each.symbol for each in instruments}) == 20
    assert {each.quote for each in instruments} >= {"USD", "EUR", "GBP", "BTC", "USDT", "USDC"}
    assert {"BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "ADA/EUR", "DOGE/USD"} <= {each.symbol for each in instruments}
    assert {(each.price_precision, each.qty_precision) for each in instruments} >= {
        (1, 8),
        (2, 8),
        (8, 5),
        (9, 5),
        (4, 8),
    }
    precisions = {asset.id: asset.precision for asset in default_assets()}
    for each in instruments:
        assert each.quote in precisions
        assert precisions[each.base] >= each.qty_precision, "the ledger must hold what can be traded"
        assert each.price_increment == Decimal(1).scaleb(-each.price_precision)


def test_select_keeps_listing_order_and_names_the_nearest_to_a_wrong_symbol() -> None:
    assert [listing.symbol for listing in select(["MINA/GBP", "BTC/USD"])] == ["BTC/USD", "MINA/GBP"]
    with pytest.raises(UnknownSymbol) as caught:
        select(["BTC/USX"])
    assert "BTC/USD" in caught.value.nearest


@settings(max_examples=25)  # a market takes milliseconds to make
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 400))
def test_books_are_sorted_never_crossed_never_empty(seed: int, steps: int) -> None:
    market = Market(SOME, seed=seed)
    for _ in range(steps):
        book = market.book(market.step().symbol)
        assert book.spread >= 1
        for side in (book.bids, book.asks):
            assert side.keys
            assert side.sign * side.keys[-1] >= 1
    for symbol in market.symbols:
        bids, asks = market.truth(symbol, 1000)
        prices = [Decimal(price) for price, _ in [*reversed(bids), *asks]]
        assert all(low < high for low, high in pairwise(prices))
        assert all(Decimal(qty) > 0 for _, qty in bids + asks)


@settings(max_examples=25)  # a market takes milliseconds to make
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 200))
def test_same_seed_gives_the_same_moves(seed: int, steps: int) -> None:
    one, other = Market(SOME, seed=seed), Market(SOME, seed=seed)
    assert [one.step() for _ in range(steps)] == [other.step() for _ in range(steps)]
    assert all(one.truth(symbol, 1000) == other.truth(symbol, 1000) for symbol in one.symbols)


def test_other_seed_gives_another_market() -> None:
    assert Market(SOME, seed=1).truth("BTC/USD", 10) != Market(SOME, seed=2).truth("BTC/USD", 10)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_thin_pair_stays_below_ten_levels_and_above_four(seed: int) -> None:
    market = Market(select(["MINA/GBP"]), seed=seed)
    book = market.book("MINA/GBP")
    for _ in range(500):
        market.step()
        assert 5 <= len(book.bids) < 10
        assert 5 <= len(book.asks) < 10


def test_cheap_coin_has_quantities_that_times_ten_to_the_eighth_pass_64_bits() -> None:
    bids, asks = Market(seed=0).truth("PEPE/USD", 100)
    assert max(Decimal(qty) * 10**8 for _, qty in bids + asks) > 2**63


def test_deep_pairs_serve_every_depth_for_long() -> None:
    market = Market(select(["ETH/USD"]), seed=3)
    for _ in range(30_000):
        market.step()
    bids, asks = market.truth("ETH/USD", 1000)
    assert len(bids) == len(asks) == 1000
    anchor = Decimal("3027.80")
    assert abs(Decimal(bids[0][0]) - anchor) / anchor < Decimal("0.1")


def test_price_moves() -> None:
    market = Market(select(["SOL/USD"]), seed=5)
    bests = set()
    for _ in range(5_000):
        market.step()
        bests.add(market.book("SOL/USD").asks.keys[0])
    assert len(bests) > 20


@pytest.mark.parametrize("seed", [0, 1])
def test_price_is_pulled_back_to_where_it_began(seed: int) -> None:
    market = Market(select(["MINA/GBP"]), seed=seed)  # the thin pair, whose price moves most
    bests: list[int] = []
    for step in range(30_000):
        market.step()
        if step > 15_000:
            bests.append(market.book("MINA/GBP").asks.keys[0])
    assert abs(sum(bests) / len(bests) - 294) < 294 * 0.05, "a free walk is a third away by then"


@pytest.mark.parametrize(("symbol", "gap"), [("BTC/USD", 6), ("SHIB/USD", 1)])
def test_book_stays_dense_at_the_touch(symbol: str, gap: int) -> None:
    market = Market(select([symbol]), seed=2)
    spreads: list[int] = []
    widths: list[int] = []
    for _ in range(20_000):
        market.step()
        book = market.book(symbol)
        spreads.append(book.spread)
        widths.append(book.asks.keys[9] - book.asks.keys[0])
    assert sorted(spreads)[10_000] <= 2 * gap
    assert sorted(spreads)[19_800] < 40 * gap
    assert sorted(widths)[10_000] < 40 * gap


def test_changes_lead_from_one_book_to_the_next() -> None:
    market = Market(select(["SHIB/USD"]), seed=11)
    book = market.book("SHIB/USD")
    bids, asks = dict(book.bids.top(5000)), dict(book.asks.top(5000))
    for _ in range(3_000):
        move = market.step()
        for sign, side, changes in ((-1, bids, move.bids), (1, asks, move.asks)):
            for key, lots in changes.items():
                if lots:
                    side[sign * key] = lots
                else:
                    side.pop(sign * key, None)
        assert bids == dict(book.bids.top(5000))
        assert asks == dict(book.asks.top(5000))


def test_trade_ids_count_up_by_one_and_trades_are_at_prices_that_were_quoted() -> None:
    market = Market(select(["BTC/USD", "MINA/GBP"]), seed=2)
    last = {symbol: list(market.recent_trades(symbol))[-1].trade_id for symbol in market.symbols}
    before = {symbol: market.truth(symbol, 1000) for symbol in market.symbols}
    traded = 0
    for _ in range(1_000):
        move = market.step()
        book = market.book(move.symbol)
        for trade in move.trades:
            last[move.symbol] += 1
            assert trade.trade_id == last[move.symbol]
            assert trade.exchange_ns == move.exchange_ns
            touched = move.asks if trade.buys else move.bids
            assert (trade.tick if trade.buys else -trade.tick) in touched
            traded += 1
        assert book.updated_ns == move.exchange_ns
    assert traded > 50
    assert before != {symbol: market.truth(symbol, 1000) for symbol in market.symbols}


def test_simulated_time_starts_where_it_says_and_only_runs_forward() -> None:
    market = Market(SOME, seed=1)
    assert market.now_ns == SIMULATED_START_NS
    times = [market.now_ns] + [market.step().exchange_ns for _ in range(1_000)]
    assert all(before < after for before, after in pairwise(times))
    assert 0.5e9 < times[-1] - times[0] < 2e9
    assert all(each % 1000 == 0 for each in times)


def test_given_time_is_taken_and_one_that_runs_backwards_is_not() -> None:
    market = Market(SOME, seed=1)
    later = SIMULATED_START_NS + 10**12
    assert market.step(later).exchange_ns == later
    assert market.step(later).exchange_ns == later + 1000
    assert market.step(5).exchange_ns == later + 2000


def test_only_the_chosen_symbols_move() -> None:
    market = Market(SOME, seed=1)
    still = market.truth("BTC/USD", 1000)
    market.move_only({"MINA/GBP", "PEPE/USD"})
    assert {market.step().symbol for _ in range(200)} == {"MINA/GBP", "PEPE/USD"}
    assert market.truth("BTC/USD", 1000) == still
    market.move_only(())
    with pytest.raises(UsageError, match="move_only"):
        market.step()


@settings(max_examples=25)  # a market takes milliseconds to make
@given(seed=st.integers(0, 2**32), depth=st.sampled_from(DEPTHS))
def test_checksum_is_that_of_the_truth_at_any_depth(seed: int, depth: int) -> None:
    market = Market(select(["PEPE/USD", "MINA/GBP"]), seed=seed)
    for _ in range(50):
        market.step()
    for symbol in market.symbols:
        naive = NaiveBook(depth)
        for name, levels in zip(("bids", "asks"), market.truth(symbol, depth), strict=True):
            naive.sides[name] = {Decimal(price): (price, qty) for price, qty in levels}
        assert naive.checksum() == market.checksum(symbol)


def test_market_of_nothing_and_a_symbol_that_is_not_traded_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        Market([])
    with pytest.raises(UnknownSymbol):
        Market(select(["MINA/GBP"])).truth("BTC/USD", 10)


# --- accounts in it --------------------------------------------------------------------------------------------------


def test_trades_of_accounts_count_in_the_statistics() -> None:
    pit = Pit("BTC/USD")
    while not pit.market.step().trades:
        pass  # the first trade of a minute makes the ticker forget the oldest one
    volume, last = pit.market.stats("BTC/USD").day.lots, pit.market.recent_trades("BTC/USD")[-1]
    lots = sum(pit.book.asks.totals[key] for key in pit.book.asks.keys[:3])
    pit.add("buy", pit.qty(lots))
    trades = [each for each in pit.market.recent_trades("BTC/USD") if each.trade_id > last.trade_id]
    assert sum(each.lots for each in trades) == lots
    assert pit.market.stats("BTC/USD").day.lots == volume + lots
    assert pit.market.stats("BTC/USD").last == trades[-1].tick
    spread = pit.market.recent_spreads("BTC/USD")[-1]
    assert (spread.bid, spread.ask) == (-pit.book.bids.keys[0], pit.book.asks.keys[0])


def test_order_that_expires_is_told_before_the_step_that_let_it() -> None:
    pit = Pit("BTC/USD")
    due_ns = pit.market.now_ns + 5 * 10**9
    order = AddOrder(
        symbol="BTC/USD",
        side="buy",
        order_type="limit",
        order_qty=Decimal(1),
        limit_price=pit.price(-pit.book.bids.keys[0]),
        time_in_force="gtd",
        expire_ns=due_ns,
    )
    pit.market.engine.add("alice", order)
    assert [report.exec_type for report in pit.market.drain().reports] == ["pending_new", "new"]
    move = pit.market.step(due_ns + 10**9)
    effects = pit.market.drain()
    assert [report.exec_type for report in effects.reports] == ["expired"]
    assert [each.exchange_ns for each in (*effects.moves, move)] == [due_ns, due_ns + 10**9]


def test_what_waits_is_drained_in_its_order() -> None:
    pit = Pit("BTC/USD")
    engine = pit.market.engine
    order = AddOrder(
        symbol="BTC/USD", side="buy", order_type="limit", order_qty=Decimal(1), limit_price=Decimal(60_000)
    )
    engine.add("alice", order)
    pit.market.thin("BTC/USD", 3)
    engine.cancel_all("alice")
    effects = pit.market.drain()
    placed, thinned, cancelled = effects.moves
    assert placed.bids.keys() == cancelled.bids.keys() == {-600_000}
    assert len(thinned.asks) > 1000
    assert [report.exec_type for report in effects.reports] == ["pending_new", "new", "canceled"]
    assert pit.market.drain() == ([], [], [])


# --- instruments that change -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "qty"), [(3, 8), (0, 8), (1, 4), (2, 9)])
def test_statistics_book_and_agents_go_on_in_the_new_precision(price: int, qty: int) -> None:
    market = Market(select(["BTC/USD"]), seed=4)
    for _ in range(200):
        market.step()
    before = market.stats("BTC/USD").candles(1440).current
    old = before.close, before.lots
    trades = [(each.trade_id, each.tick) for each in market.recent_trades("BTC/USD")]
    market.change_instrument("BTC/USD", price_precision=price, qty_precision=qty)
    instrument = market.instrument("BTC/USD")
    assert (instrument.price_precision, instrument.qty_precision) == (price, qty)
    assert market.instruments == (instrument,)
    now = market.stats("BTC/USD").candles(1440).current
    up_price, up_qty = Fraction(10) ** (price - 1), Fraction(10) ** (qty - 8)
    assert now.close == old[0] * up_price // 1
    assert abs(now.lots - old[1] * up_qty) < 2
    assert [(each.trade_id, each.tick) for each in market.recent_trades("BTC/USD")] == [
        (number, tick * up_price // 1) for number, tick in trades
    ]
    for _ in range(3_000):
        market.step()
    bids, asks = market.truth("BTC/USD", 1000)
    assert 60_000 < Decimal(bids[0][0]) < Decimal(asks[0][0]) < 70_000
    assert min(len(bids), len(asks)) == 1000
    assert Decimal(asks[0][0]) - Decimal(bids[0][0]) < 100
    assert 60_000 < Decimal(market.stats("BTC/USD").last).scaleb(-price) < 70_000


def test_precision_does_not_change_while_moves_of_the_old_one_wait() -> None:
    pit = Pit("BTC/USD")
    pit.market.thin("BTC/USD", 5)
    with pytest.raises(UsageError, match="drain"):
        pit.market.change_instrument("BTC/USD", price_precision=2)
    pit.market.drain()
    pit.market.change_instrument("BTC/USD", price_precision=2)
