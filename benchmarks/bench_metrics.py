"""What metrics cost the feed, and what a scrape costs: the same socket reads with and without them, in one run.

    python benchmarks/bench_metrics.py [--rounds N] [--json]

A figure is nanoseconds per frame from the socket read to a reader that takes what came, best and median of the rounds;
what counts is the ratio. Book messages of depth 10 are the cheapest there are, so that the ratio is the worst.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src"), str(CHECKOUT / "tests")]

from helpers.frames import v2_element, v2_frame, walk  # noqa: E402  # the path is set above
from krakenwire import Client, Endpoints, LatencyRecorder  # noqa: E402  # the path is set above
from krakenwire.hub import Inbox, Interest  # noqa: E402  # the path is set above
from krakenwire.metrics import ClientCollector  # noqa: E402  # the path is set above
from krakenwire.net.transport import Listener, Transport  # noqa: E402  # the path is set above
from krakenwire.protocol.subscriptions import Key  # noqa: E402  # the path is set above

FRAMES = 4096
BURSTS = (1, 8, 64)
SYMBOL = "BTC/USD"
READERS = 50
RECORDS = 100_000


class Socket:
    """A transport that goes nowhere, and its listener."""

    def __init__(self) -> None:
        self.listener: Listener

    async def __call__(self, url: str, listener: Listener) -> Transport:
        """Open at once."""
        self.listener = listener
        return self

    def send_text(self, text: bytes) -> None:
        """Nobody reads it."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """It stays open."""

    def abort(self, reason: str = "") -> None:
        """It stays open."""

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""


def make_frames() -> list[bytes]:
    """A snapshot and updates of one book; they can be played again and again."""
    return [
        v2_frame(kind, v2_element(SYMBOL, bids, asks, checksum))
        for kind, bids, asks, checksum, _ in walk(1, symbol=SYMBOL, depth=10, updates=FRAMES - 1)
    ]


async def make_feed(collector: ClientCollector | None, every: int) -> Callable[[Sequence[bytes], int], None]:
    """A client with a book and a reader; what plays frames to it in reads of so many."""
    socket = Socket()
    client = Client(Endpoints(), connector=socket)
    await client.connect()
    feed = client._feed
    feed.core.subscribe([Key("book", SYMBOL, 10)], feed.opened()[0].now())
    inbox = Inbox(capacity=2 * FRAMES)
    feed.hub.attach(inbox, [Interest("book")])
    if collector is not None:
        collector.add(client, f"every {every}", every=every)
    listener = socket.listener

    def play(frames: Sequence[bytes], burst: int) -> None:
        for start in range(0, len(frames), burst):
            read = frames[start : start + burst]
            for frame in read[:-1]:
                listener.receive_frame(frame, False)
            listener.receive_frame(read[-1], True)
            inbox.take_batch(burst)

    return play


async def measure(rounds: int) -> list[tuple[str, int, list[float]]]:
    """For each contestant and burst: nanoseconds per frame, round by round."""
    frames = make_frames()
    collector = ClientCollector()
    contestants = {
        "without metrics": await make_feed(None, 0),
        "with metrics": await make_feed(collector, 8),
        "with metrics, every read timed": await make_feed(collector, 1),
    }
    found = []
    gc.disable()
    for burst in BURSTS:
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, play in contestants.items():
                began = time.perf_counter_ns()
                play(frames, burst)
                taken[name].append((time.perf_counter_ns() - began) / len(frames))
        found += [(name, burst, figures) for name, figures in taken.items()]
    gc.enable()
    return found


async def measure_scrape(rounds: int) -> tuple[float, float]:
    """Milliseconds of a scrape of a client with some readers: all of it, and what the event loop does of it."""
    socket = Socket()
    client = Client(Endpoints(), connector=socket)
    await client.connect()
    for number in range(READERS):
        client._feed.hub.attach(Inbox(name=f"reader {number}"), [Interest("book")])
    collector = ClientCollector()
    collector.add(client)
    registry = CollectorRegistry()
    registry.register(collector)
    whole, on_loop = [], []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        generate_latest(registry)
        whole.append((time.perf_counter_ns() - began) / 1e6)
        began = time.perf_counter_ns()
        collector._observers["default"].read(1.0)
        on_loop.append((time.perf_counter_ns() - began) / 1e6)
    return min(whole), min(on_loop)


def measure_record(rounds: int) -> float:
    """Nanoseconds that one `LatencyRecorder.record` takes, the loop around it included."""
    durations = [(number * 7919) % 50_000_000 for number in range(RECORDS)]
    best = float("inf")
    for _ in range(rounds):
        record = LatencyRecorder().record
        began = time.perf_counter_ns()
        for ns in durations:
            record(ns)
        best = min(best, (time.perf_counter_ns() - began) / RECORDS)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.rounds))
    scrape, on_loop = asyncio.run(measure_scrape(arguments.rounds))
    record = measure_record(arguments.rounds)
    bare = {burst: figures for name, burst, figures in found if name == "without metrics"}
    rows = [
        {
            "contestant": name,
            "frames_a_read": burst,
            "best_ns": round(min(figures), 1),
            "median_ns": round(statistics.median(figures), 1),
            "ratio": round(statistics.median(figures) / statistics.median(bare[burst]), 3),
        }
        for name, burst, figures in found
    ]
    machine = f"{platform.machine()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"
    if arguments.json:
        more = {"scrape_ms": round(scrape, 3), "scrape_on_loop_ms": round(on_loop, 3), "record_ns": round(record, 1)}
        print(json.dumps({"machine": machine, "rows": rows} | more, indent=2))
        return
    print(f"{machine}; ns per frame, {arguments.rounds} rounds")
    print(f"{'':32}{'a read':>8}{'best':>9}{'median':>9}{'ratio':>8}")
    for row in rows:
        print(
            f"{row['contestant']:32}{row['frames_a_read']:>8}{row['best_ns']:>9}{row['median_ns']:>9}{row['ratio']:>8}"
        )
    print(f"one scrape, {READERS} readers: {scrape:.2f} ms, of which on the feed's loop {on_loop:.2f} ms")
    print(f"one LatencyRecorder.record: {record:.0f} ns")


if __name__ == "__main__":
    main()
