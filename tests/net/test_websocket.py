"""An open WebSocket over a real loopback socket, against servers that misbehave byte by byte."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable

import pytest

from helpers.hostile import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Peer,
    Recorder,
    Script,
    close_frame,
    frame,
    serving,
)
from krakenwire.clock import ManualClock, SystemClock
from krakenwire.net.connection import WebSocketTransport
from krakenwire.net.transport import Closed
from krakenwire.net.websocket import WebSocketConnector

MIB = 1 << 20


async def converse(script: Script, listener: Recorder | None = None, *, max_message_bytes: int = 16 * MIB) -> Recorder:
    """Connect to a server that runs `script`, and wait for the end."""
    recorder = Recorder() if listener is None else listener
    async with asyncio.timeout(20), serving(script) as port:
        connect = WebSocketConnector(clock=SystemClock(), max_message_bytes=max_message_bytes)
        recorder.transport = await connect(f"ws://127.0.0.1:{port}/v2", recorder)
        await recorder.closed()
    assert len(recorder.ends) == 1
    return recorder


def sending(*writes: bytes) -> Script:
    """A server that accepts, writes, waits for the client's close frame and for its socket to be closed."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        for data in writes:
            peer.send(data)
        await peer.until_gone()

    return script


# --- messages ------------------------------------------------------------------------------------------------


async def test_messages_arrive_whole_and_in_order() -> None:
    sent = [b"{}", b"x" * 125, b"y" * 126, b"z" * 65535, b"w" * 65536, "€ and ∞".encode(), b""]
    recorder = await converse(sending(b"".join(map(frame, sent)), close_frame(1000)))
    assert recorder.messages == sent


async def test_frames_sent_with_the_upgrade_response_are_delivered_after_the_connect() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"status") + frame(b"more"))
        await peer.receive()
        peer.send(frame(b"answer") + close_frame(1000))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await WebSocketConnector(clock=SystemClock())(f"ws://127.0.0.1:{port}", recorder)
        assert recorder.frames == []
        transport.send_text(b"hello")
        await recorder.closed()
    assert recorder.messages == [b"status", b"more", b"answer"]


async def test_all_that_comes_with_the_upgrade_response_may_be_the_whole_conversation() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"only") + close_frame(1013, "full"))
        await peer.until_gone()

    recorder = await converse(script)
    assert recorder.messages == [b"only"]
    assert recorder.ends == [Closed(1013, "full", local=False)]


async def test_what_preceded_a_violation_in_the_first_read_is_still_delivered() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"good") + frame(b"\x00", BINARY))
        await peer.until_gone()

    recorder = await converse(script)
    assert recorder.messages == [b"good"]
    assert recorder.ends[0].code == 1003


async def test_fragments_are_joined_and_a_ping_between_them_is_answered() -> None:
    pongs = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(frame(b"one ", fin=False) + frame(b"are you there", PING))
        pongs.append(await peer.receive())
        peer.send(frame(b"message, ", CONTINUATION, fin=False) + frame(b"", PONG))
        peer.send(frame(b"three parts", CONTINUATION) + frame(b"next") + close_frame(1000))
        await peer.until_gone()

    recorder = await converse(script)
    assert recorder.messages == [b"one message, three parts", b"next"]
    assert pongs == [(PONG, b"are you there")]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_any_split_of_the_bytes_gives_the_same_messages(size: int) -> None:
    stream = frame(b"a") + frame(b"bc", fin=False) + frame(b"", PING) + frame(b"d", CONTINUATION) + frame(b"e" * 130)

    async def script(peer: Peer) -> None:
        await peer.accept()
        data = stream + close_frame(1000)
        for i in range(0, len(data), size):
            peer.send(data[i : i + size])
            await asyncio.sleep(0)
        await peer.until_gone()

    recorder = await converse(script)
    assert recorder.messages == [b"a", b"bcd", b"e" * 130]


async def test_client_messages_are_masked_and_reach_the_server() -> None:
    received = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        received.append(await peer.receive())
        received.append(await peer.receive())
        peer.send(close_frame(1000))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await WebSocketConnector(clock=SystemClock())(f"ws://127.0.0.1:{port}", recorder)
        transport.send_text(b'{"method":"ping"}')
        transport.send_text(b"x" * 70_000)
        await recorder.closed()
    assert received == [(TEXT, b'{"method":"ping"}'), (TEXT, b"x" * 70_000)]


# --- the end of a read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(b"a"), ["frame last"]),
        (frame(b"a") + frame(b"b"), ["frame more", "frame last"]),
        (frame(b"a") + frame(b"", PONG), ["frame more", "read end"]),
        (frame(b"a") + frame(b"", PING), ["frame more", "read end"]),
        (frame(b"a") + frame(b"b", fin=False), ["frame more", "read end"]),
        (frame(b"a") + frame(b"bcd")[:3], ["frame last"]),
        (frame(b"", PING), []),
        (frame(b"a", fin=False) + frame(b"b", CONTINUATION), ["frame last"]),
        (frame(b"a") + close_frame(1000), ["frame more", "closed"]),
    ],
)
@pytest.mark.parametrize("with_upgrade", [False, True])
async def test_every_read_with_a_message_is_known_to_be_over(
    data: bytes, expected: list[str], with_upgrade: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(data if with_upgrade else b"")
        await peer.receive()
        peer.send(b"" if with_upgrade else data)
        await peer.receive()
        peer.cut()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await WebSocketConnector(clock=SystemClock())(f"ws://127.0.0.1:{port}", recorder)
        transport.send_text(b"go")
        await recorder.until(lambda: len(recorder.log) >= len(expected))
        transport.send_text(b"enough")
        await recorder.closed()
    assert recorder.log[: len(expected)] == expected
    assert recorder.log[len(expected) :] in ([], ["closed"])


# --- what is refused -----------------------------------------------------------------------------------------

INVALID = [
    pytest.param(frame(b"\x01\x02", BINARY), 1003, id="binary"),
    pytest.param(frame(b"\xff\xfe"), 1007, id="invalid UTF-8"),
    pytest.param(frame(b"ok", fin=False) + frame(b"\xc3", CONTINUATION), 1007, id="invalid UTF-8 in fragments"),
    pytest.param(frame(b"x", CONTINUATION), 1002, id="continuation without start"),
    pytest.param(frame(b"x", fin=False) + frame(b"y"), 1002, id="message inside a message"),
    pytest.param(frame(b"x", fin=False) + frame(b"y", fin=False), 1002, id="start inside a message"),
    pytest.param(frame(b"x", mask=b"abcd"), 1002, id="masked"),
    pytest.param(frame(b"x", rsv=4), 1002, id="rsv1"),
    pytest.param(frame(b"x", rsv=2), 1002, id="rsv2"),
    pytest.param(frame(b"x", rsv=1), 1002, id="rsv3"),
    pytest.param(frame(b"", PING, rsv=4), 1002, id="ping with rsv1"),
    pytest.param(frame(b"x", 0x3), 1002, id="reserved opcode"),
    pytest.param(frame(b"x", 0xB), 1002, id="reserved control opcode"),
    pytest.param(frame(b"x", PING, fin=False), 1002, id="fragmented ping"),
    pytest.param(frame(b"x" * 126, PING), 1002, id="long ping"),
    pytest.param(struct.pack("!BBH", 0x81, 126, 5) + b"hello", 1002, id="length not minimal"),
    pytest.param(struct.pack("!BBQ", 0x81, 127, 100 * MIB), 1009, id="100 MB announced"),
    pytest.param(struct.pack("!BBQ", 0x81, 127, 1 << 63), 1002, id="length with its top bit set"),
    pytest.param(frame(b"\x03", CLOSE), 1002, id="close of one byte"),
    pytest.param(close_frame(999), 1002, id="close code that cannot be"),
    pytest.param(frame(struct.pack("!H", 1000) + b"\xff", CLOSE), 1007, id="close reason not UTF-8"),
]


@pytest.mark.parametrize(("data", "code"), INVALID)
async def test_violation_closes_with_its_code(data: bytes, code: int) -> None:
    answered = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(frame(b"before") + data)
        answered.append(await peer.receive_close())
        await peer.until_gone()

    recorder = await converse(script)
    assert recorder.messages == [b"before"]
    assert recorder.ends[0].code == code
    assert recorder.ends[0].local
    assert recorder.ends[0].reason
    assert answered[0][0] == code


@pytest.mark.parametrize(("data", "code"), INVALID)
async def test_nothing_is_delivered_after_a_violation(data: bytes, code: int) -> None:
    recorder = await converse(sending(data, frame(b"after")))
    assert recorder.messages == []
    assert recorder.ends[0].code == code


async def test_announced_100_mb_are_refused_without_being_taken_in() -> None:
    taken = 0

    async def script(peer: Peer) -> None:
        nonlocal taken
        await peer.accept()
        peer.send(struct.pack("!BBQ", 0x81, 127, 100 * MIB))
        for _ in range(1600):
            peer.send(b"x" * 65536)
            await peer.writer.drain()
            taken += 65536

    recorder = await converse(script)
    assert recorder.ends[0].code == 1009
    assert taken < 64 * MIB  # what the sockets buffer, and what comes in the 10 ms that the close frame gets


async def test_message_of_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    recorder = await converse(sending(frame(b"x" * 1000) + frame(b"y" * 1001)), max_message_bytes=1000)
    assert recorder.messages == [b"x" * 1000]
    assert recorder.ends[0].code == 1009


async def test_fragments_that_exceed_the_limit_together_are_refused() -> None:
    data = frame(b"x" * 600, fin=False) + frame(b"y" * 600, CONTINUATION, fin=False)
    recorder = await converse(sending(data), max_message_bytes=1000)
    assert recorder.messages == []
    assert recorder.ends[0].code == 1009


async def test_ping_flood_of_a_peer_that_does_not_read_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        flood = frame(b"p" * 125, PING) * 5000
        for _ in range(200):
            peer.send(flood)
            await peer.writer.drain()

    recorder = await converse(script)
    assert recorder.ends == [Closed(1006, "the peer does not read what is sent to it", local=True)]


async def test_no_payload_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(Recorder):
        def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
            raise ValueError(f"cannot handle {frame!r}")

    caplog.set_level(logging.NOTSET)
    await converse(sending(frame(b"SECRET", PING) + frame(b"SECRET", BINARY)))
    await converse(sending(frame(b"SECRET\xff")))
    await converse(sending(frame(b"SECRET")), Raising())
    text = "\n".join(record.getMessage() + str(record.exc_info or "") for record in caplog.records)
    assert "the listener raised ValueError" in text
    assert "SECRET" not in text


# --- how it ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4999])
async def test_close_code_of_the_peer_is_reported_and_echoed(code: int) -> None:
    answered = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(frame(b"a") + close_frame(code, "because"))
        answered.append(await peer.receive_close())
        await peer.until_gone()

    recorder = await converse(script)
    assert recorder.messages == [b"a"]
    assert recorder.ends == [Closed(code, "because", local=False)]
    assert answered == [(code, "")]


@pytest.mark.parametrize(("data", "code"), [(frame(b"", CLOSE), 1005), (close_frame(1006), 1006)])
async def test_close_without_a_usable_code_is_answered_with_1000(data: bytes, code: int) -> None:
    answered = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(data)
        answered.append(await peer.receive_close())

    recorder = await converse(script)
    assert recorder.ends == [Closed(code, "", local=False)]
    assert answered == [(1000, "")]


@pytest.mark.parametrize("part", [b"", frame(b"half a frame")[:5], frame(b"x")[:1], frame(b"x", fin=False)])
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_cut_at_any_point_is_1006(part: bytes, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(frame(b"whole") + part)
        await peer.receive()
        if how == "reset":
            peer.cut()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await WebSocketConnector(clock=SystemClock())(f"ws://127.0.0.1:{port}", recorder)
        await recorder.until(lambda: recorder.frames)
        transport.send_text(b"now")
        await recorder.closed()
    assert recorder.messages == [b"whole"]
    assert recorder.ends == [Closed(1006, "the socket ended without a close frame", local=False)]


async def opened(port: int, recorder: Recorder, clock: ManualClock) -> WebSocketTransport:
    connect = WebSocketConnector(clock=clock, close_timeout=5.0)
    transport = await connect(f"ws://127.0.0.1:{port}", recorder)
    recorder.transport = transport
    await recorder.until(lambda: recorder.frames)
    return transport


async def test_own_close_is_answered_and_reported_as_local() -> None:
    seen = []

    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        seen.append(await peer.receive_close())
        peer.send(frame(b"too late") + close_frame(1000))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await opened(port, recorder, ManualClock())
        transport.close(1001, "going" + "é" * 100)
        transport.close(1000, "again")
        transport.send_text(b"ignored")
        await recorder.closed()
        transport.close()
        transport.abort()
        transport.send_text(b"ignored")
        transport.pause_reading()
        transport.resume_reading()
    assert recorder.messages == [b"a"]
    assert recorder.ends == [Closed(1001, "going" + "é" * 100, local=True)]
    assert seen == [(1001, "going" + "é" * 59)]


async def test_close_that_is_not_answered_is_an_abort_after_the_close_timeout() -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.receive_close()
        asked.set()
        await peer.until_gone()

    clock, recorder = ManualClock(), Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await opened(port, recorder, clock)
        transport.close()
        await asked.wait()
        await clock.advance(4.9)
        assert recorder.ends == []
        await clock.advance(0.1)
        assert await recorder.closed() == Closed(1000, "", local=True)


async def test_close_while_reading_is_paused_still_sees_the_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.receive()
        peer.send(frame(b"unread"))
        await peer.receive_close()
        peer.send(close_frame(1000))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await opened(port, recorder, ManualClock())
        transport.pause_reading()
        transport.send_text(b"go")
        transport.close()
        await recorder.closed()
    assert recorder.messages == [b"a"]


async def test_close_at_once_after_the_connect_is_clean() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.receive_close()
        peer.send(close_frame(1000))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        (await WebSocketConnector(clock=SystemClock())(f"ws://127.0.0.1:{port}", recorder)).close()
        assert await recorder.closed() == Closed(1000, "", local=True)
    assert recorder.messages == []


async def test_abort_is_immediate_and_local() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.until_gone()

    recorder = Recorder()
    async with asyncio.timeout(20), serving(script) as port:
        (await opened(port, recorder, ManualClock())).abort()
        assert await recorder.closed() == Closed(1006, "aborted by this side", local=True)
    assert len(recorder.ends) == 1


async def test_paused_reading_delivers_nothing_until_resumed() -> None:
    sent = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept(frame(b"a"))
        await peer.receive()
        peer.send(frame(b"b"))
        await peer.writer.drain()
        sent.set()
        await peer.until_gone()

    recorder, clock = Recorder(), ManualClock()
    async with asyncio.timeout(20), serving(script) as port:
        transport = await opened(port, recorder, clock)
        transport.pause_reading()
        transport.send_text(b"go")
        await sent.wait()
        await clock.settle()
        assert recorder.messages == [b"a"]
        transport.resume_reading()
        await recorder.until(lambda: len(recorder.frames) == 2)
        transport.abort()
        await recorder.closed()


async def test_pause_before_the_first_turn_holds_back_all_later_reads() -> None:
    recorder, clock = Recorder(), ManualClock()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.receive()
        peer.send(frame(b"a"))
        await peer.until_gone()

    async with asyncio.timeout(20), serving(script) as port:
        transport = await WebSocketConnector(clock=clock)(f"ws://127.0.0.1:{port}", recorder)
        transport.pause_reading()
        transport.send_text(b"go")
        await clock.settle()
        assert recorder.frames == []
        transport.resume_reading()
        await recorder.until(lambda: recorder.frames)
        transport.abort()
        await recorder.closed()


class Failing(Recorder):
    """Raises where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        super().receive_frame(frame, last_in_read)
        self._fail("receive_frame")

    def receive_read_end(self) -> None:
        super().receive_read_end()
        self._fail("receive_read_end")

    def receive_closed(self, closed: Closed) -> None:
        super().receive_closed(closed)
        self._fail("receive_closed")

    def _fail(self, where: str) -> None:
        if where == self.where:
            raise ZeroDivisionError


@pytest.mark.parametrize("where", ["receive_frame", "receive_read_end"])
@pytest.mark.parametrize("with_upgrade", [False, True])
async def test_listener_that_raises_ends_the_connection_with_1011(where: str, with_upgrade: bool) -> None:
    answered = []
    data = frame(b"a") + frame(b"", PONG)

    async def script(peer: Peer) -> None:
        await peer.accept(data if with_upgrade else b"")
        if not with_upgrade:
            peer.send(data)
        answered.append(await peer.receive_close())
        await peer.until_gone()

    recorder = await converse(script, Failing(where))
    assert recorder.messages == [b"a"]
    assert recorder.ends == [Closed(1011, "the listener raised ZeroDivisionError", local=True)]
    assert answered[0][0] == 1011


async def test_listener_that_raises_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    recorder = await converse(sending(close_frame(1000)), Failing("receive_closed"))
    assert len(recorder.ends) == 1
    assert "the listener raised ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "end", [lambda transport: transport.close(4000, "enough"), lambda transport: transport.abort()]
)
async def test_ending_inside_a_frame_delivers_nothing_more(end: Callable[[WebSocketTransport], None]) -> None:
    class Ending(Recorder):
        def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
            super().receive_frame(frame, last_in_read)
            assert isinstance(self.transport, WebSocketTransport)
            end(self.transport)

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(frame(b"a") + frame(b"b") + frame(b"c"))
        await peer.receive_close()
        peer.send(close_frame(4000))
        await peer.until_gone()

    recorder = await converse(script, Ending())
    assert recorder.messages == [b"a"]
    assert recorder.ends[0].local
