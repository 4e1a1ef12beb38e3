"""Exact decimal arithmetic, in contexts of the library's own: the caller's context neither matters nor is changed."""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
)

from krakenwire.book.reasons import MAX_DIGITS, MAX_FRACTION, MAX_WHOLE
from krakenwire.errors import UsageError

__all__ = ["EXACT", "ROUNDED", "to_decimal"]

EXACT = Context(
    prec=100,  # a price times a quantity has at most 56 digits; a sum over any number of levels few more
    rounding=ROUND_HALF_EVEN,
    traps=[Inexact, FloatOperation, InvalidOperation, DivisionByZero, Overflow],
)
"""For what is exact: a result that had to be rounded raises instead."""

ROUNDED = Context(
    prec=MAX_DIGITS,
    rounding=ROUND_HALF_EVEN,
    traps=[FloatOperation, InvalidOperation, DivisionByZero, Overflow],
)
"""For quotients: rounded half to even to 28 significant digits."""


def to_decimal(value: Decimal | int | str, name: str) -> Decimal:
    """The exact number that an argument called `name` stands for.

    Raises:
        UsageError: it is a float (also NumPy's), no finite number, or beyond 19 digits before the point, 18 after it,
            or 28 in all.
    """
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        if isinstance(value, float) or hasattr(value, "__float__"):
            raise UsageError(
                f"{name} must be Decimal, int or str, got {type(value).__name__} {value}: it seldom is the number"
                f" that was meant; pass str(x), as in {name}='{value}'"
            )
        raise UsageError(f"{name} must be Decimal, int or str, got {type(value).__name__}")
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        raise UsageError(f"{name} must be a decimal number, got {value!r}") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise UsageError(f"{name} must be finite, got {value!r}")
    digits = len(number.as_tuple().digits)
    if digits > MAX_DIGITS or -exponent > MAX_FRACTION or digits + exponent > MAX_WHOLE:
        raise UsageError(
            f"{name} must have at most {MAX_WHOLE} digits before the point, {MAX_FRACTION} after it and {MAX_DIGITS}"
            f" in all, got {value!r}"
        )
    return number
