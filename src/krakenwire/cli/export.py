"""`krakenwire export`: a journal as Parquet files."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, get_args

import msgspec
import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import WRONG, complain, reports_errors
from krakenwire.cli.journal_text import JournalArgument, moment_to_ns, size_of, size_text
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line
from krakenwire.errors import UsageError
from krakenwire.journal.tables.schema import Channel

if TYPE_CHECKING:
    from krakenwire.journal.tables.export import Exported

__all__ = ["EXAMPLES", "export"]

EXAMPLES = (
    "krakenwire export tape --to parquet",
    "krakenwire export tape --to s3://bucket/kraken --channels trade,bbo,gaps",
    "krakenwire export tape --to parquet --channels book --depth 25 --every 1s --symbol BTC/USD",
    "krakenwire export tape --to day --from 2026-11-22T00:00:00Z --until 2026-11-23T00:00:00Z --json",
)

_EVERY = re.compile(r"([1-9]\d{0,8})(ms|s|m|h)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours"}
_CHANNELS = get_args(Channel)


@reports_errors
def export(
    directory: JournalArgument,
    *,
    to: Annotated[str, typer.Option("--to", metavar="DIR|URL", help="A folder, or a URL that fsspec knows.")],
    channels: Annotated[
        str, typer.Option("--channels", metavar="NAMES", help=f"Of {','.join(_CHANNELS)}; all if not given.")
    ] = ",".join(_CHANNELS),
    symbols: Annotated[
        list[str] | None, typer.Option("--symbol", "-s", metavar="SYMBOL", help="Whose, repeatable; all if not given.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="What was received from then on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="What was received before then.")] = None,
    depth: Annotated[
        int, typer.Option("--depth", "-d", min=1, max=1000, metavar="N", help="Levels a side of books.")
    ] = 10,
    every: Annotated[
        str | None,
        typer.Option(
            "--every", metavar="TIME", help="A row of each book so often (250ms, 1s, 1m), not after each message."
        ),
    ] = None,
    include_open: Annotated[
        bool, typer.Option("--include-open", help="Also what there is of the segment that is still written.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Export a journal as Parquet: channel=trade/symbol=BTC%2FUSD/date=2026-11-23/part-….parquet.

    Numbers are exact decimals, times UTC nanoseconds. Books are proven again on the way; `gaps` and `book_state` say
    what is missing, and when books were synced. DuckDB, Polars and pyarrow read the folder as one table a channel.

    Run it again to add what is new. It is done segment by segment, and a file is there whole or not at all: after an
    interruption the next run goes on. The segment that is still written is left for later.
    """
    from krakenwire.journal.tables.export import export_journal
    from krakenwire.protocol.wire.symbols import normalise

    names = _channels(channels)
    every_ns = _every(every)
    start_ns = None if since is None else moment_to_ns(since, "--from")
    end_ns = None if until is None else moment_to_ns(until, "--until")
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise UsageError(f"--from must be before --until, not {since} and {until}")
    try:
        size = size_of(directory)
        with bar("exporting", size) as show:
            done = export_journal(
                directory,
                to,
                channels=names,
                symbols=[normalise(symbol) for symbol in symbols or ()],
                start_ns=start_ns,
                end_ns=end_ns,
                depth=depth,
                every_ns=every_ns,
                include_open=include_open,
                on_progress=lambda done, of: show(size - of + done),  # what is there already counts as done
            )
    except KeyboardInterrupt:
        complain("interrupted; what is there is whole, and running it again goes on")
        raise typer.Exit(WRONG) from None
    if json:
        print_json(msgspec.to_builtins(done))
    else:
        _print(done)


def _print(done: Exported) -> None:
    rows = ", ".join(f"{channel} {count:,}" for channel, count in done.rows.items() if count)
    if done.segments:
        print_line(
            f"{done.to}: {len(done.segments)} segment(s) of journal {done.journal}, {done.files:,} file(s), "
            f"{size_text(done.size)}"
        )
        print_line(f"  rows: {rows or 'none'}")
    else:
        print_line(f"{done.to}: nothing new of journal {done.journal}")
    if done.already:
        print_line(f"  {done.already} segment(s) were there already")
    if done.open:
        print_line("  the last segment is still written: left for later, or for --include-open")


def _channels(text: str) -> list[Channel]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [channel for channel in _CHANNELS if channel in names]
    if not known or len(known) < len(set(names)):
        raise UsageError(f"--channels: expected some of {','.join(_CHANNELS)}, not {text!r}")
    return known


def _every(text: str | None) -> int | None:
    if text is None:
        return None
    if match := _EVERY.fullmatch(text.strip()):
        return timedelta(**{_UNITS[match[2]]: int(match[1])}) // timedelta(microseconds=1) * 1000
    raise UsageError(f"--every: expected an interval, as in 250ms, 1s or 1m, not {text!r}")
