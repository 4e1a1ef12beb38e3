"""Streams that a witness contradicts: another stream of the same symbol shows what a silent one should have told."""

from __future__ import annotations

from collections.abc import Mapping

from krakenwire.protocol.liveness.watched import Stream
from krakenwire.protocol.liveness.witnesses import Heard, contradicts, last_price
from krakenwire.protocol.subscriptions import Key

__all__ = ["Doubts"]

_NS = 1_000_000_000
_SILENT = 1 * _NS
"""How long a stream must have been silent to be contradicted at all."""
_DOUBT = 3 * _NS
"""How long a witness must have contradicted a silent stream: channels are told one after the other."""
_WITNESSED_BY = {
    "book": ("ticker",),
    "ticker": ("book", "trade", "ohlc"),
    "trade": ("book", "ticker", "ohlc"),
    "ohlc": ("trade", "ticker"),
    "instrument": (),
}
"""Of which channels each is a witness."""


class Doubts:
    """The streams that are in doubt: since when, and which stream is the witness.

    Args:
        heard: the last message of each stream but the books.
        books: the streams of the books, by symbol.
        again_after: a stream found in doubt is not doubted anew before that (nanoseconds).
    """

    def __init__(self, heard: Heard, books: Mapping[str, Stream], again_after: int) -> None:
        self._heard = heard
        self._books = books
        self._again_after = again_after
        self._doubted: dict[Stream, tuple[int, Key]] = {}

    def __bool__(self) -> bool:
        return bool(self._doubted)

    def drop(self, stream: Stream) -> None:
        """It is in doubt no longer; harmless if it was not."""
        self._doubted.pop(stream, None)

    def clear(self) -> None:
        """None is."""
        self._doubted.clear()

    def shift(self, stalled_ns: int) -> None:
        """For `stalled_ns` nobody could have seen what came."""
        self._doubted = {stream: (at + stalled_ns, witness) for stream, (at, witness) in self._doubted.items()}

    def hear(self, witness: Stream, now: int) -> None:
        """A stream has spoken: does that contradict another one of its symbol, which has not for a while?"""
        at = witness.heard_at
        witnessed = _WITNESSED_BY[witness.key.channel]
        for stream in witness.peers:
            if (
                now - stream.heard_at > _SILENT
                and stream.heard_at < at
                and stream.key.channel in witnessed
                and not stream.is_stalled
                and stream not in self._doubted
                and now - stream.doubted_at >= self._again_after
                and self._contradicts(witness.key, stream)
            ):
                self._doubted[stream] = (at, witness.key)

    def weigh(self, now: int) -> list[tuple[Stream, Key]]:
        """Those that have been in doubt for long enough to be asked, each with its witness; they are so no longer."""
        due = []
        for stream, (at, witness) in list(self._doubted.items()):
            if stream.heard_at >= at or not self._contradicts(witness, stream):
                del self._doubted[stream]
            elif now - at >= _DOUBT and stream.probe is None and not stream.is_stalled:
                del self._doubted[stream]
                due.append((stream, witness))
        return due

    def _contradicts(self, witness: Key, stream: Stream) -> bool:
        if stream.key.channel == "trade" and stream.last() is None:
            told = last_price(witness, self._heard)
            if stream.last_before is None:
                stream.last_before = told
            return told != stream.last_before
        book = self._books.get(stream.key.symbol or "")
        return contradicts(witness, stream.key, None if book is None else book.book, self._heard)
