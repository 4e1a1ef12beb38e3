"""What a journal costs the feed: from the socket read to a consumer that has the event, with a journal and without.

    python benchmarks/bench_journal_feed.py [--rounds N] [--seconds S] [--rate R] [--sync POLICY] [--json] [--check]

The simulator runs in a process of its own and sends so many messages a second over a real socket (20,000 by default);
a consumer takes each event by `async for` and reads the clock. Rounds with and without are interleaved, each with a
client of its own, and what counts is the median over the rounds of the ratio of their 99th percentiles. `--check` ends
with 1 if that is more than 1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src")]

from krakenwire import Client, Endpoints, LatencyRecorder  # noqa: E402  # the path is set above
from krakenwire.journal.writing.options import JournalOptions  # noqa: E402  # the path is set above

SYMBOLS = ["BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD"]
WARM_UP_S = 0.5
MOST = 1.5


class Round(NamedTuple):
    """One run: microseconds of latency, messages a second, microseconds of the process a message; inputs lost."""

    p50: float
    p99: float
    messages: float
    cpu: float
    lost: int


@contextmanager
def simulator(rate: float) -> Iterator[str]:
    """The simulator in a process of its own; its public URL."""
    command = [sys.executable, "-m", "krakenwire", "sim", "--json", "--rate", str(rate), "--symbols", ",".join(SYMBOLS)]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        if process.stdout is None:
            raise RuntimeError("the simulator has no output")
        try:
            yield json.loads(process.stdout.readline())["env"]["KRAKEN_WS_PUBLIC_URL"]
        finally:
            process.terminate()


async def run(url: str, seconds: float, journal: JournalOptions | None) -> Round:
    """One client for so long."""
    latencies = LatencyRecorder()
    count = cpu = 0
    async with Client(Endpoints(public=url), journal=journal) as kraken:
        async with kraken.stream(
            "book", "trade", symbols=SYMBOLS, depth=10, policy="drop_oldest", on_loss="yield"
        ) as reader:
            began = time.monotonic_ns() + round(WARM_UP_S * 1e9)
            ends = began + round(seconds * 1e9)
            async for event in reader:
                now = time.monotonic_ns()
                received = event.stamp.received_mono_ns
                if received < began:
                    cpu = time.process_time_ns()
                    continue
                latencies.record(now - received)
                count += 1
                if now > ends:
                    break
            cpu = time.process_time_ns() - cpu
        recording = kraken.recording()
    p50, p99 = (latencies.percentile(point) or 0 for point in (50, 99))
    lost = 0 if recording is None else recording.lost
    return Round(p50 / 1e3, p99 / 1e3, count / seconds, cpu / count / 1e3, lost)


def measure(rounds: int, seconds: float, rate: float, sync: Any) -> list[tuple[Round, Round]]:
    """Pairs of rounds: without a journal, and with one."""
    found = []
    with simulator(rate) as url, tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(url, 1.0, None))
        for number in range(rounds):
            options = JournalOptions(directory=Path(directory, str(number)), sync=sync)
            contestants = [None, options]
            taken = {}
            for journal in contestants if number % 2 else reversed(contestants):
                gc.collect()
                taken[journal is not None] = asyncio.run(run(url, seconds, journal))
            found.append((taken[False], taken[True]))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--sync", default="interval", choices=["always", "interval", "never"])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--check", action="store_true", help=f"fail if the median ratio is more than {MOST}")
    arguments = parser.parse_args()
    pairs = measure(arguments.rounds, arguments.seconds, arguments.rate, arguments.sync)
    ratios = [recorded.p99 / plain.p99 for plain, recorded in pairs]
    ratio = statistics.median(ratios)
    machine = f"{platform.machine()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"
    if arguments.json:
        rounds = [{"without": plain._asdict(), "with": recorded._asdict()} for plain, recorded in pairs]
        print(json.dumps({"machine": machine, "rounds": rounds, "median_p99_ratio": round(ratio, 3)}, indent=2))
    else:
        print(f"{machine}; {arguments.rate:,.0f} messages a second asked for, sync={arguments.sync}")
        print(f"{'':12}{'p50 µs':>10}{'p99 µs':>10}{'messages/s':>12}{'CPU µs':>10}")
        for name, runs in (("without", [plain for plain, _ in pairs]), ("with", [recorded for _, recorded in pairs])):
            p50, p99, messages, cpu = (statistics.median(each[place] for each in runs) for place in range(4))
            print(f"{name:12}{p50:>10,.0f}{p99:>10,.0f}{messages:>12,.0f}{cpu:>10.1f}")
        print(f"ratio of the p99, round by round: {' '.join(f'{each:.2f}' for each in ratios)}; median {ratio:.2f}")
        print(f"inputs that a journal does not have: {sum(recorded.lost for _, recorded in pairs)}")
    if arguments.check and ratio > MOST:
        sys.exit(f"the median ratio is {ratio:.2f}, more than {MOST}")


if __name__ == "__main__":
    main()
