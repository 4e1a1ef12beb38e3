"""The command: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from soak import __main__ as command
from soak.process import Child, ChildDied
from soak.records import Shelf, read_true

CHECKOUT = Path(__file__).resolve().parents[2]
SOAK = (sys.executable, "-m", "soak")


def run(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SOAK, *map(str, arguments)], cwd=CHECKOUT, capture_output=True, text=True, timeout=55, check=False, **more
    )


def test_short_soak_holds_and_says_so_as_json(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = run(
        "--seconds",
        "3",
        "--faults-per-second",
        "5",
        "--rate",
        "2000",
        "--memory-faults",
        "10",
        "--keep",
        kept,
        "--json",
    )
    verdict = json.loads(done.stdout)
    assert [claim for claims in verdict["claims"].values() for claim in claims if claim[2] is False] == []
    assert done.returncode == 0, done.stderr
    assert verdict["claims"].keys() == {"sockets", "journal", "memory"}
    assert [claim[2] for claim in verdict["claims"]["journal"]] == [True, True, None]
    assert verdict["interrupted"] is False
    assert sum(each["injected"] for each in verdict["figures"]["sockets"]["faults"].values()) >= 5
    assert len(read_true(Shelf(kept / "exchange").data("true=BTC_USD"))) > 10


def test_interrupt_gives_the_verdict_so_far() -> None:
    command_line = [*SOAK, "--seconds", "600", "--rate", "1000"]
    with subprocess.Popen(command_line, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as soak:
        assert soak.stdout is not None
        try:
            for line in soak.stdout:
                if " messages " in line:
                    break
            soak.send_signal(signal.SIGINT)
            rest = soak.stdout.read()
            assert soak.wait(timeout=50) in (0, 1)
        finally:
            soak.kill()
    assert "interrupted: this is the verdict so far" in rest
    assert "no book with a wrong top ten" in rest


@pytest.mark.parametrize(
    "arguments", [["--seconds", "0"], ["--rate", "-1"], ["--memory-faults", "-1"], ["--nonsense"], ["--keep", "."]]
)
def test_wrong_usage_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == command.USAGE
    assert "usage:" in capsys.readouterr().err


def test_what_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(self: Child, *_arguments: str) -> Child:
        raise ChildDied(f"{self.name} did not come up")

    monkeypatch.setattr(Child, "start", fail)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert command.main(["--json"]) == command.NOT_STARTED
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "soak.market did not come up" in capsys.readouterr().err


def test_help_names_every_option_and_code() -> None:
    done = run("--help", env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0
    names = ("--seconds", "--seed", "--faults-per-second", "--rate", "--mirror", "--io-thread", "--json", "--keep")
    for name in (*names, "--no-journal"):
        assert name in done.stdout
    assert "0 all holds, 1 something is wrong, 2 usage, 3 it could not start" in done.stdout
