"""Cancels a coroutine at each of its suspensions, one run after the other."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

__all__ = ["Cancelling"]


class Cancelling:
    """Runs a coroutine in a task, and cancels it when it suspends for the `at`-th time, from 0.

    Attributes:
        task: the task.
        was_reached: whether it came to that suspension; else it ran to its end.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], at: int) -> None:
        self.was_reached = False
        self._at = at
        self.task = asyncio.ensure_future(self._run(work))

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await self._steps(work)

    @types.coroutine
    def _steps(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """What `yield from` does, with a look at each suspension."""
        suspensions = 0
        error: BaseException | None = None
        value: Any = None
        while True:
            try:
                future = work.send(value) if error is None else work.throw(error)
            except StopIteration as end:
                return end.value
            if suspensions == self._at:
                self.was_reached = True
                asyncio.get_running_loop().call_soon(self.task.cancel)
            suspensions += 1
            value, error = None, None
            try:
                value = yield future
            except BaseException as thrown:  # it is the work's to handle
                error = thrown
