"""What it costs to keep the evidence of wrong books (`Client(bundles=…)`), for each message of a book.

    python benchmarks/bench_bundles.py [--frames N] [--rounds N] [--json] [--check]

Frames of one synthetic pair go through a core, with and without evidence being kept, at depth 10 and at depth 1000: the
difference is what `bundles=` adds to a message. A figure is the best of the rounds, nanoseconds a frame. With `--check`
it ends with 1 if a frame costs more than three times as much with evidence as without.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src")]

from krakenwire.book import KERNEL  # noqa: E402  # the path is set above
from krakenwire.events import Stamp  # noqa: E402  # the path is set above
from krakenwire.journal.bundles.evidence import Evidence  # noqa: E402  # the path is set above
from krakenwire.protocol.core import Core  # noqa: E402  # the path is set above
from krakenwire.sim.feed.feed import Stream  # noqa: E402  # the path is set above
from krakenwire.sim.market.market import Market  # noqa: E402  # the path is set above
from krakenwire.sim.source import MarketSource  # noqa: E402  # the path is set above
from krakenwire.sim.synthetic import synthetic, synthetic_assets  # noqa: E402  # the path is set above

DEPTHS = (10, 1000)
MOST = 3.0
READ = 16
"""Frames of one socket read."""


def frames_of(depth: int, count: int) -> list[bytes]:
    """A snapshot and so many updates."""
    source: MarketSource[str] = MarketSource(Market(synthetic(1), seed=3, assets=synthetic_assets(1)))
    frames = source.open("us", Stream("book", source.symbols[0], depth), True)
    while len(frames) <= count:
        frames += [frame for _, _, frame in source.step(None)]
    return frames


def play(frames: list[bytes], *, keeps: bool) -> float:
    """Nanoseconds a frame, through a core and, if wanted, into the evidence."""
    core = Core(passive=True)
    stamp = Stamp("public", 0, 1, 1)
    with tempfile.TemporaryDirectory() as directory:
        evidence = Evidence(directory, core)
        core.receive_frame(frames[0], stamp)
        evidence.see(core.events)
        core.events.clear()
        began = time.perf_counter_ns()
        for start in range(1, len(frames), READ):
            for frame in frames[start : start + READ]:
                core.receive_frame(frame, stamp)
            if keeps:
                evidence.see(core.events)
            core.events.clear()
        took = time.perf_counter_ns() - began
        evidence.close()
    if core.statistics().verified != len(frames):
        raise SystemExit("a frame did not prove")
    return took / (len(frames) - 1)


def main() -> int:
    """As told on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    wanted = parser.parse_args()
    figures: dict[str, object] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {KERNEL} kernel",
    }
    lines = []
    too_slow = False
    for depth in DEPTHS:
        frames = frames_of(depth, wanted.frames)
        runs = [(play(frames, keeps=False), play(frames, keeps=True)) for _ in range(wanted.rounds)]
        without, kept = min(run[0] for run in runs), min(run[1] for run in runs)
        too_slow |= kept > MOST * without
        figures[f"depth_{depth}"] = {"without_ns": round(without), "with_ns": round(kept)}
        lines.append(
            f"depth {depth:>4}: {without:7.0f} ns a frame without, {kept:7.0f} with evidence (+{kept - without:.0f})"
        )
    print(json.dumps(figures) if wanted.json else "\n".join([str(figures["machine"]), *lines]))
    return int(wanted.check and too_slow)


if __name__ == "__main__":
    sys.exit(main())
