"""How long a client takes to have hundreds of deep books back after its connection is lost, under load.

    python benchmarks/bench_reconnect.py [--symbols N] [--depth N] [--rate R] [--rounds N] [--json] [--check]

A simulator in a process of its own lists synthetic pairs and lets them move, `--rate` messages a second over all of
them. A client subscribes to every book over a real socket, at its usual pace (four requests a second), and a reader
takes every book's newest state. Then its socket is cut without a word, `--rounds` times. Measured are

- the time until all books are proven: at first, and after each cut (`Reconnected.took_ns`);
- the client's memory: resident once all books are there, and at its peak;
- the lag: of the event loop (how late a timer of 5 ms was at most) and of the reader (how old an event was at most), by
  themselves before the first cut and from the cut until all books are back.

With `--check` it ends with 1 if a book is not the simulator's at the end, or an event was lost in silence.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src")]

from krakenwire import Client, Endpoints, Options, Reconnected  # noqa: E402  # the path is set above
from krakenwire.book import KERNEL, BookUpdate  # noqa: E402  # the path is set above
from krakenwire.sim.market.market import Market  # noqa: E402  # the path is set above
from krakenwire.sim.server import SimulatorServer  # noqa: E402  # the path is set above
from krakenwire.sim.synthetic import synthetic, synthetic_assets  # noqa: E402  # the path is set above

MB = 1024 * 1024
TICK_S = 0.005
PATIENCE_S = 300.0


@dataclass
class Lags:
    """The most that was seen since the last `reset`, milliseconds."""

    loop_ms: float = 0.0
    reader_ms: float = 0.0
    past: list[dict[str, float]] = field(default_factory=list)

    def reset(self) -> dict[str, float]:
        """Begin anew; what was seen until now."""
        seen = {"loop_ms": round(self.loop_ms, 1), "reader_ms": round(self.reader_ms, 1)}
        self.loop_ms = self.reader_ms = 0.0
        return seen


def memory_mb() -> dict[str, float]:
    """Resident now and at the peak, of this process."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return {name: int(fields[key].split()[0]) / 1024 for name, key in (("rss", "VmRSS"), ("peak", "VmHWM"))}


def reset_peak() -> None:
    """Let the peak begin at what is resident now, where the kernel allows it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


async def serve(symbols: int, levels: int, rate: float, seed: int) -> None:
    """The simulator's process: tells its address, then the books' top ten at the end of stdin."""
    market = Market(synthetic(symbols, seed, levels=levels), seed=seed, assets=synthetic_assets(symbols))
    for symbol in market.symbols:
        market.stats(symbol)  # which makes its history up: now, not while it is to move
    server = SimulatorServer(market, rate=rate, seed=seed, max_buffer=1024 * MB)
    async with server:
        print(server.url, flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def simulator(wanted: argparse.Namespace) -> Iterator[str]:
    """A simulator in a process of its own; its URL."""
    command = [sys.executable, __file__, "--serve", "--symbols", str(wanted.symbols), "--depth", str(wanted.depth)]
    command += ["--rate", str(wanted.rate), "--seed", str(wanted.seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    try:
        url = stdout.readline()
        if not url:
            raise SystemExit("the simulator did not start")
        yield url.strip()
    finally:
        stdin.close()
        stdout.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def watch_loop(lags: Lags) -> None:
    """How late a short timer is."""
    loop = asyncio.get_running_loop()
    due = loop.time() + TICK_S
    while True:
        await asyncio.sleep(max(due - loop.time(), 0))
        lags.loop_ms = max(lags.loop_ms, (loop.time() - due) * 1000)
        due = loop.time() + TICK_S


async def consume(reader: Any, lags: Lags) -> None:
    """Take what there is, and see how old it is."""
    async for event in reader:
        if isinstance(event, BookUpdate):
            age_ms = (time.monotonic_ns() - event.received_mono_ns) / 1e6
            lags.reader_ms = max(lags.reader_ms, age_ms)


def proven(client: Client, wanted: int) -> bool:
    """Whether every book is there and synced."""
    states = [session.books.get(symbol) for session in client.core.sessions for symbol in session.books]
    return len(states) == wanted and all(state is not None and state.status == "synced" for state in states)


async def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    back: list[Reconnected] = []
    lags = Lags()

    def take(events: Any) -> None:
        back.extend(event for event in events if isinstance(event, Reconnected))

    with simulator(wanted) as url:
        base = memory_mb()["rss"]
        client = Client(Endpoints(public=url), options=Options(seed=wanted.seed), on_events=take)
        symbols = [listing.symbol for listing in synthetic(wanted.symbols, wanted.seed)]
        tasks: set[asyncio.Task[None]] = set()
        async with client:
            began = time.monotonic()
            async with client.stream(
                "book", symbols=symbols, depth=wanted.depth, policy="conflate", on_loss="yield"
            ) as reader:
                tasks.add(asyncio.create_task(consume(reader, lags)))
                await _until(lambda: proven(client, wanted.symbols))
                first_s = time.monotonic() - began
                tasks.add(asyncio.create_task(watch_loop(lags)))
                gc.collect()
                await asyncio.sleep(0.5)
                steady = memory_mb()["rss"]
                lags.reset()
                before = client.statistics()
                await asyncio.sleep(wanted.seconds)
                quiet = lags.reset()
                after = client.statistics()
                rounds = []
                for number in range(wanted.rounds):
                    reset_peak()
                    lags.reset()
                    client.drop_connections()
                    await _until(lambda number=number: len(back) > number)
                    event = back[number]
                    rounds.append(
                        {
                            "took_s": round(event.took_ns / 1e9, 3),
                            "downtime_s": round(event.downtime_ns / 1e9, 3),
                            "books": event.books,
                            "peak_mb": round(memory_mb()["peak"], 1),
                        }
                        | lags.reset()
                    )
                    await asyncio.sleep(wanted.seconds / 2)
                statistics = client.statistics()
                account = reader.statistics()
                for task in tasks:
                    task.cancel()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {KERNEL} kernel",
        "symbols": wanted.symbols,
        "depth": wanted.depth,
        "rate": wanted.rate,
        "messages_a_second": round((after.verified - before.verified) / wanted.seconds),
        "first_s": round(first_s, 3),
        "base_mb": round(base, 1),
        "steady_mb": round(steady, 1),
        "quiet": quiet,
        "rounds": rounds,
        "mismatched": statistics.mismatched,
        "dropped": account.dropped,
        "conflated": account.conflated,
    }


async def _until(reached: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110  # to look now and then costs less than to be told of every message
            await asyncio.sleep(0.01)


def text_of(figures: dict[str, Any]) -> str:
    """For a person."""
    quiet = figures["quiet"]
    lines = [
        f"{figures['symbols']} books at depth {figures['depth']}, {figures['messages_a_second']:,} messages a second "
        f"({figures['machine']}, {figures['date']})",
        f"  subscribed and proven at first      {figures['first_s']:8.3f} s",
        f"  memory: before {figures['base_mb']:.0f} MB, with all books {figures['steady_mb']:.0f} MB",
        f"  lag before any cut: loop {quiet['loop_ms']:.0f} ms, reader {quiet['reader_ms']:.0f} ms at most",
    ]
    lines += [
        f"  cut {number}: all proven after {each['took_s']:8.3f} s (no socket for {each['downtime_s']:.3f} s), "
        f"peak {each['peak_mb']:.0f} MB, lag: loop {each['loop_ms']:.0f} ms, reader {each['reader_ms']:.0f} ms at most"
        for number, each in enumerate(figures["rounds"], 1)
    ]
    return "\n".join(lines)


def main() -> int:
    """As told on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--depth", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=2000.0, help="messages a second over all books")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load before the first cut")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve:
        asyncio.run(serve(wanted.symbols, wanted.depth + 100, wanted.rate, wanted.seed))
        return 0
    figures = asyncio.run(measure(wanted))
    print(json.dumps(figures) if wanted.json else text_of(figures))
    whole = all(each["books"] == wanted.symbols for each in figures["rounds"])
    return int(wanted.check and not (whole and figures["mismatched"] == 0 and figures["dropped"] == 0))


if __name__ == "__main__":
    sys.exit(main())
