"""Two connections that listen to everything about one symbol, so that rules about feeds read the same frames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from krakenwire.conform.line import Line
from krakenwire.conform.once import Once
from krakenwire.conform.verdict import NotTested
from krakenwire.conform.wire import Frame

if TYPE_CHECKING:
    from krakenwire.conform.subject import Subject

__all__ = ["ENOUGH", "Feed", "Watch"]

ENOUGH = {"book": 400, "trade": 40, "ticker": 40, "ohlc": 20, "heartbeat": 3}
"""Frames of each channel after which a rule about it has seen enough."""


class Feed(NamedTuple):
    """One subscription that is watched.

    Attributes:
        name: what rules call it.
        line: 0 or 1: which of the two connections.
        channel: its channel.
        params: more of the request.
    """

    name: str
    line: int
    channel: str
    params: dict[str, object]


FEEDS = (
    Feed("book 10", 0, "book", {"depth": 10}),
    Feed("trade", 0, "trade", {"snapshot": False}),
    Feed("ticker bbo", 0, "ticker", {"event_trigger": "bbo"}),
    Feed("ohlc", 0, "ohlc", {"interval": 1}),
    Feed("book 100", 1, "book", {"depth": 100}),
    Feed("ticker trades", 1, "ticker", {"event_trigger": "trades"}),
)


class Watch:
    """What the watched connections have received.

    Args:
        subject: whose they are.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._opened = Once(self._open)
        self._lines: list[Line] = []
        self._problems: dict[str, str] = {}
        self._ends_ns = 0

    async def close(self) -> None:
        """Stop watching. Cancellation: partial."""
        await self._opened.cancel()
        for line in self._lines:
            await line.close()

    async def lines(self) -> list[Line]:
        """Both connections, subscribed. Cancellation: safe."""
        await self._opened.get()
        return self._lines

    async def frames(self, name: str, *, enough: int | None = None) -> list[Frame]:
        """What has come of a feed, once it is enough or the time is over.

        Args:
            name: of the feed.
            enough: how many frames are.

        Raises:
            NotTested: it could not be subscribed, or nothing came.

        Cancellation: safe.
        """
        await self._opened.get()
        if name in self._problems:
            raise NotTested(self._problems[name])
        feed = next(feed for feed in FEEDS if feed.name == name)
        line = self._lines[feed.line]
        await self._until(line, feed.channel, ENOUGH[feed.channel] if enough is None else enough)
        found = [frame for frame in line.frames if frame.channel == feed.channel]
        if not found:
            raise NotTested(f"nothing of {feed.channel} came in {self._seconds()} s")
        return found

    async def updates(self, name: str, *, enough: int | None = None) -> list[Frame]:
        """The updates of a feed; see `frames`.

        Raises:
            NotTested: as `frames`, and if nothing but a snapshot came.

        Cancellation: safe.
        """
        found = [frame for frame in await self.frames(name, enough=enough) if frame.kind == "update"]
        if not found:
            raise NotTested(f"no update of {name.partition(' ')[0]} came in {self._seconds()} s")
        return found

    async def heartbeats(self, line: int = 0) -> list[Frame]:
        """The heartbeats of a connection; see `frames`. Cancellation: safe."""
        await self._opened.get()
        await self._until(self._lines[line], "heartbeat", ENOUGH["heartbeat"])
        return [frame for frame in self._lines[line].frames if frame.channel == "heartbeat"]

    async def everything(self) -> list[Frame]:
        """All frames of both connections once there are enough of each feed. Cancellation: safe."""
        await self._opened.get()
        for feed in FEEDS:
            if feed.name not in self._problems:
                await self._until(self._lines[feed.line], feed.channel, ENOUGH[feed.channel])
        return [frame for line in self._lines for frame in line.frames]

    def _seconds(self) -> str:
        return f"{self._subject.target.seconds:g}"

    async def _until(self, line: Line, channel: str, enough: int) -> None:
        count = 0

        def is_enough(frame: Frame) -> bool:
            nonlocal count
            count += frame.channel == channel
            return count >= enough

        remaining = (self._ends_ns - self._subject.clock.monotonic_ns()) / 1e9
        await line.wait(is_enough, within=max(remaining, 0.001))

    async def _open(self) -> None:
        symbol = self._subject.symbol
        self._ends_ns = self._subject.clock.monotonic_ns() + round(self._subject.target.seconds * 1e9)
        self._lines = list(await asyncio.gather(self._subject.open(), self._subject.open()))
        for feed in FEEDS:
            try:
                await self._lines[feed.line].subscribed(feed.channel, symbol, **feed.params)
            except NotTested as why:
                self._problems[feed.name] = str(why)
