"""Whether memory grows is judged by a line through what was measured after the warm-up."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from soak.memory_use import give_back, growth_of, resident_bytes


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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library has no malloc_trim")
def test_what_nobody_uses_is_given_back() -> None:
    blocks = [bytes(100_000) for _ in range(500)]
    kept = blocks[-1]  # above the others: without being asked the allocator would keep them
    full = resident_bytes()
    del blocks
    give_back()
    assert resident_bytes() < full - 30_000_000
    assert kept
