"""`krakenwire conform`: does a server keep Kraken's rules?"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from krakenwire.cli.conform_text import list_text, report_object, report_text, rule_object
from krakenwire.cli.exits import UNREACHABLE, WRONG, complain, reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.options import JsonOption, split_symbols
from krakenwire.cli.output import print_json, print_line
from krakenwire.clock import NS_PER_S, SystemClock
from krakenwire.conform import Credentials, Outcome, Report, Rule, Target, examine
from krakenwire.conform.runner import OnOutcome, choose, report_of
from krakenwire.errors import UsageError
from krakenwire.net.endpoints import REST_SCHEMES, WEBSOCKET_SCHEMES, Endpoints, parse_url, shown
from krakenwire.protocol.wire.symbols import normalise

__all__ = ["EXAMPLES", "conform"]

EXAMPLES = (
    "krakenwire conform",
    "krakenwire conform --url ws://127.0.0.1:8080/v2 --only book --only ack.shape",
    "krakenwire conform --json | jq '.rules[] | select(.verdict == \"broken\")'",
    "krakenwire conform --list",
)


@reports_errors
def conform(
    *,
    url: Annotated[
        str | None, typer.Option("--url", metavar="WS_URL", help="The public WebSocket.", show_default=False)
    ] = None,
    auth_url: Annotated[
        str | None, typer.Option("--auth-url", metavar="WS_URL", help="The private WebSocket.", show_default=False)
    ] = None,
    l3_url: Annotated[
        str | None, typer.Option("--l3-url", metavar="WS_URL", help="The level3 WebSocket.", show_default=False)
    ] = None,
    rest_url: Annotated[
        str | None, typer.Option("--rest-url", metavar="URL", help="The base of REST.", show_default=False)
    ] = None,
    symbol: Annotated[
        str, typer.Option("--symbol", "-s", metavar="SYMBOL", help="What is subscribed and traded; a busy one.")
    ] = "BTC/USD",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="ID,...",
            help="Only these rules; a group such as `book` is all whose id begins so.",
            show_default=False,
        ),
    ] = None,
    list_rules: Annotated[bool, typer.Option("--list", help="Print the rules and end; connects nowhere.")] = False,
    trading: Annotated[
        bool, typer.Option("--trading", help="Test private rules on another machine too: places real orders.")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, metavar="N", help="How long the feeds are watched at most.")
    ] = 10.0,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="Trust this CA (PEM) only.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Try Kraken's rules on a server that claims to be Kraken, and say which hold, with where each rule comes from.

    Where the server is, the KRAKEN_* variables say, if the options do not; otherwise it is Kraken. Private rules need
    KRAKEN_API_KEY and KRAKEN_API_SECRET, and run only on this machine unless --trading asks for more: they place small
    orders and cancel them, and buy the least quantity once.

    Ends with 1 if a rule is broken, with 3 if the server, or a door of it, cannot be reached.
    """
    names = split_symbols(only)
    rules = choose(names or None)
    if list_rules:
        if json:
            print_json({"rules": [rule_object(rule) for rule in rules]})
        else:
            print_line(list_text(rules))
        return
    target = _target(url, auth_url, l3_url, rest_url, symbol=normalise(symbol), seconds=seconds, trading=trading)
    report = asyncio.run(_conform(target, rules, None if ca is None else _context(ca)))
    if json:
        print_json(report_object(rules, report, _where(target)))
    else:
        print_line(report_text(rules, report))
    for problem in report.unreachable:
        complain(problem)
    if not report.holds:
        raise typer.Exit(WRONG)
    if report.unreachable:
        raise typer.Exit(UNREACHABLE)


def _target(
    url: str | None,
    auth_url: str | None,
    l3_url: str | None,
    rest_url: str | None,
    *,
    symbol: str,
    seconds: float,
    trading: bool,
) -> Target:
    """The target that the options and the environment name.

    Raises:
        UsageError: for a URL that cannot work, or if trading is asked for without an account.
    """
    named = {
        "--url": (url, "KRAKEN_WS_PUBLIC_URL", WEBSOCKET_SCHEMES),
        "--auth-url": (auth_url, "KRAKEN_WS_AUTH_URL", WEBSOCKET_SCHEMES),
        "--l3-url": (l3_url, "KRAKEN_WS_L3_URL", WEBSOCKET_SCHEMES),
        "--rest-url": (rest_url, "KRAKEN_SPOT_URL", REST_SCHEMES),
    }
    # A public WebSocket given by hand is another server than the one that the environment names.
    places: dict[str, str] = {} if url else dict(os.environ)
    for option, (value, variable, schemes) in named.items():
        if value:
            parse_url(value, schemes, option)
            places[variable] = value
    endpoints = Endpoints.from_environment(places)
    key, secret = os.environ.get("KRAKEN_API_KEY", ""), os.environ.get("KRAKEN_API_SECRET", "")
    if trading and not (key and secret):
        raise UsageError("--trading needs an account: set KRAKEN_API_KEY and KRAKEN_API_SECRET")
    credentials = Credentials(key, secret) if key and secret else None
    return Target.of_endpoints(endpoints, symbol=symbol, seconds=seconds, credentials=credentials, trading=trading)


def _context(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise UsageError(f"--ca: expected a certificate as PEM, got something else in {ca}") from None
    except OSError as error:
        raise UsageError(f"--ca: cannot read {ca}: {error.strerror}") from None


async def _conform(target: Target, rules: Sequence[Rule], context: ssl.SSLContext | None) -> Report:
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    outcomes: dict[str, Outcome] = {}
    reports: list[Report] = []
    with Interrupt() as interrupt, _progress(len(rules)) as on_outcome:
        async with interrupt.ends():
            reports.append(
                await examine(target, rules, clock=clock, ssl_context=context, on_outcome=on_outcome, outcomes=outcomes)
            )
    if reports:
        return reports[0]
    return report_of(rules, outcomes, (), (clock.monotonic_ns() - began_ns) / NS_PER_S)


@contextmanager
def _progress(total: int) -> Iterator[OnOutcome | None]:
    """A bar on stderr, if somebody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("connecting", total=total)

        def show(rule: Rule, outcome: Outcome, done: int, _: int) -> None:
            progress.update(task, completed=done, description=f"{rule.id}: {outcome.verdict}")

        yield show


def _where(target: Target) -> dict[str, object]:
    urls = {"url": target.public, "auth_url": target.auth, "l3_url": target.l3, "rest_url": target.rest}
    where: dict[str, object] = {name: None if url is None else shown(url) for name, url in urls.items()}
    return where | {"symbol": target.symbol}
