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
    """Do what comes on standard input, without waiting for what came before, until it ends."""

    async def do(request: dict[str, Any]) -> None:
        number = request["id"]
        try:
            tell({"id": number, "answer": await answer(request["call"], request["args"], request["options"])})
        except Exception as error:  # whatever the client raises is what the test wants to see
            tell({"id": number, "error": str(error), "class": type(error).__name__})

    tell({"id": 0, "answer": None})  # ready
    tasks: set[asyncio.Task[None]] = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(do(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
