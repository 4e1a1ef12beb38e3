"""`krakenwire demo`: watch a client hold proven books."""

from __future__ import annotations

import asyncio
import functools
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from krakenwire.book import KERNEL
from krakenwire.cli.demo_run import Demo, Outcome, Plan
from krakenwire.cli.demo_table import watch
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.metrics import DEFAULT_ADDR, MetricsAddrOption, MetricsPortOption
from krakenwire.cli.options import (
    BundlesOption,
    DepthOption,
    JournalOption,
    JsonOption,
    RateOption,
    SeedOption,
    listings_of,
    rate_of,
)
from krakenwire.cli.output import print_json, print_line
from krakenwire.cli.screen import can_draw
from krakenwire.errors import UsageError
from krakenwire.sim.instruments import default_listings

__all__ = ["EXAMPLES", "conclude", "demo"]

EXAMPLES = (
    "krakenwire demo",
    "krakenwire demo --seconds 5 --rate 0",
    "krakenwire demo --symbols BTC/USD,ETH/USD --depth 1000",
    "krakenwire demo --messages 3000 --seed 7 --json",
)

DEFAULT_SECONDS = 20.0

DEFAULT_SYMBOLS = 12
"""The table of these is as high as a small terminal."""


@reports_errors
def demo(
    *,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, metavar="S", help="How long; 20 by default.", show_default=False)
    ] = None,
    messages: Annotated[
        int | None,
        typer.Option(
            "--messages",
            min=1,
            metavar="N",
            help="How many messages instead: with one seed, the same on every run.",
            show_default=False,
        ),
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbols",
            metavar="SYMBOL,...",
            help="Of the simulated market, separated by commas or given repeatedly; twelve of them by default.",
            show_default=False,
        ),
    ] = None,
    depth: DepthOption = 100,
    rate: RateOption = 5000.0,
    seed: SeedOption = 0,
    metrics_port: MetricsPortOption = None,
    metrics_addr: MetricsAddrOption = DEFAULT_ADDR,
    bundles: BundlesOption = None,
    journal: JournalOption = None,
    json: JsonOption = False,
) -> None:
    """Watch a client hold proven books over a real socket, against the built-in simulator.

    At the end every book message must have been proven by its checksum, and every final book must equal the
    simulator's own, level by level; otherwise the exit code is 1. Ctrl-C ends it early, with the report.
    """
    if seconds is not None and messages is not None:
        raise UsageError("--seconds and --messages exclude each other; give one of them")
    plan = Plan(
        listings=listings_of(symbols) if symbols else default_listings()[:DEFAULT_SYMBOLS],
        depth=depth,
        rate=rate_of(rate),
        seed=seed,
        seconds=DEFAULT_SECONDS if seconds is None and messages is None else seconds,
        messages=messages,
        metrics=(metrics_port, metrics_addr),
        bundles=bundles,
        journal=journal,
    )
    conclude(asyncio.run(_demo(plan)), plan, json=json)


def conclude(outcome: Outcome, plan: Plan, *, json: bool) -> None:
    """Print the report.

    Raises:
        typer.Exit: with 1, if something was not as it must be.
    """
    if json:
        print_json(
            msgspec.to_builtins(outcome.report)
            | {"books": outcome.books, "books_equal": outcome.books_equal, "seed": plan.seed, "kernel": KERNEL}
        )
    else:
        print_line(outcome_text(outcome, plan))
    if not outcome.is_good:
        raise typer.Exit(WRONG)


async def _demo(plan: Plan) -> Outcome:
    console = Console(stderr=True)
    with Interrupt() as interrupt:
        display = functools.partial(watch, console=console) if can_draw(console) else None
        return await Demo(plan).run(interrupt, display)


def outcome_text(outcome: Outcome, plan: Plan) -> str:
    """The report for a person."""
    report = outcome.report
    unproven = outcome.book_messages - report.verified
    proof = "every one verified by its checksum" if not unproven else f"{unproven:,} NOT verified"
    lines = [  # of 80 columns at most
        f"{report.frames:,} frames in {report.seconds:.1f} s ({report.frames_per_second:,.0f} a second), "
        f"{report.events:,} events, {report.resyncs} resyncs",
        f"{outcome.book_messages:,} book messages: {proof}; {report.mismatched} mismatched",
        f"{outcome.books_equal} of {outcome.books} final books equal the simulator's own, level by level: "
        f"{outcome.levels:,} levels",
        *(f"  DIFFERENT: {difference}" for difference in outcome.differences),
        f"{KERNEL} kernel, depth {plan.depth}, seed {plan.seed}",
        f"state  {report.state_digest}",
        f"events {report.event_digest}",
    ]
    return "\n".join(lines)
