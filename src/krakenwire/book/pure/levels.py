"""Levels as text: what a scanner finds, what a checksum wants, what a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from krakenwire.book import reasons
from krakenwire.book.content import refuse
from krakenwire.events import Level

__all__ = [
    "POWERS",
    "Element",
    "Entry",
    "Frame",
    "Scanned",
    "at_precision",
    "canonical_of",
    "level_json",
    "level_of",
    "pack_levels",
    "plain_text",
    "scanned_level",
    "unpack_levels",
]

Entry = tuple[bytes, int, int, int]
"""One level as the checksum wants it (PROTOCOL 6.1), without points and leading zeros: the digits of the price, then
those of the quantity; how many are the price's; how many of the price's, then of the quantity's, are behind the point.
A quantity without digits is zero. (A plain tuple: naming the fields would cost the book a tenth of its speed.)"""

Scanned = tuple[int, Entry]
"""A level of a message: its price times 10^18 (exact, and the same however the price was written), and its text."""


class Element(NamedTuple):
    """What a message says of one book."""

    symbol: str
    snapshot: bool
    bids: list[Scanned]
    asks: list[Scanned]
    checksum: int | None
    exchange_ns: int | None


class Frame(NamedTuple):
    """A book frame: one element per book in it. `v1` frames have no timestamp of their own."""

    elements: list[Element]
    v1: bool


POWERS = [10**n for n in range(reasons.MAX_FRACTION + 1)]


def scanned_level(price: tuple[bytes, int], qty: tuple[bytes, int]) -> Scanned:
    """A level of its price and its quantity, each its digits and its scale."""
    digits, price_scale = price
    qty_digits, qty_scale = qty
    key = int(digits) * POWERS[reasons.MAX_FRACTION - price_scale]
    return key, (digits + qty_digits, len(digits), price_scale, qty_scale)


def plain_text(digits: bytes, scale: int) -> str:
    """The decimal text of `digits` with `scale` of them behind the point."""
    text = digits.decode().rjust(scale + 1, "0")
    return f"{text[:-scale]}.{text[-scale:]}" if scale else text


def level_of(entry: Entry) -> Level:
    """The level as exact numbers, with the zeros that were on the wire."""
    text, price_len, price_scale, qty_scale = entry
    return Level(Decimal(plain_text(text[:price_len], price_scale)), Decimal(plain_text(text[price_len:], qty_scale)))


def level_json(entry: Entry, *, deleted: bool = False) -> str:
    """The level as it stands in a message; deleted: with a quantity of zero."""
    text, price_len, price_scale, qty_scale = entry
    qty = plain_text(b"" if deleted else text[price_len:], qty_scale)
    return f'{{"price":{plain_text(text[:price_len], price_scale)},"qty":{qty}}}'


def canonical_of(entry: Entry) -> tuple[str, str]:
    """Price and quantity without zeros at the end of the fraction."""
    text, price_len, price_scale, qty_scale = entry
    price, qty = plain_text(text[:price_len], price_scale), plain_text(text[price_len:], qty_scale)
    return (
        price.rstrip("0").rstrip(".") if price_scale else price,
        qty.rstrip("0").rstrip(".") if qty_scale else qty,
    )


def pack_levels(entries: Iterable[Entry]) -> bytes:
    """Levels as bytes, see `StateContent`."""
    return b"".join(
        [
            bytes((price_len, len(text) - price_len, price_scale, qty_scale)) + text
            for text, price_len, price_scale, qty_scale in entries
        ]
    )


def unpack_levels(packed: bytes, sign: int, depth: int) -> list[Scanned]:
    """The levels of a side, best first; `sign` is -1 for asks.

    Raises:
        ValueError: they are not in order, too many, or not numbers.
    """
    levels: list[Scanned] = []
    at = 0
    while at < len(packed):
        head = packed[at : at + 4]
        if len(head) < 4 or len(levels) == depth:
            raise refuse("more levels than its depth, or a part of one")
        price_len, qty_len, price_scale, qty_scale = head
        at += 4 + price_len + qty_len
        text = packed[at - price_len - qty_len : at]
        numbers = ((text[:price_len], price_len, price_scale), (text[price_len:], qty_len, qty_scale))
        if not all(_is_number(*number) for number in numbers):
            raise refuse("a level that is not of two numbers")
        level = scanned_level((text[:price_len], price_scale), (text[price_len:], qty_scale))
        if levels and level[0] * sign >= levels[-1][0] * sign:
            raise refuse("levels out of order")
        levels.append(level)
    return levels


def _is_number(digits: bytes, count: int, scale: int) -> bool:
    """Whether digits, without the zeros before them, are of a number that a book may hold."""
    return (
        0 < count == len(digits) <= reasons.MAX_DIGITS
        and scale <= reasons.MAX_FRACTION
        and count - scale <= reasons.MAX_WHOLE
        and digits.isdigit()
        and digits[0] != ord("0")
    )


def at_precision(digits: bytes, scale: int, precision: int) -> bytes:
    """Digits as they are at `precision`: zeros are added or dropped at the end, but never anything else."""
    if scale < precision:
        return digits + b"0" * (precision - scale)
    while scale > precision and digits.endswith(b"0"):
        digits = digits[:-1]
        scale -= 1
    return digits
