"""The commands, put together."""

from __future__ import annotations

import logging
import os
from typing import Annotated

import typer

from krakenwire._version import __version__
from krakenwire.cli.book import book
from krakenwire.cli.demo import demo
from krakenwire.cli.doctor_command import doctor
from krakenwire.cli.exits import DEBUG_VARIABLE, is_debugging
from krakenwire.cli.output import print_line
from krakenwire.cli.replay import replay
from krakenwire.cli.sim import sim
from krakenwire.cli.stream import stream

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
) -> None:
    """Kraken's real-time market data, with order books proven by checksum after every message.

    Exit codes: 0 done, 1 the work found something wrong, 2 wrong usage, 3 could not connect.
    """
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    if is_debugging():
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


for command in (demo, stream, book, replay, sim, doctor):
    app.command()(command)
