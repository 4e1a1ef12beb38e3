"""Exact arithmetic in contexts of the library's own."""

from __future__ import annotations

import decimal
from decimal import Decimal
from importlib import import_module

import pytest

from krakenwire.book.numbers import EXACT, ROUNDED, to_decimal
from krakenwire.errors import UsageError


def test_exact_context_raises_rather_than_round() -> None:
    with pytest.raises(decimal.Inexact):
        EXACT.divide(Decimal(1), Decimal(3))
    with pytest.raises(decimal.FloatOperation):
        EXACT.create_decimal(0.1)


def test_rounded_context_rounds_half_to_even_at_28_digits() -> None:
    assert str(ROUNDED.divide(Decimal(2), Decimal(3))) == "0.6666666666666666666666666667"
    assert ROUNDED.plus(Decimal("1000000000000000000000000000.5")) == Decimal("1000000000000000000000000000")


@pytest.mark.parametrize(
    ("value", "text"),
    [(Decimal("1.50"), "1.50"), (7, "7"), ("0.00005100", "0.00005100"), ("1e-5", "0.00001"), (" 2 ", "2"), (-3, "-3")],
)
def test_decimal_int_and_str_are_taken_exactly(value: Decimal | int | str, text: str) -> None:
    assert str(to_decimal(value, "qty")) == text


@pytest.mark.parametrize("kind", ["float", "float64", "float32"])
def test_floats_are_refused_with_the_way_to_pass_them(kind: str) -> None:
    value = 0.5 if kind == "float" else getattr(import_module("numpy"), kind)(0.5)
    with pytest.raises(UsageError, match=rf"qty must be Decimal, int or str, got {kind} 0\.5.*qty='0\.5'"):
        to_decimal(value, "qty")  # type: ignore[arg-type]  # the refusal is what is tested


@pytest.mark.parametrize("value", [True, None, b"1", [1]])
def test_other_kinds_are_refused(value: object) -> None:
    with pytest.raises(UsageError, match="price must be Decimal, int or str, got"):
        to_decimal(value, "price")  # type: ignore[arg-type]  # the refusal is what is tested


@pytest.mark.parametrize("value", ["", "x", "1,5", "0x10"])
def test_text_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="qty must be a decimal number, got"):
        to_decimal(value, "qty")


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", Decimal("sNaN")])
def test_what_is_not_finite_is_refused(value: Decimal | str) -> None:
    with pytest.raises(UsageError, match="qty must be finite"):
        to_decimal(value, "qty")


@pytest.mark.parametrize("value", [10**19, "0." + "0" * 18 + "1", "1" * 19 + "." + "1" * 10, "1e500", "1e-500"])
def test_what_no_book_can_hold_is_refused(value: int | str) -> None:
    with pytest.raises(UsageError, match="qty must have at most 19 digits before the point, 18 after it and 28 in all"):
        to_decimal(value, "qty")


def test_callers_context_does_not_matter() -> None:
    with decimal.localcontext(decimal.Context(prec=2, traps=[decimal.Inexact, decimal.Rounded])):
        assert str(to_decimal("123.456", "qty")) == "123.456"
        assert EXACT.multiply(Decimal("123.456"), Decimal("7.89")) == Decimal("974.06784")
