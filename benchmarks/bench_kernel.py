"""How fast the book takes frames, against the C yardstick beside this file, in one run.

    python benchmarks/bench_kernel.py [--rounds N] [--json] [--check]

Every contestant takes the same frames in turn, round after round, so that what else the machine does meets all of them.
A figure is nanoseconds per frame, best and median of the rounds; what counts is the ratio. `--check` exits with 1 if a
target is missed. Recorded frames are used where they are (KRAKENWIRE_CAPTURES, or ../shared/captures), else generated
ones. python-kraken-sdk takes part if it is installed (the extra `bench`).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
sys.path[:0] = [str(CHECKOUT / "src"), str(CHECKOUT / "tests")]

from helpers.frames import v2_element, v2_frame, walk  # noqa: E402  # the path is set above
from krakenwire.book import kernel, pure  # noqa: E402  # the path is set above
from krakenwire.events import Stamp  # noqa: E402  # the path is set above

STAMP = Stamp("public", 0, 1_784_483_679_614_696_000, 1)
CHUNK = 64  # events live about as long as it takes to hand a socket read's frames on
HEAD = b'{"channel":"book"'
SNAPSHOT = HEAD + b',"type":"snapshot"'
FEW = 300
"""Updates that the slow contestants take: python-kraken-sdk needs half a minute for the deep capture."""

TARGETS = (
    ("compiled, a call a frame", "yardstick", "at most", 2.0),
    ("python-kraken-sdk", "pure, few", "at least", 2.0),
)


@dataclass
class Workload:
    """Frames that all contestants take."""

    name: str
    depth: int
    frames: list[bytes]
    symbols: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.frames = [frame for frame in self.frames if frame.startswith(HEAD)]
        snapshots = [json.loads(frame)["data"][0]["symbol"] for frame in self.frames if frame.startswith(SNAPSHOT)]
        self.symbols = list(dict.fromkeys(snapshots))

    def few(self) -> tuple[list[bytes], list[bytes]]:
        """The snapshots, and the first updates."""
        updates = [frame for frame in self.frames if not frame.startswith(SNAPSHOT)]
        return [frame for frame in self.frames if frame.startswith(SNAPSHOT)], updates[:FEW]


def recorded(directory: Path) -> list[Workload]:
    """The captures: one pair at depth 10, ten pairs at depth 1000."""
    files = (
        ("BTC/USD, depth 10, recorded", 10, "v2_book10_btcusd_2026.frames.jsonl"),
        ("ten pairs, depth 1000, recorded", 1000, "v2_book1000_10pairs_reencoded.frames.jsonl"),
    )
    return [Workload(name, depth, (directory / file).read_bytes().splitlines()) for name, depth, file in files]


def generated() -> list[Workload]:
    """The same kinds from a random market."""

    def frames(seed: int, symbol: str, depth: int, updates: int) -> list[bytes]:
        return [
            v2_frame(kind, v2_element(symbol, bids, asks, checksum))
            for kind, bids, asks, checksum, _ in walk(seed, symbol=symbol, depth=depth, updates=updates)
        ]

    deep = [frames(seed, f"COIN{seed}/USD", 1000, 60) for seed in range(10)]
    mixed = [frame for turn in zip_longest(*deep) for frame in turn if frame is not None]
    return [
        Workload("one pair, depth 10, generated", 10, frames(1, "BTC/USD", 10, 1500)),
        Workload("ten pairs, depth 1000, generated", 1000, mixed),
    ]


Contestant = Callable[[], float]
"""Takes the frames once; nanoseconds per frame."""


def build_yardstick() -> Path:
    program = HERE / "build" / "yardstick"
    program.parent.mkdir(exist_ok=True)
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O3", "-o", str(program), str(HERE / "yardstick.c")], check=True)
    return program


def yardstick(program: Path, workload: Workload, directory: Path) -> Contestant:
    path = directory / f"{workload.depth}.frames"
    path.write_bytes(b"".join(frame + b"\n" for frame in workload.frames))

    def run() -> float:
        command = [str(program), str(path), str(workload.depth), "5"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        results = [line.split() for line in lines]
        sure(all(frames == matched == str(len(workload.frames)) for frames, matched, _ in results))
        return min(float(ns) for _, _, ns in results)

    return run


def sure(verified: bool) -> None:
    """A wrong result has no speed."""
    if not verified:
        raise SystemExit("a contestant did not verify every checksum")


def timed(work: Callable[[], None], frames: int) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - start) / frames
    finally:
        gc.enable()


def loaded(module: Any, workload: Workload, frames: Sequence[bytes] = ()) -> Any:
    books = module.Books()
    for symbol in workload.symbols:
        books.add(symbol, workload.depth)
    for frame in frames:
        books.apply(frame, [])
    return books


def call_per_frame(module: Any, workload: Workload, *, few: bool = False) -> Contestant:
    first, frames = workload.few() if few else ([], workload.frames)
    chunks = [(i, frames[i : i + CHUNK]) for i in range(0, len(frames), CHUNK)]

    def run() -> float:
        books = loaded(module, workload, first)

        def work() -> None:
            out: list[Any] = []
            apply = books.apply
            for start, chunk in chunks:
                for n, frame in enumerate(chunk, start):
                    apply(frame, out, STAMP, n, n)
                out.clear()

        result = timed(work, len(frames))
        sure(books.verified == len(first) + len(frames))
        return result

    return run


def batches(module: Any, workload: Workload) -> Contestant:
    first = [frame for frame in workload.frames if frame.startswith(SNAPSHOT)]
    rest = [frame for frame in workload.frames if not frame.startswith(SNAPSHOT)]
    chunks = [rest[i : i + CHUNK] for i in range(0, len(rest), CHUNK)]

    def run() -> float:
        books = loaded(module, workload)

        def work() -> None:
            n = 0
            out: list[Any] = []
            for frame in first:
                books.apply(frame, out)
            for chunk in chunks:
                n += books.apply_many(chunk, out, STAMP, n, n)
                out.clear()

        result = timed(work, len(workload.frames))
        sure(books.verified == len(workload.frames))
        return result

    return run


def sdk(workload: Workload) -> Contestant | None:
    """The book of python-kraken-sdk, without its socket: what it does with a frame that came."""
    try:
        peer = import_module("kraken.spot").SpotOrderBookClient
    except ImportError:
        return None
    first, frames = workload.few()
    levels = [json.loads(frame, parse_float=str)["data"][0] for frame in first]
    decimals = {
        data["symbol"]: {
            "pair_decimals": len(data["bids"][0]["price"].partition(".")[2]),
            "lot_decimals": len(data["bids"][0]["qty"].partition(".")[2]),
        }
        for data in levels
    }
    market = SimpleNamespace(get_asset_pairs=lambda pair: {pair: decimals[pair]})

    def take(client: Any, frames: Sequence[bytes]) -> None:
        for frame in frames:
            try:
                client.on_message(json.loads(frame)).send(None)
            except StopIteration:
                continue
            raise AssertionError("it waits, as it does when its checksum does not match")

    def loaded_client() -> Any:
        # Its __init__ opens an HTTP session; a frame needs only these.
        client: Any = peer.__new__(peer)
        private = {"book": {}, "depth": workload.depth, "market": market, "callback": lambda pair, message: None}
        vars(client).update({f"_SpotOrderBookClient__{name}": value for name, value in private.items()})
        take(client, first)
        return client

    def run() -> float:
        client = loaded_client()
        return timed(lambda: take(client, frames), len(frames))

    return run


def measure(workload: Workload, program: Path, directory: Path, rounds: int) -> dict[str, list[float]]:
    contestants: dict[str, Contestant] = {
        "yardstick": yardstick(program, workload, directory),
        "compiled, a call a frame": call_per_frame(kernel, workload),
        "compiled, in batches": batches(kernel, workload),
    }
    slow: dict[str, Contestant] = {
        "pure, a call a frame": call_per_frame(pure, workload),
        "pure, few": call_per_frame(pure, workload, few=True),
    }
    peer = sdk(workload)
    if peer is not None:
        slow["python-kraken-sdk"] = peer
    results: dict[str, list[float]] = {name: [] for name in (*contestants, *slow)}
    for number in range(rounds):
        for name, contestant in contestants.items():
            results[name].append(contestant())
        if number < 3:
            for name, contestant in slow.items():
                results[name].append(contestant())
    return results


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def verdicts(name: str, results: dict[str, list[float]]) -> list[tuple[str, bool]]:
    """Each target as a line, and whether it is met; what did not take part has none."""
    lines = []
    for what, against, word, limit in TARGETS:
        if what in results and against in results:
            ratio = min(results[what]) / min(results[against])
            met = ratio <= limit if word == "at most" else ratio >= limit
            text = f"{name}: {what} is {ratio:.2f} times {against}, {word} {limit:g} is the target"
            lines.append((f"{'met   ' if met else 'MISSED'} {text}", met))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    arguments = parser.parse_args()
    captures = Path(os.environ.get("KRAKENWIRE_CAPTURES") or CHECKOUT.parent / "shared" / "captures")
    workloads = recorded(captures) if captures.is_dir() else generated()
    program = build_yardstick()
    with tempfile.TemporaryDirectory() as directory:
        measured = {w.name: measure(w, program, Path(directory), arguments.rounds) for w in workloads}
    machine = (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    judged = [verdict for name, results in measured.items() for verdict in verdicts(name, results)]
    if arguments.json:
        report = {
            "machine": machine,
            "ns_per_frame": {
                name: {who: {"best": min(ns), "median": statistics.median(ns)} for who, ns in results.items()}
                for name, results in measured.items()
            },
            "targets_met": all(met for _, met in judged),
        }
        print(json.dumps(report, indent=2))
    else:
        print(machine)
        for name, results in measured.items():
            print(f"\n{name:<34}{'best ns':>12}{'median ns':>12}{'× yardstick':>14}")
            unit = min(results["yardstick"])
            for who, ns in results.items():
                print(f"  {who:<32}{min(ns):>12,.0f}{statistics.median(ns):>12,.0f}{min(ns) / unit:>14.2f}")
        print(
            f"\n'few' and python-kraken-sdk: the first {FEW} updates, after the snapshots; its JSON decoding included."
        )
        print("\n".join(line for line, _ in judged))
    return 1 if arguments.check and not all(met for _, met in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
