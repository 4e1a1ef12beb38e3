"""`krakenwire book`: one book, live."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from krakenwire.book import Book
from krakenwire.cli.exits import reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.ladder import BAR, View, rows_that_fit
from krakenwire.cli.metrics import DEFAULT_ADDR, MetricsAddrOption, MetricsPortOption, serve_metrics
from krakenwire.cli.options import BundlesOption, DepthOption, JsonOption, MirrorOption, UrlOption, make_client
from krakenwire.cli.output import print_json, print_line
from krakenwire.cli.screen import can_draw, drawing

__all__ = ["EXAMPLES", "book"]

EXAMPLES = (
    "krakenwire book BTC/USD",
    "krakenwire book ETH/USD --depth 100 --levels 25",
    "krakenwire book BTC/USD --json --updates 1 | jq .spread",
)
REDRAWS_PER_SECOND = 10


@reports_errors
def book(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="As in BTC/USD.")],
    *,
    depth: DepthOption = 10,
    levels: Annotated[
        int, typer.Option("--levels", min=1, metavar="N", help="Levels a side to show, if they fit on the terminal.")
    ] = 10,
    updates: Annotated[
        int | None,
        typer.Option("--updates", "-n", min=1, metavar="N", help="End after showing so many.", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, metavar="S", help="End after so long.", show_default=False)
    ] = None,
    url: UrlOption = None,
    mirror: MirrorOption = False,
    metrics_port: MetricsPortOption = None,
    metrics_addr: MetricsAddrOption = DEFAULT_ADDR,
    bundles: BundlesOption = None,
    json: JsonOption = False,
) -> None:
    """Show one book as a live ladder, with its spread, its checksum, and whether it is synced, until Ctrl-C.

    Where stdout is no terminal, and with --json, every change is printed on a line of its own; messages that came
    in one read of the socket are one change.
    """
    levels = min(levels, depth)
    asyncio.run(
        _book(
            symbol,
            depth,
            levels=levels,
            updates=updates,
            seconds=seconds,
            url=url,
            mirror=mirror,
            metrics=(metrics_port, metrics_addr),
            bundles=bundles,
            json=json,
        )
    )


async def _book(
    symbol: str,
    depth: int,
    *,
    levels: int,
    updates: int | None,
    seconds: float | None,
    url: str | None,
    mirror: bool,
    metrics: tuple[int | None, str],
    bundles: str | None,
    json: bool,
) -> None:
    console = Console()
    client = make_client(url, mirror=mirror, bundles=bundles)
    with Interrupt() as interrupt:
        async with (
            interrupt.ends(),
            serve_metrics(client, *metrics),
            client as kraken,
            kraken.book(symbol, depth) as live_book,
            interrupt.ends(seconds),
        ):
            if can_draw(console) and not json:
                await _draw(live_book, levels, updates, console)
            else:
                await _print(live_book, levels, updates, json)


async def _print(live_book: Book, levels: int, updates: int | None, json: bool) -> None:
    printed = 0
    while True:
        await live_book.changed()  # first of all its snapshot
        view = View.of(live_book, levels)
        if json:
            print_json(view.as_object())
        else:
            print_line(view.as_line())
        printed += 1
        if printed == updates:
            return


async def _draw(live_book: Book, levels: int, updates: int | None, console: Console) -> None:
    bar = BAR if console.encoding.startswith("utf") else "#"
    drawn = 0
    with drawing(console) as draw:
        while True:
            await live_book.changed()  # first of all its snapshot
            rows = rows_that_fit(levels, console.height)
            draw(View.of(live_book, rows).as_ladder(rows, bar))
            drawn += 1
            if drawn == updates:
                return
            await asyncio.sleep(1 / REDRAWS_PER_SECOND)  # more often is more than an eye can follow
