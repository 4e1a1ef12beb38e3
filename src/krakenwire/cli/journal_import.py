"""`krakenwire journal import`: recordings of others as a journal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import reports_errors
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line

if TYPE_CHECKING:
    from krakenwire.journal.tools.importing import Imported

__all__ = ["EXAMPLES", "import_"]

EXAMPLES = (
    "krakenwire journal import frames.jsonl --out tape",
    "krakenwire journal import kraken_2026-11-2*.gz --joined --out tape",
    "ssh recorder cat frames.jsonl | krakenwire journal import - --out tape",
)


@reports_errors
def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Recordings; - is stdin.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Of the journal; empty, or not there yet.")],
    joined: Annotated[
        bool, typer.Option("--joined", help="The files are parts of one recording, in order; else each is one.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a journal of recorded frames.

    A recording has one frame a line, or one object a line that holds it, as `krakenwire replay` takes it; or the time
    and the message, as Tardis.dev gives it. It may be compressed by gzip or zstd. The text of frames is kept byte for
    byte. Playing the journal ends with the digests that playing the recording ends with; they are printed here.
    """
    from krakenwire.journal.tools.importing import import_frames

    total = sum(os.path.getsize(file) for file in files if os.path.isfile(file))
    with bar("importing", total) as on_progress:
        imported = import_frames(files, out, is_joined=joined, on_progress=on_progress)
    for each in imported:
        if json:
            print_json({"out": out} | msgspec.to_builtins(each))
        else:
            print_line(_text(out, each))


def _text(out: str, imported: Imported) -> str:
    report = imported.report
    lines = [f"{', '.join(imported.files)}: run {imported.run} of {out}", f"  {report.frames:,} frames"]
    if imported.sent:
        lines.append(f"  {imported.sent:,} that the client sent are left out")
    if imported.untimed:
        lines.append(f"  {imported.untimed:,} without a time of receipt")
    if imported.disconnects:
        lines.append(f"  the recorder's connection was lost {imported.disconnects:,} time(s)")
    if report.undecodable:
        lines.append(f"  {report.undecodable:,} of them are not valid: are these recordings of Kraken's WebSocket?")
    lines += [f"  state  {report.state_digest}", f"  events {report.event_digest}"]
    return "\n".join(lines)
