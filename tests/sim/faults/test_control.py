"""The control endpoint, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from helpers.faulted import SYMBOLS, Watcher
from helpers.simclients import WsClient
from krakenwire.clock import ManualClock
from krakenwire.sim.faults import KINDS
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.playback import Recording
from krakenwire.sim.server import SimulatorServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def server(clock: ManualClock) -> AsyncIterator[SimulatorServer]:
    market = Market(select(SYMBOLS), seed=1)
    async with SimulatorServer(market, hold=True, clock=clock, control_port=0) as server:
        yield server


@pytest_asyncio.fixture
async def http(server: SimulatorServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.control_url) as client:
        yield client


async def test_fault_is_injected_logged_and_healed(http: httpx.AsyncClient, server: SimulatorServer) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    answer = await http.post("/faults", json={"kind": "lose_update", "symbol": "BTC/USD", "count": 3})
    assert answer.status_code == 201
    assert answer.headers["Content-Type"].startswith("application/json")
    injected = answer.json()
    assert (injected["id"], injected["healed_ns"], injected["touched"]) == (1, None, 0)
    await http.post("/release", json={"messages": 2})
    await server.finished()
    await watcher.client.roundtrip()
    assert len(watcher.books()) == 1
    assert (await http.get("/faults/1")).json()["touched"] == 2
    assert (await http.get("/state")).json()["faults_active"] == [1]
    healed = await http.delete("/faults/1")
    assert healed.status_code == 200
    assert healed.json()["healed_ns"] is not None
    await http.post("/faults", json={"kind": "cut", "code": 1012})
    assert await watcher.client.gone() == 1012
    log = (await http.get("/faults")).json()["faults"]
    assert [(each["id"], each["kind"], each["touched"]) for each in log] == [(1, "lose_update", 2), (2, "cut", 1)]
    assert [each["id"] for each in (await http.get("/faults?since=1")).json()["faults"]] == [2]


async def test_fault_with_a_time_is_planned_and_healing_all_ends_it(
    http: httpx.AsyncClient, server: SimulatorServer, clock: ManualClock
) -> None:
    client = await WsClient.connect(server.url)
    answer = await http.post("/faults", json={"kind": "not_json", "at": 1.0, "every": 2.0, "seed": 7})
    assert answer.status_code == 202
    assert answer.json()["planned"]["every"] == 2.0
    await clock.advance(4)
    assert len((await http.get("/faults")).json()["faults"]) == 2
    healed = (await http.delete("/faults")).json()["faults"]
    assert all(each["healed_ns"] for each in healed)
    await clock.advance(10)
    assert len((await http.get("/faults")).json()["faults"]) == 2
    await client.hang_up()


async def test_state_says_who_is_connected_and_truth_is_the_book(
    http: httpx.AsyncClient, server: SimulatorServer
) -> None:
    watcher, trader = await Watcher.connect(server, "BTC/USD"), await WsClient.connect(server.auth_url)
    token = server.exchange.accounts.issue_token("bob", server.exchange.exchange_now_ns())
    trader.send({"method": "subscribe", "params": {"channel": "balances", "token": token}})
    await trader.roundtrip()
    state = (await http.get("/state")).json()
    ids = [json.loads(client.frames[0])["data"][0]["connection_id"] for client in (watcher.client, trader)]
    assert state.pop("peers") == [
        {"connection_id": ids[0], "door": "public", "account": None},
        {"connection_id": ids[1], "door": "auth", "account": "bob"},
    ]
    assert state == {
        "status": "online",
        "exchange_ns": server.exchange.exchange_now_ns(),
        "symbols": list(server.symbols),
        "rate": None,
        "slow_clients_dropped": 0,
        "faults_active": [],
    }
    assert token not in (await http.get("/state")).text
    truth = (await http.get("/truth", params={"symbol": "BTC/USD", "depth": "25"})).json()
    assert [tuple(level) for level in truth["bids"]] == server.truth("BTC/USD", 25)[0]


async def test_kinds_are_listed_with_their_parameters(http: httpx.AsyncClient) -> None:
    kinds = (await http.get("/faults/kinds")).json()["kinds"]
    assert kinds.keys() == KINDS.keys()
    assert kinds["cut"]["parameters"]["code"]["default"] == 1006
    assert kinds["thin_book"]["parameters"]["symbol"]["required"] is True
    assert "POST /faults" in (await http.get("/")).json()["calls"]


@pytest.mark.parametrize(
    ("request_line", "body", "answered"),
    [
        ("POST /faults", b'{"kind":"lose_updates"}', (400, "did you mean lose_update")),
        ("POST /faults", b'{"kind":"cut","cod":1}', (400, "fault cut has no parameter 'cod' (did you mean code?)")),
        ("POST /faults", b'{"kind":"cut","code":"1012"}', (400, "code='1012' will not do; expected one of")),
        ("POST /faults", b'{"kind":"lose_update","symbol":"XLM/GBP"}', (400, "XLM/GBP")),
        ("POST /faults", b'{"kind":"cut","self":1}', (400, "fault cut has no parameter 'self'")),
        ("POST /faults", b'{"kind":"cut","after":1e300}', (400, "expected a number, at least 0")),
        ("POST /faults", b'{"kind":"cut","at":1e300}', (400, "at must be a number of seconds")),
        ("POST /faults", b'{"kind":"cut","at":1,"seed":"x"}', (400, "seed must be a whole number")),
        ("POST /faults", b'{"kind":"cut","at":-1}', (400, "at must be a number of seconds")),
        ("POST /faults", b"{}", (400, "kind is missing")),
        ("POST /faults", b'{"kind":3}', (400, "kind is missing")),
        ("POST /faults", b"[1]", (400, "must be a JSON object, got list")),
        ("POST /faults", b"nonsense", (400, "must be a JSON object")),
        ("POST /faults", b"[" * 30_000, (400, "must be a JSON object")),
        ("GET /faults/7", b"", (404, "no fault 7; 0 were injected")),
        ("DELETE /faults/7", b"", (404, "no fault 7")),
        ("GET /faults/99999999999999999999", b"", (404, "no GET /faults/99999999999999999999 here")),
        ("GET /faults?since=x", b"", (400, "since must be a whole number")),
        ("PUT /faults", b"", (404, "there are GET /faults, POST /faults")),
        ("GET /truth", b"", (400, "symbol is missing")),
        ("GET /truth?symbol=XLM/GBP", b"", (400, "XLM/GBP")),
        ("GET /truth?symbol=BTC/USD&depth=ten", b"", (400, "depth must be a whole number")),
        ("POST /release", b'{"messages":-1}', (400, "at least 0")),
        ("POST /release", b'{"frames":3}', (400, "at least 0")),
    ],
)
async def test_what_cannot_be_done_is_told_as_json_with_what_was_expected(
    http: httpx.AsyncClient, server: SimulatorServer, request_line: str, body: bytes, answered: tuple[int, str]
) -> None:
    method, path = request_line.split()
    answer = await http.request(method, path, content=body)
    assert answer.status_code == answered[0]
    assert answered[1] in answer.json()["error"]
    assert server.exchange.faults.log == ()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "attacker.example:80"},
        {"Host": "127.0.0.1.attacker.example"},
        {"Host": "10.0.0.1"},
        {"Host": "[::2]"},
        {"Host": "[::1"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_request_that_a_web_page_of_somewhere_else_may_have_sent_is_refused(
    http: httpx.AsyncClient, server: SimulatorServer, headers: dict[str, str]
) -> None:
    answer = await http.post("/faults", json={"kind": "cut"}, headers=headers)
    assert answer.status_code == 403
    assert "is refused" in answer.json()["error"]
    assert server.exchange.faults.log == ()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "127.0.0.1:1234"])
async def test_loopback_is_let_in_by_any_of_its_names(http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get("/state", headers={"Host": host})).status_code == 200
    own: dict[str, Any] = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert (await http.get("/state", headers=own)).status_code == 200


async def test_it_listens_on_loopback_even_if_the_exchange_does_not() -> None:
    async with SimulatorServer(Market(select(SYMBOLS), seed=1), hold=True, host="0.0.0.0", control_port=0) as server:  # noqa: S104  # that is what is tested
        assert server.control_url.startswith("http://127.0.0.1:")


async def test_recording_has_no_status_and_no_truth_but_its_frames_can_be_tampered_with(
    server: SimulatorServer,
) -> None:
    watcher = await Watcher.connect(server, "BTC/USD")
    await watcher.release(30)
    recording = Recording(watcher.client.frames)
    async with (
        SimulatorServer(recording, hold=True, control_port=0) as played,
        httpx.AsyncClient(base_url=played.control_url) as http,
    ):
        assert (await http.get("/state")).json()["status"] is None
        for method, path, body in (
            ("GET", "/truth?symbol=BTC/USD", {}),
            ("POST", "/faults", {"kind": "maintenance"}),
            ("POST", "/faults", {"kind": "crossed_book"}),
            ("POST", "/faults", {"kind": "thin_book", "symbol": "BTC/USD"}),
            ("POST", "/faults", {"kind": "precision_change", "symbol": "BTC/USD", "qty_precision": 3}),
        ):
            answer = await http.request(method, path, json=body)
            assert answer.status_code == 400
            assert "a recording is played" in answer.json()["error"]
        again = await Watcher.connect(played, "BTC/USD")
        await http.post("/faults", json={"kind": "corrupt_checksum"})
        await http.post("/release", json={"messages": 10})
        await played.finished()
        await again.client.roundtrip()
        verdicts = again.verdicts()[1]
        assert verdicts[:2] == [True, False]
        assert all(verdicts[2:])
