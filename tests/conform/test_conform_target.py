"""How far a run may go: never with credentials or orders to another machine unless that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from helpers.conformance import Flaw, served, target_of
from helpers.processes import run
from krakenwire.clock import SystemClock
from krakenwire.conform import RULES, Credentials, Target, examine
from krakenwire.errors import UsageError
from krakenwire.net.endpoints import Endpoints

ANY = "0.0.0.0"  # noqa: S104  # connected to, not bound to: it reaches this machine
KEYS = Credentials("key", "c2VjcmV0")
HERE: dict[str, Any] = {
    "public": "ws://127.0.0.1:1/v2",
    "auth": "ws://[::1]:2/v2",
    "l3": "wss://localhost:3/v2",
    "rest": "http://127.0.0.1:4",
}
THERE: dict[str, Any] = {
    "public": "wss://example.com/v2",
    "auth": "wss://example.com/v2",
    "l3": "wss://example.com/v2",
    "rest": "https://example.com",
}


def test_private_rules_run_on_this_machine_if_there_are_keys() -> None:
    assert Target(**HERE, credentials=KEYS).why_not("account") == ""
    assert Target(**HERE, credentials=KEYS).why_not("level3") == ""
    assert "KRAKEN_API_KEY" in Target(**HERE).why_not("account")


@pytest.mark.parametrize("door", THERE)
def test_one_door_elsewhere_is_enough_for_private_rules_to_need_the_flag(door: str) -> None:
    places = HERE | {door: THERE[door]}
    for lane in ("account", "level3"):
        assert "--trading" in Target(**places, credentials=KEYS).why_not(lane)
        assert Target(**(HERE | THERE), credentials=KEYS, trading=True).why_not(lane) == ""
    assert Target(**places, credentials=KEYS).why_not("watch") == ""


@pytest.mark.parametrize("door", ["auth", "l3", "rest"])
def test_credentials_never_go_over_a_wire_in_plain_text(door: str) -> None:
    plain = THERE[door].replace("wss", "ws").replace("https", "http")
    with pytest.raises(UsageError, match="where credentials are sent"):
        Target(**(THERE | {door: plain}), credentials=KEYS, trading=True)


def test_server_of_ones_own_is_not_mixed_with_krakens_doors() -> None:
    target = Target.of_endpoints(Endpoints(public="ws://127.0.0.1:1/v2"))
    assert (target.auth, target.l3, target.rest) == (None, None, None)
    assert "--rest-url" in target.why_not("rest")
    krakens = Target.of_endpoints(Endpoints())
    assert krakens.rest == "https://api.kraken.com"


def test_no_repr_shows_a_key_or_a_secret() -> None:
    shown = repr(Target(**HERE, credentials=Credentials("K3Y", "S3CR3T")))
    assert "K3Y" not in shown
    assert "S3CR3T" not in shown


def elsewhere(target: Target) -> Target:
    """The same server by an address that is not a loopback one, and so stands for another machine's."""
    doors: dict[str, Any] = {
        name: None if url is None else url.replace("127.0.0.1", ANY)
        for name, url in (("public", target.public), ("auth", target.auth), ("l3", target.l3), ("rest", target.rest))
    }
    return replace(target, **doors)


async def test_nothing_private_is_asked_of_another_host_though_there_are_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(Flaw()) as server:
        target = elsewhere(target_of(server))
        calls: list[str] = []
        handled = server.exchange.faults.rest

        def listen(path: str, answer: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
            calls.append(path)
            return handled(path, answer)

        monkeypatch.setattr(server.exchange.faults, "rest", listen)
        server.exchange.faults.is_active = True  # or nobody would call it
        rules = [rule for rule in RULES if rule.lane in ("account", "level3") or rule.id in ("pong.shape", "rest.time")]
        report = await examine(target, rules, clock=SystemClock())
        assert server.exchange.market.engine.recent_fills("alice") == []
    assert {outcome.id for outcome in report.outcomes if outcome.verdict != "not tested"} == {"pong.shape", "rest.time"}
    assert calls == ["/0/public/Time"]


async def test_command_refuses_to_trade_in_plain_text_with_another_host() -> None:
    async with served(Flaw()) as server:
        env = {name: url.replace("127.0.0.1", ANY) for name, url in server.env().items()}
    ended = run("conform", "--trading", env=env | {"KRAKEN_API_KEY": "key", "KRAKEN_API_SECRET": "c2VjcmV0"})
    assert (ended.code, ended.out) == (2, "")
    assert "expected wss:// where credentials are sent" in ended.err
