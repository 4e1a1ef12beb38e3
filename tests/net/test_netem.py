"""The client over a network that the kernel makes bad (`tc netem`), where it can."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from krakenwire import Client, Disconnected, Endpoints
from krakenwire.sim.server import SimulatorServer

NETEM = ("delay", "20ms", "10ms", "loss", "2%")
BACK = ("qdisc", "del", "dev", "lo", "root")
WITHIN_S = 40.0


def tc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which("tc")), *arguments], capture_output=True, text=True, timeout=10, check=False
    )


@pytest.fixture
def bad_loopback() -> Iterator[None]:
    """Loopback with delay and loss. A kernel without it is no reason to fail, not even in CI: the proxy's tests
    (tests/test_testing_proxy.py) are what must hold everywhere.
    """
    if shutil.which("tc") is None:
        pytest.skip("there is no tc; install iproute2")
    if os.geteuid() != 0:
        pytest.skip("tc netem needs root")
    if "noqueue" not in (shown := tc("qdisc", "show", "dev", "lo").stdout):
        pytest.skip(f"loopback has a queue already, which is not ours to replace: {shown.strip()}")
    done = tc("qdisc", "add", "dev", "lo", "root", "netem", *NETEM)
    if done.returncode:
        pytest.skip(f"this kernel has no netem: {done.stderr.strip()}")
    try:
        yield
    finally:
        tc(*BACK)


@pytest.mark.long
@pytest.mark.usefixtures("bad_loopback")
async def test_books_are_proven_over_a_network_with_delay_and_loss() -> None:
    disconnected: list[object] = []
    async with SimulatorServer(symbols=["BTC/USD", "ETH/USD"], rate=300, seed=2) as server:
        client = Client(
            Endpoints(public=server.url),
            on_events=lambda events: disconnected.extend(each for each in events if isinstance(each, Disconnected)),
        )
        async with client as kraken, kraken.books("BTC/USD", "ETH/USD", policy="drop_oldest") as books:
            async with asyncio.timeout(WITHIN_S):
                for _ in range(1_000):
                    await anext(books)
            assert kraken.statistics().mismatched == 0
    assert disconnected == []
