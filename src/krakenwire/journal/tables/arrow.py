"""Rows as Arrow columns. Only this module, and what is exported, needs the extra `arrow`.

Numbers are exact decimals, never rounded, or float64 where that is asked for. A column in memory has as many decimals
as its longest value needs, and 18 digits if all values fit, else 38: with 18, products are within what Arrow computes.
What is exported has the same type in all files, however many decimals the first symbol has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate, chain
from typing import Any, Final, Literal, get_args

from krakenwire.errors import UsageError
from krakenwire.journal.tables.schema import Column, Schema

__all__ = ["PRECISION", "Numbers", "check_numbers", "import_extra", "to_batch", "to_table", "type_of"]

Numbers = Literal["exact", "float"]
"""`exact` is decimal128, `float` float64."""

PRECISION: Final = 38
"""Digits that a decimal128 has at most."""
_SHORT: Final = 18
"""Digits of which a product has no more than `PRECISION`."""


def import_extra(name: str, what: str, extra: str) -> Any:
    """A module that comes with an extra.

    Raises:
        UsageError: it is not installed; says how to.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != name.partition(".")[0]:
            raise
        raise UsageError(f"{what} needs {name}: pip install {extra}") from None


def check_numbers(numbers: str) -> None:
    """Refuse what is no way to give numbers.

    Raises:
        UsageError: says which there are.
    """
    if numbers not in get_args(Numbers):
        raise UsageError(f'numbers must be "exact" (decimals) or "float" (float64), not {numbers!r}')


def type_of(column: Column, scale: int, numbers: Numbers = "exact", precision: int = PRECISION) -> Any:
    """The Arrow type of a column whose numbers have so many decimals."""
    import pyarrow as pa

    number = pa.float64() if numbers == "float" else pa.decimal128(precision, scale)
    return {
        "text": pa.dictionary(pa.int32(), pa.string()),
        "time": pa.timestamp("ns", "UTC"),
        "integer": pa.int64(),
        "flag": pa.bool_(),
        "number": number,
        "numbers": pa.list_(number),
    }[column.kind]


def to_batch(columns: Sequence[Column], rows: Sequence[Any], scale: int) -> Any:
    """Rows as a record batch with exact numbers of a given scale, and text as it is.

    Raises:
        UsageError: a number has more decimals, or more digits; it is not rounded.
    """
    import pyarrow as pa

    fields = [(column.name, pa.string() if column.kind == "text" else type_of(column, scale)) for column in columns]
    arrays = []
    for column, (name, kind) in zip(columns, fields, strict=True):
        values = [column.get(row) for row in rows]
        try:
            arrays.append(pa.array(values, kind) if column.kind == "text" else _array(column, values, kind))
        except pa.ArrowInvalid as error:
            raise UsageError(
                f"{name} has a number that does not fit {PRECISION} digits with {scale} behind the point, and numbers "
                f"are not rounded ({error})"
            ) from None
    return pa.record_batch(arrays, schema=pa.schema(fields))


def to_table(schema: Schema, batches: Iterable[Sequence[Any]], numbers: Numbers) -> Any:
    """Rows as a table."""
    import pyarrow as pa

    chunks: list[list[Any]] = [[] for _ in schema.columns]
    for rows in batches:
        for column, arrays in zip(schema.columns, chunks, strict=True):
            values = [column.get(row) for row in rows]
            if column.kind in ("number", "numbers"):
                arrays.append(_numbers(column, values, numbers))
            else:
                arrays.append(_array(column, values, type_of(column, 0)))
    columns = []
    for column, arrays in zip(schema.columns, chunks, strict=True):
        kind = type_of(column, 0, numbers)
        if column.kind in ("number", "numbers") and numbers == "exact":
            kind = type_of(column, *_digits([each for each in arrays if not pa.types.is_null(_number_type(each))]))
            arrays[:] = [each.cast(kind) for each in arrays]
        columns.append(pa.chunked_array(arrays, kind))
    table = pa.table(columns, names=[column.name for column in schema.columns])
    return table.unify_dictionaries()


def _array(column: Column, values: list[Any], kind: Any) -> Any:
    import pyarrow as pa

    if column.kind == "text":
        return pa.array(values, pa.string()).dictionary_encode()
    if column.kind == "numbers":
        return _list_array(values, pa.array(list(chain.from_iterable(values)), kind.value_type))
    return pa.array(values, kind)


def _numbers(column: Column, values: list[Any], numbers: Numbers) -> Any:
    """Numbers with as many decimals as they have."""
    import pyarrow as pa

    flat: list[Decimal | None] = list(chain.from_iterable(values)) if column.kind == "numbers" else values
    if numbers == "float":
        array = pa.array([None if each is None else float(each) for each in flat], pa.float64())
    else:
        array = pa.array(flat)
        if pa.types.is_decimal(array.type) and array.type.bit_width > 128:
            raise UsageError(
                f"{column.name} has numbers of more than {PRECISION} digits together, which no decimal128 holds: "
                'ask for them with numbers="float", or for fewer symbols'
            )
    return _list_array(values, array) if column.kind == "numbers" else array


def _list_array(values: list[list[Any]], flat: Any) -> Any:
    import pyarrow as pa

    offsets = pa.array(list(accumulate(map(len, values), initial=0)), pa.int32())
    return pa.ListArray.from_arrays(offsets, flat)


def _number_type(array: Any) -> Any:
    import pyarrow as pa

    return array.type.value_type if pa.types.is_list(array.type) else array.type


def _digits(arrays: list[Any]) -> tuple[int, Numbers, int]:
    """The scale that holds all of these, and the precision."""
    types = [_number_type(array) for array in arrays]
    scale = max((each.scale for each in types), default=0)
    whole = max((each.precision - each.scale for each in types), default=0)
    if whole + scale > PRECISION:
        raise UsageError(
            f"numbers with {whole} digits before the point and {scale} behind it stand in one column, which no "
            'decimal128 holds: ask for them with numbers="float", or for fewer symbols'
        )
    return scale, "exact", _SHORT if whole + scale <= _SHORT else PRECISION
