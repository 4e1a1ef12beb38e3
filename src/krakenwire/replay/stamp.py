"""Which of several journals an event is from."""

from __future__ import annotations

from krakenwire.events import Stamp

__all__ = ["JournalStamp"]


class JournalStamp(Stamp, frozen=True, gc=False):
    """A stamp that says, where several journals are played together, which one it is from: its directory's name."""

    journal: str
