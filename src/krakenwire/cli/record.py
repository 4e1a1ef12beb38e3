"""`krakenwire record`: a journal of everything that comes."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import typer

from krakenwire.cli.event_text import as_line
from krakenwire.cli.exits import WRONG, reports_errors
from krakenwire.cli.interrupt import Interrupt
from krakenwire.cli.metrics import DEFAULT_ADDR, MetricsAddrOption, MetricsPortOption, serve_metrics
from krakenwire.cli.options import (
    BundlesOption,
    DepthOption,
    JsonOption,
    MirrorOption,
    ResumeOption,
    UrlOption,
    make_client,
    split_symbols,
)
from krakenwire.cli.output import print_json, print_line
from krakenwire.cli.stream import CHANNELS
from krakenwire.client import Client
from krakenwire.clock import NS_PER_S, SystemClock
from krakenwire.errors import UsageError
from krakenwire.events import Event, JournalPaused, JournalResumed, JournalStopped, RunResumed
from krakenwire.hub import Reader
from krakenwire.journal.writing.options import JournalOptions, Sync, WhenFull
from krakenwire.journal.writing.statistics import RecorderStatistics

__all__ = ["EXAMPLES", "record"]

EXAMPLES = (
    "krakenwire record book trade -s BTC/USD -s ETH/USD --out tape",
    "krakenwire record trade --symbol all --out /data/kraken --keep-hours 720",
    "krakenwire record book -s BTC/USD --depth 1000 --out tape --sync always --seconds 60",
    "krakenwire record book -s BTC/USD --out tape --mirror --json | jq .flushed_n",
    "krakenwire record trade -s BTC/USD --out tape --resume",
)

MB = 1_000_000
MINUTE_S, HOUR_S = 60.0, 3600.0
LEAST = 0.01
"""Of options that are seconds, minutes, hours or megabytes: less makes no sense."""
DEFAULTS = JournalOptions(directory=".")


@reports_errors
def record(
    channels: Annotated[
        list[str],
        typer.Argument(
            metavar="CHANNEL", help=", ".join(CHANNELS) + " (of everything).", autocompletion=lambda: list(CHANNELS)
        ),
    ],
    *,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The journal: a directory, made if it is not there, gone on with if it is.",
        ),
    ],
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
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, metavar="S", help="End after so long.", show_default=False)
    ] = None,
    sync: Annotated[
        Sync,
        typer.Option(
            "--sync",
            help="When fsync is called. That is for power cuts: what was written before the process is killed is safe "
            "under all of them.",
        ),
    ] = DEFAULTS.sync,
    sync_every: Annotated[
        float, typer.Option("--sync-every", min=LEAST, metavar="S", help="Seconds between two fsyncs of `interval`.")
    ] = DEFAULTS.sync_every,
    flush_every: Annotated[
        float,
        typer.Option(
            "--flush-every",
            min=LEAST,
            metavar="S",
            help="Seconds until what came is written: what a killed process loses.",
        ),
    ] = DEFAULTS.flush_every,
    segment_mb: Annotated[
        float,
        typer.Option("--segment-mb", min=LEAST, metavar="N", help="A segment ends at so many megabytes, compressed."),
    ] = round(DEFAULTS.segment_bytes / MB),
    segment_minutes: Annotated[
        float, typer.Option("--segment-minutes", min=LEAST, metavar="N", help="And when it is so old.")
    ] = DEFAULTS.segment_seconds / MINUTE_S,
    keep_hours: Annotated[
        float | None,
        typer.Option(
            "--keep-hours", min=LEAST, metavar="N", help="Remove segments that are older.", show_default=False
        ),
    ] = None,
    keep_mb: Annotated[
        float | None,
        typer.Option(
            "--keep-mb",
            min=LEAST,
            metavar="N",
            help="Remove the oldest segments beyond so many megabytes.",
            show_default=False,
        ),
    ] = None,
    when_full: Annotated[
        WhenFull, typer.Option("--when-full", help="What a full disk leads to: pause, and try again; or stop and end.")
    ] = DEFAULTS.when_full,
    every: Annotated[
        float, typer.Option("--every", min=0.01, metavar="S", help="Seconds between two reports of progress.")
    ] = 1.0,
    url: UrlOption = None,
    mirror: MirrorOption = False,
    resume: ResumeOption = False,
    metrics_port: MetricsPortOption = None,
    metrics_addr: MetricsAddrOption = DEFAULT_ADDR,
    bundles: BundlesOption = None,
    json: JsonOption = False,
) -> None:
    """Record everything that comes, and what was sent, into a journal, until Ctrl-C.

    How it goes is shown on stderr; with --json it is an object a second on stdout, the last of which is the summary.
    Ends with 1 if something that came is not in the journal, as when the disk was full. `krakenwire replay` plays a
    journal, `krakenwire journal` looks into one.
    """
    wanted = split_symbols(symbols)
    if not wanted and any(channel != "instrument" for channel in channels):
        raise UsageError("name at least one symbol, as in --symbol BTC/USD, or all of them by --symbol all")
    options = JournalOptions(
        directory=out,
        segment_bytes=round(segment_mb * MB),
        segment_seconds=segment_minutes * MINUTE_S,
        keep_seconds=None if keep_hours is None else keep_hours * HOUR_S,
        keep_bytes=None if keep_mb is None else round(keep_mb * MB),
        sync=sync,
        sync_every=sync_every,
        flush_every=flush_every,
        when_full=when_full,
    )
    recording = _Recording(out, every=every, json=json, resume=resume)
    client = make_client(
        url, mirror=mirror, bundles=bundles, journal=options, resume=resume, on_events=recording.tell_resumed
    )
    reader = client.stream(
        *channels,
        symbols="all" if wanted == ["all"] else wanted,
        depth=depth,
        interval=interval,
        policy="drop_oldest",
        capacity=1,  # nobody reads it: it only has the streams come
        on_loss="yield",
    )
    ended = asyncio.run(recording.run(client, reader, seconds, (metrics_port, metrics_addr)))
    if ended.gaps or ended.state == "stopped" or ended.flushed_n < ended.n:
        raise typer.Exit(WRONG)


class _Recording:
    """One run, and what is shown of it."""

    def __init__(self, directory: str, *, every: float, json: bool, resume: bool) -> None:
        self._client: Client
        self._directory = directory
        self._frames_before = 0
        self._every = every
        self._json = json
        self._resume = resume
        self._clock = SystemClock()
        self._began_ns = self._clock.monotonic_ns()
        self._is_terminal = sys.stderr.isatty()
        self._last: tuple[int, int, int] | None = None
        self._is_over = False

    def tell_resumed(self, events: Sequence[Event]) -> None:
        """Say on stderr from where it goes on: nobody else is there when that is published."""
        for event in events:
            if isinstance(event, RunResumed):
                self._frames_before = self._client.core.frames
                typer.echo(as_line(event), err=True)

    async def run(
        self, client: Client, reader: Reader[Any], seconds: float | None, metrics: tuple[int | None, str]
    ) -> RecorderStatistics:
        """Record until interrupted or stopped. Cancellation: safe, the journal is closed."""
        self._client = client
        with Interrupt() as interrupt:
            async with interrupt.ends(), serve_metrics(client, *metrics), client, reader:
                if self._resume and client.resumed is None:
                    typer.echo(f"{self._directory}: there was nothing to go on from; a new journal is begun", err=True)
                showing = asyncio.ensure_future(self._show())
                try:
                    async with interrupt.ends(seconds):
                        await self._tell_of_trouble()
                finally:
                    self._last = self._figures()  # the close lets go of all books
                    showing.cancel()
                    self._clear_line()
        self._is_over = True
        recording = self._recording()
        if self._json:
            print_json(self._as_object(recording, "summary"))
        else:
            print_line(f"{self._directory}: {self._as_text(recording)}")
        return recording

    async def _show(self) -> None:
        """Tell how it goes, again and again. Cancellation: safe, no effect."""
        while True:
            if self._json:
                print_json(self._as_object(self._recording(), "progress"))
            elif self._is_terminal:
                self._write(f"\r{self._as_text(self._recording())[: self._width]:{self._width}}")
            await asyncio.sleep(self._every)

    async def _tell_of_trouble(self) -> None:
        """Say on stderr what happens to the recording, until it is stopped. Cancellation: safe, no effect."""
        async for event in self._client.lifecycle():
            if isinstance(event, JournalPaused | JournalResumed | JournalStopped):
                self._clear_line()
                typer.echo(as_line(event), err=True)
            if isinstance(event, JournalStopped):
                return

    def _recording(self) -> RecorderStatistics:
        recording = self._client.recording()
        assert recording is not None  # noqa: S101  # the client was given a journal
        return recording

    def _as_object(self, recording: RecorderStatistics, kind: Literal["progress", "summary"]) -> dict[str, Any]:
        frames, books, synced = self._figures()
        return {
            "kind": kind,
            "seconds": round(self._seconds, 3),
            "frames": frames,
            "books": books,
            "books_synced": synced,
            **msgspec.structs.asdict(recording),
        }

    def _as_text(self, recording: RecorderStatistics) -> str:
        frames, books, synced = self._figures()
        ratio = recording.raw_bytes / max(recording.written_bytes, 1)
        text = (
            f"{frames:,} frames, {self._seconds:,.0f} s, {recording.written_bytes / MB:,.2f} MB "
            f"({ratio:.1f} times smaller), {recording.segments} segment{'s' * (recording.segments != 1)}"
        )
        if books:
            text += f", {synced} of {books} books synced"
        if recording.gaps or recording.lost:
            text += f", {recording.lost:,} inputs LOST in {recording.gaps} gaps"
        if self._is_over and recording.flushed_n < recording.n:
            text += f", the last {recording.n - recording.flushed_n:,} inputs are NOT in it"
        return text if recording.state in ("recording", "closed") else f"{text}, {recording.state.upper()}"

    def _figures(self) -> tuple[int, int, int]:
        """Frames, books, and those that are synced."""
        if self._last is not None:
            return self._last
        connections = self._client.core.connection_statistics()
        books, synced = (sum(getattr(each, name) for each in connections) for name in ("books", "synced"))
        return self._client.core.frames - self._frames_before, books, synced

    @property
    def _width(self) -> int:
        """What fits on a line of the terminal, that may have been resized."""
        return shutil.get_terminal_size().columns - 1

    @property
    def _seconds(self) -> float:
        return (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S

    def _clear_line(self) -> None:
        if self._is_terminal and not self._json:
            self._write(f"\r{'':{self._width}}\r")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
