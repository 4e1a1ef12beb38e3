"""docs/tables.md is true: its snippets and its queries run on a journal and its export, and say what a replay says."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from helpers.parquet import query
from krakenwire import Journal
from krakenwire.journal.tables import Missing
from krakenwire.journal.tables.export import export_journal

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "tables.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
MINUTE_NS = 60 * 10**9


def answer(number: int, columns: str) -> list[tuple[Any, ...]]:
    """What a query of the page gives; DuckDB would want another package for times in Python."""
    return query(f"SELECT {columns} FROM ({QUERIES[number].rstrip().rstrip(';')})")  # noqa: S608  # our own page


@pytest.fixture
def place(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what the page speaks of: `tape` and `parquet`."""
    (tmp_path / "tape").symlink_to(recorded)
    export_journal(recorded, tmp_path / "parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_vwap_by_duckdb_is_that_of_the_trades(place: Path) -> None:
    sums: dict[int, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0), Decimal(0)])
    for trade in Journal(place / "tape").trades("BTC/USD"):
        assert trade.exchange_ns is not None
        minute = sums[trade.exchange_ns // MINUTE_NS * 60]
        minute[0] += trade.price * trade.qty
        minute[1] += trade.qty
        minute[2] += 1
    rows = answer(0, "* REPLACE (epoch_ns(minute) // 1000000000 AS minute)")
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (minute, volume, count) for minute, (_, volume, count) in sorted(sums.items())
    ]
    for row, (_, (money, volume, _)) in zip(rows, sorted(sums.items()), strict=True):
        assert row[1] == pytest.approx(float(Fraction(money) / Fraction(volume)), rel=1e-12)


def test_minutes_with_gaps_by_duckdb_are_those_of_the_gaps(place: Path) -> None:
    expected: dict[int, set[str]] = defaultdict(set)
    for row in Journal(place / "tape").gaps("BTC/USD"):
        for minute in range(row.begin_ns // MINUTE_NS, row.end_ns // MINUTE_NS + 1):
            expected[minute * 60].add(row.kind)
    rows = answer(1, "* REPLACE (epoch_ns(minute) // 1000000000 AS minute)")
    assert {row[0]: set(row[1]) for row in rows} == expected
    assert len(rows) > 55  # the hour between the runs


def test_levels_by_duckdb_are_those_of_the_books(place: Path) -> None:
    rows = answer(2, "* REPLACE (epoch_ns(time) AS time)")
    books = sorted(Journal(place / "tape").books("BTC/USD"), key=lambda row: (row.time_ns, row.n))
    assert [(row[1], row[2]) for row in rows] == [(row.bids[0].price, row.asks[0].price) for row in books]
    assert [row[3] for row in rows] == [sum(level.qty for level in row.bids) for row in books]


def test_spread_by_polars_is_that_of_the_books(place: Path) -> None:
    names: dict[str, Any] = {}
    exec(SNIPPETS[1], names)  # noqa: S102  # our own page
    spread = names["spread"]
    spreads: dict[int, list[Decimal]] = defaultdict(list)
    for row in Journal(place / "tape").bbo("BTC/USD"):
        assert row.ask is not None
        assert row.bid is not None
        spreads[row.received_ns // MINUTE_NS * 60].append(row.ask - row.bid)
    assert [round(minute.timestamp()) for minute in spread["minute"]] == sorted(spreads)
    assert spread["least"].to_list() == [min(spreads[minute]) for minute in sorted(spreads)]
    assert spread["most"].to_list() == [max(spreads[minute]) for minute in sorted(spreads)]
    assert all(low <= mean <= most for low, mean, most in spread.select("least", "mean", "most").iter_rows())


def test_snippet_for_a_notebook_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(SNIPPETS[0], names)  # noqa: S102  # our own page
    assert "BTC/USD" in capsys.readouterr().out
    assert len(names["df"]) == len(names["floats"])


def test_page_names_every_method_kind_and_channel() -> None:
    for name in (name for name in vars(Journal) if not name.startswith("_")):
        assert name in PAGE or name in ("begin_ns", "end_ns", "contents"), name
    kinds = set(re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE))
    assert kinds == set(get_args(get_type_hints(Missing)["kind"]))
