"""What a soak does: for how long, how fast, with what, and what is relaxed for it."""

from __future__ import annotations

from typing import Any

import msgspec

from krakenwire.net.backoff import ConnectBudget
from krakenwire.protocol.options import Options

__all__ = ["DEPTH", "SYMBOLS", "Plan", "deep_books"]

SYMBOLS = (
    *("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "DOGE/USD", "ADA/EUR", "LTC/USD", "BTC/EUR", "ETH/BTC", "SHIB/USD"),
    *("PEPE/USD", "MINA/GBP", "BTC/USDT", "ETH/USDT", "BTC/USDC", "USDT/USD", "ETH/EUR", "BTC/GBP", "LINK/EUR"),
    *("BONK/USD",),
)

DEPTH = 10

RELAXED: dict[str, Any] = {
    "messages_per_second": 200.0,
    "message_burst": 100,
    "ack_timeout": 2.0,
    "idle_ping": 2.0,
    "ping_timeout": 2.0,
    "keepalive": 10.0,
    "resync_backoff": 0.2,
    "resync_attempts": 20,
    "quarantine": 2.0,
    "stable": 2.0,
    "rest_per_second": 20.0,
}
"""A minute of the soak holds the faults of a month: waits that are polite to Kraken would fill it with waiting."""

CONNECTS = 100_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One soak.

    Attributes:
        seconds: for which faults are injected on sockets.
        seed: of the market, of the schedule, of the client's jitter.
        faults_per_second: injected on sockets.
        rate: frames a second that the exchange makes, its own listener's included.
        mirror, io_thread: as `Client` takes them.
        memory_faults: to inject on the in-memory transport.
        journal: record the client on sockets, and replay that at the end.
    """

    seconds: float
    seed: int
    faults_per_second: float
    rate: float
    mirror: bool
    io_thread: bool
    memory_faults: int
    journal: bool = True

    @property
    def options(self) -> Options:
        """Of the client."""
        return Options(seed=self.seed, **RELAXED)

    @property
    def budget(self) -> ConnectBudget:
        """Of the client's connects."""
        return ConnectBudget(limit=CONNECTS)

    @property
    def relaxed(self) -> str:
        """What is not as it would be by default, in words."""
        default = Options()
        numbers = ", ".join(f"{name} {value:g} ({getattr(default, name):g})" for name, value in RELAXED.items())
        return f"{numbers}; connects {CONNECTS:,} in 600 s (120)"


def deep_books(depth: int) -> tuple[str, ...]:
    """The symbols whose book is held at this depth too."""
    return {100: SYMBOLS[:4], 1000: SYMBOLS[4:5]}.get(depth, ())
