"""What is damaged is named by `verify` and mended by `repair`; nothing that can be proven is lost."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from helpers.segments import BEGAN_NS, blocks_of_frames, head_of, write_segment, zstd_frame
from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import index_name, segments
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.files.segments import BlockAt, Damaged, read_blocks, read_head, read_segment
from krakenwire.journal.format.lines import encode_head
from krakenwire.journal.format.pure import close_block
from krakenwire.journal.tools.cutting import cut
from krakenwire.journal.tools.overview import overview
from krakenwire.journal.tools.repairing import repair
from krakenwire.journal.tools.verifying import Finding, verify

FRAMES = [b'{"channel":"trade","data":[{"price":%d.1,"trade_id":%d}]}' % (61_000 + i, i) for i in range(60)]
BLOCKS = blocks_of_frames(FRAMES, 3)
SECOND = BEGAN_NS + NS_PER_S
THIRD = BEGAN_NS + 2 * NS_PER_S


def end_line(n: int) -> bytes:
    return b'end {"n":%d,"frames":%d,"events":0,"event_digest":"","closed":"rotated"}' % (n, n)


def write_journal(directory: Path) -> list[Path]:
    """Three segments of one run, 18, 18 and 24 frames, in zstd frames of two blocks."""
    paths = []
    for number, (first, last, began) in enumerate([(0, 6, BEGAN_NS), (6, 12, SECOND), (12, 20, THIRD)], 1):
        blocks = blocks_of_frames(FRAMES[3 * first : 3 * last], 3, n=3 * first, notes=[end_line(3 * last)])
        head = head_of(number, n=3 * first, received_ns=began)
        paths.append(write_segment(directory, [blocks[at : at + 2] for at in range(0, len(blocks), 2)], head))
    return paths


def frames_in(directory: Path) -> list[bytes]:
    """All frames of a journal that can be read."""
    blocks = [b for s in segments(directory) for b in read_segment(s.path) if isinstance(b, BlockAt)]
    return [line for block in blocks for line in block.text.splitlines() if line.startswith(b"{")]


def told(directory: Path) -> list[Finding]:
    return verify(directory).findings


def test_sound_journal_is_found_sound_and_left_alone(tmp_path: Path) -> None:
    write_journal(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    verdict = verify(tmp_path)
    assert verdict.sound
    assert (verdict.segments, verdict.runs, verdict.inputs, verdict.frames) == (3, 1, 60, 60)
    assert (verdict.unended, verdict.gaps, verdict.findings) == ([], [], [])
    assert repair(tmp_path) == []
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"}


@pytest.mark.parametrize("which", [0, 1, 2])
def test_segment_cut_at_any_byte_is_named_and_mended(tmp_path: Path, which: int) -> None:
    whole = write_journal(tmp_path / "whole")[which].read_bytes()
    rng = random.Random(which)
    for size in [0, 1, *rng.sample(range(2, len(whole)), 12), len(whole) - 1]:
        directory = tmp_path / str(size)
        path = write_journal(directory)[which]
        path.write_bytes(whole[:size])
        kept = frames_in(directory)
        torn = [found for found in told(directory) if found.what == "torn"]
        is_torn = bool([found for found in read_segment(path) if isinstance(found, Damaged)])
        assert [found.file for found in torn] == [path.name] * is_torn
        done = repair(directory)
        assert frames_in(directory) == kept
        if is_torn and path.exists():
            assert [each.segment for each in done] == [which + 1]
            assert done[0].cut == size - torn[0].offset  # type: ignore[operator]  # it is known where it is torn
        verdict = verify(directory)
        # Cut between two zstd frames it is whole, and only the next segment shows that something is not there.
        assert [f.what for f in verdict.findings] == (["hole"] if not is_torn and which < 2 and kept != FRAMES else [])
        if path.exists() and is_torn and which < 2 and len(kept) < len(FRAMES):
            (gap,) = verdict.gaps
            assert gap.last - gap.first + 1 == len(FRAMES) - len(kept)
        assert repair(directory) == []


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_anywhere_are_named_and_mended(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for turn in range(12):
        directory = tmp_path / str(turn)
        paths = write_journal(directory)
        for path in rng.sample(paths, rng.randint(1, 2)):
            data = bytearray(path.read_bytes())
            for _ in range(rng.randint(1, 3)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
        kept = frames_in(directory)
        found = told(directory)
        assert bool(found) or kept == FRAMES
        done = repair(directory)
        assert bool(done) == bool(found)
        assert frames_in(directory) == kept
        verdict = verify(directory)
        assert verdict.findings == []
        lost = {n for gap in verdict.gaps for n in range(gap.first, gap.last + 1)}
        assert {61_000 + n - 1 for n in lost} <= {61_000 + at for at, each in enumerate(FRAMES) if each not in kept}
        assert repair(directory) == []


def test_damage_is_told_with_its_place_and_what_is_lost(tmp_path: Path) -> None:
    path = write_journal(tmp_path)[1]
    offset = sorted({each.offset for each in read_blocks(path)})[1]
    data = bytearray(path.read_bytes())
    data[offset + 30] ^= 1
    path.write_bytes(data)
    (found,) = told(tmp_path)
    assert (found.what, found.file, found.segment, found.offset) == ("damaged", path.name, 2, offset)
    assert (found.first, found.last) == (25, 30)
    assert found.received_ns == (BEGAN_NS + 23_000_000, BEGAN_NS + 30_000_000)
    (done,) = repair(tmp_path)
    assert (done.segment, done.gaps, done.blocks) == (2, [(25, 30)], 0)
    verdict = verify(tmp_path)
    assert verdict.sound
    assert [(gap.first, gap.last, gap.reason) for gap in verdict.gaps] == [(25, 30, "damaged in the file")]
    # What was cut lies beside, byte for byte; and the zstd frames around it are those that were there.
    assert (tmp_path / f"{path.name}.{offset}.torn").read_bytes() in bytes(data)
    assert path.read_bytes().startswith(bytes(data[:offset]))
    assert path.read_bytes().endswith(bytes(data[offset + done.cut :]))


def test_damage_at_the_end_of_a_run_is_told_though_nobody_knows_how_much_it_took(tmp_path: Path) -> None:
    path = write_journal(tmp_path)[-1]
    offset = max(each.offset for each in read_blocks(path))
    data = bytearray(path.read_bytes())
    data[offset + 30] ^= 1
    path.write_bytes(data)
    (done,) = repair(tmp_path)
    ((first, last),) = done.gaps
    assert last == first - 1
    (gap,) = verify(tmp_path).gaps
    assert (gap.first, gap.last) == (first, last)
    assert gap.reason == "damaged in the file; how much is lost is not known"
    assert repair(tmp_path) == []


def test_missing_segment_is_named_with_what_is_lost(tmp_path: Path) -> None:
    write_journal(tmp_path)[1].unlink()
    (found,) = told(tmp_path)
    assert (found.what, found.text, found.first, found.last) == ("missing", "segment 2 is not there", 19, 36)
    assert repair(tmp_path) == []  # there is nothing to mend it from


def test_first_segments_may_be_gone(tmp_path: Path) -> None:
    write_journal(tmp_path)[0].unlink()
    assert verify(tmp_path).sound


def test_hole_that_nothing_explains_is_named(tmp_path: Path) -> None:
    write_segment(tmp_path, [BLOCKS[:2], BLOCKS[4:]])
    (found,) = told(tmp_path)
    assert (found.what, found.first, found.last) == ("hole", 7, 12)


@pytest.mark.parametrize(("kept", "hole"), [(2, None), (1, (4, 6))], ids=["all of it", "more is lost"])
def test_gap_that_the_recorder_tells_is_no_finding(tmp_path: Path, kept: int, hole: tuple[int, int] | None) -> None:
    gap = b'gap {"first":7,"last":12,"reason":"No space left on device","received_ns":[1,2]}\n'
    head, at, *lines = blocks_of_frames([b"{}"], 1, n=12)[0].splitlines(keepends=True)[:-1]
    write_segment(tmp_path, [[*BLOCKS[:kept], close_block(head + at + gap + b"".join(lines))]])
    verdict = verify(tmp_path)
    assert [(found.first, found.last) for found in verdict.findings] == ([hole] if hole else [])
    assert [(each.first, each.last, each.reason) for each in verdict.gaps] == [(7, 12, "No space left on device")]


def test_first_lines_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_segment(tmp_path, [BLOCKS[:2]])
    other = head_of(3, journal="f" * 32, n=6, received_ns=SECOND)
    write_segment(tmp_path, [BLOCKS[2:3]], other).rename(tmp_path / "00000002-20261123T021911Z.zst")
    assert sorted(found.text for found in told(tmp_path)) == [
        "it is of another journal: " + "f" * 32 + ", not " + "0123456789abcdef" * 2,
        "its first line says that it is segment 3",
    ]


def test_last_line_that_tells_of_more_is_named(tmp_path: Path) -> None:
    write_segment(tmp_path, [blocks_of_frames(FRAMES[:6], 3, notes=[end_line(7)])])
    (found,) = told(tmp_path)
    assert (found.what, found.text) == ("end", "its last line tells of 7 inputs, and there are 6")


@pytest.mark.parametrize("note", [b"gap {}", b"gap [1]", b"end {}", b"end x", b'end {"n":"\xff"}'])
def test_line_about_the_journal_that_cannot_be_read_is_named_by_every_tool(tmp_path: Path, note: bytes) -> None:
    tape = tmp_path / "tape"
    write_segment(tape, [blocks_of_frames(FRAMES[:6], 3, notes=[note])])
    (found,) = told(tape)
    assert found.text.startswith(f"a line about the journal cannot be read: {note[:3].decode()}: ")
    assert overview(tape, contents=True).gaps == []
    assert cut(tape, tmp_path / "cut", BEGAN_NS + 1_000_000, BEGAN_NS + NS_PER_S).inputs == 5


def test_journal_that_is_being_written_is_sound_and_not_repaired(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [BLOCKS[:4]], is_ended=False)
    (found,) = told(tmp_path)
    assert found.what == "torn"
    lock = DirectoryLock(tmp_path)
    try:
        verdict = verify(tmp_path)
        assert (verdict.sound, verdict.is_written, verdict.inputs, verdict.unended) == (True, True, 12, [])
        for dry_run in (True, False):
            with pytest.raises(UsageError, match="is being written"):
                repair(tmp_path, dry_run=dry_run)
    finally:
        lock.release()
    (done,) = repair(tmp_path)
    assert done.cut == path.stat().st_size or done.cut > 0
    assert verify(tmp_path).unended == [1]


def test_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    paths = write_journal(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    planned = repair(tmp_path, dry_run=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert repair(tmp_path) == planned


def test_discarded_pieces_are_not_kept(tmp_path: Path) -> None:
    paths = write_journal(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    (done,) = repair(tmp_path, discard=True)
    assert done.pieces == []
    assert not list(tmp_path.glob("*.torn"))


def test_repair_that_was_killed_is_done_by_the_next(tmp_path: Path) -> None:
    paths = write_journal(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    paths[2].with_name(paths[2].name + ".repairing").write_bytes(b"half")
    shutil.copy(paths[2], tmp_path / f"{paths[2].name}.0.torn")
    assert len(repair(tmp_path)) == 1
    assert not list(tmp_path.glob("*.repairing"))
    assert verify(tmp_path).sound


def test_index_of_a_mended_segment_is_removed(tmp_path: Path) -> None:
    paths = write_journal(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    for number in (2, 3):
        (tmp_path / index_name(number)).touch()
    repair(tmp_path)
    assert [path.name for path in tmp_path.glob("*.index")] == [index_name(2)]


def test_lost_first_line_is_made_of_the_segment_before(tmp_path: Path) -> None:
    path = write_journal(tmp_path)[1]
    data = bytearray(path.read_bytes())
    data[2] ^= 1
    path.write_bytes(data)
    (done,) = repair(tmp_path)
    assert done.gaps == [(19, 24)]
    assert done.reasons[-1] == "its first line cannot be proven: made anew of what its neighbours say"
    head = read_head(path)
    assert (head.segment, head.run, head.is_first, head.n) == (2, 1, False, 18)
    assert verify(tmp_path).sound


def test_lost_first_line_of_all_is_made_of_the_segment_behind(tmp_path: Path) -> None:
    paths = write_journal(tmp_path)
    paths[0].write_bytes(bytes(4) + paths[0].read_bytes()[4:])
    repair(tmp_path)
    assert verify(tmp_path).sound
    assert read_head(paths[0]).n == 6


def test_first_line_in_a_damaged_zstd_frame_is_taken_if_nothing_else_tells_of_it(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [BLOCKS])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the checksum
    path.write_bytes(data)
    repair(tmp_path)
    assert read_head(path) == head_of()
    assert frames_in(tmp_path) == FRAMES
    assert verify(tmp_path).sound


def test_first_line_that_nothing_tells_of_is_left(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [[], BLOCKS])
    path.write_bytes(bytes(4) + path.read_bytes()[4:])
    before = path.read_bytes()
    (done,) = repair(tmp_path)
    assert "left as it is" in done.reasons[-1]
    assert path.read_bytes() == before


def test_empty_segment_of_a_recorder_that_was_killed_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "00000001-20261123T021911Z.zst"
    path.touch()
    assert [found.what for found in told(tmp_path)] == ["torn"]
    (done,) = repair(tmp_path)
    assert done.is_removed
    assert not path.exists()


def test_empty_segment_between_others_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    write_segment(tmp_path, [BLOCKS[:2]])
    empty = tmp_path / "00000002-20261123T021911Z.zst"
    empty.touch()
    write_segment(tmp_path, [BLOCKS], head_of(3, run=2, is_first=True, received_ns=THIRD))
    repair(tmp_path)
    verdict = verify(tmp_path)
    assert verdict.sound
    assert (verdict.segments, verdict.runs, verdict.inputs) == (3, 2, 66)


def test_flip_that_breaks_the_first_line_only_is_seen_by_the_zstd_checksum(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [[]])
    text = encode_head(head_of()) + b"\n"
    wrong = zstd_frame([text.replace(b'"run":1', b'"run":2')])[:-4] + zstd_frame([text])[-4:]
    path.write_bytes(wrong + zstd_frame(BLOCKS))
    with pytest.raises(Damaged):
        read_head(path)
