"""What happened since a moment, by REST, and then what happens: one stream without a seam, each event once.

A reader with `since=` is attached to the live stream first; what comes there waits in its inbox. Then the past is
fetched page by page as it is read, never more than one page of each symbol ahead. Trades join by their trade_id: what
history has is dropped from the live stream, and if the first live trade is further on, history goes on up to it.
Candles join by their begin. What cannot be had stands in the stream as a `Loss`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast

from krakenwire.clock import NS_PER_S
from krakenwire.errors import ConnectionClosed, DataLost, RestFailed, UsageError
from krakenwire.events import Gap, Loss, Ohlc, Stamp, Trade
from krakenwire.feed.feed import Feed
from krakenwire.hub import Inbox, OnLoss, Reader
from krakenwire.protocol.wire.rest import (
    CANDLES_KEPT,
    DECODE_ERRORS,
    TRADES_PER_PAGE,
    RestTrouble,
    classify_rest,
    decode_candles,
    decode_trades,
    pair_spellings,
)
from krakenwire.streams import StreamRequest

__all__ = ["HistoryReader", "Past", "PastCandles", "PastTrades", "Step", "past_of"]

_ATTEMPTS = 6
"""How often REST is asked for a trade that is known to exist before it is told as lost."""

_WAIT_S = 1.0
"""Between two of these."""

_MARGIN_NS = 60 * NS_PER_S
"""How far back a hole is looked for: a trade's place is told by its id, and REST is asked by time."""

_MINUTE_NS = 60 * NS_PER_S

_REST = "rest"
"""The connection of events that came over none."""

T_co = TypeVar("T_co", covariant=True)


class Step(NamedTuple):
    """What one step through the past gave.

    Attributes:
        number: which step: who was cancelled while it ended asks for it again.
        events: in order.
        again: the same is to be asked once more, for there is more of it.
    """

    number: int
    events: list[Any]
    again: bool


class Past(Protocol):
    """What happened to some symbols since a moment; its coroutines run on the feed's loop. Cancellation: safe."""

    async def more(self, number: int) -> Step:
        """The next events; `again` until the present is reached."""

    async def join(self, event: Any, number: int) -> Step:
        """What is to be given for a live `event`: itself after what is missing before it, or nothing."""

    def knows(self, event: Any) -> bool:
        """Whether `event` goes on from here without a `join`; any thread may ask."""

    @property
    def is_joined(self) -> bool:
        """Whether every event does; any thread may ask."""


class PastTrades:
    """The trades of some symbols since a moment, merged by their time.

    Args:
        feed: fetches them.
        symbols: as the user gave them.
        since_ns: UTC nanoseconds; what happened before is left out.
    """

    def __init__(self, feed: Feed, symbols: tuple[str, ...], since_ns: int) -> None:
        self._feed = feed
        self._symbols = symbols
        self._since_ns = since_ns
        self._tapes: dict[str, _Tape] = {}
        self._unjoined: set[str] = set()
        self._step = Step(-1, [], again=True)

    @property
    def is_joined(self) -> bool:
        """Whether every symbol has gone on live."""
        return not self._unjoined

    def knows(self, event: Any) -> bool:
        """Whether `event` is of a symbol that has gone on live."""
        return isinstance(event, Trade) and event.symbol not in self._unjoined

    async def more(self, number: int) -> Step:
        """The next trades of all symbols, by time. Cancellation: safe.

        Raises:
            RestFailed: there is no answer; asking again goes on.
        """
        if number == self._step.number:
            return self._step
        if not self._tapes:
            symbols = await self._feed.resolve(self._symbols)
            self._tapes = {symbol: _Tape(self._feed, symbol, self._since_ns) for symbol in symbols}
            self._unjoined = set(symbols)
        for tape in self._tapes.values():
            await tape.look_ahead()
        events = self._merge()
        self._step = Step(number, events, again=bool(events))
        return self._step

    async def join(self, event: Any, number: int) -> Step:
        """What a live event means after history. Cancellation: safe.

        Raises:
            RestFailed: what is missing before it cannot be fetched; asking again goes on.
        """
        if number != self._step.number:
            self._step = await self._join(event, number)
        return self._step

    def _merge(self) -> list[Any]:
        """The earliest of what is ahead, up to where a tape has to look ahead again."""
        events: list[Any] = []
        tapes = [tape for tape in self._tapes.values() if tape.ahead]
        while tapes:
            first = min(tapes, key=_Tape.next_ns)
            events.append(first.ahead.popleft())
            if not first.ahead:
                if not first.is_over:
                    break
                tapes.remove(first)
        return events

    async def _join(self, event: Any, number: int) -> Step:
        if isinstance(event, Loss):
            # What a lag or a gap left out before a symbol has joined shows in its next trade_id, and is fetched.
            symbols = {event.symbol} if event.symbol else set(self._tapes)
            waiting = symbols <= {each for each in self._unjoined if self._tapes[each].last_id is not None}
            covered = waiting and (event.cause is None or isinstance(event.cause, Gap))
            return Step(number, [] if covered else [event], again=False)
        tape = self._tapes.get(event.symbol) if isinstance(event, Trade) else None
        if tape is None or event.symbol not in self._unjoined:
            return Step(number, [event], again=False)
        if event.trade_id is None or tape.last_id is None:
            if event.exchange_ns is not None and event.exchange_ns < self._since_ns:
                return Step(number, [], again=False)
        elif event.trade_id <= tape.last_id:
            return Step(number, [], again=False)
        elif not await tape.reach(event.trade_id):
            return Step(number, tape.take(), again=True)
        self._unjoined.discard(event.symbol)
        return Step(number, [*tape.take(), event], again=False)


class _Tape:
    """The past trades of one symbol, read forwards."""

    def __init__(self, feed: Feed, symbol: str, since_ns: int) -> None:
        self._pair = _Pair(feed, symbol)
        self._feed = feed
        self._symbol = symbol
        self._since_ns = since_ns
        self._cursor = since_ns
        self._last_ns = since_ns
        self._attempts = 0
        self.ahead: deque[Trade | Loss] = deque()
        self.last_id: int | None = None
        self.is_over = False
        """There was nothing more before the present."""

    def next_ns(self) -> int:
        """When the next one was; a loss comes at once."""
        first = self.ahead[0]
        return (first.exchange_ns or 0) if isinstance(first, Trade) else 0

    def take(self) -> list[Trade | Loss]:
        """All that is ahead."""
        found = list(self.ahead)
        self.ahead.clear()
        return found

    async def look_ahead(self) -> None:
        """Have something at hand, if there is anything before the present."""
        while not self.ahead and not self.is_over:
            count, went_on = await self._read_page(None)
            # A page that is not full ends in the present; one that does not lead on would be given again.
            self.is_over = count < TRADES_PER_PAGE or not went_on

    async def reach(self, trade_id: int) -> bool:
        """Read one page more of what comes before `trade_id`; whether there is nothing more to read."""
        if self.last_id is None or self.last_id + 1 >= trade_id:
            return True
        before = self.last_id
        _, went_on = await self._read_page(trade_id)
        if self.last_id > before:
            self._attempts = 0
        if self.last_id + 1 < trade_id and not went_on:
            self._attempts += 1
            if self._attempts == _ATTEMPTS:
                self._lose(trade_id)
            else:
                self._cursor = max(self._last_ns - _MARGIN_NS, 0)
                await self._feed.settings.clock.sleep(_WAIT_S)
        return self.last_id + 1 >= trade_id

    async def _read_page(self, before: int | None) -> tuple[int, bool]:
        """Read on, up to the trade_id `before`: how many trades REST gave, and whether there may be more."""
        # One earlier: several trades may share the moment at which a page ends.
        since = ("since", str(max(self._cursor - 1, 0)))
        result = await self._pair.fetch("Trades", (since, ("count", str(TRADES_PER_PAGE))))
        try:
            page = decode_trades(result, self._symbol, _now(self._feed), self._feed.core.n)
        except DECODE_ERRORS as error:
            raise RestFailed("Trades", f"not an answer of Kraken's: {str(error)[:200]}") from None
        for trade in page.trades:
            trade_id = trade.trade_id or 0
            if before is not None and trade_id >= before:
                break
            if self.last_id is None:
                if (trade.exchange_ns or 0) < self._since_ns:
                    continue
            elif trade_id <= self.last_id:
                continue
            elif trade_id > self.last_id + 1:
                self._lose(trade_id)
            self.ahead.append(trade)
            self.last_id, self._last_ns = trade_id, trade.exchange_ns or self._last_ns
        went_on = page.cursor is not None and page.cursor > self._cursor
        if page.cursor is not None and went_on:
            self._cursor = page.cursor
        return len(page.trades), went_on

    def _lose(self, trade_id: int) -> None:
        """REST has none between the last one and `trade_id`."""
        first = (self.last_id or 0) + 1
        count = trade_id - first
        reason = "REST Trades does not have them"
        gap = Gap(of="trade", symbol=self._symbol, reason=reason, first=first, last=trade_id - 1, count=count)
        self.ahead.append(_loss(gap))
        self.last_id = trade_id - 1


class PastCandles:
    """The candles of some symbols since a moment, by their begin; the one that ran at that moment is the first.

    Args:
        feed: fetches them.
        symbols: as the user gave them.
        interval: minutes.
        since_ns: UTC nanoseconds.
    """

    def __init__(self, feed: Feed, symbols: tuple[str, ...], interval: int, since_ns: int) -> None:
        self._feed = feed
        self._symbols = symbols
        self._interval = interval
        self._first_ns = since_ns - since_ns % (interval * _MINUTE_NS)
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
            for symbol in await self._feed.resolve(self._symbols):
                if symbol not in self._found:
                    self._found[symbol] = await self._fetch(symbol)
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

    async def _fetch(self, symbol: str) -> list[Any]:
        length_ns = self._interval * _MINUTE_NS
        # One second earlier: whether `since` is the first candle or the last before it is not told.
        since = ("since", str(max(self._first_ns // NS_PER_S - 1, 0)))
        result = await _Pair(self._feed, symbol).fetch("OHLC", (("interval", str(self._interval)), since))
        try:
            candles = decode_candles(result, symbol, self._interval, _now(self._feed), self._feed.core.n)
        except DECODE_ERRORS as error:
            raise RestFailed("OHLC", f"not an answer of Kraken's: {str(error)[:200]}") from None
        found: list[Any] = [candle for candle in candles if candle.interval_begin_ns >= self._first_ns]
        if len(candles) >= CANDLES_KEPT and found and found[0].interval_begin_ns > self._first_ns:
            reason = f"REST OHLC has no more than {CANDLES_KEPT} candles"
            last_ns = found[0].interval_begin_ns - length_ns
            gap = Gap(
                of="ohlc", symbol=symbol, interval=self._interval, reason=reason, first=self._first_ns, last=last_ns
            )
            found.insert(0, _loss(gap))
        return found


class _Pair:
    """Asks REST about one symbol, by the name that it knows."""

    def __init__(self, feed: Feed, symbol: str) -> None:
        self._feed = feed
        self._names = list(pair_spellings(symbol))

    async def fetch(self, call: str, params: tuple[tuple[str, str], ...]) -> bytes:
        """The result of a call. Raises `RestFailed`, `ConnectionClosed`. Cancellation: safe."""
        while True:
            try:
                return await self._feed.fetch(call, (("pair", self._names[0]), *params))
            except RestFailed as error:
                if classify_rest(error.text) is not RestTrouble.PAIR or len(self._names) == 1:
                    raise
                del self._names[0]


class HistoryReader(Reader[T_co], Generic[T_co]):
    """A `Reader` that begins in the past. Its statistics are those of its live part.

    Args:
        inbox: of the live stream.
        on_loss: as for any reader.
        subscribe: as for any reader.
        release: as for any reader.
        past: what happened.
        run: runs a coroutine of the past on the feed's loop.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        on_loss: OnLoss,
        subscribe: Callable[[], Awaitable[None]],
        release: Callable[[], None],
        past: Past,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        super().__init__(inbox, on_loss=on_loss, subscribe=subscribe, release=release)
        self._past = past
        self._run = run
        self._phase: Literal["past", "joining", "live"] = "past"
        self._queue: deque[Any] = deque()
        self._event: Any = None
        """The live event that is being joined."""
        self._number = 0
        self._is_stepping = False

    async def __anext__(self) -> T_co:
        """The next event. Cancellation: safe, nothing is lost.

        Raises:
            RestFailed: the past cannot be fetched; iterating again asks again.
            Whatever iterating a reader may raise.
        """
        if not await self._has_history():
            return await super().__anext__()
        event = self._queue.popleft()
        if self._raises and isinstance(event, Loss):
            raise DataLost(event)
        return cast("T_co", event)

    async def next_batch(self, max_events: int, max_wait: float | None) -> list[T_co]:
        """One step of `batches`; the past waits for no more."""
        if not await self._has_history():
            return await super().next_batch(max_events, max_wait)
        batch: list[T_co] = []
        queue = self._queue
        while queue and len(batch) < max_events:
            if self._raises and isinstance(queue[0], Loss):
                if batch:
                    break
                raise DataLost(queue.popleft())
            batch.append(queue.popleft())
        return batch

    async def _has_history(self) -> bool:
        """Have an event in the queue; False once all is live."""
        if self._phase == "live" and not self._queue:
            return False
        if self._state in ("new", "opening"):
            await self._open()
        while not self._queue and self._phase != "live":
            if self._state == "closed":
                raise StopAsyncIteration
            if self._is_stepping:
                raise UsageError("two tasks read one reader; give each its own")
            self._is_stepping = True
            try:
                await self._advance()
            except ConnectionClosed:
                if not self._inbox.is_over:
                    raise
                raise StopAsyncIteration from None  # the client was closed, as ends any reader
            finally:
                self._is_stepping = False
        return bool(self._queue)

    async def _advance(self) -> None:
        """One step through the past, or over the seam."""
        if self._phase == "past":
            step = await self._run(partial(self._past.more, self._number))
            if not step.again:
                self._phase = "joining"
        else:
            if self._event is None:
                await self._inbox.wait()
                self._event = self._inbox.take()
            if self._event is None:
                return
            if self._past.knows(self._event):
                self._queue.append(self._event)
                self._event = None
                return
            step = await self._run(partial(self._past.join, self._event, self._number))
            if not step.again:
                self._event = None
        self._number += 1
        self._queue.extend(step.events)
        if self._phase == "joining" and self._event is None and self._past.is_joined:
            self._phase = "live"


def past_of(feed: Feed, request: StreamRequest) -> Past | None:
    """The past that a reader is to begin with, or None."""
    if request.since_ns is None or request.symbols == "all":
        return None
    if request.channels == ("trade",):
        return PastTrades(feed, request.symbols, request.since_ns)
    return PastCandles(feed, request.symbols, request.interval, request.since_ns)


def _now(feed: Feed) -> Stamp:
    clock = feed.settings.clock
    return Stamp(_REST, 0, clock.now_ns(), clock.monotonic_ns())


def _loss(gap: Gap) -> Loss:
    return Loss(reason=gap.reason, count=gap.count, of=gap.of, symbol=gap.symbol, cause=gap)
