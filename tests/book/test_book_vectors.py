"""Published checksum examples (PROTOCOL 6.4)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from helpers.frames import Pair, v2_element, v2_frame


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def padded(pairs: list[list[str]], price_decimals: int, qty_decimals: int) -> list[Pair]:
    def fixed(text: str, decimals: int) -> str:
        return format(Decimal(text).quantize(Decimal(1).scaleb(-decimals)), "f")

    return [(fixed(price, price_decimals), fixed(qty, qty_decimals)) for price, qty in pairs]


def test_docs_btcusd(impl: Any, vectors: Path) -> None:
    data = load(vectors / "v2_book_docs_btcusd.json")
    books = impl.Books()
    out: list[Any] = []
    state = books.add("BTC/USD", 10)
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", data["bids"], data["asks"], data["checksum"])), out)
    assert (out[0].outcome, state.checksum) == ("verified", 3310070434)
    assert state.checksum_text() == data["asks_string"] + data["bids_string"]


def test_docs_maticusd_as_padded_and_as_printed(impl: Any, vectors: Path) -> None:
    data = load(vectors / "v2_book_docs_maticusd.json")
    snapshot, update = data["snapshot"], data["update"]
    raw = data["snapshot_as_printed"]
    for bids, asks, changes, normalised in (
        (snapshot["bids"], snapshot["asks"], padded(update["bids"], 4, 8), 0),
        (raw["raw_bids"], raw["raw_asks"], update["bids"], 2),
    ):
        books = impl.Books()
        out: list[Any] = []
        books.add("MATIC/USD", 10).set_precision(4, 8)
        books.apply(v2_frame("snapshot", v2_element("MATIC/USD", bids, asks, snapshot["checksum"])), out)
        books.apply(v2_frame("update", v2_element("MATIC/USD", changes, [], update["checksum"])), out)
        assert [event.outcome for event in out] == ["verified", "verified"]
        assert (books.get("MATIC/USD").checksum, books.normalised) == (2114181697, normalised)


def test_raw_wire_frames(impl: Any, vectors: Path) -> None:
    for name, symbol, count in (("ethusd_depth10", "ETH/USD", 2), ("btcusd_depth10_2026", "BTC/USD", 27)):
        books = impl.Books()
        out: list[Any] = []
        books.add(symbol, 10)
        for frame in load(vectors / f"v2_book_rawwire_{name}.json")["frames"]:
            books.apply(frame.encode(), out)
        assert (books.verified, len(out)) == (count, count)


def test_v2_capture_of_2023(impl: Any, vectors: Path) -> None:
    books = impl.Books()
    out: list[Any] = []
    books.add("BTC/USD", 10)
    for message in load(vectors / "v2_book_capture_btcusd_depth10.json")["messages"]:
        element = v2_element("BTC/USD", message["bids"], message["asks"], message["checksum"], message["timestamp"])
        books.apply(v2_frame(message["type"], element), out)
    assert books.verified == len(out) == 150


def test_v1_docs(impl: Any, vectors: Path) -> None:
    data = load(vectors / "v1_book_docs.json")
    books = impl.Books()
    out: list[Any] = []
    books.add("XBT/USD", 10)
    payload = {"as": data["as"], "bs": data["bs"], "c": data["checksum"]}
    books.apply(json.dumps([1, payload, "book-10", "XBT/USD"]).encode(), out)
    assert (out[0].outcome, out[0].computed) == ("verified", 974947235)


def test_v1_capture_of_2023(impl: Any, vectors: Path) -> None:
    books = impl.Books()
    out: list[Any] = []
    books.add("BTC/USD", 10, wire_name="XBT/USD")
    for message in load(vectors / "v1_book_capture_xbtusd_depth10.json")["messages"]:
        books.apply(json.dumps(message).encode(), out)
    assert (books.verified, books.mismatched) == (176, 0)


def test_v1_update_in_two_objects(impl: Any, vectors: Path) -> None:
    books = impl.Books()
    out: list[Any] = []
    books.add("BTC/USD", 10, wire_name="XBT/USD")
    books.apply(b'[336,{"as":[],"bs":[]},"book-10","XBT/USD"]', out)
    for message in load(vectors / "v1_book_two_object_examples.json"):
        books.apply(json.dumps(message).encode(), out)
        assert (len(out[-1].asks), len(out[-1].bids)) == (len(message[1]["a"]), len(message[2]["b"]))
        assert out[-1].checksum == int(message[2]["c"])
