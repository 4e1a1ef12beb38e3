"""A simulated exchange on real sockets, in a thread of its own, for tests of any client in any style."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar

from krakenwire.errors import UsageError
from krakenwire.sim.certificate import Certificate
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.instruments import select
from krakenwire.sim.server import SimulatorServer

from .arguments import AccountsGiven, FaultsGiven, check_rate, make_accounts, make_script
from .face import ExchangeFace

__all__ = ["SimulatorThread"]

T = TypeVar("T")


class SimulatorThread(ExchangeFace):
    """A simulated Kraken on loopback sockets, with an event loop of its own in a thread of its own.

    For tests that are not asynchronous, for clients of other makes, and for what must be tested over real sockets.

    ```python
    with SimulatorThread(symbols=["BTC/USD"], seed=7) as sim:
        subprocess.run(["my-bot"], env={**os.environ, **sim.env()})
        assert sim.orders("alice") == []
    ```

    Every method may be called from any thread but its own; each blocks for the moment that it takes.

    Args:
        symbols: what is traded, of the simulator's own listing; all of it if None.
        accounts: who trades, as `Simulator` has it.
        seed: where all chance comes from; over sockets the timing is real, so that only the prices repeat themselves.
        rate: market data frames a second over all streams; 0 and the market stands still.
        tls: serve `wss` and `https`, with a certificate of its own; `ca_file` is what clients must trust. Needs the
            extra `sim`, as REST does.
        faults: what goes wrong, as `Simulator` has it.

    Raises:
        UnknownSymbol: the simulator does not list one of `symbols`.
        UsageError: for an argument that cannot work.
    """

    def __init__(
        self,
        symbols: Iterable[str] | None = None,
        *,
        accounts: AccountsGiven = None,
        seed: int = 0,
        rate: float = 100.0,
        tls: bool = False,
        faults: FaultsGiven = (),
    ) -> None:
        self._symbols = None if symbols is None else [listing.symbol for listing in select(symbols)]
        self._accounts = make_accounts(accounts)
        self._seed = seed
        self._rate = check_rate(rate)
        self._tls = tls
        self._certificate: Certificate | None = None
        self._script = make_script(faults, seed)
        self._server: SimulatorServer | None = None
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._state = "new"

    def start(self) -> Self:
        """Bind and begin to serve.

        Raises:
            OSError: no address can be bound.
            UsageError: it was started before, or serving needs what is not installed.
        """
        if self._state != "new":
            raise UsageError("this simulator was started before; make another one")
        self._certificate = Certificate() if self._tls else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="krakenwire simulator", daemon=True)
        self._thread.start()
        self._state = "open"
        try:
            self._server = self._wait(self._serve())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Close every connection and the ports, and end the thread; harmless when repeated."""
        if self._state != "open":
            return
        self._state = "closed"
        try:
            if self._certificate is not None:
                self._certificate.remove()
            if self._server is not None:
                self._wait(self._server.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server(self) -> SimulatorServer:
        """The server; what it has beyond this class must be called on its own loop, by `run`.

        Raises:
            UsageError: it is not started, or closed.
        """
        if self._server is None or self._state != "open":
            raise UsageError("this simulator is not open; use it inside its `with`")
        return self._server

    @property
    def url(self) -> str:
        """The public WebSocket."""
        return self.server.url

    @property
    def auth_url(self) -> str:
        """The private and trading WebSocket."""
        return self.server.auth_url

    @property
    def l3_url(self) -> str:
        """The level3 WebSocket."""
        return self.server.l3_url

    @property
    def rest_url(self) -> str:
        """The base of the REST API. Raises UsageError if the extra `sim` is not installed."""
        if not _has_extra():
            raise UsageError("REST needs the extra `sim`: pip install 'krakenwire[sim]'")
        return self.server.rest_url

    @property
    def ca_file(self) -> Path:
        """The certificate (PEM) that clients must trust. Raises UsageError without `tls=True`."""
        _ = self.server
        if self._certificate is None:
            raise UsageError("this simulator speaks no TLS; make it with tls=True")
        return self._certificate.ca_file

    def env(self, account: str | None = None) -> dict[str, str]:
        """The environment variables that point a client here.

        They are the URLs, as `krakenwire` and Kraken's own tools read them; with TLS, what OpenSSL and requests are to
        trust; and the key and secret of `account`, if one is named.
        """
        env = self.server.env()
        if self._certificate is not None:
            env |= self._certificate.env()
        if account is not None:
            credentials = self.credentials(account)
            env |= {"KRAKEN_API_KEY": credentials.key, "KRAKEN_API_SECRET": credentials.secret}
        return env

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the simulator's own loop, `sim.server.drop_connections()` say; returns what it gives."""
        _ = self.server
        return self._wait(work)

    # --- inside ---------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[Exchange], T]) -> T:
        exchange = self.server.exchange

        async def there() -> T:
            return work(exchange)

        return self._wait(there())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError("the simulator's own thread cannot wait for itself")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _serve(self) -> SimulatorServer:
        server = SimulatorServer(
            symbols=self._symbols,
            accounts=self._accounts,
            seed=self._seed,
            rate=self._rate,
            rest_port=0 if _has_extra() else None,
            tls=None if self._certificate is None else self._certificate.server_context(),
        )
        server.exchange.faults.play(self._script)
        await server.start()
        return server


def _has_extra() -> bool:
    return find_spec("aiohttp") is not None
