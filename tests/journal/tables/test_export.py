"""Exported Parquet, read back by DuckDB: what is in it, and what another run adds."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from helpers.journals import record_run
from helpers.parquet import parts, query, read
from helpers.sealed import seal_all
from helpers.tabled import digits, told_by
from krakenwire import Journal, NotRecorded, UsageError
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.tables.export import Exported, export_journal
from krakenwire.journal.tables.spool import Spool
from krakenwire.journal.tables.targets import Folder, Remote, open_target
from krakenwire.journal.tools.importing import import_frames
from krakenwire.journal.writing.options import JournalOptions

EVERY_TYPE = {"trade", "book", "bbo", "ticker", "ohlc", "gaps", "book_state"}


def exported(recorded: Path, tmp_path: Path, **options: Any) -> tuple[Path, Exported]:
    target = tmp_path / "parquet"
    return target, export_journal(recorded, target, **options)


def first_segments(directory: Path, to: Path, count: int) -> Path:
    """The first segments of a journal, as they were when there were no more."""
    to.mkdir(exist_ok=True)
    for segment in segments(directory)[:count]:
        shutil.copy(segment.path, to)
    return to


def ns(moment: datetime | None) -> int | None:
    return None if moment is None else round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e9)


# --- what is in it --------------------------------------------------------------------------------------------------


def test_duckdb_reads_the_trades_tickers_and_candles_of_the_replay(recorded: Path, tmp_path: Path) -> None:
    target, done = exported(recorded, tmp_path)
    told, journal = told_by(recorded).events, Journal(recorded)
    trades = read(target, "trade", "symbol, trade_id, price, qty, side, ord_type, source, epoch_ns(exchange_time), n")
    expected = Counter(
        (t.symbol, t.trade_id, digits(t.price), digits(t.qty), t.side, t.ord_type, t.source, t.exchange_ns, t.n)
        for t in journal.trades()
    )
    assert Counter((*row[:2], digits(row[2]), digits(row[3]), *row[4:]) for row in trades) == expected
    assert {(t.symbol, t.trade_id) for t in told["Trade"]} == {row[:2] for row in trades}
    assert len(trades) == len({row[:2] for row in trades}) == done.rows["trade"] > 300

    tickers = read(target, "ticker", "symbol, bid, ask_qty, last, vwap, change_pct, epoch_ns(received_time), n")
    assert Counter((row[0], *map(digits, row[1:6]), *row[6:]) for row in tickers) == Counter(
        (t.symbol, *map(digits, (t.bid, t.ask_qty, t.last, t.vwap, t.change_pct)), t.received_ns, t.n)
        for t in told["Ticker"]
    )

    candles = read(target, "ohlc", "symbol, interval, epoch_ns(interval_begin_time), open, close, volume, trades, n")
    assert Counter((*row[:3], *map(digits, row[3:6]), *row[6:]) for row in candles) == Counter(
        (c.symbol, c.interval, c.interval_begin_ns, digits(c.open), digits(c.close), digits(c.volume), c.trades, c.n)
        for c in journal.ohlc()
    )
    assert len(candles) == len({row[:3] for row in candles}) > 1440


def test_duckdb_reads_the_books_of_the_replay(recorded: Path, tmp_path: Path) -> None:
    target, _ = exported(recorded, tmp_path, channels=["book", "bbo"], depth=10)
    rows = read(target, "book", "symbol, n, bid_prices, bid_qtys, ask_prices, ask_qtys")
    expected = Counter(
        (top.symbol, top.n, *(tuple(digits(Decimal(number)) for number in side) for side in _columns(top)))
        for top in told_by(recorded).books
        if top.depth == 10
    )
    assert Counter((*row[:2], *(tuple(map(digits, side)) for side in row[2:])) for row in rows) == expected
    assert len(rows) > 500
    bbo = read(target, "bbo", "symbol, n, bid, bid_qty, ask, ask_qty")
    told = Counter(
        (row.symbol, row.n, *map(digits, (row.bid, row.bid_qty, row.ask, row.ask_qty)))
        for row in Journal(recorded).bbo()
    )
    assert not told - Counter((*row[:2], *map(digits, row[2:])) for row in bbo)  # a segment begins with a row more


def _columns(top: Any) -> list[tuple[str, ...]]:
    return [tuple(level[at] for level in side) for side in (top.bids, top.asks) for at in (0, 1)]


@pytest.mark.parametrize(
    ("name", "symbols", "depth", "rows"),
    [
        ("v2_book10_btcusd_2026.frames.jsonl", 1, 10, 1254),
        ("v2_book10_btcusd_gap_2026.frames.jsonl", 1, 10, 41),
        ("v2_book25_minagbp_resync_2026.ndjson", 1, 25, 19),
        pytest.param("v1_book1000_10pairs_2021.frames.jsonl", 10, 10, 14_506, marks=pytest.mark.long),
        pytest.param("v2_book1000_10pairs_reencoded.frames.jsonl", 10, 10, 14_506, marks=pytest.mark.long),
    ],
)
def test_duckdb_reads_the_books_of_the_captures(
    captures: Path, tmp_path: Path, name: str, symbols: int, *, depth: int, rows: int
) -> None:
    import_frames([str(captures / name)], tmp_path / "tape")
    target, done = exported(tmp_path / "tape", tmp_path, channels=["book"], depth=depth)
    found = read(target, "book", "symbol, n, bid_prices, bid_qtys, ask_prices, ask_qtys")
    expected = Counter(
        (top.symbol, top.n, *(tuple(digits(Decimal(number)) for number in side[:depth]) for side in _columns(top)))
        for top in told_by(tmp_path / "tape").books
    )
    assert Counter((*row[:2], *(tuple(map(digits, side)) for side in row[2:])) for row in found) == expected
    assert (len(found), done.rows["book"], len({row[0] for row in found})) == (rows, rows, symbols)


def test_times_keep_their_nanoseconds_and_numbers_their_type(recorded: Path, tmp_path: Path) -> None:
    target, _ = exported(recorded, tmp_path)
    types = query(
        "SELECT DISTINCT typeof(price), typeof(exchange_time), typeof(symbol), typeof(date), typeof(channel) "
        "FROM read_parquet(?, hive_partitioning = true)",
        f"{target}/channel=trade/**/*.parquet",
    )
    assert types == [("DECIMAL(38,12)", "TIMESTAMPTZ_NS", "VARCHAR", "DATE", "VARCHAR")]
    for path in target.rglob("*.parquet"):
        column = pq.ParquetFile(path).metadata.row_group(0).column(0)
        assert column.compression == "ZSTD"
        assert not {"symbol", "date", "channel"} & set(pq.ParquetFile(path).schema_arrow.names)


def test_a_row_lies_under_its_own_day(tmp_path: Path) -> None:
    midnight = 1_795_392_000  # 2026-11-23T00:00:00Z, which is in no place with daylight saving its local midnight
    frames = [
        b'{"channel":"trade","type":"update","data":[{"symbol":"A/B","side":"buy","price":1.50,"qty":2,'
        b'"ord_type":"limit","trade_id":%d,"timestamp":"%s"}]}' % (number, text)
        for number, text in enumerate(
            [
                b"2026-11-22T23:59:59.999999999Z",
                b"2026-11-23T00:00:00.000000000Z",
                b"2026-10-25T00:59:59.999999999Z",
                b"2026-03-29T01:00:00Z",
            ],
            1,
        )
    ]
    (tmp_path / "frames.jsonl").write_bytes(b"\n".join(frames))
    import_frames([str(tmp_path / "frames.jsonl")], tmp_path / "tape")
    target, _ = exported(tmp_path / "tape", tmp_path, channels=["trade"])
    rows = read(target, "trade", "trade_id, date::VARCHAR, epoch_ns(exchange_time), symbol", order="trade_id")
    assert [row[:2] for row in rows] == [(1, "2026-11-22"), (2, "2026-11-23"), (3, "2026-10-25"), (4, "2026-03-29")]
    assert [row[2] for row in rows][:2] == [midnight * 10**9 - 1, midnight * 10**9]
    assert {row[3] for row in rows} == {"A/B"}


def test_what_is_missing_and_when_books_were_synced_is_exported(recorded: Path, tmp_path: Path) -> None:
    target, _ = exported(recorded, tmp_path, channels=["gaps", "book_state"])
    kinds = Counter(row.kind for row in Journal(recorded).gaps())
    found = Counter(kind for (kind,) in read(target, "gaps", "kind", order="kind"))
    assert set(found) == set(kinds)
    assert {"outage", "unsynced", "gap", "stopped"} <= set(found)
    everything = "symbol, depth, status, sum(epoch_ns(end_time) - epoch_ns(begin_time))::HUGEINT"
    sums = {row[:3]: row[3] for row in read(target, "book_state", everything, "true GROUP BY ALL", "symbol")}
    spans: Counter[tuple[str, int, str]] = Counter()
    for span in Journal(recorded).book_state():
        spans[span.symbol, span.depth, span.status] += span.end_ns - span.begin_ns
    assert sums == spans


# --- again ----------------------------------------------------------------------------------------------------------


def test_running_it_twice_changes_nothing(recorded: Path, tmp_path: Path) -> None:
    target, first = exported(recorded, tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in target.rglob("*")}
    again = export_journal(recorded, target)
    assert (again.segments, again.files, again.already) == ([], 0, len(first.segments))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in target.rglob("*")} == before


@pytest.mark.parametrize("is_sealed", [False, True])
def test_segment_by_segment_gives_the_files_of_one_go(recorded: Path, tmp_path: Path, is_sealed: bool) -> None:
    whole, _ = exported(recorded, tmp_path)
    growing, target = tmp_path / "growing", tmp_path / "growing-parquet"
    count = len(segments(recorded))
    assert count >= 4
    for number in range(1, count + 1):
        first_segments(recorded, growing, number)
        if is_sealed:
            seal_all(growing)
        done = export_journal(growing, target)
        assert (done.segments, done.already) == ([number], number - 1)
    assert parts(target) == parts(whole)


def test_a_trade_that_two_runs_tell_is_exported_once_in_whatever_pieces(tmp_path: Path) -> None:
    for number, ids in enumerate(("1,2,3", "2,3,4")):
        trades = ",".join(
            f'{{"symbol":"{"ABCCD"[int(each)]}/B","side":"buy","price":1.50,"qty":2,"ord_type":"limit","trade_id":{each},'
            f'"timestamp":"2026-11-23T00:00:0{each}Z"}}'
            for each in ids.split(",")
        )
        (tmp_path / str(number)).write_text(f'{{"channel":"trade","type":"snapshot","data":[{trades}]}}\n')
    import_frames([str(tmp_path / "0"), str(tmp_path / "1")], tmp_path / "tape")
    target = tmp_path / "pieces"
    second = first_segments(tmp_path / "tape", tmp_path / "later", 2)
    segments(second)[0].path.unlink()
    export_journal(second, target, channels=["trade"])  # of which nobody knows yet what was before
    assert read(target, "trade", "trade_id", order="trade_id") == [(2,), (3,), (4,)]
    export_journal(tmp_path / "tape", target, channels=["trade"])
    assert read(target, "trade", "trade_id", order="trade_id") == [(1,), (2,), (3,), (4,)]
    assert len(parts(target)) == 3  # nothing is left of the file that had but what the other run told
    assert export_journal(tmp_path / "tape", target, channels=["trade"]).segments == []


def test_more_symbols_channels_and_time_are_added_to_what_is_there(recorded: Path, tmp_path: Path) -> None:
    whole, _ = exported(recorded, tmp_path)
    target = tmp_path / "pieces"
    begin = Journal(recorded).begin_ns
    export_journal(recorded, target, channels=["trade"], symbols=["BTC/USD"], start_ns=begin + 10**10)
    some = read(target, "trade", "trade_id, symbol")
    assert {row[1] for row in some} == {"BTC/USD"}
    export_journal(recorded, target, channels=["trade", "ticker"], symbols=["ETH/USD"])
    export_journal(recorded, target, channels=["trade", "ohlc"])
    export_journal(recorded, target)
    assert parts(target) == parts(whole)


def test_a_range_has_what_was_received_in_it(recorded: Path, tmp_path: Path) -> None:
    first = read_head(segments(recorded)[0].path).received_ns
    start, end = first + 20 * 10**9, first + 40 * 10**9
    tape = tmp_path / "run1"
    tape.mkdir()
    for segment in segments(recorded):
        if read_head(segment.path).run == 1:
            shutil.copy(segment.path, tape)
    target, _ = exported(tape, tmp_path, channels=["trade", "book"], start_ns=start, end_ns=end)
    assert [row[0] for row in read(target, "trade", "trade_id, n", order="n, trade_id")] == [
        trade.trade_id
        for trade in sorted(Journal(tape).trades(start=start, end=end), key=lambda trade: (trade.n, trade.trade_id))
    ]
    assert len(read(target, "book", "n")) == len(list(Journal(tape).books(start=start, end=end)))


def test_a_segment_that_is_still_written_waits(recorded: Path, tmp_path: Path) -> None:
    growing, target = first_segments(recorded, tmp_path / "growing", 3), tmp_path / "parquet"
    last = segments(growing)[-1].path
    content = last.read_bytes()
    lock = DirectoryLock(growing)
    try:
        done = export_journal(growing, target)
        assert (done.segments, done.open) == ([1, 2], [3])
        last.write_bytes(content[: len(content) // 2])
        open_too = export_journal(growing, target, include_open=True)
        assert (open_too.segments, open_too.open) == ([3], [])
        half = len(read(target, "trade", "n"))
        assert export_journal(growing, target, include_open=True).segments == []
        last.write_bytes(content)
        assert export_journal(growing, target, include_open=True).segments == [3]
        assert len(read(target, "trade", "n")) > half
    finally:
        lock.release()
    assert export_journal(growing, target).segments == [3]
    assert export_journal(growing, target).segments == []
    assert "inputs" not in {row[0] for row in read(target, "gaps", "kind", order="kind")}
    whole = tmp_path / "whole"
    export_journal(growing, whole)
    assert parts(target) == parts(whole)


def test_recording_that_goes_on_is_added(tmp_path: Path) -> None:
    tape, target = tmp_path / "tape", tmp_path / "parquet"
    options = JournalOptions(directory=tape)
    asyncio.run(record_run(options, seed=5, seconds=5, faults=()))
    assert export_journal(tape, target).segments == [1]
    before = parts(target)
    asyncio.run(record_run(options, seed=6, seconds=5, faults=()))
    done = export_journal(tape, target)
    assert (done.segments, done.already) == ([2], 1)
    after = parts(target)
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)


# --- what goes wrong ------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """As if the process were killed."""


def test_a_crash_at_any_file_leaves_no_half_one_and_the_next_run_completes(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 2)
    whole = tmp_path / "whole"
    export_journal(tape, whole)
    expected = parts(whole)
    write = Spool.write
    for at in range(0, len(expected), 5):
        target = tmp_path / f"crashed-{at}"
        count = iter(range(1000))

        def crash(self: Spool, *given: Any, at: int = at, count: Any = count, target: Path = target) -> None:
            if next(count) == at:
                given[1].write(b"PAR1 half a file")
                given[1].flush()
                assert len(list(target.rglob("[!.]*.parquet"))) == at  # nothing of it is to be seen
                raise Crash
            write(self, *given)

        monkeypatch.setattr(Spool, "write", crash)
        with pytest.raises(Crash):
            export_journal(tape, target)
        monkeypatch.setattr(Spool, "write", write)
        there = parts(target)
        assert there.items() <= expected.items()  # each of them whole
        assert len(there) == at
        export_journal(tape, target)
        assert parts(target) == expected


def test_a_killed_run_left_a_partial_file_which_the_next_one_replaces(recorded: Path, tmp_path: Path) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 1)
    target, _ = exported(tape, tmp_path)
    expected = parts(target)
    shutil.rmtree(target / "_krakenwire")
    for path in target.rglob("*.parquet"):
        path.rename(path.with_name(f".{path.name}.partial"))
    assert len(export_journal(tape, target).segments) == 1
    assert parts(target) == expected


def test_books_or_numbers_of_another_kind_are_refused(recorded: Path, tmp_path: Path) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 1)
    target, _ = exported(tape, tmp_path, depth=10)
    with pytest.raises(UsageError, match="has books of depth 10 after every message, not of depth 10 every 1 s"):
        export_journal(tape, target, every_ns=10**9)
    with pytest.raises(UsageError, match="numbers with 12 decimals"):
        export_journal(tape, target, scale=14)
    export_journal(tape, target, channels=["trade"], depth=5)  # which has no books


def test_a_number_that_does_not_fit_stops_it_instead_of_being_rounded(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="with 7 behind the point, and numbers are not rounded"):
        exported(first_segments(recorded, tmp_path / "tape", 1), tmp_path, scale=7)
    assert list((tmp_path / "parquet").rglob("*.parquet")) == []


def test_what_was_not_recorded_names_what_was(recorded: Path, tmp_path: Path) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 1)
    with pytest.raises(NotRecorded, match="there is trade of BTC/USD, ETH/USD"):
        exported(tape, tmp_path, channels=["trade"], symbols=["PEPE/EUR"])
    with pytest.raises(NotRecorded, match="with a depth of 10, 100, not 500"):
        export_journal(tape, tmp_path / "deep", channels=["book"], depth=500)


def test_a_journal_without_anything_is_exported_as_nothing(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "frames.jsonl").write_bytes(b'{"channel":"heartbeat"}\n')
    import_frames([str(tmp_path / "frames.jsonl")], tmp_path / "tape")
    target, done = exported(tmp_path / "tape", tmp_path)
    assert (done.segments, done.files) == ([1], 0)
    assert export_journal(tmp_path / "tape", target).segments == []


def test_a_manifest_of_somebody_else_is_refused(recorded: Path, tmp_path: Path) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 1)
    target, done = exported(tape, tmp_path)
    (target / "_krakenwire" / f"{done.journal}.json").write_text('{"format":99,"segments":[],"trades":{}}')
    with pytest.raises(UsageError, match="a later version"):
        export_journal(tape, target)
    (target / "_krakenwire" / f"{done.journal}.json").write_text("{")
    with pytest.raises(UsageError, match="remove it"):
        export_journal(tape, target)


# --- where to -------------------------------------------------------------------------------------------------------


def test_a_url_in_memory_gets_the_same_files(recorded: Path, tmp_path: Path) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 2)
    folder, _ = exported(tape, tmp_path)
    url = f"memory://{tmp_path.name}/kraken"
    done = export_journal(tape, url)
    assert done.to == url
    system = fsspec.filesystem("memory")
    try:
        fetched = tmp_path / "fetched"
        system.get(f"/{tmp_path.name}/kraken/", str(fetched), recursive=True)
        assert parts(fetched) == parts(folder)
        assert export_journal(tape, url).segments == []
    finally:
        system.rm(f"/{tmp_path.name}", recursive=True)


def test_a_file_url_is_a_folder(recorded: Path, tmp_path: Path) -> None:
    tape = first_segments(recorded, tmp_path / "tape", 1)
    folder, _ = exported(tape, tmp_path)
    export_journal(tape, f"file://{tmp_path}/by-url")
    assert parts(tmp_path / "by-url") == parts(folder)
    assert isinstance(open_target(f"file://{tmp_path}/x"), Folder)


def test_a_store_that_can_rename_never_shows_half_a_file(tmp_path: Path) -> None:
    system = fsspec.filesystem("local")
    puts: list[str] = []

    class Slow:
        protocol = "sftp"

        def __getattr__(self, name: str) -> Any:
            return getattr(system, name)

        def put_file(self, local: str, remote: str) -> None:
            puts.append(Path(remote).name)
            system.put_file(local, remote)

    target = Remote("sftp://host/x", Slow(), str(tmp_path))
    for content in (b"one", b"two"):
        with target.create("a/part.parquet") as file:
            file.write(content)
        assert target.read("a/part.parquet") == content
    assert puts == [".part.parquet.partial"] * 2
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["part.parquet"]


def test_what_a_url_has_in_secrets_is_not_told() -> None:
    with pytest.raises(UsageError) as caught:
        open_target("nosuch://user:secret@host/path?token=secret")
    assert "secret" not in str(caught.value)
    assert "nosuch://host/path" in str(caught.value)
    with pytest.raises(UsageError, match="a folder or a URL"):
        open_target("")


def test_a_target_that_cannot_be_written_is_told(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot (write|read)"):
        export_journal(recorded, tmp_path / "file" / "parquet")
