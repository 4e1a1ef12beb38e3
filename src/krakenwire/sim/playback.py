"""A file of frames as a source: what was recorded is served again to whoever subscribes to it."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from krakenwire.errors import UsageError

from .engine.effects import Effects
from .feed.feed import DEPTHS, encode_instruments
from .feed.stream import Stream
from .instruments import ListedInstrument, default_listings
from .market.market import SIMULATED_START_NS
from .sessions.requests import unlisted

__all__ = ["Playback", "Recording"]

STEP_NS = 1_000_000

_FIRST_LEVEL = re.compile(rb'"price":\s*\d+(?:\.(\d+))?,\s*"qty":\s*\d+(?:\.(\d+))?')

Subscriber = TypeVar("Subscriber")


class _Line(msgspec.Struct):
    """An object around a frame, as tools that capture write it."""

    frame: msgspec.Raw
    dir: str = "rx"


class Recording:
    """The market data frames of a file, sorted by stream; their text is kept as it is.

    Taken are frames of book, trade, ticker, ohlc and instrument. What the server does itself (status,
    heartbeats, answers) is left out, but for the depths that answers tell; so is what the client had sent
    (`"dir": "tx"`), and every line that is no frame.

    Args:
        lines: one frame a line, or objects that hold one as `frame`.

    Raises:
        UsageError: there is no market data frame in it.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.streams: dict[Stream, list[tuple[int, bytes]]] = {}
        self.instruments: list[bytes] = []
        self._depths: dict[str, int] = {}
        for index, line in enumerate(lines):
            frame = _unwrap(line.strip())
            if frame is not None:
                self._take(index, frame)
        self.symbols = tuple(sorted({stream.symbol for stream in self.streams if stream.symbol is not None}))
        if not self.streams:
            raise UsageError("no market data in the recording; expected frames, one a line, or objects with `frame`")
        if not self.instruments:
            self.instruments.append(encode_instruments((), self._describe()))

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a file.

        Raises:
            OSError: it cannot be read.
            UsageError: there is no market data frame in it.
        """
        with Path(path).open("rb") as file:
            return cls(file)

    def _take(self, index: int, frame: bytes) -> None:
        try:
            message = msgspec.json.decode(frame)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        channel, data, result = message.get("channel"), message.get("data"), message.get("result")
        if isinstance(result, dict) and result.get("channel") == "book":
            self._depths[result["symbol"]] = result.get("depth", 10)
        elif channel == "instrument":
            self.instruments.append(frame)
        elif channel in ("book", "trade", "ticker", "ohlc") and isinstance(data, list) and data:
            stream = Stream(channel, data[0]["symbol"], self._variant(channel, message["type"], data[0]))
            self.streams.setdefault(stream, []).append((index, frame))

    def _variant(self, channel: str, kind: str, first: dict[str, Any]) -> int | None:
        if channel == "ohlc":
            return int(first["interval"])
        if channel != "book":
            return None
        symbol = first["symbol"]
        if symbol not in self._depths and kind == "snapshot":
            levels = max(len(first["bids"]), len(first["asks"]))
            self._depths[symbol] = next((depth for depth in DEPTHS if depth >= levels), DEPTHS[-1])
        return self._depths.get(symbol, DEPTHS[0])

    def _describe(self) -> list[ListedInstrument]:
        """Reference data of the symbols, where the file has none: as listed, or from the text of the book."""
        listed = {listing.symbol: listing.instrument for listing in default_listings()}
        described: dict[str, ListedInstrument] = {}
        for stream, frames in self.streams.items():
            first = next(filter(None, (_FIRST_LEVEL.search(frame) for _, frame in frames)), None)
            if stream.channel != "book" or stream.symbol is None or first is None:
                continue
            symbol = stream.symbol
            price, qty = len(first[1] or b""), len(first[2] or b"")
            known = listed.get(symbol)
            if known is not None and (known.price_precision, known.qty_precision) == (price, qty):
                described[symbol] = known
                continue
            base, _, quote = symbol.partition("/")
            tick, lot = Decimal(1).scaleb(-price), Decimal(1).scaleb(-qty)
            described[symbol] = ListedInstrument(
                symbol=symbol,
                base=base,
                quote=quote,
                qty_precision=qty,
                qty_increment=lot,
                price_precision=price,
                cost_precision=5,
                cost_min=Decimal("0.5"),
                tick_size=tick,
                price_increment=tick,
                qty_min=lot,
                ws_display_price_precision=price,
            )
        return list(described.values())


class Playback(Generic[Subscriber]):
    """A recording as a source.

    Each subscription is given the frames of its stream from the first one on (without the snapshots, if it
    asked for none); of several subscriptions, the frame that stands first in the file comes first.
    Subscribing again begins again. Times and checksums inside the frames are those of the recording.
    """

    def __init__(self, recording: Recording) -> None:
        self.now_ns = SIMULATED_START_NS
        self.effects: Effects | None = None
        self.is_unheard = False
        self.symbols = recording.symbols
        self._recording = recording
        # (index in the file, number of the subscription, position in its list)
        self._next: list[tuple[int, int, int]] = []
        self._open: dict[tuple[Subscriber, Stream], int] = {}
        self._playing: dict[int, tuple[Subscriber, Stream, list[tuple[int, bytes]]]] = {}
        self._opened = 0

    @property
    def is_idle(self) -> bool:
        """True if every subscription is at the end of the file."""
        while self._next and self._next[0][1] not in self._playing:
            heapq.heappop(self._next)
        return not self._next

    def refuse(self, stream: Stream) -> str | None:
        """Kraken's words if the recording has nothing of the symbol, or its book at another depth only."""
        if stream.symbol is None:
            return None
        if stream.symbol not in self.symbols:
            return unlisted(stream.symbol)
        if stream.channel == "book" and stream not in self._recording.streams:
            return "Subscription depth not supported"
        return None

    def open(self, subscriber: Subscriber, stream: Stream, snapshot: bool) -> list[bytes]:
        """Begin to play a stream; the frames of `instrument` come at once, all others in their turn."""
        if stream.symbol is None:
            return list(self._recording.instruments) if snapshot else []
        recorded = Stream("ticker", stream.symbol) if stream.channel == "ticker" else stream
        frames = self._recording.streams.get(recorded, [])
        if not snapshot:
            frames = [each for each in frames if b'"type":"snapshot"' not in each[1][:80]]
        self._opened += 1
        self._open[subscriber, stream] = self._opened
        if frames:
            self._playing[self._opened] = (subscriber, stream, frames)
            heapq.heappush(self._next, (frames[0][0], self._opened, 0))
        return []

    def close(self, subscriber: Subscriber, stream: Stream) -> None:
        """Stop playing a stream."""
        number = self._open.pop((subscriber, stream), None)
        if number is not None:
            self._playing.pop(number, None)

    def step(self, exchange_ns: int | None) -> Sequence[tuple[Stream, tuple[Subscriber], bytes]]:
        """Give the next frame to the subscription it is for."""
        self.now_ns = self.now_ns + STEP_NS if exchange_ns is None else exchange_ns
        if self.is_idle:
            return ()
        _, number, position = self._next[0]
        subscriber, stream, frames = self._playing[number]
        if position + 1 < len(frames):
            heapq.heapreplace(self._next, (frames[position + 1][0], number, position + 1))
        else:
            heapq.heappop(self._next)
            del self._playing[number]
        return ((stream, (subscriber,), frames[position][1]),)


def _unwrap(line: bytes) -> bytes | None:
    """The frame of a line: the line itself, or what an object around it holds as `frame`."""
    if b'"frame"' not in line:
        return line or None
    try:
        wrapped = msgspec.json.decode(line, type=_Line)
        if wrapped.dir == "tx":
            return None
        frame = bytes(wrapped.frame)
        return msgspec.json.decode(frame, type=str).encode() if frame.startswith(b'"') else frame
    except (ValueError, RecursionError):
        return line
