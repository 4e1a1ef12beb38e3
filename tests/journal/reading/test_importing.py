"""Recordings of others become journals that hold them byte for byte and play to the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from krakenwire.cli.replay_file import replay_file
from krakenwire.clock import SystemClock
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.journal.format import read_block
from krakenwire.journal.tools.importing import import_frames
from krakenwire.journal.tools.verifying import verify

CAPTURES = (
    "v2_book10_btcusd_2026.frames.jsonl",
    "v2_book10_btcusd_gap_2026.frames.jsonl",
    "v2_book25_minagbp_resync_2026.ndjson",
    "v1_book1000_10pairs_2021.frames.jsonl",
    "v2_private_and_replies.jsonl",
    "v2_instrument_snapshot.json",
)
FRAMES = [
    b'{"channel":"heartbeat"}',
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":61000.10,"qty":0.00010000,'
    b'"ord_type":"market","trade_id":1,"timestamp":"2026-11-22T14:00:00.000000Z"}]}',
    b'{ "channel": "heartbeat" , "price": 1e-05 }',
    b"not JSON",
]


def frames_of(directory: Path) -> list[tuple[bytes, int]]:
    """The frames of a journal with their times."""
    return [
        (entry.content, entry.stamp.received_ns)
        for segment in segments(directory)
        for block in read_blocks(segment.path)
        for entry in read_block(block.text).entries
        if entry.kind == "frame" and entry.stamp is not None
    ]


@pytest.mark.parametrize("name", CAPTURES)
def test_capture_plays_from_its_journal_as_it_does_itself(captures: Path, tmp_path: Path, name: str) -> None:
    (imported,) = import_frames([str(captures / name)], tmp_path / "tape")
    played = replay_file(str(captures / name), SystemClock()).report
    assert imported.report.event_digest == played.event_digest
    assert imported.report.state_digest == played.state_digest
    assert imported.report.by_type == played.by_type
    verdict = verify(tmp_path / "tape", replay=True)
    assert verdict.sound
    assert verdict.compared == (1, 1)
    assert verdict.frames == played.frames


def test_frames_are_kept_byte_for_byte_with_their_times(tmp_path: Path) -> None:
    recording = tmp_path / "frames.jsonl"
    lines = [
        b'{"rx_ns":%d,"dir":"rx","raw":%b}' % (at + 5, json.dumps(f.decode()).encode()) for at, f in enumerate(FRAMES)
    ]
    lines.insert(1, b'{"rx_ns":6,"dir":"tx","raw":"{\\"method\\":\\"ping\\"}"}')
    recording.write_bytes(b"\n".join(lines))
    (imported,) = import_frames([str(recording)], tmp_path / "tape")
    assert frames_of(tmp_path / "tape") == [(frame, at + 5) for at, frame in enumerate(FRAMES)]
    assert (imported.sent, imported.untimed, imported.report.frames) == (1, 0, 4)


@pytest.mark.parametrize("packed", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("shape", ["api", "machine"])
def test_tardis_files_are_taken_with_every_digit_of_their_times(tmp_path: Path, packed: str, shape: str) -> None:
    frames = [frame for frame in FRAMES if shape == "api" or frame.startswith(b"{")]
    moments = [
        b"2019-06-01T00:02:03.9836600Z",
        b"2019-06-01T00:02:03.9836601Z",
        b"2019-06-01T00:02:04Z",
        b"2019-06-01T00:02:05.5Z",
    ]
    pairs = list(zip(moments, frames, strict=False))
    if shape == "api":
        lines = [b"%b %b" % pair for pair in pairs]
    else:
        lines = [b'{"localTimestamp":"%b","message":%b}' % pair for pair in pairs]
    lines.insert(2, b"" if shape == "api" else b"null")
    content = b"\n".join(lines) + b"\n\n"
    if packed == "gzip":
        content = gzip.compress(content)
    elif packed == "zstd":
        content = ZstdCompressor().compress(content, ZstdCompressor.FLUSH_FRAME)
    (tmp_path / "kraken").write_bytes(content)
    (imported,) = import_frames([str(tmp_path / "kraken")], tmp_path / "tape")
    second = 1_559_347_323
    times = [
        second * 10**9 + 983_660_000,
        second * 10**9 + 983_660_100,
        (second + 1) * 10**9,
        second * 10**9 + 2_500_000_000,
    ]
    assert frames_of(tmp_path / "tape") == list(zip(frames, times, strict=False))
    assert imported.disconnects == 2
    head = read_head(segments(tmp_path / "tape")[0].path)
    assert (head.received_ns, head.made.passive) == (times[0], True)


def test_each_file_is_a_run_of_its_own_unless_they_are_joined(captures: Path, tmp_path: Path) -> None:
    whole = captures / CAPTURES[0]
    lines = whole.read_bytes().splitlines(keepends=True)
    (tmp_path / "a").write_bytes(b"".join(lines[:700]))
    (tmp_path / "b").write_bytes(b"".join(lines[700:]))
    files = [str(tmp_path / "a"), str(tmp_path / "b")]
    apart = import_frames(files, tmp_path / "apart")
    assert [each.run for each in apart] == [1, 2]
    assert [each.report.verified for each in apart][1] == 0  # its books' snapshots are in the other file
    (joined,) = import_frames(files, tmp_path / "joined", is_joined=True)
    assert joined.report.verified == 1254
    for directory, runs in (("apart", 2), ("joined", 1)):
        verdict = verify(tmp_path / directory, replay=True)
        assert (verdict.sound, verdict.runs, verdict.compared) == (True, runs, (runs, runs))


def test_segments_are_ended_when_they_are_large(captures: Path, tmp_path: Path) -> None:
    (imported,) = import_frames([str(captures / CAPTURES[3])], tmp_path, segment_bytes=60_000)
    assert len(segments(tmp_path)) > 1
    verdict = verify(tmp_path, replay=True)
    assert verdict.sound
    assert verdict.compared == (len(segments(tmp_path)), 1)
    assert verdict.frames == imported.report.frames


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02", "binary"),
        (b"\x1f\x8b\x08\x00garbage", "cannot read"),
        (gzip.compress(b'{"channel":"heartbeat"}\n' * 9)[:-9], "cannot read"),
        (b"\x28\xb5\x2f\xfdgarbage", "cannot read"),
        (b"2019-06-01T00:02:03.98Z {}\nand then something else\n", "expected a moment and a message.* at byte 27"),
        (b"2019-13-01T00:02:03.98Z {}\n", "no moment"),
    ],
    ids=["empty", "binary", "no gzip", "cut gzip", "no zstd", "tardis", "month"],
)
def test_what_is_no_recording_is_named_and_leaves_no_segment(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        import_frames([str(tmp_path / "file")], tmp_path / "tape")
    assert [path.name for path in (tmp_path / "tape").iterdir()] == ["lock"]


def test_directory_that_has_something_in_it_is_refused(captures: Path, tmp_path: Path) -> None:
    files = [str(captures / CAPTURES[0])]
    import_frames(files, tmp_path / "tape")
    with pytest.raises(UsageError, match="is not empty"):
        import_frames(files, tmp_path / "tape")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        import_frames(files, tmp_path / "file")
    with pytest.raises(UsageError, match=r"cannot read .*No such file"):
        import_frames([str(tmp_path / "none")], tmp_path / "other")
