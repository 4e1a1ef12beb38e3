"""A journal is followed as it grows: every block once, in order, over all segments, until its writer lets go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from helpers.segments import BEGAN_NS, blocks_of_frames, head_of, zstd_frame
from krakenwire.clock import NS_PER_S
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import segment_name
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.files.segments import BlockAt
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.journal.following import Following
from krakenwire.journal.format.lines import encode_head

BLOCKS = blocks_of_frames([b'{"n":%d}' % n for n in range(40)], 2)


def write(directory: Path) -> Iterator[None]:
    """A recorder, one step at a time: two segments, flushed block by block, in zstd frames of three blocks."""
    lock = DirectoryLock(directory)
    for number, blocks in ((1, BLOCKS[:10]), (2, BLOCKS[10:])):
        path = directory / segment_name(number, BEGAN_NS + number * NS_PER_S)
        with path.open("wb", buffering=0) as file:
            yield
            file.write(zstd_frame([encode_head(head_of(number)) + b"\n"]))
            yield
            compressor = ZstdCompressor()
            for count, block in enumerate(blocks, 1):
                data = compressor.compress(block)
                data += compressor.flush(compressor.FLUSH_BLOCK if count % 3 else compressor.FLUSH_FRAME)
                file.write(data[:5])
                yield
                file.write(data[5:])
                if count % 2:
                    yield
    lock.release()
    while True:
        yield


def test_every_block_comes_once_while_it_is_written(tmp_path: Path) -> None:
    steps = write(tmp_path)
    next(steps)
    waits = 0

    def wait() -> None:
        nonlocal waits
        waits += 1
        next(steps)

    following = Following(tmp_path, wait)
    given: list[BlockAt | Damaged] = []
    for segment in following.segments():
        given += following.read(segment)
    assert [each.text for each in given if isinstance(each, BlockAt)] == BLOCKS
    # The recorder let go without ending its last zstd frame.
    assert [type(each) for each in given if isinstance(each, Damaged)] == [Torn, Torn]
    assert waits > len(BLOCKS)
