"""How hard a journal is compressed depends on how fast it grows, and what is compressed is the same text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from krakenwire.events import Stamp
from krakenwire.journal.files.segments import read_blocks
from krakenwire.journal.files.zstd import ZstdCompressor, ZstdDecompressor
from krakenwire.journal.format import BlockWriter, close_block
from krakenwire.journal.format.compression import FRAME_BYTES, live_options, sealed_options
from krakenwire.journal.writing.disk import Disk
from krakenwire.journal.writing.segment import SegmentFile
from krakenwire.sim.feed.feed import Stream
from krakenwire.sim.market.market import Market
from krakenwire.sim.source import MarketSource
from krakenwire.sim.synthetic import synthetic, synthetic_assets

NS = 1_000_000_000


@pytest.fixture(scope="module")
def blocks() -> list[bytes]:
    """Of some 1.3 MB of a market."""
    rng = random.Random(3)
    source: MarketSource[str] = MarketSource(Market(synthetic(1), seed=3, assets=synthetic_assets(1)))
    frames = source.open("us", Stream("book", source.symbols[0], 10), True)
    texts: list[bytes] = []
    writer, at = BlockWriter(), 0
    while len(texts) < 24:
        frames += [frame for _, _, frame in source.step(None)]
        for frame in frames:
            at += rng.randrange(2_000_000)
            writer.frame(frame, Stamp("public", 0, 1_790_000_000 * NS + at + rng.randrange(80), at))
        frames = []
        if writer.size > FRAME_BYTES // 20:
            texts.append(close_block(writer.take()))
    return texts


def test_slower_recording_is_compressed_harder_and_sealing_harder_still(blocks: list[bytes]) -> None:
    text = b"".join(blocks)[:300_000]
    every = (live_options(1e9), live_options(1e3), sealed_options(3e5), sealed_options(1e3))
    packed = [ZstdCompressor(options=options).compress(text, ZstdCompressor.FLUSH_FRAME) for options in every]
    assert [ZstdDecompressor().decompress(each) for each in packed] == [text] * 4
    sizes = [len(each) for each in packed]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert live_options(None) == live_options(1e3) == sealed_options(1e9)
    for each in packed:  # each ends with a checksum, so a changed one is found
        assert each[4] & 4


@pytest.mark.parametrize("seconds", [0.001, 3600.0])
def test_a_segment_is_the_same_text_however_fast_it_came(tmp_path: Path, blocks: list[bytes], seconds: float) -> None:
    path = tmp_path / "00000001-20261123T021911Z.zst"
    file = SegmentFile(Disk(), path, b"journal {}")
    for number, block in enumerate(blocks):
        file.write(block, 1_790_000_000 * NS + round(number * seconds * NS))
    file.close()
    read = list(read_blocks(path))
    assert [at.text for at in read] == blocks
    offsets = sorted({at.offset for at in read})
    assert len(offsets) == 2  # by size alone: an hour ends none
