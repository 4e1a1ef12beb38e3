"""Which fields an object has, and of which type: one small table for each kind of object."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from krakenwire.conform.verdict import broken
from krakenwire.conform.wire import Item, Number, in_words, parse_time

__all__ = ["Shape", "expect_shape"]

Shape = Mapping[str, str]
"""Field to type: number, integer, text, bool, time, object, list, or words it may be, as `buy|sell`. A `?` after the
field's name says that it may be absent."""


def _is_integer(value: object) -> bool:
    return isinstance(value, Number) and value.removeprefix("-").isdigit()


_TYPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "number": ("a JSON number", lambda value: isinstance(value, Number)),
    # `trades` of a candle is "number (integer valued)", and limits of positions may be written either way.
    "integer": ("a JSON integer", _is_integer),
    "text": ("a JSON string", lambda value: type(value) is str),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "time": ("a time as RFC 3339 in UTC", lambda value: type(value) is str and parse_time(value) is not None),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "list": ("an array", lambda value: isinstance(value, list)),
}


def expect_shape(item: Item, shape: Shape) -> None:
    """Check an object against its table; fields that the table does not name are allowed (PROTOCOL 2.2).

    Raises:
        Broken: naming the first field that is wrong.
    """
    for key, kind in shape.items():
        name = key.removesuffix("?")
        if name not in item:
            if not key.endswith("?"):
                broken(f"a field `{name}`", f"none among {', '.join(item)}", item.frame)
            continue
        value = item.get(name)
        if kind in _TYPES:
            words, fits = _TYPES[kind]
        else:
            choices = kind.split("|")
            words, fits = f"one of {', '.join(choices)}", choices.__contains__
        if not fits(value):
            broken(f"`{name}` to be {words}", in_words(value), item.frame)
