"""Every kind of fault by its name, and what it can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

import msgspec
from msgspec import inspect

from krakenwire.errors import UsageError

from .books import CrossedBook
from .frames import CorruptChecksum, DoubleUpdate, LoseUpdate, ReorderUpdate, Rewrite
from .junk import GiantFrame, NotJson
from .market import InstrumentStatus, Maintenance, PrecisionChange, ThinBook
from .model import Fault, Timing
from .requests import ExpireToken, LoseReply, RateLimit
from .rest import RestError, RewriteRest
from .skew import ClockSkew
from .sockets import Burst, Cut, Delay, HalfOpen, RefuseConnect, SlowDrip
from .subscriptions import Mute, RefuseSubscription

__all__ = ["KINDS", "describe", "read_parameters"]

VAST = 10**9
"""A bound that nobody comes near: not worth a word."""

KINDS: Mapping[str, type[Fault[Any]]] = {
    each.kind: each
    for each in (
        LoseUpdate,
        DoubleUpdate,
        ReorderUpdate,
        CorruptChecksum,
        CrossedBook,
        Rewrite,
        Mute,
        RefuseSubscription,
        NotJson,
        GiantFrame,
        Cut,
        HalfOpen,
        SlowDrip,
        Burst,
        Delay,
        RefuseConnect,
        RateLimit,
        LoseReply,
        ExpireToken,
        RestError,
        RewriteRest,
        Maintenance,
        InstrumentStatus,
        PrecisionChange,
        ThinBook,
        ClockSkew,
    )
}


def read_parameters(kind: str, given: Mapping[str, object], *, is_text: bool = False) -> Timing:
    """The parameters of a fault, checked against what its kind has.

    Args:
        kind: name of the kind.
        given: parameters by name.
        is_text: the values are text, as on a command line, and are read as the types they should be.

    Raises:
        UsageError: there is no such kind or parameter, one is missing or has a wrong type; the message says what
            there is.
    """
    fault = KINDS.get(kind)
    if fault is None:
        raise UsageError(f"unknown fault {kind!r}{_nearest(kind, KINDS)}; there are {', '.join(sorted(KINDS))}")
    names = tuple(each.name for each in describe(kind))
    for name in given:
        if name not in names:
            raise UsageError(
                f"fault {kind} has no parameter {name!r}{_nearest(name, names)}; it has {', '.join(sorted(names))}"
            )
    try:
        return msgspec.convert(dict(given), fault.parameters_type, strict=not is_text)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        if missing := [each for each in describe(kind) if each.is_required and each.name not in given]:
            raise UsageError(
                f"fault {kind} needs {missing[0].name}: {missing[0].expected}, {missing[0].meaning}"
            ) from None
        if not name:
            raise UsageError(f"fault {kind}: {problem}") from None
        expected = next((each.expected for each in describe(kind) if each.name == name), "")
        raise UsageError(f"fault {kind}: {name}={given.get(name)!r} will not do; expected {expected}") from None


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a kind, in words.

    Attributes:
        expected: type and range.
        is_required: it has to be given.
        default: what it is if it is not given.
        meaning: what it does.
    """

    name: str
    expected: str
    is_required: bool
    default: bool | int | float | str | None
    meaning: str


def describe(kind: str) -> tuple[Parameter, ...]:
    """The parameters of a kind: its own, then by what it can be narrowed down, then when it works."""
    inherited = {*KINDS[kind].parameters_type.__mro__[1].__struct_fields__}  # type: ignore[attr-defined]  # a Struct
    return tuple(
        sorted(_describe(kind), key=lambda each: (each.name in Timing.__struct_fields__, each.name in inherited))
    )


def _describe(kind: str) -> Iterator[Parameter]:
    info = cast("inspect.StructType", inspect.type_info(KINDS[kind].parameters_type))
    for field in info.fields:
        if field.name == "duration" and KINDS[kind].is_momentary:
            continue
        expected, meaning = _words(field.type)
        yield Parameter(field.name, expected, field.required, None if field.required else field.default, meaning)


def _words(info: inspect.Type) -> tuple[str, str]:
    """A type as words, and the description beside it."""
    if isinstance(info, inspect.UnionType):
        parts = [each for each in info.types if not isinstance(each, inspect.NoneType)]
        return _words(parts[0])
    if isinstance(info, inspect.Metadata):
        described = (info.extra_json_schema or {}).get("description", "")
        words, inner = _words(info.type)
        return words, described or inner
    if isinstance(info, inspect.LiteralType):
        return "one of " + ", ".join(str(value) for value in info.values), ""
    if isinstance(info, inspect.IntType | inspect.FloatType):
        name = "a whole number" if isinstance(info, inspect.IntType) else "a number"
        bounds = (("more than", info.gt), ("at least", info.ge), ("at most", info.le))
        limits = [f"{text} {value}" for text, value in bounds if value is not None and abs(value) < VAST]
        return ", ".join(filter(None, (name, " and ".join(limits)))), ""
    if isinstance(info, inspect.BoolType):
        return "true or false", ""
    return "text", ""


def _nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
