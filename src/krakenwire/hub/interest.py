"""The words of the hub: what a reader wants, how it wants it, and its account."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from krakenwire.errors import UsageError

__all__ = [
    "DEFAULT_BLOCK_LIMIT",
    "DEFAULT_CAPACITY",
    "POLICIES",
    "Delivery",
    "Interest",
    "OnLoss",
    "Policy",
    "ReaderStatistics",
]

Policy = Literal["drop_oldest", "conflate", "disconnect", "block"]
OnLoss = Literal["raise", "yield"]

POLICIES: tuple[Policy, ...] = ("drop_oldest", "conflate", "disconnect", "block")
DEFAULT_CAPACITY = 65_536
DEFAULT_BLOCK_LIMIT = 30.0
"""Seconds."""


class Interest(NamedTuple):
    """What a reader wants.

    Attributes:
        channel: which events; None is every event there is.
        symbol: of which symbol; None is all of the channel.
        connection: only from this connection, or the other one of its mirrored pair (a deeper book of the same symbol
            may come over another); None is any.
        interval: only candles of this interval; None is any.
    """

    channel: str | None
    symbol: str | None = None
    connection: str | None = None
    interval: int | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How a reader is given its events; checked where it is made.

    Attributes:
        policy: what happens when it is slow.
        capacity: events that may wait; under `conflate`, kinds and symbols.
        capacity_bytes: what the waiting events may take in memory, or None: no limit but `capacity`.
        block_limit: under `block`, seconds that reading may be paused for it.
        on_loss: whether a loss raises `DataLost` or stands in the stream.
        name: what it is called in statistics, metrics and events; made up if None.
    """

    policy: Policy = "drop_oldest"
    capacity: int = DEFAULT_CAPACITY
    capacity_bytes: int | None = None
    block_limit: float = DEFAULT_BLOCK_LIMIT
    on_loss: OnLoss = "raise"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UsageError(f"policy must be one of {', '.join(POLICIES)}, not {self.policy!r}")
        if self.capacity < 1:
            raise UsageError(f"capacity must be at least 1 event, not {self.capacity!r}")
        if self.capacity_bytes is not None and self.capacity_bytes < 1:
            raise UsageError(f"capacity_bytes must be at least 1 byte, or None, not {self.capacity_bytes!r}")
        if self.block_limit <= 0:
            raise UsageError(f"block_limit must be greater than 0 seconds, not {self.block_limit!r}")
        if self.name is not None and not _is_text(self.name):
            raise UsageError(f"name must be text that can be encoded as UTF-8, or None, not {self.name!r}")
        if self.on_loss not in ("raise", "yield"):
            raise UsageError(f"on_loss must be 'raise' or 'yield', not {self.on_loss!r}")


def _is_text(name: object) -> bool:
    """Whether metrics can show it: one that they cannot would cost the whole scrape."""
    try:
        return isinstance(name, str) and name.encode() is not None
    except UnicodeEncodeError:
        return False


class ReaderStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A reader's account; `delivered + waiting + dropped + conflated` is everything it was meant to get.

    Attributes:
        name: what the reader is called.
        policy: what happens when it is slow.
        capacity: events that may wait.
        capacity_bytes: what they may take in memory, if that is limited.
        waiting: its lag in events: how many wait now.
        waiting_bytes: what they take, estimated: a frame's length, and a constant for what is decoded.
        lag_ns: its lag in time: since when the oldest of them has been here, nanoseconds; 0 if nothing waits or no
            time is known.
        peak: the most that has ever waited, as seen whenever it read or room was made.
        delivered: events given out.
        dropped: events thrown away because it was slow.
        conflated: events replaced by a newer one of the same kind and symbol.
        losses: times it was told of a loss.
        pauses: times reading was paused for it (`block`).
        failures: times its callback raised.
        slow: times its callback took too long.
    """

    name: str = ""
    policy: Policy
    capacity: int
    capacity_bytes: int | None = None
    waiting: int
    waiting_bytes: int = 0
    lag_ns: int = 0
    peak: int = 0
    delivered: int
    dropped: int
    conflated: int
    losses: int
    pauses: int = 0
    failures: int = 0
    slow: int = 0
