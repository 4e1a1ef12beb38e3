"""The guide and the page on recovery are true: their snippets run, and the table of errors says what the code says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from krakenwire import errors
from krakenwire.sim.server import SimulatorServer

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "guide.md").read_text("utf-8")
RECOVERY = (DOCS / "recovery.md").read_text("utf-8")
START = re.compile(r"^```python$", re.MULTILINE)


def snippets(page: str) -> Iterator[Any]:
    """Each snippet of a page but the first, which goes before it; named by the heading that it stands under."""
    prelude, *rest = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    starts = [match.start() for match in START.finditer(page)][1:]
    for start, snippet in zip(starts, rest, strict=True):
        heading = re.findall(r"^#+ (.*)$", page[:start], re.MULTILINE)[-1]
        yield pytest.param(prelude, snippet, id=heading)


def compiled(snippet: str) -> CodeType:
    """A snippet as `python -m asyncio` would compile it."""
    code: CodeType = compile(snippet, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


@pytest.mark.parametrize(("prelude", "snippet"), [*snippets(GUIDE), *snippets(RECOVERY)])
async def test_snippet_runs(prelude: str, snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # one writes files
    names: dict[str, Any] = {}
    exec(compiled(prelude), names)  # noqa: S102  # our own page
    async with SimulatorServer(rate=500, rest_port=0) as server, asyncio.timeout(30):
        monkeypatch.setenv("KRAKEN_WS_PUBLIC_URL", server.url)
        monkeypatch.setenv("KRAKEN_SPOT_URL", server.rest_url)
        outcome = eval(compiled(snippet), names)  # noqa: S307  # our own page
        if inspect.isawaitable(outcome):  # None, if it awaits nothing
            await outcome


def test_every_error_is_in_the_table_with_whether_it_is_retryable() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \|.*\| ([a-z]+).*\|$", GUIDE, re.MULTILINE)
    told = {name: retryable for names, retryable in rows for name in re.findall(r"`(\w+)`", names.split(" (")[0])}
    classes = {name: getattr(errors, name) for name in errors.__all__ if name != "KrakenwireError"}
    assert told.keys() == classes.keys()
    for name, error in classes.items():
        expected = "mostly" if name in ("ConnectFailed", "RestFailed") else "yes" if error.retryable else "no"
        assert told[name] == expected, name
