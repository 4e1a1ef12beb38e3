"""One side of a book, sorted, with the text of its top ten."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from krakenwire.book import reasons
from krakenwire.book.pure.levels import Entry, Scanned, at_precision, level_json

__all__ = ["Ladder"]


class Ladder:
    """One side of a book.

    `keys` ascend and their last is the best: a bid's key is its price times 10^18, an ask's the negative of it.
    """

    __slots__ = ("entries", "keys", "sign", "top")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.entries: dict[int, Entry] = {}
        self.top: bytes | None = b""  # the checksum's text of this side; None once it may have changed

    def clear(self) -> None:
        """Forget all levels."""
        self.keys.clear()
        self.entries.clear()
        self.top = b""

    def apply(self, levels: Iterable[Scanned], depth: int) -> None:
        """Set or delete levels in their order, then keep the best `depth`."""
        keys, entries, sign = self.keys, self.entries, self.sign
        for price, entry in levels:
            key = price * sign
            if len(entry[0]) == entry[1]:
                if key not in entries:
                    continue
                del entries[key]
                rank = bisect_left(keys, key)
                del keys[rank]
            else:
                if key not in entries:
                    rank = bisect_left(keys, key)
                    keys.insert(rank, key)
                else:
                    rank = -1 if self.top is None else bisect_left(keys, key)
                entries[key] = entry
            if rank >= len(keys) - reasons.TOP:
                self.top = None
        excess = len(keys) - depth
        if excess > 0:
            for key in keys[:excess]:
                del entries[key]
            del keys[:excess]

    def text(self) -> bytes:
        """What the checksum covers of this side: the top ten, best first."""
        if self.top is None:
            entries = self.entries
            self.top = b"".join([entries[key][0] for key in self.keys[: -reasons.TOP - 1 : -1]])
        return self.top

    def text_at(self, price_precision: int, qty_precision: int) -> bytes:
        """The same with numbers as they are at the instrument's precisions."""
        return b"".join(
            [
                at_precision(text[:price_len], price_scale, price_precision)
                + at_precision(text[price_len:], qty_scale, qty_precision)
                for text, price_len, price_scale, qty_scale in self.best(reasons.TOP)
            ]
        )

    def difference(self, other: Ladder) -> str:
        """What makes this side the other, as JSON: what is to be deleted, then what is to be set, each best first."""
        own, others = self.entries, other.entries
        deleted = [level_json(own[key], deleted=True) for key in reversed(self.keys) if key not in others]
        changed = [level_json(others[key]) for key in reversed(other.keys) if own.get(key) != others[key]]
        return ",".join(deleted + changed)

    def best(self, n: int | None) -> list[Entry]:
        """The best `n` levels, or all, best first."""
        keys = self.keys if n is None or n >= len(self.keys) else self.keys[len(self.keys) - n :]
        return [self.entries[key] for key in reversed(keys)]

    def first(self) -> Entry | None:
        """The best level."""
        return self.entries[self.keys[-1]] if self.keys else None
