"""One journal as it is played: its next moment, the events of each input, and where what is asked for is served."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from os import PathLike
from pathlib import Path

from krakenwire.book import BookState
from krakenwire.errors import FrameError
from krakenwire.events import Event, Loss, Stamp
from krakenwire.hub import Interest
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.segments import Damaged, Torn, read_head, read_segment
from krakenwire.journal.format import Entry, Run, read_block
from krakenwire.journal.playing.player import Player
from krakenwire.journal.playing.seeking import Place, place_before
from krakenwire.journal.states.state import load_core
from krakenwire.protocol.core import MAIN, Core, Placement
from krakenwire.protocol.subscriptions import Key
from krakenwire.replay.contents import Contents
from krakenwire.replay.stamp import JournalStamp

__all__ = ["Reel"]

_log = logging.getLogger("krakenwire.replay")

_ASIDE = frozenset({"action", "note"})
_REWIRES = (b'!["subscribe"', b'!["unsubscribe"')


class Reel:
    """Plays one journal, input by input.

    Args:
        path: the directory.
        journal: what its stamps are to be marked with; None if it is the only one.
        verify: compare the digests of events, too.

    Raises:
        UsageError: it is no journal, or cannot be read.

    Attributes:
        next_ns: UTC nanoseconds of the next input, never less than that of the one before; None at the end.
        origin: what stands before its connections' names in what readers are given by.
        contents: what was recorded.
        wiring: counts up whenever something may be served elsewhere than before.
        lost: what is not in the journal, since it was last asked for.
        position, size: bytes played, of all.
        mono_offset_ns: by how much UTC was ahead of the monotonic clock of the first run.
    """

    def __init__(self, path: str | PathLike[str], journal: str | None = None, *, verify: bool = False) -> None:
        self.path = Path(path)
        self.journal = journal
        self._verify = verify
        self.origin = "" if journal is None else f"{journal}/"
        found = segments(path)
        self.size = sum(segment.path.stat().st_size for segment in found)
        self.contents = Contents(found)
        self.next_ns: int | None = 0
        self.wiring = 0
        self.position = 0
        self.mono_offset_ns: int | None = None
        self.lost: list[Loss] = []
        self._stamp: Stamp | None = None
        self._core: Core | None = None
        self._next: Entry | None = None
        self._placements: dict[Key, Placement] = {}
        self._lines = self._read([], Place(found[0], 0, 0))
        self._begin(found, Place(found[0], 0, 0))

    def begin(self, received_ns: int | None = None) -> None:
        """Wind to a place that is not behind `received_ns`, as near as a state is kept; by default to the first input.

        Raises:
            UsageError: it cannot be read any more.
        """
        found = segments(self.path)
        place = Place(found[0], 0, 0)
        if received_ns is not None and read_head(found[0].path).received_ns <= received_ns:
            place = place_before(self.path, received_ns=received_ns)
        self._begin(found, place)

    def jump(self, received_ns: int) -> bool:
        """As `begin`, if that is further than it is; False if there is nothing to be gained."""
        place = place_before(self.path, received_ns=received_ns)
        if place.core is None or (place.segment.number, place.offset) <= self._at:
            return False
        self._begin(segments(self.path), place)
        return True

    def close(self) -> None:
        """Nothing is read any more."""
        self._lines.close()

    def _begin(self, found: list[Segment], place: Place) -> None:
        self.next_ns = 0
        self.lost = []
        self._player = Player(load=load_core, compares_events=self._verify)
        self._stamp = None
        self._core = None
        self._holes = 0
        self._different = 0
        self._placements = {}
        self._is_rewired = True
        self._is_seen_from_outside = False
        self._at = (place.segment.number, place.offset)
        self._lines.close()
        self._lines = self._read(found, place)
        self._next = None
        self._advance()
        if self.core is not None:
            self._rewire()

    @property
    def core(self) -> Core | None:
        """The protocol state as of the last input; None before the first."""
        return self._core

    @property
    def differences(self) -> int:
        """Where the replay was not what was recorded."""
        return self._different + self._player.different

    def play(self) -> Sequence[Event]:
        """Play the next input; its events, which are the callee's."""
        entry = self._next
        assert entry is not None  # noqa: S101  # who plays looks at `next_ns`
        events = self._player.step(entry)
        if self._is_rewired or (entry.kind != "frame" and entry.content.startswith(_REWIRES)):
            self._rewire()
        self._advance()
        return events

    # --- what is served ---------------------------------------------------------------------------------------------

    def placement(self, key: Key) -> Placement | None:
        """Where `key` is served now; of books, the least deep that is deep enough."""
        placements = self._placements
        found = placements.get(key)
        if found is None and key.depth is not None:
            deeper = [each for each in placements if each[:2] == key[:2] and (each.depth or 0) > key.depth]
            found = placements[min(deeper, key=lambda each: each.depth or 0)] if deeper else None
        return found

    def interest(self, key: Key) -> Interest | None:
        """The events of `key`, as long as `wiring` stays as it is; None if there are none."""
        if self._core is None:
            return None
        if self._is_seen_from_outside:
            # Seen from outside: what comes is known only by its name.
            return Interest(key.channel, key.symbol, self.origin + MAIN, key.interval)
        placement = self.placement(key)
        if placement is None:
            return None
        return Interest(key.channel, key.symbol, self.origin + placement.session.name, placement.key.interval)

    def symbols(self, channel: str) -> list[str | None]:
        """Of which symbols `channel` is recorded now; None stands for whatever comes, where that cannot be known."""
        if self._is_seen_from_outside:
            return [None]
        return list(dict.fromkeys(key.symbol for key in self._placements if key.channel == channel))

    def book(self, key: Key) -> BookState | None:
        """The book that is shown for `key`, if there is one yet."""
        core = self._core
        if core is None:
            return None
        if not self._is_seen_from_outside:
            placement = self.placement(key)
            return None if placement is None else core.shown_book(placement)
        if key.symbol is None:
            return None
        session = core.session(MAIN)
        state = None if session is None else session.books.get(key.symbol)
        return state if state is not None and state.depth >= (key.depth or 0) else None

    # --- inside -----------------------------------------------------------------------------------------------------

    def _rewire(self) -> None:
        core = self._core
        assert core is not None  # noqa: S101  # an input was played
        self._is_rewired = False
        self._placements = core.placements()
        self._is_seen_from_outside = not self._player.is_exact or self._player.head.made.passive
        self.wiring += 1

    def _advance(self) -> None:
        """Go on to the next input; what stands between is played."""
        for entry in self._lines:
            kind, _, stamp = entry
            if kind in _ASIDE:
                self._player.step(entry)
                self._look_around()
                continue
            if stamp is not None and stamp is not self._stamp:
                self._stamp = stamp
                if self.next_ns is None or stamp.received_ns > self.next_ns:
                    self.next_ns = stamp.received_ns
            self._next = entry
            return
        self._next = self.next_ns = None

    def _read(self, found: list[Segment], place: Place) -> Generator[Entry, None, None]:
        """All lines from `place` on, in order."""
        player, end = self._player, 0
        for segment in found:
            before, end = end, end + segment.path.stat().st_size
            is_place = segment.number == place.segment.number
            if segment.number < place.segment.number:
                continue
            try:
                head = read_head(segment.path)
            except Damaged as error:
                _log.warning("%s; it is left out", error)
                continue
            different = player.different
            if is_place:
                player.begin(head, place.core, place.log)
            else:
                player.begin(head)
            if player.different < different:  # another run, of which it counts anew
                self._different += different
            self.next_ns = max(self.next_ns or 0, head.received_ns)
            self._is_rewired = True
            self._look_around()
            for part in read_segment(segment.path, place.offset if is_place else 0):
                if isinstance(part, Damaged):
                    if not isinstance(part, Torn):
                        _log.warning("%s; it is left out", part)
                    continue
                self.position = before + part.offset
                self._at = (segment.number, part.offset)
                try:
                    block = read_block(part.text)
                except FrameError as error:  # it is whole, and yet no block: as if it were damaged
                    _log.warning("a block of %s cannot be read: %s; it is left out", segment.path, error)
                    continue
                if self.mono_offset_ns is None:
                    self.mono_offset_ns = block.received_ns - block.received_mono_ns
                player.begin_block(block)
                self._look_around()
                for item in block.runs:
                    if isinstance(item, Run):
                        stamps = item.stamps if self.journal is None else self._marked(item.stamps)
                        for frame, stamp in zip(item.frames, stamps, strict=True):
                            yield Entry("frame", frame, stamp)
                    elif item.stamp is None or self.journal is None:
                        yield item
                    else:
                        yield item._replace(stamp=self._marked([item.stamp])[0])

    def _marked(self, stamps: list[Stamp]) -> list[Stamp]:
        """With the journal's name; one object for what was one."""
        assert self.journal is not None  # noqa: S101  # looked at by who calls
        marked: list[Stamp] = []
        last: Stamp | None = None
        for stamp in stamps:
            marked.append(
                marked[-1]
                if stamp is last
                else JournalStamp(
                    stamp.connection, stamp.epoch, stamp.received_ns, stamp.received_mono_ns, journal=self.journal
                )
            )
            last = stamp
        return marked

    def _look_around(self) -> None:
        """A segment or a block began, or something was noted: the core may be another, or inputs be missing."""
        player = self._player
        if player.core is not self._core:
            self._core = player.core
            self._is_rewired = True
            self._holes = 0
        for hole in player.holes[self._holes :]:
            if self._stamp is not None:
                self.lost.append(
                    Loss(reason=f"the journal has a hole here: {hole.reason}", stamp=self._stamp, n=hole.last)
                )
        self._holes = len(player.holes)
