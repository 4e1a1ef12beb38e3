"""A journal in which something is whole, and yet no block: the replay leaves it out, as damage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copytree
from zlib import crc32

import pytest
import pytest_asyncio

from helpers.tapes import tape_of
from krakenwire.book import BookUpdate
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_first_line, read_segment
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.replay import Replay


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tape(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    directory = tmp_path_factory.mktemp("unreadable") / "tape"
    await tape_of(directory, seconds=2.0)
    yield directory


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        b'block ["x"]\nat \n',
        b"block\n",
        b"block [1,2,3,[]]\nat zz\n",
        b'block [0,2,3,[]]\nat \n!["subscribe",7]\n',
        b'block [0,2,3,[]]\nat \n!["subscribe_of_tomorrow",7]\n',
    ],
)
async def test_block_that_cannot_be_read_is_left_out(tape: Path, tmp_path: Path, text: bytes, is_first: bool) -> None:
    path = segments(copytree(tape, tmp_path / "tape"))[0].path
    bad = text + b"crc %08x\n" % crc32(text)
    first, blocks = read_first_line(path), [found.text for found in read_segment(path) if hasattr(found, "text")]
    pieces = [first + b"\n", bad, *blocks] if is_first else [first + b"\n", *blocks, bad]
    path.write_bytes(b"".join(ZstdCompressor().compress(piece, ZstdCompressor.FLUSH_FRAME) for piece in pieces))
    async with Replay(tmp_path / "tape") as replay, replay.books("BTC/USD", on_loss="yield") as updates:
        given = [update async for update in updates]
    assert len([update for update in given if isinstance(update, BookUpdate)]) > 10
