"""The books of one connection: held while subscribed, withheld when wrong, and what is told of it."""

from __future__ import annotations

import random

from krakenwire.book import Books, BookState, BookUpdate
from krakenwire.book.reasons import MAX_FRACTION
from krakenwire.events import BookInvalidated, BookQuarantined, BookResynced, Stamp
from krakenwire.protocol.books.resync import ResyncPolicy
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Outputs
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["BookKeeper"]


class BookKeeper:
    """Turns what the kernel finds into events, and says which books are to be fetched again, and when.

    Args:
        options: numbers of the resync.
        out: where events go; the kernel appends its updates to the same list.
        catalogue: precisions of the instruments.
        rng: source of jitter.
        skip_unknown: count frames of books that are not held, rather than report them.

    Attributes:
        books: the kernel's books.
        resyncs: books proven again after they were invalidated.
    """

    def __init__(
        self, options: Options, out: Outputs, catalogue: Catalogue, rng: random.Random, *, skip_unknown: bool
    ) -> None:
        self.books = Books(skip_unknown=skip_unknown)
        self.resyncs = 0
        self._out = out
        self._catalogue = catalogue
        self._resync = ResyncPolicy(options, rng)

    def hold(self, key: Key) -> BookState | None:
        """The book of a subscription, made if it is not there yet; None if `key` is of another channel."""
        symbol, depth = key.symbol, key.depth
        if symbol is None or depth is None:
            return None
        state = self.books.get(symbol)
        return state if state is not None else self.add(symbol, depth)

    def add(self, symbol: str, depth: int, *, wire_name: str | None = None) -> BookState:
        """A new book that awaits its snapshot."""
        state = self.books.add(symbol, depth, wire_name=wire_name)
        self.set_precision(symbol)
        return state

    def release(self, key: Key) -> None:
        """The book of a subscription is held no longer; harmless for other channels."""
        if key.channel == "book" and key.symbol is not None:
            if key.symbol in self.books:
                self.books.remove(key.symbol)
            self._resync.forget(key.symbol)

    def set_precision(self, symbol: str) -> None:
        """Tell the book of `symbol` the instrument's precisions, for checksums of numbers that lost their padding.

        Precisions beyond what a book's numbers may have are not told: no number of it could be padded to them.
        """
        state, instrument = self.books.get(symbol), self._catalogue.get(symbol)
        if state is None or instrument is None:
            return
        if max(instrument.price_precision, instrument.qty_precision) > MAX_FRACTION:
            state.set_precision(None, None)
        else:
            state.set_precision(instrument.price_precision, instrument.qty_precision)

    def restart(self, key: Key) -> None:
        """The subscription ended and begins anew: a book that was not withheld before is empty until its snapshot."""
        state = self._state(key)
        if state is not None and state.status == "synced":
            state.reset()

    def is_synced(self, key: Key) -> bool:
        """Whether the book of that subscription is proven."""
        state = self._state(key)
        return state is not None and state.status == "synced"

    def withhold(self, symbol: str, reason: str, stamp: Stamp, n: int, seq: int) -> bool:
        """Stop showing a book that was synced, through no fault of its own; False if it was not."""
        state = self.books.get(symbol)
        if state is None or state.status != "synced":
            return False
        state.invalidate(reason)
        self._resync.lost(symbol, stamp.received_mono_ns)
        self._out.events.append(
            BookInvalidated(symbol=symbol, depth=state.depth, reason=reason, stamp=stamp, n=n, seq=seq)
        )
        return True

    def look_at(self, start: int, stamp: Stamp) -> list[tuple[str, int]]:
        """Something is notable among the updates from `start` on: snapshots, or books found wrong.

        A wrong book's update is replaced by a `BookInvalidated`: a bad book is never delivered.

        Returns:
            Symbols to fetch again, each with the monotonic nanosecond before which that must not be.
        """
        events = self._out.events
        updates: list[BookUpdate] = events[start:]
        del events[start:]
        again: dict[str, int] = {}
        for update in updates:
            if update.outcome not in ("verified", "unproven"):
                events.append(self._invalidated(update))
                again[update.symbol] = self._failed(update, stamp)
                continue
            events.append(update)
            if update.type == "snapshot":
                self._tell_recovery(update, stamp)
                again.pop(update.symbol, None)
        return list(again.items())

    def _state(self, key: Key) -> BookState | None:
        return self.books.get(key.symbol) if key.channel == "book" and key.symbol is not None else None

    def _invalidated(self, update: BookUpdate) -> BookInvalidated:
        state = self.books.get(update.symbol)
        return BookInvalidated(
            symbol=update.symbol,
            depth=update.depth,
            reason=update.outcome,
            expected=update.checksum,
            computed=update.computed,
            text=None if state is None else state.checksum_text(),
            normalised_text=None if state is None else state.checksum_text(normalised=True),
            frame=update.frame,
            stamp=update.stamp,
            n=update.n,
            seq=update.seq,
        )

    def _failed(self, update: BookUpdate, stamp: Stamp) -> int:
        now = stamp.received_mono_ns
        retry = self._resync.failed(update.symbol, now)
        if retry.quarantined:
            self._out.events.append(
                BookQuarantined(
                    symbol=update.symbol,
                    depth=update.depth,
                    attempts=retry.attempts,
                    retry_after_ns=retry.not_before - now,
                    stamp=stamp,
                    n=update.n,
                    seq=update.seq,
                )
            )
            state = self.books.get(update.symbol)
            if state is not None:
                state.invalidate("quarantined")
        return retry.not_before

    def _tell_recovery(self, update: BookUpdate, stamp: Stamp) -> None:
        recovered = self._resync.synced(update.symbol, stamp.received_mono_ns)
        if recovered is not None:
            self.resyncs += 1
            self._out.events.append(
                BookResynced(
                    symbol=update.symbol,
                    depth=update.depth,
                    took_ns=recovered.took_ns,
                    attempts=recovered.attempts,
                    stamp=stamp,
                    n=update.n,
                    seq=update.seq,
                )
            )
