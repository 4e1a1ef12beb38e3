"""What a client lived through, played again: the same events, books and actions, on whichever kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helpers.processes import environment
from helpers.taped import Lived
from krakenwire.events import (
    Backfilled,
    BookAudited,
    BookInvalidated,
    BookResynced,
    Connected,
    Disconnected,
    Gap,
    LeaderChanged,
    ReadingPaused,
    Reconnected,
    Unsubscribed,
)

TESTS = Path(__file__).resolve().parents[2]
KERNELS = ("compiled", "pure")
AT_ONCE = 10
LIVED_THROUGH = (
    *(Backfilled, BookAudited, BookInvalidated, BookResynced, Connected, Disconnected, Gap, LeaderChanged),
    *(ReadingPaused, Reconnected, Unsubscribed),
)


class Played(msgspec.Struct):
    lived: Lived
    different: int
    compared: tuple[int, int]


def begin(kernel: str, hash_seed: int, command: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A process of its own; nothing may depend on the order of a set in it."""
    pure = {"KRAKENWIRE_PURE": "1"} if kernel == "pure" else {}
    env = {name: value for name, value in environment().items() if name != "KRAKENWIRE_PURE"}
    path = os.pathsep.join([str(TESTS), env["PYTHONPATH"]])
    env |= {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path} | pure
    whole = [sys.executable, "-m", "helpers.taped", command, *map(str, arguments)]
    return subprocess.Popen(whole, env=env, stdout=subprocess.PIPE, cwd=TESTS)


def lines(process: subprocess.Popen[bytes], kind: type[Any]) -> list[Any]:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return [msgspec.json.decode(line, type=kind) for line in out.splitlines()]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("seeds", "seconds"),
    [
        pytest.param(range(6), 20, marks=pytest.mark.timeout(300)),
        pytest.param(range(100), 75, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
    ids=["6", "100"],
)
def test_replay_is_the_live_run(tmp_path: Path, kernel: str, seeds: range, seconds: int) -> None:
    """Faults, further connections, mirrors, REST, audits, pauses, planned reconnects, users that come and go."""
    seen: Counter[str] = Counter()
    for start in seeds[::AT_ONCE]:
        batch = seeds[start : start + AT_ONCE]
        lived = lines(begin(kernel, 1, "live", tmp_path, seconds, *batch), Lived)
        replays = [begin(other, 2 + number, "play", tmp_path, "-", *batch) for number, other in enumerate(KERNELS)]
        for replay in replays:
            played = lines(replay, Played)
            assert [each.lived for each in played] == lived
            assert [each.different for each in played] == [0] * len(batch)
            assert all(min(each.compared) > 10 for each in played)
        for each in lived:
            seen.update(each.report.by_type)
        assert len({each.report.event_digest for each in lived}) == len(lived)
    missing = [kind.__name__ for kind in LIVED_THROUGH if not seen[kind.__name__]]
    assert not missing, "the runs have not shown what they are to show"
