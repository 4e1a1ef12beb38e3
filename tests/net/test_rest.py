"""Public REST calls over real sockets: what is asked, what is answered, and every way in which it is not."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from krakenwire.errors import RestFailed, UsageError
from krakenwire.net import rest
from krakenwire.net.rest import RestClient
from krakenwire.sim.server import SimulatorServer

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    """A server that gives every request to `handler`; its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(await reader.readuntil(b"\r\n\r\n"), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


def response(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


@asynccontextmanager
async def client_of(answer: bytes, *, timeout: float = 5.0) -> AsyncIterator[RestClient]:
    async def handler(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with answering(handler) as url:
        client = RestClient(url, timeout=timeout)
        try:
            yield client
        finally:
            await client.close()


async def test_call_is_answered_by_the_simulator() -> None:
    async with SimulatorServer(symbols=["BTC/USD"], rest_port=0) as server:
        client = RestClient(server.rest_url)
        body = await client("Trades", (("pair", "BTC/USD"), ("since", "0"), ("count", "3")))
        rows = json.loads(body)["result"]["BTC/USD"]
        assert len(rows) == 3
        assert json.loads(await client("Trades", (("pair", "NO/PE"),)))["error"] == ["EQuery:Unknown asset pair"]
        await client.close()
        await client.close()
        with pytest.raises(UsageError, match="closed"):
            await client("Time")


async def test_request_is_what_kraken_expects() -> None:
    seen: list[bytes] = []

    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(response(b"{}"))

    async with answering(handler) as url:
        client = RestClient(url + "/")
        await client("OHLC", (("pair", "BTC/USD"), ("interval", "5")))
        await client.close()
    line, *fields = seen[0].decode().split("\r\n")
    assert line == "GET /0/public/OHLC?pair=BTC%2FUSD&interval=5 HTTP/1.1"
    assert any(field.lower().startswith("user-agent: krakenwire/") for field in fields)


@pytest.mark.parametrize(
    ("status", "headers", "retryable", "retry_after"),
    [
        ("503 Service Unavailable", "", True, None),
        ("502 Bad Gateway", "Retry-After: 7\r\n", True, 7.0),
        ("429 Too Many Requests", "Retry-After: 30\r\n", True, 30.0),
        ("429 Too Many Requests", "", True, 60.0),
        ("403 Forbidden", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", True, 60.0),
        ("404 Not Found", "", False, None),
        ("302 Found", "Location: http://127.0.0.1:1/\r\n", False, None),
        ("503 Service Unavailable", "Retry-After: 99999999999999999999\r\n", True, None),
    ],
)
async def test_status_says_whether_a_retry_can_help(
    status: str, headers: str, retryable: bool, retry_after: float | None
) -> None:
    async with client_of(response(b"<html>", status=status, headers=headers)) as client:
        with pytest.raises(RestFailed) as caught:
            await client("Trades")
    failed = caught.value
    assert (failed.call, failed.status, failed.retryable) == ("Trades", int(status[:3]), retryable)
    assert failed.retry_after == retry_after


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", b"\x00" * 100],
)
async def test_answer_that_is_cut_or_no_http_may_be_retried(answer: bytes) -> None:
    async with client_of(answer) as client:
        with pytest.raises(RestFailed) as caught:
            await client("Trades")
    assert caught.value.retryable
    assert caught.value.status is None


async def test_body_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MAX_BODY", 1000)
    async with client_of(response(b"x" * 5000)) as client:
        with pytest.raises(RestFailed, match="more than 1000 bytes") as caught:
            await client("Trades")
    assert not caught.value.retryable


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br"])
async def test_answer_in_a_packing_that_was_not_asked_for_is_not_unpacked(encoding: str) -> None:
    packed = gzip.compress(gzip.compress(b"\0" * 5_000_000))
    async with client_of(response(packed, headers=f"Content-Encoding: {encoding}\r\n")) as client:
        with pytest.raises(RestFailed, match="not asked for"):
            await client("Trades")


async def test_packed_answer_is_unpacked_and_one_that_is_broken_is_told() -> None:
    packed = gzip.compress(b'{"error":[]}' * 1000)
    for body, outcome in (
        (packed, None),
        (packed[:-9], "cut off"),
        (packed[:9] + b"\xff" + packed[9:], "cannot be unpacked"),
    ):
        async with client_of(response(body, headers="Content-Encoding: GZIP\r\n")) as client:
            if outcome is None:
                assert await client("Trades") == b'{"error":[]}' * 1000
                continue
            with pytest.raises(RestFailed, match=outcome) as caught:
                await client("Trades")
            assert caught.value.retryable


async def test_memory_for_a_bomb_is_bounded() -> None:
    packed = gzip.compress(b"\0" * 60_000_000)
    async with client_of(response(packed, headers="Content-Encoding: gzip\r\n")) as client:
        await client._open()
        tracemalloc.start()
        try:
            with pytest.raises(RestFailed, match="more than"):
                await client("Trades")
            assert tracemalloc.get_traced_memory()[1] < 4 * rest.MAX_BODY
        finally:
            tracemalloc.stop()


async def test_bomb_is_bounded_by_what_it_unpacks_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MAX_BODY", 100_000)
    packed = gzip.compress(b"\0" * 50_000_000)
    async with client_of(response(packed, headers="Content-Encoding: gzip\r\n")) as client:
        with pytest.raises(RestFailed, match="more than"):
            await client("Trades")


async def test_silent_server_is_given_up() -> None:
    released = asyncio.Event()

    async def handler(_request: bytes, _writer: asyncio.StreamWriter) -> None:
        await released.wait()

    async with answering(handler) as url:
        client = RestClient(url, timeout=0.2)
        with pytest.raises(RestFailed, match="in time") as caught:
            await client("Trades")
        assert caught.value.retryable
        released.set()
        await client.close()


async def test_answer_that_drips_is_given_up_as_a_whole() -> None:
    released = asyncio.Event()

    async def handler(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not released.is_set():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with answering(handler) as url:
        client = RestClient(url, timeout=0.2)
        with pytest.raises(RestFailed, match="in time"):
            await client("Trades")
        released.set()
        await client.close()


async def test_nobody_there_may_be_retried() -> None:
    client = RestClient("http://127.0.0.1:1")
    with pytest.raises(RestFailed) as caught:
        await client("Trades")
    assert caught.value.retryable
    await client.close()


async def test_cancelled_call_leaves_the_client_usable() -> None:
    async with SimulatorServer(symbols=["BTC/USD"], rest_port=0) as server:
        client = RestClient(server.rest_url)
        for turns in range(0, 60, 3):
            task = asyncio.ensure_future(client("Time"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert b"unixtime" in await client("Time")
        await client.close()


@pytest.mark.parametrize("url", ["ftp://api.kraken.com", "https://user:secret@api.kraken.com", "https://"])
def test_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        RestClient(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_timeout_that_cannot_work_is_refused(timeout: float) -> None:
    with pytest.raises(UsageError, match="timeout"):
        RestClient("https://api.kraken.com", timeout=timeout)


def test_no_secret_is_in_its_repr() -> None:
    client = RestClient("https://api.kraken.com/?token=secret", proxy="http://user:secret@proxy:1")
    assert "secret" not in repr(client)


def test_http_library_is_not_loaded_before_the_first_call() -> None:
    code = "import sys, krakenwire; krakenwire.Client(); sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
