"""How much memory a process has, and whether that grows."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import NamedTuple

__all__ = ["Growth", "give_back", "growth_of", "resident_bytes"]

WARM_UP = 0.2
"""The part of the run that is not judged: caches fill, learned numbers settle."""


def give_back() -> None:
    """Have the C allocator return what it holds though nobody uses it; without glibc nothing is done.

    It keeps what the largest burst so far has needed (the buffer of one giant frame is several MB), which is no growth.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_bytes(status: Path = Path("/proc/self/status")) -> int:
    """`VmRSS` of this process; 0 where the system does not tell."""
    try:
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Growth(NamedTuple):
    """A line laid through what was measured after the warm-up.

    Attributes:
        start, end: bytes at both ends of the line.
        share: by which it grew, 0.05 is five per cent.
    """

    start: float
    end: float
    share: float


def growth_of(samples: list[int]) -> Growth | None:
    """The growth after the warm-up, by least squares; None if there is too little to tell."""
    judged = samples[int(len(samples) * WARM_UP) :]
    count = len(judged)
    if count < 5 or not all(judged):
        return None
    mean_x, mean_y = (count - 1) / 2, sum(judged) / count
    spread = sum((x - mean_x) ** 2 for x in range(count))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(judged)) / spread
    start, end = mean_y - slope * mean_x, mean_y + slope * (count - 1 - mean_x)
    return Growth(start, end, (end - start) / start)
