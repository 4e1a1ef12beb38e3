"""What a task waits for, as far as that can be seen from outside: the replay, other tasks, or the world."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

__all__ = ["is_alone", "waits_for", "where"]

_AMONG_TASKS = frozenset({"queues", "locks", "taskgroups"})
"""Modules of asyncio in which a task waits for another one."""
_FOR_TASKS = frozenset({"wait", "_wait", "wait_for", "gather"})
"""Functions of `asyncio.tasks` of which the same is true; `sleep` is none."""
_DEEPEST = 50


def waits_for(
    task: asyncio.Task[Any], waiting: Collection[asyncio.Task[Any]], depth: int = 0
) -> Literal["replay", "tasks", "event", "world", "runs"]:
    """What keeps `task` from going on.

    A queue, a lock or a task group is waited for because of other tasks. An `asyncio.Event` may be set by anybody.
    What is none of these may be a socket, a thread or a timer.

    Args:
        task: one that is not done.
        waiting: the tasks that wait for the replay.
        depth: how many tasks lead here.
    """
    if task in waiting or task.done():
        return "replay"
    future = getattr(task, "_fut_waiter", None)
    if future is None or future.done():
        return "runs"
    awaited = getattr(future, "_children", None)  # of `gather`
    if isinstance(future, asyncio.Task):
        awaited = [future]
    if awaited is not None and depth < _DEEPEST:
        found = {waits_for(each, waiting, depth + 1) for each in awaited if isinstance(each, asyncio.Task)}
        return next((kind for kind in ("runs", "world", "event", "tasks") if kind in found), "replay")
    code = _innermost(task)
    if code is not None and Path(code.co_filename).parent.name == "asyncio":
        module = Path(code.co_filename).stem
        if module in _AMONG_TASKS:
            return "event" if code.co_qualname == "Event.wait" else "tasks"
        if module == "tasks" and code.co_name in _FOR_TASKS:
            return "tasks"
    return "world"


def is_alone(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether nothing can come from outside of `loop`: there is no socket, no timer and no other thread.

    False as well where that cannot be seen.
    """
    selector, timers = getattr(loop, "_selector", None), getattr(loop, "_scheduled", None)
    if selector is None or timers is None or threading.active_count() > 1:
        return False
    own = getattr(loop, "_ssock", None)
    files = [key for key in (selector.get_map() or {}).values() if own is None or key.fd != own.fileno()]
    return not files and all(timer.cancelled() for timer in timers)


def where(task: asyncio.Task[Any]) -> str:
    """Where the user's code in `task` stands, for a log line."""
    frames: list[FrameType] = task.get_stack()
    if not frames:
        return task.get_name()
    frame = frames[-1]
    return f"{frame.f_code.co_qualname} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"


def _innermost(task: asyncio.Task[Any]) -> CodeType | None:
    """The coroutine at the end of what `task` awaits."""
    awaited: Any = task.get_coro()
    code = None
    for _ in range(_DEEPEST):
        following = getattr(awaited, "cr_await", None)
        code = getattr(awaited, "cr_code", code)
        if following is None:
            break
        awaited = following
    return code
