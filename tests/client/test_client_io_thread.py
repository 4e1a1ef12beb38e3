"""The client with a feed in a thread of its own, over real sockets: the face is the same, whatever crosses is exact."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from helpers.hostile import Peer, serving
from helpers.processes import run
from krakenwire import (
    BookSnapshot,
    BookUnsynced,
    CallbackFailed,
    Client,
    Connected,
    ConnectFailed,
    ConnectionClosed,
    DataLost,
    Endpoints,
    Instrument,
    LeaderChanged,
    ManualClock,
    Options,
    ReaderClosed,
    ReaderOverrun,
    ReadingPaused,
    ReadingResumed,
    Subscribed,
    SubscriptionTimeout,
    Trade,
    UnknownSymbol,
    UsageError,
)
from krakenwire.feed.handover import BATCH
from krakenwire.feed.iothread import THREAD_NAME
from krakenwire.sim.engine.model import AddOrder
from krakenwire.testing import Simulator, SimulatorThread

FAST = Options(messages_per_second=1e6, message_burst=1000)


def io_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert io_threads() == []


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatorThread]:
    """An exchange on which nothing happens but what a test does."""
    with SimulatorThread(symbols=["BTC/USD", "ETH/USD"], seed=7, rate=0) as sim:
        yield sim


@asynccontextmanager
async def client_of(sim: SimulatorThread, **options: Any) -> AsyncIterator[Client]:
    async with Client(Endpoints(public=sim.url), io_thread=True, **{"options": FAST, **options}) as kraken:
        yield kraken


def trade(sim: SimulatorThread, count: int) -> int:
    """So many trades of the smallest quantity, all at once; the id of the last."""
    order = AddOrder(symbol="BTC/USD", side="buy", order_type="market", order_qty=Decimal("0.0001"), limit_price=None)
    sim._command(lambda engine: [engine.add("alice", order) for _ in range(count)])
    execution = sim.fills("alice")[-1].execution
    assert execution is not None
    return execution.trade_id


class Tape(list[Any]):
    """Every event that a client told; written in its thread."""

    @property
    def ids(self) -> list[Any]:
        return [event.trade_id for event in self if isinstance(event, Trade)]

    async def until(self, trade_id: int) -> int:
        """Wait for a trade; how many there were by then."""
        await until(lambda: trade_id in self.ids[-50:])
        return len(self.ids)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # it comes true in another thread, which tells nobody
            await asyncio.sleep(0.001)


def met(reader: Any) -> int:
    """How many events a reader was meant to get so far."""
    account = reader.statistics()
    total: int = account.delivered + account.waiting + account.dropped + account.conflated
    return total


def subscribed(kraken: Client) -> set[str]:
    placed = kraken._home.call(lambda: list(kraken.core._placing._placed))
    return {key.channel for key in placed} - {"instrument"}


async def ids_of(reader: Any, count: int) -> list[Any]:
    return [(await anext(reader)).trade_id for _ in range(count)]


async def ids_until(reader: Any, error: type[BaseException]) -> tuple[list[Any], BaseException]:
    """What it gives until it raises `error`."""
    ids: list[Any] = []
    while True:
        try:
            ids.append((await anext(reader)).trade_id)
        except error as caught:
            return ids, caught


def checksum_of(book: BookSnapshot) -> int:
    """The checksum of the levels that are shown (PROTOCOL 6), without a line of ours."""
    numbers = [number for level in (*book.asks[:10], *book.bids[:10]) for number in (level.price, level.qty)]
    return crc32("".join(str(number).replace(".", "").lstrip("0") for number in numbers).encode())


def following(ids: list[Any]) -> list[Any]:
    return list(range(ids[0], ids[0] + len(ids)))


# --- events -----------------------------------------------------------------------------------------------------------


async def test_events_come_each_once_and_in_order(sim: SimulatorThread) -> None:
    tape = Tape()
    async with client_of(sim, on_events=tape.extend) as kraken, kraken.trades("BTC/USD") as reader:
        for _ in range(10):
            last = trade(sim, 300)
        ids = await ids_of(reader, await tape.until(last))
        account = reader.statistics()
    assert len(ids) >= 3000
    assert ids == following(ids) == tape.ids
    assert (account.delivered, account.waiting, account.dropped, account.losses) == (len(ids), 0, 0, 0)


async def test_a_slow_reader_is_told_the_exact_loss_at_its_place(sim: SimulatorThread) -> None:
    tape = Tape()
    async with (
        client_of(sim, on_events=tape.extend) as kraken,
        kraken.trades("BTC/USD", capacity=1000) as reader,
    ):
        for _ in range(6):
            count = await tape.until(trade(sim, 500))
        await until(lambda: met(reader) == count)
        account = reader.statistics()
        assert (account.delivered, account.losses) == (0, 0)
        assert account.waiting <= BATCH + 1000
        assert account.dropped == count - account.waiting
        before, lost = await ids_until(reader, DataLost)
        assert lost.loss.count == account.dropped  # type: ignore[attr-defined]  # a DataLost
        after = await ids_of(reader, account.waiting - len(before))
        account = reader.statistics()
        assert (account.waiting, account.losses, account.delivered) == (0, 1, len(before) + len(after))
    assert before == following(before)
    assert after == following(after)
    assert after[0] == before[-1] + account.dropped + 1
    assert before + after == tape.ids[: len(before)] + tape.ids[-len(after) :]


async def test_a_reader_that_is_disconnected_reads_what_waited_and_then_the_overrun(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken, kraken.trades("BTC/USD", policy="disconnect", capacity=10) as reader:
        trade(sim, 2000)
        await until(lambda: reader.statistics().dropped)
        waited = reader.statistics().waiting
        ids, overrun = await ids_until(reader, ReaderOverrun)
        with pytest.raises(ReaderOverrun, match="more than 10 events"):
            await anext(reader)
    assert "more than 10 events" in str(overrun)
    assert ids == following(ids)
    assert len(ids) == waited <= BATCH + 10


async def test_a_reader_that_conflates_is_given_the_newest_and_nothing_that_is_old(sim: SimulatorThread) -> None:
    tape = Tape()
    async with (
        client_of(sim, on_events=tape.extend) as kraken,
        kraken.trades("BTC/USD", policy="conflate") as reader,
    ):
        for _ in range(20):
            last = trade(sim, 100)
        count = await tape.until(last)
        await until(lambda: (reader.statistics().waiting, met(reader)) == (1, count))
        assert (await anext(reader)).trade_id == last
        account = reader.statistics()
    assert (account.delivered, account.conflated, account.waiting) == (1, count - 1, 0)


async def test_batches_and_callbacks_work_as_on_one_loop(sim: SimulatorThread) -> None:
    tape = Tape()
    async with (
        client_of(sim, on_events=tape.extend) as kraken,
        kraken.trades("BTC/USD") as reader,
        kraken.trades("BTC/USD", name="mine") as called,
        kraken.lifecycle() as lifecycle,
    ):
        count = await tape.until(trade(sim, 1500))
        ids: list[Any] = []
        async for batch in reader.batches(max_events=1000, max_wait=0.2):
            assert len(batch) <= 1000
            ids += [event.trade_id for event in batch]
            if len(ids) == count:
                break
        assert ids == tape.ids

        seen: list[tuple[Any, str]] = []

        def callback(event: Trade) -> None:
            seen.append((event.trade_id, threading.current_thread().name))
            if len(seen) == 7:
                raise KeyError("the callback's")

        task = asyncio.ensure_future(called.run(callback))
        await until(lambda: len(seen) == count)
        assert seen == [(each, "MainThread") for each in ids]
        assert called.statistics().failures == 1
        failed = await anext(event async for event in lifecycle if isinstance(event, CallbackFailed))
        assert failed.reader == "mine"
        task.cancel()


async def test_a_batch_is_waited_for_beyond_what_was_handed_over_first(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken, kraken.trades("BTC/USD") as reader:
        last = trade(sim, 400)
        while (await anext(reader)).trade_id != last:
            pass
        trade(sim, 1)
        step = asyncio.ensure_future(anext(reader.batches(max_events=1000, max_wait=30)))
        for _ in range(9):
            trade(sim, 111)
            await asyncio.sleep(0.001)
        async with asyncio.timeout(20):
            ids = [event.trade_id for event in await step]
        assert len(ids) == 1000
        assert ids == following(ids)
        assert ids[0] == last + 1


async def test_a_step_that_is_cancelled_loses_nothing(sim: SimulatorThread) -> None:
    tape = Tape()
    async with client_of(sim, on_events=tape.extend) as kraken, kraken.trades("BTC/USD") as reader:
        ids: list[Any] = []
        for turns in range(200):
            last = trade(sim, 1)
            step = asyncio.ensure_future(anext(reader))
            for _ in range(turns % 7):
                await asyncio.sleep(0)
            step.cancel()
            with suppress(asyncio.CancelledError):
                ids.append((await step).trade_id)
        ids += await ids_of(reader, await tape.until(last) - len(ids))
    assert ids == following(ids) == tape.ids


async def test_what_waits_when_the_client_closes_is_still_given(sim: SimulatorThread) -> None:
    tape = Tape()
    async with client_of(sim, on_events=tape.extend) as kraken:
        reader = await kraken.trades("BTC/USD").__aenter__()
        lifecycle = await kraken.lifecycle().__aenter__()
        await tape.until(trade(sim, 5000))
    ids = [event.trade_id async for event in reader]
    assert ids == following(ids) == tape.ids
    assert len(ids) >= 5000
    account = reader.statistics()
    assert (account.delivered, account.waiting) == (len(ids), 0)
    assert [event async for event in lifecycle][-1].terminal
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    await reader.aclose()
    await lifecycle.aclose()


async def test_all_events_and_the_lifecycle_cross_from_before_the_connection_on(sim: SimulatorThread) -> None:
    seen: list[Any] = []
    kraken = Client(Endpoints(public=sim.url), io_thread=True, options=FAST, on_events=seen.extend)
    async with kraken.lifecycle() as lifecycle, kraken.events() as everything:
        async with kraken:
            assert isinstance(await anext(lifecycle), Connected)
            async with kraken.stream("book", "trade", symbols=["BTC/USD", "ETH/USD"]):
                assert isinstance(await anext(lifecycle), Subscribed)
                trade(sim, 10)
    assert [event async for event in everything] == seen


async def test_the_accounts_of_all_readers_are_exact(sim: SimulatorThread) -> None:
    tape = Tape()
    async with (
        client_of(sim, on_events=tape.extend) as kraken,
        kraken.trades("BTC/USD", name="a") as a,
        kraken.trades("BTC/USD", name="b", policy="conflate") as b,
    ):
        count = await tape.until(trade(sim, 100))
        await anext(a)
        accounts = {account.name: account for account in kraken.readers()}
        assert list(accounts) == ["a", "b"]
        assert (accounts["a"].delivered, accounts["a"].waiting) == (1, count - 1)
        assert accounts["b"].conflated + accounts["b"].waiting == count
        assert (met(a), met(b)) == (count, count)
        assert kraken.statistics().frames > 0
    assert kraken.readers() == ()


async def test_a_reader_that_blocks_has_reading_paused_and_loses_nothing(sim: SimulatorThread) -> None:
    tape = Tape()
    async with (
        client_of(sim, on_events=tape.extend) as kraken,
        kraken.trades("BTC/USD", policy="block", capacity=100) as reader,
    ):
        while not any(isinstance(event, ReadingPaused) for event in tape):
            last = trade(sim, 60)
            await asyncio.sleep(0.005)
        for _ in range(10):  # these stay in the socket
            last = trade(sim, 60)
        ids: list[Any] = []
        while not ids or ids[-1] != last:
            ids.append((await anext(reader)).trade_id)
        account = reader.statistics()
        assert (account.dropped, account.losses) == (0, 0)
        assert account.pauses >= 1
        await until(lambda: any(isinstance(event, ReadingResumed) for event in tape))
    assert ids == following(ids) == tape.ids


async def test_history_goes_before_what_is_live() -> None:
    with SimulatorThread(symbols=["BTC/USD"], seed=7, rate=0) as sim:
        past = trade(sim, 200)
        endpoints = Endpoints(public=sim.url, rest=sim.rest_url)
        async with Client(endpoints, io_thread=True, options=FAST) as kraken:
            async with kraken.trades("BTC/USD", since=timedelta(hours=1)) as reader:
                ids = [(await anext(reader)).trade_id]
                while ids[-1] != past:
                    ids.append((await anext(reader)).trade_id)
                last = trade(sim, 200)
                while ids[-1] != last:
                    ids.append((await anext(reader)).trade_id)
    assert ids == following(ids)
    assert len(ids) >= 400


async def test_a_mirror_goes_on_when_one_of_its_connections_ends() -> None:
    with SimulatorThread(symbols=["BTC/USD"], seed=3, rate=500) as sim:
        tape = Tape()
        async with (
            client_of(sim, mirror=True, on_events=tape.extend) as kraken,
            kraken.trades("BTC/USD") as reader,
            kraken.book("BTC/USD") as book,
        ):
            await book.synced(20)
            await until(lambda: len([event for event in tape if isinstance(event, Connected)]) == 2)
            await ids_of(reader, 20)
            kraken._home.call(lambda: kraken._feed.opened()[0].drop("public"))
            await until(lambda: any(isinstance(event, LeaderChanged) for event in tape))
            ids = await ids_of(reader, 50)
            await book.synced(20)
            seen = book.snapshot(10)
            assert checksum_of(seen) == seen.checksum
        assert ids == following(ids)
        assert kraken.statistics().mismatched == 0


# --- who is released --------------------------------------------------------------------------------------------------


async def test_aclose_and_the_end_of_the_block_release_the_subscription(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken:
        reader = await kraken.trades("BTC/USD").__aenter__()
        async with kraken.book("BTC/USD"):
            assert subscribed(kraken) == {"trade", "book"}
        assert subscribed(kraken) == {"trade"}
        await reader.aclose()
        assert subscribed(kraken) == set()
        await ids_until(reader, StopAsyncIteration)
        with pytest.raises(ReaderClosed):
            await reader.__aenter__()


async def test_an_abandoned_reader_is_released_with_a_warning(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken:
        readers = [await kraken.trades("BTC/USD").__aenter__()]
        with pytest.warns(ResourceWarning, match="unclosed"):
            readers.clear()
        await until(lambda: subscribed(kraken) == set())
        assert [task for task in kraken._home.call(asyncio.all_tasks) if "handover" in task.get_name()] == []
        gc.collect()
        assert len(kraken._handovers) == 0


async def test_an_entry_that_fails_holds_nothing_and_can_be_repeated(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken:
        with pytest.raises(UnknownSymbol, match="BTC/USD"):
            await kraken.trades("BTC/UDS").__aenter__()
        with pytest.raises(UnknownSymbol):
            await kraken.book("BTC/UDS").__aenter__()
        assert subscribed(kraken) == set()
        reader = kraken.stream("instrument", "trade", symbols=["BTC/USD"])
        for turns in range(6):
            entry = asyncio.ensure_future(reader.__aenter__())
            for _ in range(turns):
                await asyncio.sleep(0)
            entry.cancel()
            with pytest.raises(asyncio.CancelledError):
                await entry
            assert subscribed(kraken) == set()
        async with reader:
            assert subscribed(kraken) == {"trade"}
            last = trade(sim, 1)
            events: list[Any] = []
            while not events or getattr(events[-1], "trade_id", None) != last:
                events.append(await anext(reader))
        names = [event.symbol for event in events if isinstance(event, Instrument)]
        assert sorted(names) == ["BTC/USD", "ETH/USD"]


# --- books ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns as often as they can: what is not held together falls apart."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
async def test_a_book_is_consistent_whenever_it_is_read() -> None:
    with SimulatorThread(symbols=["BTC/USD"], seed=3, rate=5000) as sim:
        async with client_of(sim) as kraken, kraken.book("BTC/USD", depth=100) as book:
            await book.synced(10)
            before = kraken.statistics().verified
            states: set[int | None] = set()
            while len(states) < 100:
                seen = book.snapshot(10)
                assert checksum_of(seen) == seen.checksum
                states.add(seen.checksum)
                spread = book.spread
                assert spread is not None
                assert spread > 0
            assert kraken.statistics().verified > before


async def test_a_book_wakes_who_waits_and_ends_with_its_block(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken:
        async with kraken.book("BTC/USD", depth=10) as book:
            await book.synced(10)
            while True:  # what the snapshot itself changed
                try:
                    async with asyncio.timeout(0.2):
                        await book.changed()
                except TimeoutError:
                    break
            for _ in range(20):
                before = book.snapshot()
                change = asyncio.ensure_future(book.changed())
                await asyncio.sleep(0)
                assert not change.done()
                trade(sim, 1)
                await change
                assert book.snapshot() != before
            waiting = [asyncio.ensure_future(book.changed()) for _ in range(2)]
            await asyncio.sleep(0)
            waiting.pop().cancel()
        with pytest.raises(ConnectionClosed, match="released"):
            await waiting[0]
        with pytest.raises(ConnectionClosed, match="released"):
            await book.changed()
        with pytest.raises(BookUnsynced):
            _ = book.best_bid
        assert book.stale.bids == before.bids or book.stale.bids


async def test_a_cut_connection_is_seen_in_the_book_and_recovered_from(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken, kraken.book("BTC/USD") as book, kraken.lifecycle() as lifecycle:
        await book.synced(10)
        kraken.drop_connections()
        while book.is_synced:
            await book.changed()
        await book.synced(10)
        told = [type(await anext(lifecycle)).__name__ for _ in range(2)]
        assert "Disconnected" in told


# --- life -------------------------------------------------------------------------------------------------------------


async def test_on_events_runs_in_the_thread_and_what_it_raises_is_told_here(sim: SimulatorThread) -> None:
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    names = set()

    def on_events(_: Any) -> None:
        names.add(threading.current_thread().name)
        raise KeyError("the user's")

    async with client_of(sim, on_events=on_events) as kraken:
        async with kraken.trades("BTC/USD") as reader:
            trade(sim, 1)
            await anext(reader)
        await until(lambda: contexts)
    assert names == {THREAD_NAME}
    assert {type(context["exception"]) for context in contexts} == {KeyError}


async def test_a_first_connect_that_fails_raises_and_leaves_no_thread() -> None:
    kraken = Client(Endpoints(public="ws://127.0.0.1:1/v2"), io_thread=True)
    with pytest.raises(ConnectFailed):
        await kraken.connect()
    assert io_threads() == []
    with pytest.raises(ConnectionClosed, match="make a new one"):
        await kraken.connect()
    await kraken.close()


async def test_a_connect_that_is_cancelled_leaves_neither_thread_nor_socket() -> None:
    gone = 0

    async def silent(peer: Peer) -> None:
        nonlocal gone
        await peer.read_head()
        await peer.until_gone()
        gone += 1

    async with serving(silent) as port:
        dialled = 0
        for delay in (None, 0.0, 0.0, 0.001, 0.003, 0.01, 0.03, 0.1):
            kraken = Client(Endpoints(public=f"ws://127.0.0.1:{port}/v2"), io_thread=True)
            task = asyncio.ensure_future(kraken.connect())
            if delay is not None:
                await asyncio.sleep(delay)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert io_threads() == []
            if delay is not None:  # else it had not begun
                dialled += 1
                with pytest.raises(ConnectionClosed):
                    await kraken.connect()


async def test_a_close_that_is_cancelled_leaves_no_thread(sim: SimulatorThread) -> None:
    for turns in range(8):
        kraken = Client(Endpoints(public=sim.url), io_thread=True, options=FAST)
        await kraken.connect()
        reader = await kraken.trades("BTC/USD").__aenter__()
        task = asyncio.ensure_future(kraken.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if turns == 0:  # it had not begun
            await kraken.close()
        assert io_threads() == []
        await ids_until(reader, StopAsyncIteration)
        await reader.aclose()


async def test_a_server_that_never_answers_a_subscribe_is_a_timeout_here_too() -> None:
    from .test_client_sockets import client_of, greet

    async def script(peer: Peer) -> None:
        await greet(peer)
        await peer.until_gone()

    async with serving(script) as port, client_of(port, io_thread=True, subscribe_timeout=0.3) as kraken:
        with pytest.raises(SubscriptionTimeout):
            await kraken.trades("BTC/USD").__aenter__()
        assert subscribed(kraken) == set()


def test_another_loop_is_refused_while_the_first_runs(sim: SimulatorThread) -> None:
    kraken = Client(Endpoints(public=sim.url), io_thread=True, options=FAST)
    with asyncio.Runner() as first:
        first.run(kraken.connect())

        async def elsewhere() -> None:
            for work in (
                kraken.connect(),
                anext(kraken.trades("BTC/USD")),
                kraken.book("BTC/USD").__aenter__(),
                kraken.close(),
            ):
                with pytest.raises(UsageError, match="another event loop"):
                    await work

        other = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        other.start()
        other.join()
        first.run(kraken.close())


def test_a_client_whose_loop_ended_without_close_ends_by_itself(sim: SimulatorThread) -> None:
    kraken = Client(Endpoints(public=sim.url), io_thread=True, options=FAST)
    asyncio.run(kraken.connect())
    for thread in io_threads():
        thread.join(10)
    assert io_threads() == []
    assert "closed" in repr(kraken)
    asyncio.run(kraken.close())


PROGRAM = """
import asyncio, sys
from krakenwire import Client, Endpoints

async def use():
    kraken = await Client(Endpoints(public=sys.argv[1]), io_thread=True, bundles=sys.argv[2]).connect()
    reader = await kraken.trades("BTC/USD").__aenter__()
    {then}

try:
    asyncio.run(use())
except KeyboardInterrupt:
    print("interrupted")
print("the end")
"""


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("pass", "the end\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); await anext(reader)", "interrupted\nthe end\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); await kraken.close()", "interrupted\nthe end\n"),
    ],
)
def test_a_program_that_does_not_close_comes_to_its_end(
    sim: SimulatorThread, tmp_path: Path, then: str, said: str
) -> None:
    program = PROGRAM.format(then=then)
    # Without asyncio's debug mode, which on a busy machine says how long a callback took.
    python = (sys.executable, "-W", "ignore::ResourceWarning", "-c", program)
    assert run(sim.url, tmp_path, program=python) == (0, said, "")


async def test_a_clock_moved_by_hand_is_refused() -> None:
    with pytest.raises(UsageError, match="moved by hand"):
        Client(Endpoints(), clock=ManualClock(), io_thread=True)
    async with Simulator(symbols=["BTC/USD"]) as simulator:
        with pytest.raises(UsageError, match="SimulatorThread"):
            simulator.client(io_thread=True)


async def test_nothing_is_left_of_readers_that_come_and_go(sim: SimulatorThread) -> None:
    async with client_of(sim) as kraken:
        tasks = len(kraken._home.call(asyncio.all_tasks))
        for _ in range(20):
            async with kraken.trades("BTC/USD") as reader, kraken.book("BTC/USD"):
                trade(sim, 1)
                await anext(reader)
        del reader
        gc.collect()
        await until(lambda: len(kraken._home.call(asyncio.all_tasks)) == tasks)
        gc.collect()  # what the last task held is in a cycle of its own: an inbox and its ring
        assert subscribed(kraken) == set()
        assert kraken._feed.hub.inboxes == ()
        assert len(kraken._handovers) == 0
        assert len(kraken._home._crossings) == 0  # type: ignore[attr-defined]  # an IoThread
