"""The README is true: its program runs, its commands and links are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from helpers.processes import run, simulator
from krakenwire.cli.app import app

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text("utf-8")
PAGES = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md"),
    *sorted(f"docs/{page.name}" for page in (CHECKOUT / "docs").glob("*.md")),
)


def test_program_runs_as_it_stands() -> None:
    program, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with simulator("--rate", "500") as env:
        ended = run(program=(sys.executable, "-c", program), env=env)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("Level(price=Decimal('6") for line in lines)


def test_program_that_records_sees_the_same_again(tmp_path: Path) -> None:
    _, program = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with simulator("--rate", "500") as env:
        ended = run(program=(sys.executable, "-c", f"import os\nos.chdir({str(tmp_path)!r})\n{program}"), env=env)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert all("while the mid is" in line for line in lines[:10])
    assert [line.split()[0] for line in lines[:5]] == [line.split()[0] for line in lines[5:10]]
    assert "BTC/USD" in lines[11]


def test_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (CHECKOUT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"make ([a-z]+) ", README)) | {"demo", "test"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_commands_named_exist() -> None:
    commands = set(re.findall(r"^    krakenwire (\w+)", README, re.MULTILINE))
    there = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert commands == there | {group.name for group in app.registered_groups}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    base = (CHECKOUT / page).parent
    text = (CHECKOUT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (base / target).exists(), f"{page} links to {target}"


def test_it_says_what_it_is_not() -> None:
    assert "has ever run against the live exchange" in README
    assert "Spot only." in README
