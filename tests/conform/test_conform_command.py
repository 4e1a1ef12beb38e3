"""`krakenwire conform`: what it prints, how it ends, and where it refuses to trade."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.conformance import Flaw, served
from helpers.processes import TIMEOUT, end, objects, run, running, simulator
from krakenwire.conform import RULES

NOBODY = "ws://127.0.0.1:1/v2"
REWRITE = r'rewrite:pattern="\"depth\":25",replacement="\"depth\":52",channel=answer'


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    """The environment that points at a simulator and its first account."""
    with simulator("--symbols", "BTC/USD,ETH/USD", "--rate", "1000") as found:
        yield found


def test_list_has_every_rule_and_connects_nowhere() -> None:
    ended = run("conform", "--list", "--url", NOBODY)
    assert ended.code == 0
    for rule in RULES:
        assert f"  {rule.id} " in ended.out
    assert "UNCONFIRMED" in ended.out


def test_list_as_json_is_one_object() -> None:
    ended = run("conform", "--list", "--json", "--only", "book")
    (listed,) = objects(ended.out)
    assert [rule["id"] for rule in listed["rules"]] == [rule.id for rule in RULES if rule.id.startswith("book.")]
    assert set(listed["rules"][0]) == {"id", "section", "provenance", "rule", "needs"}


def test_rules_that_hold_end_with_0_and_stand_under_their_sections(env: dict[str, str]) -> None:
    ended = run("conform", "--only", "book.checksum,ack,token.issue", "--only", "rest.time", env=env)
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"^2\.2 answers\n  holds +ack\.shape +DOC WIRE", ended.out, re.MULTILINE)
    assert re.search(
        r"^6\.1 checksum of the book\n  holds +book\.checksum +DOC WIRE +\d+ messages", ended.out, re.MULTILINE
    )
    assert re.search(r"^  holds +token\.issue", ended.out, re.MULTILINE)
    assert re.search(r"^\d+ holds, 0 broken, 0 observed, 0 not tested; \d+\.\d s$", ended.out, re.MULTILINE)


def test_json_is_one_object_with_each_rule_and_its_provenance(env: dict[str, str]) -> None:
    ended = run("conform", "--json", "--only", "pong.shape,observe.wildcard", env=env)
    (report,) = objects(ended.out)
    assert ended.code == 0
    assert (report["holds"], report["broken"], report["observed"], report["not_tested"]) == (1, 0, 1, 0)
    assert report["url"] == env["KRAKEN_WS_PUBLIC_URL"]
    assert env["KRAKEN_API_SECRET"] not in ended.out
    held, observed = report["rules"]
    assert (held["id"], held["section"], held["provenance"]) == ("pong.shape", "3.3", ["DOC", "WIRE"])
    assert (held["verdict"], observed["verdict"]) == ("holds", "observed")
    assert observed["note"]


def test_environment_that_tls_prints_is_enough_for_sockets_and_rest() -> None:
    with simulator("--symbols", "BTC/USD", "--tls") as env:
        ended = run("conform", "--only", "pong.shape,rest.time,token.issue", env=env)
    assert (ended.code, ended.err) == (0, "")
    assert "3 holds, 0 broken, 0 observed, 0 not tested" in ended.out


def test_broken_rule_ends_with_1_and_says_what_was_expected_and_what_came() -> None:
    with simulator("--symbols", "BTC/USD", "--fault", REWRITE) as env:
        ended = run("conform", "--only", "book.ack,pong.shape", env=env)
        as_json = run("conform", "--only", "book.ack", "--json", env=env)
    assert ended.code == as_json.code == 1
    assert re.search(r"^  broken +book\.ack", ended.out, re.MULTILINE)
    assert "expected `depth` to be one of 25" in ended.out
    assert re.search(r"^ +got +52$", ended.out, re.MULTILINE)
    assert re.search(r"^ +frame +\{.*\"depth\":52", ended.out, re.MULTILINE)
    (report,) = objects(as_json.out)
    assert report["rules"][0]["verdict"] == "broken"
    assert report["rules"][0]["got"] == "52"


def test_nobody_there_ends_with_3() -> None:
    ended = run("conform", "--url", NOBODY)
    assert (ended.code, ended.out) == (3, "")
    assert f"cannot connect to {NOBODY}" in ended.err
    assert "Traceback" not in ended.err


def test_door_that_is_shut_ends_with_3_and_what_could_be_tested_is_told(env: dict[str, str]) -> None:
    ended = run("conform", "--only", "pong.shape,rest.time", env=env | {"KRAKEN_SPOT_URL": "http://127.0.0.1:1"})
    assert ended.code == 3
    assert "1 holds, 0 broken, 0 observed, 1 not tested" in ended.out
    assert "cannot connect to http://127.0.0.1:1" in ended.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--only", "weather"), "no rule is called 'weather'"),
        (("--url", "https://example.com"), "--url"),
        (("--rest-url", "ws://example.com"), "--rest-url"),
        (("--symbol", "BTCUSD"), "BASE/QUOTE"),
        (("--ca", "nothing.pem"), "cannot read nothing.pem"),
        (("--trading",), "KRAKEN_API_KEY"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], complaint: str) -> None:
    ended = run("conform", *arguments, env={"KRAKEN_WS_PUBLIC_URL": NOBODY})
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err


def test_symbol_that_the_server_does_not_list_is_wrong_usage(env: dict[str, str]) -> None:
    ended = run("conform", "--symbol", "BTC/UST", env=env)
    assert (ended.code, ended.out) == (2, "")
    assert "BTC/USD" in ended.err


def test_certificate_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    ended = run("conform", "--ca", file, "--url", NOBODY)
    assert ended.code == 2
    assert str(file) in ended.err


def test_server_with_a_certificate_of_its_own_is_tested_with_its_ca(tmp_path: Path) -> None:
    with running("sim", "--json", "--tls", "--symbols", "BTC/USD", "--rate", "500") as process:
        ready = json.loads(process.stdout.readline())
        rules = ("--only", "pong.shape,rest.time,token.issue,level3.ack")
        # By itself the environment would do: it names the file in SSL_CERT_FILE.
        env = {name: value for name, value in ready["env"].items() if name != "SSL_CERT_FILE"}
        trusting = run("conform", *rules, "--ca", ready["ca_file"], env=env)
        distrusting = run("conform", *rules, env=env)
        end(process)
    assert trusting.code == 0, trusting
    assert "4 holds" in trusting.out
    assert distrusting.code == 3
    assert "certificate" in distrusting.err


def test_without_keys_private_rules_are_not_tested_and_it_is_said_what_they_need(env: dict[str, str]) -> None:
    keyless = {name: value for name, value in env.items() if not name.startswith("KRAKEN_API")}
    ended = run("conform", "--only", "pong.shape,balances,level3.ack", env=keyless)
    assert ended.code == 0
    assert "not tested: needs an account: KRAKEN_API_KEY and KRAKEN_API_SECRET" in ended.out


def test_secret_that_cannot_be_one_is_wrong_usage_and_not_shown(env: dict[str, str]) -> None:
    ended = run("conform", "--only", "token.issue", env=env | {"KRAKEN_API_SECRET": "not base64!"})
    assert (ended.code, ended.out) == (2, "")
    assert "not valid base64" in ended.err
    assert "not base64!" not in ended.err
    assert "Traceback" not in ended.err


async def test_interrupt_ends_it_with_what_is_known_so_far() -> None:
    async with served(Flaw()) as server:
        arguments = ("--url", server.url, "--seconds", "90", "--only", "ack.shape,inactivity", "--json")
        with running("conform", *arguments) as process:
            await until(lambda: bool(server.exchange.peers))
            ended = await asyncio.to_thread(end, process)
    (report,) = objects(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert [rule["note"] for rule in report["rules"] if rule["id"] == "inactivity"] == ["interrupted"]


async def test_interrupt_cancels_the_orders_that_are_open() -> None:
    async with served(Flaw()) as server:
        engine = server.exchange.market.engine
        alice = server.exchange.accounts.credentials("alice")
        env = server.env() | {"KRAKEN_API_KEY": alice.key, "KRAKEN_API_SECRET": alice.secret}
        # For most of its time it has an order open.
        with running("conform", "--only", "executions.snapshot_declined", env=env) as process:
            await until(lambda: bool(engine.open_orders("alice")))
            ended = await asyncio.to_thread(end, process)
        assert ended.code == 0
        assert "1 not tested" in ended.out
        assert engine.open_orders("alice") == []


async def until(holds: Callable[[], bool]) -> None:
    """Let the server work until something holds."""
    async with asyncio.timeout(TIMEOUT):
        while not holds():  # noqa: ASYNC110  # the engine tells nobody when it takes an order
            await asyncio.sleep(0.005)
