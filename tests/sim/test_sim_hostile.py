"""Whatever a client sends, by whatever door: it is answered or closed, nothing fails, and nothing grows."""

from __future__ import annotations

import gc
import json
import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.desks import Desk, limit
from helpers.memoryclient import MemoryClient
from krakenwire.sim.peer import DOORS, Door

DESK = Desk(message_rate=1e9)

NUMBERS = ["1e400", "-1e400", "1e-400", "1e99999999999999999999", "9" * 4000, "9" * 5000, "0." + "1" * 300, "-0.0"]
ODD = ["NaN", "Infinity", "nul", "{", '"\\ud800"', '"\x00"', "[" * 5000, '{"a":' * 3000, '"' + "x" * 200_000 + '"']
RAW = st.sampled_from(NUMBERS + ODD)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
METHODS = st.sampled_from([
    "subscribe", "unsubscribe", "ping", "add_order", "amend_order", "cancel_order", "cancel_all", "batch_add", "dance",
])  # fmt: skip
NAMES = st.sampled_from([
    "channel", "symbol", "depth", "interval", "snapshot", "event_trigger", "snap_orders", "order_status", "users",
    "order_type", "side", "order_qty", "limit_price", "time_in_force", "expire_time", "deadline", "post_only",
    "cl_ord_id", "order_userref", "order_id", "validate", "effective_time", "triggers", "token", "margin",
])  # fmt: skip
LIKELY = st.sampled_from([
    "book", "level3", "executions", "balances", "instrument", "limit", "market", "buy", "sell", "gtc", "gtd", "ioc",
    "BTC/USD", ["BTC/USD"], ["BTC/USD"] * 300, 10, 1000, 0.01, 60000, 64000.5, True, False, "all", "O", ["O"], [5],
    "2023-11-14T22:14:00Z", "2023-11-14T22:13:21Z", "TOKEN", "TOKEN", "TOKEN",
])  # fmt: skip
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "method": METHODS | VALUES,
        "params": st.dictionaries(NAMES, LIKELY | VALUES, max_size=8) | VALUES,
        "req_id": st.integers(0, 5) | VALUES,
    },
)
DOOR = st.sampled_from(DOORS)


def talk(door: Door, *messages: bytes) -> MemoryClient:
    """Send messages to a new client's peer; every answer must be JSON, and every message have one."""
    client = MemoryClient.connect(DESK.exchange, door)
    for message in messages:
        before = len(client.frames)
        client.peer.receive(message)
        assert len(client.frames) > before, message[:200]
        for frame in client.frames[before:]:
            json.loads(frame)
        assert client.peer.outbox == []
        assert client.ended is None, message[:200]
    client.abort()
    return client


@pytest.fixture(autouse=True)
async def _loop() -> None:
    """Clients need a running loop."""


@given(door=DOOR, text=st.binary(max_size=300))
async def test_any_bytes_are_answered(door: Door, text: bytes) -> None:
    talk(door, text)


@given(door=DOOR, messages=st.lists(MESSAGES, min_size=1, max_size=5))
async def test_any_json_is_answered(door: Door, messages: list[dict[str, Any]]) -> None:
    token = DESK.token()
    talk(door, *(json.dumps(message).replace("TOKEN", token).encode() for message in messages))


@given(door=DOOR, method=METHODS, name=NAMES, value=RAW)
async def test_numbers_and_texts_of_any_size_are_answered(door: Door, method: str, name: str, value: str) -> None:
    order = json.dumps(limit(DESK.token(), "buy", "1", "1") | {name: "VALUE", "channel": "balances"}, default=str)
    order = order.replace('"VALUE"', value).replace('"order_qty": "1"', '"order_qty": 1')
    talk(
        door,
        f'{{"method":"{method}","params":{order}}}'.encode(errors="surrogatepass"),
        f'{{"method":"{method}","req_id":{value}}}'.encode(errors="surrogatepass"),
    )


class Discarding(MemoryClient):
    """Keeps nothing of what it is sent."""

    def write(self, frames: list[bytes]) -> int:
        return 0


async def test_what_the_exchange_keeps_of_a_client_does_not_grow_with_what_it_sends() -> None:
    random = Random(7)
    desk = Desk(message_rate=1e9)
    clients = [Discarding.connect(desk.exchange, door) for door in DOORS]
    public, auth, _ = clients
    token = desk.token()

    def flood() -> None:
        for number in range(400):
            client = random.choice(clients)
            channel = random.choice(["book", "ticker", "trade", "ohlc", "level3", "executions", "balances", "x" * 99])
            symbols = [random.choice(["BTC/USD", "ETH/BTC", f"NO{number}/USD"]) for _ in range(random.randrange(9))]
            variants: list[dict[str, Any]] = [
                {},
                {"depth": 100},
                {"interval": 60},
                {"snapshot": False},
                {f"x{number}": 1},
            ]
            method = random.choice(["subscribe", "unsubscribe", f"method{number}"])
            params = {"channel": channel, "symbol": symbols, "token": random.choice([token, f"t{number}"])}
            client.send({"method": method, "params": params | random.choice(variants), "req_id": number})
            times = random.choice([{}, {"time_in_force": "gtd", "expire_time": "2023-11-15T00:00:00Z"}])
            order = limit(token, "buy", "0.001", "64000.0", cl_ord_id=f"c{number}", **times)
            auth.ask("add_order", **order)
            auth.ask("cancel_all", token=token)
        for interval in (1, 60):  # candles are copied for whoever subscribes to them, which is no growth
            public.ask("unsubscribe", channel="ohlc", symbol=["BTC/USD", "ETH/BTC"], interval=interval)

    def memory() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        # The engine remembers the last two thousand orders; so many must have been, before growth means anything.
        for _ in range(6):
            flood()
        before = memory()
        for _ in range(3):
            flood()
        grown = memory() - before
    finally:
        tracemalloc.stop()
    assert all(client.peer.outbox == [] and client.ended is None for client in clients)
    assert grown < 150_000  # 40 bytes for each message that came


async def test_flood_is_answered_by_the_rate_error_and_costs_a_client_that_does_not_read_its_connection() -> None:
    desk = Desk(max_buffer=10_000)

    class Deaf(MemoryClient):
        def write(self, frames: list[bytes]) -> int:
            self.waiting += sum(map(len, frames))
            return super().write(frames)

    deaf, reading = Deaf.connect(desk.exchange, "auth"), MemoryClient.connect(desk.exchange, "auth")
    for client in (deaf, reading):
        for _ in range(2_000):
            client.peer.receive(b'{"method":"ping"}')
    assert deaf.ended == 1006
    assert deaf.waiting < 11_000
    assert reading.ended is None
    assert reading.frames.count(b'{"Error":"Exceeded msg rate"}') == 1_800
