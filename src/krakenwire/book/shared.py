"""The book that a user holds while the feed lives in another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import wraps
from inspect import iscoroutinefunction, isfunction
from typing import Any

from krakenwire.book.face import Book

__all__ = ["SharedBook"]


class SharedBook(Book):
    """A `Book` that one thread reads while another keeps it up.

    Every property and method sees the book as of one message, for the feed holds the same lock while it applies one.
    Two calls may see two states; `snapshot` is one state with all its figures.

    Args:
        symbol: whose book it is.
        depth: levels a side to show.
        lock: reentrant; what the core that writes the book holds.
    """

    __slots__ = ("_lock",)

    def __init__(self, symbol: str, depth: int, lock: AbstractContextManager[Any]) -> None:
        super().__init__(symbol, depth)
        self._lock = lock

    def _wait_for_news(self) -> asyncio.Future[None] | None:
        with self._lock:
            return super()._wait_for_news()

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        with suppress(RuntimeError):  # its loop is closed: nobody waits any more
            waiter.get_loop().call_soon_threadsafe(super()._wake, waiter)


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def under_lock(self: SharedBook, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            return method(self, *arguments, **options)

    return under_lock


for _name in dir(Book):
    # Whatever there is to see or do, but what waits: `changed` and `synced` see the book through these.
    _public = getattr(Book, _name)
    if _name.startswith("_"):
        continue
    if isinstance(_public, property) and _public.fget is not None:
        setattr(SharedBook, _name, property(_locked(_public.fget), doc=_public.__doc__))
    elif isfunction(_public) and not iscoroutinefunction(_public):
        setattr(SharedBook, _name, _locked(_public))
