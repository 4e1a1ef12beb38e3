"""The page on the journal is true: its snippets run, one after the other, and its commands parse."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from krakenwire import JournalOptions
from krakenwire.cli.app import app
from krakenwire.sim.server import SimulatorServer

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "journal.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^    krakenwire (.*?)(?: +#.*)?$", PAGE, re.MULTILINE)


async def test_snippets_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    async with SimulatorServer(rate=500, rest_port=0) as server:
        monkeypatch.setenv("KRAKEN_WS_PUBLIC_URL", server.url)
        monkeypatch.setenv("KRAKEN_SPOT_URL", server.rest_url)
        for snippet in SNIPPETS:
            code = compile(snippet, "journal.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            outcome = eval(code, names)  # noqa: S307  # our own page
            if inspect.isawaitable(outcome):  # None, if it awaits nothing
                await outcome
            printed = capsys.readouterr().out.strip()
            assert ("print(" in snippet) == bool(printed), snippet
            assert printed != "None", snippet
    assert names["book"].synced


@pytest.mark.parametrize("command", COMMANDS)
def test_command_parses(command: str) -> None:
    found: Any = typer.main.get_command(app)
    words = shlex.split(command)
    while hasattr(found, "commands"):
        found = found.commands[words.pop(0)]
    found.make_context(found.name, words)  # exits with 2 if an option is not known


def test_every_option_is_named_with_its_default() -> None:
    (snippet,) = (each for each in SNIPPETS if "options = JournalOptions(\n" in each)
    given = set(re.findall(r"^    (\w+)=", snippet, re.MULTILINE))
    assert given | {"seal"} == set(JournalOptions.__dataclass_fields__)
