"""Each rule is shown to fail: on a simulator with a fault that breaks it, and nothing beside it."""

from __future__ import annotations

import pytest

from helpers.conformance import Flaw, rule_of, served, try_rules
from helpers.flaws import FLAWS, OBSERVED
from krakenwire.conform import RULES

SLOW = {
    "add_order.gtd",
    "add_order.validate",
    "connection.kept",
    "executions.snapshot_declined",
    "heartbeat.needs_subscription",
    "heartbeat.rate",
    "heartbeat.shape",
    "heartbeat.unconditional",
    "inactivity",
    "rate.exceeded",
    "subscribe.snapshot_false",
    "trade.no_snapshot_by_default",
    "unsubscribe.stops",
}
"""They wait whether something comes, and are tried only under their own fault."""


def neighbours(rule_id: str) -> list[str]:
    """The rules that stand in the same file, and so read the same frames."""
    module = rule_of(rule_id).check.__module__
    return [
        rule.id for rule in RULES if rule.id == rule_id or (rule.check.__module__ == module and rule.id not in SLOW)
    ]


def test_every_rule_has_a_fault_that_breaks_it() -> None:
    assert {rule.id for rule in RULES if not rule.is_observation} == set(FLAWS)
    assert {rule.id for rule in RULES if rule.is_observation} == set(OBSERVED)


@pytest.mark.parametrize("rule_id", FLAWS)
async def test_rule_is_found_broken_under_its_fault_and_its_neighbours_are_not(
    rule_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flaw = FLAWS[rule_id]
    async with served(flaw, monkeypatch) as server:
        outcomes = await try_rules(server, [rule_of(each) for each in neighbours(rule_id)], seconds=flaw.seconds)
    broken = {each: outcome for each, outcome in outcomes.items() if outcome.verdict == "broken"}
    assert set(broken) == {rule_id}, outcomes
    assert broken[rule_id].expected
    assert broken[rule_id].got


@pytest.mark.long
@pytest.mark.parametrize("rule_id", FLAWS)
async def test_fault_breaks_no_rule_anywhere_else(rule_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flaw = FLAWS[rule_id]
    rules = [rule for rule in RULES if rule.id == rule_id or rule.id not in SLOW]
    async with served(flaw, monkeypatch) as server:
        outcomes = await try_rules(server, rules, seconds=flaw.seconds)
    assert {each for each, outcome in outcomes.items() if outcome.verdict == "broken"} == {rule_id}


@pytest.mark.parametrize("rule_id", OBSERVED)
async def test_observation_tells_what_it_sees_and_is_never_broken(rule_id: str) -> None:
    sight = OBSERVED[rule_id]
    rules = [rule_of(rule_id)]
    if rule_id == "observe.executions_steps":
        rules.insert(0, rule_of("executions.new_order"))  # so that something is told
    async with served(sight.flaw) as server:
        seen = (await try_rules(server, rules))[rule_id]
    assert seen.verdict == "observed"
    assert sight.seen in seen.note


async def test_observation_that_gets_no_answer_says_so_and_is_not_broken() -> None:
    flaw = Flaw(faults=(("rewrite", {"pattern": '.*"method":"frobnicate".*', "channel": "answer"}),))
    async with served(flaw) as server:
        outcomes = await try_rules(server, [rule_of("observe.unknown_method")])
    assert outcomes["observe.unknown_method"].verdict == "observed"
    assert "none within" in outcomes["observe.unknown_method"].note
