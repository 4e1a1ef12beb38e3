"""A book as a value, the same from either kernel: what the state of a core holds of it, and gives back to either.

Nothing of it is trusted: what no kernel can have given is refused, before there is a book of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from krakenwire.book import reasons
from krakenwire.events import Stamp

__all__ = ["BooksContent", "StateContent", "check_books", "check_state", "refuse"]

_STATUSES = ("empty", "synced", "unsynced")
_LONG = 1 << 63


class StateContent(NamedTuple):
    """All of a `BookState`.

    Attributes:
        clock_ns: Kraken's time of the last message that had one, since the snapshot; None without one.
        price_precision, qty_precision: decimals of the instrument, None if not known.
        bids, asks: the levels, best first. Of each, a byte says how many digits its price has, one how many its
            quantity, and two how many of either are behind the point; the digits follow, without leading zeros.

    The others are those of `BookState`.
    """

    symbol: str
    wire_name: str
    depth: int
    status: str
    reason: str
    proven: bool
    checksum: int | None
    exchange_ns: int | None
    clock_ns: int | None
    price_precision: int | None
    qty_precision: int | None
    stamp: Stamp
    n: int
    seq: int
    bids: bytes
    asks: bytes


class BooksContent(NamedTuple):
    """All of a `Books`; its attributes are those of `Books`, with the books themselves in their order."""

    skip_unknown: bool
    unknown: str | None
    last_code: int
    last_consumed: int
    verified: int
    unproven: int
    mismatched: int
    crossed: int
    backwards: int
    ignored: int
    normalised: int
    states: tuple[Any, ...]


def refuse(what: str) -> ValueError:
    """What to raise for a content that no kernel can have given."""
    return ValueError(f"not the content of a book: {what}")


def check_state(content: object) -> StateContent:
    """The content of a book, but for its levels, which the kernel that takes them looks at.

    Raises:
        ValueError: it cannot be one; says why.
    """
    state: Any = StateContent._make(_values(content, StateContent._fields))
    _check_names(state)
    if type(state.depth) is not int or not 1 <= state.depth <= reasons.MAX_DEPTH:
        raise refuse(f"{reasons.DEPTH_LIMIT}, got {state.depth!r}")
    if type(state.proven) is not bool or (state.proven and (state.status != "synced" or state.checksum is None)):
        raise refuse(f"proven={state.proven!r} of a book that is {state.status} with the checksum {state.checksum}")
    _check_whole("checksum", state.checksum, 0, 1 << 32, optional=True)
    for name in ("exchange_ns", "clock_ns"):
        _check_whole(name, getattr(state, name), -_LONG, _LONG, optional=True)
    for name in ("price_precision", "qty_precision"):
        _check_whole(name, getattr(state, name), 0, reasons.MAX_FRACTION + 1, optional=True)
    for name in ("n", "seq"):
        _check_whole(name, getattr(state, name), -_LONG, _LONG)
    if type(state.stamp) is not Stamp:
        raise refuse(f"expected a stamp, got {state.stamp!r}")
    if type(state.bids) is not bytes or type(state.asks) is not bytes:
        raise refuse("expected levels as bytes")
    return cast("StateContent", state)


def check_books(content: object, kind: type) -> BooksContent:
    """The content of a connection's books, each of which is a `kind`.

    Raises:
        ValueError: it cannot be one; says why.
    """
    books: Any = BooksContent._make(_values(content, BooksContent._fields))
    if type(books.skip_unknown) is not bool or type(books.unknown) not in (str, type(None)):
        raise refuse("skip_unknown is a bool, and unknown a name or None")
    _check_whole("last_code", books.last_code, -1, 3)
    for name in BooksContent._fields[3:11]:
        _check_whole(name, getattr(books, name), 0, _LONG)
    if type(books.states) is not tuple or not all(type(state) is kind for state in books.states):
        raise refuse("expected a tuple of books")
    for attribute in ("symbol", "wire_name"):
        names = [getattr(state, attribute) for state in books.states]
        if len(set(names)) != len(names):
            raise refuse(f"two books with one {attribute}")
    return cast("BooksContent", books)


def _values(content: object, fields: tuple[str, ...]) -> tuple[Any, ...]:
    if type(content) is not tuple or len(content) != len(fields):
        raise refuse(f"expected {len(fields)} values")
    return content


def _check_names(state: Any) -> None:
    for name in (state.symbol, state.wire_name):
        if not reasons.is_symbol(name):
            raise refuse(f"{reasons.SYMBOL_FORM}, got {name!r}")
    if state.status not in _STATUSES or type(state.reason) is not str:
        raise refuse(f"the status {state.status!r} for the reason {state.reason!r}")


def _check_whole(name: str, value: object, low: int, end: int, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if type(value) is not int or not low <= value < end:
        raise refuse(f"{name} is {value!r}")
