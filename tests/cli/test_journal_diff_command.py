"""`krakenwire journal diff`, as a shell runs it: two journals, two files of events, two kernels, two versions."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import krakenwire
from helpers.played import edited
from helpers.processes import Ended, objects
from helpers.processes import run as run_process
from helpers.segmented import save_segments
from helpers.taped import BlockTape, live

SOURCE = Path(krakenwire.__file__).parent.parent


def run(*arguments: str | Path) -> Ended:
    return run_process("journal", "diff", *arguments)


def only(out: str) -> dict[str, Any]:
    (found,) = objects(out)
    return found


@pytest.fixture(scope="module")
def lived() -> BlockTape:
    return asyncio.run(live(4, 8))[0]


@pytest.fixture
def tape(lived: BlockTape, tmp_path: Path) -> Path:
    save_segments(lived, tmp_path / "tape", 2)
    return tmp_path / "tape"


def changed(tmp_path: Path, code: str) -> Path:
    """An interpreter with a krakenwire in which something is done otherwise."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(code)
    python = tmp_path / "python"
    paths = f"{tmp_path / 'site'}:{SOURCE}"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(paths)} exec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return python


def test_copy_is_equal_and_an_altered_one_is_not(lived: BlockTape, tape: Path, tmp_path: Path) -> None:
    shutil.copytree(tape, tmp_path / "copy")
    ended = run(tape, tmp_path / "copy")
    assert (ended.code, ended.err) == (0, "")
    assert "the same in" in ended.out
    other = BlockTape(lived.head.made)
    other.blocks = edited(lived.blocks, lambda lines: [each.replace(b'"buy"', b'"bye"') for each in lines])
    save_segments(other, tmp_path / "other", 2)
    ended = run(tape, tmp_path / "other")
    assert ended.code == 1
    assert "DIFFERENT from input" in ended.out
    assert '"bye"' in ended.out
    found = only(run(tape, tmp_path / "other", "--json").out)
    assert (found["equal"], found["first"]["what"]) == (False, "content")
    assert found["first"]["a"]["line"].replace('"buy"', '"bye"') == found["first"]["b"]["line"]
    assert found["differing"] >= 1


def test_of_clients_not_made_alike_it_shows_what_they_do_not_share(
    lived: BlockTape, tape: Path, tmp_path: Path
) -> None:
    made = lived.head.made
    other = BlockTape(msgspec.structs.replace(made, options=made.options | {"seed": 12345}))
    other.blocks = lived.blocks
    save_segments(other, tmp_path / "other", 2)
    ended = run(tape, tmp_path / "other")
    assert ended.code == 1
    assert "the clients were not made alike" in ended.out
    assert f'  a {{"seed":{made.options["seed"]}}}\n  b {{"seed":12345}}\n' in ended.out


def test_both_kernels_come_to_the_same(tape: Path) -> None:
    for kernel in ("pure", "compiled"):
        ended = run(tape, "--kernel", kernel, "--json")
        assert (ended.code, ended.err) == (0, "")
        found = only(ended.out)
        assert found["equal"] is True
        assert found["b"]["kernel"] == kernel != found["a"]["kernel"]
        assert found["blocks"] > 10


def test_changed_rule_of_another_version_is_found_at_its_first_event(tape: Path, tmp_path: Path) -> None:
    """A version that tells every twentieth trade with another price."""
    python = changed(
        tmp_path,
        "import sys\n"
        "if any('journal_diff_worker' in each for each in sys.orig_argv):\n"
        "    import krakenwire.journal.playing.player as player\n"
        "    import msgspec\n"
        "    from krakenwire.events import Trade\n"
        "    tell = player.Player._tell\n"
        "    trades = 0\n"
        "    def changed(self):\n"
        "        global trades\n"
        "        for at, event in enumerate(self.core.events):\n"
        "            if type(event) is Trade:\n"
        "                trades += 1\n"
        "                if trades == 20:\n"
        "                    self.core.events[at] = msgspec.structs.replace(event, price=event.price + 1)\n"
        "        return tell(self)\n"
        "    player.Player._tell = changed\n",
    )
    ended = run(tape, "--python", python, "--json")
    assert ended.code == 1, ended.err
    found = only(ended.out)
    first = found["first"]
    events = [each for each in objects(run_process("replay", tape, "--events", "--json").out) if "event" in each]
    twentieth = [each for each in events if each["event"] == "Trade"][19]
    assert first["a"] == twentieth
    assert first["n"] == twentieth["n"]
    assert list(first["fields"]) == ["price"]
    assert first["before"] == events[events.index(twentieth) - len(first["before"]) : events.index(twentieth)]
    text = run(tape, "--python", python).out
    assert "NOT THE SAME comes of it" in text
    assert f"first at input {twentieth['n']:,}" in text
    assert run(tape, "--python", python, "--ignore", "price").code == 1  # not as recorded is told behind it


def test_action_that_another_version_would_not_want_is_found(tape: Path, tmp_path: Path) -> None:
    python = changed(
        tmp_path,
        "import sys\n"
        "if any('journal_diff_worker' in each for each in sys.orig_argv):\n"
        "    from krakenwire.protocol.core import Core\n"
        "    take = Core.take_actions\n"
        "    Core.take_actions = lambda self: take(self)[1:]\n",
    )
    ended = run(tape, "--python", python, "--json")
    assert ended.code == 1, ended.err
    first = only(ended.out)["first"]
    assert first["b"]["event"] == "(not as recorded)"
    assert first["b"]["what"] == "action"


def test_printed_events_are_compared_with_others_and_with_a_journal(tape: Path, tmp_path: Path) -> None:
    printed = run_process("replay", tape, "--events", "--json").out
    (tmp_path / "a").write_text(printed)
    ended = run(tape, tmp_path / "a")
    assert (ended.code, ended.err) == (0, "")
    lines = printed.splitlines()
    event = json.loads(lines[30])
    lines[30] = json.dumps(event | {"n": event["n"] + 1})
    (tmp_path / "b").write_text("\n".join(lines))
    ended = run(tmp_path / "a", tmp_path / "b", "--json")
    assert ended.code == 1
    found = only(ended.out)
    assert (found["equal_events"], found["first"]["fields"]) == (30, {"n": [event["n"], event["n"] + 1]})
    assert run(tape, tmp_path / "b", "--ignore", "n").code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give either another journal"),
        (("copy", "--kernel", "pure"), "give either another journal"),
        (("nowhere",), "there is no such file or directory"),
        (("--python", "/nowhere/python"), "cannot run /nowhere/python: No such file"),
        (("--python", "/bin/false"), "/bin/false cannot play it: it ended with 1"),
        (("copy", "--ignore", "n"), "--ignore is for events"),
    ],
)
def test_wrong_usage_ends_with_2(
    tape: Path, arguments: tuple[str, ...], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tape, tape.with_name("copy"))
    monkeypatch.chdir(tape.parent)
    ended = run(tape, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err
