"""The command line in processes of its own, as a user's shell would run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

import krakenwire
from krakenwire.cli import main

__all__ = ["KRAKENWIRE", "TIMEOUT", "Ended", "call", "end", "environment", "objects", "run", "running", "simulator"]

KRAKENWIRE = (sys.executable, "-m", "krakenwire")
TIMEOUT = 50
"""Seconds until a process counts as hanging; far above what a busy machine needs."""


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would change what a command does or says; the same krakenwire is found."""
    changing = ("KRAKEN_", "KRAKENWIRE_DEBUG", "KRAKENWIRE_LOG", "PYTHONASYNCIODEBUG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(changing)}
    kept["PYTHONPATH"] = str(Path(krakenwire.__file__).parent.parent)
    # Tracebacks and JSON are looked at, and neither a terminal's width nor its colours are ours to inherit.
    kept |= {"COLUMNS": "120", "LINES": "50", "TERM": "dumb", "NO_COLOR": "1"}
    return kept | dict(extra or {})


def run(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    program: tuple[str, ...] = KRAKENWIRE,
) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        [*program, *map(str, arguments)],
        env=environment(env),
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def call(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end within this process: for what ends before it does anything, help and wrong usage.

    What it raises but for its exit is raised here.
    """
    with (
        mock.patch.dict(os.environ, environment(env), clear=True),
        mock.patch.object(sys, "argv", ["krakenwire", *map(str, arguments)]),
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
        pytest.raises(SystemExit) as ended,
    ):
        main()
    code = ended.value.code or 0
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())


@contextmanager
def running(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    stderr: int = subprocess.PIPE,
    program: tuple[str, ...] = KRAKENWIRE,
) -> Iterator[Any]:
    """A command while it runs: a `Popen` with pipes; killed at the end if it has not ended."""
    process = subprocess.Popen(
        [*program, *map(str, arguments)], env=environment(env), stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: int = signal.SIGINT) -> Ended:
    """Ask it to end by a signal, and wait until it has."""
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT)
    return Ended(process.returncode, out or "", err or "")


@contextmanager
def simulator(*arguments: str) -> Iterator[dict[str, str]]:
    """`krakenwire sim` in a process of its own; the environment that points a client at it."""
    with running("sim", "--json", *arguments, stderr=subprocess.DEVNULL) as process:
        env: dict[str, str] = json.loads(process.stdout.readline())["env"]
        yield env


def objects(out: str) -> list[dict[str, Any]]:
    """The JSON objects of an output that has one on each line, and nothing else."""
    found = [json.loads(line) for line in out.splitlines()]
    assert all(isinstance(each, dict) for each in found)
    return found
