"""What was exported already, kept beside it: so that running it again adds only what is new."""

from __future__ import annotations

import msgspec

from krakenwire.errors import UsageError
from krakenwire.journal.tables.schema import Channel
from krakenwire.journal.tables.targets import Target

__all__ = ["Done", "Manifest", "Span", "settle"]

FORMAT = 1
_FOLDER = "_krakenwire"
"""Readers of Parquet pass over names that begin so."""

Span = tuple[int | None, int | None]
"""From and until when (UTC ns) rows were exported; None: from the begin, to the end."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What all files of a target have in common.

    Attributes:
        format: of the manifest.
        scale: decimals of numbers.
        depth: of books; None as long as there are none.
        every_ns: the interval between their rows; None for every message.
    """

    format: int
    scale: int
    depth: int | None = None
    every_ns: int | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What there is of one channel of one segment.

    Attributes:
        symbols: of which; None for all.
        span: of what time.
        size: bytes of the segment if it was still growing, None if it was over.
        is_joined: what went before it in the journal was known, so that no trade is told twice.
        files: their names, if it is not: some may have no row any more when it is.
    """

    symbols: tuple[str, ...] | None = None
    span: Span = (None, None)
    size: int | None = None
    is_joined: bool = True
    files: tuple[str, ...] = ()


Parts = dict[Channel, Done]


class Manifest:
    """What there is of one journal in a target.

    Args:
        target: where.
        journal: which.

    Raises:
        UsageError: what is known of it cannot be read, or is of a later version.

    Attributes:
        journal: which.
        segments: by number, then by channel.
        trades: of segments whose next one is not there yet: by symbol the highest trade_id that runs before had told,
            and the highest at all.
    """

    def __init__(self, target: Target, journal: str) -> None:
        self.journal = journal
        self._target = target
        self._name = f"{_FOLDER}/{journal}.json"
        self.segments: dict[int, Parts] = {}
        self.trades: dict[int, dict[str, tuple[int, int]]] = {}
        text = target.read(self._name)
        if text is None:
            return
        try:
            kept = msgspec.json.decode(text, type=_Kept)
        except msgspec.MsgspecError as error:
            raise UsageError(
                f"{self._name} in {target} is not what an export leaves there ({error}): remove it, and everything is "
                "exported anew over what is there"
            ) from None
        _check_format(kept.format, target)
        self.trades = kept.trades
        for first, last, parts in kept.segments:
            self.segments.update(dict.fromkeys(range(first, last + 1), parts))

    def save(self) -> None:
        """Put it there: from now on what is in it counts as exported."""
        runs: list[tuple[int, int, Parts]] = []
        for number in sorted(self.segments):
            parts = self.segments[number]
            if runs and runs[-1][1] == number - 1 and runs[-1][2] == parts:  # nearly all are alike
                runs[-1] = runs[-1][0], number, parts
            else:
                runs.append((number, number, parts))
        with self._target.create(self._name) as file:
            file.write(msgspec.json.encode(_Kept(format=FORMAT, segments=runs, trades=self.trades)))


class _Kept(msgspec.Struct, kw_only=True):
    """How it is written: segments that are alike together, from the first to the last."""

    format: int
    segments: list[tuple[int, int, Parts]]
    trades: dict[int, dict[str, tuple[int, int]]]


def settle(target: Target, scale: int, books: tuple[int, int | None] | None) -> None:
    """Agree with what is in the target already on what all its files have in common.

    Args:
        target: where to.
        scale: decimals of numbers.
        books: their depth and interval; None if none are exported.

    Raises:
        UsageError: it has numbers or books of another kind.
    """
    name = f"{_FOLDER}/export.json"
    text = target.read(name)
    wanted = Settings(format=FORMAT, scale=scale)
    if text is not None:
        try:
            wanted = known = msgspec.json.decode(text, type=Settings)
        except msgspec.MsgspecError as error:
            raise UsageError(f"{name} in {target} is not what an export leaves there: {error}") from None
        _check_format(known.format, target)
        if known.scale != scale:
            raise UsageError(
                f"{target} has numbers with {known.scale} decimals: go on with scale {known.scale}, "
                "or export to another folder"
            )
        if books is not None and known.depth is not None and (known.depth, known.every_ns) != books:
            raise UsageError(
                f"{target} has books of {_books(known.depth, known.every_ns)}, not of {_books(*books)}: "
                "export these to another folder"
            )
    if books is not None:
        wanted = msgspec.structs.replace(wanted, depth=books[0], every_ns=books[1])
    if (data := msgspec.json.encode(wanted)) != text:
        with target.create(name) as file:
            file.write(data)


def _books(depth: int, every_ns: int | None) -> str:
    return f"depth {depth} {'after every message' if every_ns is None else f'every {every_ns / 1e9:g} s'}"


def _check_format(number: int, target: Target) -> None:
    if number > FORMAT:
        raise UsageError(f"{target} was exported by a later version of krakenwire: update it")
