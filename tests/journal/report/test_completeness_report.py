"""How complete a journal is: the figures are the core's own, and the same whether segments are sealed or played."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helpers.played import SmallRun
from helpers.segmented import save_segments
from helpers.taped import live
from helpers.wire import Feed
from krakenwire.book import BookUpdate
from krakenwire.errors import UsageError
from krakenwire.events import LIFECYCLE, BookInvalidated, Disconnected, Gap, Stalled
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.format import read_block
from krakenwire.journal.playing.player import Player
from krakenwire.journal.sealing.completeness import SymbolDay
from krakenwire.journal.sealing.sealing import seal, unsealed
from krakenwire.journal.tools.importing import import_frames
from krakenwire.journal.tools.report import CompletenessReport, report

SECOND = 1_000_000_000
BEGAN = 1_767_225_600 * SECOND
MIDNIGHT = 1_767_312_000 * SECOND
SPANS = [(None, None), (BEGAN + 5 * SECOND, BEGAN + 12 * SECOND + SECOND // 2)]


def figures(directory: Path, from_ns: int | None = None, to_ns: int | None = None) -> dict[str, Any]:
    """All but how it was found out."""
    found: dict[str, Any] = msgspec.to_builtins(report(directory, from_ns=from_ns, to_ns=to_ns))
    del found["played"]
    return found


def record(directory: Path, seed: int, seconds: float = 20, count: int = 4) -> Path:
    tape, _ = asyncio.run(live(seed, seconds))
    save_segments(tape, directory, count)
    return directory


def by_looking(directory: Path) -> tuple[dict[str, int], dict[str, int], Counter[str]]:
    """Played line by line, the core looked at after each: for how long wanted, proven; and events counted."""
    wanted, synced, counts = Counter[str](), Counter[str](), Counter[str]()

    def count(events: Any) -> None:
        for event in events:
            if event.channel == LIFECYCLE or isinstance(event, BookUpdate):
                planned = isinstance(event, Disconnected) and event.planned
                counts[type(event).__name__] += not planned

    player = Player(count)
    held: dict[str, bool] = {}
    for segment in segments(directory):
        head = read_head(segment.path)
        player.begin(head)
        last_ns = head.received_ns
        for at in read_blocks(segment.path):
            block = read_block(at.text)
            player.begin_block(block)
            for entry in block.entries:
                if entry.stamp is not None:
                    passed, last_ns = entry.stamp.received_ns - last_ns, entry.stamp.received_ns
                    wanted.update(dict.fromkeys(held, passed))
                    synced.update({symbol: passed for symbol, is_proven in held.items() if is_proven})
                player.step(entry)
                held = {}
                for key, placement in player.core.placements().items():
                    if key.channel == "book" and key.symbol is not None:
                        state = player.core.shown_book(placement)
                        is_proven = state is not None and state.status == "synced"
                        held[key.symbol] = held.get(key.symbol, True) and is_proven
    return wanted, synced, counts


def rows_of(found: CompletenessReport, *symbols: str | None) -> list[SymbolDay]:
    return [row for row in found.counted.symbols if row.symbol in symbols]


@pytest.mark.parametrize("seed", [3, 4, pytest.param(range(10, 40), marks=pytest.mark.long)])
def test_figures_are_those_of_the_core(seed: int | range, tmp_path: Path) -> None:
    for each in range(seed, seed + 1) if isinstance(seed, int) else seed:
        tape = record(tmp_path / str(each), each)
        wanted, synced, counts = by_looking(tape)
        counted = report(tape).counted
        rows = counted.symbols
        assert {row.symbol: row.wanted_ns for row in rows if row.wanted_ns} == {k: v for k, v in wanted.items() if v}
        assert {row.symbol: row.synced_ns for row in rows if row.synced_ns} == {k: v for k, v in synced.items() if v}
        ours = {
            BookInvalidated: sum(sum(row.invalidated.values()) for row in rows),
            Stalled: sum(sum(row.stalls.values()) for row in rows),
            Gap: sum(len(row.gaps) for row in rows),
            Disconnected: sum(sum(day.disconnects.values()) for day in counted.days),
        }
        assert ours == {kind: counts[kind.__name__] for kind in ours}
        assert sum(wanted.values()) > SECOND


@pytest.mark.parametrize("seed", [1, pytest.param(range(40, 60), marks=pytest.mark.long)])
def test_sealed_and_played_segments_give_the_same_figures(seed: int | range, tmp_path: Path) -> None:
    for each in range(seed, seed + 1) if isinstance(seed, int) else seed:
        tape = record(tmp_path / str(each), each)
        played = [figures(tape, *span) for span in SPANS]
        assert report(tape).played == 4
        for segment in unsealed(tape)[:2]:
            seal(tape, segment)
        assert report(tape).played == 2
        assert [figures(tape, *span) for span in SPANS] == played
        for segment in unsealed(tape):
            seal(tape, segment)
        assert report(tape).played == 0
        assert [figures(tape, *span) for span in SPANS] == played
        assert played[0]["counted"] != played[1]["counted"]


def test_parts_of_a_span_add_up(tmp_path: Path) -> None:
    tape = record(tmp_path / "tape", 6)
    whole = report(tape).counted
    parts = report(tape, to_ns=BEGAN + 7 * SECOND).counted
    parts.add(report(tape, from_ns=BEGAN + 7 * SECOND).counted)
    assert msgspec.to_builtins(parts) == msgspec.to_builtins(whole)


def lines(tmp_path: Path, *frames: tuple[int, str]) -> Path:
    """Recorded frames, each with its time, as a journal."""
    (tmp_path / "frames").write_text("".join(f'{{"rx_ns":{at},"frame":{frame}}}\n' for at, frame in frames))
    import_frames([str(tmp_path / "frames")], tmp_path / "tape")
    return tmp_path / "tape"


TRADE = (
    '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":100.1,"qty":1.0,'
    '"ord_type":"limit","trade_id":%d,"timestamp":"2026-01-01T23:59:59.000000Z"}]}'
)


def test_days_end_at_midnight_of_utc(tmp_path: Path) -> None:
    tape = lines(
        tmp_path,
        *((MIDNIGHT - 10 * SECOND, TRADE % 1), (MIDNIGHT - 1, TRADE % 2), (MIDNIGHT, TRADE % 3)),
        (MIDNIGHT + 20 * SECOND, TRADE % 6),
    )
    found = report(tape)
    assert [(day.day, day.recorded_ns) for day in found.counted.days] == [
        ("2026-01-01", 10 * SECOND),
        ("2026-01-02", 20 * SECOND),
    ]
    one, other = rows_of(found, "BTC/USD")
    assert (one.day, one.messages, one.gaps, one.wanted_ns) == ("2026-01-01", 2, [], 0)
    assert (other.day, other.messages) == ("2026-01-02", 2)
    assert [(gap.of, gap.first, gap.last, gap.count) for gap in other.gaps] == [("trade", 4, 5, 2)]
    assert not found.is_complete


def test_book_counts_from_its_first_message_on_though_nobody_looked_then(tmp_path: Path) -> None:
    book = Feed().snapshot().decode()
    begin = MIDNIGHT - 6 * SECOND
    tape = lines(tmp_path, (begin, TRADE % 1), (begin + 4 * SECOND, book), (begin + 10 * SECOND, TRADE % 2))
    one, other = rows_of(report(tape), "BTC/USD")
    assert (one.wanted_ns, one.synced_ns) == (2 * SECOND, 2 * SECOND)
    assert (other.wanted_ns, other.synced_ns) == (4 * SECOND, 4 * SECOND)


def test_nothing_is_missing_of_a_run_that_lost_nothing(tmp_path: Path) -> None:
    small = SmallRun()
    small.begin()
    save_segments(small.end(), tmp_path / "tape", 1)
    found = report(tmp_path / "tape")
    assert found.is_complete
    assert (found.missing, found.damage, found.breaks, found.counted.lost) == ([], [], [], [])


def test_recording_that_is_not_whole_is_told(tmp_path: Path) -> None:
    tape = record(tmp_path / "tape", 3)
    _first, second, third, _last = segments(tape)
    second.path.unlink()
    broken = bytearray(third.path.read_bytes())
    broken[len(broken) // 2] ^= 1
    third.path.write_bytes(broken)
    found = report(tape)
    assert found.missing == [2]
    assert {each.file for each in found.damage} == {third.path.name}
    assert len(found.counted.lost) == 2
    lost = found.counted.lost[0]
    assert lost.last == read_head(third.path, is_proven=False).n
    assert not found.is_complete
    before = figures(tape)
    for segment in unsealed(tape):
        seal(tape, segment)
    assert report(tape).played == 0
    assert figures(tape) == before


def test_recorder_that_was_killed_and_one_that_was_closed(tmp_path: Path) -> None:
    small, other = SmallRun(), SmallRun()
    small.begin()
    other.begin()
    save_segments(small.end(), tmp_path / "tape", 1)
    save_segments(other.end(), tmp_path / "tape", 1, run=2, first=2, later_ns=60 * SECOND)
    found = report(tmp_path / "tape")
    (ended,) = found.breaks
    assert (ended.run, ended.closed) == (1, "closed")
    assert ended.began_ns is not None
    assert ended.began_ns > ended.ended_ns
    assert found.is_complete
    last = segments(tmp_path / "tape")[-1]
    last.path.write_bytes(last.path.read_bytes()[:-3])
    found = report(tmp_path / "tape")
    assert found.breaks[-1].closed is None
    assert found.breaks[-1].began_ns is None
    assert not found.is_complete


def test_symbols_are_chosen_and_unknown_ones_refused(tmp_path: Path) -> None:
    tape = record(tmp_path / "tape", 4, 5, 1)
    assert {row.symbol for row in report(tape, symbols=["BTC/USD"]).counted.symbols} <= {"BTC/USD", None}
    with pytest.raises(UsageError, match="there is nothing of NO/PE in it; there is BTC/USD"):
        report(tape, symbols=["BTC/USD", "NO/PE"])
    with pytest.raises(UsageError, match="--to is not after --from"):
        report(tape, from_ns=2, to_ns=1)
