"""Which implementation of blocks runs, and that both have one face."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from krakenwire.journal.format import blocks, pure

SOURCE = str(Path(blocks.__file__).resolve().parents[3])


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "KRAKENWIRE_PURE"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, "PYTHONPATH": SOURCE, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_compiled_is_the_default() -> None:
    done = run("from krakenwire.journal.format import BlockWriter, read_block; print(BlockWriter.__module__)")
    assert done.stdout.split() == ["krakenwire.journal.format.blocks"], done.stderr


def test_environment_chooses_the_pure_one() -> None:
    code = (
        "import sys; from krakenwire.journal.format import BlockWriter, read_block;"
        "print(BlockWriter.__module__, read_block.__module__, 'krakenwire.journal.format.blocks' in sys.modules)"
    )
    done = run(code, KRAKENWIRE_PURE="1")
    assert done.stdout.split() == ["krakenwire.journal.format.pure"] * 2 + ["False"], done.stderr


def test_missing_extension_is_an_error_that_says_how_to_build_it() -> None:
    done = run("import sys; sys.modules['krakenwire.journal.format.blocks'] = None; import krakenwire.journal.format")
    assert done.returncode == 1
    assert "python setup.py build_ext --inplace" in done.stderr
    assert "KRAKENWIRE_PURE=1" in done.stderr


def test_both_have_the_same_face() -> None:
    assert sorted(blocks.__all__) == sorted(pure.__all__)
    names = [{name for name in dir(it) if name[0] != "_"} for it in (blocks.BlockWriter, pure.BlockWriter)]
    assert names[0] == names[1]
    pairs = [(getattr(blocks, name), getattr(pure, name)) for name in ("close_block", "read_block")]
    pairs += [
        (getattr(blocks.BlockWriter, name), getattr(pure.BlockWriter, name)) for name in ("frame", "line", "take")
    ]
    for one, other in pairs:
        ours, theirs = (inspect.signature(it).parameters.values() for it in (one, other))
        assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs]
        assert (inspect.getdoc(one) or "").partition("\n")[0] == (inspect.getdoc(other) or "-").partition("\n")[0]


@pytest.mark.timeout(300)  # mypy, which an instrumented run makes five times as slow
def test_stub_is_true_to_the_compiled_module(require: Callable[[object, str], None], tmp_path: Path) -> None:
    require(find_spec("mypy"), "mypy, which has stubtest, is not installed")
    allowed = tmp_path / "allowed"
    # Cython gives every __init__ the signature (*args, **kwargs).
    allowed.write_text("krakenwire\\.journal\\.format\\.blocks\\.\\w+\\.__init__\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "krakenwire.journal.format.blocks"),
            *("--ignore-missing-stub", "--allowlist", str(allowed)),
        ],
        env={**os.environ, "PYTHONPATH": SOURCE, "MYPYPATH": SOURCE},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
