"""The demo as it is watched: one row a symbol, redrawn a few times a second."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.live import Live
from rich.table import Table

from krakenwire.book import KERNEL
from krakenwire.cli.demo_run import Demo
from krakenwire.cli.event_text import plain
from krakenwire.errors import BookUnsynced

__all__ = ["demo_table", "watch"]

REDRAWS_PER_SECOND = 5


def demo_table(demo: Demo) -> Table:
    """The state of `demo` at this moment."""
    seconds = demo.seconds
    counts = demo.tally.by_symbol.values()
    messages = demo.tally.messages
    table = Table(title=f"krakenwire demo, {KERNEL} kernel, {seconds:.1f} s", show_footer=True)
    table.add_column("symbol", f"{len(demo.symbols)} symbols")
    table.add_column("bid", justify="right", style="green")
    table.add_column("ask", justify="right", style="red")
    table.add_column("spread", justify="right")
    table.add_column("levels", justify="right")
    table.add_column("messages", f"{messages:,}", justify="right")
    table.add_column("verified", f"{sum(each.verified for each in counts):,}", justify="right", style="cyan")
    table.add_column("trades", f"{sum(each.trades for each in counts):,}", justify="right")
    for symbol, each in demo.tally.by_symbol.items():
        row = _book_cells(demo, symbol)
        all_proven = each.verified == each.books
        verified = f"{each.verified:,}" if all_proven else f"[red]{each.verified:,} of {each.books:,}[/]"
        table.add_row(symbol, *row, f"{each.messages:,}", verified, f"{each.trades:,}")
    rate = messages / seconds if seconds else 0.0
    table.caption = f"{rate:,.0f} messages a second; Ctrl-C ends with the report"
    return table


def _book_cells(demo: Demo, symbol: str) -> tuple[str, str, str, str]:
    book = demo.books.get(symbol)
    if book is None:
        return "", "", "", ""
    try:
        bid, ask, spread = book.best_bid, book.best_ask, book.spread
        levels = f"{len(book.bids)} + {len(book.asks)}"
    except BookUnsynced as unsynced:
        return "", "", f"[red]{unsynced.reason}[/]", ""
    return plain(bid and bid.price), plain(ask and ask.price), plain(spread), levels


async def watch(demo: Demo, console: Console) -> None:
    """Draw `demo` until cancelled. Cancellation: safe, the last table stays on the screen."""
    with Live(demo_table(demo), console=console, auto_refresh=False) as live:
        try:
            while True:
                await asyncio.sleep(1 / REDRAWS_PER_SECOND)
                live.update(demo_table(demo), refresh=True)
        finally:
            live.update(demo_table(demo), refresh=True)
