"""`kill -9` of a recorder under load, at any moment: what it had reported flushed is there, and recording goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from random import Random

import pytest

from helpers.disks import Contents, contents_of, read_segment_into
from helpers.processes import end, running, simulator
from krakenwire.journal.files.damage import Torn
from krakenwire.journal.files.directory import Segment, segments

RATE = "4000"


def flushed_at_its_death(process: subprocess.Popen[str], moment: float) -> int:
    """Kill it after so many seconds under way; the last number that it had reported."""
    assert process.stdout is not None
    assert process.stdout.readline(), "it records"
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
    out, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    *lines, last = out.split("\n")
    reported = [json.loads(line) for line in (lines if not last else [*lines, last]) if line.endswith("}")]
    return max((each["flushed_n"] for each in reported), default=0)


def read(found: list[Segment]) -> tuple[Contents, Torn | None]:
    """What is in these segments, and where they are torn."""
    contents = Contents()
    try:
        for segment in found:
            read_segment_into(segment.path, contents)
    except Torn as torn:
        return contents, torn
    return contents, None


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(20, marks=pytest.mark.timeout(600)),
        pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
    ],
)
def test_nothing_that_was_reported_flushed_is_missing(tmp_path: Path, times: int) -> None:
    rng = Random(os.urandom(8))
    tape = tmp_path / "tape"
    torn = reported = known = 0
    with simulator("--rate", RATE, "--symbols", "BTC/USD,ETH/USD") as env:
        command = ("record", "book", "trade", "-s", "BTC/USD,ETH/USD", "--depth", "100", "--out", tape, "--json")
        for _ in range(times):
            sync = rng.choice(["always", "interval", "never"])
            flush = rng.choice(["0.02", "0.2"])
            size = rng.choice(["0.05", "256"])  # many segments, or one
            more = (
                "--sync",
                sync,
                "--sync-every",
                "0.05",
                "--every",
                "0.02",
                "--flush-every",
                flush,
                "--segment-mb",
                size,
            )
            with running(*command, *more, env=env) as process:
                flushed = flushed_at_its_death(process, rng.uniform(0.0, 0.7))
            found, end_of_it = read(segments(tape)[known:])
            if end_of_it is not None:
                assert end_of_it.path == segments(tape)[-1].path, "only the end is torn"
                assert end_of_it.path.name in str(end_of_it)
                torn += 1
            assert found.last_n >= flushed, f"reported flushed with {more}, and gone"
            reported += flushed > 0
            known = len(segments(tape))
        with running(*command, env=env) as process:
            assert process.stdout.readline()
            done = end(process)
    assert done.code == 0
    whole = contents_of(tape)
    assert {head.run for head in whole.heads} >= {1, times + 1}
    assert len({head.journal for head in whole.heads}) == 1
    assert len(whole.torn) == torn
    assert torn > times // 2, "most were killed in the midst of something"
    assert reported > times // 2
    summary = json.loads(done.out.splitlines()[-1])
    assert whole.last_n == summary["n"] == summary["flushed_n"]
