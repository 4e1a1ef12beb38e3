"""`krakenwire replay`: recorded frames through the same core as live ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from krakenwire.book import KERNEL
from krakenwire.cli.event_text import as_line, as_object
from krakenwire.cli.exits import USAGE, WRONG, complain, reports_errors
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line
from krakenwire.cli.replay_file import STDIN, Replayed, replay_file
from krakenwire.clock import SystemClock
from krakenwire.errors import UsageError
from krakenwire.events import Event

__all__ = ["EXAMPLES", "replay"]

EXAMPLES = (
    "krakenwire replay frames.jsonl",
    "zstdcat tape.jsonl.zst | krakenwire replay - --json | jq .state_digest",
    "krakenwire replay frames.jsonl --events | grep Trade",
)
BIG = 4 * 1024 * 1024
"""Bytes from which on a file is worth a progress bar."""


@reports_errors
def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Recordings, or bundles; - is stdin.")],
    events: Annotated[bool, typer.Option("--events", help="Print every event too.")] = False,
    json: JsonOption = False,
) -> None:
    """Play recorded frames, prove every book message, and report what was found.

    A recording is text with one frame a line, or one object a line that holds it (`frame` or `raw`, with `rx_ns` and
    `dir`), or one single frame over many lines. Each file is a recording of its own, with books and a report of its
    own; with --json the report is one object on one line, after the events if these are wanted. A directory that
    --bundles wrote is played too, and the report says whether the book is found wrong in the same way again.

    Ends with 1 if a book was wrong or a frame not valid, and for every bundle, with 2 if a file cannot be read.
    """
    clock = SystemClock()
    worst = 0
    for file in files:
        on_events = _printer(json) if events else None
        try:
            with _progress(file) as on_progress:
                replayed = replay_file(file, clock, on_events=on_events, on_progress=on_progress)
        except UsageError as error:
            complain(str(error))
            worst = USAGE
            continue
        if json:
            verdict = {} if replayed.reproduced is None else {"reproduced": replayed.reproduced}
            print_json({"file": file} | msgspec.to_builtins(replayed.report) | verdict | {"kernel": KERNEL})
        else:
            print_line(replay_text(replayed))
        if replayed.reproduced is not None or not replayed.report.sound:
            worst = max(worst, WRONG)
    if worst:
        raise typer.Exit(worst)


def _printer(json: bool) -> Callable[[Sequence[Event]], None]:
    def print_events(events: Sequence[Event]) -> None:
        for event in events:
            if json:
                print_json(as_object(event))
            else:
                print_line(as_line(event))

    return print_events


@contextmanager
def _progress(file: str) -> Iterator[Callable[[int], object] | None]:
    """A bar on stderr for what takes long, if somebody looks."""
    console = Console(stderr=True)
    size = 0 if file == STDIN or not os.path.isfile(file) else os.path.getsize(file)
    if size < BIG or not console.is_terminal:
        yield None
        return
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(os.path.basename(file), total=size)
        yield lambda done: progress.update(task, completed=done)


def replay_text(replayed: Replayed) -> str:
    """The report for a person."""
    report = replayed.report
    verdict = "sound" if report.sound else "WRONG"
    if replayed.reproduced is not None:
        verdict += ", as its bundle says" if replayed.reproduced else ", NOT as its bundle says: it is not reproduced"
        if not replayed.is_whole:
            verdict += " (it says itself that its frames do not show it)"
    lines = [
        f"{replayed.file}: {verdict}",
        f"  {report.frames:,} frames in {report.seconds:.2f} s ({report.frames_per_second:,.0f} a second, "
        f"{KERNEL} kernel), {report.events:,} events: "
        + ", ".join(f"{count:,} {name}" for name, count in report.by_type.items()),
        f"  books of {report.symbols} symbol(s): {report.verified:,} messages verified, "
        f"{report.mismatched} mismatched, {report.crossed} crossed, {report.backwards} backwards in time, "
        f"{report.ignored} ignored, {report.unproven} without a checksum, {report.resyncs} resyncs",
    ]
    if report.normalised:
        lines.append(f"  {report.normalised} verified only after padding to the instrument's precisions")
    if report.instruments:
        lines.append(f"  {report.instruments} instruments")
    if report.undecodable:
        lines.append(f"  {report.undecodable} frame(s) not valid")
    lines += [f"  ! {problem}" for problem in replayed.problems]
    if replayed.more_problems:
        lines.append(f"  ! and {replayed.more_problems:,} more")
    lines += [f"  state  {report.state_digest}", f"  events {report.event_digest}"]
    return "\n".join(lines)
