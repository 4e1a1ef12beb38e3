"""The policy `block`: nothing is lost, reading is paused for it, and never for longer than was said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helpers.bench import Bench, open_reader
from helpers.bench import drain as waiting
from helpers.exchange import MemoryExchange
from helpers.hub import Brakes, drain, reader_of, trade
from helpers.wire import ticker as ticker_frame
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.errors import ReaderOverrun, UsageError
from krakenwire.events import Disconnected, ReadingPaused, ReadingResumed, Stamp
from krakenwire.hub import Delivery, Hub, Inbox, Interest

MAIN, SECOND = Stamp("public", 0, 1, 1), Stamp("public-2", 0, 1, 1)
HERE, THERE = Interest("trade", "A/B", "public"), Interest("trade", "C/D", "public-2")


def blocking(hub: Hub, *interests: Interest, **delivery: Any) -> Inbox:
    inbox = hub.inbox(Delivery(policy="block", **{"capacity": 4, **delivery}), "trade")
    hub.attach(inbox, interests or [HERE])
    return inbox


def publish(hub: Hub, count: int, symbol: str = "A/B", stamp: Stamp = MAIN) -> None:
    hub.publish([trade(symbol, number, stamp) for number in range(count)])


def test_reading_is_paused_when_a_reader_is_full_and_resumed_when_half_is_read() -> None:
    brakes = Brakes()
    hub = brakes.hub()
    inbox = blocking(hub)
    publish(hub, 3)
    assert not brakes.paused
    publish(hub, 1)
    assert "'trade #1'" in brakes.paused["public"]
    assert "4 events" in brakes.paused["public"]
    inbox.take()
    assert brakes.paused
    inbox.take()
    assert not brakes.paused
    assert inbox.statistics().pauses == 1
    publish(hub, 2)
    assert brakes.log == [("pause", "public"), ("resume", "public"), ("pause", "public")]


def test_what_the_socket_read_still_held_is_kept() -> None:
    brakes = Brakes()
    hub = brakes.hub()
    inbox = blocking(hub)
    publish(hub, 500)
    account = inbox.statistics()
    assert (account.waiting, account.dropped, account.peak) == (500, 0, 500)
    assert [event.seq for event in drain(inbox)] == list(range(500))
    assert not brakes.paused


def test_bytes_can_make_a_reader_full() -> None:
    brakes = Brakes()
    hub = brakes.hub()
    inbox = blocking(hub, capacity=1000, capacity_bytes=2000)
    publish(hub, 3)
    assert not brakes.paused
    publish(hub, 1)
    assert brakes.paused
    inbox.take()
    inbox.take()
    assert brakes.paused, "more than half of the bytes wait"
    inbox.take()
    assert not brakes.paused


async def test_a_reader_that_keeps_it_paused_for_too_long_is_cut_off_with_all_that_waits() -> None:
    brakes, clock = Brakes(), ManualClock()
    hub = brakes.hub(clock)
    inbox = blocking(hub, block_limit=5.0)
    publish(hub, 6)
    await clock.advance(4.999)
    assert brakes.paused
    await clock.advance(0.001)
    assert not brakes.paused
    publish(hub, 3)
    assert hub.inboxes == ()
    for number in range(6):
        assert inbox.take().seq == number
    with pytest.raises(ReaderOverrun, match=r"paused for it for 5 s") as caught:
        inbox.take()
    assert (caught.value.capacity, caught.value.block_limit) == (4, 5.0)
    account = inbox.statistics()
    assert (account.delivered, account.dropped, account.waiting) == (6, 0, 0)


async def test_a_reader_that_waits_is_told_that_it_was_cut_off() -> None:
    brakes, clock = Brakes(), ManualClock()
    hub = brakes.hub(clock)
    reader = reader_of(hub, HERE, policy="block", capacity=4, block_limit=5.0)
    async with reader:
        publish(hub, 4)
        step = asyncio.ensure_future(anext(aiter(reader.batches(max_events=1000, max_wait=60.0))))
        await clock.settle()
        assert len(await step) == 4, "it does not wait for more while it keeps others waiting"
        await clock.advance(60)
        assert not brakes.paused
        publish(hub, 1)
        assert (await anext(reader)).seq == 0


async def test_the_limit_counts_from_each_pause() -> None:
    brakes, clock = Brakes(), ManualClock()
    hub = brakes.hub(clock)
    inbox = blocking(hub, block_limit=5.0)
    for _ in range(4):
        publish(hub, 4)
        assert brakes.paused
        await clock.advance(4)
        drain(inbox)
        assert not brakes.paused
    assert not inbox.is_over
    assert inbox.statistics().pauses == 4


@pytest.mark.parametrize("how", ["detach", "end", "hub ends", "read"])
def test_reading_resumes_only_when_nobody_holds_the_connection(how: str) -> None:
    brakes = Brakes()
    hub = brakes.hub()
    first, second = blocking(hub), blocking(hub)
    publish(hub, 4)
    drain(second)
    assert brakes.paused
    if how == "detach":
        hub.detach(first)
    elif how == "end":
        first.end(StopAsyncIteration())
    elif how == "hub ends":
        hub.end(ConnectionError())
    else:
        first.take_batch(3)
    assert not brakes.paused
    assert brakes.log == [("pause", "public"), ("resume", "public")]


def test_a_reader_of_several_connections_holds_all_and_one_it_wants_later() -> None:
    brakes = Brakes()
    hub = brakes.hub()
    inbox = blocking(hub)
    publish(hub, 4)
    hub.attach(inbox, [THERE, Interest("trade", "A/B", "public~")])
    assert set(brakes.paused) == {"public", "public-2"}, "the mirror of a connection is paused with it"
    publish(hub, 1, "C/D", SECOND)
    assert [event.symbol for event in drain(inbox)] == ["A/B"] * 4 + ["C/D"]
    assert not brakes.paused


def test_others_on_the_connection_are_given_everything_as_before() -> None:
    brakes = Brakes()
    hub = brakes.hub()
    slow = blocking(hub)
    other = hub.inbox(Delivery(), "trade")
    hub.attach(other, [HERE])
    assert slow.ring is not other.ring or hub.wishes == 1
    for _ in range(300):
        publish(hub, 4)
        assert len(drain(other)) == 4
    assert len(drain(slow)) == 1200


@pytest.mark.parametrize(
    ("hub", "interest", "message"),
    [
        (Brakes().hub(), Interest(None), "events"),
        (Brakes().hub(), Interest("lifecycle"), "lifecycle"),
        (Hub(), HERE, "no connection"),
        (Brakes().hub(may_block=lambda name: name != "auth"), Interest("executions", None, "auth"), "'auth'"),
    ],
)
async def test_what_cannot_wait_refuses_it(hub: Hub, interest: Interest, message: str) -> None:
    reader = reader_of(hub, interest, policy="block")
    with pytest.raises(UsageError, match=message):
        await anext(reader)
    assert hub.inboxes == ()
    assert hub.wishes == 0


# --- through the client, its pump and a connection -------------------------------------------------------------------


class Paused:
    """A client with two readers of one ticker, of which one that blocks is full and the other has read everything."""

    def __init__(self) -> None:
        self.bench = Bench(MemoryExchange())
        self.sent = 0

    async def begin(self) -> None:
        bench = self.bench
        await bench.run(bench.client.connect())
        how: Any = {"policy": "block", "capacity": 4, "block_limit": 20.0, "name": "slow"}
        self.slow = await open_reader(bench, bench.client.ticker("BTC/USD", **how))
        self.other = await open_reader(bench, bench.client.ticker("BTC/USD", policy="drop_oldest"))
        await bench.exchange.settle()
        await lasts(self.slow)
        await lasts(self.other)
        self.send(4)
        assert await lasts(self.other) == [1, 2, 3, 4]

    def is_paused(self) -> bool:
        return self.bench.exchange.peers[0]._link.is_paused

    def send(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            self.bench.exchange.peers[0].send_text(ticker_frame(last=self.sent))


async def lasts(reader: Any) -> list[int]:
    """What waits in a reader."""
    return [int(event.last) for event in await waiting(reader)]


async def test_the_pump_stops_reading_and_reads_on_without_a_loss() -> None:
    paused = Paused()
    await paused.begin()
    bench = paused.bench
    assert paused.is_paused()
    (told,) = bench.told(ReadingPaused)
    assert (told.connection, "'slow'" in told.reason) == ("public", True)
    paused.send(10)
    await bench.exchange.settle()
    assert await lasts(paused.other) == [], "they wait in the socket"
    await bench.exchange.clock.advance(19.0)
    assert bench.told(Disconnected) == [], "silence while it is not read means nothing"
    assert await lasts(paused.slow) == [*range(1, 15)]
    assert await lasts(paused.other) == [*range(5, 15)]
    assert not paused.is_paused()
    assert [event.paused_ns for event in bench.told(ReadingResumed)][:1] == [19 * NS_PER_S]
    await bench.client.close()


async def test_the_connection_waits_at_most_the_limit_for_a_reader_that_stops() -> None:
    paused = Paused()
    await paused.begin()
    bench = paused.bench
    paused.send(10)
    await bench.exchange.clock.advance(19.9)
    assert await lasts(paused.other) == []
    await bench.exchange.clock.advance(0.1)
    assert await lasts(paused.other) == [*range(5, 15)]
    assert not paused.is_paused()
    assert bench.told(Disconnected) == []
    for number in range(1, 5):
        assert (await anext(paused.slow)).last == number
    with pytest.raises(ReaderOverrun, match="20 s"):
        await anext(paused.slow)
    await bench.client.close()


async def test_a_connection_that_is_opened_anew_stays_paused() -> None:
    paused = Paused()
    await paused.begin()
    bench = paused.bench
    pump = bench.client._feed.opened()[0]
    pump.drop("public")
    await bench.exchange.clock.advance(5.0)
    await bench.exchange.settle()
    assert len(bench.exchange.network.peers) == 2
    assert paused.is_paused()
    assert (await anext(paused.slow)).last == 1
    for _ in range(2):
        await anext(paused.slow)
    assert not paused.is_paused()
    await bench.client.close()
    assert not pump.paused


def test_who_leaves_while_his_connections_are_being_paused_leaves_none_paused() -> None:
    paused: list[str] = []

    def pause(connection: str, _reason: str) -> None:
        paused.append(connection)
        inbox.end(StopAsyncIteration())  # as an `on_events` may, which is told of the pause

    hub = Hub(clock=ManualClock(), pause=pause, resume=paused.remove)
    inbox = blocking(hub, HERE, THERE)
    publish(hub, 4)
    assert paused == []
