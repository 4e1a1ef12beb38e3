"""One reader's inbox: what waits, what is dropped, and that the account is exact."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.errors import ReaderOverrun, UsageError
from krakenwire.events import Asset, Connected, Heartbeat, Loss, Ohlc, Ticker
from krakenwire.hub import Delivery, Inbox, Policy


def ticker(symbol: str, seq: int) -> Ticker:
    one = Decimal(1)
    return Ticker(
        symbol=symbol,
        type="update",
        bid=one,
        bid_qty=one,
        ask=one,
        ask_qty=one,
        last=None,
        volume=None,
        vwap=None,
        low=None,
        high=None,
        change=None,
        change_pct=None,
        exchange_ns=None,
        seq=seq,
    )


def candle(interval: int, seq: int) -> Ohlc:
    one = Decimal(1)
    return Ohlc(
        symbol="A/B",
        type="update",
        interval=interval,
        interval_begin_ns=0,
        open=one,
        high=one,
        low=one,
        close=one,
        vwap=one,
        volume=one,
        trades=1,
        exchange_ns=None,
        seq=seq,
    )


def drain(inbox: Inbox) -> list[Any]:
    """Everything that waits."""
    events: list[Any] = []
    while (event := inbox.take()) is not None:
        events.append(event)
    return events


@pytest.mark.parametrize(("policy", "capacity"), [("newest", 5), ("", 5), ("drop_oldest", 0), ("conflate", -1)])
def test_what_cannot_work_is_refused(policy: Any, capacity: int) -> None:
    with pytest.raises(UsageError, match=r"policy must be one of|capacity must be at least 1"):
        Inbox(policy, capacity)


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate", "disconnect", "block"])
def test_events_come_out_in_the_order_they_went_in(policy: Policy) -> None:
    inbox = Inbox(policy, 10)
    events = [ticker(symbol, number) for number, symbol in enumerate("ABCDE")]
    for event in events:
        inbox.put(event)
    assert len(inbox) == 5
    assert drain(inbox) == events
    assert inbox.take() is None
    statistics = inbox.statistics()
    assert (statistics.policy, statistics.capacity, statistics.delivered, statistics.waiting) == (policy, 10, 5, 0)


def test_drop_oldest_keeps_the_newest_and_tells_first_how_many_are_missing() -> None:
    inbox = Inbox("drop_oldest", 3)
    for number in range(8):
        inbox.put(Heartbeat(seq=number))
    loss, *rest = drain(inbox)
    assert isinstance(loss, Loss)
    assert loss.count == 5
    assert "more than 3 events" in loss.reason
    assert [event.seq for event in rest] == [5, 6, 7]
    statistics = inbox.statistics()
    assert (statistics.delivered, statistics.dropped, statistics.losses) == (3, 5, 1)


def test_loss_that_is_lost_is_counted_in_the_next_one_told() -> None:
    inbox = Inbox("drop_oldest", 1)
    inbox.put(Loss(reason="a gap", count=10))
    inbox.put(Heartbeat(seq=1))
    inbox.put(Heartbeat(seq=2))
    loss, heartbeat = drain(inbox)
    assert (loss.count, heartbeat.seq) == (11, 2)


def test_lost_loss_of_unknown_size_makes_the_count_unknown_once() -> None:
    inbox = Inbox("drop_oldest", 1)
    inbox.put(Loss(reason="the book is not synced"))
    inbox.put(Heartbeat(seq=1))
    assert drain(inbox)[0].count is None
    inbox.put(Heartbeat(seq=2))
    inbox.put(Heartbeat(seq=3))
    assert drain(inbox)[0].count == 1


def test_conflate_keeps_the_newest_of_each_and_the_order_of_what_is_left() -> None:
    inbox = Inbox("conflate", 10)
    for number, symbol in enumerate("ABABCA"):
        inbox.put(ticker(symbol, number))
    assert [(event.symbol, event.seq) for event in drain(inbox)] == [("B", 3), ("C", 4), ("A", 5)]
    statistics = inbox.statistics()
    assert (statistics.conflated, statistics.delivered, statistics.dropped) == (3, 3, 0)


def test_conflate_tells_channels_intervals_and_assets_apart() -> None:
    inbox = Inbox("conflate", 10)
    assets = [Asset(id=name, type="update", status="enabled", precision=1, precision_display=1) for name in ("X", "Y")]
    events = [ticker("A/B", 1), candle(1, 2), candle(5, 3), *assets, Connected(url="")]
    for event in events:
        inbox.put(event)
    assert drain(inbox) == events


def test_conflate_beyond_its_capacity_drops_the_oldest_and_tells() -> None:
    inbox = Inbox("conflate", 2)
    for number, symbol in enumerate("ABCB"):
        inbox.put(ticker(symbol, number))
    loss, *rest = drain(inbox)
    assert loss.count == 1
    assert [(event.symbol, event.seq) for event in rest] == [("C", 2), ("B", 3)]


def test_conflate_neither_hides_a_loss_behind_news_nor_news_behind_a_loss() -> None:
    inbox = Inbox("conflate", 10)
    loss = Loss(reason="a gap", count=2, of="ticker", symbol="A")
    inbox.put(ticker("A", 1))
    inbox.put(loss)
    inbox.put(ticker("A", 2))
    assert [getattr(event, "seq", None) if isinstance(event, Ticker) else event for event in drain(inbox)] == [loss, 2]


def test_conflated_losses_of_one_stream_are_added_up() -> None:
    inbox = Inbox("conflate", 10)
    inbox.put(Loss(reason="first", count=2, of="trade", symbol="A"))
    inbox.put(Loss(reason="second", count=3, of="trade", symbol="A"))
    inbox.put(Loss(reason="other", count=7, of="trade", symbol="B"))
    assert [(loss.reason, loss.count) for loss in drain(inbox)] == [("second", 5), ("other", 7)]
    inbox.put(Loss(reason="first", count=2, of="trade", symbol="A"))
    inbox.put(Loss(reason="second", of="trade", symbol="A"))
    assert drain(inbox)[0].count is None


def test_disconnect_gives_what_waited_and_then_ends_for_good() -> None:
    inbox = Inbox("disconnect", 2)
    for number in range(5):
        inbox.put(Heartbeat(seq=number))
    assert inbox.is_over
    assert [inbox.take(), inbox.take()] == [Heartbeat(seq=0), Heartbeat(seq=1)]
    for _ in range(2):
        with pytest.raises(ReaderOverrun, match="more than 2 events") as caught:
            inbox.take()
        assert caught.value.capacity == 2
        assert len(list(caught.traceback)) <= 3, "the trace does not grow with each time"
    assert inbox.statistics().dropped == 1


def test_end_lets_what_waits_be_taken_and_takes_nothing_more() -> None:
    inbox = Inbox()
    inbox.put(Heartbeat(seq=1))
    inbox.end(StopAsyncIteration())
    inbox.end(ValueError("the first reason counts"))
    inbox.put(Heartbeat(seq=2))
    assert inbox.take() == Heartbeat(seq=1)
    with pytest.raises(StopAsyncIteration):
        inbox.take()


Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3)),
        st.tuples(st.just("loss"), st.integers(1, 9)),
        st.tuples(st.just("take"), st.just(0)),
    ),
    max_size=120,
)


@given(policy=st.sampled_from(["drop_oldest", "conflate", "disconnect"]), capacity=st.integers(1, 5), work=steps)
def test_account_is_exact_and_every_loss_is_told(policy: Policy, capacity: int, work: list[Step]) -> None:
    inbox = Inbox(policy, capacity)
    put = lost_by_others = told = gave = 0
    newest: dict[int, int] = {}
    last_given = -1

    def taken(event: Any) -> None:
        nonlocal told, gave, last_given
        if isinstance(event, Loss):
            told += event.count or 0
            return
        gave += 1
        assert event.seq > last_given, "never out of order, never twice"
        last_given = event.seq
        if policy == "conflate":
            assert event.seq == newest[int(event.symbol)], "the newest there is"

    for number, (kind, value) in enumerate(work):
        if inbox.is_over:
            break
        if kind == "put":
            newest[value] = number
            inbox.put(ticker(str(value), number))
            put += 1
        elif kind == "loss":
            inbox.put(Loss(reason="upstream", count=value, of="trade", symbol=str(value % 2)))
            put += 1
            lost_by_others += value
        else:
            try:
                event = inbox.take()
            except ReaderOverrun:
                break
            if event is not None:
                taken(event)
        statistics = inbox.statistics()
        waiting = statistics.delivered + statistics.waiting + statistics.dropped + statistics.conflated
        assert waiting == put
        assert statistics.waiting <= capacity

    while True:
        try:
            event = inbox.take()
        except ReaderOverrun:
            told += 1  # the one that did not fit, which the error tells of
            break
        if event is None:
            break
        taken(event)
    statistics = inbox.statistics()
    assert statistics.waiting == 0
    tickers = sum(kind == "put" for kind, _ in work)
    if policy == "drop_oldest":
        assert told == tickers - gave + lost_by_others
    elif policy == "conflate":
        assert told >= lost_by_others, "losses are never conflated away"


async def test_wait_ends_when_something_comes() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(Heartbeat(seq=1))
    await waiting
    await inbox.wait()
    assert inbox.take() == Heartbeat(seq=1)


async def test_wait_ends_when_nothing_more_will_come() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    inbox.end(StopAsyncIteration())
    await waiting
    await inbox.wait()


async def test_one_consumer_per_inbox() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="two tasks read one reader"):
        await inbox.wait()
    inbox.put(Heartbeat())
    await waiting


async def test_cancelled_wait_takes_nothing_and_can_be_repeated() -> None:
    inbox = Inbox()
    for together in (False, True):
        waiting = asyncio.create_task(inbox.wait())
        await asyncio.sleep(0)
        if together:
            inbox.put(Heartbeat(seq=1))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await inbox.wait()
    assert inbox.take() == Heartbeat(seq=1)


@pytest.mark.parametrize("name", ["\udcff", 5])
def test_name_that_metrics_could_not_show_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="name must be text"):
        Delivery(name=name)
