"""Book frames with right checksums, from a model that is too simple to be wrong: a dict, a sort and zlib.

Nothing here shares code with the library, so that it can say whether the library is right.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal

__all__ = ["Model", "Pair", "v1_snapshot", "v1_update", "v2_element", "v2_frame", "walk"]

Pair = tuple[str, str]
"""Price and quantity as written on the wire."""


def token(text: str) -> str:
    """A number as the checksum wants it (PROTOCOL 6.1)."""
    return text.replace(".", "").lstrip("0")


class Model:
    """A book by the words of PROTOCOL 3.5."""

    def __init__(self, symbol: str, depth: int) -> None:
        self.symbol = symbol
        self.depth = depth
        self.sides: dict[str, dict[Decimal, Pair]] = {"bids": {}, "asks": {}}

    def apply(self, bids: Sequence[Pair], asks: Sequence[Pair], *, snapshot: bool = False) -> int:
        """Apply a message; the checksum after it."""
        for side, pairs in (("bids", bids), ("asks", asks)):
            if snapshot:
                self.sides[side] = {}
            for price, qty in pairs:
                if Decimal(qty) == 0:
                    self.sides[side].pop(Decimal(price), None)
                else:
                    self.sides[side][Decimal(price)] = (price, qty)
            self.sides[side] = {Decimal(price): (price, qty) for price, qty in self.best(side)[: self.depth]}
        return self.checksum()

    def best(self, side: str) -> list[Pair]:
        """All levels, best first."""
        return [pair for _, pair in sorted(self.sides[side].items(), reverse=side == "bids")]

    def checksum(self) -> int:
        text = "".join(token(price) + token(qty) for side in ("asks", "bids") for price, qty in self.best(side)[:10])
        return zlib.crc32(text.encode())


def v2_element(
    symbol: str,
    bids: Sequence[Pair] = (),
    asks: Sequence[Pair] = (),
    checksum: int = 0,
    timestamp: str | None = "2026-07-19T17:54:39.614696Z",
) -> str:
    """One element of a v2 book message, to the byte as Kraken writes it."""
    written = {
        side: "[" + ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in pairs) + "]"
        for side, pairs in (("bids", bids), ("asks", asks))
    }
    tail = "" if timestamp is None else f',"timestamp":"{timestamp}"'
    return f'{{"symbol":"{symbol}","bids":{written["bids"]},"asks":{written["asks"]},"checksum":{checksum}{tail}}}'


def v2_frame(kind: str, *elements: str) -> bytes:
    """A v2 book message, to the byte as Kraken writes it."""
    return f'{{"channel":"book","type":"{kind}","data":[{",".join(elements)}]}}'.encode()


def _v1_levels(pairs: Sequence[Pair], time: str, flag: str | None = None) -> list[list[str]]:
    return [[price, qty, time, *([flag] if flag else [])] for price, qty in pairs]


def v1_snapshot(
    name: str, depth: int, bids: Sequence[Pair], asks: Sequence[Pair], time: str = "1534614248.123678"
) -> bytes:
    """A v1 book snapshot (PROTOCOL 7.2)."""
    payload = {"as": _v1_levels(asks, time), "bs": _v1_levels(bids, time)}
    return json.dumps([336, payload, f"book-{depth}", name], separators=(",", ":")).encode()


def v1_update(
    name: str,
    depth: int,
    bids: Sequence[Pair],
    asks: Sequence[Pair],
    checksum: int | None,
    *,
    time: str = "1534614249.123678",
    flag: str | None = None,
) -> bytes:
    """A v1 book update: in one object per side that changes (PROTOCOL 7.2)."""
    payloads: list[dict[str, object]] = []
    if asks:
        payloads.append({"a": _v1_levels(asks, time, flag)})
    if bids or not payloads:
        payloads.append({"b": _v1_levels(bids, time, flag)})
    if checksum is not None:
        payloads[-1]["c"] = str(checksum)
    return json.dumps([336, *payloads, f"book-{depth}", name], separators=(",", ":")).encode()


def _text(number: int, decimals: int) -> str:
    digits = str(number).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def walk(
    seed: int,
    *,
    symbol: str = "BTC/USD",
    depth: int = 10,
    updates: int = 100,
    mid: int = 645_000,
    price_decimals: int = 1,
    qty_decimals: int = 8,
    largest_qty: int = 10**9,
    levels: int | None = None,
) -> Iterator[tuple[str, list[Pair], list[Pair], int, Model]]:
    """A seeded random market: (kind, bids, asks, checksum, the model after it), a snapshot first.

    Best bid and ask move, levels near the best change most, prices repeat within a message, deletes of what is not
    there occur, and levels are pushed out of the depth and come back.
    """
    rng = random.Random(seed)
    model = Model(symbol, depth)
    spread = depth * 3

    def qty() -> str:
        return _text(rng.randint(1, largest_qty), qty_decimals)

    def price(side: str) -> str:
        away = 1 + min(int(rng.expovariate(3 / spread)), spread)
        return _text(mid - away if side == "bids" else mid + away, price_decimals)

    count = depth if levels is None else levels
    bids = [(_text(mid - 1 - i * 2, price_decimals), qty()) for i in range(count)]
    asks = [(_text(mid + 1 + i * 2, price_decimals), qty()) for i in range(count)]
    yield "snapshot", bids, asks, model.apply(bids, asks, snapshot=True), model
    zero = _text(0, qty_decimals)
    for _ in range(updates):
        changes: dict[str, list[Pair]] = {"bids": [], "asks": []}
        if rng.random() < 0.2:
            mid += rng.choice((-2, -1, 1, 2))
            for side in changes:
                # What the mid has passed is gone.
                changes[side] = [
                    (text, zero)
                    for text, _ in model.best(side)
                    if (int(text.replace(".", "")) >= mid) == (side == "bids")
                ]
        gone = {side: len(pairs) for side, pairs in changes.items()}
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
            side = rng.choice(("bids", "asks"))
            passed = {text for text, _ in changes[side][: gone[side]]}
            there = [pair for pair in model.best(side) if pair[0] not in passed]
            if there and rng.random() < 0.4:
                changes[side].append((rng.choice(there)[0], zero if rng.random() < 0.6 else qty()))
            else:
                changes[side].append((price(side), zero if rng.random() < 0.1 else qty()))
        yield "update", changes["bids"], changes["asks"], model.apply(changes["bids"], changes["asks"]), model
