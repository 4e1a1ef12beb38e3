"""A tape that keeps what a core is told: on the feed's side of the queue."""

from __future__ import annotations

import asyncio
import base64
import logging
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from krakenwire._version import __version__
from krakenwire.book import KERNEL
from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.events import Event, JournalPaused, JournalResumed, JournalStopped, Message, Stamp
from krakenwire.journal.format import BlockWriter
from krakenwire.journal.format.compression import DIGEST_S
from krakenwire.journal.format.lines import FORMAT, Head, Made, encode_action, encode_head, encode_input
from krakenwire.journal.states.state import dump_core
from krakenwire.journal.writing.disk import Disk
from krakenwire.journal.writing.ended import EndedSegments
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.journal.writing.place import Place, take_place
from krakenwire.journal.writing.statistics import RecorderState, RecorderStatistics
from krakenwire.journal.writing.thread import Handed, WriterThread
from krakenwire.protocol.core import Core
from krakenwire.protocol.inputs import Input
from krakenwire.protocol.outputs import Action
from krakenwire.protocol.report import EventLog, state_digest

__all__ = ["BLOCK_BYTES", "MOST_WAITING", "Recorder"]

_log = logging.getLogger("krakenwire.journal")

BLOCK_BYTES = 256 * 1024
"""Text after which a block is handed to the writer."""
DIGEST_AFTER_S = 0.002
MOST_UNDIGESTED = 4096
IDLE_S = 1.0
"""How often it is looked whether there is something, after nothing came."""
MOST_WAITING = 64 * 1024 * 1024
"""Text that may wait for the disk; what comes while it is that far behind is not written."""

_End = Literal["rotated", "closed", "stopped"]


class _AppendFrame(Protocol):
    def __call__(self, frame: bytes, stamp: Stamp) -> None: ...


class Recorder:
    """Writes every input of a core into a journal, and what the core wanted of its shell.

    It is the core's tape, called on the feed's thread. There nothing is done but to put lines together; when a block
    of them is large or old enough, it goes to a thread that compresses and writes it. Blocks end between two inputs,
    when everything that the core told was published, so that the digest in them is of the inputs before it.

    Args:
        options: what is wanted.
        core: whose inputs.
        made: what it was made of.
        endpoints: where the exchange is, without secrets.
        clock: the feed's.
        report: tells an event that is about the recording, and none of the core's.
        disk: what is written to; replaced in tests.
    """

    append_frame: _AppendFrame

    def __init__(
        self,
        options: JournalOptions,
        core: Core,
        *,
        made: Made,
        endpoints: dict[str, str],
        clock: Clock,
        report: Callable[[Event], None],
        disk: Disk | None = None,
    ) -> None:
        # The program may change its working directory; the journal stays where it is.
        self._options = replace(options, directory=options.path.absolute())
        self._core = core
        self._made = made
        self._endpoints = endpoints
        self._clock = clock
        self._report = report
        self._disk = disk if disk is not None else Disk()
        self._thread: WriterThread  # all three from `open` on
        self._ended: EndedSegments
        self._loop: asyncio.AbstractEventLoop
        self._state: RecorderState = "new"
        self._events = EventLog()
        self._told: list[Event] = []
        """What is not digested yet."""
        self._is_digesting = False
        self._digested_at = 0
        self._timer: Timer | None = None
        self._is_awake = False
        self._is_anew = False
        self._first_n = 0
        """The last input before the block at hand."""
        self._ends = 0
        """Blocks handed over that end a segment."""
        self._segment_began = 0
        self._paused_at = 0
        self._breaks = 0
        """How often the writer had lost its segment when it was looked at last."""
        self._lost_before = 0
        self._lost: _Lost | None = None
        """What is not written now."""
        self._gaps = 0
        self._lost_inputs = 0
        self._went_on_from: int | None = None
        self._journal = ""
        self._run = self._first_number = 0
        self._use(BlockWriter(core.n))

    # --- life -------------------------------------------------------------------------------------------------------

    def open(self, place: Place | None = None, *, went_on_from: int | None = None, made: Made | None = None) -> None:
        """Begin a segment, and record from now on; on the feed's loop.

        Args:
            place: the directory, taken already.
            went_on_from: the last input of the run before, where the core goes on from it; its `n` is set.
            made: what that core was made of.

        Raises:
            UsageError: nothing can be written in the directory; says why.
        """
        place = take_place(self._options.path) if place is None else place
        self._went_on_from, self._made = went_on_from, self._made if made is None else made
        self._journal, self._run, self._first_number = place.journal, place.run + 1, place.number + 1
        self._loop = asyncio.get_running_loop()
        ended = EndedSegments(self._options, self._clock)
        thread = WriterThread(
            self._options,
            place.lock,
            place.number,
            self._make_head,
            changed=self._thread_changed,
            ended=ended.add,
            disk=self._disk,
        )
        self._first_n = n = self._core.n
        self._segment_began = self._clock.monotonic_ns()
        self._use(BlockWriter(n))
        try:
            thread.start(n, self._clock.now_ns())
        except BaseException:
            place.lock.release()
            raise
        self._thread, self._ended = thread, ended
        ended.start()
        self._state = "recording"
        self._core.tape = self
        if went_on_from is not None and self._options.forgets:
            self._note_state()  # what was before will be removed
        self._stir()

    def flush(self) -> int:
        """Hand over what there is now; the number of the last input that then is on its way. On the feed's loop."""
        if self._core.tape is self and self._lost is None and self._lines.n > self._first_n:
            self._hand_over()
        return self._first_n

    def wait(self, n: int) -> bool:
        """Wait until the input `n` is flushed, or nothing can be; whether it is. Blocks, in a thread of one's own."""
        return self._thread.wait(n)

    @property
    def first_segment(self) -> int:
        """The number of the first segment of this run."""
        return self._first_number

    @property
    def directory(self) -> Path:
        """Where it writes."""
        return self._options.path

    def finish(self) -> None:
        """The core takes no more inputs: hand over what is left. On the feed's loop; harmless if done before."""
        if self._core.tape is not self:
            return
        self._core.tape = None
        if self._timer is not None:
            self._timer.cancel()
        if self._lost is not None:
            self._go_on(self._lost)
        self._hand_over("closed")
        self._state = "closed"

    def close(self) -> None:
        """Wait until everything is on the disk, as far as that takes it, and the hook has seen it; blocks."""
        if self._state == "new":
            return
        self._thread.close()
        self._ended.close()
        thread = self._thread
        if thread.flushed_n < self._first_n:
            _log.error("the inputs %d to %d were not written: %s", thread.flushed_n + 1, self._first_n, thread.trouble)

    def statistics(self) -> RecorderStatistics:
        """What became of the inputs so far."""
        if self._state == "new":
            return RecorderStatistics()
        thread, ended, n = self._thread, self._ended, self._core.n
        return RecorderStatistics(
            state=self._state,
            n=n,
            flushed_n=thread.flushed_n,
            synced_n=thread.synced_n,
            segments=thread.segments,
            raw_bytes=thread.raw_bytes,
            written_bytes=thread.written_bytes,
            backlog_bytes=thread.backlog,
            syncs=thread.syncs,
            gaps=self._gaps,
            lost=self._lost_inputs + (0 if self._lost is None else n - self._lost.first + 1),
            failures=thread.failures + ended.failed_removals,
            removed=ended.removed,
            hook_failures=ended.failures,
        )

    # --- Tape -------------------------------------------------------------------------------------------------------

    def append_input(self, given: Input, stamp: Stamp | None) -> None:
        """An input that is no frame. Those rarely publish anything, so that nobody else would see to the flush."""
        if self._lost is not None:
            return
        try:
            line = encode_input(given, is_timed=stamp is not None)
        except Exception:  # of a type that JSON has not, from a user: what is not written must not be left out silently
            _log.exception("an input cannot be written; there will be a gap in the journal")
            self._lost = _Lost(self._first_n + 1, self._clock.now_ns(), "an input that cannot be written")
            self.append_frame = _forget
        else:
            self._lines.line(line, stamp)
        self._stir()

    def append_actions(self, actions: list[Action]) -> None:
        """What the core wanted of its shell."""
        if self._lost is None:
            for action in actions:
                self._lines.line(encode_action(action), None, is_input=False)

    def see(self, events: Iterable[Event]) -> None:
        """What the core told, before anybody else gets it: everything of the inputs so far."""
        self._told.extend(events)
        if not self._is_digesting:
            self._is_digesting = True
            self._loop.call_later(DIGEST_AFTER_S, self._digest)
        elif len(self._told) >= MOST_UNDIGESTED:
            self._digest()
        if self._lost is not None:
            self._look()
        elif self._lines.size >= BLOCK_BYTES or (self._options.sync == "always" and not self._thread.backlog):
            self._hand_over()
        else:
            self._stir()

    def _digest(self) -> EventLog:
        """Digest what was told. A moment after the readers have it, for it takes as long as half of all else."""
        self._is_digesting = False
        told, self._told = self._told, []
        self._events.add(told)
        return self._events

    # --- blocks -----------------------------------------------------------------------------------------------------

    def _use(self, lines: BlockWriter) -> None:
        self._lines = lines
        self.append_frame = lines.frame  # the hot one, without a step between

    def _stir(self) -> None:
        """Something is in the block: flush it soon."""
        if not self._is_awake:
            self._is_awake = True
            self._arm(self._options.flush_every)

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_at(self._clock.monotonic_ns() + round(seconds * NS_PER_S), self._flush)

    def _flush(self) -> None:
        """The time has come; while nothing does, look only now and then, for a frame need not publish anything."""
        self._timer = None
        if self._core.tape is not self:
            return
        self._is_awake = self._lost is not None or self._lines.n > self._first_n
        if self._lost is not None:
            self._look()
        elif self._is_awake:
            self._hand_over()
        self._arm(self._options.flush_every if self._is_awake else max(self._options.flush_every, IDLE_S))

    def _hand_over(self, end: _End | None = None) -> None:
        """The block at hand goes to the writer, if that is not too far behind."""
        lines, thread = self._lines, self._thread
        if end is None and self._is_segment_full():
            end = "rotated"
        now = self._clock.monotonic_ns()
        if not self._core.events and (end is not None or now - self._digested_at >= DIGEST_S * NS_PER_S):
            self._digested_at = now
            events = self._digest()
            self._note(f'digest [{events.count},"{events.hexdigest()}"]')
        if end is not None:
            self._note(f"end {self._describe_end(end)}")
        text = lines.take()
        if thread.backlog + len(text) > MOST_WAITING and end in (None, "rotated"):
            self._lose("the disk is too slow", self._first_n + 1)
            return
        thread.hand_over(Handed(text, self._first_n, lines.n, self._clock.now_ns(), end is not None, self._is_anew))
        self._first_n, self._is_anew = lines.n, False
        if end is not None:
            self._ends += 1
            self._segment_began = self._clock.monotonic_ns()
            if end == "rotated" and self._options.forgets:
                self._note_state()

    def _note(self, line: str) -> None:
        self._lines.line(line.encode(), None, is_input=False)

    def _is_segment_full(self) -> bool:
        thread, options = self._thread, self._options
        if self._ends != thread.ends:
            return False  # the next one has not begun yet
        age_ns = self._clock.monotonic_ns() - self._segment_began
        return thread.segment_bytes >= options.segment_bytes or age_ns >= options.segment_seconds * NS_PER_S

    def _describe_end(self, end: _End) -> str:
        core, events = self._core, self._digest()
        return msgspec.json.encode(
            {
                "n": core.n,
                "frames": core.frames,
                "events": events.count,
                "event_digest": events.hexdigest(),
                "state_digest": state_digest(core) if end == "closed" else None,
                "closed": end,
            }
        ).decode()

    def _make_head(self, number: int, n: int, received_ns: int) -> bytes:
        """The first line of a segment; called in the writer's thread."""
        head = Head(
            format=FORMAT,
            journal=self._journal,
            segment=number,
            run=self._run,
            is_first=number == self._first_number,
            resumed=self._went_on_from is not None,
            n=n,
            received_ns=received_ns,
            made=self._made,
            endpoints=self._endpoints,
            krakenwire=__version__,
            kernel=KERNEL,
            python=platform.python_version(),
            went_on_from=self._went_on_from,
        )
        return encode_head(head)

    # --- when the disk does not keep up -----------------------------------------------------------------------------

    def _thread_changed(self) -> None:
        """In the writer's thread: something is to be looked at."""
        with suppress(RuntimeError):  # the loop is closed: nobody is told any more
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        """See how the writer is, and tell what changed; between two inputs."""
        thread = self._thread
        if self._core.tape is not self:
            return
        if thread.is_stopped:
            self._stop(thread.trouble or "")
            return
        if thread.trouble is not None:
            self._pause(thread.trouble)
        if thread.breaks != self._breaks:
            self._breaks = thread.breaks
            self._lose(thread.trouble or "the segment was removed", thread.flushed_n + 1)
        if thread.trouble is not None or self._core.events:
            return
        if self._lost is not None:
            if thread.backlog > MOST_WAITING // 2:
                return
            self._go_on(self._lost)
        self._resume()

    def _lose(self, reason: str, first: int) -> None:
        """What comes now is not written: it is only counted, by the core itself."""
        self._lost = _Lost(first, self._clock.now_ns(), reason)
        self.append_frame = _forget
        self._pause(reason)
        if self._options.when_full == "stop":
            self._stop(reason)
        else:
            self._stir()

    def _go_on(self, lost: _Lost) -> None:
        """Say what was not written, and what the core is now; what follows is written again."""
        n = self._core.n
        self._lost = None
        self._gaps += 1
        self._lost_inputs += n - lost.first + 1
        self._use(BlockWriter(n))
        self._first_n, self._is_anew = n, True
        # A reader has not seen the events of the gap: it counts and digests from here on.
        self._events, self._told = EventLog(), []
        gap = {
            "first": lost.first,
            "last": n,
            "reason": lost.reason,
            "received_ns": [lost.since_ns, self._clock.now_ns()],
        }
        self._note(f"gap {msgspec.json.encode(gap).decode()}")
        self._note_state()

    def _note_state(self) -> None:
        """All that the core knows, so that what follows can be replayed without what was before."""
        try:
            state = dump_core(self._core)
        except Exception:  # something of the user's in it, perhaps: the feed goes on, and what follows can be read
            _log.exception("the journal goes on without the state of the core")
            return
        self._note(f'state "{base64.b64encode(state).decode()}"')

    def _pause(self, reason: str) -> None:
        if self._state == "recording":
            self._state, self._paused_at = "paused", self._clock.monotonic_ns()
            self._lost_before = self._lost_inputs
            self._tell(JournalPaused(reason=reason, stamp=self._stamp(), n=self._core.n))

    def _resume(self) -> None:
        if self._state == "paused":
            self._state = "recording"
            self._tell(
                JournalResumed(
                    lost=self._lost_inputs - self._lost_before,
                    paused_ns=self._clock.monotonic_ns() - self._paused_at,
                    stamp=self._stamp(),
                    n=self._core.n,
                )
            )

    def _stop(self, reason: str) -> None:
        """Record no more. What waits is still written, if the disk takes it."""
        self._core.tape = None
        if not self._thread.is_stopped:
            self._go_on(self._lost or _Lost(self._first_n + 1, self._clock.now_ns(), reason))
            self._hand_over("stopped")
        self._state = "stopped"
        self._tell(JournalStopped(reason=reason, stamp=self._stamp(), n=self._core.n))

    def _tell(self, event: Message) -> None:
        self._report(event)

    def _stamp(self) -> Stamp:
        return Stamp("", 0, self._clock.now_ns(), self._clock.monotonic_ns())


class _Lost(msgspec.Struct, frozen=True):
    """Inputs that are not written: from which on, since when, and why."""

    first: int
    since_ns: int
    reason: str


def _forget(frame: bytes, stamp: Stamp) -> None:
    """It is not written."""
