"""A book as a value: given by either kernel, taken by either, and refused where no kernel can have given it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from helpers.frames import v1_snapshot, v1_update, v2_element, v2_frame, walk
from helpers.twins import event_content, state_content
from krakenwire.book import kernel, pure
from krakenwire.book.content import BooksContent, StateContent
from krakenwire.events import NO_STAMP, Stamp

IMPLEMENTATIONS = {"compiled": kernel, "pure": pure}
COUNTERS = BooksContent._fields[1:-1]


def books_of(impl: Any, depth: int = 25, updates: int = 60) -> tuple[Any, list[bytes]]:
    """Books in all states, and frames that are still to come for them."""
    books = impl.Books(skip_unknown=False)
    for symbol in ("BTC/USD", "ETH/USD", "XRP/USD"):
        books.add(symbol, depth)
    books.add("LTC/USD", 10, wire_name="LTC/OLD")
    frames = [
        v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum))
        for kind, bids, asks, checksum, _ in walk(1, depth=depth, updates=updates)
    ]
    half = len(frames) // 2
    for n, frame in enumerate(frames[:half]):
        books.apply(frame, [], Stamp("public", 1, 10**18 + n, n), n, n)
    bad = v2_frame("snapshot", v2_element("ETH/USD", [("1.50", "2.0")], [("1.60", "0.000001")], 1))
    books.apply(bad, [])
    books.get("ETH/USD").set_precision(2, 18)
    books.apply(v1_snapshot("LTC/OLD", 10, [("50.10", "1.00")], [("50.20", "2.00")]), [])
    books.apply(v2_frame("update", v2_element("NOT/HERE", [], [], 0)), [])
    return books, frames[half:]


def content_of(books: Any) -> dict[str, Any]:
    return {name: getattr(books, name) for name in COUNTERS} | {
        symbol: (state_content(books.get(symbol)), repr(books.get(symbol).stamp)) for symbol in books
    }


def restored(books: Any, impl: Any) -> Any:
    """The same books, in the other kernel or the same."""
    _, (content,) = books.__reduce__()
    *counted, states = content
    return impl.restore_books((*counted, tuple(impl.restore_state(state.__reduce__()[1][0]) for state in states)))


@pytest.mark.parametrize("taker", IMPLEMENTATIONS)
@pytest.mark.parametrize("giver", IMPLEMENTATIONS)
def test_one_goes_on_where_the_other_was(giver: str, taker: str) -> None:
    books, rest = books_of(IMPLEMENTATIONS[giver])
    other = restored(books, IMPLEMENTATIONS[taker])
    assert content_of(other) == content_of(books)
    for n, frame in enumerate([*rest, v1_update("LTC/OLD", 10, [("50.11", "1.00")], [], None)]):
        told: list[list[Any]] = [[], []]
        assert books.apply(frame, told[0], n=n) == other.apply(frame, told[1], n=n)
        assert [event_content(event) for event in told[0]] == [event_content(event) for event in told[1]]
        assert content_of(other) == content_of(books)
        if told[0]:
            update = IMPLEMENTATIONS[taker].restore_update(told[0][0].__reduce__()[1][0])
            assert event_content(update) == event_content(told[0][0])


def test_a_full_book_of_a_thousand_comes_back(impl: Any) -> None:
    books, rest = books_of(impl, depth=1000, updates=20)
    other = restored(books, impl)
    assert content_of(other) == content_of(books)
    for frame in rest:
        books.apply(frame, [])
        other.apply(frame, [])
    assert content_of(other) == content_of(books)


def test_copy_takes_them_along(impl: Any) -> None:
    books, _ = books_of(impl)
    assert content_of(copy.deepcopy(books)) == content_of(books)


def side(*levels: tuple[str, int, str, int]) -> bytes:
    return b"".join(
        bytes((len(price), len(qty), scale, qty_scale)) + price.encode() + qty.encode()
        for price, scale, qty, qty_scale in levels
    )


GOOD = StateContent(
    symbol="BTC/USD",
    wire_name="XBT/USD",
    depth=2,
    status="synced",
    reason="",
    proven=True,
    checksum=7,
    exchange_ns=1,
    clock_ns=None,
    price_precision=1,
    qty_precision=None,
    stamp=NO_STAMP,
    n=5,
    seq=6,
    bids=side(("645001", 1, "100", 2), ("645000", 1, "1", 0)),
    asks=side(("645002", 1, "100", 2), ("645003", 1, "1", 0)),
)
WRONG: dict[str, Any] = {
    "symbol": ["", "A B", 5, None, "A" * 65],
    "wire_name": ['"', b"XBT"],
    "depth": [0, 1, 1001, True, "2"],
    "status": ["good", None, b"synced"],
    "reason": [None, 3],
    "proven": [1, None],
    "checksum": [None, -1, 1 << 32, "7"],
    "exchange_ns": [1 << 63, 1.5, "1"],
    "clock_ns": [-(1 << 63) - 1],
    "price_precision": [19, -1, "1"],
    "qty_precision": [True, 2.0],
    "stamp": [None, ("", 0, 0, 0)],
    "n": [None, 1 << 63],
    "seq": [None, -(1 << 64)],
    "bids": [
        None,
        bytearray(GOOD.bids),
        GOOD.bids[:-1],
        GOOD.bids[:2],
        b"\xff\xff\0\0",
        side(("645000", 1, "1", 0), ("645001", 1, "1", 0)),
        side(("645000", 1, "1", 0), ("6450000", 2, "1", 0)),
        side(("3", 0, "1", 0), ("2", 0, "1", 0), ("1", 0, "1", 0)),
        side(("", 0, "1", 0)),
        side(("1", 0, "", 0)),
        side(("01", 0, "1", 0)),
        side(("1a", 0, "1", 0)),
        side(("1", 19, "1", 0)),
        side(("1", 0, "1", 19)),
        side(("1" * 20, 0, "1", 0)),
        side(("1" * 29, 10, "1", 0)),
        side(("1", 0, "9" * 29, 18)),
    ],
    "asks": [side(("645003", 1, "1", 0), ("645002", 1, "1", 0)), side(("1", 0, "٣", 0))],
}


def test_good_content_is_taken(impl: Any) -> None:
    state = impl.restore_state(tuple(GOOD))
    assert [str(level.price) for level in state.levels("bids")] == ["64500.1", "64500.0"]
    assert state.__reduce__()[1][0] == tuple(GOOD)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_content_that_cannot_be_is_refused(impl: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="not the content of a book"):
        impl.restore_state(tuple(GOOD._replace(**{name: value})))


@pytest.mark.parametrize("content", [(), None, [], tuple(GOOD)[:-1], (*GOOD, 1), GOOD])
def test_content_of_another_shape_is_refused(impl: Any, content: Any) -> None:
    with pytest.raises(ValueError, match="not the content of a book"):
        impl.restore_state(content)
    with pytest.raises(ValueError, match="not the content of a book"):
        impl.restore_books(content)


def test_books_that_cannot_be_are_refused(impl: Any) -> None:
    state = impl.restore_state(tuple(GOOD))
    again = impl.restore_state(tuple(GOOD._replace(symbol="ETH/USD")))
    good = (True, None, 0, 0, *[0] * 7)
    assert list(impl.restore_books((*good, (state,)))) == ["BTC/USD"]
    for states in ((state, state), (state, again), [state], (state, None), (GOOD,)):
        with pytest.raises(ValueError, match="not the content of a book"):
            impl.restore_books((*good, states))
    for at, value in ((0, 1), (1, 5), (2, 9), (3, -1), (4, 1 << 63), (5, "0")):
        with pytest.raises(ValueError, match="not the content of a book"):
            impl.restore_books((*good[:at], value, *good[at + 1 :], (state,)))
