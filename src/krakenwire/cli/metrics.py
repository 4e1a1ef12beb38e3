"""Metrics of a command's client over HTTP: the options `--metrics-port` and `--metrics-addr`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated, Any

import typer

from krakenwire.cli.exits import complain
from krakenwire.client import Client
from krakenwire.errors import UsageError

__all__ = ["DEFAULT_ADDR", "MetricsAddrOption", "MetricsPortOption", "serve_metrics"]

MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65535,
        metavar="N",
        help="Serve Prometheus metrics on this port; 0 has the system choose one.",
        show_default=False,
    ),
]
MetricsAddrOption = Annotated[
    str, typer.Option("--metrics-addr", metavar="H", help="The address that metrics are served on.")
]
DEFAULT_ADDR = "127.0.0.1"


def serve_metrics(client: Client, port: int | None, addr: str) -> AbstractAsyncContextManager[Any]:
    """Serve the metrics of `client` for the time of an `async with`, and say where; nothing, if `port` is None.

    Raises:
        UsageError: the extra is missing, or it cannot listen there.
    """
    if port is None:
        return nullcontext()
    try:
        from krakenwire.metrics import start_metrics
    except ImportError:
        raise UsageError("--metrics-port needs the extra `metrics`: pip install 'krakenwire[metrics]'") from None
    server = start_metrics(client, port, addr)
    complain(f"metrics are served at {server.url}")
    return server
