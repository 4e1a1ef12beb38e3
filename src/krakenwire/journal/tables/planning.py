"""What is to be exported, and is not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from krakenwire.journal.files.directory import Segment
from krakenwire.journal.format.lines import Head
from krakenwire.journal.tables.manifest import Done, Manifest, Span
from krakenwire.journal.tables.schema import Channel
from krakenwire.journal.tables.tape import last_moment

__all__ = ["Planning", "Todo", "overlap"]


class Todo(NamedTuple):
    """What is to be made of one segment: of each channel which symbols (None: all), and of what time."""

    segment: Segment
    channels: dict[Channel, tuple[str, ...] | None]
    span: Span
    size: int | None


class Planning:
    """Finds out what is not there yet. What is there of a channel in part is made once more, with all that it has.

    Attributes:
        todo: by number of the segment.
        symbols: all that are to be read; None for whatever there is.
    """

    def __init__(self, manifest: Manifest, channels: Sequence[Channel], wanted: tuple[str, ...] | None) -> None:
        self.todo: dict[int, Todo] = {}
        self.symbols = wanted
        self._manifest = manifest
        self._channels = channels
        self._wanted = wanted

    def add(self, segment: Segment, span: Span, size: int | None) -> bool:
        """Whether anything is to be made of a segment."""
        known = self._manifest.segments.get(segment.number, {})
        parts: dict[Channel, tuple[str, ...] | None] = {}
        for channel in self._channels:
            there = known.get(channel)
            symbols = self._wanted
            if there is not None:
                is_all = symbols is None or there.symbols is None
                symbols = None if is_all else tuple(sorted({*(symbols or ()), *(there.symbols or ())}))
                is_same = symbols == there.symbols and _hull(span, there.span) == there.span
                if is_same and there.size in (None, size) and not (channel == "trade" and self._joins(segment, there)):
                    continue
            parts[channel] = symbols
        for channel in parts:
            if channel in known:
                span = _hull(span, known[channel].span)
        if parts:
            self.todo[segment.number] = Todo(segment, parts, span, size)
            if None in parts.values():
                self.symbols = None
            elif self.symbols is not None:
                self.symbols = tuple({*self.symbols, *(symbol for each in parts.values() for symbol in each or ())})
        return bool(parts)

    def _joins(self, segment: Segment, there: Done) -> bool:
        """What went before it was not known when it was exported, and is now."""
        before = self.todo.get(segment.number - 1)
        is_known = segment.number - 1 in self._manifest.trades or (before is not None and "trade" in before.channels)
        return not there.is_joined and is_known


def overlap(segment: Segment, head: Head | None, start_ns: int | None, end_ns: int | None) -> Span | None:
    """What of a segment is in a range of time; None if nothing is."""
    if start_ns is None and end_ns is None:
        return None, None
    begin = segment.started_ns if head is None else head.received_ns
    last = last_moment(segment)
    if (start_ns is not None and start_ns > last) or (end_ns is not None and end_ns <= begin):
        return None
    return (
        None if start_ns is None or start_ns <= begin else start_ns,
        None if end_ns is None or end_ns > last else end_ns,
    )


def _hull(one: Span, other: Span) -> Span:
    """The range of time that has both in it."""
    return (
        None if one[0] is None or other[0] is None else min(one[0], other[0]),
        None if one[1] is None or other[1] is None else max(one[1], other[1]),
    )
