"""A session that only watches: recorded frames, with acks to requests that somebody else made; nothing is sent."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from krakenwire.book import UNKNOWN
from krakenwire.errors import UsageError
from krakenwire.events import Stamp, Subscribed, SubscribeRejected, Unsubscribed
from krakenwire.protocol.continuity.candles import Candles
from krakenwire.protocol.continuity.trades import Trades
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.session import Session
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.requests import BOOK_DEPTHS
from krakenwire.protocol.wire.scalars import DECODE_ERRORS
from krakenwire.protocol.wire.symbols import Catalogue, normalise

__all__ = ["PassiveSession"]


class PassiveSession(Session):
    """Learns from the acks which books there are and how deep; without an ack, from the first snapshot.

    Attributes:
        unknown_updates: book updates of symbols of which no snapshot was seen.
    """

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
    ) -> None:
        super().__init__(name, options, out, catalogue, rng, trades=trades, candles=candles, skip_unknown=False)
        self.state = ConnectionState.OPEN
        self.epoch = 0
        self.unknown_updates = 0

    def flush(self, now: int) -> None:
        """Nothing is sent."""
        self._dirty = False

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

    def _receive_unknown_book(self, frame: bytes, stamp: Stamp, n: int) -> None:
        """A book nobody acknowledged: its snapshot tells the depth; updates before it are for nobody."""
        start = len(self._out.events)
        try:
            message = msgspec.json.decode(frame)
        except DECODE_ERRORS:
            message = {}  # the kernel skipped what no decoder takes, as a number without bounds: it names no book
        code = UNKNOWN
        while code == UNKNOWN:
            wire_name = self.books.unknown or ""
            depth = _depth_of_snapshot(message, wire_name)
            if depth is None or not self._observe_book(_symbol_of(wire_name), depth, wire_name):
                self.unknown_updates += 1
                return
            code = self.books.apply(frame, self._out.events, stamp, n, self.seq)
        self._look_at_books(start, stamp)

    def _observe_book(self, symbol: str, depth: int, wire_name: str | None) -> bool:
        """Keep a book as it was recorded; False if there can be none of that name or depth."""
        wire_name = symbol if wire_name is None else wire_name
        state = self.books.get(symbol)
        if state is not None:
            if (state.depth, state.wire_name) == (depth, wire_name):
                return True
            self.books.remove(symbol)
        try:
            self.keeper.add(symbol, depth, wire_name=wire_name)
        except UsageError:
            return False
        return True


def _symbol_of(wire_name: str) -> str:
    try:
        return normalise(wire_name)
    except UsageError:
        return wire_name


def _depth_of_snapshot(message: Any, wire_name: str) -> int | None:
    """The depth of the snapshot of `wire_name` in a decoded book frame of either version; None if it is none."""
    if isinstance(message, list):
        payloads = [part for part in message[1:-2] if isinstance(part, dict)]
        if not any("as" in part or "bs" in part for part in payloads):
            return None
        return int(message[-2].rpartition("-")[2])
    if message.get("type") != "snapshot":
        return None
    longest = max(
        len(element.get(side, ()))
        for element in message["data"]
        if element["symbol"] == wire_name
        for side in ("bids", "asks")
    )
    return next((depth for depth in BOOK_DEPTHS if depth >= longest), BOOK_DEPTHS[-1])
