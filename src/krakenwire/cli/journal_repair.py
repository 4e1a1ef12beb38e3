"""`krakenwire journal repair`: a torn or damaged journal is made whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.journal_text import JournalArgument, inputs_text, size_of
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line

if TYPE_CHECKING:
    from krakenwire.journal.tools.repairing import Repaired

__all__ = ["EXAMPLES", "repair"]

EXAMPLES = (
    "krakenwire journal repair tape --dry-run",
    "krakenwire journal repair tape",
)


@reports_errors
def repair(
    directory: JournalArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Do not keep what is cut; it is kept as *.torn otherwise.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a torn or damaged journal whole.

    Of each damaged piece every block is kept that can be proven by its checksum; what is lost is told in its place as a
    gap. A segment is replaced only when its new file is on the disk. Doing it twice changes nothing.

    Ends with 1 if something could not be mended, or with --dry-run if something is to be; with 2 if somebody writes the
    journal.
    """
    from krakenwire.journal.tools.repairing import repair as repair_journal

    with bar("reading", size_of(directory)) as on_progress:
        done = repair_journal(directory, dry_run=dry_run, discard=discard, on_progress=on_progress)
    if json:
        print_json({"directory": directory, "dry_run": dry_run, "repaired": msgspec.to_builtins(done)})
    else:
        print_line(_text(directory, done, dry_run=dry_run))
    if any(each.is_left for each in done) or (dry_run and done):
        raise typer.Exit(WRONG)


def _text(directory: str, done: list[Repaired], *, dry_run: bool) -> str:
    if not done:
        return f"{directory}: nothing to repair"
    would = "would be " if dry_run else ""
    lines = [f"{directory}: {len(done)} segment(s) {'to repair' if dry_run else 'repaired'}"]
    for each in done:
        lines.append(f"  {each.file}: {'; '.join(each.reasons)}")
        if each.is_left:
            continue
        what = f"{each.cut:,} bytes {would}cut, {each.blocks} block(s) of them kept"
        if each.is_removed:
            what = f"{would}removed: nothing of it can be read"
        lines.append(f"    {what}")
        lines += [f"    lost: {inputs_text(*gap)}" for gap in each.gaps]
        lines += [f"    kept as {piece}" for piece in each.pieces]
    return "\n".join(lines)
