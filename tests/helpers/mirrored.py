"""A mirrored client of a simulated exchange, readers that keep books from updates alone, and what was true when.

The truth comes over connections of its own that no fault touches, and is kept by a model that shares no code with the
library.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Self

from helpers.frames import Pair
from krakenwire import BookUpdate, Client, ConnectBudget, Event, Loss, Options, Reader, Stamp, Ticker, Trade
from krakenwire.book.timestamps import parse_timestamp
from krakenwire.hub import OnLoss
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import State
from krakenwire.testing import BareConnection, Simulator

__all__ = ["Consumer", "Mirrored", "Truth", "is_whole"]

Content = tuple[tuple[Pair, ...], tuple[Pair, ...]]


def is_whole(session: Session) -> bool:
    """Whether a connection has all that was asked for, and every book is proven."""
    states = [session.books.get(symbol) for symbol in session.books]
    return (
        session.state is ConnectionState.OPEN
        and all(sub.state is State.ACTIVE for sub in session.table)
        and all(state is not None and state.status == "synced" for state in states)
    )


class Ladder:
    """One side of a book, best first."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[Decimal] = []
        self.pairs: list[Pair] = []

    def apply(self, pairs: Sequence[Pair], depth: int) -> None:
        for price, qty in pairs:
            key = self._sign * Decimal(price)
            at = bisect_left(self._keys, key)
            known = at < len(self._keys) and self._keys[at] == key
            if Decimal(qty) == 0:
                if known:
                    del self._keys[at], self.pairs[at]
            elif known:
                self.pairs[at] = (price, qty)
            else:
                self._keys.insert(at, key)
                self.pairs.insert(at, (price, qty))
        del self._keys[depth:], self.pairs[depth:]


class Model:
    """A book by the words of PROTOCOL 3.5, quick enough for many of depth 100."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids, self.asks = Ladder(-1), Ladder(1)

    def apply(self, bids: Sequence[Pair], asks: Sequence[Pair], *, snapshot: bool = False) -> int:
        """Apply a message; the checksum after it."""
        if snapshot:
            self.bids, self.asks = Ladder(-1), Ladder(1)
        self.bids.apply(bids, self.depth)
        self.asks.apply(asks, self.depth)
        return self.checksum()

    def checksum(self) -> int:
        top = (*self.asks.pairs[:10], *self.bids.pairs[:10])
        return zlib.crc32("".join(text.replace(".", "").lstrip("0") for pair in top for text in pair).encode())

    def content(self) -> Content:
        return tuple(self.bids.pairs), tuple(self.asks.pairs)


class Truth:
    """Every state that the books of one depth have had, by the exchange's time."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._states: defaultdict[str, dict[int, list[Content]]] = defaultdict(dict)
        self._times: defaultdict[str, list[int]] = defaultdict(list)
        self._models: dict[str, Model] = {}
        self._read = 0

    def read(self, connection: BareConnection) -> None:
        """Take the frames that came since."""
        for frame in connection.frames[self._read :]:
            message = json.loads(frame, parse_float=str)
            if message.get("channel") == "book":
                for item in message["data"]:
                    self._take(item, message["type"] == "snapshot")
        self._read = len(connection.frames)

    def at(self, symbol: str, exchange_ns: int) -> list[Content]:
        """What the book was at that time; a snapshot may tell a time at which nothing changed."""
        times = self._times[symbol]
        return self._states[symbol][times[bisect_right(times, exchange_ns) - 1]]

    def _take(self, item: dict[str, Any], snapshot: bool) -> None:
        symbol = item["symbol"]
        model = self._models.setdefault(symbol, Model(self.depth))
        bids, asks = ([(str(each["price"]), str(each["qty"])) for each in item[side]] for side in ("bids", "asks"))
        assert model.apply(bids, asks, snapshot=snapshot) == item["checksum"]
        exchange_ns = parse_timestamp(item["timestamp"])
        if exchange_ns not in self._states[symbol]:
            self._times[symbol].append(exchange_ns)
        self._states[symbol].setdefault(exchange_ns, []).append(model.content())


class Consumer:
    """What a reader makes of what it is given: books from updates alone, and all else in its order.

    Attributes:
        given: everything, in order.
        moments: (symbol, exchange_ns, whole content) after every book update.
    """

    def __init__(self, depth: int = 10) -> None:
        self.depth = depth
        self.given: list[Event] = []
        self.models: dict[str, Model] = {}
        self.moments: list[tuple[str, int, Content]] = []
        self.synthesised = 0
        self._last: dict[tuple[str, str], int] = {}

    async def read(self, reader: Reader[Any]) -> None:
        """Read to the end; a loss raises."""
        async for event in reader:
            self.given.append(event)
            if isinstance(event, BookUpdate):
                self._take_book(event)
            elif isinstance(event, Loss):
                self._last.pop((event.of or "", event.symbol or ""), None)
            elif isinstance(event, Trade):
                self._take_trade(event)
            elif isinstance(event, Ticker) and event.exchange_ns is not None:
                self._take_time(event.channel, event.symbol, event.exchange_ns)

    def _take_time(self, channel: str, symbol: str, exchange_ns: int) -> None:
        assert exchange_ns >= self._last.get((channel, symbol), 0), f"{channel} {symbol} went back in time"
        self._last[channel, symbol] = exchange_ns

    def _take_trade(self, trade: Trade) -> None:
        assert trade.trade_id is not None
        last = self._last.get(("trade", trade.symbol))
        assert last is None or trade.trade_id == last + 1, "a trade is missing, or came twice"
        self._last["trade", trade.symbol] = trade.trade_id

    def _take_book(self, update: BookUpdate) -> None:
        assert update.proven
        assert update.exchange_ns is not None
        self._take_time("book", update.symbol, update.exchange_ns)
        self.synthesised += update.synthesised
        model = self.models.setdefault(update.symbol, Model(self.depth))
        sides = ([(format(price, "f"), format(qty, "f")) for price, qty in side] for side in (update.bids, update.asks))
        checksum = model.apply(*sides, snapshot=update.type == "snapshot")
        assert checksum == update.checksum, f"{update} does not lead to the book it is about"
        self.moments.append((update.symbol, update.exchange_ns, model.content()))

    def check(self, truth: Truth, levels: int | None = None) -> None:
        """Every book it ever held was the exchange's at its time; only the best `levels`, if given."""
        for symbol, exchange_ns, (bids, asks) in self.moments:
            states = [tuple(side[:levels] for side in state) for state in truth.at(symbol, exchange_ns)]
            assert (bids[:levels], asks[:levels]) in states


class Mirrored:
    """A simulated exchange with a mirrored client, its readers, and the truth.

    Args:
        symbols: what is traded and read.
        depths: of books, read each by a reader of its own; in an order in which each needs a connection of its own.
        jitter: seconds that every frame may be late, each connection by its own chance.
        on_loss: of its readers.
        options: of the simulator.
    """

    def __init__(
        self,
        symbols: list[str],
        *,
        depths: tuple[int, ...] = (10, 100),
        jitter: float = 0.0,
        on_loss: OnLoss = "raise",
        **options: Any,
    ) -> None:
        self.symbols = symbols
        self.jitter = jitter
        self.on_loss: OnLoss = on_loss
        self.sim = Simulator(symbols=symbols, **options)
        self.log: list[Event] = []
        self.truths = {depth: Truth(depth) for depth in depths}
        self.books = {depth: Consumer(depth) for depth in depths}
        self.trades, self.tickers, self.candles, self.everything = Consumer(), Consumer(), Consumer(), Consumer()
        self.ids: dict[str, int] = {}
        """Number of the connection at the exchange, by our name."""
        self.client: Client
        self._bare: dict[int, BareConnection] = {}
        self.log_at_end: list[Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        sim = self.sim
        await sim.__aenter__()
        for depth in self.truths:
            bare = self._bare[depth] = await sim.connect()
            params = {"channel": "book", "symbol": self.symbols, "depth": depth}
            bare.send({"method": "subscribe", "params": params, "req_id": 1})
        await sim.settle()
        self.client = sim.client(
            mirror=True,
            on_events=self._note,
            options=Options(message_burst=100, seed=5),
            connect_budget=ConnectBudget(limit=10_000),
        )
        self._listen()
        await sim.until(self.client.connect())
        for depth, consumer in self.books.items():
            await self._open(
                self.client.books(*self.symbols, depth=depth, policy="drop_oldest", on_loss=self.on_loss), consumer
            )
        await self._open(self.client.trades(*self.symbols, on_loss=self.on_loss), self.trades)
        await self._open(self.client.ticker(*self.symbols, policy="drop_oldest", on_loss=self.on_loss), self.tickers)
        await self._open(self.client.ohlc(*self.symbols, on_loss=self.on_loss), self.candles)
        await sim.advance(2)
        return self

    async def __aexit__(self, *_: object) -> None:
        for depth, bare in self._bare.items():
            self.truths[depth].read(bare)
        self.log_at_end = self.log.copy()  # what the end of the client itself tells is another matter
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sim.until(self.client.close())
        await self.sim.__aexit__(None, None, None)
        for error in ended:
            if not isinstance(error, asyncio.CancelledError):
                raise AssertionError("a reader ended") from error  # noqa: TRY004  # it is no matter of types

    async def _open(self, reader: Reader[Any], consumer: Consumer) -> None:
        await self.sim.until(reader.__aenter__())
        self._tasks.append(asyncio.ensure_future(consumer.read(reader)))

    def _note(self, events: Sequence[Event]) -> None:
        self.log += events

    def _listen(self) -> None:
        """Learn the exchange's number of each connection from the status that it begins with (PROTOCOL 3.1)."""
        core = self.client.core
        receive = core.receive_frame

        def receive_frame(frame: bytes, stamp: Stamp) -> None:
            if b'"channel":"status"' in frame:
                number = self.ids[stamp.connection] = json.loads(frame)["data"][0]["connection_id"]
                if self.jitter:
                    self.sim.inject("delay", connection_id=number, seconds=0.0, up_to=self.jitter)
            receive(frame, stamp)

        core.receive_frame = receive_frame  # type: ignore[method-assign]  # the follower's status is not published

    @property
    def connections(self) -> list[str]:
        return [session.name for session in self.client.core.sessions]

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.log_at_end if isinstance(event, kind)]

    def session(self, connection: str) -> Session:
        session = self.client.core.session(connection)
        assert session is not None
        return session

    def other(self, connection: str) -> str:
        return connection[:-1] if connection.endswith("~") else f"{connection}~"

    def is_whole(self, connection: str) -> bool:
        """Whether it has all that was asked for, and every book is proven."""
        return is_whole(self.session(connection))

    async def until_whole(self, connection: str) -> None:
        for _ in range(2000):
            if self.is_whole(connection):
                return
            await self.sim.advance(0.05)
        raise AssertionError(f"{connection} does not come back")

    def cut(self, connection: str) -> None:
        """End a connection without a word."""
        self.sim.inject("cut", connection_id=self.ids[connection], code=1006)
