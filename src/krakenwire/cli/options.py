"""What several commands ask for in the same words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer

from krakenwire.client import Client
from krakenwire.errors import UsageError
from krakenwire.events import Event
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.net.endpoints import PUBLIC_VARIABLE, WEBSOCKET_SCHEMES, Endpoints, parse_url
from krakenwire.protocol.wire.symbols import normalise
from krakenwire.sim.instruments import Listing, default_listings, select

__all__ = [
    "BundlesOption",
    "DepthOption",
    "JournalOption",
    "JsonOption",
    "MirrorOption",
    "RateOption",
    "ResumeOption",
    "SeedOption",
    "SimulatedSymbolsOption",
    "UrlOption",
    "listings_of",
    "make_client",
    "rate_of",
    "split_symbols",
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there; prices and quantities are text.")
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="WS_URL",
        help="Where to connect to; otherwise what KRAKEN_WS_PUBLIC_URL says, otherwise Kraken. "
        "KRAKEN_SPOT_URL says where its REST API is.",
        show_default=False,
    ),
]
BundlesOption = Annotated[
    str | None,
    typer.Option(
        "--bundles",
        metavar="DIR",
        help="Leave the evidence of each book that is found wrong in this directory; `krakenwire replay` plays it.",
        show_default=False,
    ),
]
JournalOption = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="DIR",
        help="Record everything that comes in this directory, as `krakenwire record` does.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on where the last program ended that recorded there, however it ended: with its subscriptions, and "
        "without a gap in trades and candles.",
    ),
]
MirrorOption = Annotated[
    bool, typer.Option("--mirror", help="Over two connections, so that the end of one is no loss; twice the traffic.")
]
DepthOption = Annotated[
    int, typer.Option("--depth", "-d", metavar="N", help="Levels a side: 10, 25, 100, 500 or 1000.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Of the simulated market.")]
RateOption = Annotated[
    float, typer.Option("--rate", min=0, metavar="R", help="Messages a second; 0 is as fast as it goes.")
]
SimulatedSymbolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--symbols",
        metavar="SYMBOL,...",
        help="Of the simulated market, separated by commas or given repeatedly; all of them by default.",
        show_default=False,
    ),
]


def make_client(
    url: str | None,
    *,
    mirror: bool = False,
    bundles: str | None = None,
    journal: str | JournalOptions | None = None,
    resume: bool = False,
    on_events: Callable[[Sequence[Event]], object] | None = None,
) -> Client:
    """A client of `url`, or of whatever the environment says; where its REST is, the environment says in any case.

    Raises:
        UsageError: naming the option or the variable whose URL cannot work, or the directory.
    """
    if resume and journal is None:
        raise UsageError("--resume goes on from a journal: name its directory by --journal DIR")
    if url:
        parse_url(url, WEBSOCKET_SCHEMES, "--url")
    endpoints = Endpoints.from_environment(os.environ | {PUBLIC_VARIABLE: url}) if url else None
    return Client(endpoints, mirror=mirror, bundles=bundles, journal=journal, resume=resume, on_events=on_events)


def split_symbols(values: Iterable[str] | None) -> list[str]:
    """Symbols from `A/B,C/D` and from repeated options, each once, in the order given."""
    return list(dict.fromkeys(part.strip() for value in values or () for part in value.split(",") if part.strip()))


def listings_of(values: Iterable[str] | None) -> tuple[Listing, ...]:
    """The simulated markets that `--symbols` names, or all.

    Raises:
        UnknownSymbol: the simulator does not trade one of them.
    """
    symbols = split_symbols(values)
    return select(map(normalise, symbols)) if symbols else default_listings()


def rate_of(rate: float) -> float | None:
    """`--rate` as the simulator takes it."""
    return rate or None
