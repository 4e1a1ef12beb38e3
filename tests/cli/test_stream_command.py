"""`krakenwire stream`: events as lines, for people and for programs."""

from __future__ import annotations

import asyncio
import json
import signal
from decimal import Decimal

import pytest

from helpers.processes import KRAKENWIRE, TIMEOUT, end, environment, objects, run, running, simulator
from krakenwire.sim.server import SimulatorServer

Environment = dict[str, str]


def test_json_events_are_one_a_line_with_exact_numbers(simulated: Environment) -> None:
    ended = run("stream", "book", "trade", "ticker", "-s", "BTC/USD,ETH/USD", "--json", "--count", "60", env=simulated)
    assert ended.code == 0
    events = objects(ended.out)
    assert len(events) == 60
    assert {event["channel"] for event in events} == {"book", "trade", "ticker"}
    assert {event["symbol"] for event in events} == {"BTC/USD", "ETH/USD"}
    trade = next(event for event in events if event["event"] == "Trade")
    assert isinstance(trade["price"], str)
    assert Decimal(trade["qty"]) > 0
    snapshot = next(event for event in events if event["event"] == "BookUpdate")
    assert (snapshot["type"], snapshot["outcome"], len(snapshot["bids"])) == ("snapshot", "verified", 10)
    assert snapshot["best_bid"] == snapshot["bids"][0]
    assert all(event["received_ns"] > 0 and event["connection"] == "public" for event in events)
    assert "60 events" in ended.err


def test_every_message_of_a_book_is_printed_however_fast_they_come() -> None:
    with simulator("--rate", "0", "--symbols", "BTC/USD") as env:
        ended = run("stream", "book", "-s", "BTC/USD", "--json", "-n", "3000", env=env)
    numbers = [event["seq"] for event in objects(ended.out)]
    heartbeats = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert len(numbers) == 3000
    assert numbers == sorted(set(numbers))
    assert 0 <= heartbeats < 30  # one a second


def test_depth_and_interval_are_what_is_subscribed(simulated: Environment) -> None:
    options = ("--depth", "25", "--interval", "5", "--json", "--count", "5")
    events = objects(run("stream", "book", "ohlc", "-s", "BTC/USD", *options, env=simulated).out)
    assert {event["depth"] for event in events if event["event"] == "BookUpdate"} == {25}
    assert {event["interval"] for event in events if event["event"] == "Ohlc"} == {5}


def test_lines_for_people_name_event_and_symbol(simulated: Environment) -> None:
    ended = run("stream", "trade", "-s", "xbt/usd", "-n", "3", env=simulated)
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 3
    assert all(line.split()[:2] == ["Trade", "BTC/USD"] for line in ended.out.splitlines())


def test_all_is_every_instrument(simulated: Environment) -> None:
    events = objects(run("stream", "book", "--symbol", "all", "--json", "-n", "40", env=simulated).out)
    assert len({event["symbol"] for event in events}) == 20


def test_instruments_need_no_symbol(simulated: Environment) -> None:
    events = objects(run("stream", "instrument", "--json", "--seconds", "0.5", env=simulated).out)
    assert {event["event"] for event in events} <= {"Instrument", "Asset"}
    assert len({event["symbol"] for event in events if event["event"] == "Instrument"}) == 20


def test_url_goes_before_the_environment(simulated: Environment) -> None:
    url = simulated["KRAKEN_WS_PUBLIC_URL"]
    elsewhere = {"KRAKEN_WS_PUBLIC_URL": "ws://127.0.0.1:1/v2"}
    assert run("stream", "book", "-s", "BTC/USD", "-n", "1", "--url", url, env=elsewhere).code == 0


def test_since_begins_in_the_past_and_goes_on_live() -> None:
    with simulator("--rate", "50", "--symbols", "BTC/USD") as env:
        assert run("stream", "trade", "-s", "BTC/USD", "-n", "20", env=env).code == 0  # so that there is a past
        url = env.pop("KRAKEN_WS_PUBLIC_URL")  # REST is where the environment says
        with running("stream", "trade", "-s", "BTC/USD", "--since", "1m", "--json", "--url", url, env=env) as process:
            lines: list[str] = []
            while not lines or json.loads(lines[-1])["source"] != "live":
                lines.append(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            lines += process.stdout.readlines()
            err = process.communicate(timeout=TIMEOUT)[1]
    events = objects("".join(lines))
    assert (process.returncode, events[0]["source"], events[-1]["source"]) == (0, "backfill", "live")
    first = events[0]["trade_id"]
    assert [event["trade_id"] for event in events] == list(range(first, first + len(events)))
    assert f"{len(events)} events" in err


def test_since_asks_no_other_exchange_than_that_of_the_stream(simulated: Environment) -> None:
    env = {"KRAKEN_WS_PUBLIC_URL": simulated["KRAKEN_WS_PUBLIC_URL"]}
    ended = run("stream", "trade", "-s", "BTC/USD", "--since", "30s", env=env)
    assert (ended.code, ended.out) == (3, "")
    assert "KRAKEN_SPOT_URL" in ended.err


def test_mirror_is_two_connections_and_says_so(simulated: Environment) -> None:
    options = ("--mirror", "-s", "BTC/USD", "--json", "-n", "20")
    ended = run("--log-level", "info", "stream", "book", *options, env=simulated)
    assert ended.code == 0
    assert {event["outcome"] for event in objects(ended.out)} == {"verified"}
    assert {"connection=public", "connection=public~"} <= set(ended.err.split())


def test_it_ends_after_its_seconds(simulated: Environment) -> None:
    ended = run("stream", "trade", "-s", "BTC/USD", "--seconds", "0.2", "--json", env=simulated)
    assert ended.code == 0
    assert all(event["event"] == "Trade" for event in objects(ended.out))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("trade", "-s", "BTC/USX"), "did you mean BTC/USD"),
        (("quotes", "-s", "BTC/USD"), "book, trade, ticker, ohlc, instrument"),
        (("book", "-s", "BTC/USD", "--depth", "11"), "10, 25, 100, 500, 1000"),
        (("ohlc", "-s", "BTC/USD", "--interval", "7"), "interval"),
        (("trade",), "--symbol BTC/USD"),
        (("trade", "-s", "BTC/USD", "--since", "1 hour"), "90s, 15m, 2h or 1d"),
        (("trade", "-s", "BTC/USD", "--since", "0s"), "90s, 15m, 2h or 1d"),
        (("trade", "-s", "BTC/USD", "--since", "2026-11-22T14:00:00"), "with its zone"),
        (("trade", "-s", "BTC/USD", "--since", "2100-01-01T00:00:00Z"), "in the future"),
        (("trade", "book", "-s", "BTC/USD", "--since", "1h"), "trade alone"),
        (("trade", "-s", "BTC/USD", "--url", "http://127.0.0.1/v2"), "--url: expected wss:// or ws://"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(
    simulated: Environment, arguments: tuple[str, ...], expected: str
) -> None:
    ended = run("stream", *arguments, env=simulated)
    assert (ended.code, ended.out) == (2, "")
    assert expected in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_cleanly(simulated: Environment, number: int) -> None:
    with running("stream", "book", "-s", "BTC/USD", "--json", env=simulated) as process:
        first = process.stdout.readline()
        ended = end(process, number)
    assert ended.code == 0
    assert objects(first + ended.out)
    assert " event" in ended.err
    assert "Traceback" not in ended.err


def test_reader_that_goes_away_ends_it_quietly(simulated: Environment) -> None:
    with running("stream", "book", "-s", "BTC/USD", "--json", env=simulated) as process:
        json.loads(process.stdout.readline())
        process.stdout.close()
        process.stdout = None  # or communicate would read from it
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert "Disconnected" not in err, "our own close is no news"


async def test_cut_connection_is_told_and_the_stream_goes_on() -> None:
    async with SimulatorServer(rate=200) as server:
        process = await asyncio.create_subprocess_exec(
            *KRAKENWIRE,
            *("stream", "book", "-s", "BTC/USD", "--json"),
            env=environment(server.env()),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        lines = aiter(process.stdout)
        await anext(lines)
        await server.drop_connections()
        snapshots = 0
        seen = []
        while snapshots == 0:
            event = json.loads(await anext(lines))
            seen.append(event["event"])
            snapshots += event.get("type") == "snapshot"
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 0
    assert "Loss" in seen
    notes = [line.split()[0] for line in err.decode().splitlines()]
    assert notes.index("Disconnected") < notes.index("Connected") < notes.index("BookResynced")
