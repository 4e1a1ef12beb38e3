"""The page on replay is true: its snippets run. So does the example."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from helpers.tapes import tape_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "replay.md").read_text("utf-8")
PRELUDE, *SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
async def test_snippet_runs(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    await tape_of(tmp_path / "tape", seconds=4.0)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for text in (PRELUDE, snippet):
        code: CodeType = compile(text, "replay.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)  # noqa: S307  # our own page
        if inspect.iscoroutine(result):
            await result
    if "print(" in snippet:
        out = capsys.readouterr().out
        assert out.strip() not in ("", "None", "0")


def test_example_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "record_and_replay.py"), "--seconds", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^live: +\d+ looks, \d+ signals", ended.stdout, re.MULTILINE), ended.stdout
    assert re.search(r"^replay: \d+ looks, \d+ signals .* the same: True$", ended.stdout, re.MULTILINE), ended.stdout
