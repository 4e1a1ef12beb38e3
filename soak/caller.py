"""Somebody who calls the exchange's REST all the time, so that its faults meet someone."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType
from typing import Self

import httpx

__all__ = ["Caller"]

BETWEEN_S = 0.25

CALLS = ("Time", "SystemStatus", "Trades?pair=XBTUSD&count=1")


class Caller:
    """Calls public REST several times a second. What it is answered is counted, and wrong answers are nothing to it.

    Args:
        url: the base of the API's URLs.

    Attributes:
        answers: by HTTP status, and `error` for Kraken's own.
    """

    def __init__(self, url: str) -> None:
        self.answers: Counter[str] = Counter()
        self._url = url
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._call())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _call(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=5.0) as client:
            while True:
                for call in CALLS:
                    try:
                        response = await client.get(f"/0/public/{call}")
                        self.answers[str(response.status_code)] += 1
                    except httpx.HTTPError as error:
                        self.answers[type(error).__name__] += 1
                    await asyncio.sleep(BETWEEN_S)
