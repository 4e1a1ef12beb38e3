"""A core with a scripted exchange: frames go in when the test says, requests come out, time is a number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from helpers.frames import Model, Pair, v2_element, v2_frame
from krakenwire.book import BookState
from krakenwire.events import Stamp
from krakenwire.protocol.core import MAIN, Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Action, Close, Fetch, Open, Send
from krakenwire.protocol.session import Session
from krakenwire.protocol.subscriptions import Key

__all__ = [
    "Exchange",
    "Feed",
    "S",
    "Wire",
    "ack",
    "acks",
    "book",
    "instrument",
    "ohlc",
    "refusal",
    "ticker",
    "timestamp",
    "trades",
]

S = 1_000_000_000
"""Nanoseconds of a second."""

Request = dict[str, Any]
"""A request as it was sent, decoded."""
Frame = bytes | str | dict[str, Any]
T = TypeVar("T")


def book(symbol: str = "BTC/USD", depth: int = 10) -> Key:
    """The subscription of a book."""
    return Key("book", symbol, depth)


class Wire:
    """Drives a core as its shell would, and keeps what it gives out."""

    def __init__(self, *, passive: bool = False, **options: Any) -> None:
        self.core = Core(Options(**options), passive=passive)
        self.now = 1000 * S
        self.log: list[Any] = []
        """Every event so far."""
        self.actions: list[Action] = []
        """Every action so far."""
        self._read = 0
        self._seen = 0
        self._asked = 0

    # --- inputs

    def stamp(self, connection: str = MAIN) -> Stamp:
        session = self.core.session(connection)
        epoch = max(session.epoch, 0) if session is not None else 0
        return Stamp(connection, epoch, 1_700_000_000 * S + self.now, self.now)

    def start(self) -> Wire:
        """Started and connected."""
        self.core.start()
        self.connect()
        return self

    def connect(self, connection: str = MAIN) -> None:
        self.core.connecting(connection)
        self._collect()
        self.core.connected("wss://exchange/v2", self.stamp(connection))
        self._collect()

    def disconnect(
        self, connection: str = MAIN, *, reason: str = "cut", code: int | None = None, terminal: bool = False
    ) -> None:
        self.core.disconnected(reason, code, terminal, self.stamp(connection))
        self._collect()

    def receive(self, *frames: Frame, connection: str = MAIN) -> list[Any]:
        """Give the core frames; the events of these."""
        start = len(self.log)
        for frame in frames:
            data = frame.encode() if isinstance(frame, str) else frame if isinstance(frame, bytes) else _json(frame)
            self.core.receive_frame(data, self.stamp(connection))
            self._collect()
        return self.log[start:]

    def subscribe(self, *keys: Key) -> None:
        self.core.subscribe(keys, self.stamp())
        self._collect()

    def unsubscribe(self, *keys: Key) -> None:
        self.core.unsubscribe(keys, self.stamp())
        self._collect()

    def answer(
        self,
        fetch: Fetch,
        body: bytes | None = None,
        error: str | None = None,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> list[Any]:
        """Give the core what came of a REST call; the events of it."""
        start = len(self.log)
        self.core.receive_answer(
            fetch.number, body, error, self.stamp(""), retryable=retryable, retry_after=retry_after
        )
        self._collect()
        return self.log[start:]

    def advance(self, seconds: float) -> None:
        """Move time, with every deadline on the way at its moment."""
        goal = self.now + round(seconds * S)
        for _ in range(100_000):
            deadline = self.core.next_deadline()
            if deadline is None or deadline > goal:
                break
            self.now = max(self.now, deadline)
            self.core.handle_deadline(self.stamp(""))
            self._collect()
        else:
            raise AssertionError("the deadline does not move on")
        self.now = goal

    # --- outputs

    def told(self, kind: type[T]) -> list[T]:
        """Every event of one class so far."""
        return [event for event in self.log if isinstance(event, kind)]

    def news(self) -> list[Any]:
        """Events since it was asked last."""
        events, self._seen = self.log[self._seen :], len(self.log)
        return events

    def sent(self, connection: str = MAIN) -> list[Request]:
        """What was sent on `connection` since it was asked last, on whichever; the rest is skipped."""
        new, self._read = self.actions[self._read :], len(self.actions)
        return [json.loads(act.text) for act in new if isinstance(act, Send) and act.connection == connection]

    def fetches(self) -> list[Fetch]:
        """The REST calls wanted since it was asked last."""
        new, self._asked = self.actions[self._asked :], len(self.actions)
        return [action for action in new if isinstance(action, Fetch)]

    @property
    def opened(self) -> list[str]:
        return [action.connection for action in self.actions if isinstance(action, Open)]

    @property
    def closed(self) -> list[Close]:
        return [action for action in self.actions if isinstance(action, Close)]

    def session(self, connection: str = MAIN) -> Session:
        session = self.core.session(connection)
        assert session is not None
        return session

    def state(self, symbol: str = "BTC/USD", connection: str = MAIN) -> BookState:
        state = self.session(connection).books.get(symbol)
        assert state is not None
        return state

    def _collect(self) -> None:
        self.log += self.core.events
        self.core.events.clear()
        self.actions += self.core.take_actions()


class Feed:
    """The exchange's side of one book."""

    def __init__(self, symbol: str = "BTC/USD", depth: int = 10) -> None:
        self.model = Model(symbol, depth)
        self._tick = 0

    def snapshot(self, bids: Sequence[Pair] | None = None, asks: Sequence[Pair] | None = None) -> bytes:
        self._tick += 1
        bids = [(f"{100 - i}.0", f"{i + 1}.00000000") for i in range(3)] if bids is None else bids
        asks = [(f"{101 + i}.0", f"{i + 1}.00000000") for i in range(3)] if asks is None else asks
        checksum = self.model.apply(bids, asks, snapshot=True)
        return v2_frame("snapshot", v2_element(self.model.symbol, bids, asks, checksum, timestamp(self._tick)))

    def update(self, bids: Sequence[Pair] | None = None, asks: Sequence[Pair] = (), *, checksum_off: int = 0) -> bytes:
        """An update; by default of a bid that is there in every snapshot; wrong by `checksum_off`."""
        self._tick += 1
        bids = [("99.0", f"{self._tick}.00000000")] if bids is None else bids
        checksum = self.model.apply(bids, asks) ^ checksum_off
        return v2_frame("update", v2_element(self.model.symbol, bids, asks, checksum, timestamp(self._tick)))

    def backwards(self) -> bytes:
        """An update that is right but for its time, which is before that of the last one."""
        self._tick -= 10
        return self.update()


class Exchange:
    """Answers requests as the exchange does, keeping what is subscribed on one connection."""

    def __init__(self) -> None:
        self.subscribed: dict[tuple[str, str | None], Any] = {}
        self.feeds: dict[str, Feed] = {}

    def answer(self, requests: Iterable[Request]) -> list[bytes]:
        frames: list[bytes] = []
        for request in requests:
            if request["method"] == "ping":
                frames.append(_json({"method": "pong", "req_id": request["req_id"]}))
                continue
            params = request["params"]
            option = params.get("depth") or params.get("interval") or params.get("event_trigger")
            for symbol in params.get("symbol", [None]):
                frames += self._answer_one(request, params["channel"], symbol, option)
        return frames

    def _answer_one(self, request: Request, channel: str, symbol: str | None, option: Any) -> list[bytes]:
        held = (channel, symbol)
        if request["method"] == "unsubscribe":
            if self.subscribed.get(held, ...) != option:
                return [refusal(request, "Subscription Not Found", symbol)]
            del self.subscribed[held]
            return [ack(request, symbol)]
        if held in self.subscribed:
            return [refusal(request, "Already subscribed", symbol)]
        self.subscribed[held] = option
        answers = [ack(request, symbol)]
        if channel == "book" and symbol is not None:
            feed = self.feeds.setdefault(symbol, Feed(symbol, option))
            feed.model.depth = option
            answers.append(feed.snapshot())
        return answers


# --- frames ----------------------------------------------------------------------------------------------------------


def timestamp(tick: int) -> str:
    """A time of the exchange, ten milliseconds a tick."""
    return f"2026-07-19T{tick // 360_000 % 24:02}:{tick // 6000 % 60:02}:{tick // 100 % 60:02}.{tick % 100:02}0000Z"


def ack(request: Request, symbol: str | None = None, **more: Any) -> bytes:
    """The success of a request, for one symbol."""
    params = request["params"]
    result = {name: value for name, value in params.items() if name != "symbol"}
    if symbol is not None:
        result["symbol"] = symbol
    return _json({"method": request["method"], "req_id": request["req_id"], "result": result, "success": True} | more)


def acks(request: Request) -> list[bytes]:
    """The success of a request, for each of its symbols."""
    return [ack(request, symbol) for symbol in request["params"].get("symbol", [None])]


def refusal(request: Request, error: str, symbol: str | None = None) -> bytes:
    """The failure of a request, which may name a symbol."""
    answer = {"error": error, "method": request["method"], "req_id": request["req_id"], "success": False}
    return _json(answer if symbol is None else answer | {"symbol": symbol})


def trades(*ids: int, symbol: str = "BTC/USD", kind: str = "update") -> bytes:
    """One message of trades."""
    items = [
        {
            "symbol": symbol,
            "side": "buy",
            "price": 100.5,
            "qty": 0.25,
            "ord_type": "limit",
            "trade_id": trade_id,
            "timestamp": timestamp(trade_id),
        }
        for trade_id in ids
    ]
    return _json({"channel": "trade", "type": kind, "data": items})


def ticker(symbol: str = "BTC/USD", last: float = 100.5) -> bytes:
    """One message of the ticker."""
    item = {"symbol": symbol, "bid": 100.0, "bid_qty": 1.0, "ask": 101.0, "ask_qty": 1.0, "last": last}
    return _json({"channel": "ticker", "type": "update", "data": [item]})


def ohlc(symbol: str = "BTC/USD", interval: int = 1) -> bytes:
    """One message of a candle."""
    item = {
        "symbol": symbol,
        "open": 1.0,
        "high": 2.0,
        "low": 0.5,
        "close": 1.5,
        "vwap": 1.2,
        "volume": 10.0,
        "trades": 3,
        "interval": interval,
        "interval_begin": "2026-07-19T10:00:00.000000000Z",
    }
    return _json({"channel": "ohlc", "type": "update", "data": [item]})


def instrument(
    symbol: str = "BTC/USD", *, price_precision: int = 1, qty_precision: int = 8, kind: str = "update"
) -> bytes:
    """Reference data of one symbol."""
    base, _, quote = symbol.partition("/")
    pair = {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "status": "online",
        "price_precision": price_precision,
        "qty_precision": qty_precision,
        "cost_precision": 5,
        "price_increment": 0.1,
        "qty_increment": 1e-08,
        "qty_min": 5e-05,
    }
    return _json({"channel": "instrument", "type": kind, "data": {"assets": [], "pairs": [pair]}})


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
