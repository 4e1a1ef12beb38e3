"""`krakenwire book`: one book, live."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from krakenwire.book import Book
from krakenwire.cli.exits import reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.ladder import View
from krakenwire.cli.options import DepthOption, JsonOption, UrlOption, make_client
from krakenwire.cli.output import print_json, print_line

__all__ = ["EXAMPLES", "book"]

EXAMPLES = (
    "krakenwire book BTC/USD",
    "krakenwire book ETH/EUR --depth 100 --levels 25",
    "krakenwire book BTC/USD --json --updates 1 | jq .spread",
)
REDRAWS_PER_SECOND = 10


@reports_errors
def book(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="As in BTC/USD.")],
    *,
    depth: DepthOption = 10,
    levels: Annotated[int, typer.Option("--levels", min=1, metavar="N", help="Levels a side to show.")] = 10,
    updates: Annotated[
        int | None, typer.Option("--updates", "-n", min=1, help="End after showing so many.", show_default=False)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, help="End after so long.", show_default=False)
    ] = None,
    url: UrlOption = None,
    json: JsonOption = False,
) -> None:
    """Show one book as a live ladder, with its spread, its checksum, and whether it is synced, until Ctrl-C.

    Where stdout is no terminal, and with --json, every change is printed on a line of its own; messages that came
    in one read of the socket are one change.
    """
    levels = min(levels, depth)
    asyncio.run(_book(symbol, depth, levels=levels, updates=updates, seconds=seconds, url=url, json=json))


async def _book(
    symbol: str, depth: int, *, levels: int, updates: int | None, seconds: float | None, url: str | None, json: bool
) -> None:
    console = Console()
    with Interrupt() as interrupt:
        async with (
            interrupt.ends(),
            make_client(url) as kraken,
            kraken.book(symbol, depth) as live_book,
            interrupt.ends(seconds),
        ):
            if console.is_terminal and not json:
                await _draw(live_book, levels, updates, console)
            else:
                await _print(live_book, levels, updates, json)


async def _print(live_book: Book, levels: int, updates: int | None, json: bool) -> None:
    if live_book.updated_ns is None:
        await live_book.changed()
    printed = 0
    while True:
        view = View.of(live_book, levels)
        if json:
            print_json(view.as_object())
        else:
            print_line(view.as_line())
        printed += 1
        if printed == updates:
            return
        await live_book.changed()


async def _draw(live_book: Book, levels: int, updates: int | None, console: Console) -> None:
    drawn = 0
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(View.of(live_book, levels).as_ladder(levels), refresh=True)
            drawn += 1
            if drawn == updates:
                return
            await asyncio.sleep(1 / REDRAWS_PER_SECOND)  # more often is more than an eye can follow
            await live_book.changed()
