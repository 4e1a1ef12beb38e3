"""A journal as tables, for notebooks: synchronous, and nothing is read before somebody wants it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from krakenwire.book import BookSnapshot
from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError
from krakenwire.events import Ohlc, Ticker, Trade
from krakenwire.journal.tables.moments import Moment, to_ns
from krakenwire.journal.tables.schema import SCHEMAS, SOURCES, BookRow, BookSpan, BookTop, Channel, Missing
from krakenwire.journal.tables.table import Table
from krakenwire.protocol.wire.symbols import normalise

if TYPE_CHECKING:
    from krakenwire.journal.tables.sinks import Sink
    from krakenwire.journal.tables.tape import OnProgress
    from krakenwire.journal.tools.overview import Content

__all__ = ["Journal"]

_MICROSECOND = timedelta(microseconds=1)
_MAX_DEPTH = 1000


class Journal:
    """A recorded journal, read synchronously.

    ::

        journal = Journal("tape")
        df = journal.trades("BTC/USD", start=timedelta(hours=1)).to_polars()
        journal.book_at("BTC/USD", datetime(2026, 11, 23, 14, 3, 7, tzinfo=UTC)).mid

    It is played as it was recorded: every book is proven by its checksums again. All runs in it are one table. What is
    damaged is left out, and `gaps` tells of it; nothing is made up.

    `start` and `end` are of the time of receipt: a datetime with its zone, ISO 8601 text with its zone, UTC
    nanoseconds, or a timedelta back from the journal's end. `end` is not included. Reading begins at the nearest kept
    state before `start` (see `krakenwire journal seal`), else at the begin of its run.

    Args:
        path: the directory.
        on_progress: called with how many bytes of files are read, and of how many.

    Raises:
        UsageError: it is no journal, or cannot be read; or the extra `journal` is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None) -> None:
        from krakenwire.journal.files.directory import segments

        self.path = Path(path)
        self._on_progress = on_progress
        segments(self.path)

    # --- what there is ----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        from krakenwire.journal.files.directory import segments
        from krakenwire.journal.sealing.index import read_index

        found = segments(self.path)
        size = sum(segment.path.stat().st_size for segment in found)
        text = f"<Journal {self.path}: {len(found)} segment(s), {size:,} bytes, {self._range()}"
        indexes = [read_index(segment) for segment in found]
        symbols = sorted({stream.symbol for index in indexes if index for stream in index.streams if stream.symbol})
        if symbols:
            more = len(symbols) - 10
            text += f"; {', '.join(symbols[:10])}{f' and {more} more' if more > 0 else ''}"
        return f"{text}>"

    @property
    def begin_ns(self) -> int:
        """When the first segment was begun, UTC nanoseconds."""
        from krakenwire.journal.files.damage import Damaged
        from krakenwire.journal.files.directory import segments
        from krakenwire.journal.files.segments import read_head

        first = segments(self.path)[0]
        try:
            return read_head(first.path).received_ns
        except Damaged:
            return first.started_ns

    @property
    def end_ns(self) -> int:
        """When the last input was received that is in it by now, UTC nanoseconds."""
        from krakenwire.journal.files.directory import segments
        from krakenwire.journal.tables.tape import last_moment

        return last_moment(segments(self.path)[-1])

    def contents(self) -> list[Content]:
        """What was recorded, by channel, symbol, and depth or interval: how many events, from when to when.

        Of segments that are not sealed everything is read for it.
        """
        from krakenwire.journal.tools.overview import overview

        return overview(self.path, contents=True).contents or []

    @property
    def symbols(self) -> list[str]:
        """The symbols of which market data was recorded; see `contents`."""
        return sorted({each.symbol for each in self.contents() if each.symbol and each.channel != "instrument"})

    # --- tables -----------------------------------------------------------------------------------------------------

    def trades(self, *symbols: str, start: Moment | None = None, end: Moment | None = None) -> Table[Trade]:
        """Trades, each once, those that were fetched later too; of all symbols if none is named."""
        from krakenwire.journal.tables.sinks import Trades

        names = _names(symbols)
        return self._table("trade", lambda: Trades(names), symbols, start, end)

    def ticker(self, *symbols: str, start: Moment | None = None, end: Moment | None = None) -> Table[Ticker]:
        """Tickers, as they were received; of all symbols if none is named."""
        from krakenwire.journal.tables.sinks import Tickers

        names = _names(symbols)
        return self._table("ticker", lambda: Tickers(names), symbols, start, end)

    def books(
        self,
        *symbols: str,
        depth: int = 10,
        every: timedelta | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> Table[BookRow]:
        """The top of books, whenever it is proven: after each message, or as it was at each multiple of `every`.

        Args:
            symbols: whose; all if none is named.
            depth: levels a side, at most.
            every: of UTC, as in `timedelta(seconds=1)`; a moment at which the book was not synced has no row.
            start: from when on; see `Journal`.
            end: until when.
        """
        from krakenwire.journal.tables.sinks import Books

        names = _names(symbols)
        if type(depth) is not int or not 1 <= depth <= _MAX_DEPTH:
            raise UsageError(f"depth must be an integer from 1 to {_MAX_DEPTH}, not {depth!r}")
        every_ns = None if every is None else _every_ns(every)
        return self._table("book", lambda: Books(names, depth, every_ns), symbols, start, end, option=depth)

    def bbo(self, *symbols: str, start: Moment | None = None, end: Moment | None = None) -> Table[BookTop]:
        """Best bid and offer of the books, and of v1's `spread` channel, whenever they changed; see also `ticker`."""
        from krakenwire.journal.tables.sinks import Bbo

        names = _names(symbols)
        return self._table("bbo", lambda: Bbo(names), symbols, start, end)

    def ohlc(
        self,
        *symbols: str,
        interval: int | None = None,
        updates: bool = False,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> Table[Ohlc]:
        """Kraken's candles that are over, each once, as it was told last.

        A candle is over when a later one was told. One that was told again later with other numbers, fetched after an
        outage say, is there once more; the later row is right.

        Args:
            symbols: whose; all if none is named.
            interval: minutes; all if None.
            updates: every update instead, of the running candle too.
            start: from when on; see `Journal`.
            end: until when.
        """
        from krakenwire.journal.tables.sinks import Candles

        names = _names(symbols)
        return self._table(
            "ohlc", lambda: Candles(names, interval, updates=updates), symbols, start, end, option=interval
        )

    def gaps(self, *symbols: str, start: Moment | None = None, end: Moment | None = None) -> Table[Missing]:
        """What is missing: inputs that the journal does not have, outages, unsynced books, stalls, known losses.

        With symbols: what concerns these, and what concerns everything.
        """
        from krakenwire.journal.tables.spans import Gaps

        names = _names(symbols)
        return self._table("gaps", lambda: Gaps(names), (), start, end)

    def book_state(self, *symbols: str, start: Moment | None = None, end: Moment | None = None) -> Table[BookSpan]:
        """From when to when each book was synced, and when it was not and why."""
        from krakenwire.journal.tables.spans import BookSpans

        names = _names(symbols)
        return self._table("book_state", lambda: BookSpans(names), symbols, start, end)

    def book_at(self, symbol: str, when: Moment) -> BookSnapshot:
        """The book as it was published at a moment, the deepest if there were several; `synced` says what it is worth.

        Raises:
            UsageError: there was no such book then; says which there were.
        """
        from krakenwire.journal.tools.book_at import book_at

        return book_at(self.path, self._moment("when", when), normalise(symbol))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _table(
        self,
        channel: Channel,
        sink: Callable[[], Sink],
        symbols: Sequence[str],
        start: Moment | None,
        end: Moment | None,
        *,
        option: int | None = None,
    ) -> Table[Any]:
        names = [normalise(symbol) for symbol in symbols]
        start_ns = None if start is None else self._moment("start", start)
        end_ns = None if end is None else self._moment("end", end)
        if start_ns is not None and end_ns is not None and start_ns >= end_ns:
            raise UsageError(f"start must be before end, not {start!r} and {end!r}")

        def read() -> Iterator[list[Any]]:
            from krakenwire.journal.tables.recorded import require
            from krakenwire.journal.tables.tape import Tape

            rows_of = sink()
            tape = Tape(self.path, [rows_of])
            has_rows = False
            for _ in tape.play(start_ns, end_ns, self._on_progress):
                if rows := rows_of.take():
                    has_rows = True
                    yield rows
            if channel != "gaps" and (names or not has_rows):
                where = f"{self.path} goes from {self._range()}"
                require(tape.recorded, SOURCES.get(channel, (channel,)), names, option, where)

        words = [channel, *(names or ["of all symbols"])]
        return Table(SCHEMAS[channel], read, f"{' '.join(words)} in {self.path}")

    def _moment(self, name: str, when: Moment) -> int:
        return to_ns(name, when, lambda: self.end_ns)

    def _range(self) -> str:
        return f"{_text(self.begin_ns)} to {_text(self.end_ns)}"


def _every_ns(every: object) -> int:
    """An interval as nanoseconds.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(every, timedelta) or every <= timedelta(0):
        raise UsageError(f"every must be a timedelta greater than 0, as in timedelta(seconds=1), not {every!r}")
    return every // _MICROSECOND * 1000


def _names(symbols: Sequence[str]) -> frozenset[str] | None:
    """Those that are wanted; None for all."""
    return frozenset(map(normalise, symbols)) if symbols else None


def _text(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"
