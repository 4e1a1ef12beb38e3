"""`krakenwire journal …`, as a shell runs it: what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.processes import Ended, environment, objects
from helpers.processes import run as run_process
from helpers.segments import BEGAN_NS, blocks_of_frames, head_of, write_segment
from krakenwire.cli.app import app
from krakenwire.cli.journal_text import moment_to_ns
from krakenwire.clock import NS_PER_S
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.tools.importing import import_frames

CAPTURE = "v2_book25_minagbp_resync_2026.ndjson"
FRAMES = [b'{"channel":"heartbeat"}', b"no JSON", b'{"channel":"x","data":[1.10,"\xc3\xa9"]}'] * 4


def run(*arguments: str | Path) -> Ended:
    """As in a process of its own, which takes a second to start."""
    ended = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "120", "TERM": "dumb"})
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A small journal of two segments, of which the last was not ended by its recorder."""
    blocks = blocks_of_frames(FRAMES, 2)
    write_segment(tmp_path / "tape", [blocks[:2], blocks[2:4]])
    write_segment(tmp_path / "tape", [blocks[4:]], head_of(2, n=8, received_ns=BEGAN_NS + NS_PER_S))
    return tmp_path / "tape"


@pytest.fixture
def imported(captures: Path, tmp_path: Path) -> Path:
    import_frames([str(captures / CAPTURE)], tmp_path / "imported")
    return tmp_path / "imported"


def only(out: str) -> dict[str, Any]:
    (found,) = objects(out)
    return found


def torn(tape: Path) -> Path:
    path = max(tape.glob("*.zst"))
    path.write_bytes(path.read_bytes()[:-3])
    return path


def test_info_tells_runs_segments_and_how_it_ended(tape: Path) -> None:
    ended = run("journal", "info", tape)
    assert ended.code == 0
    for words in ("1 run(s), 2 segment(s)", "inputs 1 to 8 (8)", "inputs 9 to 12 (4)", "not ended", "seed 0"):
        assert words in ended.out
    figures = only(run("journal", "info", tape, "--json").out)
    assert [(each["first"], each["last"], each["ended"]) for each in figures["segments"]] == [
        (1, 8, None),
        (9, 12, None),
    ]
    assert figures["segments"][0]["begin_ns"] == BEGAN_NS
    assert figures["segments"][1]["end_ns"] == BEGAN_NS + 11_000_000
    assert figures["contents"] is None


def test_info_with_contents_tells_what_was_recorded(imported: Path) -> None:
    figures = only(run("journal", "info", imported, "--contents", "--json").out)
    books = [each for each in figures["contents"] if each["channel"] == "book"]
    assert [(each["symbol"], each["depth"], each["events"]) for each in books] == [("MINA/GBP", 25, 19)]
    assert books[0]["first_ns"] < books[0]["last_ns"]
    assert figures["segments"][0]["frames"] == 96
    assert figures["segments"][0]["ended"] == "imported"
    assert "book MINA/GBP depth 25: 19 events" in run("journal", "info", imported, "--contents").out


def test_verify_names_what_is_wrong_and_repair_mends_it(tape: Path) -> None:
    sound = run("journal", "verify", tape)
    assert (sound.code, sound.out.splitlines()[0]) == (0, f"{tape}: sound")
    path = torn(tape)
    wrong = run("journal", "verify", tape, "--json")
    assert wrong.code == 1
    (found,) = only(wrong.out)["findings"]
    assert (found["what"], found["file"], found["segment"]) == ("torn", path.name, 2)
    assert f"{path.name} at byte {found['offset']}: torn: " in run("journal", "verify", tape).out
    planned = run("journal", "repair", tape, "--dry-run")
    assert planned.code == 1
    assert "bytes would be cut" in planned.out
    done = run("journal", "repair", tape, "--json")
    assert done.code == 0
    assert [each["segment"] for each in only(done.out)["repaired"]] == [2]
    again = run("journal", "repair", tape)
    assert (again.code, again.out) == (0, f"{tape}: nothing to repair\n")
    assert run("journal", "verify", tape).code == 0


def test_verify_with_replay_compares_what_comes_of_it(imported: Path) -> None:
    ended = run("journal", "verify", imported, "--replay")
    assert ended.code == 0
    assert "1 digest(s) of events and 1 of books came out as recorded" in ended.out


def test_journal_that_is_written_is_not_repaired(tape: Path) -> None:
    lock = DirectoryLock(tape)
    try:
        ended = run("journal", "repair", tape)
        assert ended.code == 2
        assert "is being written by another recorder (process" in ended.err
        assert "being written" in run("journal", "info", tape).out
    finally:
        lock.release()


def test_cat_prints_what_zstdcat_prints(tape: Path) -> None:
    ended = run("journal", "cat", tape)
    assert ended.code == 0
    assert ended.out.count("journal {") == 2
    assert [line for line in ended.out.splitlines() if line[0] in "{:"] == [
        frame.decode() if frame.startswith(b"{") else f":{frame.decode()}" for frame in FRAMES
    ]
    if zstdcat := shutil.which("zstdcat"):
        assert run_process(*sorted(tape.glob("*.zst")), program=(zstdcat,)).out == ended.out


def test_frames_that_cat_prints_replay_as_the_recording_does(imported: Path, captures: Path, tmp_path: Path) -> None:
    frames = run("journal", "cat", imported, "--frames")
    assert frames.code == 0
    (tmp_path / "frames").write_bytes(frames.out.encode())
    ours = only(run("replay", tmp_path / "frames", "--json").out)
    theirs = only(run("replay", captures / CAPTURE, "--json").out)
    assert (ours["event_digest"], ours["state_digest"]) == (theirs["event_digest"], theirs["state_digest"])
    assert ours["frames"] == theirs["frames"]


def test_cat_chooses_by_number_time_kind_and_connection(tape: Path) -> None:
    by_number = objects(run("journal", "cat", tape, "--from", "3", "--to", "5", "--json").out)
    assert [each["n"] for each in by_number] == [3, 4, 5]
    assert by_number[0] == {
        **{"run": 1, "n": 3, "received_ns": BEGAN_NS + 2_000_000, "kind": "frame", "connection": "public", "epoch": 0},
        "frame": json.loads(FRAMES[2]),
    }
    assert by_number[2]["raw"] == "no JSON"
    span = ("--from", "2026-11-23T02:13:20.008Z", "--to", "2026-11-23T03:13:20.010+01:00")
    assert moment_to_ns(span[1], "--from") == BEGAN_NS + 8_000_000
    assert run("journal", "cat", tape, *span).out.splitlines() == [
        '{"channel":"x","data":[1.10,"é"]}',
        '{"channel":"heartbeat"}',
    ]
    assert run("journal", "cat", tape, "--kind", "input").out == ""
    assert run("journal", "cat", tape, "--connection", "public-2").out == ""
    assert len(run("journal", "cat", tape, "--connection", "public").out.splitlines()) == 12


def test_cat_ends_at_damage_or_goes_on_behind_it(tape: Path) -> None:
    path = min(tape.glob("*.zst"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    ended = run("journal", "cat", tape, "--kind", "frame")
    assert ended.code == 1
    assert f"{path} is damaged at byte" in ended.err
    assert len(ended.out.splitlines()) == 8
    skipped = run("journal", "cat", tape, "--kind", "frame", "--skip-damage")
    assert skipped.code == 1
    assert len(skipped.out.splitlines()) == 12


def test_follow_ends_with_a_journal_that_nobody_writes(tape: Path) -> None:
    assert run("journal", "cat", tape, "--follow") == run("journal", "cat", tape)
    assert run("journal", "cat", tape, "--follow", "--from", "9", "--json").out.count('"kind":"frame"') == 4
    assert "--follow needs the directory" in run("journal", "cat", min(tape.glob("*.zst")), "--follow").err


def test_cat_of_one_segment(tape: Path) -> None:
    ended = run("journal", "cat", max(tape.glob("*.zst")), "--kind", "frame")
    assert len(ended.out.splitlines()) == 4


def test_end_of_what_is_being_written_is_no_damage(tape: Path) -> None:
    torn(tape)
    assert run("journal", "cat", tape).code == 1
    lock = DirectoryLock(tape)
    try:
        assert run("journal", "cat", tape).code == 0
        assert run("journal", "verify", tape).code == 0
    finally:
        lock.release()


def test_cut_makes_a_journal_that_says_where_it_is_from(imported: Path, tmp_path: Path) -> None:
    figures = only(run("journal", "info", imported, "--json").out)
    lines = objects(run("journal", "cat", imported, "--frames").out)
    middle = lines[len(lines) // 2]["rx_ns"]
    seconds, rest = divmod(middle, NS_PER_S)
    since = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    assert moment_to_ns(since, "--from") == middle
    out = tmp_path / "out"
    span = ("--from", since, "--to", "2100-01-01T00:00:00Z")
    done = only(run("journal", "cut", imported, *span, "--out", out, "--json").out)
    assert done["cut_from"] == figures["journal"]
    assert done["is_exact"]
    assert objects(run("journal", "cat", out, "--frames").out) == [each for each in lines if each["rx_ns"] >= middle]
    ended = run("journal", "verify", out, "--replay")
    assert ended.code == 0
    assert f"cut from journal {figures['journal']}" in ended.out


def test_import_prints_the_digests_of_replay(captures: Path, tmp_path: Path) -> None:
    ended = run("journal", "import", captures / CAPTURE, "--out", tmp_path / "tape", "--json")
    assert ended.code == 0
    played = only(run("replay", captures / CAPTURE, "--json").out)
    report = only(ended.out)["report"]
    assert {key: report[key] for key in ("event_digest", "state_digest", "frames")} == {
        key: played[key] for key in ("event_digest", "state_digest", "frames")
    }
    text = run("journal", "import", captures / CAPTURE, "--out", tmp_path / "other")
    assert f"events {report['event_digest']}" in text.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("info", "{none}"), "cannot read {none}: No such file or directory"),
        (("verify", "{empty}"), "is no journal: expected files as 00000001-"),
        (("verify", "{file}"), "is no directory; a journal is a directory of segments"),
        (("repair", "{empty}"), "is no journal"),
        (("cat", "{none}"), "there is no such file or directory"),
        (("cat", "{tape}", "--from", "yesterday"), "--from: expected a time with its zone"),
        (("cat", "{tape}", "--to", "2026-11-22T14:00:00"), "--to: expected a time with its zone"),
        (("cat", "{tape}", "--kind", "frames"), "--kind: expected one of frame, input, action, note"),
        (("cat", "{tape}", "--frames", "--kind", "note"), "--frames prints frames only"),
        (("cut", "{tape}", "--from", "now", "--to", "then", "--out", "{none}"), "--from: expected a time"),
        (("import", "{file}", "--out", "{tape}"), "is not empty"),
        (("import", "{none}", "--out", "{empty}"), "cannot read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_one_line_that_says_what_to_do(
    tape: Path, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    names = {name: str(tmp_path / name) for name in ("empty", "file", "none", "tape")}
    ended = run("journal", *(each.format(**names) for each in arguments))
    assert ended.code == 2
    assert ended.out == ""
    assert complaint.format(**names) in ended.err
    assert ended.err.count("\n") == 1


def test_end_of_stdout_ends_cat_quietly(tape: Path) -> None:
    ended = run_process("-c", '"$0" -m krakenwire journal cat "$1" | head -1', sys.executable, tape, program=("bash",))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("journal {")


@pytest.mark.parametrize("command", ["info", "verify", "repair", "cat", "cut", "import"])
def test_help_has_examples(command: str) -> None:
    ended = run("journal", command, "--help")
    assert ended.code == 0
    assert f"krakenwire journal {command}" in ended.out


def test_core_installation_says_what_to_install(tape: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['backports'] = None\nsys.modules['compression'] = None\n"
    )
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    ended = run_process("journal", "info", tape, env={"PYTHONPATH": path})
    assert ended.code == 2
    assert "pip install 'krakenwire[journal]'" in ended.err
