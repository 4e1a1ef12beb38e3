"""An exchange whose streams speak when a test says, fall mute, and answer requests; time is simulated."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from helpers.frames import Model, Pair, v2_element, v2_frame
from helpers.wire import Request, S, Wire, ack, instrument, ohlc, refusal
from krakenwire.book import format_timestamp
from krakenwire.protocol.core import MAIN
from krakenwire.protocol.outputs import Close, Fetch, Send
from krakenwire.protocol.subscriptions import Key

__all__ = ["KEYS", "QuietExchange"]

Frames = list[bytes]


class QuietExchange:
    """Drives a wire through time: heartbeats every second, answers after a round trip, and each stream's messages.

    Attributes:
        mute: streams (channel, symbol) that are acknowledged and then silent.
        cures: what ends that: `resubscribe`, `reconnect`, `none`.
        snapshots: what is mute sends its snapshot all the same.
        rest: REST can be reached.
        late: how much later than the matching engine has it a message is sent, drawn each time, in seconds.
        silent: nothing at all comes any more, as of a half-open connection.
        stopped: the market stands still.
        holds: what is sent does not arrive until `release`.
        untold: when messages of a mute stream would have come, in seconds.
        requests: everything that was asked, with its time in seconds.
        asked: is told of each request as it is sent.
    """

    def __init__(self, *, rtt: float = 0.04, late: Callable[[], float] | None = None, **options: Any) -> None:
        self.wire = Wire(**options).start()
        self.rtt = rtt
        self.late = late
        self.snapshots = False
        self.rest = True
        self.asked: Callable[[Request], None] = lambda _request: None
        self.mute: set[tuple[str, str]] = set()
        self.cures = "resubscribe"
        self.silent = False
        self.stopped = False
        self.holds = False
        self._held: list[Any] = []
        self.untold: list[float] = []
        self.requests: list[tuple[float, Request]] = []
        self.books: dict[str, Model] = {}
        self._levels: dict[str, dict[str, int]] = {}
        """Of each book, when each price changed last."""
        self.trade_ids: dict[str, list[tuple[int, int, float]]] = {}
        """Of each symbol all trades: id, exchange time (ns) and price."""
        self.prices: dict[str, float] = {}
        self.changed: dict[str, int] = {}
        """When what the ticker of a symbol tells changed last."""
        self.candles: dict[str, int] = {}
        self.subscribed: set[tuple[str, str]] = set()
        self._began_at: dict[tuple[str, str], float] = {}
        self._served_at = 0.0
        self.options: dict[tuple[str, str], Any] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._read = 0
        self._began = self.wire.now
        self._heartbeat()

    # --- time

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return (self.wire.now - self._began) / S

    def at(self, seconds: float, work: Callable[[], None]) -> None:
        """Do `work` at a moment."""
        heapq.heappush(self._timers, (self._began + round(seconds * S), next(self._order), work))

    def every(self, gaps: Callable[[], float], work: Callable[[], None], *, first: float | None = None) -> None:
        """Do `work` again and again, after a gap drawn each time."""

        def once() -> None:
            if not self.stopped:
                work()
            self.at(self.now + gaps(), once)

        self.at(self.now + (gaps() if first is None else first), once)

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> None:
        """Let time pass; deadlines of the core and what is planned here each have their moment."""
        goal = self.wire.now + round(seconds * S)
        self._answer()
        while not (until is not None and until()):
            due = self._timers[0][0] if self._timers else goal + 1
            deadline = self.wire.core.next_deadline()
            moment = min(due, goal + 1 if deadline is None else max(deadline, self.wire.now))
            if moment > goal:
                self.wire.now = goal
                return
            self.wire.now = max(moment, self.wire.now)
            if due <= self.wire.now:
                heapq.heappop(self._timers)[2]()
            else:
                self.wire.core.handle_deadline(self.wire.stamp(""))
                self.wire._collect()
            self._answer()

    # --- the streams

    def list_symbol(self, symbol: str, status: str = "online") -> None:
        """Tell the reference data of a symbol."""
        frame = json.loads(instrument(symbol))
        frame["data"]["pairs"][0]["status"] = status
        self._deliver("instrument", "", frame)

    def status(self, system: str) -> None:
        """Tell the state of the engine."""
        self.wire.receive({"channel": "status", "type": "update", "data": [{"system": system, "api_version": "v2"}]})

    def move(self, symbol: str = "BTC/USD") -> None:
        """A quantity in the book changes; told on its channel."""
        self._change_book(symbol, [("98.0", f"{self.wire.now // 1000 % 10**9 + 1}.00000000")], [])

    def quote(self, bid: str, ask: str, symbol: str = "BTC/USD") -> None:
        """The best bid and ask become others; book and ticker tell."""
        model = self._book(symbol)
        bids, asks = ([(price, "0.00000000") for price, _ in model.best(side)[:1]] for side in ("bids", "asks"))
        self._change_book(symbol, [*bids, (bid, "1.00000000")], [*asks, (ask, "1.00000000")])
        self._deliver("ticker", symbol, self._ticker(symbol, "update"))

    def trade(self, symbol: str = "BTC/USD", price: float = 100.5) -> None:
        """Somebody trades; told on trade, ticker and ohlc."""
        done = self.trade_ids.setdefault(symbol, [])
        done.append(((done[-1][0] if done else 1000) + 1, self._exchange_ns(), price))
        self.prices[symbol] = price
        self.changed[symbol] = self._exchange_ns()
        self.candles[symbol] = self.candles.get(symbol, 0) + 1
        self._deliver("trade", symbol, self._trades(symbol, done[-1:], "update"))
        self._deliver("ticker", symbol, self._ticker(symbol, "update"))
        self._deliver("ohlc", symbol, self._candle(symbol, "update"))

    # --- inside

    def _exchange_ns(self) -> int:
        return 1_800_000_000 * S + self.wire.now

    def _heartbeat(self) -> None:
        if not self.silent:
            self._send({"channel": "heartbeat"})
        self.at(self.now + 1.0, self._heartbeat)

    def _book(self, symbol: str) -> Model:
        if symbol not in self.books:
            self.books[symbol] = model = Model(symbol, 10)
            model.apply([("99.0", "1.00000000"), ("98.0", "2.00000000")], [("101.0", "1.00000000")], snapshot=True)
            self.changed[symbol] = self._exchange_ns()
        return self.books[symbol]

    def set_level(self, side: str, price: str, qty: str, symbol: str = "BTC/USD") -> None:
        """One level changes; told on the book's channel."""
        levels = [(price, qty)]
        self._change_book(symbol, levels if side == "bids" else [], levels if side == "asks" else [])

    def _change_book(self, symbol: str, bids: list[Pair], asks: list[Pair]) -> None:
        self._levels.setdefault(symbol, {}).update({price: self._exchange_ns() for price, _ in (*bids, *asks)})
        checksum = self._book(symbol).apply(bids, asks)
        self.changed[symbol] = self._exchange_ns()
        element = v2_element(symbol, bids, asks, checksum, format_timestamp(self.changed[symbol]))
        self._deliver("book", symbol, v2_frame("update", element))

    def snapshot(self, symbol: str) -> bytes:
        """The book as it is."""
        model = self._book(symbol)
        bids, asks = model.best("bids"), model.best("asks")
        when = format_timestamp(self.changed[symbol])
        return v2_frame("snapshot", v2_element(symbol, bids, asks, model.checksum(), when))

    def _deliver(self, channel: str, symbol: str, frame: Any) -> None:
        if self.late is None:
            self._serve(channel, symbol, frame)
        else:
            happened = self.now

            def serve() -> None:
                self._serve(channel, symbol, frame, happened)

            self._served_at = max(self._served_at, happened + self.late())  # a stream keeps its order
            self.at(self._served_at, serve)

    def _serve(self, channel: str, symbol: str, frame: Any, happened: float | None = None) -> None:
        """The server that has the connection sends it, if it is subscribed and holds no more than the snapshot."""
        held = (channel, symbol)
        if held not in self.subscribed or self.silent:
            return
        if happened is not None and happened <= self._began_at.get(held, -1.0):
            return  # the snapshot has it
        if held in self.mute:
            self.untold.append(self.now if happened is None else happened)
        elif self.late is None:
            self._send(frame)
        else:
            self.at(self.now + self.rtt / 2, partial(self._arrive, frame, self._epoch))

    def _arrive(self, frame: Any, epoch: int) -> None:
        if epoch == self._epoch and not self.silent:
            self._send(frame)

    def _send(self, *frames: Any) -> None:
        if self.holds:
            self._held += frames
        else:
            self.wire.receive(*frames)

    def release(self) -> None:
        """What was held back arrives at once."""
        self.holds = False
        held, self._held = self._held, []
        self._send(*held)

    def _trades(self, symbol: str, trades: list[tuple[int, int, float]], kind: str) -> dict[str, Any]:
        items = [
            {
                "symbol": symbol,
                "side": "buy",
                "price": price,
                "qty": 0.25,
                "ord_type": "limit",
                "trade_id": trade_id,
                "timestamp": format_timestamp(ns),
            }
            for trade_id, ns, price in trades
        ]
        return {"channel": "trade", "type": kind, "data": items}

    def _ticker(self, symbol: str, kind: str) -> dict[str, Any]:
        model = self._book(symbol)
        item = {
            "symbol": symbol,
            "bid": float(model.best("bids")[0][0]),
            "bid_qty": 1.0,
            "ask": float(model.best("asks")[0][0]),
            "ask_qty": 1.0,
            "last": self.prices.get(symbol, 100.0),
            "volume": float(self.candles.get(symbol, 0)),
            "timestamp": format_timestamp(self.changed.get(symbol, 1_700_000_000 * S)),
        }
        return {"channel": "ticker", "type": kind, "data": [item]}

    def _candle(self, symbol: str, kind: str) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(ohlc(symbol, self.options.get(("ohlc", symbol), 1)))
        done = self.trade_ids.get(symbol, [])[-500:]
        begin = (done[-1][1] if done else 1_700_000_000 * S) // (60 * S) * 60 * S
        frame["type"] = kind
        frame["data"][0] |= {
            "interval_begin": format_timestamp(begin),
            "trades": sum(ns >= begin for _, ns, _ in done or ()),
            "close": self.prices.get(symbol, 100.0),
        }
        return frame

    def _candles(self, symbol: str) -> dict[str, Any]:
        """The candles of the last trades, with how many these were."""
        frame = self._candle(symbol, "snapshot")
        minutes: dict[int, list[float]] = {}
        for _, ns, price in self.trade_ids.get(symbol, [])[-500:]:
            minutes.setdefault(ns // (60 * S) * 60 * S, []).append(price)
        newest = frame["data"][0]
        frame["data"] = [
            newest | {"interval_begin": format_timestamp(begin), "trades": len(prices), "close": prices[-1]}
            for begin, prices in minutes.items()
        ] or [newest | {"trades": 0}]
        return frame

    def _answer(self) -> None:
        """Requests are carried out half a round trip after now, and their answers come after the other half."""
        actions, self._read = self.wire.actions[self._read :], len(self.wire.actions)
        for action in actions:
            if isinstance(action, Send):
                request, epoch = json.loads(action.text), self._epoch
                self.requests.append((self.now, request))
                self.asked(request)
                self.at(self.now + self.rtt / 2, partial(self._carry_out, request, epoch))
            elif isinstance(action, Fetch) and action.call in ("Depth", "Trades"):
                self.at(self.now + 0.1, partial(self._tell, action))
            elif isinstance(action, Close) and not action.retire:
                self.cut()

    def _tell(self, fetch: Fetch) -> None:
        """The answer of REST (PROTOCOL 8.3)."""
        if not self.rest:
            self.wire.answer(fetch, error="no route", retryable=False)
            return
        params = dict(fetch.params)
        symbol = params["pair"]
        if fetch.call == "Depth":
            model, times = self._book(symbol), self._levels.get(symbol, {})
            rows: Any = {
                side: [[price, f"{float(qty):.3f}", times.get(price, 0) // S] for price, qty in model.best(side)]
                for side in ("bids", "asks")
            }
        else:
            done = [each for each in self.trade_ids.get(symbol, []) if each[1] > int(params["since"])]
            rows = [
                [str(price), "0.25", ns / S, "b", "m", "", trade_id]
                for trade_id, ns, price in done[: int(params["count"])]
            ]
        answer = {symbol: rows} if fetch.call == "Depth" else {symbol: rows, "last": "0"}
        self.wire.answer(fetch, json.dumps({"error": [], "result": answer}).encode())

    @property
    def _epoch(self) -> int:
        session = self.wire.core.session(MAIN)
        return 0 if session is None else session.epoch

    def cut(self) -> None:
        """The connection ends, and is opened anew."""
        self.subscribed.clear()
        if self.cures == "reconnect":
            self.mute.clear()
        self.wire.disconnect(reason="cut")
        self.at(self.now + 0.1, self.wire.connect)

    def _carry_out(self, request: Request, epoch: int) -> None:
        if self.silent or epoch != self._epoch:
            return
        frames: Frames = []
        if request["method"] == "ping":
            frames.append(json.dumps({"method": "pong", "req_id": request["req_id"]}).encode())
        else:
            params = request["params"]
            for symbol in params.get("symbol", [""]):
                frames += self._carry_out_one(request, params, symbol)

        def arrive() -> None:
            if epoch == self._epoch and not self.silent:
                self._send(*frames)

        self.at(self.now + self.rtt / 2, arrive)

    def _carry_out_one(self, request: Request, params: dict[str, Any], symbol: str) -> Frames:
        channel = params["channel"]
        held = (channel, symbol)
        time = {"time_in": format_timestamp(self._exchange_ns()), "time_out": format_timestamp(self._exchange_ns())}
        if request["method"] == "unsubscribe":
            if held not in self.subscribed:
                return [refusal(request, "Subscription Not Found", symbol or None)]
            self.subscribed.discard(held)
            if self.cures == "resubscribe":
                self.mute.discard(held)
            return [ack(request, symbol or None, **time)]
        self.subscribed.add(held)
        self._began_at[held] = self.now
        self.options[held] = params.get("interval")
        frames = [ack(request, symbol or None, **time)]
        if held in self.mute and not self.snapshots:
            return frames
        if channel == "book":
            frames.append(self.snapshot(symbol))
        elif channel == "ticker":
            frames.append(json.dumps(self._ticker(symbol, "snapshot")).encode())
        elif channel == "ohlc":
            frames.append(json.dumps(self._candles(symbol)).encode())
        elif channel == "trade" and params.get("snapshot"):
            trades = self.trade_ids.get(symbol, [])[-50:]
            frames.append(json.dumps(self._trades(symbol, trades, "snapshot")).encode())
        elif channel == "instrument":
            frames.append(instrument("BTC/USD", kind="snapshot"))
        return frames


KEYS = {
    "book": Key("book", "BTC/USD", 10),
    "trade": Key("trade", "BTC/USD"),
    "ticker": Key("ticker", "BTC/USD", "trades"),
    "ohlc": Key("ohlc", "BTC/USD", 1),
}
