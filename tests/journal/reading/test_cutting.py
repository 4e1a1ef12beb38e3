"""A stretch that was cut out plays as it did: its own events, its own books."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.journals import record_run
from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.format import read_block
from krakenwire.journal.sealing.sealing import seal, unsealed
from krakenwire.journal.tools.cutting import cut
from krakenwire.journal.tools.overview import overview
from krakenwire.journal.tools.verifying import verify
from krakenwire.journal.writing.options import JournalOptions


def inputs_of(directory: Path, from_ns: int = 0, to_ns: int = 1 << 62) -> list[tuple[bytes, int]]:
    """The timed inputs of a journal."""
    return [
        (entry.content, entry.stamp.received_ns)
        for segment in segments(directory)
        for block in read_blocks(segment.path)
        for entry in read_block(block.text).entries
        if entry.stamp is not None and from_ns <= entry.stamp.received_ns < to_ns
    ]


@pytest.mark.parametrize("is_sealed", [False, True], ids=["as recorded", "sealed"])
async def test_stretches_play_as_they_did(tmp_path: Path, is_sealed: bool) -> None:
    tape = tmp_path / "tape"
    await record_run(JournalOptions(directory=tape, segment_bytes=40_000), seed=3, seconds=12)
    for segment in unsealed(tape) if is_sealed else ():
        seal(tape, segment)
    seen = overview(tape)
    assert len(seen.segments) > 2
    begin_ns = seen.segments[0].begin_ns or 0
    for number, (since, until) in enumerate([(0, 4), (3, 8), (6.5, 7), (5, 100)]):
        out = tmp_path / str(number)
        from_ns, to_ns = begin_ns + int(since * NS_PER_S), begin_ns + int(until * NS_PER_S)
        done = cut(tape, out, from_ns, to_ns)
        assert inputs_of(out) == inputs_of(tape, from_ns, to_ns)
        assert done.is_exact
        verdict = verify(out, replay=True)
        assert verdict.findings == []
        assert verdict.inputs == done.inputs == done.last - done.first + 1
        assert verdict.compared is not None
        assert min(verdict.compared) > 0
        assert [(gap.first, gap.last) for gap in verdict.gaps] == ([(1, done.first - 1)] if since else [])
        head = read_head(segments(out)[0].path)
        assert (head.journal, head.segment, head.run, head.is_first) == (done.journal, 1, 1, True)
        assert done.cut_from == seen.journal != done.journal


async def test_stretch_over_two_runs_has_both(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    await record_run(tape, seed=3, seconds=4, faults=())
    await record_run(tape, seed=4, seconds=4, faults=())
    first, second = overview(tape).segments
    assert first.begin_ns is not None
    assert second.end_ns is not None
    # Both runs are of the same hours of a simulated clock: the stretch reaches over the end of the first.
    done = cut(tape, tmp_path / "out", first.begin_ns - 1, second.end_ns + 1)
    verdict = verify(tmp_path / "out", replay=True)
    assert verdict.sound
    assert (verdict.runs, done.inputs) == (2, first.last + second.last)  # type: ignore[operator]  # both are read


async def test_stretch_without_anything_is_refused(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    await record_run(tape, seed=3, seconds=1, faults=())
    for from_ns, to_ns, complaint in ((5, 4, "ends before it begins"), (4, 5, "nothing of that stretch")):
        with pytest.raises(UsageError, match=complaint):
            cut(tape, tmp_path / "out", from_ns, to_ns)
