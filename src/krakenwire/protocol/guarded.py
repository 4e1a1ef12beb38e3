"""A core whose books may be read from another thread while it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

from krakenwire.events import Stamp
from krakenwire.protocol.core import Core

__all__ = ["GUARDED", "GuardedCore"]

GUARDED = (
    "start",
    "restart",
    "stop",
    "subscribe",
    "unsubscribe",
    "hold_book",
    "connecting",
    "connected",
    "disconnected",
    "receive_frame",
    "receive_frames",
    "fetch",
    "cancel_fetch",
    "receive_answer",
    "paused",
    "resumed",
    "reconnect",
    "loop_stalled",
    "handle_deadline",
)
"""The inputs: whatever may change a book."""


class GuardedCore(Core):
    """A core that holds a lock while it takes an input, so that who holds it sees every book as of one input.

    It is held for one input at a time, a frame say, and never while anything is published or awaited: who waits for
    it waits some microseconds, and no code of a user's runs under it on the feed's side.

    Args:
        lock: reentrant; shared with the books.
        arguments: as `Core` takes them.
        options: as `Core` takes them.
    """

    def __init__(self, lock: AbstractContextManager[Any], *arguments: Any, **options: Any) -> None:
        self._lock = lock
        super().__init__(*arguments, **options)

    def receive_frame(self, frame: bytes, stamp: Stamp) -> None:
        """As `Core.receive_frame`, under the lock; written out, for it is the hot one."""
        with self._lock:
            super().receive_frame(frame, stamp)


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def under_lock(self: GuardedCore, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            return method(self, *arguments, **options)

    return under_lock


for _name in GUARDED:
    if _name not in vars(GuardedCore):
        setattr(GuardedCore, _name, _guarded(getattr(Core, _name)))
