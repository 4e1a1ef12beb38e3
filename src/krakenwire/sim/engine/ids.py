"""The texts of the exchange's ids: numbers in order inside, `OK4GJX-KSTLS-7DZZO5` outside (PROTOCOL 4.1)."""

from __future__ import annotations

from hashlib import blake2b
from itertools import product
from typing import Final

__all__ = ["IdText"]

BITS: Final = 80
MASK: Final = (1 << BITS) - 1
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PAIRS: Final = tuple(map("".join, product(ALPHABET, repeat=2)))


class IdText:
    """Writes numbers as ids of one kind: no two numbers below 2^80 give the same text, and none tells its number.

    Args:
        prefix: the first letter: `O` orders, `T` fills and amends, `L` ledger entries.
        seed: a simulator's seed; the same seed gives the same texts.
        kind: keeps kinds apart that share a prefix.
    """

    __slots__ = ("_factor", "_offset", "_prefix")

    def __init__(self, prefix: str, seed: int, kind: str) -> None:
        noise = int.from_bytes(blake2b(f"{seed}:{kind}".encode(), digest_size=2 * BITS // 8).digest(), "big")
        self._prefix = prefix
        self._factor = (noise >> BITS) | 1
        self._offset = noise & MASK

    def __call__(self, number: int) -> str:
        """The id of `number`."""
        # Odd factor, offset and a shifted xor are each one-to-one on 80 bits.
        mixed = (number * self._factor + self._offset) & MASK
        mixed ^= mixed >> 41
        mixed = (mixed * self._factor) & MASK
        mixed ^= mixed >> 37
        pairs = PAIRS
        text = (
            pairs[mixed >> 70]
            + pairs[mixed >> 60 & 1023]
            + pairs[mixed >> 50 & 1023]
            + pairs[mixed >> 40 & 1023]
            + pairs[mixed >> 30 & 1023]
            + pairs[mixed >> 20 & 1023]
            + pairs[mixed >> 10 & 1023]
            + pairs[mixed & 1023]
        )
        return f"{self._prefix}{text[:5]}-{text[5:10]}-{text[10:]}"
