"""The trades of some symbols since a moment: from the journal, by REST where it has none, up to the live ones."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

from krakenwire.clock import NS_PER_S
from krakenwire.errors import RestFailed
from krakenwire.events import Gap, Loss, Trade
from krakenwire.feed.feed import Feed
from krakenwire.feed.past import Pair, Step, loss_of, rest_stamp
from krakenwire.feed.recorded import RecordedPast, last_trades
from krakenwire.protocol.wire.rest import DECODE_ERRORS, TRADES_PER_PAGE, decode_trades

__all__ = ["PastTrades"]

_ATTEMPTS = 6
"""How often REST is asked for a trade that is known to exist before it is told as lost."""

_WAIT_S = 1.0
"""Between two of these."""

_MARGIN_NS = 60 * NS_PER_S
"""How far back a hole is looked for: a trade's place is told by its id, and REST is asked by time."""


class PastTrades:
    """The trades of some symbols since a moment, merged by their time.

    What happened before the journal begins comes by REST, then what is in the journal, each trade by its id, then what
    happened since the last that is there. Without a journal all of it comes by REST.

    Args:
        feed: fetches them.
        symbols: as the user gave them.
        since_ns: UTC nanoseconds; what happened before is left out. None: from where the run before ended, and only
            what is live if there was none.
    """

    def __init__(self, feed: Feed, symbols: tuple[str, ...], since_ns: int | None) -> None:
        self._feed = feed
        self._symbols = symbols
        self._since_ns = since_ns
        self._tapes: dict[str, _Tape] = {}
        self._unjoined: set[str] = set()
        self._phase: Literal["new", "before", "recorded", "rest"] = "new"
        self._recorded: RecordedPast | None = None
        self._chunk: deque[Trade] = deque()
        self._given: list[Any] = []
        """Of a chunk that is being gone through."""
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
        if self._phase == "new":
            await self._begin()
        events: list[Any] = []
        if self._phase == "before":
            events = await self._look_ahead()
            if not events:
                self._phase = "recorded"
        if self._phase == "recorded":
            events = await self._read_journal()
        if self._phase == "rest" and not events:
            events = await self._look_ahead()
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

    # --- where it begins --------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Find out from where each symbol is to be told, and whether there is a journal. Cancellation: safe."""
        feed, since_ns = self._feed, self._since_ns
        tapes: dict[str, _Tape] = {}
        symbols = await feed.resolve(self._symbols)
        if since_ns is not None:
            tapes = {symbol: _Tape(feed, symbol, since_ns) for symbol in symbols}
            if feed.recorder is not None and feed.recorder.first_segment:
                self._recorded = RecordedPast(feed.recorder, dict.fromkeys(symbols), since_ns)
        elif feed.taken_over is not None and feed.recorder is not None:
            known = {symbol: last for symbol, last in feed.taken_over.trades.items() if symbol in symbols}
            if len(known) < len(symbols):
                known |= await last_trades(feed.recorder, set(symbols) - known.keys())
            tapes = {symbol: _Tape(feed, symbol, 0, known[symbol]) for symbol in symbols if symbol in known}
            if tapes:
                self._recorded = RecordedPast(feed.recorder, {each: known[each][0] for each in tapes}, None)
        self._tapes, self._unjoined = tapes, set(tapes)
        self._phase = "rest"
        if self._recorded is not None:
            await self._recorded.begin()
            self._phase = "recorded"
            if since_ns is not None and since_ns < self._recorded.begins_ns:
                self._phase = "before"
                for tape in tapes.values():
                    tape.until_ns = self._recorded.begins_ns

    # --- the past ---------------------------------------------------------------------------------------------------

    async def _look_ahead(self) -> list[Any]:
        """What REST has, as far as it is wanted from there; nothing at the end."""
        for tape in self._tapes.values():
            await tape.look_ahead()
        return self._merge()

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

    async def _read_journal(self) -> list[Any]:
        """The next of the journal's; nothing at its end."""
        recorded = self._recorded
        assert recorded is not None  # noqa: S101  # the phase says so
        while True:
            while self._chunk:
                self._given += await self._take(self._chunk[0])
                self._chunk.popleft()
            if self._given:
                events, self._given = self._given, []
                return events
            chunk = await recorded.chunk()
            if chunk is None:
                # What is ahead of a hole that is being filled comes live, behind what fills it.
                holes = self._feed.core.trades.holes
                chunk = [trade for trade in recorded.take_held() if trade.symbol not in holes]
                if not chunk:
                    break
            # As they were received, which over several symbols is nearly by their time.
            self._chunk.extend(chunk)
        self._phase = "rest"
        for symbol, tape in self._tapes.items():
            # What the core follows comes live from here on, and what is missing before shows in the next trade_id.
            follows = self._feed.core.trades.last(symbol) is not None
            tape.go_on(is_over=follows and tape.last_id is not None)
        return []

    async def _take(self, trade: Trade) -> list[Any]:
        """What a recorded trade means after those before; what is missing between comes by REST. Cancellation: safe."""
        tape, trade_id = self._tapes[trade.symbol], trade.trade_id
        if (trade.exchange_ns or 0) < (self._since_ns or 0):
            tape.passed(trade)
            return []
        if trade_id is None:
            return [trade]
        if tape.is_behind(trade_id):
            return []
        while not await tape.reach(trade_id):
            pass
        events = tape.take()
        tape.give(trade, trade_id)
        return [*events, trade]

    # --- the seam ---------------------------------------------------------------------------------------------------

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
            if event.exchange_ns is not None and event.exchange_ns < (self._since_ns or 0):
                return Step(number, [], again=False)
        elif event.trade_id <= tape.last_id:
            return Step(number, [], again=False)
        elif not await tape.reach(event.trade_id):
            return Step(number, tape.take(), again=True)
        self._unjoined.discard(event.symbol)
        return Step(number, [*tape.take(), event], again=False)


class _Tape:
    """The past trades of one symbol, read forwards.

    Args:
        feed: fetches them.
        symbol: whose.
        since_ns: UTC nanoseconds; earlier ones are left out.
        last: the trade_id and the time of the last one that is known, if it goes on from there.
    """

    def __init__(self, feed: Feed, symbol: str, since_ns: int, last: tuple[int, int] | None = None) -> None:
        self._pair = Pair(feed, symbol)
        self._feed = feed
        self._symbol = symbol
        self._since_ns = since_ns
        self.last_id: int | None = None
        self._last_ns = since_ns
        if last is not None:
            self.last_id, self._last_ns = last
        self._cursor = self._last_ns
        self._attempts = 0
        self._before_id: int | None = None
        """Of the last trade before `since_ns` that was seen."""
        self.ahead: deque[Trade | Loss] = deque()
        self.until_ns: int | None = None
        """What happened from then on comes from elsewhere."""
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

    # --- what the journal has ---------------------------------------------------------------------------------------

    def passed(self, trade: Trade) -> None:
        """A trade before `since_ns`: where the next one follows it, nothing lies between."""
        if trade.trade_id is not None:
            self._before_id = trade.trade_id

    def is_behind(self, trade_id: int) -> bool:
        """Whether it was given already."""
        if self.last_id is None and self._before_id == trade_id - 1:
            self.last_id = self._before_id
        return self.last_id is not None and trade_id <= self.last_id

    def give(self, trade: Trade, trade_id: int) -> None:
        """It was given from elsewhere."""
        self.last_id, self._last_ns = trade_id, trade.exchange_ns or self._last_ns
        self._cursor = self._last_ns
        self._attempts = 0

    def go_on(self, *, is_over: bool) -> None:
        """The journal was read."""
        self.until_ns, self.is_over = None, is_over

    # --- what REST has ----------------------------------------------------------------------------------------------

    async def look_ahead(self) -> None:
        """Have something at hand, if there is anything before the present."""
        while not self.ahead and not self.is_over:
            try:
                count, went_on = await self._read_page(None)
            except RestFailed as error:
                if error.retryable or self.last_id is None:
                    raise
                self.is_over = True  # what is missing then shows in the next trade_id
                return
            # A page that is not full ends in the present; one that does not lead on would be given again.
            self.is_over = count < TRADES_PER_PAGE or not went_on
            if self.until_ns is not None and self._last_ns >= self.until_ns:
                self.is_over = True

    async def reach(self, trade_id: int) -> bool:
        """Read one page more of what comes before `trade_id`; whether there is nothing more to read."""
        if self.last_id is not None and self.last_id + 1 >= trade_id:
            return True
        before = self.last_id
        try:
            _, went_on = await self._read_page(trade_id)
        except RestFailed as error:
            if error.retryable:
                raise
            self._lose(trade_id, f"REST Trades: {error.text}")
            return True
        if self.last_id is None:
            return True  # there are none between `since_ns` and it
        if before is None or self.last_id > before:
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
            page = decode_trades(result, self._symbol, rest_stamp(self._feed), self._feed.core.n)
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

    def _lose(self, trade_id: int, reason: str = "REST Trades does not have them") -> None:
        """There are none between the last one and `trade_id`."""
        first = None if self.last_id is None else self.last_id + 1
        count = None if first is None else trade_id - first
        gap = Gap(of="trade", symbol=self._symbol, reason=reason, first=first, last=trade_id - 1, count=count)
        self.ahead.append(loss_of(gap))
        self.last_id = trade_id - 1
