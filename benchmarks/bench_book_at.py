"""How long it takes to tell what a book was at a moment of a journal, the journal in the file cache.

    python benchmarks/bench_book_at.py [--mb N] [--moments N] [--level N] [--keep DIR] [--json] [--check]

A journal of so many megabytes on disk is recorded: twenty generated books of depth 25, 20,000 messages a second, by the
recorder's own blocks and segments. It is sealed (at a lower level of zstd than usual, for that takes most of the time),
and asked for one book at moments that chance chooses, three times each; the best of three counts. `--check` exits with
1 if the slowest moment misses the target. A journal in DIR is used again.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
sys.path[:0] = [str(CHECKOUT / "src"), str(CHECKOUT / "tests")]

from helpers.frames import v2_element, v2_frame, walk  # noqa: E402  # the path is set above
from helpers.taped import make_head  # noqa: E402  # likewise
from helpers.wire import Wire, ack, book  # noqa: E402  # likewise
from krakenwire.book import KERNEL  # noqa: E402  # likewise
from krakenwire.events import Stamp  # noqa: E402  # likewise
from krakenwire.journal.files.directory import is_journal, segment_name, segments  # noqa: E402  # likewise
from krakenwire.journal.files.zstd import CompressionParameter  # noqa: E402  # likewise
from krakenwire.journal.format import BlockWriter, close_block  # noqa: E402  # likewise
from krakenwire.journal.format.lines import encode_action, encode_head, encode_input  # noqa: E402  # likewise
from krakenwire.journal.playing.making import made_of  # noqa: E402  # likewise
from krakenwire.journal.sealing.index import read_index  # noqa: E402  # likewise
from krakenwire.journal.sealing.sealing import seal, unsealed  # noqa: E402  # likewise
from krakenwire.journal.tools.book_at import find_book  # noqa: E402  # likewise
from krakenwire.journal.writing.disk import Disk  # noqa: E402  # likewise
from krakenwire.journal.writing.segment import SegmentFile  # noqa: E402  # likewise
from krakenwire.protocol.inputs import Input  # noqa: E402  # likewise
from krakenwire.protocol.outputs import Action, Send  # noqa: E402  # likewise

TARGET_S = 0.2
MB = 1_000_000
SEGMENT = 256 * 1024 * 1024
BLOCK = 256 * 1024
SYMBOLS = [f"{name}/USD" for name in "ABCDEFGHIJKLMNOPQRST"]
DEPTH = 25
UPDATES = 2000
"""Of each book; then they begin anew with a snapshot."""
STEP_NS = 50_000


class Tape:
    """Puts what a core is told into blocks."""

    def __init__(self) -> None:
        self.lines = BlockWriter()

    def append_frame(self, frame: bytes, stamp: Stamp) -> None:
        """A frame."""
        self.lines.frame(frame, stamp)

    def append_input(self, given: Input, stamp: Stamp | None) -> None:
        """Another input."""
        self.lines.line(encode_input(given, is_timed=stamp is not None), stamp)

    def append_actions(self, actions: list[Action]) -> None:
        """What the core wanted."""
        for action in actions:
            self.lines.line(encode_action(action), None, is_input=False)


def subscribed(tape: Tape) -> Wire:
    """A core that has subscribed to all books, on tape."""
    wire = Wire(message_burst=100)
    wire.core.tape = tape
    wire.start()
    wire.subscribe(*(book(symbol, DEPTH) for symbol in SYMBOLS))
    for action in [action for action in wire.actions if isinstance(action, Send)]:
        request = json.loads(action.text)
        for symbol in request["params"]["symbol"]:
            wire.receive(ack(request, symbol))
    return wire


def market() -> list[bytes]:
    """The frames of all books for a while, in turn."""
    books = [book_frames(seed, symbol) for seed, symbol in enumerate(SYMBOLS)]
    return [frame for frames in zip(*books, strict=True) for frame in frames]


def book_frames(seed: int, symbol: str) -> Iterator[bytes]:
    """Those of one book."""
    for kind, bids, asks, checksum, _ in walk(seed, symbol=symbol, depth=DEPTH, updates=UPDATES):
        yield v2_frame(kind, v2_element(symbol, bids, asks, checksum))


def record(directory: Path, size: int) -> None:
    """A journal of so many bytes."""
    tape = Tape()
    wire = subscribed(tape)
    frames, lines = market(), tape.lines
    stamp = wire.stamp()
    received_ns, mono_ns, n = stamp.received_ns, stamp.received_mono_ns, 0
    number, total = 1, 0
    file: SegmentFile | None = None
    while total < size:
        for frame in frames:
            received_ns, mono_ns = received_ns + STEP_NS, mono_ns + STEP_NS
            lines.frame(frame, Stamp("public", 0, received_ns, mono_ns))
            if lines.size < BLOCK:
                continue
            if file is None:
                head = make_head(
                    made_of(wire.core.options), segment=number, is_first=number == 1, n=n, received_ns=received_ns
                )
                file = SegmentFile(Disk(), directory / segment_name(number, received_ns), encode_head(head))
                number += 1
            n = lines.n
            is_last = file.size >= SEGMENT
            before = file.size
            file.write(close_block(lines.take()), received_ns, is_last=is_last)
            total += file.size - before
            if is_last:
                file.close()
                file = None
    if file is not None:
        file.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=50)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--level", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        if not is_journal(directory):
            record(directory, arguments.mb * MB)
        options: dict[int, int] = {
            CompressionParameter.compression_level: arguments.level,
            CompressionParameter.checksum_flag: 1,
        }
        for segment in unsealed(directory):
            seal(directory, segment, options=options)
        return measure(directory, arguments)


def measure(directory: Path, arguments: argparse.Namespace) -> int:
    """Ask; 1 if a target is missed."""
    indexes = [index for index in map(read_index, segments(directory)) if index is not None]
    size = sum(index.size for index in indexes)
    begin_ns, end_ns = indexes[0].received_ns[0], indexes[-1].received_ns[1]
    rng = random.Random(7)
    took: list[float] = []
    for _ in range(arguments.moments):
        when_ns, symbol = rng.randint(begin_ns + 10**9, end_ns), rng.choice(SYMBOLS)
        rounds = []
        for _ in range(3):
            began = time.perf_counter()
            then = find_book(directory, when_ns, symbol)
            rounds.append(time.perf_counter() - began)
        if not (then.is_exact and then.is_proven):
            sys.exit(f"the book of {symbol} is not as it was recorded at {when_ns}")
        took.append(min(rounds))
    figures = {
        "kernel": KERNEL,
        "journal_mb": round(size / MB, 1),
        "text_mb": round(sum(index.text_bytes for index in indexes) / MB, 1),
        "segments": len(indexes),
        "frames": sum(index.frames for index in indexes),
        "checkpoints": sum(len(index.checkpoints) for index in indexes),
        "states_mb": round(sum(path.stat().st_size for path in directory.glob("*.state")) / MB, 1),
        "median_ms": round(statistics.median(took) * 1000, 1),
        "slowest_ms": round(max(took) * 1000, 1),
        "target_ms": TARGET_S * 1000,
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(", ".join(f"{name} {value:,}" if name != "kernel" else f"{value}" for name, value in figures.items()))
    return int(arguments.check and max(took) > TARGET_S)


if __name__ == "__main__":
    sys.exit(main())
