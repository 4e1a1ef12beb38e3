"""What it costs to watch over the liveness of thousands of streams: one sweep a second, whatever the traffic.

    python benchmarks/bench_liveness.py [--symbols N] [--rounds N] [--json]

The books of so many symbols are held. `spoke`: each had a message since the last sweep; `quiet`: none had.
With `witnesses` each symbol has a ticker as well, and both spoke. A figure is the best of the rounds, in microseconds a
sweep; a sweep is due once a second, so a thousand of these microseconds are a thousandth of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src")]

from krakenwire.book import KERNEL, Books, BookUpdate  # noqa: E402  # the path is set above
from krakenwire.events import Stamp, Ticker  # noqa: E402  # the path is set above
from krakenwire.protocol.liveness.liveness import Liveness  # noqa: E402  # the path is set above
from krakenwire.protocol.options import Options  # noqa: E402  # the path is set above
from krakenwire.protocol.subscriptions import Key, SubscriptionTable  # noqa: E402  # the path is set above
from krakenwire.protocol.wire.answers import Ack  # noqa: E402  # the path is set above
from krakenwire.protocol.wire.symbols import Catalogue  # noqa: E402  # the path is set above

NS = 1_000_000_000
FRAME = (
    '{{"channel":"book","type":"snapshot","data":[{{"symbol":"{}","bids":[{{"price":99.0,"qty":1.0}}],'
    '"asks":[{{"price":101.0,"qty":1.0}}],"checksum":{},"timestamp":"2026-07-19T17:54:39.614696Z"}}]}}'
)
CHECKSUM = 3112449789
ACK = Ack(method="subscribe", success=True)
TICKER = Ticker(
    symbol="",
    type="update",
    bid=Decimal(99),
    bid_qty=Decimal(1),
    ask=Decimal(101),
    ask_qty=Decimal(1),
    last=None,
    volume=None,
    vwap=None,
    low=None,
    high=None,
    change=None,
    change_pct=None,
    exchange_ns=None,
)


class Watched:
    """So many symbols, subscribed, and what they say."""

    def __init__(self, symbols: int, *, tickers: bool) -> None:
        self.books = Books()
        self.table = SubscriptionTable(100)
        self.liveness = Liveness(Options(), Catalogue(), self.table)
        self.names = [f"A{i}/USD" for i in range(symbols)]
        self.tickers = tickers
        self.now = NS
        self.n = 0
        for name in self.names:
            self._subscribe(Key("book", name, 10))
            if tickers:
                self._subscribe(Key("ticker", name, "bbo"))

    def speak(self) -> None:
        """A message of each stream."""
        out: list[BookUpdate] = []
        stamp = Stamp("public", 0, self.now, self.now)
        for name in self.names:
            self.n += 1
            self.books.apply(FRAME.format(name, CHECKSUM).encode(), out, stamp, self.n)
            if self.tickers:
                self.liveness.heard.tickers[name] = msgspec.structs.replace(TICKER, symbol=name, stamp=stamp, n=self.n)

    def sweep(self) -> float:
        """Microseconds of the next one."""
        self.now += NS
        began = time.perf_counter_ns()
        self.liveness.sweep(self.now, self.now)
        return (time.perf_counter_ns() - began) / 1000

    def _subscribe(self, key: Key) -> None:
        self.table.active(self.table.want(key))
        book = self.books.add(key.symbol or "", 10) if key.channel == "book" else None
        self.liveness.subscribed(key, ACK, book, self.now)


def measure(symbols: int, rounds: int) -> dict[str, float]:
    """The figures, by their names."""
    figures: dict[str, float] = {}
    for name, tickers in (("", False), (" with witnesses", True)):
        watched = Watched(symbols, tickers=tickers)
        spoke: list[float] = []
        for _ in range(rounds):
            watched.speak()
            spoke.append(watched.sweep())
        figures["spoke" + name] = min(spoke)
        figures["quiet" + name] = min(watched.sweep() for _ in range(5))
        assert not watched.liveness.found, "nothing is wrong with them"  # noqa: S101  # else it would measure another thing
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--symbols", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.symbols, arguments.rounds)
    if arguments.json:
        print(json.dumps({"symbols": arguments.symbols, "kernel": KERNEL, "us_per_sweep": figures}))
        return
    print(f"{datetime.now(UTC):%Y-%m-%d} {platform.python_version()} {os.cpu_count()} cores, kernel {KERNEL}")
    for name, us in figures.items():
        print(f"{arguments.symbols} symbols, {name:22} {us:8.0f} us a sweep")


if __name__ == "__main__":
    main()
