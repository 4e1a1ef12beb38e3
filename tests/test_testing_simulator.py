"""`krakenwire.testing.Simulator`: an exchange in the test's own process, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import krakenwire
from krakenwire import (
    BookInvalidated,
    BookResynced,
    BookUpdate,
    Client,
    Connected,
    ConnectFailed,
    ConnectionClosed,
    Disconnected,
    Endpoints,
    Event,
    Heartbeat,
    SystemStatus,
    Trade,
    UnknownSymbol,
    UsageError,
)
from krakenwire.net.transport import Closed
from krakenwire.sim.faults import KINDS
from krakenwire.testing import BareConnection, Refusal, Simulator

SYMBOLS = ["BTC/USD", "MINA/GBP"]
NS_PER_S = 1_000_000_000


def told(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# --- time -----------------------------------------------------------------------------------------------------------


async def test_a_book_ends_as_the_exchange_has_it() -> None:
    async with Simulator(SYMBOLS, seed=1) as sim, sim.client("alice") as kraken:
        async with kraken.book("BTC/USD", depth=100) as book, kraken.book("MINA/GBP") as thin:
            await sim.advance(20)
            for held, symbol, depth in ((book, "BTC/USD", 100), (thin, "MINA/GBP", 10)):
                shown = held.snapshot(depth)
                bids, asks = sim.truth(symbol, depth)
                assert [(str(level.price), str(level.qty)) for level in shown.bids] == bids
                assert [(str(level.price), str(level.qty)) for level in shown.asks] == asks


async def test_nothing_comes_while_the_clock_stands() -> None:
    events: list[Event] = []
    async with Simulator(SYMBOLS, rate=1000) as sim, sim.client(on_events=events.extend) as kraken:
        async with kraken.trades("BTC/USD"):
            await sim.settle()
            seen = len(events)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert len(events) == seen
            await sim.advance(1)
            assert len(events) > seen


async def test_the_market_moves_at_its_rate_of_frames_a_simulated_second() -> None:
    events: list[Event] = []
    async with Simulator(SYMBOLS, rate=25) as sim, sim.client(on_events=events.extend) as kraken:
        async with kraken.books(*SYMBOLS):
            await sim.advance(40)
    updates = [event for event in told(events, BookUpdate) if event.type == "update"]
    assert len(updates) == pytest.approx(1000, rel=0.02)


async def test_heartbeats_come_once_a_simulated_second() -> None:
    events: list[Event] = []
    async with Simulator(SYMBOLS, rate=0) as sim, sim.client(on_events=events.extend):
        await sim.advance(30)
    assert len(told(events, Heartbeat)) == 30


async def test_frames_carry_the_simulated_time() -> None:
    events: list[Event] = []
    async with Simulator(SYMBOLS) as sim, sim.client(on_events=events.extend) as kraken:
        async with kraken.trades("BTC/USD"):
            began_ns = sim.now_ns
            await sim.advance(60)
            assert sim.now_ns == kraken.now_ns() == began_ns + 60 * NS_PER_S
    trades = told(events, Trade)
    assert trades
    for trade in trades:
        assert began_ns <= trade.received_ns <= began_ns + 60 * NS_PER_S
        assert abs(trade.received_ns - trade.exchange_ns) < 1_000_000
    assert trades[-1].received_ns - trades[0].received_ns > 30 * NS_PER_S


async def test_a_bot_sleeps_on_the_simulators_clock() -> None:
    async def bot(kraken: Client) -> list[int]:
        woken = []
        for seconds in (1, 10, 19):
            await kraken.sleep(seconds)
            woken.append(kraken.now_ns())
        return woken

    async with Simulator(SYMBOLS) as sim, sim.client() as kraken:
        began_ns = sim.now_ns
        task = asyncio.create_task(bot(kraken))
        await sim.advance(29.5)
        assert not task.done()
        await sim.advance(0.5)
        assert [ns - began_ns for ns in task.result()] == [NS_PER_S, 11 * NS_PER_S, 30 * NS_PER_S]


async def test_advance_returns_when_what_it_set_off_has_come_to_rest() -> None:
    async def chain(links: int) -> int:
        if not links:
            return 0
        return 1 + await asyncio.create_task(chain(links - 1))

    async def bot(kraken: Client) -> None:
        async with kraken.trades("BTC/USD") as trades:  # asks, is answered, and goes on: all at one moment
            done.append(await chain(20))
            await anext(trades)

    done: list[int] = []
    async with Simulator(SYMBOLS) as sim, sim.client() as kraken:
        task = asyncio.create_task(bot(kraken))
        await sim.settle()
        assert done == [20]
        task.cancel()
        await asyncio.wait([task])


async def test_a_long_conversation_of_one_moment_comes_to_its_end() -> None:
    async def talk(connection: BareConnection) -> int:
        await connection.receive()
        for number in range(150):
            connection.send({"method": "ping", "req_id": number})
            assert (await connection.receive())["req_id"] == number
        return sim.now_ns

    async with Simulator(SYMBOLS, rate=0) as sim:
        task = asyncio.create_task(talk(await sim.connect()))
        await sim.settle()
        assert task.result() == sim.now_ns


async def test_neither_end_is_entered_inside_a_call_of_its_own() -> None:
    class Nosy(BareConnection):
        inside = False

        def send(self, message: Any) -> None:
            self.inside = True
            super().send(message)
            self.inside = False

        def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
            assert not self.inside
            super().receive_frame(frame, last_in_read)
            if len(self.frames) < 20:
                self.send({"method": "ping"})
                assert len(sim.exchange.peers) == 1

    async with Simulator(SYMBOLS, rate=0) as sim:
        connection = Nosy(sim.endpoints.public)
        await connection.open(sim.connector)
        await sim.settle()
        assert len(connection.frames) == 20
        connection.close()
        assert len(sim.exchange.peers) == 1  # it is told on the next turn
        await sim.settle()
        assert not sim.exchange.peers


async def test_who_never_waits_on_the_clock_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krakenwire.testing.clock.MOST_TURNS", 2000)

    async with Simulator(SYMBOLS, rate=0) as sim:
        connection = await sim.connect()

        async def chatter() -> None:
            while True:
                connection.send({"method": "ping"})
                await connection.receive()

        task = asyncio.create_task(chatter())
        with pytest.raises(UsageError, match=r"does not come to rest.*kraken\.sleep"):
            await sim.advance(1)
        task.cancel()
        await asyncio.wait([task])


async def test_only_one_task_may_advance_the_clock() -> None:
    async with Simulator(SYMBOLS) as sim:
        first = asyncio.create_task(sim.advance(1))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="only one task"):
            await sim.advance(1)
        await first


async def test_time_does_not_run_backwards() -> None:
    async with Simulator(SYMBOLS) as sim:
        with pytest.raises(ValueError, match="backwards"):
            await sim.advance(-1)
        await sim.advance(1)


async def test_until_advances_as_far_as_it_must() -> None:
    async with Simulator(SYMBOLS) as sim, sim.client() as kraken:
        began_ns = sim.now_ns
        async with kraken.trades("BTC/USD") as trades:
            trade = await sim.until(anext(trades))
            assert isinstance(trade, Trade)
            assert 0 <= sim.now_ns - trade.received_ns <= 50_000_000
            await sim.until(kraken.sleep(3))
            assert sim.now_ns - began_ns >= 3 * NS_PER_S


async def test_until_gives_up_after_its_timeout_and_raises_what_was_raised() -> None:
    async def fail() -> None:
        raise LookupError("mine")

    async with Simulator(SYMBOLS) as sim:
        began_ns = sim.now_ns
        waiting = asyncio.create_task(asyncio.Event().wait())
        with pytest.raises(TimeoutError, match="within 5 simulated seconds"):
            await sim.until(waiting, timeout=5)
        assert sim.now_ns - began_ns == 5 * NS_PER_S
        assert waiting.cancelled()
        with pytest.raises(LookupError, match="mine"):
            await sim.until(fail())


# --- the same again ---------------------------------------------------------------------------------------------------


async def story(seed: int) -> list[bytes]:
    """Much of what can happen: everything that a client sees of it, and everything that it says."""
    seen: list[bytes] = []

    def note(events: Any) -> None:
        seen.extend(repr(event).encode() for event in events)

    async with Simulator(SYMBOLS, seed=seed, rate=40, faults=["lose_update:symbol=BTC/USD@7s"]) as sim:
        private = await sim.connect("auth")
        private.send({"method": "subscribe", "params": {"channel": "executions", "token": sim.token("alice")}})
        async with sim.client("alice", on_events=note) as kraken:
            async with kraken.stream("book", "trade", "ticker", "ohlc", symbols=SYMBOLS, on_loss="yield"):
                order = sim.place("alice", "BTC/USD", "buy", "0.5", sim.truth("BTC/USD", 1)[0][0][0])
                sim.inject("cut", code=1012, after=3.0)
                sim.inject("corrupt_checksum", after=5.0)
                await sim.advance(15)
                sim.place("bob", "BTC/USD", "sell", "0.2")
                if order.order_id in {each.order_id for each in sim.orders("alice")}:
                    sim.cancel("alice", order.order_id)
                await sim.advance(5)
        seen += private.frames
        seen += [json.dumps(fault.record()).encode() for fault in sim.faults]
        seen += [repr(sim.balances(name)).encode() for name in ("alice", "bob")]
    return seen


async def test_the_same_seed_and_calls_give_the_same_events_byte_for_byte() -> None:
    first = await story(5)
    assert first == await story(5)
    assert len(first) > 500


async def test_another_seed_gives_other_events() -> None:
    assert await story(5) != await story(6)


def test_the_events_do_not_depend_on_the_process() -> None:
    program = "import asyncio, hashlib, test_testing_simulator as t; print(t.digest(asyncio.run(t.story(5))))"
    tests = Path(__file__).resolve().parent
    path = os.pathsep.join(map(str, (tests, Path(krakenwire.__file__).parents[1])))
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": str(number)},
            check=True,
            capture_output=True,
            timeout=50,
        ).stdout
        for number in (1, 2)
    }
    assert len(digests) == 1


def digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


# --- who connects -----------------------------------------------------------------------------------------------------


async def test_an_account_that_does_not_exist_is_refused_by_name() -> None:
    async with Simulator(SYMBOLS) as sim:
        with pytest.raises(UsageError, match=r"mallory.*alice, bob"):
            sim.client("mallory")
        with pytest.raises(UsageError, match="mallory"):
            sim.token("mallory")


async def test_a_symbol_that_is_not_listed_is_refused() -> None:
    with pytest.raises(UnknownSymbol, match="BTC/USD"):
        Simulator(["BTC/USDD"])


async def test_the_connector_reaches_nothing_but_the_simulator() -> None:
    async with Simulator(SYMBOLS) as sim:
        client = Client(Endpoints(), clock=sim.clock, connector=sim.connector)
        with pytest.raises(UsageError, match=r"wss://ws\.simulator/v2.*ws\.kraken\.com"):
            await client.connect()


async def test_a_simulator_that_is_not_open_refuses_clients_for_good() -> None:
    sim = Simulator(SYMBOLS)
    with pytest.raises(ConnectFailed, match="new, not open") as caught:
        await sim.client().connect()
    assert not caught.value.retryable
    async with sim:
        client = await sim.client().connect()
    with pytest.raises(ConnectFailed, match="closed, not open"):
        await sim.until(client.trades("BTC/USD").__aenter__())
    with pytest.raises(UsageError, match="make another one"):
        await sim.__aenter__()
    await client.close()


async def test_two_clients_see_the_same_market() -> None:
    async with Simulator(SYMBOLS) as sim, sim.client() as one, sim.client() as two:
        async with one.book("BTC/USD") as first, two.book("BTC/USD") as second:
            await sim.advance(10)
            assert first.snapshot(10).bids == second.snapshot(10).bids
            assert first.snapshot(10).asks == second.snapshot(10).asks


async def test_a_bare_connection_sends_and_receives_what_it_is_given() -> None:
    async with Simulator(SYMBOLS, rate=0) as sim:
        connection = await sim.connect()
        status = await connection.receive()
        connection.send({"method": "ping", "req_id": 1})
        connection.send('{"method":"ping","req_id":2}')
        connection.send(b'{"method":"ping","req_id":3}')
        assert status["channel"] == "status"
        assert [(await connection.receive())["req_id"] for _ in range(3)] == [1, 2, 3]
        connection.close()
        await sim.settle()
        assert connection.closed == Closed(1000, "", local=True)
        with pytest.raises(ConnectionClosed, match="1000"):
            await connection.receive()
        assert not sim.exchange.peers


async def test_what_a_client_sent_before_it_closed_still_arrives() -> None:
    async with Simulator(SYMBOLS, rate=0, accounts={"alice": {"USD": 1000}}) as sim:
        connection = await sim.connect("auth")
        connection.send(
            {
                "method": "add_order",
                "params": {
                    **{"order_type": "limit", "side": "buy", "symbol": "BTC/USD"},
                    **{"order_qty": 0.001, "limit_price": 1000, "token": sim.token("alice")},
                },
            }
        )
        connection.close()
        await sim.settle()
        assert len(sim.orders("alice")) == 1


async def test_a_client_that_does_not_read_is_cut_off_once_too_much_waits() -> None:
    class Stuck(BareConnection):
        def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
            super().receive_frame(frame, last_in_read)
            self.pause()

        def pause(self) -> None:
            assert self._transport is not None
            self._transport.pause_reading()

    async with Simulator(["BTC/USD"], rate=100) as sim:
        sim.exchange.max_buffer = 50_000
        stuck = Stuck(sim.endpoints.public)
        await stuck.open(sim.connector)
        stuck.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 1000}})
        await sim.advance(10)
        assert sim.exchange.slow_clients_dropped == 1
        assert not sim.exchange.peers


# --- accounts ---------------------------------------------------------------------------------------------------------


async def test_an_account_places_amends_fills_and_cancels() -> None:
    async with Simulator(
        ["BTC/USD"], rate=0, accounts={"alice": {"USD": "100000", "BTC": 1}, "bob": {"BTC": Decimal(2)}}
    ) as sim:
        await sim.advance(5)
        bid = Decimal(sim.truth("BTC/USD", 1)[0][0][0])
        order = sim.place("alice", "BTC/USD", "buy", "0.5", bid - 100, cl_ord_id="mine")
        assert order.opened_ns == sim.now_ns
        assert [each.cl_ord_id for each in sim.orders("alice")] == ["mine"]
        amended = sim.amend("alice", order.order_id, qty="0.25", limit_price=bid + Decimal("0.1"))
        assert (amended.order_qty, amended.amended) == (Decimal("0.25"), True)
        sold = sim.place("bob", "BTC/USD", "sell", "0.1")
        assert (sold.status, sold.avg_price) == ("filled", bid + Decimal("0.1"))
        (fill,) = sim.fills("alice")
        assert fill.execution is not None
        assert (fill.execution.qty, fill.execution.is_maker) == (Decimal("0.1"), True)
        assert sim.balances("alice")["BTC"] == Decimal("1.1")
        assert sim.cancel("alice", order.order_id).status == "canceled"
        assert sim.orders("alice") == []
        ended = sim.order("alice", order.order_id)
        assert ended is not None
        assert ended.cum_qty == Decimal("0.1")
        sim.deposit("alice", "USD", 5)


async def test_what_the_exchange_refuses_is_refused_in_its_words() -> None:
    async with Simulator(["BTC/USD"], rate=0, accounts={"poor": {"USD": "1"}}) as sim:
        with pytest.raises(Refusal, match="EOrder:Insufficient funds"):
            sim.place("poor", "BTC/USD", "buy", 1, 60000)
        with pytest.raises(Refusal, match="EOrder"):
            sim.cancel("poor", "OXXXXX-XXXXX-XXXXXX")
        with pytest.raises(UsageError, match="qty must be Decimal, int or str, got float"):
            sim.place("poor", "BTC/USD", "buy", 0.1, 60000)  # type: ignore[arg-type]  # a mistake
        with pytest.raises(UsageError, match="the USD of poor must be Decimal"):
            Simulator(accounts={"poor": {"USD": 1.5}})  # type: ignore[dict-item]  # a mistake


async def test_an_order_of_an_account_is_seen_in_the_public_book_and_fills_as_the_market_moves() -> None:
    async with Simulator(["BTC/USD"], rate=50) as sim, sim.client("alice") as kraken:
        async with kraken.book("BTC/USD") as book:
            await sim.until(book.synced())
            ask = Decimal(sim.truth("BTC/USD", 1)[1][0][0])
            sim.place("alice", "BTC/USD", "buy", "0.01", ask - Decimal("0.1"))
            await sim.settle()
            assert book.best_bid is not None
            assert book.best_bid.price == ask - Decimal("0.1")
            await sim.advance(120)
    assert [fill.execution.qty for fill in sim.fills("alice") if fill.execution] != []


async def test_orders_move_the_market_also_while_nobody_listens() -> None:
    async with Simulator(["BTC/USD"], rate=50) as sim:
        ask = Decimal(sim.truth("BTC/USD", 1)[1][0][0])
        sim.place("alice", "BTC/USD", "buy", "0.01", ask - Decimal("0.1"))
        await sim.advance(120)
        assert sim.orders("alice") == []
        assert sim.fills("alice")


async def test_executions_tell_a_connection_what_an_account_does() -> None:
    async with Simulator(["BTC/USD"], rate=0) as sim:
        private = await sim.connect("auth")
        private.send({"method": "subscribe", "params": {"channel": "executions", "token": sim.token("alice")}})
        await sim.settle()
        order = sim.place("alice", "BTC/USD", "buy", "0.01", 1000)
        sim.cancel("alice", order.order_id)
        await sim.settle()
    updates = [json.loads(frame) for frame in private.frames if b'"type":"update"' in frame and b"executions" in frame]
    reports = [report for update in updates for report in update["data"]]
    assert [report["exec_type"] for report in reports] == ["pending_new", "new", "canceled"]
    assert {report["order_id"] for report in reports} == {order.order_id}


async def test_the_market_moves_on_a_symbol_with_the_given_rate_only() -> None:
    with pytest.raises(UsageError, match="frames a second"):
        Simulator(rate=-1)
    with pytest.raises(UsageError, match="frames a second"):
        Simulator(rate=float("inf"))


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def test_a_cut_is_survived_and_told_by_the_log() -> None:
    events: list[Event] = []
    async with Simulator(SYMBOLS) as sim, sim.client(on_events=events.extend) as kraken:
        async with kraken.book("BTC/USD") as book:
            fault = sim.inject("cut", code=1012, after=5.0)
            await sim.advance(4.9)
            assert not told(events, Disconnected)
            await sim.advance(10)
            assert [event.code for event in told(events, Disconnected)] == [1012]
            assert len(told(events, Connected)) == 2
            assert book.is_synced
    assert fault.touched == 1
    assert sim.faults == (fault,)


async def test_a_lost_update_is_found_by_the_checksum_and_healed() -> None:
    events: list[Event] = []
    async with Simulator(["BTC/USD"], seed=3, rate=50) as sim, sim.client(on_events=events.extend) as kraken:
        async with kraken.book("BTC/USD") as book:
            await sim.advance(1)
            sim.inject("lose_update", symbol="BTC/USD", count=5)
            await sim.advance(10)
            assert book.is_synced
    assert told(events, BookInvalidated)
    assert told(events, BookResynced)


async def test_a_refused_upgrade_is_met_with_its_status() -> None:
    async with Simulator(SYMBOLS) as sim:
        fault = sim.inject("refuse_connect", status=503)
        with pytest.raises(ConnectFailed) as caught:
            await sim.client().connect()
        assert caught.value.status == 503
        assert caught.value.retryable
        sim.heal(fault)
        async with sim.client():
            pass


async def test_a_script_of_faults_is_played_from_the_start(tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nkind = "maintenance"\nat = 2.0\n')
    events: list[Event] = []
    for faults in (script, ["maintenance@2s"]):
        events.clear()
        async with Simulator(SYMBOLS, faults=faults) as sim, sim.client(on_events=events.extend):
            await sim.advance(1.9)
            assert [event.system for event in told(events, SystemStatus)] == ["online"]
            await sim.advance(1)
            assert [event.system for event in told(events, SystemStatus)][1] == "maintenance"


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Simulator(faults=["lose_updates"]), "lose_update"),
        (lambda: Simulator(faults=["cut:door=back"]), "door"),
        (lambda: Simulator(faults="nowhere.toml"), r"nowhere\.toml"),
        (lambda: Simulator(accounts="nowhere.toml"), r"nowhere\.toml"),
    ],
)
def test_what_cannot_be_is_refused_when_the_simulator_is_made(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        make()


NEEDED: dict[str, dict[str, Any]] = {
    "clock_skew": {"seconds": 30},
    "instrument_status": {"symbol": "BTC/USD", "status": "cancel_only"},
    "precision_change": {"symbol": "BTC/USD", "price_precision": 2},
    "rewrite": {"pattern": "BTC/USD", "replacement": "BTC/EUR", "channel": "trade"},
    "rewrite_rest": {"pattern": "a", "replacement": "b"},
    "thin_book": {"symbol": "BTC/USD"},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_a_client_recovers_from_every_fault(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator(["BTC/USD"], seed=2, rate=4) as sim, sim.client() as kraken:
        async with kraken.stream("book", "trade", symbols=["BTC/USD"], on_loss="yield"):
            async with kraken.book("BTC/USD") as book:
                await sim.advance(2)
                fault = sim.inject(kind, **NEEDED.get(kind, {}))
                await sim.advance(45)
                sim.heal(fault)
                # Who was refused with 503 waits for ten minutes; of a mute subscription nobody can tell yet.
                await sim.advance(600 if kind == "refuse_connect" else 20)
                sim.inject("cut")
                await sim.advance(60)
                bids, asks = sim.truth("BTC/USD", 10)
                assert [(str(level.price), str(level.qty)) for level in book.snapshot(10).bids] == bids
                assert [(str(level.price), str(level.qty)) for level in book.snapshot(10).asks] == asks
    assert fault.is_healed
    assert [record for record in caplog.records if record.exc_info] == []


async def test_an_unknown_fault_is_refused_with_what_there_is() -> None:
    async with Simulator(SYMBOLS) as sim:
        with pytest.raises(UsageError, match="lose_update"):
            sim.inject("loose_update")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"side": "bye"}, "side must be one of buy, sell, got 'bye'"),
        ({"time_in_force": "day"}, "time_in_force must be one of gtc"),
    ],
)
def test_order_with_a_slip_of_the_pen_is_refused(wrong: dict[str, Any], complaint: str) -> None:
    arguments: dict[str, Any] = {"side": "buy", "qty": 1} | wrong
    with pytest.raises(UsageError, match=complaint):
        Simulator(["BTC/USD"]).place("alice", "BTC/USD", **arguments)
