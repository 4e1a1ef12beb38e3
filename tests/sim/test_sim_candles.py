from __future__ import annotations

from itertools import pairwise

import pytest

from krakenwire.sim.instruments import select
from krakenwire.sim.market.candles import INTERVALS, MINUTE_NS
from krakenwire.sim.market.market import Market


@pytest.mark.parametrize("interval", INTERVALS)
def test_candles_reach_far_back_and_join_without_gap_or_jump(interval: int) -> None:
    market = Market(select(["BTC/USD", "MINA/GBP"]), seed=9)
    for symbol, price in (("BTC/USD", 645_250), ("MINA/GBP", 294)):
        candles = list(market.stats(symbol).candles(interval).kept)
        length = interval * MINUTE_NS
        assert len(candles) >= {1: 720, 5: 288, 15: 96, 30: 48, 10080: 100, 21600: 45}.get(interval, 180)
        for earlier, later in pairwise(candles):
            assert later.begin_ns - earlier.begin_ns == length
            assert earlier.close == later.open or later is candles[-1]
        for candle in candles:
            assert candle.begin_ns % length == 0
            assert 0 < candle.low <= min(candle.open, candle.close)
            assert candle.high >= max(candle.open, candle.close)
            assert candle.low <= candle.vwap <= candle.high
            assert candle.trades > 0
            assert price / 8 < candle.close < price * 8


def test_candles_of_every_length_agree_on_a_day_they_all_know() -> None:
    market = Market(select(["BTC/USD"]), seed=1)
    stats = market.stats("BTC/USD")
    hours = list(stats.candles(60).kept)[-48:]
    for interval in (240, 1440):
        for candle in list(stats.candles(interval).kept)[-2 if interval == 1440 else -8 :]:
            end_ns = candle.begin_ns + interval * MINUTE_NS
            parts = [each for each in hours if candle.begin_ns <= each.begin_ns < end_ns]
            if parts[0].begin_ns != candle.begin_ns:
                continue
            assert candle.lots == sum(each.lots for each in parts)
            assert (candle.open, candle.close) == (parts[0].open, parts[-1].close)
            assert candle.high == max(each.high for each in parts)
