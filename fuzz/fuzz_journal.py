"""Fuzz the blocks of a journal.

The property: **`read_block` makes a block or a `FrameError` of any bytes, the compiled and the pure one the same, and a
block that is written again says what it said.**

    python fuzz/fuzz_journal.py --seconds 60 [--seed N]

Blocks are written of a seeded life of a journal and mutated; most of them get a right checksum again, so that what is
behind it is reached. A failing input is written to fuzz/crashes/ and the exit status is 1;
`python fuzz/fuzz_journal.py FILE...` runs such files again.
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

from helpers.blocktwins import TwinWriter, close, read  # noqa: E402  # the path is set above
from krakenwire.errors import FrameError  # noqa: E402  # the path is set above
from krakenwire.events import Stamp  # noqa: E402  # the path is set above
from krakenwire.journal.format import Block  # noqa: E402  # the path is set above
from krakenwire.journal.format.lines import decode_action, decode_head, decode_input  # noqa: E402  # as above

CRASHES = HERE / "crashes"
LINES = (
    *(b'!["deadline"]', b'!["connected","wss://ws.kraken.com/v2"]', b'!["disconnected","why",1006,false]'),
    *(b'!["subscribe",[["book","BTC/USD",10]]]', b'!["answered",1,"{}",null,true,null]', b'=["started"]'),
    *(b'!["answered",1,{"base64":"/w=="},null,true,0.5]', b'=["held","public",["book","BTC/USD",10]]'),
    *(b'>["open","public"]', b'>["send","public","{}"]', b'>["fetch",1,"Depth",[["pair","XBTUSD"]]]'),
    *(b'digest [1,"00"]', b'gap {"first":1,"last":2}', b"end {}", b"unheard of"),
)
FRAMES = (b'{"channel":"heartbeat"}', b"[]", b"", b"odd", b"two\nlines", b"\xff\0", b"{" * 200)
SPLICES = (
    *(b"\n", b" ", b"*", b"+", b"-", b"0", b"9", b"a", b"z", b":", b";", b"!", b"=", b">", b"{", b"[", b"~", b"\0"),
    *(b"*999999999999999999", b"9" * 19, b"9" * 20, b"9" * 21, b"-9223372036854775808", b"aaaaaaa", b"zzzzzzzz"),
    *(b"block ", b"at ", b"crc 00000000\n", b"[" * 2000, b"1e9", b"null", b"\xed\xa0\x80", b"\\ud800", b";====\n"),
)


def corpus(rng: random.Random) -> list[bytes]:
    """Blocks of a journal, complete."""
    stamps = [
        Stamp(f"public-{rng.randrange(40)}", rng.randrange(3), rng.randrange(1 << 61), rng.randrange(1 << 45))
        for _ in range(rng.randint(1, 12))
    ]
    writer = TwinWriter(rng.randrange(1 << 40))
    blocks = []
    for _ in range(rng.randint(1, 3)):
        for _ in range(rng.randint(1, 30)):
            if rng.random() < 0.6:
                writer.frame(rng.choice(FRAMES), rng.choice(stamps))
                continue
            line = rng.choice(LINES)
            stamp = rng.choice(stamps) if line[:1] == b"!" else None
            writer.line(line, stamp, is_input=line[:1] in (b"!", b"="))
        blocks.append(close(writer.take()))
    return blocks


def mutate(text: bytes, rng: random.Random) -> bytes:
    """`text` with one to four wounds, its checksum mostly made right."""
    data = bytearray(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randint(0, min(len(data), rng.choice((80, 200, len(data)))))
        end = min(len(data), at + rng.choice((0, 0, 1, 1, 4, 30)))
        wound = rng.randrange(4)
        if wound == 0:
            data[at:end] = rng.choice(SPLICES)
        elif wound == 1:
            data[at:end] = data[at:end] * rng.choice((0, 2, 2, 50))
        elif wound == 2 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        else:
            data[at:end] = rng.randbytes(rng.randrange(4))
    return bytes(data) if rng.random() < 0.2 else close(bytes(data[:-13]))


def check(text: bytes) -> bool:
    """Whether it was read as a block."""
    block = read(text)
    if not isinstance(block, Block):
        return False
    writer = TwinWriter(block.n)
    for entry in block.entries:
        if entry.kind == "frame" and entry.stamp is not None:
            writer.frame(entry.content, entry.stamp)
            continue
        writer.line(entry.content, entry.stamp, is_input=entry.kind == "input")
        for decode in (decode_input, decode_action, decode_head):
            try:
                decode(entry.content)
            except FrameError:
                continue
    if block.runs:
        again = read(close(writer.take()))
        assert isinstance(again, Block)
        assert (again.n, again.last_n, again.runs) == (block.n, block.last_n, block.runs)
    return True


def run_again(paths: list[Path]) -> None:
    """Read what was written to fuzz/crashes/."""
    for path in paths:
        check(bytes.fromhex(path.read_text()))
        print(f"{path}: agreed")


def fuzz(seconds: float, seed: int) -> int:
    """Search for a failure; the exit status."""
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    executions = refused = 0
    while time.monotonic() < deadline:
        for text in corpus(rng):
            for data in (text, *(mutate(text, rng) for _ in range(20))):
                try:
                    is_block = check(data)
                    assert is_block or data is not text
                except Exception:
                    CRASHES.mkdir(exist_ok=True)
                    path = CRASHES / f"journal-seed-{seed}-execution-{executions}.hex"
                    path.write_text(data.hex())
                    traceback.print_exc()
                    print(f"failed on {data!r}\nrun again: python fuzz/fuzz_journal.py {path}")
                    return 1
                executions += 1
                refused += not is_block
    print(f"{executions} executions in {seconds:g} s, {refused} blocks refused, seed {seed}: compiled and pure agree")
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
