"""SIGINT and SIGTERM as a wish to end, not as an exception from nowhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

__all__ = ["Interrupt"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE = 0.0
"""A moment of the loop's clock that is over."""


class Interrupt:
    """Takes both signals for the time of a `with`, on the running loop.

    The first signal ends every `ends()` body, the present one and those to come; what is outside them goes on,
    so that a report can still be made. A second one ends the process in the usual way.

    Attributes:
        requested: True once a signal came.
    """

    def __init__(self) -> None:
        self.requested = False
        self._limits: set[asyncio.Timeout] = set()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._request)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._remove_handlers()

    @asynccontextmanager
    async def ends(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Run the body until it is done, `seconds` have passed, or a signal came; none of them is an error."""
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._limits.add(limit)
                if self.requested:
                    limit.reschedule(_AT_ONCE)
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._limits.discard(limit)

    def _request(self) -> None:
        self.requested = True
        self._remove_handlers()
        for limit in self._limits:
            limit.reschedule(_AT_ONCE)

    @staticmethod
    def _remove_handlers() -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
