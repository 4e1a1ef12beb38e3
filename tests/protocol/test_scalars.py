"""Single values: what is read leniently, and what is out of bounds."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.protocol.wire.scalars import ABSENT, check_numbers, count, text, whole


@given(st.decimals(allow_nan=False, allow_infinity=False).filter(lambda number: abs(number.adjusted()) <= 64))
def test_finite_number_within_bounds_is_accepted(number: Decimal) -> None:
    check_numbers(number, None)


@pytest.mark.parametrize("number", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1e65", "-1e65", "1e-65", "0e-65"])
def test_number_out_of_bounds_is_refused_wherever_it_stands(number: str) -> None:
    with pytest.raises(ValueError, match="expected a finite number within 1e±64"):
        check_numbers(Decimal(1), None, Decimal(number))


@given(st.integers(-(10**18), 10**18))
def test_count_reads_every_spelling_of_a_whole_number(number: int) -> None:
    assert count(Decimal(number)) == number
    assert count(Decimal(f"{number}.0")) == number


@pytest.mark.parametrize("number", ["0.5", "NaN", "Infinity", "1e19", "1e999999"])
def test_count_refuses_what_is_not_whole_or_too_large(number: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number"):
        count(Decimal(number))


@pytest.mark.parametrize(
    ("json", "words", "number"),
    [
        (b'"BTC"', "BTC", None),
        (b'"\\u0042"', "B", None),
        (b"42", None, 42),
        (b"-42", None, -42),
        (b"18446744073709551615", None, 2**64 - 1),
        (b"1" * 21, None, None),
        (b"4.2", None, None),
        (b"1e2", None, None),
        (b"true", None, None),
        (b"null", None, None),
        (b"[1]", None, None),
        (b'{"a":1}', None, None),
    ],
)
def test_value_of_another_type_is_none(json: bytes, words: str | None, number: int | None) -> None:
    assert (text(msgspec.Raw(json)), whole(msgspec.Raw(json))) == (words, number)


def test_absent_value_is_none() -> None:
    assert (text(ABSENT), whole(ABSENT)) == (None, None)
