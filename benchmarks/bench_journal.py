"""What it costs to write a journal, and how small it gets.

    python benchmarks/bench_journal.py [--seconds S] [--json] [--check]

Append: recorded frames, over and over, are put into blocks, proven, compressed and written to a file, for `--seconds`
(3) of this process's CPU time, all of it counted; a socket read brings one frame, and each has its own moment.

Smaller: one recording, once through, as its own rate has it: exponential gaps of the recording's mean, a clock in UTC
that drifts by tens of nanoseconds against the monotonic one, a flush every so many seconds as recording does it. Sealed
is the same text compressed again. Raw is the frames' bytes and a line feed each.

Recorded frames are used where they are (KRAKENWIRE_CAPTURES, or ../shared/captures), else generated ones, whose sizes
are shown and not judged. With `--check` it ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src")]

from krakenwire.book import KERNEL  # noqa: E402  # the path is set above
from krakenwire.events import Stamp  # noqa: E402  # the path is set above
from krakenwire.journal.files.zstd import ZstdCompressor  # noqa: E402  # the path is set above
from krakenwire.journal.format import BlockWriter, close_block, read_block  # noqa: E402  # the path is set above
from krakenwire.journal.format.compression import (  # noqa: E402  # the path is set above
    DIGEST_S,
    FLUSH_S,
    SEALED_FRAME_BYTES,
    sealed_options,
)
from krakenwire.journal.writing.disk import Disk  # noqa: E402  # the path is set above
from krakenwire.journal.writing.recorder import BLOCK_BYTES  # noqa: E402  # the path is set above
from krakenwire.journal.writing.segment import SegmentFile  # noqa: E402  # the path is set above
from krakenwire.sim.feed.feed import Stream  # noqa: E402  # the path is set above
from krakenwire.sim.market.market import Market  # noqa: E402  # the path is set above
from krakenwire.sim.source import MarketSource  # noqa: E402  # the path is set above
from krakenwire.sim.synthetic import synthetic, synthetic_assets  # noqa: E402  # the path is set above

NS = 1_000_000_000
FRAMES_PER_CPU_SECOND = 500_000
SECONDS = 119
"""How long the recordings took."""
UTC_NS = 1_790_000_000 * NS
SEED = 7


class Workload(NamedTuple):
    """Frames, and how many times smaller they are to get: while recording, and once sealed."""

    name: str
    frames: list[bytes]
    live: float
    sealed: float

    @property
    def raw(self) -> int:
        """Bytes of the frames, one a line."""
        return sum(len(frame) + 1 for frame in self.frames)


def recorded(captures: Path) -> list[Workload]:
    """The captures."""
    return [
        Workload(name, [line for line in (captures / file).read_bytes().split(b"\n") if line], live, sealed)
        for name, file, live, sealed in (
            ("v2, one pair at depth 10", "v2_book10_btcusd_2026.frames.jsonl", 7.0, 8.0),
            ("v2, ten pairs at depth 1000", "v2_book1000_10pairs_reencoded.frames.jsonl", 7.0, 8.0),
            ("v1, ten pairs at depth 1000", "v1_book1000_10pairs_2021.frames.jsonl", 4.0, 4.5),
        )
    ]


def generated() -> list[Workload]:
    """The simulator's market instead."""
    source: MarketSource[str] = MarketSource(Market(synthetic(1), seed=SEED, assets=synthetic_assets(1)))
    frames = source.open("us", Stream("book", source.symbols[0], 10), True)
    while len(frames) < 10_000:
        frames += [frame for _, _, frame in source.step(None)]
    return [Workload("generated, one pair at depth 10", frames, 0.0, 0.0)]


def moments(count: int, mean_ns: float) -> list[Stamp]:
    """One socket read each."""
    rng = random.Random(SEED)
    received, mono, stamps = UTC_NS, 5 * NS, []
    for _ in range(count):
        passed = 1 + int(rng.expovariate(1 / mean_ns))
        mono += passed
        received += passed + rng.randint(-40, 40)
        stamps.append(Stamp("public", 0, received, mono))
    return stamps


def append(frames: list[bytes], seconds: float, directory: Path) -> float:
    """Frames for each CPU second of all threads, from the frame to the file."""
    stamps = moments(len(frames), NS / 100_000)
    file = SegmentFile(Disk(), directory / "append.zst", b"journal {}")
    writer = BlockWriter()
    written = 0
    began = time.process_time_ns()
    while time.process_time_ns() - began < seconds * NS:
        add = writer.frame
        for frame, stamp in zip(frames, stamps, strict=True):
            add(frame, stamp)
            if writer.size >= BLOCK_BYTES:
                file.write(close_block(writer.take()), stamp.received_ns)
        written += len(frames)
    file.write(close_block(writer.take()), stamps[-1].received_ns, is_last=True)
    took = time.process_time_ns() - began
    file.close()
    (directory / "append.zst").unlink()
    return written * NS / took


def blocks_of(frames: list[bytes]) -> list[tuple[bytes, int]]:
    """What recording makes of the frames at their own rate, and when each block was taken."""
    rng = random.Random(SEED)
    stamps = moments(len(frames), SECONDS * NS / len(frames))
    writer, blocks = BlockWriter(), []
    flushed = digested = stamps[0].received_mono_ns
    for frame, stamp in zip(frames, stamps, strict=True):
        if writer.size >= BLOCK_BYTES or stamp.received_mono_ns - flushed >= FLUSH_S * NS:
            if stamp.received_mono_ns - digested >= DIGEST_S * NS:
                digested = stamp.received_mono_ns
                writer.line(b'digest [%d,"%064x"]' % (writer.n, rng.getrandbits(256)), None, is_input=False)
            blocks.append((close_block(writer.take()), stamp.received_ns))
            flushed = stamp.received_mono_ns
        writer.frame(frame, stamp)
    return [*blocks, (close_block(writer.take()), stamps[-1].received_ns)]


def live_size(blocks: list[tuple[bytes, int]], directory: Path) -> int:
    """Bytes of the segment that recording leaves."""
    path = directory / "live.zst"
    file = SegmentFile(Disk(), path, b"journal {}")
    for block, received_ns in blocks:
        file.write(block, received_ns)
    file.close()
    size = path.stat().st_size
    path.unlink()
    return size


def sealed_size(blocks: list[tuple[bytes, int]]) -> int:
    """Bytes of the same text as sealing compresses it."""
    text = b"".join(block for block, _ in blocks)
    options = sealed_options(len(text) / SECONDS)
    parts = [text[at : at + SEALED_FRAME_BYTES] for at in range(0, len(text), SEALED_FRAME_BYTES)]
    return sum(len(ZstdCompressor(options=options).compress(part, ZstdCompressor.FLUSH_FRAME)) for part in parts)


def read_rate(blocks: list[tuple[bytes, int]], seconds: float) -> float:
    """Frames read from blocks for each CPU second."""
    read, began = 0, time.process_time_ns()
    while time.process_time_ns() - began < seconds * NS:
        for text, _ in blocks:
            block = read_block(text)
            read += block.last_n - block.n
    return read * NS / (time.process_time_ns() - began)


def measure(work: Workload, seconds: float) -> dict[str, float]:
    """All figures of one workload."""
    blocks = blocks_of(work.frames)
    with tempfile.TemporaryDirectory() as directory:
        return {
            "append_frames_per_cpu_second": append(work.frames, seconds, Path(directory)),
            "read_frames_per_cpu_second": read_rate(blocks, seconds / 3),
            "live_ratio": work.raw / live_size(blocks, Path(directory)),
            "sealed_ratio": work.raw / sealed_size(blocks),
        }


def main() -> int:
    """As told on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    wanted = parser.parse_args()
    captures = Path(os.environ.get("KRAKENWIRE_CAPTURES") or CHECKOUT.parent / "shared" / "captures")
    workloads = recorded(captures) if captures.is_dir() else generated()
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {KERNEL} kernel, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    results = {work.name: measure(work, wanted.seconds) for work in workloads}
    missed = []
    for work in workloads:
        figures = results[work.name]
        for name, least in (
            ("append_frames_per_cpu_second", FRAMES_PER_CPU_SECOND),
            ("live_ratio", work.live),
            ("sealed_ratio", work.sealed),
        ):
            if figures[name] < least:
                missed.append(f"MISSED {work.name}: {name} is {figures[name]:,.2f}, at least {least:,g} is the target")
    if wanted.json:
        print(json.dumps({"machine": machine, "results": results, "targets_met": not missed}, indent=2))
    else:
        print(machine)
        print(f"\n{'':<30}{'append':>10}{'read':>12}   frames per CPU second{'live':>8}{'sealed':>8}   times smaller")
        for name, figures in results.items():
            append_rate, read, live, sealed = figures.values()
            print(f"{name:<30}{append_rate:>10,.0f}{read:>12,.0f}{live:>32.2f}{sealed:>8.2f}")
        print("\n".join(missed or ["all targets met"]))
    return int(wanted.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
