"""How the processes of a soak talk: commands in, a line of JSON out, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

__all__ = ["Child", "ChildDied", "commands", "say"]

SECOND = 1.0


def say(thing: msgspec.Struct) -> None:
    """Tell whoever started this process."""
    sys.stdout.buffer.write(msgspec.json.encode(thing) + b"\n")
    sys.stdout.buffer.flush()


@asynccontextmanager
async def commands(every_second: Callable[[], object]) -> AsyncIterator[AsyncIterator[str]]:
    """The commands on standard input, until it ends; meanwhile call `every_second`.

    Cancellation: safe.
    """
    # Ctrl-C is for who started this process, who says what is to become of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def tick() -> None:
        while True:
            await asyncio.sleep(SECOND)
            every_second()

    async def lines() -> AsyncIterator[str]:
        while line := await reader.readline():
            yield line.decode().strip()

    ticking = asyncio.create_task(tick())
    try:
        yield lines()
    finally:
        ticking.cancel()
        transport.close()


class ChildDied(Exception):
    """A process of the soak ended before it was told to."""


class Child:
    """One of the soak's processes, as the one that started it sees it.

    Args:
        module: `soak.market`, for one.
        directory: where it finds its plan and writes its files.
        state: what it says, each second and after each command.

    Attributes:
        last: what it said last, or None.
    """

    def __init__(self, module: str, directory: Path, state: type[Any]) -> None:
        self.last: Any = None
        self._module = module
        self._directory = directory
        self._state = state
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._did: list[str] = []

    async def start(self, *arguments: str) -> Self:
        """Start it, and wait until it is ready.

        Raises:
            ChildDied: it did not come up.

        Cancellation: partial; `kill` ends it.
        """
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module, str(self._directory), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
            start_new_session=True,
        )
        self._listening = asyncio.create_task(self._listen())
        await self._until("ready")
        return self

    async def do(self, command: str, timeout: float = 60.0) -> Any:
        """Send a command, and wait until it is done; returns what it says then.

        Raises:
            ChildDied: it ended instead.
            TimeoutError: it is not done by then.

        Cancellation: partial; the command was sent.
        """
        assert self._process is not None  # noqa: S101  # started
        assert self._process.stdin is not None  # noqa: S101  # a pipe
        try:
            self._process.stdin.write(f"{command}\n".encode())
            await self._process.stdin.drain()
        except ConnectionError:
            raise ChildDied(f"{self._module} ended before it was told to {command!r}") from None
        async with asyncio.timeout(timeout):
            return await self._until(command)

    async def ended(self, timeout: float = 60.0) -> None:
        """Wait for its end.

        Raises:
            ChildDied: it failed.
            TimeoutError: it has not ended by then.

        Cancellation: safe.
        """
        assert self._process is not None  # noqa: S101  # started
        async with asyncio.timeout(timeout):
            code = await self._process.wait()
            if self._listening is not None:
                await self._listening
        if code:
            raise ChildDied(f"{self._module} ended with exit code {code}")

    @property
    def name(self) -> str:
        """Its module."""
        return self._module

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    async def kill(self) -> None:
        """End it in any case. Cancellation: safe."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _listen(self) -> None:
        assert self._process is not None  # noqa: S101  # started
        assert self._process.stdout is not None  # noqa: S101  # a pipe
        while line := await self._process.stdout.readline():
            self.last = msgspec.json.decode(line, type=self._state)
            if self.last.did:
                self._did.append(self.last.did)
            self._changed.set()
        self._did.append("")
        self._changed.set()

    async def _until(self, did: str) -> Any:
        while did not in self._did:
            if "" in self._did:
                raise ChildDied(f"{self._module} ended before it was {did!r}")
            self._changed.clear()
            await self._changed.wait()
        self._did.remove(did)
        return self.last
