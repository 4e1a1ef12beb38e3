"""Recorded frames through the core: the figures that the recordings are known to have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.wire import Feed, trades
from krakenwire.events import Stamp, Trade
from krakenwire.journal import FrameReplay, RecordedFrame, read_frames
from krakenwire.protocol.report import Report


def replay(path: Path, **options: Any) -> tuple[FrameReplay, Report]:
    player = FrameReplay(**options)
    with path.open("rb") as file:
        player.feed(read_frames(file))
    return player, player.report(1.0)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("v2_book10_btcusd_2026.frames.jsonl", {"frames": 1376, "verified": 1254, "symbols": 1}),
        (
            "v2_book10_btcusd_gap_2026.frames.jsonl",
            {"frames": 70, "verified": 41, "mismatched": 1, "ignored": 16, "resyncs": 0},
        ),
        ("v2_book25_minagbp_resync_2026.ndjson", {"verified": 19, "symbols": 1}),
        ("v1_book1000_10pairs_2021.frames.jsonl", {"verified": 14496, "unproven": 10, "symbols": 10}),
        ("v2_book1000_10pairs_reencoded.frames.jsonl", {"verified": 14506, "symbols": 10}),
        ("v2_instrument_snapshot.json", {"frames": 1, "instruments": 683, "events": 683 + 296}),
    ],
)
def test_capture_has_the_figures_of_its_index(captures: Path, name: str, figures: dict[str, int]) -> None:
    _, report = replay(captures / name)
    found = {field: getattr(report, field) for field in figures}
    assert found == figures
    assert report.sound is ("mismatched" not in figures)
    wrong = (report.mismatched, report.crossed, report.backwards, report.undecodable)
    assert wrong == (figures.get("mismatched", 0), 0, 0, 0)


def test_every_private_frame_and_reply_is_decoded_or_reported_for_what_it_is(captures: Path) -> None:
    events: list[Any] = []
    _, report = replay(captures / "v2_private_and_replies.jsonl", on_events=events.extend)
    assert report.frames == 53
    assert len({event.n for event in events}) == 53 - report.ignored, "each frame is an event, or counted as ignored"
    assert report.ignored == 2, "updates after a snapshot that was shortened, whose checksum does not hold"
    assert report.undecodable == 1, "the text frame that is no JSON"
    assert report.by_type["Reply"] > 10
    assert report.by_type["Raw"] > 5


def test_capture_gives_the_same_digests_twice(captures: Path) -> None:
    path = captures / "v2_book10_btcusd_gap_2026.frames.jsonl"
    assert replay(path)[1] == replay(path)[1]


def test_sent_frames_are_passed_over() -> None:
    player = FrameReplay()
    player.feed([RecordedFrame(trades(1), 5, sent=True), RecordedFrame(trades(2), 6)])
    report = player.report(1.0)
    assert (report.frames, report.events) == (1, 1)


def test_events_are_handed_over_frame_by_frame_with_the_book_as_of_them() -> None:
    feed = Feed()
    seen: list[Any] = []

    def look(events: Any) -> None:
        (session,) = player.core.sessions
        state = session.books.get("BTC/USD")
        assert state is not None
        seen.append((events[0].best_bid, state.best("bids"), len(events)))

    player = FrameReplay(look)
    frames = [feed.snapshot(), feed.update([("100.5", "1.0")]), feed.update([("100.5", "0.0")])]
    player.feed(RecordedFrame(frame) for frame in frames)
    assert [bid for bid, _, _ in seen] == [best for _, best, _ in seen]
    assert [str(best.price) for _, best, _ in seen] == ["100.0", "100.5", "100.0"]
    assert {count for _, _, count in seen} == {1}


def test_times_are_the_recorders_where_it_kept_them() -> None:
    events: list[Any] = []
    player = FrameReplay(events.extend)
    player.feed([RecordedFrame(trades(1), 77), RecordedFrame(trades(2))])
    assert [event.stamp for event in events] == [Stamp("public", 0, 77, 77), Stamp("public", 0, 0, 0)]
    assert all(isinstance(event, Trade) for event in events)


def test_files_fed_one_after_the_other_are_one_run() -> None:
    player = FrameReplay()
    for number in (1, 2):
        player.feed([RecordedFrame(trades(number))])
    assert player.report(1.0).events == 2
    assert player.core.n == 2
