"""Events made by hand, and readers on a hub, for tests of the hub."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from krakenwire.clock import ManualClock
from krakenwire.events import NO_STAMP, Ohlc, Stamp, Ticker, Trade
from krakenwire.hub import Delivery, Hub, Interest, Reader

__all__ = ["Brakes", "candle", "drain", "open_reader", "reader_of", "ticker", "trade"]

ONE = Decimal(1)


def trade(symbol: str = "A/B", seq: int = 0, stamp: Stamp = NO_STAMP) -> Trade:
    return Trade(
        symbol=symbol,
        side="buy",
        price=ONE,
        qty=ONE,
        ord_type="limit",
        trade_id=seq,
        exchange_ns=None,
        stamp=stamp,
        seq=seq,
    )


def ticker(symbol: str = "A/B", seq: int = 0, stamp: Stamp = NO_STAMP) -> Ticker:
    return Ticker(
        symbol=symbol,
        type="update",
        bid=ONE,
        bid_qty=ONE,
        ask=ONE,
        ask_qty=ONE,
        last=None,
        volume=None,
        vwap=None,
        low=None,
        high=None,
        change=None,
        change_pct=None,
        exchange_ns=None,
        stamp=stamp,
        seq=seq,
    )


def candle(interval: int, seq: int = 0, symbol: str = "A/B", stamp: Stamp = NO_STAMP) -> Ohlc:
    return Ohlc(
        symbol=symbol,
        type="update",
        interval=interval,
        interval_begin_ns=0,
        open=ONE,
        high=ONE,
        low=ONE,
        close=ONE,
        vwap=ONE,
        volume=ONE,
        trades=1,
        exchange_ns=None,
        stamp=stamp,
        seq=seq,
    )


def drain(inbox: Any) -> list[Any]:
    """Everything that waits, one by one."""
    events: list[Any] = []
    while (event := inbox.take()) is not None:
        events.append(event)
    return events


class Brakes:
    """Stands in for a pump: knows which connections are not read, and keeps the log of it."""

    def __init__(self) -> None:
        self.paused: dict[str, str] = {}
        self.log: list[tuple[str, str]] = []

    def pause(self, connection: str, reason: str) -> None:
        assert connection not in self.paused, "paused twice"
        self.paused[connection] = reason
        self.log.append(("pause", connection))

    def resume(self, connection: str) -> None:
        del self.paused[connection]
        self.log.append(("resume", connection))

    def hub(self, clock: ManualClock | None = None, **how: Any) -> Hub:
        return Hub(clock=clock or ManualClock(), pause=self.pause, resume=self.resume, **how)


def reader_of(hub: Hub, *interests: Interest, what: str = "test", **delivery: Any) -> Reader[Any]:
    """A reader of `hub` that is not open yet."""
    how = Delivery(**delivery)
    inbox = hub.inbox(how, what)

    async def subscribe() -> None:
        hub.attach(inbox, interests)

    return Reader(inbox, on_loss=how.on_loss, subscribe=subscribe, release=lambda: hub.detach(inbox))


async def open_reader(hub: Hub, *interests: Interest, **delivery: Any) -> Reader[Any]:
    """A reader of `hub`, subscribed."""
    return await reader_of(hub, *interests, **delivery).__aenter__()
