"""Fuzz the frame scanner and the book behind it.

The property: **the compiled book and the pure one agree on any bytes, and a frame that is refused changes nothing.**

    python fuzz/fuzz_scanner.py --seconds 60 [--seed N]

Frames of a correct market are mutated, by a seeded generator, and applied to both. A failing input is written to
fuzz/crashes/ and the exit status is 1; `python fuzz/fuzz_scanner.py FILE...` runs such files again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests")]

from helpers.frames import v1_snapshot, v1_update, v2_element, v2_frame, walk  # noqa: E402  # the path is set above
from helpers.twins import Twins  # noqa: E402  # the path is set above

CRASHES = HERE / "crashes"
SYMBOL, V1_SYMBOL, CHEAP = "BTC/USD", "ETH/USD", "PEPE/USD"
SPLICES = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"-", b".", b"0", b"9", b"e", b"E", b"+", b" ", b"\n", b"\0"),
    *(b"null", b"true", b"false", b"NaN", b"Infinity", b"1e5", b"1e-05", b"-0", b"00", b"0.0", b"1E400", b"1e-99"),
    *(b"\\u0041", b"\\ud83d\\ude00", b"\\ud800", b"\\/", b"\\x", b"\xc3\xa9", b"\xff", b"\xe2\x82", b"\xed\xa0\x80"),
    *(b'"price":', b'"qty":', b'"bids":', b'"asks":', b'"symbol":', b'"checksum":', b'"timestamp":', b'"type":'),
    *(b'"channel":"book"', b'"data":[', b'"snapshot"', b'"update"', b'"book-10"', b'"a":', b'"as":', b'"c":"1"'),
    *(b"4294967295", b"4294967296", b"9" * 19, b"9" * 20, b"9" * 28, b"9" * 29, b"0." + b"0" * 17 + b"1", b"[" * 65),
    *(b"12345678901234567890.123456789012345678", b"BTC/USD", b"ETH/USD", b"XRP/USD", b"2026-02-30T00:00:00Z"),
    *(b"2024-02-29T23:59:59.999999999Z", b"1970-01-01T00:00:00Z", b'"2026-07-19T17:54:39Z"', b"1534614248.1234567890"),
)


def corpus(rng: random.Random) -> list[bytes]:
    """A correct run of frames, of both versions, several of them in one frame at times."""
    seed = rng.randrange(1 << 30)
    frames: list[bytes] = []
    for kind, bids, asks, checksum, _ in walk(seed, symbol=SYMBOL, updates=12):
        timestamp = None if kind == "snapshot" and rng.random() < 0.5 else "2026-07-19T17:54:39.614696Z"
        frames.append(v2_frame(kind, v2_element(SYMBOL, bids, asks, checksum, timestamp)))
    for kind, bids, asks, checksum, _ in walk(
        seed,
        symbol=CHEAP,
        depth=25,
        updates=6,
        mid=1234,
        price_decimals=9,
        qty_decimals=5,
        largest_qty=10**18,
        levels=4,
    ):
        other = v2_element("XRP/USD", bids, [], 5)
        elements = [v2_element(CHEAP, bids, asks, checksum), *([other] if rng.random() < 0.3 else [])]
        frames.append(v2_frame(kind, *elements))
    for kind, bids, asks, checksum, _ in walk(seed, symbol=V1_SYMBOL, updates=8, price_decimals=5):
        if kind == "snapshot":
            frames.append(v1_snapshot("ETH/USD", 10, bids, asks))
        else:
            flag = "r" if rng.random() < 0.2 else None
            frames.append(v1_update("ETH/USD", 10, bids, asks, checksum if rng.random() < 0.8 else None, flag=flag))
    return frames


def mutate(frame: bytes, rng: random.Random) -> bytes:
    """`frame` with one to four wounds."""
    data = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        near = min(end, at + rng.choice((1, 1, 2, 8, 40)))
        wound = rng.randrange(7)
        if wound == 0:
            del data[at:near]
        elif wound == 1:
            data[at:at] = rng.choice(SPLICES)
        elif wound == 2:
            data[at:near] = rng.choice(SPLICES)
        elif wound == 3:
            data[at:at] = data[at:near] * rng.choice((1, 1, 2, 30))
        elif wound == 4 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif wound == 5:
            del data[at:]
        else:
            # A number becomes another: these wounds stay frames of a book.
            digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
            if digits:
                i = rng.choice(digits)
                data[i : i + 1] = rng.choice((b"0", b"1", b"9", b"1e1", b"0.5", b"", b"1.", b"00"))
    return bytes(data)


def books() -> Twins:
    """Empty books for what `corpus` makes."""
    twins = Twins()
    twins.add(SYMBOL, 10)
    twins.add(V1_SYMBOL, 10)
    twins.add(CHEAP, 25)
    twins.set_precision(CHEAP, 9, 5)
    return twins


def run_again(paths: list[Path]) -> None:
    """Apply what was written to fuzz/crashes/."""
    for path in paths:
        twins = books()
        for line in path.read_text().splitlines():
            twins.apply(bytes.fromhex(line))
        print(f"{path}: agreed")


def fuzz(seconds: float, seed: int) -> int:
    """Search for a failure; the exit status."""
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    executions = refused = 0
    while time.monotonic() < deadline:
        twins, applied = books(), []
        for frame in corpus(rng):
            tries = [mutate(frame, rng) for _ in range(rng.randrange(4))]
            if rng.random() < 0.9:
                tries.append(frame)
            for data in tries:
                applied.append(data)
                try:
                    refused += not isinstance(twins.apply(data), int)
                except Exception:
                    CRASHES.mkdir(exist_ok=True)
                    path = CRASHES / f"seed-{seed}-execution-{executions}.hex"
                    path.write_text("".join(f"{data.hex()}\n" for data in applied))
                    traceback.print_exc()
                    print(f"failed on {data!r}\nrun again: python fuzz/fuzz_scanner.py {path}")
                    return 1
                executions += 1
    print(f"{executions} executions in {seconds:g} s, {refused} frames refused, seed {seed}: compiled and pure agree")
    return 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    if arguments.files:
        run_again(arguments.files)
        return 0
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    return fuzz(arguments.seconds, seed)


if __name__ == "__main__":
    sys.exit(main())
