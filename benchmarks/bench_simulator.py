"""How many book messages the simulator makes and delivers, so that no client is measured against a slow server.

    python benchmarks/bench_simulator.py [--seconds S] [--rounds N] [--json] [--check]

Twenty symbols of the matching engine at depth 10, accounts on, with orders of one resting in every book. Measured are

- the ceiling: moves made and encoded, in one process and without a socket;
- one client: all a server sends as fast as it goes, over a real socket, to a reader that only counts;
- a hundred clients, 500 messages a second each, all read by one process that only counts.

The server has one core for itself, its readers have another one, where the system lets processes be pinned. A figure is
the best of the rounds. `--check` exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import platform
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, cast

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src")]

from krakenwire.sim.accounts.accounts import Accounts  # noqa: E402  # the path is set above
from krakenwire.sim.engine.model import AddOrder, Refusal  # noqa: E402  # the path is set above
from krakenwire.sim.feed.feed import Stream  # noqa: E402  # the path is set above
from krakenwire.sim.instruments import default_listings  # noqa: E402  # the path is set above
from krakenwire.sim.market.market import Market  # noqa: E402  # the path is set above
from krakenwire.sim.server import SimulatorServer  # noqa: E402  # the path is set above
from krakenwire.sim.source import MarketSource  # noqa: E402  # the path is set above

SYMBOLS = [listing.symbol for listing in default_listings()]
DEPTH = 10
CLIENTS = 100
RATE = 500.0
WARM_UP_S = 1.0
CEILING_STEPS = 5_000
UPDATE = b'{"channel":"book","type":"update"'
RECEIVE = 1 << 20

ONE_CLIENT = 40_000.0
EACH_CLIENT = 0.99 * RATE


def make_market() -> Market:
    """The market that is measured: some of an account's orders rest in every book."""
    accounts = Accounts.default().engine_accounts()
    market = Market(seed=1, accounts=accounts)
    for symbol in SYMBOLS:
        instrument, book = market.instrument(symbol), market.book(symbol)
        for rank in (3, 6, 9):
            for side, levels in (("buy", book.bids), ("sell", book.asks)):
                key = levels.keys[min(rank, len(levels) - 1)]
                price = Decimal(levels.sign * key).scaleb(-instrument.price_precision)
                order = AddOrder(
                    symbol=symbol,
                    side="buy" if side == "buy" else "sell",
                    order_type="limit",
                    order_qty=max(instrument.qty_min, instrument.qty_increment),
                    limit_price=price,
                )
                with contextlib.suppress(Refusal):  # it cannot afford it, or it would cost too little
                    market.engine.add(accounts[0].name, order)
    market.drain()
    return market


def pin(core: int) -> None:
    """Keep this process on one core, where that can be said."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


# --- the ceiling -----------------------------------------------------------------------------------------------------


def ceiling(seconds: float) -> float:
    """Book messages a second that are made and encoded."""
    source: MarketSource[str] = MarketSource(make_market())
    for symbol in SYMBOLS:
        source.open("reader", Stream("book", symbol, DEPTH), snapshot=True)
    best = 0.0
    end = time.perf_counter() + seconds + WARM_UP_S
    gc.collect()
    while time.perf_counter() < end:
        messages = 0
        begin = time.perf_counter()
        for _ in range(CEILING_STEPS):
            messages += len(source.step(None))
        best = max(best, messages / (time.perf_counter() - begin))
    return best


# --- the server ------------------------------------------------------------------------------------------------------


async def serve(rate: float | None) -> None:
    """Serve until stdin ends; prints the URL first, and in the end the part of its core that was used."""
    async with SimulatorServer(make_market(), accounts=Accounts.default(), rate=rate, message_rate=1e6) as server:
        print(server.url, flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.readline)
        begin, used = time.perf_counter(), time.process_time()
        await loop.run_in_executor(None, sys.stdin.read)
        print((time.process_time() - used) / (time.perf_counter() - begin), flush=True)


class Server:
    """The server, in a process of its own."""

    def __init__(self, rate: float | None) -> None:
        command = [sys.executable, __file__, "--serve", str(rate or 0)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stdin = cast("IO[str]", self._process.stdin)
        self._stdout = cast("IO[str]", self._process.stdout)
        self.url = self._stdout.readline().strip()

    def begin(self) -> None:
        """Measure its use of the processor from now on."""
        self._stdin.write("\n")
        self._stdin.flush()

    def end(self) -> float:
        """Stop it; returns the part of a core it has used."""
        self._stdin.close()
        share = float(self._stdout.readline())
        self._stdout.close()
        self._process.wait(10)
        return share


# --- the readers -----------------------------------------------------------------------------------------------------


class Reader:
    """A client that subscribes and then only counts: `messages` so far."""

    def __init__(self, url: str) -> None:
        address, _, path = url.removeprefix("ws://").partition("/")
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        params = {"channel": "book", "symbol": SYMBOLS, "depth": DEPTH}
        request = json.dumps({"method": "subscribe", "params": params}).encode()
        # A text message under a mask of zeros.
        self.socket.sendall(b"\x81\xfe" + len(request).to_bytes(2, "big") + bytes(4) + request)
        self.messages = 0
        self._tail = b""

    def read(self) -> None:
        """Take what has come."""
        data = self._tail + self.socket.recv(RECEIVE)
        if len(data) == len(self._tail):
            raise SystemExit("the server has closed a connection")
        self.messages += data.count(UPDATE)
        # What may be the beginning of one more.
        self._tail = data[-len(UPDATE) + 1 :]


@contextlib.contextmanager
def readers(url: str, count: int) -> Iterator[tuple[list[Reader], selectors.BaseSelector]]:
    """So many clients, and what tells which of them has something to read."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        clients = [Reader(url) for _ in range(count)]
        for client in clients:
            stack.enter_context(client.socket)
            selector.register(client.socket, selectors.EVENT_READ, client)
        yield clients, selector


def drain(selector: selectors.BaseSelector, seconds: float) -> float:
    """Read for so long; returns how long it was."""
    begin = time.perf_counter()
    while (now := time.perf_counter()) < begin + seconds:
        for key, _ in selector.select(begin + seconds - now):
            key.data.read()
    return now - begin


def deliver(count: int, rate: float | None, seconds: float) -> tuple[list[float], float]:
    """For each of so many clients the messages a second it was sent, and what part of its core the server used."""
    server = Server(rate)
    try:
        with readers(server.url, count) as (clients, selector):
            drain(selector, WARM_UP_S)
            server.begin()
            before = [client.messages for client in clients]
            took = drain(selector, seconds)
            rates = [(client.messages - start) / took for client, start in zip(clients, before, strict=True)]
    finally:
        share = server.end()
    return rates, share


# --- the report ------------------------------------------------------------------------------------------------------


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each measurement takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        pin(0)
        asyncio.run(serve(arguments.serve or None))
        return 0
    rounds, seconds = arguments.rounds, arguments.seconds
    pin(1)
    made = max(ceiling(seconds) for _ in range(rounds))
    one = max(deliver(1, None, seconds)[0][0] for _ in range(rounds))
    many, share = max((deliver(CLIENTS, RATE, seconds) for _ in range(rounds)), key=lambda result: sum(result[0]))
    average, least = sum(many) / CLIENTS, min(many)
    judged = [
        (
            f"one client takes {one:,.0f} book messages a second, at least {ONE_CLIENT:,.0f} is the target",
            one >= ONE_CLIENT,
        ),
        (
            f"{CLIENTS} clients take {average:,.1f} a second each, at least {EACH_CLIENT:,.0f} is the target",
            average >= EACH_CLIENT,
        ),
    ]
    if arguments.json:
        report = {
            "machine": machine(),
            "book_messages_per_second": {
                "made and encoded": made,
                "one client": one,
                "each of 100 clients": {"average": average, "least": least, "core_used": share},
            },
            "targets_met": all(met for _, met in judged),
        }
        print(json.dumps(report, indent=2))
    else:
        print(machine())
        print(f"\n{len(SYMBOLS)} symbols at depth {DEPTH}, accounts on{'book messages/s':>33}")
        print(f"  {'made and encoded, no socket':<44}{made:>20,.0f}")
        print(f"  {'one client, as fast as it goes':<44}{one:>20,.0f}")
        print(f"  {f'{CLIENTS} clients, {RATE:.0f} each: average of them':<44}{average:>20,.1f}")
        print(f"  {'the least of them':<44}{least:>20,.1f}")
        print(f"  {'all of them':<44}{sum(many):>20,.0f}   with {share:.0%} of a core")
        print()
        print("\n".join(f"{'met   ' if met else 'MISSED'} {text}" for text, met in judged))
    return 1 if arguments.check and not all(met for _, met in judged) else 0


def machine() -> str:
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )


if __name__ == "__main__":
    sys.exit(main())
