"""The face that every source of market data shows: live client and, later, replay and others alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Literal, TypedDict, Unpack, overload

import msgspec

from krakenwire.book import BookUpdate
from krakenwire.errors import UsageError
from krakenwire.events import LIFECYCLE, Asset, Instrument, Loss, Ohlc, Ticker, Trade
from krakenwire.hub import Delivery, Interest, OnLoss, Policy, Reader
from krakenwire.since import Since, to_ns

__all__ = ["ReaderOptions", "StreamRequest", "Streams", "Symbols"]

Symbols = Iterable[str] | Literal["all"]
"""Symbols, or `all`: every instrument that trades, new listings followed."""

_CONFLATED = frozenset({"book", "ticker"})


class ReaderOptions(TypedDict, total=False):
    """What every stream can be told about its reader, by keyword.

    Attributes:
        policy: what happens when the reader is slow: `drop_oldest`, `conflate`, `disconnect` or `block`.
        capacity: events that may wait; under `conflate`, kinds and symbols. By default 65,536.
        capacity_bytes: what the waiting events may take in memory, estimated; by default only `capacity` counts.
        block_limit: under `block`, seconds that reading may be paused before the reader is cut off; by default 30.
        name: what the reader is called in statistics, metrics and events; by default as in `trade BTC/USD #3`.
    """

    policy: Policy
    capacity: int
    capacity_bytes: int | None
    block_limit: float
    name: str | None


class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader is asked for; the arguments of `Streams.stream`, checked for what can be checked offline."""

    channels: tuple[str, ...]
    symbols: tuple[str, ...] | Literal["all"]
    depth: int = 10
    interval: int = 1
    event_trigger: str = "trades"
    since_ns: int | None = None
    delivery: Delivery = Delivery()

    def __post_init__(self) -> None:
        if not self.channels:
            raise UsageError("name at least one channel: book, trade, ticker, ohlc or instrument")
        if not self.symbols and any(channel != "instrument" for channel in self.channels):
            raise UsageError("name at least one symbol, as in 'BTC/USD', or symbols='all' with stream()")
        for symbol in self.symbols:
            if not isinstance(symbol, str):
                raise UsageError(f"a symbol is text, as in 'BTC/USD', not {symbol!r}; several stand side by side")

    @property
    def what(self) -> str:
        """It in a few words, for the name of a reader."""
        words = [",".join(self.channels)]
        if self.symbols == "all":
            words.append("all")
        elif self.symbols:
            words.append(",".join(self.symbols[:3]))
            if len(self.symbols) > 3:
                words.append(f"and {len(self.symbols) - 3} more")
        return " ".join(words)


class Streams(ABC):
    """Streams of market data, each a `Reader`.

    Every stream takes the keywords of `ReaderOptions`: `policy` says what happens when the reader is slow, `capacity`
    and `capacity_bytes` how much may wait, `name` what it is called. `on_loss` says whether a loss raises `DataLost`
    or stands in the stream as a `Loss`. By default books and tickers conflate, everything else drops the oldest and
    says so; `block` has reading paused, so that nothing is lost and everybody on that connection waits.
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
    def _observe(self, interest: Interest, delivery: Delivery) -> Reader[Any]:
        """A reader of what happens anyway; it subscribes to nothing."""

    @overload
    def trades(
        self,
        *symbols: str,
        since: Since | None = ...,
        on_loss: Literal["raise"] = ...,
        **options: Unpack[ReaderOptions],
    ) -> Reader[Trade]: ...
    @overload
    def trades(
        self, *symbols: str, since: Since | None = ..., on_loss: OnLoss, **options: Unpack[ReaderOptions]
    ) -> Reader[Trade | Loss]: ...
    def trades(
        self,
        *symbols: str,
        since: Since | None = None,
        on_loss: OnLoss = "raise",
        **options: Unpack[ReaderOptions],
    ) -> Reader[Any]:
        """Trades as they happen, each once, without a gap (PROTOCOL 3.7); with `since`, first those from then on.

        `since` is how long ago, when (with a time zone), or UTC nanoseconds. History comes from the client's own
        journal, if it has one, as it was received; what that does not have comes by REST, a thousand trades a call and
        about a call a second, merged over the symbols by time, with `source="backfill"`; then the stream goes on live
        without a seam. On a client that was resumed, trades begin where the run before ended, without `since`.
        Meanwhile live trades wait in the reader, under its policy. What cannot be fetched raises `RestFailed`, and
        iterating again asks again; what the exchange does not have is a `Loss`.
        """
        return self.stream("trade", symbols=symbols, since=since, on_loss=on_loss, **options)

    @overload
    def books(
        self, *symbols: str, depth: int = ..., on_loss: Literal["raise"] = ..., **options: Unpack[ReaderOptions]
    ) -> Reader[BookUpdate]: ...
    @overload
    def books(
        self, *symbols: str, depth: int = ..., on_loss: OnLoss, **options: Unpack[ReaderOptions]
    ) -> Reader[BookUpdate | Loss]: ...
    def books(
        self, *symbols: str, depth: int = 10, on_loss: OnLoss = "raise", **options: Unpack[ReaderOptions]
    ) -> Reader[Any]:
        """Book messages, each proven by its checksum, with the best bid and offer after it (PROTOCOL 3.5).

        A smaller depth may be served from a larger one that is held already.
        """
        return self.stream("book", symbols=symbols, depth=depth, on_loss=on_loss, **options)

    @overload
    def ticker(
        self,
        *symbols: str,
        event_trigger: str = ...,
        on_loss: Literal["raise"] = ...,
        **options: Unpack[ReaderOptions],
    ) -> Reader[Ticker]: ...
    @overload
    def ticker(
        self, *symbols: str, event_trigger: str = ..., on_loss: OnLoss, **options: Unpack[ReaderOptions]
    ) -> Reader[Ticker | Loss]: ...
    def ticker(
        self, *symbols: str, event_trigger: str = "trades", on_loss: OnLoss = "raise", **options: Unpack[ReaderOptions]
    ) -> Reader[Any]:
        """Best bid and offer and statistics of 24 hours, at each trade or, with `bbo`, each change (PROTOCOL 3.4)."""
        return self.stream("ticker", symbols=symbols, event_trigger=event_trigger, on_loss=on_loss, **options)

    @overload
    def ohlc(
        self,
        *symbols: str,
        interval: int = ...,
        since: Since | None = ...,
        on_loss: Literal["raise"] = ...,
        **options: Unpack[ReaderOptions],
    ) -> Reader[Ohlc]: ...
    @overload
    def ohlc(
        self,
        *symbols: str,
        interval: int = ...,
        since: Since | None = ...,
        on_loss: OnLoss,
        **options: Unpack[ReaderOptions],
    ) -> Reader[Ohlc | Loss]: ...
    def ohlc(
        self,
        *symbols: str,
        interval: int = 1,
        since: Since | None = None,
        on_loss: OnLoss = "raise",
        **options: Unpack[ReaderOptions],
    ) -> Reader[Any]:
        """Kraken's own candles of `interval` minutes, updated at each trade (PROTOCOL 3.8).

        With `since`, first those from then on, as `trades` has it; Kraken has no more than the last 720, and older ones
        are from the client's journal, if it has one.
        """
        return self.stream("ohlc", symbols=symbols, interval=interval, since=since, on_loss=on_loss, **options)

    @overload
    def instruments(
        self, *, on_loss: Literal["raise"] = ..., **options: Unpack[ReaderOptions]
    ) -> Reader[Instrument | Asset]: ...
    @overload
    def instruments(
        self, *, on_loss: OnLoss, **options: Unpack[ReaderOptions]
    ) -> Reader[Instrument | Asset | Loss]: ...
    def instruments(self, *, on_loss: OnLoss = "raise", **options: Unpack[ReaderOptions]) -> Reader[Any]:
        """Reference data: all instruments known, then each change, assets included (PROTOCOL 3.9)."""
        return self.stream("instrument", on_loss=on_loss, **options)

    def stream(
        self,
        *channels: str,
        symbols: Symbols = (),
        depth: int = 10,
        interval: int = 1,
        event_trigger: str = "trades",
        since: Since | None = None,
        on_loss: OnLoss = "raise",
        **options: Unpack[ReaderOptions],
    ) -> Reader[Any]:
        """Several channels in one stream, in the order of arrival; two readers have no order between them.

        Args:
            channels: any of book, trade, ticker, ohlc, instrument.
            symbols: which, or `"all"`: every instrument that trades, new listings followed.
            depth: of books: 10, 25, 100, 500 or 1000 levels a side.
            interval: of ohlc, minutes.
            event_trigger: of tickers: `trades` or `bbo`.
            since: of trade alone, or of ohlc alone: begin there, as `trades` has it.
            on_loss: `raise` a `DataLost` at the place of a loss, or `yield` a `Loss` there.
            options: see `ReaderOptions`; `policy` is by default `conflate` if all channels are book or ticker, else
                `drop_oldest`.

        Raises:
            UsageError: for what cannot be asked for; says what can.
        """
        if isinstance(symbols, str) and symbols != "all":
            raise UsageError(
                f"symbols must be a list of symbols or 'all', not the text {symbols!r}; write [{symbols!r}]"
            )
        if since is not None:
            if channels not in (("trade",), ("ohlc",)) or symbols == "all":
                raise UsageError("since= is for named symbols of trade alone, or of ohlc alone")
            if options.get("policy") == "conflate":
                raise UsageError("since= gives every event, and conflate would not; choose another policy")
        options.setdefault("policy", "conflate" if _CONFLATED.issuperset(channels) else "drop_oldest")
        return self._read(
            StreamRequest(
                channels=channels,
                symbols="all" if symbols == "all" else tuple(symbols),
                depth=depth,
                interval=interval,
                event_trigger=event_trigger,
                since_ns=None if since is None else to_ns(since, self.now_ns()),
                delivery=Delivery(on_loss=on_loss, **options),
            )
        )

    def events(self, *, on_loss: OnLoss = "raise", **options: Unpack[ReaderOptions]) -> Reader[Any]:
        """Every event there is, in order. It subscribes to nothing by itself, and cannot `block`."""
        return self._observe(Interest(None), Delivery(on_loss=on_loss, **options))

    def lifecycle(self, *, on_loss: OnLoss = "raise", **options: Unpack[ReaderOptions]) -> Reader[Any]:
        """Connects, disconnects, subscriptions, invalidated and resynced books, gaps and the like; cannot `block`."""
        return self._observe(Interest(LIFECYCLE), Delivery(on_loss=on_loss, **options))
