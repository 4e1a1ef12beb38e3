"""Which implementation runs, and that both have one face."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.book import kernel, pure

SOURCE = str(Path(kernel.__file__).resolve().parents[2])


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
    done = run("from krakenwire.book import KERNEL, Books; print(KERNEL, Books.__module__)")
    assert done.stdout.split() == ["compiled", "krakenwire.book.kernel"], done.stderr


def test_environment_chooses_the_pure_one() -> None:
    code = (
        "import sys; from krakenwire.book import KERNEL, Books, BookUpdate;"
        "print(KERNEL, Books.__module__, BookUpdate.__module__, 'krakenwire.book.kernel' in sys.modules)"
    )
    done = run(code, KRAKENWIRE_PURE="1")
    assert done.stdout.split() == ["pure", "krakenwire.book.pure.books", "krakenwire.book.pure.update", "False"], (
        done.stderr
    )


def test_missing_extension_is_an_error_that_says_how_to_build_it() -> None:
    code = "import sys; sys.modules['krakenwire.book.kernel'] = None; import krakenwire.book"
    done = run(code)
    assert done.returncode == 1
    assert "python setup.py build_ext --inplace" in done.stderr
    assert "KRAKENWIRE_PURE=1" in done.stderr


@pytest.mark.parametrize("variable", ["", "1"])
def test_numpy_is_not_needed_to_import_or_apply(variable: str) -> None:
    code = (
        "import sys; sys.modules['numpy'] = None; from krakenwire.book import Books; books = Books();"
        "books.add('A/B', 10); print(books.apply(b'{}', []))"
    )
    assert run(code, KRAKENWIRE_PURE=variable).stdout.split() == ["-1"]


def test_both_have_the_same_names() -> None:
    assert sorted(kernel.__all__) == sorted(pure.__all__)
    for name in ("NOT_BOOK", "QUIET", "NOTABLE", "UNKNOWN"):
        assert getattr(kernel, name) == getattr(pure, name)
    for one, other in (
        (kernel.Books, pure.Books),
        (kernel.BookState, pure.BookState),
        (kernel.BookUpdate, pure.BookUpdate),
    ):
        public = [{name for name in dir(it) if not name.startswith("_")} for it in (one, other)]
        assert public[0] >= public[1], one
    live = pure.Books().add("A/B", 10), kernel.Books().add("A/B", 10)
    assert {name for name in dir(live[0]) if name[0] != "_"} == {name for name in dir(live[1]) if name[0] != "_"}
    books = pure.Books(), kernel.Books()
    assert {name for name in dir(books[0]) if name[0] != "_"} == {name for name in dir(books[1]) if name[0] != "_"}


def test_both_take_the_same_arguments() -> None:
    for one, other in ((kernel.Books, pure.Books), (kernel.BookState, pure.BookState)):
        for name, method in inspect.getmembers(other, inspect.isfunction):
            if name.startswith("_"):
                continue
            ours = inspect.signature(getattr(one, name)).parameters.values()
            theirs = inspect.signature(method).parameters.values()
            assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs], name


def test_stub_is_true_to_the_compiled_module(require: Callable[[object, str], None], tmp_path: Path) -> None:
    require(find_spec("mypy"), "mypy, which has stubtest, is not installed")
    allowed = tmp_path / "allowed"
    # Cython gives every __init__ the signature (*args, **kwargs).
    allowed.write_text("krakenwire\\.book\\.kernel\\.\\w+\\.__init__\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "krakenwire.book.kernel"),
            *("--ignore-missing-stub", "--allowlist", str(allowed)),
        ],
        env={**os.environ, "PYTHONPATH": SOURCE, "MYPYPATH": SOURCE},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@given(st.binary(max_size=700))
def test_checksum_is_zlibs_with_and_without_the_processors_help(data: bytes) -> None:
    assert kernel._crc32(data, True) == kernel._crc32(data, False) == zlib.crc32(data)
