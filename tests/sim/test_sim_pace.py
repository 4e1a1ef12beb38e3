"""The pace of a market, with a mover that only counts."""

from __future__ import annotations

import asyncio

from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.sim.pace import Pace


class Clients:
    """What is paced: one client that reads, and some that fall behind, one when the one before was given up."""

    def __init__(self, clock: ManualClock, dead: int) -> None:
        self.clock = clock
        self.dead = dead
        self.is_idle = False
        self.behind: list[int] = []
        self.emitted = 0

    @property
    def waiting(self) -> list[int | None]:
        return [None, *self.behind]

    def emit(self, wanted: int) -> int:
        self.emitted += 1
        if len(self.behind) < self.dead:
            self.behind.append(self.clock.monotonic_ns())
        else:
            self.is_idle = True
        return wanted


async def stalled_s(dead: int) -> float:
    """How long an unpaced market stands still for so many clients that do not read."""
    clock = ManualClock()
    clients = Clients(clock, dead)
    pace = Pace(clients, clock, None, hold=False)
    start_ns = clock.monotonic_ns()
    pace.start()
    pace.look()
    while not clients.is_idle:
        before = clients.emitted
        await asyncio.sleep(0)
        if clients.emitted == before:
            await clock.advance(0.01)
    await pace.stop()
    return (clock.monotonic_ns() - start_ns) / NS_PER_S


async def test_unpaced_market_waits_five_seconds_for_a_client_that_does_not_read() -> None:
    assert 4.9 < await stalled_s(1) < 5.2


async def test_fifty_clients_that_do_not_read_stop_an_unpaced_market_hardly_longer_than_three() -> None:
    assert 8 < await stalled_s(3) < 10
    assert await stalled_s(50) < 14
