"""The REST API over real sockets: HTTP as clients speak it, and as nobody should."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from krakenwire.errors import UsageError
from krakenwire.protocol.wire.auth import sign
from krakenwire.sim.certificate import Certificate
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.rest.api import MAX_BODY, Request
from krakenwire.sim.web import JsonServer, RestServer

BAD = {"error": ["EGeneral:Invalid arguments"]}


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(symbols=["BTC/USD", "ETH/USD"], hold=True)


@pytest.fixture
async def server(exchange: Exchange) -> AsyncIterator[RestServer]:
    async with RestServer(exchange) as started:
        yield started


@pytest.fixture
async def http(server: RestServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


async def talk(server: JsonServer, sent: bytes) -> bytes:
    """What comes back for raw bytes, up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_public_call_is_answered_with_json(http: httpx.AsyncClient) -> None:
    response = await http.get("/0/public/Depth", params={"pair": "XBT/USD", "count": 3})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    assert len(response.json()["result"]["XBT/USD"]["bids"]) == 3


@pytest.mark.parametrize("as_json", [False, True])
async def test_private_call_is_signed_over_the_wire(exchange: Exchange, http: httpx.AsyncClient, as_json: bool) -> None:
    credentials = exchange.accounts.credentials("alice")
    path = "/0/private/GetWebSocketsToken"
    body = b'{"nonce": 5, "x": "\\u00fc"}' if as_json else b"nonce=5&x=%C3%BC+y"
    headers = {"API-Key": credentials.key, "API-Sign": sign(path, "5", body, credentials.secret)}
    answer = (await http.post(path, content=body, headers=headers)).json()
    assert answer["error"] == []
    assert exchange.accounts.account_of(answer["result"]["token"], exchange.exchange_now_ns()) == "alice"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/0/public/%00", 200), ("GET", "/../etc", 404), ("DELETE", "/0/public/Time", 405)],
)
async def test_what_is_no_call_is_an_error_in_json(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await http.request(method, path)
    assert (response.status_code, response.json()) == (status, {"error": ["EGeneral:Unknown method"]})


async def test_body_that_is_too_long_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.post("/0/public/Time", content=b"a=" + b"b" * (MAX_BODY - 2))).json()["error"] == []
    response = await http.post("/0/public/Time", content=b"a=" + b"b" * MAX_BODY)
    assert (response.status_code, response.json()) == (413, BAD)


async def test_body_without_an_announced_length_is_bounded_too(server: RestServer) -> None:
    chunk = b"8000\r\n" + b"b" * 0x8000 + b"\r\n"
    head = b"POST /0/public/Time HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await talk(server, head + chunk * 5)).startswith(b"HTTP/1.1 413 ")


async def test_compressed_body_is_not_unpacked(http: httpx.AsyncClient) -> None:
    packed = gzip.compress(b"a" * MAX_BODY * 500)
    response = await http.post("/0/public/Time", content=packed, headers={"Content-Encoding": "gzip"})
    assert (len(packed) > MAX_BODY, response.status_code) == (False, 200)


async def test_client_that_waits_before_it_sends_its_body_is_told_to_go_on(server: RestServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /0/public/Time HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"a=b")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /0/public/Time HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    ],
)
async def test_what_is_no_http_gets_json_and_leaves_no_trace_in_the_log(
    server: RestServer, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await talk(server, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert b"Content-Type: application/json" in head
    assert body == b'{"error":["EGeneral:Invalid arguments"]}'
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_nothing_of_a_request_is_logged(
    http: httpx.AsyncClient, exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await http.post(
            "/0/private/Balance?otp=hunter2", data={"nonce": "5", "otp": "hunter2"}, headers={"API-Key": "k"}
        )
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert "hunter2" not in str([record.getMessage() for record in ours])
    assert "hunter2" not in repr(Request("POST", "/0/private/Balance", "otp=hunter2", {"a": "hunter2"}, b"hunter2", ""))


async def test_failure_to_answer_is_json_too(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Request) -> tuple[int, bytes]:
        raise RuntimeError("broken")

    async with JsonServer(fail) as server, httpx.AsyncClient(base_url=server.url) as client:
        response = await client.get("/")
    assert (response.status_code, response.json()) == (500, {"error": ["EGeneral:Internal error"]})
    assert "the simulator failed to answer a request" in caplog.text


async def test_fault_that_answers_with_a_page_says_it_is_one(exchange: Exchange, http: httpx.AsyncClient) -> None:
    exchange.faults.inject("rest_error", status=503)
    response = await http.get("/0/public/Time")
    assert (response.status_code, response.headers["content-type"]) == (503, "text/html")
    assert (await http.get("/0/public/Time")).status_code == 200


async def test_market_that_only_rest_looks_at_moves() -> None:
    exchange = Exchange(symbols=["BTC/USD"], rate=2000.0)
    async with exchange, RestServer(exchange) as server, httpx.AsyncClient(base_url=server.url) as client:
        first = (await client.get("/0/public/Depth?pair=XBTUSD")).json()
        async with asyncio.timeout(20):
            while (await client.get("/0/public/Depth?pair=XBTUSD")).json() == first:
                pass


async def test_calls_on_many_connections_are_all_answered(server: RestServer) -> None:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=server.url, limits=limits) as client:
        answers = await asyncio.gather(*(client.get("/0/public/Ticker") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_tls_is_spoken_to_whoever_trusts_the_authority(exchange: Exchange, tmp_path: Path, name: str) -> None:
    certificate = Certificate(directory=tmp_path)
    async with RestServer(exchange, ssl_context=certificate.server_context()) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(verify=certificate.client_context()) as client:
            assert (await client.get(f"https://{name}:{server.port}/0/public/Time")).json()["error"] == []
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(verify=ssl.create_default_context()) as stranger:
                await stranger.get(f"https://{name}:{server.port}/0/public/Time")
        assert b"HTTP" not in await talk(server, b"GET /0/public/Time HTTP/1.1\r\nHost: x\r\n\r\n")


async def test_close_ends_idle_connections_and_frees_the_port(exchange: Exchange) -> None:
    server = RestServer(exchange)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /0/public/Time HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"}}")
    for _ in range(2):
        await server.close()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    async with RestServer(exchange, port=server.port):
        pass


async def test_close_before_start_is_harmless_and_a_second_start_is_wrong_usage(exchange: Exchange) -> None:
    server = RestServer(exchange)
    await server.close()
    await server.start()
    with pytest.raises(UsageError, match="started before"):
        await server.start()
    await server.close()


async def test_port_that_is_taken_is_an_os_error(exchange: Exchange) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = RestServer(exchange, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await server.start()
        await server.close()


def test_without_the_extra_it_says_what_to_install(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(UsageError, match=r"the extra `sim` \(aiohttp\): pip install 'krakenwire\[sim\]'"):
        RestServer(exchange)
