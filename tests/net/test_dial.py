from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from krakenwire.net.dial import dial

Info = tuple[int, int, int, str, tuple[str, int]]


def info(host: str, port: int, family: int = socket.AF_INET) -> Info:
    return family, socket.SOCK_STREAM, 6, "", (host, port)


class Network:
    """Stands in for the loop's resolver and its connects, which are answered by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, infos: list[Info]) -> None:
        self.infos = infos
        self.tried: list[str] = []
        self.second_tried = asyncio.Event()
        self.sockets: list[socket.socket] = []
        self.answers: dict[str, asyncio.Future[None]] = {}
        loop = asyncio.get_running_loop()
        for entry in infos:
            self.answers[entry[4][0]] = loop.create_future()
        monkeypatch.setattr(loop, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(loop, "sock_connect", self._sock_connect)

    async def _getaddrinfo(self, *_: object, **__: object) -> list[Info]:
        return self.infos

    async def _sock_connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.tried.append(address[0])
        if len(self.tried) == 2:
            self.second_tried.set()
        self.sockets.append(sock)
        await self.answers[address[0]]

    def still_open(self) -> int:
        return sum(sock.fileno() >= 0 for sock in self.sockets)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_connects_over_a_real_socket() -> None:
    async with listening() as port:
        sock = await dial("127.0.0.1", port)
        assert sock.getpeername() == ("127.0.0.1", port)
        assert not sock.getblocking()
        sock.close()
        await settle()


async def test_a_refused_address_is_followed_by_the_next_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [info("10.0.0.1", 1), info("10.0.0.2", 1)])
    network.answers["10.0.0.1"].set_exception(ConnectionRefusedError())
    network.answers["10.0.0.2"].set_result(None)
    (await dial("name", 1)).close()
    assert network.tried == ["10.0.0.1", "10.0.0.2"]
    assert network.still_open() == 0


async def test_a_silent_address_does_not_hold_up_the_next_and_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [info("10.0.0.1", 1), info("10.0.0.2", 1)])
    network.answers["10.0.0.2"].set_result(None)
    sock = await dial("name", 1)
    await settle()
    assert sock is network.sockets[1]
    assert network.still_open() == 1
    sock.close()


async def test_a_late_winner_is_taken_and_a_second_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [info("10.0.0.1", 1), info("10.0.0.2", 1)])
    task = asyncio.create_task(dial("name", 1))
    await network.second_tried.wait()
    for answer in network.answers.values():
        answer.set_result(None)
    sock = await task
    await settle()
    assert network.still_open() == 1
    sock.close()


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    six = [info(f"fd00::{i}", 1, socket.AF_INET6) for i in range(2)]
    network = Network(monkeypatch, [*six, info("10.0.0.1", 1), info("10.0.0.2", 1), info("10.0.0.3", 1)])
    for answer in network.answers.values():
        answer.set_exception(ConnectionRefusedError())
    with pytest.raises(ConnectionRefusedError):
        await dial("name", 1)
    assert network.tried == ["fd00::0", "10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3"]
    assert network.still_open() == 0


async def test_a_name_without_addresses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch, [])
    with pytest.raises(OSError, match="name has no address"):
        await dial("name", 1)


async def test_cancelled_while_connecting_closes_every_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [info("10.0.0.1", 1), info("10.0.0.2", 1)])
    task = asyncio.create_task(dial("name", 1))
    await network.second_tried.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert network.still_open() == 0
