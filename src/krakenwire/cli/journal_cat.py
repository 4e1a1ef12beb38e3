"""`krakenwire journal cat`: the lines of a journal, as they are or as recorded frames."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from krakenwire.cli.exits import WRONG, complain, reports_errors
from krakenwire.cli.journal_text import moment_to_ns
from krakenwire.cli.options import JsonOption
from krakenwire.errors import UsageError

if TYPE_CHECKING:
    from krakenwire.journal.files.damage import Damaged
    from krakenwire.journal.files.directory import Segment
    from krakenwire.journal.files.segments import BlockAt
    from krakenwire.journal.tools.selecting import Line

    Read = Callable[[Segment], Iterator[BlockAt | Damaged]]

__all__ = ["EXAMPLES", "cat"]

EXAMPLES = (
    "krakenwire journal cat tape | head",
    "krakenwire journal cat tape --frames --from 2026-11-22T14:03:00Z --to 2026-11-22T14:04:00Z > minute.jsonl",
    "krakenwire journal cat tape --kind input --kind action --json",
    "krakenwire journal cat tape --follow --frames | grep BTC/USD",
    "krakenwire journal cat tape --from 12000 --to 12100 --connection public-2",
)
_MOMENT = 0.1
"""Seconds between two looks at what is being written, which a recorder flushes as often."""
_KINDS = ("frame", "input", "action", "note")


@reports_errors
def cat(
    path: Annotated[str, typer.Argument(metavar="DIR|SEGMENT", help="The journal, or one file of it.")],
    *,
    frames: Annotated[
        bool,
        typer.Option("--frames", help="Received frames only, one object a line, as `krakenwire replay` takes them."),
    ] = False,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME|N", help="From that moment, or input, on.", show_default=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME|N", help="Before that moment, or up to that input.", show_default=False),
    ] = None,
    run: Annotated[int | None, typer.Option("--run", metavar="N", help="Of that run.", show_default=False)] = None,
    connection: Annotated[
        str | None, typer.Option("--connection", metavar="NAME", help="Inputs of that connection.", show_default=False)
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="frame, input, action or note; repeatable.", show_default=False),
    ] = None,
    skip_damage: Annotated[bool, typer.Option("--skip-damage", help="Go on behind what is damaged.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as the journal is written, until its recorder ends.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Print the lines of a journal.

    Without any choice they are printed as `zstdcat` does it, but only what is proven. With one, the lines alone are
    printed that are asked for. With --json each is an object that has its number and time, too.

    Ends with 1 at the first damage, or with --skip-damage after all that can be read. The end of a journal that is
    being written is no damage.
    """
    from krakenwire.journal.files.directory import segments
    from krakenwire.journal.following import Following
    from krakenwire.journal.tools.selecting import Wanted, read_file, select, since

    first_n, from_ns = _bound(from_, "--from")
    last_n, to_ns = _bound(to, "--to")
    for each in kind or ():
        if each not in _KINDS:
            raise UsageError(f"--kind: expected one of {', '.join(_KINDS)}, not {each!r}")
    if frames and kind:
        raise UsageError("--frames prints frames only: give it or --kind, not both")
    kinds = ("frame",) if frames else tuple(kind) if kind else None
    wanted = Wanted(run, first_n, last_n, from_ns, to_ns, connection, kinds)
    if follow and not os.path.isdir(path):
        raise UsageError("--follow needs the directory of a journal: a recorder goes on in further segments")
    here = segments(path) if os.path.isdir(path) else [_segment(path)]
    damage = _Damage(here[-1], skip_damage)
    following = Following(path, _wait)
    found = following.segments() if follow else since(here, from_ns)
    read = following.read if follow else read_file
    write = sys.stdout.buffer.write
    if wanted.is_all and not json:
        for text in _texts(found, damage, read):
            write(text)
    else:
        show = _frame_object if frames else _object if json else _line
        is_empty = True
        for line in select(found, wanted, damage.take, read):
            is_empty = False
            write(show(line) + b"\n")
        if is_empty:
            complain(f"no line of {path} is of that choice; `krakenwire journal info {path}` tells what there is")
    sys.stdout.buffer.flush()
    if damage.is_found:
        raise typer.Exit(WRONG)


class _Damage:
    """What to do with it: say it and go on, or end with it."""

    def __init__(self, last: Segment, skips: bool) -> None:
        self.is_found = False
        self._last = last
        self._skips = skips

    def take(self, damaged: Damaged) -> None:
        from krakenwire.journal.files.damage import Torn
        from krakenwire.journal.files.locking import is_written

        if isinstance(damaged, Torn) and damaged.path == self._last.path and is_written(damaged.path.parent):
            return
        if not self._skips:
            sys.stdout.buffer.flush()
            raise damaged
        self.is_found = True
        complain(str(damaged))


def _texts(found: Iterable[Segment], damage: _Damage, read: Read) -> Iterable[bytes]:
    from krakenwire.journal.files.damage import Damaged
    from krakenwire.journal.files.segments import read_first_line

    for segment in found:
        with suppress(Damaged):  # reading it tells
            yield read_first_line(segment.path) + b"\n"
        for each in read(segment):
            if isinstance(each, Damaged):
                damage.take(each)
            else:
                yield each.text


def _wait() -> None:
    """A moment; what was printed is to be seen meanwhile."""
    sys.stdout.buffer.flush()
    threading.Event().wait(_MOMENT)


def _segment(path: str) -> Segment:
    from krakenwire.journal.files.directory import Segment

    if not os.path.isfile(path):
        raise UsageError(f"cannot read {path}: there is no such file or directory")
    return Segment(Path(path), 0, 0)


def _bound(text: str | None, option: str) -> tuple[int | None, int | None]:
    """The number of an input, or a moment."""
    if text is None:
        return None, None
    if text.isdecimal():
        return int(text), None
    return None, moment_to_ns(text, option)


def _line(line: Line) -> bytes:
    from krakenwire.journal.format.lines import encode_frame

    return encode_frame(line.entry.content) if line.entry.kind == "frame" else line.entry.content


def _frame_object(line: Line) -> bytes:
    if not line.received_ns:  # of a recording without times
        return b"{%b}" % _frame(line)
    return b'{"rx_ns":%d,%b}' % (line.received_ns, _frame(line))


def _frame(line: Line) -> bytes:
    """As JSON inside of JSON where it is such, byte for byte, otherwise as text."""
    frame = line.entry.content
    if frame[:1] in (b"{", b"[") and frame[-1:] in (b"}", b"]") and b"\n" not in frame:
        try:
            msgspec.json.decode(frame, type=msgspec.Raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
        else:
            return b'"frame":%b' % frame
    return b'"raw":%b' % msgspec.json.encode(frame.decode(errors="replace"))


def _object(line: Line) -> bytes:
    run, n, received_ns, entry = line
    where = {} if entry.stamp is None else {"connection": entry.stamp.connection, "epoch": entry.stamp.epoch}
    known = {"run": run, "n": n, "received_ns": received_ns, "kind": entry.kind, **where}
    if entry.kind == "frame":
        return msgspec.json.encode(known)[:-1] + b",%b}" % _frame(line)
    return msgspec.json.encode(known | {"line": entry.content.decode(errors="replace")})
