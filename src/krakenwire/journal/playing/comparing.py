"""What a journal has as output, held against what a core gives when it is played."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from krakenwire.errors import FrameError
from krakenwire.events import Event
from krakenwire.journal.format.lines import decode_action, encode_action
from krakenwire.protocol.core import Core
from krakenwire.protocol.outputs import Action
from krakenwire.protocol.report import EventLog, state_digest

__all__ = ["MOST_DIFFERENCES", "Comparison", "Difference", "End"]

MOST_DIFFERENCES = 100
"""Those that are kept; the others are counted."""
MOST_UNDIGESTED = 65_536
"""Events that wait for the next digest of a journal which has any."""
_SHOWN = 300

_What = Literal["action", "input", "events", "state", "n", "frames"]


class Difference(NamedTuple):
    """Where a replay is not what was recorded.

    Attributes:
        n: number of the last input before.
        what: what differs: an action, an input that could not be given, the events so far, the final books, or how many
            inputs or frames there were.
        recorded: as the journal has it; None if it has nothing there.
        played: as it came now; None if nothing came.
    """

    n: int
    what: _What
    recorded: str | None
    played: str | None


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What the last line of a segment says that was ended properly."""

    n: int
    frames: int
    events: int
    event_digest: str
    state_digest: str | None = None
    closed: str = ""


class Comparison:
    """Compares as the inputs are given.

    Args:
        log: of the events so far.
        is_known: it stands where the recorded one stood.

    Attributes:
        log: the events that are digested; others wait until the journal says how far its next digest reaches.
        differences: the first of them.
        different: how many there are.
        earlier: events by their class that are in no digest any more, since inputs were missing behind them.
        digests: how many digests of events agreed.
        states: how many of the books.
    """

    def __init__(self, log: EventLog, *, is_known: bool = True) -> None:
        self.log = log
        self.earlier: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self.different = 0
        self.digests = 0
        self.states = 0
        self._is_comparable = is_known
        """The events here are those of the recorded log, as far as is known."""
        self._actions: deque[Action] = deque()
        self._undigested: list[Any] = []

    def differ(self, n: int, what: _What, recorded: str | None, played: str | None) -> None:
        """Note a difference."""
        self.different += 1
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(Difference(n, what, _cut(recorded), _cut(played)))

    def restart(self, *, is_known: bool) -> None:
        """Inputs are missing: the log begins anew here, as the recorded one did if that is known."""
        self.digest_all()
        self.earlier += self.log.by_type
        self.log = EventLog()
        self._actions.clear()
        self._is_comparable = is_known

    # --- actions ------------------------------------------------------------------------------------------------------

    def take_action(self, core: Core, line: bytes) -> None:
        """The shell took an action; it takes all that there are at a time."""
        if not self._actions:
            self._actions.extend(core.take_actions())
        if not self._actions:
            self.differ(core.n, "action", _text(line), None)
            return
        action = self._actions.popleft()
        if (ours := encode_action(action)) != line and not _is_same(action, line):
            self.differ(core.n, "action", _text(line), _text(ours))

    def end_actions(self, core: Core) -> None:
        """No more actions are taken here: what is left of those that were wanted nobody took."""
        while self._actions:
            self.differ(core.n, "action", None, _text(encode_action(self._actions.popleft())))

    # --- events -------------------------------------------------------------------------------------------------------

    def add(self, events: Sequence[Event]) -> None:
        """The next events."""
        self._undigested += events
        if len(self._undigested) > MOST_UNDIGESTED:
            self.digest_all()

    def digest_all(self) -> None:
        """Wait for no further digest of the journal."""
        events, self._undigested = self._undigested, []
        self.log.add(events)

    def compare_events(self, core: Core, count: int, digest: str) -> None:
        """The recorded log was at `digest` after `count` events."""
        due = count - self.log.count
        if not self._is_comparable or due < 0:
            self.digest_all()
            return
        told = self._undigested[:due]
        del self._undigested[:due]
        self.log.add(told)
        ours = self.log.hexdigest()
        if len(told) == due and ours == digest:
            self.digests += 1
            return
        self.differ(core.n, "events", f"{count:,} events: {digest}", f"{self.log.count:,} events: {ours}")
        self._is_comparable = False  # all that follow differ, too

    def compare_end(self, core: Core, end: End) -> None:
        """A segment ended properly."""
        self.compare_events(core, end.events, end.event_digest)
        if end.n != core.n:
            self.differ(core.n, "n", f"{end.n:,} inputs", f"{core.n:,} inputs")
        if end.frames != core.frames:
            self.differ(core.n, "frames", f"{end.frames:,} frames", f"{core.frames:,} frames")
        if end.state_digest is None:
            return
        if (ours := state_digest(core)) == end.state_digest:
            self.states += 1
        else:
            self.differ(core.n, "state", end.state_digest, ours)


def _is_same(action: Action, line: bytes) -> bool:
    """Whether they are the same though they are written in another way."""
    try:
        return decode_action(line) == action
    except FrameError:
        return False


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
