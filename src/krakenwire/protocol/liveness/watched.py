"""One subscription as its liveness sees it: what is usual for it, and where it stands."""

from __future__ import annotations

from typing import Any

from krakenwire.book import BookState
from krakenwire.protocol.liveness.gaps import GapHistogram
from krakenwire.protocol.liveness.probe import Probe
from krakenwire.protocol.subscriptions import Key

__all__ = ["Stream"]


class Stream:
    """One subscription: what it usually does, and where it is now. Times are monotonic nanoseconds."""

    __slots__ = (
        "awaits_snapshot",
        "book",
        "doubted_at",
        "doubtful",
        "gap_from",
        "gaps",
        "heard_at",
        "heard_n",
        "is_active",
        "is_stalled",
        "key",
        "last_before",
        "look_at",
        "messages",
        "name",
        "peers",
        "probe",
        "raised",
        "reconnects",
        "resumed_by",
        "retries",
        "retry_at",
        "since",
        "stalled_from",
        "subscribed_ns",
    )

    def __init__(self, key: Key, messages: dict[Any, Any], name: object, peers: list[Stream]) -> None:
        self.key = key
        self.peers = peers
        """All streams of its symbol, this one included: one list, which they share."""
        self.messages = messages
        self.name = name
        """Where its last message is, and under what; a book knows its own."""
        self.gaps = GapHistogram()
        self.book: BookState | None = None
        self.is_active = False
        """Kraken acknowledged it on the connection that is open."""
        self.awaits_snapshot = False
        self.heard_at = 0
        self.heard_n = 0
        """Its last message: when it came, and the number of its input."""
        self.since = 0
        """From when its silence counts: that message, or the end of what excuses it."""
        self.gap_from: int | None = None
        """Where the gap began that is learned next; a probe does not end it."""
        self.look_at = 0
        """Nothing about it changes by silence alone before that."""
        self.raised = 0
        """Silence that a probe has shown to be healthy."""
        self.doubted_at = -(10**18)
        """When it was probed because of a witness: not soon again."""
        self.probe: Probe | None = None
        self.doubtful = 0
        """Probes in a row that told something new and yet proved nothing: the next one is not waited for so long."""
        self.is_stalled = False
        self.stalled_from = 0
        """Since when nothing came of it, when it was found mute."""
        self.resumed_by = "itself"
        self.retries = 0
        self.retry_at = 0
        self.reconnects = 0
        self.subscribed_ns: int | None = None
        """Kraken's time of the acknowledgement."""
        self.last_before: object = None
        """Of a trade stream that has told no trade yet: the last price, by a witness, when it was asked first."""

    def last(self) -> Any:
        """Its last message, None if there was none; not of a book."""
        return self.messages.get(self.name)

    def last_n(self) -> int:
        """The number of its last message, 0 if there was none; one read of a socket can have many, at one time."""
        if self.book is not None:
            return self.book.n
        message = self.messages.get(self.name)
        return 0 if message is None else message.n

    def hear(self) -> int:
        """Take note of its last message: when it came."""
        self.heard_n = self.last_n()
        source = self.messages.get(self.name) if self.book is None else self.book
        self.heard_at = 0 if source is None else source.stamp.received_mono_ns
        return self.heard_at
