"""Where a feed lives: on the event loop of who uses it, or on one of its own in a thread of its own.

Both homes have the same few verbs, so that the client is written once. In a thread, what is called `io` here is the
feed's side; the other side is the caller's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from krakenwire.errors import ConnectionClosed, UsageError

__all__ = ["Home", "IoThread", "SameLoop"]

_log = logging.getLogger("krakenwire")

T = TypeVar("T")

THREAD_NAME = "krakenwire io"

_WATCH_S = 0.5
"""How often the thread looks whether its user is still there: so long may a program without `close` take to exit."""

_END_S = 1.0
"""What cancelled tasks of the feed may take to end."""

_JOIN_S = 5.0
"""How long `close` waits for a thread that is stuck, in an `on_events` that does not return say."""

_OTHER_LOOP = "this client was connected on another event loop; use it there, or make one for this loop"


class Home(Protocol):
    """Where a feed lives."""

    def check(self) -> None:
        """Raise `UsageError` if the running loop is not the one that the client belongs to."""

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the feed's loop and give what it gives.

        Raises:
            UsageError: the client belongs to another event loop than the running one.

        Cancellation: the work is cancelled there, and its end waited for; what it had done by then stands.
        """

    def call(self, work: Callable[[], T]) -> T:
        """Do something on the feed's loop, wait for it, and give what it gives."""

    def post(self, work: Callable[[], object]) -> None:
        """Do something on the feed's loop, in the order of posting."""

    async def close(self) -> None:
        """End the feed, and the thread if there is one. Cancellation: partial; it ends all the same."""

    def stop(self) -> None:
        """End it now; for when it failed to start."""


class SameLoop:
    """The feed lives on the event loop of who uses it.

    Args:
        finish: ends the feed.
    """

    def __init__(self, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._finish = finish
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Raise `UsageError` if the running loop is not the one that the client belongs to."""
        if self._loop not in (None, asyncio.get_running_loop()):
            raise UsageError(_OTHER_LOOP)

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run it here. Cancellation: that of `work`."""
        self.check()
        self._loop = asyncio.get_running_loop()
        return await work()

    def call(self, work: Callable[[], T]) -> T:
        """Do it here."""
        return work()

    def post(self, work: Callable[[], object]) -> None:
        """Do it here."""
        work()

    async def close(self) -> None:
        """End the feed. Cancellation: partial; it ends all the same."""
        if self._loop is not None and not self._loop.is_closed():
            self.check()
        await self._finish()

    def stop(self) -> None:
        """Nothing is left to end: there is no thread."""


class IoThread:
    """The feed lives on an event loop of its own, in a thread of its own.

    The thread begins with the first `run` and ends with `close`. It ends by itself within a second when the loop it
    serves is closed, or the program comes to its end, so that a client that was not closed keeps no program alive.
    Its loop is uvloop's if the caller's is, else asyncio's own.

    Args:
        finish: ends the feed; run on the thread's loop.
    """

    def __init__(self, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._finish = finish
        self._thread: threading.Thread | None = None
        self._io: asyncio.AbstractEventLoop
        self._user: asyncio.AbstractEventLoop
        self._is_over = False
        self._crossings: set[_Crossing[Any]] = set()
        self._closing: asyncio.Event | None = None

    def check(self) -> None:
        """Raise `UsageError` if the running loop is not the one that the client belongs to."""
        if self._thread is not None and asyncio.get_running_loop() is not self._user:
            raise UsageError(_OTHER_LOOP)

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the thread's loop and give what it gives.

        Raises:
            UsageError: the client belongs to another event loop than the running one.

        Cancellation: the work is cancelled there, and its end waited for, unless cancelled again meanwhile.
        """
        self.check()
        self._start()
        crossing: _Crossing[T] = _Crossing(asyncio.get_running_loop())
        self._crossings.add(crossing)
        try:
            if not self._send(lambda: crossing.begin(work)):
                return await work()  # the feed is over: nobody else touches it, and it says so itself
            try:
                return await asyncio.shield(crossing.done)
            except asyncio.CancelledError:
                if not crossing.done.done() and self._send(crossing.cancel):
                    await asyncio.wait([crossing.done])
                raise
        finally:
            self._crossings.discard(crossing)

    def call(self, work: Callable[[], T]) -> T:
        """Do something on the thread's loop, wait for it, and give what it gives; from any thread."""
        if threading.current_thread() is self._thread or self._thread is None:
            return work()
        answer: Future[T] = Future()

        def answered() -> None:
            try:
                answer.set_result(work())
            except BaseException as error:  # whatever it is, it is the caller's
                answer.set_exception(error)

        if self._send(answered):
            while not answer.done() and self._thread.is_alive():
                wait([answer], _WATCH_S)  # one that the end of the loop overtook is not answered any more
            if answer.done():
                return answer.result()
        self._thread.join()
        return work()

    def post(self, work: Callable[[], object]) -> None:
        """Do something on the thread's loop, in the order of posting; from any thread."""
        if self._thread is None or not self._send(work):
            work()

    async def close(self) -> None:
        """End the feed and the thread. Cancellation: partial; sockets are dropped at once, and the thread ends."""
        if self._thread is None:
            self._is_over = True
            await self._finish()
            return
        if self._user.is_closed():
            self.stop()
            return
        self.check()
        if self._closing is not None:
            await self._closing.wait()  # another task is at it
            return
        self._closing = asyncio.Event()
        try:
            await self.run(self._finish)
        finally:
            self.stop()
            self._closing.set()

    def stop(self) -> None:
        """End the thread, and the feed with it if that is not over yet; waits for both."""
        thread, self._is_over = self._thread, True
        if thread is None:
            return
        self._send(self._io.stop)
        thread.join(_JOIN_S)
        if thread.is_alive():
            _log.error("the thread %r does not end: does on_events block?", thread.name)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is not None or self._is_over:
            return
        self._user = asyncio.get_running_loop()
        self._io = _new_loop_like(self._user)
        thread = threading.Thread(target=self._main, name=THREAD_NAME)
        try:
            thread.start()
        except BaseException:
            self._io.close()
            raise
        self._thread = thread

    def _send(self, work: Callable[[], object]) -> bool:
        """Have it done on the thread's loop; False if that is over."""
        if self._thread is None:
            return False
        try:
            self._io.call_soon_threadsafe(work)
        except RuntimeError:
            if not self._io.is_closed():
                raise
            return False
        return True

    def _main(self) -> None:
        loop = self._io
        loop.set_debug(self._user.get_debug())
        loop.set_exception_handler(self._report)
        loop.call_soon(self._watch)
        try:
            try:
                loop.run_forever()
            finally:  # also after a SystemExit out of a callback
                loop.run_until_complete(self._end())
                loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            for crossing in list(self._crossings):
                crossing.fail()

    def _watch(self) -> None:
        """End when there is nobody left to serve: a thread that is no daemon would keep the program alive."""
        if self._user.is_closed() or not threading.main_thread().is_alive():
            _log.warning("the event loop that a client belongs to ended without close(); its connections are closed")
            self._io.stop()
        else:
            self._io.call_later(_WATCH_S, self._watch)

    async def _end(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):  # who waits for a clean end has done so before: now sockets are dropped
                await self._finish()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_END_S)

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody caught is told to the caller's loop, as if the feed lived there."""
        try:
            self._user.call_soon_threadsafe(self._user.call_exception_handler, context)
        except RuntimeError:
            loop.default_exception_handler(context)


class _Crossing(Generic[T]):
    """One coroutine that somebody on the caller's loop waits for; `done` belongs to that loop, the rest to the thread.

    Args:
        user: the caller's loop.
    """

    def __init__(self, user: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[T] = user.create_future()
        self._user = user
        self._task: asyncio.Task[T] | None = None

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._task = asyncio.get_running_loop().create_task(work())
        self._task.add_done_callback(self._finished)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def fail(self) -> None:
        """The thread is over and this was not done."""
        self._tell(None, ConnectionClosed("the client was closed"))

    def _finished(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.fail()
        elif (error := task.exception()) is not None:
            self._tell(None, error)
        else:
            self._tell(task, None)

    def _tell(self, task: asyncio.Task[T] | None, error: BaseException | None) -> None:
        def tell() -> None:
            if self.done.done():
                return
            if task is not None:
                self.done.set_result(task.result())
            elif error is not None:
                self.done.set_exception(error)
                self.done.exception()  # seen: who waited may have been cancelled meanwhile

        with suppress(RuntimeError):  # the caller's loop is closed: nobody waits any more
            self._user.call_soon_threadsafe(tell)


def _new_loop_like(user: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    if type(user).__module__.partition(".")[0] == "uvloop":
        return type(user)()
    return asyncio.new_event_loop()
