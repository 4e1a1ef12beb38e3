"""What is done with segments that were ended: they are sealed, given to the user's hook, and removed in the end."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from krakenwire.clock import NS_PER_S, Clock
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.sealing.sealer import Sealer
from krakenwire.journal.sealing.sealing import unsealed
from krakenwire.journal.writing.options import JournalOptions

__all__ = ["EndedSegments"]

_log = logging.getLogger("krakenwire.journal")


class EndedSegments:
    """Looks after them in a thread of its own, one after another, so that neither the feed nor the writer waits.

    Args:
        options: what is wanted.
        clock: tells how old a segment is.

    Attributes:
        removed: segments that were.
        failures: how often `on_sealed` raised.
        failed_removals: segments that could not be removed.
    """

    def __init__(self, options: JournalOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, "krakenwire journal")
        self.removed = 0
        self.failures = 0
        self.failed_removals = 0
        self._sealer = Sealer(options.path) if options.seal else None
        self._is_closing = threading.Event()

    def start(self) -> None:
        """See to what those before left behind."""
        self._submit(self._catch_up)

    def add(self, path: Path) -> None:
        """This segment was ended; never raises."""
        self._submit(lambda: self._look_after(path))

    def close(self) -> None:
        """Wait until the hook has seen all of them; what is not sealed by now is not. Blocks."""
        self._is_closing.set()
        if self._sealer is not None:
            self._sealer.close()
        self._pool.shutdown(wait=True)

    def _submit(self, work: Callable[[], None]) -> None:
        def do() -> None:
            try:
                work()
            except Exception:  # else nobody would hear of it
                _log.exception("ended segments were not looked after")

        try:
            self._pool.submit(do)
        except RuntimeError:  # the interpreter is ending: whoever comes next finds what was left
            _log.warning("the program ended before its last segment was looked after")

    def _catch_up(self) -> None:
        self._remove_old()
        if self._sealer is None:
            return
        try:
            left = unsealed(self._options.path)
        except UsageError:  # the directory is gone, which the writer tells
            return
        for segment in left:
            if not self._is_closing.is_set():
                self._sealer.seal(segment.number)

    def _look_after(self, path: Path) -> None:
        if self._sealer is not None and not self._is_closing.is_set():
            self._sealer.seal(int(path.name.partition("-")[0]))
        if self._options.on_sealed is not None:
            try:
                self._options.on_sealed(path)
            except Exception:  # the user's: recording goes on
                self.failures += 1
                _log.exception("on_sealed raised for %s", path)
        self._remove_old()

    def _remove_old(self) -> None:
        if not self._options.forgets:
            return
        try:
            found = segments(self._options.path)
        except UsageError:  # the directory is gone, which the writer tells
            return
        sizes = [sum(map(_size, self._files_of(segment))) for segment in found]
        total = sum(sizes)
        now_ns, options = self._clock.now_ns(), self._options
        for segment, following, size in zip(found, found[1:], sizes, strict=False):
            # The last input of a segment is not older than the beginning of the next.
            is_old = options.keep_seconds is not None and (
                now_ns - following.started_ns > options.keep_seconds * NS_PER_S
            )
            if not (is_old or (options.keep_bytes is not None and total > options.keep_bytes)):
                return
            if not self._remove(segment):
                return
            total -= size

    def _remove(self, segment: Segment) -> bool:
        try:
            for path in self._files_of(segment):
                path.unlink(missing_ok=True)
        except OSError as error:
            self.failed_removals += 1
            _log.error("an old segment could not be removed: %s", error)
            return False
        self.removed += 1
        _log.info("%s was removed, as it was old", segment.path.name)
        return True

    def _files_of(self, segment: Segment) -> list[Path]:
        """Its side-cars, and the segment last, so that what is left by a crash is a segment without them."""
        name = f"{segment.number:08}"
        sidecars = [
            segment.path.with_name(each)
            for each in os.listdir(segment.path.parent)
            if each.startswith((f"{name}.", f"{name}-")) and each != segment.path.name
        ]
        return [*sidecars, segment.path]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
