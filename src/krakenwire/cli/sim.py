"""`krakenwire sim`: the simulator, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import difflib
import errno
import importlib.util
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from krakenwire.cli.exits import complain, reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.options import JsonOption, RateOption, SeedOption, SimulatedSymbolsOption, listings_of, rate_of
from krakenwire.cli.sim_report import Announcement, report_end
from krakenwire.clock import SystemClock
from krakenwire.errors import FrameError, UsageError
from krakenwire.net.endpoints import is_loopback
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.certificate import Certificate
from krakenwire.sim.faults import Script, read_fault
from krakenwire.sim.instruments import default_assets
from krakenwire.sim.market.market import Market
from krakenwire.sim.playback import Recording
from krakenwire.sim.server import SimulatorServer

__all__ = ["EXAMPLES", "sim"]

EXAMPLES = (
    "krakenwire sim",
    "krakenwire sim --port 8080 --symbols BTC/USD,ETH/USD --rate 1000 --seed 7",
    "krakenwire sim --accounts accounts.toml --tls",
    "krakenwire sim --fault 'lose_update:symbol=BTC/USD@5s' --fault cut:code=1012@30s",
    "krakenwire sim --playback frames.jsonl --rate 0",
)

EXTRA = "pip install 'krakenwire[sim]'"


def _port(name: str, of: str) -> Any:
    """The option of a port that the system chooses if it is not given."""
    return typer.Option(name, min=0, max=65535, metavar="N", help=f"Of {of}.", show_default=False)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    host: str
    port: int
    auth_port: int | None
    l3_port: int | None
    rest_port: int | None
    control_port: int | None
    symbols: list[str] | None
    rate: float | None
    seed: int
    playback: Path | None
    accounts: Path | None
    tls: bool
    tls_dir: Path | None
    faults: list[str]
    scripts: list[Path]
    fault_log: Path | None
    json: bool


@reports_errors
def sim(
    *,
    host: Annotated[str, typer.Option("--host", metavar="H", help="The address to bind.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            metavar="N",
            help="Of the public WebSocket. 0 lets the system choose; so it does for the other ports by default.",
        ),
    ] = 0,
    auth_port: Annotated[int | None, _port("--auth-port", "the private WebSocket")] = None,
    l3_port: Annotated[int | None, _port("--l3-port", "the level3 WebSocket")] = None,
    rest_port: Annotated[int | None, _port("--rest-port", "the REST API")] = None,
    control_port: Annotated[
        int | None, _port("--control-port", "the endpoint that injects faults, on loopback")
    ] = None,
    symbols: SimulatedSymbolsOption = None,
    rate: RateOption = 200.0,
    seed: SeedOption = 0,
    playback: Annotated[
        Path | None,
        typer.Option(
            "--playback", metavar="FILE", help="Serve recorded frames instead of a market.", show_default=False
        ),
    ] = None,
    accounts: Annotated[
        Path | None,
        typer.Option(
            "--accounts",
            metavar="FILE",
            help="Who can trade (TOML); by default alice, bob and carol, whose keys are in the documentation.",
            show_default=False,
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve wss:// and https:// with a certificate made just now.")
    ] = False,
    tls_dir: Annotated[
        Path | None,
        typer.Option(
            "--tls-dir",
            metavar="DIR",
            help="Where to keep what vouches for that certificate; else it goes when the command ends.",
            show_default=False,
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND:…@TIME",
            help="Do this wrong on purpose, as in 'cut:code=1012@30s'; can be repeated.",
            show_default=False,
        ),
    ] = None,
    faults: Annotated[
        list[Path] | None,
        typer.Option("--faults", metavar="FILE", help="A script of faults (TOML).", show_default=False),
    ] = None,
    fault_log: Annotated[
        Path | None,
        typer.Option(
            "--fault-log", metavar="FILE", help="Write at the end what each fault touched (JSON).", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a Kraken-compatible exchange on this machine, until Ctrl-C.

    It speaks WebSocket v2 (market data, level3, private data, trading) and REST. What it prints points any Kraken
    client at it; with --json the first line on stdout, printed when it is ready, is an object whose `env` maps the
    variables to this server.
    """
    if not host.strip():
        raise UsageError("--host: expected an address or a name; 0.0.0.0 and :: are all there are")
    wanted = Wanted(
        host=host.strip("[]"),
        port=port,
        auth_port=auth_port,
        l3_port=l3_port,
        rest_port=rest_port,
        control_port=control_port,
        symbols=symbols,
        rate=rate_of(rate),
        seed=seed,
        playback=playback,
        accounts=accounts,
        tls=tls or tls_dir is not None,
        tls_dir=tls_dir,
        faults=fault or [],
        scripts=faults or [],
        fault_log=fault_log,
        json=json,
    )
    asyncio.run(_sim(wanted))


async def _sim(wanted: Wanted) -> None:
    scripts = [Script(tuple(map(read_fault, wanted.faults)), wanted.seed), *map(Script.load, wanted.scripts)]
    _check_fault_log(wanted.fault_log)
    source, traded = _source(wanted)
    accounts = Accounts.default() if wanted.accounts is None else _load_accounts(wanted.accounts)
    has_extra = _has_extra(wanted)
    with ExitStack() as stack, Interrupt() as interrupt:
        certificate = None
        if wanted.tls:
            asyncio.get_running_loop().set_exception_handler(_pass_over_handshakes)
            certificate = Certificate([wanted.host], directory=wanted.tls_dir)
            stack.callback(certificate.remove)
        server = SimulatorServer(
            source,
            accounts=accounts,
            host=wanted.host,
            port=wanted.port,
            auth_port=wanted.auth_port or 0,
            l3_port=wanted.l3_port or 0,
            rest_port=wanted.rest_port or 0 if has_extra else None,
            control_port=wanted.control_port or 0 if has_extra else None,
            tls=None if certificate is None else certificate.server_context(),
            rate=wanted.rate,
            seed=wanted.seed,
        )
        try:
            await _start(server, wanted)
            for script in scripts:
                server.exchange.faults.play(script)
            own = None if wanted.accounts or wanted.playback else accounts.credentials(accounts.names[0])
            said = Announcement(server, traded, wanted.seed, certificate, own)
            said.print_json() if wanted.json else said.print_exports()
            if not is_loopback(f"//[{wanted.host}]" if ":" in wanted.host else f"//{wanted.host}"):
                _warn(wanted)
            async with interrupt.ends():
                await asyncio.Event().wait()
        finally:
            await server.close()
    report_end(server, wanted.fault_log)


def _pass_over_handshakes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught, but for clients that hang up before TLS is agreed: anybody can, as often as he likes."""
    if not str(context.get("message")).startswith("SSL handshake failed"):
        loop.default_exception_handler(context)


def _source(wanted: Wanted) -> tuple[Market | Recording, tuple[str, ...]]:
    """What is served, and its symbols."""
    if wanted.playback is None:
        market = Market(listings_of(wanted.symbols), seed=wanted.seed, start_ns=SystemClock().now_ns())
        return market, market.symbols
    if wanted.accounts is not None:
        raise UsageError("a recording has no accounts: give --playback or --accounts, not both")
    for option, port in (("--auth-port", wanted.auth_port), ("--l3-port", wanted.l3_port)):
        if port is not None:
            raise UsageError(f"a recording has only the public WebSocket: give --playback or {option}, not both")
    recording = _load(wanted.playback)
    return recording, tuple(sorted(filter(None, recording.symbols)))


def _load(file: Path) -> Recording:
    try:
        return Recording.load(file)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (UsageError, FrameError) as error:
        raise UsageError(f"{file}: {error}") from None


def _check_fault_log(file: Path | None) -> None:
    """It is written at the end, when it would be a pity to find out that it cannot be."""
    if file is None:
        return
    if file.is_dir() or not file.absolute().parent.is_dir():
        code = errno.EISDIR if file.is_dir() else errno.ENOENT
    elif os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        return
    else:
        code = errno.EACCES
    raise UsageError(f"cannot write the log of the faults to {file}: {os.strerror(code)}")


def _load_accounts(file: Path) -> Accounts:
    accounts = Accounts.load(file)
    known = [asset.id for asset in default_assets()]
    for account in accounts.engine_accounts():
        for asset in account.funds:
            if asset not in known:
                near = difflib.get_close_matches(asset, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise UsageError(
                    f"{file}: accounts.{account.name}.funds.{asset}: the simulator has no such asset; {hint}"
                )
    return accounts


def _has_extra(wanted: Wanted) -> bool:
    """Whether REST and the control endpoint can be served; says so if they cannot.

    Raises:
        UsageError: they cannot, and a port for one of them was given.
    """
    if importlib.util.find_spec("aiohttp") is not None:
        return True
    for option, port in (("--rest-port", wanted.rest_port), ("--control-port", wanted.control_port)):
        if port is not None:
            raise UsageError(f"{option} needs the extra `sim`: {EXTRA}")
    complain(f"there is no REST API and no control endpoint without the extra `sim`: {EXTRA}")
    return False


async def _start(server: SimulatorServer, wanted: Wanted) -> None:
    try:
        await server.start()
    except OSError as error:
        if type(error).__name__ == "gaierror":  # by name: commands do not import socket, and its numbers are no errno
            raise UsageError(f"--host: {wanted.host} is no address or name of this machine: {error.strerror}") from None
        why = os.strerror(error.errno) if error.errno else str(error)  # asyncio's own text is long
        ports = (wanted.port, wanted.auth_port, wanted.l3_port, wanted.rest_port, wanted.control_port)
        asked = " or ".join(dict.fromkeys(str(port) for port in ports if port))
        advice = "; port 0 lets the system choose" if error.errno == errno.EADDRINUSE else ""
        raise UsageError(f"cannot serve on {wanted.host}{f':{asked}' if asked else ''}: {why}{advice}") from None


def _warn(wanted: Wanted) -> None:
    keys = "the keys of the built-in accounts are known to everybody" if wanted.accounts is None else ""
    plain = "" if wanted.tls else "without --tls, everything goes over the network in plain text"
    more = "; ".join(filter(None, (keys, plain)))
    complain(f"warning: {wanted.host} can be reached from other machines{': ' if more else ''}{more}")
