"""The account of a recorder."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["RecorderState", "RecorderStatistics"]

RecorderState = Literal["new", "recording", "paused", "stopped", "closed"]


class RecorderStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the inputs so far.

    Attributes:
        state: `new` until the client is connected, `paused` while writing fails or lags too far behind, `stopped` if it
            was given up.
        n: number of the last input that the recorder was told of.
        flushed_n: everything up to this input, but for the gaps, was given to the system: a killed process loses it no
            more.
        synced_n: the same of what fsync has put on the medium: it survives the power too. Once an fsync failed it stays
            where it was: what was flushed before may be lost, whatever a later one says.
        segments: segments begun by this recorder.
        raw_bytes: the text of the blocks that were written.
        written_bytes: what it takes in the files.
        backlog_bytes: text that waits to be written.
        syncs: calls of fsync that succeeded.
        gaps: how often inputs were not written, but for those that are not written now.
        lost: how many inputs that were, and are.
        failures: writes, fsyncs and the like that failed.
        removed: segments removed for their age, or the size of all.
        hook_failures: how often `on_sealed` raised.
    """

    state: RecorderState = "new"
    n: int = 0
    flushed_n: int = 0
    synced_n: int = 0
    segments: int = 0
    raw_bytes: int = 0
    written_bytes: int = 0
    backlog_bytes: int = 0
    syncs: int = 0
    gaps: int = 0
    lost: int = 0
    failures: int = 0
    removed: int = 0
    hook_failures: int = 0
