"""docs/testing.md is true: its test files pass, its snippets run, its tables name what there is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import krakenwire
from krakenwire.testing import Simulator, SimulatorThread

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "testing.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FILES = {match[1]: block for block in BLOCKS if (match := re.match(r"# (\w+\.py)\n", block))}
SNIPPETS = [block for block in BLOCKS if block not in FILES.values()]


def compiled(snippet: str) -> CodeType:
    """A snippet as `python -m asyncio` would compile it."""
    code: CodeType = compile(snippet, "docs/testing.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
async def test_snippet_runs(number: int) -> None:
    names: dict[str, Any] = {}
    await eval(compiled(SNIPPETS[number]), names)  # noqa: S307  # our own page


def test_files_pass_as_a_users_project(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\npythonpath = .\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "KRAKEN"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_krakenwire", "-W", "error", "-q", str(tmp_path)],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(Path(krakenwire.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_the_bot_and_its_test_have_some_thirty_lines() -> None:
    lines = [line for name in ("bot.py", "test_bot.py") for line in FILES[name].splitlines() if line.strip()]
    assert len(lines) <= 35


def calls() -> Iterator[tuple[str, str]]:
    """What the page calls on `sim` and on `kraken_simulator`."""
    yield from sorted(set(re.findall(r"(?<![.\w])(sim|kraken_simulator)\.(\w+)", PAGE)))


@pytest.mark.parametrize(("owner", "name"), list(calls()))
def test_what_is_called_exists(owner: str, name: str) -> None:
    assert hasattr(Simulator if owner == "sim" else SimulatorThread, name) or name in vars(Simulator())


@pytest.mark.parametrize("name", ["url", "auth_url", "l3_url", "rest_url", "ca_file", "env", "credentials", "token"])
def test_what_the_fixtures_table_names_exists(name: str) -> None:
    assert f"`{name}" in PAGE
    assert hasattr(SimulatorThread, name)
