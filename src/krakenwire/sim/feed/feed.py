"""From the market's moves to Kraken's frames: once per stream, whoever listens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..engine.book import Move
from ..instruments import ListedInstrument
from ..market.candles import INTERVALS, Candles
from ..market.market import Market
from .book import DEPTHS, BookFeed
from .instrument import encode_instruments
from .level3 import LEVEL3_DEPTHS, Level3Feed
from .stream import Stream
from .trades import Touch, encode_candles, encode_ticker, encode_trades

__all__ = ["DEPTHS", "INTERVALS", "LEVEL3_DEPTHS", "Feed", "Stream", "encode_instruments"]

SNAPSHOT_TRADES = 50
"""Trades in a snapshot of the trade channel (PROTOCOL 3.7)."""


class _Symbol:
    """What the feed keeps for one symbol: who listens to what."""

    __slots__ = ("book", "candles", "instrument", "level3", "tickers", "touch", "trades")

    def __init__(self, market: Market, instrument: ListedInstrument) -> None:
        book = market.book(instrument.symbol)
        self.instrument = instrument
        self.book = BookFeed(book, instrument)
        self.level3 = Level3Feed(book, instrument, market.engine.order_text)
        self.trades: Stream | None = None
        self.tickers: dict[str, Stream] = {}
        self.candles: dict[Stream, Candles] = {}
        self.touch: Touch | None = None


class Feed:
    """The frames of a market.

    Streams that nobody watches cost nothing. A frame tells the present: hand in moves before anything else happens to
    the book, and all that happened together in one call of `updates_of`.

    When an instrument changes, `updates_of` tells that first; where a precision changed, all its books and level3
    books are sent as snapshots next, since no update leads from the old numbers to the new ones (PROTOCOL 3.9).

    Args:
        market: whose moves they are.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self._symbols = {each.symbol: _Symbol(market, each) for each in market.instruments}
        self._instruments: Stream | None = None

    # --- who listens ----------------------------------------------------------------------------------------

    def watch(self, stream: Stream) -> None:
        """From now on make the updates of `stream`."""
        if stream.symbol is None:
            self._instruments = stream
            return
        state = self._symbols[stream.symbol]
        if stream.channel == "book":
            state.book.watch(stream)
        elif stream.channel == "level3":
            state.level3.watch(stream)
        elif stream.channel == "trade":
            state.trades = stream
        elif stream.channel == "ticker":
            state.tickers[str(stream.variant)] = stream
            state.touch = Touch.of(self.market.book(stream.symbol))
        elif stream.channel == "ohlc":
            state.candles[stream] = self.market.stats(stream.symbol).candles(stream.number)

    def unwatch(self, stream: Stream) -> None:
        """Make the updates of `stream` no more."""
        if stream.symbol is None:
            self._instruments = None
            return
        state = self._symbols[stream.symbol]
        if stream.channel == "book":
            state.book.unwatch(stream)
        elif stream.channel == "level3":
            state.level3.unwatch(stream)
        elif stream.channel == "trade":
            state.trades = None
        elif stream.channel == "ticker":
            state.tickers.pop(str(stream.variant))
        elif stream.channel == "ohlc":
            del state.candles[stream]

    # --- what they are sent ---------------------------------------------------------------------------------

    def snapshot(self, stream: Stream) -> bytes:
        """The snapshot of a stream, as of now."""
        market = self.market
        if stream.symbol is None:
            return encode_instruments(market.assets, market.instruments)
        state = self._symbols[stream.symbol]
        if stream.channel == "book":
            return state.book.snapshot(stream.number)
        if stream.channel == "level3":
            return state.level3.snapshot(stream.number)
        if stream.channel == "trade":
            trades = market.recent_trades(stream.symbol, SNAPSHOT_TRADES)
            return encode_trades("snapshot", state.instrument, trades)
        if stream.channel == "ticker":
            return self._ticker("snapshot", state, Touch.of(market.book(stream.symbol)))
        watched = state.candles.get(stream)
        candles = market.stats(stream.symbol).candles(stream.number) if watched is None else watched
        return encode_candles("snapshot", state.instrument, stream.number, candles.kept, market.now_ns)

    def updates(self, move: Move) -> list[tuple[Stream, bytes]]:
        """The frames of one move: books first, then orders, trades, ticker and candles."""
        frames: list[tuple[Stream, bytes]] = []
        state = self._symbols[move.symbol]
        if state.book.is_watched:
            state.book.updates(move, frames)
        if move.orders:
            state.level3.updates(move, frames)
        if move.trades and state.trades is not None:
            frames.append((state.trades, encode_trades("update", state.instrument, move.trades)))
        if state.tickers:
            self._ticker_updates(state, bool(move.trades), frames)
        if move.trades:
            for stream, candles in state.candles.items():
                for trade in move.trades:
                    candles.add(trade)
                frame = encode_candles(
                    "update", state.instrument, stream.number, (candles.current,), self.market.now_ns
                )
                frames.append((stream, frame))
        return frames

    def updates_of(self, moves: Iterable[Move]) -> list[tuple[Stream, bytes]]:
        """The frames of all that happened since the last call: of changed instruments, and of moves, oldest first.

        Moves of one symbol are told as one, since the books have taken all of them.
        """
        frames = self._instrument_updates()
        together: dict[str, list[Move]] = {}
        for move in moves:
            together.setdefault(move.symbol, []).append(move)
        for same in together.values():
            frames += self.updates(same[0] if len(same) == 1 else _merged(same))
        return frames

    # --- inside ---------------------------------------------------------------------------------------------

    def _ticker_updates(self, state: _Symbol, traded: bool, frames: list[tuple[Stream, bytes]]) -> None:
        touch = Touch.of(self.market.book(state.instrument.symbol))
        for trigger, stream in state.tickers.items():
            if traded if trigger == "trades" else touch != state.touch:
                frames.append((stream, self._ticker("update", state, touch)))
        state.touch = touch

    def _ticker(self, kind: str, state: _Symbol, touch: Touch) -> bytes:
        symbol = state.instrument.symbol
        stats = self.market.stats(symbol)
        exchange_ns = max(self.market.book(symbol).updated_ns, stats.last_ns)
        return encode_ticker(kind, state.instrument, touch, stats, exchange_ns)

    def _instrument_updates(self) -> list[tuple[Stream, bytes]]:
        """The frames for instruments that are no longer what they were, and snapshots for those that count anew."""
        frames: list[tuple[Stream, bytes]] = []
        changed = [
            (state, now)
            for state in self._symbols.values()
            if (now := self.market.instrument(state.instrument.symbol)) is not state.instrument
        ]
        if changed and self._instruments is not None:
            frames.append((self._instruments, encode_instruments((), [now for _, now in changed], "update")))
        for state, now in changed:
            before, state.instrument = state.instrument, now
            if (before.price_precision, before.qty_precision) == (now.price_precision, now.qty_precision):
                continue
            state.book.rescale(now)
            state.level3.rescale(now)
            state.touch = None
            for stream in state.candles:
                state.candles[stream] = self.market.stats(now.symbol).candles(stream.number)
            frames += [(each, self.snapshot(each)) for each in (*state.book.streams, *state.level3.streams)]
        return frames


def _merged(moves: Sequence[Move]) -> Move:
    last = moves[-1]
    return Move(
        last.symbol,
        last.exchange_ns,
        {key: lots for move in moves for key, lots in move.bids.items()},
        {key: lots for move in moves for key, lots in move.asks.items()},
        [trade for move in moves for trade in move.trades],
        [change for move in moves for change in move.orders],
    )
