"""How faults begin, end and are logged, and that a seed gives the same ones: on an exchange in memory."""

from __future__ import annotations

import gc
import json
import logging
import weakref
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from helpers.faulted import SYMBOLS
from helpers.memorywire import MemoryWire
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.faults import KINDS, Script, describe, injector, model
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def exchange(clock: ManualClock) -> AsyncIterator[Exchange]:
    async with Exchange(Market(select(SYMBOLS), seed=1), rate=100, clock=clock) as exchange:
        yield exchange


async def test_fault_begins_after_its_delay_and_ends_after_its_duration(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD")
    start_ns = exchange.exchange_now_ns()
    fault = exchange.faults.inject("lose_update", count=0, after=2.0, duration=3.0)
    counts = []
    for _ in range(4):
        before = len(client.frames)
        await clock.advance(1.9)
        counts.append(len(client.frames) - before)
    assert counts[0] > 150
    assert counts[1] < 20
    assert counts[3] > 150
    assert fault.begun_ns == start_ns + 2 * NS_PER_S
    assert fault.healed_ns == start_ns + 5 * NS_PER_S
    assert not exchange.faults.is_active


async def test_fault_that_is_healed_before_it_begins_never_does(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    faults = exchange.faults
    waiting = faults.inject("cut", after=1.0)
    assert faults.heal(waiting.id) is waiting
    faults.heal(waiting.id)
    await clock.advance(5)
    assert client.ended is None
    assert (waiting.begun_ns, waiting.touched, waiting.is_healed) == (None, 0, True)
    with pytest.raises(UsageError, match="no fault 2; 1 were injected"):
        faults.heal(2)


async def test_healing_all_ends_scripts_and_everything_that_waits(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    faults = exchange.faults
    faults.play(Script.read('[[fault]]\nkind = "cut"\nat = 1.0\nevery = 1.0'))
    for kind in ("half_open", "burst", "delay", "slow_drip", "mute", "reorder_update"):
        faults.inject(kind, after=2.0)
    faults.heal_all()
    await clock.advance(10)
    assert client.ended is None
    assert all(fault.is_healed for fault in faults.log)
    assert len(faults.log) == 6


async def test_fault_of_one_connection_is_over_once_that_is_gone(exchange: Exchange) -> None:
    clients = [MemoryWire.connect(exchange) for _ in range(3)]
    mine = exchange.faults.inject("lose_update", count=0, connection_id=clients[0].peer.connection_id)
    picked = exchange.faults.inject("delay", pick="one")
    everybody = exchange.faults.inject("lose_update", count=0)
    for client in clients:
        client.abort()
    assert (mine.is_healed, picked.is_healed, everybody.is_healed) == (True, True, False)


async def test_fault_whose_connection_is_gone_before_it_begins_never_does(
    exchange: Exchange, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = MemoryWire.connect(exchange)
    waiting = exchange.faults.inject("delay", after=1.0, connection_id=client.peer.connection_id)
    client.abort()
    with caplog.at_level(logging.WARNING, logger="krakenwire.sim"):
        await clock.advance(2)
    assert (waiting.begun_ns, waiting.is_healed, exchange.faults.is_active) == (None, True, False)
    assert "cannot begin: fault delay: no connection" in caplog.text


async def test_one_is_picked_later_if_there_is_nobody_yet(exchange: Exchange, clock: ManualClock) -> None:
    fault = exchange.faults.inject("half_open", pick="one")
    first, second = MemoryWire.connect(exchange), MemoryWire.connect(exchange)
    for client in (first, second):
        client.subscribe("book", "BTC/USD")
    await clock.advance(1)
    assert first.frames == []
    assert len(second.frames) > 50
    exchange.faults.heal(fault.id)
    assert (first.ended, second.ended) == (1006, None)


async def test_drip_to_a_client_in_memory_is_of_whole_frames(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD")
    fault = exchange.faults.inject("slow_drip", bytes_per_second=1000.0)
    seen = len(client.frames)
    await clock.advance(5)
    dripped = client.frames[seen:]
    assert 3000 < sum(map(len, dripped)) <= 5000
    assert all(json.loads(frame) for frame in dripped)
    exchange.faults.heal(fault.id)
    assert len(client.frames) > seen + 400


async def test_momentary_fault_is_healed_when_it_was_injected_and_leaves_the_hot_path_alone(exchange: Exchange) -> None:
    MemoryWire.connect(exchange)
    fault = exchange.faults.inject("not_json")
    assert fault.injected_ns == fault.begun_ns == fault.healed_ns
    assert fault.touched == 1
    assert not exchange.faults.is_active


async def test_several_faults_at_one_frame_work_in_the_order_they_were_injected(
    exchange: Exchange, clock: ManualClock
) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD")
    faults = exchange.faults
    doubled = faults.inject("double_update", count=1)
    lost = faults.inject("lose_update", count=1)
    marked = faults.inject("rewrite", pattern='"type":"update"', replacement='"type":"UPDATE"', count=2)
    await clock.advance(0.2)
    updates = [each["type"] for each in client.messages("book")[1:]]
    assert updates[:3] == ["UPDATE", "UPDATE", "update"]
    assert (doubled.touched, lost.touched, marked.touched) == (1, 1, 2)


async def test_fault_that_one_frame_of_two_has_healed_leaves_the_other_alone(
    exchange: Exchange, clock: ManualClock
) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD")
    exchange.faults.inject("double_update")
    marked = exchange.faults.inject("rewrite", pattern='"type":"update"', replacement='"type":"UPDATE"', count=1)
    await clock.advance(0.2)
    assert [each["type"] for each in client.messages("book")[1:4]] == ["UPDATE", "update", "update"]
    assert marked.touched == 1


async def test_healed_faults_hold_on_to_no_connection(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD")
    for kind in ("lose_update", "mute", "crossed_book", "reorder_update", "delay", "half_open", "burst", "slow_drip"):
        exchange.faults.inject(kind, pick="one")
        await clock.advance(0.1)
    exchange.faults.heal_all()
    peer = weakref.ref(client.peer)
    client.abort()
    del client
    await clock.advance(100)  # timers of the peer itself
    gc.collect()
    assert len(exchange.faults.log) == 8
    assert peer() is None


# --- the log ----------------------------------------------------------------------------------------------------------


async def test_log_is_json_lines_with_everything_that_was_touched(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD", depth=25)
    exchange.faults.inject("lose_update", symbol="BTC/USD")
    exchange.faults.inject("burst", duration=0.5)
    exchange.faults.inject("cut", after=60.0, code=1012)
    await clock.advance(1)
    lose, burst, cut = map(json.loads, exchange.faults.log_lines())
    assert lose["parameters"] == {
        "after": 0.0, "chance": 1.0, "count": 1, "pick": "all", "symbol": "BTC/USD", "type": "update"
    }  # fmt: skip
    (touch,) = lose["touches"]
    assert touch.keys() == {"exchange_ns", "connection_id", "door", "channel", "symbol", "variant", "what", "bytes"}
    assert (touch["connection_id"], touch["variant"]) == (client.peer.connection_id, 25)
    assert lose["injected_ns"] <= touch["exchange_ns"] == lose["healed_ns"]
    assert burst["touches"][0]["times"] == burst["touched"] > 10
    assert burst["touches"][0]["last_ns"] > burst["touches"][0]["exchange_ns"]
    assert (cut["kind"], cut["begun_ns"], cut["healed_ns"], cut["touched"]) == ("cut", None, None, 0)


async def test_fault_remembers_its_first_touches_and_counts_them_all(exchange: Exchange, clock: ManualClock) -> None:
    client = MemoryWire.connect(exchange)
    client.subscribe("book", *SYMBOLS)
    fault = exchange.faults.inject("double_update", count=0)
    await clock.advance(5)
    assert len(fault.touches) == model.MAX_TOUCHES
    assert fault.touched == (len(client.messages("book")) - 3) // 2 > 400


async def test_log_forgets_the_oldest_healed_faults_first(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injector, "MAX_LOG", 3)
    faults = exchange.faults
    lasting = faults.inject("lose_update")
    momentary = [faults.inject("not_json") for _ in range(5)]
    assert faults.log == (lasting, *momentary[-2:])
    with pytest.raises(UsageError, match="no fault 2; 6 were injected, and the log has 3"):
        faults.find(2)
    for _ in range(3):
        faults.inject("lose_update")
    assert lasting.is_healed
    assert [fault.id for fault in faults.log] == [7, 8, 9]


async def test_faults_that_are_not_healed_are_bounded(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injector, "MAX_UNHEALED", 3)
    faults = exchange.faults
    working, waiting, momentary = (
        faults.inject("lose_update"),
        faults.inject("lose_update", after=9.0),
        faults.inject("not_json", after=9.0),
    )
    for _ in range(2):
        with pytest.raises(UsageError, match="3 faults are not healed, which is all that can be; heal some"):
            faults.inject("burst")
    for fault in (working, waiting, momentary):
        faults.heal(fault.id)
        assert not faults.inject("burst").is_healed
    faults.heal_all()
    for _ in range(9):
        faults.inject("not_json")


async def test_plans_under_way_are_bounded(
    exchange: Exchange, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(injector, "MAX_PLANS", 2)
    script = Script.read('[[fault]]\nkind = "not_json"\nat = 1')
    for _ in range(2):
        for _ in range(2):
            exchange.faults.play(script)
        with pytest.raises(UsageError, match="at most 2 plans can be under way"):
            exchange.faults.play(script)
        await clock.advance(2)
    assert len(exchange.faults.log) == 4


# --- scripts ----------------------------------------------------------------------------------------------------------

SCRIPT = """
seed = 3
[[fault]]
kind = "lose_update"
symbol = ["BTC/USD", "PEPE/USD", "MINA/GBP"]
at = 0.5
every = 1.0
jitter = 0.9
repeat = 8
[[fault]]
kind = "corrupt_checksum"
pick = "one"
every = 2.0
count = 2
chance = 0.5
[[fault]]
kind = "delay"
seconds = 0.01
up_to = 0.2
duration = 1.0
at = 3.0
[[fault]]
kind = "cut"
code = [1001, 1012, 1006]
pick = "one"
at = 9.0
"""


async def play(script: str, seed: int) -> tuple[bytes, list[list[bytes]]]:
    clock = ManualClock()
    async with Exchange(Market(select(SYMBOLS), seed=seed), rate=50, clock=clock, seed=seed) as exchange:
        clients = [MemoryWire.connect(exchange) for _ in range(3)]
        for client in clients:
            client.subscribe("book", *SYMBOLS)
        exchange.faults.play(Script.read(script))
        await clock.advance(10)
        return b"\n".join(exchange.faults.log_lines()), [client.frames for client in clients]


async def test_same_seed_and_script_touch_the_same_things_at_the_same_moments() -> None:
    one, two = await play(SCRIPT, 1), await play(SCRIPT, 1)
    assert one == two
    records = [json.loads(line) for line in one[0].splitlines()]
    assert [each["kind"] for each in records].count("lose_update") == 8
    assert {each["kind"] for each in records} == {"lose_update", "corrupt_checksum", "delay", "cut"}
    assert len({each["parameters"].get("symbol") for each in records if each["kind"] == "lose_update"}) > 1
    assert (await play(SCRIPT.replace("seed = 3", "seed = 4"), 1))[0] != one[0]


async def test_script_that_this_exchange_cannot_play_injects_nothing(exchange: Exchange, clock: ManualClock) -> None:
    with pytest.raises(UnknownSymbol, match="XLM/GBP"):
        exchange.faults.play(
            Script.read(
                '[[fault]]\nkind = "cut"\n[[fault]]\nkind = "lose_update"\nat = 5\nsymbol = ["BTC/USD", "XLM/GBP"]'
            )
        )
    await clock.advance(10)
    assert exchange.faults.log == ()


async def test_fault_of_a_script_that_cannot_be_injected_any_more_is_told_by_the_log_and_the_rest_goes_on(
    exchange: Exchange, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = MemoryWire.connect(exchange)
    connection_id = client.peer.connection_id
    exchange.faults.play(
        Script.read(f'[[fault]]\nkind = "not_json"\nconnection_id = {connection_id}\nat = 1\nevery = 1\nrepeat = 3')
    )
    await clock.advance(1.5)
    client.abort()
    with caplog.at_level(logging.WARNING, logger="krakenwire.sim"):
        await clock.advance(5)
    assert len(exchange.faults.log) == 1
    assert caplog.text.count("could not be injected: fault not_json: no connection") == 1  # of two, that are alike


# --- what there is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_can_be_injected_and_healed_with_nothing_but_what_it_needs(
    exchange: Exchange, clock: ManualClock, kind: str
) -> None:
    needed = {"symbol": "BTC/USD", "pattern": "x"}
    more: dict[str, dict[str, object]] = {"precision_change": {"qty_precision": 7}, "clock_skew": {"seconds": 1.0}}
    given = {each.name: needed[each.name] for each in describe(kind) if each.is_required} | more.get(kind, {})
    client = MemoryWire.connect(exchange)
    client.subscribe("book", "BTC/USD")
    fault = exchange.faults.inject(kind, **given)
    await clock.advance(0.5)
    exchange.faults.heal(fault.id)
    await clock.advance(0.5)
    assert fault.is_healed
    assert not exchange.faults.is_active
    assert json.loads(next(exchange.faults.log_lines()))["kind"] == kind
    assert repr(fault).startswith(f"<Fault 1 {kind} healed, touched ")
    other = MemoryWire.connect(exchange)
    other.subscribe("book", "BTC/USD")
    await clock.advance(0.5)
    assert len(other.messages("book")) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_says_what_it_expects_and_what_it_does(kind: str) -> None:
    assert KINDS[kind].__doc__
    for each in describe(kind):
        assert each.expected
        assert each.meaning, f"{kind}: {each.name}"
