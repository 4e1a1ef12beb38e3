"""`krakenwire export`, as a shell runs it: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.parquet import parts, read
from helpers.processes import Ended, environment, objects
from helpers.tapes import tape_of
from krakenwire.cli.app import app
from krakenwire.journal.tables.spool import Spool


def run(*arguments: str | Path) -> Ended:
    """As in a process of its own, which takes a second to start."""
    ended = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "120", "TERM": "dumb"})
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("command") / "tape"
    asyncio.run(_record(directory))
    return directory


async def _record(directory: Path) -> None:
    await tape_of(directory)


def test_it_exports_once_and_then_finds_nothing_new(tape: Path, tmp_path: Path) -> None:
    first = run("export", tape, "--to", tmp_path / "out")
    assert (first.code, first.err) == (0, "")
    assert "1 segment(s) of journal" in first.out
    assert "trade " in first.out
    files = parts(tmp_path / "out")
    again = run("export", tape, "--to", tmp_path / "out")
    assert again.code == 0
    assert "nothing new" in again.out
    assert "1 segment(s) were there already" in again.out
    assert parts(tmp_path / "out") == files


def test_json_is_one_object(tape: Path, tmp_path: Path) -> None:
    ended = run("export", tape, "--to", tmp_path / "out", "--channels", "trade,gaps", "--symbol", "XBT/USD", "--json")
    (done,) = objects(ended.out)
    assert ended.code == 0
    assert (done["segments"], done["already"], done["open"]) == ([1], 0, [])
    assert done["files"] == len(parts(tmp_path / "out"))
    assert done["size"] == sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.parquet"))
    rows = read(tmp_path / "out", "trade", "symbol")
    assert len(rows) == done["rows"]["trade"]
    assert set(rows) == {("BTC/USD",)}


def test_books_at_an_interval_and_a_range_of_time(tape: Path, tmp_path: Path) -> None:
    range_ = ("--from", "2026-01-01T00:00:02Z", "--until", "2026-01-01T00:00:04.5Z")
    books = ("--channels", "book", "--depth", "5", "--every", "500ms")
    assert run("export", tape, "--to", tmp_path / "out", *books, *range_).code == 0
    rows = read(tmp_path / "out", "book", "epoch_ns(time), len(bid_prices)", "symbol = 'BTC/USD'", "time")
    begin = 1_767_225_600 * 10**9
    assert [(row[0] - begin) / 1e9 for row in rows] == [2.0, 2.5, 3.0, 3.5, 4.0]
    assert {row[1] for row in rows} == {5}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--channels", "trades"), "--channels: expected some of trade,book"),
        (("--every", "often"), "--every: expected an interval"),
        (("--from", "yesterday"), "--from: expected a time with its zone"),
        (("--from", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"), "--from must be before --until"),
        (("--symbol", "PEPE/EUR"), "was not recorded; there is"),
        (("--channels", "book", "--depth", "1000"), "with a depth of 10, not 1000"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(
    tape: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = run("export", tape, "--to", tmp_path / "out", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err


def test_what_is_no_journal_or_no_target_ends_with_2(tape: Path, tmp_path: Path) -> None:
    ended = run("export", tmp_path, "--to", tmp_path / "out")
    assert ended.code == 2
    assert "is no journal" in ended.err
    ended = run("export", tape, "--to", "nosuch://x/y")
    assert ended.code == 2
    assert "cannot export to nosuch://x/y" in ended.err


def test_an_interruption_leaves_whole_files_and_says_so(
    tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Spool.write
    count = iter(range(100))

    def interrupt(self: Spool, *given: Any) -> None:
        if next(count) == 3:
            raise KeyboardInterrupt
        write(self, *given)

    monkeypatch.setattr(Spool, "write", interrupt)
    ended = run("export", tape, "--to", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert "interrupted; what is there is whole" in ended.err
    monkeypatch.setattr(Spool, "write", write)
    there = parts(tmp_path / "out")
    assert len(there) == 3
    assert run("export", tape, "--to", tmp_path / "out").code == 0
    assert there.items() <= parts(tmp_path / "out").items()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_export_leaves_whole_files_and_the_next_one_completes(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "krakenwire", "export", str(tape), "--to", str(out)], env=environment()
    )
    while process.poll() is None and not any(out.rglob("*.parquet")):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {name: digest for name, digest in parts(out).items() if name.endswith(".parquet")}
    there = {name: digest for name, digest in there.items() if not Path(name).name.startswith(".")}
    assert run("export", tape, "--to", out).code == 0
    whole = tmp_path / "whole"
    assert run("export", tape, "--to", whole).code == 0
    assert there
    assert there.items() <= parts(whole).items()
    assert parts(out) == parts(whole)


def test_help_has_examples() -> None:
    ended = run("export", "--help")
    assert ended.code == 0
    for words in ("--include-open", "--every", "krakenwire export tape --to parquet"):
        assert words in ended.out
