"""Whether memory grows is judged by a line through what was measured after the warm-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.memory_use import growth_of, resident_bytes


def test_warm_up_is_not_judged() -> None:
    growth = growth_of([10 * second for second in range(1, 21)] + [1000] * 80)
    assert growth is not None
    assert growth.share == pytest.approx(0.0)


def test_steady_growth_is_seen_whatever_jumps_about_it() -> None:
    growth = growth_of([1000 + second + 20 * (second % 2) for second in range(1000)])
    assert growth is not None
    assert growth.share == pytest.approx(800 / 1200, rel=0.05)


def test_too_little_tells_nothing() -> None:
    assert growth_of([]) is None
    assert growth_of([1000] * 5) is None
    assert growth_of([0] * 100) is None


def test_resident_memory_is_what_the_system_says(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmRSS:\t   51200 kB\nThreads:\t1\n")
    assert resident_bytes(status) == 50 * 2**20
    assert resident_bytes(tmp_path / "nowhere") == 0
