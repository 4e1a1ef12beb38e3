"""`krakenwire journal diff`: where two journals, or two ways to play one, first differ."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from krakenwire.book import KERNEL
from krakenwire.cli.bar import bar
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.journal_text import moment_text, size_of
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line
from krakenwire.errors import UsageError

if TYPE_CHECKING:
    from krakenwire.cli.journal_diff_children import Played
    from krakenwire.journal.format.lines import Made
    from krakenwire.journal.tools.diff_events import EventsDiff
    from krakenwire.journal.tools.diff_inputs import InputsDiff, LineAt

__all__ = ["EXAMPLES", "diff"]

EXAMPLES = (
    "krakenwire journal diff tape copy",
    "krakenwire journal diff tape --kernel pure",
    "krakenwire journal diff tape --python ../next/.venv/bin/python",
    "krakenwire replay tape --events --json > before.jsonl",
    "krakenwire journal diff tape before.jsonl --ignore seq",
)
_MOST_SHOWN = 400
_encoder = msgspec.json.Encoder(decimal_format="string")


@reports_errors
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A journal, or events that `replay --events --json` printed.")],
    b: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another journal, or other events.", show_default=False)
    ] = None,
    *,
    kernel: Annotated[
        Literal["compiled", "pure"] | None,
        typer.Option("--kernel", help="Play A with this kernel, and with the other one.", show_default=False),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PATH",
            help="Play A with the krakenwire of that interpreter, and with this one.",
            show_default=False,
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="FIELD", help="Of events, it may differ; repeatable.", show_default=False),
    ] = None,
    times: Annotated[
        bool, typer.Option("--times/--no-times", help="Of two journals: the times of inputs count.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Tell where two runs first differ: two journals, or one journal played in two ways.

    Two journals are compared input by input, and in what was wanted after each; how they are packed and divided does
    not matter. With --kernel or --python a journal is played twice, and the events, actions and final books that come
    of it are compared. Events that were printed to a file can be compared with those of another one, or of a journal.
    What is shown is the first place, and what was the same just before.

    Ends with 1 if they differ.
    """
    is_played = kernel is not None or python is not None
    if is_played == (b is not None):
        raise UsageError("give either another journal or file to compare with, or --kernel or --python")
    for path in filter(None, (a, b)):
        if not os.path.exists(path):
            raise UsageError(f"cannot read {path}: there is no such file or directory")
    if is_played:
        is_equal = _diff_played(a, kernel, python, ignore or [], json=json)
    elif b is not None and os.path.isdir(a) and os.path.isdir(b):
        if ignore:
            raise UsageError("--ignore is for events, and these are two journals; --no-times leaves their times out")
        is_equal = _diff_journals(a, b, times, json=json)
    else:
        is_equal = _diff_events(a, b or "", ignore or [], json=json)
    if not is_equal:
        raise typer.Exit(WRONG)


# --- two journals -----------------------------------------------------------------------------------------------------


def _diff_journals(a: str, b: str, times: bool, *, json: bool) -> bool:
    from krakenwire.journal.tools.diff_inputs import diff_inputs

    with bar("comparing", size_of(a)) as on_progress:
        found = diff_inputs(a, b, times=times, on_progress=on_progress)
    if json:
        print_json(_inputs_object(a, b, found))
    else:
        print_line("\n".join(_inputs_lines(a, b, found)))
    return found.is_equal


def _inputs_object(a: str, b: str, found: InputsDiff) -> dict[str, Any]:
    first = None
    if found.first is not None:
        sides = {"before": found.first.before, "a": found.first.a, "b": found.first.b}
        first = {"run": found.first.run, "n": found.first.n, "what": found.first.what}
        first |= {name: _line_object(side) for name, side in sides.items()}
    return {
        **{"a": a, "b": b, "equal": found.is_equal, "first": first, "inputs": found.inputs},
        **{"equal_inputs": found.equal, "differing": found.differing, "only": found.only, "actions": found.actions},
        "damage": found.damage,
    }


def _line_object(line: LineAt | Made | None) -> dict[str, Any] | None:
    if line is None:
        return None
    if isinstance(line, msgspec.Struct):
        return {"made": msgspec.to_builtins(line)}
    found = {"kind": line.kind, "line": line.content.decode(errors="replace")}
    return found if line.stamp is None else found | msgspec.to_builtins(line.stamp)


def _inputs_lines(a: str, b: str, found: InputsDiff) -> list[str]:
    counts = f"{found.inputs[0]:,} and {found.inputs[1]:,} inputs"
    if found.first is None:
        lines = [f"{a} and {b}: the same in {counts}"]
    else:
        first = found.first
        after = "after " if getattr(first.a or first.b, "rank", 0) else ""
        lines = [
            f"{a} and {b}: DIFFERENT from {after}input {first.n:,} of run {first.run} on: {_WHAT[first.what]}",
            *([f"    {_line_text(first.before)}"] if first.before is not None else []),
            f"  a {_line_text(first.a, first.b)}",
            f"  b {_line_text(first.b, first.a)}",
            f"  {counts}: {found.equal:,} the same, {found.differing:,} not, {found.only[0]:,} only in a, "
            f"{found.only[1]:,} only in b; {found.actions:,} action(s) not the same",
        ]
    return lines + [f"  ! {text}" for text in found.damage]


_WHAT = {
    "made": "the clients were not made alike",
    "kind": "it is of another kind",
    "content": "its content",
    "place": "its connection",
    "time": "its time",
    "missing": "one of them does not have it",
}


def _line_text(line: LineAt | Made | None, other: LineAt | Made | None = None) -> str:
    if line is None:
        return "nothing"
    if isinstance(line, msgspec.Struct):
        theirs = _settings(other) if isinstance(other, msgspec.Struct) else {}
        own = {name: value for name, value in _settings(line).items() if value != theirs.get(name, ...)}
        return _cut(_encoder.encode(own).decode())
    when = "" if line.stamp is None else f"{moment_text(line.stamp.received_ns)} {line.stamp.connection} "
    return f"{line.n:,} {line.kind} {when}{_cut(line.content.decode(errors='replace'))}"


def _settings(made: Made) -> dict[str, Any]:
    """What a client was made of, its options beside the rest."""
    return made.options | {name: value for name, value in msgspec.structs.asdict(made).items() if name != "options"}


# --- events -----------------------------------------------------------------------------------------------------------


def _diff_events(a: str, b: str, ignore: Sequence[str], *, json: bool) -> bool:
    from krakenwire.journal.tools.diff_events import diff_events

    with _events(a) as ones, _events(b) as others:
        found = diff_events(ones, others, ignore=ignore)
    if json:
        print_json({"a": a, "b": b, "equal": found.first is None} | _events_object(found))
    elif found.first is None:
        print_line(f"{a} and {b}: the same in {found.equal:,} events")
    else:
        print_line("\n".join([f"{a} and {b}: DIFFERENT", *_events_lines(found)]))
    return found.first is None


def _events(path: str) -> AbstractContextManager[Iterator[dict[str, Any]]]:
    """Of a file, or of a journal that is played for it."""
    from krakenwire.cli.journal_diff_children import played_events
    from krakenwire.journal.tools.diff_events import read_events

    return played_events(path) if os.path.isdir(path) else nullcontext(read_events(path))


# --- played in two ways -----------------------------------------------------------------------------------------------


def _diff_played(a: str, kernel: str | None, python: str | None, ignore: Sequence[str], *, json: bool) -> bool:
    from krakenwire.cli.journal_diff_children import Player, diff_played

    if not os.path.isdir(a):
        raise UsageError(f"{a} is no journal: --kernel and --python play one")
    wanted = kernel or KERNEL
    ours = KERNEL if python is not None else "pure" if wanted == "compiled" else "compiled"
    one, other = Player(sys.executable, ours), Player(python or sys.executable, wanted)
    with bar("playing", size_of(a)) as on_progress:
        found = diff_played(a, one, other, ignore=ignore, on_progress=on_progress)
    is_equal = found.diff is None or found.diff.first is None
    if json:
        detail = _events_object(found.diff) if found.diff is not None else {"equal_events": None, "first": None}
        print_json({"directory": a, "equal": is_equal, "a": found.a, "b": found.b, "blocks": found.blocks} | detail)
    else:
        print_line("\n".join(_played_lines(a, found)))
    return is_equal


def _played_lines(directory: str, found: Played) -> list[str]:
    sides = [
        f"  {name} krakenwire {made['krakenwire']}, {made['kernel']} kernel, Python {made['python']}"
        for name, made in (("a", found.a), ("b", found.b))
    ]
    if found.diff is None:
        return [f"{directory}: the same comes of it in {found.blocks:,} blocks", *sides]
    if found.diff.first is None:
        behind = f"behind block {found.blocks:,} digests differ, but no event does: they are made in another way"
        return [f"{directory}: the same comes of it", *sides, f"  {behind}"]
    return [f"{directory}: NOT THE SAME comes of it", *sides, *_events_lines(found.diff)]


def _events_object(found: EventsDiff) -> dict[str, Any]:
    return {"equal_events": found.equal, "first": None if found.first is None else found.first._asdict()}


def _events_lines(found: EventsDiff) -> list[str]:
    first = found.first
    if first is None:
        return []
    where = "" if first.n is None else f" at input {first.n:,}"
    return [
        f"  first{where}, after {first.at:,} event(s) that are the same:",
        *(f"    {_event_text(each)}" for each in first.before),
        f"  a {_event_text(first.a)}",
        f"  b {_event_text(first.b)}",
        *(f"      {name}: {_value(one)} and {_value(other)}" for name, (one, other) in first.fields.items()),
    ]


def _event_text(event: dict[str, Any] | None) -> str:
    return "nothing" if event is None else _cut(_value(event))


def _value(value: Any) -> str:
    return _cut(_encoder.encode(value).decode())


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
