"""`krakenwire journal info`: what there is in a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import reports_errors
from krakenwire.cli.journal_text import JournalArgument, inputs_text, moment_text, size_of, size_text, span_text
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line

if TYPE_CHECKING:
    from krakenwire.journal.tools.overview import Content, Overview, SegmentOverview

__all__ = ["EXAMPLES", "info"]

EXAMPLES = (
    "krakenwire journal info tape",
    "krakenwire journal info tape --contents",
    "krakenwire journal info tape --contents --json | jq '.contents[]'",
)


@reports_errors
def info(
    directory: JournalArgument,
    contents: Annotated[
        bool,
        typer.Option(
            "--contents", help="Play it, to tell channels, symbols and times, gaps, and how well it is packed."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Tell what there is in a journal: its runs and segments, from when to when, and how it ended.

    That is read from both ends of each segment, and takes no time. What was recorded is told with --contents, for which
    all of it is played.
    """
    from krakenwire.journal.tools.overview import overview

    with bar("playing", size_of(directory)) as on_progress:
        seen = overview(directory, contents=contents, on_progress=on_progress)
    if json:
        print_json({"directory": directory} | msgspec.to_builtins(seen))
    else:
        print_line(_text(directory, seen))


def _text(directory: str, seen: Overview) -> str:
    state = ", being written" if seen.is_written else ""
    lines = [
        f"{directory}: journal {seen.journal or '?'}, format {seen.format or '?'}{state}",
        f"  {len(seen.runs)} run(s), {len(seen.segments)} segment(s), {size_text(seen.size)}",
    ]
    if seen.missing:
        lines.append(f"  ! missing: segment(s) {', '.join(map(str, seen.missing))}")
    for run in seen.runs:
        kind = ["imported frames"] if run.passive else [f"seed {run.seed}"]
        kind += ["mirror"] * run.mirror + [f"audit by {run.book_audit}"] * (run.book_audit is not None)
        kind += ["resumed"] * run.resumed + ["its beginning is gone"] * (not run.is_whole)
        lines.append(
            f"  run {run.run}: {run.segments} segment(s); {', '.join(kind)}; "
            f"krakenwire {run.krakenwire} ({run.kernel} kernel), Python {run.python}"
        )
        lines += [f"    {_segment_text(each, seen)}" for each in seen.segments if each.run == run.run]
    lines += [f"  ! {each.file}: {each.damage}" for each in seen.segments if each.run is None]
    lines += [f"  gap: {inputs_text(first, last)}: {reason}" for first, last, reason in seen.gaps or ()]
    lines += [f"  {_content_text(each)}" for each in seen.contents or ()]
    return "\n".join(lines)


def _segment_text(each: SegmentOverview, seen: Overview) -> str:
    is_at_hand = seen.is_written and each is seen.segments[-1]
    ended = "being written" if is_at_hand else each.ended or "not ended"
    if each.damage is not None and not is_at_hand:
        ended = f"! {each.damage}"
    inputs = "no inputs"
    if each.first is not None and each.last is not None and each.last >= each.first:
        inputs = inputs_text(each.first, each.last)
    packed = ""
    if each.text_size:
        packed = f" of {size_text(each.text_size)} ({each.text_size / each.size:.1f}:1), {each.frames or 0:,} frames"
    sealed = ", sealed" if each.is_sealed else ""
    span = span_text((each.begin_ns, each.end_ns))
    return f"{each.number}: {span}, {inputs}, {size_text(each.size)}{packed}{sealed}, {ended}"


def _content_text(each: Content) -> str:
    words = [each.channel, each.symbol, each.depth and f"depth {each.depth}", each.interval and f"{each.interval} min"]
    what = " ".join(str(word) for word in words if word)
    return f"{what}: {each.events:,} events, {moment_text(each.first_ns)} to {moment_text(each.last_ns)}"
