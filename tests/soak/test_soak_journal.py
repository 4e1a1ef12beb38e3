"""What the soak says of its client's journal: that it holds, and that it would not if anything were otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helpers.played import edited
from helpers.segmented import save_segments
from helpers.taped import BlockTape, Lived, live
from krakenwire.journal.writing.statistics import RecorderStatistics
from soak.journal import Recorded, options_of, replay
from soak.verdict import JUDGED_SECONDS, Claim, claims_of_journal, figures_of_journal

SAME, NOTHING_LOST, MEMORY = range(3)


@pytest.fixture(scope="module")
def lived() -> tuple[BlockTape, Lived]:
    return asyncio.run(live(3, 8))


def recorded(lived: Lived, **statistics: Any) -> Recorded:
    told = RecorderStatistics(segments=2, raw_bytes=7_000_000, written_bytes=1_000_000)
    return Recorded(
        statistics=msgspec.to_builtins(told) | statistics,
        most_waiting=1024,
        event_digest=lived.report.event_digest,
        state_digest=lived.report.state_digest,
    )


def claims(directory: Path, told: Recorded | None, rss: tuple[int, ...] = ()) -> list[Claim]:
    return claims_of_journal(replay(directory), told, rss)


def test_journal_of_a_live_run_holds(tmp_path: Path, lived: tuple[BlockTape, Lived]) -> None:
    save_segments(lived[0], tmp_path, 2)
    found = claims(tmp_path, recorded(lived[1]))
    assert [claim.holds for claim in found] == [True, True, None]
    assert lived[1].report.event_digest[:12] in found[SAME].measured
    figures = figures_of_journal(replay(tmp_path), recorded(lived[1]))
    assert "(7.0:1)" in figures["written"]
    assert f"{lived[1].report.frames:,} frames" in figures["played"]


@pytest.mark.parametrize(("old", "new"), [(b'"qty":1', b'"qty":2'), (b'>["send","public",', b'>["send","publik",')])
def test_altered_frame_or_action_does_not_hold(
    tmp_path: Path, lived: tuple[BlockTape, Lived], old: bytes, new: bytes
) -> None:
    tape = BlockTape(lived[0].head.made)
    tape.blocks = edited(lived[0].blocks, lambda lines: [line.replace(old, new) for line in lines])
    assert tape.blocks != lived[0].blocks
    save_segments(tape, tmp_path, 2)
    assert [claim.holds for claim in claims(tmp_path, recorded(lived[1]))] == [False, True, None]


def test_other_digest_of_the_live_run_does_not_hold(tmp_path: Path, lived: tuple[BlockTape, Lived]) -> None:
    save_segments(lived[0], tmp_path, 1)
    for name in ("event_digest", "state_digest"):
        told = msgspec.structs.replace(recorded(lived[1]), **{name: "0" * 64})
        assert claims(tmp_path, told)[SAME].holds is False


def test_what_was_lost_in_recording_is_told(tmp_path: Path, lived: tuple[BlockTape, Lived]) -> None:
    save_segments(lived[0], tmp_path, 3)
    found = claims(tmp_path, recorded(lived[1], lost=7, gaps=1))
    assert found[NOTHING_LOST].holds is False
    assert "lost 7" in found[NOTHING_LOST].measured
    sorted(tmp_path.glob("*.zst"))[1].unlink()
    found = claims(tmp_path, None)
    assert found[NOTHING_LOST].holds is False
    assert "segment 2 is missing" in found[NOTHING_LOST].measured


def test_memory_is_judged_if_the_run_was_long_enough(tmp_path: Path, lived: tuple[BlockTape, Lived]) -> None:
    save_segments(lived[0], tmp_path, 1)
    told = recorded(lived[1])
    assert claims(tmp_path, told, (100,) * JUDGED_SECONDS)[MEMORY].holds is True
    assert claims(tmp_path, told, tuple(range(100, 100 + JUDGED_SECONDS)))[MEMORY].holds is False
    assert claims(tmp_path, told, (100,) * (JUDGED_SECONDS - 1))[MEMORY].holds is None


def test_segments_are_ended_while_it_runs(tmp_path: Path) -> None:
    assert options_of(tmp_path, 60).segment_seconds == 15
    assert options_of(tmp_path, 1).segment_seconds == 5
