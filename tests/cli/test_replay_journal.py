"""`krakenwire replay` of a journal: the report of the live run, and what differs, is torn, damaged or missing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helpers.played import SmallRun, edited
from helpers.processes import Ended, objects, run
from helpers.segmented import save_segments
from helpers.taped import BlockTape, Lived, live

OURS = {"seconds", "frames_per_second"}


@pytest.fixture(scope="module")
def lived() -> tuple[BlockTape, Lived]:
    return asyncio.run(live(7, 12))


@pytest.fixture
def journal(tmp_path: Path, lived: tuple[BlockTape, Lived]) -> Path:
    save_segments(lived[0], tmp_path / "tape", 3)
    return tmp_path / "tape"


def replay(*arguments: str | Path, **env: str) -> tuple[Ended, list[dict[str, Any]]]:
    ended = run("replay", "--json", *arguments, env=env)
    assert not ended.err
    return ended, objects(ended.out)


def segment(journal: Path, number: int) -> Path:
    return sorted(journal.glob("*.zst"))[number - 1]


@pytest.mark.parametrize("kernel", ["compiled", "pure"])
def test_report_is_that_of_the_live_run(journal: Path, lived: tuple[BlockTape, Lived], kernel: str) -> None:
    ended, (found,) = replay(journal, KRAKENWIRE_PURE="1" if kernel == "pure" else "")
    live_report = msgspec.to_builtins(lived[1].report)
    assert {name: found[name] for name in live_report if name not in OURS} == {
        name: value for name, value in live_report.items() if name not in OURS
    }
    assert (found["same"], found["different"], found["differences"], found["holes"]) == (True, 0, [], [])
    assert (found["damage"], found["torn"], found["missing"]) == ([], [], [])
    assert (found["run"], found["kernel"]) == (1, kernel)
    assert found["compared_events"] > 10
    assert found["compared_books"] > 10
    assert ended.code == int(not lived[1].report.sound)


def test_report_for_a_person(journal: Path, lived: tuple[BlockTape, Lived]) -> None:
    out = run("replay", journal).out
    assert out.startswith(f"{journal}, run 1: as recorded")
    assert out.endswith(f"  state  {lived[1].report.state_digest}\n  events {lived[1].report.event_digest}\n")


def test_sound_journal_ends_with_0(tmp_path: Path) -> None:
    small = SmallRun()
    small.begin()
    tape = small.end()
    tape.save(tmp_path / "tape")
    ended, (found,) = replay(tmp_path / "tape")
    assert (ended.code, found["same"], found["verified"]) == (0, True, 1)
    tape.blocks = edited(tape.blocks, lambda lines: [line.replace(b'"instrument"', b'"executions"') for line in lines])
    tape.save(tmp_path / "other")
    ended, (found,) = replay(tmp_path / "other")
    assert (ended.code, found["same"]) == (1, False)
    assert found["different"] >= len(found["differences"]) > 0
    text = run("replay", tmp_path / "other").out
    assert "NOT AS RECORDED" in text
    assert "  ! after input " in text


def test_torn_end_is_told_and_nothing_wrong(journal: Path) -> None:
    last = segment(journal, 3)
    last.write_bytes(last.read_bytes()[:-300])
    _, (found,) = replay(journal)
    assert len(found["torn"]) == 1
    assert last.name in found["torn"][0]
    assert (found["same"], found["different"], found["damage"]) == (True, 0, [])


def test_damage_and_missing_segments_are_told_and_end_with_1(journal: Path) -> None:
    middle = segment(journal, 2)
    whole = middle.read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 16
    middle.write_bytes(broken)
    ended, (found,) = replay(journal)
    assert ended.code == 1
    assert (found["same"], found["different"]) == (False, 0)
    assert middle.name in found["damage"][0]
    assert found["holes"]
    middle.unlink()
    ended, (found,) = replay(journal)
    assert ended.code == 1
    assert (found["missing"], found["same"], len(found["holes"])) == ([2], False, 1)
    assert "from outside" in run("replay", journal).out


def test_runs_have_a_report_each(journal: Path) -> None:
    small = SmallRun()
    small.begin()
    save_segments(small.end(), journal, 1, run=2, first=4)
    _, found = replay(journal)
    assert [(each["run"], each["same"]) for each in found] == [(1, True), (2, True)]
    assert found[1]["verified"] == 1


def test_span_tells_only_of_itself(journal: Path) -> None:
    whole = [each for each in objects(run("replay", journal, "--json", "--events").out) if "kernel" not in each]
    start, end = "2026-01-01T00:00:04Z", "2026-01-01T00:00:06Z"
    ended = run("replay", journal, "--json", "--events", "--from", start, "--to", end)
    *events, report = objects(ended.out)
    assert events == [each for each in whole if moment(start) <= each["received_ns"] <= moment(end)]
    assert events
    assert report["same"] is True
    assert 0 < report["frames"] < len(whole) * 10
    assert report["compared_events"] > 0


def moment(text: str) -> int:
    return 1_767_225_600 * 10**9 + int(text[17:19]) * 10**9


def test_wrong_uses_are_refused(journal: Path, tmp_path: Path) -> None:
    (tmp_path / "frames.jsonl").write_text('{"channel":"heartbeat"}\n')
    wrong: tuple[tuple[list[str | Path], str], ...] = (
        ([journal, "--from", "yesterday"], "--from: expected a time with its zone"),
        ([journal, "--from", "2026-01-01T00:00:06Z", "--to", "2026-01-01T00:00:05Z"], "--to is before --from"),
        ([journal, "--from", "2020-01-01T00:00:06Z"], "begins later"),
        ([tmp_path / "frames.jsonl", "--to", "2026-01-01T00:00:06Z"], "--from and --to are for journals"),
    )
    for arguments, words in wrong:
        ended = run("replay", *arguments)
        assert ended.code == 2, words
        assert words in ended.err


def test_json_is_one_object_a_run(journal: Path) -> None:
    out = run("replay", journal, "--json").out
    assert len(out.splitlines()) == 1
    assert json.loads(out)["file"] == str(journal)


def test_demo_is_replayed_to_its_own_report(tmp_path: Path) -> None:
    ended = run("demo", "--messages", "3000", "--rate", "0", "--json", "--journal", tmp_path / "tape")
    assert ended.code == 0
    *_, told = objects(ended.out)
    replayed, (found,) = replay(tmp_path / "tape")
    assert (replayed.code, found["same"], found["symbols"]) == (0, True, 12)
    assert found["compared_books"] == 1
    assert {name: found[name] for name in found if name in told and name not in OURS} == {
        name: value for name, value in told.items() if name in found and name not in OURS
    }
