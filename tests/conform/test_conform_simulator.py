"""The simulator keeps every rule, over real sockets."""

from __future__ import annotations

import pytest

from helpers.conformance import Flaw, rule_of, served, try_rules
from krakenwire.conform import RULES

SECONDS = 10.0


async def test_simulator_with_all_its_symbols_keeps_every_rule() -> None:
    async with served(Flaw(server={"symbols": None, "rate": 500.0})) as server:
        outcomes = await try_rules(server, RULES, seconds=SECONDS, patience=5.0)
    assert {each.id: each for each in outcomes.values() if each.verdict == "broken"} == {}
    assert {each.id for each in outcomes.values() if each.verdict == "not tested"} == {"inactivity"}


# A price of nine decimals, one that is no money, and a book of eight levels.
@pytest.mark.parametrize("symbol", ["PEPE/USD", "ETH/BTC", "MINA/GBP"])
async def test_rules_hold_for_other_symbols_too(symbol: str) -> None:
    async with served(Flaw(server={"symbols": [symbol, "BTC/USD"]})) as server:
        outcomes = await try_rules(server, RULES, seconds=4.0, patience=5.0, symbol=symbol)
    assert {each.id: each for each in outcomes.values() if each.verdict == "broken"} == {}
    untested = {each.id for each in outcomes.values() if each.verdict == "not tested"}
    allowed = {"inactivity", "book.truncation", "rest.depth_default"} if symbol == "MINA/GBP" else {"inactivity"}
    assert untested <= allowed


@pytest.mark.long
async def test_simulator_closes_an_inactive_connection_after_a_minute() -> None:
    async with served(Flaw()) as server:
        outcomes = await try_rules(server, [rule_of("inactivity")], seconds=90.0)
    assert outcomes["inactivity"].verdict == "holds"


async def test_orders_of_the_suite_do_not_outlive_it() -> None:
    async with served(Flaw()) as server:
        await try_rules(server, [rule for rule in RULES if rule.lane == "account"], patience=5.0)
        assert server.exchange.market.engine.open_orders("alice") == []
