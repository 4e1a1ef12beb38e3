"""A TCP connection to a name: resolved off the loop, all its addresses raced (RFC 8305)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Sequence

__all__ = ["dial"]

_STAGGER_SECONDS = 0.25

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


async def dial(host: str, port: int) -> socket.socket:
    """Connect to the first address of `host` that answers.

    An address that does not answer within a quarter of a second does not hold up the next one; families take
    turns.

    Returns:
        A connected, non-blocking socket, which the caller owns.

    Raises:
        socket.gaierror: the name cannot be resolved.
        OSError: no address accepted; the error of the last one tried.

    Cancellation: safe, every socket is closed within the next turns of the loop.
    """
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = _interleaved([(info[0], info[4]) for info in infos])
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError(f"{host} has no address")
    try:
        for family, address in addresses:
            attempts.add(loop.create_task(_connect(family, address)))
            winner, failure = await _first(attempts, failure, _STAGGER_SECONDS)
            if winner is not None:
                return winner
        while attempts:
            winner, failure = await _first(attempts, failure, None)
            if winner is not None:
                return winner
        raise failure
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close)
            attempt.cancel()


async def _first(
    attempts: set[asyncio.Task[socket.socket]], failure: BaseException, seconds: float | None
) -> tuple[socket.socket | None, BaseException]:
    """Wait for an attempt to end: the socket if it connected, and the last failure. It leaves the set."""
    done, _ = await asyncio.wait(attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    winner = None
    for attempt in done:
        error = attempt.exception()
        if error is not None:
            failure = error
        elif winner is None:
            winner = attempt.result()
        else:
            continue  # stays in the set, so that it is closed with the others
        attempts.discard(attempt)
    return winner, failure


async def _connect(family: socket.AddressFamily, address: Sequence[object]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)  # type: ignore[arg-type]  # getaddrinfo's own
    except BaseException:
        sock.close()
        raise
    return sock


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt opened that lost the race."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _interleaved(addresses: Sequence[Address]) -> list[Address]:
    """The addresses with their families taking turns, the resolver's first choice first."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    rounds = itertools.zip_longest(*families.values())
    return [address for turn in rounds for address in turn if address is not None]
