"""What two threads share is held: every input of the core, and every look at a book."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from krakenwire.book import Book
from krakenwire.book.shared import SharedBook
from krakenwire.protocol.core import Core
from krakenwire.protocol.guarded import GUARDED, GuardedCore

OUTPUTS = {
    "clock_offset",
    "connection_statistics",
    "is_active",
    "is_vital",
    "next_deadline",
    "placements",
    "session",
    "shown_book",
    "statistics",
    "take_actions",
}
"""What changes no book that anybody sees, and is asked on the feed's own loop."""

LOOKS = sorted(
    name
    for name in dir(Book)
    if not name.startswith("_") and not inspect.ismemberdescriptor(getattr(Book, name)) and name not in Book.__slots__
)


class Lock:
    """A lock that knows whether it is held."""

    def __init__(self) -> None:
        self.held = 0
        self.taken = 0

    def __enter__(self) -> None:
        self.held += 1
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self.held -= 1


def test_every_method_of_the_core_is_a_guarded_input_or_only_looks() -> None:
    methods = {name for name, _ in inspect.getmembers(Core, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(GUARDED) | OUTPUTS
    assert all(getattr(GuardedCore, name) is not getattr(Core, name) for name in GUARDED)


def test_an_input_holds_the_lock_and_gives_it_back_even_when_it_fails() -> None:
    lock = Lock()
    core = GuardedCore(lock)
    core.start()
    assert (lock.taken, lock.held) == (1, 0)
    with pytest.raises(AttributeError):
        core.receive_frame(b"{}", None)  # type: ignore[arg-type]  # the very point
    assert (lock.taken, lock.held) == (2, 0)


@pytest.mark.parametrize("name", [name for name in LOOKS if name not in ("changed", "synced")])
def test_every_look_at_a_shared_book_holds_the_lock(name: str) -> None:
    lock = Lock()
    book = SharedBook("BTC/USD", 10, lock)
    look: Any = inspect.getattr_static(book, name)
    assert look is not inspect.getattr_static(Book, name)
    arguments: dict[str, tuple[Any, ...]] = {
        "attach": (None,),
        "cost": ("buy", 1),
        "vwap": ("buy", 1),
    }
    seen: list[int] = []

    def trace(frame: Any, event: str, _: object) -> Callable[..., Any] | None:
        if event == "call" and frame.f_code.co_filename.endswith(("face.py", "figures.py")):
            seen.append(lock.held)
        return None

    threading.settrace(trace)

    def read() -> None:
        try:
            found = getattr(book, name)
            if callable(found):
                found(*arguments.get(name, ()))
        except Exception:  # noqa: S110  # an empty book may refuse
            pass

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    threading.settrace(None)
    assert lock.held == 0
    assert seen
    assert all(seen), f"{name} looked without the lock"


async def test_a_change_in_another_thread_between_the_look_and_the_wait_is_not_missed() -> None:
    book = SharedBook("BTC/USD", 10, threading.RLock())
    for _ in range(300):
        notifying = threading.Thread(target=book.notify)
        notifying.start()
        async with asyncio.timeout(5):
            await book.changed()
        notifying.join()


async def test_who_waits_for_a_change_looks_under_the_lock() -> None:
    lock = Lock()
    book = SharedBook("BTC/USD", 10, lock)
    waiting = asyncio.ensure_future(book.changed())
    await asyncio.sleep(0)
    assert (lock.taken, lock.held) == (1, 0)
    book.notify()
    await waiting
