"""A signal ends what is to be ended by it, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from krakenwire.cli.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_the_body_and_what_follows_goes_on(number: int) -> None:
    with Interrupt() as interrupt:
        async with interrupt.ends():
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        assert interrupt.requested


async def test_signal_ends_all_nested_bodies() -> None:
    passed = []
    with Interrupt() as interrupt:
        async with interrupt.ends():
            async with interrupt.ends():
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            passed.append("inner")
            await asyncio.Event().wait()
        passed.append("outer")
    assert passed[-1] == "outer"


async def test_body_that_begins_after_the_signal_ends_at_its_first_wait() -> None:
    with Interrupt() as interrupt:
        async with interrupt.ends():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        begun = False
        async with interrupt.ends():
            begun = True
            await asyncio.Event().wait()
        assert begun


async def test_second_signal_is_not_taken() -> None:
    with Interrupt() as interrupt:
        async with interrupt.ends():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_body_ends_after_its_seconds_without_a_signal() -> None:
    with Interrupt() as interrupt:
        async with interrupt.ends(0.01):
            await asyncio.Event().wait()
        assert not interrupt.requested


async def test_time_out_of_the_body_itself_is_raised() -> None:
    with Interrupt() as interrupt, pytest.raises(TimeoutError, match="of its own"):
        async with interrupt.ends(60):
            raise TimeoutError("of its own")


async def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
