"""Where the foreign clients are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import pytest

Require = Callable[[object, str], None]
Foreign = Callable[[str], str]


@pytest.fixture(scope="session")
def foreign(require: Require) -> Foreign:
    """`foreign("ccxt")` gives the interpreter that has it, or skips.

    They come by `make foreign`; `KRAKENWIRE_FOREIGN_PYTHON` names another interpreter that has them.
    """
    python = os.environ.get("KRAKENWIRE_FOREIGN_PYTHON") or sys.executable

    @cache
    def has(module: str) -> bool:
        find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        return subprocess.run([python, "-c", find], check=False).returncode == 0

    def interpreter(module: str) -> str:
        require(has(module), f"{python} has no {module}; `make foreign` installs it")
        return python

    return interpreter
