"""`krakenwire sim`: the simulator, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Annotated

import typer

from krakenwire.cli.exits import reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.options import JsonOption, RateOption, SeedOption, SimulatedSymbolsOption, listings_of, rate_of
from krakenwire.cli.output import print_json, print_line
from krakenwire.clock import SystemClock
from krakenwire.errors import FrameError, UsageError
from krakenwire.sim.market import Market
from krakenwire.sim.playback import Recording
from krakenwire.sim.server import SimulatorServer

__all__ = ["EXAMPLES", "sim"]

EXAMPLES = (
    "krakenwire sim",
    "krakenwire sim --port 8080 --symbols BTC/USD,ETH/USD --rate 1000 --seed 7",
    "krakenwire sim --playback frames.jsonl --rate 0",
)


@reports_errors
def sim(
    *,
    host: Annotated[str, typer.Option("--host", metavar="H", help="The address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0 lets the system choose.")] = 0,
    symbols: SimulatedSymbolsOption = None,
    rate: RateOption = 200.0,
    seed: SeedOption = 0,
    playback: Annotated[
        Path | None,
        typer.Option(
            "--playback", metavar="FILE", help="Serve recorded frames instead of a market.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a Kraken-compatible exchange on this machine, until Ctrl-C.

    It speaks the public WebSocket v2. What it prints points any krakenwire program at it; with --json the first line
    on stdout, printed when it is ready, is an object whose `env` maps the KRAKEN_* variables to this server.
    """
    asyncio.run(
        _sim(host=host, port=port, symbols=symbols, rate=rate_of(rate), seed=seed, playback=playback, json=json)
    )


async def _sim(
    *,
    host: str,
    port: int,
    symbols: list[str] | None,
    rate: float | None,
    seed: int,
    playback: Path | None,
    json: bool,
) -> None:
    source: Market | Recording
    if playback is None:
        source = Market(listings_of(symbols), seed=seed, start_ns=SystemClock().now_ns())
        traded = source.symbols
    else:
        source = _load(playback)
        traded = tuple(sorted(filter(None, source.symbols)))
    server = SimulatorServer(source, host=host, port=port, rate=rate, seed=seed)
    with Interrupt() as interrupt:
        try:
            await server.start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)  # asyncio's own text is long
            advice = "; try --port 0" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(f"cannot serve on {host}:{port}: {why}{advice}") from None
        try:
            _announce(server, traded, seed, json)
            async with interrupt.ends():
                await asyncio.Event().wait()
        finally:
            await server.close()
    dropped = server.slow_clients_dropped
    typer.echo(f"the simulator has ended{f'; {dropped} slow client(s) were dropped' if dropped else ''}", err=True)


def _load(file: Path) -> Recording:
    try:
        return Recording.load(file)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (UsageError, FrameError) as error:
        raise UsageError(f"{file}: {error}") from None


def _announce(server: SimulatorServer, symbols: tuple[str, ...], seed: int, json: bool) -> None:
    if json:
        print_json({"env": server.env(), "symbols": symbols, "seed": seed})
        return
    for name, value in server.env().items():
        print_line(f"export {name}={value}")
    typer.echo(f"serving {', '.join(symbols)}; Ctrl-C ends it", err=True)
