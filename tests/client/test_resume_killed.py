"""`kill -9` of a program that streams, against an exchange over sockets: the next one goes on, without a seam."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

from helpers.lives import kept_ids
from helpers.processes import call, run, running, simulator

BTC, ETH = "BTC/USD", "ETH/USD"
SYMBOLS = [BTC, ETH]


def given_until(process: subprocess.Popen[str], number: int, seconds: float) -> dict[str, list[int]]:
    """Send it a signal so long after its first trade; the trades that it printed."""
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    assert lines[0], "it streams"
    reading = Thread(target=lambda: lines.extend(process.stdout or ()))
    reading.start()
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(number)
    reading.join()
    assert process.wait() == (-number if number == signal.SIGKILL else 0)
    return by_symbol([line for line in lines if line.endswith("}\n")])


def by_symbol(lines: list[str]) -> dict[str, list[int]]:
    given: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
    for line in lines:
        trade: dict[str, Any] = json.loads(line)
        given[trade["symbol"]].append(trade["trade_id"])
    return given


@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", [4, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_each_life_goes_on_behind_the_last_trade_of_the_journal(tmp_path: Path, times: int) -> None:
    rng = Random(os.urandom(8))
    tape = tmp_path / "tape"
    kept: dict[str, int] = {}
    with simulator("--rate", "300", "--symbols", ",".join(SYMBOLS)) as env:
        command = ("stream", "trade", "-s", ",".join(SYMBOLS), "--journal", tape, "--resume", "--json")
        for _ in range(times):
            with running(*command, env=env) as process:
                check(given_until(process, signal.SIGKILL, rng.uniform(0.0, 4.0)), kept)
            kept = kept_ids(tape, SYMBOLS) or kept
        with running(*command, env=env) as process:
            check(given_until(process, signal.SIGINT, 5.0), kept)
    replayed = run("replay", tape, "--json")
    assert replayed.code == 0, replayed.err
    assert all(json.loads(line)["same"] for line in replayed.out.splitlines())


def check(given: dict[str, list[int]], kept: dict[str, int]) -> None:
    """It begins behind what the journal had, and goes on without a hole."""
    for symbol, ids in given.items():
        if ids:
            assert ids == list(range(ids[0], ids[0] + len(ids))), symbol
            assert symbol not in kept or ids[0] == kept[symbol] + 1, symbol


def test_without_a_journal_there_is_nothing_to_go_on_from() -> None:
    refused = call("stream", "trade", "-s", BTC, "--resume")
    assert refused.code == 2
    assert "--resume goes on from a journal" in refused.err


def test_a_recorder_says_from_where_it_goes_on(tmp_path: Path) -> None:
    with simulator("--rate", "100", "--symbols", BTC) as env:
        command = (
            "record",
            "trade",
            "book",
            "-s",
            BTC,
            "--out",
            tmp_path / "tape",
            "--resume",
            "--seconds",
            "1",
            "--json",
        )
        first, second = run(*command, env=env), run(*command, env=env)
    assert (first.code, second.code) == (0, 0)
    assert "goes on" not in first.err
    last_n = json.loads(first.out.splitlines()[-1])["n"]
    assert "goes on where run 1 ended" in second.err
    assert f"behind input {last_n:,}: " in second.err
    assert json.loads(second.out.splitlines()[-1])["n"] > last_n + 1_000_000
