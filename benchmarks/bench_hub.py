"""What it costs to hand events out: publishing, and each reader, at bursts of 64 as a busy socket read makes them.

    python benchmarks/bench_hub.py [--rounds N] [--json] [--check]

Real events (trades, and book updates made by the kernel) are published to readers that only count. A figure is
nanoseconds of processor time per event, from before the publication until the last reader has it, with the wake-ups and
turns of the event loop; every contestant runs in every round, and the best and the median of the rounds are told. What
a further reader costs is the difference to one, divided by how many more there are. `--check` exits with 1 if a target
is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "src"), str(CHECKOUT / "tests")]

from helpers.frames import v2_element, v2_frame, walk  # noqa: E402  # the path is set above
from krakenwire.book import BookUpdate, kernel  # noqa: E402  # the path is set above
from krakenwire.events import Event, Stamp, Trade  # noqa: E402  # the path is set above
from krakenwire.hub import Delivery, Hub, Interest, Policy, Reader  # noqa: E402  # the path is set above

BURST = 64
EVENTS = 12_800
"""Events of a run with one reader; with more readers there are fewer, but never less than ten bursts."""
STAMPS = [Stamp("public", 0, 1_784_483_679_614_696_000 + n, 1 + n) for n in range(2)]
SYMBOL = "BTC/USD"

Consume = Callable[[Reader[Any]], Coroutine[Any, Any, None]]


async def by_async_for(reader: Reader[Any]) -> None:
    async for _ in reader:
        pass


async def by_batches(reader: Reader[Any]) -> None:
    async for batch in reader.batches():
        for _ in batch:
            pass


async def by_callback(reader: Reader[Any]) -> None:
    await reader.run(lambda _: None)


@dataclass(frozen=True)
class Contest:
    """So many readers of one kind."""

    name: str
    channel: str = "trade"
    readers: int = 1
    consume: Consume = by_async_for
    policy: Policy = "drop_oldest"
    others: int = 0
    """Readers of other symbols, of which nothing is published."""
    spread: bool = False
    """Each reader has a symbol of its own, and the events go round among them."""


CONTESTS = [
    Contest("nobody", readers=0),
    *(
        Contest(f"{n:,} by {how}, {channel}", channel=channel, readers=n, consume=consume)
        for channel in ("trade", "book")
        for how, consume in (("async for", by_async_for), ("batches", by_batches), ("callback", by_callback))
        for n in (1, 2, 10, 1000)
    ),
    Contest("1 by async for, book, conflated", channel="book", policy="conflate"),
    Contest("10 by async for, book, conflated", channel="book", policy="conflate", readers=10),
    Contest("1 by async for beside 1,000 of other symbols", others=1000),
    Contest("1,000 of a symbol each", readers=1000, spread=True),
]

TARGETS = [
    *(
        (f"publishing and one reader by async for, {channel}", f"1 by async for, {channel}", 0, 400.0)
        for channel in ("trade", "book")
    ),
    *(
        (f"a further one by {how}, {channel}", f"10 by {how}, {channel}", 9, 250.0 if how == "async for" else 150.0)
        for channel in ("trade", "book")
        for how in ("async for", "batches", "callback")
    ),
    *(
        (
            f"each of 1,000 by {how}, {channel}",
            f"1,000 by {how}, {channel}",
            999,
            250.0 if how == "async for" else 150.0,
        )
        for channel in ("trade", "book")
        for how in ("async for", "batches", "callback")
    ),
]
"""What; which contest; how many readers more than in the contest of one (0: all of it counts); the most it may cost."""

BESIDE = ("1 by async for beside 1,000 of other symbols", "1 by async for, trade", 1.15)


def symbols_of(contest: Contest) -> list[str]:
    return [f"C{number}/USD" for number in range(contest.readers)] if contest.spread else [SYMBOL]


def trades(symbols: Sequence[str]) -> list[Event]:
    """Two bursts, each of its own socket read; as many as all symbols need."""
    bursts = max(2, len(symbols) // BURST)
    return [
        Trade(
            symbol=symbols[number % len(symbols)],
            side="buy",
            price=Decimal("65000.1"),
            qty=Decimal("0.00100000"),
            ord_type="limit",
            trade_id=number,
            exchange_ns=1_784_483_679_614_696_000,
            stamp=STAMPS[number // BURST % 2],
            n=number,
            seq=number,
        )
        for number in range(bursts * BURST)
    ]


def books() -> list[Event]:
    """Two bursts of book updates, made by the kernel from generated frames."""
    frames = [
        v2_frame(kind, v2_element(SYMBOL, bids, asks, checksum))
        for kind, bids, asks, checksum, _ in walk(7, symbol=SYMBOL, depth=10, updates=2 * BURST)
    ]
    mirror = kernel.Books()
    mirror.add(SYMBOL, 10)
    made: list[BookUpdate] = []
    for number, frame in enumerate(frames):
        mirror.apply(frame, made, STAMPS[number // BURST % 2], number, number)
    return list[Event](made[-2 * BURST :])


def reader_of(hub: Hub, contest: Contest, symbol: str) -> Reader[Any]:
    inbox = hub.inbox(Delivery(policy=contest.policy), contest.channel)

    async def subscribe() -> None:
        hub.attach(inbox, [Interest(contest.channel, symbol, "public")])

    return Reader(inbox, on_loss="raise", subscribe=subscribe, release=lambda: hub.detach(inbox))


async def measure(contest: Contest) -> float:
    """Nanoseconds per event of one run."""
    hub = Hub()
    symbols = symbols_of(contest)
    events = trades(symbols) if contest.channel == "trade" else books()
    readers: list[Reader[Any]] = []
    for number in range(contest.readers + contest.others):
        symbol = symbols[number % len(symbols)] if number < contest.readers else f"OTHER{number}/USD"

        readers.append(reader_of(hub, contest, symbol))
    for reader in readers:
        await reader.__aenter__()
    tasks = [asyncio.create_task(contest.consume(reader)) for reader in readers]
    bursts = [events[at : at + BURST] for at in range(0, len(events) - BURST + 1, BURST)]
    for burst in bursts:  # everybody has had something, so that all is warm
        hub.publish(burst)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    rounds = max(10, EVENTS // BURST // max(1, contest.readers if not contest.spread else 1))
    gc.collect()
    gc.disable()
    try:
        start = time.process_time_ns()
        for number in range(rounds):
            hub.publish(bursts[number % len(bursts)])
            await asyncio.sleep(0)
        took = time.process_time_ns() - start
    finally:
        gc.enable()
    await asyncio.sleep(0)
    accounts = hub.statistics()
    for reader in readers:
        await reader.aclose()
    await asyncio.gather(*tasks)
    published = rounds + len(bursts)
    given = sum(account.delivered + account.conflated for account in accounts)
    if given != published * BURST * (1 if contest.spread else contest.readers):
        raise SystemExit(f"{contest.name}: {given} events were accounted for, which cannot be")
    return took / (rounds * BURST)


def further(measured: dict[str, list[float]], name: str, more: int) -> float:
    """What one of `more` readers costs beyond the first."""
    if not more:
        return min(measured[name])
    how = name.partition(" ")[2]
    return (min(measured[name]) - min(measured[f"1 {how}"])) / more


def verdicts(measured: dict[str, list[float]]) -> list[tuple[str, bool]]:
    lines = []
    for what, name, more, limit in TARGETS:
        ns = further(measured, name, more)
        lines.append((f"{'met   ' if ns <= limit else 'MISSED'} {what}: {ns:.0f} ns, at most {limit:g}", ns <= limit))
    what, against, limit = BESIDE
    ratio = min(measured[what]) / min(measured[against])
    lines.append(
        (
            f"{'met   ' if ratio <= limit else 'MISSED'} {what}: {ratio:.2f} times alone, at most {limit:g}",
            ratio <= limit,
        )
    )
    return lines


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="only contests whose names hold this; no targets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    arguments = parser.parse_args()
    contests = [contest for contest in CONTESTS if arguments.only in contest.name]
    measured: dict[str, list[float]] = {contest.name: [] for contest in contests}
    for _ in range(arguments.rounds):
        for contest in contests:
            measured[contest.name].append(asyncio.run(measure(contest)))
    judged = [] if arguments.only else verdicts(measured)
    machine = (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    if arguments.json:
        report = {
            "machine": machine,
            "ns_per_event": {name: {"best": min(ns), "median": statistics.median(ns)} for name, ns in measured.items()},
            "targets_met": all(met for _, met in judged),
        }
        print(json.dumps(report, indent=2))
    else:
        print(machine)
        print(f"\n{'bursts of 64':<48}{'best ns':>12}{'median ns':>12}{'ns a reader':>14}")
        for contest in contests:
            ns = measured[contest.name]
            each = min(ns) / (1 if contest.spread else max(1, contest.readers))
            print(f"  {contest.name:<46}{min(ns):>12,.0f}{statistics.median(ns):>12,.0f}{each:>14,.0f}")
        print()
        print("\n".join(line for line, _ in judged))
    return 1 if arguments.check and not all(met for _, met in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
