"""What is drawn again and again: on a screen of its own while it changes, below the command once it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live

__all__ = ["can_draw", "drawing"]

Draw = Callable[[RenderableType], None]


def can_draw(console: Console) -> bool:
    """Whether there is a terminal that can be drawn on."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def drawing(console: Console) -> Iterator[Draw]:
    """Give the body a function that draws; what it drew last is printed at the end.

    The screen is the terminal's alternate one, so that a drawing that another size of the window has torn apart
    leaves nothing behind, and what stood on the terminal before is there again.
    """
    last: RenderableType | None = None

    def draw(drawn: RenderableType) -> None:
        nonlocal last
        last = drawn
        live.update(drawn, refresh=True)

    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield draw
    finally:
        if last is not None:
            console.print(last)
