"""Rings: what is cut off at the front leaves places, losses and weights right."""

from __future__ import annotations

import pytest

from helpers.hub import Brakes, drain, open_reader, trade
from krakenwire.clock import ManualClock
from krakenwire.errors import DataLost, ReaderOverrun
from krakenwire.events import Gap, Stamp
from krakenwire.hub import Delivery, Hub, Inbox, Interest
from krakenwire.hub.ring import DECODED_BYTES, Ring

STAMP = Stamp("public", 0, 1, 1)
SYMBOLS = [Interest("trade", symbol, "public") for symbol in ("A/B", "C/D", "E/F")]


async def test_a_loss_that_comes_first_after_a_cut_is_still_one() -> None:
    hub = Hub()
    async with await open_reader(hub, SYMBOLS[0]) as reader:
        hub.publish([trade(seq=number, stamp=STAMP) for number in range(3)])
        hub.publish([Gap(of="trade", symbol="A/B", reason="x", count=2, stamp=STAMP)])
        for _ in range(3):
            await anext(reader)
        hub.publish([trade(seq=number, stamp=STAMP) for number in range(300)])  # more than is kept unread by nobody
        assert len(reader._inbox.events) == 301
        with pytest.raises(DataLost):
            await anext(reader)
        assert (await anext(reader)).seq == 0
        assert reader.statistics().losses == 1


def test_weights_hold_after_a_cut() -> None:
    ring = Ring()
    inbox = Inbox()
    inbox.move(ring)
    for number in range(10):
        ring.events.append(trade(seq=number))
    assert ring.weight(0, 10) == 10 * DECODED_BYTES
    inbox.index = 4
    ring.settle()
    assert len(ring.events) == 6
    assert (ring.weight(0, 6), ring.weight(2, 5)) == (6 * DECODED_BYTES, 3 * DECODED_BYTES)
    assert ring.newest_within(0, 2 * DECODED_BYTES) == 4
    assert ring.oldest_within(0, 2 * DECODED_BYTES) == 2


def test_what_fits_exactly_fits() -> None:
    hub = Hub()
    inbox = hub.inbox(Delivery(policy="disconnect", capacity_bytes=2 * DECODED_BYTES), "x")
    hub.attach(inbox, SYMBOLS[:1])
    hub.publish([trade(seq=number, stamp=STAMP) for number in range(2)])
    assert not inbox.is_over
    hub.publish([trade(seq=2, stamp=STAMP)])
    assert [inbox.take().seq for _ in range(2)] == [0, 1]
    with pytest.raises(ReaderOverrun):
        inbox.take()


async def test_what_was_taken_out_ahead_goes_back_in_its_order() -> None:
    hub = Hub()
    async with await open_reader(hub, *SYMBOLS, policy="conflate") as reader:
        hub.publish([trade("A/B", 0, STAMP), trade("C/D", 1, STAMP), trade("E/F", 2, STAMP)])
        assert (await anext(reader)).seq == 0
        hub.publish([trade("A/B", 3, STAMP)])
        assert [(await anext(reader)).seq for _ in range(3)] == [1, 2, 3]


async def test_a_further_wish_does_not_prolong_the_pause() -> None:
    brakes, clock = Brakes(), ManualClock()
    hub = brakes.hub(clock)
    inbox = hub.inbox(Delivery(policy="block", capacity=2, block_limit=5.0), "x")
    hub.attach(inbox, SYMBOLS[:1])
    hub.publish([trade(seq=number, stamp=STAMP) for number in range(2)])
    await clock.advance(4.0)
    hub.attach(inbox, SYMBOLS[1:])
    await clock.advance(1.0)
    assert inbox.is_over
    assert not brakes.paused
    with pytest.raises(ReaderOverrun):
        drain(inbox)


async def test_a_pause_that_is_over_does_not_shorten_the_next() -> None:
    brakes, clock = Brakes(), ManualClock()
    hub = brakes.hub(clock)
    inbox = hub.inbox(Delivery(policy="block", capacity=2, block_limit=5.0), "x")
    hub.attach(inbox, SYMBOLS[:1])
    hub.publish([trade(seq=number, stamp=STAMP) for number in range(2)])
    await clock.advance(3.0)
    hub.attach(inbox, SYMBOLS[1:])
    drain(inbox)
    hub.publish([trade(seq=number, stamp=STAMP) for number in range(2)])
    await clock.advance(4.9)
    assert not inbox.is_over
    await clock.advance(0.1)
    assert inbox.is_over
