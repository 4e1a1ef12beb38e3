"""The book that a user holds: live, always as of the last message applied."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from krakenwire.book.figures import BookSide, Figures
from krakenwire.book.reasons import TOP
from krakenwire.book.snapshot import BookSnapshot, import_numpy, level_count
from krakenwire.errors import BookUnsynced, ConnectionClosed, anew
from krakenwire.events import Level

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from krakenwire.book.kernel import BookState

__all__ = ["Book"]


class Book(Figures):
    """A live view of one book. It belongs to the thread of the loop that it was opened on; `snapshot` is for any other.

    Reading levels, or what derives from them, raises `BookUnsynced` while the book's top ten is not proven; `stale` has
    the last state even then.

    The client keeps it up: `attach` gives it the state to show, `notify` tells that this changed, `release` ends it.

    Args:
        symbol: whose book it is.
        depth: levels a side to show, at most those of the states it will be attached to.
    """

    __slots__ = ("_error", "_last", "_reason", "_seen", "_state", "_version", "_waiters", "depth", "symbol")

    def __init__(self, symbol: str, depth: int) -> None:
        self.symbol = symbol
        self.depth = depth
        self._state: BookState | None = None
        self._reason = "empty"
        self._last: BookSnapshot | None = None
        self._error: BaseException | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._version = 0
        self._seen = 0

    def __repr__(self) -> str:
        return f"<Book {self.symbol} depth={self.depth} {self.reason or 'synced'}>"

    # --- what it shows

    @property
    def bids(self) -> tuple[Level, ...]:
        """All bids, best first."""
        return tuple(self._best("bids", self.depth))

    @property
    def asks(self) -> tuple[Level, ...]:
        """All asks, best first."""
        return tuple(self._best("asks", self.depth))

    @property
    def checksum(self) -> int | None:
        """CRC32 of the top ten (PROTOCOL 6), ours, as of the last message; None before the first snapshot."""
        return None if self._state is None else self._state.checksum

    @property
    def is_synced(self) -> bool:
        """Whether the book can be read."""
        return self._state is not None and self._state.status == "synced"

    @property
    def reason(self) -> str | None:
        """Why the book cannot be read (see `BookUnsynced.reason`); None if it can."""
        return None if self.is_synced else self._unsynced().reason

    @property
    def proven_levels(self) -> int:
        """How many levels a side are proven to be Kraken's: those the checksum covers, or 0 without one."""
        state = self._state
        return min(TOP, self.depth) if state is not None and state.status == "synced" and state.proven else 0

    @property
    def updated_ns(self) -> int | None:
        """When the last message applied was received, UTC in nanoseconds; None if there was none."""
        return None if self._state is None else self._state.stamp.received_ns or None

    @property
    def exchange_ns(self) -> int | None:
        """Kraken's time of the last message applied, in nanoseconds since the epoch; None if it told none."""
        return None if self._state is None else self._state.exchange_ns

    def snapshot(self, levels: int | None = None) -> BookSnapshot:
        """The book as of now, frozen: the best `levels` a side, or all.

        Raises:
            BookUnsynced: the book is not synced.
            UsageError: `levels` is not positive.
        """
        n = level_count(levels, self.depth)
        self._readable()
        return self._freeze(n)

    @property
    def stale(self) -> BookSnapshot:
        """The last state there was, synced or not; never raises. What it shows may be wrong: see its `synced`."""
        return self._freeze(self.depth)

    def to_numpy(self, levels: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bids and asks, best first, as float64 arrays of shape (n, 2): price, qty. Floats are not exact.

        Raises:
            BookUnsynced: the book is not synced.
            UsageError: NumPy is not installed, or `levels` is not positive.
        """
        import_numpy()
        import numpy as np

        n = level_count(levels, self.depth)
        state = self._readable()
        bids = np.empty((min(n, state.count("bids")), 2))
        asks = np.empty((min(n, state.count("asks")), 2))
        state.fill("bids", bids)
        state.fill("asks", asks)
        return bids, asks

    # --- waiting for it

    async def changed(self) -> None:
        """Wait until a message is applied, or the book becomes synced or unsynced.

        Returns at once if that has happened since `changed` or `synced` last returned, so that a loop of reading and
        waiting misses nothing, whatever else it awaits in between. What happens meanwhile counts as one change.

        Raises:
            ConnectionClosed: the book was released, before or meanwhile.

        Cancellation: safe, no effect.
        """
        waiter = self._wait_for_news()
        if waiter is not None:
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        if self._error is not None:
            raise anew(self._error)
        self._seen = self._version

    async def synced(self, timeout: float | None = None) -> None:
        """Wait until the book is synced; returns at once if it is.

        Args:
            timeout: seconds, or None to wait for ever.

        Raises:
            TimeoutError: it was not synced in time.
            ConnectionClosed: the book was released, before or meanwhile.

        Cancellation: safe, no effect.
        """
        async with asyncio.timeout(timeout):
            while not self.is_synced:
                await self.changed()
        self._seen = self._version

    # --- for the client

    def attach(self, state: BookState | None, reason: str = "disconnected") -> None:
        """Show `state` from now on; or nothing, for `reason`, while `stale` goes on giving what was shown last."""
        is_first = self._state is None and self._last is None
        if state is None and self._state is not None:
            self._last = replace(self._freeze(self.depth), synced=False)
        self._state = state
        self._reason = reason
        if not is_first:  # an empty book that becomes another empty book is no news
            self.notify()

    def notify(self) -> None:
        """The state changed: wake whoever waits."""
        self._version += 1
        if self._waiters:
            waiters, self._waiters = tuple(self._waiters), set()
            for waiter in waiters:
                self._wake(waiter)

    def release(self, error: BaseException | None = None) -> None:
        """The book is kept no longer: whoever waits, now or later, gets `error`, by default `ConnectionClosed`.

        What a book that was released before was released with stands.
        """
        self._error = self._error or error or ConnectionClosed(f"the book of {self.symbol} was closed")
        self.attach(None)
        self.notify()

    # --- inside

    def _wait_for_news(self) -> asyncio.Future[None] | None:
        """What `notify` will set; None if there is news already."""
        if self._seen != self._version or self._error is not None:
            return None
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        return waiter

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def _unsynced(self) -> BookUnsynced:
        return BookUnsynced(self.symbol, self._reason if self._state is None else self._state.reason)

    def _readable(self) -> BookState:
        if self._state is None or self._state.status != "synced":
            raise self._unsynced()
        return self._state

    def _best(self, side: BookSide, n: int) -> list[Level]:
        return self._readable().levels(side, min(n, self.depth))

    def _freeze(self, n: int) -> BookSnapshot:
        state = self._state
        if state is None:
            return self._last or BookSnapshot(
                symbol=self.symbol,
                depth=self.depth,
                bids=(),
                asks=(),
                checksum=None,
                exchange_ns=None,
                received_ns=None,
                synced=False,
            )
        return BookSnapshot(
            symbol=self.symbol,
            depth=self.depth,
            bids=tuple(state.levels("bids", n)),
            asks=tuple(state.levels("asks", n)),
            checksum=state.checksum,
            exchange_ns=state.exchange_ns,
            received_ns=state.stamp.received_ns or None,
            synced=state.status == "synced",
        )
