"""Something several rules need and that is made once, when the first of them asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

__all__ = ["Once"]

T = TypeVar("T")


class Once(Generic[T]):
    """The result of a coroutine function that runs at most once; its exception is everybody's.

    Args:
        make: the coroutine function.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The result. Cancellation: safe, it goes on being made for the others."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        return await asyncio.shield(self._task)

    async def cancel(self) -> None:
        """Give up what is being made. Cancellation: safe."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # looked at, whoever else did not

    async def _run(self) -> T:
        return await self._make()
