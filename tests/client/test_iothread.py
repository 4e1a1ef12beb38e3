"""The thread that a feed may live in: what crosses, and that no thread stays behind, however it ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from krakenwire.errors import ConnectionClosed, UsageError
from krakenwire.feed.iothread import THREAD_NAME, IoThread, SameLoop

pytestmark = pytest.mark.any_kernel


def io_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


class Work:
    """Something to do on the feed's side, and what became of it."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.finished = 0
        self.was_cancelled = False

    async def finish(self) -> None:
        self.finished += 1

    async def forever(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # the end of a work may take a turn or two
            self.was_cancelled = True
            raise


async def _name() -> str:
    return threading.current_thread().name


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # it comes true in another thread, which tells nobody
            await asyncio.sleep(0.001)


async def test_work_runs_in_the_thread_and_its_result_crosses() -> None:
    home = IoThread(Work().finish)
    assert await home.run(_name) == THREAD_NAME
    assert home.call(lambda: threading.current_thread().name) == THREAD_NAME
    (thread,) = io_threads()
    assert not thread.daemon
    await home.close()
    assert io_threads() == []


async def test_what_the_work_raises_crosses_as_it_is() -> None:
    home = IoThread(Work().finish)
    error = KeyError("ours")

    async def fails() -> None:
        raise error

    def fails_at_once() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await home.run(fails)
    assert caught.value is error
    with pytest.raises(KeyError) as caught:
        home.call(fails_at_once)
    assert caught.value is error
    await home.close()


async def test_a_call_that_times_out_by_itself_is_answered() -> None:
    home = IoThread(Work().finish)
    await home.run(_name)

    def late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        home.call(late)
    await home.close()


async def test_cancelling_waits_until_the_work_has_ended() -> None:
    work = Work()
    home = IoThread(work.finish)
    task = asyncio.ensure_future(home.run(work.forever))
    await until(work.began.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.was_cancelled
    await home.close()


async def test_posts_and_calls_and_runs_keep_their_order() -> None:
    home = IoThread(Work().finish)
    await home.run(_name)
    seen: list[int] = []

    async def append(number: int) -> None:
        seen.append(number)

    for number in range(0, 300, 3):
        home.post(lambda n=number: seen.append(n))  # type: ignore[misc]  # bound for the loop
        await home.run(lambda n=number + 1: append(n))  # type: ignore[misc]  # bound for the loop
        home.call(lambda n=number + 2: seen.append(n))  # type: ignore[misc]  # bound for the loop
    assert seen == list(range(300))
    await home.close()


async def test_close_runs_the_end_of_the_feed_once_and_may_be_repeated() -> None:
    work = Work()
    home = IoThread(work.finish)
    await home.run(_name)
    await asyncio.gather(home.close(), home.close())
    await home.close()
    assert work.finished >= 1
    assert io_threads() == []


async def test_work_that_is_under_way_at_the_close_ends_with_an_error() -> None:
    work = Work()
    home = IoThread(work.finish)
    task = asyncio.ensure_future(home.run(work.forever))
    await until(work.began.is_set)
    await home.close()
    with pytest.raises(ConnectionClosed):
        await task
    assert work.was_cancelled


async def test_a_close_that_is_cancelled_ends_the_thread_all_the_same() -> None:
    for turns in range(12):
        work = Work()

        async def finish(work: Work = work) -> None:
            if not work.began.is_set():
                await work.forever()

        home = IoThread(finish)
        await home.run(_name)
        task = asyncio.ensure_future(home.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if turns == 0:  # it had not begun
            home.stop()
        assert io_threads() == []
        assert work.was_cancelled or turns < 2


async def test_what_is_asked_after_the_end_is_done_here() -> None:
    home = IoThread(Work().finish)
    await home.run(_name)
    await home.close()
    assert await home.run(_name) == threading.current_thread().name
    assert home.call(lambda: 7) == 7
    seen: list[int] = []
    home.post(lambda: seen.append(1))
    assert seen == [1]


async def test_a_home_that_was_never_used_needs_no_thread_to_close() -> None:
    work = Work()
    home = IoThread(work.finish)
    await home.close()
    assert (work.finished, io_threads()) == (1, [])
    assert await home.run(_name) == threading.current_thread().name
    assert io_threads() == []


@pytest.mark.parametrize("kind", [IoThread, SameLoop])
def test_another_loop_is_refused(kind: type[IoThread | SameLoop]) -> None:
    home = kind(Work().finish)
    first = asyncio.new_event_loop()
    first.run_until_complete(home.run(_name))

    async def elsewhere() -> None:
        for use in (home.run(_name), home.close()):
            with pytest.raises(UsageError, match="another event loop"):
                await use

    asyncio.run(elsewhere())
    first.run_until_complete(home.close())
    first.close()
    assert io_threads() == []


def test_a_thread_whose_loop_ended_without_close_ends_by_itself() -> None:
    work = Work()
    home = IoThread(work.finish)
    asyncio.run(home.run(_name))
    for thread in io_threads():
        thread.join(10)
    assert io_threads() == []
    assert work.finished == 1
    asyncio.run(home.close())


async def test_errors_that_nobody_catches_reach_the_handler_of_the_callers_loop() -> None:
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    home = IoThread(Work().finish)
    await home.run(_name)
    home.post(lambda: 1 // 0)
    await until(lambda: contexts)
    assert isinstance(contexts[0]["exception"], ZeroDivisionError)
    await home.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_callback_that_ends_the_thread_ends_the_feed_in_order() -> None:
    work = Work()
    home = IoThread(work.finish)
    waiting = asyncio.ensure_future(home.run(work.forever))
    await until(work.began.is_set)

    def exits() -> None:
        raise SystemExit

    home.post(exits)
    with pytest.raises(ConnectionClosed):
        await waiting
    for thread in io_threads():
        thread.join(10)
    assert (work.finished, work.was_cancelled) == (1, True)
    await home.close()


async def test_a_uvloop_is_served_by_a_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    def kind_of_loop(factory: Callable[[], asyncio.AbstractEventLoop]) -> type:
        async def kind() -> type:
            return type(asyncio.get_running_loop())

        async def ask() -> type:
            home = IoThread(Work().finish)
            try:
                return await home.run(kind)
            finally:
                await home.close()

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(ask())

    assert await asyncio.to_thread(kind_of_loop, uvloop.new_event_loop) is uvloop.Loop
    assert await asyncio.to_thread(kind_of_loop, asyncio.SelectorEventLoop) is not uvloop.Loop


PROGRAM = """
import asyncio, sys
from krakenwire.feed.iothread import IoThread

async def finish():
    pass

async def use():
    home = IoThread(finish)
    await home.run(finish)
    {then}

{main}
print("the end")
"""


@pytest.mark.parametrize(
    "main",
    [
        "asyncio.run(use())",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(use())",  # not even closed
    ],
)
@pytest.mark.parametrize("then", ["pass", "home.call(lambda: None)"])
def test_a_program_that_forgets_to_close_comes_to_its_end(main: str, then: str) -> None:
    program = PROGRAM.format(main=main, then=then)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr
