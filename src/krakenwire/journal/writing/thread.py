"""The thread that compresses blocks and puts them on the disk. Nothing that the disk does reaches the feed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from krakenwire.clock import NS_PER_S, Clock, SystemClock
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import segment_name
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.format import close_block
from krakenwire.journal.writing.disk import Disk
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.journal.writing.place import highest_number
from krakenwire.journal.writing.segment import SegmentFile

__all__ = ["Handed", "WriterThread"]

_log = logging.getLogger("krakenwire.journal")

RETRY_S = 1.0
"""How long a disk that failed is left alone."""
LEAST_WAIT_S = 0.001
WATCH_S = 0.5
"""How often the thread looks whether the program has ended without closing it, or the segment was removed."""


class Handed(NamedTuple):
    """A block on its way to the disk.

    Attributes:
        text: without its `crc` line.
        first_n: number of the input before its first.
        n: number of its last input.
        received_ns: UTC, of the segment that may begin with it.
        ends: the segment ends with it.
        is_anew: it goes on behind a gap, so that nothing before it is needed.
    """

    text: bytes
    first_n: int
    n: int
    received_ns: int
    ends: bool
    is_anew: bool


class WriterThread:
    """Writes what it is handed, in order, into one segment after another.

    A write that fails is told and tried again, with `when_full="stop"` it is the last one. Where the segment itself
    was removed, what follows is given up until a block comes that goes on behind a gap.

    Args:
        options: what is wanted.
        lock: of the directory, held; released by `close`.
        number: of the last segment that is there.
        make_head: the first line of a segment, from its number, `n`, and UTC nanoseconds.
        changed: called in the thread whenever `trouble` or `is_stopped` changes.
        ended: called in the thread with each segment that was ended.
        disk: what is written to.
        clock: of the machine, whatever the feed's is: fsyncs are of its disk.

    Attributes:
        trouble: why nothing can be written now, in words; None if it can.
        is_broken: the segment was lost; only a block that `is_anew` is written.
        breaks: how often that was so.
        is_stopped: nothing is written any more.
        flushed_n, synced_n, segments, raw_bytes, failures, syncs: see `RecorderStatistics`.
        ends: blocks that ended a segment.
    """

    def __init__(
        self,
        options: JournalOptions,
        lock: DirectoryLock,
        number: int,
        make_head: Callable[[int, int, int], bytes],
        *,
        changed: Callable[[], None],
        ended: Callable[[Path], None],
        disk: Disk,
        clock: Clock | None = None,
    ) -> None:
        self._options = options
        self._lock = lock
        self._number = number
        self._make_head = make_head
        self._changed = changed
        self._ended = ended
        self._disk = disk
        self._clock = clock if clock is not None else SystemClock()
        self._segment: SegmentFile | None = None
        self._queue: SimpleQueue[Handed | None] = SimpleQueue()
        self._handed_bytes = 0
        self._done_bytes = 0
        self._is_closing = threading.Event()
        self._written = threading.Condition()
        self._synced_at = 0
        self._is_sure = True
        """No fsync has failed."""
        self._probed_at = 0
        self._looked_at = 0
        self._thread = threading.Thread(target=self._run, name="krakenwire journal writer")
        self.trouble: str | None = None
        self.is_broken = False
        self.breaks = 0
        self.is_stopped = False
        self.flushed_n = self.synced_n = 0
        self.segments = self.ends = 0
        self.raw_bytes = self._ended_bytes = 0
        self.failures = self.syncs = 0

    def start(self, n: int, received_ns: int) -> None:
        """Begin the first segment, here, and then the thread.

        Raises:
            UsageError: nothing can be written in the directory; says why.
        """
        try:
            self._begin(n, received_ns)
        except OSError as error:
            raise UsageError(f"no journal can be written in {self._options.path}: {error.strerror or error}") from error
        self.flushed_n = self.synced_n = n
        self._thread.start()

    # --- the feed's side --------------------------------------------------------------------------------------------

    def hand_over(self, block: Handed) -> None:
        """Have it written; never waits."""
        self._handed_bytes += len(block.text)
        self._queue.put(block)

    @property
    def backlog(self) -> int:
        """Bytes of text that wait to be written."""
        return self._handed_bytes - self._done_bytes

    @property
    def written_bytes(self) -> int:
        """Bytes of all segments."""
        return self._ended_bytes + self.segment_bytes

    @property
    def segment_bytes(self) -> int:
        """Size of the segment at hand."""
        segment = self._segment
        return 0 if segment is None else segment.size

    def close(self) -> None:
        """Write what waits, as far as the disk takes it, and end; blocks."""
        self._is_closing.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._lock.release()

    def wait(self, n: int) -> bool:
        """Wait until the input `n` is written, or nothing can be; whether it is. Blocks, in a thread of one's own."""
        with self._written:
            self._written.wait_for(lambda: self.flushed_n >= n or self.trouble is not None or self.is_stopped)
        return self.flushed_n >= n

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (block := self._next()) is not None:
                self._take(block)
                self._done_bytes += len(block.text)
        except BaseException as defect:
            _log.exception("the journal's writer failed")
            self._stop(f"a defect of the writer: {type(defect).__name__}")
            raise
        finally:
            self._end_segment()

    def _next(self) -> Handed | None:
        """The next block, None at the end; looks after fsyncs while there is none."""
        while True:
            seconds = WATCH_S
            if self._options.sync == "interval":
                passed_s = (self._clock.monotonic_ns() - self._synced_at) / NS_PER_S
                seconds = max(LEAST_WAIT_S, min(seconds, self._options.sync_every - passed_s))
            try:
                return self._queue.get(timeout=RETRY_S if self.is_stopped else seconds)
            except Empty:
                self._sync_if_due()
                if self.is_broken:
                    self._probe()
                if not threading.main_thread().is_alive():
                    return None  # nobody is left to close it, and a thread that is no daemon keeps the program alive

    def _take(self, block: Handed) -> None:
        text = close_block(block.text)
        while not self.is_stopped:
            if self.is_broken and not block.is_anew:
                self._probe()
                return
            try:
                self._write(block, text)
            except OSError as error:
                self._fail(error)
                if self._is_closing.is_set():
                    return
                self._is_closing.wait(RETRY_S)
            else:
                self._recover()
                self._sync_if_due()
                return

    def _write(self, block: Handed, text: bytes) -> None:
        if self._is_gone():
            self._end_segment()
            self.is_broken = not block.is_anew
            if self.is_broken:
                self.breaks += 1
                raise FileNotFoundError(0, "the segment that was being written is not there any more")
        if self._segment is None:
            self._begin(block.first_n, block.received_ns)
        assert self._segment is not None  # noqa: S101  # begun just now
        self._segment.write(text, block.received_ns, is_last=block.ends)
        self.is_broken = False
        self.raw_bytes += len(text)
        self.flushed_n = block.n
        with self._written:
            self._written.notify_all()
        if block.ends:
            self._sync()
            self._end_segment()
            self.ends += 1

    def _is_gone(self) -> bool:
        """The segment was removed; looked at now and then, for a system call may cost the feed a change of threads."""
        now = self._clock.monotonic_ns()
        if self._segment is None or now - self._looked_at < WATCH_S * NS_PER_S:
            return False
        self._looked_at = now
        return self._segment.is_gone

    def _begin(self, n: int, received_ns: int) -> None:
        path = self._options.path / segment_name(self._number + 1, received_ns)
        self._segment = SegmentFile(self._disk, path, self._make_head(self._number + 1, n, received_ns))
        self._number += 1
        self.segments += 1
        if self._options.sync != "never":
            with suppress(OSError):  # not every file system has it; that of the file itself counts
                self._disk.sync_directory(self._options.path)

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
            self._ended_bytes += segment.size
            if segment.path.exists():
                self._ended(segment.path)

    def _sync_if_due(self) -> None:
        sync = self._options.sync
        now = self._clock.monotonic_ns()
        if sync == "always" or (sync == "interval" and now - self._synced_at >= self._options.sync_every * NS_PER_S):
            self._synced_at = now
            self._sync()

    def _sync(self) -> None:
        """Put the segment on the medium.

        After a failure nobody knows what is there, for the system does not try again: the segment is ended, and no
        later fsync proves what lies before.
        """
        segment = self._segment
        if segment is None or self._options.sync == "never":
            return
        try:
            if segment.sync():
                self.syncs += 1
            if self._is_sure:
                self.synced_n = self.flushed_n
        except OSError as error:
            self._is_sure = False
            self._fail(error)
            self._end_segment()
            self._is_closing.wait(RETRY_S)

    # --- trouble ----------------------------------------------------------------------------------------------------

    def _fail(self, error: OSError) -> None:
        self.failures += 1
        self._tell(error.strerror or type(error).__name__)
        if self._options.when_full == "stop":
            self._stop(self.trouble or "")

    def _stop(self, why: str) -> None:
        self.is_stopped = True
        self._tell(why)
        self._end_segment()
        self._changed()

    def _recover(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._changed()

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            with self._written:
                self._written.notify_all()
            self._changed()

    def _probe(self) -> None:
        """The segment was removed: see whether another can be begun. The directory must be there, and ours."""
        now = self._clock.monotonic_ns()
        if self.trouble is None or now - self._probed_at < RETRY_S * NS_PER_S:
            return
        self._probed_at = now
        self._lock.release()  # its file may be in no directory any more
        try:
            self._lock = DirectoryLock(self._options.path)
            self._number = max(self._number, highest_number(self._options.path))
        except (UsageError, OSError):
            return  # told already
        self._recover()  # the feed sees that it is broken, and goes on behind a gap
