"""`krakenwire.testing.SimulatorThread`: an exchange on real sockets, in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from krakenwire import Client, Disconnected, Endpoints, UnknownSymbol, UsageError
from krakenwire.testing import Refusal, SimulatorThread


async def test_a_client_on_another_loop_holds_a_book() -> None:
    with SimulatorThread(["BTC/USD"], rate=500) as sim:
        async with Client(Endpoints(public=sim.url)) as kraken, kraken.book("BTC/USD") as book:
            await book.synced(timeout=10)
            await book.changed()
            assert book.best_bid is not None


def test_synchronous_code_asks_over_rest() -> None:
    with SimulatorThread(["BTC/USD"], rate=0) as sim:
        reply = httpx.get(f"{sim.rest_url}/0/public/Depth?pair=XBTUSD&count=1")
        (book,) = reply.json()["result"].values()
        bids, asks = sim.truth("BTC/USD", 1)
        assert Decimal(book["bids"][0][0]) == Decimal(bids[0][0])
        assert Decimal(book["asks"][0][0]) == Decimal(asks[0][0])


def test_environment_names_every_door_and_signs_in_if_an_account_is_named() -> None:
    with SimulatorThread(["BTC/USD"]) as sim:
        env = sim.env()
        assert (env["KRAKEN_WS_PUBLIC_URL"], env["KRAKEN_WS_AUTH_URL"]) == (sim.url, sim.auth_url)
        assert (env["KRAKEN_WS_L3_URL"], env["KRAKEN_SPOT_URL"]) == (sim.l3_url, sim.rest_url)
        assert "KRAKEN_API_KEY" not in env
        credentials = sim.credentials("bob")
        signed_in = sim.env("bob")
        assert (signed_in["KRAKEN_API_KEY"], signed_in["KRAKEN_API_SECRET"]) == (credentials.key, credentials.secret)
        with pytest.raises(UsageError, match="mallory"):
            sim.env("mallory")


@pytest.fixture
def secure() -> Iterator[SimulatorThread]:
    with SimulatorThread(["BTC/USD"], tls=True) as sim:
        ca_file = Path(sim.env()["SSL_CERT_FILE"])
        yield sim
    assert not ca_file.exists()


async def test_tls_is_trusted_by_who_is_given_its_authority(secure: SimulatorThread) -> None:
    assert secure.url.startswith("wss://")
    assert secure.rest_url.startswith("https://")
    trusting = ssl.create_default_context(cafile=secure.env()["SSL_CERT_FILE"])
    async with httpx.AsyncClient(verify=trusting) as rest:
        assert (await rest.get(f"{secure.rest_url}/0/public/Time")).json()["error"] == []
    async with Client(Endpoints(public=secure.url), ssl_context=trusting) as kraken:
        assert kraken.statistics().reconnects == 0


def test_an_account_acts_from_any_thread() -> None:
    with SimulatorThread(["BTC/USD"], rate=0, accounts={"alice": {"USD": "1000000"}}) as sim:

        def place(number: int) -> None:
            sim.place("alice", "BTC/USD", "buy", "0.001", 1000 + number)

        threads = [threading.Thread(target=place, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        orders = sim.orders("alice")
        assert sorted(order.limit_price for order in orders if order.limit_price) == list(range(1000, 1020))
        with pytest.raises(Refusal, match="Insufficient funds"):
            sim.place("alice", "BTC/USD", "buy", 1000, 1000)


async def test_faults_are_injected_and_told_while_it_runs() -> None:
    disconnects: list[Disconnected] = []
    ended = asyncio.Event()

    def note(events: object) -> None:
        assert isinstance(events, list)
        disconnects.extend(event for event in events if isinstance(event, Disconnected))
        if disconnects:
            ended.set()

    with SimulatorThread(["BTC/USD"]) as sim:
        async with Client(Endpoints(public=sim.url), on_events=note):
            fault = sim.inject("cut", code=1001)
            async with asyncio.timeout(10):
                await ended.wait()
        assert disconnects[0].code == 1001
        assert [each.kind for each in sim.faults] == ["cut"]
        assert fault.touched == 1


def test_run_runs_on_the_simulators_own_loop() -> None:
    async def where() -> str:
        return threading.current_thread().name

    with SimulatorThread(["BTC/USD"]) as sim:
        assert sim.run(where()) == "krakenwire simulator"

        async def itself() -> object:
            return sim.orders("alice")

        with pytest.raises(UsageError, match="own thread"):
            sim.run(itself())


def test_outside_its_with_it_says_so_and_it_cannot_be_used_again() -> None:
    sim = SimulatorThread(["BTC/USD"])
    with pytest.raises(UsageError, match="inside its `with`"):
        _ = sim.url
    sim.close()
    with sim:
        url = sim.url
    sim.close()
    with pytest.raises(UsageError, match="inside its `with`"):
        sim.orders("alice")
    with pytest.raises(UsageError, match="make another one"):
        sim.start()
    assert url.startswith("ws://127.0.0.1:")


def test_its_thread_and_its_ports_are_gone_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    with SimulatorThread(["BTC/USD"]) as sim:
        rest_url = sim.rest_url
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) <= before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{rest_url}/0/public/Time")


def test_a_simulator_that_is_never_started_leaves_nothing_behind() -> None:
    SimulatorThread(["BTC/USD"])


def test_a_simulator_that_cannot_be_started_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with pytest.raises(UnknownSymbol, match="ETH/USD"):
        SimulatorThread(["BTC/USD"], faults=["lose_update:symbol=ETH/USD"]).start()
    assert set(threading.enumerate()) <= before
