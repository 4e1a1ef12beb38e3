"""Readers of every policy that are slow on purpose, each beside one of the same interest that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import msgspec

from krakenwire import Client
from krakenwire.errors import DataLost, ReaderOverrun
from krakenwire.hub import Policy, Reader

from .plan import DEPTH

__all__ = ["Account", "Readers"]

AMPLE = 1_000_000
"""Capacity of the reference: it is read at once, and must never lose anything."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What one reader was given, and what it was meant to be given.

    Attributes:
        name: of the reader.
        policy: of the reader.
        published: what the reference was given meanwhile.
        delivered, waiting, dropped, conflated: of its own statistics.
        overruns: how often it was cut off and begun anew.
        is_exact: all of that adds up.
    """

    name: str
    policy: str
    published: int
    delivered: int
    waiting: int
    dropped: int
    conflated: int
    overruns: int
    is_exact: bool


class _Watched:
    """One slow reader."""

    def __init__(self, name: str, policy: Policy, capacity: int, pause: float, take: int) -> None:
        self.name = name
        self.policy = policy
        self.capacity = capacity
        self.pause = pause
        self.take = take
        self.reader: Reader[Any] | None = None
        self.base = 0
        self.reference_base = 0
        self.overruns = 0
        self.inexact = 0


class Readers:
    """All readers of a soak's client.

    Args:
        kraken: the client.
        symbols: what they read of.

    Attributes:
        events: what the reference was given.
    """

    def __init__(self, kraken: Client, symbols: tuple[str, ...]) -> None:
        self.events = 0
        self._kraken = kraken
        self._symbols = symbols
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._reference: Reader[Any] | None = None
        self._watched = [
            _Watched("slow", "drop_oldest", 500, 0.5, 100),
            _Watched("newest", "conflate", 10_000, 0.3, 10_000),
            _Watched("impatient", "disconnect", 2_000, 0.5, 400),
            _Watched("patient", "block", 2_000, 0.05, 1_500),
        ]

    async def open(self) -> None:
        """Subscribe all of them; the market stands still. Cancellation: partial, `close` puts it right."""
        self._reference = await self._stack.enter_async_context(self._read("drop_oldest", AMPLE))
        for each in self._watched:
            each.reader = await self._read(each.policy, each.capacity).__aenter__()

    def begin(self) -> None:
        """The market is about to move, and all is quiet: count from here."""
        assert self._reference is not None  # noqa: S101  # opened
        self._tasks = [asyncio.create_task(self._read_all(self._reference))]
        for each in self._watched:
            assert each.reader is not None  # noqa: S101  # opened
            each.base, each.reference_base = _given(each.reader), _given(self._reference)
            self._tasks.append(asyncio.create_task(self._read_slowly(each)))

    def accounts(self) -> list[Account]:
        """All accounts at this moment."""
        assert self._reference is not None  # noqa: S101  # opened
        found = []
        reference = self._reference.statistics()
        for each in self._watched:
            assert each.reader is not None  # noqa: S101  # opened
            own = each.reader.statistics()
            published = _given(self._reference) - each.reference_base
            exact = _given(each.reader) - each.base == published
            if each.policy == "disconnect":  # of what it missed while it was cut off nobody has an account
                exact = each.inexact == 0
            found.append(
                Account(
                    name=each.name,
                    policy=each.policy,
                    published=published,
                    delivered=own.delivered,
                    waiting=own.waiting,
                    dropped=own.dropped,
                    conflated=own.conflated,
                    overruns=each.overruns,
                    is_exact=exact and reference.dropped == 0,
                )
            )
        return found

    async def close(self) -> None:
        """End all of them. Cancellation: partial; call it again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in self._watched:
            if each.reader is not None:
                await each.reader.aclose()
        await self._stack.aclose()

    @property
    def failures(self) -> list[BaseException]:
        """What ended a reader's task that should have gone on."""
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [error for task in done if (error := task.exception()) is not None]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _read(self, policy: Policy, capacity: int) -> Reader[Any]:
        return self._kraken.stream(
            *("book", "trade", "ticker", "ohlc"),
            symbols=self._symbols,
            depth=DEPTH,
            policy=policy,
            capacity=capacity,
            on_loss="yield",
        )

    async def _read_all(self, reader: Reader[Any]) -> None:
        async for _ in reader:
            self.events += 1

    async def _read_slowly(self, each: _Watched) -> None:
        while True:
            await asyncio.sleep(each.pause)
            try:
                async for _ in _some(each.reader, each.take):
                    pass
            except DataLost:
                continue
            except ReaderOverrun:
                each.overruns += 1
                await self._begin_anew(each)

    async def _begin_anew(self, each: _Watched) -> None:
        """It was cut off: what it was given until then is a stretch without a hole, exactly as long as it may be."""
        assert each.reader is not None  # noqa: S101  # opened
        own = each.reader.statistics()
        each.inexact += own.waiting != 0 or own.conflated != 0
        with suppress(ReaderOverrun):
            await each.reader.aclose()
        each.reader = await self._read(each.policy, each.capacity).__aenter__()


async def _some(reader: Reader[Any] | None, count: int) -> AsyncIterator[Any]:
    """So many events of a reader, or those that come until then."""
    assert reader is not None  # noqa: S101  # opened
    for _ in range(count):
        yield await anext(reader)


def _given(reader: Reader[Any]) -> int:
    """All that was handed to a reader, whatever became of it."""
    own = reader.statistics()
    return own.delivered + own.waiting + own.dropped + own.conflated
