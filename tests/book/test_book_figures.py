"""What derives from a book's levels, on the live book and on its snapshots alike."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.frames import Pair, v2_element, v2_frame
from krakenwire.book.face import Book
from krakenwire.book.figures import Figures
from krakenwire.book.snapshot import BookSnapshot
from krakenwire.errors import NotEnoughLiquidity, UsageError
from krakenwire.events import Level

BIDS = [("100.0", "1.00"), ("99.5", "2.00"), ("99.0", "3.00")]
ASKS = [("100.5", "3.00"), ("101.0", "2.50"), ("101.5", "3.50")]

Make = Callable[[list[Pair], list[Pair]], Figures]


@pytest.fixture(params=["live", "snapshot"])
def make(request: pytest.FixtureRequest, impl: Any) -> Make:
    """Makes a book of levels: a live one, or a snapshot of it."""

    def figures(bids: list[Pair], asks: list[Pair]) -> Figures:
        books = impl.Books()
        state = books.add("BTC/USD", 1000)
        state.set_precision(8, 8)
        element = v2_element("BTC/USD", bids, asks)
        books.apply(v2_frame("snapshot", element), [])
        # Whatever the checksum: these levels are to be read.
        checksum = state.checksum
        books.apply(v2_frame("snapshot", v2_element("BTC/USD", bids, asks, checksum)), [])
        book = Book("BTC/USD", 1000)
        book.attach(state)
        return book if request.param == "live" else book.snapshot()

    return figures


@pytest.fixture
def book(make: Make) -> Figures:
    return make(BIDS, ASKS)


def test_best_levels(book: Figures) -> None:
    assert book.best_bid == Level(Decimal("100.0"), Decimal("1.00"))
    assert book.best_ask == Level(Decimal("100.5"), Decimal("3.00"))


def test_mid_and_spread_are_exact(book: Figures) -> None:
    assert (book.mid, book.spread) == (Decimal("100.25"), Decimal("0.5"))


def test_microprice_leans_away_from_the_heavier_side(book: Figures) -> None:
    assert book.microprice == Decimal("100.125"), "three times as much is offered: nearer to the bid"


def test_microprice_is_rounded_half_to_even_at_28_digits(make: Make) -> None:
    exact = Fraction(1 * 2 + 2 * 1, 3)
    price = make([("1", "1")], [("2", "2")]).microprice
    assert str(price) == "1.333333333333333333333333333"
    assert abs(Fraction(str(price)) - exact) < Fraction(1, 10**27)


def test_numbers_of_an_empty_side_are_none(make: Make) -> None:
    for bids, asks in ((BIDS, []), ([], ASKS), ([], [])):
        book = make(bids, asks)
        assert (book.mid, book.spread, book.microprice) == (None, None, None)
        assert book.best_bid is None or bids
        assert book.best_ask is None or asks


def test_imbalance_is_a_float_from_minus_one_to_one(make: Make, book: Figures) -> None:
    assert book.imbalance() == -0.5
    assert book.imbalance(3) == pytest.approx((6 - 9) / 15)
    assert book.imbalance(1000) == book.imbalance(3)
    assert (make(BIDS, []).imbalance(), make([], ASKS).imbalance()) == (1.0, -1.0)
    assert math.isnan(make([], []).imbalance())
    assert type(book.imbalance()) is float
    with pytest.raises(UsageError, match="levels must be positive, got 0"):
        book.imbalance(0)


def test_cost_takes_asks_for_a_buy_and_bids_for_a_sell(book: Figures) -> None:
    assert book.cost("buy", 3) == Decimal("301.5")
    assert book.cost("buy", "5") == Decimal("301.5") + 2 * Decimal("101.0")
    assert book.cost("sell", Decimal("1.5")) == Decimal("100") + Decimal("0.5") * Decimal("99.5")
    assert book.cost("sell", 6) == Decimal("100") + 2 * Decimal("99.5") + 3 * Decimal("99")


def test_vwap_is_the_average_price(book: Figures) -> None:
    assert book.vwap("buy", 1) == Decimal("100.5")
    assert book.vwap("sell", 2) == Decimal("99.75")
    assert str(book.vwap("sell", 6)) == "99.33333333333333333333333333"


def test_more_than_there_is_raises_with_what_there_is(book: Figures) -> None:
    for ask in (book.cost, book.vwap):
        with pytest.raises(NotEnoughLiquidity) as caught:
            ask("buy", "9.01")
        error = caught.value
        assert (error.symbol, error.side, error.asked, error.available) == (
            *("BTC/USD", "asks", Decimal("9.01"), Decimal("9.00")),
        )
    with pytest.raises(NotEnoughLiquidity, match="on its bids"):
        book.cost("sell", 100)


def test_nothing_at_all_is_not_enough(make: Make) -> None:
    with pytest.raises(NotEnoughLiquidity) as caught:
        make([], []).cost("buy", 1)
    assert caught.value.available == 0


def test_deep_fills_take_as_many_levels_as_they_need(make: Make) -> None:
    asks = [(f"{price}.0", "1.0") for price in range(1, 501)]
    book = make([], asks)
    for count in (1, 10, 11, 40, 41, 500):
        assert book.cost("buy", count) == count * (count + 1) // 2
    with pytest.raises(NotEnoughLiquidity):
        book.cost("buy", 501)


@pytest.mark.parametrize("qty", [0, -1, "0.0", "-0.5"])
def test_quantity_must_be_positive(book: Figures, qty: int | str) -> None:
    with pytest.raises(UsageError, match="qty must be positive"):
        book.cost("buy", qty)


def test_float_quantity_is_refused(book: Figures) -> None:
    for wrong in (0.5, import_module("numpy").float64(0.5)):
        with pytest.raises(UsageError, match=r"pass str\(x\)"):
            book.vwap("buy", wrong)  # type: ignore[arg-type]  # the refusal is what is tested


def test_side_must_be_buy_or_sell(book: Figures) -> None:
    with pytest.raises(UsageError, match="side must be 'buy' or 'sell', got 'asks'"):
        book.cost("asks", 1)  # type: ignore[arg-type]  # the refusal is what is tested


def test_numbers_ignore_the_callers_context(book: Figures) -> None:
    with decimal.localcontext(decimal.Context(prec=1, traps=[decimal.Inexact])):
        assert book.mid == Decimal("100.25")
        assert book.cost("buy", "3.123") == Decimal("313.923")
        assert book.microprice == Decimal("100.125")


def test_to_numpy_gives_float64_pairs(make: Make, book: Figures) -> None:
    import_module("numpy")
    assert isinstance(book, (Book, BookSnapshot))
    bids, asks = book.to_numpy()
    assert (bids.shape, asks.shape, str(bids.dtype), str(asks.dtype)) == ((3, 2), (3, 2), "float64", "float64")
    assert bids.tolist() == [[100.0, 1.0], [99.5, 2.0], [99.0, 3.0]]
    bids, asks = book.to_numpy(2)
    assert asks.tolist() == [[100.5, 3.0], [101.0, 2.5]]
    empty = make([], [])
    assert isinstance(empty, (Book, BookSnapshot))
    assert [side.shape for side in empty.to_numpy()] == [(0, 2), (0, 2)]
    with pytest.raises(UsageError, match="levels must be positive"):
        book.to_numpy(0)


amount = st.decimals(Decimal("0.00000001"), Decimal(10) ** 11, places=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    levels=st.dictionaries(st.integers(1, 10**9), amount, min_size=1, max_size=30),
    share=st.fractions(Fraction(1, 1000), Fraction(1), max_denominator=1000),
)
def test_cost_equals_the_sum_over_fractions(levels: dict[int, Decimal], share: Fraction) -> None:
    asks = tuple(Level(Decimal(price).scaleb(-5), levels[price]) for price in sorted(levels))
    book = BookSnapshot(
        symbol="X/USD", depth=100, bids=(), asks=asks, checksum=None, exchange_ns=None, received_ns=None, synced=True
    )
    total = sum(Fraction(qty) for _, qty in asks)
    wanted = Decimal(math.ceil(total * share * 10**8)).scaleb(-8)
    left, expected = Fraction(wanted), Fraction(0)
    for price, qty in asks:
        part = min(left, Fraction(qty))
        expected += part * Fraction(price)
        left -= part
    assert Fraction(book.cost("buy", wanted)) == expected
    average = book.vwap("buy", wanted)
    assert asks[0].price <= average <= asks[-1].price or abs(Fraction(average) - expected / Fraction(wanted)) < 1
