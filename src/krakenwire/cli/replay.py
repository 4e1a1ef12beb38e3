"""`krakenwire replay`: journals and recorded frames through the same core as live ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import msgspec
import typer

from krakenwire.book import KERNEL
from krakenwire.cli.bar import bar
from krakenwire.cli.event_text import as_line, as_object
from krakenwire.cli.exits import USAGE, WRONG, complain, reports_errors
from krakenwire.cli.journal_text import moment_to_ns, size_of
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line
from krakenwire.cli.replay_file import STDIN, Replayed, replay_file
from krakenwire.clock import Clock, SystemClock
from krakenwire.errors import UsageError
from krakenwire.events import Event
from krakenwire.journal.bundles.bundle import is_bundle
from krakenwire.protocol.report import Report

__all__ = ["EXAMPLES", "replay"]

EXAMPLES = (
    "krakenwire replay tape --json | jq .event_digest",
    "krakenwire replay tape --events --from 2026-11-22T14:03:00Z --to 2026-11-22T14:04:00Z",
    "krakenwire replay frames.jsonl",
    "zstdcat tape.jsonl.zst | krakenwire replay - --json | jq .state_digest",
    "krakenwire replay frames.jsonl --events | grep Trade",
)
OnEvents = Callable[[Sequence[Event]], None]


@reports_errors
def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Journals, recordings or bundles; - is stdin.")],
    events: Annotated[bool, typer.Option("--events", help="Print every event too.")] = False,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Of a journal: tell only of what was received from then on."),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Of a journal: play no further than to then.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Play a journal or recorded frames, prove every book message, and report what was found.

    A journal is a directory that --journal or `krakenwire record` wrote. All its inputs are given to a core like the
    one that was recorded, and what this one wants and tells is compared with what that one did: actions, the digest of
    all events, the final books. There is a report for each run of a recorder, the same as its own was.

    A recording is text with one frame a line, or one object a line that holds it (`frame` or `raw`, with `rx_ns` and
    `dir`), or one single frame over many lines. Each file is a recording of its own, with books and a report of its
    own; with --json the report is one object on one line, after the events if these are wanted. A directory that
    --bundles wrote is played too, and the report says whether the book is found wrong in the same way again.

    Ends with 1 if a book was wrong or a frame not valid, or a journal comes out otherwise than recorded, is damaged or
    not all there, and for every bundle; with 2 if a file cannot be read.
    """
    clock = SystemClock()
    worst = 0
    for file in files:
        on_events = _printer(json) if events else None
        try:
            if _is_journal(file):
                worst = max(worst, _replay_journal(file, clock, on_events, from_, to, json=json))
                continue
            _check_span(file, from_, to)
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


def _check_span(file: str, *given: str | None) -> None:
    if any(each is not None for each in given):
        raise UsageError(f"--from and --to are for journals; {file} is none")


def _is_journal(file: str) -> bool:
    if not os.path.isdir(file) or is_bundle(file):
        return False
    try:
        return any(name.endswith(".zst") for name in os.listdir(file))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _replay_journal(
    directory: str, clock: Clock, on_events: OnEvents | None, start: str | None, end: str | None, *, json: bool
) -> int:
    """Play a journal; the code to end with."""
    from krakenwire.cli.replay_journal import Span, as_json, as_text, replay_journal

    span = Span(
        None if start is None else moment_to_ns(start, "--from"), None if end is None else moment_to_ns(end, "--to")
    )
    code = 0
    with bar(os.path.basename(directory.rstrip(os.sep)), size_of(directory)) as on_progress:
        for replayed in replay_journal(directory, clock, span, on_events=on_events, on_progress=on_progress):
            if json:
                print_json(as_json(directory, replayed))
            else:
                print_line(as_text(directory, replayed, figures(replayed.report)))
            if not (replayed.same and replayed.report.sound):
                code = WRONG
    return code


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
    if file == STDIN or not os.path.isfile(file):
        yield None  # nobody knows how far a pipe is
        return
    with bar(os.path.basename(file), os.path.getsize(file)) as on_progress:
        yield on_progress


def replay_text(replayed: Replayed) -> str:
    """The report for a person."""
    report = replayed.report
    verdict = "sound" if report.sound else "WRONG"
    if replayed.reproduced is not None:
        verdict += ", as its bundle says" if replayed.reproduced else ", NOT as its bundle says: it is not reproduced"
        if not replayed.is_whole:
            verdict += " (it says itself that its frames do not show it)"
    lines = [f"{replayed.file}: {verdict}", *figures(report)]
    digests = lines[-2:]
    del lines[-2:]
    lines += [f"  ! {problem}" for problem in replayed.problems]
    if replayed.more_problems:
        lines.append(f"  ! and {replayed.more_problems:,} more")
    return "\n".join(lines + digests)


def figures(report: Report) -> list[str]:
    """The lines of a report; the last two are its digests."""
    lines = [
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
    return [*lines, f"  state  {report.state_digest}", f"  events {report.event_digest}"]
