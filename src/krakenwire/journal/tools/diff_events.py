"""Two lists of events held against each other: where they first differ, and in which fields."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from krakenwire.errors import UsageError

__all__ = ["EventDifference", "EventsDiff", "diff_events", "read_events"]

CONTEXT = 3
"""Events before the first that differs."""

Told = dict[str, Any]
"""An event as `krakenwire replay --events --json` prints it."""


class EventDifference(NamedTuple):
    """The first event that is not the same.

    Attributes:
        at: how many were the same before it.
        n: the input at which it was told, as the first list says; the second, if that is at its end.
        before: the last ones before, which both have.
        a, b: what each has there; None if nothing.
        fields: what differs: by name, what each has.
    """

    at: int
    n: int | None
    before: list[Told]
    a: Told | None
    b: Told | None
    fields: dict[str, tuple[Any, Any]]


class EventsDiff(NamedTuple):
    """What came of it.

    Attributes:
        equal: events that are the same, up to the first that is not.
        first: that one; None if there is none.
    """

    equal: int
    first: EventDifference | None


def diff_events(a: Iterable[Told], b: Iterable[Told], *, ignore: Collection[str] = ()) -> EventsDiff:
    """Compare event by event up to the first that differs; no more is read of either.

    Args:
        a: events, in order.
        b: those that should be the same.
        ignore: names of fields that may differ.
    """
    ones, others = iter(a), iter(b)
    before: deque[Told] = deque(maxlen=CONTEXT)
    at = 0
    while True:
        one, other = next(ones, None), next(others, None)
        if one is None and other is None:
            return EventsDiff(at, None)
        if one != other:
            fields = _fields(one or {}, other or {}, ignore)
            if fields or one is None or other is None:
                n = (one or other or {}).get("n")
                return EventsDiff(at, EventDifference(at, n, list(before), one, other, fields))
        before.append(one or {})
        at += 1


def _fields(a: Told, b: Told, ignore: Collection[str]) -> dict[str, tuple[Any, Any]]:
    if not a or not b:
        return {}
    names = [name for name in {**a, **b} if name not in ignore]
    return {name: (a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)}


def read_events(path: str) -> Iterator[Told]:
    """The events of a file that `krakenwire replay --events --json` printed; its reports are left out.

    Raises:
        UsageError: it cannot be read, or a line of it is no such object.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    told = msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.MsgspecError, ValueError, RecursionError):
                    raise UsageError(
                        f"{path}: line {number} is no event: expected what `krakenwire replay … --events --json` prints"
                    ) from None
                if "event" in told:
                    yield told
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
