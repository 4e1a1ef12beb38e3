"""A stretch of time of a journal as a journal of its own, which plays as that stretch did.

It begins with the whole state of the core at that moment, so that nothing before it is needed, and ends with what the
events and books were then, so that playing it proves that it is the same.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from krakenwire.errors import FrameError, UsageError
from krakenwire.events import Event
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.locking import locked
from krakenwire.journal.files.newsegment import NewSegment, new_directory
from krakenwire.journal.files.segments import read_head, read_segment
from krakenwire.journal.format import Block, BlockWriter, Entry, close_block, read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.comparing import End
from krakenwire.journal.playing.player import Player
from krakenwire.journal.playing.seeking import Place, place_before
from krakenwire.journal.states.state import dump_core, load_core
from krakenwire.protocol.report import EventLog, state_digest

__all__ = ["Cut", "cut"]

_BLOCK_BYTES = 256 * 1024


class Cut(msgspec.Struct, kw_only=True):
    """What was cut out.

    Attributes:
        journal: of the new one.
        cut_from: of the old one.
        segments, inputs: how many there are in the new one.
        first, last: its inputs, by their numbers in the run they are of.
        received_ns: UTC of the first and the last of them.
        is_exact: it begins with the exact state; else inputs are missing before it, and books are not known until their
            next snapshots.
    """

    journal: str
    cut_from: str
    segments: int = 0
    inputs: int = 0
    first: int = 0
    last: int = 0
    received_ns: tuple[int, int] = (0, 0)
    is_exact: bool = False


def cut(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    from_ns: int,
    to_ns: int,
    *,
    on_progress: Callable[[int], object] | None = None,
) -> Cut:
    """Cut what was received from `from_ns` on and before `to_ns` (UTC).

    Args:
        directory: the journal.
        out: of the new one; empty, or not there yet.
        from_ns: where it begins.
        to_ns: where it ends.
        on_progress: called with the bytes of files that were read so far.

    Raises:
        UsageError: there is nothing in that stretch, something cannot be read, or the new one not be written.
    """
    if from_ns >= to_ns:
        raise UsageError("the stretch ends before it begins: give --from a time before that of --to")
    found = segments(directory)
    place = place_before(directory, received_ns=from_ns) if found[0].started_ns <= from_ns else Place(found[0], 0, 0)
    is_new = not os.path.isdir(out)
    target = new_directory(out)
    with locked(target):
        cutter = _Cutter(target, place, from_ns, to_ns)
        size = 0
        for segment in found:
            if segment.number >= place.segment.number and not cutter.is_done:
                cutter.take(segment)
            size += segment.path.stat().st_size
            if on_progress is not None:
                on_progress(size)
    if not cutter.done.inputs:
        if is_new:
            shutil.rmtree(target, ignore_errors=True)  # there is nothing in it but the lock
        raise UsageError(
            f"{os.fspath(directory)} has nothing of that stretch; `krakenwire journal info` tells what it has"
        )
    return cutter.done


class _Cutter:
    def __init__(self, target: Path, place: Place, from_ns: int, to_ns: int) -> None:
        self.done = Cut(journal=secrets.token_hex(16), cut_from=read_head(place.segment.path).journal)
        self.is_done = False
        self._target = target
        self._place = place
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._player = Player(self._take_events, load=load_core)
        self._log = EventLog()
        """Of the new journal: what a reader of it has seen of the run."""
        self._is_anew = False
        """It began within a run: what the recorder said of its events before is not of them."""
        self._begun = False
        """The stretch was reached."""
        self._runs = 0
        self._out: NewSegment | None = None
        self._writer = BlockWriter()

    def take(self, segment: Segment) -> None:
        """The next segment, from that of the place on."""
        head, offset = read_head(segment.path), 0
        is_new = head.is_first and not head.resumed
        if segment.number == self._place.segment.number:
            offset = self._place.offset
            self._player.begin(head, self._place.core, self._place.log)
        else:
            self._player.begin(head)
        if head.is_first:
            self._log, self._is_anew = EventLog(), False
        with ExitStack() as stack:
            if self._begun:
                self._open(stack, head, is_first=head.is_first)
            elif is_new and not offset and self._from_ns <= head.received_ns < self._to_ns:
                self._begin(stack, head, head.received_ns)
            for found in read_segment(segment.path, offset):
                if not isinstance(found, Damaged):
                    with suppress(FrameError):  # what cannot be read is missing then, as what is damaged
                        self._take_block(read_block(found.text), head, stack)
                if self.is_done:
                    break
            self._flush()
            self._out = None

    def _take_block(self, block: Block, head: Head, stack: ExitStack) -> None:
        player = self._player
        player.begin_block(block)
        for entry in block.entries:
            if entry.stamp is not None:
                received_ns = entry.stamp.received_ns
                if received_ns >= self._to_ns:
                    self._end()
                    return
                if not self._begun and received_ns >= self._from_ns:
                    self._begin(stack, head, received_ns)
            if self._begun:
                self._write(entry)
            player.step(entry)
            self.done.last = player.core.n if self._begun else 0
        if self._writer.size >= _BLOCK_BYTES:
            self._flush()

    def _begin(self, stack: ExitStack, head: Head, received_ns: int) -> None:
        """The stretch is reached."""
        self._begun = True
        self._open(stack, head, is_first=True)
        self.done.first, self.done.received_ns = self._player.core.n + 1, (received_ns, received_ns)
        self.done.is_exact = self._player.is_exact

    def _write(self, entry: Entry) -> None:
        player = self._player
        if self._writer.n != player.core.n:  # inputs are missing here
            self._restart(player.core.n)
        if entry.stamp is not None:
            self.done.received_ns = self.done.received_ns[0], entry.stamp.received_ns
        if entry.kind == "frame" and entry.stamp is not None:
            self._writer.frame(entry.content, entry.stamp)
        else:
            self._writer.line(self._line(entry.content), entry.stamp, is_input=entry.kind == "input")
        self.done.inputs += entry.kind in ("frame", "input")

    def _line(self, line: bytes) -> bytes:
        """As it is, but for what is said of the events."""
        log = self._log
        if line.startswith(b"gap "):
            self._log, self._is_anew = EventLog(), False  # as the recorder's
        elif self._is_anew and line.startswith(b"digest "):
            return b"digest " + msgspec.json.encode((log.count, log.hexdigest()))
        elif self._is_anew and line.startswith(b"end "):
            with suppress(msgspec.MsgspecError, ValueError, RecursionError):  # playing it tells what is wrong with it
                return self._end_line(msgspec.json.decode(line[4:], type=End).closed)
        return line

    def _take_events(self, events: Sequence[Event]) -> None:
        if self._begun:
            self._log.add(events)

    def _open(self, stack: ExitStack, head: Head, *, is_first: bool) -> None:
        """A segment of the new journal, for what comes of one of the old."""
        done, n = self.done, self._player.core.n
        done.segments += 1
        self._runs += is_first
        made = msgspec.structs.replace(
            head,
            journal=done.journal,
            segment=done.segments,
            run=self._runs,
            is_first=is_first,
            resumed=head.resumed and self._runs > 1,
            n=n,
            received_ns=head.received_ns if self._runs > 1 or n == head.n else self._player.stamp.received_ns,
        )
        self._out = stack.enter_context(NewSegment(self._target, made))
        self._writer = BlockWriter(n)
        if done.segments == 1:
            self._is_anew = n > 0
            for note in self._first_notes(n):
                self._writer.line(note, None, is_input=False)

    def _first_notes(self, n: int) -> Iterator[bytes]:
        """Where this was cut from, and what the core was there."""
        player, head = self._player, self._player.head
        known = {"journal": head.journal, "segment": head.segment, "run": head.run, "n": n}
        stretch = {"from_ns": self._from_ns, "to_ns": self._to_ns}
        if n:
            span = [head.received_ns, player.stamp.received_ns]
            gap = {"first": 1, "last": n, "reason": f"cut from journal {head.journal}", "received_ns": span}
            yield b"gap " + msgspec.json.encode(gap)
            if player.is_exact:
                yield b'state "%b"' % base64.b64encode(dump_core(player.core))
        yield b"cut " + msgspec.json.encode(known | stretch)

    def _restart(self, n: int) -> None:
        self._flush()
        self._writer = BlockWriter(n)

    def _flush(self) -> None:
        if self._out is not None and (text := self._writer.take()):
            self._out.write(close_block(text))

    def _end(self) -> None:
        """The stretch is over: what playing it comes to."""
        self.is_done = True
        if self._out is None:
            return
        if self._player.is_exact:
            self._writer.line(self._end_line("cut"), None, is_input=False)

    def _end_line(self, closed: str) -> bytes:
        core, log = self._player.core, self._log
        end = End(
            n=core.n,
            frames=core.frames,
            events=log.count,
            event_digest=log.hexdigest(),
            state_digest=state_digest(core),
            closed=closed,
        )
        return b"end " + msgspec.json.encode(end)
