"""A simulated exchange inside a test: no sockets, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlencode

from krakenwire.client import Client
from krakenwire.clock import NS_PER_S
from krakenwire.errors import ConnectFailed, RestFailed, UsageError
from krakenwire.net.endpoints import Endpoints
from krakenwire.net.transport import Listener, Transport
from krakenwire.net.upgrade import upgrade_refused
from krakenwire.protocol.options import Options
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.market.market import SIMULATED_START_NS
from krakenwire.sim.peer import Door
from krakenwire.sim.rest.api import RestApi

from .arguments import AccountsGiven, FaultsGiven, check_rate, make_accounts, make_script
from .clock import SettlingClock
from .connection import BareConnection
from .face import ExchangeFace
from .wire import MemoryWire

__all__ = ["Simulator"]

T = TypeVar("T")

STEP_S = 0.05
"""How far `until` moves the clock between two looks."""

MESSAGE_BURST = 100
"""Requests that a client may send at once; the exchange takes twice as many."""

HTTP_OK = 200

URLS: dict[Door, str] = {
    "public": "wss://ws.simulator/v2",
    "auth": "wss://ws-auth.simulator/v2",
    "l3": "wss://ws-l3.simulator/v2",
}
"""Nobody resolves these: the connector takes them for what they mean."""


class Simulator(ExchangeFace):
    """A simulated Kraken for tests, in the test's own process.

    ```python
    async with Simulator(symbols=["BTC/USD"], seed=7) as sim, sim.client("alice") as kraken:
        task = asyncio.create_task(bot(kraken))
        sim.inject("lose_update", symbol="BTC/USD", after=1.0)
        await sim.advance(30)
    ```

    Nothing happens until `advance` moves the clock: then the market moves, heartbeats go out, and what waits on the
    clock (the clients' own timers, a bot's `kraken.sleep`) is woken, each at its moment and one after the other. The
    same seed and the same calls give the same frames and events, byte for byte.

    It has the three WebSocket doors; of REST its clients have the public calls, without a socket. Use it as a context
    manager; it belongs to the event loop it was entered on.

    Args:
        symbols: what is traded, of the simulator's own listing; all of it if None.
        accounts: who trades: a TOML file, or the funds of each account by asset, as in
            `{"alice": {"USD": "10000", "BTC": 1}}`; by default `alice` and `bob`, who are rich, and poor `carol`.
        seed: where all chance comes from.
        rate: market data frames a second of simulated time, over all streams; 0 and the market stands still.
        faults: what goes wrong when: the TOML file of a script, or faults as the command line has them, as in
            `["lose_update:symbol=BTC/USD@5s"]`.
        start_ns: the time at first, UTC nanoseconds.

    Attributes:
        clock: the time of everything in here.
        exchange: the exchange itself.
        endpoints: the URLs that `connector` knows.

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
        rate: float = 10.0,
        faults: FaultsGiven = (),
        start_ns: int = SIMULATED_START_NS,
    ) -> None:
        self.clock = SettlingClock(start_ns)
        self.endpoints = Endpoints(
            public=URLS["public"], auth=URLS["auth"], l3=URLS["l3"], rest="https://api.simulator"
        )
        self.exchange = Exchange(
            symbols=symbols,
            accounts=make_accounts(accounts),
            rate=check_rate(rate),
            clock=self.clock,
            seed=seed,
        )
        self._rest = RestApi(self.exchange)
        self._random = Random(seed)
        self._doors = {url: door for door, url in URLS.items()}
        self._state: Literal["new", "open", "closed"] = "new"
        self._is_advancing = False
        self._script = make_script(faults, seed)

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise UsageError("this simulator was entered before; make another one")
        self.exchange.faults.play(self._script)
        await self.exchange.start()
        self._state = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = "closed"
        await self.exchange.close()

    # --- who connects ---------------------------------------------------------------------------------------

    def client(self, account: str | None = None, **options: Any) -> Client:
        """A client of this exchange, whose clock is the simulator's; to be entered or connected by the caller.

        Args:
            account: whose it is. A `Client` has only public data yet, so that this is checked and otherwise without
                effect; act for an account with `place`, `amend` and `cancel`.
            options: as `Client` takes them, but `endpoints`, `clock` and `connector`. Without `options` its jitter is
                seeded by the simulator, and its first hundred requests go out without pacing; without `rest` it has
                the simulator's REST.

        Raises:
            UsageError: there is no such account, or an option that cannot work in memory.
        """
        if options.get("io_thread"):
            raise UsageError(
                "a simulator in memory lives in the test's own thread, on the clock that the test moves: "
                "it has no client with io_thread=True; use krakenwire.testing.SimulatorThread for that"
            )
        if account is not None:
            self.exchange.accounts.credentials(account)
        # A client draws the seed of its jitter from the system, and paces its requests: nobody would move the clock
        # for a test that waits in `async with` for the fifth.
        seed = self._random.getrandbits(32)
        options.setdefault("options", Options(seed=seed, message_burst=MESSAGE_BURST))
        options.setdefault("rest", self.rest)
        return Client(self.endpoints, clock=self.clock, connector=self.connector, **options)

    async def connect(self, door: Door = "public") -> BareConnection:
        """A bare connection, for tests of the protocol itself.

        Raises:
            ConnectFailed: a fault refuses it.

        Cancellation: safe, it never waits.
        """
        connection = BareConnection(URLS[door])
        await connection.open(self.connector)
        return connection

    async def rest(self, call: str, params: tuple[tuple[str, str], ...] = ()) -> bytes:
        """A public call of the REST API (PROTOCOL 8.3), as a client's `rest=` makes it.

        Raises:
            RestFailed: a fault answers with another status than 200, or the simulator is not open.

        Cancellation: safe, it never waits.
        """
        if self._state != "open":
            raise RestFailed(call, f"the simulator is {self._state}, not open", retryable=False)
        self.clock.stir()
        status, body = self._rest.handle("GET", f"/0/public/{call}", urlencode(params))
        if status != HTTP_OK:
            retryable = status in (408, 429) or status >= 500
            raise RestFailed(call, f"HTTP {status}", status=status, retryable=retryable)
        return body

    async def connector(self, url: str, listener: Listener) -> Transport:
        """A `krakenwire.net.transport.Connector` that knows the URLs of `endpoints` and reaches nothing else.

        Raises:
            ConnectFailed: a fault refuses it, or the simulator is not open.
            UsageError: for any other URL.

        Cancellation: safe, it never waits.
        """
        door = self._doors.get(url)
        if door is None:
            raise UsageError(f"a simulator in memory has only {', '.join(self._doors)}; got {url!r}")
        if self._state != "open":
            raise ConnectFailed(url, f"the simulator is {self._state}, not open", retryable=False)
        faults = self.exchange.faults
        if faults.is_active and (refusal := faults.refuse_upgrade(door)) is not None:
            status, reason = refusal
            raise upgrade_refused(url, f"HTTP/1.1 {status} {reason}\r\n\r\n".encode(), reason, self.clock.now_ns())
        return MemoryWire(listener, self.clock.stir).open(self.exchange, door)

    # --- time -----------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The simulator's time, UTC nanoseconds."""
        return self.clock.now_ns()

    async def advance(self, seconds: float) -> None:
        """Let time pass; everything that is due on the way happens at its own moment.

        Returns when everything it set off has come to rest: what was sent is received, answered and handled.

        Raises:
            ValueError: `seconds` is less than 0.
            UsageError: it is running already, in another task; or something never comes to rest.

        Cancellation: partial; the clock may stand anywhere up to the goal.
        """
        if self._is_advancing:
            raise UsageError("the clock is being advanced already; only one task may do that at a time")
        self._is_advancing = True
        try:
            await self.clock.advance(seconds)
        finally:
            self._is_advancing = False

    async def settle(self) -> None:
        """Let everything come to rest without moving time: `advance(0)`."""
        await self.advance(0)

    async def until(self, awaitable: Awaitable[T], timeout: float = 60.0) -> T:
        """Advance the clock until `awaitable` is done, looking every 50 ms; returns what it gives.

        Args:
            awaitable: what to wait for, as in `await sim.until(book.synced())`.
            timeout: simulated seconds.

        Raises:
            TimeoutError: it was not done by then; it is cancelled.

        Cancellation: partial; the clock has moved, and `awaitable` is cancelled.
        """
        work = asyncio.ensure_future(awaitable)
        deadline_ns = self.clock.monotonic_ns() + round(timeout * NS_PER_S)
        try:
            await self.settle()
            while not work.done():
                if self.clock.monotonic_ns() >= deadline_ns:
                    raise TimeoutError(f"what was waited for did not happen within {timeout:g} simulated seconds")
                await self.advance(STEP_S)
            return work.result()
        finally:
            if work.cancel():
                await asyncio.wait([work])

    def _run(self, work: Callable[[Exchange], T]) -> T:
        return work(self.exchange)
