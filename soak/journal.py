"""The journal of the soak's client: played when all is over, and held against what the client told while it ran."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from krakenwire import JournalOptions
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import missing, segments
from krakenwire.journal.files.segments import read_head, read_segment
from krakenwire.journal.format import read_block
from krakenwire.journal.playing.comparing import Difference
from krakenwire.journal.playing.player import Hole, Player
from krakenwire.journal.states.state import load_core
from krakenwire.protocol.report import state_digest

__all__ = ["Recorded", "Replayed", "options_of", "replay"]

SEGMENTS = 4
"""Of a run, so that segments are ended, and sealed, while faults come."""

LEAST_SEGMENT_S = 5.0


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What the client says of its journal.

    Attributes:
        statistics: of its recorder, just before it was ended.
        most_waiting: the most text that waited for the disk, bytes, as looked at each second.
        event_digest: of what was published; None with a thread of its own, where others may follow.
        state_digest: of the books; None likewise.
    """

    statistics: dict[str, Any]
    most_waiting: int
    event_digest: str | None
    state_digest: str | None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of playing it.

    Attributes:
        frames, events: how many.
        event_digest, state_digest: of all of it.
        compared: recorded digests that came out the same: of events, of books.
        differences: the first of them.
        different: how many there are.
        holes: inputs that are not there.
        damage: what else is wrong with the files.
        seconds: how long it took.
    """

    frames: int
    events: int
    event_digest: str
    state_digest: str
    compared: tuple[int, int]
    differences: list[Difference]
    different: int
    holes: list[Hole]
    damage: list[str]
    seconds: float


def options_of(directory: Path, seconds: float) -> JournalOptions:
    """How a soak of so long is recorded."""
    return JournalOptions(
        directory=directory / "journal", segment_seconds=max(LEAST_SEGMENT_S, seconds / SEGMENTS), seal=True
    )


def replay(directory: Path) -> Replayed:
    """Play a journal to its end."""
    began = perf_counter()
    player = Player(load=load_core)
    found = segments(directory)
    damage = [f"segment {number} is missing" for number in missing(found)]
    for segment in found:
        player.begin(read_head(segment.path))
        for each in read_segment(segment.path):
            if isinstance(each, Damaged):
                damage.append(str(each))
            else:
                player.play(read_block(each.text))
    log = player.log
    return Replayed(
        frames=player.core.frames,
        events=log.count,
        event_digest=log.hexdigest(),
        state_digest=state_digest(player.core),
        compared=player.compared,
        differences=player.differences,
        different=player.different,
        holes=player.holes,
        damage=damage,
        seconds=perf_counter() - began,
    )
