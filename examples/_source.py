"""Where the examples get their client from: of a simulator in this process, or with --live of the exchange."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from krakenwire import Client, Endpoints, KrakenwireError
from krakenwire.sim.server import SimulatorServer

Example = Callable[[Client], Awaitable[None]]


def run(example: Example, description: str | None) -> None:
    """Run `example` with a connected client for as long as the command line says."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", action="store_true", help="Kraken, or what KRAKEN_WS_PUBLIC_URL names")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long; 0 is until Ctrl-C (default: 5)")
    options = parser.parse_args()
    try:
        asyncio.run(_run(example, options.live, options.seconds or None))
    except KeyboardInterrupt:
        print("ended by Ctrl-C")
    except KrakenwireError as error:  # as where there is no network: what it says is what to do
        sys.exit(f"{type(error).__name__}: {error}")


async def _run(example: Example, live: bool, seconds: float | None) -> None:
    async with AsyncExitStack() as stack:
        endpoints = None
        if not live:
            simulator = await stack.enter_async_context(SimulatorServer(rate=500))
            endpoints = Endpoints(public=simulator.url)
        kraken = await stack.enter_async_context(Client(endpoints))
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await example(kraken)
        except TimeoutError:
            if not limit.expired():
                raise
