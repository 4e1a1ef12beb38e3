"""What holds for all commands: help, version, exit codes, errors without tracebacks."""

from __future__ import annotations

import re
import sys

import pytest

from helpers.processes import Ended, call, objects, run
from krakenwire import __version__
from krakenwire.sim.instruments import default_listings

COMMANDS = ("demo", "stream", "book", "replay", "sim", "conform", "doctor")


def test_version_is_printed_alone() -> None:
    assert run("--version") == (0, f"krakenwire {__version__}\n", "")


def test_help_names_every_command_and_the_exit_codes() -> None:
    ended = run("--help")
    assert ended.code == 0
    for word in (*COMMANDS, "Exit codes", "--debug", "--install-completion"):
        assert word in ended.out


@pytest.fixture(scope="module")
def helped() -> dict[str, Ended]:
    return {command: call(command, "--help") for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples_of_it(command: str, helped: dict[str, Ended]) -> None:
    ended = helped[command]
    assert ended.code == 0
    assert f"krakenwire {command}" in ended.out.partition("Examples:")[2]
    assert "--json" in ended.out


WRONG = (
    ("frobnicate",),
    ("demo", "--frobnicate"),
    ("demo", "--seconds", "soon"),
    ("demo", "--seconds", "1", "--messages", "1"),
    ("demo", "--depth", "7"),
    ("sim", "--symbols", "BTC"),
    ("stream",),
    ("stream", "trade"),
    ("replay",),
)


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_ends_with_2_and_no_traceback(arguments: tuple[str, ...]) -> None:
    ended = call(*arguments, env={"KRAKEN_WS_PUBLIC_URL": "ws://127.0.0.1:1/v2"})
    assert (ended.code, ended.out) == (2, "")
    assert ended.err
    assert "Traceback" not in ended.err


def test_wrong_endpoint_in_the_environment_is_named() -> None:
    ended = run("stream", "trade", "-s", "BTC/USD", env={"KRAKEN_WS_PUBLIC_URL": "https://example.com"})
    assert ended.code == 2
    assert "KRAKEN_WS_PUBLIC_URL" in ended.err


@pytest.mark.parametrize("command", [("stream", "trade", "-s", "BTC/USD"), ("book", "BTC/USD")], ids=" ".join)
def test_nobody_listening_ends_with_3(command: tuple[str, ...]) -> None:
    ended = run(*command, "--url", "ws://127.0.0.1:1/v2")
    assert (ended.code, ended.out) == (3, "")
    assert "cannot connect to ws://127.0.0.1:1/v2" in ended.err
    assert "Traceback" not in ended.err


def test_doctor_reports_in_json_and_tells_an_unreachable_exchange_by_3(simulated: dict[str, str]) -> None:
    ended = run("doctor", "--json", "--timeout", "20", env={**simulated, "KRAKEN_SPOT_URL": "http://127.0.0.1:1"})
    (report,) = objects(ended.out)
    status = {check["name"]: check["status"] for check in report["checks"]}
    assert (status["kernel"], status["websocket"], status["rest"]) in (
        ("ok", "ok", "failed"),
        ("warning", "ok", "failed"),
    )
    assert (report["status"], ended.code, ended.err) == ("failed", 3, "")


def test_doctor_refuses_what_is_no_address() -> None:
    ended = run("doctor", "--url", "https://example.com")
    assert (ended.code, ended.out) == (2, "")
    assert "wss://" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_a_command_work_with_the_simulator_too(command: str, helped: dict[str, Ended]) -> None:
    traded = {listing.symbol for listing in default_listings()}
    examples = helped[command].out.partition("Examples:")[2]
    assert set(re.findall(r"[A-Z]{3,}/[A-Z]{3}", examples)) <= traded


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_that_is_not_unicode_is_no_error(encoding: str) -> None:
    ended = run("sim", "--help", env={"PYTHONIOENCODING": encoding})
    assert (ended.code, ended.err) == (0, "")
    assert "Examples" in ended.out


def test_output_that_is_closed_swallows_what_is_printed() -> None:
    ended = run("-c", 'exec "$0" -m krakenwire "$@" >&-', sys.executable, "--version", program=("sh",))
    assert ended == (0, "", "")


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback_too(how: str) -> None:
    option, env = ("--debug",) if how == "option" else (), {"KRAKENWIRE_DEBUG": "1"} if how == "variable" else {}
    ended = run(*option, "book", "BTC/USD", "--url", "ws://127.0.0.1:1/v2", env=env)
    assert ended.code == 3
    assert "Traceback" in ended.err
    assert "ConnectFailed" in ended.err


@pytest.mark.parametrize("absent", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(absent: str) -> None:
    script = f"import sys; sys.modules[{absent!r}] = None; from krakenwire.cli import main; main()"
    ended = run("--version", program=(sys.executable, "-c", script))
    assert ended == (2, "", "krakenwire needs the cli extra: pip install 'krakenwire[cli]'\n")


def test_library_is_imported_without_the_extra() -> None:
    script = (
        "import sys; sys.modules['typer'] = sys.modules['rich'] = None; import krakenwire; print(krakenwire.KERNEL)"
    )
    assert run(program=(sys.executable, "-c", script)).code == 0
