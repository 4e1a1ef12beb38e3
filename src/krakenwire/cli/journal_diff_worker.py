"""Plays a journal with the krakenwire of the interpreter that runs this file, and tells what comes of it.

    python -P journal_diff_worker.py digests|events DIRECTORY FROM_BLOCK

Run as a file, not as a module: the interpreter may have another version of krakenwire, which lacks it. `digests` prints
a line for each block, `events` every event from that block on, and both a first line that says what they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from krakenwire import __version__
from krakenwire.book import KERNEL
from krakenwire.cli.event_text import as_object
from krakenwire.events import Event
from krakenwire.journal.files.damage import Damaged
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_head, read_segment
from krakenwire.journal.format import read_block
from krakenwire.journal.playing.player import Player
from krakenwire.journal.states.state import load_core
from krakenwire.protocol.report import EventLog, state_digest

_encoder = msgspec.json.Encoder(decimal_format="string")


class _Worker:
    def __init__(self, mode: str, directory: str, from_block: int) -> None:
        self._tells_events = mode == "events"
        self._directory = directory
        self._from_block = from_block
        self._player = Player(self._take, load=load_core)
        self._log = EventLog()
        self._block = 0
        self._told = 0

    def run(self) -> None:
        """Play all of it."""
        _tell({"krakenwire": __version__, "kernel": KERNEL, "python": sys.version.split()[0]})
        run, done = 0, 0
        for segment in segments(self._directory):
            try:
                head = read_head(segment.path)
            except Damaged:
                continue
            if run and head.run != run:
                self._end_run(run)
            run = head.run
            self._player.begin(head)
            for each in read_segment(segment.path):
                if not isinstance(each, Damaged):
                    self._play(each.text, done + each.offset, run)
            done += segment.path.stat().st_size
        self._end_run(run)

    def _play(self, text: bytes, offset: int, run: int) -> None:
        block = read_block(text)
        self._player.play(block)
        self._tell_differences()
        if not self._tells_events:
            log, different = self._log, self._player.different
            _tell([offset, run, block.n, block.last_n, log.count, log.hexdigest(), different])
        self._block += 1

    def _end_run(self, run: int) -> None:
        digest = state_digest(self._player.core)
        if not self._tells_events:
            _tell([0, run, self._player.core.n, digest])
        elif self._block >= self._from_block:
            _tell({"event": "(books at the end)", "n": self._player.core.n, "run": run, "state_digest": digest})
        self._told = 0

    def _take(self, events: Sequence[Event]) -> None:
        if not self._tells_events:
            self._log.add(events)
        elif self._block >= self._from_block:
            self._tell_differences()
            for event in events:
                _tell(as_object(event))

    def _tell_differences(self) -> None:
        """What is not as it was recorded stands among the events."""
        found = self._player.differences
        self._told = min(self._told, len(found))  # another run began
        if self._tells_events and self._block >= self._from_block:
            for each in found[self._told :]:
                _tell({"event": "(not as recorded)", **each._asdict()})
        self._told = len(found)


def _tell(what: Any) -> None:
    sys.stdout.buffer.write(_encoder.encode(what) + b"\n")


def _main(mode: str, directory: str, from_block: str) -> None:
    try:
        _Worker(mode, directory, int(from_block)).run()
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # enough was read
        sys.stderr.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
