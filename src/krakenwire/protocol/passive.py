"""A session that only watches: recorded frames, with acks to requests that somebody else made; nothing is sent."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from krakenwire.book import UNKNOWN
from krakenwire.errors import FrameError
from krakenwire.events import Stamp, Subscribed, SubscribeRejected, Trade, Undecodable, Unsubscribed
from krakenwire.protocol.answers import Ack
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.requests import BOOK_DEPTHS
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.symbols import Catalogue, normalise

__all__ = ["PassiveSession"]


class PassiveSession(Session):
    """Learns from the acks which books there are and how deep; without an ack, from the first snapshot.

    Attributes:
        unknown_updates: book updates of symbols of which no snapshot was seen.
    """

    def __init__(self, name: str, options: Options, out: Outputs, catalogue: Catalogue, rng: random.Random) -> None:
        super().__init__(name, options, out, catalogue, rng, skip_unknown=False)
        self.state = ConnectionState.OPEN
        self.epoch = 0
        self.unknown_updates = 0

    def flush(self, now: int) -> None:
        """Nothing is sent."""

    def _handle_ack(self, ack: Ack, stamp: Stamp, n: int) -> None:
        events = self._out.events
        seq = self.seq
        channel = ack.channel or ""
        if not ack.success:
            events.append(
                SubscribeRejected(
                    of=ack.channel,
                    symbol=ack.symbol,
                    error=ack.error or "refused without a reason",
                    req_id=ack.req_id,
                    depth=ack.depth,
                    interval=ack.interval,
                    stamp=stamp,
                    n=n,
                    seq=seq,
                )
            )
        elif ack.method == "unsubscribe":
            self.keeper.release(Key(channel, ack.symbol))
            events.append(
                Unsubscribed(
                    of=channel, symbol=ack.symbol, depth=ack.depth, interval=ack.interval, stamp=stamp, n=n, seq=seq
                )
            )
        else:
            if channel == "book" and ack.symbol is not None:
                self._observe_book(ack.symbol, ack.depth or BOOK_DEPTHS[0], ack.wire_name)
            events.append(
                Subscribed(
                    of=channel,
                    symbol=ack.symbol,
                    depth=ack.depth,
                    interval=ack.interval,
                    warnings=ack.warnings,
                    stamp=stamp,
                    n=n,
                    seq=seq,
                )
            )

    def _handle_trade(self, trade: Trade, stamp: Stamp, n: int) -> None:
        if trade.source == "snapshot" and trade.trade_id is not None and self.trades.last(trade.symbol) is None:
            self.trades.check(trade)
            self._out.events.append(trade)  # who recorded it asked for it
            return
        super()._handle_trade(trade, stamp, n)

    def _receive_unknown_book(self, frame: bytes, stamp: Stamp, n: int) -> None:
        """A book nobody acknowledged: its snapshot tells the depth; updates before it are for nobody."""
        events = self._out.events
        start = len(events)
        message = msgspec.json.decode(frame)
        while True:
            found = _depth_of_snapshot(message, self.books.unknown)
            if found is None:
                self.unknown_updates += 1
                return
            wire_name, depth = found
            self._observe_book(normalise(wire_name), depth, wire_name)
            try:
                code = self.books.apply(frame, events, stamp, n, self.seq)
            except FrameError as error:  # the scan passed before, so only a limit of the books themselves is left
                events.append(
                    Undecodable(reason=error.reason, offset=error.offset, frame=frame, stamp=stamp, n=n, seq=self.seq)
                )
                return
            if code != UNKNOWN:
                self._look_at_books(start, stamp)
                return

    def _observe_book(self, symbol: str, depth: int, wire_name: str | None) -> None:
        state = self.books.get(symbol)
        if state is not None:
            if state.depth == depth:
                return
            self.books.remove(symbol)
        self.keeper.add(symbol, depth, wire_name=wire_name)


def _depth_of_snapshot(message: Any, wire_name: str | None) -> tuple[str, int] | None:
    """Name and depth of the snapshot of `wire_name` in a decoded book frame of either version, if it is one."""
    if wire_name is None:
        return None
    if isinstance(message, list):
        payloads = [part for part in message[1:-2] if isinstance(part, dict)]
        if not any("as" in part or "bs" in part for part in payloads):
            return None
        depth = str(message[-2]).rpartition("-")[2]
        return wire_name, int(depth) if depth.isdigit() else BOOK_DEPTHS[0]
    if message.get("type") != "snapshot":
        return None
    for element in message["data"]:
        if element["symbol"] == wire_name:
            longest = max(len(element.get("bids", ())), len(element.get("asks", ())))
            return wire_name, next((depth for depth in BOOK_DEPTHS if depth >= longest), BOOK_DEPTHS[-1])
    return None
