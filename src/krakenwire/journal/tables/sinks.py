"""From the events of a journal to the rows of its tables."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from krakenwire.book import BookState, BookUpdate
from krakenwire.events import BookInvalidated, Instrument, Ohlc, Spread, Ticker, Trade, Unsubscribed
from krakenwire.journal.tables.following import FollowedBooks
from krakenwire.journal.tables.schema import BookRow, BookTop
from krakenwire.protocol.core import Core

__all__ = ["Bbo", "Beginning", "Books", "Candles", "Handlers", "Sink", "Symbols", "Tickers", "Trades"]

Handlers = dict[type, Callable[[Any], None]]
Symbols = Collection[str] | None
"""Those that are wanted; None for all."""

_MINUTE_NS = 60_000_000_000
_PROVEN = ("verified", "unproven")


class Beginning(NamedTuple):
    """Another core goes on: at the begin, with a new run, or where inputs are missing.

    Attributes:
        core: it, before it is given anything.
        at_ns: since when, UTC: the moment of the last input before, as far as it is known.
        hole: why inputs are missing; None if none are.
        is_run: another run begins, which knows nothing of the one before.
        run_ended_ns: UTC of the last input of the run before; 0 if there was none.
    """

    core: Core
    at_ns: int
    hole: str | None
    is_run: bool
    run_ended_ns: int


class Sink:
    """Makes the rows of one table.

    Attributes:
        rows: those made since they were taken last.
        handlers: what is done with an event of a class.
    """

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.handlers: Handlers = {}

    def begin(self, beginning: Beginning) -> None:
        """Another core goes on."""

    def take(self) -> list[Any]:
        """The rows made since they were taken last."""
        rows, self.rows = self.rows, []
        return rows

    def begin_segment(self) -> None:
        """Nothing of what follows may rest on rows that were made before: they are in another file."""

    def end(self, at_ns: int) -> None:
        """The table, or the segment, is over (UTC); what has a length is cut in two here."""

    def cut(self, at_ns: int) -> None:
        """What was before that moment (UTC) is not wanted."""
        self.end(at_ns)
        self.take()


class Trades(Sink):
    """Every trade, each once: of those that a subscription begins with, what a run before has told is left out.

    Attributes:
        known: by symbol the highest trade_id that runs before have told, and the highest there was.
    """

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self.known: dict[str, tuple[int, int]] = {}
        self.handlers = {Trade: self._take}

    def know(self, known: dict[str, tuple[int, int]]) -> None:
        """What is known besides of all that was before."""
        for symbol, (before, highest) in known.items():
            ours = self.known.get(symbol, (-1, -1))
            self.known[symbol] = max(ours[0], before), max(ours[1], highest)

    def begin(self, beginning: Beginning) -> None:
        """As of `Sink`."""
        if beginning.is_run:
            self.known = {symbol: (highest, highest) for symbol, (_, highest) in self.known.items()}

    def _take(self, trade: Trade) -> None:
        symbol = trade.symbol
        if self._symbols is not None and symbol not in self._symbols:
            return
        if trade.trade_id is not None:
            before, highest = self.known.get(symbol, (-1, -1))
            if trade.source == "snapshot" and trade.trade_id <= before:
                return
            if trade.trade_id > highest:
                self.known[symbol] = before, trade.trade_id
        self.rows.append(trade)


class Tickers(Sink):
    """Every ticker."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self.handlers = {Ticker: self._take}

    def _take(self, ticker: Ticker) -> None:
        if self._symbols is None or ticker.symbol in self._symbols:
            self.rows.append(ticker)


class Books(Sink):
    """The top levels of books, after each message or at each multiple of an interval, as long as they are proven.

    Where books of several depths are there, the least deep that has enough levels is read.

    Args:
        symbols: whose.
        depth: levels a side.
        every_ns: the interval; None for every message.
    """

    def __init__(self, symbols: Symbols, depth: int, every_ns: int | None) -> None:
        super().__init__()
        self._symbols = symbols
        self._depth = depth
        self._every = every_ns
        self._next: int | None = None
        self._followed = FollowedBooks()
        self.handlers = {
            BookUpdate: self._take,
            BookInvalidated: self._invalidate,
            Unsubscribed: self._drop,
            Instrument: self._followed.learn,
        }

    def begin(self, beginning: Beginning) -> None:
        """As of `Sink`."""
        self._sample(beginning.at_ns)
        if beginning.is_run:
            self._next = None  # its clock may be another one
        self._followed.begin(beginning.core)

    def end(self, at_ns: int) -> None:
        """As of `Sink`."""
        self._sample(at_ns)

    def _take(self, update: BookUpdate) -> None:
        symbol = update.symbol
        if self._symbols is not None and symbol not in self._symbols:
            return
        self._sample(update.received_ns)
        state = self._followed.follow(update)
        if state is None or self._every is not None or update.outcome not in _PROVEN:
            return
        if state.depth == self._followed.serving(symbol, self._depth):
            self.rows.append(self._row(state, update.received_ns))

    def _invalidate(self, event: BookInvalidated) -> None:
        self._sample(event.received_ns)
        self._followed.invalidate(event)

    def _drop(self, event: Unsubscribed) -> None:
        self._sample(event.received_ns)
        self._followed.drop(event)

    def _sample(self, now_ns: int) -> None:
        """Rows of all moments before `now_ns` that were not looked at yet; the books are as they were since."""
        every = self._every
        if every is None:
            return
        if self._next is None:
            self._next = -(-now_ns // every) * every
        while self._next < now_ns:
            states = [state for state in self._followed.states() if state.status == "synced" and self._serves(state)]
            if not states:  # nothing to show until something comes
                self._next = -(-now_ns // every) * every
                return
            self.rows += [self._row(state, self._next) for state in states]
            self._next += every

    def _serves(self, state: BookState) -> bool:
        is_wanted = self._symbols is None or state.symbol in self._symbols
        return is_wanted and state.depth == self._followed.serving(state.symbol, self._depth)

    def _row(self, state: BookState, time_ns: int) -> BookRow:
        return BookRow(
            symbol=state.symbol,
            depth=self._depth,
            bids=tuple(state.levels("bids", self._depth)),
            asks=tuple(state.levels("asks", self._depth)),
            proven=state.proven,
            time_ns=time_ns,
            exchange_ns=state.exchange_ns,
            received_ns=state.stamp.received_ns,
            n=state.n,
        )


class Bbo(Sink):
    """Best bid and offer of books, and of v1's `spread`, whenever they changed.

    Where books of several depths are there, the least deep that was heard of is read.
    """

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self._depths: dict[str, int] = {}
        self._last: dict[tuple[str, str], tuple[str, ...]] = {}
        self.handlers = {BookUpdate: self._take, Spread: self._take_spread, Unsubscribed: self._drop}

    def begin(self, beginning: Beginning) -> None:
        """As of `Sink`."""
        self._depths.clear()
        self._last.clear()

    def begin_segment(self) -> None:
        """As of `Sink`."""
        self._last.clear()

    def _take(self, update: BookUpdate) -> None:
        symbol, depth = update.symbol, update.depth
        if update.outcome not in _PROVEN or (self._symbols is not None and symbol not in self._symbols):
            return
        if depth > self._depths.setdefault(symbol, depth):
            return
        self._depths[symbol] = depth
        text = update.bbo_text()
        if self._last.get((symbol, "book")) != text:
            self._last[symbol, "book"] = text
            bid, ask = update.best_bid, update.best_ask
            self.rows.append(
                BookTop(
                    symbol=symbol,
                    bid=None if bid is None else bid.price,
                    bid_qty=None if bid is None else bid.qty,
                    ask=None if ask is None else ask.price,
                    ask_qty=None if ask is None else ask.qty,
                    source="book",
                    exchange_ns=update.exchange_ns,
                    received_ns=update.received_ns,
                    n=update.n,
                )
            )

    def _take_spread(self, spread: Spread) -> None:
        if self._symbols is not None and spread.symbol not in self._symbols:
            return
        numbers = spread.bid, spread.bid_qty, spread.ask, spread.ask_qty
        text = tuple(map(str, numbers))
        if self._last.get((spread.symbol, "spread")) != text:
            self._last[spread.symbol, "spread"] = text
            self.rows.append(
                BookTop(
                    symbol=spread.symbol,
                    bid=spread.bid,
                    bid_qty=spread.bid_qty,
                    ask=spread.ask,
                    ask_qty=spread.ask_qty,
                    source="spread",
                    exchange_ns=spread.exchange_ns,
                    received_ns=spread.received_ns,
                    n=spread.n,
                )
            )

    def _drop(self, event: Unsubscribed) -> None:
        if event.of == "book" and event.symbol is not None and event.depth in (None, self._depths.get(event.symbol)):
            self._depths.pop(event.symbol, None)


class Candles(Sink):
    """Candles that are over, each once, as it was told last; or every update of them.

    A candle is over when a later one was told. Of the history that comes with a subscription, a run after another has
    only what was not over when the one before ended.

    Args:
        symbols: whose.
        interval: minutes; None for all.
        updates: every update instead.
    """

    def __init__(self, symbols: Symbols, interval: int | None, *, updates: bool) -> None:
        super().__init__()
        self._symbols = symbols
        self._interval = interval
        self._updates = updates
        self._running: dict[tuple[str, int], Ohlc] = {}
        self._known_ns = 0
        """Candles that were over then have been told by another run."""
        self.handlers = {Ohlc: self._take}

    def begin(self, beginning: Beginning) -> None:
        """As of `Sink`."""
        if beginning.hole is None:
            self._known_ns = beginning.run_ended_ns
            self._running = {(each.symbol, each.interval): each for each in beginning.core.candles.last()}

    def _take(self, candle: Ohlc) -> None:
        symbol, interval = name = candle.symbol, candle.interval
        if self._symbols is not None and symbol not in self._symbols:
            return
        if self._interval is not None and interval != self._interval:
            return
        if self._updates:
            self.rows.append(candle)
            return
        before = self._running.get(name)
        if before is not None and candle.interval_begin_ns < before.interval_begin_ns:
            if candle.source != "snapshot":
                self._end(candle)
            return
        self._running[name] = candle
        if before is not None and candle.interval_begin_ns > before.interval_begin_ns:
            self._end(before)

    def _end(self, candle: Ohlc) -> None:
        if candle.interval_begin_ns + candle.interval * _MINUTE_NS > self._known_ns:
            self.rows.append(candle)
