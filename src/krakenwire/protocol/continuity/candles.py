"""Kraken's candles without a gap: what was missed while nothing kept them up to date is given before they go on.

A candle tells its state, not a change, so that only whole candles can be missed, and the end of the one that ran when
the stream was interrupted. The snapshot of the new subscription holds some (PROTOCOL 3.8); where it does not reach back
to that one, REST `OHLC` does, as far as its 720 rows go (PROTOCOL 8.3). What cannot be had is told as a `Gap`.
"""

from __future__ import annotations

from functools import partial

import msgspec

from krakenwire.events import Backfilled, Gap, Ohlc, Stamp
from krakenwire.protocol.continuity.fetching import Answer, Fetcher
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.wire.rest import DECODE_ERRORS, RestTrouble, decode_candles, pair_spellings

__all__ = ["Candles"]

_NS = 1_000_000_000
_MINUTE_NS = 60 * _NS

_HELD = 1000
"""Candles of one stream held back at most: more than a snapshot and REST have together."""

_MOST_STREAMS = 50_000
"""Streams that are kept; a server may name as many symbols as it likes."""

Name = tuple[str, int]
"""Symbol and interval, minutes."""


class _Stream:
    """The candles of one symbol and interval."""

    __slots__ = ("deadline", "found", "held", "last", "number", "spelling")

    def __init__(self, last: Ohlc) -> None:
        self.last = last
        """The candle given last, as it was then."""
        self.held: dict[int, Ohlc] | None = None
        """Since an interruption: what came and cannot be given yet, by its begin; None while all is well."""
        self.found: Stamp | None = None
        """When it was seen that candles are missing, and on which connection."""
        self.deadline: int | None = None
        self.number: int | None = None
        self.spelling = 0


class Candles:
    """The candles of all symbols and intervals of a client.

    Args:
        options: how long candles may be held back.
        out: where events go.
        fetcher: makes REST calls; None if nothing can be asked for (recorded frames).

    Attributes:
        backfilled: candles given that had been missed.
        touched: streams that were interrupted and have candles at hand; `end_frame` is wanted.
    """

    def __init__(self, options: Options, out: Outputs, fetcher: Fetcher | None) -> None:
        self._events = out.events
        self._fetcher = fetcher
        self._timeout = options.backfill_timeout
        self._streams: dict[Name, _Stream] = {}
        self._waiting: dict[Name, None] = {}
        """In the order of their coming: a set's would be another one in every process."""
        self.touched: list[Name] = []
        self.backfilled = 0

    def all_last(self) -> dict[Name, Ohlc]:
        """Of each symbol and interval the candle given last, as it was then."""
        return {name: stream.last for name, stream in self._streams.items()}

    def receive(self, candle: Ohlc) -> None:
        """A candle as it came: given, or held back until what is missing before it is there."""
        stream = self._streams.get((candle.symbol, candle.interval))
        if stream is None:
            if len(self._streams) < _MOST_STREAMS:
                self._streams[candle.symbol, candle.interval] = _Stream(candle)
            self._events.append(candle)
        elif stream.held is None:
            if candle.interval_begin_ns >= stream.last.interval_begin_ns:
                stream.last = candle
            self._events.append(candle)
        else:
            if len(stream.held) < _HELD or candle.interval_begin_ns in stream.held:
                stream.held[candle.interval_begin_ns] = candle
            self.touched.append((candle.symbol, candle.interval))

    def last(self) -> list[Ohlc]:
        """The candle of each stream that was given last."""
        return [stream.last for stream in self._streams.values()]

    def end_frame(self, stamp: Stamp, n: int) -> None:
        """The frame is over: does what it brought reach back to what was given last?"""
        touched, self.touched = dict.fromkeys(self.touched), []
        for name in touched:
            stream = self._streams.get(name)
            if stream is None or not stream.held:
                continue
            if min(stream.held) <= stream.last.interval_begin_ns or self._fetcher is None:
                self._go_on(name, stream, "snapshot", stamp, n)
            elif stream.found is None:
                stream.found = stamp
                stream.deadline = stamp.received_mono_ns + round(self._timeout * _NS)
                self._waiting[name] = None
                self._ask(name, stream)

    def interrupt(self, symbol: str | None, interval: int | None) -> None:
        """Nothing keeps the candles up to date: what comes next may have missed some."""
        stream = self._streams.get((symbol or "", interval or 0))
        if stream is not None and stream.held is None:
            stream.held = {}

    def forget(self, symbol: str | None, interval: int | None) -> None:
        """The stream was ended on purpose: what comes after it continues nothing."""
        name = (symbol or "", interval or 0)
        stream = self._streams.pop(name, None)
        if stream is not None:
            self._settle(name, stream)

    def stop(self, reason: str, n: int) -> None:
        """Nothing more will come: what is held back is given, and what is missing told."""
        for name in list(self._waiting):
            stream = self._streams[name]
            if stream.found is not None:
                self._give_up(name, stream, reason, stream.found, n)

    def restart(self, now: int) -> None:
        """Nobody fetched anything until now: what is waited for gets all its time."""
        for name in self._waiting:
            self._streams[name].deadline = now + round(self._timeout * _NS)

    def handle_deadline(self, now: Stamp, n: int) -> None:
        """Time has come to `now`: what was waited for too long is told as lost."""
        for name in list(self._waiting):
            stream = self._streams[name]
            if stream.deadline is not None and stream.deadline <= now.received_mono_ns:
                self._give_up(name, stream, f"not to be had within {self._timeout:g} s", now, n)

    def next_deadline(self) -> int | None:
        """When `handle_deadline` is wanted (monotonic ns)."""
        if not self._waiting:
            return None
        return min(deadline for name in self._waiting if (deadline := self._streams[name].deadline) is not None)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _ask(self, name: Name, stream: _Stream) -> None:
        if self._fetcher is None:
            return
        symbol, interval = name
        params = (
            ("pair", pair_spellings(symbol)[stream.spelling]),
            ("interval", str(interval)),
            # One second earlier: whether `since` is the first candle or the last before it is not told.
            ("since", str(max(stream.last.interval_begin_ns // _NS - 1, 0))),
        )
        stream.number = self._fetcher.ask("OHLC", params, partial(self._receive_rows, name, stream), urgent=True)

    def _receive_rows(self, name: Name, stream: _Stream, answer: Answer, now: Stamp, n: int) -> None:
        if self._streams.get(name) is not stream or stream.found is None or not stream.held:
            return
        stream.number = None
        symbol, interval = name
        if answer.result is None:
            if answer.trouble is RestTrouble.PAIR and stream.spelling + 1 < len(pair_spellings(symbol)):
                stream.spelling += 1
                self._ask(name, stream)
            else:
                self._give_up(name, stream, f"REST OHLC: {answer.error}", now, n)
            return
        try:
            candles = decode_candles(answer.result, symbol, interval, _over(stream.found, now), n)
        except DECODE_ERRORS as error:
            self._give_up(name, stream, f"not an OHLC of Kraken's: {str(error)[:200]}", now, n)
            return
        newest_ns = max(stream.held)
        for candle in candles:
            begin_ns = candle.interval_begin_ns
            held = stream.held.get(begin_ns)
            # What came over the connection is as good, and newer where it has more trades; newer ones come by it.
            if begin_ns <= newest_ns and (held is None or held.trades < candle.trades):
                stream.held[begin_ns] = candle
        if min(stream.held) > stream.last.interval_begin_ns:
            self._tell_gap(name, stream, "REST OHLC does not reach back so far", now=now, n=n)
        self._go_on(name, stream, "rest", now, n)

    def _go_on(self, name: Name, stream: _Stream, how: str, now: Stamp, n: int) -> None:
        """Give what was held back, from the candle given last on: once more if it has changed."""
        held, before = stream.held or {}, stream.last
        stream.held = None
        given: list[int] = []
        for begin_ns in sorted(held):
            candle = held[begin_ns]
            if begin_ns < before.interval_begin_ns or _same(candle, before):
                continue
            stream.last = candle
            self._events.append(candle)
            if begin_ns > before.interval_begin_ns and candle.source != "live":
                given.append(begin_ns)
        found = stream.found
        self._settle(name, stream)
        if given:
            self.backfilled += len(given)
            symbol, interval = name
            self._events.append(
                Backfilled(
                    of="ohlc",
                    symbol=symbol,
                    interval=interval,
                    first=given[0],
                    last=given[-1],
                    count=len(given),
                    how=how,
                    took_ns=0 if found is None else max(now.received_mono_ns - found.received_mono_ns, 0),
                    stamp=now if found is None else _over(found, now),
                    n=n,
                )
            )

    def _give_up(self, name: Name, stream: _Stream, reason: str, now: Stamp, n: int) -> None:
        self._tell_gap(name, stream, reason, now=now, n=n)
        self._go_on(name, stream, "snapshot", now, n)

    def _settle(self, name: Name, stream: _Stream) -> None:
        """Nothing is waited for any more."""
        self._waiting.pop(name, None)
        stream.found = stream.deadline = None
        if stream.number is not None and self._fetcher is not None:
            self._fetcher.cancel(stream.number)
            stream.number = None

    def _tell_gap(self, name: Name, stream: _Stream, reason: str, *, now: Stamp, n: int) -> None:
        """From the candle whose end was not seen; how many there were is not known, for a quiet one may have none."""
        symbol, interval = name
        first_ns, found = stream.last.interval_begin_ns, stream.found
        last_ns = max(first_ns, min(stream.held or (0,)) - interval * _MINUTE_NS)
        self._events.append(
            Gap(
                of="ohlc",
                symbol=symbol,
                interval=interval,
                reason=reason,
                first=first_ns,
                last=last_ns,
                stamp=now if found is None else _over(found, now),
                n=n,
            )
        )


def _over(found: Stamp, now: Stamp) -> Stamp:
    """This moment, on the connection over which the candles come."""
    return msgspec.structs.replace(now, connection=found.connection, epoch=found.epoch)


def _same(candle: Ohlc, before: Ohlc) -> bool:
    """Whether nothing happened in a candle since it was given."""
    return (
        candle.interval_begin_ns == before.interval_begin_ns
        and candle.trades == before.trades
        and candle.volume == before.volume
        and candle.close == before.close
    )
