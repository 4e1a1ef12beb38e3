"""The simulator's memory of trades: bounded, paged through by a cursor, every trade once."""

from __future__ import annotations

import json
import sys
from random import Random

from krakenwire.clock import ManualClock
from krakenwire.sim.engine.book import Print
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.instruments import default_listings
from krakenwire.sim.market import tape as tapes
from krakenwire.sim.market.market import SIMULATED_START_NS, Market
from krakenwire.sim.market.tape import PAST_TRADES, TRADES_KEPT, Tape
from krakenwire.sim.rest.api import RestApi

LISTING = default_listings()[0]
FIRST = 5_000_000


def new_tape() -> Tape:
    return Tape(LISTING, FIRST, SIMULATED_START_NS, Random(1))


def fill(tape: Tape, count: int, *, step_ns: int = 1_000_000) -> None:
    """`count` further trades."""
    last = tape.last_trades(1)[0]
    for number in range(1, count + 1):
        tape._add(Print(last.trade_id + number, True, last.tick, last.lots, False, last.exchange_ns + number * step_ns))


def test_past_is_small_and_ends_where_the_first_trade_begins() -> None:
    trades = new_tape().last_trades(10**9)
    assert len(trades) == PAST_TRADES
    assert [trade.trade_id for trade in trades] == list(range(FIRST - PAST_TRADES, FIRST))


def test_retention_is_bounded_and_keeps_the_newest() -> None:
    tape = new_tape()
    fill(tape, TRADES_KEPT + 5000)
    kept = tape.last_trades(10**9)
    assert TRADES_KEPT <= len(kept) <= TRADES_KEPT + tapes._SLACK
    assert kept[-1].trade_id == FIRST - 1 + TRADES_KEPT + 5000
    assert [trade.trade_id for trade in kept] == list(range(kept[0].trade_id, kept[-1].trade_id + 1))
    assert [trade for _, trade in tape.trades_after(0, 10**9)] == kept


def test_memory_of_a_full_symbol_stays_small() -> None:
    tape = new_tape()
    fill(tape, TRADES_KEPT)
    kept = tape.last_trades(10**9)
    size = sum(sys.getsizeof(trade) + sum(map(sys.getsizeof, trade)) for trade in kept)
    assert size < 8_000_000, "some 5 MB a symbol; 20 symbols are a hundred"


def test_trades_of_one_moment_have_cursors_of_their_own_and_are_paged_without_a_loss() -> None:
    tape = new_tape()
    before = tape.last_trades(1)[0].exchange_ns
    fill(tape, 500, step_ns=0)
    cursor, seen = before - 1, []
    while page := tape.trades_after(cursor, 7):
        seen += [trade.trade_id for _, trade in page]
        assert page[-1][0] > cursor
        cursor = page[-1][0]
    assert seen == list(range(FIRST - 1, FIRST + 500))


def test_rescaling_keeps_ids_and_times() -> None:
    tape = new_tape()
    before = [(trade.trade_id, trade.exchange_ns) for trade in tape.last_trades(100)]
    tape.rescale(1, -2)
    assert [(trade.trade_id, trade.exchange_ns) for trade in tape.last_trades(100)] == before


async def test_rest_pages_through_all_that_is_kept() -> None:
    exchange = Exchange(symbols=["BTC/USD"], seed=1, clock=ManualClock())
    market: Market = exchange.market
    market.move_only(["BTC/USD"])
    while len(market.recent_trades("BTC/USD")) < 3 * PAST_TRADES:
        market.step()
    api = RestApi(exchange)
    since, seen, pages = 0, [], 0
    while True:
        _, body = api.handle("GET", "/0/public/Trades", f"pair=XBTUSD&since={since}")
        result = json.loads(body)["result"]
        rows = result["XXBTZUSD"]
        if not rows:
            assert int(result["last"]) == since
            break
        assert len(rows) <= 1000
        pages += 1
        seen += [row[6] for row in rows]
        since = int(result["last"])
    assert seen == [trade.trade_id for trade in market.recent_trades("BTC/USD")]
    assert pages >= 3
