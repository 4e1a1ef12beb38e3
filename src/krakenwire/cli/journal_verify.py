"""`krakenwire journal verify`: all of a journal is read, and what is wrong with it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.journal_text import JournalArgument, inputs_text, size_of, size_text, span_text
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line

if TYPE_CHECKING:
    from krakenwire.journal.tools.verifying import Finding, Verdict

__all__ = ["EXAMPLES", "verify"]

EXAMPLES = (
    "krakenwire journal verify tape",
    "krakenwire journal verify tape --replay",
    "krakenwire journal verify tape --json | jq '.findings[]'",
)


@reports_errors
def verify(
    directory: JournalArgument,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Play it too, and compare what comes of it with what was recorded."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Read all of a journal, and name what is wrong with it.

    Every byte is proven by checksums, and every input by its number. What is torn, damaged or missing is told with
    file, offset, and the inputs that are lost by it. A journal that is being written may be looked at, too.

    Ends with 1 if something is wrong. What the recorder itself says that it did not write (the disk was full) is told,
    but is no finding.
    """
    from krakenwire.journal.tools.verifying import verify as verify_journal

    with bar("reading", size_of(directory)) as on_progress:
        verdict = verify_journal(directory, replay=replay, on_progress=on_progress)
    if json:
        print_json({"directory": directory} | msgspec.to_builtins(verdict))
    else:
        print_line(_text(directory, verdict))
    if not verdict.sound:
        raise typer.Exit(WRONG)


def _text(directory: str, verdict: Verdict) -> str:
    counted = f"{verdict.segments} segment(s), {verdict.runs} run(s)"
    lines = [
        f"{directory}: {'sound' if verdict.sound else 'WRONG'}",
        f"  {counted}, {verdict.inputs:,} inputs, {verdict.frames:,} of them frames, in {verdict.blocks:,} blocks, "
        f"{size_text(verdict.size)} of files, {size_text(verdict.text_size)} of text",
    ]
    if verdict.compared is not None:
        events, books = verdict.compared
        lines.append(f"  played: {events:,} digest(s) of events and {books:,} of books came out as recorded")
    if verdict.is_written:
        lines.append("  it is being written")
    if verdict.unended:
        numbers = ", ".join(map(str, verdict.unended))
        lines.append(f"  without a last line, as of a recorder that was killed: segment(s) {numbers}")
    lines += [
        f"  gap: {inputs_text(gap.first, gap.last)}, {span_text(gap.received_ns)}: {gap.reason}" for gap in verdict.gaps
    ]
    lines += [f"  ! {_finding_text(found)}" for found in verdict.findings]
    if any(found.what in ("torn", "damaged") for found in verdict.findings):
        lines.append(f"  `krakenwire journal repair {directory}` makes it whole; what can be read is read without, too")
    return "\n".join(lines)


def _finding_text(found: Finding) -> str:
    where = found.file if found.offset is None else f"{found.file} at byte {found.offset:,}"
    lost = ""
    if found.first is not None and found.last is not None and found.what != "difference":
        lost = f"; lost: {inputs_text(found.first, found.last)}, {span_text(found.received_ns)}"
    return f"{where}: {found.what}: {found.text}{lost}"
