"""How a command gets its help: from its docstring, with its examples below."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import typer
from rich.markup import escape

__all__ = ["add"]


def add(app: typer.Typer, command: Callable[..., None], examples: Sequence[str], name: str | None = None) -> None:
    """Add `command`, its help from its docstring: a paragraph is wrapped as the terminal is wide."""
    text = inspect.getdoc(command) or ""
    app.command(
        name,
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")),
        # An empty line between two makes each a line of its own.
        epilog="\n\n".join(["Examples:", *map(escape, examples)]),
    )(command)
