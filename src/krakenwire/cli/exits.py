"""Exit codes, and the way from an error to its code and one line that a person can act on."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec

import typer

from krakenwire.errors import (
    ConnectFailed,
    ConnectionClosed,
    KrakenwireError,
    RestFailed,
    SubscriptionTimeout,
    UsageError,
)

__all__ = ["DONE", "UNREACHABLE", "USAGE", "WRONG", "complain", "exit_code", "is_debugging", "reports_errors"]

DONE = 0
"""The command did what it was asked for; being told to stop is no failure."""
WRONG = 1
"""The work found something wrong: a checksum that does not match, a refused subscription."""
USAGE = 2
"""It was asked for something that cannot work: an unknown symbol, a file that is not there."""
UNREACHABLE = 3
"""No connection, or nobody answered on it."""

DEBUG_VARIABLE = "KRAKENWIRE_DEBUG"

_Arguments = ParamSpec("_Arguments")


def is_debugging() -> bool:
    """Whether tracebacks are wanted: `--debug` sets the variable too."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    typer.echo(f"krakenwire: {message}", err=True)


def exit_code(error: Exception) -> int:
    """The exit code that tells what kind of error it was."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, ConnectFailed | ConnectionClosed | RestFailed | SubscriptionTimeout):
        return UNREACHABLE
    return WRONG


def reports_errors(command: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Let `command` end with a line on stderr and an exit code instead of a traceback.

    A reader of stdout that goes away (`| head`) has seen enough: that ends the command quietly.
    """

    @functools.wraps(command)
    def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except BrokenPipeError:
            _discard_stdout()
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(WRONG) from None
        except Exception as error:
            raise typer.Exit(_report(error)) from None

    return guarded


def _report(error: Exception) -> int:
    if is_debugging():
        traceback.print_exception(error)
    if isinstance(error, KrakenwireError | OSError):  # the latter of what it prints to: a full disk
        complain(str(error))
    else:
        complain(f"unexpected {type(error).__name__}: {error} (this is a bug; krakenwire --debug shows where)")
    return exit_code(error)


def _discard_stdout() -> None:
    """Nobody reads it any more; what is still buffered must not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
