"""The commands, put together."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.markup import escape

from krakenwire._version import __version__
from krakenwire.cli import book, conform, demo, doctor_command, replay, sim, stream
from krakenwire.cli.exits import DEBUG_VARIABLE, is_debugging
from krakenwire.cli.logs import LogFormatOption, LogLevelOption, start_log
from krakenwire.cli.output import print_line

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"krakenwire {__version__}")
        raise typer.Exit


@app.callback()
def krakenwire(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and the log; KRAKENWIRE_DEBUG=1 does so too.")
    ] = False,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Kraken's real-time market data, with order books proven by checksum after every message.

    Exit codes: 0 done, 1 the work found something wrong, 2 wrong usage, 3 could not connect.
    """
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    start_log(log_level or ("info" if is_debugging() else None), log_format)


def _add(command: Callable[..., None], examples: Sequence[str]) -> None:
    """Add `command`, its help from its docstring: a paragraph is wrapped as the terminal is wide."""
    text = inspect.getdoc(command) or ""
    app.command(
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")),
        # An empty line between two makes each a line of its own.
        epilog="\n\n".join(["Examples:", *map(escape, examples)]),
    )(command)


_add(demo.demo, demo.EXAMPLES)
_add(stream.stream, stream.EXAMPLES)
_add(book.book, book.EXAMPLES)
_add(replay.replay, replay.EXAMPLES)
_add(sim.sim, sim.EXAMPLES)
_add(conform.conform, conform.EXAMPLES)
_add(doctor_command.doctor, doctor_command.EXAMPLES)
