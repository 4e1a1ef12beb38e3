"""A table of a journal: nothing is read before somebody wants its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from krakenwire.journal.tables.arrow import Numbers, check_numbers, import_extra, to_table
from krakenwire.journal.tables.schema import Schema

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["Table"]

T_co = TypeVar("T_co", covariant=True)

_ARROW = "'krakenwire[arrow]'"
_BATCH = 16_384
"""Rows that are made into Arrow at a time."""


class Table(Generic[T_co]):
    """Rows of one kind, read from the journal each time that they are wanted.

    Iterating gives them one by one, in the order in which they became known, with memory bounded whatever the size of
    the journal. The `to_…` methods have all of them in memory at once.

    Made by the methods of `Journal`.

    Args:
        schema: the columns.
        read: begins to read; gives rows by the block.
        what: it in a few words.
    """

    def __init__(self, schema: Schema, read: Callable[[], Iterator[list[Any]]], what: str) -> None:
        self._schema = schema
        self._read = read
        self._what = what

    def __repr__(self) -> str:
        return f"<Table {self._what}: {', '.join(self.columns)}>"

    @property
    def columns(self) -> list[str]:
        """The names of the columns that `to_arrow` and the others give."""
        return [column.name for column in self._schema.columns]

    def __iter__(self) -> Iterator[T_co]:
        """The rows, one by one.

        Raises:
            NotRecorded: at the end, if there was nothing of what was asked for; says what there is.
            UsageError: the journal cannot be read.
        """
        for rows in self._read():
            yield from rows

    def to_arrow(self, numbers: Numbers = "exact") -> pa.Table:
        """All rows as a `pyarrow.Table`.

        Times are UTC nanoseconds, text is dictionary-encoded. Exact numbers are decimal128, with as many decimals as
        the longest value of the column has, and 18 digits in all if each value fits, else 38.

        Args:
            numbers: `exact` for decimals, `float` for float64.

        Raises:
            NotRecorded: there is nothing of what was asked for; says what there is.
            UsageError: pyarrow is not installed, or the journal cannot be read.
        """
        check_numbers(numbers)
        import_extra("pyarrow", "to_arrow", _ARROW)
        return to_table(self._schema, self._batches(), numbers)

    def to_polars(self, numbers: Numbers = "exact") -> pl.DataFrame:
        """All rows as a `polars.DataFrame`: `Decimal` or `Float64`, `Datetime('ns', 'UTC')`, `Categorical`.

        Raises:
            NotRecorded, UsageError: as of `to_arrow`; polars is needed, too.
        """
        check_numbers(numbers)
        import_extra("pyarrow", "to_polars", _ARROW)
        polars = import_extra("polars", "to_polars", "polars")
        frame: pl.DataFrame = polars.from_arrow(self.to_arrow(numbers))
        return frame

    def to_pandas(self, numbers: Numbers = "exact") -> pd.DataFrame:
        """All rows as a `pandas.DataFrame`: Arrow-backed decimals or float64, `datetime64[ns, UTC]`, categories.

        Integers with a value missing are `Int64`. The lists of book levels are Arrow-backed, too.

        Raises:
            NotRecorded, UsageError: as of `to_arrow`; pandas is needed, too.
        """
        check_numbers(numbers)
        import_extra("pyarrow", "to_pandas", _ARROW)
        pandas = import_extra("pandas", "to_pandas", "pandas")
        import pyarrow as pa

        table = self.to_arrow(numbers)
        with_nulls = {field.type for field in table.schema if table[field.name].null_count and field.type == pa.int64()}

        def backed(kind: Any) -> Any:
            if pa.types.is_decimal(kind) or pa.types.is_list(kind):
                return pandas.ArrowDtype(kind)
            return pandas.Int64Dtype() if kind in with_nulls else None

        frame: pd.DataFrame = table.to_pandas(types_mapper=backed)
        return frame

    def _batches(self) -> Iterator[list[Any]]:
        held: list[Any] = []
        for rows in self._read():
            held += rows
            if len(held) >= _BATCH:
                yield held
                held = []
        if held:
            yield held
