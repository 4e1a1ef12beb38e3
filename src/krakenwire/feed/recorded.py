"""What a client's own journal has of the past, read in a thread, so that neither the feed nor a reader is held up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from krakenwire.errors import UsageError
from krakenwire.events import Ohlc, Trade

if TYPE_CHECKING:
    from krakenwire.journal.files.directory import Segment
    from krakenwire.journal.past import RecordedTrades
    from krakenwire.journal.writing.recorder import Recorder

__all__ = ["InThread", "RecordedPast", "last_candles", "last_trades", "recorded_candles"]

_log = logging.getLogger("krakenwire.journal")

_MARGIN_S = 60
"""So much earlier than a moment of the exchange's it is read what was received: clocks differ."""

T = TypeVar("T")


class InThread(Generic[T]):
    """Work in a thread whose result is not lost where who waits for it is cancelled: the next one gets it.

    Args:
        work: called once; it must not raise.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._future = asyncio.ensure_future(asyncio.to_thread(work))

    async def result(self) -> T:
        """What the work gives. Cancellation: safe, it goes on."""
        return await asyncio.shield(self._future)


class RecordedPast:
    """The trades of some symbols that are in the journal, chunk by chunk, up to what was given when it was begun.

    Args:
        recorder: writes the journal.
        symbols: whose, each with the trade_id behind which it is to begin; None for whatever comes first.
        since_ns: UTC; earlier trades may be left out. None: what was recorded since the client was opened.
    """

    def __init__(self, recorder: Recorder, symbols: Mapping[str, int | None], since_ns: int | None) -> None:
        self.begins_ns = 0
        """UTC at which the journal begins; set with the first chunk."""
        self._trades: RecordedTrades | None = None
        self._chunks: Iterator[list[Trade]] | None = None
        self._recorder = recorder
        self._symbols = symbols
        self._since_ns = since_ns
        self._n = recorder.flush()
        self._work: InThread[list[Trade] | None] | None = None

    async def begin(self) -> None:
        """Have `begins_ns` set. Cancellation: safe."""
        if self._work is None:
            self._work = InThread(self._next)
        await self._work.result()

    async def chunk(self) -> list[Trade] | None:
        """The next trades, None at the end. Cancellation: safe, nothing is lost."""
        await self.begin()
        assert self._work is not None  # noqa: S101  # begun
        found = await self._work.result()
        self._work = InThread(self._next)
        return found

    def take_held(self) -> list[Trade]:
        """After the last chunk, what is behind holes that were still there, once."""
        return [] if self._trades is None else self._trades.take_held()

    def _next(self) -> list[Trade] | None:
        """In the thread."""
        try:
            if self._chunks is None:
                self._chunks = iter(self._open())
            return next(self._chunks, None)
        except UsageError as error:
            _log.warning("the past is not read from the journal: %s", error)
            return None

    def _open(self) -> Iterable[list[Trade]]:
        from krakenwire.journal.past import RecordedTrades

        self._recorder.wait(self._n)
        received_ns = 0 if self._since_ns is None else max(self._since_ns - _MARGIN_S * 10**9, 0)
        found = _segments(self._recorder, None if self._since_ns is None else received_ns)
        self.begins_ns = found[0].started_ns + 10**9 if found else 0  # it is told to the second
        self._trades = RecordedTrades(found, self._symbols, received_ns)
        return self._trades


async def last_trades(recorder: Recorder, symbols: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Of each symbol the last trade before this run: its trade_id and when it was. Cancellation: safe, no effect.

    Raises:
        UsageError: the journal cannot be read.
    """
    from krakenwire.journal import past

    return await asyncio.to_thread(past.last_trades, recorder.directory, tuple(symbols), recorder.first_segment)


async def last_candles(recorder: Recorder, symbols: Iterable[str], interval: int) -> dict[str, Ohlc]:
    """Of each symbol the newest candle before this run. Cancellation: safe, no effect.

    Raises:
        UsageError: the journal cannot be read.
    """
    from krakenwire.journal import past

    before = recorder.first_segment
    return await asyncio.to_thread(past.last_candles, recorder.directory, tuple(symbols), interval, before)


async def recorded_candles(recorder: Recorder, symbol: str, interval: int, since_ns: int) -> dict[int, Ohlc]:
    """The candles of a symbol that the journal has, by their begin. Cancellation: safe, no effect.

    Raises:
        UsageError: the journal cannot be read.
    """
    n = recorder.flush()

    def read() -> dict[int, Ohlc]:
        from krakenwire.journal import past

        recorder.wait(n)
        received_ns = max(since_ns - _MARGIN_S * 10**9, 0)
        return past.recorded_candles(_segments(recorder, received_ns), [symbol], interval, received_ns)[symbol]

    return await asyncio.to_thread(read)


def _segments(recorder: Recorder, received_ns: int | None) -> list[Segment]:
    from krakenwire.journal.files.directory import segments
    from krakenwire.journal.past import segments_since

    if received_ns is not None:
        return segments_since(recorder.directory, received_ns)
    return [segment for segment in segments(recorder.directory) if segment.number >= recorder.first_segment]
