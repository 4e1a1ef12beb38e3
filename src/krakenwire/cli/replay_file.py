"""One recording through the core: the figures, and what was wrong in words."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import cast

from krakenwire.clock import NS_PER_S, Clock
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import BookInvalidated, Event, Gap, Undecodable
from krakenwire.journal import FrameReplay, RecordedFrame, read_frames
from krakenwire.journal.bundles.bundle import BUNDLE_FILE, FRAMES_FILE, Bundle, is_bundle, read_bundle
from krakenwire.protocol.report import Report

__all__ = ["MOST_PROBLEMS", "STDIN", "Replayed", "problem_of", "replay_file"]

STDIN = "-"
AT_ONCE = 4096
"""Frames between two reports of progress."""
PEEKED = 4096
MOST_PROBLEMS = 20
SHOWN_BYTES = 60

OnEvents = Callable[[Sequence[Event]], object]
OnProgress = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of one recording.

    Attributes:
        file: its name, `-` for stdin.
        report: the figures.
        problems: the first of what was wrong, a line each.
        more_problems: how many more there were.
        reproduced: of a bundle, whether the last thing found was what the bundle was written for; else None.
        is_whole: of a bundle, whether it was when it was made; True of anything else.
    """

    file: str
    report: Report
    problems: tuple[str, ...]
    more_problems: int
    reproduced: bool | None = None
    is_whole: bool = True


def replay_file(
    file: str, clock: Clock, *, on_events: OnEvents | None = None, on_progress: OnProgress | None = None
) -> Replayed:
    """Play the recording `file`.

    Args:
        file: a path, or `-` for stdin; the directory of a bundle stands for the frames in it.
        clock: measures how long it took.
        on_events: called with the events of each frame, in order.
        on_progress: called with the bytes of the file read so far, now and then.

    Raises:
        UsageError: it cannot be read, is empty, or is no recording.
    """
    bundle: Bundle | None = None
    played = file
    if file != STDIN and is_bundle(file):
        bundle = read_bundle(file)
        played = os.path.join(file, FRAMES_FILE)
    elif os.path.isdir(file):
        raise UsageError(
            f"{file} is a directory, but no journal and no bundle: there is no segment (*.zst) and no {BUNDLE_FILE} "
            f"in it; bundles are played by their own names, as in {os.path.join(file, '*')}"
        )
    problems: list[str] = []
    wrong = 0
    last_found: BookInvalidated | None = None

    def take(events: Sequence[Event]) -> None:
        nonlocal wrong, last_found
        for event in events:
            if isinstance(event, BookInvalidated):
                last_found = event
            if (problem := problem_of(event)) is not None:
                wrong += 1
                if len(problems) < MOST_PROBLEMS:
                    problems.append(problem)
        if on_events is not None:
            on_events(events)

    replay = FrameReplay(take)
    began_ns = clock.monotonic_ns()
    with _opened(played) as opened:
        if b"\0" in opened.peek(PEEKED)[:PEEKED]:
            raise UsageError(f"{file} is binary; expected text, one frame a line")
        for frames in _batches(read_frames(opened), file):
            replay.feed(frames)
            if on_progress is not None:
                on_progress(opened.tell())
    if not replay.core.frames:
        raise UsageError(f"{file} is empty: there is no received frame in it")
    report = replay.report((clock.monotonic_ns() - began_ns) / NS_PER_S)
    return Replayed(
        file=file,
        report=report,
        problems=tuple(problems),
        more_problems=wrong - len(problems),
        reproduced=None if bundle is None else last_found is not None and bundle.matches(last_found),
        is_whole=bundle is None or bundle.is_whole,
    )


@contextmanager
def _opened(file: str) -> Iterator[BufferedReader]:
    if file == STDIN:
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        opened = open(file, "rb")  # noqa: SIM115  # closed below; only a failure to open is caught here
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    with opened:
        yield opened


def _batches(frames: Iterator[RecordedFrame], file: str) -> Iterator[list[RecordedFrame]]:
    while True:
        try:
            batch = list(itertools.islice(frames, AT_ONCE))
        except FrameError as error:
            raise UsageError(f"{file} is no recording: {error}") from error
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}") from error
        if not batch:
            return
        yield batch


def problem_of(event: Event, counted: str = "frame") -> str | None:
    """What is wrong, if the event says that something is; `counted` is what its `n` counts."""
    if isinstance(event, BookInvalidated):
        if event.reason != "checksum":
            return f"{counted} {event.n}: the book of {event.symbol} is no longer synced: {event.reason}"
        return (
            f"{counted} {event.n}: the book of {event.symbol} does not match its checksum: "
            f"expected {event.expected}, computed {event.computed}"
        )
    if isinstance(event, Undecodable):
        where = "" if event.offset is None else f" at byte {event.offset}"
        return f"{counted} {event.n}: {event.reason}{where}: {event.frame[:SHOWN_BYTES].decode(errors='replace')}"
    if isinstance(event, Gap):
        return f"{counted} {event.n}: {event.symbol or ''} {event.of}: {event.reason}"
    return None
