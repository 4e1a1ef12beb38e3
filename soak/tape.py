"""Whether the client's trades are the exchange's: each once, in order, and none lost that was not told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from .records import Shelf, Traded, read_traded

__all__ = ["TapeVerdict", "compare_tape", "compare_tapes"]


class TapeVerdict(NamedTuple):
    """What came of the comparison.

    Attributes:
        given: trades that the client gave out.
        lost: numbers of trades that are missing from the first that was given to the last of the exchange.
        told: of these, how many a `Gap` told of.
        doubled: trades given twice.
        disordered: trades given behind a later one.
        different: trades that say something else than the exchange's.
        rounded: the same, of symbols whose decimals changed: what is fetched later is told in the decimals of then.
    """

    given: int
    lost: int
    told: int
    doubled: int
    disordered: int
    different: int
    rounded: int


def compare_tape(
    tape: Sequence[Traded], given: Sequence[Traded], gaps: Sequence[tuple[int, int]], *, is_rescaled: bool = False
) -> TapeVerdict:
    """Compare one symbol.

    Args:
        tape: the exchange's trades, in order.
        given: the client's, in the order in which they were given out.
        gaps: first and last number of each `Gap` that was told.
        is_rescaled: the symbol's decimals changed.
    """
    true = dict(tape)
    seen: set[int] = set()
    doubled = disordered = different = 0
    last = 0
    for trade_id, digest in given:
        if trade_id in seen:
            doubled += 1
            continue
        seen.add(trade_id)
        disordered += trade_id < last
        last = max(last, trade_id)
        different += trade_id in true and true[trade_id] != digest
    first = min(seen, default=None)
    missing = [] if first is None else [trade_id for trade_id in true if trade_id >= first and trade_id not in seen]
    told = sum(any(low <= trade_id <= high for low, high in gaps) for trade_id in missing)
    exact, rounded = (0, different) if is_rescaled else (different, 0)
    return TapeVerdict(len(given), len(missing), told, doubled, disordered, exact, rounded)


def compare_tapes(
    exchange: Shelf, client: Shelf, gaps: dict[str, list[tuple[int, int]]], rescaled: Collection[str]
) -> TapeVerdict:
    """Compare all symbols; `gaps` by symbol, `rescaled` those whose decimals changed."""
    total = TapeVerdict(0, 0, 0, 0, 0, 0, 0)
    for name in exchange.names():
        what, _, symbol = name.partition("=")
        if what == "tape":
            true, given = read_traded(exchange.data(name)), read_traded(client.data(f"given={symbol}"))
            wire_name = symbol.replace("_", "/")
            one = compare_tape(true, given, gaps.get(wire_name, []), is_rescaled=wire_name in rescaled)
            total = TapeVerdict(*(each + more for each, more in zip(total, one, strict=True)))
    return total
