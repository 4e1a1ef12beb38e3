from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from krakenwire.errors import ConnectFailed, ConnectionClosed
from krakenwire.net.transport import Closed, Connector, Transport
from krakenwire.testing import MemoryNetwork, MemoryPeer

URL = "wss://ws.kraken.com/v2"


class Listener:
    """Keeps what it was told; `act` is run inside each frame."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []
        self.ends: list[Closed] = []
        self.act: Callable[[], object] = lambda: None

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        self.frames.append((frame, last_in_read))
        self.act()

    def receive_read_end(self) -> None:
        raise AssertionError("in memory the last message of a read is always known")

    def receive_closed(self, closed: Closed) -> None:
        self.ends.append(closed)

    @property
    def messages(self) -> list[bytes]:
        return [frame for frame, _ in self.frames]


async def open_pair(listener: Listener) -> tuple[Transport, MemoryPeer]:
    network = MemoryNetwork()
    connector: Connector = network.connector
    transport = await connector(URL, listener)
    peer = await network.accept()
    await asyncio.sleep(0)
    return transport, peer


async def test_frames_are_delivered_before_send_returns() -> None:
    listener = Listener()
    _, peer = await open_pair(listener)
    peer.send_text(b"a")
    peer.send_many([b"b", b"c"])
    assert listener.frames == [(b"a", True), (b"b", False), (b"c", True)]


async def test_listener_is_not_called_before_the_next_turn_after_the_connect() -> None:
    network, listener = MemoryNetwork(), Listener()
    await network.connector(URL, listener)
    (await network.accept()).send_text(b"early")
    assert listener.frames == []
    await asyncio.sleep(0)
    assert listener.messages == [b"early"]


async def test_client_messages_reach_the_peer_in_order() -> None:
    transport, peer = await open_pair(Listener())
    waiting = asyncio.create_task(peer.receive())
    await asyncio.sleep(0)
    transport.send_text(b"1")
    transport.send_text(b"2")
    assert (await waiting, await peer.receive()) == (b"1", b"2")
    assert peer.received == [b"1", b"2"]


async def test_accept_waits_and_gives_connections_in_order() -> None:
    network = MemoryNetwork()
    waiting = asyncio.create_task(network.accept())
    await asyncio.sleep(0)
    await network.connector(URL + "?1", Listener())
    await network.connector(URL + "?2", Listener())
    assert ((await waiting).url, (await network.accept()).url) == (URL + "?1", URL + "?2")
    assert network.urls == [URL + "?1", URL + "?2"]


async def test_refused_connects_fail_in_the_order_given_and_then_connects_succeed() -> None:
    network = MemoryNetwork()
    first, second = ConnectFailed(URL, "one", status=503), ConnectFailed(URL, "two")
    network.refuse_next(first)
    network.refuse_next(second)
    for expected in (first, second):
        with pytest.raises(ConnectFailed) as caught:
            await network.connector(URL, Listener())
        assert caught.value is expected
    await network.connector(URL, Listener())
    assert len(network.urls) == 3
    assert len(network.peers) == 1


async def test_paused_reading_queues_frames_and_the_end_until_resumed() -> None:
    listener = Listener()
    transport, peer = await open_pair(listener)
    transport.pause_reading()
    peer.send_many([b"a", b"b"])
    peer.close(1001, "bye")
    assert listener.frames == []
    transport.resume_reading()
    await asyncio.sleep(0)
    assert listener.messages == [b"a", b"b"]
    assert listener.ends == [Closed(1001, "bye", local=False)]


async def test_pausing_inside_a_frame_holds_back_the_next_one() -> None:
    listener = Listener()
    transport, peer = await open_pair(listener)
    listener.act = transport.pause_reading
    peer.send_many([b"a", b"b"])
    assert listener.messages == [b"a"]
    transport.resume_reading()
    await asyncio.sleep(0)
    assert listener.messages == [b"a", b"b"]


async def test_what_is_sent_inside_a_delivery_comes_after_it() -> None:
    listener = Listener()
    _, peer = await open_pair(listener)

    def send_once() -> None:
        listener.act = lambda: None
        peer.send_text(b"inner")
        assert listener.messages == [b"outer"]

    listener.act = send_once
    peer.send_text(b"outer")
    assert listener.messages == [b"outer", b"inner"]


async def test_a_cut_is_told_once_as_1006_after_what_was_sent() -> None:
    listener = Listener()
    transport, peer = await open_pair(listener)
    peer.send_text(b"a")
    peer.cut()
    peer.close(1000)
    peer.send_text(b"late")
    transport.close()
    await asyncio.sleep(0)
    assert listener.messages == [b"a"]
    assert [end.code for end in listener.ends] == [1006]
    assert not listener.ends[0].local


async def test_client_close_is_local_told_on_the_next_turn_and_stops_delivery() -> None:
    listener = Listener()
    transport, peer = await open_pair(listener)
    listener.act = lambda: transport.close(1000, "done")
    peer.send_many([b"a", b"b"])
    assert listener.ends == []
    transport.send_text(b"ignored")
    transport.abort()
    await asyncio.sleep(0)
    assert listener.messages == [b"a"]
    assert listener.ends == [Closed(1000, "done", local=True)]
    assert await peer.wait_closed() == listener.ends[0]
    assert peer.received == []


async def test_client_close_while_paused_is_told() -> None:
    listener = Listener()
    transport, peer = await open_pair(listener)
    transport.pause_reading()
    peer.send_text(b"never seen")
    transport.abort()
    transport.pause_reading()
    await asyncio.sleep(0)
    assert listener.frames == []
    assert [end.code for end in listener.ends] == [1006]


async def test_receive_raises_once_the_connection_is_over_and_drained() -> None:
    transport, peer = await open_pair(Listener())
    transport.send_text(b"last words")
    transport.close()
    assert await peer.receive() == b"last words"
    with pytest.raises(ConnectionClosed, match="1000"):
        await peer.receive()


async def test_receive_that_waits_is_woken_by_the_end() -> None:
    transport, peer = await open_pair(Listener())
    waiting = asyncio.create_task(peer.receive())
    ending = asyncio.create_task(peer.wait_closed())
    await asyncio.sleep(0)
    transport.abort()
    with pytest.raises(ConnectionClosed, match="1006"):
        await waiting
    assert (await ending).local


async def test_what_a_listener_raises_reaches_the_test() -> None:
    listener = Listener()
    _, peer = await open_pair(listener)

    def fail() -> None:
        listener.act = lambda: None
        raise RuntimeError("a bug in the listener")

    listener.act = fail
    with pytest.raises(RuntimeError, match="a bug in the listener"):
        peer.send_text(b"a")
    peer.send_text(b"b")
    assert listener.messages == [b"a", b"b"]
