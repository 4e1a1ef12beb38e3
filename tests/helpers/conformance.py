"""The suite on the simulator, with a fault in it: injected by its own faults, or tampered with by a function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from krakenwire.clock import SystemClock
from krakenwire.conform import RULES, Credentials, Outcome, Rule, Target, examine
from krakenwire.sim.faults import Faults
from krakenwire.sim.feed.stream import Stream
from krakenwire.sim.peer import Peer
from krakenwire.sim.rest.api import RestApi
from krakenwire.sim.server import SimulatorServer

__all__ = ["Answer", "Flaw", "RestTamper", "Tamper", "rule_of", "served", "target_of", "try_rules"]

PATIENCE_S = 2.0
"""Enough for an answer over loopback, and what a rule that waits in vain costs."""

Tamper = Callable[[Peer, Stream | None, bytes], Sequence[bytes]]
"""What is sent instead of a frame."""

Answer = Callable[[str], tuple[int, bytes]]
"""What answers a query: with an HTTP status and a body."""

RestTamper = Callable[[str, str, bytes, Answer], tuple[int, bytes]]
"""The answer to (path, query, body), given what would answer a query."""


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a server that breaks one rule.

    Attributes:
        faults: kinds and parameters to inject.
        tamper: makes the function that alters frames.
        rest: alters the answers of REST.
        server: arguments of `SimulatorServer`.
        seconds: how long feeds are watched.
    """

    faults: tuple[tuple[str, dict[str, Any]], ...] = ()
    tamper: Callable[[], Tamper] | None = None
    rest: RestTamper | None = None
    server: dict[str, Any] = field(default_factory=dict)
    seconds: float = 5.0


class _TamperedFaults(Faults):
    """The faults of an exchange, and a function at the end of them."""

    def __init__(self, server: SimulatorServer, tamper: Tamper) -> None:
        super().__init__(server.exchange)
        self.is_active = True
        self._tamper = tamper

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        return self._tamper(peer, stream, frame)


def rule_of(rule_id: str) -> Rule:
    """A rule by its id."""
    return next(rule for rule in RULES if rule.id == rule_id)


def target_of(server: SimulatorServer, *, seconds: float = 5.0, symbol: str = "BTC/USD") -> Target:
    """Everything of a simulator, and one of its accounts."""
    alice = server.exchange.accounts.credentials("alice")
    return Target(
        public=server.url,
        auth=server.auth_url,
        l3=server.l3_url,
        rest=server.rest_url,
        symbol=symbol,
        seconds=seconds,
        credentials=Credentials(alice.key, alice.secret),
    )


@asynccontextmanager
async def served(flaw: Flaw, monkeypatch: pytest.MonkeyPatch | None = None) -> AsyncIterator[SimulatorServer]:
    """A simulator with a flaw."""
    options: dict[str, Any] = {"symbols": ["BTC/USD", "ETH/USD"], "rest_port": 0, "rate": 2000.0} | flaw.server
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SimulatorServer(**options))
        if flaw.tamper is not None:
            server.exchange.faults = _TamperedFaults(server, flaw.tamper())
        for kind, parameters in flaw.faults:
            server.exchange.faults.inject(kind, **parameters)
        if flaw.rest is not None:
            assert monkeypatch is not None
            _tamper_rest(monkeypatch, flaw.rest)
        yield server


async def try_rules(
    server: SimulatorServer,
    rules: Sequence[Rule],
    *,
    seconds: float = 5.0,
    patience: float = PATIENCE_S,
    symbol: str = "BTC/USD",
) -> dict[str, Outcome]:
    """What becomes of rules, by id."""
    target = target_of(server, seconds=seconds, symbol=symbol)
    report = await examine(target, rules, clock=SystemClock(), patience=patience)
    return {outcome.id: outcome for outcome in report.outcomes}


def _tamper_rest(monkeypatch: pytest.MonkeyPatch, tamper: RestTamper) -> None:
    true = RestApi.handle

    def handle(self: RestApi, method: str, path: str, query: str = "", **more: Any) -> tuple[int, bytes]:
        return tamper(path, query, more.get("body", b""), lambda asked: true(self, method, path, asked, **more))

    monkeypatch.setattr(RestApi, "handle", handle)
