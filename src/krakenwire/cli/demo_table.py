"""The demo as it is watched: one row a symbol, redrawn a few times a second."""

from __future__ import annotations

import asyncio

from rich import box
from rich.console import Console
from rich.table import Table

from krakenwire.book import KERNEL
from krakenwire.cli.demo_run import Demo
from krakenwire.cli.event_text import plain
from krakenwire.cli.screen import drawing
from krakenwire.errors import BookUnsynced

__all__ = ["demo_table", "watch"]

REDRAWS_PER_SECOND = 5


def demo_table(demo: Demo) -> Table:
    """The state of `demo` at this moment."""
    seconds = demo.seconds
    counts = demo.tally.by_symbol.values()
    messages = demo.tally.messages
    # Narrow and without lines between the columns: all of it fits on 80 columns and 24 lines.
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    table.title = (
        f"krakenwire demo, {len(demo.symbols)} books at depth {demo.plan.depth}, {KERNEL} kernel, {seconds:.1f} s"
    )
    table.add_column("symbol", "all", no_wrap=True)
    for name, footer, style in (
        ("bid", "", "green"),
        ("ask", "", "red"),
        ("spread", "", ""),
        ("messages", f"{messages:,}", ""),
        ("verified", f"{sum(each.verified for each in counts):,}", "bold"),
        ("trades", f"{sum(each.trades for each in counts):,}", ""),
    ):
        table.add_column(name, footer, justify="right", style=style, no_wrap=True)
    for symbol, each in demo.tally.by_symbol.items():
        row = _book_cells(demo, symbol)
        all_proven = each.verified == each.books
        verified = f"{each.verified:,}" if all_proven else f"[red]{each.verified:,} of {each.books:,}[/]"
        table.add_row(symbol, *row, f"{each.messages:,}", verified, f"{each.trades:,}")
    rate = messages / seconds if seconds else 0.0
    table.caption = f"{rate:,.0f} messages a second; Ctrl-C ends with the report"
    return table


def _book_cells(demo: Demo, symbol: str) -> tuple[str, str, str]:
    book = demo.books.get(symbol)
    if book is None:
        return "", "", ""
    try:
        bid, ask, spread = book.best_bid, book.best_ask, book.spread
    except BookUnsynced as unsynced:
        return "", "", f"[red]{unsynced.reason}[/]"
    return plain(bid and bid.price), plain(ask and ask.price), plain(spread)


async def watch(demo: Demo, console: Console) -> None:
    """Draw `demo` until cancelled. Cancellation: safe, the last table stays on the screen."""
    with drawing(console) as draw:
        try:
            while True:
                draw(demo_table(demo))
                await asyncio.sleep(1 / REDRAWS_PER_SECOND)
        finally:
            draw(demo_table(demo))
