"""The face that every source of market data shows: live client and, later, replay and others alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Literal, overload

import msgspec

from krakenwire.book import BookUpdate
from krakenwire.errors import UsageError
from krakenwire.events import LIFECYCLE, Asset, Instrument, Loss, Ohlc, Ticker, Trade
from krakenwire.hub import Interest, OnLoss, Policy, Reader
from krakenwire.hub.inbox import DEFAULT_CAPACITY

__all__ = ["StreamRequest", "Streams", "Symbols"]

Symbols = Iterable[str] | Literal["all"]
"""Symbols, or `all`: every instrument that trades, new listings followed."""

_CONFLATED = frozenset({"book", "ticker"})


class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader is asked for; the arguments of `Streams.stream`, checked for what can be checked offline."""

    channels: tuple[str, ...]
    symbols: tuple[str, ...] | Literal["all"]
    depth: int = 10
    interval: int = 1
    event_trigger: str = "trades"
    policy: Policy = "drop_oldest"
    capacity: int = DEFAULT_CAPACITY
    on_loss: OnLoss = "raise"

    def __post_init__(self) -> None:
        if not self.channels:
            raise UsageError("name at least one channel: book, trade, ticker, ohlc or instrument")
        if not self.symbols and any(channel != "instrument" for channel in self.channels):
            raise UsageError("name at least one symbol, as in 'BTC/USD', or symbols='all' with stream()")


class Streams(ABC):
    """Streams of market data, each a `Reader`.

    Common arguments: `policy` says what happens when the reader is slow (`drop_oldest`, `conflate`, `disconnect`),
    `capacity` how many events may wait, `on_loss` whether a loss raises `DataLost` or stands in the stream as a
    `Loss`. By default books and tickers conflate, everything else drops the oldest and says so.
    """

    @abstractmethod
    def now_ns(self) -> int:
        """UTC by the source's clock, nanoseconds."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait on the source's clock. Cancellation: safe, no effect."""

    @abstractmethod
    def _read(self, request: StreamRequest) -> Reader[Any]:
        """A reader of market data."""

    @abstractmethod
    def _observe(self, interest: Interest, policy: Policy, capacity: int, on_loss: OnLoss) -> Reader[Any]:
        """A reader of what happens anyway; it subscribes to nothing."""

    @overload
    def trades(
        self, *symbols: str, policy: Policy = ..., capacity: int = ..., on_loss: Literal["raise"] = ...
    ) -> Reader[Trade]: ...
    @overload
    def trades(
        self, *symbols: str, policy: Policy = ..., capacity: int = ..., on_loss: OnLoss
    ) -> Reader[Trade | Loss]: ...
    def trades(
        self,
        *symbols: str,
        policy: Policy = "drop_oldest",
        capacity: int = DEFAULT_CAPACITY,
        on_loss: OnLoss = "raise",
    ) -> Reader[Any]:
        """Trades as they happen, each once (PROTOCOL 3.7)."""
        return self.stream("trade", symbols=symbols, policy=policy, capacity=capacity, on_loss=on_loss)

    @overload
    def books(
        self,
        *symbols: str,
        depth: int = ...,
        policy: Policy = ...,
        capacity: int = ...,
        on_loss: Literal["raise"] = ...,
    ) -> Reader[BookUpdate]: ...
    @overload
    def books(
        self, *symbols: str, depth: int = ..., policy: Policy = ..., capacity: int = ..., on_loss: OnLoss
    ) -> Reader[BookUpdate | Loss]: ...
    def books(
        self,
        *symbols: str,
        depth: int = 10,
        policy: Policy = "conflate",
        capacity: int = DEFAULT_CAPACITY,
        on_loss: OnLoss = "raise",
    ) -> Reader[Any]:
        """Book messages, each proven by its checksum, with the best bid and offer after it (PROTOCOL 3.5).

        A smaller depth may be served from a larger one that is held already.
        """
        return self.stream("book", symbols=symbols, depth=depth, policy=policy, capacity=capacity, on_loss=on_loss)

    @overload
    def ticker(
        self,
        *symbols: str,
        event_trigger: str = ...,
        policy: Policy = ...,
        capacity: int = ...,
        on_loss: Literal["raise"] = ...,
    ) -> Reader[Ticker]: ...
    @overload
    def ticker(
        self, *symbols: str, event_trigger: str = ..., policy: Policy = ..., capacity: int = ..., on_loss: OnLoss
    ) -> Reader[Ticker | Loss]: ...
    def ticker(
        self,
        *symbols: str,
        event_trigger: str = "trades",
        policy: Policy = "conflate",
        capacity: int = DEFAULT_CAPACITY,
        on_loss: OnLoss = "raise",
    ) -> Reader[Any]:
        """Best bid and offer and statistics of 24 hours, at each trade or, with `bbo`, each change (PROTOCOL 3.4)."""
        return self.stream(
            "ticker", symbols=symbols, event_trigger=event_trigger, policy=policy, capacity=capacity, on_loss=on_loss
        )

    @overload
    def ohlc(
        self,
        *symbols: str,
        interval: int = ...,
        policy: Policy = ...,
        capacity: int = ...,
        on_loss: Literal["raise"] = ...,
    ) -> Reader[Ohlc]: ...
    @overload
    def ohlc(
        self, *symbols: str, interval: int = ..., policy: Policy = ..., capacity: int = ..., on_loss: OnLoss
    ) -> Reader[Ohlc | Loss]: ...
    def ohlc(
        self,
        *symbols: str,
        interval: int = 1,
        policy: Policy = "drop_oldest",
        capacity: int = DEFAULT_CAPACITY,
        on_loss: OnLoss = "raise",
    ) -> Reader[Any]:
        """Kraken's own candles of `interval` minutes, updated at each trade (PROTOCOL 3.8)."""
        return self.stream(
            "ohlc", symbols=symbols, interval=interval, policy=policy, capacity=capacity, on_loss=on_loss
        )

    @overload
    def instruments(
        self, *, policy: Policy = ..., capacity: int = ..., on_loss: Literal["raise"] = ...
    ) -> Reader[Instrument | Asset]: ...
    @overload
    def instruments(
        self, *, policy: Policy = ..., capacity: int = ..., on_loss: OnLoss
    ) -> Reader[Instrument | Asset | Loss]: ...
    def instruments(
        self, *, policy: Policy = "drop_oldest", capacity: int = DEFAULT_CAPACITY, on_loss: OnLoss = "raise"
    ) -> Reader[Any]:
        """Reference data: all instruments known, then each change, assets included (PROTOCOL 3.9)."""
        return self.stream("instrument", policy=policy, capacity=capacity, on_loss=on_loss)

    def stream(
        self,
        *channels: str,
        symbols: Symbols = (),
        depth: int = 10,
        interval: int = 1,
        event_trigger: str = "trades",
        policy: Policy | None = None,
        capacity: int = DEFAULT_CAPACITY,
        on_loss: OnLoss = "raise",
    ) -> Reader[Any]:
        """Several channels in one stream, in the order of arrival; two readers have no order between them.

        Args:
            channels: any of book, trade, ticker, ohlc, instrument.
            symbols: which, or `"all"`: every instrument that trades, new listings followed.
            depth: of books: 10, 25, 100, 500 or 1000 levels a side.
            interval: of ohlc, minutes.
            event_trigger: of tickers: `trades` or `bbo`.
            policy: by default `conflate` if all channels are book or ticker, else `drop_oldest`.
            capacity: events that may wait.
            on_loss: `raise` a `DataLost` at the place of a loss, or `yield` a `Loss` there.

        Raises:
            UsageError: for what cannot be asked for; says what can.
        """
        if isinstance(symbols, str) and symbols != "all":
            raise UsageError(
                f"symbols must be a list of symbols or 'all', not the text {symbols!r}; write [{symbols!r}]"
            )
        if policy is None:
            policy = "conflate" if _CONFLATED.issuperset(channels) else "drop_oldest"
        return self._read(
            StreamRequest(
                channels=channels,
                symbols="all" if symbols == "all" else tuple(symbols),
                depth=depth,
                interval=interval,
                event_trigger=event_trigger,
                policy=policy,
                capacity=capacity,
                on_loss=on_loss,
            )
        )

    def events(
        self, *, policy: Policy = "drop_oldest", capacity: int = DEFAULT_CAPACITY, on_loss: OnLoss = "raise"
    ) -> Reader[Any]:
        """Every event there is, in order. It subscribes to nothing by itself."""
        return self._observe(Interest(None), policy, capacity, on_loss)

    def lifecycle(
        self, *, policy: Policy = "drop_oldest", capacity: int = DEFAULT_CAPACITY, on_loss: OnLoss = "raise"
    ) -> Reader[Any]:
        """Connects, disconnects, subscriptions, invalidated and resynced books, gaps and the like."""
        return self._observe(Interest(LIFECYCLE), policy, capacity, on_loss)
