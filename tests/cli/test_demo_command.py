"""`krakenwire demo`: the proof, the figures, the same result every time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import threading
from typing import Any

import msgspec
import pytest
import typer

from helpers.processes import TIMEOUT, end, objects, run, running
from krakenwire import Report
from krakenwire.cli.demo import conclude
from krakenwire.cli.demo_run import Demo, Outcome, Plan
from krakenwire.cli.difference import Difference
from krakenwire.cli.interrupt import Interrupt
from krakenwire.sim.instruments import select


def demo(*arguments: str, **env: str) -> dict[str, Any]:
    ended = run("demo", "--json", *arguments, env=env)
    assert ended.code == 0, ended.err
    (figures,) = objects(ended.out)
    return figures


@pytest.fixture(scope="module")
def fixed() -> dict[str, Any]:
    """The figures of one fixed run."""
    return demo("--messages", "3000", "--seed", "7")


def test_json_is_one_object_with_the_report_and_the_comparison(fixed: dict[str, Any]) -> None:
    fields = {field.name for field in msgspec.structs.fields(Report)}
    assert fixed.keys() == fields | {"books", "books_equal", "seed", "kernel"}
    assert (fixed["books"], fixed["books_equal"], fixed["symbols"], fixed["seed"]) == (12, 12, 12, 7)


def test_every_book_message_is_verified(fixed: dict[str, Any]) -> None:
    assert fixed["verified"] == fixed["by_type"]["BookUpdate"] > 2000
    assert (fixed["mismatched"], fixed["ignored"], fixed["undecodable"]) == (0, 0, 0)
    assert fixed["events"] == sum(fixed["by_type"].values())


@pytest.mark.parametrize("kernel", ["", "1"], ids=["same kernel", "pure kernel"])
def test_same_seed_gives_the_same_digests_again(fixed: dict[str, Any], kernel: str) -> None:
    again = demo("--messages", "3000", "--seed", "7", KRAKENWIRE_PURE=kernel or os.environ.get("KRAKENWIRE_PURE", ""))
    timed = {"seconds", "frames_per_second", "kernel"}
    assert {key: again[key] for key in again.keys() - timed} == {key: fixed[key] for key in fixed.keys() - timed}
    assert again["kernel"] == ("pure" if kernel else fixed["kernel"])


def test_pace_does_not_change_what_happens(fixed: dict[str, Any]) -> None:
    unpaced = demo("--messages", "3000", "--seed", "7", "--rate", "0")
    assert (unpaced["state_digest"], unpaced["event_digest"]) == (fixed["state_digest"], fixed["event_digest"])


@pytest.mark.long
def test_silence_does_not_get_into_what_happens() -> None:
    # More than ten seconds without a message, at which a client would ping.
    slow, fast = (demo("--messages", "1", "--seed", "3", "--rate", rate) for rate in ("0.08", "0"))
    assert slow["seconds"] > 12
    assert (slow["state_digest"], slow["event_digest"]) == (fast["state_digest"], fast["event_digest"])


def test_another_seed_gives_another_market(fixed: dict[str, Any]) -> None:
    other = demo("--messages", "3000", "--seed", "8", "--rate", "0")
    assert other["state_digest"] != fixed["state_digest"]
    assert other["event_digest"] != fixed["event_digest"]


def test_report_for_people_says_what_was_proven() -> None:
    ended = run("demo", "--seconds", "0.5", "--symbols", "BTC/USD,XBT/EUR", "--symbols", "MINA/GBP", "--depth", "10")
    assert ended.code == 0
    assert "every one verified by its checksum; 0 mismatched" in ended.out
    assert "3 of 3 final books equal the simulator's own" in ended.out
    assert "depth 10, seed 0" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert ended.err == ""


def test_unknown_symbol_names_the_nearest() -> None:
    ended = run("demo", "--symbols", "BTC/USX")
    assert (ended.code, ended.out) == (2, "")
    assert "BTC/USD" in ended.err


def look_at(screen: int, drawn: threading.Event) -> None:
    """Read a terminal until nobody writes to it any more."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells the end of it
        while chunk := os.read(screen, 4096):
            shown += chunk
            if b"BTC/USD" in shown:
                drawn.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_the_report(number: int) -> None:
    screen, stderr = pty.openpty()
    drawn = threading.Event()
    reading = threading.Thread(target=look_at, args=(screen, drawn))
    try:
        # It draws on stderr, since that is a terminal: once a row is there, it runs.
        with running("demo", "--json", env={"TERM": "xterm"}, stderr=stderr) as process:
            os.close(stderr)
            reading.start()
            assert drawn.wait(TIMEOUT)
            ended = end(process, number)
    finally:
        reading.join()
        os.close(screen)
    (figures,) = objects(ended.out)
    assert ended.code == 0
    assert figures["books_equal"] == figures["books"] == 12
    assert figures["seconds"] < 20


def plan(**changes: Any) -> Plan:
    usual: dict[str, Any] = {
        "listings": select(["BTC/USD", "ETH/USD"]),
        "depth": 10,
        "rate": None,
        "seed": 1,
        "seconds": None,
        "messages": 500,
    }
    return Plan(**usual | changes)


async def run_here(of: Plan, *, corrupted: str | None = None) -> Outcome:
    async def corrupt(demo: Demo) -> None:
        assert demo.server is not None
        if corrupted is not None:
            demo.server.exchange.faults.inject("corrupt_checksum", symbol=corrupted)
        await asyncio.Event().wait()

    with Interrupt() as interrupt:
        return await Demo(of).run(interrupt, corrupt)


async def test_message_with_a_wrong_checksum_is_found_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = await run_here(plan(), corrupted="BTC/USD")
    assert outcome.report.mismatched == 1
    assert not outcome.is_good
    with pytest.raises(typer.Exit) as ended:
        conclude(outcome, plan(), json=False)
    assert ended.value.exit_code == 1
    assert "1 mismatched" in capsys.readouterr().out


async def test_book_that_differs_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    good = await run_here(plan())
    conclude(good, plan(), json=False)
    difference = Difference("BTC/USD", "bids", 3, ("1.0", "2.0"), None)
    different = Outcome(report=good.report, books=2, levels=good.levels, differences=(difference,))
    assert different.books_equal == 1
    with pytest.raises(typer.Exit) as ended:
        conclude(different, plan(), json=False)
    assert ended.value.exit_code == 1
    out = capsys.readouterr().out
    assert "1 of 2 final books" in out
    assert str(difference) in out


async def test_exactly_as_many_messages_as_asked_for_are_played() -> None:
    with Interrupt() as interrupt:
        run_of = Demo(plan(messages=777))
        outcome = await run_of.run(interrupt)
    assert run_of.tally.messages == 777
    assert outcome.is_good
