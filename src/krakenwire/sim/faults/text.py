"""A fault on a command line: `lose_update:symbol=BTC/USD,count=3@5s`."""

from __future__ import annotations

import re

from krakenwire.errors import UsageError

from .kinds import KINDS, describe
from .script import PLAN_KEYS, Plan

__all__ = ["read_fault", "read_seconds"]

_KIND = re.compile(r"\s*(\w+)\s*(:?)")
_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,@"]*?))\s*(?=[,@]|$)')
_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}

EXAMPLE = "lose_update:symbol=BTC/USD,count=3@5s"


def read_fault(text: str) -> Plan:
    r"""Read `kind:name=value,name=value@time`.

    A value that holds a comma, an `@` or a quote stands in double quotes, in which `\"` is a quote. Times and
    durations may have a unit (`200ms`, `5s`, `2m`, `1h`); without one they are seconds. `every`, `jitter` and
    `repeat` are understood as in a script.

    Raises:
        UsageError: it is not of that form, or names what is not there.
    """
    head = _KIND.match(text)
    if head is None:
        raise _wrong(text, 0)
    kind, at = head[1], head.end()
    given: dict[str, object] = {}
    if head[2]:
        while True:
            pair = _PAIR.match(text, at)
            if pair is None:
                raise _wrong(text, at)
            name = pair[1]
            if name in given:
                raise UsageError(f"fault {text!r}: {name} stands twice")
            given[name] = pair[3] if pair[2] is None else re.sub(r'\\(["])', r"\1", pair[2])
            at = pair.end()
            if not text.startswith(",", at):
                break
            at += 1
    if text.startswith("@", at):
        if "at" in given:
            raise UsageError(f"fault {text!r}: the time stands twice, as at= and behind the @")
        given["at"] = text[at + 1 :].strip()
        at = len(text)
    if text[at:].strip():
        raise _wrong(text, at)
    numbers = {*PLAN_KEYS}
    if kind in KINDS:
        numbers |= {each.name for each in describe(kind) if each.expected.startswith("a number")}
    for name in numbers & given.keys():
        given[name] = str(read_seconds(str(given[name]), f"fault {kind}: {name}"))
    return Plan.read(kind, given, is_text=True)


def read_seconds(text: str, what: str) -> float:
    """A time as text, in seconds.

    Raises:
        UsageError: it is none; `what` names it in the message.
    """
    sign, digits = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    match = _SECONDS.fullmatch(digits)
    if match is None:
        raise UsageError(f"{what}={text!r} will not do; expected a number, as in 5, 0.2, 200ms, 5s or 2m")
    return sign * float(match[1]) * _UNITS[match[2]]


def _wrong(text: str, at: int) -> UsageError:
    return UsageError(
        f"fault {text!r} breaks off at {text[at:]!r}; expected kind:name=value,name=value@time, as in {EXAMPLE}"
    )
