"""The same proof on the in-memory transport and a manual clock: many seeds, many faults, no socket and no waiting.

    python -m soak.memory DIRECTORY

The plan is read from the directory, and what came of it so far is written there after each life.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from krakenwire import Client
from krakenwire.events import Event
from krakenwire.testing import Simulator

from .books import BooksVerdict, compare_all
from .complaints import keep_errors
from .outcomes import FaultsVerdict, altered_windows, judge_faults
from .plan import SYMBOLS, Plan
from .process import say
from .records import Shelf
from .stage import Stage, rescaled_symbols
from .tape import TapeVerdict, compare_tapes
from .watched import Outcome, frames_of
from .witness import Told, Witness, gaps_of

__all__ = ["LifeVerdict", "MemoryState", "live", "run_memory"]

FAULTS_A_LIFE = 250
"""Of one simulator and client; then come others, with the next seed."""

BETWEEN_S = 0.2
"""Simulated seconds from one fault to the next."""

RATE = 200.0
"""Frames a simulated second."""

COOL_DOWN_S = 3.0
"""Simulated seconds for which the market goes on after the last fault."""

STILL_S = 60.0
"""Simulated seconds in which everything must be whole again after that."""

SYMBOLS_A_LIFE = 6


class LifeVerdict(NamedTuple):
    """What came of one seed, or of several together."""

    lives: int
    messages: int
    books: BooksVerdict
    faults: FaultsVerdict
    tape: TapeVerdict
    troubles: list[str]
    unsynced: list[str]


async def live(plan: Plan, seed: int, faults: int) -> LifeVerdict:
    """One simulator, one client and so many faults. Cancellation: safe."""
    symbols = tuple(SYMBOLS[(seed + number) % len(SYMBOLS)] for number in range(SYMBOLS_A_LIFE))
    exchange_shelf, client_shelf = Shelf(), Shelf()
    outcomes: list[Outcome] = []
    told: list[Told] = []
    troubles: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: troubles.append(f"{context.get('message')}: {context.get('exception')!r}")
    )
    no_more_errors = keep_errors(troubles)
    simulator = Simulator(symbols, seed=seed, rate=RATE)
    stage = Stage(
        simulator.exchange, seed=seed, symbols=symbols, shelf=exchange_shelf, rest=False, tell=outcomes.append
    )
    witness: Witness | None = None

    def see(events: Sequence[Event]) -> None:
        if witness is not None:
            witness.see(events)

    async with simulator as sim:
        kraken: Client = sim.client(options=plan.options, connect_budget=plan.budget, mirror=plan.mirror, on_events=see)
        witness = Witness(kraken.core, client_shelf, told.append)
        async with (
            kraken,
            kraken.stream("book", "trade", "ticker", "ohlc", symbols=symbols, policy="conflate", on_loss="yield"),
        ):
            while stage.schedule.injected < faults:
                stage.schedule.step()
                await sim.advance(BETWEEN_S)
            stage.faults.heal_all()
            await sim.advance(COOL_DOWN_S)
            sim.exchange.keep_still(True)
            await sim.advance(STILL_S)
            unsynced = [
                f"{symbol} on {session.name}, seed {seed}"
                for session in kraken.core.sessions
                for symbol in session.books
                if (state := session.books.get(symbol)) is not None and state.status != "synced"
            ]
            told_so_far = told.copy()  # the client's own end is no trouble
    no_more_errors()
    stage.faults.settle()
    lines = stage.lines()
    books = compare_all(
        exchange_shelf, client_shelf, altered_windows(lines), frames_of(outcomes), is_mirrored=plan.mirror
    )
    return LifeVerdict(
        1,
        witness.messages,
        books,
        judge_faults(lines, outcomes, told_so_far, books.believed),
        compare_tapes(exchange_shelf, client_shelf, gaps_of(told), rescaled_symbols(lines)),
        troubles,
        unsynced,
    )


def add(first: LifeVerdict, second: LifeVerdict) -> LifeVerdict:
    """Both as one."""
    books = BooksVerdict(
        first.books.compared + second.books.compared,
        first.books.altered + second.books.altered,
        first.books.wrong + second.books.wrong,
        [],
    )
    tape = TapeVerdict(*(one + other for one, other in zip(first.tape, second.tape, strict=True)))
    return LifeVerdict(
        first.lives + second.lives,
        first.messages + second.messages,
        books,
        _both(first.faults, second.faults),
        tape,
        first.troubles + second.troubles,
        first.unsynced + second.unsynced,
    )


def _both(first: FaultsVerdict, second: FaultsVerdict) -> FaultsVerdict:
    def counts(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
        return dict(Counter(one) + Counter(other))

    def tables(one: dict[str, dict[str, int]], other: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        return {kind: counts(one.get(kind, {}), other.get(kind, {})) for kind in {**one, **other}}

    fields: dict[str, Any] = {}
    for name in FaultsVerdict.__struct_fields__:
        one, other = getattr(first, name), getattr(second, name)
        if name in ("injected", "touched"):
            fields[name] = counts(one, other)
        elif name in ("outcomes", "recovered"):
            fields[name] = tables(one, other)
        else:
            fields[name] = one + other
    return FaultsVerdict(**fields)


async def run_memory(plan: Plan, tell: Callable[[LifeVerdict], object] = lambda _: None) -> LifeVerdict:
    """As many lives as it takes for `plan.memory_faults`; `tell` is told after each. Cancellation: safe."""
    total: LifeVerdict | None = None
    injected, seed = 0, plan.seed
    while total is None or injected < plan.memory_faults:
        one = await live(plan, seed, min(FAULTS_A_LIFE, plan.memory_faults - injected))
        total = one if total is None else add(total, one)
        injected, seed = sum(total.faults.injected.values()), seed + 1
        tell(total)
    return total


class MemoryState(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is; `did` is `ready` at first."""

    did: str
    faults: int
    messages: int


def main() -> None:
    """Do as the file `plan` in the directory says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    directory = Path(sys.argv[1])
    plan = msgspec.json.decode((directory / "plan").read_bytes(), type=Plan)
    say(MemoryState(did="ready", faults=0, messages=0))

    def tell(total: LifeVerdict) -> None:
        (directory / "memory").write_bytes(msgspec.json.encode(total))
        say(MemoryState(did="", faults=sum(total.faults.injected.values()), messages=total.messages))

    asyncio.run(run_memory(plan, tell))


if __name__ == "__main__":
    main()
