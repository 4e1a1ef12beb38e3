"""The exchange's side of REST `Trades` and `OHLC`: pages of a tape, and bodies that are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from helpers.wire import timestamp
from krakenwire.book import parse_timestamp
from krakenwire.protocol.outputs import Fetch

__all__ = ["RestTape", "kraken_error", "ohlc_body", "param", "tick_ns", "trades_body"]

NS = 1_000_000_000


def tick_ns(tick: int) -> int:
    """The time of the trade with this id, as `wire.trades` has it."""
    return parse_timestamp(timestamp(tick))


def param(fetch: Fetch, name: str) -> str | None:
    """One parameter of a call."""
    return dict(fetch.params).get(name)


def seconds(ns: int) -> str:
    """A time as REST writes it: a JSON number of seconds."""
    return f"{ns // NS}.{ns % NS:09}".rstrip("0").rstrip(".")


def trades_body(ids: Iterable[int], *, last: int | None = None, pair: str = "XXBTZUSD") -> bytes:
    """An answer of `Trades`; `last` is by default the time of the last one."""
    ids = list(ids)
    rows = ",".join(f'["100.50000","0.25000000",{seconds(tick_ns(i))},"b","l","",{i}]' for i in ids)
    cursor = (tick_ns(ids[-1]) if ids else 0) if last is None else last
    return f'{{"error":[],"result":{{"{pair}":[{rows}],"last":"{cursor}"}}}}'.encode()


def ohlc_body(begins: Iterable[int], *, trades: int = 9, pair: str = "XXBTZUSD") -> bytes:
    """An answer of `OHLC` with candles that begin at these seconds."""
    rows: list[list[Any]] = [[b, "1.0", "2.0", "0.5", "1.7", "1.2", "30.0", trades] for b in begins]
    return json.dumps({"error": [], "result": {pair: rows, "last": rows[-2][0] if len(rows) > 1 else 0}}).encode()


def kraken_error(text: str) -> bytes:
    """An answer that is an error."""
    return json.dumps({"error": [text]}).encode()


class RestTape:
    """Trades that REST has, by id; `Trades` answers as the exchange does.

    Args:
        ids: of the trades.
        page: the most that one answer holds.
    """

    def __init__(self, ids: Sequence[int], *, page: int = 1000) -> None:
        self.ids = list(ids)
        self.page = page

    def answer(self, fetch: Fetch) -> bytes:
        since, count = int(param(fetch, "since") or 0), int(param(fetch, "count") or 1000)
        found = [i for i in self.ids if tick_ns(i) > since][: min(count, self.page)]
        return trades_body(found, last=tick_ns(found[-1]) if found else since)
