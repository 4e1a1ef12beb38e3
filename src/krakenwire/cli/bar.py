"""A progress bar on stderr for what takes long, if somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

__all__ = ["BIG", "bar"]

BIG = 4 * 1024 * 1024
"""Bytes from which on it is worth one."""


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` bytes are done, as the callee is told; no bar where nobody would see it."""
    console = Console(stderr=True)
    if total < BIG or not console.is_terminal:
        yield lambda done: None
        return
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)

        def show(done: int) -> None:
            progress.update(task, completed=done)

        yield show
