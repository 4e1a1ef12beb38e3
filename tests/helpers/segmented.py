"""Journals of several segments, as a recorder leaves them, of runs in a simulated exchange."""

from __future__ import annotations

from pathlib import Path

from helpers.taped import BlockTape, make_head
from krakenwire.journal.files.directory import segment_name
from krakenwire.journal.format import read_block
from krakenwire.journal.format.lines import encode_head
from krakenwire.journal.writing.disk import Disk
from krakenwire.journal.writing.segment import SegmentFile

__all__ = ["save_segments"]


def save_segments(
    tape: BlockTape, directory: Path, count: int, *, run: int = 1, first: int = 1, later_ns: int = 0
) -> None:
    """Write what was recorded as so many segments, each begun when its first block was, or so much later."""
    directory.mkdir(parents=True, exist_ok=True)
    size = -(-len(tape.blocks) // count)
    for number in range(count):
        blocks = tape.blocks[number * size : (number + 1) * size]
        begin = read_block(blocks[0])
        head = make_head(
            tape.head.made,
            segment=first + number,
            run=run,
            is_first=number == 0,
            n=begin.n,
            received_ns=begin.received_ns + later_ns,
        )
        path = directory / segment_name(first + number, head.received_ns)
        file = SegmentFile(Disk(), path, encode_head(head))
        for block in blocks:
            file.write(block, read_block(block).received_ns, is_last=block is blocks[-1])
        file.close()
