"""The command: two processes on sockets, one in memory, and the verdict on all of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from .plan import Plan
from .run import Run
from .verdict import render

__all__ = ["main"]

OK, WRONG, USAGE, NOT_STARTED = 0, 1, 2, 3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options.

    Raises:
        SystemExit: with 2 for what cannot be, 0 for `--help`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m soak",
        description="A client and the simulator over real sockets, and once more in memory, while every kind of fault"
        " is injected; ends in a verdict.",
        epilog="Exit codes: 0 all holds, 1 something is wrong, 2 usage, 3 it could not start."
        " Ctrl-C ends it early, with the verdict so far.",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for which faults are injected on sockets (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the market, the schedule and the client's jitter (1)")
    parser.add_argument(
        "--faults-per-second", type=float, default=1.0, help="on sockets, at least one of each kind (1)"
    )
    parser.add_argument("--rate", type=float, default=12_000.0, help="frames a second that the exchange makes (12000)")
    parser.add_argument(
        "--memory-faults", type=int, help="on the in-memory transport (4 for each second, 10000 from 600 s on)"
    )
    parser.add_argument("--mirror", action="store_true", help="hold every connection twice")
    parser.add_argument("--io-thread", action="store_true", help="run the client's sockets in a thread of their own")
    parser.add_argument(
        "--no-journal", dest="journal", action="store_false", help="record no journal, and replay none at the end"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what both sides wrote down")
    options = parser.parse_args(arguments)
    for name in ("seconds", "faults_per_second", "rate"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be greater than 0, not {getattr(options, name)}")
    if options.memory_faults is not None and options.memory_faults < 0:
        parser.error(f"--memory-faults must be at least 0, not {options.memory_faults}")
    if options.keep is not None and options.keep.exists() and any(options.keep.iterdir()):
        parser.error(f"--keep {options.keep}: the directory is not empty")
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """What to run."""
    faults = options.memory_faults
    return Plan(
        seconds=options.seconds,
        seed=options.seed,
        faults_per_second=options.faults_per_second,
        rate=options.rate,
        mirror=options.mirror,
        io_thread=options.io_thread,
        journal=options.journal,
        memory_faults=(10_000 if options.seconds >= 600 else round(4 * options.seconds)) if faults is None else faults,
    )


async def soak(plan: Plan, directory: Path, *, quiet: bool) -> Run:
    """Run it; Ctrl-C once ends it early, twice at once."""
    run = Run(plan, directory, quiet=quiet)
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # this is one

    def interrupted() -> None:
        if run.is_interrupted:
            task.cancel()
        run.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    await run.go()
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = parse(arguments)
    plan = plan_of(options)
    with ExitStack() as stack:
        keep: Path | None = options.keep
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="krakenwire-soak-")))
        directory.mkdir(parents=True, exist_ok=True)
        try:
            run = asyncio.run(soak(plan, directory, quiet=options.json))
        except asyncio.CancelledError:
            print("interrupted twice: no verdict", file=sys.stderr)
            return WRONG
        if run.verdict is None:
            print(f"the soak could not start: {run.failure}", file=sys.stderr)
            return NOT_STARTED
        text = msgspec.json.encode(run.verdict).decode() if options.json else render(run.verdict)
        print(text)
        return OK if run.verdict.holds else WRONG


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
