"""What our own client makes of faults: what it finds, by what, and that it recovers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from krakenwire import BookInvalidated, BookResynced, Client, Disconnected, Endpoints, Undecodable
from krakenwire.sim.server import SimulatorServer

PATIENCE_S = 20.0


async def find(kind: str, wanted: type, *, depth: int = 10, **parameters: Any) -> Any:
    """Inject a fault beside a synced book; the first event of a class, once the book is synced again."""
    async with (
        asyncio.timeout(PATIENCE_S),
        SimulatorServer(symbols=["BTC/USD"], rate=300, seed=5) as server,
        Client(Endpoints(public=server.url)) as client,
        client.events() as events,
        client.book("BTC/USD", depth=depth) as book,
    ):
        await book.synced()
        fault = server.exchange.faults.inject(kind, **parameters)
        async for event in events:
            if isinstance(event, wanted):
                break
        assert fault.touched >= 1
        if wanted is not Undecodable:
            async for later in events:
                if isinstance(later, BookResynced):
                    break
        await book.synced()
        return event


@pytest.mark.parametrize(
    ("kind", "parameters", "reason"),
    [
        ("corrupt_checksum", {}, "checksum"),
        ("crossed_book", {}, "crossed"),
        ("crossed_book", {"side": "asks", "ticks": 5}, "crossed"),
        ("crossed_book", {"checksum": "wrong"}, "checksum"),
        ("clock_skew", {"seconds": -3.0, "duration": 0.1}, "timestamp"),
    ],
)
async def test_book_is_invalidated_for_the_right_reason_and_fetched_again(
    kind: str, parameters: dict[str, Any], reason: str
) -> None:
    found: BookInvalidated = await find(kind, BookInvalidated, **parameters)
    assert found.reason == reason


async def test_reordered_update_is_found() -> None:
    found: BookInvalidated = await find("reorder_update", BookInvalidated)
    assert found.reason in ("timestamp", "checksum")


async def test_text_that_is_not_json_is_told_and_the_connection_kept() -> None:
    found: Undecodable = await find("not_json", Undecodable)
    assert found.frame.startswith(b'{"channel":"book"')


@pytest.mark.parametrize("code", [1000, 1001, 1012, 1013])
async def test_connection_that_ends_is_opened_again(code: int) -> None:
    found: Disconnected = await find("cut", Disconnected, code=code, reason="because")
    assert (found.code, found.terminal) == (code, False)


async def test_connection_that_is_cut_without_a_goodbye_is_opened_again() -> None:
    found: Disconnected = await find("cut", Disconnected)
    assert (found.code, found.terminal) == (1006, False)


async def test_message_that_is_too_big_ends_the_connection_and_another_is_opened() -> None:
    found: Disconnected = await find("giant_frame", Disconnected, size=17 * 1024 * 1024)
    assert "16777216" in found.reason
