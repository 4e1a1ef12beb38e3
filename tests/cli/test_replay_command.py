"""`krakenwire replay`: recorded frames are proven, and what is wrong is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from helpers.frames import v2_element, v2_frame, walk
from helpers.processes import objects, run

V1 = "v1_book1000_10pairs_2021.frames.jsonl"
V2 = "v2_book1000_10pairs_reencoded.frames.jsonl"
GAP = "v2_book10_btcusd_gap_2026.frames.jsonl"
REPLIES = "v2_private_and_replies.jsonl"
INSTRUMENTS = "v2_instrument_snapshot.json"
# Figures that a correct book finds in recordings of the live exchange; what is not named is 0.
EXPECTED = {
    "v2_book10_btcusd_2026.frames.jsonl": {"frames": 1376, "verified": 1254},
    GAP: {"frames": 70, "verified": 41, "mismatched": 1, "ignored": 16},
    "v2_book25_minagbp_resync_2026.ndjson": {"verified": 19},
    V1: {"frames": 14_636, "verified": 14_496, "unproven": 10, "symbols": 10},
    V2: {"frames": 14_636, "verified": 14_506, "symbols": 10},
    INSTRUMENTS: {"frames": 1, "instruments": 683},
}
JUDGED = ("verified", "mismatched", "crossed", "backwards", "ignored", "unproven", "normalised", "undecodable")
UNSOUND = {GAP, REPLIES}
OURS = {"file", "seconds", "frames_per_second", "kernel"}


def figures_of(files: Iterable[Path], **env: str) -> dict[str, dict[str, Any]]:
    ended = run("replay", "--json", *files, env=env)
    assert ended.code == 1  # one of them has a gap
    return {Path(each["file"]).name: each for each in objects(ended.out)}


@pytest.fixture(scope="module")
def captured(captures: Path) -> dict[str, dict[str, Any]]:
    return figures_of(captures / name for name in (*EXPECTED, REPLIES))


@pytest.mark.parametrize("name", EXPECTED)
def test_recording_of_the_exchange_gives_its_figures(captured: dict[str, dict[str, Any]], name: str) -> None:
    figures = captured[name]
    expected = dict.fromkeys(JUDGED, 0) | EXPECTED[name]
    assert {key: figures[key] for key in expected} == expected


def test_every_frame_of_replies_is_decoded_or_reported_for_what_it_is(captured: dict[str, dict[str, Any]]) -> None:
    figures = captured[REPLIES]
    assert (figures["frames"], figures["undecodable"]) == (53, 1)
    assert figures["by_type"]["Reply"] > 10


def test_pure_kernel_finds_the_same(captured: dict[str, dict[str, Any]], captures: Path) -> None:
    names = [name for name in captured if name != V1]  # the slowest; what is in it is in V2 too
    pure = figures_of((captures / name for name in names), KRAKENWIRE_PURE="1")
    for name in names:
        assert pure[name]["kernel"] == "pure"
        assert {key: pure[name][key] for key in pure[name].keys() - OURS} == {
            key: captured[name][key] for key in captured[name].keys() - OURS
        }


def test_v1_and_the_same_market_in_v2_end_in_the_same_state(captured: dict[str, dict[str, Any]]) -> None:
    assert captured[V1]["state_digest"] == captured[V2]["state_digest"]
    assert captured[V1]["event_digest"] != captured[V2]["event_digest"]


def test_one_changed_quantity_changes_the_state(
    captured: dict[str, dict[str, Any]], captures: Path, tmp_path: Path
) -> None:
    lines = (captures / V1).read_bytes().splitlines()
    at, snapshot = next((i, line) for i, line in enumerate(lines) if b'"as":' in line)
    # Far below what any checksum covers: only the digest can tell.
    price, qty, time = json.loads(snapshot)[1]["as"][400][:3]
    level, changed = (f'["{price}","{text}","{time}"'.encode() for text in (qty, qty[:-1] + str(9 - int(qty[-1]))))
    assert snapshot.count(level) == 1
    lines[at] = snapshot.replace(level, changed)
    file = tmp_path / V1
    file.write_bytes(b"\n".join(lines))
    (figures,) = objects(run("replay", "--json", file).out)
    assert figures["verified"] == 14_496
    assert figures["state_digest"] != captured[V1]["state_digest"]


# --- recordings of our own ------------------------------------------------------------------------------------------


def frames(seed: int, updates: int = 50) -> list[bytes]:
    return [
        v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum))
        for kind, bids, asks, checksum, _ in walk(seed, updates=updates)
    ]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    file = tmp_path / "sound.jsonl"
    file.write_bytes(b"\n".join(frames(1)))
    return file


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Its 31st frame has a wrong checksum, its last is no JSON."""
    recorded = frames(1)
    *_, checksum, _ = list(walk(1, updates=50))[30]
    recorded[30] = recorded[30].replace(str(checksum).encode(), b"12345")
    file = tmp_path / "broken.jsonl"
    file.write_bytes(b"\n".join([*recorded, b"Service Unavailable"]))
    return file


def test_sound_recording_ends_with_0_and_says_so(sound: Path) -> None:
    ended = run("replay", sound)
    assert (ended.code, ended.err) == (0, "")
    assert f"{sound}: sound" in ended.out
    assert "51 messages verified, 0 mismatched" in ended.out


def test_what_is_wrong_is_named_with_symbol_checksums_and_frame(broken: Path) -> None:
    ended = run("replay", broken)
    *_, checksum, _ = list(walk(1, updates=50))[30]
    assert ended.code == 1
    assert f"{broken}: WRONG" in ended.out
    assert (
        f"frame 31: the book of BTC/USD does not match its checksum: expected 12345, computed {checksum}" in ended.out
    )
    assert "frame 52: " in ended.out
    assert "Service Unavailable" in ended.out
    assert "20 ignored" in ended.out


def test_each_file_has_a_report_of_its_own_and_one_wrong_is_enough(sound: Path, broken: Path) -> None:
    ended = run("replay", "--json", sound, broken, sound)
    first, second, third = objects(ended.out)
    assert ended.code == 1
    assert [each["file"] for each in (first, second, third)] == [str(sound), str(broken), str(sound)]
    assert (first["mismatched"], second["mismatched"], second["ignored"], third["mismatched"]) == (0, 1, 20, 0)
    assert first["event_digest"] == third["event_digest"] != second["event_digest"]


def test_stdin_is_a_recording_too(sound: Path) -> None:
    (from_file,) = objects(run("replay", "--json", sound).out)
    (from_stdin,) = objects(run("replay", "--json", "-", stdin=sound.read_bytes()).out)
    assert from_stdin["file"] == "-"
    assert {key: from_stdin[key] for key in from_stdin.keys() - OURS} == {
        key: from_file[key] for key in from_file.keys() - OURS
    }


def test_objects_around_frames_are_taken_off_and_what_was_sent_is_passed_over(sound: Path) -> None:
    wrapped = [b'{"recorder": "somebody", "started": 1}', b'{"rx_ns": 1, "dir": "tx", "frame": {"method": "ping"}}']
    wrapped += [b'{"rx_ns": 2, "dir": "rx", "frame": %s}' % frame for frame in frames(1)]
    (figures,) = objects(run("replay", "--json", "-", stdin=b"\n".join(wrapped)).out)
    (bare,) = objects(run("replay", "--json", sound).out)
    assert (figures["frames"], figures["verified"]) == (51, 51)
    assert figures["state_digest"] == bare["state_digest"]


def test_events_come_before_the_report(sound: Path) -> None:
    ended = run("replay", "--json", "--events", sound)
    *events, report = objects(ended.out)
    assert [event["event"] for event in events] == ["BookUpdate"] * 51
    assert [event["n"] for event in events] == list(range(1, 52))
    assert report["events"] == 51


def test_events_are_lines_for_people_too(sound: Path) -> None:
    lines = run("replay", "--events", sound).out.splitlines()
    assert sum(line.startswith("BookUpdate") for line in lines) == 51


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n \n\n", "is empty"),
        (b"\x28\xb5\x2f\xfd\x00\x00\x01", "is binary"),
        (b'{"channel":"heartbeat"}\n' + bytes(100), "is binary"),
    ],
    ids=["missing", "empty", "blank", "binary", "binary later"],
)
def test_file_that_is_no_recording_ends_with_2_and_the_others_are_played(
    tmp_path: Path, sound: Path, content: bytes | None, expected: str
) -> None:
    file = tmp_path / "recording"
    if content is not None:
        file.write_bytes(content)
    ended = run("replay", "--json", file, sound)
    assert ended.code == 2
    assert expected in ended.err
    assert "Traceback" not in ended.err
    (figures,) = objects(ended.out)
    assert figures["file"] == str(sound)


def test_directory_that_is_no_bundle_is_refused_with_how_bundles_are_named(tmp_path: Path) -> None:
    ended = run("replay", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "no journal and no bundle" in ended.err
    assert f"{tmp_path}/*" in ended.err


def test_more_problems_than_are_worth_reading_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "nonsense.txt"
    file.write_text("\n".join(f"line {i}" for i in range(100)))
    ended = run("replay", file)
    assert ended.code == 1
    assert "and 80 more" in ended.out


def test_head_sees_its_line_and_no_traceback_follows(tmp_path: Path) -> None:
    file = tmp_path / "frames.jsonl"
    file.write_bytes(b"\n".join(frames(1, updates=3000)))
    script = '"$1" -m krakenwire replay --events "$2" | head -1; exit "${PIPESTATUS[0]}"'
    ended = run(sys.executable, file, program=("bash", "-c", script, "bash"))
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 1
