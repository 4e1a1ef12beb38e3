"""Many seeded runs of one stream: mute, it is told whenever the market moved; healthy, it never is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

import pytest

from helpers.quiet import KEYS, QuietExchange
from helpers.wire import Request
from krakenwire.events import Recovered, Stalled
from krakenwire.protocol.outputs import Fetch

BTC = "BTC/USD"
HOUR = 3600.0
CHANNELS = ("book", "trade", "ticker", "ohlc")
Kind = Literal["learned", "young", "busy"]
KINDS: tuple[Kind, ...] = ("learned", "young", "busy")
SLACK = 0.25
"""What happened so shortly before a probe may be late as well as withheld: the snapshot of the probe tells it."""
Record = Callable[[str, object], None]


class Market:
    """One stream of an exchange whose market moves at random: each time one level of a book, or a trade."""

    def __init__(self, channel: str, rng: random.Random, *, late: float) -> None:
        rtt = rng.choice((0.01, 0.04, 0.15))
        self.exchange = QuietExchange(rtt=rtt, late=lambda: rng.uniform(0.0, late))
        self.channel = channel
        self.rng = rng
        if channel == "book":
            for i in range(10):
                self.exchange.set_level("bids", f"{99 - i}.0", "1.00000000")
                self.exchange.set_level("asks", f"{101 + i}.0", "1.00000000")
        self.exchange.wire.subscribe(KEYS[channel])

    def move(self) -> None:
        if self.channel != "book":
            self.exchange.trade(BTC)
            return
        side = self.rng.choice(("bids", "asks"))
        i = self.rng.randrange(10)
        price = f"{99 - i if side == 'bids' else 101 + i}.0"
        held = [each for each, _ in self.exchange.books[BTC].best(side)]
        goes = price in held and len(held) > 7 and self.rng.random() < 0.3
        qty = 0.0 if goes else self.rng.randint(1_000, 10**9) / 1e6
        self.exchange.set_level(side, price, f"{qty:.8f}")

    @property
    def stalls(self) -> list[Stalled]:
        return self.exchange.wire.told(Stalled)

    @property
    def inquiries(self) -> int:
        calls = [action.call for action in self.exchange.wire.actions if isinstance(action, Fetch)]
        return calls.count("Depth") + calls.count("Trades")


class Outcome(NamedTuple):
    what: str
    took: float = 0.0


def fall_mute(channel: str, kind: Kind, seed: int, *, rest: bool = True) -> Outcome:
    """A stream that falls mute, once its gaps are learned or in its first half minute, and what becomes of it."""
    rng = random.Random(f"{channel} {kind} {seed}")
    market = Market(channel, rng, late=0.02)
    exchange = market.exchange
    exchange.rest = rest
    mean = {"learned": rng.uniform(20, 60), "young": rng.uniform(5, 40), "busy": 10 ** rng.uniform(-1, 0.5)}[kind]
    exchange.every(lambda: rng.expovariate(1 / mean), market.move)
    exchange.run(rng.uniform(300, 900) if kind == "learned" else rng.uniform(0.2, 30.0))
    assert market.stalls == []
    held = (channel, BTC)
    exchange.mute.add(held)
    exchange.run(2000, until=lambda: market.stalls or held not in exchange.mute)
    left = exchange.now
    exchange.run(60, until=lambda: market.stalls)
    if not exchange.untold:  # served again before it had missed anything, or mute as it was subscribed anew
        return Outcome("no snapshot" if market.stalls else "unmoved")
    withheld = exchange.untold[0]
    if not market.stalls:
        return Outcome("late" if withheld > left - SLACK - 0.05 else "untold")
    took = exchange.now - withheld
    exchange.run(30, until=lambda: exchange.wire.told(Recovered))
    assert len(market.stalls) == len(exchange.wire.told(Recovered)) == 1
    return Outcome("found", took)


def fall_mute_often(channel: str, kind: Kind, seeds: int, record_property: Record) -> Counter[str]:
    outcomes = [fall_mute(channel, kind, seed) for seed in range(seeds)]
    counts = Counter(outcome.what for outcome in outcomes)
    record_property("outcomes", dict(counts))
    record_property("longest", round(max(outcome.took for outcome in outcomes), 1))
    assert max(outcome.took for outcome in outcomes) <= 120
    assert counts["found"] >= seeds // 2
    assert counts["late"] <= max(2, seeds // 50)
    return counts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_each_mute_stream_is_told_of_which_the_market_moved(channel: str, kind: Kind, record_property: Record) -> None:
    assert fall_mute_often(channel, kind, 20, record_property)["untold"] == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_each_of_thousands_of_mute_streams_is_told(channel: str, kind: Kind, record_property: Record) -> None:
    untold = fall_mute_often(channel, kind, 700, record_property)["untold"]
    # A level that went, or changed again in the moment of the probe, hides that something was withheld.
    assert untold <= (4 if channel == "book" else 0)


def stay_healthy(channel: str, seed: int, hours: float) -> Market:
    """A quiet stream, of which the market moves around nearly every probe; it is told up to 0.2 s late."""
    rng = random.Random(f"{channel} {seed}")
    market = Market(channel, rng, late=0.2)
    exchange = market.exchange
    exchange.rtt = rng.choice((0.04, 0.15, 0.6))
    exchange.every(lambda: rng.expovariate(1 / 200), market.move)

    def disturb(request: Request) -> None:
        if request["method"] == "unsubscribe":
            for _ in range(rng.randrange(4)):
                exchange.at(exchange.now + rng.uniform(0.0, 2.0 * exchange.rtt), market.move)

    exchange.asked = disturb
    exchange.run(hours * HOUR)
    assert exchange.wire.core.statistics().probes > 5 * hours
    return market


@pytest.mark.parametrize("channel", CHANNELS)
def test_healthy_stream_that_moves_as_it_is_probed_raises_no_alarm(channel: str) -> None:
    markets = [stay_healthy(channel, seed, 0.5) for seed in range(5)]
    assert [market.stalls for market in markets] == [[]] * 5
    assert channel == "trade" or sum(market.inquiries for market in markets) > 5


@pytest.mark.long
@pytest.mark.parametrize("channel", CHANNELS)
def test_day_in_all_of_healthy_streams_that_move_as_they_are_probed_raises_no_alarm(
    channel: str, record_property: Record
) -> None:
    markets = [stay_healthy(channel, seed, 4.0) for seed in range(6)]
    record_property("probes", sum(market.exchange.wire.core.statistics().probes for market in markets))
    record_property("inquiries", sum(market.inquiries for market in markets))
    assert [market.stalls for market in markets] == [[]] * 6
