"""`krakenwire journal book-at`: a book as it was."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from krakenwire.book.reasons import TOP
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.journal_text import JournalArgument, moment_text, moment_to_ns
from krakenwire.cli.ladder import BAR, View, rows_that_fit
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json
from krakenwire.protocol.wire.symbols import normalise

__all__ = ["EXAMPLES", "book_at"]

EXAMPLES = (
    "krakenwire journal book-at 2026-11-22T14:03:07.25Z BTC/USD tape",
    "krakenwire journal book-at 2026-11-22T14:03:07.25Z BTC/USD tape --depth 1000 --json | jq .bids",
)


@reports_errors
def book_at(
    time: Annotated[
        str,
        typer.Argument(metavar="TIME", help="With its zone, as in 2026-11-22T14:03:07.25Z; to the nanosecond."),
    ],
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="As in BTC/USD.")],
    directory: JournalArgument,
    *,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=1, metavar="N", help="Levels a side; all of them if not given.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show a book as it was published at a moment: its levels, its checksum, whether it was synced, and why not.

    It is the one that whoever recorded had then, the deepest if there were several: everything is counted that was
    received up to TIME. Of a sealed journal only some megabytes are read, see `krakenwire journal seal`.

    Ends with 1 if the book was not synced then.
    """
    from krakenwire.journal.tools.book_at import find_book

    then = find_book(directory, moment_to_ns(time, "TIME"), normalise(symbol))
    book = then.snapshot
    if depth is not None:
        book = replace(book, bids=book.bids[:depth], asks=book.asks[:depth])
    proven = min(TOP, book.depth) if then.is_proven else 0
    view = View(book, None if book.synced else then.reason, proven)
    if json:
        levels = {"bids": book.bids, "asks": book.asks, "depth": book.depth}  # the last there were, if not synced
        print_json(view.as_object() | levels | {"status": then.status, "n": then.n, "is_exact": then.is_exact})
    else:
        console = Console(highlight=False)
        rows = max(len(book.bids), len(book.asks), 1)
        if depth is None and sys.stdout.isatty():
            rows = rows_that_fit(rows, shutil.get_terminal_size().lines - 1)
        console.print(view.as_ladder(rows, BAR if console.encoding.startswith("utf") else "#"), soft_wrap=True)
        console.print(f"-- last message {moment_text(book.received_ns)}, input {then.n:,}{_doubt(then.is_exact)}")
    if not book.synced:
        raise typer.Exit(WRONG)


def _doubt(is_exact: bool) -> str:
    return "" if is_exact else "; inputs before it are missing: seen as far as frames tell"
