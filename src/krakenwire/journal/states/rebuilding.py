"""What a core consists of, taken apart for its state and made again: each kind of thing by a way that is known here.

A state holds plain data and calls of `make` with the name of a kind. `make` admits the classes of krakenwire.protocol,
the events, the books, methods and partial calls of these, and a few of the standard library; of none of them it runs
more than what makes one.
"""

from __future__ import annotations

import array
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from importlib import import_module
from pkgutil import walk_packages
from types import FunctionType, MethodType
from typing import Any, Final

import msgspec

from krakenwire import events, protocol
from krakenwire.book import Books, BookState, BookUpdate, restore_books, restore_state, restore_update
from krakenwire.protocol.applying import nobody
from krakenwire.protocol.core import Core
from krakenwire.protocol.outputs import Outputs

__all__ = ["make", "reduction"]

_PACKAGE: Final = "krakenwire."
_HANDLERS: Final = "_handlers"
"""The attribute of whoever has a method for each type of event: the types are kept by their names."""
_TYPECODES: Final = frozenset("bBhHiIlLqQd")


class _Make:
    """Makes one thing. It is no function, and has no attributes: nothing that a state says can change it."""

    __slots__ = ()

    def __call__(self, kind: str, *arguments: Any) -> Any:
        return _maker(kind)(*arguments)

    def __reduce__(self) -> str:
        return "make"


make: Final = _Make()


class _Handlers:
    """A dictionary of methods by type, on its way into a state."""

    def __init__(self, handlers: dict[type, Any]) -> None:
        self.handlers = handlers


def reduction(obj: Any) -> Any:
    """How the pickle of a state is to take `obj` apart, for `pickle.Pickler.reducer_override`.

    Raises:
        TypeError: nothing of its kind can be in a state.
    """
    kind = type(obj)
    how = _HOW.get(kind)
    if how is not None:
        return how(obj)
    if kind is _Make:
        return NotImplemented
    if isinstance(obj, Core):
        content = {name: value for name, value in vars(obj).items() if name not in ("tape", "_lock")}
        return make, (_name(Core),), {**content, "tape": None}
    name = _name(kind)
    if name not in _classes():
        raise TypeError(f"{kind.__module__}.{kind.__qualname__} has no place in the state of a core")
    if issubclass(kind, msgspec.Struct):
        return make, (name, *[getattr(obj, field) for field in kind.__struct_fields__])
    if issubclass(kind, tuple):
        return make, (name, *obj)
    if issubclass(kind, Enum):
        return make, (name, obj.value)
    if issubclass(kind, Outputs) and kind is not Outputs:
        return make, (name, obj._all), (None, {"events": obj.events})
    return make, (name,), _state_of(obj)


def _state_of(obj: Any) -> Any:
    """The attributes of an object, as a pickle has them: those in its dictionary, or a pair of these and of slots."""
    own = getattr(obj, "__dict__", None)
    if own is not None and _HANDLERS in own:
        own = {**own, _HANDLERS: _Handlers(own[_HANDLERS])}
    slots: dict[str, Any] = {}
    kind: Any = type(obj)  # no type says that a class can be hashed
    for name in _slots(kind):
        try:
            slots[name] = object.__getattribute__(obj, name)
        except AttributeError:
            continue
    if "then" in slots:
        slots["then"] = _kept(slots["then"])
    return (own, slots) if slots else own


def _kept(then: Any) -> Any:
    """Who is to be called with an answer: a part of the core, else nobody, for whoever asked is not there any more."""
    function = then.func if isinstance(then, partial) else then
    module = getattr(function, "__module__", None) or ""
    return then if module.startswith(f"{protocol.__name__}.") else nobody


# --- taking apart -----------------------------------------------------------------------------------------------------


def _take_method(method: MethodType) -> Any:
    owner = method.__self__
    if getattr(type(owner), method.__name__, None) is not method.__func__:
        raise TypeError(f"{method!r} is no method of its object's class")
    return make, ("method", owner, method.__name__)


def _take_function(function: Any) -> Any:
    if function is not nobody:
        raise TypeError(f"{function!r} has no place in the state of a core: it is no method")
    return make, ("nobody",)


def _take_partial(call: partial[Any]) -> Any:
    if call.keywords:
        raise TypeError(f"{call!r} has keywords")
    return make, ("partial", call.func, *call.args)


def _take_handlers(obj: _Handlers) -> Any:
    # An update is of another class with another kernel.
    names = ["update" if kind is BookUpdate else _name(kind) for kind in obj.handlers]
    return make, ("handlers", *zip(names, obj.handlers.values(), strict=True))


def _take_defaults(obj: defaultdict[Any, Any]) -> Any:
    if obj.default_factory is not Counter:
        raise TypeError("only dictionaries of counters are known here")
    return make, ("defaultdict",), None, None, iter(obj.items())


_HOW: Final[dict[type, Callable[[Any], Any]]] = {
    BookState: lambda obj: (make, ("book", *obj.__reduce__()[1])),
    Books: lambda obj: (make, ("books", *obj.__reduce__()[1])),
    BookUpdate: lambda obj: (make, ("update", *obj.__reduce__()[1])),
    Counter: lambda obj: (make, ("counter",), None, None, iter(obj.items())),
    Decimal: lambda obj: (make, ("decimal", str(obj))),
    FunctionType: _take_function,
    MethodType: _take_method,
    OrderedDict: lambda obj: (make, ("ordered",), None, None, iter(obj.items())),
    _Handlers: _take_handlers,
    array.array: lambda obj: (make, ("array", obj.typecode, obj.tolist())),
    defaultdict: _take_defaults,
    deque: lambda obj: (make, ("deque", obj.maxlen), None, iter(obj)),
    partial: _take_partial,
    random.Random: lambda obj: (make, ("random", obj.getstate())),
    time: lambda obj: (make, ("time", obj.hour, obj.minute, obj.second, obj.microsecond, obj.tzinfo is not None)),
    timedelta: lambda obj: (make, ("timedelta", obj.days, obj.seconds, obj.microseconds)),
}


# --- making -----------------------------------------------------------------------------------------------------------


def _make_method(owner: Any, name: str) -> Any:
    kind = type(owner)
    function = getattr(kind, name, None)
    if _classes().get(_name(kind)) is not kind or type(function) is not FunctionType or name.startswith("__"):
        raise ValueError(f"{kind.__qualname__} has no method {name!r}")
    return MethodType(function, owner)


def _make_partial(function: Any, *arguments: Any) -> Any:
    if type(function) is not MethodType:
        raise ValueError("a partial call of something else than a method")
    return partial(function, *arguments)


def _make_handlers(*items: tuple[str, Any]) -> dict[type, Any]:
    return {BookUpdate if name == "update" else _classes()[name]: method for name, method in items}


def _make_random(state: Any) -> random.Random:
    made = random.Random()
    made.setstate(state)
    return made


def _make_array(typecode: str, items: list[Any]) -> array.array[Any]:
    if typecode not in _TYPECODES:
        raise ValueError(f"no such array: {typecode!r}")
    return array.array(typecode, items)


def _make_member(kind: Any, value: Any) -> Any:
    return kind(value)


def _make_time(hour: int, minute: int, second: int, microsecond: int, is_utc: bool) -> time:
    return time(hour, minute, second, microsecond, UTC if is_utc else None)


_BY_KIND: Final[dict[str, Callable[..., Any]]] = {
    "array": _make_array,
    "book": restore_state,
    "books": restore_books,
    "counter": Counter,
    "decimal": Decimal,
    "defaultdict": lambda: defaultdict(Counter),
    "deque": lambda maxlen: deque(maxlen=maxlen),
    "handlers": _make_handlers,
    "method": _make_method,
    "nobody": lambda: nobody,
    "ordered": OrderedDict,
    "partial": _make_partial,
    "random": _make_random,
    "time": _make_time,
    "timedelta": timedelta,
    "update": restore_update,
}


@cache
def _maker(kind: str) -> Callable[..., Any]:
    """What makes a `kind`: the name of a class, or one of `_BY_KIND`."""
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    known = _classes().get(kind)
    if known is None:
        raise ValueError(f"{kind!r} has no place in the state of a core")
    made: Any = known  # of which of the following it is, no type says
    if issubclass(known, msgspec.Struct):
        fields = known.__struct_fields__
        return lambda *values: made(**dict(zip(fields, values, strict=True)))
    if issubclass(known, tuple):
        return known
    if issubclass(known, Enum):
        return partial(_make_member, made)
    if issubclass(known, Outputs) and known is not Outputs:
        return lambda out: made(_outputs(out))
    return lambda: made.__new__(made)


def _outputs(out: Any) -> Outputs:
    if type(out) is not Outputs:
        raise ValueError("outputs beside something that is none")
    return out


@cache
def _classes() -> dict[str, type]:
    """The classes whose objects may be in a state, by their names there."""
    names = [info.name for info in walk_packages(protocol.__path__, f"{protocol.__name__}.")]
    return {
        _name(kind): kind
        for module in (events, *map(import_module, names))
        for kind in vars(module).values()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and not issubclass(kind, BaseException)
        and not kind.__name__.startswith("Guarded")
    }


@cache
def _slots(kind: type) -> tuple[str, ...]:
    found: list[str] = []
    for each in kind.__mro__:
        slots = vars(each).get("__slots__", ())
        found += (slots,) if isinstance(slots, str) else slots
    return tuple(found)


def _name(kind: type) -> str:
    return f"{kind.__module__.removeprefix(_PACKAGE)}.{kind.__qualname__}"
