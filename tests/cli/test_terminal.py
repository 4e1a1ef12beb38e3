"""What is drawn on a terminal, seen through a real one."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from helpers.processes import environment

SECONDS = 30


class Screen:
    """A terminal of 80 columns and 24 lines, in a tmux server of its own."""

    def __init__(self) -> None:
        self._server = ("tmux", "-L", f"krakenwire-test-{uuid4().hex}", "-f", "/dev/null")

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        """Run krakenwire there; then its exit code is shown."""
        variables = environment({"TERM": "screen-256color", **(env or {})})
        del variables["COLUMNS"], variables["LINES"], variables["NO_COLOR"]
        command = shlex.join([sys.executable, "-m", "krakenwire", *arguments])
        subprocess.run(
            [*self._server, "new-session", "-d", "-x", "80", "-y", "24", f"{command}; echo exit $?; exec sleep 100"],
            env=variables,
            check=True,
        )

    def text(self) -> str:
        """What stands on it now."""
        return subprocess.run([*self._server, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout

    def resize(self, columns: int, lines: int) -> None:
        """Give its window another size."""
        subprocess.run([*self._server, "resize-window", "-x", str(columns), "-y", str(lines)], check=True)

    def press(self, key: str) -> None:
        subprocess.run([*self._server, "send-keys", key], check=True)

    def close(self) -> None:
        subprocess.run([*self._server, "kill-server"], check=False, capture_output=True)

    def wait_for(self, seen: Callable[[str], bool]) -> str:
        """Look again and again until it is there."""
        deadline = time.monotonic() + SECONDS
        while not seen(text := self.text()):
            assert time.monotonic() < deadline, text
        return text


@pytest.fixture
def screen(require: Callable[[object, str], None]) -> Iterator[Screen]:
    require(shutil.which("tmux"), "tmux is not installed, and what is drawn on a terminal is seen through it")
    screen = Screen()
    try:
        yield screen
    finally:
        screen.close()


def test_demo_shows_a_live_table_and_then_the_report(screen: Screen) -> None:
    screen.start("demo", "--seconds", "60", "--rate", "1000")
    first = screen.wait_for(lambda text: "MINA/GBP" in text)
    for heading in ("symbol", "bid", "ask", "spread", "messages", "verified", "trades"):
        assert heading in first
    total = _total(first)
    screen.wait_for(lambda text: _total(text) > total)
    assert "…" not in first, "all of it fits"
    screen.resize(60, 20)
    screen.wait_for(lambda text: "…" in text)
    screen.resize(80, 24)
    screen.wait_for(lambda text: "…" not in text and "MINA/GBP" in text)
    screen.press("C-c")
    last = screen.wait_for(lambda text: "exit 0" in text)
    assert "every one verified by its checksum" in last
    assert "12 of 12 final books" in last
    assert last.count("MINA/GBP") == 1, "nothing is left over"
    assert "disconnected" not in last


def _total(text: str) -> int:
    row = next((line.split() for line in text.splitlines() if line.startswith("all ")), None)
    return -1 if row is None else int(row[1].replace(",", ""))


def test_book_shows_a_ladder_that_moves(screen: Screen, simulated: dict[str, str]) -> None:
    screen.start("book", "BTC/USD", "--depth", "100", "--levels", "25", env=simulated)
    first = screen.wait_for(lambda text: "synced, top 10 proven, checksum" in text)
    assert "█" in first
    assert len(first.splitlines()) == 24
    assert first.splitlines()[12].startswith("-- spread"), "ten levels a side are what fits"
    screen.wait_for(lambda text: "spread" in text and text != first)
    screen.resize(50, 12)
    screen.wait_for(lambda text: text.splitlines()[6].startswith("-- spread"))
    screen.resize(80, 24)
    screen.press("C-c")
    last = screen.wait_for(lambda text: "exit 0" in text)
    assert last.count("top 10 proven") == 1, "nothing is left over"
    assert "Traceback" not in last
