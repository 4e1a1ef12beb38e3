"""What a client lived through over real sockets, with a feed in a thread of its own, played again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from helpers.played import played
from helpers.taped import SYMBOLS, BlockTape
from krakenwire import Client, Endpoints, KrakenwireError, Options
from krakenwire.journal.playing.making import made_of
from krakenwire.testing import SimulatorThread

FAULTS = ("cut", "lose_update", "corrupt_checksum", "not_json", "burst", "double_update", "reorder_update")


@pytest.mark.parametrize("io_thread", [True, False])
@pytest.mark.parametrize("rounds", [14, pytest.param(150, marks=pytest.mark.long)])
async def test_replay_is_the_live_run(rounds: int, io_thread: bool) -> None:
    options = Options(seed=11, message_burst=100, audit_every=1.0, rest_per_second=20.0)
    tape = BlockTape(made_of(options, mirror=True, book_audit="rest"))
    with SimulatorThread(SYMBOLS, seed=11, rate=500, tls=False) as sim:
        kraken = Client(
            Endpoints(public=sim.url, rest=sim.rest_url),
            options=options,
            on_events=tape.publish,
            io_thread=io_thread,
            mirror=True,
            book_audit="rest",
        )
        core = kraken.core
        core.tape, tape.core = tape, core
        async with (
            kraken,
            kraken.books(*SYMBOLS, depth=10, policy="drop_oldest", on_loss="yield") as updates,
            kraken.books(*SYMBOLS, depth=100, policy="drop_oldest", on_loss="yield"),
            kraken.trades(*SYMBOLS, policy="drop_oldest", on_loss="yield"),
        ):
            for number in range(rounds):
                sim.inject(FAULTS[number % len(FAULTS)])
                try:
                    async with asyncio.timeout(0.1), kraken.book("BTC/USD", 25) as book:
                        await book.synced()
                except (TimeoutError, KrakenwireError):
                    pass  # it comes and goes, whatever becomes of it
                for _ in range(25):
                    await anext(updates)
    report = tape.end(core)
    player = played(tape)
    assert (player.different, player.holes) == (0, [])
    assert min(player.compared) > 3
    again = player.report(1.0)
    assert msgspec.structs.replace(again, seconds=report.seconds) == report
    assert report.reconnects, "connections were cut"
    assert len(core.connection_statistics()) >= 4
