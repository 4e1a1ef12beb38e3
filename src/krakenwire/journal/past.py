"""The trades and candles of some symbols out of a journal, without playing it.

Only the frames and REST answers that hold them are decoded; the rest is passed over, so that a journal is read several
times faster than it is played. What came late is put in its place, as far as that is near enough; a jump of ids that
remains is for the caller to fill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from krakenwire.clock import NS_PER_S
from krakenwire.errors import FrameError, UsageError
from krakenwire.events import NO_STAMP, Ohlc, Stamp, Trade
from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.segments import Damaged, read_segment
from krakenwire.journal.format import Entry, Run, read_block
from krakenwire.journal.format.lines import decode_action, decode_input
from krakenwire.journal.sealing.index import read_index
from krakenwire.protocol.inputs import Answered, Fetched
from krakenwire.protocol.outputs import Fetch
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.rest import (
    DECODE_ERRORS,
    decode_candles,
    decode_envelope,
    decode_trades,
    pair_spellings,
)

__all__ = ["RecordedTrades", "last_candles", "last_trades", "recorded_candles", "segments_since"]

_CHUNK = 1024
"""Trades that are given at a time, or a little more."""
_CHUNK_BYTES = 16 * 1024 * 1024
"""Text after which something is given, however little it is, so that who waits can do something else."""
_MOST_HELD = 20_000
_HELD_NS = 600 * NS_PER_S
"""What is ahead of a hole waits for so many others, and so long by the time of receipt, and then no longer: a client
gives up a hole before that (`Options.backfill_timeout`)."""
_CHANNEL = 64
"""Within so many bytes a frame names its channel."""


def segments_since(directory: Path, received_ns: int) -> list[Segment]:
    """The segments that may hold what was received from then on (UTC), in order; all if the journal begins later.

    Raises:
        UsageError: it is no journal, or cannot be read.
    """
    found = segments(directory)
    return found[max(bisect_right([segment.started_ns for segment in found], received_ns) - 1, 0) :]


class RecordedTrades:
    """Iterates over lists of trades: those of each symbol by their trade_id, each once.

    Args:
        found: the segments, in order; the last one may be written meanwhile.
        symbols: whose, each with the trade_id behind which it is to begin; None for whatever comes first.
        received_ns: what was received before this time (UTC) may be left out.
    """

    def __init__(self, found: Sequence[Segment], symbols: Mapping[str, int | None], received_ns: int = 0) -> None:
        self._symbols = {symbol: _Ordered(last) for symbol, last in symbols.items()}
        self._scan = _Scan(found, _TRADES, self._symbols, received_ns)

    def __iter__(self) -> Iterator[list[Trade]]:
        """The trades; an empty list now and then where there are none for long. See `take_held` for the end."""
        chunk: list[Trade] = []
        size = 0
        for found, stamp, size_now in self._scan:
            size += size_now
            for trade in found:
                self._symbols[trade.symbol].take(trade, stamp.received_ns, chunk)
            if len(chunk) >= _CHUNK or size >= _CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        yield chunk

    def take_held(self) -> list[Trade]:
        """At the end: what is behind holes that were still there, each symbol's by its trade_id, once."""
        return [trade for ordered in self._symbols.values() for trade in ordered.take_held()]


def last_trades(directory: Path, symbols: Iterable[str], before: int) -> dict[str, tuple[int, int]]:
    """Of each symbol the last trade before the segment `before`: its trade_id, and when it was (UTC, ns).

    It is looked for from the end. A segment with an index is only read if the index names the symbol.

    Raises:
        UsageError: the journal cannot be read.
    """
    found: dict[str, tuple[int, int]] = {}
    for segment, missing in _backwards(directory, before, "trade", set(symbols), found):
        for chunk in RecordedTrades([segment], dict.fromkeys(missing)):
            for trade in chunk:
                if trade.trade_id is not None:
                    found[trade.symbol] = trade.trade_id, trade.exchange_ns or 0
    return found


def recorded_candles(
    found: Sequence[Segment], symbols: Iterable[str], interval: int, received_ns: int = 0
) -> dict[str, dict[int, Ohlc]]:
    """The candles of some symbols by their begin, each as it was known in the end.

    Args:
        found: the segments, in order.
        symbols: whose.
        interval: minutes.
        received_ns: what was received before this time (UTC) may be left out.
    """
    candles: dict[str, dict[int, Ohlc]] = {symbol: {} for symbol in symbols}
    for events, _, _ in _Scan(found, _CANDLES, candles, received_ns):
        for candle in events:
            known = candles[candle.symbol].get(candle.interval_begin_ns)
            if candle.interval == interval and (known is None or candle.trades >= known.trades):
                candles[candle.symbol][candle.interval_begin_ns] = candle
    return candles


def last_candles(directory: Path, symbols: Iterable[str], interval: int, before: int) -> dict[str, Ohlc]:
    """Of each symbol the newest candle of that interval before the segment `before`; see `last_trades`.

    Raises:
        UsageError: the journal cannot be read.
    """
    found: dict[str, Ohlc] = {}
    for segment, missing in _backwards(directory, before, "ohlc", set(symbols), found):
        for symbol, candles in recorded_candles([segment], missing, interval).items():
            if candles:
                found[symbol] = candles[max(candles)]
    return found


# --- inside -----------------------------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """What is looked for.

    Attributes:
        word: a frame's name of the channel.
        call: the REST call that gives them, too.
        event: their class.
        decode: a result of the call, with its parameters.
    """

    word: bytes
    call: str
    event: type[Trade] | type[Ohlc]
    decode: Callable[[bytes, str, dict[str, str], Stamp, int], Sequence[Any]]


_TRADES = _Kind(
    b'"trade"', "Trades", Trade, lambda result, symbol, _, stamp, n: decode_trades(result, symbol, stamp, n).trades
)
_CANDLES = _Kind(
    b'"ohlc"',
    "OHLC",
    Ohlc,
    lambda result, symbol, params, stamp, n: decode_candles(result, symbol, int(params["interval"]), stamp, n),
)


class _Scan:
    """What of a kind is in some segments, as it came: events, when they were received, and after how much more text.

    A segment that was removed meanwhile is passed over, as is what is damaged.
    """

    def __init__(self, found: Sequence[Segment], kind: _Kind, symbols: Iterable[str], received_ns: int) -> None:
        self._segments = found
        self._kind = kind
        self._symbols = frozenset(symbols)
        self._received_ns = received_ns
        self._pairs = {name: symbol for symbol in self._symbols for name in pair_spellings(symbol)}
        self._words = (kind.word, f'"{kind.call}"'.encode(), b'"answered"')
        self._asked: set[tuple[tuple[str, str], ...]] = set()
        """What users asked: whose answers those read who asked."""
        self._calls: dict[int, tuple[str, dict[str, str]]] = {}

    def __iter__(self) -> Iterator[tuple[list[Any], Stamp, int]]:
        for number, segment in enumerate(self._segments):
            with suppress(UsageError):
                offset = 0 if number else _offset(segment, self._received_ns)
                for part in read_segment(segment.path, offset):
                    if isinstance(part, Damaged):
                        continue
                    yield [], NO_STAMP, len(part.text)
                    if any(word in part.text for word in self._words):
                        with suppress(FrameError):
                            yield from self._read(part.text)

    def _read(self, text: bytes) -> Iterator[tuple[list[Any], Stamp, int]]:
        block = read_block(text)
        n, stamp = block.n, NO_STAMP
        for item in block.runs:
            if isinstance(item, Run):
                for frame, stamp in zip(item.frames, item.stamps, strict=True):
                    n += 1
                    if self._kind.word in frame[:_CHANNEL]:
                        yield self._of_interest(decode(frame, stamp=stamp, n=n)), stamp, 0
            elif item.kind == "action":
                self._read_action(item.content)
            elif item.kind != "note":
                n += 1
                stamp = item.stamp or stamp
                yield self._read_input(item, stamp, n), stamp, 0

    def _read_action(self, line: bytes) -> None:
        if not line.startswith(b'>["fetch"'):
            return
        with suppress(FrameError):
            action = decode_action(line)
            if not isinstance(action, Fetch) or action.call != self._kind.call:
                return
            params = dict(action.params)
            symbol = self._pairs.get(params.get("pair", ""))
            if action.params in self._asked:
                self._asked.discard(action.params)
            elif symbol is not None:
                self._calls[action.number] = symbol, params

    def _read_input(self, entry: Entry, stamp: Stamp, n: int) -> list[Any]:
        if not entry.content.startswith((b'!["answered"', b'!["fetched"')):
            return []
        with suppress(FrameError, *DECODE_ERRORS):
            given = decode_input(entry.content)
            if isinstance(given, Fetched) and given.call == self._kind.call:
                self._asked.add(given.params)
            elif isinstance(given, Answered) and given.body is not None and given.number in self._calls:
                symbol, params = self._calls.pop(given.number)
                result, _ = decode_envelope(given.body)
                if result is not None:
                    return self._of_interest(self._kind.decode(result, symbol, params, stamp, n))
        return []

    def _of_interest(self, events: Iterable[Any]) -> list[Any]:
        kind = self._kind.event
        return [event for event in events if isinstance(event, kind) and event.symbol in self._symbols]


class _Ordered:
    """The trades of one symbol, put in order."""

    __slots__ = ("_held", "_next", "_since_ns")

    def __init__(self, last: int | None) -> None:
        self._next = None if last is None else last + 1
        self._held: dict[int, Trade] = {}
        self._since_ns = 0

    def take(self, trade: Trade, now_ns: int, out: list[Trade]) -> None:
        trade_id = trade.trade_id
        if trade_id is None:  # of the old protocol, which has none
            out.append(trade)
            return
        expected = self._next
        if expected is None or trade_id == expected:
            out.append(trade)
            self._next = trade_id + 1
            self._drain(out)
        elif trade_id > expected:
            if not self._held:
                self._since_ns = now_ns
            self._held.setdefault(trade_id, trade)
        if self._held and (len(self._held) > _MOST_HELD or now_ns - self._since_ns > _HELD_NS):
            self._next = min(self._held)
            self._since_ns = now_ns
            self._drain(out)

    def take_held(self) -> list[Trade]:
        held, self._held = self._held, {}
        return [held[trade_id] for trade_id in sorted(held)]

    def _drain(self, out: list[Trade]) -> None:
        assert self._next is not None  # noqa: S101  # set by who calls
        while (trade := self._held.pop(self._next, None)) is not None:
            out.append(trade)
            self._next += 1


def _backwards(
    directory: Path, before: int, channel: str, symbols: set[str], found: dict[str, Any]
) -> Iterator[tuple[Segment, set[str]]]:
    """Segments from the last one before `before`, each with the symbols to look for in it."""
    for segment in reversed([segment for segment in segments(directory) if segment.number < before]):
        missing = symbols - found.keys()
        if not missing:
            return
        index = read_index(segment)
        if index is not None:
            missing &= {stream.symbol for stream in index.streams if stream.channel == channel and stream.symbol}
        if missing:
            yield segment, missing


def _offset(segment: Segment, received_ns: int) -> int:
    """Where to begin in a segment for what was received from then on."""
    index = read_index(segment)
    if index is None:
        return 0
    places = [place for place in index.places if place.received_ns <= received_ns]
    return places[-1].offset if places else 0
