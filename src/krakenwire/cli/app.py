"""The commands, put together."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from krakenwire._version import __version__
from krakenwire.cli import book, conform, demo, doctor_command, export, journal, record, replay, sim, stream
from krakenwire.cli.adding import add
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


add(app, demo.demo, demo.EXAMPLES)
add(app, stream.stream, stream.EXAMPLES)
add(app, book.book, book.EXAMPLES)
add(app, record.record, record.EXAMPLES)
add(app, replay.replay, replay.EXAMPLES)
app.add_typer(journal.app, name="journal")
add(app, export.export, export.EXAMPLES)
add(app, sim.sim, sim.EXAMPLES)
add(app, conform.conform, conform.EXAMPLES)
add(app, doctor_command.doctor, doctor_command.EXAMPLES)
