"""Metrics over HTTP, for Prometheus to scrape."""

from __future__ import annotations

import asyncio
import errno
import os
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, start_http_server

from krakenwire.client import Client
from krakenwire.errors import UsageError
from krakenwire.metrics.collector import ClientCollector

__all__ = ["MetricsServer", "start_metrics"]


class MetricsServer:
    """Serves the metrics of one or more clients at `/metrics`, in threads of its own, until it is closed.

    `async with` it, or call `close`. Nobody is asked who he is: bind it to an address that only your Prometheus
    reaches.

    Args:
        port: to listen on; 0 has the system choose one.
        addr: to listen on; by default only this machine reaches it.

    Attributes:
        collector: whose metrics are served; `add` further clients to it.
        port: it listens on.
        url: to scrape.

    Raises:
        UsageError: it cannot listen there; says why.
    """

    def __init__(self, port: int, addr: str = "127.0.0.1") -> None:
        if not 0 <= port <= 65535:
            raise UsageError(f"a port is within 0 to 65535, not {port!r}")
        self.collector = ClientCollector()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self.collector)
        try:
            self._server, self._thread = start_http_server(port, addr, registry)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            advice = "; port 0 has the system choose one" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(f"metrics cannot be served on {addr} port {port}: {why}{advice}") from None
        self.port: int = self._server.server_port
        self.url = f"http://{f'[{addr}]' if ':' in addr else addr}:{self.port}/metrics"

    def close(self) -> None:
        """Serve no longer and free the port, within half a second; harmless if done before."""
        self.collector.close()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.collector.close()  # here, where the clients may live
        await asyncio.to_thread(self.close)  # the event loop does not wait for the thread

    def __repr__(self) -> str:
        return f"<MetricsServer {self.url}>"


def start_metrics(client: Client, port: int, addr: str = "127.0.0.1", *, per_symbol: bool = False) -> MetricsServer:
    """Serve the metrics of `client` over HTTP.

    ::

        async with Client() as kraken, start_metrics(kraken, 9464):
            ...

    Args:
        client: whose metrics; before it is connected or after.
        port: to listen on; 0 has the system choose one, which `MetricsServer.port` tells.
        addr: to listen on; by default only this machine reaches it.
        per_symbol: tell what happens to books by symbol too: up to some thousands of series.

    Raises:
        UsageError: it cannot listen there; says why.
    """
    server = MetricsServer(port, addr)
    server.collector.add(client, per_symbol=per_symbol)
    return server
