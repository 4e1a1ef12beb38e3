"""A program that is killed again and again, in memory: what its lives were given is one stream, and one journal."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from helpers.lives import Life, candles_by_begin, ids, keep_going, kept_ids
from krakenwire import ConnectBudget, ConnectFailed, Options, Replay
from krakenwire.cli.replay_journal import replay_journal
from krakenwire.clock import SystemClock
from krakenwire.events import Gap, RunResumed
from krakenwire.journal.tools.verifying import verify
from krakenwire.testing import Simulator

pytestmark = pytest.mark.any_kernel

BTC, ETH = "BTC/USD", "ETH/USD"
SYMBOLS = [BTC, ETH]
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lose_update", {"channel": "trade", "count": 3}),
    ("lose_update", {"channel": "book", "count": 2}),
    ("cut", {"code": 1006}),
    ("rest_error", {"status": 503, "count": 1, "duration": 2.0}),
    ("refuse_connect", {"status": 502, "count": 1, "duration": 2.0}),
)


@pytest.mark.parametrize(
    "seeds",
    [range(2), pytest.param(range(2, 60), marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
    ids=["2", "58"],
)
async def test_lives_are_one_stream_and_one_journal(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        await several_lives(tmp_path / str(seed), seed)


async def several_lives(base: Path, seed: int) -> None:
    rng = Random(seed)
    options = Options(message_burst=100, rest_per_second=20.0, seed=seed, backfill_timeout=60.0)
    wishes: dict[str, Any] = {"mirror": seed % 2 == 1, "book_audit": "rest" if seed % 3 == 1 else None}
    given: list[dict[str, list[Any]]] = []
    kept: list[dict[str, int]] = []
    directory = base / "0"
    async with Simulator(SYMBOLS, seed=seed, rate=20) as sim:
        await keep_going(sim, *SYMBOLS)
        runs = 0
        for number in range(4):
            while True:
                life = Life(sim, directory, options=options, connect_budget=ConnectBudget(limit=10_000), **wishes)
                runs += 1
                try:
                    kraken = await life.begin()
                except ConnectFailed:  # of a fault of the life before; whoever starts programs starts it again
                    await sim.advance(1.0)
                else:
                    break
            assert (kraken.resumed is not None) == (runs > 1)
            life.read("trades", kraken.trades(*SYMBOLS))
            life.read("candles", kraken.ohlc(BTC))
            life.read("books", kraken.books(*SYMBOLS, on_loss="yield"))
            if rng.random() < 0.7:
                kind, parameters = rng.choice(FAULTS)
                sim.inject(kind, after=rng.uniform(0.5, 8), **parameters)
            await life.live(rng.uniform(5, 15) if number < 3 else 40)
            if number == 3:
                await life.end()
                given.append(life.found)
                break
            target = base / str(number + 1)
            given.append(await life.kill(rng, target))
            kept.append(kept_ids(target, SYMBOLS))
            directory = target
            await sim.advance(rng.choice([0.01, 1.0, 20.0, 100.0]))
        assert [event.run for event in life.events if isinstance(event, RunResumed)] == [runs - 1]
        assert not [event for event in life.events if isinstance(event, Gap)]
        truth = msgspec.json.decode(await sim.rest("OHLC", (("pair", BTC), ("interval", "1"))))["result"]
    for symbol in SYMBOLS:
        check_trades([ids(each["trades"], symbol) for each in given], [each.get(symbol) for each in kept])
    check_candles([candles_by_begin(each["candles"], BTC) for each in given], truth)
    check_journal(directory, runs=runs)
    async with Replay(directory) as tape:
        replayed = [trade async for trade in tape.trades(*SYMBOLS)]
    for symbol in SYMBOLS:
        check_trades([ids(replayed, symbol)], [])


def check_trades(given: list[list[int]], kept: list[int | None]) -> None:
    """Each id once and in order, but for those that a life had been given and its journal has not."""
    whole: list[int] = []
    for life, last in zip(given, [*kept, given[-1][-1]], strict=True):
        if last is None:
            continue  # the journal has none of them yet, so that the next life begins with what is live
        assert life[-1] >= last, "a reader of the life before was given all that the journal has"
        whole += [each for each in life if each <= last]
    assert whole == list(range(whole[0], whole[-1] + 1))


def check_candles(given: list[dict[int, Any]], truth: dict[str, Any]) -> None:
    """Of each minute in which somebody was told something the end, as the exchange has it."""
    newest: dict[int, Any] = {}
    for life in given:
        for begin_ns, candle in life.items():
            if begin_ns not in newest or candle.trades >= newest[begin_ns].trades:
                newest[begin_ns] = candle
    (rows,) = (rows for name, rows in truth.items() if name != "last")
    right = {row[0] * 10**9: (row[4], row[7]) for row in rows[:-1]}
    closed = {begin_ns: candle for begin_ns, candle in newest.items() if begin_ns in right}
    assert len(closed) >= 1
    assert sorted(closed) == [begin_ns for begin_ns in sorted(right) if begin_ns >= min(closed)]
    for begin_ns, candle in closed.items():
        assert (float(candle.close), candle.trades) == (float(right[begin_ns][0]), right[begin_ns][1])


def check_journal(directory: Path, runs: int) -> None:
    """It is one client, whose replay is what was lived through."""
    replayed = list(replay_journal(str(directory), SystemClock()))
    assert [each.same for each in replayed] == [True]
    (whole,) = replayed
    assert whole.compared_events >= 2
    assert whole.compared_books >= 1, "the last life closed properly"
    assert not whole.holes
    verdict = verify(directory, replay=True)
    assert verdict.runs == runs
    assert not [each for each in verdict.findings if each.what != "torn"]
