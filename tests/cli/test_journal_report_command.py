"""`krakenwire journal report`, as a shell runs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.played import SmallRun
from helpers.processes import Ended, objects
from helpers.segmented import save_segments
from helpers.taped import BlockTape, live
from krakenwire.cli.app import app


def run(*arguments: str | Path) -> Ended:
    ended = CliRunner().invoke(app, ["journal", "report", *map(str, arguments)], env={"COLUMNS": "80", "TERM": "dumb"})
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def only(out: str) -> dict[str, Any]:
    (found,) = objects(out)
    return found


@pytest.fixture(scope="module")
def lived() -> BlockTape:
    return asyncio.run(live(3, 15))[0]


@pytest.fixture
def tape(lived: BlockTape, tmp_path: Path) -> Path:
    save_segments(lived, tmp_path / "tape", 3)
    return tmp_path / "tape"


def test_complete_journal_ends_with_0(tmp_path: Path) -> None:
    small = SmallRun()
    small.begin()
    save_segments(small.end(), tmp_path / "tape", 1)
    ended = run(tmp_path / "tape")
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"{tmp_path / 'tape'}: complete")
    assert "BTC/USD" in ended.out
    found = only(run(tmp_path / "tape", "--json").out)
    assert (found["complete"], found["totals"]["messages"], found["totals"]["gaps"]) == (True, 1, 0)


def test_figures_of_rows_are_those_of_the_totals(tape: Path) -> None:
    found = only(run(tape, "--json").out)
    rows, totals = found["rows"], found["totals"]
    for name in ("messages", "wanted_ns", "synced_ns", "backfilled", "missing", "resyncs"):
        assert totals[name] == sum(row[name] for row in rows)
    assert {row["symbol"] for row in rows} == {"BTC/USD", "ETH/USD", "PEPE/USD"}
    for row in rows:
        assert row["day"] == "2026-01-01"
        assert row["synced"] == pytest.approx(row["synced_ns"] / row["wanted_ns"])
    unsynced = [row["wanted_ns"] - row["synced_ns"] for row in rows if not row["missing"] and not row["gaps"]]
    assert unsynced == sorted(unsynced, reverse=True)
    assert 15 < totals["recorded_ns"] / 1e9 < 16


def test_table_has_every_row_and_figure(tape: Path) -> None:
    text = run(tape, "--sort", "symbol").out
    found = only(run(tape, "--sort", "symbol", "--json").out)
    lines = [line.split() for line in text.splitlines() if line.startswith("2026-")]
    assert [line[1] for line in lines] == [row["symbol"] for row in found["rows"]] == ["BTC/USD", "ETH/USD", "PEPE/USD"]
    assert [line[-1] for line in lines] == [f"{row['messages']:,}" for row in found["rows"]]
    assert "…" not in "".join(" ".join(line) for line in lines)
    assert "3 segment(s), 3 of them played" in text


def test_lost_part_is_named_and_ends_with_1(tape: Path) -> None:
    sorted(tape.glob("*.zst"))[1].unlink()
    ended = run(tape)
    assert ended.code == 1
    assert "NOT COMPLETE" in ended.out
    assert "! missing: segment(s) 2" in ended.out
    assert "! not in the journal: inputs " in ended.out
    assert only(run(tape, "--json").out)["lost"][0]["reason"] == "segment(s) 2 missing"


def test_symbol_and_span_choose(tape: Path) -> None:
    found = only(run(tape, "--symbol", "PEPE/USD", "--json").out)
    assert [row["symbol"] for row in found["rows"]] == ["PEPE/USD"]
    part = only(run(tape, "--from", "2026-01-01T00:00:04Z", "--to", "2026-01-01T00:00:06.5Z", "--json").out)
    assert part["totals"]["recorded_ns"] <= 2_500_000_000
    assert 0 < part["totals"]["messages"] < only(run(tape, "--json").out)["totals"]["messages"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--symbol", "NO/PE"), "there is nothing of NO/PE"),
        (("--from", "yesterday"), "--from: expected a time with its zone"),
        (("--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), "--to is not after --from"),
    ],
)
def test_wrong_usage_ends_with_2(tape: Path, arguments: tuple[str, ...], complaint: str) -> None:
    ended = run(tape, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err


def test_no_journal_ends_with_2(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.code == 2
    assert "is no journal" in ended.err
