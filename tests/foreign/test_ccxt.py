"""ccxt against the simulator over TLS: its markets, its streams, its account."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from foreign.driver import ForeignError, held, running
from krakenwire.sim.instruments import select
from krakenwire.testing import SimulatorThread

Foreign = Callable[[str], str]

SYMBOLS = ["BTC/USD", "DOGE/USD", "MINA/GBP"]


async def test_markets_have_the_precisions_and_minima_of_the_instruments(foreign: Foreign) -> None:
    with SimulatorThread(symbols=SYMBOLS, rate=0, tls=True) as sim:
        async with running(foreign("ccxt"), "ccxt_kraken.py", env=sim.env("bob")) as client:
            markets = await client.ask("load_markets")
    assert sorted(markets) == SYMBOLS
    for listing in select(SYMBOLS):
        instrument, market = listing.instrument, markets[listing.symbol]
        assert market["precision"]["price"] == float(Decimal(1).scaleb(-instrument.price_precision))
        assert market["precision"]["amount"] == float(Decimal(1).scaleb(-instrument.qty_precision))
        assert market["limits"]["amount"]["min"] == float(instrument.qty_min)
        assert market["limits"]["cost"]["min"] == float(instrument.cost_min)
        assert market["active"] is True


async def test_rest_answers_are_understood(foreign: Foreign) -> None:
    with SimulatorThread(symbols=SYMBOLS, rate=0, tls=True) as sim:
        async with running(foreign("ccxt"), "ccxt_kraken.py", env=sim.env("bob")) as client:
            status = await client.ask("fetch_status")
            moment = await client.ask("fetch_time")
            book = await client.ask("fetch_order_book", "BTC/USD", 10)
            ticker = await client.ask("fetch_ticker", "BTC/USD")
            trades = await client.ask("fetch_trades", "DOGE/USD")
            candles = await client.ask("fetch_ohlcv", "MINA/GBP", "5m")
            with pytest.raises(ForeignError, match="BadSymbol"):
                await client.ask("fetch_ticker", "NIX/USD")
        bids, asks = sim.truth("BTC/USD", 10)
    assert status["status"] == "ok"
    assert moment > 1_700_000_000_000
    for shown, true in ((book["bids"], bids), (book["asks"], asks)):
        assert [level[0] for level in shown] == [price for price, _ in floats(true)]
        # The volumes of REST have three decimals.
        assert [level[1] for level in shown] == pytest.approx([qty for _, qty in floats(true)], abs=0.00051)
    assert (ticker["bid"], ticker["ask"]) == (float(bids[0][0]), float(asks[0][0]))
    assert trades
    assert all(trade["symbol"] == "DOGE/USD" and trade["amount"] > 0 for trade in trades)
    assert candles[1][0] - candles[0][0] == 300_000


def floats(levels: list[tuple[str, str]]) -> list[tuple[float, float]]:
    """As ccxt has them."""
    return [(float(price), float(qty)) for price, qty in levels]


async def test_streams_are_watched(foreign: Foreign) -> None:
    with SimulatorThread(symbols=SYMBOLS, seed=2, rate=300, tls=True) as sim:
        async with running(foreign("ccxt"), "ccxt_kraken.py", env=sim.env("bob")) as client:
            for depth, symbol in ((10, "BTC/USD"), (100, "DOGE/USD")):
                for _ in range(3):
                    book = await client.ask("watch_order_book", symbol, depth)
                assert book["symbol"] == symbol
                assert book["bids"][0][0] < book["asks"][0][0]
                assert len(book["bids"]) == len(book["asks"]) == depth
            trades = await client.ask("watch_trades", "BTC/USD")
            ticker = await client.ask("watch_ticker", "BTC/USD")
            candles = await client.ask("watch_ohlcv", "BTC/USD", "1m")
    assert all(trade["symbol"] == "BTC/USD" and trade["side"] in ("buy", "sell") for trade in trades)
    assert ticker["bid"] < ticker["ask"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert candles
    for _, first, high, low, last, _ in candles:
        assert low <= min(first, last) <= max(first, last) <= high


@pytest.mark.parametrize("depth", [10, 100])
async def test_book_that_is_held_ends_as_the_exchange_has_it(foreign: Foreign, depth: int) -> None:
    async with held(SYMBOLS) as (server, env):
        async with running(foreign("ccxt"), "ccxt_kraken.py", env=env) as client:
            for symbol in SYMBOLS:
                await client.ask("watch_order_book", symbol, depth)
            server.release(3000)
            await server.finished()
            await client.ask("watch_ticker", "BTC/USD")  # comes behind all of it
            books = {symbol: await client.ask("orderbook", symbol) for symbol in SYMBOLS}
    for symbol, book in books.items():
        bids, asks = server.truth(symbol, depth)
        assert [tuple(level[:2]) for level in book["bids"]] == floats(bids), symbol
        assert [tuple(level[:2]) for level in book["asks"]] == floats(asks), symbol


async def test_balance_and_an_order_placed_amended_filled_and_cancelled(foreign: Foreign) -> None:
    with SimulatorThread(symbols=["BTC/USD"], seed=3, rate=0, tls=True) as sim:
        async with running(foreign("ccxt"), "ccxt_kraken.py", env=sim.env("bob")) as client:
            before = await client.ask("fetch_balance")
            streamed = await client.ask("watch_balance")
            bids, _ = sim.truth("BTC/USD", 1)
            best = Decimal(bids[0][0])
            better = best + Decimal("0.1")
            order = await client.ask("create_order_ws", "BTC/USD", "limit", "buy", 0.05, float(best) - 100)
            opened = await client.ask("watch_orders")
            held = await client.ask("fetch_balance")
            resting = await client.ask("fetch_open_orders")
            await client.ask("edit_order_ws", order["id"], "BTC/USD", "limit", "buy", 0.03, float(better))
            assert [(each.order_qty, each.amended) for each in sim.orders("bob")] == [(Decimal("0.03"), True)]
            filled = client.begin("watch_my_trades")
            await client.ask("fetch_time")  # it watches by now
            sim.place("alice", "BTC/USD", "sell", "0.01", better)
            fills = await filled
            await client.ask("cancel_order_ws", order["id"])
            with pytest.raises(ForeignError, match="EOrder"):
                await client.ask("cancel_order_ws", order["id"])
        assert sim.orders("bob") == []
        after = sim.balances("bob")
    assert before["total"]["USD"] == streamed["total"]["USD"]
    assert before["used"]["USD"] == 0 < held["used"]["USD"]
    assert [each["id"] for each in resting] == [order["id"]]
    assert opened[0]["id"] == order["id"]
    assert [(fill["order"], fill["amount"], fill["takerOrMaker"]) for fill in fills] == [(order["id"], 0.01, "maker")]
    assert float(after["BTC"]) == before["total"]["BTC"] + 0.01


async def test_a_wrong_secret_is_an_authentication_error(foreign: Foreign) -> None:
    with SimulatorThread(symbols=["BTC/USD"], rate=0, tls=True) as sim:
        env = sim.env("bob") | {"KRAKEN_API_SECRET": sim.credentials("alice").secret}
        async with running(foreign("ccxt"), "ccxt_kraken.py", env=env) as client:
            with pytest.raises(ForeignError, match="EAPI:Invalid signature"):
                await client.ask("fetch_balance")
