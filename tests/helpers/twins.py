"""The compiled book and the pure one, side by side: whatever is done to both must have the same result."""

from __future__ import annotations

from typing import Any

from krakenwire.book import kernel as compiled
from krakenwire.book import pure
from krakenwire.errors import FrameError

__all__ = ["Twins", "event_content", "state_content"]

_COUNTERS = ("verified", "unproven", "mismatched", "crossed", "backwards", "ignored", "normalised")
_EVENT = (
    *("channel", "symbol", "type", "outcome", "proven", "normalised", "synthesised", "depth", "checksum"),
    *("computed", "exchange_ns", "n", "seq", "frame", "bids", "asks", "best_bid", "best_ask"),
)
_STATE = (*("symbol", "wire_name", "depth", "status", "reason", "proven", "checksum", "exchange_ns", "n", "seq"),)


def event_content(event: Any) -> dict[str, object]:
    """All that an event says."""
    content = {name: getattr(event, name) for name in _EVENT}
    content |= {"bbo": event.bbo_text(), "repr": repr(event), "hash": hash(event)}
    return {name: repr(value) for name, value in content.items()}


def state_content(state: Any) -> dict[str, object]:
    """All that a book says."""
    content = {name: getattr(state, name) for name in _STATE}
    for side in ("bids", "asks"):
        content[side] = state.canonical(side)
        content[f"{side} exact"] = repr(state.levels(side))
        content[f"{side} count"] = state.count(side)
        content[f"{side} best"] = state.best(side)
    content["text"] = state.checksum_text()
    content["normalised text"] = state.checksum_text(True)
    return content


class Twins:
    """Both implementations, with the same books."""

    def __init__(self, *, skip_unknown: bool = True) -> None:
        self.compiled = compiled.Books(skip_unknown=skip_unknown)
        self.pure = pure.Books(skip_unknown=skip_unknown)
        self._n = 0

    def add(self, symbol: str, depth: int, wire_name: str | None = None) -> None:
        for books in (self.compiled, self.pure):
            books.add(symbol, depth, wire_name=wire_name)

    def set_precision(self, symbol: str, price_precision: int | None, qty_precision: int | None) -> None:
        for books in (self.compiled, self.pure):
            state = books.get(symbol)
            assert state is not None
            state.set_precision(price_precision, qty_precision)

    def contents(self) -> list[dict[str, object]]:
        """All that both say of their books and counters, which is the same."""
        contents = []
        for books in (self.compiled, self.pure):
            content: dict[str, object] = {name: getattr(books, name) for name in (*_COUNTERS, "unknown")}
            content |= {symbol: state_content(books.get(symbol)) for symbol in books}
            contents.append(content)
        assert contents[0] == contents[1]
        return contents

    def apply(self, frame: bytes) -> int | tuple[str, int]:
        """Apply a frame to both; the code, or the reason and offset of the error, which are the same."""
        self._n += 1
        before = self.contents()
        results: list[int | tuple[str, int]] = []
        events: list[list[dict[str, object]]] = []
        for books in (self.compiled, self.pure):
            out: list[Any] = []
            try:
                results.append(books.apply(frame, out, n=self._n, seq=self._n))
            except FrameError as error:
                results.append((error.reason, error.offset))
            events.append([event_content(event) for event in out])
        assert results[0] == results[1], f"compiled {results[0]}, pure {results[1]}"
        assert events[0] == events[1]
        after = self.contents()
        if not isinstance(results[0], int):
            assert not events[0]
            assert after == before, "a frame that is refused changes nothing"
        return results[0]
