"""docs/faults.md says what the code says: every kind, every parameter, and examples that can be read."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from krakenwire.sim.control import CALLS
from krakenwire.sim.faults import KINDS, Plan, Script, describe, read_fault
from krakenwire.sim.faults.filters import FrameFilter, PeerFilter, StreamFilter
from krakenwire.sim.faults.injector import MAX_LOG
from krakenwire.sim.faults.kinds import Parameter
from krakenwire.sim.faults.model import MAX_TOUCHES, Timing, Touch

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "faults.md").read_text("utf-8")
LEVELS: dict[str, type[Timing]] = {
    "time": Timing,
    "connection": PeerFilter,
    "stream": StreamFilter,
    "frame": FrameFilter,
}
COMMON = set(describe("lose_update"))


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, f"docs/faults.md has no heading {title!r}"
    table = [line for line in match[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[2:]]


def words(parameter: Parameter) -> list[str]:
    """The cells that describe a parameter."""
    default = parameter.default
    text = default if isinstance(default, str) else "" if default is None else json.dumps(default)
    shown = "must be given" if parameter.is_required else f"`{text}`" if text else ""
    return [f"`{parameter.name}`", parameter.expected, shown, parameter.meaning]


def level(kind: str) -> str:
    """The finest thing that a kind is narrowed by."""
    return [name for name, filters in LEVELS.items() if issubclass(KINDS[kind].parameters_type, filters)][-1]


def test_table_has_every_kind_and_what_it_is_narrowed_by() -> None:
    assert [(row[0], row[-1]) for row in rows("Kinds")] == [(f"`{kind}`", level(kind)) for kind in KINDS]
    assert all(len(row) == 5 and all(row) for row in rows("Kinds"))


def test_common_parameters_are_those_of_the_code() -> None:
    expected = {parameter.name: words(parameter) for parameter in COMMON}
    names = list(LEVELS)
    for row in rows("Common parameters"):
        *told, of = row
        name = told[0].strip("`")
        assert told == expected.pop(name)
        first = next(level for level, filters in LEVELS.items() if name in filters.__struct_fields__)
        assert of == ", ".join(names[names.index(first) :])
    assert expected == {}


def test_parameters_of_their_own_are_those_of_the_code() -> None:
    own = [[f"`{kind}`", *words(each)] for kind in KINDS for each in describe(kind) if each not in COMMON]
    assert rows("Parameters of their own") == own


def test_fields_of_the_log_and_its_bounds_are_those_of_the_code() -> None:
    told = {name for row in rows("The log") for name in re.findall(r"`(\w+)`", row[0])}
    record = {"id", "kind", "parameters", "injected_ns", "begun_ns", "healed_ns", "touched", "touches"}
    assert told - {"field"} == record | set(Touch.__struct_fields__)
    assert f"the first {MAX_TOUCHES} touches" in PAGE
    assert f"the last {MAX_LOG:,} faults" in PAGE


def test_momentary_kinds_are_named() -> None:
    sentence = re.search(r"^back\. (.*?) are over as soon as", PAGE, re.MULTILINE)
    assert sentence
    assert set(re.findall(r"`(\w+)`", sentence[1])) == {kind for kind, each in KINDS.items() if each.is_momentary}


def test_script_can_be_read() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    script = Script.read(text)
    assert [plan.kind for plan in script.plans] == ["lose_update", "cut", "maintenance"]
    assert (script.seed, script.plans[0].repeat) == (7, 60)


COMMANDS = re.findall(r"^    (krakenwire sim .*|curl .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", [each for each in COMMANDS if "--fault " in each])
def test_faults_of_the_command_lines_can_be_read(command: str) -> None:
    words = shlex.split(command)
    for option, value in itertools.pairwise(words):
        if option == "--fault":
            assert read_fault(value).kind in KINDS


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("curl")])
def test_calls_of_the_control_endpoint_are_there(command: str) -> None:
    words = shlex.split(command)
    url = next(word for word in words if word.startswith("localhost:8100"))
    body = words[words.index("-d") + 1] if "-d" in words else None
    method = "POST" if body else words[words.index("-X") + 1] if "-X" in words else "GET"
    path = re.sub(r"/\d+$", "/ID", url.removeprefix("localhost:8100").partition("?")[0])
    assert f"{method} {path}" in {call.partition("?")[0] for call in CALLS}
    if path == "/faults" and body:
        given = msgspec.json.decode(body)
        Plan.read(given.pop("kind"), given)
