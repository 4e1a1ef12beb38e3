"""Exact money: a context that refuses to round by itself, and the roundings that are asked for by name."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import Final

__all__ = ["EXACT", "ZERO", "ratio", "round_down", "round_half_up", "round_up"]

DIGITS: Final = 200
EXACT: Final = Context(prec=DIGITS, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])
_ROUNDED: Final = Context(prec=DIGITS, traps=[InvalidOperation, DivisionByZero, Overflow])
ZERO: Final = Decimal(0)


def round_down(amount: Decimal, unit: Decimal) -> Decimal:
    """The greatest multiple of `unit`, a power of ten, that is not more than `amount`."""
    return amount.quantize(unit, ROUND_FLOOR, _ROUNDED)


def round_up(amount: Decimal, unit: Decimal) -> Decimal:
    """The least multiple of `unit`, a power of ten, that is not less than `amount`."""
    return amount.quantize(unit, ROUND_CEILING, _ROUNDED)


def round_half_up(amount: Decimal, unit: Decimal) -> Decimal:
    """The multiple of `unit`, a power of ten, nearest to `amount`; of two the one farther from 0."""
    return amount.quantize(unit, ROUND_HALF_UP, _ROUNDED)


def ratio(amount: Decimal, of: Decimal, unit: Decimal) -> Decimal:
    """`amount` divided by `of`, rounded half up to a multiple of `unit`."""
    return round_half_up(_ROUNDED.divide(amount, of), unit)
