"""The rules by which a book is kept (PROTOCOL 3.5, 6.1, 6.3, 7.2)."""

from __future__ import annotations

import json
import random
import zlib
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest

from helpers.frames import Model, Pair, v1_snapshot, v1_update, v2_element, v2_frame, walk
from krakenwire.errors import UsageError
from krakenwire.events import NO_STAMP, Level, Stamp

BIDS = [("100.0", "1.00"), ("99.5", "2.00"), ("99.0", "3.00")]
ASKS = [("100.5", "1.50"), ("101.0", "2.50"), ("101.5", "3.50")]
LATER = "2026-07-19T17:54:40.000000Z"


class Feed:
    """A book, and a model of it that gives the right checksums."""

    def __init__(self, impl: Any, depth: int = 10, **options: Any) -> None:
        self.impl = impl
        self.books = impl.Books(**options)
        self.state = self.books.add("BTC/USD", depth)
        self.model = Model("BTC/USD", depth)
        self.events: list[Any] = []

    def send(
        self,
        kind: str,
        bids: list[Pair] | tuple[Pair, ...] = (),
        asks: list[Pair] | tuple[Pair, ...] = (),
        *,
        off: int = 0,
        timestamp: str | None = LATER,
    ) -> int:
        """Apply a message whose checksum is wrong by `off`; the code."""
        checksum = self.model.apply(bids, asks, snapshot=kind == "snapshot")
        frame = v2_frame(kind, v2_element("BTC/USD", bids, asks, (checksum + off) % 2**32, timestamp))
        return int(self.books.apply(frame, self.events))

    def texts(self, side: str) -> list[tuple[str, str]]:
        return [(str(price), str(qty)) for price, qty in self.state.levels(side)]


@pytest.fixture
def feed(impl: Any) -> Feed:
    feed = Feed(impl)
    assert feed.send("snapshot", BIDS, ASKS) == impl.NOTABLE
    return feed


def test_new_book_awaits_a_snapshot(impl: Any) -> None:
    state = impl.Books().add("BTC/USD", 25)
    assert (state.symbol, state.wire_name, state.depth) == ("BTC/USD", "BTC/USD", 25)
    assert (state.status, state.reason, state.proven) == ("empty", "empty", False)
    assert (state.checksum, state.exchange_ns, state.stamp, state.n, state.seq) == (None, None, NO_STAMP, 0, 0)
    assert state.levels("bids") == state.levels("asks") == []
    assert state.best("bids") is state.best("asks") is None
    assert state.checksum_text() == ""


def test_update_before_the_snapshot_is_ignored_and_counted(impl: Any) -> None:
    feed = Feed(impl)
    assert feed.send("update", BIDS[:1]) == impl.QUIET
    assert (feed.books.ignored, feed.events, feed.state.status) == (1, [], "empty")


def test_snapshot_fills_the_book_exactly_as_written(feed: Feed) -> None:
    assert feed.texts("bids") == BIDS
    assert feed.texts("asks") == ASKS
    assert feed.state.best("bids") == Level(Decimal("100.0"), Decimal("1.00"))
    assert feed.state.best("asks") == Level(Decimal("100.5"), Decimal("1.50"))
    assert (feed.state.status, feed.state.reason, feed.state.proven) == ("synced", "", True)
    assert feed.books.verified == 1


def test_snapshot_replaces_the_whole_book(feed: Feed) -> None:
    feed.send("snapshot", [("50.0", "1.00")], [("60.0", "1.00")])
    assert feed.texts("bids") == [("50.0", "1.00")]
    assert feed.texts("asks") == [("60.0", "1.00")]


def test_update_sets_a_level_to_its_absolute_quantity(feed: Feed, impl: Any) -> None:
    assert feed.send("update", [("99.5", "7.25")], [("100.7", "0.10")]) == impl.QUIET
    assert feed.texts("bids") == [("100.0", "1.00"), ("99.5", "7.25"), ("99.0", "3.00")]
    assert feed.texts("asks") == [("100.5", "1.50"), ("100.7", "0.10"), *ASKS[1:]]
    assert feed.books.verified == 2


def test_update_with_zero_qty_removes_the_level(feed: Feed) -> None:
    feed.send("update", [("100.0", "0.00")], [("101.5", "0.00000000")])
    assert feed.texts("bids") == BIDS[1:]
    assert feed.texts("asks") == ASKS[:2]


def test_removing_a_level_that_is_not_there_changes_nothing(feed: Feed, impl: Any) -> None:
    assert feed.send("update", [("42.0", "0.00")]) == impl.QUIET
    assert feed.texts("bids") == BIDS


def test_same_price_repeated_the_last_one_wins(feed: Feed) -> None:
    feed.send("update", [("99.7", "1.00"), ("99.7", "0.00"), ("99.7", "4.00")], [("100.5", "9.00"), ("100.5", "0.00")])
    assert feed.texts("bids") == [BIDS[0], ("99.7", "4.00"), *BIDS[1:]]
    assert feed.texts("asks") == ASKS[1:]


def test_same_price_written_in_another_way_is_the_same_level(feed: Feed) -> None:
    feed.send("update", [("100", "5.00")])
    assert feed.texts("bids")[0] == ("100", "5.00")
    assert feed.state.count("bids") == 3


def test_level_beyond_the_depth_is_dropped_after_the_message(impl: Any) -> None:
    feed = Feed(impl, 3)
    feed.send("snapshot", BIDS, ASKS)
    assert feed.send("update", [("99.9", "1.00")]) == impl.QUIET
    assert feed.texts("bids") == [("100.0", "1.00"), ("99.9", "1.00"), ("99.5", "2.00")]


def test_level_pushed_out_within_a_message_comes_back_by_a_later_delete_of_it(impl: Any) -> None:
    feed = Feed(impl, 3)
    feed.send("snapshot", BIDS, ASKS)
    assert feed.send("update", [("99.9", "1.00"), ("100.0", "0.00")]) == impl.QUIET
    assert feed.texts("bids") == [("99.9", "1.00"), ("99.5", "2.00"), ("99.0", "3.00")]


def test_level_dropped_by_a_message_does_not_come_back_with_the_next(impl: Any) -> None:
    feed = Feed(impl, 3)
    feed.send("snapshot", BIDS, ASKS)
    feed.send("update", [("99.9", "1.00")])
    feed.send("update", [("99.9", "0.00")])
    assert feed.texts("bids") == BIDS[:2]


def test_snapshot_with_more_levels_than_the_depth_is_cut(impl: Any) -> None:
    feed = Feed(impl, 2)
    assert feed.send("snapshot", BIDS, ASKS) == impl.NOTABLE
    assert feed.texts("bids") == BIDS[:2]
    assert feed.books.verified == 1


def test_wrong_checksum_unsyncs_the_book_and_keeps_its_levels(feed: Feed, impl: Any) -> None:
    assert feed.send("update", [("99.7", "1.00")], off=1) == impl.NOTABLE
    event = feed.events[-1]
    assert (event.outcome, event.proven) == ("checksum", False)
    assert event.checksum == (event.computed + 1) % 2**32
    assert (feed.state.status, feed.state.reason, feed.state.proven) == ("unsynced", "checksum", False)
    assert ("99.7", "1.00") in feed.texts("bids")
    assert feed.books.mismatched == 1


def test_updates_of_an_unsynced_book_are_ignored_until_the_next_snapshot(feed: Feed, impl: Any) -> None:
    feed.send("update", [("99.7", "1.00")], off=1)
    kept = feed.texts("bids")
    assert feed.send("update", [("99.8", "1.00")]) == impl.QUIET
    assert (feed.books.ignored, len(feed.events), feed.texts("bids")) == (1, 2, kept)
    assert feed.send("snapshot", BIDS, ASKS) == impl.NOTABLE
    assert (feed.state.status, feed.state.reason) == ("synced", "")
    assert feed.send("update", [("99.8", "1.00")]) == impl.QUIET


def test_snapshot_with_a_wrong_checksum_leaves_the_book_unsynced(impl: Any) -> None:
    feed = Feed(impl)
    assert feed.send("snapshot", BIDS, ASKS, off=1) == impl.NOTABLE
    assert (feed.state.status, feed.state.reason, feed.events[-1].type) == ("unsynced", "checksum", "snapshot")


def test_crossed_book_is_found_though_its_checksum_matches(feed: Feed, impl: Any) -> None:
    assert feed.send("update", [("100.5", "1.00")]) == impl.NOTABLE
    assert (feed.events[-1].outcome, feed.state.status, feed.state.reason) == ("crossed", "unsynced", "crossed")
    assert (feed.books.crossed, feed.books.verified) == (1, 1)


def test_wrong_checksum_comes_before_crossed(feed: Feed) -> None:
    feed.send("update", [("100.5", "1.00")], off=1)
    assert feed.events[-1].outcome == "checksum"


def test_timestamp_that_runs_backwards_is_found_though_the_checksum_matches(feed: Feed, impl: Any) -> None:
    assert feed.send("update", timestamp="2026-07-19T17:54:39.999999Z") == impl.NOTABLE
    assert (feed.events[-1].outcome, feed.state.reason, feed.books.backwards) == ("timestamp", "timestamp", 1)


def test_equal_timestamps_and_absent_ones_are_fine(feed: Feed, impl: Any) -> None:
    assert feed.send("update") == impl.QUIET
    assert feed.send("update", timestamp=None) == impl.QUIET
    assert feed.state.exchange_ns is None
    assert feed.send("update", timestamp="2026-07-19T17:54:39.999999Z") == impl.NOTABLE, "earlier than the last known"


def test_snapshot_may_be_earlier_than_what_was_before_it(feed: Feed, impl: Any) -> None:
    feed.send("snapshot", BIDS, ASKS, timestamp="2026-07-19T17:54:39.000000Z")
    assert feed.state.status == "synced"
    assert feed.send("update", timestamp="2026-07-19T17:54:39.500000Z") == impl.QUIET


def test_empty_book_and_one_sided_book_are_proven_too(impl: Any) -> None:
    feed = Feed(impl)
    assert feed.send("snapshot") == impl.NOTABLE
    assert (feed.state.checksum, feed.state.status) == (0, "synced")
    assert feed.send("update", BIDS) == impl.QUIET
    assert feed.books.verified == 2
    assert feed.events[-1].best_ask is None


def test_checksum_text_is_what_the_checksum_is_over(feed: Feed) -> None:
    assert feed.state.checksum_text() == "1005150101025010153501000100995200990300"
    assert zlib.crc32(feed.state.checksum_text().encode()) == feed.state.checksum


def test_state_says_whence_the_last_message_came(impl: Any) -> None:
    feed = Feed(impl)
    checksum = feed.model.apply(BIDS, ASKS, snapshot=True)
    stamp = Stamp("public", 3, 11, 22)
    feed.books.apply(v2_frame("snapshot", v2_element("BTC/USD", BIDS, ASKS, checksum)), feed.events, stamp, 5, 6)
    assert (feed.state.stamp, feed.state.n, feed.state.seq) == (stamp, 5, 6)
    assert feed.state.exchange_ns == 1_784_483_679_614_696_000


def test_invalidate_unsyncs_and_keeps_the_levels_readable(feed: Feed, impl: Any) -> None:
    feed.state.invalidate("disconnected")
    assert (feed.state.status, feed.state.reason, feed.state.proven) == ("unsynced", "disconnected", False)
    assert feed.texts("bids") == BIDS
    assert feed.send("update") == impl.QUIET
    assert feed.books.ignored == 1


def test_reset_forgets_all_but_the_name(feed: Feed, impl: Any) -> None:
    feed.state.reset("resubscribed")
    assert (feed.state.status, feed.state.reason, feed.state.checksum) == ("empty", "resubscribed", None)
    assert feed.state.count("bids") == feed.state.count("asks") == 0
    assert feed.send("update") == impl.QUIET
    assert feed.books.ignored == 1
    assert feed.send("snapshot", BIDS, ASKS) == impl.NOTABLE
    assert feed.books.mismatched == 0


# --- precision -------------------------------------------------------------------------------------------------------


def stripped(pairs: list[Pair]) -> list[Pair]:
    """Numbers as a JSON library rewrites them: without the zeros at the end."""
    return [(str(float(price)), str(float(qty))) for price, qty in pairs]


def test_checksum_is_tried_again_at_the_instruments_precision(impl: Any) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    state.set_precision(1, 2)
    checksum = Model("BTC/USD", 10).apply(BIDS, ASKS, snapshot=True)
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", stripped(BIDS), stripped(ASKS), checksum)), out)
    assert (out[0].outcome, out[0].normalised, out[0].computed) == ("verified", True, checksum)
    assert (books.verified, books.normalised, state.checksum) == (1, 1, checksum)
    assert state.checksum_text(True) == "1005150101025010153501000100995200990300"
    assert state.checksum_text() != state.checksum_text(True)


def test_wire_text_is_tried_first(impl: Any) -> None:
    books = impl.Books()
    books.add("BTC/USD", 10).set_precision(5, 8)
    checksum = Model("BTC/USD", 10).apply(BIDS, ASKS, snapshot=True)
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", BIDS, ASKS, checksum)), out)
    assert (out[0].outcome, out[0].normalised, books.normalised) == ("verified", False, 0)


def test_without_precision_there_is_no_normalised_text(impl: Any) -> None:
    state = impl.Books().add("BTC/USD", 10)
    assert state.checksum_text(True) is None
    state.set_precision(1, None)
    assert state.checksum_text(True) is None
    state.set_precision(1, 8)
    assert state.checksum_text(True) == ""
    state.set_precision(None, None)
    assert state.checksum_text(True) is None


def test_precision_drops_zeros_but_no_other_digit(impl: Any) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", [("1.500", "0.120")], [], 0)), [])
    for precision, text in ((0, "1512"), (1, "1512"), (2, "15012"), (4, "150001200")):
        state.set_precision(precision, precision)
        assert state.checksum_text(True) == text


@pytest.mark.parametrize("precision", [-1, 19])
def test_precision_beyond_what_a_number_may_have_is_refused(impl: Any, precision: int) -> None:
    with pytest.raises(UsageError, match="precision must be from 0 to 18"):
        impl.Books().add("BTC/USD", 10).set_precision(precision, 8)


def test_precision_of_an_instrument_may_change_while_the_book_lives(impl: Any) -> None:
    feed = Feed(impl)
    feed.state.set_precision(1, 2)
    feed.send("snapshot", BIDS, ASKS)
    feed.state.set_precision(2, 2)
    finer = [("100.01", "1.00")]
    assert feed.send("update", finer) == impl.QUIET, "the wire's own text decides"
    assert feed.texts("bids")[0] == finer[0]


@pytest.mark.parametrize(("price", "qty"), [("1e-05", "5E2"), ("1E-5", "500"), ("0.00001", "5.00e+2")])
def test_exponents_are_written_out(impl: Any, price: str, qty: str) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    checksum = zlib.crc32(b"1500")
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", [(price, qty)], [], checksum)), out)
    assert out[0].outcome == "verified"
    assert [(str(level.price), str(level.qty)) for level in state.levels("bids")] == [("0.00001", "500")]


# --- extreme instruments ---------------------------------------------------------------------------------------------


def test_quantities_beyond_64_bits_are_exact(impl: Any) -> None:
    feed = Feed(impl)
    bids = [("0.000000000000000012", "1234567890123456789.123456789"), ("0.000000000000000011", "99999999999.12345678")]
    assert feed.send("snapshot", bids, [("0.000000000000000013", "1.00000000")]) == impl.NOTABLE
    assert feed.events[-1].outcome == "verified"
    assert [(format(price, "f"), str(qty)) for price, qty in feed.state.levels("bids")] == bids


def test_prices_from_the_smallest_to_the_largest_are_ordered(impl: Any) -> None:
    feed = Feed(impl, 25)
    asks = [("0.000000000000000001", "1"), ("1", "1"), ("1.000000000000000001", "1"), ("9999999999999999999", "1")]
    assert feed.send("snapshot", [], random.Random(5).sample(asks, 4)) == impl.NOTABLE
    assert [format(level.price, "f") for level in feed.state.levels("asks")] == [price for price, _ in asks]
    assert feed.books.verified == 1


@pytest.mark.parametrize(
    ("depth", "options"),
    [
        (10, {}),
        (25, {"levels": 4}),
        (100, {"mid": 1234, "price_decimals": 9, "qty_decimals": 5, "largest_qty": 10**18}),
        (1000, {"price_decimals": 3, "updates": 60}),
        (1, {"levels": 1}),
        (500, {"levels": 0, "updates": 200}),
    ],
    ids=["usual", "thin", "cheap coin", "deep", "one level", "from nothing"],
)
def test_book_equals_the_model_after_every_message(impl: Any, depth: int, options: dict[str, Any]) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", depth)
    messages = 0
    for kind, bids, asks, checksum, model in walk(depth, depth=depth, **{"updates": 300, **options}):
        out: list[Any] = []
        books.apply(v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum)), out)
        messages += 1
        assert out[0].outcome == "verified"
        for side in ("bids", "asks"):
            assert [(format(price, "f"), format(qty, "f")) for price, qty in state.levels(side)] == model.best(side)
    assert books.verified == messages > 60


def test_message_with_very_many_levels_is_applied_and_its_memory_let_go(impl: Any) -> None:
    feed = Feed(impl)
    feed.send("snapshot", BIDS, ASKS)
    many = [(f"{price}.0", "1.00") for price in range(1, 100)] * 300
    assert feed.send("update", many) == impl.QUIET
    assert feed.state.count("bids") == 10
    assert feed.send("update", [("100.1", "1.00")]) == impl.QUIET
    assert feed.books.verified == 3


# --- several books ---------------------------------------------------------------------------------------------------


def test_one_frame_may_hold_several_books(impl: Any) -> None:
    books = impl.Books()
    for symbol in ("BTC/USD", "ETH/USD"):
        books.add(symbol, 10)
    checksum = Model("", 10).apply(BIDS, ASKS, snapshot=True)
    frame = v2_frame("snapshot", *(v2_element(symbol, BIDS, ASKS, checksum) for symbol in ("ETH/USD", "BTC/USD")))
    out: list[Any] = []
    assert books.apply(frame, out) == impl.NOTABLE
    assert [event.symbol for event in out] == ["ETH/USD", "BTC/USD"]
    assert all(event.frame is frame for event in out)


def test_elements_of_one_frame_have_their_own_levels(impl: Any) -> None:
    books = impl.Books()
    books.add("BTC/USD", 10)
    elements = (v2_element("BTC/USD", BIDS[:1]), v2_element("BTC/USD", BIDS[1:], ASKS[:1]))
    out: list[Any] = []
    books.apply(v2_frame("snapshot", *elements), out)
    assert [[str(level.price) for level in event.bids] for event in out] == [["100.0"], ["99.5", "99.0"]]
    assert [len(event.asks) for event in out] == [0, 1]


def test_unknown_symbol_is_skipped_and_counted(impl: Any) -> None:
    books = impl.Books()
    books.add("BTC/USD", 10)
    checksum = Model("", 10).apply(BIDS, ASKS, snapshot=True)
    known, unknown = v2_element("BTC/USD", BIDS, ASKS, checksum), v2_element("XRP/USD", BIDS, ASKS, checksum)
    out: list[Any] = []
    assert books.apply(v2_frame("snapshot", unknown, known), out) == impl.NOTABLE
    assert (books.unknown, books.ignored, [event.symbol for event in out]) == ("XRP/USD", 1, ["BTC/USD"])


def test_unknown_symbol_stops_the_frame_where_it_may_not_be_skipped(impl: Any) -> None:
    books = impl.Books(skip_unknown=False)
    state = books.add("BTC/USD", 10)
    known, unknown = v2_element("BTC/USD", BIDS), v2_element("Æ\\/\\u20AC", BIDS)
    out: list[Any] = []
    assert books.apply(v2_frame("snapshot", known, unknown), out) == impl.UNKNOWN
    assert (books.unknown, books.ignored, out, state.status) == ("Æ/€", 0, [], "empty")
    books.add("XRP/USD", 10)
    assert books.apply(v2_frame("update", v2_element("XRP/USD")), out) == impl.QUIET


def test_books_are_a_collection_of_symbols(impl: Any) -> None:
    books = impl.Books()
    first, second = books.add("BTC/USD", 10), books.add("ETH/USD", 100, wire_name="XETH/ZUSD")
    assert (len(books), list(books)) == (2, ["BTC/USD", "ETH/USD"])
    assert "ETH/USD" in books
    assert "XETH/ZUSD" not in books
    assert (books.get("BTC/USD"), books.get("ETH/USD"), books.get("XRP/USD")) == (first, second, None)
    assert second.wire_name == "XETH/ZUSD"


def test_book_is_found_by_its_name_on_the_wire_only(impl: Any) -> None:
    books = impl.Books()
    books.add("BTC/USD", 10, wire_name="XBT/USD")
    out: list[Any] = []
    books.apply(v2_frame("snapshot", v2_element("BTC/USD")), out)
    assert (books.unknown, out) == ("BTC/USD", [])
    books.apply(v2_frame("snapshot", v2_element("XBT/USD")), out)
    assert [event.symbol for event in out] == ["BTC/USD"]


def test_removed_book_is_unknown_and_its_state_stays_readable(impl: Any) -> None:
    feed = Feed(impl)
    feed.send("snapshot", BIDS, ASKS)
    feed.books.remove("BTC/USD")
    assert len(feed.books) == 0
    feed.send("update", [("100.1", "1.00")])
    assert (feed.books.unknown, feed.books.ignored, feed.texts("bids")) == ("BTC/USD", 1, BIDS)
    with pytest.raises(UsageError, match="no book of 'BTC/USD'"):
        feed.books.remove("BTC/USD")
    assert feed.books.add("BTC/USD", 10) is not feed.state


def test_hundreds_of_books_come_and_go(impl: Any) -> None:
    books, rng = impl.Books(), random.Random(3)
    out: list[Any] = []
    names = [f"{chr(65 + i % 26)}{i}/USD" for i in range(700)]
    there: set[str] = set()
    for _ in range(2000):
        name = rng.choice(names)
        if name in there:
            books.remove(name)
            there.discard(name)
        else:
            books.add(name, 10)
            there.add(name)
    assert set(books) == there
    for name in names:
        out.clear()
        books.apply(v2_frame("snapshot", v2_element(name)), out)
        assert [event.symbol for event in out] == [name] * (name in there)


@pytest.mark.parametrize("depth", [0, 1001, -1, True, "10", 10.0, None])
def test_depth_that_cannot_be_is_refused(impl: Any, depth: object) -> None:
    with pytest.raises(UsageError, match="depth must be an integer from 1 to 1000, got"):
        impl.Books().add("BTC/USD", depth)


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\\b", "é", "x" * 65, None, b"BTC/USD"])
def test_name_that_cannot_be_is_refused(impl: Any, name: object) -> None:
    books = impl.Books()
    with pytest.raises(UsageError, match="a symbol is 1 to 64 printable ASCII characters"):
        books.add(name, 10)
    if name is not None:
        with pytest.raises(UsageError, match="a symbol is 1 to 64 printable ASCII characters"):
            books.add("BTC/USD", 10, wire_name=name)
    assert len(books) == 0


def test_second_book_of_a_name_is_refused(impl: Any) -> None:
    books = impl.Books()
    books.add("BTC/USD", 10)
    with pytest.raises(UsageError, match="already"):
        books.add("BTC/USD", 25, wire_name="XBT/USD")
    with pytest.raises(UsageError, match="already"):
        books.add("XBT/USD", 25, wire_name="BTC/USD")


# --- reading ---------------------------------------------------------------------------------------------------------


def test_levels_can_be_asked_for_by_number(feed: Feed) -> None:
    assert [str(level.price) for level in feed.state.levels("bids", 2)] == ["100.0", "99.5"]
    assert feed.state.levels("bids", 0) == []
    assert len(feed.state.levels("asks", 99)) == 3
    with pytest.raises(UsageError, match="n must not be negative, got -1"):
        feed.state.levels("bids", -1)


def test_side_is_bids_or_asks(feed: Feed) -> None:
    for read in (feed.state.levels, feed.state.best, feed.state.count, feed.state.canonical):
        with pytest.raises(UsageError, match="side must be 'bids' or 'asks', got 'buy'"):
            read("buy")


def test_canonical_text_has_no_exponent_and_no_zeros_at_the_end(impl: Any) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    bids = [("100.00", "0.50"), ("90", "100"), ("0.0000001", "1e2"), ("1E-18", "10.10")]
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", bids)), [])
    assert state.canonical("bids") == [
        ("100", "0.5"),
        ("90", "100"),
        ("0.0000001", "100"),
        ("0.000000000000000001", "10.1"),
    ]


def test_fill_writes_the_best_levels_into_a_buffer(feed: Feed) -> None:
    numpy = import_module("numpy")
    rows = numpy.full((2, 2), -1.0)
    assert feed.state.fill("asks", rows) == 2
    assert rows.tolist() == [[100.5, 1.5], [101.0, 2.5]]
    rows = numpy.full((5, 2), -1.0)
    assert feed.state.fill("bids", rows) == 3
    assert rows.tolist() == [[100.0, 1.0], [99.5, 2.0], [99.0, 3.0], [-1.0, -1.0], [-1.0, -1.0]]
    assert feed.state.fill("bids", numpy.empty((0, 2))) == 0


def test_fill_rounds_to_the_nearest_float(impl: Any) -> None:
    numpy = import_module("numpy")
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    price, qty = "1234567890.123456789012345678", "0.1000000000000000055"[:20]
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", [(price, qty)])), [])
    rows = numpy.empty((1, 2))
    state.fill("bids", rows)
    assert rows.tolist() == [[float(price), float(qty)]]


def test_fill_refuses_another_kind_of_buffer(feed: Feed) -> None:
    numpy = import_module("numpy")
    read_only = numpy.empty((3, 2))
    read_only.flags.writeable = False
    for out in (
        *(numpy.empty((3, 2), dtype="f4"), numpy.empty((3, 3)), numpy.empty(6), numpy.empty((2, 3)).T),
        *(read_only, bytearray(48), [[0.0, 0.0]], None),
    ):
        with pytest.raises(UsageError, match="expected a writable C-contiguous buffer of float64 of shape"):
            feed.state.fill("bids", out)


# --- frames ----------------------------------------------------------------------------------------------------------


def test_memoryview_is_taken_and_copied_for_the_event(impl: Any) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    frame = v2_frame("snapshot", v2_element("BTC/USD", BIDS))
    data = bytearray(b"xx" + frame + b"yy")
    out: list[Any] = []
    books.apply(memoryview(data)[2:-2], out)
    data[:] = b"?" * len(data)
    assert out[0].frame == frame
    assert type(out[0].frame) is bytes
    assert [str(level.price) for level in out[0].bids] == ["100.0", "99.5", "99.0"]
    assert state.count("bids") == 3


def test_text_is_no_frame(impl: Any) -> None:
    with pytest.raises(TypeError):
        impl.Books().apply("{}", [])


def test_empty_data_is_quiet(impl: Any) -> None:
    out: list[Any] = []
    assert impl.Books().apply(v2_frame("update"), out) == impl.QUIET
    assert out == []


def test_apply_many_stops_at_the_first_frame_that_is_not_quiet(impl: Any) -> None:
    frames: list[bytes] = []
    for kind, bids, asks, checksum, _ in walk(9, updates=20):
        frames.append(v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum)))
    frames.insert(8, b'{"channel":"heartbeat"}')
    frames.insert(15, b'{"channel":"book"')
    books = impl.Books()
    out: list[Any] = []
    books.add("BTC/USD", 10)
    stamp = Stamp("public", 0, 1, 2)
    assert (books.apply_many(frames, out, stamp, 100, 200), books.last_code) == (1, impl.NOTABLE)
    assert (books.apply_many(frames[1:], out, stamp, 101, 201), books.last_code) == (8, impl.NOT_BOOK)
    with pytest.raises(ValueError, match="unexpected end of the frame"):
        books.apply_many(frames[9:], out, stamp, 109, 209)
    assert books.last_consumed == 7
    rest = frames[16:]
    assert (books.apply_many(rest, out, stamp, 116, 216), books.last_code) == (len(rest), impl.QUIET)
    assert books.verified == len(out) == 21
    places = [i for i in range(len(frames)) if i not in (8, 15)]
    assert [(event.n, event.seq) for event in out] == [(100 + i, 200 + i) for i in places]
    assert [event.frame for event in out] == [frames[i] for i in places]


def test_apply_many_of_nothing_consumes_nothing(impl: Any) -> None:
    books = impl.Books()
    assert (books.apply_many([], []), books.last_code, books.last_consumed) == (0, impl.QUIET, 0)


# --- v1 --------------------------------------------------------------------------------------------------------------


def v1_books(impl: Any) -> tuple[Any, Any]:
    books = impl.Books()
    return books, books.add("BTC/USD", 10, wire_name="XBT/USD")


def test_v1_snapshot_is_unproven_and_synced(impl: Any) -> None:
    books, state = v1_books(impl)
    out: list[Any] = []
    assert books.apply(v1_snapshot("XBT/USD", 10, BIDS, ASKS), out) == impl.NOTABLE
    assert (out[0].outcome, out[0].proven, out[0].checksum, out[0].type) == ("unproven", False, None, "snapshot")
    assert (state.status, state.proven, books.unproven) == ("synced", False, 1)
    assert out[0].symbol == "BTC/USD"
    assert out[0].exchange_ns == 1_534_614_248_123_678_000


def test_v1_update_with_a_checksum_proves_the_book(impl: Any) -> None:
    books, state = v1_books(impl)
    model = Model("", 10)
    out: list[Any] = []
    model.apply(BIDS, ASKS, snapshot=True)
    books.apply(v1_snapshot("XBT/USD", 10, BIDS, ASKS), out)
    checksum = model.apply([("99.7", "1.00")], [])
    assert books.apply(v1_update("XBT/USD", 10, [("99.7", "1.00")], [], checksum), out) == impl.QUIET
    assert (out[1].outcome, state.proven, out[1].checksum) == ("verified", True, checksum)


def test_v1_update_of_both_sides_comes_in_two_objects(impl: Any) -> None:
    books, state = v1_books(impl)
    model = Model("", 10)
    out: list[Any] = []
    model.apply(BIDS, ASKS, snapshot=True)
    books.apply(v1_snapshot("XBT/USD", 10, BIDS, ASKS), out)
    checksum = model.apply([("99.7", "1.00")], [("100.6", "1.00")])
    frame = v1_update("XBT/USD", 10, [("99.7", "1.00")], [("100.6", "1.00")], checksum, flag="r")
    assert len(json.loads(frame)) == 5
    assert books.apply(frame, out) == impl.QUIET
    assert (out[1].outcome, len(out[1].bids), len(out[1].asks)) == ("verified", 1, 1)
    assert (state.count("bids"), state.count("asks")) == (4, 4)


def test_v1_update_without_a_checksum_is_unproven(impl: Any) -> None:
    books, state = v1_books(impl)
    out: list[Any] = []
    books.apply(v1_snapshot("XBT/USD", 10, BIDS, ASKS), out)
    assert books.apply(v1_update("XBT/USD", 10, BIDS[:1], [], None), out) == impl.QUIET
    assert (out[1].outcome, state.status, state.proven, books.unproven) == ("unproven", "synced", False, 2)


def test_v1_update_may_be_empty(impl: Any) -> None:
    books, _ = v1_books(impl)
    out: list[Any] = []
    books.apply(v1_snapshot("XBT/USD", 10, BIDS, ASKS), out)
    for payload in ("{}", '{"a":[]}', '{"a":[],"b":[]}', "{},{}"):
        assert books.apply(f'[1,{payload},"book-10","XBT/USD"]'.encode(), out) == impl.QUIET
    assert out[-1].exchange_ns is None
    assert books.unproven == 5


def test_v1_times_are_the_latest_of_the_levels_and_may_run_backwards(impl: Any) -> None:
    books, state = v1_books(impl)
    out: list[Any] = []
    books.apply(v1_snapshot("XBT/USD", 10, BIDS, ASKS), out)
    frame = b'[1,{"b":[["99.0","1","10.5"],["98.0","1",30],["97.0","1","20.000000001"]]},"book-10","XBT/USD"]'
    assert books.apply(frame, out) == impl.QUIET
    assert (out[1].exchange_ns, state.exchange_ns, books.backwards) == (30_000_000_000,) * 2 + (0,)


def test_v1_crossed_book_is_found(impl: Any) -> None:
    books, state = v1_books(impl)
    out: list[Any] = []
    assert books.apply(v1_snapshot("XBT/USD", 10, ASKS, BIDS), out) == impl.NOTABLE
    assert (out[0].outcome, state.status) == ("crossed", "unsynced")


def test_v1_checksum_of_a_snapshot_is_compared_if_there_is_one(impl: Any) -> None:
    books, _ = v1_books(impl)
    out: list[Any] = []
    checksum = Model("", 10).apply([("1", "2")], [], snapshot=True)
    frame = f'[1,{{"bs":[["1","2","3"]],"c":"{checksum}"}},"book-10","XBT/USD"]'.encode()
    books.apply(frame, out)
    assert out[0].outcome == "verified"
