"""The candles of some symbols since a moment: by REST, and from the journal those that are older than what REST has."""

from __future__ import annotations

from typing import Any

from krakenwire.clock import NS_PER_S
from krakenwire.errors import RestFailed
from krakenwire.events import Gap, Ohlc
from krakenwire.feed.feed import Feed
from krakenwire.feed.past import Pair, Step, loss_of, rest_stamp
from krakenwire.feed.recorded import last_candles, recorded_candles
from krakenwire.protocol.wire.rest import CANDLES_KEPT, DECODE_ERRORS, decode_candles

__all__ = ["PastCandles"]

_MINUTE_NS = 60 * NS_PER_S


class PastCandles:
    """The candles of some symbols since a moment, by their begin; the one that ran at that moment is the first.

    Args:
        feed: fetches them.
        symbols: as the user gave them.
        interval: minutes.
        since_ns: UTC nanoseconds. None: from the candle that ran when the run before ended, and only what is live if
            there was none.
    """

    def __init__(self, feed: Feed, symbols: tuple[str, ...], interval: int, since_ns: int | None) -> None:
        self._feed = feed
        self._symbols = symbols
        self._interval = interval
        self._since_ns = since_ns
        self._given: dict[str, Ohlc] = {}
        """As the run before gave them last."""
        self._newest: dict[str, Ohlc] = {}
        self._found: dict[str, list[Any]] = {}
        self._step = Step(-1, [], again=True)

    @property
    def is_joined(self) -> bool:
        """Whether every symbol has gone on live."""
        return not self._newest

    def knows(self, event: Any) -> bool:
        """Whether `event` is of a symbol that has gone on live."""
        return not isinstance(event, Ohlc) or event.symbol not in self._newest

    async def more(self, number: int) -> Step:
        """All candles of all symbols, by their begin, at once: REST has 720 of each at most. Cancellation: safe.

        Raises:
            RestFailed: there is no answer; asking again goes on.
        """
        if number == self._step.number:
            return self._step
        events: list[Any] = []
        if self._step.number < 0:
            for symbol, first_ns in (await self._begins()).items():
                if symbol not in self._found:
                    self._found[symbol] = await self._find(symbol, first_ns)
            events = [event for found in self._found.values() for event in found]
            events.sort(key=lambda event: event.interval_begin_ns if isinstance(event, Ohlc) else 0)
            self._newest = {symbol: found[-1] for symbol, found in self._found.items() if found}
            self._found = {}
        self._step = Step(number, events, again=bool(events))
        return self._step

    async def join(self, event: Any, number: int) -> Step:
        """What a live candle means after history. Cancellation: safe."""
        if number == self._step.number:
            return self._step
        events = [event]
        if not self.knows(event):
            newest, begin_ns = self._newest[event.symbol], event.interval_begin_ns
            if begin_ns > newest.interval_begin_ns:
                del self._newest[event.symbol]
            elif begin_ns < newest.interval_begin_ns or event.trades <= newest.trades:
                events = []
            else:
                self._newest[event.symbol] = event
        self._step = Step(number, events, again=False)
        return self._step

    async def _begins(self) -> dict[str, int]:
        """From which candle on each symbol is to be told. Cancellation: safe."""
        feed, since_ns = self._feed, self._since_ns
        symbols = await feed.resolve(self._symbols)
        if since_ns is not None:
            return dict.fromkeys(symbols, since_ns - since_ns % (self._interval * _MINUTE_NS))
        if feed.taken_over is None or feed.recorder is None:
            return {}
        kept = feed.taken_over.candles
        known = {symbol: kept[symbol, self._interval] for symbol in symbols if (symbol, self._interval) in kept}
        if len(known) < len(symbols):
            known |= await last_candles(feed.recorder, set(symbols) - known.keys(), self._interval)
        self._given = known
        return {symbol: known[symbol].interval_begin_ns for symbol in symbols if symbol in known}

    async def _find(self, symbol: str, first_ns: int) -> list[Any]:
        """The candles of a symbol from `first_ns` on. Cancellation: safe."""
        found, is_cut = await self._fetch(symbol, first_ns)
        if is_cut:
            begin_ns, recorder = found[0].interval_begin_ns, self._feed.recorder
            recorded: list[Ohlc] = []
            if recorder is not None and recorder.first_segment:
                kept = await recorded_candles(recorder, symbol, self._interval, first_ns)
                recorded = [kept[each] for each in sorted(kept) if first_ns <= each < begin_ns]
            length_ns = self._interval * _MINUTE_NS
            if not recorded or recorded[0].interval_begin_ns > first_ns:
                # How many there were is not known: a quiet one may have none.
                last_ns = (recorded[0].interval_begin_ns if recorded else begin_ns) - length_ns
                found = [self._missing(symbol, first_ns, last_ns), *recorded, *found]
            else:
                found = [*recorded, *found]
        given = self._given.get(symbol)
        if given is not None and found and _is_same(found[0], given):
            del found[0]
        return found

    async def _fetch(self, symbol: str, first_ns: int) -> tuple[list[Any], bool]:
        """What REST has from `first_ns` on, and whether that is not all."""
        # One second earlier: whether `since` is the first candle or the last before it is not told.
        since = ("since", str(max(first_ns // NS_PER_S - 1, 0)))
        result = await Pair(self._feed, symbol).fetch("OHLC", (("interval", str(self._interval)), since))
        try:
            candles = decode_candles(result, symbol, self._interval, rest_stamp(self._feed), self._feed.core.n)
        except DECODE_ERRORS as error:
            raise RestFailed("OHLC", f"not an answer of Kraken's: {str(error)[:200]}") from None
        found: list[Any] = [candle for candle in candles if candle.interval_begin_ns >= first_ns]
        return found, len(candles) >= CANDLES_KEPT and bool(found) and found[0].interval_begin_ns > first_ns

    def _missing(self, symbol: str, first_ns: int, last_ns: int) -> Any:
        reason = f"REST OHLC has no more than {CANDLES_KEPT} candles"
        return loss_of(
            Gap(of="ohlc", symbol=symbol, interval=self._interval, reason=reason, first=first_ns, last=last_ns)
        )


def _is_same(candle: Any, given: Ohlc) -> bool:
    """Whether nothing happened in a candle since it was given."""
    return (
        isinstance(candle, Ohlc)
        and candle.interval_begin_ns == given.interval_begin_ns
        and (candle.trades, candle.volume, candle.close) == (given.trades, given.volume, given.close)
    )
