"""Two books are equal level by level and digit by digit, or the first difference is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from krakenwire import Level
from krakenwire.cli.difference import Difference, first_difference

TRUTH = ([("100.0", "1.50"), ("99.5", "2.00")], [("100.5", "0.00000001")])


def levels(*pairs: tuple[str, str]) -> list[Level]:
    return [Level(Decimal(price), Decimal(qty)) for price, qty in pairs]


def test_equal_books_have_no_difference() -> None:
    assert first_difference("A/B", TRUTH, (levels(*TRUTH[0]), levels(*TRUTH[1]))) is None


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ([("100.0", "1.50"), ("99.5", "2.01")], TRUTH[1], ("bids", 2, ("99.5", "2.00"), ("99.5", "2.01"))),
        ([("100.0", "1.5"), ("99.5", "2.00")], TRUTH[1], ("bids", 1, ("100.0", "1.50"), ("100.0", "1.5"))),
        ([("100.0", "1.50")], TRUTH[1], ("bids", 2, ("99.5", "2.00"), None)),
        (TRUTH[0], [], ("asks", 1, ("100.5", "0.00000001"), None)),
        (TRUTH[0], [*TRUTH[1], ("101.0", "1.00")], ("asks", 2, None, ("101.0", "1.00"))),
    ],
    ids=["quantity", "digits", "missing level", "empty side", "level too many"],
)
def test_first_difference_is_told(
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    expected: tuple[str, int, tuple[str, str] | None, tuple[str, str] | None],
) -> None:
    found = first_difference("A/B", TRUTH, (levels(*bids), levels(*asks)))
    assert found == Difference("A/B", *expected)
    assert "A/B" in str(found)
