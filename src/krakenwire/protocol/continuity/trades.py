"""Trades without a gap: each once, in the order of its trade_id, whichever connection or answer brings it.

`trade_id` counts up by one per symbol (PROTOCOL 3.7), so that a jump is a known hole. What is ahead of a hole is held
back, bounded, until the hole is filled: by a trade that came late or over the other connection of a mirror, by the
snapshot that comes with a subscription after a reconnect, or by REST `Trades`, page by page (PROTOCOL 8.3). What
cannot be filled is told as a `Gap`, exactly, and what was held back goes on.
"""

from __future__ import annotations

from functools import partial

import msgspec

from krakenwire.events import Backfilled, Gap, Stamp, Trade
from krakenwire.protocol.continuity.fetching import Answer, Fetcher
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.wire.rest import (
    DECODE_ERRORS,
    TRADES_PER_PAGE,
    RestTrouble,
    TradePage,
    decode_trades,
    pair_spellings,
)

__all__ = ["Trades"]

_NS = 1_000_000_000

_PATIENCE = _NS // 5
"""So long a hole may be filled by what is on its way already, before REST is asked."""

_MARGINS = (_NS // 1000, 60 * _NS)
"""How far before the last trade given the first page begins. A WebSocket tells microseconds and REST nanoseconds, and
several trades share a moment: an overlap harms nothing, for ids tell. The second is tried where the first leaves a
hole."""


class _Hole:
    """Trades that are missing, and those that are held back because of it."""

    __slots__ = (
        *("attempts", "cursor", "deadline", "fetched", "filled", "found_ns", "held", "margin", "number"),
        *("reach", "sources", "spelling", "stamp", "top"),
    )

    def __init__(self, trade: Trade, deadline: int) -> None:
        self.stamp = trade.stamp
        """Of the trade that showed it: over which connection what fills it is told."""
        self.found_ns = trade.stamp.received_mono_ns
        self.deadline = deadline
        self.held: dict[int, Trade] = {}
        self.top = -1
        """The highest trade_id seen: the hole is closed when all up to it were given."""
        self.filled = 0
        self.reach: tuple[int, int] | None = None
        """The first and the last that were filled."""
        self.sources: set[str] = set()
        self.number: int | None = None
        """Of the call that is under way."""
        self.cursor: int | None = None
        self.margin = 0
        self.spelling = 0
        self.fetched = 0
        self.attempts = 0
        """Pages in a row that brought nothing new."""


class _Stream:
    """The trades of one symbol: what was given last, and what holds it up."""

    __slots__ = ("hole", "last", "next", "restored")

    def __init__(self, trade: Trade, trade_id: int) -> None:
        self.last = trade
        self.next = trade_id + 1
        self.hole: _Hole | None = None
        self.restored: tuple[int, int] | None = None
        """The first and the last trade that the snapshot at hand brought without a hole before it."""


class Trades:
    """The trades of all symbols of a client, over all its connections.

    Args:
        options: limits of time, of pages and of what is held back.
        out: where events go.
        fetcher: makes REST calls; None if nothing can be asked for (recorded frames): a jump is a `Gap` at once.

    Attributes:
        repeated: trades dropped because they had been given before (the overlap of a snapshot, the other connection).
        backfilled: trades given that had been missed at first.
        lost: trades told as lost, as far as their number is known.
        touched: symbols whose snapshot is at hand; `end_frame` is wanted.
    """

    def __init__(self, options: Options, out: Outputs, fetcher: Fetcher | None) -> None:
        self._options = options
        self._events = out.events
        self._fetcher = fetcher
        self._timeout_ns = round(options.backfill_timeout * _NS)
        self._streams: dict[str, _Stream] = {}
        self._owners: dict[str, set[str]] = {}
        self._holes: dict[str, _Hole] = {}
        self.touched: list[str] = []
        self.repeated = 0
        self.backfilled = 0
        self.lost = 0

    @property
    def fetcher(self) -> Fetcher | None:
        """What makes the REST calls; None if nothing can be asked for."""
        return self._fetcher

    # --- who wants what ---------------------------------------------------------------------------------------------

    def hold(self, symbol: str, connection: str) -> None:
        """`connection` subscribes to the trades of `symbol`."""
        self._owners.setdefault(symbol, set()).add(connection)

    def release(self, symbol: str, connection: str) -> None:
        """It does no longer; once nobody does, what comes later continues nothing."""
        owners = self._owners.get(symbol)
        if owners is None:
            return
        owners.discard(connection)
        if not owners:
            del self._owners[symbol]
            self._close(symbol)
            self._streams.pop(symbol, None)

    def release_all(self, connection: str) -> None:
        """`connection` is no more."""
        for symbol in [symbol for symbol, owners in self._owners.items() if connection in owners]:
            self.release(symbol, connection)

    def last(self, symbol: str) -> int | None:
        """The last trade_id given, or None."""
        stream = self._streams.get(symbol)
        return None if stream is None else stream.next - 1

    def all_last(self) -> dict[str, tuple[int, int]]:
        """Of each symbol the last trade_id given or told as lost, and UTC nanoseconds of the last trade given."""
        streams = self._streams.items()
        return {symbol: (stream.next - 1, stream.last.exchange_ns or 0) for symbol, stream in streams}

    @property
    def held(self) -> int:
        """Trades held back now, of all symbols."""
        return sum(len(hole.held) for hole in self._holes.values())

    @property
    def missed(self) -> int:
        """Trades missed so far, all of them: fetched after all, told as lost, or looked for now."""
        holes = self._holes.items()
        sought = sum(max(hole.top + 1 - self._streams[symbol].next - len(hole.held), 0) for symbol, hole in holes)
        return self.lost + self.backfilled + sought

    @property
    def holes(self) -> tuple[str, ...]:
        """Symbols whose trades are held up now."""
        return tuple(self._holes)

    # --- inputs -----------------------------------------------------------------------------------------------------

    def receive(self, trade: Trade, *, missed: bool = False) -> None:
        """A trade as it came over a connection: given, held back, or dropped as a repetition.

        v1 has no trade_id: such trades always pass. `missed`: though of a snapshot, it is known to have happened while
        its symbol was subscribed.
        """
        stream = self._streams.get(trade.symbol)
        if stream is not None and trade.trade_id == stream.next and stream.hole is None and trade.source == "live":
            stream.next += 1
            stream.last = trade
            self._events.append(trade)
            return
        if trade.trade_id is None:
            self._events.append(trade)
        elif stream is not None:
            self._receive_out_of_turn(stream, trade, trade.trade_id)
        elif trade.source == "live" or missed or self._fetcher is None:  # else it is history nobody asked for
            # One that nobody subscribes to comes late, or unasked: what is subscribed later does not go on from it.
            if self._fetcher is None or trade.symbol in self._owners:
                self._streams[trade.symbol] = _Stream(trade, trade.trade_id)
            self._events.append(trade)

    def end_frame(self, stamp: Stamp, n: int) -> None:
        """The frame with the snapshot is over: what it brought is told."""
        for symbol in self.touched:
            stream = self._streams.get(symbol)
            if stream is not None and stream.restored is not None:
                reach, stream.restored = stream.restored, None
                count = reach[1] - reach[0] + 1
                self._tell_backfilled(symbol, reach, count, "snapshot", took_ns=0, stamp=stamp, n=n)
        self.touched.clear()

    def give_up(self, symbol: str, reason: str, now: Stamp, n: int) -> None:
        """`now.connection` cannot have `symbol`: if no other one has it, what is missing of it will not come."""
        if not self._owners.get(symbol, set()) - {now.connection}:
            self._give_up(symbol, reason, now, n)

    def stop(self, reason: str, n: int) -> None:
        """Nothing more will come: what is held back is given, and what is missing told."""
        for symbol, hole in list(self._holes.items()):
            self._give_up(symbol, reason, hole.stamp, n)

    def restart(self, now: int) -> None:
        """Nobody fetched anything until now: holes get all their time."""
        for hole in self._holes.values():
            hole.deadline = now + self._timeout_ns

    def handle_deadline(self, now: Stamp, n: int) -> None:
        """Time has come to `now`: holes that were open for too long are given up."""
        late = [symbol for symbol, hole in self._holes.items() if hole.deadline <= now.received_mono_ns]
        for symbol in late:
            self._give_up(symbol, f"not to be had within {self._options.backfill_timeout:g} s", now, n)

    def next_deadline(self) -> int | None:
        """When `handle_deadline` is wanted (monotonic ns)."""
        return min((hole.deadline for hole in self._holes.values()), default=None) if self._holes else None

    # --- continuity -------------------------------------------------------------------------------------------------

    def _receive_out_of_turn(self, stream: _Stream, trade: Trade, trade_id: int) -> None:
        hole = stream.hole
        if trade_id < stream.next:
            self._receive_again(stream, trade, trade_id)
        elif hole is not None:
            self._receive_ahead(stream, hole, trade, trade_id)
        elif trade_id == stream.next:
            self._restore(stream, trade, trade_id)
        elif self._fetcher is None:
            missing = (stream.next, trade_id - 1)
            self._tell_gap(trade.symbol, missing, "trade_id jumped", stamp=trade.stamp, n=trade.n, seq=trade.seq)
            self._give(stream, trade, trade_id)
        else:
            hole = stream.hole = _Hole(trade, trade.stamp.received_mono_ns + self._timeout_ns)
            self._holes[trade.symbol] = hole
            self._receive_ahead(stream, hole, trade, trade_id)
            self._ask(stream, hole, trade.symbol, trade.stamp.received_mono_ns + _PATIENCE)

    def _receive_again(self, stream: _Stream, trade: Trade, trade_id: int) -> None:
        """What was given before; or the exchange counts anew, which is a gap of unknown size.

        Live trades do not repeat themselves on one connection, so that an id which went back in a later epoch, though
        time did not, is a new count. The last trade itself, repeated, shows that the count goes on.
        """
        last = stream.last
        here, there = trade.stamp, last.stamp
        if trade_id == last.trade_id:
            stream.last = trade
        elif (
            trade.source == "live"
            and (here.epoch, here.connection) != (there.epoch, there.connection)
            and not (_has_time(trade) and _has_time(last) and _time(trade) <= _time(last) + _MARGINS[0])
        ):
            self._give_up(trade.symbol, "the exchange counts anew", here, trade.n)
            reason = f"trade_id went back from {stream.next - 1} to {trade_id}"
            self._tell_gap(trade.symbol, None, reason, stamp=here, n=trade.n, seq=trade.seq)
            self._give(stream, trade, trade_id)
            return
        self.repeated += 1

    def _restore(self, stream: _Stream, trade: Trade, trade_id: int) -> None:
        """The snapshot after a reconnect goes on where the stream had ended."""
        if self._fetcher is not None:
            if stream.restored is None:
                self.touched.append(trade.symbol)
                stream.restored = (trade_id, trade_id)
            else:
                stream.restored = (stream.restored[0], trade_id)
            self.backfilled += 1
        self._give(stream, trade, trade_id)

    def _receive_ahead(self, stream: _Stream, hole: _Hole, trade: Trade, trade_id: int) -> None:
        """A trade while some are missing: one of these, or one to hold back."""
        if trade_id in hole.held:
            self.repeated += 1
            return
        is_next = trade_id == stream.next
        hole.top, top = max(hole.top, trade_id), hole.top
        if not is_next and len(hole.held) >= self._options.backfill_hold:
            return  # it counts as missing
        if trade.source != "live":
            self._note(hole, trade_id, trade.source)
        elif trade_id < top:
            same = trade.stamp.connection == hole.stamp.connection
            self._note(hole, trade_id, "late" if same else "mirror")
        if is_next:
            self._give(stream, trade, trade_id)
            self._drain(stream, hole)
            self._finish(trade.symbol, stream, trade.stamp, trade.n)
        else:
            hole.held[trade_id] = trade

    def _give_up(self, symbol: str, reason: str, now: Stamp, n: int) -> None:
        """What is missing of `symbol` will not come: it is told, and what was held back is given."""
        stream = self._streams.get(symbol)
        if stream is None or stream.hole is None:
            return
        self._move_to(stream, stream.hole, stream.hole.top + 1, reason, now=now, n=n)
        self._finish(symbol, stream, now, n)

    def _give(self, stream: _Stream, trade: Trade, trade_id: int) -> None:
        stream.next = trade_id + 1
        stream.last = trade
        self._events.append(trade)

    def _drain(self, stream: _Stream, hole: _Hole) -> None:
        """Give what was held back, as far as nothing is missing before it."""
        held = hole.held
        while (trade := held.pop(stream.next, None)) is not None:
            self._give(stream, trade, stream.next)

    def _move_to(self, stream: _Stream, hole: _Hole, goal: int, reason: str, *, now: Stamp, n: int) -> None:
        """Go on to `goal`: what was held back before it is given, what is missing there is told as lost."""
        symbol, held = stream.last.symbol, hole.held
        stamp = _over(hole, now)
        for trade_id in sorted(trade_id for trade_id in held if trade_id < goal):
            if trade_id > stream.next:
                self._tell_gap(symbol, (stream.next, trade_id - 1), reason, stamp=stamp, n=n)
            self._give(stream, held.pop(trade_id), trade_id)
        if goal > stream.next:
            self._tell_gap(symbol, (stream.next, goal - 1), reason, stamp=stamp, n=n)
            stream.next = goal
        self._drain(stream, hole)

    def _finish(self, symbol: str, stream: _Stream, now: Stamp, n: int) -> None:
        """If nothing is missing any more, say so."""
        hole = stream.hole
        if hole is None or stream.next <= hole.top:
            return
        self._close(symbol)
        if hole.reach is not None:
            how = next(each for each in ("rest", "snapshot", "mirror", "late") if each in hole.sources)
            took_ns = max(now.received_mono_ns - hole.found_ns, 0)
            stamp = _over(hole, now)
            self._tell_backfilled(symbol, hole.reach, hole.filled, how, took_ns=took_ns, stamp=stamp, n=n)

    def _close(self, symbol: str) -> None:
        hole = self._holes.pop(symbol, None)
        if hole is None:
            return
        self._streams[symbol].hole = None
        if hole.number is not None and self._fetcher is not None:
            self._fetcher.cancel(hole.number)

    def _note(self, hole: _Hole, trade_id: int, source: str) -> None:
        """A trade that was missing is there."""
        hole.filled += 1
        hole.sources.add(source)
        self.backfilled += 1
        first, last = hole.reach or (trade_id, trade_id)
        hole.reach = (min(first, trade_id), max(last, trade_id))

    # --- REST -------------------------------------------------------------------------------------------------------

    def _ask(self, stream: _Stream, hole: _Hole, symbol: str, not_before: int) -> None:
        if self._fetcher is None:
            return
        if hole.cursor is None:
            hole.cursor = max((stream.last.exchange_ns or 0) - _MARGINS[hole.margin], 0)
        params = (
            ("pair", pair_spellings(symbol)[hole.spelling]),
            ("since", str(max(hole.cursor - 1, 0))),  # several trades may share the moment at which a page ends
            ("count", str(TRADES_PER_PAGE)),
        )
        then = partial(self._receive_page, symbol, hole)
        hole.number = self._fetcher.ask("Trades", params, then, not_before=not_before, urgent=True)

    def _receive_page(self, symbol: str, hole: _Hole, answer: Answer, now: Stamp, n: int) -> None:
        stream = self._streams.get(symbol)
        if stream is None or stream.hole is not hole:
            return
        hole.number = None
        if answer.result is None:
            if answer.trouble is RestTrouble.PAIR and hole.spelling + 1 < len(pair_spellings(symbol)):
                hole.spelling += 1
                self._ask(stream, hole, symbol, 0)
            else:
                self._give_up(symbol, f"REST Trades: {answer.error}", now, n)
            return
        try:
            page = decode_trades(answer.result, symbol, _over(hole, now), n)
        except DECODE_ERRORS as error:
            self._ask_again(stream, hole, symbol, f"not a Trades of Kraken's: {str(error)[:200]}", now=now, n=n)
            return
        self._take_page(stream, hole, symbol, page, now=now, n=n)

    def _take_page(self, stream: _Stream, hole: _Hole, symbol: str, page: TradePage, *, now: Stamp, n: int) -> None:
        before = stream.next
        hole.fetched += len(page.trades)
        for trade in page.trades:
            trade_id = trade.trade_id
            if trade_id is None or trade_id < stream.next:
                continue
            if stream.next > hole.top:
                break  # it comes by itself
            if trade_id > stream.next:
                if self._ask_further_back(stream, hole, symbol):
                    return
                if trade_id > hole.top:
                    break
                self._move_to(stream, hole, trade_id, "REST Trades does not have them", now=now, n=n)
            if trade_id == stream.next:
                self._note(hole, trade_id, "rest")
                self._give(stream, trade, trade_id)
                self._drain(stream, hole)
        if stream.next > hole.top:
            self._finish(symbol, stream, now, n)
            return
        if hole.fetched >= self._options.backfill_limit:
            self._give_up(symbol, f"more than the {hole.fetched} trades that were fetched", now, n)
            return
        if not page.trades and stream.next == before and self._ask_further_back(stream, hole, symbol):
            return
        advanced = page.cursor is not None and hole.cursor is not None and page.cursor > hole.cursor
        if advanced:
            hole.cursor = page.cursor
        is_overlap = bool(page.trades) and (page.trades[-1].trade_id or 0) < stream.next
        if advanced and (stream.next > before or is_overlap):
            hole.attempts = 0
            self._ask(stream, hole, symbol, 0)
        else:
            self._ask_again(stream, hole, symbol, "REST Trades does not have them", now=now, n=n)

    def _ask_further_back(self, stream: _Stream, hole: _Hole, symbol: str) -> bool:
        """Ask from an earlier time on: a clock that was ahead may have put the cursor behind all that is missing.

        Returns:
            False, if it was the earliest already.
        """
        if hole.margin + 1 == len(_MARGINS):
            return False
        hole.margin += 1
        hole.cursor = None
        self._ask(stream, hole, symbol, 0)
        return True

    def _ask_again(self, stream: _Stream, hole: _Hole, symbol: str, why: str, *, now: Stamp, n: int) -> None:
        """A page brought nothing new: REST may be behind, but not for ever."""
        hole.attempts += 1
        if self._fetcher is None or hole.attempts >= self._options.backfill_attempts:
            self._give_up(symbol, why, now, n)
            return
        self._ask(stream, hole, symbol, now.received_mono_ns + self._fetcher.backoff(hole.attempts))

    # --- what is told -----------------------------------------------------------------------------------------------

    def _tell_gap(
        self, symbol: str, missing: tuple[int, int] | None, reason: str, *, stamp: Stamp, n: int, seq: int = 0
    ) -> None:
        first, last = missing or (None, None)
        count = None if missing is None else missing[1] - missing[0] + 1
        self.lost += count or 0
        self._events.append(
            Gap(
                of="trade", symbol=symbol, reason=reason, first=first, last=last, count=count, stamp=stamp, n=n, seq=seq
            )
        )

    def _tell_backfilled(
        self, symbol: str, reach: tuple[int, int], count: int, how: str, *, took_ns: int, stamp: Stamp, n: int
    ) -> None:
        self._events.append(
            Backfilled(
                of="trade",
                symbol=symbol,
                first=reach[0],
                last=reach[1],
                count=count,
                how=how,
                took_ns=took_ns,
                stamp=stamp,
                n=n,
            )
        )


def _over(hole: _Hole, now: Stamp) -> Stamp:
    """This moment, on the connection that showed the hole: who reads that one is told."""
    return msgspec.structs.replace(now, connection=hole.stamp.connection, epoch=hole.stamp.epoch)


def _has_time(trade: Trade) -> bool:
    return trade.exchange_ns is not None


def _time(trade: Trade) -> int:
    return trade.exchange_ns or 0
