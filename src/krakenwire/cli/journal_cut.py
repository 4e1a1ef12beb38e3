"""`krakenwire journal cut`: a stretch of time as a journal of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import reports_errors
from krakenwire.cli.journal_text import JournalArgument, inputs_text, moment_to_ns, size_of, span_text
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line

__all__ = ["EXAMPLES", "cut"]

EXAMPLES = ("krakenwire journal cut tape --from 2026-11-22T14:00:00Z --to 2026-11-22T14:05:00Z --out five-minutes",)


@reports_errors
def cut(
    directory: JournalArgument,
    *,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="From that moment on.")],
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Before that moment.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Of the new journal; empty, or not there yet.")],
    json: JsonOption = False,
) -> None:
    """Cut a stretch of time out of a journal, as a journal of its own.

    It begins with the whole state of that moment, so that it plays as that stretch did, and says where it was cut from.
    The state can be read by this version of krakenwire; for another one, books begin with their next snapshots.
    """
    from krakenwire.journal.tools.cutting import cut as cut_journal

    from_ns, to_ns = moment_to_ns(since, "--from"), moment_to_ns(until, "--to")
    with bar("playing", size_of(directory)) as on_progress:
        done = cut_journal(directory, out, from_ns, to_ns, on_progress=on_progress)
    if json:
        print_json({"out": out} | msgspec.to_builtins(done))
        return
    state = "with the exact state" if done.is_exact else "without a state, as inputs are missing before it"
    print_line(f"{out}: journal {done.journal}, cut from {done.cut_from}")
    print_line(f"  {inputs_text(done.first, done.last)}, {span_text(done.received_ns)}, in {done.segments} segment(s)")
    print_line(f"  it begins {state}")
