"""What the frames of a connection mean: books, trades, and all other messages."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from krakenwire.book import NOT_BOOK, QUIET, UNKNOWN, BookUpdate
from krakenwire.errors import FrameError
from krakenwire.events import (
    BookQuarantined,
    ExchangeError,
    Instrument,
    Ohlc,
    Pong,
    Raw,
    Stamp,
    SystemStatus,
    Ticker,
    Trade,
    Undecodable,
)
from krakenwire.protocol.books.audit import Watch
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.continuity.trades import Trades
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.session.restorer import Restorer
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.symbols import Catalogue, Change

__all__ = ["Session"]


class Session(Restorer):
    """The protocol state of one connection. Its arguments are those of `Subscriber`."""

    def __init__(
        self,
        name: str,
        options: Options,
        out: Outputs,
        catalogue: Catalogue,
        rng: random.Random,
        *,
        trades: Trades,
        candles: Candles,
        skip_unknown: bool = True,
    ) -> None:
        super().__init__(name, options, out, catalogue, rng, trades=trades, candles=candles, skip_unknown=skip_unknown)
        self.undecodable = 0
        self.raw = 0
        self._catalogue = catalogue
        self._watches: dict[str, Watch] = {}
        """Of the books that are being audited, by symbol."""
        self._handlers: dict[type, Callable[[Any, Stamp, int], None]] = {
            Ack: self._handle_ack,
            Trade: self._handle_trade,
            Ticker: self._handle_ticker,
            Ohlc: self._handle_ohlc,
            Instrument: self._handle_instrument,
            ExchangeError: self._handle_exchange_error,
            Pong: self._handle_pong,
            SystemStatus: self._handle_status,
            Raw: self._handle_raw,
            Undecodable: self._handle_undecodable,
        }

    def receive_frame(self, frame: bytes, stamp: Stamp, n: int) -> None:
        """One frame, whole. A frame that cannot be understood becomes an event, never an exception."""
        if self.state is not ConnectionState.OPEN:
            self.unread += 1
            return  # we are closing: what still comes belongs to nobody
        self.seq += 1
        self._received_at = stamp.received_mono_ns
        self._pinged_at = None
        events = self._out.events
        start = len(events)
        try:
            code = self.books.apply(frame, events, stamp, n, self.seq)
        except FrameError as error:
            self._handle_undecodable(_broken(error, frame, stamp, n, self.seq), stamp, n)
            return
        if code == QUIET:
            if self._watches:
                self._note_changes(start)
            return
        self._look_at_frame(code, frame, start, stamp, n)

    @property
    def is_settled(self) -> bool:
        """There is nothing to do behind a frame that is quiet, as nearly all of a book are."""
        return self.state is ConnectionState.OPEN and not (self._dirty or self._watches)

    def receive_run(self, frames: list[bytes], stamps: list[Stamp], start: int, n: int) -> None:
        """The frames from `start` on up to the first that is not quiet; `books.last_consumed` tells how many.

        As `receive_frame` for each, while the connection `is_settled`; `n` is that of the first.
        """
        events, books = self._out.events, self.books
        try:
            books.apply_run(frames, stamps, start, events, n, self.seq + 1)
            error = None
        except FrameError as broken:
            error = broken
        count = books.last_consumed
        n += count - 1
        frame, stamp = frames[start + count - 1], stamps[start + count - 1]
        self.seq += count
        self._received_at = stamp.received_mono_ns
        self._pinged_at = None
        if error is not None:
            self._handle_undecodable(_broken(error, frame, stamp, n, self.seq), stamp, n)
        elif books.last_code != QUIET:
            self._look_at_frame(books.last_code, frame, books.last_start, stamp, n)

    def _look_at_frame(self, code: int, frame: bytes, start: int, stamp: Stamp, n: int) -> None:
        """A frame is not quiet; the updates that the kernel made of it are those from `start` on."""
        if code == NOT_BOOK:
            self._receive_message(frame, stamp, n)
        elif code == UNKNOWN:
            self._receive_unknown_book(frame, stamp, n)
        else:
            self._look_at_books(start, stamp)
        if self._recovery is not None:
            self._look_at_recovery(stamp, n)

    # --- books --------------------------------------------------------------------------------------------------------

    def learn_precision(self, symbol: str, stamp: Stamp, n: int, *, changed: bool) -> None:
        """The precisions of `symbol` came in; where they `changed`, its book is fetched again (PROTOCOL 3.9).

        `stamp` and `n` are those of the frame that said so, on whichever connection.
        """
        self.keeper.set_precision(symbol)
        if not changed:
            return
        stamp = self.own(stamp)
        if self.keeper.withhold(symbol, "precision", stamp, n, self.seq):
            self._renew_book(symbol, stamp.received_mono_ns)

    def refetch_book(self, symbol: str, reason: str, stamp: Stamp, n: int) -> None:
        """Withhold a book that is synced, and fetch it again."""
        if self.keeper.withhold(symbol, reason, self.own(stamp), n, self.seq):
            self._renew_book(symbol, stamp.received_mono_ns)

    def watch(self, symbol: str) -> Watch:
        """Note from now on what changes in the book of `symbol`, until `unwatch`."""
        watch = self._watches[symbol] = Watch()
        return watch

    def unwatch(self, symbol: str) -> None:
        """Note it no longer."""
        self._watches.pop(symbol, None)

    def _note_changes(self, start: int) -> None:
        for event in self._out.events[start:]:
            if (watch := self._watches.get(event.symbol)) is not None:
                watch.note(event)

    def _look_at_books(self, start: int, stamp: Stamp) -> None:
        if self._watches:
            self._note_changes(start)
        if self.liveness.is_probing:
            start = self._look_at_probes(start, stamp)
        for symbol, not_before in self.keeper.look_at(start, stamp):
            self._renew_book(symbol, not_before)
        if self._recovery is not None:
            for event in self._out.events[start:]:
                if isinstance(event, BookQuarantined):
                    self._recovery.quarantined(event.symbol)
                elif isinstance(event, BookUpdate) and event.type == "snapshot":
                    self._recovery.proven(event.symbol)

    def _look_at_probes(self, start: int, stamp: Stamp) -> int:
        """Snapshots that answer a probe and hold what was held before are no news: nobody is told.

        Returns:
            Where the updates begin, behind what was told of the streams.
        """
        events = self._out.events
        updates: list[BookUpdate] = events[start:]
        del events[start:]
        now = stamp.received_mono_ns
        news = [
            update
            for update in updates
            if not (
                update.type == "snapshot"
                and update.outcome in ("verified", "unproven")
                and self.liveness.is_same_book(update.symbol, now)
            )
        ]
        if updates:
            self._follow_findings(stamp, updates[0].n)
        start = len(events)
        events += news
        return start

    def _receive_unknown_book(self, frame: bytes, stamp: Stamp, n: int) -> None:
        """Only a passive session meets it: the books of a live one skip and count what was not asked for."""

    # --- messages -----------------------------------------------------------------------------------------------------

    def _receive_message(self, frame: bytes, stamp: Stamp, n: int) -> None:
        events = self._out.events
        handlers = self._handlers
        items = decode(frame, stamp=stamp, n=n, seq=self.seq)
        if not items:
            self.liveness.receive_nothing()
        for item in items:
            handler = handlers.get(type(item))
            if handler is None:
                events.append(item)
            else:
                handler(item, stamp, n)
        if self.trades.touched:
            self.trades.end_frame(stamp, n)
        if self.candles.touched:
            self.candles.end_frame(stamp, n)
        if self.liveness.is_probing:
            self.liveness.conclude(stamp.received_mono_ns)
            self._follow_findings(stamp, n)

    def _handle_trade(self, trade: Trade, stamp: Stamp, _n: int) -> None:
        if trade.source == "live":
            self.liveness.heard.trades[trade.symbol] = trade
            self.trades.receive(trade)
        else:
            missed = self.liveness.receive_snapshot(trade, stamp.received_mono_ns)
            self.trades.receive(trade, missed=missed)

    def _handle_ticker(self, ticker: Ticker, _stamp: Stamp, _n: int) -> None:
        liveness = self.liveness
        if not (liveness.is_probing and ticker.type == "snapshot"):
            liveness.heard.tickers[ticker.symbol] = ticker
        elif liveness.is_repeated(ticker):
            return
        self._out.events.append(ticker)

    def _handle_ohlc(self, candle: Ohlc, stamp: Stamp, _n: int) -> None:
        if candle.type == "update":
            self.liveness.heard.candles[candle.symbol, candle.interval] = candle
        else:
            self.liveness.receive_snapshot(candle, stamp.received_mono_ns)
        self.candles.receive(candle)

    def _handle_instrument(self, instrument: Instrument, stamp: Stamp, _n: int) -> None:
        self._out.events.append(instrument)
        self.liveness.heard.reference[""] = instrument
        change = self._catalogue.add(instrument)
        if Change.STATUS in change:
            self.liveness.restart(stamp.received_mono_ns, instrument.symbol)
        if change & (Change.LISTED | Change.PRECISION):
            self._out.precisions[instrument.symbol] = Change.PRECISION in change

    def _handle_status(self, status: SystemStatus, stamp: Stamp, _n: int) -> None:
        now = stamp.received_mono_ns
        self._out.events.append(status)
        self.liveness.set_engine(status.system, now)
        self._note_engine(status.system, now)

    def _handle_pong(self, pong: Pong, stamp: Stamp, _n: int) -> None:
        self.clock_offset.answered(pong.req_id, pong.time_in, pong.time_out, stamp)
        self._out.events.append(pong)

    def _handle_raw(self, raw: Raw, _stamp: Stamp, _n: int) -> None:
        self.raw += 1
        self._out.events.append(raw)

    def _handle_undecodable(self, undecodable: Undecodable, _stamp: Stamp, _n: int) -> None:
        self.undecodable += 1
        self._out.events.append(undecodable)


def _broken(error: FrameError, frame: bytes, stamp: Stamp, n: int, seq: int) -> Undecodable:
    return Undecodable(reason=error.reason, offset=error.offset, frame=frame, stamp=stamp, n=n, seq=seq)
