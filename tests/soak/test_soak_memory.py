"""The soak's in-memory phase: the client under hundreds of faults of every kind, beside the exchange's own truth."""

from __future__ import annotations

from typing import Any

import pytest

from krakenwire.protocol.books.bookkeeper import BookKeeper
from soak.memory import LifeVerdict, run_memory
from soak.plan import Plan
from soak.verdict import memory_claims


def plan(faults: int, seed: int = 1) -> Plan:
    return Plan(seconds=0, seed=seed, faults_per_second=1, rate=1, mirror=False, io_thread=False, memory_faults=faults)


def failing(total: LifeVerdict) -> list[str]:
    return [f"{claim.what}: {claim.measured}" for claim in memory_claims(total) if claim.holds is False]


async def test_client_holds_under_every_kind_of_fault() -> None:
    total = await run_memory(plan(200))
    assert failing(total) == []
    assert total.books.compared > 1_000
    assert sum(total.faults.touched.values()) > 150


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_client_holds_under_ten_thousand_faults() -> None:
    assert failing(await run_memory(plan(10_000, seed=1_000))) == []


async def test_client_that_believes_everything_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(self: BookKeeper, *_: Any, **__: Any) -> list[Any]:
        """Take a wrong book for a right one."""
        return []

    monkeypatch.setattr(BookKeeper, "look_at", trusting)
    total = await run_memory(plan(60))
    assert any("wrong top ten" in each for each in failing(total))
    assert any("found at that message" in each for each in failing(total))


async def test_client_that_loses_a_trade_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from soak import witness

    see = witness.Witness.see
    lost = 0

    def forgetful(self: witness.Witness, events: Any) -> None:
        nonlocal lost
        kept = [event for event in events if getattr(event, "trade_id", 1) % 50]
        lost += len(events) - len(kept)
        see(self, kept)

    monkeypatch.setattr(witness.Witness, "see", forgetful)
    total = await run_memory(plan(10))
    assert lost
    assert any("no trade was lost" in each for each in failing(total))
