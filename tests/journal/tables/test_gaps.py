"""What is missing, and when books were synced."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from helpers.journals import record_run
from helpers.tabled import told_by
from krakenwire import Journal
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.files.zframes import frame_offsets
from krakenwire.journal.tables import Missing


def of_kind(directory: Path, kind: str) -> list[Missing]:
    return [row for row in Journal(directory).gaps() if row.kind == kind]


def test_outages_unsynced_times_and_losses_are_told(recorded: Path) -> None:
    told = told_by(recorded).events
    assert len(of_kind(recorded, "gap")) == len(told["Gap"])
    reconnects = len(told["Reconnected"])
    outages = of_kind(recorded, "outage")
    assert reconnects <= len(outages)
    assert all(row.end_ns > row.begin_ns and row.connection and row.reason for row in outages)
    reasons = {(row.reason, row.symbol) for row in of_kind(recorded, "unsynced")}
    assert {("checksum", "BTC/USD"), ("disconnected", "ETH/USD")} <= reasons
    at_the_end = 2 * 4  # of both runs: what was closed then lasted no time
    assert len(of_kind(recorded, "unsynced")) == len(told["BookInvalidated"]) - at_the_end


def test_the_time_between_two_runs_is_told(recorded: Path) -> None:
    (row,) = of_kind(recorded, "stopped")
    assert row.reason == "nothing was recorded between the runs 1 and 2"
    assert 3500 < (row.end_ns - row.begin_ns) / 1e9 < 3600


def test_a_journal_without_trouble_has_no_gaps(tmp_path: Path) -> None:
    asyncio.run(record_run(tmp_path / "tape", seed=1, seconds=5, faults=()))
    assert list(Journal(tmp_path / "tape").gaps()) == []
    assert list(Journal(tmp_path / "tape").gaps().to_polars().columns)[:2] == ["kind", "of"]


def test_book_state_has_no_holes_within_a_run(recorded: Path) -> None:
    spans = [row for row in Journal(recorded).book_state("BTC/USD") if row.depth == 10]
    assert {row.status for row in spans} == {"synced", "unsynced"}
    for one, other in pairwise(spans):
        assert one.end_ns == other.begin_ns or other.begin_ns - one.end_ns > 3500 * 10**9  # between the runs
    assert all(bool(row.reason) == (row.status == "unsynced") for row in spans)
    synced = sum(row.end_ns - row.begin_ns for row in spans if row.status == "synced")
    assert synced > 0.9 * 48e9


def test_start_and_end_cut_what_lasts(recorded: Path) -> None:
    journal = Journal(recorded)
    start, end = journal.begin_ns + 7 * 10**9, journal.begin_ns + 11 * 10**9
    rows = [row for row in journal.book_state("ETH/USD", start=start, end=end) if row.depth == 100]
    assert [(row.begin_ns, row.end_ns, row.status, row.is_open) for row in rows] == [(start, end, "synced", True)]


def test_a_missing_segment_leaves_what_is_around_it(tape: Path) -> None:
    before = list(Journal(tape).trades())
    runs = [read_head(segment.path).run for segment in segments(tape)]
    at = next(number for number, run in enumerate(runs) if run == 1 and number)
    lost = segments(tape)[at].path
    head, after = read_head(lost), read_head(segments(tape)[at + 1].path)
    lost.unlink()
    (row,) = of_kind(tape, "inputs")
    assert (row.first, row.last, row.count) == (head.n + 1, after.n, after.n - head.n)
    assert "is not there" in row.reason
    trades = list(Journal(tape).trades())
    same = [trade for trade in before if trade.n <= head.n or trade.n > after.n]
    assert 0 < len(trades) < len(before)
    assert {trade.trade_id for trade in trades if trade.n <= head.n} == {t.trade_id for t in same if t.n <= head.n}
    state = [span for span in Journal(tape).book_state("BTC/USD") if "is not there" in span.reason]
    assert {span.depth for span in state} == {10, 100}
    assert all(span.status == "unsynced" for span in state)


def test_damage_in_the_middle_leaves_rows_before_and_behind(tape: Path) -> None:
    before = list(Journal(tape).trades())
    path = segments(tape)[1].path
    with open(path, "rb") as file:
        offsets = list(frame_offsets(file))
    content = bytearray(path.read_bytes())
    middle = (offsets[len(offsets) // 2] + len(content)) // 2 if len(offsets) == 1 else offsets[len(offsets) // 2] + 20
    content[middle] ^= 0xFF
    path.write_bytes(content)
    rows = of_kind(tape, "inputs")
    assert rows
    assert any("is damaged at byte" in row.reason and path.name in row.reason for row in rows)
    trades = list(Journal(tape).trades())
    assert {trade.trade_id for trade in trades} <= {trade.trade_id for trade in before}
    assert trades[0] == before[0]
    assert trades[-1] == before[-1]


def test_a_torn_end_is_told_and_what_is_before_it_read(tape: Path) -> None:
    path = segments(tape)[-1].path
    count = len(list(Journal(tape).trades()))
    path.write_bytes(path.read_bytes()[:-40])
    (row,) = of_kind(tape, "inputs")
    assert path.name in row.reason
    assert 0 < len(list(Journal(tape).trades())) <= count
