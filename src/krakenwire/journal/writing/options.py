"""What of recording can be chosen. Nothing here needs the extra `journal`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from krakenwire.errors import UsageError

__all__ = ["JournalOptions", "Sync", "WhenFull"]

Sync = Literal["always", "interval", "never"]
WhenFull = Literal["pause", "stop"]

MIB = 1024 * 1024
LEAST_SEGMENT = 4096
"""Below that a segment would hold little but its own head."""


@dataclass(frozen=True, kw_only=True)
class JournalOptions:
    """How a client's journal is written; `Client(journal=JournalOptions(directory="tape"))`.

    What is lost when things end badly, by `sync`:

    ==========  ============================  =================================================================
    `sync`      the process is killed         the power fails
    ==========  ============================  =================================================================
    `always`    what was not yet flushed      the same: each block is on the medium before the next is written
    `interval`  the same                      that, and what was flushed since the last fsync (`sync_every`)
    `never`     the same                      whatever the system had not written by itself, half a minute say
    ==========  ============================  =================================================================

    Flushed is what was given to the system by `write`: `RecorderStatistics.flushed_n`; `synced_n` is what fsync has
    put on the medium. What is not yet flushed is at most `flush_every` old, or 256 KiB of text; with `always` it is
    what came during the last write and fsync. Under no policy does the feed wait for the disk.

    Attributes:
        directory: where the segments go; made if it is not there. One that has a journal is gone on with.
        segment_bytes: a segment is ended when its file has this size, or a little more.
        segment_seconds: and when it is this old.
        keep_seconds: segments whose last input is older are removed, side-cars and all; None keeps them.
        keep_bytes: and the oldest, as long as all are larger than this together; never the one being written.
        sync: when what was written is put on the medium by fsync.
        sync_every: seconds between two fsyncs of `interval`, at most.
        when_full: if the disk is full or a write fails: `pause` tries again each second, while what comes waits in
            memory (64 MiB; what is beyond that is lost, and told as a gap when writing goes on); `stop` records no
            more. The feed goes on either way, and `JournalPaused` or `JournalStopped` tells.
        flush_every: seconds that a block of lines may be old before it is written, however small. Each write costs some
            70 bytes: ten times a second makes the journal of a quiet feed twice as large.
        seal: have each ended segment sealed by a process of low priority: played once more and proven, made smaller,
            and indexed. What is not done when the client is closed, the next recorder does.
        on_sealed: called with the path of each segment that this recorder ended, after it was sealed, or as it is if
            there is no time for that when the client is closed; one after another, in a thread of the recorder's own.
            What it raises is logged and counted. `Client.close` waits for it.

    Raises:
        UsageError: for a value that cannot work.
    """

    directory: str | PathLike[str]
    segment_bytes: int = 256 * MIB
    segment_seconds: float = 3600.0
    keep_seconds: float | None = None
    keep_bytes: int | None = None
    sync: Sync = "interval"
    sync_every: float = 1.0
    when_full: WhenFull = "pause"
    flush_every: float = 2.0
    seal: bool = True
    on_sealed: Callable[[Path], object] | None = None

    def __post_init__(self) -> None:
        if not os.fspath(self.directory):
            raise UsageError("directory must be the path of the journal, not an empty one")
        _check_whole("segment_bytes", self.segment_bytes, LEAST_SEGMENT)
        _check_positive("segment_seconds", self.segment_seconds)
        _check_positive("sync_every", self.sync_every)
        _check_positive("flush_every", self.flush_every)
        if self.keep_seconds is not None:
            _check_positive("keep_seconds", self.keep_seconds)
        if self.keep_bytes is not None:
            _check_whole("keep_bytes", self.keep_bytes, 1)
        if self.sync not in get_args(Sync):
            raise UsageError(f"sync must be 'always', 'interval' or 'never', not {self.sync!r}")
        if self.when_full not in get_args(WhenFull):
            raise UsageError(f"when_full must be 'pause' or 'stop', not {self.when_full!r}")
        if self.on_sealed is not None and not callable(self.on_sealed):
            raise UsageError(f"on_sealed must be something to call with a path, not {self.on_sealed!r}")

    @property
    def path(self) -> Path:
        """The directory."""
        return Path(self.directory)

    @property
    def forgets(self) -> bool:
        """Whether old segments are removed, so that each must be readable without those before it."""
        return self.keep_seconds is not None or self.keep_bytes is not None


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be an integer of at least {least}, not {value!r}")


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"{name} must be seconds, finite and greater than 0, not {value!r}")
