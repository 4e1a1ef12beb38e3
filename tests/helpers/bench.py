"""A client connected to the simulator's exchange in memory, and everything it told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from helpers.exchange import MemoryExchange
from krakenwire import Client, DataLost, Endpoints, Options
from krakenwire.protocol.subscriptions import State

__all__ = ["Bench", "drain", "finish", "footprint", "open_reader", "turn"]


class Bench:
    """A connected client, its exchange, and everything it told."""

    def __init__(self, exchange: MemoryExchange, **options: Any) -> None:
        self.exchange = exchange
        self.log: list[Any] = []
        self.client = Client(
            Endpoints(),
            connector=exchange.network.connector,
            clock=exchange.clock,
            on_events=self.log.extend,
            **{"options": Options(), **options},
        )

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run `work` to its end while the exchange answers."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.exchange.settle()
            if not task.done():
                await self.exchange.clock.advance(0.05)
        return task.result()

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.log if isinstance(event, kind)]

    def requests(self, method: str, channel: str) -> list[dict[str, Any]]:
        wanted = []
        for text in self.exchange.requests:
            request = json.loads(text)
            if request["method"] == method and request["params"].get("channel") == channel:
                wanted.append(request["params"])
        return wanted

    def held(self) -> set[tuple[str, str | None]]:
        """Channel and symbol of all that Kraken would still send."""
        return {
            (sub.key.channel, sub.key.symbol)
            for session in self.client.core.sessions
            for sub in session.table
            if sub.state is not State.WANTED
        }


async def open_reader(bench: Bench, reader: Any) -> Any:
    return await bench.run(reader.__aenter__())


async def drain(reader: Any) -> list[Any]:
    """What waits in a reader now."""
    events = []
    while True:
        try:
            events.append(await asyncio.wait_for(anext(reader), 0.01))
        except TimeoutError:
            return events
        except DataLost as lost:
            events.append(lost.loss)


async def turn(exchange: MemoryExchange) -> None:
    """One turn of the loop, after which the exchange answers what it was asked."""
    await asyncio.sleep(0)
    exchange._answer()


async def finish(exchange: MemoryExchange, work: Coroutine[Any, Any, Any]) -> Any:
    """Run `work` to its end turn by turn; for work that needs no time to pass."""
    task = asyncio.ensure_future(work)
    for _ in range(1000):
        if task.done():
            return task.result()
        await turn(exchange)
    raise AssertionError("it did not end")


def footprint(bench: Bench) -> dict[str, int]:
    """How much a client holds on to, in every place where something might be left behind."""
    feed = bench.client._feed
    hub, core = feed.hub, feed.core
    pump, subscriber = feed.opened()
    return {
        "tasks": len(asyncio.all_tasks()),
        "routes": hub.wishes,
        "inboxes": len(hub.inboxes),
        "placed": sum(placed.count for placed in core._placing._placed.values()),
        "serving": core._placing._serving.total(),
        "sessions": len(core.sessions),
        "subscriptions": sum(len(session.table) for session in core.sessions),
        "pending": sum(len(session.table._pending) for session in core.sessions),
        "books": sum(1 for session in core.sessions for _ in session.books),
        "epochs": len(core._connections._epochs),
        "links": len(pump._links),
        "waiting": sum(len(futures) for futures in subscriber._waiting.values()),
        "followers": len(feed.listings),
        "handles": len(feed.books),
        "events": len(core.events),
    }


def settle_rings(client: Client) -> None:
    """Have every ring of the hub cut off what it may keep for a while: some hundred events, whatever the run."""
    for inbox in client._feed.hub.inboxes:
        inbox.ring.settle()
