"""`krakenwire stream`: events as they happen, one a line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from krakenwire.cli.event_text import as_line, as_object
from krakenwire.cli.exits import reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.metrics import DEFAULT_ADDR, MetricsAddrOption, MetricsPortOption, serve_metrics
from krakenwire.cli.moments import since_of
from krakenwire.cli.options import (
    BundlesOption,
    DepthOption,
    JournalOption,
    JsonOption,
    MirrorOption,
    ResumeOption,
    UrlOption,
    make_client,
    split_symbols,
)
from krakenwire.cli.output import print_json, print_line
from krakenwire.errors import UsageError
from krakenwire.events import (
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Connected,
    Disconnected,
    Event,
    LeaderChanged,
    RunResumed,
    Stalled,
)
from krakenwire.hub import Reader
from krakenwire.since import Since

__all__ = ["EXAMPLES", "stream"]

EXAMPLES = (
    "krakenwire stream trade --symbol BTC/USD",
    "krakenwire stream book ticker -s BTC/USD -s ETH/USD --depth 100",
    "krakenwire stream trade --symbol all --json | jq -r '[.symbol, .price, .qty] | @tsv'",
    "krakenwire stream ohlc -s ETH/USD --interval 5 --seconds 60",
    "krakenwire stream trade -s BTC/USD --since 15m",
)

CHANNELS = ("book", "trade", "ticker", "ohlc", "instrument")
_TOLD = (Disconnected, Connected, LeaderChanged, Stalled, BookInvalidated, BookQuarantined, BookResynced)
"""They explain what the stream shows or does not show."""


@reports_errors
def stream(
    channels: Annotated[
        list[str],
        typer.Argument(
            metavar="CHANNEL", help=", ".join(CHANNELS) + " (of everything).", autocompletion=lambda: list(CHANNELS)
        ),
    ],
    *,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol",
            "-s",
            metavar="SYMBOL",
            help="As in BTC/USD; repeat it, or separate by commas; `all` is every instrument that trades.",
            show_default=False,
        ),
    ] = None,
    depth: DepthOption = 10,
    interval: Annotated[int, typer.Option("--interval", metavar="MIN", help="Of ohlc: minutes of a candle.")] = 1,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Of trade alone, or ohlc alone: begin so long ago (90s, 15m, 2h, 1d), or at a time "
            "(2026-11-22T14:00:00Z); history comes by REST.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, metavar="N", help="End after so many events.", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, metavar="S", help="End after so long.", show_default=False)
    ] = None,
    url: UrlOption = None,
    mirror: MirrorOption = False,
    metrics_port: MetricsPortOption = None,
    metrics_addr: MetricsAddrOption = DEFAULT_ADDR,
    bundles: BundlesOption = None,
    journal: JournalOption = None,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> None:
    """Print events as they happen, one a line, until Ctrl-C.

    What is lost because this command is not fast enough, or on the way, stands in the stream as a Loss. Connects,
    disconnects and books that are fetched again are told on stderr.
    """
    wanted = split_symbols(symbols)
    if not wanted and any(channel != "instrument" for channel in channels):
        raise UsageError("name at least one symbol, as in --symbol BTC/USD, or all of them by --symbol all")
    asyncio.run(
        _stream(
            channels,
            "all" if wanted == ["all"] else wanted,
            depth=depth,
            interval=interval,
            since=since_of(since),
            count=count,
            seconds=seconds,
            url=url,
            mirror=mirror,
            metrics=(metrics_port, metrics_addr),
            bundles=bundles,
            journal=journal,
            resume=resume,
            json=json,
        )
    )


async def _stream(
    channels: list[str],
    symbols: list[str] | Literal["all"],
    *,
    depth: int,
    interval: int,
    since: Since | None,
    count: int | None,
    seconds: float | None,
    url: str | None,
    mirror: bool,
    metrics: tuple[int | None, str],
    bundles: str | None,
    journal: str | None,
    resume: bool,
    json: bool,
) -> None:
    notes = _Notes()
    printer = _Printer(count, json)
    client = make_client(url, mirror=mirror, bundles=bundles, journal=journal, resume=resume, on_events=notes.tell)
    # Made before the client is connected: what cannot be asked for is refused at once.
    reader = client.stream(
        *channels,
        symbols=symbols,
        depth=depth,
        interval=interval,
        since=since,
        policy="drop_oldest",  # a book's messages are wanted one by one here, not the newest only
        on_loss="yield",
    )
    with Interrupt() as interrupt:
        async with interrupt.ends(), serve_metrics(client, *metrics), client, reader:
            notes.are_wanted = True
            try:
                async with interrupt.ends(seconds):
                    await printer.run(reader)
            finally:
                notes.are_wanted = False  # what follows is only our own close
    dropped = reader.statistics().dropped
    lost = f", {dropped} dropped" if dropped else ""
    plural = "" if printer.printed == 1 else "s"
    typer.echo(f"{printer.printed} event{plural}{lost}", err=True)


class _Printer:
    """Prints events, `count` at most, and counts them: those of the past too, which are in no reader's account."""

    def __init__(self, count: int | None, json: bool) -> None:
        self.printed = 0
        self._count = count
        self._json = json

    async def run(self, reader: Reader[Event]) -> None:
        """Print what `reader` gives."""
        async for event in reader:
            if self._json:
                print_json(as_object(event))
            else:
                print_line(as_line(event))
            self.printed += 1
            if self.printed == self._count:
                return


class _Notes:
    """What happens to the connection while events are printed, told on stderr."""

    def __init__(self) -> None:
        self.are_wanted = False

    def tell(self, events: Sequence[Event]) -> None:
        """Tell what is worth telling."""
        for event in events:
            if isinstance(event, _TOLD if self.are_wanted else RunResumed):
                typer.echo(as_line(event), err=True)
