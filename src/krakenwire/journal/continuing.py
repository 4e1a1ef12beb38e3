"""What a journal leaves a program that goes on from it: the core as it was at the end, and where its streams stood."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from krakenwire.clock import NS_PER_S, Clock
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import NO_STAMP, Stamp
from krakenwire.journal.files.directory import Segment, is_journal, segments
from krakenwire.journal.files.segments import Damaged, read_head, read_segment
from krakenwire.journal.format import read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.player import Player
from krakenwire.journal.playing.seeking import Place, place_before
from krakenwire.journal.states.state import load_core
from krakenwire.protocol.core import Core

__all__ = ["Left", "next_number", "play_to_end"]

_log = logging.getLogger("krakenwire.journal")

NUMBERS_A_SECOND = 1_000_000
"""No client takes so many inputs: numbers that are so far away were not used by the program that is no more."""
_FOR_EVER = 1 << 62
_TELL_S = 5


class Left(NamedTuple):
    """What a run left.

    Attributes:
        core: as of its last input that is in the journal.
        head: of the segment that holds it.
        stamp: the moment of the last input that has one; `NO_STAMP` if none has.
        different: how often what came of the inputs was not what the journal has.
    """

    core: Core
    head: Head
    stamp: Stamp
    different: int


def next_number(left: Left, now_ns: int) -> int:
    """The number of the first input of a run that goes on at `now_ns` (UTC), which nobody has used before.

    The last inputs of a program that was killed are not in its journal, and readers may have been given what came of
    them: they took less than a second's numbers for each second since the last one that is known, and one more.
    """
    seconds = max(now_ns - left.stamp.received_ns, 0) // NS_PER_S + 1 if left.stamp is not NO_STAMP else 1
    return left.core.n + 1 + seconds * NUMBERS_A_SECOND


def play_to_end(directory: Path, clock: Clock, is_wanted: Callable[[], bool]) -> Left | None:
    """Play a journal from the last state that is kept to its end, whatever a torn tail holds left out; may take long.

    Args:
        directory: where it is, or is to be.
        clock: how long it takes is logged by it, now and then.
        is_wanted: whether to go on.

    Returns:
        What was left; None if nothing was recorded there.

    Raises:
        UsageError: the journal cannot be read, or its end cannot be known exactly; says why, and what to do.
    """
    found = _readable(directory)
    if not found:
        return None
    number = found[-1].number
    place = place_before(directory, received_ns=_FOR_EVER)
    if place.segment.number > number:
        place = place_before(directory, number=number)
    player = _play(found, place, clock, is_wanted)
    for segment in reversed(found[:-1]):
        if player.stamp is not NO_STAMP:
            break
        # A segment without an input that has a time: that of the last one is in a segment before.
        player = _play(found, place_before(directory, number=segment.number), clock, is_wanted)
    _check(directory, player)
    return Left(player.core, player.head, player.stamp, player.different)


def _readable(directory: Path) -> list[Segment]:
    """The segments but those at the end that were torn before their first line was whole."""
    found = segments(directory) if is_journal(directory) else []
    while found:
        try:
            read_head(found[-1].path)
        except Damaged:
            found.pop()
        else:
            break
    return found


def _play(found: list[Segment], place: Place, clock: Clock, is_wanted: Callable[[], bool]) -> Player:
    player = Player(load=load_core)
    left = [segment for segment in found if segment.number >= place.segment.number]
    size = sum(segment.path.stat().st_size for segment in left) - place.offset
    done, told_at = -place.offset, clock.monotonic_ns()
    for segment in left:
        offset = place.offset if segment.number == place.segment.number else 0
        with suppress(Damaged):  # what is behind it shows that inputs are missing
            head = read_head(segment.path)
            if segment.number == place.segment.number:
                player.begin(head, place.core, place.log)
            else:
                player.begin(head)
        for part in read_segment(segment.path, offset):
            if isinstance(part, Damaged) or not hasattr(player, "core"):
                continue
            with suppress(FrameError):  # likewise
                player.play(read_block(part.text))
            if not is_wanted():
                return player
            if (now := clock.monotonic_ns()) - told_at >= _TELL_S * NS_PER_S:
                told_at = now
                _log.info(
                    "the journal is played to its end, to go on from there: %d %%, %s of %s",
                    100 * (done + part.offset) // max(size, 1),
                    segment.path.name,
                    left[-1].path.name,
                )
        done += segment.path.stat().st_size
    return player


def _check(directory: Path, player: Player) -> None:
    anew = "start once without resume=True: a fresh run begins in the same directory, and what was missed is lost"
    if not hasattr(player, "core"):
        raise UsageError(f"nobody can go on from {directory}: no first line of it can be read; {anew}")
    if player.head.made.passive:
        raise UsageError(f"nobody can go on from {directory}: its frames were imported, there was no client; {anew}")
    if not player.is_exact:
        hole = player.holes[-1]
        raise UsageError(
            f"nobody can go on from {directory}: the inputs {hole.first:,} to {hole.last:,} are missing "
            f"({hole.reason}), and no state of krakenwire's own version lies behind them; "
            f"`krakenwire journal verify` says more; {anew}"
        )
    if player.different:
        _log.warning(
            "%s was recorded by krakenwire %s; played here, %d things come out in another way: "
            "it goes on as they come out here",
            directory,
            player.head.krakenwire,
            player.different,
        )
