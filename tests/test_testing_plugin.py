"""The pytest plugin, in runs of pytest of their own, as a user's project would have it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import krakenwire
import pytest_krakenwire
from krakenwire.testing import SimulatorThread

SOURCE = Path(krakenwire.__file__).resolve().parents[1]


def run_pytest(directory: Path, test: str, *arguments: str) -> str:
    """Run pytest on a user's test file; what it wrote."""
    (directory / "test_bot.py").write_text(textwrap.dedent(test))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "KRAKEN"))}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "pytest_krakenwire", "-p", "no:randomly", "--strict-markers"),
            # pytest-asyncio wants a setting that no two users agree on.
            *("-W", "error", "-W", "ignore::pytest.PytestDeprecationWarning"),
            *("-vv", "--rootdir", str(directory), "-c", os.devnull, *arguments, str(directory)),
        ],
        cwd=directory,
        env=env | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_plugin_is_registered() -> None:
    (found,) = entry_points(group="pytest11", name="pytest_krakenwire")
    assert found.load() is pytest_krakenwire


def test_a_synchronous_test_and_an_asynchronous_one_get_a_simulator_each(tmp_path: Path) -> None:
    output = run_pytest(
        tmp_path,
        """
        import json
        import urllib.request

        import pytest
        from krakenwire import Client

        URLS = set()

        def test_rest(kraken_simulator):
            URLS.add(kraken_simulator.rest_url)
            with urllib.request.urlopen(f"{kraken_simulator.rest_url}/0/public/SystemStatus", timeout=10) as reply:
                assert json.load(reply)["result"]["status"] == "online"

        @pytest.mark.asyncio
        async def test_websocket(kraken_simulator, monkeypatch):
            URLS.add(kraken_simulator.rest_url)
            for name, value in kraken_simulator.env().items():
                monkeypatch.setenv(name, value)
            async with Client() as kraken, kraken.book("BTC/USD") as book:
                await book.synced(timeout=10)
            assert len(URLS) == 2
        """,
    )
    assert "2 passed" in output


def test_marks_say_how_it_is_made_and_the_nearest_counts(tmp_path: Path) -> None:
    output = run_pytest(
        tmp_path,
        """
        import pytest

        @pytest.mark.kraken_simulator(symbols=["ETH/USD"], rate=0, accounts={"me": {"USD": "7"}})
        class TestBot:
            def test_class(self, kraken_simulator):
                assert kraken_simulator.server.symbols == ("ETH/USD",)
                assert kraken_simulator.balances("me")["USD"] == 7

            @pytest.mark.kraken_simulator(symbols=["BTC/USD"], tls=True)
            def test_function(self, kraken_simulator):
                assert kraken_simulator.server.symbols == ("BTC/USD",)
                assert kraken_simulator.balances("me")["USD"] == 7
                assert kraken_simulator.url.startswith("wss://")
        """,
    )
    assert "2 passed" in output


def test_a_mark_that_is_wrong_is_told_without_a_traceback_of_ours(tmp_path: Path) -> None:
    output = run_pytest(
        tmp_path,
        """
        import pytest

        @pytest.mark.kraken_simulator(speed=3)
        def test_unknown(kraken_simulator):
            pass

        @pytest.mark.kraken_simulator("BTC/USD")
        def test_nameless(kraken_simulator):
            pass

        @pytest.mark.kraken_simulator(symbols=["BTC/EURO"])
        def test_unlisted(kraken_simulator):
            pass
        """,
    )
    assert "3 errors" in output
    for complaint in ("unexpected keyword argument 'speed'", "arguments by name only", "BTC/EUR"):
        assert complaint in output
    assert "pytest_krakenwire.py" not in output.partition("short test summary")[0]


def test_it_needs_no_plugin_for_asyncio(tmp_path: Path) -> None:
    test = """
        def test_it(kraken_simulator):
            assert kraken_simulator.truth("BTC/USD", 1)
        """
    assert "1 passed" in run_pytest(tmp_path, test, "-p", "no:asyncio")


def test_the_fixture_and_the_mark_are_listed(tmp_path: Path) -> None:
    listed = run_pytest(tmp_path, "", "--fixtures", "-q")
    assert "kraken_simulator" in listed
    assert "A simulated Kraken exchange on loopback sockets" in listed
    assert "@pytest.mark.kraken_simulator(symbols=" in run_pytest(tmp_path, "", "--markers")


def test_a_session_that_does_not_use_it_imports_nothing_of_the_package(tmp_path: Path) -> None:
    test = """
        import sys

        def test_it():
            assert [name for name in sys.modules if name.partition(".")[0] == "krakenwire"] == []
        """
    assert "1 passed" in run_pytest(tmp_path, test)


def test_the_plugin_imports_only_pytest_until_it_is_used() -> None:
    tree = ast.parse(Path(pytest_krakenwire.__file__).read_text("utf-8"))
    imported = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [line for line in imported if "krakenwire" in line] == []


def test_the_marker_is_of_the_fixtures_name() -> None:
    assert hasattr(pytest_krakenwire, pytest_krakenwire.MARKER)


@pytest.mark.kraken_simulator(symbols=["BTC/USD"], seed=7, rate=0)
def test_the_same_seed_gives_the_same_prices(kraken_simulator: SimulatorThread) -> None:
    with SimulatorThread(["BTC/USD"], seed=7, rate=0) as other:
        assert other.truth("BTC/USD", 100) == kraken_simulator.truth("BTC/USD", 100)
