"""`krakenwire record`, and `--journal` of other commands, as a user's shell runs them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from helpers.disks import contents_of
from helpers.processes import end, objects, run, running
from krakenwire.journal.files.directory import segments

Environment = dict[str, str]
BOOK = ("record", "book", "trade", "-s", "BTC/USD")


def test_it_records_until_its_time_is_over_and_sums_up(tmp_path: Path, simulated: Environment) -> None:
    tape = tmp_path / "a" / "tape"
    ended = run(*BOOK, "--out", tape, "--seconds", "1", env=simulated)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{tape}: ")
    assert "1 of 1 books synced" in ended.out
    assert "times smaller" in ended.out
    found = contents_of(tape)
    assert found.told("end")[0]["closed"] == "closed"
    assert f"{found.frames:,} frames" in ended.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_closes_the_journal_and_the_summary_is_json(tmp_path: Path, simulated: Environment, number: int) -> None:
    with running(*BOOK, "--out", tmp_path, "--json", "--every", "0.1", "--mirror", env=simulated) as process:
        lines = [process.stdout.readline() for _ in range(5)]
        ended = end(process, number)
    told = objects("".join(lines) + ended.out)
    assert ended.code == 0
    assert {each["kind"] for each in told[:-1]} == {"progress"}
    summary = told[-1]
    assert (summary["kind"], summary["state"]) == ("summary", "closed")
    assert (summary["books"], summary["books_synced"]) == (2, 2)
    found = contents_of(tmp_path)
    assert found.inputs == summary["n"] == summary["flushed_n"] == summary["synced_n"]
    assert summary["written_bytes"] == segments(tmp_path)[0].path.stat().st_size
    assert [each["flushed_n"] for each in told] == sorted(each["flushed_n"] for each in told)


def test_segments_end_and_go_as_asked_for(tmp_path: Path, simulated: Environment) -> None:
    ended = run(
        *(*BOOK, "--depth", "1000", "--out", tmp_path, "--segment-mb", "0.01", "--keep-mb", "0.05", "--seconds", "2"),
        *("--sync", "never", "--json"),
        env=simulated,
    )
    summary = objects(ended.out)[-1]
    assert summary["removed"] >= 1
    assert summary["segments"] == summary["removed"] + len(segments(tmp_path))
    assert (summary["syncs"], summary["synced_n"]) == (0, 0)


def test_a_second_one_is_told_who_records_there(tmp_path: Path, simulated: Environment) -> None:
    with running(*BOOK, "--out", tmp_path, "--json", env=simulated) as process:
        process.stdout.readline()
        second = run(*BOOK, "--out", tmp_path, env=simulated)
        assert second.code == 2
        assert f"process {process.pid}" in second.err
        assert "Traceback" not in second.err
        assert end(process).code == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--sync", "sometimes"), "'sometimes' is not one of 'always', 'interval', 'never'"),
        (("--when-full", "panic"), "--when-full"),
        (("--segment-mb", "0"), "--segment-mb"),
        (("--keep-hours", "-1"), "--keep-hours"),
        (("--depth", "7"), "depth"),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(tmp_path: Path, more: tuple[str, str], said: str) -> None:
    ended = run(*BOOK, "--out", tmp_path / "tape", *more)
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "tape").exists()


def test_no_symbol_and_a_file_in_place_are_told(tmp_path: Path, simulated: Environment) -> None:
    assert "name at least one symbol" in run("record", "book", "--out", tmp_path).err
    (tmp_path / "tape").write_text("mine")
    ended = run(*BOOK, "--out", tmp_path / "tape", env=simulated)
    assert (ended.code, "it is a file" in ended.err) == (2, True)


def test_without_an_exchange_it_says_so(tmp_path: Path) -> None:
    ended = run(*BOOK, "--out", tmp_path, "--url", "ws://127.0.0.1:1/v2")
    assert ended.code == 3
    assert contents_of(tmp_path).told("end")[0]["closed"] == "closed"


def test_stream_and_demo_record_beside_what_they_do(tmp_path: Path, simulated: Environment) -> None:
    ended = run("stream", "trade", "-s", "BTC/USD", "-n", "3", "--journal", tmp_path / "stream", env=simulated)
    assert ended.code == 0
    assert contents_of(tmp_path / "stream").frames > 3
    ended = run("demo", "--messages", "500", "--rate", "0", "--json", "--journal", tmp_path / "demo")
    (report,) = objects(ended.out)
    found = contents_of(tmp_path / "demo")
    assert found.frames >= report["frames"]
    # The demo is over before its client is closed: what it reports is on the way in the journal.
    assert report["books_equal"] == report["books"]
