"""Connecting over real loopback sockets: each way to fail is one clear error, in bounded time, and leaves nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trustme

from helpers.hostile import Peer, Recorder, Script, close_frame, frame, serving
from krakenwire._version import __version__
from krakenwire.clock import NS_PER_S, ManualClock, SystemClock
from krakenwire.errors import ConnectFailed, UsageError
from krakenwire.net.transport import Closed
from krakenwire.net.upgrade import BAN_SECONDS
from krakenwire.net.websocket import WebSocketConnector

CLOCK = SystemClock()


def answering(response: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.send(response)
        await peer.until_gone()

    return script


def refusing(status: str, *fields: str) -> Script:
    head = "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 6", *fields])
    return answering(head.encode() + b"\r\n\r\nsorry\n")


async def failure(script: Script, connect: WebSocketConnector | None = None) -> ConnectFailed:
    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        with pytest.raises(ConnectFailed) as caught:
            await (connect or WebSocketConnector(clock=CLOCK))(f"ws://127.0.0.1:{port}/v2?secret=1", recorder)
        assert caught.value.url == f"ws://127.0.0.1:{port}/v2"
    assert recorder.log == []
    return caught.value


async def talk(connect: WebSocketConnector, url: str) -> Recorder:
    """Connect to a server that greets, closes with 1000 and leaves."""
    recorder = Recorder()
    async with asyncio.timeout(20):
        await connect(url, recorder)
        await recorder.closed()
    assert recorder.messages == [b"hello"]
    assert recorder.ends == [Closed(1000, "", local=False)]
    return recorder


async def greeting(peer: Peer) -> None:
    await peer.accept(frame(b"hello") + close_frame(1000))
    await peer.until_gone()


# --- the upgrade ---------------------------------------------------------------------------------------------


async def test_upgrade_names_the_library_and_its_version_by_default() -> None:
    heads = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.read_head())
        peer.send(peer.acceptance() + frame(b"hello") + close_frame(1000))
        await peer.until_gone()

    async with serving(script) as port:
        await talk(WebSocketConnector(clock=CLOCK), f"ws://127.0.0.1:{port}")
    assert f"User-Agent: krakenwire/{__version__}\r\n" in heads[0].decode()


async def test_upgrade_says_who_we_are_and_what_was_asked_for() -> None:
    heads = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.read_head())
        peer.send(peer.acceptance() + frame(b"hello") + close_frame(1000))
        await peer.until_gone()

    async with serving(script) as port:
        connect = WebSocketConnector(clock=CLOCK, user_agent="test/1", extra_headers={"X-Trace": "7"})
        await talk(connect, f"ws://127.0.0.1:{port}/v2?a=b")
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "GET /v2?a=b HTTP/1.1"
    assert {"User-Agent: test/1", "X-Trace: 7", f"Host: 127.0.0.1:{port}"} <= set(lines)
    assert "permessage-deflate" not in heads[0].decode()


@pytest.mark.parametrize(
    ("status", "retryable", "retry_after"),
    [
        ("400 Bad Request", False, None),
        ("401 Unauthorized", False, None),
        ("404 Not Found", False, None),
        ("403 Forbidden", True, BAN_SECONDS),
        ("429 Too Many Requests", True, BAN_SECONDS),
        ("503 Service Unavailable", True, BAN_SECONDS),
        ("200 OK", True, None),
        ("418 I'm a Teapot", True, None),
        ("500 Internal Server Error", True, None),
        ("502 Bad Gateway", True, None),
        ("522 Origin Timed Out", True, None),
        ("530", True, None),
    ],
)
async def test_status_of_a_refused_upgrade_decides_on_the_retry(
    status: str, retryable: bool, retry_after: float | None
) -> None:
    error = await failure(refusing(status))
    assert (error.status, error.retryable, error.retry_after) == (int(status[:3]), retryable, retry_after)
    assert status[:3] in str(error)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("17", 17.0),
        ("0", 0.0),
        ("Tue, 14 Nov 2023 22:15:00 GMT", 100.0),
        ("Tue, 14 Nov 2000 22:15:00 GMT", 0.0),
        ("soon", BAN_SECONDS),
        ("-5", BAN_SECONDS),
    ],
)
async def test_retry_after_replaces_the_ban_window(value: str, expected: float) -> None:
    clock = ManualClock(1_700_000_000 * NS_PER_S)  # Tue, 14 Nov 2023 22:13:20 GMT
    error = await failure(refusing("429 Too Many Requests", f"Retry-After: {value}"), WebSocketConnector(clock=clock))
    assert error.retry_after == expected


async def test_redirect_is_not_followed_and_says_where_to_without_its_secrets() -> None:
    error = await failure(refusing("302 Found", "Location: wss://user:pw@elsewhere.example/v2?token=abc"))
    assert (error.status, error.retryable) == (302, True)
    assert "wss://elsewhere.example/v2;" in str(error)
    assert "token" not in str(error)
    assert "pw" not in str(error)


async def test_relative_redirect_is_shown_whole() -> None:
    error = await failure(refusing("301 Moved Permanently", "location: /v3"))
    assert "ws://127.0.0.1:" in error.reason
    assert "/v3;" in error.reason


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
        b"HTTP/1.1 abc Nonsense\r\n\r\n",
        b"x" * 20_000,
    ],
)
async def test_what_is_no_http_is_an_error_that_can_be_retried(response: bytes) -> None:
    error = await failure(answering(response))
    assert error.retryable
    assert error.status is None
    assert "expected an HTTP/1.1 response" in str(error)


async def test_wrong_acceptance_of_the_upgrade_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        peer.send(b"Sec-WebSocket-Accept: d3Jvbmc=\r\n\r\n")
        await peer.until_gone()

    error = await failure(script)
    assert error.status == 101
    assert "sec-websocket-accept" in str(error).lower()


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 101 Switch"])
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_server_that_goes_before_its_answer_is_an_error(part: bytes, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.send(part)
        if how == "reset":
            peer.cut()

    error = await failure(script)
    assert error.retryable
    assert "dropped the connection" in str(error)


async def test_server_that_closes_at_once_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        peer.cut()

    assert (await failure(script)).retryable


# --- the time it may take ------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade:"])
async def test_server_that_never_answers_is_given_up_after_the_open_timeout(answer: bytes) -> None:
    waiting = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.send(answer)
        waiting.set()
        await peer.until_gone()

    clock, recorder = ManualClock(), Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        task = asyncio.create_task(WebSocketConnector(clock=clock)(f"ws://127.0.0.1:{port}", recorder))
        await waiting.wait()
        await clock.advance(9.9)
        assert not task.done()
        await clock.advance(0.1)
        with pytest.raises(ConnectFailed, match="longer than 10 s") as caught:
            await task
    assert caught.value.retryable
    assert recorder.log == []


async def test_name_resolution_does_not_block_the_loop_and_counts_as_open_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    clock = ManualClock()
    task = asyncio.create_task(WebSocketConnector(clock=clock, open_timeout=3)("wss://slow.example/v2", Recorder()))
    await asked.wait()
    await clock.advance(3)
    with pytest.raises(ConnectFailed, match="resolving and connecting took longer than 3 s"):
        await task


# --- TCP -----------------------------------------------------------------------------------------------------


async def test_refused_port_is_an_error_that_can_be_retried() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(ConnectFailed, match=f"127.0.0.1:{port} refused the connection") as caught:
            await WebSocketConnector(clock=CLOCK)(f"ws://127.0.0.1:{port}", Recorder())
    assert caught.value.retryable


async def test_name_that_does_not_resolve_is_an_error_that_can_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed, match=r"nowhere\.example:443 cannot be resolved") as caught:
        await WebSocketConnector(clock=CLOCK)("wss://nowhere.example/v2", Recorder())
    assert caught.value.retryable


# --- TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_with_a_trusted_certificate_carries_messages_both_ways(authority: trustme.CA) -> None:
    received = []

    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"hello"))
        received.append(await peer.receive())
        peer.send(close_frame(1000))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script, server_context(authority, "localhost")) as port:
        connect = WebSocketConnector(clock=CLOCK, ssl_context=client_context(authority))
        transport = await connect(f"wss://localhost:{port}/v2", recorder)
        transport.send_text(b"over TLS")
        await recorder.closed()
    assert recorder.messages == [b"hello"]
    assert received == [(1, b"over TLS")]


async def tls_failure(context: ssl.SSLContext, connect: WebSocketConnector) -> ConnectFailed:
    async def script(peer: Peer) -> None:
        with suppress(ssl.SSLError):
            await peer.writer.start_tls(context)

    async with asyncio.timeout(20), serving(script) as port:
        with pytest.raises(ConnectFailed) as caught:
            await connect(f"wss://localhost:{port}/v2", Recorder())
    return caught.value


async def test_certificate_of_an_unknown_authority_is_terminal_by_default(authority: trustme.CA) -> None:
    error = await tls_failure(server_context(authority, "localhost"), WebSocketConnector(clock=CLOCK))
    assert not error.retryable
    assert "certificate is not trusted" in str(error)
    assert "ssl_context=" in str(error)


async def test_certificate_for_another_host_is_terminal(authority: trustme.CA) -> None:
    connect = WebSocketConnector(clock=CLOCK, ssl_context=client_context(authority))
    error = await tls_failure(server_context(authority, "ws.kraken.com"), connect)
    assert not error.retryable
    assert "localhost" in str(error)


async def test_tls_to_a_plain_port_is_an_error_that_can_be_retried(authority: trustme.CA) -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with asyncio.timeout(20), serving(script) as port:
        with pytest.raises(ConnectFailed) as caught:
            await WebSocketConnector(clock=CLOCK)(f"wss://localhost:{port}", Recorder())
    assert caught.value.retryable


async def test_tls_connection_that_is_cut_is_1006(authority: trustme.CA) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.receive()
        peer.cut()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script, server_context(authority, "localhost")) as port:
        connect = WebSocketConnector(clock=CLOCK, ssl_context=client_context(authority))
        transport = await connect(f"wss://localhost:{port}", recorder)
        await recorder.until(lambda: recorder.frames)
        transport.send_text(b"now")
        assert (await recorder.closed()).code == 1006
    assert len(recorder.ends) == 1


async def test_unanswered_close_over_tls_is_an_abort_after_the_close_timeout(authority: trustme.CA) -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.receive_close()
        asked.set()
        await peer.until_gone()

    clock, recorder = ManualClock(), Recorder()
    async with asyncio.timeout(20), serving(script, server_context(authority, "localhost")) as port:
        connect = WebSocketConnector(clock=clock, ssl_context=client_context(authority), close_timeout=2)
        transport = await connect(f"wss://localhost:{port}", recorder)
        await recorder.until(lambda: recorder.frames)
        transport.close()
        await asked.wait()
        await clock.advance(2)
        assert await recorder.closed() == Closed(1000, "", local=True)


# --- proxies -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def proxying(handshake: Callable[[Peer], object], seen: list[object]) -> AsyncIterator[int]:
    """A proxy: `handshake(peer)` returns (host, port) to connect to, or None to hang up."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        if writer.can_write_eof():
            writer.write_eof()

    async def script(peer: Peer) -> None:
        target = await handshake(peer)  # type: ignore[misc]  # an async function, given as a plain callable
        seen.append(target)
        if target is None:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", target[1])
        try:
            await asyncio.gather(pipe(peer.reader, writer), pipe(reader, peer.writer))
        finally:
            writer.close()

    async with serving(script) as port:
        yield port


async def http_connect(peer: Peer) -> tuple[str, int] | None:
    await peer.read_head()
    method, authority, _ = peer.head.split(b"\r\n")[0].decode().split(" ")
    assert method == "CONNECT"
    if b"Proxy-Authorization: Basic Ym9iOmh1bnRlcjI=" not in peer.head:
        peer.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        return None
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    host, port = authority.rsplit(":", 1)
    return host, int(port)


async def socks5(peer: Peer) -> tuple[str, int] | None:
    _, count = await peer.reader.readexactly(2)
    assert 2 in await peer.reader.readexactly(count)
    peer.send(b"\x05\x02")
    size = (await peer.reader.readexactly(2))[1]
    user = await peer.reader.readexactly(size)
    password = await peer.reader.readexactly((await peer.reader.readexactly(1))[0])
    if (user, password) != (b"bob", b"hunter2"):
        peer.send(b"\x01\x01")
        return None
    peer.send(b"\x01\x00")
    kind = (await peer.reader.readexactly(4))[3]
    if kind == 3:
        host = (await peer.reader.readexactly((await peer.reader.readexactly(1))[0])).decode()
    else:
        host = socket.inet_ntoa(await peer.reader.readexactly(4))
    port = int.from_bytes(await peer.reader.readexactly(2), "big")
    peer.send(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
    return host, port


PROXIES = [("http", http_connect), ("socks5", socks5)]


@pytest.mark.parametrize(("scheme", "handshake"), PROXIES)
@pytest.mark.parametrize("secure", [False, True])
async def test_proxy_carries_the_connection_and_resolves_the_name(
    scheme: str, handshake: Callable[[Peer], object], secure: bool, authority: trustme.CA
) -> None:
    seen: list[object] = []
    context = server_context(authority, "exchange.test") if secure else None
    async with serving(greeting, context) as port, proxying(handshake, seen) as proxy:
        connect = WebSocketConnector(
            clock=CLOCK,
            proxy=f"{scheme}://bob:hunter2@127.0.0.1:{proxy}",
            ssl_context=client_context(authority),
        )
        await talk(connect, f"{'wss' if secure else 'ws'}://exchange.test:{port}/v2")
        assert seen == [("exchange.test", port)]


@pytest.mark.parametrize(("scheme", "handshake"), PROXIES)
async def test_wrong_proxy_password_is_an_error_that_does_not_show_it(
    scheme: str, handshake: Callable[[Peer], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    async with asyncio.timeout(20), proxying(handshake, []) as proxy:
        connect = WebSocketConnector(clock=CLOCK, proxy=f"{scheme}://bob:sesame@127.0.0.1:{proxy}")
        with pytest.raises(ConnectFailed, match=f"the proxy 127.0.0.1:{proxy}") as caught:
            await connect("ws://exchange.test/v2", Recorder())
    assert "sesame" not in str(caught.value) + caplog.text
    assert caught.value.retryable


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("answer", [b"", b"\x00\x00\x00\x00 what?\r\n\r\n"])
async def test_proxy_that_does_not_speak_its_protocol_is_an_error(scheme: str, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(3)
        peer.send(answer)

    async with asyncio.timeout(20), serving(script) as proxy:
        connect = WebSocketConnector(clock=CLOCK, proxy=f"{scheme}://127.0.0.1:{proxy}")
        with pytest.raises(ConnectFailed, match=f"127.0.0.1:{proxy}"):
            await connect("ws://exchange.test/v2", Recorder())


async def test_proxy_that_refuses_tcp_is_named() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        proxy = sock.getsockname()[1]
        connect = WebSocketConnector(clock=CLOCK, proxy=f"socks5://127.0.0.1:{proxy}")
        with pytest.raises(ConnectFailed, match=f"127.0.0.1:{proxy} refused"):
            await connect("wss://exchange.test/v2", Recorder())


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(greeting) as port:
        await talk(WebSocketConnector(clock=CLOCK), f"ws://127.0.0.1:{port}")


# --- cancellation --------------------------------------------------------------------------------------------


async def cancelled_at(script: Script, url: str, reached: asyncio.Event, connect: WebSocketConnector) -> None:
    """Cancel the connect once `script` has set `reached`; the server's script must see the socket close."""
    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        ours = asyncio.all_tasks()
        task = asyncio.create_task(connect(url.format(port=port), recorder))
        await reached.wait()
        ours = asyncio.all_tasks() - ours - {task}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all("serving" in repr(other) for other in ours), ours
    assert recorder.log == []


def reaching(reached: asyncio.Event, answer: bytes = b"", head: bool = True) -> Script:
    async def script(peer: Peer) -> None:
        if head:
            await peer.read_head()
        peer.send(answer)
        reached.set()
        await peer.until_gone()

    return script


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching"])
async def test_cancelled_while_upgrading_closes_the_socket(answer: bytes) -> None:
    reached = asyncio.Event()
    await cancelled_at(reaching(reached, answer), "ws://127.0.0.1:{port}", reached, WebSocketConnector(clock=CLOCK))


async def test_cancelled_in_the_tls_handshake_closes_the_socket() -> None:
    reached = asyncio.Event()
    script = reaching(reached, head=False)
    await cancelled_at(script, "wss://127.0.0.1:{port}", reached, WebSocketConnector(clock=CLOCK))


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_cancelled_while_the_proxy_thinks_closes_the_socket(scheme: str) -> None:
    reached = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.read(3)
        reached.set()
        await peer.until_gone()

    async with serving(script) as port:
        connect = WebSocketConnector(clock=CLOCK, proxy=f"{scheme}://127.0.0.1:{port}")
        task = asyncio.create_task(connect("ws://exchange.test", Recorder()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelled_upgrade_over_tls_closes_the_socket(authority: trustme.CA) -> None:
    reached, recorder = asyncio.Event(), Recorder()
    context = server_context(authority, "localhost")
    async with asyncio.timeout(20), serving(reaching(reached), context) as port:
        connect = WebSocketConnector(clock=CLOCK, ssl_context=client_context(authority))
        task = asyncio.create_task(connect(f"wss://localhost:{port}", recorder))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert recorder.log == []


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_after_any_number_of_turns_leaves_nothing(turns: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        task = asyncio.create_task(WebSocketConnector(clock=CLOCK)(f"ws://127.0.0.1:{port}", recorder))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            (await task).abort()  # it was done before it could be cancelled
        except asyncio.CancelledError:
            assert recorder.log == []


# --- what is refused before anything is sent -----------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://h/", "ftp://h/", "ws:///", "nothing", "ws://u:pw@h/", "ws://h/#f"])
async def test_url_that_cannot_work_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        await WebSocketConnector(clock=CLOCK)(url, Recorder())
    assert "pw" not in str(caught.value)


async def test_plain_text_to_another_machine_is_refused_where_credentials_are_sent() -> None:
    connect = WebSocketConnector(clock=CLOCK, require_secure=True)
    with pytest.raises(UsageError, match="expected wss://"):
        await connect("ws://ws-auth.kraken.com/v2", Recorder())
    async with serving(greeting) as port:
        await talk(connect, f"ws://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "proxy", ["127.0.0.1:8080", "ftp://h:1", "http://bob:sesame@h", "socks5://bob:sesame@:1", "http://bob:sesame@h:x"]
)
def test_proxy_that_cannot_work_is_a_usage_error_without_its_credentials(proxy: str) -> None:
    with pytest.raises(UsageError, match="expected proxy=") as caught:
        WebSocketConnector(clock=CLOCK, proxy=proxy)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X: Y": "a"}, {"": "a"}, {"X": "é"}])
def test_header_that_would_break_the_request_is_a_usage_error(headers: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="expected a header"):
        WebSocketConnector(clock=CLOCK, extra_headers=headers)


@pytest.mark.parametrize("option", ["open_timeout", "close_timeout", "max_message_bytes"])
def test_limits_of_nothing_are_usage_errors(option: str) -> None:
    with pytest.raises(UsageError, match=option):
        WebSocketConnector(clock=CLOCK, **{option: 0})  # type: ignore[arg-type]  # all three are numbers
