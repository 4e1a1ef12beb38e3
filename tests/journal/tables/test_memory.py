"""Iterating and exporting take no more memory for more rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.parquet import query
from helpers.processes import environment
from krakenwire.journal.tools.importing import import_frames

PER_FRAME = 100
_SCRIPT = """
import resource, sys
from krakenwire import Journal
from krakenwire.journal.tables.export import export_journal

tape, what, to = sys.argv[1:]
if what == "iterate":
    print(sum(1 for trade in Journal(tape).trades()))
else:
    print(export_journal(tape, to, channels=["trade", "gaps"]).rows["trade"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def journal_of(count: int, directory: Path) -> Path:
    """So many trades of four symbols, on two days."""
    lines = directory / f"{count}.jsonl"
    with open(lines, "w") as file:
        for first in range(0, count, PER_FRAME):
            trades = ",".join(
                f'{{"symbol":"{"ABCD"[number % 4]}/USD","side":"buy","price":6{number % 10_000:04}.{number % 10},'
                f'"qty":0.{number % 10**8:08},"ord_type":"limit","trade_id":{number},'
                f'"timestamp":"2026-11-2{2 + 2 * number // count}T12:{number // 60 % 60:02}:{number % 60:02}.123456Z"}}'
                for number in range(first, first + PER_FRAME)
            )
            file.write(f'{{"channel":"trade","type":"update","data":[{trades}]}}\n')
    import_frames([str(lines)], directory / str(count))
    return directory / str(count)


def used(tape: Path, what: str, to: Path) -> tuple[int, int]:
    """Rows, and the most memory (KiB) that a process took for it."""
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tape), what, str(to)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    rows, peak = ended.stdout.split()
    return int(rows), int(peak)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage")
@pytest.mark.parametrize(
    "count", [100_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
@pytest.mark.parametrize("what", ["iterate", "export"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, what: str, count: int) -> None:
    few = used(journal_of(20_000 if count == 100_000 else 100_000, tmp_path), what, tmp_path / "few")
    many = used(journal_of(count, tmp_path), what, tmp_path / "many")
    assert many[0] == count
    # Half a kilobyte a row, at the least, is what they would take if they were held.
    assert (many[1] - few[1]) * 1024 < (many[0] - few[0]) * 100 + 48 * 1024**2, f"{few} KiB, {many} KiB"
    if what == "export":
        found = query(
            "SELECT count(*), count(DISTINCT trade_id), sum(qty), count(DISTINCT symbol), count(DISTINCT date) "
            "FROM read_parquet(?, hive_partitioning = true)",
            f"{tmp_path}/many/channel=trade/**/*.parquet",
        )
        assert found[0][:2] == (count, count)
        assert found[0][3:] == (4, 2)
