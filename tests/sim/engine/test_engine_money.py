from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.engines import COIN, LISTINGS
from krakenwire.sim.engine.money import EXACT, ratio, round_down, round_half_up, round_up
from krakenwire.sim.engine.pair import Pair

CENT = Decimal("0.01")
PAIR = Pair(LISTINGS[0].instrument, 2)
amounts = st.decimals(-(10**12), 10**12, places=9)


@given(amounts)
def test_roundings_are_the_nearest_multiples_on_their_side(amount: Decimal) -> None:
    down, up, half = round_down(amount, CENT), round_up(amount, CENT), round_half_up(amount, CENT)
    assert down <= amount <= up
    assert up - down in {0, CENT}
    assert abs(Fraction(half) - Fraction(amount)) <= Fraction(1, 200)


def test_half_goes_away_from_zero() -> None:
    assert round_half_up(Decimal("0.005"), CENT) == CENT
    assert round_half_up(Decimal("-0.005"), CENT) == -CENT


def test_ratio_is_rounded_once() -> None:
    assert ratio(Decimal("2"), Decimal("3"), CENT) == Decimal("0.67")
    assert str(ratio(Decimal("100"), Decimal("1"), CENT)) == "100.00"


def test_exact_context_never_rounds_in_silence() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


@given(st.integers(1, 10**9), st.integers(1, 10**15))
def test_ticks_and_lots_are_prices_and_quantities_and_back(tick: int, lots: int) -> None:
    assert PAIR.ticks(PAIR.price(tick)) == tick
    assert PAIR.lots(PAIR.qty(lots)) == lots
    assert Fraction(PAIR.value(tick, lots)) == Fraction(PAIR.price(tick)) * Fraction(PAIR.qty(lots))


def test_numbers_are_padded_to_the_precision() -> None:
    assert str(PAIR.price(1000)) == "100.0"
    assert str(PAIR.qty(150)) == "1.50"


@pytest.mark.parametrize("text", ["0.05", "NaN", "sNaN", "Infinity", "1E+999999999", "1E-999999999", "1E+30", "9" * 60])
def test_numbers_that_are_no_price_are_none(text: str) -> None:
    assert PAIR.ticks(Decimal(text)) is None


def test_numbers_of_unusual_form_are_read() -> None:
    assert PAIR.ticks(Decimal("1E+2")) == 1000
    assert PAIR.ticks(Decimal("100.0000000")) == 1000
    assert PAIR.symbol == COIN


def test_greatest_and_finest_numbers_that_are_read_can_be_reckoned_with() -> None:
    greatest = Decimal("9" * 24 + ".9")
    tick, lots = PAIR.ticks(greatest), PAIR.lots(greatest)
    assert tick is not None
    assert lots is not None
    assert EXACT.multiply(PAIR.value(tick, lots), Decimal("0.000000000000000001"))


def test_increments_may_be_more_than_one_tick() -> None:
    instrument = LISTINGS[0].instrument
    changed = type(instrument)(
        **{f: getattr(instrument, f) for f in instrument.__struct_fields__}
        | {
            "price_increment": Decimal("0.5"),
            "qty_increment": Decimal("0.05"),
        }
    )
    pair = Pair(changed, 2)
    assert pair.ticks(Decimal("100.5")) == 1005
    assert pair.ticks(Decimal("100.1")) is None
    assert pair.lots(Decimal("0.15")) == 15
    assert pair.lots(Decimal("0.01")) is None
