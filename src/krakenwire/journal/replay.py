"""Recorded frames through the core, passively: the same books, events and digests as when they were live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from krakenwire.events import NO_STAMP, Event, Stamp
from krakenwire.journal.frames import RecordedFrame
from krakenwire.protocol.core import MAIN, Core
from krakenwire.protocol.report import EventLog, Report, make_report

__all__ = ["FrameReplay"]


class FrameReplay:
    """Feeds recorded frames to a passive core; nothing is sent.

    Args:
        on_events: called with the events of each frame, in order; the list is reused afterwards.

    Attributes:
        core: its books are as of the last frame fed.
    """

    def __init__(self, on_events: Callable[[Sequence[Event]], object] | None = None) -> None:
        self.core = Core(passive=True)
        self._log = EventLog()
        self._on_events = on_events
        self._untimed = Stamp(MAIN, 0, NO_STAMP.received_ns, NO_STAMP.received_mono_ns)

    def feed(self, frames: Iterable[RecordedFrame]) -> None:
        """Play `frames`; those that the client sent are passed over."""
        core, log, on_events, untimed = self.core, self._log, self._on_events, self._untimed
        events = core.events
        for frame, received_ns, sent in frames:
            if sent:
                continue
            stamp = untimed if received_ns is None else Stamp(MAIN, 0, received_ns, received_ns)
            core.receive_frame(frame, stamp)
            if events:
                log.add(events)
                if on_events is not None:
                    on_events(events)
                events.clear()

    def report(self, seconds: float) -> Report:
        """The figures so far, for a run that took `seconds`."""
        return make_report(self.core, self._log, seconds)
