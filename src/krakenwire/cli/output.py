"""What goes to stdout: lines for people, or JSON objects, one a line."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

__all__ = ["print_json", "print_line"]

# Decimals as text keep every digit, whatever reads them.
_encoder = msgspec.json.Encoder(decimal_format="string")


def print_json(value: Any) -> None:
    """Print one object on one line, at once."""
    print_line(_encoder.encode(value).decode())


def print_line(text: str) -> None:
    """Print a line, at once: who reads a pipe is not kept waiting."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
