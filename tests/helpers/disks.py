"""Disks that are full, slow or broken, as a test says; and what a journal comes to when it is read line by line."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from krakenwire.journal.files.damage import Torn
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.format import read_block
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.player import Player
from krakenwire.journal.states.state import load_core
from krakenwire.journal.writing import recorder, thread
from krakenwire.journal.writing.disk import Disk

__all__ = ["BadDisk", "Contents", "contents_of", "eventually", "read_segment_into", "replayed", "use_disk"]

PATIENCE_S = 20.0


class BadDisk(Disk):
    """A disk in the hands of a test.

    Attributes:
        room: bytes that may be written yet; None for no limit. A write beyond it is done by half, as the system does.
        error: what every write fails with, if it is one of `errno`.
        sync_error: the same for fsync.
        gate: writes wait for it.
        calls: how often each was called.
    """

    def __init__(self) -> None:
        self.room: int | None = None
        self.error: int | None = None
        self.sync_error: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.calls: dict[str, int] = {"write": 0, "sync": 0, "create": 0, "cut": 0}

    def create(self, path: Path) -> int:
        self.calls["create"] += 1
        _fail(self.error)
        return super().create(path)

    def write(self, file: int, data: bytes, offset: int) -> None:
        self.calls["write"] += 1
        assert self.gate.wait(PATIENCE_S)
        _fail(self.error)
        if self.room is not None and len(data) > self.room:
            super().write(file, data[: self.room], offset)
            _fail(errno.ENOSPC)
        super().write(file, data, offset)
        if self.room is not None:
            self.room -= len(data)

    def cut(self, file: int, size: int) -> None:
        self.calls["cut"] += 1
        super().cut(file, size)

    def sync(self, file: int) -> None:
        self.calls["sync"] += 1
        _fail(self.sync_error)
        super().sync(file)


def _fail(number: int | None) -> None:
    if number is not None:
        raise OSError(number, os.strerror(number))


def use_disk(monkeypatch: pytest.MonkeyPatch) -> BadDisk:
    """A disk that is good yet, for the next client; one that failed is tried again at once."""
    disk = BadDisk()
    monkeypatch.setattr(recorder, "Disk", lambda: disk)
    monkeypatch.setattr(thread, "RETRY_S", 0.01)
    monkeypatch.setattr(thread, "WATCH_S", 0.01)
    return disk


async def eventually(happened: Callable[[], object]) -> None:
    """Wait for what a thread is about to do."""
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110  # what it waits for is in a thread that knows of no event
            await asyncio.sleep(0.002)


@dataclass
class Contents:
    """What is in a journal.

    Attributes:
        heads: of its segments.
        inputs: how many there are, frames included.
        frames: those of them that are frames.
        last_n: number of the last.
        notes: what is said of the journal itself: the word, and the JSON behind it.
        torn: segments that end before their last zstd frame does.
    """

    heads: list[Head] = field(default_factory=list)
    inputs: int = 0
    frames: int = 0
    last_n: int = 0
    notes: list[tuple[str, Any]] = field(default_factory=list)
    torn: list[Path] = field(default_factory=list)

    def told(self, word: str) -> list[Any]:
        """The notes of one word."""
        return [value for each, value in self.notes if each == word]


def replayed(directory: Path) -> Player:
    """Play it; whatever it says of itself must come of that, digit by digit."""
    player = Player(load=load_core)
    for segment in segments(directory):
        player.begin(read_head(segment.path))
        for each in read_blocks(segment.path):
            player.play(read_block(each.text))
    assert not player.different, player.differences
    return player


def contents_of(directory: Path) -> Contents:
    """Read all of it; every input must be there once and in its order, but for those in a gap that is told."""
    found = Contents()
    for segment in segments(directory):
        try:
            read_segment_into(segment.path, found)
        except Torn:
            found.torn.append(segment.path)
    return found


def read_segment_into(path: Path, found: Contents) -> None:
    """Add what is in one segment; raises as `read_blocks`."""
    head = read_head(path)
    if head.is_first:
        found.last_n = 0
    elif not found.heads:
        found.last_n = head.n  # those before it were removed
    found.heads.append(head)
    assert head.n == found.last_n, "a segment goes on where the one before ended"
    for each in read_blocks(path):
        block = read_block(each.text)
        inputs = 0
        for entry in block.entries:
            if entry.kind == "note":
                word, _, text = entry.content.partition(b" ")
                found.notes.append((word.decode(), msgspec.json.decode(text)))
                if word == b"gap":
                    gap = found.notes[-1][1]
                    assert found.last_n in (gap["first"] - 1, gap["last"]), "a gap begins behind what was written"
                    found.last_n = gap["last"]
            elif entry.kind != "action":
                inputs += 1
                found.frames += entry.kind == "frame"
        assert block.n == found.last_n, "a block goes on where the one before ended"
        found.inputs += inputs
        found.last_n += inputs
