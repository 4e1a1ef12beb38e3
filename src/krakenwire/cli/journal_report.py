"""`krakenwire journal report`: how complete a journal is, by symbol and day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.journal_text import JournalArgument, inputs_text, moment_text, moment_to_ns, size_of, span_text
from krakenwire.cli.options import JsonOption, split_symbols
from krakenwire.cli.output import print_json, print_line
from krakenwire.clock import NS_PER_S

if TYPE_CHECKING:
    from krakenwire.journal.sealing.completeness import SymbolDay
    from krakenwire.journal.tools.report import Break, CompletenessReport

__all__ = ["EXAMPLES", "report"]

EXAMPLES = (
    "krakenwire journal report tape",
    "krakenwire journal report tape --symbol BTC/USD,ETH/USD --sort day",
    "krakenwire journal report tape --from 2026-11-22T00:00:00Z --to 2026-11-23T00:00:00Z",
    "krakenwire journal report tape --json | jq '.rows[] | select(.missing > 0)'",
)
_MOST_GAPS = 10


@reports_errors
def report(
    directory: JournalArgument,
    *,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Of what was received from then on.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="And before then.")] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", "-s", metavar="SYMBOL,...", help="Only of these; repeatable.", show_default=False),
    ] = None,
    sort: Annotated[
        Literal["worst", "day", "symbol"], typer.Option("--sort", help="What comes first: the worst, or in order.")
    ] = "worst",
    json: JsonOption = False,
) -> None:
    """Tell how complete a journal is: for each symbol and day (UTC), and of the recording itself.

    For how long its books were proven, of the time for which they were wanted; what is missing of its streams, which
    was told as a gap; mute subscriptions, invalidated books; what was fetched after all. Of the recording: inputs that
    were not written, damage, missing segments, and when nobody recorded. Sealed segments have that in their indexes;
    the others are played.

    Ends with 1 if something is missing: a gap in a stream, inputs that are not in the journal, damage, a missing
    segment, or a recorder that was killed. Time without a proven book, stalls and disconnects alone are no such hole.
    """
    from krakenwire.journal.tools.report import report as report_journal

    from_ns = None if from_ is None else moment_to_ns(from_, "--from")
    to_ns = None if to is None else moment_to_ns(to, "--to")
    with bar("playing", size_of(directory)) as on_progress:
        found = report_journal(
            directory, from_ns=from_ns, to_ns=to_ns, symbols=split_symbols(symbol) or None, on_progress=on_progress
        )
    rows = sorted(found.counted.symbols, key=_ORDERS[sort])
    if json:
        print_json(_object(directory, found, rows))
    else:
        _print(directory, found, rows)
    if not found.is_complete:
        raise typer.Exit(WRONG)


# --- figures of a row -------------------------------------------------------------------------------------------------


def _share(row: SymbolDay) -> float | None:
    """Of the time for which its books were wanted; None if none was."""
    return row.synced_ns / row.wanted_ns if row.wanted_ns else None


def _missing(row: SymbolDay) -> int:
    """Trades that are missing, as far as they are counted."""
    return sum(gap.count or 0 for gap in row.gaps if gap.of == "trade")


def _by_day(row: SymbolDay) -> tuple[Any, ...]:
    return row.day, row.symbol or ""


def _by_symbol(row: SymbolDay) -> tuple[Any, ...]:
    return row.symbol or "", row.day


def _by_badness(row: SymbolDay) -> tuple[Any, ...]:
    unsynced_ns = row.wanted_ns - row.synced_ns
    return -_missing(row), -len(row.gaps), -unsynced_ns, -sum(row.stalls.values()), *_by_day(row)


_ORDERS = {"worst": _by_badness, "day": _by_day, "symbol": _by_symbol}


# --- for programs -----------------------------------------------------------------------------------------------------


def _object(directory: str, found: CompletenessReport, rows: list[SymbolDay]) -> dict[str, Any]:
    whole = msgspec.to_builtins(found)
    counted = whole.pop("counted")
    return {
        "directory": directory,
        "complete": found.is_complete,
        **whole,
        "lost": counted["lost"],
        "days": counted["days"],
        "rows": [msgspec.to_builtins(row) | {"synced": _share(row), "missing": _missing(row)} for row in rows],
        "totals": _totals(found, rows),
    }


def _totals(found: CompletenessReport, rows: list[SymbolDay]) -> dict[str, Any]:
    wanted, synced = sum(row.wanted_ns for row in rows), sum(row.synced_ns for row in rows)
    return {
        "recorded_ns": sum(day.recorded_ns for day in found.counted.days),
        "messages": sum(row.messages for row in rows),
        "wanted_ns": wanted,
        "synced_ns": synced,
        "synced": synced / wanted if wanted else None,
        "gaps": sum(len(row.gaps) for row in rows),
        "missing": sum(map(_missing, rows)),
        "backfilled": sum(row.backfilled for row in rows),
        "stalls": sum(sum(row.stalls.values()) for row in rows),
        "invalidated": sum(sum(row.invalidated.values()) for row in rows),
        "resyncs": sum(row.resyncs for row in rows),
        "quarantines": sum(row.quarantines for row in rows),
        "disconnects": sum(sum(day.disconnects.values()) for day in found.counted.days),
        "lost_inputs": sum(each.last - each.first + 1 for each in found.counted.lost),
    }


# --- for people -------------------------------------------------------------------------------------------------------

_WIDTH = 120
"""That no figure is left out, whatever the terminal's is: it wraps what is longer."""
_COLUMNS = ("synced", "unsynced", "gaps", "missing", "filled", "stalls", "invalid", "resyncs", "messages")


def _print(directory: str, found: CompletenessReport, rows: list[SymbolDay]) -> None:
    totals = _totals(found, rows)
    verdict = "complete" if found.is_complete else "NOT COMPLETE"
    written = ", being written" if found.is_written else ""
    print_line(f"{directory}: {verdict}{written}")
    played = f", {found.played} of them played" if found.played else ""
    print_line(f"  {found.segments} segment(s){played}, {_length(totals['recorded_ns'])} recorded")
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for name in ("day", "symbol"):
        table.add_column(name, no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.day, row.symbol or "-", *_cells(msgspec.structs.asdict(row) | _sums(row)))
    if rows:
        table.add_row("all", "", *_cells(totals))
        Console(highlight=False, width=_WIDTH).print(table)
    for text in _texts(found, rows):
        Console(highlight=False).print(Text(text), soft_wrap=True)


def _sums(row: SymbolDay) -> dict[str, Any]:
    return {
        "synced": _share(row),
        "gaps": len(row.gaps),
        "missing": _missing(row),
        "stalls": sum(row.stalls.values()),
        "invalidated": sum(row.invalidated.values()),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    share = row["synced"]
    unsynced = row["wanted_ns"] - row["synced_ns"]
    counts = ("gaps", "missing", "backfilled", "stalls", "invalidated", "resyncs")
    return [
        "-" if share is None else _percent(share),
        "-" if share is None else f"{unsynced / NS_PER_S:,.1f} s",
        *(f"{row[name]:,}" if row[name] else "-" for name in counts),
        f"{row['messages']:,}",
    ]


def _percent(share: float) -> str:
    """Never 100 where it is not all."""
    return f"{100 * share:.3f}%" if share in (0.0, 1.0) else f"{min(max(100 * share, 0.001), 99.999):.3f}%"


def _length(ns: int) -> str:
    seconds = ns / NS_PER_S
    return f"{seconds:,.1f} s" if seconds < 600 else f"{seconds / 3600:,.2f} h"


def _texts(found: CompletenessReport, rows: list[SymbolDay]) -> list[str]:
    lines = []
    gaps = [(row.symbol or "-", gap) for row in rows for gap in row.gaps]
    for symbol, gap in gaps[:_MOST_GAPS]:
        count = "?" if gap.count is None else f"{gap.count:,}"
        ids = "" if gap.first is None else f" ({gap.first} to {gap.last})"
        interval = "" if gap.interval is None else f" {gap.interval} min"
        when = moment_text(gap.received_ns)
        lines.append(f"  ! gap: {gap.of}{interval} {symbol}: {count} missing{ids}, told {when}: {gap.reason}")
    if len(gaps) > _MOST_GAPS:
        lines.append(f"  ! and {len(gaps) - _MOST_GAPS:,} more gaps; --json has all")
    for each in found.counted.lost:
        where = f"run {each.run}, {span_text(each.received_ns)}"
        lines.append(f"  ! not in the journal: {inputs_text(each.first, each.last)}, {where}: {each.reason}")
    lines += [f"  ! {each.file} at byte {each.offset:,}: {each.reason}" for each in found.damage]
    if found.missing:
        lines.append(f"  ! missing: segment(s) {', '.join(map(str, found.missing))}")
    lines += [_break_text(each) for each in found.breaks]
    for day in found.counted.days:
        if day.disconnects:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in day.disconnects.items())
            lines.append(f"  {day.day}: {sum(day.disconnects.values())} disconnect(s): {reasons}")
    return lines


def _break_text(each: Break) -> str:
    until = "and nobody since" if each.began_ns is None else f"to {moment_text(each.began_ns)}"
    if each.closed is None:
        return f"  ! run {each.run} was not ended properly: nothing from {moment_text(each.ended_ns)} {until}"
    return f"  nobody recorded from {moment_text(each.ended_ns)} {until} (run {each.run} was {each.closed})"
