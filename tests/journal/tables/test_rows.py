"""The rows of a journal's tables are what a replay of it tells, line by line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpers.sealed import seal_all
from helpers.tabled import played, told_by
from krakenwire import Journal, NotRecorded, UsageError
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.tools.importing import import_frames

CAPTURES = {
    "v2_book10_btcusd_2026.frames.jsonl": ("BTC/USD", 10, 1254),
    "v2_book10_btcusd_gap_2026.frames.jsonl": ("BTC/USD", 10, 41),
    "v2_book25_minagbp_resync_2026.ndjson": ("MINA/GBP", 25, 19),
}


def same_books(journal: Journal, directory: Path, depth: int) -> int:
    """Compare every row of every book; how many there were."""
    expected = [
        (top.symbol, top.n, top.bids[:depth], top.asks[:depth])
        for top in told_by(directory).books
        if top.depth == min(each for each in (10, 25, 100, 1000) if each >= depth)
    ]
    rows = [
        (
            row.symbol,
            row.n,
            tuple((str(price), str(qty)) for price, qty in row.bids),
            tuple((str(price), str(qty)) for price, qty in row.asks),
        )
        for row in journal.books(depth=depth)
    ]
    assert rows == expected
    return len(rows)


@pytest.mark.parametrize("depth", [3, 10, 100])
def test_books_are_those_of_the_core_after_each_message(recorded: Path, depth: int) -> None:
    assert same_books(Journal(recorded), recorded, depth) > 500


@pytest.mark.parametrize("name", CAPTURES)
def test_books_of_a_capture_are_those_of_its_replay(captures: Path, tmp_path: Path, name: str) -> None:
    symbol, depth, count = CAPTURES[name]
    import_frames([str(captures / name)], tmp_path / "tape")
    journal = Journal(tmp_path / "tape")
    assert same_books(journal, tmp_path / "tape", depth) == count
    assert {row.symbol for row in journal.books(depth=depth)} == {symbol}


def test_books_of_v1_are_those_of_its_replay(captures: Path, tmp_path: Path) -> None:
    text = (captures / "v1_book1000_10pairs_2021.frames.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "frames.jsonl").write_bytes(b"".join(text[:400]))
    import_frames([str(tmp_path / "frames.jsonl")], tmp_path / "tape")
    assert same_books(Journal(tmp_path / "tape"), tmp_path / "tape", 1000) > 300


def test_trades_and_tickers_are_those_of_the_replay(recorded: Path) -> None:
    journal = Journal(recorded)
    told = told_by(recorded).events
    assert list(journal.ticker()) == told["Ticker"]
    trades = list(journal.trades())
    assert trades == [trade for trade in told["Trade"] if trade in set(trades)]
    ids = [(trade.symbol, trade.trade_id) for trade in trades]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {(trade.symbol, trade.trade_id) for trade in told["Trade"]}
    assert list(journal.trades("ETH/USD")) == [trade for trade in trades if trade.symbol == "ETH/USD"]
    assert list(journal.trades("XBT/USD")) == [trade for trade in trades if trade.symbol == "BTC/USD"]


def frame_of_trades(kind: str, *ids: int) -> bytes:
    trades = ",".join(
        f'{{"symbol":"A/B","side":"buy","price":1.50,"qty":2,"ord_type":"limit","trade_id":{number},'
        f'"timestamp":"2026-11-23T00:00:0{number}Z"}}'
        for number in ids
    )
    return f'{{"channel":"trade","type":"{kind}","data":[{trades}]}}\n'.encode()


def test_a_trade_that_two_runs_tell_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(frame_of_trades("snapshot", 1) + frame_of_trades("update", 2, 3))
    (tmp_path / "2").write_bytes(frame_of_trades("snapshot", 2, 3, 4) + frame_of_trades("update", 5))
    import_frames([str(tmp_path / "1"), str(tmp_path / "2")], tmp_path / "tape")
    assert len(told_by(tmp_path / "tape").events["Trade"]) == 7
    assert [trade.trade_id for trade in Journal(tmp_path / "tape").trades()] == [1, 2, 3, 4, 5]


def test_bbo_has_a_row_for_each_change(recorded: Path) -> None:
    before: Any = None
    expected = []
    for _, event in played(recorded):
        if type(event).__name__ == "Disconnected" and event.reason == "closed":
            before = None
        if type(event).__name__ == "BookUpdate" and (event.symbol, event.depth) == ("BTC/USD", 10):
            now = event.best_bid, event.best_ask
            if event.outcome == "verified" and now != before:
                expected.append((event.n, *now))
                before = now
    rows = [(row.n, (row.bid, row.bid_qty), (row.ask, row.ask_qty)) for row in Journal(recorded).bbo("BTC/USD")]
    firsts = {(row[0], row[1]) for row in rows} - {(each[0], each[1]) for each in expected}
    assert len(firsts) <= 1  # of the second run, if it began as the first one ended
    assert [row for row in rows if (row[0], row[1]) not in firsts] == expected


def test_candles_are_the_last_word_on_each_that_is_over(recorded: Path) -> None:
    journal = Journal(recorded)
    updates = list(journal.ohlc("BTC/USD", interval=1, updates=True))
    assert updates == [each for each in told_by(recorded).events["Ohlc"] if each.symbol == "BTC/USD"]
    candles = list(journal.ohlc("BTC/USD", interval=1))
    begins = [each.interval_begin_ns for each in candles]
    assert len(set(begins)) == len(begins)
    first_run = updates[: next(at for at, each in enumerate(updates) if at and each.n < updates[at - 1].n)]
    last = {each.interval_begin_ns: each for each in first_run}
    newest = max(last)
    over = [each for each in candles if each.interval_begin_ns < newest]
    assert over == [last[begin] for begin in sorted(last) if begin < newest]


def test_books_at_an_interval_are_as_they_were_then(recorded: Path) -> None:
    journal = Journal(recorded)
    rows = list(journal.books("BTC/USD", depth=5, every=timedelta(seconds=2)))
    assert len(rows) > 10
    assert all(row.time_ns % 2_000_000_000 == 0 for row in rows)
    for row in rows:
        then = journal.book_at("BTC/USD", row.time_ns)
        assert (then.bids[:5], then.asks[:5], then.synced) == (row.bids, row.asks, True)
        assert row.mid == then.mid


def first_run_of(directory: Path, to: Path) -> Path:
    """A journal of the first run alone: its moments are in order."""
    to.mkdir()
    for segment in segments(directory):
        if read_head(segment.path).run == 1:
            (to / segment.path.name).write_bytes(segment.path.read_bytes())
    return to


@pytest.mark.parametrize("is_sealed", [False, True])
def test_start_and_end_cut_exactly_wherever_reading_begins(recorded: Path, tmp_path: Path, is_sealed: bool) -> None:
    directory = first_run_of(recorded, tmp_path / "tape")
    everything: dict[str, list[Any]] = {
        "trades": list(Journal(directory).trades()),
        "books": list(Journal(directory).books()),
        "ticker": list(Journal(directory).ticker()),
    }
    if is_sealed:
        seal_all(directory)
    journal = Journal(directory)
    moments_of_trades = [trade.received_ns for trade in everything["trades"]]
    for part in range(1, 5):
        start, stop = (moments_of_trades[len(moments_of_trades) * each // 6] for each in (part, part + 1))
        for name, rows in everything.items():
            expected = [row for row in rows if start <= row.received_ns < stop]
            assert list(getattr(journal, name)(start=start, end=stop)) == expected
            assert expected


def test_moments_may_be_given_in_every_way(recorded: Path, tmp_path: Path) -> None:
    directory = first_run_of(recorded, tmp_path / "tape")
    journal = Journal(directory)
    end = journal.end_ns
    ago = list(journal.trades(start=timedelta(seconds=10)))
    assert ago
    start = datetime.fromtimestamp(end // 1000 / 1e6, UTC) - timedelta(seconds=10)
    start_ns = end - 10 * 10**9
    text = f"{datetime.fromtimestamp(start_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{start_ns % 10**9:09}Z"
    assert list(journal.trades(start=start_ns)) == ago
    assert list(journal.trades(start=text)) == ago
    assert abs(len(list(journal.trades(start=start))) - len(ago)) <= 1
    for wrong in (datetime(2026, 1, 1), 1_700_000_000, "yesterday", "2026-01-01T00:00:00", 1.5, timedelta(-1)):  # noqa: DTZ001  # that is what is refused
        with pytest.raises(UsageError, match="start must be"):
            journal.trades(start=wrong)  # type: ignore[arg-type]  # a user's mistake
    with pytest.raises(UsageError, match="before end"):
        journal.trades(start=text, end=text)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda journal: journal.trades("BTC/USDT"), "trade BTC/USDT was not recorded; did you mean BTC/USD"),
        (lambda journal: journal.trades("PEPE/EUR"), "there is trade of BTC/USD, ETH/USD"),
        (
            lambda journal: journal.books("BTC/USD", depth=500),
            "book BTC/USD was recorded with a depth of 10, 100, not 500",
        ),
        (lambda journal: journal.ohlc("BTC/USD", interval=5), "an interval \\(minutes\\) of 1, not 5"),
        (lambda journal: journal.bbo("BTC/EUR"), "book BTC/EUR was not recorded"),
    ],
)
def test_what_was_not_recorded_names_what_was(recorded: Path, ask: Any, words: str) -> None:
    with pytest.raises(NotRecorded, match=words):
        list(ask(Journal(recorded)))


def test_a_channel_that_was_not_recorded_is_an_error_not_an_empty_table(captures: Path, tmp_path: Path) -> None:
    import_frames([str(captures / "v2_book25_minagbp_resync_2026.ndjson")], tmp_path / "tape")
    with pytest.raises(NotRecorded, match="trade was not recorded; there is book MINA/GBP"):
        Journal(tmp_path / "tape").trades().to_arrow()


def test_a_journal_says_what_is_there(tape: Path) -> None:
    journal = Journal(tape)
    assert f"{len(segments(tape))} segment(s)" in repr(journal)
    assert journal.symbols == ["BTC/USD", "ETH/USD"]
    assert {(each.channel, each.symbol) for each in journal.contents()} >= {("trade", "BTC/USD"), ("ohlc", "ETH/USD")}
    seal_all(tape)
    assert "BTC/USD, ETH/USD" in repr(journal)
    assert "trade BTC/USD" in repr(journal.trades("BTC/USD"))
    with pytest.raises(UsageError, match="is no journal"):
        Journal(tape.parent)


def test_progress_reaches_its_end(recorded: Path) -> None:
    seen: list[tuple[int, int]] = []
    list(Journal(recorded, on_progress=lambda done, total: seen.append((done, total))).trades())
    size = sum(segment.path.stat().st_size for segment in segments(recorded))
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("wrong", [0, 1001, True, "10"])
def test_a_depth_that_cannot_be_is_refused(recorded: Path, wrong: Any) -> None:
    with pytest.raises(UsageError, match="depth must be"):
        Journal(recorded).books(depth=wrong)
