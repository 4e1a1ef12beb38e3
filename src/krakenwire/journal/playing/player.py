"""Plays a journal: its inputs to a core like the one that was recorded, its outputs compared with what comes of it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from krakenwire.errors import FrameError, ProtocolError, UsageError
from krakenwire.events import NO_STAMP, Event, Stamp
from krakenwire.journal.format import Block, Entry, Run
from krakenwire.journal.format.lines import Head, decode_input
from krakenwire.journal.playing.comparing import Comparison, Difference, End
from krakenwire.journal.playing.making import core_of
from krakenwire.protocol.applying import apply_input
from krakenwire.protocol.core import Core
from krakenwire.protocol.inputs import Connected, Connecting, Disconnected
from krakenwire.protocol.report import EventLog, LogState, Report, make_report

__all__ = ["Difference", "Hole", "Player"]

Load = Callable[[bytes], Core]
OnEvents = Callable[[Sequence[Event]], object]

_SEEN_FROM_OUTSIDE = (Connecting, Connected, Disconnected)
"""Inputs that mean something to who only looks on."""


class Hole(NamedTuple):
    """Inputs that the journal does not have.

    Attributes:
        first, last: their numbers; `last` is one less than `first` where none is known to be missing, but what was
            before is not known.
        reason: as the recorder told it, or what was found.
        is_bridged: behind it a state lies that is exact: what follows is as it was. Else books and streams are seen
            from outside, as far as their frames tell, until the run ends.
    """

    first: int
    last: int
    reason: str
    is_bridged: bool


_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
"""As in the first line of a block: more than that no kernel counts."""


class _Gap(msgspec.Struct, frozen=True):
    first: _Count
    last: _Count
    reason: str


class Player:
    """Plays segments in their order: `begin` for the first line of each, then its blocks.

    Each run of a program has a core of its own, unless it was resumed. Where inputs are missing and no state is there
    to go on from, a passive core goes on, to which only frames mean something: it sends nothing and misses nothing.

    Args:
        on_events: called with the events of each step, in order; the list is the callee's.
        load: makes a core of a state.
        compares_events: events are digested, and the recorded digests of them compared; it takes a third of the time.

    Attributes:
        core: of the run at hand.
        head: the first line of the segment at hand.
        stamp: of the last input that had one.
        holes: where inputs are missing, in the run at hand.
        is_exact: the core is the one that was recorded, not one that only looks on.
    """

    core: Core
    head: Head

    def __init__(
        self, on_events: OnEvents | None = None, *, load: Load | None = None, compares_events: bool = True
    ) -> None:
        self.stamp: Stamp = NO_STAMP
        self.holes: list[Hole] = []
        self.is_exact = False
        self._on_events = on_events
        self._load = load
        self._compares_events = compares_events
        self._is_gap = False
        """The last hole is one that the recorder told of: behind it its log began anew."""
        self._comparison = Comparison(EventLog())

    # --- what came of it ----------------------------------------------------------------------------------------------

    @property
    def log(self) -> EventLog:
        """The events of the run so far."""
        self._comparison.digest_all()
        return self._comparison.log

    @property
    def differences(self) -> list[Difference]:
        """The first that were found in this run; see `different`."""
        return self._comparison.differences

    @property
    def different(self) -> int:
        """How many were found."""
        return self._comparison.different

    @property
    def compared(self) -> tuple[int, int]:
        """How many recorded digests agreed: of events, and of books."""
        return self._comparison.digests, self._comparison.states

    def report(self, seconds: float) -> Report:
        """The figures of the run so far; playing took `seconds`. Recorded digests of what follows are not compared."""
        report = make_report(self.core, self.log, seconds)
        earlier = self._comparison.earlier
        if not earlier:
            return report
        by_type = dict(sorted((earlier + self.log.by_type).items()))
        return msgspec.structs.replace(report, by_type=by_type, events=sum(by_type.values()))

    # --- the journal --------------------------------------------------------------------------------------------------

    def begin(self, head: Head, core: Core | None = None, log: LogState | None = None) -> None:
        """A segment.

        Args:
            head: its first line.
            core: as it was where playing goes on in it, which may be behind the beginning.
            log: likewise; without it no digest of events is compared in this run.

        Raises:
            UsageError: the client that was recorded cannot be made.
        """
        is_new = not hasattr(self, "head") or head.run != self.head.run
        self.head = head
        if core is not None:
            self._start(core, None if log is None else EventLog(log))
            if head.goes_on(core.n):
                self._go_on(head)
        elif hasattr(self, "core") and self.is_exact and head.goes_on(self.core.n):
            self._go_on(head)
        elif head.is_first and not head.resumed:
            self._start(core_of(head.made), EventLog())
        elif is_new:
            self._start(self._view(head.n), None)
            self.is_exact = False
            self.holes.append(Hole(1, head.n, "what was before is not here", is_bridged=False))
        elif self.core.n != head.n:
            self._miss(self.core.n + 1, head.n, "not in the journal")

    def play(self, block: Block) -> None:
        """All of a block."""
        self.begin_block(block)
        for item in block.runs:
            if isinstance(item, Run):
                self._receive(item)
            else:
                self.step(item)

    def begin_block(self, block: Block) -> None:
        """A block whose lines are then given one by one, to `step`."""
        if block.n == self.core.n:
            return
        first = block.runs[0] if block.runs else None
        if not (isinstance(first, Entry) and first.content.startswith(b"gap ")):
            self._miss(self.core.n + 1, block.n, "not in the journal")

    def step(self, entry: Entry) -> Sequence[Event]:
        """One line; its events."""
        kind, content, stamp = entry
        if kind == "action":
            if self.is_exact:
                self._comparison.take_action(self.core, content)
            return ()
        if kind == "note":
            self._note(content)
            return ()
        self._comparison.end_actions(self.core)
        if stamp is not None:
            self.stamp = stamp
        if kind == "frame":
            self._give_frame(content, self.stamp)
        else:
            self._give_input(content, self.stamp)
        return self._tell()

    # --- inputs -------------------------------------------------------------------------------------------------------

    def _receive(self, run: Run) -> None:
        """Frames between which nobody looks."""
        self._comparison.end_actions(self.core)
        self._give_frames(run.frames, run.stamps)
        self.stamp = run.stamps[-1]
        self._tell()

    def _give_frame(self, frame: bytes, stamp: Stamp) -> None:
        try:
            self.core.receive_frame(frame, stamp)
        except (UsageError, ProtocolError):
            pass  # as it was when it was recorded
        except Exception as defect:  # of this version, perhaps: the journal is to be played to its end all the same
            self._fail(frame, defect)

    def _give_frames(self, frames: list[bytes], stamps: list[Stamp]) -> None:
        core = self.core
        while frames:
            before = core.n
            try:
                core.receive_frames(frames, stamps)
            except (UsageError, ProtocolError):
                pass  # as it was when it was recorded
            except Exception as defect:  # of this version, perhaps: the journal is to be played to its end all the same
                self._fail(frames[min(max(core.n - before, 1), len(frames)) - 1], defect)
            core.n = max(core.n, before + 1)  # one was taken, wherever it failed: else it would be given for ever
            taken = core.n - before
            frames, stamps = frames[taken:], stamps[taken:]

    def _give_input(self, line: bytes, stamp: Stamp) -> None:
        core = self.core
        try:
            given = decode_input(line)
        except FrameError as error:
            core.n += 1
            self._fail(line, error)
            return
        if not self.is_exact and not isinstance(given, _SEEN_FROM_OUTSIDE):
            core.n += 1
            return
        try:
            apply_input(core, given, stamp)
        except Exception as defect:  # as above
            self._fail(line, defect)

    def _fail(self, line: bytes, error: Exception) -> None:
        text = line.decode(errors="replace")
        self._comparison.differ(self.core.n, "input", text, f"{type(error).__name__}: {error}")

    def _tell(self) -> Sequence[Event]:
        events: list[Any] = self.core.events
        if not events:
            return ()
        told = events.copy()
        events.clear()
        if self._compares_events:
            self._comparison.add(told)
        if self._on_events is not None:
            self._on_events(told)
        return told

    # --- notes --------------------------------------------------------------------------------------------------------

    def _note(self, line: bytes) -> None:
        name, _, body = line.partition(b" ")
        read = _NOTES.get(name)
        if read is None:
            return  # of a later version
        try:
            read(self, body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._fail(line, error)

    def _note_digest(self, body: bytes) -> None:
        count, digest = msgspec.json.decode(body, type=tuple[int, str])
        self._comparison.compare_events(self.core, count, digest)

    def _note_end(self, body: bytes) -> None:
        end = msgspec.json.decode(body, type=End)
        if self.is_exact:
            self._comparison.end_actions(self.core)
            self._comparison.compare_end(self.core, end)

    def _note_gap(self, body: bytes) -> None:
        gap = msgspec.json.decode(body, type=_Gap)
        self._miss(gap.first, gap.last, gap.reason)
        self._is_gap = True

    def _note_state(self, body: bytes) -> None:
        if self.is_exact or self._load is None:
            return
        try:
            core = self._load(b64decode(msgspec.json.decode(body, type=str), validate=True))
        except (UsageError, binascii.Error):
            return  # of another version: the hole is told as one that is not bridged
        core.n = self.core.n
        self.core, self.is_exact = core, True
        self._comparison.restart(is_known=self._is_gap and self._compares_events)
        if self.holes:
            self.holes[-1] = self.holes[-1]._replace(is_bridged=True)

    # --- cores --------------------------------------------------------------------------------------------------------

    def _start(self, core: Core, log: EventLog | None) -> None:
        self.core, self.is_exact, self.holes = core, True, []
        is_known = log is not None and self._compares_events
        self._comparison = Comparison(EventLog() if log is None else log, is_known=is_known)
        self._is_gap = False

    def _go_on(self, head: Head) -> None:
        """Another program goes on: it leaves numbers out, and counts and digests its own events."""
        self.core.n = head.n
        self._comparison.restart(is_known=self._compares_events)
        self._is_gap = False

    def _miss(self, first: int, last: int, reason: str) -> None:
        """The inputs from `first` to `last` are not here."""
        self._comparison.restart(is_known=False)
        self._is_gap = False
        self.holes.append(Hole(first, last, reason, is_bridged=False))
        self.core, self.is_exact = self._view(last), False

    def _view(self, n: int) -> Core:
        """A core that looks on, as of input `n`; the instruments that are known it knows, too."""
        core = Core(passive=True)
        core.n = n
        for instrument in self.core.catalogue if hasattr(self, "core") else ():
            core.catalogue.add(instrument)
        return core


_NOTES: dict[bytes, Callable[[Player, bytes], None]] = {
    b"digest": Player._note_digest,
    b"end": Player._note_end,
    b"gap": Player._note_gap,
    b"state": Player._note_state,
}
