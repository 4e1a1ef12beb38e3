"""The exchange's process: the simulator on sockets, its truth, and the schedule of faults.

    python -m soak.market DIRECTORY < commands

Commands on its input, a line each: `go` lets the market move and faults begin; `heal` ends all faults; `still` stops
the market; `end` writes the log and ends. After each of them, and every second, it says on its output how it stands.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from krakenwire.sim.server import SimulatorServer

from .complaints import keep_errors
from .files import Lines
from .plan import SYMBOLS, Plan
from .process import commands, say
from .records import Shelf
from .stage import Stage

__all__ = ["MarketState"]


class MarketState(msgspec.Struct, frozen=True, kw_only=True):
    """How the exchange stands.

    Attributes:
        did: the command that was done, or nothing.
        url, rest_url: where it is.
        frames: made so far, each counted once.
        faults: injected so far.
        trades: made so far.
        connections: open now.
        dropped: clients cut off because they did not read.
    """

    did: str
    url: str
    rest_url: str
    frames: int
    faults: int
    trades: int
    connections: int
    dropped: int


async def serve(plan: Plan, directory: Path) -> None:
    """Serve until told to end. Cancellation: safe."""
    outcomes = Lines(directory / "outcomes")
    errors: list[str] = []
    keep_errors(errors)
    with Shelf(directory / "exchange") as shelf:
        server = SimulatorServer(
            symbols=SYMBOLS, rate=plan.rate, seed=plan.seed, rest_port=0, message_rate=10_000.0, max_buffer=64 << 20
        )
        stage = Stage(server.exchange, seed=plan.seed, symbols=SYMBOLS, shelf=shelf, rest=True, tell=outcomes.write)
        async with server:
            server.exchange.keep_still(True)
            await _obey(plan, directory, server, stage)
        stage.faults.settle()
        outcomes.close()
        log = Lines(directory / "faults")
        for line in stage.lines():
            log.write(line)
        log.close()
    (directory / "errors").write_bytes(msgspec.json.encode(errors))


async def _obey(plan: Plan, directory: Path, server: SimulatorServer, stage: Stage) -> None:
    injecting: asyncio.Task[None] | None = None

    def state(did: str) -> MarketState:
        return MarketState(
            did=did,
            url=server.url,
            rest_url=server.rest_url,
            frames=stage.tap.frames,
            faults=stage.schedule.injected,
            trades=stage.tap.trades,
            connections=server.connections,
            dropped=server.slow_clients_dropped,
        )

    async with commands(lambda: say(state(""))) as told:
        say(state("ready"))
        async for command in told:
            if command == "go":
                server.exchange.keep_still(False)
                injecting = asyncio.create_task(_inject(stage, plan.faults_per_second))
            elif command == "heal":
                if injecting is not None:
                    injecting.cancel()
                stage.faults.heal_all()
            elif command == "still":
                server.exchange.keep_still(True)
                (directory / "last").write_bytes(msgspec.json.encode(stage.tap.last))
            say(state(command))
            if command == "end":
                return
            if injecting is not None and injecting.done() and not injecting.cancelled():
                injecting.result()


async def _inject(stage: Stage, per_second: float) -> None:
    """Inject faults at a steady rate, however late a turn of the loop is. Cancellation: safe."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += 1 / per_second
        await asyncio.sleep(due - loop.time())
        stage.schedule.step()


def main() -> None:
    """Serve as the file `plan` in the directory says."""
    directory = Path(sys.argv[1])
    asyncio.run(serve(msgspec.json.decode((directory / "plan").read_bytes(), type=Plan), directory))


if __name__ == "__main__":
    main()
