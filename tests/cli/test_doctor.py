"""The doctor says what it found and what to do; nothing it examines makes it raise."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trustme

from krakenwire.book import KERNEL, format_timestamp
from krakenwire.cli import doctor
from krakenwire.clock import ManualClock, SystemClock

SECOND = 1_000_000_000
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
)
SILENCE = b"never"


class SteppingClock(ManualClock):
    """Moves by itself, by the next of `steps` with each reading."""

    def __init__(self, steps: Iterator[int]) -> None:
        super().__init__()
        self.time = 0
        self.steps = steps

    def now_ns(self) -> int:
        self.time += next(self.steps)
        return self.time

    monotonic_ns = now_ns


@asynccontextmanager
async def server(
    answer: bytes = SWITCH, *, pong: str | None = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer every request with `answer`; gives the port and the requests that came.

    With the default it becomes a WebSocket, and answers the first message with the lines of `pong`, each a message;
    with None, by dropping the connection.
    """
    requests: list[bytes] = []
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        requests.append(request)
        if answer is SWITCH:
            key = re.search(rb"(?i)sec-websocket-key: (\S+)", request)
            assert key
            digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False)
            writer.write(SWITCH % base64.b64encode(digest.digest()))
            await reader.read(1)
            for line in (pong or "").splitlines():
                writer.write(bytes([0x81, len(line)]) + line.encode())  # one short text frame
            if pong is not None:
                await over.wait()
        elif answer is SILENCE:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], requests
    finally:
        over.set()
        listening.close()
        await listening.wait_closed()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture
async def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    async with server(b"") as (port, _):
        return port


# --- this machine -------------------------------------------------------------------------------------------


def test_healthy_machine_is_found_healthy() -> None:
    checks = {check.name: check for check in doctor.examine(SystemClock())}
    assert {name for name, check in checks.items() if check.status == "failed"} == set()
    assert {"kernel", "python", "packages", "extra cli", "clock"} <= checks.keys()
    assert "picows 2." in checks["packages"].found


def test_pure_kernel_is_a_warning_with_its_reason() -> None:
    assert doctor.kernel_check("compiled") == doctor.Check(name="kernel", status="ok", found="compiled")
    pure = doctor.kernel_check("pure")
    assert pure.status == "warning"
    assert "KRAKENWIRE_PURE=1" in pure.found
    assert "unset KRAKENWIRE_PURE" in pure.advice


def test_kernel_examined_is_the_one_in_use() -> None:
    assert doctor.kernel_check(KERNEL) in doctor.examine(SystemClock())


def test_old_python_fails() -> None:
    check = doctor.python_check((3, 10, 4), "CPython")
    assert (check.status, check.found) == ("failed", "CPython 3.10.4")
    assert "3.11" in check.advice
    assert doctor.python_check((3, 11, 0), "CPython").status == "ok"


def test_missing_requirement_fails_and_missing_extra_does_not() -> None:
    core, *extras = doctor.package_checks(
        {"msgspec": "0.20", "httpx": None, "picows": "2.3", "typer": "0.16", "rich": "14"}
    )
    assert core.status == "failed"
    assert core.advice == "install them: pip install httpx"
    by_name = {check.name: check for check in extras}
    assert by_name["extra cli"] == doctor.Check(name="extra cli", status="ok", found="typer 0.16, rich 14")
    assert by_name["extra fast"].status == "ok"
    assert "krakenwire[fast]" in by_name["extra fast"].advice


def test_smallest_step_seen_is_the_resolution_of_a_clock() -> None:
    check = doctor.clock_check(SteppingClock(itertools.cycle([0, 300, 40, 900])))
    assert check.status == "ok"
    assert check.found == "UTC in steps of 40 ns, monotonic in steps of 40 ns"


@pytest.mark.parametrize(
    ("steps", "status", "found"),
    [
        (itertools.cycle([16_000_000, 0]), "warning", "steps of 16000000 ns"),
        (itertools.repeat(0), "warning", "does not move"),
        (itertools.cycle([500, -100]), "failed", "ran backwards"),
    ],
)
def test_clock_that_is_coarse_or_runs_backwards_is_told(steps: Iterator[int], status: str, found: str) -> None:
    check = doctor.clock_check(SteppingClock(steps))
    assert check.status == status
    assert found in check.found
    assert check.advice


MS = 1_000_000


@pytest.mark.parametrize(
    ("ahead_ms", "status", "found"),
    [
        (0, "ok", "0.0 ms ahead of the exchange, give or take 20.0 ms"),
        (-119, "ok", "119.0 ms behind the exchange, give or take 20.0 ms"),
        (119, "ok", "119.0 ms ahead of the exchange, give or take 20.0 ms"),
        (-121, "warning", "121.0 ms behind the exchange, give or take 20.0 ms"),
        (2500, "warning", "2500.0 ms ahead of the exchange, give or take 20.0 ms"),
    ],
)
def test_clock_is_wrong_only_where_one_ping_proves_it(ahead_ms: int, status: str, found: str) -> None:
    sent, time_in, time_out, received = 0, 20 * MS, 25 * MS, 45 * MS
    check = doctor.offset_check(sent + ahead_ms * MS, time_in, time_out, received + ahead_ms * MS)
    assert (check.status, check.found) == (status, found)
    assert bool(check.advice) == (status == "warning")


# --- the way to the exchange --------------------------------------------------------------------------------


async def test_websocket_that_answers_a_ping_is_reached_and_the_clocks_are_compared() -> None:
    an_hour_ago = format_timestamp(SystemClock().now_ns() - 3600 * SECOND)
    pong = f'{{"method":"pong","req_id":1,"time_in":"{an_hour_ago}","time_out":"{an_hour_ago}"}}'
    async with server(pong=f'{{"channel":"status"}}\n{pong}') as (port, requests):
        websocket, offset = await doctor.reach_websocket(f"ws://127.0.0.1:{port}/v2", 5, SystemClock())
    assert websocket.status == "ok"
    assert re.fullmatch(rf"ws://127.0.0.1:{port}/v2: connected in \d+ ms, ping answered in \d+ ms", websocket.found)
    assert requests[0].startswith(b"GET /v2 HTTP/1.1\r\n")
    assert offset.status == "warning"
    assert re.match(r"360\d{4}\.\d ms ahead of the exchange", offset.found)


@pytest.mark.parametrize("times", ["", ',"time_in":"soon","time_out":"late"'])
async def test_pong_without_times_compares_no_clocks(times: str) -> None:
    async with server(pong=f'{{"method":"pong"{times}}}') as (port, _):
        (websocket,) = await doctor.reach_websocket(f"ws://127.0.0.1:{port}/v2", 5, SystemClock())
    assert websocket.status == "ok"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "status 429"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "unreachable: ws://127.0.0.1"),
        (b"", "unreachable: ws://127.0.0.1"),
    ],
)
async def test_answer_that_is_no_websocket_fails_with_what_came(answer: bytes, found: str) -> None:
    async with server(answer) as (port, _):
        (check,) = await doctor.reach_websocket(f"ws://127.0.0.1:{port}/", 5, SystemClock())
    assert check.status == "failed"
    assert found in check.found


async def test_websocket_that_says_no_word_of_v2_fails_at_the_time_limit() -> None:
    async with server(pong="hello") as (port, _):
        (check,) = await doctor.reach_websocket(f"ws://127.0.0.1:{port}/", 0.2, SystemClock())
    assert check.found.endswith("connected, but no answer to a ping within 0.2 s")
    assert check.advice


async def test_websocket_that_closes_instead_of_answering_fails() -> None:
    async with server(pong=None) as (port, _):
        (check,) = await doctor.reach_websocket(f"ws://127.0.0.1:{port}/", 5, SystemClock())
    assert "connected, but it closed the connection (1006" in check.found


async def test_server_that_never_answers_fails_at_the_time_limit() -> None:
    async with server(SILENCE) as (port, _):
        (websocket,), rest = await asyncio.gather(
            doctor.reach_websocket(f"ws://127.0.0.1:{port}/", 0.1, SystemClock()),
            doctor.reach_rest(f"http://127.0.0.1:{port}", 0.1, SystemClock()),
        )
    assert websocket.found.endswith("took longer than 0.1 s")
    assert rest.found.endswith("no answer within 0.1 s")


async def test_certificate_that_is_not_trusted_fails_as_such() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with server(b"", tls=tls) as (port, _):
        (check,) = await doctor.reach_websocket(f"wss://127.0.0.1:{port}/", 5, SystemClock())
    assert check.status == "failed"
    assert "certificate is not trusted" in check.found


@pytest.mark.parametrize("url", ["https://ws.kraken.com", "ws://", "ws://host:port/", "", "wss://u:secret@host/"])
async def test_address_that_cannot_work_fails_and_shows_no_secret(url: str) -> None:
    (websocket,) = await doctor.reach_websocket(url, 5, SystemClock())
    rest = await doctor.reach_rest(url.replace("https", "ftp").replace("ws", "http"), 5, SystemClock())
    for check in (websocket, rest):
        assert (check.status, check.advice) == ("failed", "correct the address")
        assert "secret" not in str(doctor.Report((check,)))


async def test_rest_that_tells_the_time_is_reached() -> None:
    async with server(http(b'{"error":[],"result":{"unixtime":1616336594}}')) as (port, requests):
        check = await doctor.reach_rest(f"http://127.0.0.1:{port}", 5, SystemClock())
    assert requests[0].startswith(b"GET /0/public/Time HTTP/1.1\r\n")
    assert check.status == "ok"
    assert re.fullmatch(rf"http://127.0.0.1:{port}: answered in \d+ ms", check.found)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (http(b"{}", "429 Too Many Requests"), "refused with status 429"),
        (http(b"<html>sign in</html>"), "expected the exchange's time, got status 200, '<html>sign in</html>'"),
        (http(b'{"error":["EService:Unavailable"]}'), "EService:Unavailable"),
        (http(b"[]"), "got status 200, '[]'"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "unreachable: http://127.0.0.1"),
    ],
)
async def test_rest_that_does_not_tell_the_time_fails_with_what_came(answer: bytes, found: str) -> None:
    async with server(answer) as (port, _):
        check = await doctor.reach_rest(f"http://127.0.0.1:{port}", 5, SystemClock())
    assert check.status == "failed"
    assert found in check.found


async def test_machine_that_is_offline_is_a_finding_and_no_exception(closed_port: int) -> None:
    report = await doctor.run(
        f"ws://127.0.0.1:{closed_port}/v2", 5, rest_url=f"http://127.0.0.1:{closed_port}", clock=SystemClock()
    )
    checks = {check.name: check for check in report.checks}
    assert report.status == "failed"
    for name in ("websocket", "rest"):
        assert checks[name].status == "failed"
        assert checks[name].found.startswith("unreachable: ")
        assert "is this machine online?" in checks[name].advice
    assert "clock offset" not in checks


async def test_name_that_does_not_resolve_is_told_as_such() -> None:
    (check,) = await doctor.reach_websocket("wss://nowhere.invalid/v2", 5, SystemClock())
    assert check.found.startswith("unreachable: wss://nowhere.invalid/v2: nowhere.invalid:443 cannot be resolved")


def check(name: str, status: doctor.Status) -> doctor.Check:
    return doctor.Check(name=name, status=status, found="so", advice="" if status == "ok" else "do this")


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [(["ok", "ok"], "ok"), (["ok", "warning"], "warning"), (["failed", "warning", "ok"], "failed")],
)
def test_report_is_as_bad_as_its_worst_check(statuses: list[doctor.Status], worst: str) -> None:
    assert doctor.Report(tuple(check("x", status) for status in statuses)).status == worst


def test_report_reads_as_lines_and_as_json() -> None:
    report = doctor.Report((check("kernel", "ok"), check("clock", "warning")))
    lines = str(report).splitlines()
    assert [line.split() for line in lines] == [
        ["ok", "kernel", "so"],
        ["warning", "clock", "so"],
        ["do", "this"],
    ]
    assert (
        report.as_dict()
        == json.loads(json.dumps(report.as_dict()))
        == {
            "status": "warning",
            "checks": [
                {"name": "kernel", "status": "ok", "found": "so", "advice": ""},
                {"name": "clock", "status": "warning", "found": "so", "advice": "do this"},
            ],
        }
    )
