"""One spelling for each symbol, and the nearest right ones for a wrong one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.events import Instrument, Stamp
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.symbols import TRADABLE_STATUSES, Catalogue, Change, normalise


def instrument(symbol: str = "BTC/USD", status: str = "online") -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        symbol=symbol,
        type="snapshot",
        base=base,
        quote=quote,
        status=status,
        price_precision=1,
        qty_precision=8,
        cost_precision=5,
        price_increment=Decimal("0.1"),
        qty_increment=Decimal("1e-8"),
        qty_min=Decimal("5e-5"),
    )


def catalogue(*symbols: str) -> Catalogue:
    listed = Catalogue()
    for symbol in symbols:
        listed.add(instrument(symbol))
    return listed


LISTED = catalogue(
    "BTC/USD", "BTC/EUR", "BTC/AUD", "BTC/USDT", "ETH/USD", "ETH/BTC", "DOGE/USD", "DOGE/BTC", "SOL/USD", "AAPLx/USD"
)


@pytest.mark.parametrize(
    ("given_symbol", "symbol"),
    [
        ("BTC/USD", "BTC/USD"),
        ("XBT/USD", "BTC/USD"),
        ("XDG/USD", "DOGE/USD"),
        ("ETH/XBT", "ETH/BTC"),
        ("XDG/XBT", "DOGE/BTC"),
        ("btc/usd", "BTC/USD"),
        ("xbt/usd", "BTC/USD"),
        ("XXBT/USD", "XXBT/USD"),
        ("XTZ/USD", "XTZ/USD"),
        ("AAPLx/USD", "AAPLx/USD"),
        ("AAPLx/usd", "AAPLx/USD"),
        ("1INCH/USD", "1INCH/USD"),
        ("ETH2.S/ETH", "ETH2.S/ETH"),
    ],
)
def test_symbol_is_given_its_v2_spelling(given_symbol: str, symbol: str) -> None:
    assert normalise(given_symbol) == symbol


@pytest.mark.parametrize(
    "wrong", ["", "BTCUSD", "/", "BTC/", "/USD", "BTC/USD/EUR", " BTC/USD", "BTC/USD\n", "BTC / USD", "BTC-USD"]
)
def test_what_is_not_base_and_quote_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="expected a symbol as BASE/QUOTE, as in 'BTC/USD', got"):
        normalise(wrong)


def test_symbol_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="got 5"):
        normalise(5)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(UsageError, match="got None"):
        LISTED.resolve(None)  # type: ignore[arg-type]  # the point of the test


@given(st.from_regex(r"[A-Za-z0-9.]{1,8}/[A-Za-z0-9.]{1,8}", fullmatch=True))
def test_normalising_twice_changes_nothing_more(symbol: str) -> None:
    assert normalise(normalise(symbol)) == normalise(symbol)


@pytest.mark.parametrize(
    ("asked", "symbol"),
    [
        ("BTC/USD", "BTC/USD"),
        ("XBT/USD", "BTC/USD"),
        ("btc/usd", "BTC/USD"),
        ("Btc/Usd", "BTC/USD"),
        ("aaplx/usd", "AAPLx/USD"),
        ("AAPLX/USD", "AAPLx/USD"),
    ],
)
def test_listed_symbol_is_found_in_every_spelling(asked: str, symbol: str) -> None:
    assert LISTED.resolve(asked) == symbol


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("BTCUSD", "BTC/USD"),
        ("XBTUSD", "BTC/USD"),
        ("ETHXBT", "ETH/BTC"),
        ("XDGUSD", "DOGE/USD"),
        ("BTC-USD", "BTC/USD"),
        ("btcusd", "BTC/USD"),
        ("BTC/USDD", "BTC/USD"),
        ("BCT/USD", "BTC/USD"),
        ("USD/BTC", "BTC/USD"),
        ("BTC/XYZ", "BTC/USD"),
        ("BTC", "BTC/USD"),
        ("XBT", "BTC/USD"),
        (" SOL/USD", "SOL/USD"),
        ("SOLL/USD", "SOL/USD"),
        ("ETH/BTX", "ETH/BTC"),
    ],
)
def test_wrong_symbol_is_answered_with_the_nearest_right_one(asked: str, nearest: str) -> None:
    with pytest.raises(UnknownSymbol) as caught:
        LISTED.resolve(asked)
    assert caught.value.symbol == asked
    assert caught.value.nearest[0] == nearest
    assert nearest in str(caught.value)


def test_base_that_is_listed_is_offered_with_its_other_quotes_common_ones_first() -> None:
    with pytest.raises(UnknownSymbol) as caught:
        LISTED.resolve("BTC/WXYZ")
    assert caught.value.nearest == ("BTC/USD", "BTC/EUR", "BTC/USDT", "BTC/AUD")


@given(st.text(max_size=20))
def test_whatever_is_asked_is_found_or_refused_with_at_most_five_listed_ones(asked: str) -> None:
    try:
        assert LISTED.resolve(asked) in LISTED
    except UnknownSymbol as error:
        assert len(set(error.nearest)) == len(error.nearest) <= 5  # noqa: PT017  # a refusal is one of two outcomes
        assert all(symbol in LISTED for symbol in error.nearest)  # noqa: PT017  # likewise


def test_empty_catalogue_knows_nothing() -> None:
    with pytest.raises(UnknownSymbol, match="expected BASE/QUOTE") as caught:
        Catalogue().resolve("BTC/USD")
    assert caught.value.nearest == ()


def test_catalogue_lists_what_was_added() -> None:
    listed = catalogue("ETH/USD", "BTC/USD")
    assert listed.symbols() == ("BTC/USD", "ETH/USD")
    assert [each.symbol for each in listed] == ["ETH/USD", "BTC/USD"]
    assert len(listed) == 2
    assert "BTC/USD" in listed
    assert "XBT/USD" not in listed
    assert listed.get("BTC/USD") == instrument("BTC/USD")
    assert listed.get("XBT/USD") is None


@pytest.mark.parametrize(
    ("status", "tradable"),
    [
        ("online", True),
        ("limit_only", True),
        ("post_only", True),
        ("reduce_only", True),
        ("cancel_only", False),
        ("maintenance", False),
        ("work_in_progress", False),
        ("delisted", False),
        ("something_new", False),
    ],
)
def test_tradable_symbols_are_those_that_take_new_orders(status: str, tradable: bool) -> None:
    listed = catalogue("ETH/USD")
    listed.add(instrument("BTC/USD", status))
    assert listed.symbols(tradable_only=True) == (("BTC/USD", "ETH/USD") if tradable else ("ETH/USD",))
    assert (status in TRADABLE_STATUSES) is tradable


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        ({}, Change.NONE),
        ({"n": 9, "seq": 4, "type": "update", "stamp": Stamp("public", 1, 2, 3)}, Change.NONE),
        ({"status": "post_only"}, Change.STATUS),
        ({"price_precision": 2}, Change.PRECISION),
        ({"qty_increment": Decimal("1e-7")}, Change.PRECISION),
        ({"qty_increment": Decimal("1.0e-8")}, Change.NONE),
        ({"qty_min": Decimal(1)}, Change.DETAILS),
        ({"position_limit_long": 5}, Change.DETAILS),
        ({"price_precision": 2, "status": "online2", "cost_min": Decimal(1)}, ~Change.LISTED),
    ],
)
def test_catalogue_tells_what_changed_and_keeps_the_newest(changed: dict[str, object], change: Change) -> None:
    listed = Catalogue()
    assert listed.add(instrument()) is Change.LISTED
    newer = msgspec.structs.replace(instrument(), **changed)
    assert listed.add(newer) == change
    assert bool(change) is (change is not Change.NONE)
    assert listed.get("BTC/USD") is newer


def test_every_field_of_an_instrument_is_watched() -> None:
    other: dict[str, object] = {"marginable": True, "has_index": True}
    for name in set(Instrument.__struct_fields__) - {"stamp", "n", "seq", "type", "symbol"}:
        listed = Catalogue()
        listed.add(instrument())
        newer = msgspec.structs.replace(instrument(), **{name: other.get(name, 77)})
        assert listed.add(newer), f"a change of {name} goes unnoticed"


def test_recorded_instruments_fill_the_catalogue(captures: Path) -> None:
    listed = Catalogue()
    for event in decode((captures / "v2_instrument_snapshot.json").read_bytes()):
        if isinstance(event, Instrument):
            assert listed.add(event) is Change.LISTED
    assert len(listed) == 683
    assert len(listed.symbols(tradable_only=True)) == 681
    assert all(listed.resolve(symbol) == symbol for symbol in listed.symbols())
    assert all(normalise(symbol) == symbol for symbol in listed.symbols())
