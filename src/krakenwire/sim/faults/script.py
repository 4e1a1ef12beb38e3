"""A script of faults: what is injected when, with all chance from a seed, written in TOML."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Self

from msgspec import Struct

from krakenwire.errors import UsageError

from .kinds import read_parameters
from .model import MAX_SECONDS, Timing

__all__ = ["PLAN_KEYS", "Plan", "Script"]

LEAST_EVERY_S = 0.001
"""Seconds from one injection of a plan to the next, at least: none is to keep the simulator from all else."""

PLAN_KEYS = ("at", "every", "jitter", "repeat")


class Plan(Struct, frozen=True, kw_only=True):
    """One kind of fault, injected once or again and again.

    Attributes:
        kind: name of the kind.
        choices: what is given of its parameters, read already; where a parameter has several values, the seed
            chooses one for each injection.
        at: seconds from the start of the script to the first.
        every: seconds from one to the next, or None for a single one.
        jitter: up to so many seconds later, by the seed.
        repeat: how many in all; 0 is without end.
    """

    kind: str
    choices: dict[str, tuple[object, ...]]
    at: float = 0.0
    every: float | None = None
    jitter: float = 0.0
    repeat: int = 1

    @classmethod
    def read(cls, kind: str, given: Mapping[str, object], *, is_text: bool = False) -> Self:
        """Make a plan of the keys of a script's table.

        Raises:
            UsageError: a key is unknown, or a value will not do.
        """
        timing: dict[str, float] = {}
        for name in ("at", "every", "jitter", "repeat"):
            if (value := given.get(name)) is not None:
                timing[name] = _number(name, value, is_text)
        every = timing.get("every")
        if every is not None and every < LEAST_EVERY_S:
            raise UsageError(f"every must be at least {LEAST_EVERY_S} seconds, got {every}")
        if every is None and timing.get("repeat", 1) != 1:
            raise UsageError(f"repeat={int(timing['repeat'])} needs every=, the seconds from one to the next")
        several = {
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in given.items()
            if name not in PLAN_KEYS
        }
        if empty := [name for name, values in several.items() if not values]:
            raise UsageError(f"fault {kind}: {empty[0]} is an empty list; give the values to choose from")
        first = {name: values[0] for name, values in several.items()}
        read_parameters(kind, first, is_text=is_text)
        choices = {
            name: tuple(
                getattr(read_parameters(kind, first | {name: value}, is_text=is_text), name) for value in values
            )
            for name, values in several.items()
        }
        return cls(
            kind=kind,
            choices=choices,
            at=timing.get("at", 0.0),
            every=every,
            jitter=timing.get("jitter", 0.0),
            repeat=int(timing.get("repeat", 1 if every is None else 0)),
        )

    def parameters(self, random: Random) -> Timing:
        """The parameters of one injection."""
        return read_parameters(self.kind, {name: random.choice(values) for name, values in self.choices.items()})

    def variants(self) -> Iterator[Timing]:
        """Parameters in which every value that may be chosen stands once, each beside the first of the others."""
        first = {name: values[0] for name, values in self.choices.items()}
        yield read_parameters(self.kind, first)
        for name, values in self.choices.items():
            for value in values[1:]:
                yield read_parameters(self.kind, first | {name: value})

    def due(self, turn: int, random: Random) -> float | None:
        """Seconds from the start to an injection, counted from 0; None if there are no more."""
        if self.repeat and turn >= self.repeat:
            return None
        return self.at + turn * (self.every or 0.0) + random.random() * self.jitter


class Script(Struct, frozen=True):
    """Faults to come, and the seed of all chance in them."""

    plans: tuple[Plan, ...]
    seed: int = 0

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file.

        Raises:
            UsageError: it cannot be read, or holds something that is not a script.
        """
        try:
            return cls.read(Path(path).read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"cannot read the script {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(f"cannot read the script {path}: it is not text in UTF-8") from None
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    @classmethod
    def read(cls, text: str) -> Self:
        """Read TOML: `seed = 7` and tables `[[fault]]`, each with `kind` and what the kind has.

        Raises:
            UsageError: it is not a script; the message says where and what was expected.
        """
        try:
            table: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"not TOML: {error}") from None
        if unknown := table.keys() - {"seed", "fault"}:
            raise UsageError(f"unknown key {sorted(unknown)[0]!r}; a script has seed and [[fault]] tables")
        seed, faults = table.get("seed", 0), table.get("fault", [])
        if type(seed) is not int:
            raise UsageError(f"seed must be a whole number, got {seed!r}")
        if not isinstance(faults, list) or not all(isinstance(each, dict) for each in faults):
            raise UsageError("fault must be tables: write [[fault]] above each")
        plans: list[Plan] = []
        for number, given in enumerate(faults, 1):
            kind = given.pop("kind", None)
            if not isinstance(kind, str):
                raise UsageError(f'[[fault]] {number}: kind is missing; as in kind = "lose_update"')
            try:
                plans.append(Plan.read(kind, given))
            except UsageError as error:
                raise UsageError(f"[[fault]] {number}: {error}") from None
        return cls(tuple(plans), seed)


def _number(name: str, value: object, is_text: bool) -> float:
    number = -1.0
    if isinstance(value, str if is_text else int | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            number = float(value)
    if not 0 <= number <= MAX_SECONDS or (name == "repeat" and number != int(number)):
        expected = "a whole number" if name == "repeat" else "a number of seconds"
        raise UsageError(f"{name} must be {expected}, at least 0, got {value!r}")
    return number
