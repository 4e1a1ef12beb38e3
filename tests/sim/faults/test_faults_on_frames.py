"""What a client sees of lost, doubled, late, corrupted, crossed and rewritten frames, over a real socket."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from helpers.faulted import SYMBOLS, Watcher, only
from helpers.simclients import NaiveBook
from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(Market(select(SYMBOLS), seed=1), hold=True) as server:
        yield server


async def test_lost_update_is_not_sent_and_the_log_says_which_it_was(server: SimulatorServer) -> None:
    lossy, other = await Watcher.connect(server, *SYMBOLS), await Watcher.connect(server, *SYMBOLS)
    status = json.loads(lossy.client.frames[0])
    fault = server.exchange.faults.inject(
        "lose_update", symbol="PEPE/USD", connection_id=status["data"][0]["connection_id"], type="update"
    )
    await lossy.release(300)
    await other.client.roundtrip()
    assert all(other.verdicts("PEPE/USD")[1])
    sent = {each["data"][0]["timestamp"] for each in lossy.books("PEPE/USD")}
    lost = [each["data"][0] for each in other.books("PEPE/USD") if each["data"][0]["timestamp"] not in sent]
    assert len(lost) == 1
    touch = only(fault)
    assert touch["what"] == {"checksum": lost[0]["checksum"], "timestamp": lost[0]["timestamp"]}
    assert (touch["channel"], touch["symbol"], touch["variant"], touch["door"]) == ("book", "PEPE/USD", 10, "public")
    assert touch["connection_id"] == status["data"][0]["connection_id"]
    for symbol in ("BTC/USD", "MINA/GBP"):
        assert all(lossy.verdicts(symbol)[1])


async def test_lost_update_is_found_by_the_checksum_of_a_later_one(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    server.exchange.faults.inject("lose_update", count=5)
    await watcher.release(100)
    _, verdicts = watcher.verdicts()
    assert len(verdicts) == 1 + 100 - 5
    assert not all(verdicts)


async def test_doubled_update_is_sent_twice_and_no_checksum_can_tell(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("double_update")
    await watcher.release(50)
    frames = [each for each in watcher.client.frames if b'"update"' in each and b'"book"' in each]
    assert len(frames) == 51
    assert [one == two for one, two in itertools.pairwise(frames)].count(True) == 1
    assert only(fault)["what"]["checksum"] == json.loads(frames[0])["data"][0]["checksum"]
    book, verdicts = watcher.verdicts()
    assert all(verdicts)
    assert book.levels("bids") == server.truth("BTC/USD", 10)[0]


@pytest.mark.parametrize("distance", [1, 4])
async def test_reordered_update_comes_late_and_its_timestamp_runs_backwards(
    server: SimulatorServer, distance: int
) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("reorder_update", distance=distance)
    await watcher.release(50)
    times = [each["data"][0]["timestamp"] for each in watcher.books()[1:]]
    assert len(times) == 50
    assert times[distance] < times[0]
    assert sorted(times) == [times[distance], *times[:distance], *times[distance + 1 :]]
    assert only(fault)["what"]["timestamp"] == times[distance]
    assert not all(watcher.verdicts()[1])


async def test_update_that_is_held_back_when_the_fault_is_healed_comes_then(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("reorder_update", distance=1000)
    await watcher.release(5)
    assert len(watcher.books()) == 1 + 4
    server.exchange.faults.heal(fault.id)
    await watcher.client.roundtrip()
    times = [each["data"][0]["timestamp"] for each in watcher.books()[1:]]
    assert len(times) == 5
    assert times[-1] == min(times)
    assert server.exchange.faults.is_active is False


async def test_corrupted_checksum_is_wrong_once_and_the_levels_are_right(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD", "MINA/GBP")
    fault = server.exchange.faults.inject("corrupt_checksum", symbol="BTC/USD")
    await watcher.release(100)
    book, verdicts = watcher.verdicts()
    assert verdicts.count(False) == 1
    assert verdicts[1] is False
    assert all(watcher.verdicts("MINA/GBP")[1])
    assert (book.levels("bids"), book.levels("asks")) == server.truth("BTC/USD", 10)
    what = only(fault)["what"]
    assert watcher.books()[1]["data"][0]["checksum"] == what["sent"] != what["checksum"]


async def test_snapshot_is_corrupted_where_that_is_asked_for(server: SimulatorServer) -> None:
    server.exchange.faults.inject("corrupt_checksum", type="snapshot", count=2)
    first, second, third = [await Watcher.connect(server, "BTC/USD") for _ in range(3)]
    assert [each.verdicts()[1] for each in (first, second, third)] == [[False], [False], [True]]


@pytest.mark.parametrize("side", ["bids", "asks"])
@pytest.mark.parametrize(("depth", "ticks"), [(10, 1), (10, 0), (25, 3), (1000, 1)])
async def test_crossed_book_has_a_checksum_that_holds_and_is_taken_back_by_the_next_update(
    server: SimulatorServer, side: str, depth: int, ticks: int
) -> None:
    watcher = await Watcher.connect(server, "BTC/USD", depth=depth)
    await watcher.release(20)
    fault = server.exchange.faults.inject("crossed_book", side=side, ticks=ticks)
    await watcher.release(40)
    book = NaiveBook(depth)
    crossed: list[int] = []
    for number, frame in enumerate(watcher.raw_books()):
        assert book.apply(frame), number
        bid, ask = Decimal(book.levels("bids")[0][0]), Decimal(book.levels("asks")[0][0])
        if bid >= ask:
            crossed.append(number)
            assert bid - ask == ticks * Decimal("0.1")
    assert crossed == [21]
    assert (book.levels("bids"), book.levels("asks")) == server.truth("BTC/USD", depth)
    touch = only(fault)
    assert touch["what"]["sent"] == watcher.books()[21]["data"][0]["checksum"] != touch["what"]["checksum"]


async def test_crossed_book_with_a_checksum_of_the_true_book_is_found_by_that_too(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    for checksum in ("true", "wrong"):
        server.exchange.faults.inject("crossed_book", checksum=checksum)
        await watcher.release(3)
    assert watcher.verdicts()[1] == [True, False, True, True, False, True, True]


async def test_rewritten_frame_is_what_the_expression_makes_of_it(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    faults = server.exchange.faults
    fault = faults.inject("rewrite", pattern='"symbol":"BTC/(USD)"', replacement=r'"symbol":"XBT/\1"', count=2)
    await watcher.release(5)
    assert [each["data"][0]["symbol"] for each in decoded(watcher, "book")[1:]] == ["XBT/USD"] * 2 + ["BTC/USD"] * 3
    assert fault.touched == 2
    dropped = faults.inject("rewrite", pattern=r"(?s).*", channel="book")
    await watcher.release(5)
    assert len(decoded(watcher, "book")) == 6
    faults.heal(dropped.id)
    faults.inject("rewrite", pattern='"pong"', replacement='"pang"', channel="answer")
    watcher.client.send({"method": "ping", "req_id": 5})
    assert (await watcher.client.next(lambda message: message.get("req_id") == 5))["method"] == "pang"


def decoded(watcher: Watcher, channel: str) -> list[dict[str, Any]]:
    return [each for each in map(json.loads, watcher.client.frames) if each.get("channel") == channel]


async def test_chance_touches_a_part_of_the_frames_and_the_seed_says_which(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("lose_update", chance=0.3, count=0)
    await watcher.release(400)
    assert len(watcher.books()) - 1 == 400 - fault.touched
    assert 80 <= fault.touched <= 160
    assert len(fault.touches) <= fault.touched


@pytest.mark.parametrize(
    ("kind", "parameters", "error", "complaint"),
    [
        ("lose_update", {"symbol": "XLM/GBP"}, UnknownSymbol, "XLM/GBP"),
        ("lose_update", {"account": "mallory"}, UsageError, "no account 'mallory'; there are alice, bob"),
        ("lose_update", {"connection_id": 5}, UsageError, "no connection 5"),
        ("corrupt_checksum", {"channel": "trade"}, UsageError, "channel 'trade' has no checksum"),
        ("crossed_book", {"channel": "level3"}, UsageError, "channel 'level3' cannot be crossed"),
        ("rewrite", {"pattern": "("}, UsageError, "no regular expression: missing"),
        ("rewrite", {"pattern": "a", "replacement": r"\2"}, UsageError, "no regular expression: invalid group"),
        ("lose_update", {"count": "3"}, UsageError, "count='3' will not do; expected a whole number, at least 0"),
    ],
)
async def test_fault_that_this_exchange_cannot_have_is_refused_and_leaves_no_trace(
    server: SimulatorServer, kind: str, parameters: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        server.exchange.faults.inject(kind, **parameters)
    assert server.exchange.faults.log == ()
    assert not server.exchange.faults.is_active


async def test_crossed_book_that_is_fetched_again_needs_not_be_taken_back(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    fault = server.exchange.faults.inject("crossed_book")
    await watcher.release(1)
    assert fault.record()["healed_ns"] is None
    for method in ("unsubscribe", "subscribe"):
        watcher.client.send({"method": method, "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    await watcher.client.roundtrip()
    assert fault.is_healed
    await watcher.release(20)
    book, verdicts = watcher.verdicts()
    assert all(verdicts)
    assert (book.levels("bids"), book.levels("asks")) == server.truth("BTC/USD", 10)


async def test_book_is_crossed_as_often_as_asked_and_each_time_taken_back(server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD", depth=25)
    fault = server.exchange.faults.inject("crossed_book", count=20)
    await watcher.release(100)
    book, verdicts = watcher.verdicts()
    assert all(verdicts)
    assert (book.levels("bids"), book.levels("asks")) == server.truth("BTC/USD", 25)
    assert fault.touched == 20
    assert fault.is_healed
