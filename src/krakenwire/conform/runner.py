"""All rules tried on one server: lanes side by side, the rules of a lane in turn."""

from __future__ import annotations

import asyncio
import difflib
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from krakenwire.clock import NS_PER_S, Clock
from krakenwire.conform.rule import Lane, Rule
from krakenwire.conform.rules import RULES
from krakenwire.conform.subject import PATIENCE_S, Subject
from krakenwire.conform.target import Target
from krakenwire.conform.verdict import Outcome, Verdict
from krakenwire.errors import ConnectFailed, UnknownSymbol, UsageError

__all__ = ["OnOutcome", "Report", "choose", "examine", "report_of"]

SIDE_BY_SIDE: tuple[Lane, ...] = ("watch", "apart")
"""Lanes whose rules do not wait for each other."""

OnOutcome = Callable[[Rule, Outcome, int, int], object]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rules that were asked for.

    Attributes:
        outcomes: one for each, in the order of `RULES`.
        unreachable: why a door could not be connected to, one text each; empty if all could.
        seconds: how long it took.
    """

    outcomes: tuple[Outcome, ...]
    unreachable: tuple[str, ...]
    seconds: float

    def count(self, verdict: Verdict) -> int:
        """How many rules fared so."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)

    @property
    def holds(self) -> bool:
        """Whether no rule was found broken."""
        return not self.count("broken")


def choose(ids: Iterable[str] | None) -> tuple[Rule, ...]:
    """The rules of these ids, or that begin with one of them and a point; all if None.

    Raises:
        UsageError: an id names none.
    """
    if ids is None:
        return RULES
    wanted = list(ids)
    for name in wanted:
        if not any(_is_named(rule, name) for rule in RULES):
            raise UsageError(f"--only: no rule is called {name!r}; --list shows them all")
    return tuple(rule for rule in RULES if any(_is_named(rule, name) for name in wanted))


def _is_named(rule: Rule, name: str) -> bool:
    return rule.id == name or rule.id.startswith(f"{name}.")


async def examine(
    target: Target,
    rules: Sequence[Rule] = RULES,
    *,
    clock: Clock,
    ssl_context: ssl.SSLContext | None = None,
    patience: float = PATIENCE_S,
    on_outcome: OnOutcome | None = None,
    outcomes: dict[str, Outcome] | None = None,
) -> Report:
    """Try rules on a server.

    Args:
        target: the server, and how far to go.
        rules: which.
        clock: what times are taken from.
        ssl_context: how certificates are checked; the system's CAs by default.
        patience: seconds within which an answer counts as one.
        on_outcome: called after each rule with the rule, its outcome, how many are done, and of how many.
        outcomes: is filled as they come, so that what there is can be reported of a run that is cancelled.

    Raises:
        ConnectFailed: the public WebSocket cannot be reached, so nothing can be tested.
        UnknownSymbol: the server does not list the target's symbol.

    Cancellation: partial; connections are closed, and orders that were placed are cancelled.
    """
    began_ns = clock.monotonic_ns()
    found: dict[str, Outcome] = {} if outcomes is None else outcomes
    unreachable: dict[str, None] = {}

    def tell(rule: Rule, outcome: Outcome) -> None:
        found[rule.id] = outcome
        if on_outcome is not None:
            on_outcome(rule, outcome, len(found), len(rules))

    async def try_one(subject: Subject, rule: Rule) -> None:
        try:
            outcome = await rule.try_on(subject)
        except ConnectFailed as error:
            unreachable[str(error)] = None
            outcome = Outcome(id=rule.id, verdict="not tested", note=str(error))
        tell(rule, outcome)

    async def try_lane(subject: Subject, lane: list[Rule]) -> None:
        for rule in lane:
            await try_one(subject, rule)

    async with Subject(target, clock=clock, ssl_context=ssl_context, patience=patience) as subject:
        first = await subject.open()
        await first.close()
        listed = await subject.symbols()
        if listed and target.symbol not in listed:
            raise UnknownSymbol(target.symbol, tuple(difflib.get_close_matches(target.symbol, listed, n=5, cutoff=0.4)))
        lanes: dict[Any, list[Rule]] = {}
        for rule in rules:
            why = target.why_not(rule.lane)
            if why:
                tell(rule, Outcome(id=rule.id, verdict="not tested", note=why))
            else:
                lanes.setdefault(rule.id if rule.lane in SIDE_BY_SIDE else rule.lane, []).append(rule)
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes.values():
                    group.create_task(try_lane(subject, lane))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
    return report_of(rules, found, tuple(unreachable), (clock.monotonic_ns() - began_ns) / NS_PER_S)


def report_of(rules: Sequence[Rule], found: dict[str, Outcome], unreachable: tuple[str, ...], seconds: float) -> Report:
    """The report of a run; rules without an outcome were not tested."""
    missing = "interrupted"
    outcomes = tuple(found.get(rule.id) or Outcome(id=rule.id, verdict="not tested", note=missing) for rule in rules)
    return Report(outcomes=outcomes, unreachable=unreachable, seconds=seconds)
