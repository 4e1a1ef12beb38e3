"""The benchmark of reconnects in a short form: it runs, its figures are there, and the books are whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "bench_reconnect.py"


def figures_of(*arguments: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--json", "--check", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures


def check(figures: dict[str, Any], symbols: int, rounds: int) -> None:
    assert len(figures["rounds"]) == rounds
    for each in figures["rounds"]:
        assert each["books"] == symbols
        assert 0 < each["downtime_s"] <= each["took_s"] < 120
        assert each["peak_mb"] > 0
        assert each["loop_ms"] >= 0
    assert figures["messages_a_second"] > 0
    assert (figures["mismatched"], figures["dropped"]) == (0, 0)


@pytest.mark.timeout(120)
def test_some_books_come_back_after_each_cut() -> None:
    check(figures_of("--symbols", "20", "--depth", "100", "--rounds", "2", "--seconds", "0.5"), 20, 2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_five_hundred_deep_books_come_back_under_load() -> None:
    check(figures_of("--rounds", "2"), 500, 2)
