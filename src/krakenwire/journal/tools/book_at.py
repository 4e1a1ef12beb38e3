"""What a book was at a moment of a journal: what was published then, synced or not, and why not."""

from __future__ import annotations

import os
from typing import NamedTuple

from krakenwire.book import BookSnapshot, BookState, format_timestamp
from krakenwire.errors import KrakenwireError, UsageError
from krakenwire.events import NO_STAMP
from krakenwire.journal.format import Run
from krakenwire.journal.format.lines import Head, decode_input
from krakenwire.journal.playing.seeking import Place, items_from, place_before, play_to, until
from krakenwire.journal.tools.shown import shown_books
from krakenwire.protocol.applying import apply_input
from krakenwire.protocol.core import Core

__all__ = ["BookThen", "book_at", "find_book"]


class BookThen(NamedTuple):
    """A book as it was published at a moment.

    Attributes:
        snapshot: the levels; `synced` says whether they could be read then, else they are the last there were.
        status: `synced`, `unsynced`, or `empty` before the first snapshot.
        reason: why it was not synced; empty if it was.
        is_proven: the checksum of its last message held.
        n: number of the last input up to the moment.
        is_exact: every input before is in the journal; else it is seen as far as frames tell.
    """

    snapshot: BookSnapshot
    status: str
    reason: str
    is_proven: bool
    n: int
    is_exact: bool


def book_at(directory: str | os.PathLike[str], when_ns: int, symbol: str) -> BookSnapshot:
    """The book of `symbol` as it was published at `when_ns` (UTC), the deepest if there were several.

    Raises:
        UsageError: it is no journal, begins later, or had no such book then; names those that it had.
    """
    return find_book(directory, when_ns, symbol).snapshot


def find_book(directory: str | os.PathLike[str], when_ns: int, symbol: str) -> BookThen:
    """The same, with all that is known of it.

    Raises:
        UsageError: see `book_at`.
    """
    place = place_before(directory, received_ns=when_ns)
    core = _play(directory, place, when_ns)
    is_exact = core is not None
    if core is None:
        player = play_to(directory, when_ns)
        core, is_exact = player.core, player.is_exact
    states = shown_books(core)
    wanted = [state for state in states if state.symbol == symbol]
    if not wanted:
        known = sorted({state.symbol for state in states})
        then = f"there were books of {', '.join(known)}" if known else "no books were recorded then"
        raise UsageError(
            f"there was no book of {symbol!r} at {format_timestamp(when_ns)}; {then}; "
            f"`krakenwire journal info {os.fspath(directory)} --contents` tells what there was when"
        )
    return _freeze(max(wanted, key=lambda state: state.depth), core.n, is_exact)


def _play(directory: str | os.PathLike[str], place: Place, when_ns: int) -> Core | None:
    """The core as of a moment, from the state at `place`; None if that takes more than to give it inputs.

    Nothing is compared here, which takes half the time of a player.
    """
    core = place.core
    if core is None:
        return None
    for number, item in enumerate(items_from(directory, place)):
        if isinstance(item, Head):
            if number and item.received_ns > when_ns and item.is_first and not item.resumed:
                return core
            if (number and item.is_first) or item.n > core.n:
                return None
            continue
        if item.n != core.n:
            return None
        block, rest = until(item, when_ns)
        for line in block.runs:
            if isinstance(line, Run):
                try:
                    core.receive_frames(line.frames, line.stamps)
                except KrakenwireError:
                    return None  # as it was when it was recorded; the player goes on behind it
            elif line.kind == "input":
                apply_input(core, decode_input(line.content), line.stamp or NO_STAMP)
            elif line.kind == "action":
                core.take_actions()
            elif line.content.startswith(b"gap "):
                return None
            core.events.clear()
        if rest is not None:
            break
    return core


def _freeze(state: BookState, n: int, is_exact: bool) -> BookThen:
    snapshot = BookSnapshot(
        symbol=state.symbol,
        depth=state.depth,
        bids=tuple(state.levels("bids")),
        asks=tuple(state.levels("asks")),
        checksum=state.checksum,
        exchange_ns=state.exchange_ns,
        received_ns=state.stamp.received_ns or None,
        synced=state.status == "synced",
    )
    return BookThen(snapshot, state.status, state.reason, state.proven, n, is_exact)
