"""Tables as Arrow, Polars and pandas: exact numbers, nanoseconds, and floats only where they are asked for."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire import Journal, UsageError
from krakenwire.journal.tables.arrow import to_batch, to_table
from krakenwire.journal.tables.schema import SCHEMAS, BookTop
from krakenwire.journal.tables.spool import columns_of

NUMBERS = st.decimals(-(10**20), 10**20, allow_nan=False, allow_infinity=False, places=9) | st.decimals(
    0, 10**6, places=12
)


def top(number: Decimal | None, n: int = 1) -> BookTop:
    return BookTop(
        symbol="A/B",
        bid=number,
        bid_qty=Decimal(1),
        ask=None,
        ask_qty=Decimal("0.10"),
        source="book",
        exchange_ns=None,
        received_ns=1_795_400_000_123_456_789,
        n=n,
    )


@given(st.lists(st.lists(st.none() | NUMBERS, min_size=1, max_size=5), max_size=4))
def test_every_number_is_held_exactly_however_many_decimals(batches: list[list[Decimal | None]]) -> None:
    table = to_table(SCHEMAS["bbo"], [[top(number) for number in numbers] for numbers in batches], "exact")
    flat = [number for numbers in batches for number in numbers]
    assert table["bid"].to_pylist() == flat
    kind = table.schema.field("bid").type
    assert kind.precision == (18 if kind.precision == 18 else 38)
    floats = to_table(SCHEMAS["bbo"], [[top(number) for number in numbers] for numbers in batches], "float")
    assert floats["bid"].to_pylist() == [None if number is None else float(number) for number in flat]
    assert floats.schema.field("bid").type == pa.float64()


def test_short_numbers_can_be_multiplied(recorded: Path) -> None:
    import pyarrow.compute as pc

    trades = Journal(recorded).trades("BTC/USD").to_arrow()
    product = pc.multiply(trades["price"], trades["qty"])
    expected = [trade.price * trade.qty for trade in Journal(recorded).trades("BTC/USD")]
    assert product.to_pylist() == expected


def test_numbers_that_no_column_holds_together_are_refused() -> None:
    rows = [top(Decimal(10) ** 30), top(Decimal("0.000000000001"))]
    with pytest.raises(UsageError, match="no decimal128 holds"):
        to_table(SCHEMAS["bbo"], [rows], "exact")
    with pytest.raises(UsageError, match="no decimal128 holds"):
        to_table(SCHEMAS["bbo"], [rows[:1], rows[1:]], "exact")
    assert to_table(SCHEMAS["bbo"], [rows], "float").num_rows == 2


@pytest.mark.parametrize("number", [Decimal("0.1234567890123"), Decimal(10) ** 27])
def test_an_exported_number_that_does_not_fit_is_refused(number: Decimal) -> None:
    with pytest.raises(UsageError, match="not rounded"):
        to_batch(columns_of("bbo"), [top(number)], 12)


def test_times_are_utc_nanoseconds_and_text_is_a_dictionary(recorded: Path) -> None:
    journal = Journal(recorded)
    table = journal.trades().to_arrow()
    assert table.schema.field("received_time").type == pa.timestamp("ns", "UTC")
    assert table.schema.field("symbol").type == pa.dictionary(pa.int32(), pa.string())
    assert table["received_time"].cast(pa.int64()).to_pylist() == [trade.received_ns for trade in journal.trades()]
    assert table["symbol"].to_pylist() == [trade.symbol for trade in journal.trades()]


def test_polars_has_exact_decimals(recorded: Path) -> None:
    journal = Journal(recorded)
    frame = journal.trades("BTC/USD").to_polars()
    assert frame["price"].to_list() == [trade.price for trade in journal.trades("BTC/USD")]
    assert isinstance(frame.schema["price"], pl.Decimal)
    assert frame.schema["received_time"] == pl.Datetime("ns", "UTC")
    assert journal.trades("BTC/USD").to_polars("float").schema["price"] == pl.Float64
    books = journal.books("BTC/USD", depth=3).to_polars()
    assert books["bid_prices"].list.get(0).to_list() == [row.bids[0].price for row in journal.books("BTC/USD", depth=3)]


def test_pandas_has_exact_decimals_and_floats_where_asked(recorded: Path) -> None:
    journal = Journal(recorded)
    frame: Any = journal.trades("BTC/USD").to_pandas()
    trades = list(journal.trades("BTC/USD"))
    assert list(frame["price"]) == [trade.price for trade in trades]
    assert (frame["price"] * frame["qty"]).sum() == sum(trade.price * trade.qty for trade in trades)
    assert str(frame["received_time"].dtype) == "datetime64[ns, UTC]"
    floats: Any = journal.trades("BTC/USD").to_pandas(numbers="float")
    assert str(floats["price"].dtype) == "float64"
    gaps: Any = journal.gaps().to_pandas()
    assert str(gaps["first"].dtype) == "Int64"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_table_is_given_in_every_way(recorded: Path, name: str) -> None:
    journal = Journal(recorded)
    methods: dict[str, Any] = {
        "trade": journal.trades,
        "book": journal.books,
        "book_state": journal.book_state,
    }
    table: Any = (methods.get(name) or getattr(journal, name))()
    arrow = table.to_arrow()
    assert arrow.column_names == table.columns
    assert len(table.to_polars()) == len(table.to_pandas()) == arrow.num_rows == len(list(table)) > 0


def test_what_is_no_way_to_give_numbers_is_refused(recorded: Path) -> None:
    with pytest.raises(UsageError, match='"exact"'):
        Journal(recorded).trades().to_arrow("double")  # type: ignore[arg-type]  # a user's mistake


@pytest.mark.parametrize("module", ["pyarrow", "polars", "pandas"])
def test_what_is_not_installed_is_named(recorded: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    table = Journal(recorded).trades()
    method = {"pyarrow": table.to_arrow, "polars": table.to_polars, "pandas": table.to_pandas}[module]
    with pytest.raises(UsageError, match="pip install"):
        method()
    assert next(iter(table)).symbol  # rows need none of them
