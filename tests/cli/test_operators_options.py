"""What operators ask of commands: metrics over HTTP, and a log on stderr."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator

import pytest

from helpers.processes import Ended, end, objects, run, running
from helpers.scrape import Scrape, fetch

Environment = dict[str, str]
SERVED = re.compile(r"krakenwire: metrics are served at (http://127\.0\.0\.1:[0-9]+/metrics)")


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    "command", [("stream", "trade", "-s", "BTC/USD", "--json"), ("book", "BTC/USD", "--json")], ids=lambda c: c[0]
)
def test_metrics_are_served_while_a_command_runs(command: tuple[str, ...], simulated: Environment) -> None:
    with running(*command, "--metrics-port", "0", env=simulated) as process:
        served = SERVED.match(process.stderr.readline())
        assert served is not None
        for _ in range(3):
            process.stdout.readline()
        seen = Scrape(fetch(served[1]))
        end(process)
    assert seen.value("connection_up", connection="public") == 1
    assert seen.total("events_total") > 0


def test_metrics_of_a_demo_are_served_too() -> None:
    with running("demo", "--seconds", "30", "--rate", "100", "--metrics-port", "0", "--json") as process:
        served = SERVED.match(process.stderr.readline())
        assert served is not None
        assert Scrape(fetch(served[1])).value("up") == 1
        end(process)


@pytest.mark.parametrize("command", [("stream", "trade", "-s", "BTC/USD"), ("book", "BTC/USD"), ("demo",)])
def test_a_port_in_use_is_told_before_anything_is_connected(command: tuple[str, ...], taken: int) -> None:
    ended = run(*command, "--metrics-port", str(taken), env={"KRAKEN_WS_PUBLIC_URL": "ws://127.0.0.1:1/v2"})
    assert ended == Ended(
        2,
        "",
        f"krakenwire: metrics cannot be served on 127.0.0.1 port {taken}: Address already in use; "
        "port 0 has the system choose one\n",
    )


def test_without_the_extra_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['prometheus_client'] = None; from krakenwire.cli import main; main()"
    ended = run("book", "BTC/USD", "--metrics-port", "0", program=(sys.executable, "-c", script))
    assert ended == (
        2,
        "",
        "krakenwire: --metrics-port needs the extra `metrics`: pip install 'krakenwire[metrics]'\n",
    )


def test_without_the_option_the_extra_is_not_needed(simulated: Environment) -> None:
    script = "import sys; sys.modules['prometheus_client'] = None; from krakenwire.cli import main; main()"
    assert (
        run("stream", "trade", "-s", "BTC/USD", "-n", "1", env=simulated, program=(sys.executable, "-c", script))[0]
        == 0
    )


@pytest.mark.parametrize("how", ["options", "variables"])
def test_the_log_is_one_object_a_line(how: str, simulated: Environment) -> None:
    options = ("--log-level", "debug", "--log-format", "json") if how == "options" else ()
    env = {"KRAKENWIRE_LOG": "debug", "KRAKENWIRE_LOG_FORMAT": "json"} if how == "variables" else {}
    ended = run(*options, "stream", "trade", "-s", "BTC/USD", "-n", "3", env=simulated | env)
    assert ended.code == 0
    lines = objects("\n".join(line for line in ended.err.splitlines() if line.startswith("{")))
    connected = next(line for line in lines if line.get("event") == "Connected")
    assert (connected["level"], connected["logger"]) == ("info", "krakenwire.lifecycle")
    assert connected["connection"] == "public"
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{9}Z", connected["time"])
    assert any(line.get("event") == "Subscribed" and line["channel"] == "trade" for line in lines)


def test_the_log_is_text_for_people_and_only_what_is_grave_enough(simulated: Environment) -> None:
    ended = run("--log-level", "info", "stream", "trade", "-s", "BTC/USD", "-n", "3", env=simulated)
    assert re.search(
        r"^[0-9-]+T\S+Z info    krakenwire\.lifecycle: connected event=Connected connection=public epoch=0",
        ended.err,
        re.M,
    )
    assert "Subscribed" not in ended.err


def test_without_options_nothing_is_logged(simulated: Environment) -> None:
    ended = run("stream", "trade", "-s", "BTC/USD", "-n", "3", env=simulated)
    assert ended.err == "3 events\n"


@pytest.mark.parametrize(("option", "value"), [("--log-level", "loud"), ("--log-format", "xml")])
def test_nonsense_is_refused_with_what_there_is(option: str, value: str) -> None:
    ended = run(option, value, "doctor")
    assert ended.code == 2
    assert value in ended.err
    assert ("warning" if option == "--log-level" else "json") in ended.err
