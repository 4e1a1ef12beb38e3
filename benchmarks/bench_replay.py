"""How many frames of books `krakenwire replay` plays in a second, digests included.

    python benchmarks/bench_replay.py [--rounds N] [--frames N] [--json] [--check]

A journal is written of recorded frames (ten pairs at depth 1000; KRAKENWIRE_CAPTURES, or ../shared/captures, else
generated ones), repeated until there are enough, each with a moment of its own. It is played as the command does it:
read, unpacked, proven, parsed, applied, its events digested, and all digests compared. All of it is one thread's work:
what counts is frames a second of the processor's time, so that nothing else that the machine does is in it. `--check`
exits with 1 if the best round misses the target.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src"), str(CHECKOUT / "tests")]

from helpers.frames import v2_element, v2_frame, walk  # noqa: E402  # the path is set above
from helpers.taped import make_head  # noqa: E402  # likewise
from krakenwire.book import KERNEL  # noqa: E402  # likewise
from krakenwire.cli.replay_journal import replay_journal  # noqa: E402  # likewise
from krakenwire.clock import NS_PER_S, SystemClock  # noqa: E402  # likewise
from krakenwire.events import Stamp  # noqa: E402  # likewise
from krakenwire.journal.files.directory import segment_name  # noqa: E402  # likewise
from krakenwire.journal.files.zstd import CompressionParameter, ZstdCompressor  # noqa: E402  # likewise
from krakenwire.journal.format import BlockWriter, close_block  # noqa: E402  # likewise
from krakenwire.journal.format.lines import encode_head  # noqa: E402  # likewise
from krakenwire.journal.playing.making import core_of, made_of  # noqa: E402  # likewise
from krakenwire.protocol.options import Options  # noqa: E402  # likewise
from krakenwire.protocol.report import EventLog  # noqa: E402  # likewise

TARGET = 800_000
BLOCK = 256 * 1024
ZSTD_FRAME = 1024 * 1024
START_NS = 1_784_483_679_614_696_000
OPTIONS: dict[int, int] = {CompressionParameter.checksum_flag: 1, CompressionParameter.compression_level: 1}


def frames_at_hand() -> list[bytes]:
    """Those of the deep capture, or generated ones."""
    captures = Path(os.environ.get("KRAKENWIRE_CAPTURES") or CHECKOUT.parent / "shared" / "captures")
    path = captures / "v2_book1000_10pairs_reencoded.frames.jsonl"
    if path.is_file():
        return [frame for frame in path.read_bytes().splitlines() if frame.startswith(b'{"channel":"book"')]
    return [
        v2_frame(kind, v2_element(f"COIN{seed}/USD", bids, asks, checksum))
        for seed in range(10)
        for kind, bids, asks, checksum, _ in walk(seed, symbol=f"COIN{seed}/USD", depth=1000, updates=60)
    ]


def write(directory: Path, frames: list[bytes], count: int) -> int:
    """A journal of so many frames or some more; how many."""
    made = made_of(Options(), passive=True)
    core, log, lines = core_of(made), EventLog(), BlockWriter()
    parts = [encode_head(make_head(made)) + b"\n"]
    packed = []
    n = 0
    while n < count:
        for frame in frames:
            n += 1
            stamp = Stamp("public", 0, START_NS + n * 50_000, n * 50_000)
            lines.frame(frame, stamp)
            core.receive_frame(frame, stamp)
            if lines.size > BLOCK:
                log.add(core.events)
                core.events.clear()
                lines.line(f'digest [{log.count},"{log.hexdigest()}"]'.encode(), None, is_input=False)
                parts.append(close_block(lines.take()))
            if sum(map(len, parts)) > ZSTD_FRAME:
                packed.append(pack(parts))
                parts = []
    parts.append(close_block(lines.take()))
    packed.append(pack(parts))
    (directory / segment_name(1, START_NS)).write_bytes(b"".join(packed))
    if core.statistics().verified != n:
        raise SystemExit("not every frame of the journal was verified")
    return n


def pack(parts: list[bytes]) -> bytes:
    """One zstd frame."""
    return ZstdCompressor(options=OPTIONS).compress(b"".join(parts), ZstdCompressor.FLUSH_FRAME)


def play(directory: Path, frames: int) -> float:
    """Frames a second of the processor's time."""
    start_ns = time.process_time_ns()
    (replayed,) = replay_journal(str(directory), SystemClock())
    taken_ns = time.process_time_ns() - start_ns
    if not (replayed.same and replayed.report.verified == frames and replayed.compared_events):
        raise SystemExit("the journal does not come out as it was recorded")
    return frames * NS_PER_S / taken_ns


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        frames = write(Path(directory), frames_at_hand(), arguments.frames)
        rates = [play(Path(directory), frames) for _ in range(arguments.rounds)]
    best = max(rates)
    if arguments.json:
        print(json.dumps({"kernel": KERNEL, "frames": frames, "rates": rates, "best": best, "target": TARGET}))
    else:
        each = ", ".join(f"{rate:,.0f}" for rate in rates)
        print(f"{KERNEL} kernel, {frames:,} frames: best {best:,.0f} a second ({each}); target {TARGET:,}")
    return int(arguments.check and best < TARGET)


if __name__ == "__main__":
    sys.exit(main())
