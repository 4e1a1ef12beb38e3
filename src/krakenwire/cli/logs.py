"""The log on stderr: what the global options `--log-level` and `--log-format` switch on."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Literal

import typer

from krakenwire.logs import JsonFormatter, TextFormatter

__all__ = ["LogFormatOption", "LogLevelOption", "start_log"]

LogLevelOption = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(
        "--log-level",
        envvar="KRAKENWIRE_LOG",
        help="Log to stderr from this level on; nothing is logged without it.",
        show_default=False,
    ),
]
LogFormatOption = Annotated[
    Literal["text", "json"] | None,
    typer.Option(
        "--log-format",
        envvar="KRAKENWIRE_LOG_FORMAT",
        help="One line of text, or one JSON object, for each record; switches the log on too, from info.",
        show_default=False,
    ),
]


def start_log(level: str | None, form: str | None) -> None:
    """Log to stderr, if either is given: from `level` (info by default) on, in the format `form` (text by default)."""
    if level is None and form is None:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel((level or "info").upper())
