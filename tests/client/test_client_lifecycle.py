"""What a program that trades does to a client at the worst moment: cancels, closes, fails, stalls, comes and goes."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from helpers.bench import Bench, finish, footprint, open_reader, settle_rings, turn
from helpers.exchange import MemoryExchange
from krakenwire import (
    BookResynced,
    Client,
    ConnectBudget,
    Connected,
    ConnectFailed,
    ConnectionClosed,
    DataLost,
    Disconnected,
    Endpoints,
    Instrument,
    Loss,
    Options,
    SubscribeRejected,
    SubscriptionRejected,
    Trade,
    UsageError,
)
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.hub import Interest
from krakenwire.net.transport import Listener, Transport

FAST = Options(messages_per_second=1e6, message_burst=1000)

LISTING = (
    '{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"%s","base":"NEW","quote":"USD",'
    '"status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"cost_precision":5,'
    '"price_increment":0.1,"qty_min":1}]}}'
)


@pytest.fixture(autouse=True)
async def stray_errors() -> AsyncIterator[list[dict[str, Any]]]:
    """Nothing may end in the event loop's exception handler, but where a test expects it and clears the list."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    yield contexts
    gc.collect()  # what was never retrieved or awaited speaks up now
    await asyncio.sleep(0)
    assert contexts == []


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = await connected(MemoryExchange())
    yield bench
    await bench.run(bench.client.close())
    assert tasks_of_the_library() == set()


async def connected(exchange: MemoryExchange, **options: Any) -> Bench:
    bench = Bench(exchange, **options)
    await bench.run(bench.client.connect())
    await exchange.settle()
    return bench


def tasks_of_the_library() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def cancelled_at(exchange: MemoryExchange, turns: int, work: Coroutine[Any, Any, Any]) -> bool:
    """Run `work` for so many turns of the loop and cancel it; whether it was cancelled before its end."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await turn(exchange)
    if not task.cancel():
        await task
        return False
    with pytest.raises(asyncio.CancelledError):
        await task
    return True


def waiting_in(reader: Any) -> int:
    waiting: int = reader.statistics().waiting
    return waiting


async def taken(reader: Any) -> list[Any]:
    """What waits in a reader now, losses included."""
    events = []
    while waiting_in(reader):
        try:
            events.append(await anext(reader))
        except DataLost as lost:
            events.append(lost.loss)
    return events


class SlowDial:
    """A connector that dials for as long as the gate is shut."""

    def __init__(self, exchange: MemoryExchange) -> None:
        self.gate = asyncio.Event()
        self.dialling = 0
        self._exchange = exchange

    async def __call__(self, url: str, listener: Listener) -> Transport:
        self.dialling += 1
        try:
            await self.gate.wait()
        finally:
            self.dialling -= 1
        return await self._exchange.network.connector(url, listener)


def slow_client(exchange: MemoryExchange, **options: Any) -> tuple[Client, SlowDial]:
    dial = SlowDial(exchange)
    return Client(Endpoints(), connector=dial, clock=exchange.clock, **options), dial


# --- cancelled at every turn ----------------------------------------------------------------------------------------


async def _books(client: Client) -> None:
    async with client.books("BTC/USD", "ETH/USD", depth=100):
        pass


async def _all_trades(client: Client) -> None:
    async with client.stream("trade", "instrument", symbols="all"):
        pass


async def _synced_book(client: Client) -> None:
    async with client.book("BTC/USD", depth=100) as book:
        await book.synced()


async def _first_trade(client: Client) -> object:
    async with client.trades("BTC/USD") as reader:
        return await anext(reader)


@pytest.mark.any_kernel
@pytest.mark.parametrize("further_connection", [False, True])
@pytest.mark.parametrize("work", [_books, _all_trades, _synced_book, _first_trade])
async def test_work_that_is_cancelled_at_any_turn_leaves_nothing_behind(
    work: Callable[[Client], Coroutine[Any, Any, Any]], further_connection: bool
) -> None:
    turns = 0
    while True:
        bench = await connected(MemoryExchange(), options=FAST)
        shallow = bench.client.books("BTC/USD", depth=10)
        if further_connection:
            await finish(bench.exchange, shallow.__aenter__())
        before = footprint(bench)
        was_cancelled = await cancelled_at(bench.exchange, turns, work(bench.client))
        if not was_cancelled or (work is _first_trade and turns > 12):
            break
        await bench.exchange.advance(1)
        after = footprint(bench)
        assert after["epochs"] <= 1
        assert after | {"epochs": 0} == before
        await shallow.aclose()
        await finish(bench.exchange, bench.client.close())
        turns += 1
    assert turns > 2
    await bench.run(bench.client.close())


@pytest.mark.any_kernel
async def test_connect_that_is_cancelled_at_any_turn_closes_the_client() -> None:
    turns = 1  # before its first turn it is as if it had never been called
    while True:
        exchange = MemoryExchange()
        client, dial = slow_client(exchange)
        asyncio.get_running_loop().call_soon(dial.gate.set)
        if not await cancelled_at(exchange, turns, client.connect()):
            break
        await exchange.settle()
        assert (dial.dialling, exchange.peers, tasks_of_the_library()) == (0, [], set())
        with pytest.raises(ConnectionClosed):
            await client.connect()
        turns += 1
    assert turns > 2
    await finish(exchange, client.close())


@pytest.mark.any_kernel
async def test_close_that_is_cancelled_at_any_turn_closes_all_the_same() -> None:
    turns = 0
    while True:
        bench = await connected(MemoryExchange())
        reader = await open_reader(bench, bench.client.trades("BTC/USD"))
        step = asyncio.ensure_future(anext(reader))
        was_cancelled = await cancelled_at(bench.exchange, turns, bench.client.close())
        if turns == 0:  # it had not begun
            await finish(bench.exchange, bench.client.close())
        with pytest.raises(StopAsyncIteration):
            await step
        await bench.exchange.settle()
        assert (bench.exchange.peers, tasks_of_the_library()) == ([], set())
        assert [event.terminal for event in bench.told(Disconnected)] == [True]
        if not was_cancelled:
            break
        turns += 1
    assert turns > 1


# --- closed at the worst moment -------------------------------------------------------------------------------------


async def test_close_during_connect_ends_the_connect_with_an_error_and_the_dial_with_it() -> None:
    exchange = MemoryExchange()
    client, dial = slow_client(exchange)
    connecting = asyncio.ensure_future(client.connect())
    await exchange.settle()
    assert dial.dialling == 1
    await finish(exchange, client.close())
    with pytest.raises(ConnectionClosed):
        await connecting
    assert (dial.dialling, tasks_of_the_library()) == (0, set())


async def test_close_while_a_reconnect_dials_does_not_wait_for_it() -> None:
    exchange = MemoryExchange()
    client, dial = slow_client(exchange)
    dial.gate.set()
    await finish(exchange, client.connect())
    dial.gate.clear()
    await exchange.cut()
    await exchange.advance(1)
    assert dial.dialling == 1
    await finish(exchange, client.close())
    assert (dial.dialling, tasks_of_the_library()) == (0, set())


async def test_close_while_the_budget_or_the_backoff_is_waited_for_does_not_wait() -> None:
    for budget in (ConnectBudget(limit=1, window=1000.0), ConnectBudget()):
        bench = await connected(MemoryExchange(), connect_budget=budget)
        bench.exchange.network.refuse_next(ConnectFailed("wss://x", "busy", status=503, retry_after=500.0))
        await bench.exchange.cut()
        await bench.exchange.advance(1)
        await finish(bench.exchange, bench.client.close())
        assert tasks_of_the_library() == set()


async def test_close_ends_who_waits_for_the_instruments() -> None:
    exchange = MemoryExchange()
    exchange.answers = False
    bench = await connected(exchange)
    reading = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
    entering = asyncio.ensure_future(bench.client.book("BTC/USD").__aenter__())
    await exchange.settle()
    await finish(exchange, bench.client.close())
    for task in (reading, entering):
        with pytest.raises(ConnectionClosed, match="closed"):
            await task


async def test_close_ends_who_waits_for_an_answer(bench: Bench) -> None:
    bench.exchange.answers = False
    opening = [bench.client.trades("BTC/USD").__aenter__(), bench.client.book("BTC/USD").__aenter__()]
    tasks = [asyncio.ensure_future(work) for work in opening]
    await bench.exchange.settle()
    await finish(bench.exchange, bench.client.close())
    for task in tasks:
        with pytest.raises(ConnectionClosed, match="the client was closed"):
            await task


async def test_close_from_inside_a_loop_over_a_reader_ends_the_loop(bench: Bench) -> None:
    async def consume() -> int:
        seen = 0
        async with bench.client.trades("BTC/USD") as reader:
            async for _ in reader:
                seen += 1
                await bench.client.close()
        return seen

    consumer = asyncio.ensure_future(consume())
    await bench.exchange.settle()
    while not consumer.done():
        await bench.exchange.trade(20)
    assert await consumer >= 1


async def test_close_out_of_on_events_ends_the_client_in_order() -> None:
    exchange = MemoryExchange()
    closing: list[asyncio.Task[None]] = []

    def close_at_a_trade(events: Any) -> None:
        if not closing and any(isinstance(event, Trade) for event in events):
            closing.append(asyncio.ensure_future(client.close()))

    client = Client(Endpoints(), connector=exchange.network.connector, clock=exchange.clock, on_events=close_at_a_trade)
    await finish(exchange, client.connect())
    reader = client.trades("BTC/USD")
    await finish(exchange, reader.__aenter__())
    while not closing:
        await exchange.trade(20)
    await closing[0]
    trades = await taken(reader)
    assert trades
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_who_closes_second_waits_for_the_first(bench: Bench) -> None:
    first, second = (asyncio.ensure_future(bench.client.close()) for _ in range(2))
    await asyncio.sleep(0)
    assert not second.done()
    await second
    assert first.done()
    assert bench.exchange.peers == []


async def test_observing_a_client_that_is_over_is_refused_rather_than_waited_for(bench: Bench) -> None:
    await bench.run(bench.client.close())
    for reader in (bench.client.events(), bench.client.lifecycle()):
        with pytest.raises(ConnectionClosed):
            await anext(reader)


async def test_a_lifecycle_reader_may_be_there_before_the_connection_is() -> None:
    bench = Bench(MemoryExchange())
    lifecycle = await bench.client.lifecycle().__aenter__()
    await bench.run(bench.client.connect())
    assert isinstance(await anext(lifecycle), Connected)
    await bench.run(bench.client.close())


# --- while the connection is down -----------------------------------------------------------------------------------


async def test_a_reader_opened_while_disconnected_is_served_after_the_reconnect(bench: Bench) -> None:
    for peer in bench.exchange.peers:
        peer.cut()
    opening = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
    await bench.exchange.advance(2)
    reader = await opening
    await bench.exchange.trade(100)
    assert waiting_in(reader)
    await reader.aclose()


async def test_what_is_released_while_reconnecting_is_not_asked_for_again(bench: Bench) -> None:
    before = footprint(bench)
    reader = await open_reader(bench, bench.client.trades("BTC/USD"))
    handle = bench.client.book("BTC/USD", depth=100)
    await bench.run(handle.__aenter__())
    bench.exchange.requests.clear()
    for peer in bench.exchange.peers:
        peer.cut()
    await reader.aclose()
    await handle.__aexit__(None, None, None)
    await bench.exchange.advance(2)
    assert {json.loads(text)["params"]["channel"] for text in bench.exchange.requests} == {"instrument"}
    assert footprint(bench) == before


async def test_a_further_connection_released_in_any_state_is_gone(bench: Bench) -> None:
    shallow = await open_reader(bench, bench.client.books("BTC/USD", depth=10))
    before = footprint(bench) | {"epochs": 1}
    for is_refused in (False, True):  # released as soon as it is cut, and while it waits to be let in again
        deep = await open_reader(bench, bench.client.books("BTC/USD", depth=100))
        bench.exchange.peers[-1].cut()
        if is_refused:
            bench.exchange.network.refuse_next(ConnectFailed("wss://x", "busy", retry_after=100.0))
            await bench.exchange.advance(2)
        await deep.aclose()
        again = await open_reader(bench, bench.client.books("BTC/USD", depth=500))
        await again.aclose()
        await bench.exchange.advance(2)
        assert footprint(bench) == before
        assert len(bench.exchange.peers) == 1
    await shallow.aclose()


def _refuse_books(frame: bytes) -> bytes:
    answer = json.loads(frame)
    if answer.get("method") == "subscribe" and answer.get("result", {}).get("channel") == "book":
        refusal = {"error": "Currency pair not supported BTC/USD", "method": "subscribe", "success": False}
        return json.dumps(refusal | {"req_id": answer["req_id"], "symbol": "BTC/USD"}).encode()
    return frame


async def test_a_subscription_rejected_after_a_reconnect_is_told_to_readers_and_books(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.books("BTC/USD", on_loss="yield", policy="drop_oldest"))
    handle = bench.client.book("BTC/USD")
    book = await bench.run(handle.__aenter__())
    await bench.run(book.synced())
    bench.exchange.edit = _refuse_books
    await bench.exchange.cut()
    waiting = asyncio.ensure_future(book.synced())
    await bench.exchange.advance(2)
    assert any(isinstance(event, Loss) and "rejected" in event.reason for event in await taken(reader))
    with pytest.raises(SubscriptionRejected, match="not supported"):
        await waiting
    with pytest.raises(SubscriptionRejected, match="not supported"):
        await book.changed()
    await handle.__aexit__(None, None, None)
    await reader.aclose()


async def test_a_terminal_close_of_a_further_connection_is_told_and_spares_the_main_one(bench: Bench) -> None:
    shallow = await open_reader(bench, bench.client.books("BTC/USD", policy="drop_oldest"))
    deep = await open_reader(bench, bench.client.books("BTC/USD", depth=100, policy="drop_oldest"))
    handle = bench.client.book("BTC/USD", depth=100)
    book = await bench.run(handle.__aenter__())
    await bench.run(book.synced())
    await taken(deep)
    bench.exchange.peers[1].close(1008, "policy violation")
    await bench.exchange.settle()
    assert [event.terminal for event in bench.told(Disconnected)] == [True]
    assert [event.of for event in bench.told(SubscribeRejected)] == ["book"]
    losses = await taken(deep)
    assert all(isinstance(loss, Loss) for loss in losses)
    assert "policy violation" in losses[-1].reason
    with pytest.raises(SubscriptionRejected, match="policy violation"):
        await book.synced()
    await taken(shallow)
    await bench.exchange.trade(50)
    assert waiting_in(shallow)
    again = await open_reader(bench, bench.client.books("BTC/USD", depth=100))
    await bench.exchange.trade(50)
    assert waiting_in(again)
    for reader in (shallow, deep, again):
        await reader.aclose()
    await handle.__aexit__(None, None, None)
    await bench.exchange.advance(2)
    assert len(bench.client.core.sessions) == 1


async def test_a_book_that_is_acknowledged_and_lost_in_one_read_is_an_error_not_a_dead_book(bench: Bench) -> None:
    bench.exchange.answers = False
    entering = asyncio.ensure_future(bench.client.book("BTC/USD").__aenter__())
    await bench.exchange.settle()
    (peer,) = bench.exchange.peers
    req_id = json.loads(peer.received[-1])["req_id"]
    result = {"channel": "book", "depth": 10, "snapshot": True, "symbol": "BTC/USD"}
    peer.send_text(json.dumps({"method": "subscribe", "req_id": req_id, "result": result, "success": True}).encode())
    peer.close(1008, "policy violation")
    with pytest.raises(ConnectFailed, match="policy violation"):
        await finish(bench.exchange, _changed(entering))


async def _changed(entering: Awaitable[Any]) -> None:
    book = await entering
    await book.changed()


# --- defects that are not ours --------------------------------------------------------------------------------------


async def test_what_on_events_raises_is_reported_and_the_feed_goes_on(stray_errors: list[dict[str, Any]]) -> None:
    def fail(_events: Any) -> None:
        raise ZeroDivisionError

    exchange = MemoryExchange()
    client = Client(Endpoints(), connector=exchange.network.connector, clock=exchange.clock, on_events=fail)
    await finish(exchange, client.connect())
    reader = client.trades("BTC/USD")
    await finish(exchange, reader.__aenter__())
    await exchange.trade(100)
    ids = [event.trade_id for event in await taken(reader)]
    assert ids
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    await finish(exchange, client.close())
    assert client.statistics().reconnects == 0
    assert {type(context["exception"]) for context in stray_errors} == {ZeroDivisionError}
    assert "on_events" in stray_errors[0]["message"]
    stray_errors.clear()


async def test_a_defect_of_the_connector_is_raised_by_connect() -> None:
    async def broken(url: str, listener: Listener) -> Transport:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Client(Endpoints(), connector=broken).connect()
    assert tasks_of_the_library() == set()


async def test_a_connection_whose_task_is_cancelled_ends_the_client_loudly(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.trades("BTC/USD"))
    book = await bench.run(bench.client.book("BTC/USD").__aenter__())
    await bench.run(book.synced())
    for task in tasks_of_the_library():
        task.cancel()  # as a shutdown that knows no better does
    await bench.exchange.settle()
    assert not book.is_synced
    assert bench.told(Disconnected)[-1].terminal
    assert bench.exchange.peers == []
    with pytest.raises(ConnectionClosed, match=r"task .* was cancelled"):
        await anext(reader)
    with pytest.raises(ConnectionClosed, match=r"task .* was cancelled"):
        await open_reader(bench, bench.client.trades("ETH/USD"))


async def test_a_reader_collected_in_the_midst_of_a_publication_disturbs_nobody() -> None:
    exchange = MemoryExchange()
    forgotten: list[Any] = []
    seen: list[Any] = []

    def collect(event: Any) -> None:
        if isinstance(event, Trade):
            forgotten.clear()

    client = Client(Endpoints(), connector=exchange.network.connector, clock=exchange.clock, on_events=seen.extend)
    client._feed.hub.listen(Interest(None), collect)
    await finish(exchange, client.connect())
    reader = client.trades("BTC/USD")
    await finish(exchange, reader.__aenter__())
    forgotten.append(client.ticker("BTC/USD"))
    await finish(exchange, forgotten[0].__aenter__())
    with pytest.warns(ResourceWarning, match="unclosed"):
        await exchange.trade(100)
    assert forgotten == []
    trades = await taken(reader)
    ids = [trade.trade_id for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert trades == [event for event in seen if isinstance(event, Trade)]
    assert not any(key.channel == "ticker" for key in client.core._placing._placed)
    await finish(exchange, client.close())


def test_a_client_belongs_to_the_loop_it_was_connected_on() -> None:
    exchange = MemoryExchange()
    client = Client(Endpoints(), connector=exchange.network.connector, clock=exchange.clock)
    asyncio.run(finish(exchange, client.connect()))

    async def use_it_elsewhere() -> None:
        for work in (client.connect(), anext(client.trades("BTC/USD")), client.book("BTC/USD").__aenter__()):
            with pytest.raises(UsageError, match="another event loop"):
                await work
        await client.close()

    asyncio.run(use_it_elsewhere())


async def test_two_clients_on_one_loop_know_nothing_of_each_other(bench: Bench) -> None:
    other = await connected(MemoryExchange(seed=2))
    ours = await open_reader(bench, bench.client.trades("BTC/USD"))
    theirs = await open_reader(other, other.client.trades("BTC/USD"))
    await other.exchange.trade(100)
    assert (waiting_in(ours), waiting_in(theirs) > 0) == (0, True)
    await other.run(other.client.close())
    await bench.exchange.trade(100)
    assert waiting_in(ours)
    await ours.aclose()


def test_two_clients_do_not_come_back_in_step_after_an_outage() -> None:
    seeds = {Client(Endpoints()).core.options.seed for _ in range(20)}
    assert len(seeds) > 1
    assert Client(Endpoints(), options=Options(seed=7)).core.options.seed == 7


# --- readers and books ----------------------------------------------------------------------------------------------


async def test_a_step_that_is_cancelled_loses_no_event_of_the_stream(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.trades("BTC/USD"))
    ids: list[int] = []
    for _ in range(50):
        step = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        for _, subscribers, frame in bench.exchange.source.step(None):
            for peer in subscribers:
                peer.send_text(frame)
        step.cancel()  # at the very moment that it has something to give
        try:
            ids.append((await step).trade_id)
        except asyncio.CancelledError:
            ids += [event.trade_id for event in await taken(reader)]
    assert ids
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    await reader.aclose()


async def test_a_book_handle_is_entered_once(bench: Bench) -> None:
    before = footprint(bench)
    handle = bench.client.book("BTC/USD")
    await bench.run(handle.__aenter__())
    with pytest.raises(UsageError, match="entered before"):
        await bench.run(handle.__aenter__())
    for _ in range(2):
        await handle.__aexit__(None, None, None)
    await bench.exchange.advance(2)
    assert footprint(bench) == before


async def test_an_entry_that_failed_can_be_repeated_and_begins_anew(bench: Bench) -> None:
    reader = bench.client.stream("instrument", "trade", symbols=["BTC/USD"])
    handle = bench.client.book("BTC/USD")
    for entry in (reader.__aenter__, handle.__aenter__):
        bench.exchange.answers = False
        assert await cancelled_at(bench.exchange, 10, entry())
        bench.exchange.answers = True
        await bench.exchange.advance(20)
        await bench.run(entry())
    instruments = [event.symbol for event in await taken(reader) if isinstance(event, Instrument)]
    assert len(instruments) == len(set(instruments)) > 1
    await reader.aclose()
    await handle.__aexit__(None, None, None)


async def test_trades_that_happen_while_a_reader_opens_come_each_once(bench: Bench) -> None:
    everything = await open_reader(bench, bench.client.events())
    opening = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
    first: Any = None
    second: Any = None
    for step in range(60):
        await turn(bench.exchange)
        for _, subscribers, frame in bench.exchange.source.step(None):
            for peer in list(subscribers):
                peer.send_text(frame)
        if first is None and opening.done():
            first = opening.result()
            opening = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
        elif step > 40 and opening.done():
            second = opening.result()
    told = [event for event in await taken(everything) if isinstance(event, Trade)]
    assert told
    assert await taken(first) == told
    late = await taken(second)
    assert late == told[len(told) - len(late) :]
    for reader in (everything, first, second):
        await reader.aclose()


# --- all symbols ----------------------------------------------------------------------------------------------------


async def test_a_listing_that_cannot_name_a_book_is_told_and_spares_the_others(bench: Bench) -> None:
    (peer,) = bench.exchange.peers
    peer.send_text((LISTING % "ÄPFEL/USD").encode())
    reader = await open_reader(bench, bench.client.stream("book", symbols="all", on_loss="yield"))
    peer.send_text((LISTING % "BÖRSE/USD").encode())
    peer.send_text((LISTING % "BÖRSE/USD").encode())
    await bench.exchange.advance(2)
    events = await taken(reader)
    assert [(e.of, e.symbol) for e in events if isinstance(e, Loss)] == [("book", "ÄPFEL/USD"), ("book", "BÖRSE/USD")]
    listed = {event.symbol for event in bench.told(Instrument)} - {"ÄPFEL/USD", "BÖRSE/USD"}
    assert {sub.key.symbol for sub in bench.client.core.sessions[0].table if sub.key.channel == "book"} == listed
    await reader.aclose()


async def test_what_is_listed_while_a_reader_of_all_opens_is_followed_once(bench: Bench) -> None:
    opening = asyncio.ensure_future(bench.client.stream("trade", symbols="all").__aenter__())
    while not bench.client._feed.listings:
        await turn(bench.exchange)
    for _ in range(2):
        bench.exchange.peers[0].send_text((LISTING % "NEW/USD").encode())
    await bench.exchange.advance(2)
    reader = await opening
    asked = [symbol for params in bench.requests("subscribe", "trade") for symbol in params["symbol"]]
    assert asked.count("NEW/USD") == 1
    await reader.aclose()


async def test_a_reader_of_all_that_is_closed_while_a_listing_is_followed_leaves_nothing(bench: Bench) -> None:
    before = footprint(bench)
    for turns in range(8):
        reader = await open_reader(bench, bench.client.stream("trade", symbols="all"))
        bench.exchange.peers[0].send_text((LISTING % f"NEW{turns}/USD").encode())
        for _ in range(turns):
            await asyncio.sleep(0)
        await reader.aclose()
        await bench.exchange.advance(12)
        assert footprint(bench) == before


async def test_a_listing_that_could_not_be_followed_is_told(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.stream("trade", symbols="all", on_loss="yield"))
    bench.exchange.answers = False
    bench.exchange.peers[0].send_text((LISTING % "NEW/USD").encode())
    await bench.exchange.advance(31)
    losses = [event for event in await taken(reader) if isinstance(event, Loss)]
    assert [loss.symbol for loss in losses if "could not be followed" in loss.reason] == ["NEW/USD"]
    bench.exchange.answers = True
    await reader.aclose()


# --- a loop that stalls ---------------------------------------------------------------------------------------------


class StallingClock(ManualClock):
    """A clock that can jump, as time does while the loop's thread is busy: every timer is then late at once."""

    def stall(self, seconds: float) -> None:
        self._move_to(self._monotonic_ns + round(seconds * NS_PER_S))
        while self._timers and self._timers[0][0] <= self._monotonic_ns:
            callback = self._timers.pop(0)[2].callback
            if callback is not None:
                callback()


@pytest.mark.parametrize("was_pinged", [False, True])
async def test_a_stall_of_our_own_is_not_taken_for_silence_of_the_exchange(was_pinged: bool) -> None:
    clock = StallingClock()
    bench = await connected(MemoryExchange(clock=clock))
    if was_pinged:
        bench.exchange.answers = False
        await clock.advance(10.5)
    clock.stall(25)
    # The loop reads its sockets in its next turn, after what was to be called soon: what came meanwhile waited there.
    asyncio.get_running_loop().call_soon(bench.exchange.peers[0].send_text, b'{"channel":"heartbeat"}')
    await bench.exchange.settle()
    await clock.advance(1)
    assert bench.told(Disconnected) == []
    await finish(bench.exchange, bench.client.close())


# --- nothing is left behind -----------------------------------------------------------------------------------------


@pytest.mark.any_kernel
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
async def test_readers_and_books_that_come_and_go_leave_nothing_behind(count: int) -> None:
    bench = await connected(MemoryExchange(), options=FAST)
    exchange, client = bench.exchange, bench.client

    async def come_and_go() -> None:
        async with client.stream("book", "trade", "ticker", symbols=["BTC/USD", "ETH/USD"]), client.book("BTC/USD"):
            pass

    async def cycles(count: int) -> tuple[dict[str, int], Counter[str]]:
        for _ in range(count):
            await finish(exchange, come_and_go())
            await exchange.clock.advance(0.1)  # the exchange limits the rate of messages
            await turn(exchange)
            bench.log.clear()
            exchange.requests.clear()
        await exchange.settle()
        settle_rings(bench.client)
        return footprint(bench), _objects()

    before, objects = await cycles(400)  # until as many cancelled timers leave the clock as enter it
    threads = threading.active_count()
    after, more = await cycles(count)
    assert after == before
    assert threading.active_count() == threads
    assert (more - objects).total() < 200, more - objects
    await finish(exchange, client.close())


@pytest.mark.any_kernel
async def test_two_thousand_reconnects_leave_nothing_behind() -> None:
    bench = await connected(MemoryExchange(), options=FAST, connect_budget=ConnectBudget(limit=5000))
    exchange = bench.exchange
    readers = [
        await open_reader(bench, bench.client.books("BTC/USD", depth=depth, on_loss="yield", capacity=10))
        for depth in (10, 100)
    ]

    async def reconnects(count: int) -> tuple[dict[str, int], Counter[str]]:
        for _ in range(count):
            for peer in exchange.peers:
                peer.cut()
            while len(bench.told(BookResynced)) < 2:
                await turn(exchange)
                if exchange.clock._timers:  # straight to the next timer, whichever it is
                    due = exchange.clock._timers[0][0]
                    await exchange.clock.advance(max(due - exchange.clock.monotonic_ns(), 0) / NS_PER_S)
            bench.log.clear()
            exchange.requests.clear()
            exchange.network.peers[:] = exchange.peers
            exchange.network._accepted = 0
            for gone in [peer for peer in exchange._sessions if peer.closed is not None]:
                del exchange._sessions[gone], exchange._answered[gone]
        await exchange.settle()
        settle_rings(bench.client)
        return footprint(bench), _objects()

    before, objects = await reconnects(20)
    after, more = await reconnects(1000)  # of two connections
    assert after == before
    assert (more - objects).total() < 200, more - objects
    for reader in readers:
        await reader.aclose()
    await finish(exchange, bench.client.close())


def _objects() -> Counter[str]:
    """What there is of ours and of asyncio's, by type; what the rest of the process holds is none of a client's."""
    gc.collect()
    ours = ("krakenwire", "asyncio", "_asyncio")
    kinds = (type(each) for each in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(ours))
