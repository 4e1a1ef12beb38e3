"""Lines of JSON between a test and the foreign client that it drives."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["serve", "tell"]

Answer = Callable[[str, list[Any], dict[str, Any]], Awaitable[Any]]


def tell(what: dict[str, Any]) -> None:
    """Write one line."""
    print(json.dumps(what, default=str), flush=True)  # noqa: T201  # the pipe to the test


async def serve(answer: Answer) -> None:
    """Do what comes on standard input, one after the other, until it ends."""
    tell({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            tell({"answer": await answer(request["call"], request.get("args", []), request.get("options", {}))})
        except Exception as error:  # whatever the client raises is what the test wants to see
            tell({"error": str(error), "class": type(error).__name__})
