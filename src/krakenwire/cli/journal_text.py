"""What the commands of `krakenwire journal` have in common: their arguments, and how figures and moments are shown."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError

__all__ = ["JournalArgument", "inputs_text", "moment_text", "moment_to_ns", "size_of", "size_text", "span_text"]

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)")

JournalArgument = Annotated[str, typer.Argument(metavar="DIR", help="The journal: a directory of segments.")]


def moment_text(ns: int | None) -> str:
    """A moment in UTC, to the millisecond; `?` where it is not known, or there is none."""
    if not ns:
        return "?"
    seconds, rest = divmod(ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def moment_to_ns(text: str, option: str) -> int:
    """A moment as it is given on the command line: ISO 8601 with its zone, up to nine digits of a second.

    Raises:
        UsageError: it is none.
    """
    if match := _MOMENT.fullmatch(text.strip()):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(match[1] + match[3])
            return int(moment.timestamp()) * NS_PER_S + int((match[2] or "0").ljust(9, "0"))
    raise UsageError(f"{option}: expected a time with its zone, as in 2026-11-22T14:03:07.25Z, not {text!r}")


def span_text(received_ns: tuple[int | None, int | None]) -> str:
    """From when to when."""
    return f"{moment_text(received_ns[0])} to {moment_text(received_ns[1])}"


def inputs_text(first: int, last: int) -> str:
    """Which inputs."""
    return f"input {first:,}" if first == last else f"inputs {first:,} to {last:,} ({last - first + 1:,})"


def size_text(size: float) -> str:
    """Bytes, for a person."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def size_of(directory: str) -> int:
    """Bytes of all segments of a journal; 0 if there is none."""
    try:
        return sum(path.stat().st_size for path in Path(os.fspath(directory)).glob("*.zst"))
    except OSError:
        return 0
