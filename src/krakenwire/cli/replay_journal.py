"""A journal through cores: the figures of each run, and where it is not what was recorded.

It needs an extra, so that it is imported only when there is a journal to play.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from krakenwire.book import KERNEL, BookUpdate
from krakenwire.cli.replay_file import MOST_PROBLEMS, problem_of
from krakenwire.clock import NS_PER_S, Clock
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import BookInvalidated, Disconnected, Event
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, missing, segments
from krakenwire.journal.files.segments import read_head, read_segment
from krakenwire.journal.format import read_block
from krakenwire.journal.playing.comparing import Difference
from krakenwire.journal.playing.player import Hole, Player
from krakenwire.journal.playing.seeking import place_before, until
from krakenwire.journal.states.state import load_core
from krakenwire.protocol.report import Report

__all__ = ["RunReplayed", "Span", "as_json", "as_text", "replay_journal"]

OnEvents = Callable[[Sequence[Event]], object]
OnProgress = Callable[[int], object]


class RunReplayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run of a recorder.

    Attributes:
        run: its number.
        report: the figures; with a beginning in the midst, of all that there was before, too.
        differences: the first places where it was not as recorded.
        different: how many there are.
        compared_events, compared_books: how many recorded digests came out as recorded.
        holes: inputs that are not there.
        damage: what of the files is not what was written.
        torn: files that end in the midst, as those of a recorder that was killed.
        missing: numbers of segments that are not there.
        problems: the first of what was wrong with what was received, a line each.
        more_problems: how many more there were.
        kernel: which one played it.
    """

    run: int
    report: Report
    differences: list[Difference]
    different: int
    compared_events: int
    compared_books: int
    holes: list[Hole]
    damage: list[str]
    torn: list[str]
    missing: list[int]
    problems: list[str]
    more_problems: int
    kernel: str = KERNEL

    @property
    def same(self) -> bool:
        """It is as it was recorded, as far as that is here."""
        return not (self.different or self.damage or self.missing or any(not hole.is_bridged for hole in self.holes))


class Span(NamedTuple):
    """What of a journal is to be told (UTC, nanoseconds).

    Attributes:
        start_ns: nothing that was received before.
        end_ns: nothing that was received later; it is not played.
    """

    start_ns: int | None = None
    end_ns: int | None = None


def replay_journal(
    directory: str,
    clock: Clock,
    span: Span | None = None,
    *,
    on_events: OnEvents | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[RunReplayed]:
    """Play a journal; gives each run when it is over.

    Args:
        directory: where it is.
        clock: measures how long it took.
        span: what of it; all of it if None.
        on_events: called with events, in order.
        on_progress: called with the bytes of files read so far, now and then.

    Raises:
        UsageError: it is no journal, it cannot be read, begins later than the span, or the span ends before it begins.
    """
    span = Span() if span is None else span
    if span.start_ns is not None and span.end_ns is not None and span.end_ns < span.start_ns:
        raise UsageError("--to is before --from")
    return _Rerun(directory, clock, span, on_events=on_events, on_progress=on_progress).runs()


class _Rerun:
    def __init__(
        self, directory: str, clock: Clock, span: Span, *, on_events: OnEvents | None, on_progress: OnProgress | None
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._start_ns, self._end_ns = span
        self._on_events = on_events
        self._on_progress = on_progress
        self._player = Player(self._take, load=load_core)
        self._read = 0
        self._is_over = False
        self._forget()

    def runs(self) -> Iterator[RunReplayed]:
        found = segments(self._directory)
        gone = missing(found)
        offset, is_begun = 0, self._start_ns is not None
        if self._start_ns is not None:
            place = place_before(self._directory, received_ns=self._start_ns)
            found = [segment for segment in found if segment.number >= place.segment.number]
            offset = place.offset
            self._player.begin(read_head(place.segment.path), place.core, place.log)
        for segment in found:
            if not is_begun:
                yield from self._begin(segment)
            self._missing += [number for number in gone if number == segment.number - 1]
            if self._is_over:
                break
            self._play(segment, offset)
            offset, is_begun = 0, False
        if hasattr(self._player, "core"):
            yield self._end_run()

    def _begin(self, segment: Segment) -> Iterator[RunReplayed]:
        """The first line of a segment; the run before it is over if another one begins."""
        player = self._player
        try:
            head = read_head(segment.path)
        except Damaged:
            return  # reading it says so
        is_begun = hasattr(player, "core")
        if is_begun and head.run != player.head.run and not (player.is_exact and head.goes_on(player.core.n)):
            yield self._end_run()
            self._forget()
        if self._end_ns is not None and head.received_ns > self._end_ns:
            self._is_over = True
            return
        player.begin(head)

    def _play(self, segment: Segment, offset: int) -> None:
        for item in read_segment(segment.path, offset):
            if isinstance(item, Torn):
                self._torn.append(str(item))
            elif isinstance(item, Damaged):
                self._damage.append(str(item))
            elif hasattr(self._player, "core"):
                self._play_block(item.text, segment, item.offset)
                if self._is_over:
                    return
            if self._on_progress is not None:
                self._on_progress(self._read + item.offset)
        self._read += os.path.getsize(segment.path)

    def _play_block(self, text: bytes, segment: Segment, offset: int) -> None:
        try:
            block = read_block(text)
        except FrameError as error:
            self._damage.append(f"{segment.path} holds a block at byte {offset:,} that is none: {error}")
            return
        if self._end_ns is not None:
            block, rest = until(block, self._end_ns)
            self._is_over = rest is not None
        self._player.play(block)

    def _take(self, events: Sequence[Event]) -> None:
        if self._start_ns is not None:
            start_ns = self._start_ns
            events = [event for event in events if event.stamp.received_ns >= start_ns]
        for event in events:
            if type(event) is BookUpdate:
                continue
            if (problem := problem_of(event, "input")) is not None and not _is_planned(event, events):
                self._wrong += 1
                if len(self._problems) < MOST_PROBLEMS:
                    self._problems.append(problem)
        if self._on_events is not None:
            self._on_events(events)

    def _forget(self) -> None:
        self._began_ns = self._clock.monotonic_ns()
        self._problems: list[str] = []
        self._wrong = 0
        self._damage: list[str] = []
        self._torn: list[str] = []
        self._missing: list[int] = []

    def _end_run(self) -> RunReplayed:
        player = self._player
        seconds = (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S
        report = player.report(seconds)
        events, books = player.compared
        return RunReplayed(
            run=player.head.run,
            report=report,
            differences=list(player.differences),
            different=player.different,
            compared_events=events,
            compared_books=books,
            holes=list(player.holes),
            damage=self._damage,
            torn=self._torn,
            missing=self._missing,
            problems=self._problems,
            more_problems=self._wrong - len(self._problems),
        )


def _is_planned(event: Event, events: Sequence[Event]) -> bool:
    """Whether a book is no longer synced only because the connection was not wanted any more, as at the end."""
    is_left = isinstance(event, BookInvalidated) and event.reason == "disconnected"
    return is_left and any(isinstance(each, Disconnected) and each.planned for each in events)


def as_json(directory: str, replayed: RunReplayed) -> dict[str, Any]:
    """One run, for `--json`: its report, flat, and what was found beside it."""
    found: dict[str, Any] = msgspec.to_builtins(replayed)
    report: dict[str, Any] = found.pop("report")
    found["differences"] = [each._asdict() for each in replayed.differences]
    found["holes"] = [each._asdict() for each in replayed.holes]
    return {"file": directory, "same": replayed.same} | report | found


def as_text(directory: str, replayed: RunReplayed, figures: list[str]) -> str:
    """One run, for a person; `figures` are the lines of its report."""
    verdict = "as recorded" if replayed.same else "NOT AS RECORDED"
    if not replayed.report.sound:
        verdict += ", and books or frames were WRONG when it was recorded"
    events, books = replayed.compared_events, replayed.compared_books
    lines = [
        f"{directory}, run {replayed.run}: {verdict}",
        *figures[:-2],
        f"  compared: {events:,} digest(s) of events and {books:,} of books came out as recorded",
    ]
    if replayed.missing:
        lines.append(f"  ! segment(s) missing: {', '.join(map(str, replayed.missing))}")
    lines += [f"  ! {text}" for text in replayed.damage]
    lines += [f"  {text}" for text in replayed.torn]
    for hole in replayed.holes:
        what = f"inputs {hole.first:,} to {hole.last:,} are missing ({hole.reason})"
        went_on = "; a state behind them makes the rest exact" if hole.is_bridged else _FROM_OUTSIDE
        lines.append(f"  {'' if hole.is_bridged else '! '}{what}{went_on}")
    for each in replayed.differences:
        lines.append(f"  ! after input {each.n:,}: {each.what}: recorded {each.recorded}, now {each.played}")
    if replayed.different > len(replayed.differences):
        lines.append(f"  ! and {replayed.different - len(replayed.differences):,} more differences")
    lines += [f"  ! {problem}" for problem in replayed.problems]
    if replayed.more_problems:
        lines.append(f"  ! and {replayed.more_problems:,} more")
    return "\n".join([*lines, *figures[-2:]])


_FROM_OUTSIDE = (
    "; from there on books and streams are seen from outside, as far as their frames tell, and nothing is compared"
)
