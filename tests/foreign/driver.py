"""Foreign clients in processes of their own, each driven by a test over lines of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from helpers.processes import environment
from krakenwire.sim.certificate import Certificate
from krakenwire.sim.server import SimulatorServer

__all__ = ["ForeignClient", "ForeignError", "held", "running"]

CLIENTS = Path(__file__).resolve().parent / "clients"
WHOLE_S = 50.0
"""Until a test counts as hanging: before pytest itself ends it, so that the client's last words are seen."""

ENDING_S = 5.0

MOST_WORDS = 4000


class ForeignError(Exception):
    """What the client raised; `kind` is its class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class ForeignClient:
    """A foreign client.

    Attributes:
        messages: what it told besides answers.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.messages: list[dict[str, Any]] = []
        self._process = process
        self._count = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._changed = asyncio.Event()
        self.ready = self._expect(0)
        self._reading = asyncio.create_task(self._read())
        self._last_words = asyncio.create_task(_drain(process.stderr))

    async def ask(self, call: str, *args: Any, **options: Any) -> Any:
        """Call a method of it and wait for what it returns.

        Raises:
            ForeignError: what it raised.
        """
        return await self.begin(call, *args, **options)

    def begin(self, call: str, *args: Any, **options: Any) -> asyncio.Future[Any]:
        """Call a method of it; the future gives what it returns, or raises ForeignError."""
        assert self._process.stdin is not None
        self._count += 1
        request = json.dumps({"id": self._count, "call": call, "args": args, "options": options})
        self._process.stdin.write(request.encode() + b"\n")
        return self._expect(self._count)

    async def told(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first message that is `wanted`; waits for one."""
        while True:
            for message in self.messages:
                if wanted(message):
                    return message
            self._changed.clear()
            await self._changed.wait()

    async def end(self) -> str:
        """Let it end; what it wrote to standard error."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(ENDING_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
        return await self._last_words

    def _expect(self, number: int) -> asyncio.Future[Any]:
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        return future

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "message" in told:
                self.messages.append(told["message"])
                self._changed.set()
                continue
            future = self._waiting.pop(told["id"])
            if "error" in told:
                future.set_exception(ForeignError(told["class"], told["error"]))
            else:
                future.set_result(told["answer"])
        for future in self._waiting.values():
            future.set_exception(ForeignError("Ended", "the client ended"))
            future.exception()  # whoever waits has it; if nobody does, nobody misses it


async def _drain(pipe: asyncio.StreamReader | None) -> str:
    """All that comes, so that a client which logs much is never held up."""
    assert pipe is not None
    return (await pipe.read()).decode()


def foreign_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Ours, less what is meant for our own code: the sanitizers are none of theirs."""
    kept = {name: value for name, value in environment(env).items() if name not in ("LD_PRELOAD", "PYTHONMALLOC")}
    return kept | {"PYTHONPATH": str(CLIENTS.parent.parent)}


@asynccontextmanager
async def running(python: str, script: str, *arguments: object, env: Mapping[str, str]) -> AsyncIterator[ForeignClient]:
    """A foreign client while it runs; its last words are shown where it fails."""
    process = await asyncio.create_subprocess_exec(
        python,
        str(CLIENTS / script),
        *map(str, arguments),
        env=foreign_environment(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    client = ForeignClient(process)
    try:
        async with asyncio.timeout(WHOLE_S):
            await client.ready
            yield client
    finally:
        words = await client.end()
        print(words[-MOST_WORDS:], file=sys.stderr)  # noqa: T201  # pytest shows it where the test fails


@asynccontextmanager
async def held(symbols: list[str]) -> AsyncIterator[tuple[SimulatorServer, dict[str, str]]]:
    """A market that moves when it is released, over TLS, and the environment of a client of it."""
    certificate = Certificate()
    try:
        async with SimulatorServer(
            symbols=symbols, seed=3, hold=True, rest_port=0, tls=certificate.server_context()
        ) as server:
            trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(certificate.ca_file))
            credentials = server.exchange.accounts.credentials("bob")
            keys = {"KRAKEN_API_KEY": credentials.key, "KRAKEN_API_SECRET": credentials.secret}
            yield server, server.env() | trusted | keys
    finally:
        certificate.remove()
