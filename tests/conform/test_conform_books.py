"""The suite's own books and checksums, on what Kraken has published and on what it has really sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from krakenwire.conform.checksum import crc, token
from krakenwire.conform.plainbook import PlainBook, PlainOrders
from krakenwire.conform.wire import Frame, Item, Malformed, Number


def item(text: str) -> Item:
    """The first element of a frame."""
    return Frame(text.encode(), 0).data[0]


def update(bids: str = "", asks: str = "") -> Item:
    """An update with these levels."""
    return item(f'{{"channel":"book","data":[{{"bids":[{bids}],"asks":[{asks}],"checksum":0}}]}}')


def levels(*prices: int, qty: str = "1.0") -> str:
    """Levels at these prices."""
    return ",".join(f'{{"price":{price}.0,"qty":{qty}}}' for price in prices)


@pytest.mark.parametrize(("name", "count"), [("ethusd_depth10", 2), ("btcusd_depth10_2026", 27)])
def test_captured_frames_have_the_checksum_and_obey_the_truncation_rule(vectors: Path, name: str, count: int) -> None:
    book = PlainBook(10)
    frames = json.loads((vectors / f"v2_book_rawwire_{name}.json").read_text())["frames"]
    assert len(frames) == count
    for text in frames:
        frame = Frame(text.encode(), 0)
        assert book.apply(frame.data[0], is_snapshot=frame.kind == "snapshot") == ([], [])
        assert book.checksum() == frame.data[0].integer("checksum")


def test_captured_frames_fail_without_truncation(vectors: Path) -> None:
    book = PlainBook(None)
    right = 0
    for text in json.loads((vectors / "v2_book_rawwire_btcusd_depth10_2026.json").read_text())["frames"]:
        frame = Frame(text.encode(), 0)
        book.apply(frame.data[0], is_snapshot=frame.kind == "snapshot")
        right += book.checksum() == frame.data[0].integer("checksum")
    assert right == 15


def test_published_level3_checksum_holds(vectors: Path) -> None:
    book = json.loads((vectors / "v2_level3_docs_btcusd.json").read_text())
    fields = {
        side: [
            {
                "order_id": f"{side}{number}",
                "limit_price": Number(order["limit_price"]),
                "order_qty": Number(order["order_qty"]),
            }
            for number, order in enumerate(book[side])
        ]
        for side in ("bids", "asks")
    }
    orders = PlainOrders(10)
    orders.apply(Item(fields, Frame(b"{}", 0)), is_snapshot=True)
    assert orders.checksum() == book["checksum"] == 1063832831


@pytest.mark.parametrize(
    ("number", "expected"),
    [("45285.2", "452852"), ("0.00100000", "100000"), ("5e-05", "5"), ("1e-08", "1"), ("12", "12"), ("0.00", "")],
)
def test_token_is_the_text_without_point_and_leading_zeros(number: str, expected: str) -> None:
    assert token(number) == expected


def test_checksum_of_nothing_is_zero() -> None:
    assert crc([]) == 0


def test_delete_beyond_the_depth_is_told_and_one_of_an_absent_level_within_it_is_not() -> None:
    book = PlainBook(3)
    book.apply(update(bids=levels(30, 29, 28)), is_snapshot=True)
    assert book.apply(update(bids=levels(27, qty="0.0")), is_snapshot=False).strangers == ["27.0"]
    assert book.apply(update(bids=levels(31, qty="0.0")), is_snapshot=False).strangers == []


def test_level_beyond_the_depth_is_told_unless_the_same_message_makes_room_for_it() -> None:
    book = PlainBook(3)
    book.apply(update(asks=levels(30, 31, 32)), is_snapshot=True)
    assert book.apply(update(asks=levels(33)), is_snapshot=False).beyond == ["33.0"]
    room = update(asks=f"{levels(33)},{levels(30, qty='0.0')}")
    assert book.apply(room, is_snapshot=False).beyond == []
    # It was within the depth when its turn came; the better one pushed it out.
    pushed = update(asks=f"{levels(29)},{levels(28)}")
    assert book.apply(pushed, is_snapshot=False).beyond == []
    assert book.count("asks") == 3


def order(event: str, order_id: str, price: str, qty: str) -> str:
    """An event of level3."""
    return f'{{"event":"{event}","order_id":"{order_id}","limit_price":{price},"order_qty":{qty}}}'


def test_modified_order_keeps_its_place_and_one_added_again_loses_it() -> None:
    book = PlainOrders(10)
    added = ",".join(order("add", name, "5.0", "1.0") for name in "ABC")
    book.apply(update(bids=added), is_snapshot=False)
    book.apply(update(bids=order("modify", "A", "5.0", "0.5")), is_snapshot=False)
    (price,) = {each.number("limit_price") for each in update(bids=added).items("bids")}
    assert book.queue("bids", price) == ["A", "B", "C"]
    again = f"{order('delete', 'A', '5.0', '0.5')},{order('add', 'A', '5.0', '2.0')}"
    assert book.apply(update(bids=again), is_snapshot=False).strangers == []
    assert book.queue("bids", price) == ["B", "C", "A"]
    assert book.apply(update(bids=order("delete", "Z", "5.0", "1.0")), is_snapshot=False).strangers == ["Z"]


@pytest.mark.parametrize("event", ["", '"event":"explode",'])
def test_event_that_is_none_is_malformed(event: str) -> None:
    odd = f'{{{event}"order_id":"A","limit_price":5.0,"order_qty":1.0}}'
    with pytest.raises(Malformed):
        PlainOrders(10).apply(update(bids=odd), is_snapshot=False)
