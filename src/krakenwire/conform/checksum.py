"""Kraken's checksums, as plainly as PROTOCOL 6 states them; nothing here comes from the library's kernel."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from decimal import Decimal

__all__ = ["TOP", "crc", "token"]

TOP = 10
"""Levels a side that are covered."""


def token(number: str) -> str:
    """A number's text without its point and leading zeros (PROTOCOL 6.1); an exponent is written out first."""
    if "e" in number or "E" in number:
        number = format(Decimal(number), "f")
    return number.replace(".", "").lstrip("0")


def crc(numbers: Iterable[str]) -> int:
    """CRC-32 of the numbers' tokens: price, quantity, price, …, asks ascending and then bids descending."""
    return zlib.crc32("".join(map(token, numbers)).encode())
