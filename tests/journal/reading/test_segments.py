"""Segments as a disk, a crash or a stranger leaves them: what was written is given, and what was not is named."""

from __future__ import annotations

import os
import random
import tracemalloc
from itertools import accumulate
from pathlib import Path

import pytest

from helpers.segments import blocks_of_frames, head_of, write_segment, zstd_frame
from krakenwire.errors import UsageError
from krakenwire.journal.files import segments
from krakenwire.journal.files.segments import BlockAt, Damaged, Torn, read_blocks, read_head, read_segment
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.journal.format.lines import encode_head
from krakenwire.journal.format.pure import BlockWriter, close_block

FRAMES = [
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","price":%d.1,"trade_id":%d}]}' % (61_000 + i, i)
    for i in range(40)
]
BLOCKS = blocks_of_frames(FRAMES, 3)
IN_FRAMES = [BLOCKS[:5], BLOCKS[5:6], BLOCKS[6:11], BLOCKS[11:]]


def found_in(path: Path) -> tuple[list[bytes], list[Damaged]]:
    """The blocks and the damages, by reading to the end."""
    found = list(read_segment(path))
    blocks = [each.text for each in found if isinstance(each, BlockAt)]
    return blocks, [each for each in found if isinstance(each, Damaged)]


def test_every_block_is_given_with_the_place_of_its_zstd_frame(tmp_path: Path) -> None:
    path = write_segment(tmp_path, IN_FRAMES)
    found = list(read_blocks(path))
    assert [each.text for each in found] == BLOCKS
    places = sorted({each.offset for each in found})
    assert [sum(each.offset == place for each in found) for place in places] == [5, 1, 5, 3]
    for place in places:
        assert [each.text for each in read_blocks(path, place)] == [e.text for e in found if e.offset >= place]
    assert read_head(path) == head_of()


def test_segment_cut_at_every_byte_gives_every_block_before_the_cut_and_says_that_it_is_torn(tmp_path: Path) -> None:
    path = write_segment(tmp_path, IN_FRAMES)
    whole = path.read_bytes()
    texts = [[encode_head(head_of()) + b"\n", *IN_FRAMES[0]], *IN_FRAMES[1:]]
    # How many blocks are wholly in the file once it has so many bytes.
    ends: list[tuple[int, int]] = []
    begin, blocks = 0, 0
    frame_ends = {0}
    for at, frame in enumerate(texts):
        for count in range(1, len(frame) + 1):
            size = begin + len(zstd_frame(frame[:count], is_ended=False))
            blocks += not (at == 0 and count == 1)
            ends.append((size, blocks))
        begin += len(zstd_frame(frame))
        frame_ends.add(begin)
    assert begin == len(whole)
    for size in reversed(range(len(whole))):
        os.truncate(path, size)
        given, damages = found_in(path)
        expected = max((count for end, count in ends if end <= size), default=0)
        assert given == BLOCKS[:expected], size
        is_torn = size == 0 or size not in frame_ends
        assert [type(each) for each in damages] == [Torn] * is_torn, size
        if is_torn:
            assert damages[0].offset == max(end for end in frame_ends if end <= size)
            assert str(path) in str(damages[0])


@pytest.mark.parametrize("has_checksum", [True, False])
def test_bit_flipped_anywhere_is_found_and_nothing_wrong_is_given(tmp_path: Path, has_checksum: bool) -> None:
    path = tmp_path / "00000001-20261123T021911Z.zst"
    texts = [[encode_head(head_of()) + b"\n", *IN_FRAMES[0]], *IN_FRAMES[1:]]
    parts = [zstd_frame(frame, has_checksum=has_checksum) for frame in texts]
    whole = b"".join(parts)
    begins = [0, *accumulate(map(len, parts))]
    rng = random.Random(5)
    unseen = 0
    path.write_bytes(whole)
    for at in range(len(whole)):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([whole[at] ^ 1 << rng.randrange(8)]))
        given, damages = found_in(path)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(whole[at : at + 1])
        number = next(number for number, end in enumerate(begins[1:]) if at < end)
        outside = [block for each, frame in enumerate(IN_FRAMES) if each != number for block in frame]
        assert [block for block in given if block in outside] == outside, at
        assert [block for block in BLOCKS if block in given] == given, at
        if has_checksum:
            assert {each.offset for each in damages} <= {begins[number]}, at
        if not damages:
            assert given == BLOCKS, at
            unseen += 1
    # Some bits of zstd mean nothing, or nothing here (how large the window is, say). And without its checksum nothing
    # proves the first line.
    assert unseen < (0.05 * len(whole) if has_checksum else len(zstd_frame(texts[0][:1])))


def test_what_is_behind_a_bad_block_in_the_same_zstd_frame_is_given(tmp_path: Path) -> None:
    wrong = BLOCKS[2].replace(b"61007", b"61008")
    assert wrong != BLOCKS[2]
    path = write_segment(tmp_path, [[*BLOCKS[:2], wrong, *BLOCKS[3:5]], BLOCKS[5:]])
    # The zstd frame says that this is what was written: it is for who reads the block to find out.
    assert found_in(path) == ([*BLOCKS[:2], wrong, *BLOCKS[3:]], [])
    texts = [encode_head(head_of()) + b"\n", *BLOCKS[:2], wrong, *BLOCKS[3:5]]
    path.write_bytes(zstd_frame(texts, has_checksum=False) + zstd_frame(BLOCKS[5:]))
    given, damages = found_in(path)
    assert given == BLOCKS[:2] + BLOCKS[3:]
    (damage,) = damages
    assert (damage.offset, damage.blocks) == (0, 2)
    assert damage.next_offset == len(zstd_frame(texts, has_checksum=False))
    assert "checksum" in damage.reason


def test_block_behind_a_lost_end_of_a_block_is_given(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [[]])
    merged = BLOCKS[1].replace(b"\ncrc", b"\nerc") + BLOCKS[2]
    path.write_bytes(zstd_frame([encode_head(head_of()) + b"\n", BLOCKS[0], merged, BLOCKS[3]], has_checksum=False))
    given, damages = found_in(path)
    assert given == [BLOCKS[0], BLOCKS[2], BLOCKS[3]]
    assert len(damages) == 1


def test_file_that_goes_on_with_zeros_is_torn_there(tmp_path: Path) -> None:
    path = write_segment(tmp_path, IN_FRAMES[:2])
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(5000))
    given, damages = found_in(path)
    assert given == BLOCKS[:6]
    assert [(type(each), each.offset) for each in damages] == [(Torn, size)]


def test_segment_that_is_being_written_is_read_as_far_as_it_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "00000001-20261123T021911Z.zst"
    compressor = ZstdCompressor()
    with path.open("wb", buffering=0) as file:
        file.write(compressor.compress(encode_head(head_of()) + b"\n", compressor.FLUSH_BLOCK))
        assert read_head(path) == head_of()
        for count, block in enumerate(BLOCKS, 1):
            file.write(compressor.compress(block, compressor.FLUSH_BLOCK))
            given, (damage,) = found_in(path)
            assert given == BLOCKS[:count]
            assert isinstance(damage, Torn)
        file.write(compressor.flush())
    assert found_in(path) == (BLOCKS, [])


def test_read_blocks_ends_at_the_first_damage(tmp_path: Path) -> None:
    path = write_segment(tmp_path, IN_FRAMES)
    data = bytearray(path.read_bytes())
    second = sorted({each.offset for each in read_blocks(path)})[1]
    data[second + 20] ^= 0x40
    path.write_bytes(data)
    given: list[BlockAt] = []
    with pytest.raises(Damaged) as caught:
        given.extend(read_blocks(path))
    assert [each.text for each in given] == BLOCKS[:5]
    assert caught.value.offset == second
    assert [each.text for each in read_blocks(path, caught.value.next_offset or 0)] == BLOCKS[6:]


@pytest.mark.parametrize(
    "content",
    [
        b"not zstd at all\n" * 40,
        zstd_frame([b"the text of something else\n" * 100]),
        zstd_frame([b"no line feed"]),
        zstd_frame([b"journal {}\n"]),
        zstd_frame([b'journal {"format":"one"}\n']),
        b"\x28\xb5\x2f\xfd\x03" + b"x" * 50,
        b"\x28\xb5\x2f\xfd\x08" + b"x" * 50,
    ],
    ids=["text", "foreign", "no line", "no head", "no format", "dictionary", "reserved"],
)
def test_file_of_another_kind_is_told_as_damage_of_its_first_byte(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "00000001-20261123T021911Z.zst"
    path.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        read_head(path)
    assert caught.value.offset == 0
    blocks, _ = found_in(path)
    assert blocks == []


def test_empty_file_is_torn_at_its_begin(tmp_path: Path) -> None:
    path = tmp_path / "00000001-20261123T021911Z.zst"
    path.touch()
    with pytest.raises(Torn, match="byte 0"):
        read_head(path)
    blocks, (damage,) = found_in(path)
    assert (blocks, type(damage), damage.offset) == ([], Torn, 0)


def test_segment_of_a_later_format_is_no_damage_but_asks_for_an_update(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [[]])
    path.write_bytes(zstd_frame([b'journal {"format":99,"what":"nobody knows"}\n']))
    with pytest.raises(UsageError, match=r"format 99.*update krakenwire"):
        read_head(path)


def test_line_of_many_mebibytes_comes_back(tmp_path: Path) -> None:
    writer = BlockWriter()
    frame = b'{"channel":"x","data":"' + random.Random(1).randbytes(8_000_000).hex().encode() + b'"}'
    writer.line(frame, None)
    block = close_block(writer.take())
    path = write_segment(tmp_path, [[block, *BLOCKS[:2]]])
    assert [each.text for each in read_blocks(path)] == [block, *BLOCKS[:2]]


def test_bomb_fills_neither_memory_nor_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_BLOCK", 1024 * 1024)
    compressor = ZstdCompressor()
    path = write_segment(tmp_path, [BLOCKS[:2]])
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(compressor.compress(b"block [0,0,0,[]]\nat \n"))
        for _ in range(64):
            file.write(compressor.compress(bytes(1024 * 1024)))
        file.write(compressor.flush() + zstd_frame(BLOCKS[2:]))
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    try:
        given, (damage,) = found_in(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert given == BLOCKS
    assert (damage.offset, damage.reason) == (size, "a block of more than 1 MiB")
    assert peak < 8 * 1024 * 1024


def test_memory_is_bounded_in_a_zstd_frame_of_any_size(tmp_path: Path) -> None:
    blocks = blocks_of_frames([b'{"n":%d,"x":"%b"}' % (i, b"y" * 10_000) for i in range(8000)], 20)
    path = write_segment(tmp_path, [blocks])
    tracemalloc.start()
    try:
        assert sum(len(each.text) for each in read_blocks(path)) == sum(map(len, blocks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
    assert sum(map(len, blocks)) > 64 * 1024 * 1024


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_segment_without_rights_is_named(tmp_path: Path) -> None:
    path = write_segment(tmp_path, IN_FRAMES)
    path.chmod(0)
    with pytest.raises(UsageError, match=r"cannot read .*Permission denied"):
        list(read_blocks(path))


def test_segment_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*No such file"):
        read_head(tmp_path / "00000001-20261123T021911Z.zst")
