"""What the tables of a journal must have in them, found by playing it line by line, with the core's own books."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from krakenwire.book import BookUpdate
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.format import read_block
from krakenwire.journal.playing.player import Player
from krakenwire.journal.states.state import load_core

__all__ = ["Told", "Top", "digits", "played", "told_by"]

Side = tuple[tuple[str, str], ...]


class Top(NamedTuple):
    """A book after one message; its numbers as they were on the wire."""

    symbol: str
    depth: int
    n: int
    bids: Side
    asks: Side


class Told(NamedTuple):
    """Events by their class, and each book after each message that was proven."""

    events: dict[str, list[Any]]
    books: list[Top]


def played(directory: Path) -> Iterator[tuple[Player, Any]]:
    """Every event of a whole journal, with the player as of the line that told it."""
    player = Player(load=load_core)
    for segment in segments(directory):
        player.begin(read_head(segment.path))
        for found in read_blocks(segment.path):
            block = read_block(found.text)
            player.begin_block(block)
            for entry in block.entries:
                for event in list(player.step(entry)):
                    yield player, event


def told_by(directory: Path) -> Told:
    told = Told({}, [])
    for player, event in played(directory):
        told.events.setdefault(type(event).__name__, []).append(event)
        if isinstance(event, BookUpdate) and event.outcome in ("verified", "unproven"):
            session = player.core.session(event.connection)
            state = None if session is None else session.books.get(event.symbol)
            assert state is not None
            sides = (tuple((str(price), str(qty)) for price, qty in state.levels(side)) for side in ("bids", "asks"))
            told.books.append(Top(event.symbol, event.depth, event.n, *sides))
    return told


def digits(number: Decimal | None) -> tuple[int, tuple[int, ...], int] | None:
    """A number by its sign, digits and point, without the zeros at its end: equal only if no digit differs."""
    if number is None:
        return None
    sign, shown, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, shown))
    stripped = text.rstrip("0")
    return (
        (sign, tuple(map(int, stripped.lstrip("0"))), exponent + len(text) - len(stripped)) if stripped else (0, (), 0)
    )
