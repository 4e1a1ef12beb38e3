"""`krakenwire book`: one book, every change of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from decimal import Decimal

import pytest

from helpers.processes import KRAKENWIRE, end, environment, objects, run, running
from krakenwire.sim.server import SimulatorServer

Environment = dict[str, str]


def test_json_is_an_object_for_each_change(simulated: Environment) -> None:
    ended = run("book", "BTC/USD", "--json", "--updates", "4", "--levels", "3", env=simulated)
    assert (ended.code, ended.err) == (0, "")
    changes = objects(ended.out)
    assert len(changes) == 4
    for change in changes:
        assert (change["symbol"], change["synced"], change["reason"]) == ("BTC/USD", True, None)
        assert change["proven_levels"] == 10
        assert len(change["bids"]) == len(change["asks"]) == 3
        (bid, _), (ask, _) = change["bids"][0], change["asks"][0]
        assert Decimal(change["spread"]) == Decimal(ask) - Decimal(bid) > 0
        assert Decimal(bid) < Decimal(change["mid"]) < Decimal(ask)
        assert -1 <= change["imbalance"] <= 1
    for earlier, later in itertools.pairwise(changes):
        assert earlier["received_ns"] < later["received_ns"], "none is shown twice"


def test_without_a_terminal_every_change_is_a_line(simulated: Environment) -> None:
    ended = run("book", "xbt/usd", "-n", "2", env=simulated)
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines()] == ["BTC/USD", "BTC/USD"]
    assert all("checksum" in line for line in ended.out.splitlines())


def test_unknown_symbol_names_the_nearest(simulated: Environment) -> None:
    ended = run("book", "BTCUSD", env=simulated)
    assert (ended.code, ended.out) == (2, "")
    assert "BTC/USD" in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_cleanly(simulated: Environment, number: int) -> None:
    with running("book", "ETH/USD", "--json", env=simulated) as process:
        first = process.stdout.readline()
        ended = end(process, number)
    assert (ended.code, ended.err) == (0, "")
    assert objects(first + ended.out)


async def test_book_that_is_not_proven_is_shown_as_such_and_without_levels() -> None:
    async with SimulatorServer(rate=200) as server:
        process = await asyncio.create_subprocess_exec(
            *KRAKENWIRE,
            *("book", "BTC/USD", "--json"),
            env=environment(server.env()),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        lines = aiter(process.stdout)
        await anext(lines)
        server.exchange.faults.inject("corrupt_checksum", symbol="BTC/USD")
        changes = [json.loads(await anext(lines))]
        while changes[-1]["synced"]:
            changes.append(json.loads(await anext(lines)))
        unsynced = changes[-1]
        while not changes[-1]["synced"]:
            changes.append(json.loads(await anext(lines)))
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 0
    assert (unsynced["reason"], unsynced["proven_levels"]) == ("checksum", 0)
    assert (unsynced["bids"], unsynced["asks"], unsynced["spread"], unsynced["mid"]) == ([], [], None, None)
    assert changes[-1]["proven_levels"] == 10
