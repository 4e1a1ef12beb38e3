"""Every example runs against the simulator and shows what it promises."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers.processes import Ended, environment, run, simulator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# What each must have printed, as patterns that stand somewhere in its output.
SHOWN = {
    "01_basic_subscribe.py": [r"^BTC/USD  (buy |sell)  [\d.]+ @ [\d.]+"],
    "02_order_book_tracker.py": [r"spread [\d.]+  mid [\d.]+  imbalance [+-]", r"checksum \d+"],
    "03_trade_monitor.py": [r"^WHALE  \w+/USD  (buys|sells) ", r"^50 trades: .*BTC/USD"],
    "04_multi_pair.py": [r"^PEPE/USD +0\.0000\d+ +0\.0000\d+", r"^-- \d+ messages were overtaken"],
    "05_custom_handler.py": [r"^book    BTC/USD  snapshot of 20 levels, verified", r"^trade ", r"\d+ BookUpdate"],
    "06_reconnect_demo.py": [
        r"^Disconnected: ",
        r"^BookUnsynced: .*disconnected",
        r"^BookInvalidated: BTC/USD: disconnected",
        r"^Connected: again after",
        r"^BookResynced: BTC/USD after",
    ],
}


def test_every_example_is_tested_and_listed() -> None:
    there = {path.name for path in EXAMPLES.glob("[0-9]*.py")}
    assert there == SHOWN.keys()
    listed = set(re.findall(r"\]\((\d\w+\.py)\)", (EXAMPLES / "README.md").read_text("utf-8")))
    assert listed == there


@pytest.fixture(scope="module")
def ended_by_name() -> dict[str, Ended]:
    """All of them, each for a moment, side by side."""
    with ThreadPoolExecutor(len(SHOWN)) as pool:
        results = pool.map(lambda name: run(EXAMPLES / name, "--seconds", "2", program=(sys.executable,)), SHOWN)
        return dict(zip(SHOWN, results, strict=True))


@pytest.mark.parametrize("name", SHOWN)
def test_example_shows_what_it_promises(name: str, ended_by_name: dict[str, Ended]) -> None:
    ended = ended_by_name[name]
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    for pattern in SHOWN[name]:
        assert re.search(pattern, ended.out, re.MULTILINE), (pattern, ended.out)


def test_live_goes_where_the_environment_says() -> None:
    with simulator("--symbols", "BTC/USD,ETH/USD", "--rate", "500") as env:
        ended = run(EXAMPLES / "01_basic_subscribe.py", "--live", "--seconds", "1", env=env, program=(sys.executable,))
    assert ended.code == 0, ended.err
    assert "BTC/USD" in ended.out


def test_what_is_recorded_live_is_replayed() -> None:
    with simulator("--symbols", "BTC/USD,ETH/USD", "--rate", "500") as env:
        ended = run(EXAMPLES / "record_and_replay.py", "--live", "--seconds", "1", env=env, program=(sys.executable,))
    assert ended.code == 0, ended.err
    assert "twice the same: True" in ended.out


@pytest.mark.parametrize("example", ["01_basic_subscribe.py", "record_and_replay.py"])
def test_live_without_a_network_says_why_in_a_line(example: str) -> None:
    nobody = {"KRAKEN_WS_PUBLIC_URL": "ws://127.0.0.1:1/v2"}
    ended = run(EXAMPLES / example, "--live", env=nobody, program=(sys.executable,))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("ConnectFailed: cannot connect to ws://127.0.0.1:1/v2: ")


def test_ctrl_c_ends_an_example_without_a_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", EXAMPLES / "01_basic_subscribe.py", "--seconds", "0"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.endswith("ended by Ctrl-C\n")
    assert "Traceback" not in err
