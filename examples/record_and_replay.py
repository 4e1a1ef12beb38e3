"""Record and replay: a crossover strategy runs live, is recorded, and then sees the same market again.

Teaches: `Client(journal=…)` and `Replay`; a strategy that takes its time from its source (`now_ns`, `sleep`) decides
the same on every run, as fast as the tape can be played.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import deque
from contextlib import AsyncExitStack
from decimal import Decimal

from krakenwire import Client, Endpoints, KrakenwireError, Replay
from krakenwire.clock import NS_PER_S
from krakenwire.sim.server import SimulatorServer

SYMBOL = "BTC/USD"
FAST, SLOW = 3, 8
EVERY = 0.05  # seconds between two looks

Signal = tuple[int, str, Decimal]


async def crossover(source: Client | Replay, looks: int, log: list[Signal]) -> None:
    """Long while the fast average of the mid is above the slow one; it knows nothing of where its market is from."""
    mids: deque[Decimal] = deque(maxlen=SLOW)
    async with source.trades(SYMBOL) as trades, source.book(SYMBOL) as book:
        first = await anext(trades)  # live and replayed begin with the same trade, rather than at whatever moment
        began_ns = first.received_ns
        await book.synced()
        for number in range(looks):
            # Up to a moment of the market's own: how long this program took, live, does not matter.
            await source.sleep((began_ns - source.now_ns()) / NS_PER_S + (number + 1) * EVERY)
            mid = book.mid
            if mid is None:
                continue
            mids.append(mid)
            if len(mids) == SLOW:
                fast, slow = sum(list(mids)[-FAST:]) / FAST, sum(mids) / SLOW
                side = "long" if fast > slow else "flat"
                if not log or log[-1][1] != side:
                    log.append((source.now_ns(), side, mid))


async def main(seconds: float, *, is_live: bool) -> None:
    """Run it live, on the exchange or against a simulator, and then twice on what was recorded."""
    looks = int(seconds / EVERY)
    with tempfile.TemporaryDirectory() as tape:
        live: list[Signal] = []
        async with AsyncExitStack() as stack:
            endpoints = None  # the exchange
            if not is_live:
                simulator = await stack.enter_async_context(SimulatorServer(rate=500))
                endpoints = Endpoints(public=simulator.url)
            kraken = await stack.enter_async_context(Client(endpoints, journal=tape))
            await crossover(kraken, looks, live)
        print(f"live:   {looks} looks, {len(live)} signals")
        runs: list[list[Signal]] = []
        for _ in range(2):
            runs.append([])
            began = time.perf_counter()
            async with Replay(tape) as replay:
                await crossover(replay, looks, runs[-1])
            took = time.perf_counter() - began
        print(f"replay: {looks} looks, {len(runs[0])} signals in {took:.3f} s; twice the same: {runs[0] == runs[1]}")
        for moment, side, mid in runs[0][:5]:
            print(f"  {(moment - runs[0][0][0]) / NS_PER_S:6.2f} s  {side:4}  {mid}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long it runs live (default: 5)")
    parser.add_argument("--live", action="store_true", help="Kraken, or what KRAKEN_WS_PUBLIC_URL names")
    options = parser.parse_args()
    try:
        asyncio.run(main(options.seconds, is_live=options.live))
    except KeyboardInterrupt:
        print("ended by Ctrl-C")
    except KrakenwireError as error:  # as where there is no network: what it says is what to do
        sys.exit(f"{type(error).__name__}: {error}")
