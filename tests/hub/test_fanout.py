"""Many readers on one hub: what they share, what each costs, and that a slow one is nobody else's trouble."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from typing import Any

import pytest

from helpers.hub import Brakes, candle, drain, open_reader, ticker, trade
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.errors import ReaderOverrun, UsageError
from krakenwire.events import Heartbeat, Stamp
from krakenwire.hub import Delivery, Hub, Inbox, Interest, Policy

TRADES = Interest("trade", "A/B", "public")
STAMP = Stamp("public", 0, 1, 1)


def inboxes(hub: Hub, count: int, *interests: Interest, **delivery: Any) -> list[Inbox]:
    made = [hub.inbox(Delivery(**delivery), "trade A/B") for _ in range(count)]
    for inbox in made:
        hub.attach(inbox, interests or [TRADES])
    return made


def burst(first: int, count: int, symbol: str = "A/B", stamp: Stamp = STAMP) -> list[Any]:
    return [trade(symbol, number, stamp) for number in range(first, first + count)]


# --- sharing ---------------------------------------------------------------------------------------------------------


async def test_a_thousand_readers_of_the_same_share_one_ring_and_each_gets_everything() -> None:
    hub = Hub()
    readers = [await open_reader(hub, TRADES) for _ in range(1000)]
    got: list[list[int]] = [[] for _ in readers]

    async def consume(number: int) -> None:
        async for event in readers[number]:
            got[number].append(event.seq)

    tasks = [asyncio.create_task(consume(number)) for number in range(1000)]
    await asyncio.sleep(0)
    assert hub.wishes == 1
    for number in range(5):
        hub.publish(burst(number * 20, 20))
        await asyncio.sleep(0)
    rings = {id(inbox.ring) for inbox in hub.inboxes}
    assert len(rings) == 1
    assert hub.inboxes[0].events == [], "what all have read is not kept"
    hub.end(StopAsyncIteration())
    await asyncio.gather(*tasks)
    assert all(seen == [*range(100)] for seen in got)
    assert hub.inboxes == ()
    assert hub.wishes == 0


def test_a_reader_is_not_written_to_for_what_it_does_not_want() -> None:
    hub = Hub()
    mine, other = inboxes(hub, 1)[0], inboxes(hub, 1, Interest("trade", "C/D", "public"))[0]
    hub.publish(burst(0, 10))
    assert (len(mine), len(other), other.events) == (10, 0, [])


def test_readers_that_come_later_or_read_slower_see_their_own_part() -> None:
    hub = Hub()
    (early,) = inboxes(hub, 1)
    hub.publish(burst(0, 3))
    (late,) = inboxes(hub, 1)
    hub.publish(burst(3, 3))
    assert (late.statistics().delivered, late.statistics().waiting) == (0, 3)
    assert [event.seq for event in drain(late)] == [3, 4, 5]
    assert (late.statistics().delivered, late.statistics().waiting) == (3, 0)
    assert [event.seq for event in drain(early)] == [0, 1, 2, 3, 4, 5]


async def test_a_reader_that_was_given_something_alone_shares_again_once_it_has_read_it() -> None:
    hub = Hub()
    alone, other = inboxes(hub, 2)
    hub.publish(burst(0, 1))
    alone.put(Heartbeat(seq=7))
    hub.publish(burst(1, 1))
    assert alone.ring is not other.ring
    assert [event.seq for event in drain(alone)] == [0, 7, 1]
    waiting = asyncio.create_task(alone.wait())
    await asyncio.sleep(0)
    assert alone.ring is other.ring
    hub.publish(burst(2, 1))
    await waiting
    assert alone.take().seq == 2
    assert hub.wishes == 1


async def test_a_reader_that_sleeps_is_woken_by_what_it_asked_for_meanwhile() -> None:
    hub = Hub()
    (inbox,) = inboxes(hub, 1)
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    hub.attach(inbox, [Interest("ticker", "A/B", "public")])
    hub.publish([ticker("A/B", 5, STAMP)])
    await waiting
    assert inbox.take().seq == 5


async def test_a_wish_from_within_a_publication_holds_for_the_next_event_and_loses_none() -> None:
    hub = Hub()
    (inbox,) = inboxes(hub, 1)
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    hub.listen(TRADES, lambda _: hub.attach(inbox, [Interest("ticker", "A/B", "public")]))
    hub.publish([trade("A/B", 1, STAMP), ticker("A/B", 2, STAMP)])
    await asyncio.sleep(0)
    assert waiting.done()
    assert [event.seq for event in drain(inbox)] == [1, 2]


def test_ten_thousand_readers_that_come_and_go_leave_nothing() -> None:
    hub = Hub()
    gone = []
    for number in range(10_000):
        (inbox,) = inboxes(hub, 1, Interest("trade", f"{number % 7}/X", "public"))
        hub.publish(burst(number, 1, f"{number % 7}/X"))
        hub.detach(inbox)
        if number % 1000 == 0:
            gone.append(weakref.ref(inbox))
    del inbox
    gc.collect()
    assert hub.inboxes == ()
    assert hub.wishes == 0
    assert [ref() for ref in gone] == [None] * 10


def test_symbols_without_end_are_not_remembered_without_end() -> None:
    hub = Hub()
    inboxes(hub, 1)
    for number in range(50_000):
        hub.publish([trade(str(number), number, STAMP)])
    assert sum(len(plans) for by_kind in hub._plans.values() for plans in by_kind.values()) <= 20_000


# --- a slow one ------------------------------------------------------------------------------------------------------

SECOND = 20_000
"""Messages."""


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate", "disconnect", "block"])
@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.long)])
async def test_a_reader_that_stops_bounds_memory_and_others_notice_nothing(policy: Policy, seconds: int) -> None:
    brakes, clock = Brakes(), ManualClock()
    hub = brakes.hub(clock)
    limit = seconds / 4
    reader = await open_reader(hub, TRADES, policy=policy, capacity=1000, block_limit=limit)
    stopped = reader._inbox
    others = [await open_reader(hub, TRADES), await open_reader(hub, TRADES, policy="disconnect", capacity=64)]
    elsewhere = await open_reader(hub, Interest("trade", "C/D", "public-2"), policy="disconnect", capacity=64)
    got = [0, 0, 0]

    async def consume(number: int, other: Any) -> None:
        async for event in other:
            assert event.seq == got[number]
            got[number] += 1

    tasks = [asyncio.create_task(consume(number, other)) for number, other in enumerate([*others, elsewhere])]
    await asyncio.sleep(0)
    sent = held_back = waited = most_kept = 0
    turns = seconds * SECOND // 50
    tracemalloc.start()
    try:
        for turn in range(turns):
            clock._move_to(clock.monotonic_ns() + NS_PER_S // (SECOND // 50))
            if brakes.paused:
                await clock.advance(0)  # fires what is due
            hub.publish(burst(turn * 50, 50, "C/D", Stamp("public-2", 0, 1, clock.monotonic_ns())))
            held_back += 50
            if brakes.paused:
                waited += 1
            else:
                stamp = Stamp("public", 0, 1, clock.monotonic_ns())
                while held_back and not brakes.paused:
                    hub.publish(burst(sent, min(50, held_back), stamp=stamp))
                    sent += min(50, held_back)
                    held_back -= min(50, held_back)
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
            most_kept = max(most_kept, len(stopped.events))
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got == [sent, sent, turns * 50], "all others have everything"
    assert most_kept <= 1000 + 1000 // 4 + 256 + 50
    assert memory < 6_000_000
    account = stopped.statistics()
    if policy == "drop_oldest":
        assert (account.dropped, account.waiting) == (sent - 1000, 1000)
        assert stopped.take().count == sent - 1000
    elif policy == "conflate":
        assert (account.conflated, account.waiting) == (sent - 1, 1)
    elif policy == "disconnect":
        assert (account.dropped, account.waiting) == (1, 1000)
    else:
        assert (account.dropped, account.waiting) == (0, 1000)
        assert waited * 50 / SECOND == pytest.approx(limit, rel=0.02), "the connection waited for its limit, and once"
    assert account.delivered == 0
    if policy in ("disconnect", "block"):
        assert len(stopped.take_batch(5000)) == 1000
        with pytest.raises(ReaderOverrun):
            stopped.take()
    hub.end(StopAsyncIteration())
    await asyncio.gather(*tasks)


def test_bytes_bound_what_waits_whatever_the_number() -> None:
    hub = Hub()
    heavy, light = inboxes(hub, 1, capacity_bytes=51_200)[0], inboxes(hub, 1, capacity_bytes=5_120)[0]
    for number in range(1000):
        hub.publish(burst(number * 50, 50))
        assert len(heavy.events) < 700
    assert (heavy.statistics().waiting, heavy.statistics().waiting_bytes) == (100, 51_200)
    assert light.statistics().waiting == 10
    loss = light.take()
    assert loss.count == 50_000 - 10
    assert "5120 bytes" in loss.reason


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate", "disconnect", "block"])
async def test_what_comes_while_a_reader_handles_one_event_meets_its_policy_at_once(policy: Policy) -> None:
    """Events are taken out ahead, which must not show."""
    brakes = Brakes()
    hub = brakes.hub()
    symbols = ["A/B", "C/D", "E/F"]
    how: Any = {"policy": policy, "capacity": 4, "on_loss": "yield"}
    async with await open_reader(hub, *(Interest("trade", symbol, "public") for symbol in symbols), **how) as reader:
        hub.publish([trade(symbol, number, STAMP) for number, symbol in enumerate(symbols)])
        assert (await anext(reader)).seq == 0
        hub.publish([trade(symbol, number + 3, STAMP) for number, symbol in enumerate(symbols)])
        seen = [
            await anext(reader) for _ in range({"drop_oldest": 5, "conflate": 3, "disconnect": 4, "block": 5}[policy])
        ]
        if policy == "drop_oldest":
            assert seen.pop(0).count == 1
        assert [event.seq for event in seen] == {
            "drop_oldest": [2, 3, 4, 5],
            "conflate": [3, 4, 5],
            "disconnect": [1, 2, 3, 4],
            "block": [1, 2, 3, 4, 5],
        }[policy]
        if policy == "disconnect":
            with pytest.raises(ReaderOverrun):
                await anext(reader)
        assert reader.statistics().pauses == (policy == "block")


# --- accounts --------------------------------------------------------------------------------------------------------


async def test_lag_is_told_in_events_and_in_time() -> None:
    clock = ManualClock()
    hub = Hub(clock=clock)
    for policy in ("drop_oldest", "conflate"):
        (inbox,) = inboxes(hub, 1, policy=policy)
        assert inbox.statistics().lag_ns == 0
        await clock.advance(1.0)
        hub.publish(burst(0, 1, stamp=Stamp("public", 0, 1, clock.monotonic_ns())))
        await clock.advance(2.5)
        hub.publish(burst(1, 1, stamp=Stamp("public", 0, 1, clock.monotonic_ns())))
        account = inbox.statistics()
        expected = (2, 2_500_000_000) if policy == "drop_oldest" else (1, 0)
        assert (account.waiting, account.lag_ns) == expected
        drain(inbox)
        account = inbox.statistics()
        assert (account.waiting, account.lag_ns, account.waiting_bytes) == (0, 0, 0)
        hub.detach(inbox)


def test_readers_have_names_and_the_hub_tells_all_accounts() -> None:
    hub = Hub()
    named = hub.inbox(Delivery(name="risk"), "trade A/B")
    others = inboxes(hub, 2)
    hub.attach(named, [TRADES])
    hub.publish(burst(0, 2))
    assert {account.name: account.waiting for account in hub.statistics()} == {
        "risk": 2,
        "trade A/B #1": 2,
        "trade A/B #2": 2,
    }
    hub.detach(others[0])
    assert [account.name for account in hub.statistics()] == ["trade A/B #2", "risk"]


def test_the_peak_is_the_most_that_ever_waited() -> None:
    hub = Hub()
    (inbox,) = inboxes(hub, 1)
    for count in (3, 10, 5):
        hub.publish(burst(0, count))
        drain(inbox)
    assert inbox.statistics().peak == 10


async def test_the_peak_is_seen_by_a_reader_that_takes_the_short_way() -> None:
    hub = Hub()
    async with await open_reader(hub, TRADES) as reader:
        for count in (3, 10, 5):
            hub.publish(burst(0, count))
            for _ in range(count):
                await anext(reader)
        assert reader.statistics().peak == 10
        assert reader.statistics().delivered == 18


def test_candles_share_only_with_candles_of_their_interval() -> None:
    hub = Hub()
    one, five = (inboxes(hub, 1, Interest("ohlc", "A/B", None, interval))[0] for interval in (1, 5))
    for number in range(5):
        hub.publish([candle(1, number), candle(5, number)])
    assert ({event.interval for event in drain(one)}, {event.interval for event in drain(five)}) == ({1}, {5})


@pytest.mark.parametrize(
    "how",
    [{"policy": "newest"}, {"capacity": 0}, {"capacity_bytes": 0}, {"block_limit": 0.0}, {"on_loss": "ignore"}],
)
def test_a_delivery_that_cannot_work_is_refused(how: dict[str, Any]) -> None:
    (name,) = how
    with pytest.raises(UsageError, match=name):
        Delivery(**how)
