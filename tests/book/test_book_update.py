"""The event that a book message becomes."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest

from helpers.frames import Model, v1_update, v2_element, v2_frame
from krakenwire.events import Level, Stamp

BIDS = [("100.0", "1.00"), ("99.5", "2.00")]
ASKS = [("100.5", "1.50")]
STAMP = Stamp("public-2", 3, 1_700_000_000_000_000_000, 42)


@pytest.fixture
def books(impl: Any) -> Any:
    books = impl.Books()
    books.add("BTC/USD", 25)
    return books


@pytest.fixture
def update(books: Any) -> Any:
    return snapshot(books)


def snapshot(books: Any, n: int = 7, seq: int = 5) -> Any:
    checksum = Model("", 25).apply(BIDS, ASKS, snapshot=True)
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", BIDS, ASKS, checksum)), out, STAMP, n, seq)
    return out[0]


def test_event_says_what_came_and_whence(update: Any) -> None:
    assert (update.channel, type(update).channel, update.symbol, update.type) == ("book", "book", "BTC/USD", "snapshot")
    assert (update.outcome, update.proven, update.normalised, update.depth) == ("verified", True, False, 25)
    assert update.checksum == update.computed == Model("", 25).apply(BIDS, ASKS, snapshot=True)
    assert update.exchange_ns == 1_784_483_679_614_696_000
    assert (update.stamp, update.n, update.seq) == (STAMP, 7, 5)
    assert (update.connection, update.epoch) == ("public-2", 3)
    assert (update.received_ns, update.received_mono_ns) == (1_700_000_000_000_000_000, 42)


def test_event_carries_the_very_frame_that_came(books: Any) -> None:
    frame = v2_frame("snapshot", v2_element("BTC/USD", BIDS))
    out: list[Any] = []
    books.apply(frame, out)
    assert out[0].frame is frame


def test_levels_are_those_of_the_message_in_its_order(books: Any) -> None:
    snapshot(books)
    out: list[Any] = []
    books.apply(v2_frame("update", v2_element("BTC/USD", [("99.0", "1.0"), ("99.5", "0.00"), ("99.0", "3.0")])), out)
    assert out[0].bids == (
        Level(Decimal("99.0"), Decimal("1.0")),
        Level(Decimal("99.5"), Decimal("0.00")),
        Level(Decimal("99.0"), Decimal("3.0")),
    )
    assert [str(level.qty) for level in out[0].bids] == ["1.0", "0.00", "3.0"]
    assert out[0].asks == ()
    assert all(type(level) is Level for level in out[0].bids)


def test_best_levels_are_as_of_after_the_message_and_stay(books: Any, update: Any) -> None:
    books.apply(v2_frame("update", v2_element("BTC/USD", [("100.2", "9")])), [])
    assert update.best_bid == Level(Decimal("100.0"), Decimal("1.00"))
    assert update.best_ask == Level(Decimal("100.5"), Decimal("1.50"))
    assert str(update.best_bid.qty) == "1.00"
    assert update.bbo_text() == ("100", "1", "100.5", "1.5")


def test_empty_book_has_no_best_levels(books: Any) -> None:
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", timestamp=None)), out)
    assert (out[0].best_bid, out[0].best_ask, out[0].exchange_ns) == (None, None, None)
    assert out[0].bbo_text() == ("", "", "", "")
    assert out[0].bids == out[0].asks == ()


def test_v1_levels_are_decoded_too(books: Any) -> None:
    snapshot(books)
    out: list[Any] = []
    books.apply(v1_update("BTC/USD", 25, [("99.0", "1.0")], [("101.0", "2.0")], None), out)
    assert (out[0].bids, out[0].asks) == ((Level(Decimal(99), Decimal(1)),), (Level(Decimal(101), Decimal(2)),))
    assert (out[0].checksum, out[0].outcome, type(out[0].computed)) == (None, "unproven", int)


@pytest.mark.parametrize("name", ["symbol", "n", "outcome", "checksum", "bids", "frame", "stamp", "channel", "new"])
def test_event_is_immutable(update: Any, name: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        setattr(update, name, 1)
    with pytest.raises((AttributeError, TypeError)):
        delattr(update, name)


def test_event_is_made_by_a_book_only(impl: Any) -> None:
    with pytest.raises(TypeError, match=r"a BookUpdate is made by Books\.apply"):
        impl.BookUpdate()


def test_events_are_equal_by_content(impl: Any, update: Any) -> None:
    books = impl.Books()
    books.add("BTC/USD", 10)
    same, another = snapshot(books), snapshot(books, n=8)
    assert update == same
    assert hash(update) == hash(same)
    assert update != another
    assert len({update, same, another}) == 2
    assert update != "BTC/USD"


def test_events_pickle_and_copy(update: Any) -> None:
    names = (
        "symbol",
        "type",
        "outcome",
        "normalised",
        "depth",
        "checksum",
        "computed",
        "exchange_ns",
        "stamp",
        "n",
        "seq",
    )
    for other in (pickle.loads(pickle.dumps(update)), copy.deepcopy(update), copy.copy(update)):  # noqa: S301  # our own
        assert other == update
        assert [getattr(other, name) for name in names] == [getattr(update, name) for name in names]
        assert (other.bids, other.asks, other.bbo_text()) == (update.bids, update.asks, update.bbo_text())
        assert (other.best_bid, other.best_ask) == (update.best_bid, update.best_ask)


def test_empty_event_pickles(books: Any) -> None:
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", timestamp=None)), out)
    other = pickle.loads(pickle.dumps(out[0]))  # noqa: S301  # our own
    assert (other.best_bid, other.exchange_ns, other.bbo_text()) == (None, None, ("", "", "", ""))


def test_repr_tells_what_matters(update: Any) -> None:
    assert repr(update) == ("<BookUpdate BTC/USD snapshot verified depth=25 bid=100 x 1 ask=100.5 x 1.5 n=7 seq=5>")


def test_state_repr_tells_what_matters(books: Any, update: Any) -> None:
    assert update.depth == 25
    assert repr(books.get("BTC/USD")) == "<BookState BTC/USD depth=25 synced bids=2 asks=1>"


def test_many_events_live_at_once_and_keep_their_own_content(books: Any) -> None:
    out: list[Any] = []
    for n in range(2000):
        books.apply(v2_frame("snapshot", v2_element("BTC/USD", [(str(n + 1), "1")])), out, STAMP, n, n)
        if n % 3 == 0:
            out[n // 2] = None
    for n, event in enumerate(out):
        if event is not None:
            assert event.n == n
            assert event.bbo_text()[0] == str(n + 1)
            assert event.bids[0].price == n + 1
