"""Frames recorded from the live exchange: what a correct book finds in them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

PAIRS = (
    "ALGO/BTC",
    "LSK/USD",
    "USDC/GBP",
    "FIL/BTC",
    "WAVES/ETH",
    "ICX/USD",
    "AUD/USD",
    "KAVA/USD",
    "DASH/EUR",
    "BTC/USD",
)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_two_minutes_of_btc_usd_are_verified_to_the_last_message(impl: Any, captures: Path) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    out: list[Any] = []
    codes = Counter(books.apply(frame, out) for frame in lines(captures / "v2_book10_btcusd_2026.frames.jsonl"))
    assert codes == {impl.NOT_BOOK: 122, impl.NOTABLE: 1, impl.QUIET: 1253}
    assert (books.verified, books.normalised, books.ignored) == (1254, 0, 0)
    assert {event.outcome for event in out} == {"verified"}
    assert state.count("bids") == state.count("asks") == 10


def test_lost_message_is_found_by_its_checksum_and_the_rest_ignored(impl: Any, captures: Path) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    out: list[Any] = []
    for frame in lines(captures / "v2_book10_btcusd_gap_2026.frames.jsonl"):
        books.apply(frame, out)
    assert (books.verified, books.mismatched, books.ignored) == (41, 1, 16)
    assert (state.status, state.reason) == ("unsynced", "checksum")
    assert [event.outcome for event in out] == ["verified"] * 41 + ["checksum"]


def test_quiet_pair_is_verified_over_two_snapshots(impl: Any, captures: Path) -> None:
    books = impl.Books()
    books.add("MINA/GBP", 25)
    out: list[Any] = []
    for line in lines(captures / "v2_book25_minagbp_resync_2026.ndjson")[1:]:
        frame = re.search(rb'"frame": (.*)\}\s*$', line)
        assert frame is not None
        if b'"dir": "tx"' not in line:
            books.apply(frame[1], out)
    assert (books.verified, books.mismatched) == (19, 0)
    assert [event.type for event in out].count("snapshot") == 2


def test_v1_and_its_v2_encoding_verify_and_end_in_the_same_books(impl: Any, captures: Path) -> None:
    v1, v2 = impl.Books(), impl.Books()
    for symbol in PAIRS:
        v1.add(symbol, 1000, wire_name=symbol.replace("BTC", "XBT"))
        v2.add(symbol, 1000)
    out: list[Any] = []
    for frame in lines(captures / "v1_book1000_10pairs_2021.frames.jsonl"):
        v1.apply(frame, out)
    for frame in lines(captures / "v2_book1000_10pairs_reencoded.frames.jsonl"):
        v2.apply(frame, out)
    assert (v1.verified, v1.unproven, v1.mismatched) == (14_496, 10, 0)
    assert (v2.verified, v2.mismatched) == (14_506, 0)
    for symbol in PAIRS:
        for side in ("bids", "asks"):
            assert v1.get(symbol).canonical(side) == v2.get(symbol).canonical(side) != []


def test_recorded_messages_say_what_the_book_says_after_them(impl: Any, captures: Path) -> None:
    books = impl.Books()
    state = books.add("BTC/USD", 10)
    for frame in lines(captures / "v2_book10_btcusd_2026.frames.jsonl"):
        out: list[Any] = []
        if books.apply(frame, out) != impl.NOT_BOOK:
            assert (out[0].best_bid, out[0].best_ask) == (state.best("bids"), state.best("asks"))
            assert out[0].bbo_text() == (*state.canonical("bids")[0], *state.canonical("asks")[0])
            assert out[0].computed == state.checksum == out[0].checksum
