"""A mirrored client: what becomes of one connection is no reader's business."""

from __future__ import annotations

import random

import pytest

from helpers.mirrored import Mirrored
from krakenwire import (
    BookInvalidated,
    BookResynced,
    Disconnected,
    Event,
    Gap,
    LeaderChanged,
    Loss,
    Reconnected,
)
from krakenwire.protocol.state import ConnectionState
from krakenwire.testing import Simulator

TWO = ["BTC/USD", "ETH/USD"]


def assert_nobody_noticed(mirrored: Mirrored) -> None:
    """No reader lost anything, and every book that any of them held was the exchange's."""
    assert not mirrored.told(Gap)
    assert not mirrored.told(Loss)
    assert not mirrored.told(BookInvalidated)
    for depth, consumer in mirrored.books.items():
        assert len(consumer.moments) > 100
        consumer.check(mirrored.truths[depth])


async def kill(mirrored: Mirrored, times: int, seed: int) -> None:
    """Cut any connection at random, as long as the other one of its pair is whole; each a moment after the last."""
    rng = random.Random(seed)
    for _ in range(times):
        connection = rng.choice(mirrored.connections)
        await mirrored.until_whole(mirrored.other(connection))
        session = mirrored.session(connection)
        if session.state is ConnectionState.OPEN:
            count = len(mirrored.log)
            mirrored.cut(connection)
            for _ in range(100):
                if any(isinstance(event, Disconnected) for event in mirrored.log[count:]):
                    break
                await mirrored.sim.advance(0.01)
            else:
                raise AssertionError(f"{connection} does not end")
        await mirrored.sim.advance(rng.choice([0.05, 0.1, 0.3, 1.0]))


@pytest.mark.parametrize("jitter", [0.0, 0.2], ids=["together", "apart"])
@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.long)])
async def test_no_reader_notices_that_connections_die(times: int, jitter: float) -> None:
    async with Mirrored(TWO, jitter=jitter, rate=100, seed=3) as mirrored:
        await kill(mirrored, times, seed=3)
        await mirrored.sim.advance(3)
    assert len(mirrored.told(Disconnected)) >= times // 2
    assert_nobody_noticed(mirrored)
    assert {event.symbol for event in mirrored.told(LeaderChanged)} == {*TWO, None}
    if jitter:
        assert any(consumer.synthesised for consumer in mirrored.books.values())


async def disturb(mirrored: Mirrored, connections: list[str], seconds: float, seed: int) -> None:
    """Frames of these connections are lost, doubled, out of order, altered; streams fall silent."""
    rng = random.Random(seed)
    sim = mirrored.sim
    for _ in range(round(seconds)):
        number = mirrored.ids[rng.choice(connections)]
        if number not in {peer.connection_id for peer in sim.exchange.peers}:
            continue  # it is on its way back
        kind = rng.choice(["lose_update", "corrupt_checksum", "reorder_update", "double_update", "delay", "mute"])
        if kind == "delay":
            sim.inject(kind, connection_id=number, seconds=0.0, up_to=0.4, duration=3)
        elif kind == "mute":
            sim.inject(kind, connection_id=number, channel="book", symbol=rng.choice(mirrored.symbols), duration=2)
        else:
            sim.inject(kind, connection_id=number, channel="book", count=rng.randint(1, 3))
        await sim.advance(1)
    for fault in sim.faults:
        sim.heal(fault)
    await sim.advance(20)


@pytest.mark.parametrize("seconds", [12, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize("sick", [["public", "public-2"], ["public~", "public-2~"]], ids=["leader", "follower"])
async def test_no_reader_notices_what_is_wrong_on_one_connection(sick: list[str], seconds: int) -> None:
    async with Mirrored(TWO, rate=100, seed=11) as mirrored:
        await disturb(mirrored, sick, seconds, seed=seconds)
    assert not mirrored.told(Gap)
    assert not mirrored.told(BookInvalidated)
    for depth, consumer in mirrored.books.items():
        assert len(consumer.moments) > 100
        consumer.check(mirrored.truths[depth], 10)
    counted = mirrored.client.statistics()
    assert counted.mismatched + counted.backwards, "there was something to notice"


@pytest.mark.parametrize("seconds", [12, pytest.param(200, marks=pytest.mark.long)])
async def test_what_is_wrong_on_both_connections_is_told_and_never_shown(seconds: int) -> None:
    async with Mirrored(TWO, rate=100, seed=12, on_loss="yield") as mirrored:
        await disturb(mirrored, mirrored.connections, seconds, seed=seconds)
        for connection in mirrored.connections:
            await mirrored.until_whole(connection)
    for depth, consumer in mirrored.books.items():
        consumer.check(mirrored.truths[depth], 10)
    assert len(mirrored.told(BookInvalidated)) == len(mirrored.told(BookResynced))


async def test_connections_are_opened_anew_in_turn_and_nobody_notices() -> None:
    async with Mirrored(TWO, rate=100, seed=13) as mirrored:
        mirrored.client.reconnect()
        await mirrored.sim.advance(30)
        assert [mirrored.session(connection).epoch for connection in mirrored.connections] == [1, 1, 1, 1]
    assert_nobody_noticed(mirrored)
    assert {event.reason for event in mirrored.told(LeaderChanged)} == {"planned"}
    assert all(event.planned for event in mirrored.told(Reconnected))


async def test_live_book_goes_on_over_any_failover() -> None:
    async with Mirrored(TWO, depths=(10,), rate=100, seed=14) as mirrored, mirrored.client.book("BTC/USD") as book:
        await mirrored.sim.until(book.synced())
        for connection in ("public", "public~", "public"):
            await mirrored.until_whole(mirrored.other(connection))
            mirrored.cut(connection)
            for _ in range(20):
                await mirrored.sim.advance(0.1)
                assert book.is_synced
                assert book.checksum == mirrored.books[10].models["BTC/USD"].checksum()
    assert_nobody_noticed(mirrored)


@pytest.mark.parametrize("is_alone", [False, True], ids=["both", "one"])
async def test_quiet_book_that_is_probed_goes_on_being_shown(is_alone: bool) -> None:
    told: list[Event] = []
    async with (
        Simulator(TWO, seed=7, rate=0) as sim,
        sim.client(on_events=told.extend, mirror=True) as kraken,
        kraken.book("BTC/USD") as book,
    ):
        await sim.advance(3)
        if is_alone:
            sim.inject("refuse_connect", status=503, duration=600)
            number = max(peer.connection_id for peer in sim.exchange.peers)
            sim.inject("cut", connection_id=number, code=1006)
        await sim.advance(3)
        count = len(told)
        for _ in range(1500):
            await sim.advance(0.2)
            assert book.is_synced
        assert kraken.statistics().probes
        assert not [event for event in told[count:] if isinstance(event, LeaderChanged | BookInvalidated)]
