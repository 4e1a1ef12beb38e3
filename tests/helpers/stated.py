"""Recorded runs played with a core that is put away as bytes and taken out again, at moments that chance chooses.

In a process of its own, under the kernel that its environment says: `python -m helpers.stated breaks DIRECTORY SECONDS
SEED…` records runs and plays them so; `… hand-over DIRECTORY FILE` plays a journal to its middle and writes the state
there; `… take-over DIRECTORY FILE` plays on from it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from helpers.taped import live
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.format import Block, Entry, Run, read_block
from krakenwire.journal.playing.comparing import Difference
from krakenwire.journal.playing.player import Player
from krakenwire.journal.states.state import dump_core, load_core
from krakenwire.protocol.core import Core
from krakenwire.protocol.report import LogState, Report

__all__ = ["Ended", "Half", "entries", "play_on", "play_with_breaks"]


class Ended(msgspec.Struct, frozen=True):
    """What a run that was played ended with.

    Attributes:
        report: its figures; but for the time it took, those of the run that was recorded.
        differences: where it was another one.
        breaks: how often the core was put away.
    """

    report: Report
    differences: list[Difference]
    breaks: int


class Half(msgspec.Struct):
    """A run, up to its middle."""

    state: bytes
    log: LogState
    blocks: int


def entries(block: Block) -> Iterator[Entry]:
    """The lines of a block one by one, the frames of a run too."""
    for item in block.runs:
        if isinstance(item, Run):
            for frame, stamp in zip(item.frames, item.stamps, strict=True):
                yield Entry("frame", frame, stamp)
        else:
            yield item


def play_with_breaks(directory: Path, rng: Random, chance: float) -> Ended:
    """Play a journal twice at once: as it is, and with a core that is put away and taken out again now and then.

    After every input both cores tell the same, want the same at the same time, and have counted the same.
    """
    whole, broken = Player(), Player()
    breaks = 0
    for block in _blocks(directory, whole, broken):
        whole.begin_block(block)
        broken.begin_block(block)
        for entry in entries(block):
            if entry.kind in ("frame", "input") and rng.random() < chance:
                breaks += 1
                core = load_core(dump_core(broken.core))
                # Actions that are about to be taken are compared by the player; they are in the state, too.
                broken.core = core
            told = list(whole.step(entry))
            assert list(broken.step(entry)) == told
            assert broken.core.next_deadline() == whole.core.next_deadline()
    assert broken.core.statistics() == whole.core.statistics()
    assert broken.core.connection_statistics() == whole.core.connection_statistics()
    return Ended(broken.report(1.0), broken.differences, breaks)


def play_half(directory: Path) -> Half:
    """Play the first half of a journal."""
    player = Player()
    blocks = list(_blocks(directory, player))
    for block in blocks[: len(blocks) // 2]:
        player.play(block)
    return Half(dump_core(player.core), player.log.dump(), len(blocks) // 2)


def play_on(directory: Path, half: Half) -> Ended:
    """Play the second half from the state between them."""
    core: Core = load_core(half.state)
    player = Player()
    blocks = list(_blocks(directory, Player()))
    player.begin(read_head(segments(directory)[0].path), core, half.log)
    for block in blocks[half.blocks :]:
        player.play(block)
    return Ended(player.report(1.0), player.differences, 1)


def _blocks(directory: Path, *players: Player) -> Iterator[Block]:
    for segment in segments(directory):
        for player in players:
            player.begin(read_head(segment.path))
        for block in read_blocks(segment.path):
            yield read_block(block.text)


def main(command: str, directory: str, *arguments: str) -> None:
    """See the module: prints what each run ended with, a line each."""
    place = Path(directory)
    if command == "breaks":
        for seed in arguments[1:]:
            tape, lived = asyncio.run(live(int(seed), float(arguments[0])))
            tape.save(place / seed)
            ended = play_with_breaks(place / seed, Random(int(seed)), 0.02)
            assert ended.report == lived.report
            _print(ended)
    elif command == "hand-over":
        Path(arguments[0]).write_bytes(msgspec.msgpack.encode(play_half(place)))
    else:
        _print(play_on(place, msgspec.msgpack.decode(Path(arguments[0]).read_bytes(), type=Half)))


def _print(ended: Ended) -> None:
    sys.stdout.write(msgspec.json.encode(ended).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
