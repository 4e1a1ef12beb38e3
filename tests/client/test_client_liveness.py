"""Subscriptions that fall mute on a whole exchange: a client finds each, and nothing that is only quiet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from krakenwire.events import LoopStalled, Recovered, Stalled, Trade
from krakenwire.testing import Simulator

BTC = "BTC/USD"
BUSY = 40.0
"""Frames a second: with four streams of one symbol, a book gets some twenty of them."""


def of(told: list[Any], kind: type) -> list[Any]:
    return [event for event in told if isinstance(event, kind)]


@pytest.mark.parametrize("channel", ["book", "trade", "ticker", "ohlc"])
async def test_mute_stream_is_found_and_comes_back(channel: str) -> None:
    told: list[Any] = []
    async with (
        Simulator([BTC], seed=7, rate=BUSY) as sim,
        sim.client(on_events=told.extend) as kraken,
    ):
        faces: dict[str, Callable[[], AbstractAsyncContextManager[Any]]] = {
            "book": lambda: kraken.book(BTC),
            "trade": lambda: kraken.trades(BTC),
            "ticker": lambda: kraken.ticker(BTC),
            "ohlc": lambda: kraken.ohlc(BTC),
        }
        async with faces[channel]():
            await sim.advance(60)
            assert of(told, Stalled) == []
            fault = sim.inject("mute", channel=channel, symbol=BTC)
            await sim.advance(100)
            assert fault.touched
            (stalled,) = of(told, Stalled)
            first_ns = fault.touches[0].exchange_ns
            assert stalled.received_ns - first_ns <= 100 * 10**9
            assert (stalled.of, stalled.symbol) == (channel, BTC)
            assert [event.by for event in of(told, Recovered)] == ["resubscribe"]
            if channel == "trade":
                ids = [trade.trade_id for trade in of(told, Trade)]
                assert ids == list(range(ids[0], ids[0] + len(ids))), "nothing was lost meanwhile"


async def test_mute_stream_that_only_a_new_connection_cures() -> None:
    told: list[Any] = []
    async with (
        Simulator([BTC], seed=7, rate=BUSY) as sim,
        sim.client(on_events=told.extend) as kraken,
        kraken.book(BTC) as book,
    ):
        await sim.advance(60)
        sim.inject("mute", channel="book", symbol=BTC, cure="reconnect")
        await sim.advance(60)
        assert len(of(told, Stalled)) == 1
        assert [event.by for event in of(told, Recovered)] == ["reconnect"]
        assert book.is_synced


async def test_quiet_exchange_raises_no_alarm() -> None:
    told: list[Any] = []
    async with (
        Simulator([BTC, "ETH/USD"], seed=7, rate=0.2) as sim,
        sim.client(on_events=told.extend) as kraken,
        kraken.book(BTC),
        kraken.book("ETH/USD"),
        kraken.trades(BTC, "ETH/USD"),
        kraken.ticker(BTC),
        kraken.ohlc(BTC),
    ):
        await sim.advance(1200)
        assert kraken.statistics().probes > 0
        assert of(told, Stalled) + of(told, LoopStalled) == []


async def test_trades_from_before_the_subscription_are_neither_missed_nor_told() -> None:
    """A probe brings the last fifty of a pair that was not traded since: all of them are history."""
    told: list[Any] = []
    async with (
        Simulator([BTC], seed=7, rate=0) as sim,
        sim.client(on_events=told.extend) as kraken,
        kraken.trades(BTC),
    ):
        await sim.advance(400)
        assert kraken.statistics().probes > 1
        assert of(told, Stalled) + of(told, Trade) == []
