"""The guide is true: every snippet in it runs, and its table of errors says what the code says."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from krakenwire import errors
from krakenwire.sim.server import SimulatorServer

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guide.md").read_text("utf-8")
PRELUDE, *SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def titles() -> Iterator[str]:
    """The heading that each snippet stands under, but the first."""
    title = ""
    for line in GUIDE.splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line == "```python":
            yield title


def compiled(snippet: str) -> CodeType:
    """A snippet as `python -m asyncio` would compile it."""
    code: CodeType = compile(snippet, "docs/guide.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


@pytest.mark.parametrize("snippet", SNIPPETS, ids=list(titles())[1:])
async def test_snippet_runs(snippet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(compiled(PRELUDE), names)  # noqa: S102  # our own page
    async with SimulatorServer(rate=500) as server, asyncio.timeout(30):
        monkeypatch.setenv("KRAKEN_WS_PUBLIC_URL", server.url)
        await eval(compiled(snippet), names)  # noqa: S307  # our own page


def test_every_error_is_in_the_table_with_whether_it_is_retryable() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \|.*\| ([a-z]+).*\|$", GUIDE, re.MULTILINE)
    told = {name: retryable for names, retryable in rows for name in re.findall(r"`(\w+)`", names.split(" (")[0])}
    classes = {name: getattr(errors, name) for name in errors.__all__ if name != "KrakenwireError"}
    assert told.keys() == classes.keys()
    for name, error in classes.items():
        expected = "mostly" if name == "ConnectFailed" else "yes" if error.retryable else "no"
        assert told[name] == expected, name
