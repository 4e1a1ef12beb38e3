"""What `info` tells: from the ends of segments alone, from indexes, or by playing; always the same."""

from __future__ import annotations

from pathlib import Path

from helpers.journals import record_run
from helpers.segments import blocks_of_frames, head_of, write_segment
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.sealing.sealing import seal, unsealed
from krakenwire.journal.tools.overview import overview
from krakenwire.journal.tools.verifying import verify
from krakenwire.journal.writing.options import JournalOptions


async def test_overview_tells_what_verify_counts(tmp_path: Path) -> None:
    await record_run(JournalOptions(directory=tmp_path, segment_bytes=40_000), seed=3, seconds=6, mirror=True)
    seen = overview(tmp_path, contents=True)
    verdict = verify(tmp_path)
    assert len(seen.segments) == verdict.segments > 1
    assert seen.segments[0].first == 1
    for one, other in zip(seen.segments, seen.segments[1:], strict=False):
        assert one.last is not None
        assert one.last + 1 == other.first
        assert (one.ended, one.damage) == ("rotated", None)
    assert (seen.segments[-1].last, seen.segments[-1].ended) == (verdict.inputs, "closed")
    assert sum(each.frames or 0 for each in seen.segments) == verdict.frames
    assert sum(each.text_size or 0 for each in seen.segments) == verdict.text_size
    (run,) = seen.runs
    seed = read_head(tmp_path / seen.segments[0].file).made.options["seed"]
    assert (run.is_whole, run.mirror, run.seed, run.passive) == (True, True, seed, False)
    assert seen.contents is not None
    books = {(each.symbol, each.depth) for each in seen.contents if each.channel == "book"}
    assert books == {(symbol, depth) for symbol in ("BTC/USD", "ETH/USD") for depth in (10, 100)}
    assert {each.channel for each in seen.contents} >= {"book", "trade", "ticker", "ohlc"}
    assert {each.interval for each in seen.contents if each.channel == "ohlc"} == {1}

    for segment in unsealed(tmp_path):
        seal(tmp_path, segment)
    sealed = overview(tmp_path, contents=True)
    assert all(each.is_sealed for each in sealed.segments)
    told = [(each.number, each.first, each.last, each.ended, each.frames) for each in sealed.segments]
    assert told == [(each.number, each.first, each.last, each.ended, each.frames) for each in seen.segments]
    assert sealed.gaps == seen.gaps == []
    assert sealed.contents is not None
    market = ("book", "trade", "ticker", "ohlc")
    assert [each for each in sealed.contents if each.channel in market] == [
        each for each in seen.contents if each.channel in market
    ]


def test_what_cannot_be_read_or_is_missing_is_told(tmp_path: Path) -> None:
    blocks = blocks_of_frames([b"{}"] * 12, 2)
    write_segment(tmp_path, [blocks[:2]])
    torn = write_segment(tmp_path, [blocks[2:4]], head_of(2, n=4), is_ended=False)
    lost = write_segment(tmp_path, [blocks[4:]], head_of(4, n=8))
    lost.write_bytes(bytes(10) + lost.read_bytes()[10:])
    seen = overview(tmp_path, contents=True)
    assert seen.missing == [3]
    assert [(each.last, each.damage is None) for each in seen.segments] == [(4, True), (8, False), (None, False)]
    assert seen.segments[1].file == torn.name
    assert [each.frames for each in seen.segments] == [4, 4, 0]
